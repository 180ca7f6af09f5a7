// SPDX-License-Identifier: MIT
#include "gradus/ops/comparison.hpp"

#include <limits>
#include <string>

#include "gradus/ops/operators.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

constexpr float NaN = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE("comparison: six ways, as functions and as operators") {
    const Tensor<> a{1, 2, 3, NaN}, b{2, 2, 2, 2};
    CHECK(eq(a, b) == Tensor<bool>{false, true, false, false});
    CHECK(ne(a, b) == Tensor<bool>{true, false, true, true});
    CHECK(lt(a, b) == Tensor<bool>{true, false, false, false});
    CHECK(le(a, b) == Tensor<bool>{true, true, false, false});
    CHECK(gt(a, b) == Tensor<bool>{false, false, true, false});
    CHECK(ge(a, b) == Tensor<bool>{false, true, true, false});
    CHECK(equal(a < b, lt(a, b)));
    CHECK(equal(a <= b, le(a, b)));
    CHECK(equal(a > b, gt(a, b)));
    CHECK(equal(a >= b, ge(a, b)));
    CHECK(eq(a, a) == Tensor<bool>{true, true, true, false});
    CHECK((Tensor<>{{1}, {3}} < Tensor<>{2, 4}) == Tensor<bool>{{true, true}, {false, true}});
    CHECK(lt(zeros({0, 3}), 1).shape() == Shape{0, 3});
    CHECK(eq(Tensor<bool>{true, false}, Tensor<bool>{true, true}) == Tensor<bool>{true, false});
}

TEST_CASE("comparison: numbers and variables on either side") {
    const Tensor<> x{1, 2, 3};
    const Variable<> v(x, {.requires_grad = true});
    CHECK((v > 1) == Tensor<bool>{false, true, true});
    CHECK((2 <= v) == Tensor<bool>{false, true, true});
    CHECK((x >= 1.5) == Tensor<bool>{false, true, true});
    CHECK((2 > x) == Tensor<bool>{true, false, false});
    CHECK((v < Tensor<>{2, 2, 2}) == Tensor<bool>{true, false, false});
    CHECK((Tensor<>{2, 2, 2} >= v) == Tensor<bool>{true, true, false});
    CHECK(eq(2, v) == Tensor<bool>{false, true, false});
    CHECK(ne(v, v) == Tensor<bool>{false, false, false});
    CHECK((Tensor<Index>{1, 2} > 1) == Tensor<bool>{false, true});
    CHECK(eq(Tensor<Index>{Index{1} << 60, (Index{1} << 60) + 1}, Index{1} << 60) ==
          Tensor<bool>{true, false});
    CHECK_FALSE((detail::ComparesWith<double, Tensor<Index>>));  // 2 > 1.5 is no question of whole numbers
    CHECK_FALSE((detail::ComparesWith<Tensor<double>, Tensor<float>>));
}

TEST_CASE("comparison: equal asks whether tensors are equal as a whole") {
    const Tensor<> a{{1, 2}}, b{{1, 2}};
    CHECK(equal(a, b));
    CHECK(equal(Variable<>(a), b));
    CHECK_FALSE(equal(a, Tensor<>{{1, 3}}));
    CHECK_FALSE(equal(a, Tensor<>{1, 2}));  // another shape
    CHECK_FALSE(equal(Tensor<>{NaN}, Tensor<>{NaN}));
    CHECK(equal(Tensor<>(), Tensor<>()));
}

TEST_CASE("comparison: logic of conditions") {
    const Tensor<bool> a{false, false, true, true}, b{false, true, false, true};
    CHECK((a & b) == Tensor<bool>{false, false, false, true});
    CHECK((a | b) == Tensor<bool>{false, true, true, true});
    CHECK((a ^ b) == Tensor<bool>{false, true, true, false});
    CHECK((!a) == Tensor<bool>{true, true, false, false});
    CHECK(equal(a & b, logical_and(a, b)));
    CHECK(equal(a | b, logical_or(a, b)));
    CHECK(equal(a ^ b, logical_xor(a, b)));
    CHECK(equal(!a, logical_not(a)));
    const Tensor<> x{1, 2, 3};
    CHECK(((x > 1) & (x < 3)) == Tensor<bool>{false, true, false});
    CHECK((Tensor<bool>{{true}, {false}} | Tensor<bool>{false, true}) ==
          Tensor<bool>{{true, true}, {false, true}});
}

TEST_CASE("comparison: all and any") {
    const Tensor<> x{1, 2, 3};
    CHECK(all(x > 0));
    CHECK(!all(x > 1));
    CHECK(any(x > 2));
    CHECK(!any(x > 3));
    CHECK(all(Tensor<bool>()));
    CHECK(!any(Tensor<bool>()));
}

TEST_CASE("comparison: refusals name the operation") {
    const Tensor<> a = zeros({2, 3}), b = zeros({2});
    const auto text = [](const char* name) {
        return std::string(name) + ": shapes do not broadcast: got [2, 3] and [2]";
    };
    CHECK_THROWS_MATCHES(a < b, ShapeError, Message(text("lt")));
    CHECK_THROWS_MATCHES(eq(a, b), ShapeError, Message(text("eq")));
    CHECK_THROWS_MATCHES(ge(a, b), ShapeError, Message(text("ge")));
    CHECK_THROWS_MATCHES((Tensor<bool>{true, false} & Tensor<bool>{true, false, true}), ShapeError,
                         Message("logical_and: shapes do not broadcast: got [2] and [3]"));
}
