// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/conv/implicit_gemm.hpp"

// The epilogue of a convolution with max-pooling: max-pools channel-packed accumulators (a panel of channels
// side by side, which are lanes) and stores NCHW, with relu where that is fused, too. Besides the largest
// element of a window it stores its argmax, the position in the window, in a byte: `clipped` if relu cut it
// off. Windows do not overlap and have at most max_window elements. NaN wins, as in max_pool2d.

namespace gradus::kernels::detail {

inline constexpr Index outputs_per_block = 16;

/// Up to outputs_per_block outputs, pooled pixels, of a panel of channels, on their way to planes.
template <class T>
struct PooledOutputs {
    Index outputs, columns;
    bool relu;
    T* y;  // (output, channel) at y[out_offsets[output] + channel * plane]
    std::uint8_t* argmax;
    const Index* out_offsets;
    Index plane;

    /// The largest pixel of a window so far and its position; NaN shows in `probe`, the sum of the pixels.
    template <class Vec>
    GRADUS_INLINE static void compare(const Vec& pixel, const Vec& number, Vec& best, Vec& element,
                                      Vec& probe) {
        element = select(pixel > best, number, element);
        best = max(best, pixel);
        probe += pixel;
    }

    /// The same where NaN may be: it wins, the last one if there are several. Pixel i is at origin +
    /// offsets[i].
    template <class Vec>
    GRADUS_INLINE static void compare_with_nan(const T* origin, const Index* offsets, Index window, Vec& best,
                                               Vec& element) {
        best = Vec::load(origin + offsets[0]);
        element = Vec(T(0));
        for (Index i = 1; i < window; ++i) {
            const Vec pixel = Vec::load(origin + offsets[i]);
            const auto better = (pixel > best) | (pixel != pixel);
            best = select(better, pixel, best);
            element = select(better, Vec(static_cast<T>(i)), element);
        }
    }

    template <class Vec>
    GRADUS_INLINE void keep(Vec best, Vec element, T* value, T* index) const {
        if (relu) {
            element = select(best <= Vec(T(0)), Vec(T(clipped)), element);  // NaN passes the relu
            best = max(best, Vec(T(0)));
        }
        best.store(value);
        element.store(index);
    }

    /// `values` and `elements` are [outputs_per_block, tile_columns].
    template <int Bytes>
    GRADUS_INLINE void write(const T* values, const T* elements) const {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T)), width = 2 * lanes;
        for (Index v = 0; v < std::min(width, columns); v += lanes) {
            for (Index output = 0; output < outputs; output += lanes)
                write_values<Bytes>(values + output * width + v, output, v);
            write_argmax<Bytes>(elements + v, v);
        }
    }

    template <int Bytes>
    GRADUS_INLINE void write_values(const T* from, Index output, Index channel) const {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T)), width = 2 * lanes;
        using Vec = simd::Vec<T, static_cast<int>(lanes)>;
        const Index count = std::min(lanes, outputs - output);
        Vec block[static_cast<std::size_t>(lanes)];
#pragma GCC unroll 16
        for (Index i = 0; i < lanes; ++i) block[i] = Vec::load(from + (i < count ? i : 0) * width);
        simd::transpose(block);
        T scratch[static_cast<std::size_t>(lanes * lanes)];
#pragma GCC unroll 16
        for (Index j = 0; j < lanes; ++j) block[j].store(scratch + j * lanes);
        const Index* const at = out_offsets + output;
        const bool consecutive = count == lanes && at[lanes - 1] == at[0] + lanes - 1;
        for (Index j = 0; j < std::min(lanes, columns - channel); ++j) {
            T* const to = y + (channel + j) * plane;
            if (consecutive)
                __builtin_memcpy(to + at[0], scratch + j * lanes, sizeof(T[lanes]));
            else
                for (Index i = 0; i < count; ++i) to[at[i]] = scratch[j * lanes + i];
        }
    }

    /// As many bytes as an integer of T's size holds go into one lane: that spares converting and transposing
    /// single ones.
    template <int Bytes>
    GRADUS_INLINE void write_argmax(const T* elements, Index channel) const {
        constexpr Index size = static_cast<Index>(sizeof(T)), lanes = Bytes / size, width = 2 * lanes;
        constexpr Index words = outputs_per_block / size;
        using Vec = simd::Vec<T, static_cast<int>(lanes)>;
        using Int = simd::detail::IntOf<T>;
        using Ints = simd::Vec<Int, static_cast<int>(lanes)>;
        constexpr T whole = T(1) / std::numeric_limits<T>::epsilon();  // index + whole ends in its bits
        Int scratch[static_cast<std::size_t>(words * lanes)];
        for (Index word = 0; word < words; ++word) {
            Ints packed(Int(0));
#pragma GCC unroll 8
            for (Index i = size - 1; i >= 0; --i) {
                const Vec index = Vec::load(elements + (word * size + i) * width);
                packed = (packed << 8) | (simd::bits(index + Vec(whole)) & Ints(Int(255)));
            }
            packed.store(scratch + word * lanes);
        }
        for (Index j = 0; j < std::min(lanes, columns - channel); ++j) {
            std::uint8_t* const to = argmax + (channel + j) * plane;
            if (std::endian::native == std::endian::little && outputs == outputs_per_block &&
                out_offsets[outputs_per_block - 1] == out_offsets[0] + outputs_per_block - 1)
                for (Index word = 0; word < words; ++word)
                    __builtin_memcpy(to + out_offsets[0] + word * size, scratch + word * lanes + j,
                                     sizeof(Int));
            else
                for (Index i = 0; i < outputs; ++i)
                    to[out_offsets[i]] =
                        static_cast<std::uint8_t>(scratch[i / size * lanes + j] >> (8 * (i % size)));
        }
    }
};

/// Whether the sum of all lanes is neither NaN nor infinite.
template <class T, int N>
GRADUS_INLINE bool is_finite(const simd::Vec<T, N>& x) {
    const T total = sum(x);
    return total - total == T(0);
}

/// Pools what a convolution has written, pixel by pixel.
template <class T>
struct MaxPoolEpilogue {
    PooledOutputs<T> to;
    const T* rows;  // pixel i of the window of an output at rows[window_origins[output] + window_elements[i]]
    const Index* window_origins;
    const Index* window_elements;
    Index window;

    template <int Bytes>
    GRADUS_INLINE void run() {
        to.columns <= tile_columns<T, Bytes> / 2 ? block<1, Bytes>() : block<2, Bytes>();
    }

    template <std::size_t Vectors, int Bytes>
    GRADUS_INLINE void block() const {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index lanes = Vec::size, width = 2 * lanes;
        T values[static_cast<std::size_t>(outputs_per_block * width)];
        T elements[static_cast<std::size_t>(outputs_per_block * width)];
        Vec probe(T(0));
        for (Index output = 0; output < to.outputs; ++output) {
            const T* const origin = rows + window_origins[output];
            Vec best[Vectors], element[Vectors], seen[Vectors], number(T(0));
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v) {
                best[v] = Vec::load(origin + window_elements[0] + static_cast<Index>(v) * lanes);
                element[v] = Vec(T(0));
                seen[v] = best[v];
            }
            for (Index i = 1; i < window; ++i) {
                number += Vec(T(1));
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Vectors; ++v)
                    to.compare(Vec::load(origin + window_elements[i] + static_cast<Index>(v) * lanes), number,
                               best[v], element[v], seen[v]);
            }
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v) {
                const Index at = output * width + static_cast<Index>(v) * lanes;
                to.keep(best[v], element[v], values + at, elements + at);
                probe += seen[v];
            }
        }
        if (!is_finite(probe)) [[unlikely]]
            with_nan<Bytes>(values, elements);
        to.template write<Bytes>(values, elements);
    }

    template <int Bytes>
    GRADUS_INLINE void with_nan(T* values, T* elements) const {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index lanes = Vec::size, width = 2 * lanes;
        for (Index output = 0; output < to.outputs; ++output)
            for (Index v = 0; v < std::min(width, to.columns); v += lanes) {
                Vec best, element;
                to.compare_with_nan(rows + window_origins[output] + v, window_elements, window, best,
                                    element);
                to.keep(best, element, values + output * width + v, elements + output * width + v);
            }
    }
};

/// Max-pools rows of an image that lie channel-packed in memory: all windows from row `first` of the pooled
/// image on, `count` outputs. `rows` begins with the first of these windows; pixels are a panel apart, rows
/// `row`. y and argmax are the planes of the panel's `columns` channels in this image.
template <class T>
void max_pool_rows(const ConvPoolGeometry& s, Index first, Index count, const T* rows, Index row,
                   Index columns, T* y, std::uint8_t* argmax) {
    const Size2 pooled = s.pooled(), window = s.window;
    const Index panel = tile_sizes<T>().columns;
    Index out_offsets[outputs_per_block], window_origins[outputs_per_block], window_elements[max_window];
    OffsetGenerator{window.height, window.width, 0, 0, row, panel}.run(0, window.area(), window_elements);
    const OffsetGenerator origin{pooled.height,       pooled.width,        0, 0,
                                 window.height * row, window.width * panel};
    for (Index done = 0; done < count; done += outputs_per_block) {
        const Index some = std::min(outputs_per_block, count - done);
        origin.run(done, some, window_origins);
        for (Index i = 0; i < some; ++i) out_offsets[i] = first * pooled.width + done + i;
        simd::run(MaxPoolEpilogue<T>{{some, columns, s.relu, y, argmax, out_offsets, pooled.area()},
                                     rows,
                                     window_origins,
                                     window_elements,
                                     window.area()});
    }
}

/// Convolves whole windows and pools them before they leave the registers, which must hold one. False, and
/// nothing written, if there is NaN or infinity.
template <class T, std::size_t Window>
struct PooledTile {
    ImplicitTile<T> product;  // rows: [outputs, window], followed by those of another tile, whichever
    PooledOutputs<T> to;

    template <int Bytes>
    GRADUS_INLINE bool run() {
        if constexpr (Window <= static_cast<std::size_t>(tile_rows<Bytes>))
            return to.columns <= tile_columns<T, Bytes> / 2 ? tiles<1, Bytes>() : tiles<2, Bytes>();
        else
            return false;
    }

    template <std::size_t Vectors, int Bytes>
    GRADUS_INLINE bool tiles() {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index lanes = Vec::size, width = 2 * lanes;
        constexpr std::size_t outputs = static_cast<std::size_t>(tile_rows<Bytes>) / Window;
        constexpr std::size_t room = (static_cast<std::size_t>(outputs_per_block) + outputs) * width;
        T values[room], elements[room];
        Vec probe(T(0));
        for (Index output = 0; output < to.outputs; output += static_cast<Index>(outputs)) {
            Vec sums[outputs * Window][Vectors];
            product.compute(sums);
            product.row_offsets += outputs * Window;
#pragma GCC unroll 14
            for (std::size_t i = 0; i < outputs; ++i)
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Vectors; ++v) {
                    const Index at = (output + static_cast<Index>(i)) * width + static_cast<Index>(v) * lanes;
                    Vec best = sums[i * Window][v], element(T(0));
                    probe += best;
#pragma GCC unroll 9
                    for (std::size_t k = 1; k < Window; ++k)
                        to.compare(sums[i * Window + k][v], Vec(static_cast<T>(k)), best, element, probe);
                    to.keep(best, element, values + at, elements + at);
                }
        }
        if (!is_finite(probe)) return false;
        to.template write<Bytes>(values, elements);
        return true;
    }
};

}  // namespace gradus::kernels::detail
