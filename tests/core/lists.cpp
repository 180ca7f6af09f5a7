// SPDX-License-Identifier: MIT
// Tensors, shapes and subsets of what the standard library keeps numbers in.
#include <array>
#include <cmath>
#include <list>
#include <span>
#include <vector>

#include <gradus/gradus.hpp>

#include "support/test.hpp"

using namespace gradus;

namespace {

/// The text of the ShapeError that f throws.
template <class F>
std::string refusal(const F& f) {
    try {
        f();
    } catch (const ShapeError& error) {
        return error.what();
    }
    return "not refused";
}

}  // namespace

TEST_CASE("a tensor of the numbers in a list") {
    const std::vector<float> floats{1.5f, 2};
    const int plain[] = {3, 4, 5};
    CHECK(Tensor<>(floats) == Tensor<>{1.5f, 2});
    CHECK(Tensor<>(std::vector<int>{1, 2}) == Tensor<>{1, 2});
    CHECK(Tensor<>(std::array<double, 2>{0.5, 1}) == Tensor<>{0.5f, 1});
    CHECK(Tensor<>(plain) == Tensor<>{3, 4, 5});
    CHECK(Tensor<>(std::list<int>{7, 8}) == Tensor<>{7, 8});
    CHECK(Tensor<>(std::span<const float>(floats)) == Tensor<>{1.5f, 2});
    CHECK(Tensor<bool>(std::vector<bool>{true, false}) == Tensor<bool>{true, false});
    CHECK(Tensor<Index>(std::vector<int>{1, 0}) == Tensor<Index>{1, 0});
    CHECK(Tensor<>(std::vector<float>()).shape() == Shape{0});
    const Tensor deduced(std::vector<double>{1, 2});
    static_assert(std::is_same_v<decltype(deduced), const Tensor<double>>);
    static_assert(!std::is_constructible_v<Tensor<Index>, std::vector<float>>);  // would lose the fractions
}

TEST_CASE("a shape of the sizes in a list") {
    CHECK(Shape(std::vector<int>{2, 3}) == Shape{2, 3});
    CHECK(Shape(std::array<std::size_t, 1>{4}) == Shape{4});
    CHECK(zeros(std::vector<Index>{2, 1}).shape() == Shape{2, 1});
    CHECK(Shape(std::vector<Index>()) == Shape());
    static_assert(!std::is_constructible_v<Shape, std::vector<float>>);
    CHECK_THROWS_AS(Shape(std::vector<int>{2, -1}), ShapeError);
}

TEST_CASE("reshape of a tensor takes one size of -1") {
    const Tensor<> x = arange(6);
    CHECK(x.reshape({-1, 2}).shape() == Shape{3, 2});
    CHECK(x.reshape({2, 3}).shape() == Shape{2, 3});
    CHECK(x.reshape({-1, 2}).shares_memory_with(x));
    CHECK(ones({1}).reshape({}).shape() == Shape());
    CHECK_THROWS_MATCHES(x.reshape({-1, -1}), ShapeError,
                         Message("reshape: only one size can be -1: got [6] and [-1, -1]"));
    CHECK_THROWS_AS(x.reshape({-1, 4}), ShapeError);
}

TEST_CASE("a subset of the rows in a list") {
    const data::Dataset points{Tensor<>{1, 2, 3}, Tensor<Index>{0, 1, 0}};
    CHECK(points.subset(std::vector<int>{2, 0}).inputs == Tensor<>{3, 1});
    CHECK(points.subset(std::vector<Index>{1}).labels == Tensor<Index>{1});
    CHECK(points.subset({0, 2}).inputs == Tensor<>{1, 3});
    CHECK_THROWS_AS(points.subset(std::vector<int>{3}), ValueError);
}

TEST_CASE("a kernel of a layer may be a number or a Size2") {
    CHECK(nn::Conv2d<>(1, 8, 3).weight.shape() == Shape{8, 1, 3, 3});
    CHECK(nn::Conv2d<>(1, 8, Size2(3, 1)).weight.shape() == Shape{8, 1, 3, 1});
    const Variable<> image(arange(16).reshape({1, 1, 4, 4}));
    CHECK(nn::MaxPool2d(2)(image).value() == Tensor<>{{{{5, 7}, {13, 15}}}});
    CHECK(nn::MaxPool2d(2)(image).value() == nn::MaxPool2d({.kernel_size = 2})(image).value());
    CHECK(nn::AvgPool2d(Size2(4, 2))(image).value() == Tensor<>{{{{6.5f, 8.5f}}}});
}

TEST_CASE("labels of a wrong shape or type: the error says what to do") {
    const Variable<> logits(zeros({2, 3}));
    CHECK_THROWS_MATCHES(cross_entropy(logits, Tensor<Index>{{0}, {1}}), ShapeError,
                         Message("cross_entropy: needs logits [batch, classes, ...] and labels [batch, ...]; "
                                 "squeeze(labels, -1) first: got [2, 3] and [2, 1]"));
    CHECK_THAT(refusal([&] {
                   nll(logits, Tensor<Index>{{0}, {1}});
               }),
               ContainsSubstring("squeeze(labels, -1)"));
    CHECK_THAT(refusal([&] {
                   cross_entropy(Variable<>(zeros({2, 3, 4})), zeros<Index>({2, 1, 4}));
               }),
               ContainsSubstring("squeeze(labels, 1)"));
    CHECK_THAT(refusal([&] {
                   cross_entropy(logits, Tensor<Index>{{0, 1, 0}, {1, 0, 0}});
               }),
               ContainsSubstring("argmax(labels, 1)"));
    CHECK_THAT(refusal([&] {
                   cross_entropy(logits, Tensor<>{0, 1});
               }),
               ContainsSubstring("cast<Index>(labels)"));
    const Tensor<Index> column{{0}, {1}};
    CHECK(cross_entropy(logits, squeeze(column, -1)).item() == Approx(std::log(3.0)));
    CHECK(cross_entropy(logits, cast<Index>(Tensor<>{0, 1})).item() == Approx(std::log(3.0)));
}
