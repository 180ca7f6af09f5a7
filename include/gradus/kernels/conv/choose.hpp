// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>

#include "gradus/kernels/conv/cost.hpp"
#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/conv/winograd_transforms.hpp"
#include "gradus/kernels/gemm/bf16_gemm.hpp"
#include "gradus/kernels/gemm/microkernel.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"
#include "gradus/kernels/simd/isa.hpp"

// The one place that decides how a convolution is computed. choose() is a pure function of the sizes, the
// number type, the instruction set and what less precision than that of float is good for. ConvPlan asks it
// once, when conv2d() is called, and carries the answer to the kernels of y, dx and dw.
//
// The choice for y and dx does not depend on the number of images (but for bfloat16, whose products are
// rounded anyway), so neither do the bits of the result for one of them. What depends on the numbers in an
// image is decided within an algorithm: winograd_ranges.hpp.

namespace gradus::kernels {

enum class ConvAlgorithm {
    depthwise,      // each output channel sees one input channel: along the image
    bf16,           // implicit GEMM of numbers that are rounded to bfloat16
    winograd,       // F(4 x 4, 3 x 3) or F(4 x 4, 5 x 5)
    winograd_1d,    // F(4, 5) along rows; y alone
    pointwise,      // 1 x 1: GEMM of images as they lie in memory
    col2im,         // GEMM, whose result is added up where windows overlap; dx alone
    flat,           // lanes are pixels of planes in the cache
    implicit_gemm,  // GEMM that finds patches by offsets (im2col that is never written out)
    argmax_only,    // behind a max-pooling: only through the pixels that won; dx and dw
    definition      // seven loops: number types without vectors, and where there is nothing to add up
};

constexpr const char* name(ConvAlgorithm algorithm) {
    constexpr const char* names[] = {"depthwise", "bf16", "winograd",      "winograd_1d", "pointwise",
                                     "col2im",    "flat", "implicit_gemm", "argmax_only", "definition"};
    return names[static_cast<int>(algorithm)];
}

/// How fast this processor multiplies bfloat16 numbers, if set_float32_matmul_precision() permits these: not
/// at all, faster than an implicit GEMM in float (AVX512-BF16), or faster than Winograd's algorithm, too
/// (AMX).
enum class Bf16Speed { none, above_gemm, above_winograd };

/// Of the result and of both gradients.
struct ConvAlgorithms {
    ConvAlgorithm y, dx, dw;

    /// Whether the kernel of y reads x with the zeros around it; others add these in the cache.
    bool reads_padded() const { return y != ConvAlgorithm::depthwise && y != ConvAlgorithm::flat; }
    bool operator==(const ConvAlgorithms&) const = default;
};

/// "y: winograd, dx: winograd, dw: implicit_gemm".
[[gnu::cold]] inline std::string to_string(const ConvAlgorithms& a) {
    return std::string("y: ") + name(a.y) + ", dx: " + name(a.dx) + ", dw: " + name(a.dw);
}

namespace detail {

template <class T>
inline constexpr bool has_vectors = std::is_same_v<T, float> || std::is_same_v<T, double>;

/// There are few channels to fill the lanes of a vector.
inline bool is_depthwise(const ConvGeometry& s) { return s.in == 1 && s.groups > 1 && s.out <= 4; }

/// With few channels the transforms take longer than the products that they save, and a small result fills
/// too little of its tiles. A single image whose result is one tile takes up to a quarter longer for 5 x 5
/// taps, forward, and a fraction of the time otherwise. In double, 5 x 5 taps would lose too many digits.
template <class T>
bool is_winograd_profitable(const ConvGeometry& s) {
    if (s.stride != Size2(1) || s.dilation != Size2(1)) return false;
    if (std::max(s.in, s.out) > winograd::short_run * run_terms) return false;  // too many runs in a row
    const Index channels = std::min(s.in, s.out);
    if (s.kernel == Size2(3))
        return channels >= (s.result.area() < 64 ? 24 : 16) && std::min(s.result.height, s.result.width) >= 3;
    const Index tiles = ((s.result.height + 3) / 4) * ((s.result.width + 3) / 4);
    return std::is_same_v<T, float> && s.kernel == Size2(5) && channels >= 16 &&
           64 * tiles <= 12 * s.result.area();
}

/// The sums of enough tiles need 32 registers, and too narrow a result leaves tiles mostly empty.
template <class T>
bool is_winograd_1d_profitable(const ConvGeometry& s, simd::Isa isa) {
    return std::is_same_v<T, float> && isa == simd::Isa::avx512 && s.groups == 1 && s.kernel.width == 5 &&
           s.kernel.height >= 3 && s.kernel.height <= 9 && s.stride == Size2(1) && s.dilation == Size2(1) &&
           s.in > 0 && s.in < 16 && s.out >= 8 && s.result.width >= 4 &&
           (s.result.width + 3) / 4 * 16 <= s.result.width * 5;
}

/// PackedPixels must fill the tiles of a product. Only the gradient of the weight may leave out some of them.
inline bool is_pointwise_profitable(const ConvGeometry& s, bool for_weight) {
    return s.kernel == Size2(1) && s.in > 0 && s.out > 0 && s.result.area() >= 64 &&
           (for_weight || (s.stride == Size2(1) && s.padded == s.image));
}

/// Implicit GEMM fills its lanes with input channels, if there are enough of them, and finds few taps in each
/// phase of a stride. Here the more products are added up in registers, the more output channels there are.
template <class T>
bool is_col2im_profitable(const ConvGeometry& s, simd::Isa isa) {
    if (s.batch * s.in * s.out == 0 || s.kernel.area() > run_terms) return false;  // one run per pixel
    const bool few = s.in < tile_sizes<T>(isa).columns && s.out >= 2 * s.in;
    return few || (s.stride != Size2(1) && s.kernel != Size2(1) && s.out >= 16);
}

/// In more terms, pieces of a sum would be added up in pairs.
template <class T>
bool is_flat_profitable(const ConvGeometry& s, simd::Isa isa) {
    const Index lanes = tile_sizes<T>(isa).columns / 2;
    return s.taps() > 0 && s.taps() <= piece_terms && s.out * s.result.area() > 0 &&
           flat_cost(s, lanes) < implicit_gemm_cost(s, lanes);
}

template <class T>
bool is_flat_weight_profitable(const ConvGeometry& s, simd::Isa isa, bool is_padded) {
    const WeightGradientCosts costs(s, tile_sizes<T>(isa).columns / 2, isa == simd::Isa::avx512 ? 6 : 3,
                                    is_padded);
    return costs.flat < costs.implicit_gemm;
}

/// Where Winograd's algorithm and 1 x 1 do not apply. A phase of the stride that no tap reaches is no product.
template <class T>
ConvAlgorithm choose_dx(const ConvGeometry& s, simd::Isa isa) {
    const bool col2im = is_col2im_profitable<T>(s, isa);
    const ConvAlgorithm other = col2im ? ConvAlgorithm::col2im : ConvAlgorithm::implicit_gemm;
    if (s.in * s.image.area() * s.out * s.result.area() == 0 || s.out * s.kernel.area() > piece_terms ||
        has_gaps(s))
        return other;
    const InputGradientCosts costs(s, tile_sizes<T>(isa).columns / 2);
    return costs.flat < (col2im ? costs.col2im : costs.implicit_gemm) ? ConvAlgorithm::flat : other;
}

}  // namespace detail

/// The fastest algorithms as far as measured.
template <class T>
ConvAlgorithms choose(const ConvGeometry& s, simd::Isa isa, Bf16Speed bf16) {
    using A = ConvAlgorithm;
    if (!detail::has_vectors<T>) return {A::definition, A::definition, A::definition};
    const bool nothing_to_add = s.taps() == 0 || s.y_shape().numel() == 0;
    if (detail::is_depthwise(s))
        return {A::depthwise, A::depthwise, nothing_to_add ? A::definition : A::depthwise};
    const bool winograd = detail::is_winograd_profitable<T>(s);
    if (std::is_same_v<T, float> && bf16 != Bf16Speed::none &&
        (bf16 == Bf16Speed::above_winograd || !winograd) &&
        detail::is_profitable_in_bf16(s.out, s.batch * s.result.area(), s.taps()))
        return {A::bf16, A::bf16, A::bf16};
    const bool pointwise = detail::is_pointwise_profitable(s, false);
    // For 5 x 5 taps, the error of Winograd's dw is that of many additions, whatever their number: a direct
    // sum of few terms is better by much.
    const bool winograd_dw =
        winograd && (s.kernel == Size2(3) || s.batch * s.result.area() >= detail::run_terms);
    ConvAlgorithms chosen;
    chosen.y = winograd                                       ? A::winograd
               : detail::is_winograd_1d_profitable<T>(s, isa) ? A::winograd_1d
               : pointwise                                    ? A::pointwise
               : detail::is_flat_profitable<T>(s, isa)        ? A::flat
               : s.taps() > 0                                 ? A::implicit_gemm
                                                              : A::definition;
    chosen.dx = winograd ? A::winograd : pointwise ? A::pointwise : detail::choose_dx<T>(s, isa);
    const bool is_padded = s.padded == s.image || chosen.reads_padded();
    chosen.dw = nothing_to_add                                            ? A::definition
                : winograd_dw                                             ? A::winograd
                : detail::is_pointwise_profitable(s, true)                ? A::pointwise
                : detail::is_flat_weight_profitable<T>(s, isa, is_padded) ? A::flat
                                                                          : A::implicit_gemm;
    return chosen;
}

/// Whether a convolution and the max-pooling of its result, in windows that do not overlap, are computed as
/// one step. Those of 3 x 3 taps are faster in two where Winograd's filtering applies.
template <class T>
bool fuses_with_max_pool(const ConvGeometry& s, const Size2& window) {
    return detail::has_vectors<T> && s.groups == 1 && s.dilation == Size2(1) && s.taps() > 0 &&
           window.area() <= detail::max_window &&
           !(s.kernel == Size2(3) && detail::is_winograd_profitable<T>(s));
}

/// The algorithms of that step. It is computed in float, whatever the precision.
template <class T>
ConvAlgorithms choose_with_max_pool(const ConvGeometry& s, simd::Isa isa) {
    using A = ConvAlgorithm;
    const ConvAlgorithms alone = choose<T>(s, isa, Bf16Speed::none);
    const bool winograd_y = alone.y == A::winograd || alone.y == A::winograd_1d;
    return {winograd_y ? alone.y : A::implicit_gemm, alone.dx == A::winograd ? A::winograd : A::argmax_only,
            alone.dw == A::winograd ? A::winograd : A::argmax_only};
}

inline Bf16Speed speed_of(const detail::Bf16Plan& plan) {
    return !plan                           ? Bf16Speed::none
           : plan.backend->split_is_faster ? Bf16Speed::above_winograd
                                           : Bf16Speed::above_gemm;
}

/// A convolution and how it is computed from now on, gradients included: with the instruction set and the
/// precision of this moment.
template <class T>
struct ConvPlan : ConvGeometry {
    detail::Bf16Plan bf16;
    ConvAlgorithms algorithms;

    explicit ConvPlan(const ConvGeometry& s)
        : ConvGeometry(s),
          bf16(std::is_same_v<T, float> ? detail::bf16_plan() : detail::Bf16Plan{}),
          algorithms(choose<T>(s, simd::isa(), speed_of(bf16))) {}
};

/// The same with max-pooling, for sizes of which fuses_with_max_pool() holds.
template <class T>
struct ConvPoolPlan : ConvPoolGeometry {
    ConvAlgorithms algorithms;

    explicit ConvPoolPlan(const ConvPoolGeometry& s)
        : ConvPoolGeometry(s), algorithms(choose_with_max_pool<T>(s.conv, simd::isa())) {}
};

}  // namespace gradus::kernels
