// SPDX-License-Identifier: MIT
#include "gradus/nn/embedding.hpp"

#include "gradus/nn/model.hpp"
#include "support/numbers.hpp"

using namespace gradus;

TEST_CASE("embedding layer: the function of the same name") {
    nn::Embedding<> layer(3, 2);
    layer.weight = Tensor<>{{1, 2}, {3, 4}, {5, 6}};
    const Variable<> y = layer({2, 0, 2});
    CHECK(y.value() == Tensor<>{{5, 6}, {1, 2}, {5, 6}});
    y.backward({.gradient = ones({3, 2})});
    CHECK(layer.weight.grad() == Tensor<>{{1, 1}, {0, 0}, {2, 2}});
    CHECK(layer(zeros<Index>({4, 5})).shape() == Shape{4, 5, 2});
    CHECK_THROWS_MATCHES(layer({3}), ValueError,
                         Message("embedding: index 3 at position 0 is out of range for a weight of 3 rows"));
}

TEST_CASE("embedding layer: starts from N(0, 1)") {
    Generator generator(1), same(1);
    const nn::Embedding<double> layer(300, 200, {}, generator);
    CHECK(layer.weight.shape() == Shape{300, 200});
    CHECK(layer.weight.value() == randn<double>({300, 200}, same));
}

TEST_CASE("embedding layer: the padding row is zero and gets no gradient") {
    const nn::Embedding<> layer(3, 2, {.padding_idx = 1});
    const Tensor<> weight = layer.weight.value();
    CHECK(weight.rows(1, 2) == zeros({1, 2}));
    CHECK_FALSE(weight(0, 0) == 0);
    CHECK_FALSE(weight(2, 1) == 0);
    layer({0, 1, 2}).backward({.gradient = ones({3, 2})});
    CHECK(layer.weight.grad() == Tensor<>{{1, 1}, {0, 0}, {1, 1}});
}

TEST_CASE("embedding layer: its weight is found in a model") {
    struct Model {
        nn::Embedding<> words{10, 4};
    };
    const Model model;
    REQUIRE(nn::named_parameters(model).size() == 1);
    CHECK(nn::named_parameters(model)[0].name == "words.weight");
    nn::Trace trace;
    model.words({1, 2});
    REQUIRE(trace.entries().size() == 1);
    CHECK(trace.entries()[0].type == std::string("Embedding"));
    CHECK(trace.entries()[0].output == Shape{2, 4});
}

TEST_CASE("embedding layer: refusals") {
    CHECK_THROWS_AS(nn::Embedding<>(-1, 4), ShapeError);
    CHECK_THROWS_MATCHES(
        nn::Embedding<>(3, 4, {.padding_idx = 3}), ValueError,
        Message("embedding: padding_idx must be one of the rows, or -1 for none: got 3 and [3, 4]"));
}

TEST_CASE("embedding layer: without rows or columns") {
    CHECK(nn::Embedding<>(0, 4)(zeros<Index>({0})).shape() == Shape{0, 4});
    CHECK(nn::Embedding<>(3, 0)(Tensor<Index>{1, 2}).shape() == Shape{2, 0});
    CHECK_THROWS_AS(nn::Embedding<>(0, 4)(Tensor<Index>{0}), ValueError);
}
