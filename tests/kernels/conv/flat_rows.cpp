// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/flat_rows.hpp"

#include <algorithm>

#include "support/convolution.hpp"
#include "support/isas.hpp"
#include "support/random.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::ConvGeometry;
using kernels::detail::ceil_div;
using kernels::detail::flat_offsets;
using kernels::detail::FlatRows;

namespace {

ConvGeometry sizes(Size2 image, Size2 kernel, Size2 stride, Size2 before, Size2 after, Size2 dilation = 1) {
    return convolution::sizes(1, 1, 1, 1, image, kernel, stride, before, after, dilation);
}

const ConvGeometry cases[] = {
    sizes({5, 6}, 3, 1, 1, 1),                           // as most layers are
    sizes({20, 21}, 3, 2, 1, 1),                         // and those with a stride
    sizes({9, 6}, 3, {2, 3}, 1, {0, 2}),                 // strides
    sizes({11, 10}, {3, 2}, 1, {0, 1}, {2, 0}, {3, 4}),  // dilation, and paddings of their own
    sizes({4, 4}, 4, 1, 0, 0),                           // one pixel
    sizes({1, 40}, {1, 7}, {1, 5}, 0, 0),                // one row
    sizes({3, 1}, 1, 1, 0, 0),                           // one tap
    sizes({9, 8}, {1, 2}, 4, 0, 0),                      // pixels that no window sees
};

}  // namespace

TEST_CASE("flat rows: a pixel and the offset of a tap make the pixel of the padded plane that they meet") {
    for (const ConvGeometry& s : cases)
        for (const bool are_whole : {false, true})
            for (const simd::Isa isa : available_isas()) {
                const simd::ScopedIsa scope(isa);
                INFO("image " << to_string(s.image) << ", kernel " << to_string(s.kernel));
                const Size2 phases{std::min(s.stride.height, (s.kernel.height - 1) * s.dilation.height + 1),
                                   std::min(s.stride.width, (s.kernel.width - 1) * s.dilation.width + 1)};
                FlatRows rows{s.image, s.before, s.stride, phases, ceil_div(s.padded.width, s.stride.width)};
                rows.rows = ceil_div(s.padded.height, s.stride.height);
                rows.are_whole = are_whole;
                const Tensor<> x = whole_numbers<float>(s.x_shape(), 1);
                Tensor<> planes = zeros<float>({rows.plane() + kernels::detail::flat_slack});
                rows.copy(x.data(), 1, 0, planes.mutable_data(), s.image.height);
                const Tensor<Index> taps = flat_offsets(s, rows);
                for (Index i = 0; i < s.result.height; ++i)
                    for (Index j = 0; j < s.result.width; ++j)
                        for (Index tap = 0; tap < s.taps(); ++tap) {
                            const Index ky = tap / s.kernel.width, kx = tap % s.kernel.width;
                            const Index y = i * s.stride.height + ky * s.dilation.height - s.before.height;
                            const Index column = j * s.stride.width + kx * s.dilation.width - s.before.width;
                            const bool inside =
                                y >= 0 && y < s.image.height && column >= 0 && column < s.image.width;
                            const Index at = taps.data()[tap] + i * rows.columns + j;
                            REQUIRE(at < rows.plane());
                            CHECK(planes.data()[at] == (inside ? x.data()[y * s.image.width + column] : 0));
                        }
            }
}
