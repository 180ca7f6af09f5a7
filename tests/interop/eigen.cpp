// SPDX-License-Identifier: MIT
#include "gradus/interop/eigen.hpp"

#include <Eigen/Core>
#include <type_traits>
#include <vector>

#include "support/test.hpp"

using gradus::as_eigen;
using gradus::as_eigen_vector;
using gradus::as_mutable_eigen;
using gradus::as_mutable_eigen_vector;
using gradus::borrow_eigen;
using gradus::from_eigen;
using gradus::Index;
using gradus::Shape;
using gradus::ShapeError;
using gradus::Tensor;

namespace {

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

template <class T>
concept CanBeRead = requires(T&& x) {
    as_eigen(std::forward<T>(x));
};
template <class T>
concept CanBeBorrowed = requires(T&& x) {
    borrow_eigen(std::forward<T>(x));
};

}  // namespace

TEST_CASE("a matrix is read by Eigen in place", "[interop][eigen]") {
    const Tensor<> x{{1, 2, 3}, {4, 5, 6}};
    const auto map = as_eigen(x);
    CHECK(map.data() == x.data());
    CHECK(map.rows() == 2);
    CHECK(map.cols() == 3);
    CHECK(map(0, 2) == 3);
    CHECK(map(1, 0) == 4);
    CHECK(x.exclusive());  // a map holds nothing
    CHECK((map * Eigen::Vector3f(1, 0, -1)).isApprox(Eigen::Vector2f(-2, -2)));
    STATIC_REQUIRE(std::is_same_v<decltype(map), const Eigen::Map<const RowMajor>>);
}

TEST_CASE("a vector is a column to Eigen", "[interop][eigen]") {
    const Tensor<double> x{3, 4};
    const auto map = as_eigen_vector(x);
    CHECK(map.data() == x.data());
    CHECK(map.cols() == 1);
    CHECK(map.norm() == 5);
    const Tensor<> rows{{1, 2}, {3, 4}, {5, 6}};
    const auto part = rows.rows(1, 3);
    CHECK(as_eigen(part)(0, 0) == 3);
}

TEST_CASE("other ranks are refused", "[interop][eigen]") {
    Tensor<> vector{1, 2};
    Tensor<> matrix{{1, 2}};
    const auto cube = gradus::zeros({1, 2, 3}), scalar = gradus::zeros({});
    CHECK_THROWS_MATCHES(as_eigen(vector), ShapeError,
                         Message("as_eigen: needs a matrix (as_eigen_vector() takes rank 1): got [2]"));
    CHECK_THROWS_MATCHES(as_eigen(cube), ShapeError,
                         Message("as_eigen: needs a matrix (as_eigen_vector() takes rank 1): got [1, 2, 3]"));
    CHECK_THROWS_MATCHES(as_eigen_vector(matrix), ShapeError,
                         Message("as_eigen_vector: needs a vector (as_eigen() takes rank 2): got [1, 2]"));
    CHECK_THROWS_MATCHES(as_eigen_vector(scalar), ShapeError,
                         Message("as_eigen_vector: needs a vector (as_eigen() takes rank 2): got []"));
    CHECK_THROWS_MATCHES(
        as_mutable_eigen(vector), ShapeError,
        Message("as_mutable_eigen: needs a matrix (as_mutable_eigen_vector() takes rank 1): got [2]"));
    CHECK_THROWS_MATCHES(
        as_mutable_eigen_vector(matrix), ShapeError,
        Message("as_mutable_eigen_vector: needs a vector (as_mutable_eigen() takes rank 2): got [1, 2]"));
}

TEST_CASE("Eigen writes into a tensor, and into it alone", "[interop][eigen]") {
    Tensor<> x{{1, 2}, {3, 4}};
    const float* memory = x.data();
    as_mutable_eigen(x) *= 10;
    CHECK(x == Tensor<>{{10, 20}, {30, 40}});
    CHECK(x.data() == memory);

    const Tensor<> copy = x;
    as_mutable_eigen(x).transposeInPlace();
    CHECK(x == Tensor<>{{10, 30}, {20, 40}});
    CHECK(copy == Tensor<>{{10, 20}, {30, 40}});

    std::vector<float> mine{1, 2};
    auto borrowed = Tensor<>::borrow(mine, {2});
    as_mutable_eigen_vector(borrowed).setZero();
    CHECK(borrowed == Tensor<>{0, 0});
    CHECK(mine[1] == 2);
}

TEST_CASE("from_eigen keeps (row, col) for every storage order", "[interop][eigen]") {
    const Tensor<> expected{{1, 2, 3}, {4, 5, 6}};
    Eigen::MatrixXf columns(2, 3);
    columns << 1, 2, 3, 4, 5, 6;
    const RowMajor rows = columns;
    CHECK(from_eigen(columns) == expected);
    CHECK(from_eigen(rows) == expected);
    CHECK(from_eigen(columns.array()) == expected);
    CHECK(from_eigen(Eigen::Matrix<float, 2, 3>(columns)) == expected);
    CHECK(from_eigen(Eigen::MatrixXf(columns.transpose()).transpose()) == expected);
    CHECK(from_eigen(as_eigen(expected)) == expected);
    CHECK_FALSE(from_eigen(as_eigen(expected)).shares_memory_with(expected));
}

TEST_CASE("from_eigen evaluates expressions", "[interop][eigen]") {
    Eigen::MatrixXd a(2, 2);
    a << 1, 2, 3, 4;
    CHECK(from_eigen(a * a) == Tensor<double>{{7, 10}, {15, 22}});
    CHECK(from_eigen(2 * a - a) == Tensor<double>{{1, 2}, {3, 4}});
    CHECK(from_eigen(a.block(0, 1, 2, 1)) == Tensor<double>{{2}, {4}});
    CHECK(from_eigen(a.row(1)) == Tensor<double>{3, 4});
    CHECK(from_eigen(a.col(1)) == Tensor<double>{2, 4});
    CHECK(from_eigen(a.cast<float>()) == Tensor<>{{1, 2}, {3, 4}});
    CHECK(from_eigen(a.array() > 2) == Tensor<bool>{{false, false}, {true, true}});
    CHECK(from_eigen(Eigen::Vector3i(1, 2, 3)) == Tensor<int>{1, 2, 3});
    CHECK(from_eigen(Eigen::RowVector2f(1, 2)).shape() == Shape{2});
}

TEST_CASE("sizes 0 and 1", "[interop][eigen]") {
    CHECK(from_eigen(Eigen::MatrixXf(0, 3)).shape() == Shape{0, 3});
    CHECK(from_eigen(Eigen::MatrixXf(3, 0)).shape() == Shape{3, 0});
    CHECK(from_eigen(Eigen::VectorXf(0)).shape() == Shape{0});
    const RowMajor none(0, 3);
    CHECK(borrow_eigen(none).shape() == Shape{0, 3});
    const auto empty = gradus::zeros({0, 2});
    CHECK(as_eigen(empty).rows() == 0);
    CHECK(as_eigen(empty).cols() == 2);
    const Tensor<> nothing;
    CHECK(as_eigen_vector(nothing).size() == 0);
    CHECK(from_eigen(Eigen::MatrixXf::Constant(1, 1, 5)).item() == 5);
}

TEST_CASE("borrow_eigen reads row-major memory in place", "[interop][eigen]") {
    RowMajor rows(2, 2);
    rows << 1, 2, 3, 4;
    auto x = borrow_eigen(rows);
    CHECK(x.data() == rows.data());
    CHECK(x == Tensor<>{{1, 2}, {3, 4}});
    x.mutable_at(0, 0) = 9;
    CHECK(rows(0, 0) == 1);

    const Eigen::Map<const RowMajor> map(rows.data(), 2, 2);
    CHECK(borrow_eigen(map).data() == rows.data());
    CHECK(borrow_eigen(Eigen::Map<RowMajor>(rows.data(), 1, 4)) == Tensor<>{{1, 2, 3, 4}});

    const Eigen::VectorXf column = Eigen::VectorXf::LinSpaced(3, 0, 2);  // a vector has no storage order
    CHECK(borrow_eigen(column) == Tensor<>{0, 1, 2});
    CHECK(borrow_eigen(column).data() == column.data());
    const Eigen::Array<float, 2, 2, Eigen::RowMajor> array = rows.array();
    CHECK(borrow_eigen(array)(1, 1) == 4);

    const Tensor<> source{{1, 2}, {3, 4}};
    CHECK(borrow_eigen(as_eigen(source)).shares_memory_with(source));
}

TEST_CASE("what would dangle does not compile", "[interop][eigen]") {
    STATIC_REQUIRE(CanBeRead<Tensor<>&>);
    STATIC_REQUIRE(CanBeRead<const Tensor<>&>);
    STATIC_REQUIRE_FALSE(CanBeRead<Tensor<>>);
    STATIC_REQUIRE(CanBeBorrowed<const RowMajor&>);
    STATIC_REQUIRE_FALSE(CanBeBorrowed<RowMajor>);
    // A map with gaps between its rows is no tensor.
    STATIC_REQUIRE_FALSE(CanBeBorrowed<const Eigen::Map<RowMajor, 0, Eigen::OuterStride<>>&>);
}
