// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/data/augment.hpp"
#include "gradus/data/augment_images.hpp"
#include "gradus/data/augment_values.hpp"

// Operations of augment() that mix the examples of a batch in pairs, with soft labels: targets for
// cross_entropy().

namespace gradus::data {

struct MixupOptions {
    double alpha = 0.2;  // λ ~ Beta(alpha, alpha): near 0 or 1 if small, uniform if 1
    Index classes = 0;   // that labels [batch] stand for
};

struct CutmixOptions {
    double alpha = 1;
    Index classes = 0;
};

namespace detail {

/// A draw of a Gamma(alpha, 1), from blocks 2 n + offset of example i.
/// Source: Marsaglia & Tsang, "A simple method for generating gamma variables", 2000.
[[gnu::cold]] inline double gamma_draw(const Draws& draws, Index i, double alpha, std::uint32_t offset) {
    const double shape = alpha < 1 ? alpha + 1 : alpha, d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    for (std::uint32_t block = offset;; block += 4) {
        const double normal = static_cast<double>(normals(draws(i, block))[0]), t = 1 + c * normal,
                     v = t * t * t;
        const auto words = draws(i, block + 2);
        const double u = 1 - Draws::unit(words[0]);
        if (v <= 0 || std::log(u) >= normal * normal / 2 + d - d * v + d * std::log(v)) continue;
        return alpha < 1 ? d * v * std::pow(1 - Draws::unit(words[1]), 1 / alpha) : d * v;
    }
}

/// λ of example i: the share of itself that it keeps, Beta(alpha, alpha).
inline double beta_draw(const Draws& draws, Index i, double alpha) {
    const double a = gamma_draw(draws, i, alpha, 0), b = gamma_draw(draws, i, alpha, 1);
    return a + b > 0 ? a / (a + b) : Draws::unit(draws(i, 0)[0]) < 0.5 ? 0 : 1;
}

/// How many places behind each example its partner is: one number for the batch, as its first example draws
/// it.
inline Index partner_distance(const Draws& draws) {
    return draws.size() < 2 ? 0 : 1 + Draws::below(draws(0, ~std::uint32_t{0})[0], draws.size() - 1);
}

[[gnu::cold]] inline void check_mix(const char* operation, double alpha, Index classes) {
    if (!(alpha > 0) || !std::isfinite(alpha))
        gradus::detail::raise<ValueError>(operation, "alpha must be above 0", alpha);
    if (classes < 0) gradus::detail::raise<ValueError>(operation, "classes must be at least 1", classes);
}

/// Targets [batch, classes] of type T, from class numbers [batch].
template <class T>
Tensor<T> one_hot_rows(const char* operation, const Tensor<Index>& labels, Index classes) {
    if (classes == 0)
        gradus::detail::raise<ValueError>(operation,
                                          "set classes: how many there are, to mix labels [batch] of them");
    if (labels.rank() != 1)
        gradus::detail::raise<ShapeError>(operation, "labels are [batch]", labels.shape());
    Tensor<T> result = zeros<T>({labels.numel(), classes});
    T* out = result.mutable_data();
    for (const Index label : labels) {
        if (label < 0 || label >= classes)
            gradus::detail::raise<ValueError>(
                {operation, ": labels are 0 to ", classes - 1, ": got ", label});
        out[label] = 1;
        out += classes;
    }
    return result;
}
/// Targets may be mixed already.
template <class T>
Tensor<T> one_hot_rows(const char*, const Tensor<T>& targets, Index) {
    return targets;
}

/// λ_i x_i + (1 - λ_i) x_j, for the partner j of each i.
template <class T>
Tensor<T> mix_rows(const Tensor<T>& x, const Tensor<double>& lambda, Index distance) {
    Tensor<T> result = Tensor<T>::uninitialized(x.shape());
    if (x.numel() == 0) return result;
    T* out = result.mutable_data();
    const Index count = x.size(0), size = x.numel() / count;
    parallel_for(count, std::max<Index>(1, parallel_grain / size),
                 [&, in = x.data()](Index begin, Index end) {
                     for (Index i = begin; i < end; ++i) {
                         const T *a = in + i * size, *b = in + (i + distance) % count * size;
                         const auto keep = static_cast<T>(lambda.data()[i]),
                                    add = static_cast<T>(1 - lambda.data()[i]);
                         for (Index j = 0; j < size; ++j) out[i * size + j] = keep * a[j] + add * b[j];
                     }
                 });
    return result;
}

struct Mixup {
    MixupOptions options;

    template <class T, class Label>
    Batch<T, T> operator()(const Batch<T, Label>& batch, const Draws& draws) const {
        const Tensor<T> targets = one_hot_rows<T>("mixup", batch.labels, options.classes);
        Tensor<double> lambda = Tensor<double>::uninitialized({draws.size()});
        for (Index i = 0; i < draws.size(); ++i)
            lambda.mutable_data()[i] = beta_draw(draws, i, options.alpha);
        const Index distance = partner_distance(draws);
        return {mix_rows(batch.inputs, lambda, distance), mix_rows(targets, lambda, distance)};
    }
};

struct Cutmix {
    CutmixOptions options;

    template <class T, class Label>
    Batch<T, T> operator()(const Batch<T, Label>& batch, const Draws& draws) const {
        const ImageSizes sizes = image_sizes("cutmix", batch.inputs.shape(), draws);
        const Tensor<T> targets = one_hot_rows<T>("cutmix", batch.labels, options.classes);
        Tensor<double> lambda = Tensor<double>::uninitialized({sizes.count});
        double* kept = lambda.mutable_data();
        Tensor<T> images = batch.inputs;
        T* out = images.mutable_data();
        const Index distance = partner_distance(draws);
        parallel_for(sizes.count, sizes.block(), [&, in = batch.inputs.data()](Index begin, Index end) {
            for (Index i = begin; i < end; ++i)
                kept[i] = paste(out + i * sizes.numel(), in + (i + distance) % sizes.count * sizes.numel(),
                                sizes, draws, i);
        });
        return {std::move(images), mix_rows(targets, lambda, distance)};
    }

private:
    /// Copies a random part of one image to another. Returns the share of the other that is left.
    template <class T>
    double paste(T* to, const T* from, const ImageSizes& sizes, const Draws& draws, Index i) const {
        const double side = std::sqrt(1 - beta_draw(draws, i, options.alpha));
        const auto words = draws(i, ~std::uint32_t{0} - 1);
        const auto range = [&](Index size, std::uint32_t word) {
            const auto length = static_cast<Index>(side * static_cast<double>(size));
            const Index first = Draws::below(word, size) - length / 2;
            return std::pair(std::max<Index>(first, 0), std::min(first + length, size));
        };
        const auto rows = range(sizes.height, words[0]), columns = range(sizes.width, words[1]);
        for (Index c = 0; c < sizes.channels; ++c)
            for (Index y = rows.first; y < rows.second; ++y) {
                const Index row = c * sizes.pixels() + y * sizes.width;
                std::copy(from + row + columns.first, from + row + columns.second, to + row + columns.first);
            }
        const Index area = (rows.second - rows.first) * (columns.second - columns.first);
        return 1 - static_cast<double>(area) / static_cast<double>(std::max<Index>(1, sizes.pixels()));
    }
};

}  // namespace detail

/// Every example blended with another one of its batch: λ x_i + (1 - λ) x_j, and the same of the labels,
/// which become targets [batch, classes] for cross_entropy(). λ ~ Beta(alpha, alpha) is drawn for each
/// example; who is mixed with whom, for each batch. Works on Batch{inputs, labels}, with labels [batch] or
/// targets [batch, classes].
/// Throws ValueError unless alpha > 0, and for a label that is not 0 to classes - 1.
/// Source: Zhang et al., "mixup: beyond empirical risk minimization", 2018.
inline auto mixup(const MixupOptions& options) {
    detail::check_mix("mixup", options.alpha, options.classes);
    return detail::Mixup{options};
}

/// A rectangle of every image replaced by that of another one of its batch; the labels become targets [batch,
/// classes], in proportion to the areas. The rectangle has the share 1 - λ of both sides' product, λ ~
/// Beta(alpha, alpha), at a random place, cut off at the border. Works on Batch{inputs, labels} like mixup().
/// Throws as mixup() does, and ShapeError unless the inputs are images.
/// Source: Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable
/// features", 2019.
inline auto cutmix(const CutmixOptions& options) {
    detail::check_mix("cutmix", options.alpha, options.classes);
    return detail::Cutmix{options};
}

}  // namespace gradus::data
