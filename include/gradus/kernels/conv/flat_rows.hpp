// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/tensor.hpp"
#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/elementwise/map.hpp"
#include "gradus/kernels/gemm/offsets.hpp"
#include "gradus/kernels/layout/strided_copy.hpp"

// Rows of NCHW planes in the cache, within their zeros and in the phases of the stride: of a stride of 2, even
// and odd rows and columns apart, so that what neighboring windows read is consecutive. Convolutions whose
// lanes are pixels read them (flat.hpp, depthwise.hpp); others take only the loops over rows.

namespace gradus::kernels::detail {

inline constexpr Index flat_slack = 16;  // numbers behind the last position that a vector reads or writes

/// to[i * to_row + j] = from[i * from_row + j] for j < n. What lies `ahead` of that is fetched meanwhile: the
/// next plane, which is not in the cache, nor foreseen by the processor, since it is on another page.
template <class T>
struct CopyRows {
    const T* from;
    Index from_row, rows, n;
    T* to;
    Index to_row, ahead = 0;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        if (n < Vec::size) {
            if constexpr (Bytes > 16) return run<Bytes / 2>();
            for (Index i = 0; i < rows; ++i)
                for (Index j = 0; j < n; ++j) to[i * to_row + j] = from[i * from_row + j];
            return;
        }
        for (Index i = 0; i < rows; ++i, from += from_row, to += to_row)
            for (Index j = 0; j < n; j += Vec::size) {
                const Index at = std::min(j, n - Vec::size);  // the last one overlaps the one before it
                __builtin_prefetch(from + at + ahead, 0, 2);
                Vec::load(from + at).store(to + at);
            }
    }
};

/// out[i * row + j] = x[i * step + 2 * j]. Nothing is read behind the last of these numbers.
template <class T>
struct EveryOther {
    const T* x;
    Index step, rows, n;
    T* out;
    Index row;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        if (n < Vec::size) {
            if constexpr (Bytes > 16) return run<Bytes / 2>();
            for (Index i = 0; i < rows; ++i)
                for (Index j = 0; j < n; ++j) out[i * row + j] = x[i * step + 2 * j];
            return;
        }
        for (Index i = 0; i < rows; ++i, x += step, out += row)
            for (Index j = 0; j < n; j += Vec::size) {
                const Index at = std::min(j, n - Vec::size);  // the last ones overlap
                simd::load_every_other<Vec>(x + 2 * at).store(out + at);
            }
    }
};

/// even[i * row + j] = x[i * step + 2 * j] and odd[i * row + j] = x[i * step + 2 * j + 1], of n numbers in a
/// row.
template <class T>
struct EvenAndOdd {
    const T* x;
    Index step, rows, n;
    T *even, *odd;
    Index row, ahead = 0;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        if (n < 2 * Vec::size) {
            if constexpr (Bytes > 16) return run<Bytes / 2>();
            for (Index i = 0; i < rows; ++i)
                for (Index j = 0; j < n; ++j) (j % 2 == 0 ? even : odd)[i * row + j / 2] = x[i * step + j];
            return;
        }
        for (Index i = 0; i < rows; ++i, x += step, even += row, odd += row) {
            for (Index j = 0; j + 1 < n; j += 2 * Vec::size) {
                const Index at = std::min(j, (n - 2 * Vec::size) / 2 * 2);  // the last ones overlap
                __builtin_prefetch(x + at + ahead, 0, 2);
                __builtin_prefetch(x + at + Vec::size + ahead, 0, 2);
                const Vec a = Vec::load(x + at), b = Vec::load(x + at + Vec::size);
                unzip_even(a, b).store(even + at / 2);
                unzip_odd(a, b).store(odd + at / 2);
            }
            if (n % 2 != 0) even[n / 2] = x[n - 1];
        }
    }
};

/// Two phases side by side: out[i] = a[i / 2], or b[i / 2] for odd i.
template <class T>
struct Interleave {
    const T *a, *b;
    Index n;
    T* out;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        Index i = 0;
        for (; i + 2 * Vec::size <= n; i += 2 * Vec::size) {
            const Vec even = Vec::load(a + i / 2), odd = Vec::load(b + i / 2);
            zip_lower(even, odd).store(out + i);
            zip_upper(even, odd).store(out + i + Vec::size);
        }
        for (; i < n; ++i) out[i] = i % 2 == 0 ? a[i / 2] : b[i / 2];
    }
};

/// Some rows of planes within zeros: [channel, phase of the stride, row, column].
struct FlatRows {
    Size2 image, before, stride;
    Size2 phases;                // that windows reach
    Index columns;               // of a phase
    Index rows = 0, images = 1;  // of a block; images lie one after the other
    Index ahead = 0;             // what lies so far behind is fetched meanwhile
    bool are_whole = false;      // planes, whose zeros are there, too

    Index phase() const { return images * rows * columns; }
    Index plane() const { return phases.area() * phase(); }

    /// Position (y, x) of the padded plane, seen from the first of these rows.
    Index offset(Index y, Index x) const {
        return (y % stride.height * phases.width + x % stride.width) * phase() + y / stride.height * columns +
               x / stride.width;
    }

    /// From the padded row `first` on, a multiple of the stride, up to row `end` of the image; zeros follow. The
    /// zeros beside the image are there.
    template <class T>
    void copy(const T* planes, Index channels, Index first, T* out, Index end) const {
        for (Index c = 0; c < channels; ++c, planes += image.area())
            for (Index y = 0; y < phases.height; ++y)
                if (stride.width == 2 && phases.width == 2) {
                    copy_both(planes, first + y - before.height, end, out);
                    out += 2 * phase();
                } else
                    for (Index x = 0; x < phases.width; ++x, out += phase())
                        copy_phase(planes, first + y - before.height, end, x - before.width, out);
    }

private:
    /// Steps up to n, if there are any. To divide takes longer than to copy a small row.
    static Index steps(Index n, Index step) {
        n = std::max<Index>(0, n);
        return step == 1 ? n : step == 2 ? (n + 1) / 2 : ceil_div(n, step);
    }

    /// Some rows of a phase: what of them lies in the image, and zeros above and below.
    struct Part {
        Index above, count;
    };
    template <class T>
    Part inside(Index y, Index end, T* out) const {
        const Index above = std::min(steps(-y, stride.height), rows);
        y += above * stride.height;
        const Part part{above, std::min(steps(end - y, stride.height), rows - above)};
        if (are_whole) return part;
        std::fill_n(out, above * columns, T(0));
        std::fill_n(out + (above + part.count) * columns, (rows - above - part.count) * columns, T(0));
        return part;
    }

    /// The pixels (y, x), (y, x + stride), ... of a plane; they may lie outside.
    template <class T>
    void copy_phase(const T* plane, Index y, Index end, Index x, T* out) const {
        const Part part = inside(y, end, out);
        const Index left = steps(-x, stride.width);
        x += left * stride.width;
        const Index n = steps(image.width - x, stride.width);
        const Index step = stride.height * image.width, count = part.count;
        const T* const from = plane + (y + part.above * stride.height) * image.width + x;
        T* const to = out + part.above * columns + left;
        if (stride.width == 1)
            simd::run(CopyRows<T>{from, step, count, n, to, columns, ahead});
        else if (stride.width == 2)
            simd::run(EveryOther<T>{from, step, count, n, to, columns});
        else
            for (Index i = 0; i < count; ++i)
                copy_row(n, from + i * step, stride.width, to + i * columns, Index{1});
    }

    /// Both phases of the columns, for a stride of 2.
    template <class T>
    void copy_both(const T* plane, Index y, Index end, T* out) const {
        const Part part = inside(y, end, out);
        inside(y, end, out + phase());
        const auto to = [&](Index column) {
            return out + column % 2 * phase() + part.above * columns + column / 2;
        };
        simd::run(EvenAndOdd<T>{plane + (y + part.above * stride.height) * image.width,
                                stride.height * image.width, part.count, image.width, to(before.width),
                                to(before.width + 1), columns, ahead});
    }
};

/// Where the taps of the first window lie in such rows of x.
inline Tensor<Index> flat_offsets(const ConvGeometry& s, const FlatRows& rows) {
    Tensor<Index> offsets = Tensor<Index>::uninitialized({s.taps()});
    Index* to = offsets.mutable_data();
    for (Index c = 0; c < s.in; ++c)
        for (Index ky = 0; ky < s.kernel.height; ++ky)
            for (Index kx = 0; kx < s.kernel.width; ++kx)
                *to++ = c * rows.plane() + rows.offset(ky * s.dilation.height, kx * s.dilation.width);
    return offsets;
}

}  // namespace gradus::kernels::detail
