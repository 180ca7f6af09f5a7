// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "gradus/kernels/pool/plane_per_lane.hpp"
#include "gradus/kernels/pool/small_windows.hpp"
#include "gradus/kernels/simd/stream_store.hpp"

// Max-pooling of planes, forward and backward. The forward pass keeps the argmax of each window, so the backward
// pass need not read x. Chooses: usual windows of wide planes in lanes of neighboring results
// (small_windows.hpp), else one plane per lane (plane_per_lane.hpp), else, and wherever there is a NaN, number by
// number. Any NaN is the largest, and of equal numbers the first.

namespace gradus::kernels {

/// The index of the largest element of each window, row by row in the kernel: bytes as long as they suffice.
struct PoolArgmax {
    Tensor<std::uint8_t> narrow;
    Tensor<std::int32_t> wide;
};

template <class T>
struct MaxPooled {
    Tensor<T> y;
    PoolArgmax argmax;
};

namespace detail {

/// What max pooling reads and writes, from some plane on.
template <class T>
struct MaxPool {
    const PoolPlan* plan;
    const T* x;
    T* y;
    std::uint8_t* narrow;  // one of the two, or neither if nobody asks where
    std::int32_t* wide;

    MaxPool at(Index plane) const {
        const Index to = plane * plan->output();
        return {plan, x + plane * plan->input(), y + to, narrow ? narrow + to : nullptr,
                wide ? wide + to : nullptr};
    }
};

/// The largest of each window of a plane, number by number. Any NaN wins, and of equal numbers the first.
template <class T>
void max_pool_plane(const MaxPool<T>& pool) {
    const PoolAxis &rows = pool.plan->rows, &columns = pool.plan->columns;
    for (Index row = 0; row < rows.results(); ++row)
        for (Index column = 0; column < columns.results(); ++column) {
            const PoolWindow &r = rows.windows.data()[row], &c = columns.windows.data()[column];
            const T* const from = pool.x + r.start * columns.size + c.start;
            T largest = extreme<T>(-1);
            Index argmax = r.first * columns.kernel + c.first;
            for (Index i = r.first; i < r.last; ++i)
                for (Index j = c.first; j < c.last; ++j) {
                    const T& element = from[i * rows.dilation * columns.size + j * columns.dilation];
                    if (!(element > largest || element != element)) continue;
                    largest = element;
                    argmax = i * columns.kernel + j;
                }
            const Index at = row * columns.results() + column;
            pool.y[at] = largest;
            if (pool.narrow)
                pool.narrow[at] = static_cast<std::uint8_t>(argmax);
            else if (pool.wide)
                pool.wide[at] = static_cast<std::int32_t>(argmax);
        }
}

/// The largest of each window of a band, and where it was, with one plane per lane. Indices are gathered in
/// words: as many bytes as one holds, or (wide) one index. False if there was a NaN, which does not win
/// here; maybe also where there is none but two infinities.
template <class T>
struct MaxPoolInLanes {
    const PoolPlan* plan;
    const PoolBand* band;
    const T* elements;
    T *results, *words;
    bool where, wide;  // where: whether words are asked for

    template <int Bytes>
    GRADUS_INLINE bool run() const {
        return where ? all_lanes<Bytes, true>() : all_lanes<Bytes, false>();
    }

    template <int Bytes, bool Where>
    GRADUS_INLINE bool all_lanes() const {
        using Int = simd::detail::IntOf<T>;
        constexpr int lanes = std::min(static_cast<int>(lane_planes), Bytes / static_cast<int>(sizeof(T)));
        constexpr int vectors = std::min(2, static_cast<int>(lane_planes) / lanes);  // as registers allow
        using Vec = simd::Vec<T, lanes>;
        using Ints = simd::Vec<Int, lanes>;
        const Index per_word = wide ? 1 : static_cast<Index>(sizeof(T));
        const PoolAxis &rows = plan->rows, &columns = plan->columns;
        Ints nan(Int(0));
        for (Index lane = 0; lane < lane_planes; lane += vectors * lanes) {
            T *to = results + lane, *words_to = words + lane;
            Ints word[std::size_t{vectors}];
            Index in_word = 0;
            for (Index row = band->begin; row < band->end; ++row)
                for (const PoolWindow *c = columns.windows.data(), *last = c + columns.results(); c < last;
                     ++c) {
                    const PoolWindow& r = rows.windows.data()[row];
                    Vec largest[std::size_t{vectors}], total[std::size_t{vectors}];
                    Ints argmax[std::size_t{vectors}];
                    for (int v = 0; v < vectors; ++v) {
                        largest[v] = Vec(extreme<T>(-1));
                        total[v] = Vec(T(0));
                        if constexpr (Where)
                            argmax[v] = Ints(static_cast<Int>(r.first * columns.kernel + c->first));
                    }
                    for_each_element(
                        *plan, *band, r, *c, elements + lane,
                        [&](const T* from, Index index) GRADUS_INLINE_LAMBDA {
                            const Ints at(static_cast<Int>(index));
#pragma GCC unroll 2
                            for (int v = 0; v < vectors; ++v) {
                                const Vec element = Vec::load(from + v * lanes);
                                if constexpr (Where)
                                    argmax[v] = Ints::wrap(element.v > largest[v].v ? at.v : argmax[v].v);
                                largest[v] = max(largest[v], element);
                                total[v] += element;
                            }
                        });
                    const bool begins = in_word == 0, ends = ++in_word == per_word;
                    for (int v = 0; v < vectors; ++v) {
                        largest[v].store(to + v * lanes);
                        nan = nan | is_nan(total[v]).bits();
                        if constexpr (Where) {
                            const Ints shifted = argmax[v] << static_cast<int>(8 * (in_word - 1));
                            word[v] = begins ? shifted : word[v] | shifted;
                            simd::from_bits<T>(word[v]).store(words_to +
                                                              v * lanes);  // whole when the last one is in
                        }
                    }
                    to += lane_planes;
                    if (!ends) continue;
                    words_to += lane_planes;
                    in_word = 0;
                }
        }
        return sum(nan) == 0;
    }
};

/// The argmax of a band from lanes to planes.
template <class T>
void store_argmax(const MaxPool<T>& pool, const PoolBand& band, Index planes, const T* words) {
    const Index count = band.results(*pool.plan), per_word = pool.wide ? 1 : static_cast<Index>(sizeof(T));
    const Index first = band.begin * pool.plan->columns.results();
    constexpr Index most = 64;  // words of a plane
    T packed[std::size_t{lane_planes * most}];
    for (Index done = 0; done < count; done += most * per_word) {
        const Index n = std::min(most * per_word, count - done);
        transpose_tile(planes, (n + per_word - 1) / per_word, words + done / per_word * lane_planes,
                       lane_planes, packed, most);
        for (Index plane = 0; plane < planes; ++plane) {
            const Index to = plane * pool.plan->output() + first + done;
            if (pool.narrow) {
                std::uint8_t bytes[sizeof(T)];
                const T* word = packed + plane * most;
                std::uint8_t* out = pool.narrow + to;
                Index left = n;
                for (; left >= per_word; left -= per_word, out += per_word)
                    std::memcpy(out, word++, sizeof(T));
                if (left == 0) continue;
                std::memcpy(bytes, word, sizeof(T));
                for (Index i = 0; i < left; ++i) out[i] = bytes[i];
                continue;
            }
            simd::detail::IntOf<T> argmax[std::size_t{most}];
            std::memcpy(argmax, packed + plane * most, sizeof argmax);
            for (Index i = 0; i < n; ++i) pool.wide[to + i] = static_cast<std::int32_t>(argmax[i]);
        }
    }
}

/// Planes [begin, end) of so many.
template <class T>
void max_pool_planes(const MaxPool<T>& all, Index count, Index begin, Index end) {
    const UnclippedColumns unclipped(*all.plan, count * all.plan->input() * static_cast<Index>(sizeof(T)));
    const bool asked = all.narrow || all.wide;
    if (const auto rows = all.wide     ? nullptr
                          : all.narrow ? choose_small_windows<WindowMax, T>(unclipped)
                                       : choose_small_windows<WindowLargest, T>(unclipped)) {
        for (; begin < end; ++begin) {
            const MaxPool<T> pool = all.at(begin);
            if (!rows(&unclipped, pool.x, {pool.y, pool.narrow})) max_pool_plane(pool);
        }
        return;
    }
    if constexpr (std::is_floating_point_v<T>) {
        PlaneLanesScratch<T> memory(*all.plan);
        for (; end - begin > 3; begin += std::min(lane_planes, end - begin)) {  // fewer are not worth it
            const MaxPool<T> pool = all.at(begin);
            const Index planes = std::min(lane_planes, end - begin);
            bool clean = true;
            pool_in_lanes(*pool.plan, planes, pool.x, pool.y, memory,
                          [&](const PoolBand& band, const T* elements, T* results, T* words) {
                              clean &= simd::run(MaxPoolInLanes<T>{.plan = pool.plan,
                                                                   .band = &band,
                                                                   .elements = elements,
                                                                   .results = results,
                                                                   .words = words,
                                                                   .where = asked,
                                                                   .wide = pool.wide != nullptr});
                              if (asked) store_argmax(pool, band, planes, words);
                          });
            for (Index i = 0; i < (clean ? 0 : planes); ++i) max_pool_plane(pool.at(i));
        }
    }
    for (; begin < end; ++begin) max_pool_plane(all.at(begin));
}

/// dx of planes with windows of 2 × 2 side by side, none of them clipped: all of it is written once, in
/// order.
template <class T>
struct MaxPoolBackward2x2 {
    static constexpr Index fewest = 8;

    const PoolPlan* plan;
    Index planes;
    const T* dy;
    const std::uint8_t* argmax;
    T* dx;
    bool stream;

    template <int Bytes>
    GRADUS_INLINE void run() {
        stream ? all_rows<Bytes, true>() : all_rows<Bytes, false>();
    }

private:
    template <int Bytes, bool Stream>
    GRADUS_INLINE void all_rows() {
        const Index width = plan->columns.size, results = plan->columns.results();
        const Index rows = plan->rows.results(), height = plan->rows.size;
        for (; planes > 0; --planes) {
            for (Index r = 0; r < rows; ++r, dy += results, argmax += results, dx += 2 * width)
                row<Bytes, Stream>(results, width);
            for (const T* const end = dx + (height - 2 * rows) * width; dx < end; ++dx) *dx = T(0);
        }
        if (Stream) simd::store_fence();
    }

    template <int Bytes, bool Stream>
    GRADUS_INLINE void row(Index n, Index width) const {
        using Vec = simd::VecOf<T, std::min(Bytes, 32)>;
        for (Index begin = 0; begin < n; begin += Vec::size) {
            const Index i = std::min(begin, n - Vec::size);  // the last vector takes some again
            const Vec g = Vec::load(dy + i);
            const auto indices = simd::convert<typename Vec::Mask::Lanes::Value>(
                simd::Vec<std::uint8_t, Vec::size>::load(argmax + i));
            store_pairs<Stream>(g, indices, 0, dx + 2 * i);
            store_pairs<Stream>(g, indices, 2, dx + width + 2 * i);
        }
        for (Index i = 2 * n; i < width; ++i) dx[i] = dx[width + i] = T(0);
    }

    /// Two neighboring elements of each window, `first` and the next.
    template <bool Stream, class P, class Ints>
    GRADUS_INLINE static void store_pairs(const P& g, const Ints& indices, int first, T* to) {
        const auto where = [&](int element) GRADUS_INLINE_LAMBDA {
            const Ints index(static_cast<typename Ints::Value>(element));
            return P::wrap(indices.v == index.v ? g.v : P(T(0)).v);
        };
        const P a = where(first), b = where(first + 1);
        simd::store(simd::zip_lower(a, b), to, Stream);
        simd::store(simd::zip_upper(a, b), to + P::size, Stream);
    }
};

/// dx[argmax] += dy, for planes [begin, end). Memory is zeroed a little ahead of the windows, while it
/// is on its way through the cache anyway.
template <bool Overlap, class T, class Argmax>
void max_pool_backward(const PoolPlan& plan, const T* dy, const Argmax* argmax, T* dx, Index begin,
                       Index end) {
    const PoolAxis &rows = plan.rows, &columns = plan.columns;
    const Index width = columns.size, step = 2048, reach = (rows.kernel - 1) * rows.dilation + 1;
    const auto offset = [&](Index index) {
        return index / columns.kernel * rows.dilation * width + index % columns.kernel * columns.dilation;
    };
    Index offsets[256];
    if constexpr (sizeof(Argmax) == 1)
        for (Index index = 0; index < rows.kernel * columns.kernel; ++index) offsets[index] = offset(index);
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
                const auto index = static_cast<Index>(*argmax++);
                T& target = dx[to + (sizeof(Argmax) == 1 ? offsets[index] : offset(index))];
                target = Overlap ? target + *dy : *dy;
                ++dy;
            }
        }
    zero_to(end * plan.input());
}

}  // namespace detail

/// The largest number of each window of x [N, C, height, width], and where it was, if `where`.
template <class T>
MaxPooled<T> max_pool2d(const Tensor<T>& x, const PoolPlan& plan, bool where = true) {
    const Shape shape = {x.size(0), x.size(1), plan.rows.results(), plan.columns.results()};
    MaxPooled<T> result{Tensor<T>::uninitialized(shape), {}};
    detail::MaxPool<T> pool{&plan, x.data(), result.y.mutable_data(), nullptr, nullptr};
    if (where && plan.rows.kernel * plan.columns.kernel > 255)
        pool.wide = (result.argmax.wide = Tensor<std::int32_t>::uninitialized(shape)).mutable_data();
    else if (where)
        pool.narrow = (result.argmax.narrow = Tensor<std::uint8_t>::uninitialized(shape)).mutable_data();
    const Index planes = x.size(0) * x.size(1);
    parallel_for(planes, detail::planes_per_block(planes, plan.input()),
                 [&](Index begin, Index end) { detail::max_pool_planes(pool, planes, begin, end); });
    return result;
}

/// dx of max_pool2d().
template <class T>
Tensor<T> max_pool2d_backward(const Tensor<T>& dy, const PoolPlan& plan, const PoolArgmax& argmax) {
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
    parallel_for(planes, detail::planes_per_block(planes, plan.input()), [&](Index begin, Index end) {
        const T* const in = dy.data() + begin * plan.output();
        const std::uint8_t* const narrow = argmax.narrow.data() + (wide ? 0 : begin * plan.output());
        if constexpr (std::is_floating_point_v<T>)
            if (is_two(rows) && is_two(columns) && columns.results() >= detail::MaxPoolBackward2x2<T>::fewest)
                return simd::run(detail::MaxPoolBackward2x2<T>{
                    .plan = &plan,
                    .planes = end - begin,
                    .dy = in,
                    .argmax = narrow,
                    .dx = out + begin * plan.input(),
                    .stream = simd::should_stream<T>(planes * rows.size, columns.size)});
        if (wide)
            detail::max_pool_backward<true>(plan, in, argmax.wide.data() + begin * plan.output(), out, begin,
                                            end);
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
    parallel_for(dy.numel(), detail::planes_per_block(dy.numel(), size), [&](Index begin, Index end) {
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
