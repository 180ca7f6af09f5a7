// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <type_traits>
#include <utility>

#include "gradus/core/bits.hpp"
#include "gradus/core/fork.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/ref_count.hpp"
#include "gradus/core/tensor.hpp"

namespace gradus {

/// Philox4x32-10: four random 32-bit words for a 64-bit key and a 128-bit counter, with no state in between.
/// So any number of a sequence can be computed alone, in any order, by any thread. Source: Salmon et al.,
/// "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
inline std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t high, std::uint64_t low) {
    auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    auto c0 = static_cast<std::uint32_t>(low), c1 = static_cast<std::uint32_t>(low >> 32);
    auto c2 = static_cast<std::uint32_t>(high), c3 = static_cast<std::uint32_t>(high >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0, p1 = std::uint64_t{0xCD9E8D57u} * c2;
        c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
        c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
        c1 = static_cast<std::uint32_t>(p1);
        c3 = static_cast<std::uint32_t>(p0);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {c0, c1, c2, c3};
}

/// A random sequence, named by a seed and a stream: element i is a pure function of (seed, stream, i).
struct RandomStream {
    std::uint64_t seed = 0;
    std::uint64_t stream = 0;

    std::array<std::uint32_t, 4> operator()(std::uint64_t i) const { return philox(seed, stream, i); }
};

/// Hands out streams: every random tensor takes the next one. Two generators with equal seeds give equal
/// tensors. Several threads may draw from one, copy it and assign to it: each gets a stream of the old or of
/// the new sequence, and none twice.
class Generator {
public:
    explicit Generator(std::uint64_t seed = 0) : next_{seed, 0} {}
    /// One that hands out `next` next: to go on where another stood, Generator({other.seed(), other.position()}).
    explicit Generator(const RandomStream& next) : next_(next) {}
    Generator(const Generator& other) : next_(other.peek()) {}
    Generator& operator=(const Generator& other) {
        const RandomStream next = other.peek();
        const detail::SpinLock lock(busy_);
        next_ = next;
        return *this;
    }

    RandomStream next() {
        const detail::SpinLock lock(busy_);
        return {next_.seed, next_.stream++};
    }

    std::uint64_t seed() const { return peek().seed; }
    std::uint64_t position() const { return peek().stream; }  // streams handed out so far

private:
    friend Generator& default_generator();

    RandomStream peek() const {
        const detail::SpinLock lock(busy_);
        return next_;
    }

    RandomStream next_;
    mutable std::atomic_flag busy_;
};

/// The generator that is used where none is given. Draws from several threads are safe, but their order, and
/// so their values, are then up to the scheduler: give each thread a Generator of its own.
inline Generator& default_generator() {
    static Generator generator;
    [[maybe_unused]] static const bool held =
        detail::hold_at_fork([]() -> std::atomic_flag& { return generator.busy_; });
    return generator;
}

/// Restarts the default generator: the same program then draws the same numbers again. A draw on another
/// thread comes before or after.
inline void manual_seed(std::uint64_t seed) { default_generator() = Generator(seed); }

namespace detail {

/// Uniform in [0, 1), every multiple of 2⁻²⁴ (float) or 2⁻⁵³ (double) equally likely.
template <class T>
T unit_uniform(std::uint32_t high, std::uint32_t low) {
    if constexpr (std::is_same_v<T, float>)
        return static_cast<float>(high >> 8) * 0x1p-24f;
    else
        return static_cast<T>(static_cast<double>((std::uint64_t{high} << 32 | low) >> 11) * 0x1p-53);
}

/// A draw of unit_uniform, for transforms that need a number above 0: 0 stands for all numbers below the
/// least step, and becomes the middle of them. (1 is never drawn.)
template <class T>
T above_zero(T u) {
    return u > 0 ? u : std::is_same_v<T, float> ? T(0x1p-25) : T(0x1p-54);
}

/// Fills a tensor from draw(words), which turns one Philox block into two elements.
template <class T, class Draw>
Tensor<T> random_tensor(const char* operation, const Shape& shape, const RandomStream& stream,
                        const Draw& draw) {
    Tensor<T> result = Tensor<T>::uninitialized(shape, operation);
    T* out = result.mutable_data();
    const Index size = shape.numel();
    parallel_for((size + 1) / 2, parallel_grain / 8, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
            const std::array<T, 2> pair = draw(stream(static_cast<std::uint64_t>(i)));
            out[2 * i] = pair[0];
            if (2 * i + 1 < size) out[2 * i + 1] = pair[1];
        }
    });
    return result;
}

}  // namespace detail

/// Independent uniform numbers in [low, high), or `low` if they are equal. Throws ValueError unless low <=
/// high and high - low is finite.
template <class T = float>
Tensor<T> uniform(const Shape& shape, std::type_identity_t<T> low, std::type_identity_t<T> high,
                  Generator& generator = default_generator()) {
    static_assert(std::is_floating_point_v<T>, "uniform numbers are floating-point; cast<T>() them");
    if (!(low <= high) || !std::isfinite(high - low))
        detail::raise<ValueError>("uniform", "needs low <= high, both finite and not too far apart", low,
                                  high);
    return detail::random_tensor<T>("uniform", shape, generator.next(), [=](const auto& words) {
        const T a = low + (high - low) * detail::unit_uniform<T>(words[0], words[1]);
        const T b = low + (high - low) * detail::unit_uniform<T>(words[2], words[3]);
        return std::array<T, 2>{a < high ? a : low, b < high ? b : low};  // rounding can reach `high`
    });
}

/// Independent normal numbers. Throws ValueError unless std is finite and >= 0.
/// Source: Box & Muller, "A note on the generation of random normal deviates", 1958.
template <class T = float>
Tensor<T> normal(const Shape& shape, std::type_identity_t<T> mean, std::type_identity_t<T> std,
                 Generator& generator = default_generator()) {
    static_assert(std::is_floating_point_v<T>, "normal numbers are floating-point; cast<T>() them");
    if (!(std >= 0) || !std::isfinite(std) || !std::isfinite(mean))
        detail::raise<ValueError>("normal", "needs a finite mean and a finite std >= 0", mean, std);
    return detail::random_tensor<T>("normal", shape, generator.next(), [=](const auto& words) {
        const double u = 1.0 - detail::unit_uniform<double>(words[0], words[1]);  // (0, 1]: log is finite
        const double angle = 2.0 * std::numbers::pi * detail::unit_uniform<double>(words[2], words[3]);
        const double radius = std::sqrt(-2.0 * std::log(u));
        return std::array<T, 2>{mean + std * static_cast<T>(radius * std::cos(angle)),
                                mean + std * static_cast<T>(radius * std::sin(angle))};
    });
}

/// Uniform numbers in [0, 1).
template <class T = float>
Tensor<T> rand(const Shape& shape, Generator& generator = default_generator()) {
    return uniform<T>(shape, T(0), T(1), generator);
}

/// Standard normal numbers.
template <class T = float>
Tensor<T> randn(const Shape& shape, Generator& generator = default_generator()) {
    return normal<T>(shape, T(0), T(1), generator);
}

/// The numbers 0 ... count-1 in random order, every order equally likely: shape [count].
/// Throws ShapeError if count is negative.
/// Source: Fisher & Yates; unbiased bounded numbers after Lemire, "Fast random integer generation in an
/// interval", 2019.
inline Tensor<Index> permutation(Index count, const RandomStream& stream) {
    Tensor<Index> result = arange<Index>(count);
    Index* order = result.mutable_data();
    std::uint64_t draws = 0;
    const auto below = [&](std::uint64_t bound) {
        for (;;) {
            const auto words = stream(draws++);
            const detail::Wide product =
                detail::wide_product(std::uint64_t{words[0]} << 32 | words[1], bound);
            if (product.low >= (0 - bound) % bound) return product.high;
        }
    };
    for (Index i = count - 1; i > 0; --i)
        std::swap(order[i], order[below(static_cast<std::uint64_t>(i) + 1)]);
    return result;
}

inline Tensor<Index> permutation(Index count, Generator& generator = default_generator()) {
    return permutation(count, generator.next());
}

}  // namespace gradus
