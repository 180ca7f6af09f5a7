// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/depthwise.hpp"

#include <algorithm>

#include "support/convolution.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::ConvGeometry;
using kernels::detail::DepthwisePlan;

namespace {

/// 7 groups of one input channel and two output channels.
ConvGeometry sizes(Size2 image, Size2 kernel, Size2 stride, Size2 before, Size2 after, Size2 dilation = 1) {
    return convolution::sizes(2, 7, 1, 2, image, kernel, stride, before, after, dilation);
}

const ConvGeometry cases[] = {
    sizes({5, 6}, 3, 1, 1, 1),                           // as most layers are
    sizes({9, 6}, 3, {2, 3}, 1, {0, 2}),                 // strides
    sizes({11, 10}, {3, 2}, 1, {0, 1}, {2, 0}, {3, 4}),  // dilation, and paddings of their own
    sizes({4, 4}, 4, 1, 0, 0),                           // one pixel
    sizes({1, 40}, {1, 7}, {1, 5}, 0, 0),                // one row
    sizes({3, 1}, 1, 1, 0, 0),                           // one tap
};

}  // namespace

TEST_CASE("depthwise: a position and the offset of a tap make the pixel of the padded plane that they meet") {
    for (const ConvGeometry& s : cases) {
        INFO("image " << to_string(s.image) << ", kernel " << to_string(s.kernel));
        const DepthwisePlan plan(s);
        const auto offsets = kernels::detail::tap_offsets(s);
        const auto table = kernels::detail::offset_table(offsets, plan.taps);
        CHECK(plan.channels == 14);
        CHECK(plan.taps == s.kernel.height * s.kernel.width);
        CHECK(plan.plane == s.padded.height * s.padded.width);
        Index last = 0;
        for (Index i = 0; i < s.result.height; ++i)
            for (Index j = 0; j < s.result.width; ++j) {
                const Index position = i * s.stride.height * s.padded.width + j * s.stride.width;
                last = std::max(last, position);
                for (Index ky = 0; ky < s.kernel.height; ++ky)
                    for (Index kx = 0; kx < s.kernel.width; ++kx) {
                        const Index row = i * s.stride.height + ky * s.dilation.height;
                        const Index column = j * s.stride.width + kx * s.dilation.width;
                        REQUIRE(row < s.padded.height);
                        REQUIRE(column < s.padded.width);
                        CHECK(position + table.data()[ky * s.kernel.width + kx] ==
                              row * s.padded.width + column);
                    }
            }
        CHECK(plan.flat == last + 1);
        // The last position with the last tap, and what vectors of whole positions read, are in the plane.
        CHECK(plan.flat + table.data()[plan.taps - 1] <= plan.plane);
    }
}

TEST_CASE("depthwise: a task has many planes where they are small, and one where they are large") {
    const auto block = [](Size2 image) { return DepthwisePlan(sizes(image, 3, 1, 1, 1)).block; };
    CHECK(block({1, 1}) > block({8, 8}));
    CHECK(block({8, 8}) > 1);
    CHECK(block({1000, 1000}) == 1);
    // Nothing is divided by nothing.
    CHECK(DepthwisePlan(sizes({1, 1}, 1, 1, 0, 0)).block == parallel_grain);
}
