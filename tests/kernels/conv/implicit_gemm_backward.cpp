// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/implicit_gemm_backward.hpp"

#include "support/convolution.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::detail::ImplicitBackwardWeightPlan;

TEST_CASE("implicit GEMM, dw: parts keep threads busy and never cut a pass") {
    for (const Index batch : {1, 3, 100})
        for (const Index out : {1, 16, 300})
            for (const Index in : {1, 64})
                for (const Size2 image : {Size2(3), Size2(16, 40)}) {
                    const auto s = convolution::sizes(batch, 1, in, out, image, 3, 1, 1, 1, 1);
                    const ImplicitBackwardWeightPlan plan(s, {6, 16});
                    CHECK(plan.panels * 16 >= out);
                    CHECK(plan.strips * 6 >= s.taps());
                    CHECK(plan.passes * plan.pixels_per_pass >= plan.pixels);
                    CHECK((plan.passes - 1) * plan.pixels_per_pass < plan.pixels);
                    CHECK((plan.parts >= 1 && plan.parts <= plan.passes));
                    CHECK(plan.part_size >= out * s.taps());
                    const Index tasks = plan.panels * plan.groups;
                    CHECK((plan.parts == 1 ||
                           tasks * plan.parts <= 16));  // more would be sums to add, for nothing
                }
}
