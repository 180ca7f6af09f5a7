// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <utility>

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/elementwise/dropout.hpp"

namespace gradus {

/// Each element becomes 0 with probability p and is scaled by 1 / (1 − p) otherwise, so that the mean stays.
/// What is dropped is 0 even where x is NaN or infinite. p = 0 gives x itself, p = 1 zeros (and so
/// does what p · 2³² rounds up to that).
///     dx = dy / (1 − p) where the element was kept, else 0
/// Takes one stream of the generator, whatever p is: element i is dropped if word i mod 4 of block i / 4 is
/// below p · 2³². The same bits for any number of threads.
/// Throws ValueError unless p is in [0, 1].
/// Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
template <class T>
Variable<T> dropout(const Variable<T>& x, double p, Generator& generator = default_generator()) {
    if (!(p >= 0 && p <= 1)) detail::raise<ValueError>("dropout", "the probability must be in [0, 1]", p);
    const RandomStream stream = generator.next();
    if (p == 0) return x;
    const double threshold = std::nearbyint(p * 0x1p32), scale = 1 / (1 - p);
    if (threshold == 0x1p32)  // also a p so near to 1 that not one word in 2³² is above it
        return record("dropout", zeros<T>(x.shape()),
                      wrt(x, [shape = x.shape()](const Tensor<T>&) { return zeros<T>(shape); }));
    auto [y, mask] = kernels::dropout(x.value(), stream, static_cast<std::uint32_t>(threshold), scale);
    return record("dropout", std::move(y), wrt(x, [kept = std::move(mask), scale](const Tensor<T>& dy) {
                      return kernels::dropout_backward(dy, kept, scale);
                  }));
}

}  // namespace gradus
