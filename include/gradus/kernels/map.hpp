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

/// Base of functors that work on simd::Pack as well as on numbers: their loops are vectorised. Their call operator is a
/// GRADUS_INLINE template over the operand type.
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
inline constexpr bool is_vectorized = std::is_base_of_v<Vectorized, F> && std::is_floating_point_v<T> &&
                                      (std::is_same_v<T, Ts> && ...);

/// y[i] = f(x[i]...). The tail runs through the same code as the body, so an element's bits do not depend on where a
/// block begins.
template <class F, class T>
struct MapKernel {
    template <int Bytes, std::size_t... I>
    GRADUS_INLINE static void loop(const F& f, Index n, T* y, const std::array<const T*, sizeof...(I)>& x,
                                   std::index_sequence<I...>) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        using Pack = simd::Pack<T, lanes>;
        Index i = 0;
        for (; i + lanes <= n; i += lanes) f(Pack::load(x[I] + i)...).store(y + i);
        if (i == n) return;
        const int rest = static_cast<int>(n - i) & (lanes - 1);  // masked: else g++ warns of n > lanes
        f(Pack::load_partial(x[I] + i, rest)...).store_partial(y + i, rest);
    }

    template <int Bytes, std::size_t Count>
    GRADUS_INLINE static void run(const F* f, Index n, T* y, std::array<const T*, Count> x) {
        loop<Bytes>(*f, n, y, x, std::make_index_sequence<Count>());
    }
};

/// Elements for which a repeated operand is written out, so that one kernel serves operands that repeat and that do not.
inline constexpr Index repeat_block = 256;

/// One row of a map: vectorised if the functor and the types allow it.
template <class F, class R, class... Ts, std::size_t... I>
void map_row(const F& f, Index n, R* y, const std::tuple<const Ts*...>& x,
             const std::array<Index, sizeof...(Ts)>& strides, std::index_sequence<I...>) {
    if constexpr (is_vectorized<F, R, Ts...>) {
        std::array<const R*, sizeof...(Ts)> pointers{std::get<I>(x)...};
        if (((strides[I] == 1) && ...)) return simd::run<MapKernel<F, R>>(&f, n, y, pointers);
        std::array<std::array<R, repeat_block>, sizeof...(Ts)> repeated;
        for (std::size_t k = 0; k < sizeof...(Ts); ++k)
            if (strides[k] == 0) {
                std::fill_n(repeated[k].begin(), std::min(n, repeat_block), *pointers[k]);
                pointers[k] = repeated[k].data();
            }
        for (Index i = 0; i < n; i += repeat_block) {
            simd::run<MapKernel<F, R>>(&f, std::min(repeat_block, n - i), y + i, pointers);
            for (std::size_t k = 0; k < sizeof...(Ts); ++k) pointers[k] += strides[k] * repeat_block;
        }
    } else {
        for (Index i = 0; i < n; ++i) y[i] = f(std::get<I>(x)[i * strides[I]]...);
    }
}

/// How N operands walk over a broadcast result: neighbouring axes are merged as far as every operand allows.
template <std::size_t N>
struct BroadcastPlan {
    int rank = 0;
    Index sizes[Shape::max_rank];
    std::array<std::array<Index, N>, Shape::max_rank> strides;  // per axis and operand; 0 where an operand repeats

    BroadcastPlan(const Shape& result, const std::array<Shape, N>& shapes) {
        std::array<Index, N> step;
        step.fill(1);
        for (int axis = result.rank() - 1; axis >= 0; --axis) {  // innermost first
            const Index size = result[axis];
            if (size == 1) continue;
            std::array<Index, N> stride;
            bool merges = rank > 0;
            for (std::size_t k = 0; k < N; ++k) {
                const int own = axis - (result.rank() - shapes[k].rank());
                const bool repeats = own < 0 || shapes[k][own] == 1;
                stride[k] = repeats ? 0 : step[k];
                if (!repeats) step[k] *= size;
                if (rank > 0) merges = merges && stride[k] == strides[at(rank - 1)][k] * sizes[rank - 1];
            }
            if (merges) {
                sizes[rank - 1] *= size;
            } else {
                sizes[rank] = size;
                strides[at(rank++)] = stride;
            }
        }
        if (rank == 0) {
            sizes[0] = 1;
            strides[0].fill(0);
            rank = 1;
        }
    }

    /// Offset of each operand at the start of a row (a run along the innermost axis).
    std::array<Index, N> offsets(Index row) const {
        std::array<Index, N> result{};
        for (int axis = 1; axis < rank; ++axis) {
            const Index position = row % sizes[axis];
            row /= sizes[axis];
            for (std::size_t k = 0; k < N; ++k) result[k] += position * strides[at(axis)][k];
        }
        return result;
    }

private:
    static std::size_t at(int axis) { return static_cast<std::size_t>(axis); }
};

template <class F, class R, class... Ts, std::size_t... I>
void map_broadcast(const F& f, Tensor<R>& y, std::index_sequence<I...> each, const Tensor<Ts>&... x) {
    const BroadcastPlan<sizeof...(Ts)> plan(y.shape(), {x.shape()...});
    const Index inner = plan.sizes[0], rows = inner == 0 ? 0 : y.numel() / inner;
    R* const out = y.mutable_data();
    const auto run = [&](Index row, Index begin, Index end) {
        const auto offset = plan.offsets(row);
        const auto& stride = plan.strides[0];
        const std::tuple<const Ts*...> in{(x.data() + offset[I] + begin * stride[I])...};
        map_row(f, end - begin, out + row * inner + begin, in, stride, each);
    };
    if (rows == 1) {
        parallel_for(inner, parallel_grain, [&](Index begin, Index end) { run(0, begin, end); });
    } else {
        parallel_for(rows, std::max<Index>(1, parallel_grain / std::max<Index>(inner, 1)), [&](Index begin, Index end) {
            for (Index row = begin; row < end; ++row) run(row, 0, inner);
        });
    }
}

}  // namespace detail

/// y = f(x...), element by element, operands broadcast against each other (ShapeError in the name of `operation`).
template <class F, class T, class... Ts>
auto map([[maybe_unused]] const char* operation, const F& f, const Tensor<T>& x, const Tensor<Ts>&... xs) {
    using R = std::decay_t<decltype(f(std::declval<const T&>(), std::declval<const Ts&>()...))>;
    constexpr auto each = std::index_sequence_for<T, Ts...>();
    if ((... && (xs.shape() == x.shape()))) {
        Tensor<R> y = Tensor<R>::uninitialized(x.shape());
        R* const out = y.mutable_data();
        std::array<Index, sizeof...(Ts) + 1> strides;
        strides.fill(1);
        parallel_for(x.numel(), parallel_grain, [&](Index begin, Index end) {
            const std::tuple<const T*, const Ts*...> in{x.data() + begin, (xs.data() + begin)...};
            detail::map_row(f, end - begin, out + begin, in, strides, each);
        });
        return y;
    }
    Shape shape = x.shape();
    ((shape = broadcast(operation, shape, xs.shape())), ...);
    Tensor<R> y = Tensor<R>::uninitialized(shape);
    detail::map_broadcast(f, y, each, x, xs...);
    return y;
}

/// y = f(y, x...) in the memory of y; all of one shape.
template <class F, class T, class... Ts>
void map_in_place(const F& f, Tensor<T>& y, const Tensor<Ts>&... xs) {
    T* const out = y.mutable_data();
    std::array<Index, sizeof...(Ts) + 1> strides;
    strides.fill(1);
    parallel_for(y.numel(), parallel_grain, [&](Index begin, Index end) {
        const std::tuple<const T*, const Ts*...> in{out + begin, (xs.data() + begin)...};
        detail::map_row(f, end - begin, out + begin, in, strides, std::index_sequence_for<T, Ts...>());
    });
}

}  // namespace gradus::kernels
