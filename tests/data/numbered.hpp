// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "gradus/core/tensor.hpp"

/// A set of which example i is the number i.
struct Numbers {
    gradus::Index count = 10;
    gradus::Index size() const { return count; }
    gradus::Tensor<gradus::Index> operator[](gradus::Index i) const {
        return gradus::full<gradus::Index>({}, i);
    }
};

/// The numbers in all batches of a range, in order.
template <class Range>
std::vector<gradus::Index> all_of(const Range& range) {
    std::vector<gradus::Index> result;
    for (const auto& batch : range) result.insert(result.end(), batch.begin(), batch.end());
    return result;
}
