// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/parallel.hpp"
#include "gradus/kernels/norm/statistics.hpp"
#include "gradus/kernels/simd/bit_mask.hpp"

// How a tensor [batch, channels, ...] is blocked for work per channel: blocks whose partial sums are put together
// in order, and runs of rows that are worked on one by one. Both depend on the shape alone, so results do not
// depend on the number of threads.

namespace gradus::kernels {

/// Some rows of n elements, of which one channel or one strip of columns is added up; or, side by side, such
/// rows of a few channels.
struct ChannelBlock {
    Index at;  // where the first row begins; rows are plan.width() elements apart
    Index rows, n;
    Index channels;   // n elements apart
    Index parameter;  // the first channel, or the first column
    Index partial;    // where its partial results begin
    Index mask;       // where the bits of the first row begin; rows are plan.mask_width() words apart
};

/// Some rows of n elements that are worked on one by one: of one image, each of the next channel, or of a
/// strip of columns.
struct ChannelRun {
    Index at, stride;
    Index rows, n;
    Index parameter;  // of the first row
    Index mask, mask_stride;
};

/// How a tensor [batch, channels, ...] is cut: into slices, which hold whole channels, and these into blocks.
/// A slice is one channel and a row is a plane of it. But small planes are not worth loops of their own: they
/// become columns of the matrix [batch, channels · plane], and a slice is a strip of columns.
struct ChannelPlan {
    static constexpr Index rows_per_block = 64;  // of columns
    static constexpr Index enough_tasks = 8;     // to share them out among threads

    Index batch, channels, plane;
    bool columns;
    Index channels_per_slice, slices;
    Index chunk, chunks;  // of a plane, and how many of them
    Index group, blocks;  // planes of a block, or rows; blocks per slice

    explicit ChannelPlan(const Shape& shape)
        : batch(shape[0]), channels(shape[1]), plane(shape.span(2, shape.rank())), columns(plane < 16) {
        // A strip begins with a word of the mask.
        // Below half a block, adding up across lanes would take as long as adding up.
        const bool small = 2 * count() <= detail::norm_block;
        channels_per_slice = columns ? std::max<Index>(16, 256 / std::max<Index>(plane, 1) / 16 * 16)
                             : small ? 16
                                     : 1;
        slices = (channels + channels_per_slice - 1) / channels_per_slice;
        chunk = std::clamp<Index>(plane, 1, detail::norm_block);
        chunks = columns ? 1 : (plane + chunk - 1) / chunk;
        group = columns ? rows_per_block : std::max<Index>(1, detail::norm_block / chunk);
        blocks = chunks > 1 ? batch * chunks : (batch + group - 1) / group;
    }

    Index width() const { return channels * plane; }
    Index rows() const { return columns ? batch : batch * channels; }
    Index row_size() const { return columns ? width() : plane; }
    Index count() const { return batch * plane; }  // values per channel
    Index parameters() const { return columns ? width() : channels; }
    Index partials() const { return blocks * parameters(); }

    /// Words of the mask for what is `width` elements, and for all.
    Index mask_width() const {
        return columns ? simd::mask_words(width()) : channels * simd::mask_words(plane);
    }
    Index mask_size() const { return batch * mask_width() + 1; }

    ChannelBlock block(Index slice, Index j) const {
        if (columns) {
            const Index column = slice * channels_per_slice * plane, row = j * group;
            return {row * width() + column,
                    std::min(group, batch - row),
                    std::min(channels_per_slice * plane, width() - column),
                    1,
                    column,
                    j * width() + column,
                    row * mask_width() + column / simd::mask_bits};
        }
        const Index sample = chunks > 1 ? j / chunks : j * group,
                    offset = chunks > 1 ? j % chunks * chunk : 0, channel = slice * channels_per_slice;
        return {sample * width() + channel * plane + offset,
                chunks > 1 ? 1 : std::min(group, batch - sample),
                std::min(chunk, plane - offset),
                std::min(channels_per_slice, channels - channel),
                channel,
                j * channels + channel,
                sample * mask_width() + channel * simd::mask_words(plane) + offset / simd::mask_bits};
    }

    /// Elements of one block, of one column each.
    Index block_size(Index j) const {
        if (chunks > 1) return std::min(chunk, plane - j % chunks * chunk);
        return std::min(group, batch - j * group) * (columns ? 1 : plane);
    }

    /// Calls visit(index, block) for each partial result of a channel, in an order that depends on nothing.
    template <class Visit>
    void for_partials(Index channel, const Visit& visit) const {
        for (Index j = 0; j < blocks; ++j)
            if (columns)
                for (Index s = 0; s < plane; ++s) visit(j * width() + channel * plane + s, j);
            else
                visit(j * channels + channel, j);
    }

    /// Writes a number of a channel to its parameter or, where planes are columns, to each of its columns.
    template <class T>
    void broadcast_to_columns(Index channel, const T& value, T* parameters) const {
        if (columns)
            std::fill_n(parameters + channel * plane, plane, value);
        else
            parameters[channel] = value;
    }

    /// Calls first(block) for the blocks of some channels, then combine(begin, end) for these channels.
    template <class First, class Combine>
    void in_one_pass(const First& first, const Combine& combine) const {
        for_blocks(first);
        const Index partials_of_slice = blocks * (columns ? channels_per_slice * plane : 1);
        parallel_for(slices, grain(4 * partials_of_slice), [&](Index begin, Index end) {
            combine(begin * channels_per_slice, end_of_slice(end - 1));
        });
    }

    /// The same, then second(run). Where there is work enough, a thread does one after the other for a few
    /// channels, and may find in its cache what the second pass reads.
    template <class First, class Combine, class Second>
    void in_two_passes(const First& first, const Combine& combine, const Second& second) const {
        const Index enough = grain(count() * channels_per_slice);
        // Shorter pieces of an image would keep memory from being read ahead.
        const Index each =
            columns ? enough : std::max(enough, detail::norm_block / (plane * channels_per_slice));
        if (slices < enough_tasks * each) {
            in_one_pass(first, combine);
            return for_runs(second);
        }
        parallel_for(slices, each, [&](Index begin, Index end) {
            for (Index j = 0; j < blocks; ++j)
                for (Index s = begin; s < end; ++s) first(block(s, j));
            combine(begin * channels_per_slice, end_of_slice(end - 1));
            for_runs_of(begin, end, second);
        });
    }

    /// In the order of memory.
    template <class F>
    void for_blocks(const F& f) const {
        parallel_for(slices * blocks,
                     grain(std::min(group, batch) * channels_per_slice * (columns ? plane : chunk)),
                     [&](Index begin, Index end) {
                         for (Index i = begin; i < end; ++i) {
                             const Index next = i / chunks;
                             f(block(next % slices, next / slices * chunks + i % chunks));
                         }
                     });
    }

    /// f(run) for runs that are the whole tensor.
    template <class F>
    void for_runs(const F& f) const {
        if (columns) return for_blocks([&](const ChannelBlock& b) { f(run(b)); });
        parallel_for(batch * channels, grain(plane), [&](Index begin, Index end) {
            for (Index rows; begin < end; begin += rows) {
                rows = std::min(end - begin, channels - begin % channels);
                f(run(begin, rows));
            }
        });
    }

private:
    /// How many pieces of work, each for `size` elements, are worth a thread.
    static Index grain(Index size) { return std::max<Index>(1, parallel_grain / std::max<Index>(1, size)); }

    ChannelRun run(const ChannelBlock& b) const {
        return {b.at, width(), b.rows, b.n, b.parameter, b.mask, mask_width()};
    }
    /// `rows` planes, the first being the one with that number.
    ChannelRun run(Index number, Index rows) const {
        const Index words = simd::mask_words(plane);
        return {number * plane, plane, rows, plane, number % channels, number * words, words};
    }

    Index end_of_slice(Index slice) const { return std::min((slice + 1) * channels_per_slice, channels); }

    /// The last images first: they were read last.
    template <class F>
    void for_runs_of(Index begin, Index end, const F& f) const {
        if (columns)
            for (Index j = 0; j < blocks; ++j)
                for (Index s = begin; s < end; ++s) f(run(block(s, j)));
        else
            for (Index i = batch, first = begin * channels_per_slice; i-- > 0;)
                f(run(i * channels + first, end_of_slice(end - 1) - first));
    }
};

}  // namespace gradus::kernels
