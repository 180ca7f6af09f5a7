// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "gradus/kernels/reduce/reduce.hpp"

namespace gradus {

/// What a loss makes of its terms: their mean, their sum, or the terms themselves. `batchmean` divides the
/// sum by the batch size, the outermost axis; it is kl_div's alone, whose terms mean something only as a sum.
enum class Reduction { mean, sum, none, batchmean };

namespace detail {

/// False for the empty tensor that stands for none.
template <class T>
bool is_given(const Tensor<T>& optional) {
    return !(optional.shape() == Shape{0});
}

/// What the sum of the terms is divided by. Throws ValueError for `batchmean`, which few losses take.
template <class T>
T divisor(const char* operation, Reduction reduction, T of_mean) {
    gradus::detail::check<ValueError>(reduction != Reduction::batchmean, operation,
                                      "batchmean is a reduction of kl_div alone; take mean or sum");
    return reduction == Reduction::mean ? of_mean : T(1);
}

template <class T>
T sum_all(const Tensor<T>& x) {
    return kernels::reduce<kernels::SumOf>(x, (1u << x.rank()) - 1).item();
}

/// The value of a loss: its terms, or one number.
template <class T>
Tensor<T> reduced(const Tensor<T>& terms, Reduction reduction, T divisor) {
    return reduction == Reduction::none ? terms : full<T>({}, sum_all(terms) / divisor);
}

/// Where the i-th element is: "3" in a list, else "[0, 2]".
[[gnu::cold]] inline std::string position_text(const Shape& shape, Index i) {
    std::string text;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
        text = text_of({i % shape[axis], text.empty() ? "" : ", ", text});
        i /= shape[axis];
    }
    return shape.rank() == 1 ? text : text_of({"[", text, "]"});
}

}  // namespace detail
}  // namespace gradus
