// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>

#include "gradus/kernels/gemm/microkernel.hpp"

// Winograd's minimal filtering F(4 x 4, 3 x 3) and F(4 x 4, 5 x 5): the transforms, of channel-packed tiles.
//
// Along one axis, 4 outputs of a filter g of r taps come from r + 3 inputs d. A product of polynomials is
// known from its values at as many points as it has coefficients, and the values of a product are products of
// values. So instead of 4 r products, r + 3: with the points 0, p, -p, q, -q, ... and infinity (the highest
// power alone),
//
//     y = Aᵀ [(G g) . (Bᵀ d)],    A[i][k] = pᵢᵏ,    G[i][k] = pᵢᵏ / Πⱼ (pᵢ - pⱼ),    Bᵀ[i] = Πⱼ (x - pⱼ)
//
// with j over the finite points other than i. Along both axes, y = Aᵀ [(G g Gᵀ) . (Bᵀ d B)] A: 36 products
// for 16 outputs of 3 x 3 taps instead of 144, and 64 instead of 400 for 5 x 5. Both gradients are transposes
// of the same formula:
//
//     dd = B [(G g Gᵀ) . (A dy Aᵀ)] Bᵀ,          dg = Gᵀ [(Bᵀ d B) . (A dy Aᵀ)] G
//
// The points decide the rounding error. For 3 taps and the usual points 0, ±1, ±2, the largest error in float
// is seven to eleven times that of direct summation; with ±3/4 and ±3/2 it is about twice. For 5 taps, 0, ±1,
// ±2, ±1/2 keep it at about five times.
//
// Lavin & Gray, "Fast algorithms for convolutional neural networks", 2015 (the algorithm for images and
// channels); Winograd, "Arithmetic complexity of computations", 1980; on points, Barabasz et al., "Error
// analysis and improving the accuracy of Winograd convolution for deep neural networks", 2020.

namespace gradus::kernels::detail::winograd {

inline constexpr Index tile_outputs = 4;  // outputs of a tile, along one axis

/// Products that are added up one after the other. The sums of such runs are added up in turn: for 3 x 3 taps
/// and many channels, that halves the error.
inline constexpr Index short_run = 32;

/// The points 0, p, -p for each p of `positive`, and infinity; and the polynomials that vanish at them.
template <std::size_t Taps>
struct InterpolationPoints {
    static_assert(Taps == 3 || Taps == 5);
    static constexpr std::size_t pairs = (Taps + 1) / 2, count = Taps + 3;
    static constexpr std::array<double, 3> positive =
        Taps == 3 ? std::array{0.75, 1.5, 0.0} : std::array{1.0, 2.0, 0.5};

    using Polynomial = std::array<double, pairs + 1>;  // coefficients, from the lowest

    /// Π (t - p²) over all pairs but `left_out`.
    static constexpr Polynomial product(std::size_t left_out) {
        Polynomial c{1};
        for (std::size_t k = 0; k < pairs; ++k) {
            if (k == left_out) continue;
            const double root = positive[k] * positive[k];
            for (std::size_t i = pairs; i > 0; --i) c[i] = c[i - 1] - root * c[i];
            c[0] *= -root;
        }
        return c;
    }
    static constexpr std::array<Polynomial, pairs> make_others() {
        std::array<Polynomial, pairs> result{};
        for (std::size_t k = 0; k < pairs; ++k) result[k] = product(k);
        return result;
    }

    static constexpr Polynomial all = product(pairs);
    static constexpr std::array<Polynomial, pairs> others = make_others();

    /// 1 / Πⱼ (pᵢ - pⱼ) for ± pair k; for the point 0 it is 1 / all[0].
    static constexpr double scale(std::size_t k) {
        const double square = positive[k] * positive[k];
        double divisor = 2 * square;
        for (std::size_t l = 0; l < pairs; ++l)
            if (l != k) divisor *= square - positive[l] * positive[l];
        return 1 / divisor;
    }
};

// Each transform along one axis, `from` numbers `to` others. What belongs to the points p and -p shares its
// even and its odd powers.

/// Bᵀ: r + 3 inputs to values at the points. Row ±p is x (x ± p) Π (x² - q²) over the other pairs.
template <std::size_t Taps>
struct InputTransform {
    using P = InterpolationPoints<Taps>;
    static constexpr std::size_t from = P::count, to = P::count, shared = Taps - 1, overlap = 0;

    template <class Vec>
    GRADUS_INLINE static void run(const Vec* x, Vec* y) {
        y[0] = every_second<P::pairs + 1>(P::all, x);
        y[P::count - 1] = every_second<P::pairs + 1>(P::all, x + 1);
#pragma GCC unroll 3
        for (std::size_t k = 0; k < P::pairs; ++k) {
            const Vec even = every_second<P::pairs>(P::others[k], x + 2);
            const Vec odd = every_second<P::pairs>(P::others[k], x + 1);
            using T = typename Vec::Value;
            y[2 * k + 1] = fma(static_cast<T>(P::positive[k]), odd, even);
            y[2 * k + 2] = fma(static_cast<T>(-P::positive[k]), odd, even);
        }
    }

    /// Σ c[i] x[2 i].
    template <std::size_t N, class Vec>
    GRADUS_INLINE static Vec every_second(const typename P::Polynomial& c, const Vec* x) {
        Vec sum = x[2 * N - 2];  // the highest coefficient is 1
#pragma GCC unroll 4
        for (std::size_t i = 2; i <= N; ++i)
            sum = fma(static_cast<typename Vec::Value>(c[N - i]), x[2 * (N - i)], sum);
        return sum;
    }
};

/// B. What it makes of neighboring tiles overlaps, and is added up.
template <std::size_t Taps>
struct InputAdjoint {
    using P = InterpolationPoints<Taps>;
    static constexpr std::size_t from = P::count, to = P::count, shared = 0, overlap = Taps - 1;

    template <class Vec>
    GRADUS_INLINE static void run(const Vec* x, Vec* y) {
        using T = typename Vec::Value;
        Vec sum[P::pairs], difference[P::pairs];
#pragma GCC unroll 3
        for (std::size_t k = 0; k < P::pairs; ++k) {
            sum[k] = x[2 * k + 1] + x[2 * k + 2];
            difference[k] = static_cast<T>(P::positive[k]) * (x[2 * k + 1] - x[2 * k + 2]);
        }
#pragma GCC unroll 4
        for (std::size_t i = 0; i <= P::pairs; ++i) {
            y[2 * i] = static_cast<T>(P::all[i]) * x[0];
            y[2 * i + 1] = static_cast<T>(P::all[i]) * x[P::count - 1];
#pragma GCC unroll 3
            for (std::size_t k = 0; k < P::pairs; ++k) {
                if (i > 0) y[2 * i] = fma(static_cast<T>(P::others[k][i - 1]), sum[k], y[2 * i]);
                if (i < P::pairs)
                    y[2 * i + 1] = fma(static_cast<T>(P::others[k][i]), difference[k], y[2 * i + 1]);
            }
        }
    }
};

/// The powers of the points that make up A, or G if they are divided by Πⱼ (pᵢ - pⱼ).
template <std::size_t Taps, std::size_t Size, bool Divided>
struct Powers {
    using P = InterpolationPoints<Taps>;
    using Row = std::array<double, Size>;

    static constexpr double at_zero = Divided ? 1 / P::all[0] : 1;
    static constexpr std::array<Row, P::pairs> make_powers() {
        std::array<Row, P::pairs> result{};
        for (std::size_t k = 0; k < P::pairs; ++k) {
            double power = Divided ? P::scale(k) : 1;
            for (std::size_t i = 0; i < Size; ++i, power *= P::positive[k]) result[k][i] = power;
        }
        return result;
    }
    static constexpr std::array<Row, P::pairs> powers = make_powers();
};

/// A or G: the values at the points of polynomials with Size coefficients.
template <std::size_t Taps, std::size_t Size, bool Divided>
struct Evaluation {
    using P = InterpolationPoints<Taps>;
    using V = Powers<Taps, Size, Divided>;
    static constexpr std::size_t from = Size, to = P::count, shared = 0, overlap = 0;

    template <class Vec>
    GRADUS_INLINE static void run(const Vec* x, Vec* y) {
        using T = typename Vec::Value;
        y[0] = static_cast<T>(V::at_zero) * x[0];
        y[P::count - 1] = x[Size - 1];
#pragma GCC unroll 3
        for (std::size_t k = 0; k < P::pairs; ++k) {
            Vec even = static_cast<T>(V::powers[k][0]) * x[0];
            Vec odd = static_cast<T>(V::powers[k][1]) * x[1];
#pragma GCC unroll 4
            for (std::size_t i = 2; i < Size; ++i)
                (i % 2 == 0 ? even : odd) =
                    fma(static_cast<T>(V::powers[k][i]), x[i], i % 2 == 0 ? even : odd);
            y[2 * k + 1] = even + odd;
            y[2 * k + 2] = even - odd;
        }
    }
};

/// Aᵀ or Gᵀ.
template <std::size_t Taps, std::size_t Size, bool Divided>
struct EvaluationAdjoint {
    using P = InterpolationPoints<Taps>;
    using V = Powers<Taps, Size, Divided>;
    static constexpr std::size_t from = P::count, to = Size, shared = 0, overlap = 0;

    template <class Vec>
    GRADUS_INLINE static void run(const Vec* x, Vec* y) {
        using T = typename Vec::Value;
        Vec even[P::pairs], odd[P::pairs];
#pragma GCC unroll 3
        for (std::size_t k = 0; k < P::pairs; ++k) {
            even[k] = x[2 * k + 1] + x[2 * k + 2];
            odd[k] = x[2 * k + 1] - x[2 * k + 2];
        }
#pragma GCC unroll 5
        for (std::size_t i = 0; i < Size; ++i) {
            const Vec* const side = i % 2 == 0 ? even : odd;
            Vec sum = static_cast<T>(V::powers[0][i]) * side[0];
#pragma GCC unroll 2
            for (std::size_t k = 1; k < P::pairs; ++k)
                sum = fma(static_cast<T>(V::powers[k][i]), side[k], sum);
            if (i == 0) sum = fma(static_cast<T>(V::at_zero), x[0], sum);
            y[i] = i == Size - 1 ? sum + x[P::count - 1] : sum;
        }
    }
};

template <std::size_t Taps>
using OutputTransform = EvaluationAdjoint<Taps, 4, false>;  // Aᵀ
template <std::size_t Taps>
using OutputAdjoint = Evaluation<Taps, 4, false>;  // A
template <std::size_t Taps>
using WeightTransform = Evaluation<Taps, Taps, true>;  // G
template <std::size_t Taps>
using WeightAdjoint = EvaluationAdjoint<Taps, Taps, true>;  // Gᵀ

/// TileMatrices of panels of channels: element (i, j) of number n at data[i * row + j * column + n * item].
template <class T>
struct TileMatrices {
    T* data;
    Index row, column, item;
};

/// to = M from Mᵀ for `count` matrices and `vectors` (1 or 2) vectors of channels; plus `bias` [panel],
/// unless it is null, where M is Aᵀ. The last `shared` columns of a matrix are the first ones of the next.
/// The first `overlap` rows and columns of a result are added to what is there.
template <class T, class Map>
struct TransformKernel {
    TileMatrices<const T> from;
    TileMatrices<T> to;
    Index count, vectors;
    const T* bias;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr std::size_t in = Map::from, out = Map::to, shared = Map::shared;
        Vec middles[2][out][in], x[in], y[out];
        for (Index n = 0; n < count; ++n, from.data += from.item, to.data += to.item)
            for (Index p = 0; p < vectors; ++p) {
                const Index lane = p * Vec::size;
                Vec(&middle)[out][in] = middles[p];
                if (shared > 0 && n > 0)
                    for (std::size_t i = 0; i < out; ++i)
#pragma GCC unroll 4
                        for (std::size_t j = 0; j < shared; ++j) middle[i][j] = middle[i][in - shared + j];
                for (std::size_t j = n > 0 ? shared : 0; j < in; ++j) {
                    const T* at = from.data + static_cast<Index>(j) * from.column + lane;
#pragma GCC unroll 8
                    for (std::size_t i = 0; i < in; ++i, at += from.row) x[i] = Vec::load(at);
                    Map::run(x, y);
#pragma GCC unroll 8
                    for (std::size_t i = 0; i < out; ++i) middle[i][j] = y[i];
                }
                const Vec added = bias ? Vec::load(bias + lane) : Vec(T(0));
                for (std::size_t i = 0; i < out; ++i) {
                    Map::run(middle[i], y);
                    T* at = to.data + static_cast<Index>(i) * to.row + lane;
#pragma GCC unroll 8
                    for (std::size_t j = 0; j < out; ++j, at += to.column) {
                        if constexpr (out == static_cast<std::size_t>(tile_outputs)) y[j] = y[j] + added;
                        if (j < Map::overlap || i < Map::overlap) y[j] = y[j] + Vec::load(at);
                        y[j].store(at);
                    }
                }
            }
    }
};

/// The same for the instruction set in use.
template <class Map, class T>
void transform(TileMatrices<const T> from, TileMatrices<T> to, Index count, Index vectors,
               const T* bias = nullptr) {
    simd::run(TransformKernel<T, Map>{from, to, count, vectors, bias});
}

}  // namespace gradus::kernels::detail::winograd
