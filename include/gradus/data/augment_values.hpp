// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <string>
#include <utility>

#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/data/augment.hpp"

// Operations of augment() that change values: on floating-point tensors [batch, ...] of any shape.

namespace gradus::data {

struct NoiseOptions {
    double std = 0.1;
};

struct JitterOptions {
    double amount = 0.2;  // the factor is 1 - amount to 1 + amount
};

namespace detail {

/// Calls change(values, count, i) for every example of a batch.
template <class T, class Change>
Tensor<T> change_examples(const char* operation, Tensor<T> x, const Draws& draws, const Change& change) {
    static_assert(std::is_floating_point_v<T>,
                  "this operation is for floating-point numbers: cast<float>() them first");
    if (x.rank() == 0 || x.size(0) != draws.size())
        gradus::detail::raise<ShapeError>({operation, ": needs one row for each of ", draws.size(),
                                           " examples: got ", to_string(x.shape())});
    if (x.numel() == 0) return x;
    T* data = x.mutable_data();
    const Index size = x.numel() / x.size(0);
    parallel_for(x.size(0), std::max<Index>(1, parallel_grain / 8 / size), [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) change(data + i * size, size, i);
    });
    return x;
}

/// Four standard normal numbers.
inline std::array<float, 4> normals(const std::array<std::uint32_t, 4>& words) {
    std::array<float, 4> result;
    for (std::size_t i = 0; i < 4; i += 2) {
        const float u =
            (static_cast<float>(words[i] >> 8) + 0.5f) * 0x1p-24f;  // above 0: the logarithm is finite
        const float angle =
            static_cast<float>(words[i + 1] >> 8) * (0x1p-24f * 2 * std::numbers::pi_v<float>);
        const float radius = std::sqrt(-2 * std::log(u));
        result[i] = radius * std::cos(angle);
        result[i + 1] = radius * std::sin(angle);
    }
    return result;
}

struct GaussianNoise {
    double std;

    template <class T>
    Tensor<T> operator()(Tensor<T> x, const Draws& draws) const {
        return change_examples("gaussian_noise", std::move(x), draws, [&](T* values, Index count, Index i) {
            for (Index at = 0; at < count; at += 4) {
                const auto four = normals(draws(i, static_cast<std::uint32_t>(at / 4)));
                for (Index j = 0; j < std::min<Index>(4, count - at); ++j)
                    values[at + j] += static_cast<T>(std) * static_cast<T>(four[static_cast<std::size_t>(j)]);
            }
        });
    }
};

struct RandomBrightness {
    double amount;

    template <class T>
    Tensor<T> operator()(Tensor<T> x, const Draws& draws) const {
        return change_examples(
            "random_brightness", std::move(x), draws, [&](T* values, Index count, Index i) {
                const auto factor = static_cast<T>(1 + Draws::around_zero(draws(i)[0], amount));
                for (Index j = 0; j < count; ++j) values[j] *= factor;
            });
    }
};

struct RandomContrast {
    double amount;

    template <class T>
    Tensor<T> operator()(Tensor<T> x, const Draws& draws) const {
        return change_examples("random_contrast", std::move(x), draws, [&](T* values, Index count, Index i) {
            const auto factor = static_cast<T>(1 + Draws::around_zero(draws(i)[0], amount));
            double sum = 0;
            for (Index j = 0; j < count; ++j) sum += static_cast<double>(values[j]);
            const auto mean = static_cast<T>(sum / static_cast<double>(count));
            for (Index j = 0; j < count; ++j) values[j] = mean + (values[j] - mean) * factor;
        });
    }
};

inline double check_amount(const char* operation, double amount) {
    if (!(amount >= 0 && amount <= 1))
        gradus::detail::raise<ValueError>(operation, "amount must be 0 to 1", amount);
    return amount;
}

}  // namespace detail

/// x + std · n, with independent standard normal numbers n. Throws ValueError unless std is finite and >= 0.
inline auto gaussian_noise(const NoiseOptions& options = {}) {
    if (!(options.std >= 0) || !std::isfinite(options.std))
        gradus::detail::raise<ValueError>("gaussian_noise", "std must be finite and at least 0", options.std);
    return detail::GaussianNoise{options.std};
}

/// x · f, with a random factor f for each example: before inputs are standardized, where 0 is black.
/// Throws ValueError unless amount is 0 to 1.
inline auto random_brightness(const JitterOptions& options = {}) {
    return detail::RandomBrightness{detail::check_amount("random_brightness", options.amount)};
}

/// m + (x - m) · f, with the mean m of each example and a random factor f. Throws ValueError unless amount is
/// 0 to 1.
inline auto random_contrast(const JitterOptions& options = {}) {
    return detail::RandomContrast{detail::check_amount("random_contrast", options.amount)};
}

}  // namespace gradus::data
