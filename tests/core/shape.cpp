// SPDX-License-Identifier: MIT
#include "gradus/core/shape.hpp"

#include <limits>
#include <list>
#include <type_traits>
#include <vector>

#include "support/test.hpp"

using gradus::broadcast;
using gradus::Index;
using gradus::Shape;
using gradus::ShapeError;

TEST_CASE("a shape knows its sizes, rank and element count", "[core][shape]") {
    const Shape shape{2, 3, 4};
    CHECK(shape.rank() == 3);
    CHECK(shape.numel() == 24);
    CHECK(shape[0] == 2);
    CHECK(shape[2] == 4);
    CHECK(shape[-1] == 4);
    CHECK(shape[-3] == 2);
    CHECK(std::vector<Index>(shape.begin(), shape.end()) == std::vector<Index>{2, 3, 4});
    CHECK(to_string(shape) == "[2, 3, 4]");
}

TEST_CASE("rank 0 is the shape of one number", "[core][shape]") {
    const Shape scalar;
    CHECK(scalar.rank() == 0);
    CHECK(scalar.numel() == 1);
    CHECK(scalar.begin() == scalar.end());
    CHECK(to_string(scalar) == "[]");
    CHECK(scalar == Shape{});
    CHECK_FALSE(scalar == Shape{1});
    CHECK_THROWS_MATCHES(scalar[0], ShapeError, Message("shape: axis 0 is out of range for shape []"));
    CHECK_THROWS_MATCHES(scalar[-1], ShapeError, Message("shape: axis -1 is out of range for shape []"));
}

TEST_CASE("sizes 0 and 1", "[core][shape]") {
    CHECK(Shape{0}.numel() == 0);
    CHECK(Shape{1}.numel() == 1);
    CHECK(Shape{3, 0, 5}.numel() == 0);
    CHECK(Shape{1, 1, 1}.numel() == 1);
    CHECK_FALSE(Shape{0, 2} == Shape{2, 0});
    CHECK(to_string(Shape{0}) == "[0]");
}

TEST_CASE("at most 8 axes", "[core][shape]") {
    Shape shape{1, 2, 1, 2, 1, 2, 1, 2};
    CHECK(shape.rank() == Shape::max_rank);
    CHECK(shape.numel() == 16);
    CHECK(shape[-8] == 1);
    CHECK(shape[7] == 2);
    CHECK_THROWS_MATCHES((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), ShapeError,
                         Message("shape: more than 8 axes; flatten or reshape first"));
    CHECK_THROWS_AS(shape.push_back(1), ShapeError);
    CHECK(shape == Shape{1, 2, 1, 2, 1, 2, 1, 2});
}

TEST_CASE("negative sizes are refused", "[core][shape]") {
    CHECK_THROWS_MATCHES((Shape{2, -1}), ShapeError, Message("shape: a size is negative: got -1 at axis 1"));
    CHECK_THROWS_MATCHES((Shape{std::numeric_limits<Index>::min()}), ShapeError,
                         Message("shape: a size is negative: got -9223372036854775808 at axis 0"));
}

TEST_CASE("an element count that overflows is refused", "[core][shape]") {
    constexpr Index big = Index{1} << 32;
    CHECK_THROWS_MATCHES(
        (Shape{big, big}), ShapeError,
        Message("shape: more elements than memory can address: got size 4294967296 at axis 1"));
    CHECK_THROWS_AS((Shape{std::numeric_limits<Index>::max()}), ShapeError);
    CHECK_THROWS_AS((Shape{3, big, big, big}), ShapeError);
    CHECK((Shape{Index{1} << 56}.numel()) == Index{1} << 56);
    CHECK_THROWS_AS((Shape{(Index{1} << 56) + 1}), ShapeError);

    // An axis of size 0 does not hide the overflow of the others, wherever it stands.
    CHECK_THROWS_AS((Shape{big, big, 0}), ShapeError);
    CHECK_THROWS_AS((Shape{0, big, big}), ShapeError);
    CHECK_THROWS_AS((Shape{big, 0, big}), ShapeError);
    CHECK((Shape{0, big, 7}.without(0).numel()) == 7 * big);
}

TEST_CASE("a refused size leaves the shape as it was", "[core][shape]") {
    Shape shape{Index{1} << 40};
    CHECK_THROWS_AS(shape.push_back(Index{1} << 40), ShapeError);
    CHECK_THROWS_AS(shape.push_back(-1), ShapeError);
    CHECK(shape.rank() == 1);
    CHECK(shape.numel() == Index{1} << 40);
    shape.push_back(0);
    CHECK(shape.numel() == 0);
}

TEST_CASE("a shape can be made from any range of integers", "[core][shape]") {
    const std::list<int> sizes{4, 5};
    CHECK(Shape(sizes.begin(), sizes.end()) == Shape{4, 5});
    const std::vector<std::size_t> none;
    CHECK(Shape(none.begin(), none.end()) == Shape{});
    STATIC_REQUIRE_FALSE(std::is_constructible_v<Shape, int, int>);  // not a range: Shape{2, 3} was meant
    STATIC_REQUIRE_FALSE(std::is_convertible_v<int, Shape>);
}

TEST_CASE("copies of a shape are independent", "[core][shape]") {
    Shape a{2, 3};
    Shape b = a;
    b.push_back(4);
    CHECK(a == Shape{2, 3});
    CHECK(b == Shape{2, 3, 4});
    b = Shape{5};
    CHECK(b == Shape{5});
    const Shape& self = a;
    a = self;
    CHECK(a == Shape{2, 3});
    CHECK(a.numel() == 6);
}

TEST_CASE("normalize_axis counts from either end and blames the operation", "[core][shape]") {
    const Shape shape{2, 3, 4};
    for (int axis = 0; axis < 3; ++axis) {
        CHECK(shape.normalize_axis("sum", axis) == axis);
        CHECK(shape.normalize_axis("sum", axis - 3) == axis);
    }
    CHECK_THROWS_MATCHES(shape.normalize_axis("sum", 3), ShapeError,
                         Message("sum: axis 3 is out of range for shape [2, 3, 4]"));
    CHECK_THROWS_MATCHES(shape.normalize_axis("sum", -4), ShapeError,
                         Message("sum: axis -4 is out of range for shape [2, 3, 4]"));
    CHECK_THROWS_AS(shape.normalize_axis("sum", std::numeric_limits<int>::min()), ShapeError);
    CHECK_THROWS_AS(shape.normalize_axis("sum", std::numeric_limits<int>::max()), ShapeError);
}

TEST_CASE("with and without an axis", "[core][shape]") {
    const Shape shape{2, 3, 4};
    CHECK(shape.with(1, 7) == Shape{2, 7, 4});
    CHECK(shape.with(-1, 0) == Shape{2, 3, 0});
    CHECK(shape.with(-1, 0).numel() == 0);
    CHECK(shape.without(0) == Shape{3, 4});
    CHECK(shape.without(-1) == Shape{2, 3});
    CHECK(Shape{5}.without(0) == Shape{});
    CHECK_THROWS_AS(shape.with(3, 1), ShapeError);
    CHECK_THROWS_AS(shape.with(0, -1), ShapeError);
    CHECK_THROWS_MATCHES(Shape{}.without(0), ShapeError,
                         Message("shape: axis 0 is out of range for shape []"));
}

TEST_CASE("span is the element count of a part", "[core][shape]") {
    const Shape shape{2, 0, 4, 5};
    CHECK(shape.span(0, 4) == 0);
    CHECK(shape.span(2, 4) == 20);
    CHECK(shape.span(0, 1) == 2);
    CHECK(shape.span(0, 0) == 1);
    CHECK(shape.span(4, 4) == 1);
}

TEST_CASE("broadcasting follows NumPy's rules", "[core][shape]") {
    CHECK(broadcast("add", {2, 3}, {2, 3}) == Shape{2, 3});
    CHECK(broadcast("add", {2, 3}, {3}) == Shape{2, 3});
    CHECK(broadcast("add", {3}, {2, 3}) == Shape{2, 3});
    CHECK(broadcast("add", {2, 1}, {1, 3}) == Shape{2, 3});
    CHECK(broadcast("add", {}, {2, 3}) == Shape{2, 3});
    CHECK(broadcast("add", {}, {}) == Shape{});
    CHECK(broadcast("add", {1}, {}) == Shape{1});
    CHECK(broadcast("add", {8, 1, 6, 1}, {7, 1, 5}) == Shape{8, 7, 6, 5});
    CHECK(broadcast("add", {0}, {1}) == Shape{0});
    CHECK(broadcast("add", {1, 3}, {0, 1}) == Shape{0, 3});
    CHECK(broadcast("add", {}, {2, 0}) == Shape{2, 0});
}

TEST_CASE("shapes that do not broadcast are named", "[core][shape]") {
    CHECK_THROWS_MATCHES(broadcast("add", {2, 3}, {2}), ShapeError,
                         Message("add: shapes do not broadcast: got [2, 3] and [2]"));
    CHECK_THROWS_MATCHES(broadcast("mul", {0}, {2}), ShapeError,
                         Message("mul: shapes do not broadcast: got [0] and [2]"));
    constexpr Index big = Index{1} << 32;
    CHECK_THROWS_AS(broadcast("add", {big, 1}, {1, big}), ShapeError);
}
