// SPDX-License-Identifier: MIT
#include "gradus/ops/operators.hpp"

#include <limits>
#include <string>
#include <vector>

#include "support/test.hpp"

using namespace gradus;

TEST_CASE("operators of tensors: values") {
    const Tensor<> a{6, 8, 10}, b{1, 2, 4};
    CHECK(a + b == Tensor<>{7, 10, 14});
    CHECK(a - b == Tensor<>{5, 6, 6});
    CHECK(a * b == Tensor<>{6, 16, 40});
    CHECK(a / b == Tensor<>{6, 4, 2.5f});
    CHECK(-a == Tensor<>{-6, -8, -10});
    CHECK(a + 1 == Tensor<>{7, 9, 11});
    CHECK(a - 1 == Tensor<>{5, 7, 9});
    CHECK(a * 2 == Tensor<>{12, 16, 20});
    CHECK(2 * a == Tensor<>{12, 16, 20});
    CHECK(a / 2 == Tensor<>{3, 4, 5});
    CHECK(a == Tensor<>{6, 8, 10});
}

TEST_CASE("operators of tensors: broadcasting") {
    const Tensor<> column{{1}, {2}}, row{10, 20, 30};
    CHECK(column + row == Tensor<>{{11, 21, 31}, {12, 22, 32}});
    CHECK(row - column == Tensor<>{{9, 19, 29}, {8, 18, 28}});
    CHECK(row * full({}, 2) == Tensor<>{20, 40, 60});
    CHECK((zeros({0, 3}) + row).shape() == Shape{0, 3});
}

TEST_CASE("operators of tensors: whole numbers") {
    const Tensor<Index> a{7, -8, Index{1} << 40}, b{2, 3, 5};
    CHECK(a + b == Tensor<Index>{9, -5, (Index{1} << 40) + 5});
    CHECK(a * b == Tensor<Index>{14, -24, 5 * (Index{1} << 40)});
    CHECK(a / b == Tensor<Index>{3, -2, (Index{1} << 40) / 5});
    CHECK(-a == Tensor<Index>{-7, 8, -(Index{1} << 40)});
    CHECK(a * 2 - 1 == Tensor<Index>{13, -17, (Index{1} << 41) - 1});
}

TEST_CASE("operators of tensors: dual numbers") {
    const Tensor<Dual<double>> x(Shape{1}, std::vector<Dual<double>>{{3, 1}});
    CHECK((x * x + x / 2.0)(0).value == 10.5);
    CHECK((x * x + x / 2.0)(0).dual == 6.5);
}

TEST_CASE("operators of tensors: numbers of any type on either side, and assignment") {
    const Tensor<> a{1, 2, 4};
    CHECK(a + 1.5 == Tensor<>{2.5f, 3.5f, 5.5f});
    CHECK(1 - a == Tensor<>{0, -1, -3});
    CHECK(4.0 / a == Tensor<>{4, 2, 1});
    CHECK(2 - Tensor<Index>{1, 2} == Tensor<Index>{1, 0});
    Tensor<> b = a;
    b += 1;
    b *= a;
    CHECK(b == Tensor<>{2, 6, 20});
    b -= Tensor<>{2, 6, 20};
    CHECK(b == Tensor<>{0, 0, 0});
    b = a;
    b /= Tensor<>{2, 2, 2};
    CHECK(b == Tensor<>{0.5f, 1, 2});
    CHECK(a == Tensor<>{1, 2, 4});  // which shared its memory with b
    CHECK_THROWS_MATCHES((b += Tensor<>{1, 2}), ShapeError,
                         Message("add: shapes do not broadcast: got [3] and [2]"));
}

TEST_CASE("operators of tensors: refusals name the operation") {
    const Tensor<> a = zeros({2, 3}), b = zeros({2});
    const auto text = [](const char* name) {
        return std::string(name) + ": shapes do not broadcast: got [2, 3] and [2]";
    };
    CHECK_THROWS_MATCHES(a + b, ShapeError, Message(text("add")));
    CHECK_THROWS_MATCHES(a - b, ShapeError, Message(text("sub")));
    CHECK_THROWS_MATCHES(a * b, ShapeError, Message(text("mul")));
    CHECK_THROWS_MATCHES(a / b, ShapeError, Message(text("div")));
}

namespace {

template <class T>
void check_integer_division() {
    const T least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
    const Tensor<T> some{T(7), T(0), most};
    CHECK(some / Tensor<T>{T(2), T(3), most} == Tensor<T>{T(3), T(0), T(1)});
    CHECK_THROWS_AS(some / T(0), ValueError);
    CHECK_THROWS_AS((some / Tensor<T>{T(1), T(1), T(0)}), ValueError);
    CHECK_THROWS_AS((some / Tensor<T>{T(0)}), ValueError);  // broadcast
    CHECK_THROWS_AS((Tensor<T>{T(1)} / Tensor<T>{{T(1)}, {T(0)}}), ValueError);
    CHECK((Tensor<T>() / T(0)).numel() == 0);  // nothing is divided
    if constexpr (std::is_signed_v<T>) {
        CHECK_THROWS_AS((Tensor<T>{least} / T(-1)), ValueError);
        CHECK_THROWS_AS((Tensor<T>{T(1), least} / Tensor<T>{T(-1), T(-1)}), ValueError);
        CHECK((Tensor<T>{most, T(-7)} / T(-1)) == Tensor<T>{T(-most), T(7)});
        CHECK((Tensor<T>{least} / T(1)) == Tensor<T>{least});
        CHECK((-Tensor<T>{least}) == Tensor<T>{least});
    } else {
        CHECK((Tensor<T>{T(5)} / most) == Tensor<T>{T(0)});  // no −1 here
    }
    CHECK(Tensor<T>{most} + T(1) == Tensor<T>{least});
    CHECK(Tensor<T>{least} - T(1) == Tensor<T>{most});
    CHECK(Tensor<T>{most} * Tensor<T>{most} == Tensor<T>{T(1)});
    CHECK(Tensor<T>{most} + Tensor<T>{most} == Tensor<T>{static_cast<T>(-2)});
}

}  // namespace

TEST_CASE("operators of tensors: integers at their limits wrap around, but for quotients") {
    check_integer_division<Index>();
    check_integer_division<std::int32_t>();
    check_integer_division<std::int16_t>();
    check_integer_division<std::int8_t>();
    check_integer_division<std::uint8_t>();
    check_integer_division<std::uint16_t>();
    check_integer_division<std::uint64_t>();
    CHECK_THROWS_MATCHES(
        (Tensor<Index>{1} / Index{0}), ValueError,
        Message("div: integers cannot hold the quotient; cast<float>() first?: got 1 and 0"));
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK((Tensor<>{1} / 0.0f) == Tensor<>{infinity});  // floats go on
}
