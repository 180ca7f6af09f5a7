// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "gradus/core/bits.hpp"
#include "gradus/core/memory.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/size2.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/vec.hpp"

// Whether Winograd's filtering is accurate for an image. It rounds relative to the largest number that a tile
// reads, where a direct sum rounds relative to the numbers in the window of that output alone. If these are
// much smaller, the result of the former is noise, and the image takes the direct way.

namespace gradus::kernels::detail::winograd {

/// The size of x as an integer, which orders numbers as |x| does: NaN above infinity above all others.
template <class T>
GRADUS_INLINE simd::detail::IntOf<T> size_bits(T x) {
    using Int = simd::detail::IntOf<T>;
    return gradus::detail::bit_cast<Int>(x) & std::numeric_limits<Int>::max();
}

/// out[i] = the largest size_bits of number i of all planes.
template <class T>
struct LargestOfPlanes {
    using Int = simd::detail::IntOf<T>;

    const T* planes;
    Index plane, channels, count;
    Int* out;

    template <int Bytes>
    GRADUS_INLINE void run() {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T));
        if (count < lanes) {
            if constexpr (Bytes > 16) return run<Bytes / 2>();
            std::fill_n(out, count, Int(0));
            for (Index c = 0; c < channels; ++c)
                for (Index i = 0; i < count; ++i) out[i] = std::max(out[i], size_bits(planes[c * plane + i]));
            return;
        }
        Index i = 0;
        for (; i + 4 * lanes <= count; i += 4 * lanes) block<4, Bytes>(i);
        for (; i < count; i += lanes) block<1, Bytes>(std::min(i, count - lanes));
    }

    /// Numbers from `first` on.
    template <std::size_t Vecs, int Bytes>
    GRADUS_INLINE void block(Index first) const {
        using Vec = simd::VecOf<T, Bytes>;
        using Ints = simd::VecOf<Int, Bytes>;
        Ints largest[Vecs];
        for (std::size_t v = 0; v < Vecs; ++v) largest[v] = Ints(Int(0));
        const T* x = planes + first;
        for (Index c = 0; c < channels; ++c, x += plane)
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vecs; ++v) {
                const Ints size = simd::bits(Vec::load(x + static_cast<Index>(v) * Vec::size)) &
                                  Ints(std::numeric_limits<Int>::max());
                largest[v] = max(largest[v], size);
            }
        for (std::size_t v = 0; v < Vecs; ++v)
            largest[v].store(out + first + static_cast<Index>(v) * Vec::size);
    }
};

/// out[i] = the largest of the numbers x[i + t * step] for t < taps.
template <class Int>
struct LargestOfShifts {
    const Int* x;
    Index step, taps, count;
    Int* out;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Ints = simd::VecOf<Int, Bytes>;
        Index i = 0;
        for (; i + Ints::size <= count; i += Ints::size) {
            Ints largest = Ints::load(x + i);
            for (Index t = 1; t < taps; ++t) largest = max(largest, Ints::load(x + i + t * step));
            largest.store(out + i);
        }
        for (; i < count; ++i) {
            out[i] = x[i];
            for (Index t = 1; t < taps; ++t) out[i] = std::max(out[i], x[i + t * step]);
        }
    }
};

/// The largest of `count` numbers, and the least but for 0.
template <class Int>
struct RangeOf {
    struct Result {
        Int largest, least;
    };

    const Int* x;
    Index count;

    template <int Bytes>
    GRADUS_INLINE Result run() {
        using Ints = simd::VecOf<Int, Bytes>;
        constexpr Int most = std::numeric_limits<Int>::max();
        Ints largest(Int(0)), least(most);
        Index i = 0;
        for (; i + Ints::size <= count; i += Ints::size) {
            const Ints values = Ints::load(x + i);
            largest = max(largest, values);
            least = min(least, select(values == Ints(Int(0)), Ints(most), values));
        }
        Result result{max(largest), min(least)};
        for (; i < count; ++i) {
            result.largest = std::max(result.largest, x[i]);
            if (x[i] != 0) result.least = std::min(result.least, x[i]);
        }
        return result;
    }
};

/// Of each image (of a group), whether it takes the direct way: number image * groups + group.
using Marks = gradus::detail::RecycledVector<unsigned char>;

/// The sizes of the numbers in images: of each pixel, the largest of its channels.
template <class T>
class Ranges {
public:
    using Int = simd::detail::IntOf<T>;

    static constexpr T most_ratio = T(1024);
    /// From here on, transforms might overflow where the result does not.
    static constexpr T most = [] {
        T power = 1;
        for (int i = 0; i < std::numeric_limits<T>::max_exponent / 2; ++i) power *= 2;
        return power;
    }();

    Ranges(Index batch, Index panels, const Size2& plane)
        : batch_(batch),
          panels_(panels),
          plane_(plane),
          memory_(Tensor<Int>::uninitialized({panels, batch, plane.area()})),
          sizes_(memory_.mutable_data()) {}

    /// Rows [first, last) of some planes, as many as a panel has.
    void learn(Index panel, Index image, Index first, Index last, const T* planes, Index channels) {
        if (first >= last) return;
        const Index at = first * plane_.width;
        simd::run(LargestOfPlanes<T>{planes + at, plane_.area(), channels, (last - first) * plane_.width,
                                     sizes_ + (panel * batch_ + image) * plane_.area() + at});
    }

    /// Whether some output of the image, the sum of a window of taps x taps, is much smaller than the numbers
    /// that the tiles around it read: those up to `margin` pixels beyond the windows of its block of 4 x 4.
    /// Around the image are `border` zeros. InputTiles of zeros do not count.
    bool uneven(Index image, Index taps, Index border, Index margin) const {
        const Size2 size{plane_.height + 2 * border, plane_.width + 2 * border};
        if (plane_.area() == 0 || size.height < taps || size.width < taps) return false;
        Tensor<Int> memory = Tensor<Int>::uninitialized({3, size.area()});
        Int *const pixels = memory.mutable_data(), *const rows = pixels + size.area();
        Int* const windows = rows + size.area();
        collect(image, border, size, rows, pixels);
        const Index count = size.area() - (taps - 1) * (size.width + 1);  // up to the last window
        simd::run(LargestOfShifts<Int>{pixels, 1, taps, size.area() - taps + 1, rows});
        simd::run(LargestOfShifts<Int>{rows, size.width, taps, count, windows});
        // Some of these windows begin near the end of a row and go on in the next: nothing to worry about if
        // they are no smaller than others.
        const auto range = simd::run(RangeOf<Int>{windows, count});
        const Int largest = simd::run(RangeOf<Int>{pixels, size.area()}).largest;
        if (!(value(largest) < most)) return true;
        if (range.least >= least_beside(largest)) return false;
        for (Index i = 0; i + taps <= size.height; i += 4)
            for (Index j = 0; j + taps <= size.width; j += 4)
                if (uneven_block(pixels, windows, size, i, j, taps, margin)) return true;
        return false;
    }

    /// Sets marks[image * step] for all images that are uneven.
    void mark(Index taps, Index border, Index margin, unsigned char* marks, Index step) const {
        const Index block = std::max<Index>(1, parallel_grain / std::max<Index>(1, 8 * plane_.area()));
        parallel_for(batch_, block, [&](Index begin, Index end) {
            for (Index image = begin; image < end; ++image)
                if (uneven(image, taps, border, margin)) marks[image * step] = 1;
        });
    }

private:
    static T value(Int bits) { return gradus::detail::bit_cast<T>(bits); }
    static Int least_beside(Int largest) { return size_bits(value(largest) / most_ratio); }

    /// The sizes of all channels, within the border.
    void collect(Index image, Index border, const Size2& size, Int* scratch, Int* pixels) const {
        Int* const to = border == 0 ? pixels : scratch;
        simd::run(LargestOfShifts<Int>{sizes_ + image * plane_.area(), batch_ * plane_.area(), panels_,
                                       plane_.area(), to});
        if (border == 0) return;
        std::fill_n(pixels, size.area(), Int(0));
        for (Index i = 0; i < plane_.height; ++i)
            std::copy_n(scratch + i * plane_.width, plane_.width,
                        pixels + (i + border) * size.width + border);
    }

    /// The same for the block of 4 x 4 outputs that begins at (i, j).
    static bool uneven_block(const Int* pixels, const Int* windows, const Size2& size, Index i, Index j,
                             Index taps, Index margin) {
        const Index height = size.height - taps + 1, width = size.width - taps + 1;
        const Index bottom = std::min(i + 4, height), right = std::min(j + 4, width);
        Int largest = 0, least = std::numeric_limits<Int>::max();
        for (Index y = std::max<Index>(0, i - margin); y < std::min(bottom + taps - 1 + margin, size.height);
             ++y)
            for (Index x = std::max<Index>(0, j - margin);
                 x < std::min(right + taps - 1 + margin, size.width); ++x)
                largest = std::max(largest, pixels[y * size.width + x]);
        for (Index y = i; y < bottom; ++y)
            for (Index x = j; x < right; ++x)
                if (const Int window = windows[y * size.width + x]; window != 0)
                    least = std::min(least, window);
        return least < least_beside(largest);
    }

    Index batch_, panels_;
    Size2 plane_;
    Tensor<Int> memory_;
    Int* sizes_;
};

}  // namespace gradus::kernels::detail::winograd
