// SPDX-License-Identifier: MIT
#include "gradus/kernels/reduce/scan.hpp"

#include "gradus/core/random.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

/// Numbers of few bits, whose sums and products of a few are exact.
Tensor<> few_bits(const Shape& shape) {
    Tensor<> x = rand<float>(shape);
    for (float& value : x.mutable_values()) value = static_cast<float>(static_cast<int>(value * 8) - 3);
    return x;
}

}  // namespace

TEST_CASE("scan kernels: sums from both ends, with strips and runs that are not whole") {
    for (const Shape& shape : {Shape{3, 1100, 1}, Shape{2, 513, 70}, Shape{1, 5, 64}, Shape{2, 1, 3}}) {
        const Tensor<> x = few_bits(shape);
        const Tensor<> up = kernels::cumsum(x, 1), down = kernels::cumsum(x, 1, true);
        const Index n = shape[1];
        for (Index a = 0; a < shape[0]; ++a)
            for (Index j = 0; j < shape[2]; ++j) {
                double sum = 0, total = 0;
                for (Index i = 0; i < n; ++i) total += static_cast<double>(x(a, i, j));
                bool right = true;
                for (Index i = 0; i < n; ++i) {
                    right = right && static_cast<double>(down(a, i, j)) == total - sum;
                    sum += static_cast<double>(x(a, i, j));
                    right = right && static_cast<double>(up(a, i, j)) == sum;
                }
                CHECK(right);
            }
    }
}

TEST_CASE("scan kernels: products of others, of rows with zeros") {
    const Tensor<> x{{2, 3, 5, 7}, {2, 0, 5, 7}, {0, 3, 0, 7}};
    CHECK(kernels::products_of_others(x, 4) == Tensor<>{{105, 70, 42, 30}, {0, 70, 0, 0}, {0, 0, 0, 0}});
    CHECK(kernels::products_of_others(x, 1) == ones({3, 4}));
    CHECK(kernels::products_of_others(x.reshape({12}), 12) == zeros({12}));
}
