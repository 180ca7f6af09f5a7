// SPDX-License-Identifier: MIT
#include "gradus/kernels/reduce/sort.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "gradus/core/random.hpp"
#include "support/test.hpp"

using namespace gradus;

TEST_CASE("sort kernel: as a stable sort of each line, whole and in part") {
    const Shape shape{3, 40, 5};
    Tensor<> x = rand<float>(shape);
    for (float& value : x.mutable_values()) value = static_cast<float>(static_cast<int>(value * 9));  // ties
    for (const bool descending : {false, true})
        for (const Index k : {Index{40}, Index{7}, Index{1}}) {
            const Tensor<Index> got = kernels::sorted_positions(x, 1, k, descending);
            REQUIRE(got.shape() == Shape{3, k, 5});
            for (Index a = 0; a < 3; ++a)
                for (Index j = 0; j < 5; ++j) {
                    std::vector<Index> order(40);
                    std::iota(order.begin(), order.end(), Index{0});
                    std::stable_sort(order.begin(), order.end(), [&](Index p, Index q) {
                        return descending ? x(a, p, j) > x(a, q, j) : x(a, p, j) < x(a, q, j);
                    });
                    for (Index i = 0; i < k; ++i) CHECK(got(a, i, j) == order[static_cast<std::size_t>(i)]);
                }
        }
}
