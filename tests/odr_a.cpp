// SPDX-License-Identifier: MIT
// One of two translation units that include everything; see odr_b.cpp.
#include <cstdio>

#include "gradus/gradus.hpp"

bool can_run_b();
gradus::Tensor<> squares_from_b(gradus::Index count);

int main() {
    if (!can_run_b()) return 77;  // ctest: skipped

    // The tensor crosses from code with one set of flags to code with another: layout and ownership must fit.
    gradus::Tensor<> squares = squares_from_b(100);
    gradus::Tensor<> expected = gradus::arange(100);
    for (float& value : expected.mutable_values()) value *= value;
    squares.mutable_at(0) += 0.0f;
    if (squares == expected) return 0;
    std::puts("the translation units disagree");
    return 1;
}
