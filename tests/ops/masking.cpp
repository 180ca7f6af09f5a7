// SPDX-License-Identifier: MIT
#include "gradus/ops/masking.hpp"

#include <limits>

#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

TEST_CASE("masking: op table") {
    const Tensor<bool> mask{{true, false, true}, {false, false, true}};
    check_op(
        "where", [mask](const auto& x) { return where(mask, x[0], x[1]); },
        {.shapes = {
             {{2, 3}, {2, 3}}, {{2, 3}, {3}}, {{}, {2, 1}}, {{}, {}}, {{4, 2, 3}, {3}}, {{0, 1, 1}, {1}}}});
    const Tensor<bool> small{true, false, true};
    check_op("where, a small condition", [small](const auto& x) { return where(small, x[0], x[1]); },
             {.shapes = {{{2, 3}, {2, 1}}, {{1}, {}}}, .large = {{{30000, 3}, {3}}}});
    check_op("masked_fill", [mask](const auto& x) { return masked_fill(x[0], mask, 7); },
             {.shapes = {{{2, 3}}, {{3}}, {{}}, {{4, 2, 3}}, {{2, 1}}}});
    check_op("masked_fill, large", [small](const auto& x) { return masked_fill(x[0], small, -1); },
             {.shapes = {{{0, 3}}, {{1}}}, .large = {{{30000, 3}}}});
    for (const Index diagonal : {-1, 0, 2}) {
        INFO("diagonal " << diagonal);
        const OpRow matrices{.shapes = {{{3, 3}}, {{2, 4}}, {{2, 4, 2}}, {{1, 1}}, {{0, 3}}, {{3, 0}}},
                             .large = {{{50, 30, 40}}}};
        check_op(
            "tril", [diagonal](const auto& x) { return tril(x[0], diagonal); }, matrices);
        check_op(
            "triu", [diagonal](const auto& x) { return triu(x[0], diagonal); }, matrices);
    }
}

TEST_CASE("masking: what is filled does no harm") {
    const Tensor<> x{1, NaN, infinity};
    const Tensor<bool> mask{false, true, true};
    check_numbers(masked_fill(leaf(x), mask, -infinity).value(), {1, -infinity, -infinity});
    check_numbers(gradient([&](const auto& v) { return masked_fill(v, mask, 0); }, x), {1, 0, 0});
    CHECK_THROWS_MATCHES(masked_fill(leaf(x), Tensor<bool>{true, false}, 0), ShapeError,
                         Message("masked_fill: shapes do not broadcast: got [2] and [3]"));
}

TEST_CASE("masking: triangles, with diagonals beyond the matrix") {
    const Variable<> x(Tensor<>{{1, 2, 3}, {4, 5, 6}});
    CHECK(tril(x).value() == Tensor<>{{1, 0, 0}, {4, 5, 0}});
    CHECK(triu(x).value() == Tensor<>{{1, 2, 3}, {0, 5, 6}});
    CHECK(tril(x, 1).value() == Tensor<>{{1, 2, 0}, {4, 5, 6}});
    CHECK(triu(x, 1).value() == Tensor<>{{0, 2, 3}, {0, 0, 6}});
    CHECK(tril(x, -1).value() == Tensor<>{{0, 0, 0}, {4, 0, 0}});
    const Index far = std::numeric_limits<Index>::max();
    CHECK(tril(x, far).value() == x.value());
    CHECK(triu(x, far).value() == zeros({2, 3}));
    CHECK(tril(x, -far).value() == zeros({2, 3}));
    CHECK(triu(x, -far).value() == x.value());
    check_numbers(triu(leaf({{1, 2}, {NaN, infinity}})).value(), {{1, 2}, {0, infinity}});
    CHECK_THROWS_MATCHES(tril(leaf({1, 2})), ShapeError,
                         Message("tril: needs a matrix or a batch of matrices: got [2]"));
}
