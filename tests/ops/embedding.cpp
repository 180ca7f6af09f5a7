// SPDX-License-Identifier: MIT
#include "gradus/ops/embedding.hpp"

#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

TEST_CASE("embedding keeps the rules of the op table") {
    check_op("embedding",
             [](const auto& x) {
                 return embedding({{2, 0}, {2, 1}}, x[0]);
             },
             {.shapes = {{{3, 2}}, {{4, 1}}, {{3, 0}}}});
    check_op("embedding of one index", [](const auto& x) { return embedding(full<Index>({}, 1), x[0]); },
             {.shapes = {{{3, 2}}, {{2, 9}}}});
    check_op("embedding of nothing",
             [](const auto& x) {
                 return embedding(zeros<Index>({2, 0}), x[0]);
             },
             {.shapes = {{{3, 2}}, {{0, 2}}}});
    const Tensor<Index> many = [] {
        Tensor<Index> indices = Tensor<Index>::uninitialized({30, 50});
        Index next = 3;
        for (Index& index : indices.mutable_values()) index = (next = next * 7919 % 10007) % 40;
        return indices;
    }();
    check_op("embedding, large", [&](const auto& x) { return embedding(many, x[0]); },
             {.shapes = {}, .large = {{{40, 130}}, {{1000, 64}}, {{70000, 1}}}});
}

TEST_CASE("embedding takes rows, and adds up their gradients") {
    const Variable<> weight = leaf({{1, 2}, {3, 4}, {5, 6}});
    const Variable<> y = embedding({{2, 0}, {2, 1}}, weight);
    CHECK(y.value() == Tensor<>{{{5, 6}, {1, 2}}, {{5, 6}, {3, 4}}});
    y.backward({.gradient = Tensor<>{{{1, 2}, {3, 4}}, {{10, 20}, {30, 40}}}});
    CHECK(weight.grad() == Tensor<>{{3, 4}, {30, 40}, {11, 22}});
    CHECK(embedding(full<Index>({}, 1), weight).value() == Tensor<>{3, 4});
    CHECK(embedding(zeros<Index>({0, 3}), weight).shape() == Shape{0, 3, 2});
}

TEST_CASE("embedding: the padding row is looked up, but gets no gradient") {
    const auto f = [](const auto& weight) { return embedding({0, 1, 1, 2}, weight, {.padding_idx = 1}); };
    const Tensor<> weight{{1, 2}, {3, 4}, {5, 6}};
    CHECK(f(Variable<>(weight)).value() == Tensor<>{{1, 2}, {3, 4}, {3, 4}, {5, 6}});
    CHECK(gradient(f, weight) == Tensor<>{{1, 1}, {0, 0}, {1, 1}});
}

TEST_CASE("embedding: the gradient of a row that is used very often keeps its digits") {
    const Index count = 2'000'000;
    Tensor<Index> indices = full<Index>({count}, 1);
    for (Index i = 0; i < count; i += 1000) indices.mutable_data()[i] = 2 + i / 1000 % 3;
    const Tensor<> dy = full({count, 2}, 0.1f);
    for (const Index padding : {-1, 1}) {
        const Variable<> weight(zeros({6, 2}), {.requires_grad = true});
        embedding(indices, weight, {.padding_idx = padding}).backward({.gradient = dy});
        for (const Index column : {0, 1}) {
            const Tensor<> sums = weight.grad();
            CHECK(sums(0, column) == 0);
            if (padding < 0)
                CHECK(sums(1, column) == Approx(1998000 * static_cast<double>(0.1f)).epsilon(3e-6));
            else
                CHECK(sums(1, column) == 0);
            CHECK(sums(2, column) == Approx(667 * static_cast<double>(0.1f)).epsilon(3e-6));
            CHECK(sums(5, column) == 0);
        }
    }
}

TEST_CASE("embedding: refusals") {
    const Variable<> weight(zeros({5, 2}));
    CHECK_THROWS_MATCHES(embedding({0, 4, 5}, weight), ValueError,
                         Message("embedding: index 5 at position 2 is out of range for a weight of 5 rows"));
    CHECK_THROWS_MATCHES(
        embedding({{0, 1}, {-1, 2}}, weight), ValueError,
        Message("embedding: index -1 at position [1, 0] is out of range for a weight of 5 rows"));
    CHECK_THROWS_MATCHES(embedding({0}, Variable<>(zeros({5}))), ShapeError,
                         Message("embedding: needs a weight [count, dim]: got [5]"));
    const std::string rule = "embedding: padding_idx must be one of the rows, or -1 for none: got ";
    CHECK_THROWS_MATCHES(embedding({0}, weight, {.padding_idx = 5}), ValueError,
                         Message(rule + "5 and [5, 2]"));
    CHECK_THROWS_MATCHES(embedding({0}, weight, {.padding_idx = -2}), ValueError,
                         Message(rule + "-2 and [5, 2]"));
}
