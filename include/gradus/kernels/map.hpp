// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "gradus/core/dual.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/simd.hpp"

/// Loops over memory that know nothing of gradients. Shapes are checked by the callers in ops/.
namespace gradus::kernels {

/// Base of functors that work on simd::Pack as well as on numbers: their loops are vectorised. Their call
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

/// The most operands of one map.
inline constexpr std::size_t max_operands = 8;

namespace detail {

template <class F, class T, class... Ts>
inline constexpr bool is_vectorized = std::is_base_of_v<Vectorized, F>&& std::is_floating_point_v<T> &&
                                      (std::is_same_v<T, Ts> && ...);

/// y[i] = f(x[i]...). The tail runs through the same code as the body, so an element's bits do not depend on
/// where a block begins.
template <class F, class T>
struct MapKernel {
    template <int Bytes, std::size_t... I>
    GRADUS_INLINE static void loop(const F& f, Index n, T* y, const std::array<const T*, sizeof...(I)>& x,
                                   std::index_sequence<I...>) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        using Pack = simd::Pack<T, lanes>;
        for (Index i = 0; i < n; i += lanes) {  // one body for all packs: f is compiled once
            const bool whole = n - i >= lanes;
            const int rest = static_cast<int>(n - i) & (lanes - 1);
            const Pack result = f((whole ? Pack::load(x[I] + i) : Pack::load_partial(x[I] + i, rest))...);
            if (whole) [[likely]]
                result.store(y + i);
            else
                result.store_partial(y + i, rest);
        }
    }

    template <int Bytes, std::size_t Count>
    GRADUS_INLINE static void run(const F* f, Index n, T* y, std::array<const T*, Count> x) {
        loop<Bytes>(*f, n, y, x, std::make_index_sequence<Count>());
    }
};

/// Elements for which a repeated operand is written out, so that one kernel serves operands that repeat and
/// that do not.
inline constexpr Index repeat_block = 256;

/// One row of a map, y[i] = f(x[i * stride]...) with strides of 0 or 1: all that is compiled anew for every
/// functor.
template <class F, class R, class... Ts, std::size_t... I>
void map_row(const F& f, Index n, R* y, const void* const* x, const Index* strides,
             std::index_sequence<I...>) {
    if constexpr (is_vectorized<F, R, Ts...>) {
        std::array<const R*, sizeof...(Ts)> in{static_cast<const R*>(x[I])...};
        if (((strides[I] == 1) && ...)) return simd::run<MapKernel<F, R>>(&f, n, y, in);
        std::array<std::array<R, repeat_block>, sizeof...(Ts)> repeated;
        for (std::size_t k = 0; k < sizeof...(Ts); ++k)
            if (strides[k] == 0) {
                std::fill_n(repeated[k].begin(), std::min(n, repeat_block), *in[k]);
                in[k] = repeated[k].data();
            }
        for (Index i = 0; i < n; i += repeat_block) {
            simd::run<MapKernel<F, R>>(&f, std::min(repeat_block, n - i), y + i, in);
            for (std::size_t k = 0; k < sizeof...(Ts); ++k) in[k] += strides[k] * repeat_block;
        }
    } else {
        for (Index i = 0; i < n; ++i) y[i] = f(static_cast<const Ts*>(x[I])[i * strides[I]]...);
    }
}

/// How operands walk over a broadcast result: neighbouring axes are merged as far as every operand allows.
struct BroadcastPlan {
    int rank = 0;
    std::size_t count;
    Index sizes[Shape::max_rank];  // innermost first
    Index strides[Shape::max_rank]
                 [max_operands];  // in elements, per axis and operand; 0 where an operand repeats

    BroadcastPlan(const Shape& result, const Shape* const* shapes, std::size_t operands) : count(operands) {
        Index step[max_operands];
        std::fill_n(step, count, Index{1});
        for (int axis = result.rank() - 1; axis >= 0; --axis) {
            const Index size = result[axis];
            if (size == 1) continue;
            Index stride[max_operands];
            bool merges = rank > 0;
            for (std::size_t k = 0; k < count; ++k) {
                const int own = axis - (result.rank() - shapes[k]->rank());
                const bool repeats = own < 0 || (*shapes[k])[own] == 1;
                stride[k] = repeats ? 0 : step[k];
                if (!repeats) step[k] *= size;
                if (rank > 0) merges = merges && stride[k] == strides[rank - 1][k] * sizes[rank - 1];
            }
            if (merges) {
                sizes[rank - 1] *= size;
            } else {
                sizes[rank] = size;
                std::copy_n(stride, count, strides[rank++]);
            }
        }
        if (rank == 0) {
            sizes[0] = 1;
            std::fill_n(strides[0], count, Index{0});
            rank = 1;
        }
    }

    /// Offset of each operand at the start of a row (a run along the innermost axis).
    void offsets(Index row, Index* result) const {
        std::fill_n(result, count, Index{0});
        for (int axis = 1; axis < rank; ++axis) {
            const Index position = row % sizes[axis];
            row /= sizes[axis];
            for (std::size_t k = 0; k < count; ++k) result[k] += position * strides[axis][k];
        }
    }
};

/// One operand of a map, whatever its type.
struct Operand {
    const void* data;
    std::size_t element;  // bytes
    const Shape* shape;
};

/// A map with the types of functor and elements erased: compiled once for the whole program.
struct ErasedMap {
    const void* f;
    void (*row)(const void* f, Index n, void* y, const void* const* x, const Index* strides);
    void* y;
    std::size_t element;  // bytes of one element of y
    const Operand* operands;
    std::size_t count;

    /// Elements [begin, end) of a row whose first element is y[first], from where `offsets` says.
    void part(Index first, Index begin, Index end, const Index* offsets, const Index* strides) const {
        const void* x[max_operands];
        for (std::size_t k = 0; k < count; ++k)
            x[k] = static_cast<const char*>(operands[k].data) +
                   static_cast<std::size_t>(offsets[k] + begin * strides[k]) * operands[k].element;
        row(f, end - begin, static_cast<char*>(y) + static_cast<std::size_t>(first + begin) * element, x,
            strides);
    }

    void run(const Shape& result) const {
        const Shape* shapes[max_operands];
        bool same = true;
        for (std::size_t k = 0; k < count; ++k) {
            shapes[k] = operands[k].shape;
            same = same && *shapes[k] == result;
        }
        const Index offsets[max_operands] = {};
        if (same) {  // the common case needs no plan
            Index strides[max_operands];
            std::fill_n(strides, count, Index{1});
            parallel_for(result.numel(), parallel_grain,
                         [&](Index begin, Index end) { part(0, begin, end, offsets, strides); });
            return;
        }
        const BroadcastPlan plan(result, shapes, count);
        const Index inner = plan.sizes[0], rows = inner == 0 ? 0 : result.numel() / inner;
        if (rows == 1) {
            parallel_for(inner, parallel_grain,
                         [&](Index begin, Index end) { part(0, begin, end, offsets, plan.strides[0]); });
        } else {
            const Index block = std::max<Index>(1, parallel_grain / std::max<Index>(inner, 1));
            parallel_for(rows, block, [&](Index begin, Index end) {
                Index at[max_operands];
                for (Index i = begin; i < end; ++i) {
                    plan.offsets(i, at);
                    part(i * inner, 0, inner, at, plan.strides[0]);
                }
            });
        }
    }
};

template <class F, class R, class... Ts>
void map_into(const F& f, R* y, const Shape& shape, const std::array<Operand, sizeof...(Ts)>& operands) {
    static_assert(sizeof...(Ts) <= max_operands, "a map of more than 8 operands");
    const auto row = [](const void* functor, Index n, void* out, const void* const* x, const Index* strides) {
        map_row<F, R, Ts...>(*static_cast<const F*>(functor), n, static_cast<R*>(out), x, strides,
                             std::index_sequence_for<Ts...>());
    };
    ErasedMap{&f, row, y, sizeof(R), operands.data(), sizeof...(Ts)}.run(shape);
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
        if (y.numel() > parallel_grain) return false;
        simd::run<MapKernel<F, R>>(&f, y.numel(), y.mutable_data(),
                                   std::array<const R*, sizeof...(Ts)>{x...});
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
    Tensor<R> y = Tensor<R>::uninitialized(
        same ? x.shape() : detail::broadcast_all(operation, operands().data(), 1 + sizeof...(Ts)));
    if (!(same && detail::map_few<F, R, T, Ts...>(f, y, x.data(), xs.data()...)))
        detail::map_into<F, R, T, Ts...>(f, y.mutable_data(), y.shape(), operands());
    return y;
}

/// y = f(y, x...) in the memory of y; every x has the shape of y or is broadcast to it.
template <class F, class T, class... Ts>
void map_in_place(const F& f, Tensor<T>& y, const Tensor<Ts>&... xs) {
    T* const out = y.mutable_data();
    if (!(((xs.shape() == y.shape()) && ...) && detail::map_few<F, T, T, Ts...>(f, y, out, xs.data()...)))
        detail::map_into<F, T, T, Ts...>(f, out, y.shape(), {detail::operand(y), detail::operand(xs)...});
}

}  // namespace gradus::kernels
