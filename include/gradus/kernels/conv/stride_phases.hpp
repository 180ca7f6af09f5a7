// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/layout/permute.hpp"

// The stride phases of an input gradient (a polyphase decomposition): input positions whose distance is a
// multiple of the stride are reached by the same taps. They make up a phase, and the gradient of each is a
// dense product of its own. dy is NCHW and gets a border of zeros, which all phases share. The products are in
// implicit_gemm_backward.hpp and bf16.hpp; large windows go by col2im.hpp instead (see choose.hpp).

namespace gradus::kernels::detail {

/// A convolution along one axis.
struct ConvAxis {
    Index image, kernel, stride, dilation, before, result;
};

inline ConvAxis vertical(const ConvGeometry& s) {
    return {s.image.height,    s.kernel.height, s.stride.height,
            s.dilation.height, s.before.height, s.result.height};
}
inline ConvAxis horizontal(const ConvGeometry& s) {
    return {s.image.width, s.kernel.width, s.stride.width, s.dilation.width, s.before.width, s.result.width};
}

/// Input positions first, first + stride, ... and the taps that reach them, tap, tap + tap_step, ...:
/// position number t by the output position t + shift, t + shift + shift_step, ...
struct AxisPhase {
    Index first, count;
    Index tap = 0, taps = 0, tap_step = 0;
    Index shift = 0, shift_step = 0;

    AxisPhase(Index phase, const ConvAxis& axis) {
        first = ((phase - axis.before) % axis.stride + axis.stride) % axis.stride;
        count = first < axis.image ? (axis.image - first + axis.stride - 1) / axis.stride : 0;
        for (Index k = 0; k < axis.kernel; ++k) {
            const Index from = phase - k * axis.dilation;
            if (from % axis.stride != 0) continue;
            const Index at = (first + axis.before) / axis.stride + from / axis.stride;
            if (taps == 0) {
                tap = k;
                shift = at;
            } else if (taps == 1) {
                tap_step = k - tap;
                shift_step = at - shift;
            }
            ++taps;
        }
    }

    Index last_shift() const { return shift + (taps - 1) * shift_step; }  // the smallest
};

/// Zeros that all phases of an axis find around the output gradient.
struct GradientBorder {
    Index before = 0, after = 0;
    bool gaps = false;  // whether there are input positions that no tap reaches

    explicit GradientBorder(const ConvAxis& axis) {
        for (Index phase = 0; phase < axis.stride; ++phase) {
            const AxisPhase p(phase, axis);
            if (p.count == 0) continue;
            gaps |= p.taps == 0;
            if (p.taps == 0) continue;
            before = std::max(before, -p.last_shift());
            after = std::max(after, p.count + p.shift - axis.result);
        }
    }
};

/// Whether there are pixels that no window sees.
inline bool has_gaps(const ConvGeometry& s) {
    return GradientBorder(vertical(s)).gaps || GradientBorder(horizontal(s)).gaps;
}

/// The output gradient within that border, and where the products of its phases find their numbers.
template <class T>
struct StridePhases {
    const ConvGeometry& s;
    GradientBorder rows, columns;
    Size2 size;
    Tensor<T> padded;

    StridePhases(const ConvGeometry& sizes, const Tensor<T>& dy)
        : s(sizes),
          rows(vertical(s)),
          columns(horizontal(s)),
          size{rows.before + s.result.height + rows.after, columns.before + s.result.width + columns.after},
          padded(dy) {
        const Index before[] = {0, 0, rows.before, columns.before};
        if (size != s.result)
            padded = pad<T>(dy, {s.batch, s.groups * s.out, size.height, size.width}, before, T(0));
    }

    /// Zeros in the input gradient if no phase writes some of it.
    void fill_gaps(T* dx) const {
        if (rows.gaps || columns.gaps) std::fill_n(dx, s.batch * s.groups * s.in * s.image.area(), T(0));
    }

    /// Calls visit(y, x) for every phase that has pixels and taps.
    template <class Visit>
    void for_each(const Visit& visit) const {
        for (Index py = 0; py < s.stride.height; ++py)
            for (Index px = 0; px < s.stride.width; ++px) {
                const AxisPhase y(py, vertical(s)), x(px, horizontal(s));
                if (y.count * x.count * y.taps * x.taps > 0) visit(y, x);
            }
    }

    /// The pixels of a phase: where a product reads in `padded`, before the offset of a tap.
    OffsetGenerator row_offsets(Index group, const AxisPhase& y, const AxisPhase& x) const {
        const Index plane = size.area();
        return {y.count, x.count, group * s.out * plane, s.groups * s.out * plane, size.width, 1};
    }
    /// The offsets of (output channel, tap) in `padded`.
    OffsetGenerator k_offsets(const AxisPhase& y, const AxisPhase& x) const {
        return {y.taps,
                x.taps,
                (rows.before + y.shift) * size.width + columns.before + x.shift,
                size.area(),
                y.shift_step * size.width,
                x.shift_step};
    }
    /// The offsets of (output channel, tap) in the weight of one input channel.
    OffsetGenerator weight_offsets(const AxisPhase& y, const AxisPhase& x) const {
        return {y.taps,
                x.taps,
                y.tap * s.kernel.width + x.tap,
                s.in * s.kernel.area(),
                y.tap_step * s.kernel.width,
                x.tap_step};
    }
    /// The pixels of a phase in the input gradient.
    OffsetGenerator out_offsets(Index group, const AxisPhase& y, const AxisPhase& x) const {
        const Index image = s.image.area();
        return {y.count,
                x.count,
                group * s.in * image + y.first * s.image.width + x.first,
                s.groups * s.in * image,
                s.stride.height * s.image.width,
                s.stride.width};
    }
};

}  // namespace gradus::kernels::detail
