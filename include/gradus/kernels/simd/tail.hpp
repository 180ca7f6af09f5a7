// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>

#include "gradus/core/shape.hpp"
#include "gradus/kernels/simd/shuffle.hpp"
#include "gradus/kernels/simd/vec.hpp"

// What is left where a row, or a strip of columns, does not fill its last vector. V is a Vec or a Single.

namespace gradus::simd {

/// True in the first `count` lanes.
template <class V>
GRADUS_INLINE typename V::Mask first_lanes(int count) {
    return iota<V>() < V(static_cast<typename V::Value>(count));
}

/// The end of a row of n numbers. Its last vector either begins behind the whole ones and reaches beyond the
/// row, or it ends with the row, and its first lanes are those of the vector before once more.
template <class V>
struct Tail {
    using T = typename V::Value;

    Index whole;  // numbers in whole vectors
    int rest;     // and behind them: 0 <= rest < V::size

    GRADUS_INLINE explicit Tail(Index n)
        : whole(n / V::size * V::size), rest(static_cast<int>(n % V::size)) {}

    /// The vector at `from`, behind the whole ones. Reads nothing from `end` on, where memory ends.
    GRADUS_INLINE V load(const T* from, const T* end) const {
        return end - from < V::size ? V::load_partial(from, rest) : V::load(from);
    }
    /// Writes it: beyond the row too, up to `end`, so rows are written in their order.
    GRADUS_INLINE void store(const V& x, T* to, const T* end) const {
        end - to < V::size ? x.store_partial(to, rest) : x.store(to);
    }
    /// Its lanes beyond the row become `fill`.
    GRADUS_INLINE V own(const V& x, const V& fill) const { return select(first_lanes<V>(rest), x, fill); }

    /// The vector that ends with the row: its lanes that were there before become `fill`. A whole vector, or
    /// a Single, stays as it is.
    template <bool Whole>
    GRADUS_INLINE V fresh(const V& x, const V& fill, std::bool_constant<Whole>) const {
        if constexpr (Whole || V::size == 1)
            return x;
        else
            return select(first_lanes<V>(V::size - rest), fill, x);
    }
};

/// Columns, up to `most` vectors of them at a time: `for (; !v.done(); v.next())`, where load and store are
/// for vectors k < v.count of a row. The last vector overlaps the one before; fewer columns than lanes are
/// loaded and stored in part.
template <class V>
struct ColumnVectors {
    using T = typename V::Value;
    static constexpr Index lanes = V::size;
    static constexpr int most = 4;

    Index columns, begin = 0;
    int count = 0;

    GRADUS_INLINE explicit ColumnVectors(Index all) : columns(all) { fit(); }
    GRADUS_INLINE bool done() const { return begin >= columns; }
    GRADUS_INLINE void next() {
        begin += count * lanes;
        fit();
    }
    GRADUS_INLINE V load(const T* row, int k) const {
        return columns < lanes ? V::load_partial(row, static_cast<int>(columns))
                               : V::load(row + begin + k * lanes);
    }
    GRADUS_INLINE void store(const V& x, T* row, int k) const {
        columns < lanes ? x.store_partial(row, static_cast<int>(columns)) : x.store(row + begin + k * lanes);
    }

private:
    GRADUS_INLINE void fit() {
        count = static_cast<int>(std::clamp<Index>((columns - begin) / lanes, 1, most));
        if (!done() && columns >= lanes) begin = std::min(begin, columns - lanes);
    }
};

}  // namespace gradus::simd
