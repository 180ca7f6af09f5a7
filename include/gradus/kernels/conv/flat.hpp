// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/memory.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/conv/flat_rows.hpp"
#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/conv/stride_phases.hpp"
#include "gradus/kernels/gemm/microkernel.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// Convolutions whose lanes are pixels. Some rows of all planes that a group reads are copied to the cache,
// within their zeros and in the phases of the stride; there a plane counts as one long row, and
//
//     out[channel][q] = bias[channel] + sum over k of weight[channel][k] · in[q + offsets[k]]
//
// is a product whose second operand is read in place: consecutive positions q, whatever the stride. It needs
// no whole vector of channels, and its results are rows of NCHW. What it wastes are the positions in the last
// columns of a row, which begin no window. The same sum makes the gradient of the input, phase by phase.

namespace gradus::kernels::detail {

/// Channels of a tile; it is three vectors wide, so that twelve or twenty-four of them wait for their sums.
template <int Bytes>
inline constexpr Index flat_rows = Bytes == 64 ? 8 : 4;
inline Index flat_rows_of(simd::Isa isa = simd::isa()) {
    return isa == simd::Isa::avx512 ? flat_rows<64> : flat_rows<32>;
}

/// out(channel, q) = bias[channel], or what is there, + that sum over one run of k, for up to flat_rows
/// channels.
template <class T>
struct FlatTiles {
    const T* in;
    const Index* offsets;
    Index k;
    const T* panel;  // (k, channel) at panel[k * flat_rows + channel]
    const T* bias;   // flat_rows numbers; null: add
    Index channels, n;
    T* out;
    Index row;  // distance of channels in `out`

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        if constexpr (flat_rows < Bytes >> 4)
            if (channels <= 4) return positions<4, flat_rows<Bytes>, Vec>();
        positions<std::size_t{flat_rows<Bytes>}, flat_rows<Bytes>, Vec>();
    }

private:
    template <std::size_t Rows, Index Step, class Vec>
    GRADUS_INLINE void positions() const {
        Index q = 0;
        for (; q + 2 * Vec::size < n; q += 3 * Vec::size) tile<Rows, 3, Step, Vec>(q);
        for (; q < n; q += Vec::size) tile<Rows, 1, Step, Vec>(q);
    }

    template <std::size_t Rows, std::size_t Vectors, Index Step, class Vec>
    GRADUS_INLINE void tile(Index q) const {
        Vec sums[Rows][Vectors];
#pragma GCC unroll 8
        for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 3
            for (std::size_t v = 0; v < Vectors; ++v) sums[i][v] = Vec(bias ? bias[i] : T(0));
        const T* const from = in + q;
        const T* weight = panel;
        for (Index p = 0; p < k; ++p, weight += Step) {
            Vec pixels[Vectors];
#pragma GCC unroll 3
            for (std::size_t v = 0; v < Vectors; ++v)
                pixels[v] = Vec::load(from + offsets[p] + static_cast<Index>(v) * Vec::size);
#pragma GCC unroll 8
            for (std::size_t i = 0; i < Rows; ++i) {
                const Vec w(weight[i]);
#pragma GCC unroll 3
                for (std::size_t v = 0; v < Vectors; ++v) sums[i][v] = fma(w, pixels[v], sums[i][v]);
            }
        }
#pragma GCC unroll 8
        for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 3
            for (std::size_t v = 0; v < Vectors; ++v) {
                T* const to = out + static_cast<Index>(i) * row + q + static_cast<Index>(v) * Vec::size;
                if (!bias) sums[i][v] = Vec::load(to) + sums[i][v];
                sums[i][v].store(to);
            }
    }
};

/// The results first, first + step, ... of an image, whose sums have the same terms: all of y, or a phase of
/// dx.
template <class T>
struct FlatProduct {
    Size2 first, count;
    Tensor<Index> offsets;  // of the terms
    Tensor<T> panels;       // [groups, panels of channels, terms, flat_rows]
};

/// A convolution as such products of the same rows.
template <class T>
struct Flat {
    static constexpr Index cached = 48 * 1024;  // numbers that a task copies to the second-level cache
    static constexpr Index least_tasks = 16;

    FlatRows source;
    Index batch, groups, in, out;  // channels of one group
    Size2 result, step;
    Index rows, panels;                                       // channels of a tile, and tiles
    Index band = 0;                                           // rows of a product that a task computes
    gradus::detail::RecycledVector<FlatProduct<T>> products;  // by first row and column

    Flat(const FlatRows& rows_of_source, const ConvGeometry& s, Index in_channels, Index out_channels,
         Size2 result_size, Size2 step_of_results)
        : source(rows_of_source),
          batch(s.batch),
          groups(s.groups),
          in(in_channels),
          out(out_channels),
          result(result_size),
          step(step_of_results),
          rows(flat_rows_of()),
          panels(ceil_div(out, rows)) {}

    /// Windows reach over `height` rows of a phase.
    void cut_into_bands(Index height, Index reach) {
        const Index numbers = std::max<Index>(1, in * source.columns * source.phases.area());
        const Index fitting = std::max<Index>(std::min(height, reach + 1), cached / numbers - reach);
        const Index bands =
            std::max(ceil_div(height, fitting),
                     std::min(height, ceil_div(least_tasks, std::max<Index>(1, batch * groups))));
        band = ceil_div(height, bands);
        source.rows = band + reach;
    }

    /// weight(group, channel, term) at weight[group * of_group + channel * of_channel + terms[term]], in panels
    /// of flat_rows channels, the last one filled up with zeros.
    Tensor<T> pack(const T* weight, Index of_group, Index of_channel, const Tensor<Index>& terms) const {
        const Index count = terms.numel(), size = count * rows;
        const Index* const at = terms.data();
        Tensor<T> packed = Tensor<T>::uninitialized({groups * panels * size});
        T* const to = packed.mutable_data();
        parallel_for(groups * panels, std::max<Index>(1, parallel_grain / size), [&](Index begin, Index end) {
            for (Index p = begin; p < end; ++p)
                for (Index i = 0; i < rows; ++i) {
                    const Index channel = p % panels * rows + i;
                    const T* const from = weight + p / panels * of_group + channel * of_channel;
                    for (Index k = 0; k < count; ++k)
                        to[p * size + k * rows + i] = channel < out ? from[at[k]] : T(0);
                }
        });
        return packed;
    }

    /// y = the sums + bias, which may be null.
    void run(const T* x, const T* bias, T* y) const {
        Tensor<T> memory = zeros<T>({groups * panels * rows});
        for (Index g = 0; bias && g < groups; ++g)
            std::copy_n(bias + g * out, out, memory.mutable_data() + g * panels * rows);
        const T* const biases = memory.data();
        Index terms = 0, height = 0;
        for (const FlatProduct<T>& product : products) {
            terms += product.offsets.numel();
            height = std::max(height, product.count.height);
        }
        const Index bands = ceil_div(height, band);
        const Index work = std::max<Index>(1, band * source.columns * out * terms / 8);
        parallel_for(batch * groups * bands, std::max<Index>(1, parallel_grain / work),
                     [&](Index begin, Index end) {
                         const Index size = in * source.plane() + flat_slack;
                         Tensor<T> scratch = zeros<T>({size + step.width * rows * sums_row()});
                         T *const rows_of_x = scratch.mutable_data(), *const sums = rows_of_x + size;
                         for (Index task = begin; task < end; ++task) {
                             const Index image = task / bands, top = task % bands * band;
                             source.copy(x + image * in * source.image.area(), in, top * source.stride.height,
                                         rows_of_x, source.image.height);
                             for (Index p = 0; p < panels; ++p)
                                 run_panel(rows_of_x, image % groups * panels + p, top, biases, sums,
                                           y + (image * out + p * rows) * result.area(),
                                           std::min(rows, out - p * rows));
                         }
                     });
    }

private:
    Index sums_row() const { return ceil_div(band * source.columns + flat_slack, line<T>) * line<T>; }

    /// Rows `top` ... of some channels: products that share rows of y are written together.
    void run_panel(const T* x, Index panel, Index top, const T* biases, T* sums, T* y, Index channels) const {
        const Index row = sums_row();
        Index across = 0;
        for (std::size_t i = 0; i < products.size(); ++i) {
            const FlatProduct<T>& product = products[i];
            const Index height = std::min(band, product.count.height - top);
            const Index terms = product.offsets.numel(), run = run_length(terms);
            for (Index k = 0; k < terms && height > 0; k += run)
                simd::run(FlatTiles<T>{x, product.offsets.data() + k, std::min(run, terms - k),
                                       product.panels.data() + (panel * terms + k) * rows,
                                       k == 0 ? biases + panel * rows : nullptr, channels,
                                       (height - 1) * source.columns + product.count.width,
                                       sums + across * rows * row, row});
            ++across;
            if (i + 1 < products.size() && products[i + 1].first.height == product.first.height) continue;
            for (Index c = 0; c < channels && height > 0; ++c)
                write(sums + c * row, height, across,
                      y + c * result.area() + (product.first.height + top * step.height) * result.width);
            across = 0;
        }
    }

    /// Rows of one channel, from `across` products, which hold the columns of a step.
    void write(const T* sums, Index height, Index across, T* y) const {
        const Index next = rows * sums_row(), to_row = step.height * result.width;
        if (step.width == 1)
            return simd::run(CopyRows<T>{sums, source.columns, height, result.width, y, to_row});
        for (Index i = 0; i < height; ++i, sums += source.columns, y += to_row)
            if (step.width == 2 && across == 2)
                simd::run(Interleave<T>{sums, sums + next, result.width, y});
            else
                for (Index j = 0; j < across; ++j)
                    copy_row(ceil_div(result.width - j, step.width), sums + j * next, Index{1}, y + j,
                             step.width);
    }
};

/// y = conv2d(x) + bias, which may be null; x is not padded.
template <class T>
void flat_forward(const ConvGeometry& s, const T* x, const T* weight, const T* bias, T* y) {
    const Size2 reach{(s.kernel.height - 1) * s.dilation.height, (s.kernel.width - 1) * s.dilation.width};
    const Size2 phases{std::min(s.stride.height, reach.height + 1),
                       std::min(s.stride.width, reach.width + 1)};
    const FlatRows source{s.image, s.before, s.stride, phases, ceil_div(s.padded.width, s.stride.width)};
    Flat<T> flat(source, s, s.in, s.out, s.result, {1, 1});
    flat.cut_into_bands(s.result.height, reach.height / s.stride.height);
    const Index taps = s.taps();
    const Tensor<Index> terms = offset_table(linear_offsets(taps, 1), taps);
    flat.products.push_back(
        {{0, 0}, s.result, flat_offsets(s, flat.source), flat.pack(weight, s.out * taps, taps, terms)});
    flat.run(x, bias, y);
}

/// dx, if every phase of the stride has taps.
template <class T>
void flat_backward_input(const ConvGeometry& s, const T* dy, const T* weight, T* dx) {
    const GradientBorder rows(vertical(s)), columns(horizontal(s));
    const FlatRows source{s.result,
                          {rows.before, columns.before},
                          {1, 1},
                          {1, 1},
                          columns.before + s.result.width + columns.after};
    Flat<T> flat(source, s, s.out, s.in, s.image, s.stride);
    const auto phase_of = [](Index first, const ConvAxis& axis) {
        return AxisPhase((first + axis.before) % axis.stride, axis);
    };
    const Size2 phases{std::min(s.stride.height, s.image.height), std::min(s.stride.width, s.image.width)};
    Index height = 0, reach = 0;
    for (Index i = 0; i < phases.height; ++i) {
        const AxisPhase y = phase_of(i, vertical(s));
        height = std::max(height, y.count);
        reach = std::max(reach, rows.before + y.shift);
    }
    flat.cut_into_bands(height, reach);
    for (Index i = 0; i < phases.height; ++i)
        for (Index j = 0; j < phases.width; ++j) {
            const AxisPhase y = phase_of(i, vertical(s)), x = phase_of(j, horizontal(s));
            const Index count = y.taps * x.taps;
            const OffsetGenerator terms{y.taps,
                                        x.taps,
                                        (rows.before + y.shift) * source.columns + columns.before + x.shift,
                                        flat.source.plane(),
                                        y.shift_step * source.columns,
                                        x.shift_step};
            const OffsetGenerator weights{y.taps,
                                          x.taps,
                                          y.tap * s.kernel.width + x.tap,
                                          s.in * s.kernel.area(),
                                          y.tap_step * s.kernel.width,
                                          x.tap_step};
            flat.products.push_back(
                {{i, j},
                 {y.count, x.count},
                 offset_table(terms, s.out * count),
                 flat.pack(weight, s.out * s.taps(), s.kernel.area(), offset_table(weights, s.out * count))});
        }
    flat.run(dy, nullptr, dx);
}

}  // namespace gradus::kernels::detail
