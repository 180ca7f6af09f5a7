// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"

namespace gradus::data {

struct ImageSize {
    Index height = 0, width = 0;

    bool operator==(const ImageSize&) const = default;
};

namespace detail {

/// One number of a line of `to` as a sum over the `from` numbers of the old line.
struct ResizeWeights {
    Index first;
    std::vector<double> weights;
};

/// A triangle of weights around each new pixel's middle, as wide as the pixel or its neighbor, whichever is larger.
[[gnu::cold]] inline std::vector<ResizeWeights> resize_weights(Index from, Index to) {
    const double scale = static_cast<double>(from) / static_cast<double>(to), radius = std::max(scale, 1.0);
    std::vector<ResizeWeights> result;
    for (Index i = 0; i < to; ++i) {
        const double middle = (static_cast<double>(i) + 0.5) * scale;
        const Index first = std::max<Index>(0, std::llround(middle - radius));
        const Index last = std::min<Index>(from, std::llround(middle + radius));
        ResizeWeights line{first, {}};
        double sum = 0;
        for (Index x = first; x < last; ++x) {
            line.weights.push_back(
                std::max(0.0, 1 - std::abs(static_cast<double>(x) + 0.5 - middle) / radius));
            sum += line.weights.back();
        }
        for (double& weight : line.weights) weight /= sum;
        result.push_back(std::move(line));
    }
    return result;
}

/// x [outer, from, inner] to [outer, to, inner], in double.
[[gnu::cold]] inline Tensor<double> resize_axis(const Tensor<double>& x, Index outer, Index inner, Index to) {
    const Index from = x.numel() / (outer * inner);
    const std::vector<ResizeWeights> lines = resize_weights(from, to);
    Tensor<double> result = zeros<double>({outer, to, inner});
    double* const out = result.mutable_data();
    parallel_for(outer, 1, [&, in = x.data()](Index begin, Index end) {
        for (Index o = begin; o < end; ++o)
            for (Index i = 0; i < to; ++i) {
                const ResizeWeights& line = lines[static_cast<std::size_t>(i)];
                double* const y = out + (o * to + i) * inner;
                const double* row = in + (o * from + line.first) * inner;
                for (const double weight : line.weights) {
                    for (Index j = 0; j < inner; ++j) y[j] += weight * row[j];
                    row += inner;
                }
            }
    });
    return result;
}

}  // namespace detail

/// Images [..., height, width] of another size: bilinear, and where they become smaller, weighed over all pixels that a
/// new one covers (antialiased), as torchvision's resize and Pillow's BILINEAR do. Integers are rounded to the nearest.
/// Throws ShapeError unless both sizes are at least 1.
template <class T>
[[gnu::cold]] Tensor<T> resize(const Tensor<T>& images, const ImageSize& size) {
    if (images.rank() < 2 || images.numel() == 0 || size.height < 1 || size.width < 1)
        gradus::detail::raise<ShapeError>("resize",
                                          "needs images [..., height, width] and a size of at least 1 x 1",
                                          images.shape(), Shape{size.height, size.width});
    const Index height = images.size(-2), width = images.size(-1), count = images.numel() / (height * width);
    const Shape shape =
        images.shape().with(images.rank() - 2, size.height).with(images.rank() - 1, size.width);
    if (height == size.height && width == size.width) return images;
    Tensor<double> x = detail::resize_axis(cast<double>(images), count * height, 1, size.width);
    x = detail::resize_axis(x, count, size.width, size.height);
    Tensor<T> result = Tensor<T>::uninitialized(shape);
    std::transform(x.begin(), x.end(), result.mutable_data(), [](double value) {
        if constexpr (std::is_integral_v<T>)
            return static_cast<T>(std::lround(value));
        else
            return static_cast<T>(value);
    });
    return result;
}

}  // namespace gradus::data
