// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "support/op_table.hpp"

// What the tests of steps that operations become together share.

namespace fusion {

/// together(x) is one operation of this name, and has the bits of apart(x), where every result has a name; so
/// without history. The gradients of both agree to `tolerance`. The inputs x are random, of these shapes.
template <class T, class Together, class Apart>
void check_same(const std::vector<gradus::Shape>& shapes, const std::string& name, T tolerance,
                const Together& together, const Apart& apart) {
    using gradus::Variable;
    gradus::Generator generator(5);
    std::vector<Variable<T>> a, b;
    for (const gradus::Shape& shape : shapes) {
        a.emplace_back(gradus::randn<T>(shape, generator), gradus::VariableOptions{true});
        b.emplace_back(a.back().value(), gradus::VariableOptions{true});
    }
    const Variable<T> one = together(a), several = apart(b);
    REQUIRE(one.operation() == name);
    CHECK(one.value() == several.value());
    const gradus::Tensor<T> dy = gradus::randn<T>(one.shape(), generator);
    one.backward({.gradient = dy});
    several.backward({.gradient = dy});
    for (std::size_t i = 0; i < a.size(); ++i) {
        INFO("gradient of input " << i);
        op_table::check_close("gradient", gradus::cast<double>(a[i].grad()),
                              gradus::cast<double>(b[i].grad()), static_cast<double>(tolerance), 1e-30);
    }
    const gradus::NoGrad guard;
    const Variable<T> constant = together(a);
    CHECK(constant.operation() == std::string("leaf"));
    CHECK(constant.value() == several.value());
}

}  // namespace fusion
