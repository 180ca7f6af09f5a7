// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "gradus/core/dual.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/elementwise/broadcast.hpp"
#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/scalar.hpp"
#include "gradus/kernels/simd/stream_store.hpp"
#include "gradus/kernels/simd/vec.hpp"

/// Loops over memory that know nothing of gradients. Shapes are checked by the callers in ops/.
namespace gradus::kernels {

/// Base of functors that work on simd::Vec as well as on numbers: their loops are vectorized. Their call
/// operator is a GRADUS_INLINE template over the operand type.
struct Vectorized {};

/// Makes such a functor of a lambda:
///
///     vectorized([]<class V>(const V& dy, const V& y) GRADUS_INLINE_LAMBDA { return dy * (V(1) - y * y); })
template <class F>
struct VectorizedLambda : Vectorized, F {
    explicit VectorizedLambda(F f) : F(std::move(f)) {}
};
template <class F>
VectorizedLambda<F> vectorized(F f) {
    return VectorizedLambda<F>(std::move(f));
}

namespace detail {

template <class F, class T, class... Ts>
inline constexpr bool is_vectorized = std::is_base_of_v<Vectorized, F>&& std::is_floating_point_v<T> &&
                                      (std::is_same_v<T, Ts> && ...);

/// Rows of a map, one after the other in the result. Operand k begins steps[k] elements later with each row;
/// along a row, along[k] is -1 where it moves on and 0 where its first element repeats.
struct MapRows {
    Index rows, n;
    const void* x[max_operands];
    Index steps[max_operands], along[max_operands];
    bool stream = false;  // for one row, aligned to every vector
};

/// Whole vectors: to[i] = f(from[k][i & along[k]]...) for i < end.
template <class T>
struct MapPass {
    Index end;
    bool stream;
    T* to;
    const T* from[max_operands];
    Index along[max_operands];
};

/// The arithmetic of a map, and all of it that is compiled anew for every functor and instruction set.
template <class F, class T, std::size_t Count>
struct MapKernel {
    const F* functor;
    const MapPass<T>* passes;
    int count;

    template <int Bytes, std::size_t... I>
    GRADUS_INLINE void loop(const F& f, std::index_sequence<I...>) const {
        using Vec = simd::VecOf<T, Bytes>;
        for (int p = 0; p < count; ++p) {
            const MapPass<T>& pass = passes[p];
            const std::array<const T*, Count> from = {pass.from[I]...};
            const std::array<Index, Count> along = {pass.along[I]...};
            T* const to = pass.to;
            const bool stream = Bytes > 16 && pass.stream;  // small vectors do not keep memory busy
            for (Index i = 0, end = pass.end; i < end; i += Vec::size)
                simd::store(Vec(f(Vec::load(from[I] + (i & along[I]))...)), to + i, stream);
        }
    }

    template <int Bytes>
    GRADUS_INLINE void run() const {
        const F f = *functor;  // what it holds stays in registers: stores cannot change it
        loop<Bytes>(f, std::make_index_sequence<Count>());
    }
};

template <class F, class T, std::size_t Count>
void run_passes(const void* f, const MapPass<T>* passes, int count) {
    simd::run(MapKernel<F, T, Count>{.functor = static_cast<const F*>(f), .passes = passes, .count = count});
}

/// The passes over one row of whatever length: its tail as one vector, which overlaps the body and is put
/// aside at `few`, because y may be an operand; then the body. The tail runs through the same code as the
/// body, so an element's bits do not depend on where a block begins. `few` has a vector for that and for each
/// operand: one that repeats is written there, and what is shorter than a vector is padded there.
template <class T>
void plan_row(const MapRows& map, std::size_t operands, Index row, T* y, Index lanes, T* few,
              MapPass<T>* passes) {
    const Index n = map.n, rest = n & (lanes - 1);
    MapPass<T>&tail = passes[0], &body = passes[1];
    tail.end = rest > 0 ? lanes : 0;
    tail.stream = false;
    tail.to = few;
    body.end = n - rest;
    body.stream = map.stream;
    body.to = y;
    for (std::size_t k = 0; k < operands; ++k) {
        const T* x = static_cast<const T*>(map.x[k]) + row * map.steps[k];
        T* const own = few += lanes;
        tail.along[k] = body.along[k] = map.along[k];
        if (!map.along[k]) {
            gradus::detail::fill_copies(own, lanes, *x);
            tail.from[k] = body.from[k] = own;
        } else if (n < lanes) {
            gradus::detail::fill_copies(own, lanes, T(0));
            simd::detail::copy_few(own, x, static_cast<int>(n));
            tail.from[k] = own;
        } else {
            tail.from[k] = x + (n - lanes);
            body.from[k] = x;
        }
    }
}

/// y[i] = f(x[i]...) for rows of n, a few rows with one call of the kernel.
template <class T>
[[gnu::noinline]] void vector_rows(const void* f, void (*run)(const void*, const MapPass<T>*, int),
                                   const MapRows& map, std::size_t operands, T* y) {
    constexpr Index together = 4;
    const Index lanes = simd::vector_bytes(simd::isa()) / static_cast<Index>(sizeof(T));
    const Index aside = lanes * static_cast<Index>(operands + 1);
    alignas(64) T few[std::size_t{together} * (max_operands + 1) * 64 / sizeof(T)];
    MapPass<T> passes[2 * together];
    for (Index row = 0; row < map.rows; row += together, y += together * map.n) {
        const Index rows = std::min(together, map.rows - row);
        for (Index i = 0; i < rows; ++i)
            plan_row(map, operands, row + i, y + i * map.n, lanes, few + i * aside, passes + 2 * i);
        run(f, passes, static_cast<int>(2 * rows));
        const int rest = static_cast<int>(map.n & (lanes - 1));
        for (Index i = 0; rest > 0 && i < rows; ++i)
            simd::detail::copy_few(y + (i + 1) * map.n - rest,
                                   few + i * aside + (map.n < lanes ? 0 : lanes - rest), rest);
    }
    if (map.stream) simd::store_fence();
}

/// A map of rows, whatever the types.
template <class F, class R, class... Ts, std::size_t... I>
void map_rows(const F& f, const MapRows& map, R* y, std::index_sequence<I...>) {
    if constexpr (is_vectorized<F, R, Ts...>) {
        vector_rows<R>(&f, run_passes<F, R, sizeof...(Ts)>, map, sizeof...(Ts), y);
    } else {
        for (Index row = 0; row < map.rows; ++row)
            for (Index i = 0; i < map.n; ++i)
                *y++ = f(static_cast<const Ts*>(map.x[I])[row * map.steps[I] + (i & map.along[I])]...);
    }
}

/// One operand of a map, whatever its type.
struct Operand {
    const void* data;
    std::size_t element;  // bytes
    const Shape* shape;
};

/// Rows of n elements written one after the other, from rows that lie `step` apart or (along = 0) repeat one
/// element. Writes up to 7 elements too many.
template <std::size_t Element>
[[gnu::noinline]] inline void write_rows(Index rows, Index n, const char* from, Index step, Index along,
                                         char* to) {
    constexpr Index size = static_cast<Index>(Element);
    for (Index row = 0; row < rows; ++row, from += step * size, to += n * size) {
        if (along) {
            for (Index i = 0; i < n; ++i) __builtin_memcpy(to + i * size, from + i * size, Element);
            continue;
        }
        char eight[8 * Element];
        for (std::size_t i = 0; i < 8; ++i) __builtin_memcpy(eight + i * Element, from, Element);
        for (Index i = 0; i < n; i += 8) __builtin_memcpy(to + i * size, eight, sizeof eight);
    }
}

/// A map with the types of functor and elements erased: compiled once for the whole program.
struct ErasedMap {
    const void* f;
    void (*rows)(const void* f, const MapRows& map, void* y);
    void* y;
    std::size_t element;  // bytes of one element of y
    const Operand* operands;
    std::size_t count;
    bool in_place;

    /// Elements [begin, end) of one row from the first elements on.
    void part(Index begin, Index end, const Index* strides, bool stream) const {
        MapRows map{1, end - begin, {}, {}, {}, stream};
        for (std::size_t k = 0; k < count; ++k) place(map, k, begin * strides[k], strides[k]);
        rows(f, map, at(begin));
    }

    /// Rows [begin, end) of a broadcast result.
    void part(const BroadcastPlan& plan, Index begin, Index end) const {
        Index offsets[max_operands];
        bool joins = plan.sizes[0] < joined_rows;
        for (std::size_t k = 0; k < count; ++k) {
            const std::size_t size = operands[k].element;
            joins = joins && (size == 1 || size == 4 || size == 8);
        }
        while (begin < end) {
            const Index first = begin, n = plan.sizes[0];
            plan.offsets(first, offsets);
            begin = std::min(end, first - first % plan.sizes[1] + plan.sizes[1]);
            MapRows map{begin - first, n, {}, {}, {}};
            for (std::size_t k = 0; k < count; ++k) {
                place(map, k, offsets[k], plan.strides[0][k]);
                map.steps[k] = plan.strides[1][k];
            }
            if (joins && map.rows > 1)
                join(map, at(first * n));
            else
                rows(f, map, at(first * n));
        }
    }

    /// Rows too short to be done one by one make one long row. Operands that do not lie in memory like that
    /// are written out first, as many rows as stay in the first-level cache.
    void join(const MapRows& map, char* to) const {
        alignas(64) char written[max_operands][join_bytes + 8 * sizeof(double)];
        const Index most = join_bytes / (map.n * static_cast<Index>(sizeof(double)));
        for (Index first = 0; first < map.rows; first += most) {
            const Index count_of_rows = std::min(most, map.rows - first);
            MapRows joined{1, count_of_rows * map.n, {}, {}, {}};
            for (std::size_t k = 0; k < count; ++k) {
                const Index size = static_cast<Index>(operands[k].element);
                const auto from = static_cast<const char*>(map.x[k]) + first * map.steps[k] * size;
                const bool in_order = map.steps[k] == (map.n & map.along[k]);
                joined.along[k] = in_order ? map.along[k] : -1;
                joined.x[k] = in_order ? from : written[k];
                if (in_order || (first > 0 && map.steps[k] == 0)) continue;
                const auto write = size == 1 ? write_rows<1> : size == 4 ? write_rows<4> : write_rows<8>;
                write(count_of_rows, map.n, from, map.steps[k], map.along[k], written[k]);
            }
            rows(f, joined, to + first * map.n * static_cast<Index>(element));
        }
    }

    [[gnu::noinline]] void run(const Shape& result) const {
        const Shape* shapes[max_operands];
        Index strides[max_operands];
        bool same = true;
        for (std::size_t k = 0; k < count; ++k) {
            shapes[k] = operands[k].shape;
            strides[k] = 1;
            same = same && *shapes[k] == result;
        }
        const bool stream = !in_place && simd::should_stream(result.numel() * static_cast<Index>(element));
        if (same) {  // the common case needs no plan
            parallel_for(result.numel(), even_block(result.numel(), parallel_grain, 64),
                         [&](Index begin, Index end) { part(begin, end, strides, stream); });
            return;
        }
        const BroadcastPlan plan(result, shapes, count);
        const Index inner = plan.sizes[0];
        if (plan.rank == 1) {
            parallel_for(inner, even_block(inner, parallel_grain, 64),
                         [&](Index begin, Index end) { part(begin, end, plan.strides[0], stream); });
        } else {
            const Index block = std::max<Index>(1, parallel_grain / std::max<Index>(inner, 1));
            parallel_for(inner == 0 ? 0 : result.numel() / inner, block,
                         [&](Index begin, Index end) { part(plan, begin, end); });
        }
    }

private:
    static constexpr Index joined_rows = 192;   // rows of fewer elements are joined
    static constexpr Index join_bytes = 16384;  // of one operand

    char* at(Index i) const { return static_cast<char*>(y) + i * static_cast<Index>(element); }

    void place(MapRows& map, std::size_t k, Index offset, Index stride) const {
        map.x[k] =
            static_cast<const char*>(operands[k].data) + offset * static_cast<Index>(operands[k].element);
        map.along[k] = -stride;
    }
};

template <class F, class R, class... Ts>
void map_into(const F& f, R* y, const Shape& shape, const std::array<Operand, sizeof...(Ts)>& operands,
              bool in_place = false) {
    static_assert(sizeof...(Ts) <= max_operands, "a map of more than 8 operands");
    const auto rows = [](const void* functor, const MapRows& map, void* out) {
        map_rows<F, R, Ts...>(*static_cast<const F*>(functor), map, static_cast<R*>(out),
                              std::index_sequence_for<Ts...>());
    };
    ErasedMap{&f, rows, y, sizeof(R), operands.data(), sizeof...(Ts), in_place}.run(shape);
}

[[gnu::noinline]] inline Shape broadcast_all(const char* operation, const Operand* operands,
                                             std::size_t count) {
    Shape shape = *operands[0].shape;
    for (std::size_t k = 1; k < count; ++k) shape = broadcast(operation, shape, *operands[k].shape);
    return shape;
}

/// A map of operands of one shape, if they are so few that they need nothing but the kernel itself.
template <class F, class R, class... Ts>
bool map_few([[maybe_unused]] const F& f, Tensor<R>& y, const Ts*... x) {
    if constexpr (is_vectorized<F, R, Ts...>) {
        constexpr Index most_lanes = 64 / sizeof(R);
        const Index n = y.numel();
        R* const out = y.mutable_data();
        if (n > parallel_grain) return false;
        if (n % most_lanes == 0) {
            MapPass<R> pass;  // the places of operands that are not there stay unwritten
            pass.end = n;
            pass.stream = false;
            pass.to = out;
            std::size_t k = 0;
            ((pass.from[k] = x, pass.along[k++] = -1), ...);
            run_passes<F, R, sizeof...(Ts)>(&f, &pass, 1);
        } else {
            MapRows map;
            map.rows = 1;
            map.n = n;
            std::size_t k = 0;
            ((map.x[k] = x, map.steps[k] = 0, map.along[k++] = -1), ...);
            map_rows<F, R, Ts...>(f, map, out, std::index_sequence_for<Ts...>());
        }
        return true;
    }
    return false;
}

template <class T>
Operand operand(const Tensor<T>& x) {
    return {x.data(), sizeof(T), &x.shape()};
}

}  // namespace detail

/// y = f(x...), element by element, operands broadcast against each other (ShapeError in the name of
/// `operation`).
template <class F, class T, class... Ts>
auto map([[maybe_unused]] const char* operation, const F& f, const Tensor<T>& x, const Tensor<Ts>&... xs) {
    using R = std::decay_t<decltype(f(std::declval<const T&>(), std::declval<const Ts&>()...))>;
    const bool same = ((xs.shape() == x.shape()) && ...);
    const auto operands = [&] { return std::array{detail::operand(x), detail::operand(xs)...}; };
    Tensor<R> y =
        same ? Tensor<R>::uninitialized(x.shape(), operation)
             : Tensor<R>::uninitialized(
                   detail::broadcast_all(operation, operands().data(), 1 + sizeof...(Ts)), operation);
    if (!(same && detail::map_few<F, R, T, Ts...>(f, y, x.data(), xs.data()...)))
        detail::map_into<F, R, T, Ts...>(f, y.mutable_data(), y.shape(), operands());
    return y;
}

/// y = f(y, x...) in the memory of y; every x has the shape of y or is broadcast to it.
template <class F, class T, class... Ts>
void map_in_place(const F& f, Tensor<T>& y, const Tensor<Ts>&... xs) {
    T* const out = y.mutable_data();
    if (!(((xs.shape() == y.shape()) && ...) && detail::map_few<F, T, T, Ts...>(f, y, out, xs.data()...)))
        detail::map_into<F, T, T, Ts...>(f, out, y.shape(), {detail::operand(y), detail::operand(xs)...},
                                         true);
}

}  // namespace gradus::kernels
