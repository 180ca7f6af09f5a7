// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "gradus/kernels/indexing.hpp"
#include "gradus/kernels/reduce.hpp"

// Pooling of planes [height, width], one after the other: [batch, channels, height, width]. A result is made
// of a window of cells. Padding is no memory: every window knows which of its cells are input, and has at
// least one. Planes are independent, and threads share them out.

namespace gradus::kernels {

/// Where the window of one result lies along one axis: cell k is input start + k * dilation, for the k in
/// [first, last).
struct PoolWindow {
    Index start, first, last;
    Index extent;  // what an average divides by
};

/// One axis of a pooling. Windows begin and end in the order of the results.
struct PoolAxis {
    Index size;    // of the input
    Index kernel;  // cells of a window that is not cut off
    Index stride;
    Index dilation;
    std::vector<PoolWindow> windows;

    Index results() const { return static_cast<Index>(windows.size()); }
};

struct PoolPlan {
    PoolAxis rows, columns;

    Index input() const { return rows.size * columns.size; }
    Index output() const { return rows.results() * columns.results(); }
};

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

/// Planes that PoolPlanes takes at a time.
inline constexpr Index pool_group = 8;

/// Planes per block of parallel work.
inline Index pool_block(Index planes, Index plane_size) {
    const Index block = std::max<Index>(1, parallel_grain / std::max<Index>(plane_size, 1));
    return planes < 8 * pool_group ? block : (block + pool_group - 1) / pool_group * pool_group;
}

/// What pooling reads and writes. The inner columns are those that PoolRows takes.
template <class T>
struct Pool {
    const PoolPlan* plan;
    const T* x;
    T* y;
    std::uint8_t* narrow = nullptr;  // one of the two, of max pooling
    std::int32_t* wide = nullptr;
    Index inner_begin = 0, inner_end = 0;
};

/// The largest of each window in columns [begin, end) of a plane, number by number. Any NaN wins, and of
/// equal numbers the first.
template <class T>
void max_windows(const Pool<T>& pool, Index plane, Index begin, Index end) {
    const PoolAxis &rows = pool.plan->rows, &columns = pool.plan->columns;
    for (Index row = 0; row < rows.results(); ++row)
        for (Index column = begin; column < end; ++column) {
            const PoolWindow &r = rows.windows.data()[row], &c = columns.windows.data()[column];
            const T* const from = pool.x + (plane * rows.size + r.start) * columns.size + c.start;
            T best = extreme<T>(-1);
            Index position = r.first * columns.kernel + c.first;
            for (Index i = r.first; i < r.last; ++i)
                for (Index j = c.first; j < c.last; ++j) {
                    const T& cell = from[i * rows.dilation * columns.size + j * columns.dilation];
                    if (!(cell > best || cell != cell)) continue;
                    best = cell;
                    position = i * columns.kernel + j;
                }
            const Index at = (plane * rows.results() + row) * columns.results() + column;
            pool.y[at] = best;
            if (pool.narrow)
                pool.narrow[at] = static_cast<std::uint8_t>(position);
            else
                pool.wide[at] = static_cast<std::int32_t>(position);
        }
}

/// Lanes of windows: the largest cells so far, and their positions. NaN does not win here; has_nan() tells
/// of it, and maybe also where there is none but two infinities.
template <class T, int N>
struct LargestCells {
    using Position = simd::detail::IntOf<T>;
    using Pack = simd::Pack<T, N>;
    using Positions = simd::Pack<Position, N>;

    Pack value = extreme<T>(-1);
    Pack total = T(0);
    Positions position;

    GRADUS_INLINE explicit LargestCells(Index first) : position(static_cast<Position>(first)) {}

    GRADUS_INLINE void take(const Pack& cell, const Positions& at) {
        position = Positions::wrap(cell.v > value.v ? at.v : position.v);  // a Mask would take more steps
        value = max(value, cell);
        total += cell;
    }

    GRADUS_INLINE Positions has_nan() const { return is_nan(total).bits(); }

    GRADUS_INLINE void store(const Pool<T>& pool, Index to, Index) const {
        value.store(pool.y + to);
        if (pool.narrow)
            store_bytes(pool.narrow + to, std::make_integer_sequence<int, 16>());
        else
            for (int i = 0; i < N; ++i) pool.wide[to + i] = static_cast<std::int32_t>(position[i]);
    }

    /// The lanes belong to planes, whose results are so far apart.
    template <int... Lane>
    GRADUS_INLINE void scatter(const Pool<T>& pool, Index to, Index apart,
                               std::integer_sequence<int, Lane...>) const {
        ((pool.y[to + Lane * apart] = value[Lane]), ...);
        if (pool.narrow)
            ((pool.narrow[to + Lane * apart] = static_cast<std::uint8_t>(position[Lane])), ...);
        else
            ((pool.wide[to + Lane * apart] = static_cast<std::int32_t>(position[Lane])), ...);
    }

    template <int... Byte>
    GRADUS_INLINE void store_bytes(std::uint8_t* to, std::integer_sequence<int, Byte...>) const {
        if constexpr (N == 8 && sizeof(T) == 4) {  // written out, since compilers take lane after lane
            using Bytes = typename simd::Pack<std::uint8_t, 16>::Vector;
            Bytes half[2];
            __builtin_memcpy(half, &position.v, sizeof half);
            const Bytes low = __builtin_shufflevector(half[0], half[1], (Byte % 8 * 4)...);
            __builtin_memcpy(to, &low, 8);
        } else {
            for (int i = 0; i < N; ++i) to[i] = static_cast<std::uint8_t>(position[i]);
        }
    }
};

/// Columns [begin, end) of pool_group planes, in lanes of planes: any window, cut off or not. False if there
/// was a NaN.
template <class T>
struct MaxPoolPlanes {
    template <int N, int... Lane>
    GRADUS_INLINE static void run_lanes(const Pool<T>& pool, Index plane, Index begin, Index end,
                                        simd::Pack<simd::detail::IntOf<T>, N>& nan,
                                        std::integer_sequence<int, Lane...> lanes) {
        using Largest = LargestCells<T, N>;
        const PoolAxis &rows = pool.plan->rows, &columns = pool.plan->columns;
        const Index input = rows.size * columns.size, output = rows.results() * columns.results();
        const Index row_step = rows.dilation * columns.size, step = columns.dilation;
        for (Index row = 0; row < rows.results(); ++row)
            for (Index column = begin; column < end; ++column) {
                const PoolWindow &r = rows.windows.data()[row], &c = columns.windows.data()[column];
                const T* first = pool.x + plane * input + r.start * columns.size + r.first * row_step +
                                 c.start + c.first * step;
                Largest largest(r.first * columns.kernel + c.first);
                for (Index i = r.first; i < r.last; ++i, first += row_step) {
                    const T* from = first;
                    typename Largest::Positions at(
                        static_cast<typename Largest::Position>(i * columns.kernel + c.first));
                    for (Index j = c.first; j < c.last; ++j, from += step, at = at + 1) {
                        const typename Largest::Pack::Vector cell = {from[Lane * input]...};
                        largest.take(Largest::Pack::wrap(cell), at);
                    }
                }
                largest.scatter(pool, plane * output + row * columns.results() + column, output, lanes);
                nan = nan | largest.has_nan();
            }
    }

    template <int Bytes>
    GRADUS_INLINE static bool run(const Pool<T>* pool, Index plane, Index begin, Index end) {
        constexpr int lanes = std::min(static_cast<int>(pool_group), Bytes / static_cast<int>(sizeof(T)));
        simd::Pack<simd::detail::IntOf<T>, lanes> nan(0);
        for (Index lane = 0; lane < pool_group; lane += lanes)
            run_lanes<lanes>(*pool, plane + lane, begin, end, nan, std::make_integer_sequence<int, lanes>());
        return sum(nan) == 0;
    }
};

/// Lanes of windows: the sum of the cells so far.
template <class T, int N>
struct SumOfCells {
    using Pack = simd::Pack<T, N>;
    using Position = simd::detail::IntOf<T>;
    using Positions = simd::Pack<Position, N>;

    Pack value = T(0);

    GRADUS_INLINE explicit SumOfCells(Index) {}
    GRADUS_INLINE void take(const Pack& cell, const Positions&) { value += cell; }
    GRADUS_INLINE Positions has_nan() const { return Position(0); }  // NaN needs no care
    GRADUS_INLINE void store(const Pool<T>& pool, Index to, Index extent) const {
        (value / static_cast<T>(extent)).store(pool.y + to);
    }
};

/// A plane, in lanes of neighbouring results of a row, for columns whose windows are not cut off. Kernel and
/// stride of the columns are constants and their dilation is 1, or both are 0 and read from the plan. False
/// if `Cells` met a NaN.
template <class T, template <class, int> class Cells, int Kernel, int Stride>
struct PoolRows {
    static_assert(Stride == Kernel || Kernel == Stride + 1);

    /// Lane i of cell k is from[i * Stride + k]; nothing is read behind the last of them.
    template <int N, int... Lane>
    GRADUS_INLINE static void load_cells(const T* from, simd::Pack<T, N>* cells,
                                         std::integer_sequence<int, Lane...> lanes) {
        using Pack = simd::Pack<T, N>;
        const Pack a = Pack::load(from), b = Pack::load(from + N);
        if constexpr (Stride == 2) {
            cells[0] = Pack::wrap(__builtin_shufflevector(a.v, b.v, (2 * Lane)...));
            cells[1] = Pack::wrap(__builtin_shufflevector(a.v, b.v, (2 * Lane + 1)...));
        } else {
            const Pack c = Pack::load(from + 2 * N);
            cells[0] = third<0>(a, b, c, lanes);
            cells[1] = third<1>(a, b, c, lanes);
            cells[2] = third<2>(a, b, c, lanes);
        }
        if constexpr (Kernel > Stride) {
            const Pack d = Pack::load(from + 1), e = Pack::load(from + 1 + N);
            cells[2] = Pack::wrap(__builtin_shufflevector(d.v, e.v, (2 * Lane + 1)...));
        }
    }

    /// Every third element of a, b, c from `First` on.
    template <int First, int N, int... Lane>
    GRADUS_INLINE static simd::Pack<T, N> third(const simd::Pack<T, N>& a, const simd::Pack<T, N>& b,
                                                const simd::Pack<T, N>& c,
                                                std::integer_sequence<int, Lane...>) {
        using Pack = simd::Pack<T, N>;
        const Pack ab = Pack::wrap(
            __builtin_shufflevector(a.v, b.v, (3 * Lane + First < 2 * N ? 3 * Lane + First : 0)...));
        return Pack::wrap(
            __builtin_shufflevector(ab.v, c.v, (3 * Lane + First < 2 * N ? Lane : 3 * Lane + First - N)...));
    }

    template <int N, int... Lane>
    GRADUS_INLINE static simd::Pack<T, N> load_strided(const T* from, Index stride,
                                                       std::integer_sequence<int, Lane...>) {
        if (stride == 1) return simd::Pack<T, N>::load(from);
        const typename simd::Pack<T, N>::Vector lanes = {from[Lane * stride]...};
        return simd::Pack<T, N>::wrap(lanes);
    }

    template <int N>
    GRADUS_INLINE static bool run_lanes(const Pool<T>& pool, Index plane) {
        using Positions = typename Cells<T, N>::Positions;
        using Position = typename Cells<T, N>::Position;
        const PoolAxis &rows = pool.plan->rows, &columns = pool.plan->columns;
        const PoolWindow& c = columns.windows.data()[pool.inner_begin];
        const Index kernel = Kernel > 0 ? Kernel : columns.kernel, row_step = rows.dilation * columns.size;
        const Index stride = Stride > 0 ? Stride : columns.stride;
        const Index count = pool.inner_end - pool.inner_begin;
        constexpr auto lanes = std::make_integer_sequence<int, N>();
        Positions nan(Position(0));
        for (Index row = 0; row < rows.results(); ++row) {
            const PoolWindow& r = rows.windows.data()[row];
            const T* const first =
                pool.x + (plane * rows.size + r.start) * columns.size + r.first * row_step + c.start;
            const Index to = (plane * rows.results() + row) * columns.results() + pool.inner_begin;
            for (Index column = 0; column < count; column += N) {
                const Index skipped = std::min(column, count - N);  // the last pack takes some again
                const T* from = first + skipped * stride;
                Cells<T, N> cells(r.first * kernel);
                Positions at(static_cast<Position>(r.first * kernel));
                for (Index i = r.first; i < r.last; ++i, from += row_step) {
                    if constexpr (Kernel > 0) {
                        simd::Pack<T, N> loaded[std::size_t{Kernel}];
                        load_cells<N>(from, loaded, lanes);
#pragma GCC unroll 3
                        for (int j = 0; j < Kernel; ++j, at = at + 1) cells.take(loaded[j], at);
                    } else {
                        for (Index j = 0; j < kernel; ++j, at = at + 1)
                            cells.take(load_strided<N>(from + j * columns.dilation, stride, lanes), at);
                    }
                }
                cells.store(pool, to + skipped, r.extent * c.extent);
                nan = nan | cells.has_nan();
            }
        }
        return sum(nan) == 0;
    }

    template <int Bytes>
    GRADUS_INLINE static bool run(const Pool<T>* pool, Index plane) {
        constexpr int lanes = std::min(8, Bytes / static_cast<int>(sizeof(T)));
        if constexpr (lanes == 8)
            if (pool->inner_end - pool->inner_begin < lanes) return run_lanes<lanes / 2>(*pool, plane);
        return run_lanes<lanes>(*pool, plane);
    }
};

/// Columns [first, last) of planes [begin, end).
template <class T>
void max_columns(const Pool<T>& pool, Index begin, Index end, Index first, Index last) {
    if (first == last) return;
    if constexpr (std::is_floating_point_v<T>)
        for (; begin + pool_group <= end; begin += pool_group)
            if (!simd::run<MaxPoolPlanes<T>>(&pool, begin, first, last))
                for (Index i = 0; i < pool_group; ++i) max_windows(pool, begin + i, first, last);
    for (; begin < end; ++begin) max_windows(pool, begin, first, last);
}

template <class T>
using PoolRowsFunction = bool (*)(const Pool<T>*, Index plane);

/// The PoolRows for a plan, or null. Sets the inner columns.
template <template <class, int> class Cells, class T>
PoolRowsFunction<T> choose_pool_rows(Pool<T>& pool) {
    const PoolAxis& columns = pool.plan->columns;
    const Index kernel = columns.kernel, stride = columns.stride;
    const auto whole = [kernel](const PoolWindow& w) { return w.last - w.first == kernel; };
    const auto begin = std::find_if(columns.windows.begin(), columns.windows.end(), whole);
    const auto end = std::find_if_not(begin, columns.windows.end(), whole);
    if (end - begin < 4) return nullptr;
    pool.inner_begin = begin - columns.windows.begin();
    pool.inner_end = end - columns.windows.begin();
    const auto rows = []<int Kernel, int Stride>(std::integer_sequence<int, Kernel, Stride>) {
        return PoolRowsFunction<T>(simd::run<PoolRows<T, Cells, Kernel, Stride>, const Pool<T>*, Index>);
    };
    if (columns.dilation == 1 && kernel == 2 && stride == 2) return rows(std::integer_sequence<int, 2, 2>());
    if (columns.dilation == 1 && kernel == 3 && stride == 3) return rows(std::integer_sequence<int, 3, 3>());
    if (columns.dilation == 1 && kernel == 3 && stride == 2) return rows(std::integer_sequence<int, 3, 2>());
    if constexpr (std::is_same_v<Cells<T, 2>, SumOfCells<T, 2>>)
        return nullptr;
    else
        return rows(std::integer_sequence<int, 0, 0>());
}

/// dx[cell that won] += dy, for planes [begin, end). Memory is zeroed a little ahead of the windows, while it
/// is on its way through the cache anyway.
template <bool Overlap, class T, class Position>
void max_pool_back(const PoolPlan& plan, const T* dy, const Position* positions, T* dx, Index begin,
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
    detail::Pool<T> pool{&plan, x.data(), result.y.mutable_data()};
    if (plan.rows.kernel * plan.columns.kernel > 255)
        pool.wide = (result.positions.wide = Tensor<std::int32_t>::uninitialized(shape)).mutable_data();
    else
        pool.narrow = (result.positions.narrow = Tensor<std::uint8_t>::uninitialized(shape)).mutable_data();
    detail::PoolRowsFunction<T> rows = nullptr;
    if constexpr (std::is_floating_point_v<T>) rows = detail::choose_pool_rows<detail::LargestCells>(pool);
    const Index planes = x.size(0) * x.size(1);
    parallel_for(planes, detail::pool_block(planes, plan.input()), [&](Index begin, Index end) {
        if (rows)
            for (Index plane = begin; plane < end; ++plane)
                if (!rows(&pool, plane)) detail::max_windows(pool, plane, pool.inner_begin, pool.inner_end);
        detail::max_columns(pool, begin, end, 0, pool.inner_begin);
        detail::max_columns(pool, begin, end, pool.inner_end, plan.columns.results());
    });
    return result;
}

/// dx of max_pool2d().
template <class T>
Tensor<T> max_pool2d_back(const Tensor<T>& dy, const PoolPlan& plan, const PoolPositions& positions) {
    const PoolAxis &rows = plan.rows, &columns = plan.columns;
    const Index planes = dy.size(0) * dy.size(1);
    Tensor<T> dx = Tensor<T>::uninitialized({dy.size(0), dy.size(1), rows.size, columns.size});
    T* const out = dx.mutable_data();
    const auto overlap = [](const PoolAxis& axis) {
        return (axis.kernel - 1) * axis.dilation >= axis.stride;
    };
    const bool wide = rows.kernel * columns.kernel > 255, overlaps = overlap(rows) || overlap(columns);
    parallel_for(planes, detail::pool_block(planes, plan.input()), [&](Index begin, Index end) {
        const T* const in = dy.data() + begin * plan.output();
        const std::uint8_t* const narrow = positions.narrow.data() + (wide ? 0 : begin * plan.output());
        if (wide)
            detail::max_pool_back<true>(plan, in, positions.wide.data() + begin * plan.output(), out, begin,
                                        end);
        else if (overlaps)
            detail::max_pool_back<true>(plan, in, narrow, out, begin, end);
        else
            detail::max_pool_back<false>(plan, in, narrow, out, begin, end);
    });
    return dx;
}

namespace detail {

/// sums[j] = Σᵢ x[i * width + j].
template <class T>
void sum_rows(const T* x, Index rows, Index width, T* sums) {
    for (Index j = 0; j < width; j += column_strip)
        reduce_strip<SumOf>(x + j, rows, width, std::min(column_strip, width - j), sums + j);
}

/// One plane, by sums of rows and then of columns: any windows.
template <class T>
void avg_windows(const Pool<T>& pool, Index plane, std::vector<T>& sums) {
    const PoolAxis &rows = pool.plan->rows, &columns = pool.plan->columns;
    T* out = pool.y + plane * pool.plan->output();
    for (const PoolWindow& r : rows.windows) {
        const T* const in = pool.x + (plane * rows.size + r.start + r.first) * columns.size;
        sum_rows(in, r.last - r.first, columns.size, sums.data());
        for (const PoolWindow& c : columns.windows) {
            const T* const cells = sums.data() + c.start;
            T sum = cells[c.first];
            for (Index j = c.first + 1; j < c.last; ++j) sum += cells[j];
            *out++ = sum / static_cast<T>(r.extent * c.extent);
        }
    }
}

/// What one row of windows gives to each of its rows of dx. A Kernel > 0 says that the windows lie side by
/// side and none is cut off.
template <int Kernel, class T>
void spread_row(const PoolAxis& columns, Index extent, const T* dy, T* to) {
    if constexpr (Kernel > 0) {
        const T weight = T(1) / static_cast<T>(extent * Kernel);
        T* const end = to + columns.size;
        for (Index column = columns.results(); column > 0; --column) {
            const T share = *dy++ * weight;
            for (int j = 0; j < Kernel; ++j) *to++ = share;
        }
        std::fill(to, end, T(0));
    } else {
        std::fill_n(to, columns.size, T(0));
        for (const PoolWindow& c : columns.windows) {
            const T share = *dy++ / static_cast<T>(extent * c.extent);
            for (Index j = c.first; j < c.last; ++j) to[c.start + j] += share;
        }
    }
}

/// dx of one plane.
template <int Kernel, class T>
void avg_windows_back(const PoolPlan& plan, const T* dy, T* dx, std::vector<T>& shares) {
    const Index width = plan.columns.size;
    Index written = 0;  // rows of dx; those behind hold nothing yet
    for (const PoolWindow& r : plan.rows.windows) {
        const Index from = r.start + r.first, to = r.start + r.last;
        spread_row<Kernel>(plan.columns, r.extent, dy, shares.data());
        dy += plan.columns.results();
        if (written < from) std::fill(dx + written * width, dx + from * width, T(0));
        for (Index row = from; row < to; ++row)
            if (row < written)
                add_row(width, shares.data(), dx + row * width);
            else
                std::copy_n(shares.data(), width, dx + row * width);
        written = std::max(written, to);
    }
    std::fill(dx + written * width, dx + plan.input(), T(0));
}

}  // namespace detail

/// The sum of each window of x [N, C, height, width] divided by its extents. The dilation is 1.
template <class T>
Tensor<T> avg_pool2d(const Tensor<T>& x, const PoolPlan& plan) {
    const Index planes = x.size(0) * x.size(1);
    Tensor<T> y =
        Tensor<T>::uninitialized({x.size(0), x.size(1), plan.rows.results(), plan.columns.results()});
    detail::Pool<T> pool{&plan, x.data(), y.mutable_data()};
    detail::PoolRowsFunction<T> rows = nullptr;
    if constexpr (std::is_floating_point_v<T>) rows = detail::choose_pool_rows<detail::SumOfCells>(pool);
    const bool all = rows && pool.inner_begin == 0 && pool.inner_end == plan.columns.results();
    parallel_for(planes, detail::pool_block(planes, plan.input()), [&](Index begin, Index end) {
        if (all) {
            for (; begin < end; ++begin) rows(&pool, begin);
        } else {
            std::vector<T> sums(static_cast<std::size_t>(plan.columns.size));
            for (; begin < end; ++begin) detail::avg_windows(pool, begin, sums);
        }
    });
    return y;
}

/// dx of avg_pool2d().
template <class T>
Tensor<T> avg_pool2d_back(const Tensor<T>& dy, const PoolPlan& plan) {
    const Index planes = dy.size(0) * dy.size(1);
    Tensor<T> dx = Tensor<T>::uninitialized({dy.size(0), dy.size(1), plan.rows.size, plan.columns.size});
    T* const out = dx.mutable_data();
    const PoolAxis& columns = plan.columns;
    const bool side_by_side = columns.stride == columns.kernel && columns.windows[0].start == 0 &&
                              columns.results() * columns.kernel <= columns.size;
    const Index kernel = side_by_side ? columns.kernel : 0;
    const auto back = kernel == 2   ? detail::avg_windows_back<2, T>
                      : kernel == 3 ? detail::avg_windows_back<3, T>
                                    : detail::avg_windows_back<0, T>;
    parallel_for(planes, detail::pool_block(planes, plan.input()), [&](Index begin, Index end) {
        std::vector<T> shares(static_cast<std::size_t>(columns.size));
        for (; begin < end; ++begin)
            back(plan, dy.data() + begin * plan.output(), out + begin * plan.input(), shares);
    });
    return dx;
}

/// dx of the mean of each plane, [N, C] from [N, C, height, width].
template <class T>
Tensor<T> global_avg_pool2d_back(const Tensor<T>& dy, const Shape& shape) {
    const Index size = shape.span(2, 4);
    Tensor<T> dx = Tensor<T>::uninitialized(shape);
    T* const out = dx.mutable_data();
    parallel_for(dy.numel(), detail::pool_block(dy.numel(), size), [&](Index begin, Index end) {
        for (Index plane = begin; plane < end; ++plane)
            std::fill_n(out + plane * size, size, dy.data()[plane] / static_cast<T>(size));
    });
    return dx;
}

/// dx of the largest number y of each plane of x: to the first that equals it.
template <class T>
Tensor<T> global_max_pool2d_back(const Tensor<T>& dy, const Tensor<T>& x, const Tensor<T>& y) {
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
