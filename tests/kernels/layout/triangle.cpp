// SPDX-License-Identifier: MIT
#include "gradus/kernels/layout/triangle.hpp"

#include "support/test.hpp"

using namespace gradus;

TEST_CASE("triangle kernel: every diagonal of matrices of every form") {
    for (const Shape& shape : {Shape{3, 3}, Shape{2, 5}, Shape{5, 2}, Shape{2, 3, 1}, Shape{1, 1}})
        for (Index diagonal = -7; diagonal <= 7; ++diagonal) {
            const Tensor<> x = arange(shape.numel()).reshape(shape);
            const Tensor<> lower = kernels::triangle(x, kernels::Triangle::lower, diagonal);
            const Tensor<> upper = kernels::triangle(x, kernels::Triangle::upper, diagonal);
            for (Index i = 0; i < x.numel(); ++i) {
                const Index column = i % shape[-1], row = i / shape[-1] % shape[-2];
                const float value = static_cast<float>(i);
                CHECK(lower.data()[i] == (column - row <= diagonal ? value : 0));
                CHECK(upper.data()[i] == (column - row >= diagonal ? value : 0));
            }
        }
}
