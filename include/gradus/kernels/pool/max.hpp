// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "gradus/kernels/pool/geometry.hpp"
#include "gradus/kernels/pool/small_windows.hpp"
#include "gradus/kernels/simd/stream_store.hpp"

namespace gradus::kernels {

/// The cell that won each window, row by row in the kernel: bytes as long as they suffice.
struct PoolPositions {
    Tensor<std::uint8_t> narrow;
    Tensor<std::int32_t> wide;
};

template <class T>
struct MaxPooled {
    Tensor<T> y;
    PoolPositions positions;
};

namespace detail {

/// What max pooling reads and writes, from some plane on.
template <class T>
struct MaxPool {
    const PoolPlan* plan;
    const T* x;
    T* y;
    std::uint8_t* narrow;  // one of the two
    std::int32_t* wide;

    MaxPool at(Index plane) const {
        const Index to = plane * plan->output();
        return {plan, x + plane * plan->input(), y + to, narrow ? narrow + to : nullptr,
                wide ? wide + to : nullptr};
    }
};

/// The largest of each window of a plane, number by number. Any NaN wins, and of equal numbers the first.
template <class T>
void max_windows(const MaxPool<T>& pool) {
    const PoolAxis &rows = pool.plan->rows, &columns = pool.plan->columns;
    for (Index row = 0; row < rows.results(); ++row)
        for (Index column = 0; column < columns.results(); ++column) {
            const PoolWindow &r = rows.windows.data()[row], &c = columns.windows.data()[column];
            const T* const from = pool.x + r.start * columns.size + c.start;
            T best = extreme<T>(-1);
            Index position = r.first * columns.kernel + c.first;
            for (Index i = r.first; i < r.last; ++i)
                for (Index j = c.first; j < c.last; ++j) {
                    const T& cell = from[i * rows.dilation * columns.size + j * columns.dilation];
                    if (!(cell > best || cell != cell)) continue;
                    best = cell;
                    position = i * columns.kernel + j;
                }
            const Index at = row * columns.results() + column;
            pool.y[at] = best;
            if (pool.narrow)
                pool.narrow[at] = static_cast<std::uint8_t>(position);
            else
                pool.wide[at] = static_cast<std::int32_t>(position);
        }
}

/// The largest of each window of a band, and where it was, with one plane per lane. Positions are gathered in
/// words: as many bytes as one holds, or (wide) one position. False if there was a NaN, which does not win
/// here; maybe also where there is none but two infinities.
template <class T>
struct MaxPoolKernel {
    template <int Bytes>
    GRADUS_INLINE static bool run(const PoolPlan* plan, const PoolBand* band, const T* cells, T* results,
                                  T* words, bool wide) {
        using Int = simd::detail::IntOf<T>;
        constexpr int lanes = std::min(static_cast<int>(pool_group), Bytes / static_cast<int>(sizeof(T)));
        using Vec = simd::Vec<T, lanes>;
        using Positions = simd::Vec<Int, lanes>;
        const Index per_word = wide ? 1 : static_cast<Index>(sizeof(T));
        const PoolAxis &rows = plan->rows, &columns = plan->columns;
        Positions nan(Int(0));
        for (Index lane = 0; lane < pool_group; lane += lanes) {
            T *to = results + lane, *words_to = words + lane;
            Positions word(Int(0));
            Index in_word = 0;
            const auto store_word = [&]() GRADUS_INLINE_LAMBDA {
                simd::from_bits<T>(word).store(words_to);
                words_to += pool_group;
                word = Positions(Int(0));
                in_word = 0;
            };
            for (Index row = band->begin; row < band->end; ++row)
                for (const PoolWindow *c = columns.windows.data(), *last = c + columns.results(); c < last;
                     ++c) {
                    const PoolWindow& r = rows.windows.data()[row];
                    Vec largest(extreme<T>(-1)), total(T(0));
                    Positions position(static_cast<Int>(r.first * columns.kernel + c->first));
                    const auto take = [&](const Vec& cell, Index number) GRADUS_INLINE_LAMBDA {
                        const Positions at(static_cast<Int>(number));
                        position = Positions::wrap(cell.v > largest.v ? at.v : position.v);
                        largest = max(largest, cell);
                        total += cell;
                    };
                    for_each_cell<Vec>(*plan, *band, r, *c, cells + lane, take);
                    largest.store(to);
                    to += pool_group;
                    nan = nan | is_nan(total).bits();
                    word = word | (position << static_cast<int>(8 * in_word));
                    if (++in_word == per_word) store_word();
                }
            if (in_word > 0) store_word();
        }
        return sum(nan) == 0;
    }
};

/// Positions of a band to where they belong, plane by plane.
template <class T>
void store_positions(const MaxPool<T>& pool, const PoolBand& band, Index planes, const T* words) {
    const Index count = band.results(*pool.plan), per_word = pool.wide ? 1 : static_cast<Index>(sizeof(T));
    const Index first = band.begin * pool.plan->columns.results();
    constexpr Index most = 64;  // words of a plane
    T some[std::size_t{pool_group * most}];
    for (Index done = 0; done < count; done += most * per_word) {
        const Index n = std::min(most * per_word, count - done);
        transpose_tile(planes, (n + per_word - 1) / per_word, words + done / per_word * pool_group,
                       pool_group, some, most);
        for (Index plane = 0; plane < planes; ++plane) {
            const Index to = plane * pool.plan->output() + first + done;
            if (pool.narrow) {
                std::memcpy(pool.narrow + to, some + plane * most, static_cast<std::size_t>(n));
                continue;
            }
            simd::detail::IntOf<T> positions[std::size_t{most}];
            std::memcpy(positions, some + plane * most, sizeof positions);
            for (Index i = 0; i < n; ++i) pool.wide[to + i] = static_cast<std::int32_t>(positions[i]);
        }
    }
}

/// Planes [begin, end) of so many.
template <class T>
void max_pool_planes(const MaxPool<T>& all, Index count, Index begin, Index end) {
    const PoolInner inner(*all.plan, count * all.plan->input() * static_cast<Index>(sizeof(T)));
    if (const auto rows = all.narrow ? choose_pool_rows<LargestCells, T>(inner) : nullptr) {
        for (; begin < end; ++begin) {
            const MaxPool<T> pool = all.at(begin);
            if (!rows(&inner, pool.x, {pool.y, pool.narrow})) max_windows(pool);
        }
        return;
    }
    if constexpr (std::is_floating_point_v<T>) {
        PoolMemory<T> memory(*all.plan);
        for (; end - begin > 3; begin += std::min(pool_group, end - begin)) {  // fewer are not worth it
            const MaxPool<T> pool = all.at(begin);
            const Index planes = std::min(pool_group, end - begin);
            bool clean = true;
            pool_planes(*pool.plan, planes, pool.x, pool.y, memory,
                        [&](const PoolBand& band, const T* cells, T* results, T* words) {
                            clean &= simd::run<MaxPoolKernel<T>>(pool.plan, &band, cells, results, words,
                                                                 pool.wide != nullptr);
                            store_positions(pool, band, planes, words);
                        });
            for (Index i = 0; i < (clean ? 0 : planes); ++i) max_windows(pool.at(i));
        }
    }
    for (; begin < end; ++begin) max_windows(all.at(begin));
}

/// dx of planes with windows of 2 × 2 side by side, none of them cut off: all of it is written once, in
/// order.
template <class T>
struct MaxPoolBackTwo {
    static constexpr Index fewest = 8;

    template <int Bytes>
    GRADUS_INLINE static void run(const PoolPlan* plan, Index planes, const T* dy,
                                  const std::uint8_t* positions, T* dx, bool stream) {
        stream ? all_rows<Bytes, true>(*plan, planes, dy, positions, dx)
               : all_rows<Bytes, false>(*plan, planes, dy, positions, dx);
    }

private:
    template <int Bytes, bool Stream>
    GRADUS_INLINE static void all_rows(const PoolPlan& plan, Index planes, const T* dy,
                                       const std::uint8_t* positions, T* dx) {
        const Index width = plan.columns.size, results = plan.columns.results();
        const Index rows = plan.rows.results(), height = plan.rows.size;
        for (; planes > 0; --planes) {
            for (Index r = 0; r < rows; ++r, dy += results, positions += results, dx += 2 * width)
                row<Bytes, Stream>(results, dy, positions, width, dx);
            for (const T* const end = dx + (height - 2 * rows) * width; dx < end; ++dx) *dx = T(0);
        }
        if (Stream) simd::store_fence();
    }

    template <int Bytes, bool Stream>
    GRADUS_INLINE static void row(Index n, const T* dy, const std::uint8_t* positions, Index width, T* dx) {
        using Vec = simd::VecOf<T, std::min(Bytes, 32)>;
        for (Index begin = 0; begin < n; begin += Vec::size) {
            const Index i = std::min(begin, n - Vec::size);  // the last pack takes some again
            const Vec g = Vec::load(dy + i);
            const auto position = simd::convert<typename Vec::Mask::Lanes::Value>(
                simd::Vec<std::uint8_t, Vec::size>::load(positions + i));
            store_pairs<Stream>(g, position, 0, dx + 2 * i);
            store_pairs<Stream>(g, position, 2, dx + width + 2 * i);
        }
        for (Index i = 2 * n; i < width; ++i) dx[i] = dx[width + i] = T(0);
    }

    /// Two neighboring cells of each window, `first` and the next.
    template <bool Stream, class P, class Positions>
    GRADUS_INLINE static void store_pairs(const P& dy, const Positions& position, int first, T* to) {
        const auto where = [&](int cell) GRADUS_INLINE_LAMBDA {
            const Positions wanted(static_cast<typename Positions::Value>(cell));
            return P::wrap(position.v == wanted.v ? dy.v : P(T(0)).v);
        };
        const P a = where(first), b = where(first + 1);
        simd::store(simd::zip_lower(a, b), to, Stream);
        simd::store(simd::zip_upper(a, b), to + P::size, Stream);
    }
};

/// dx[cell that won] += dy, for planes [begin, end). Memory is zeroed a little ahead of the windows, while it
/// is on its way through the cache anyway.
template <bool Overlap, class T, class Position>
void max_pool_backward(const PoolPlan& plan, const T* dy, const Position* positions, T* dx, Index begin,
                       Index end) {
    const PoolAxis &rows = plan.rows, &columns = plan.columns;
    const Index width = columns.size, step = 2048, reach = (rows.kernel - 1) * rows.dilation + 1;
    const auto offset = [&](Index cell) {
        return cell / columns.kernel * rows.dilation * width + cell % columns.kernel * columns.dilation;
    };
    Index offsets[256];
    if constexpr (sizeof(Position) == 1)
        for (Index cell = 0; cell < rows.kernel * columns.kernel; ++cell) offsets[cell] = offset(cell);
    Index zeroed = begin * plan.input();
    const auto zero_to = [&](Index need) {
        if (need <= zeroed) return;
        const Index to = std::max(need, std::min(zeroed + step, end * plan.input()));
        std::fill(dx + zeroed, dx + to, T(0));
        zeroed = to;
    };
    for (Index plane = begin; plane < end; ++plane)
        for (const PoolWindow& r : rows.windows) {
            zero_to((plane * rows.size + std::min(rows.size, r.start + reach)) * width);
            Index to = (plane * rows.size + r.start) * width + columns.windows[0].start;
            for (Index column = columns.results(); column > 0; --column, to += columns.stride) {
                const auto cell = static_cast<Index>(*positions++);
                T& target = dx[to + (sizeof(Position) == 1 ? offsets[cell] : offset(cell))];
                target = Overlap ? target + *dy : *dy;
                ++dy;
            }
        }
    zero_to(end * plan.input());
}

}  // namespace detail

/// The largest number of each window of x [N, C, height, width], and where it was.
template <class T>
MaxPooled<T> max_pool2d(const Tensor<T>& x, const PoolPlan& plan) {
    const Shape shape = {x.size(0), x.size(1), plan.rows.results(), plan.columns.results()};
    MaxPooled<T> result{Tensor<T>::uninitialized(shape), {}};
    detail::MaxPool<T> pool{&plan, x.data(), result.y.mutable_data(), nullptr, nullptr};
    if (plan.rows.kernel * plan.columns.kernel > 255)
        pool.wide = (result.positions.wide = Tensor<std::int32_t>::uninitialized(shape)).mutable_data();
    else
        pool.narrow = (result.positions.narrow = Tensor<std::uint8_t>::uninitialized(shape)).mutable_data();
    const Index planes = x.size(0) * x.size(1);
    parallel_for(planes, detail::pool_block(planes, plan.input()),
                 [&](Index begin, Index end) { detail::max_pool_planes(pool, planes, begin, end); });
    return result;
}

/// dx of max_pool2d().
template <class T>
Tensor<T> max_pool2d_backward(const Tensor<T>& dy, const PoolPlan& plan, const PoolPositions& positions) {
    const PoolAxis &rows = plan.rows, &columns = plan.columns;
    const Index planes = dy.size(0) * dy.size(1);
    Tensor<T> dx = Tensor<T>::uninitialized({dy.size(0), dy.size(1), rows.size, columns.size});
    T* const out = dx.mutable_data();
    const auto overlap = [](const PoolAxis& axis) {
        return (axis.kernel - 1) * axis.dilation >= axis.stride;
    };
    const auto is_two = [](const PoolAxis& axis) {
        return axis.kernel == 2 && axis.stride == 2 && axis.dilation == 1 && axis.windows[0].start == 0 &&
               2 * axis.results() <= axis.size;
    };
    const bool wide = rows.kernel * columns.kernel > 255, overlaps = overlap(rows) || overlap(columns);
    parallel_for(planes, detail::pool_block(planes, plan.input()), [&](Index begin, Index end) {
        const T* const in = dy.data() + begin * plan.output();
        const std::uint8_t* const narrow = positions.narrow.data() + (wide ? 0 : begin * plan.output());
        if constexpr (std::is_floating_point_v<T>)
            if (is_two(rows) && is_two(columns) && columns.results() >= detail::MaxPoolBackTwo<T>::fewest)
                return simd::run<detail::MaxPoolBackTwo<T>>(
                    &plan, end - begin, in, narrow, out + begin * plan.input(),
                    simd::should_stream<T>(planes * rows.size, columns.size));
        if (wide)
            detail::max_pool_backward<true>(plan, in, positions.wide.data() + begin * plan.output(), out,
                                            begin, end);
        else if (overlaps)
            detail::max_pool_backward<true>(plan, in, narrow, out, begin, end);
        else
            detail::max_pool_backward<false>(plan, in, narrow, out, begin, end);
    });
    return dx;
}

/// dx of the largest number y of each plane of x: to the first that equals it.
template <class T>
Tensor<T> global_max_pool2d_backward(const Tensor<T>& dy, const Tensor<T>& x, const Tensor<T>& y) {
    const Index size = x.shape().span(2, 4);
    Tensor<T> dx = Tensor<T>::uninitialized(x.shape());
    T* const out = dx.mutable_data();
    parallel_for(dy.numel(), detail::pool_block(dy.numel(), size), [&](Index begin, Index end) {
        for (Index plane = begin; plane < end; ++plane) {
            const T largest = y.data()[plane];
            const T* const from = x.data() + plane * size;
            const bool is_nan = largest != largest;
            const T* const at = std::find_if(from, from + size, [&](const T& value) {
                return is_nan ? value != value : value == largest;
            });
            std::fill_n(out + plane * size, size, T(0));
            out[plane * size + (at - from)] = dy.data()[plane];
        }
    });
    return dx;
}

}  // namespace gradus::kernels
