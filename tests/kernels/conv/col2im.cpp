// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/col2im.hpp"

#include "support/convolution.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::detail::Col2imPlan;

TEST_CASE("col2im: the phases of a stride hold the padded image, and blocks stay in the cache") {
    for (const Index batch : {1, 100})
        for (const Index in : {1, 64})
            for (const Size2 image : {Size2(3), Size2(17, 40), Size2(300)})
                for (const Size2 stride : {Size2(1), Size2(2), Size2(1, 3)}) {
                    const auto s = convolution::sizes(batch, 1, in, 32, image, 3, stride, 1, 0, 1);
                    const Col2imPlan plan(s);
                    CHECK(plan.plane >= s.padded.area());
                    CHECK(plan.phase.height * stride.height - s.padded.height < stride.height);
                    CHECK_FALSE(plan.in_place);  // there is padding
                    CHECK(
                        (plan.images == 1 || plan.rows == s.result.height));  // whole images, or rows of one
                    CHECK((plan.images * plan.rows == 1 || plan.columns <= Col2imPlan::block_pixels));
                    CHECK((plan.channels == 1 ||
                           plan.channels * plan.area * plan.columns <= Col2imPlan::block_values));
                    CHECK((plan.channels >= 1 && plan.channels <= in));
                }
    CHECK(Col2imPlan(convolution::sizes(2, 1, 4, 8, {9, 9}, 3, 1, 0, 0, 1)).in_place);
}
