// SPDX-License-Identifier: MIT
#include "gradus/core/tensor.hpp"
#include "gradus/core/print.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/test.hpp"

using gradus::arange;
using gradus::cast;
using gradus::Index;
using gradus::Shape;
using gradus::ShapeError;
using gradus::Tensor;

namespace {

template <class T>
std::vector<T> list(const Tensor<T>& x) {
    return {x.begin(), x.end()};
}

using Floats = std::vector<float>;

}  // namespace

// ---------------------------------------------------------------------------------------------------- making

TEST_CASE("a tensor is empty at first", "[core][tensor]") {
    const Tensor<> x;
    CHECK(x.shape() == Shape{0});
    CHECK(x.numel() == 0);
    CHECK(x.begin() == x.end());
    CHECK(x.values().empty());
    CHECK(x == Tensor<>{});
}

TEST_CASE("literals of rank 1, 2 and 3", "[core][tensor]") {
    const Tensor<> vector{1, 2.5, -3};
    CHECK(vector.shape() == Shape{3});
    CHECK(list(vector) == Floats{1, 2.5f, -3});

    const Tensor<> matrix{{1, 2, 3}, {4, 5, 6}};
    CHECK(matrix.shape() == Shape{2, 3});
    CHECK(list(matrix) == Floats{1, 2, 3, 4, 5, 6});

    const Tensor<Index> cube{{{1, 2}, {3, 4}}, {{5, 6}, {7, 8}}, {{9, 10}, {11, 12}}};
    CHECK(cube.shape() == Shape{3, 2, 2});
    CHECK(cube(2, 1, 0) == 11);
    CHECK(list(cube.reshape({12})) == list(cast<Index>(arange<double>(13).rows(1, 13))));
}

TEST_CASE("literals with sizes 0 and 1", "[core][tensor]") {
    CHECK(Tensor<>{7}.shape() == Shape{1});
    CHECK(Tensor<>{{7}}.shape() == Shape{1, 1});
    CHECK(Tensor<>{{{7}}}.shape() == Shape{1, 1, 1});
    CHECK(Tensor<>{{1}, {2}}.shape() == Shape{2, 1});
    CHECK(Tensor<>{{}}.shape() == Shape{1, 0});
    CHECK(Tensor<>{{}, {}}.shape() == Shape{2, 0});
    CHECK(Tensor<>{{{}, {}, {}}}.shape() == Shape{1, 3, 0});
}

TEST_CASE("ragged literals are refused", "[core][tensor]") {
    const auto ragged = [](const Tensor<>&) {};
    const char* lengths = "tensor: the rows of a literal differ in length: got 2 and 1";
    const char* mixed = "tensor: a literal mixes numbers and lists on one level";
    CHECK_THROWS_MATCHES(ragged({{1, 2}, {3}}), ShapeError, Message(lengths));
    CHECK_THROWS_MATCHES(ragged({{{1}, {2}}, {{3}}}), ShapeError, Message(lengths));
    CHECK_THROWS_MATCHES(ragged({{1, 2}, {3, 4}, {5}}), ShapeError, Message(lengths));
    CHECK_THROWS_MATCHES(ragged({{}, {1}}), ShapeError,
                         Message("tensor: the rows of a literal differ in length: got 0 and 1"));
    CHECK_THROWS_MATCHES(ragged({{1}, {2, 3}}), ShapeError,
                         Message("tensor: the rows of a literal differ in length: got 1 and 2"));
    CHECK_THROWS_MATCHES(ragged({1, {2}}), ShapeError, Message(mixed));
    CHECK_THROWS_MATCHES(ragged({{1}, 2}), ShapeError, Message(mixed));
    CHECK_THROWS_MATCHES(ragged({{1}, {{2}}}), ShapeError, Message(mixed));
    CHECK_THROWS_MATCHES(ragged({{{{{{{{{1}}}}}}}}}), ShapeError,
                         Message("shape: more than 8 axes; flatten or reshape first"));
}

TEST_CASE("braces around a tensor copy it", "[core][tensor]") {
    const Tensor<> x{{1, 2}, {3, 4}};
    const Tensor<> copy{x};
    CHECK(copy.shape() == Shape{2, 2});
    CHECK(copy.shares_memory_with(x));
}

TEST_CASE("a tensor from a shape and values", "[core][tensor]") {
    const std::vector<float> values{1, 2, 3, 4, 5, 6};
    const Tensor<> x({2, 3}, values);
    CHECK(x == Tensor<>{{1, 2, 3}, {4, 5, 6}});
    CHECK(x.data() != values.data());
    CHECK(Tensor<>(Shape{}, std::array{4.0f}).item() == 4.0f);
    CHECK(Tensor<>({0, 3}, Floats{}).numel() == 0);
    CHECK_THROWS_MATCHES(Tensor<>({2, 2}, values), ShapeError,
                         Message("tensor: shape [2, 2] needs 4 values: got 6"));
    // Refused before any memory is asked for.
    CHECK_THROWS_MATCHES(Tensor<>({Index{1} << 50}, values), ShapeError,
                         Message("tensor: shape [1125899906842624] needs 1125899906842624 values: got 6"));
}

TEST_CASE("full, zeros, ones, eye", "[core][tensor]") {
    CHECK(gradus::full({2, 2}, 3) == Tensor<>{{3, 3}, {3, 3}});
    CHECK(gradus::full<Index>({2}, -1) == Tensor<Index>{-1, -1});
    CHECK(gradus::zeros({3}) == Tensor<>{0, 0, 0});
    CHECK(gradus::zeros({}).item() == 0.0f);
    CHECK(gradus::ones<double>({1, 2}) == Tensor<double>{{1, 1}});
    CHECK(gradus::zeros({2, 0}).shape() == Shape{2, 0});
    CHECK(gradus::eye(2) == Tensor<>{{1, 0}, {0, 1}});
    CHECK(gradus::eye<Index>(0).shape() == Shape{0, 0});
    CHECK_THROWS_AS(gradus::eye(-1), ShapeError);
    CHECK_THROWS_AS(gradus::eye(Index{1} << 32), ShapeError);
}

TEST_CASE("arange and linspace", "[core][tensor]") {
    CHECK(arange(4) == Tensor<>{0, 1, 2, 3});
    CHECK(arange<Index>(0).shape() == Shape{0});
    CHECK_THROWS_MATCHES(arange(-1), ShapeError, Message("arange: a size is negative: got -1 at axis 0"));

    CHECK(gradus::linspace(1, 2, 5) == Tensor<>{1, 1.25, 1.5, 1.75, 2});
    CHECK(gradus::linspace(2, -2, 3) == Tensor<>{2, 0, -2});
    CHECK(gradus::linspace(5, 9, 1) == Tensor<>{5});
    CHECK(gradus::linspace(5, 9, 2) == Tensor<>{5, 9});
    CHECK(gradus::linspace(5, 9, 0).numel() == 0);
    const auto many = gradus::linspace<float>(-0.1f, 0.7f, 1001);
    CHECK(many(0) == -0.1f);
    CHECK(many(1000) == 0.7f);
    CHECK_THROWS_AS(gradus::linspace(0, 1, -1), ShapeError);
}

TEST_CASE("cast converts every element", "[core][tensor]") {
    const Tensor<> x{{1.9f, -1.9f}, {0, 3}};
    CHECK(cast<Index>(x) == Tensor<Index>{{1, -1}, {0, 3}});
    CHECK(cast<double>(cast<Index>(x)) == Tensor<double>{{1, -1}, {0, 3}});
    CHECK(cast<float>(x).shares_memory_with(x));
    CHECK(cast<std::uint8_t>(Tensor<>{255, 0})(0) == 255);
    CHECK(cast<double>(Tensor<>()).shape() == Shape{0});
}

// ----------------------------------------------------------------------------------------------------
// reading

TEST_CASE("elements by position", "[core][tensor]") {
    const Tensor<> x{{1, 2, 3}, {4, 5, 6}};
    CHECK(x(0, 0) == 1);
    CHECK(x(1, 2) == 6);
    CHECK(x(std::size_t{1}, 0) == 4);
    CHECK(gradus::full({}, 8)() == 8);
    CHECK(x.size(0) == 2);
    CHECK(x.size(-1) == 3);
    CHECK(x.rank() == 2);
    const auto deep = arange(256).reshape({2, 2, 2, 2, 2, 2, 2, 2});
    CHECK(deep(1, 0, 1, 0, 1, 0, 1, 1) == 0b10101011);
}

TEST_CASE("positions that are not there are named", "[core][tensor]") {
    Tensor<> x{{1, 2, 3}, {4, 5, 6}};
    CHECK_THROWS_MATCHES(x(2, 0), ShapeError, Message("tensor: no element (2, 0) in shape [2, 3]"));
    CHECK_THROWS_MATCHES(x(0, 3), ShapeError, Message("tensor: no element (0, 3) in shape [2, 3]"));
    CHECK_THROWS_MATCHES(x(-1, 0), ShapeError, Message("tensor: no element (-1, 0) in shape [2, 3]"));
    CHECK_THROWS_MATCHES(x(1), ShapeError, Message("tensor: no element (1) in shape [2, 3]"));
    CHECK_THROWS_MATCHES(x(), ShapeError, Message("tensor: no element () in shape [2, 3]"));
    CHECK_THROWS_MATCHES(x(0, 0, 0), ShapeError, Message("tensor: no element (0, 0, 0) in shape [2, 3]"));
    CHECK_THROWS_MATCHES(x.mutable_at(0, 7), ShapeError,
                         Message("tensor: no element (0, 7) in shape [2, 3]"));
    CHECK_THROWS_AS(x(1, std::numeric_limits<Index>::max()), ShapeError);
    CHECK_THROWS_AS(x(1, std::numeric_limits<std::uint64_t>::max()), ShapeError);
    CHECK_THROWS_MATCHES(Tensor<>()(0), ShapeError, Message("tensor: no element (0) in shape [0]"));
    CHECK_THROWS_MATCHES(x.size(2), ShapeError, Message("shape: axis 2 is out of range for shape [2, 3]"));
}

TEST_CASE("item is the only element", "[core][tensor]") {
    CHECK(Tensor<>{4}.item() == 4);
    CHECK(Tensor<>{{{4}}}.item() == 4);
    CHECK(gradus::full({}, 4).item() == 4);
    CHECK(Tensor<>{1, 2}.rows(1, 2).item() == 2);
    CHECK_THROWS_MATCHES((Tensor<>{1, 2}.item()), ShapeError,
                         Message("item: needs a tensor of one element: got [2]"));
    CHECK_THROWS_MATCHES(Tensor<>().item(), ShapeError,
                         Message("item: needs a tensor of one element: got [0]"));
}

TEST_CASE("equality: shape and elements", "[core][tensor]") {
    CHECK(Tensor<>{1, 2} == Tensor<>{1, 2});
    CHECK_FALSE(Tensor<>{1, 2} == Tensor<>{1, 3});
    CHECK_FALSE(Tensor<>{1, 2} == Tensor<>{{1, 2}});
    CHECK_FALSE(gradus::zeros({0, 2}) == gradus::zeros({2, 0}));
    CHECK(Tensor<>{0.0f} == Tensor<>{-0.0f});
    const Tensor<> nan{std::numeric_limits<float>::quiet_NaN()};
    CHECK_FALSE(nan == nan);
}

TEST_CASE("owned memory is 64-byte aligned", "[core][tensor]") {
    for (const Index size : {0, 1, 15, 16, 17, 1000, 100000}) {
        const auto x = gradus::zeros<double>({size});
        CHECK(reinterpret_cast<std::uintptr_t>(x.data()) % 64 == 0);
    }
}

// ----------------------------------------------------------------------------------------------------
// sharing

TEST_CASE("a write through a copy is seen by that copy alone", "[core][tensor]") {
    Tensor<> a{1, 2, 3};
    CHECK(a.exclusive());
    Tensor<> b = a;
    CHECK(b.shares_memory_with(a));
    CHECK_FALSE(a.exclusive());

    b.mutable_at(0) = 9;
    CHECK(a == Tensor<>{1, 2, 3});
    CHECK(b == Tensor<>{9, 2, 3});
    CHECK_FALSE(b.shares_memory_with(a));
    CHECK(a.exclusive());
    CHECK(b.exclusive());

    const float* before = a.data();
    a.mutable_at(1) = 8;  // nobody shares it any more: written in place
    CHECK(a.data() == before);
    CHECK(b == Tensor<>{9, 2, 3});
}

TEST_CASE("writing through the original leaves the copies alone", "[core][tensor]") {
    Tensor<> a{1, 2};
    const Tensor<> b = a, c = b;
    a.mutable_values()[0] = 5;
    CHECK(a == Tensor<>{5, 2});
    CHECK(b == Tensor<>{1, 2});
    CHECK(c.shares_memory_with(b));
}

TEST_CASE("the last holder writes in place", "[core][tensor]") {
    Tensor<> a{1, 2};
    const float* memory = a.data();
    {
        const Tensor<> b = a;
        CHECK_FALSE(a.exclusive());
    }
    CHECK(a.exclusive());
    CHECK(a.mutable_data() == memory);

    Tensor<> c = a;
    a = Tensor<>();
    CHECK(c.mutable_data() == memory);
}

TEST_CASE("reshape shares until one side writes", "[core][tensor]") {
    const Tensor<> a{{1, 2, 3}, {4, 5, 6}};
    Tensor<> b = a.reshape({3, 2});
    CHECK(b.shares_memory_with(a));
    CHECK(b == Tensor<>{{1, 2}, {3, 4}, {5, 6}});
    b.mutable_at(2, 1) = 0;
    CHECK(b == Tensor<>{{1, 2}, {3, 4}, {5, 0}});
    CHECK(a(1, 2) == 6);
    CHECK(Tensor<>{7}.reshape({}).rank() == 0);
    CHECK(gradus::full({}, 7).reshape({1, 1}).shape() == Shape{1, 1});
    CHECK(gradus::zeros({0, 3}).reshape({5, 0}).shape() == Shape{5, 0});
    CHECK_THROWS_MATCHES(a.reshape({4}), ShapeError,
                         Message("reshape: element counts differ: got [2, 3] and [4]"));
}

TEST_CASE("reshaping a temporary keeps its memory", "[core][tensor]") {
    Tensor<> a = Tensor<>{1, 2, 3, 4}.reshape({2, 2});
    CHECK(a.exclusive());
    CHECK(a(1, 0) == 3);
}

TEST_CASE("rows share until one side writes", "[core][tensor]") {
    Tensor<> a{{1, 2}, {3, 4}, {5, 6}, {7, 8}};
    Tensor<> middle = a.rows(1, 3);
    CHECK(middle == Tensor<>{{3, 4}, {5, 6}});
    CHECK(middle.shares_memory_with(a));
    CHECK(middle.data() == a.data() + 2);

    middle.mutable_at(0, 0) = 0;
    CHECK(middle == Tensor<>{{0, 4}, {5, 6}});
    CHECK(a(1, 0) == 3);

    const Tensor<> last = a.rows(3, 4);
    a.mutable_at(3, 1) = 0;
    CHECK(last == Tensor<>{{7, 8}});
    CHECK(a(3, 1) == 0);
}

TEST_CASE("rows of rows, of a copy, of a reshape", "[core][tensor]") {
    const Tensor<> a = arange(12).reshape({6, 2});
    CHECK(a.rows(1, 5).rows(1, 3) == Tensor<>{{4, 5}, {6, 7}});
    CHECK(a.rows(2, 4).reshape({4}).rows(1, 3) == Tensor<>{5, 6});
    Tensor<> alone = arange(12).reshape({6, 2}).rows(4, 6);  // nobody else holds the memory any more
    CHECK(alone.exclusive());
    const float* memory = alone.data();
    alone.mutable_at(0, 0) = -1;
    CHECK(alone.data() == memory);
    CHECK(alone == Tensor<>{{-1, 9}, {10, 11}});
}

TEST_CASE("rows that overlap share memory, others do not", "[core][tensor]") {
    const Tensor<> a = arange(4);
    CHECK(a.rows(0, 3).shares_memory_with(a.rows(2, 4)));
    CHECK(a.rows(2, 4).shares_memory_with(a));
    CHECK_FALSE(a.rows(0, 2).shares_memory_with(a.rows(2, 4)));
    CHECK_FALSE(a.rows(1, 1).shares_memory_with(a));
    CHECK_FALSE(a.shares_memory_with(arange(4)));
    CHECK_FALSE(Tensor<>().shares_memory_with(Tensor<>()));
}

TEST_CASE("rows at the edges", "[core][tensor]") {
    const Tensor<> a{{1, 2}, {3, 4}};
    CHECK(a.rows(0, 2) == a);
    CHECK(a.rows(0, 0).shape() == Shape{0, 2});
    CHECK(a.rows(2, 2).shape() == Shape{0, 2});
    CHECK(gradus::zeros({3, 0}).rows(1, 3).shape() == Shape{2, 0});
    CHECK(gradus::zeros({0, 3}).rows(0, 0).shape() == Shape{0, 3});
    CHECK(Tensor<>().rows(0, 0).shape() == Shape{0});
    CHECK(arange(5).rows(4, 5) == Tensor<>{4});

    CHECK_THROWS_MATCHES(a.rows(0, 3), ShapeError, Message("rows: [0, 3) is out of range for shape [2, 2]"));
    CHECK_THROWS_MATCHES(a.rows(-1, 1), ShapeError,
                         Message("rows: [-1, 1) is out of range for shape [2, 2]"));
    CHECK_THROWS_MATCHES(a.rows(2, 1), ShapeError, Message("rows: [2, 1) is out of range for shape [2, 2]"));
    CHECK_THROWS_MATCHES(gradus::zeros({}).rows(0, 0), ShapeError,
                         Message("rows: [0, 0) is out of range for shape []"));
    CHECK_THROWS_AS(gradus::zeros({0, 3}).rows(0, 1), ShapeError);
}

TEST_CASE("borrowed memory is read in place and never written", "[core][tensor]") {
    Floats mine{1, 2, 3, 4};
    Tensor<> x = Tensor<>::borrow(mine, {2, 2});
    CHECK(x.data() == mine.data());
    CHECK_FALSE(x.exclusive());
    mine[3] = 40;
    CHECK(x(1, 1) == 40);

    const Tensor<> copy = x, row = x.rows(1, 2), flat = x.reshape({4});
    CHECK(copy.data() == mine.data());
    CHECK(row.data() == mine.data() + 2);
    CHECK(flat.data() == mine.data());

    x.mutable_at(0, 0) = 9;
    CHECK(mine[0] == 1);
    CHECK(x == Tensor<>{{9, 2}, {3, 40}});
    CHECK(x.exclusive());
    CHECK(copy(0, 0) == 1);

    Tensor<> rows = row;
    rows.mutable_at(0, 0) = 7;
    CHECK(mine[2] == 3);

    CHECK(Tensor<>::borrow({}, {0, 2}).numel() == 0);
    CHECK_THROWS_MATCHES(Tensor<>::borrow(mine, {3}), ShapeError,
                         Message("borrow: shape [3] needs 3 values: got 4"));
}

TEST_CASE("a tensor that was moved from is empty and can be used again", "[core][tensor]") {
    Tensor<> a{1, 2, 3};
    const float* memory = a.data();
    Tensor<> b = std::move(a);
    CHECK(b.data() == memory);
    CHECK(b.exclusive());
    CHECK(a == Tensor<>());  // NOLINT: that is what is tested
    CHECK(a.mutable_data() == nullptr);
    CHECK(a.mutable_values().empty());
    CHECK_THROWS_AS(a.mutable_at(0), ShapeError);  // and not a write into b
    a = Tensor<>{4};
    a.mutable_at(0) = 5;
    CHECK(a.item() == 5);
    CHECK(b == Tensor<>{1, 2, 3});

    Tensor<> c{7, 8};
    c = std::move(b);
    CHECK(c.data() == memory);
    CHECK(b.numel() == 0);  // NOLINT
    STATIC_REQUIRE(std::is_nothrow_move_constructible_v<Tensor<>>);
    STATIC_REQUIRE(std::is_nothrow_move_assignable_v<Tensor<>>);
}

TEST_CASE("assigning a tensor to itself changes nothing", "[core][tensor]") {
    Tensor<> a{1, 2};
    Tensor<>& same = a;
    a = same;
    CHECK(a == Tensor<>{1, 2});
    CHECK(a.exclusive());
    a = std::move(same);
    CHECK(a == Tensor<>{1, 2});
    a = a.rows(1, 2);
    CHECK(a == Tensor<>{2});
    CHECK(a.exclusive());
    std::swap(a, same);
    CHECK(a == Tensor<>{2});
    a = {3, 4};
    CHECK(a == Tensor<>{3, 4});
}

TEST_CASE("threads may each write through their own copy", "[core][tensor]") {
    const Tensor<> shared = gradus::zeros({1000});
    std::vector<std::thread> threads;
    std::array<Tensor<>, 3> results;
    for (std::size_t i = 0; i < results.size(); ++i)
        threads.emplace_back([&results, i, copy = shared]() mutable {
            for (float& value : copy.mutable_values()) value += static_cast<float>(i);
            results[i] = std::move(copy);
        });
    for (std::thread& thread : threads) thread.join();
    for (std::size_t i = 0; i < results.size(); ++i)
        CHECK(results[i] == gradus::full({1000}, static_cast<float>(i)));
    CHECK(shared == gradus::zeros({1000}));
}

// ----------------------------------------------------------------------------------------------------
// printing

TEST_CASE("printing small tensors", "[core][tensor]") {
    CHECK(to_string(gradus::full({}, 3)) == "3");
    CHECK(to_string(Tensor<>{1}) == "[1]");
    CHECK(to_string(Tensor<>{1, 2.5, -3}) == "[  1, 2.5,  -3]");
    CHECK(to_string(Tensor<Index>{{1, 2}, {3, 40}}) == "[[ 1,  2],\n [ 3, 40]]");
    CHECK(to_string(arange(8).reshape({2, 2, 2})) == "[[[0, 1],\n  [2, 3]],\n [[4, 5],\n  [6, 7]]]");
    CHECK(to_string(Tensor<>{0.00012345678f, 1e20f}) == "[0.0001235,     1e+20]");
    CHECK(to_string(Tensor<bool>{true, false}) == "[1, 0]");
    CHECK(to_string(Tensor<std::uint8_t>{200, 7}) == "[200,   7]");
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(to_string(Tensor<>{infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) ==
          "[ inf, -inf,  nan]");
}

TEST_CASE("printing tensors without elements", "[core][tensor]") {
    CHECK(to_string(Tensor<>()) == "[]");
    CHECK(to_string(gradus::zeros({0, 3})) == "[]");
    CHECK(to_string(gradus::zeros({2, 0})) == "[[],\n []]");
    CHECK(to_string(gradus::zeros({1000000, 0})) == "[[],\n [],\n [],\n ...,\n [],\n [],\n []]");
}

TEST_CASE("printing leaves out the middle of large tensors", "[core][tensor]") {
    CHECK(to_string(arange(1001)) == "[   0,    1,    2, ...,  998,  999, 1000]");
    CHECK_THAT(to_string(arange(1000)), ContainsSubstring("500"));
    CHECK(to_string(arange<Index>(1200).reshape({200, 6}).rows(0, 200)) ==
          "[[   0,    1,    2,    3,    4,    5],\n"
          " [   6,    7,    8,    9,   10,   11],\n"
          " [  12,   13,   14,   15,   16,   17],\n"
          " ...,\n"
          " [1182, 1183, 1184, 1185, 1186, 1187],\n"
          " [1188, 1189, 1190, 1191, 1192, 1193],\n"
          " [1194, 1195, 1196, 1197, 1198, 1199]]");
    CHECK(to_string(arange<Index>(2000).reshape({2, 1000})) ==
          "[[   0,    1,    2, ...,  997,  998,  999],\n"
          " [1000, 1001, 1002, ..., 1997, 1998, 1999]]");
}
