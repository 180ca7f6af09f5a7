// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "gradus/core/parallel.hpp"
#include "gradus/kernels/map.hpp"

namespace gradus::kernels {

/// One parameter in an optimizer step: `arrays` are its value, its gradient (which is only read) and the
/// optimizer's state, of `size` numbers.
template <class T>
struct UpdateSegment {
    Index size;
    std::array<T*, 6> arrays;
};

namespace detail {

template <class F, class T>
struct UpdateKernel {
    static constexpr std::size_t gradient = 1;

    template <int Bytes, std::size_t... I>
    GRADUS_INLINE static void loop(const F& f, Index n, const std::array<T*, sizeof...(I)>& x,
                                   std::index_sequence<I...>) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        using Pack = simd::Pack<T, lanes>;
        for (Index i = 0; i < n; i += lanes) {  // one body for all packs: f is compiled once
            const bool whole = n - i >= lanes;
            const int rest = static_cast<int>(n - i) & (lanes - 1);
            Pack v[sizeof...(I)] = {whole ? Pack::load(x[I] + i) : Pack::load_partial(x[I] + i, rest)...};
            f(v[I]...);
            ((I == gradient ? void()
              : whole       ? v[I].store(x[I] + i)
                            : v[I].store_partial(x[I] + i, rest)),
             ...);
        }
    }

    template <int Bytes, std::size_t N>
    GRADUS_INLINE static void run(const F* f, Index n, std::array<T*, N> x) {
        loop<Bytes>(*f, n, x, std::make_index_sequence<N>());
    }
};

/// Calls run(f, n, arrays) for blocks of all segments, in parallel.
template <class T>
void for_update_blocks(const std::vector<UpdateSegment<T>>& segments, const void* f,
                       void (*run)(const void* f, Index n, const std::array<T*, 6>& arrays)) {
    constexpr Index block = 16384;
    struct Piece {
        std::size_t segment;
        Index begin;
    };
    std::vector<Piece> pieces;
    Index total = 0;
    for (std::size_t s = 0; s < segments.size(); total += segments[s++].size)
        for (Index begin = 0; begin < segments[s].size; begin += block) pieces.push_back({s, begin});
    const Index count = static_cast<Index>(pieces.size());
    parallel_for(count, total < parallel_grain ? count : 1, [&](Index first, Index last) {
        for (Index i = first; i < last; ++i) {
            const Piece& piece = pieces[static_cast<std::size_t>(i)];
            const UpdateSegment<T>& segment = segments[piece.segment];
            std::array<T*, 6> arrays = segment.arrays;
            for (T*& array : arrays)
                if (array) array += piece.begin;
            run(f, std::min(block, segment.size - piece.begin), arrays);
        }
    });
}

}  // namespace detail

/// Calls f(value, gradient, state...) on packs of every segment, with the first N arrays of each, and stores
/// what it changed: one pass over memory and one parallel region for all parameters of a model.
template <std::size_t N, class F, class T>
void update(const F& f, const std::vector<UpdateSegment<T>>& segments) {
    detail::for_update_blocks<T>(
        segments, &f, [](const void* functor, Index n, const std::array<T*, 6>& arrays) {
            std::array<T*, N> used;
            std::copy_n(arrays.begin(), N, used.begin());
            simd::run<detail::UpdateKernel<F, T>>(static_cast<const F*>(functor), n, used);
        });
}

}  // namespace gradus::kernels
