// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <vector>

#include "gradus/core/parallel.hpp"
#include "gradus/kernels/map.hpp"

namespace gradus::kernels {

/// One parameter in an optimizer step: `arrays` are its value, its gradient and the optimizer's state, of `size` numbers.
template <class T, std::size_t N>
struct UpdateSegment {
    Index size;
    std::array<T*, N> arrays;
};

namespace detail {

template <class F, class T>
struct UpdateKernel {
    template <int Bytes, std::size_t... I>
    GRADUS_INLINE static void loop(const F& f, Index n, const std::array<T*, sizeof...(I)>& x, std::index_sequence<I...>) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        using Pack = simd::Pack<T, lanes>;
        Index i = 0;
        for (; i + lanes <= n; i += lanes) {
            Pack v[sizeof...(I)] = {Pack::load(x[I] + i)...};
            f(v[I]...);
            (v[I].store(x[I] + i), ...);
        }
        if (i < n) {
            const int rest = static_cast<int>(n - i);
            Pack v[sizeof...(I)] = {Pack::load_partial(x[I] + i, rest)...};
            f(v[I]...);
            (v[I].store_partial(x[I] + i, rest), ...);
        }
    }

    template <int Bytes, std::size_t N>
    GRADUS_INLINE static void run(const F* f, Index n, std::array<T*, N> x) {
        loop<Bytes>(*f, n, x, std::make_index_sequence<N>());
    }
};

}  // namespace detail

/// Calls f(value, gradient, state...) on packs of every segment and stores what it changed: one pass over memory and one
/// parallel region for all parameters of a model.
template <class F, class T, std::size_t N>
void update(const F& f, const std::vector<UpdateSegment<T, N>>& segments) {
    constexpr Index block = 16384;
    struct Piece {
        std::size_t segment;
        Index begin;
    };
    std::vector<Piece> pieces;
    for (std::size_t s = 0; s < segments.size(); ++s)
        for (Index begin = 0; begin < segments[s].size; begin += block) pieces.push_back({s, begin});
    parallel_for(static_cast<Index>(pieces.size()), 1, [&](Index first, Index last) {
        for (Index i = first; i < last; ++i) {
            const Piece& piece = pieces[static_cast<std::size_t>(i)];
            const UpdateSegment<T, N>& segment = segments[piece.segment];
            std::array<T*, N> arrays = segment.arrays;
            for (T*& array : arrays) array += piece.begin;
            simd::run<detail::UpdateKernel<F, T>>(&f, std::min(block, segment.size - piece.begin), arrays);
        }
    });
}

}  // namespace gradus::kernels
