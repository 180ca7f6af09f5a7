// SPDX-License-Identifier: MIT
#pragma once

#if !__has_include(<Eigen/Core>)
#error "gradus/interop/eigen.hpp needs Eigen, 3.4 or later (Debian, Ubuntu: apt install libeigen3-dev)"
#endif

#include "gradus/core/language.hpp"

#include "gradus/core/macros_aside.inc"

#include <Eigen/Core>
#include <span>
#include <type_traits>

#include "gradus/core/tensor.hpp"

namespace gradus {
namespace detail {

template <class T>
using EigenMatrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using EigenVector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

inline void check_eigen_rank(const char* operation, const char* message, const Shape& shape, int rank) {
    if (shape.rank() != rank) raise<ShapeError>(operation, message, shape);
}

/// [rows, cols], or [size] for what Eigen knows to be a vector when it compiles.
template <class Derived>
Shape eigen_shape(const Eigen::EigenBase<Derived>& x) {
    if constexpr (Derived::IsVectorAtCompileTime)
        return {x.size()};
    else
        return {x.rows(), x.cols()};
}

}  // namespace detail

/// The tensor [rows, cols] as an Eigen matrix to read, without copying. It is valid while this tensor,
/// unchanged, or another that shares its memory lives; so not of a temporary. Throws ShapeError unless the
/// rank is 2.
///
///     Eigen::VectorXf y = as_eigen(weight) * x;
template <class T>
Eigen::Map<const detail::EigenMatrix<T>> as_eigen(const Tensor<T>& x) {
    detail::check_eigen_rank("as_eigen", "needs a matrix (as_eigen_vector() takes rank 1)", x.shape(), 2);
    return {x.data(), x.size(0), x.size(1)};
}

/// The tensor [size] as an Eigen column vector to read, without copying; valid as as_eigen() is.
/// Throws ShapeError unless the rank is 1.
template <class T>
Eigen::Map<const detail::EigenVector<T>> as_eigen_vector(const Tensor<T>& x) {
    detail::check_eigen_rank("as_eigen_vector", "needs a vector (as_eigen() takes rank 2)", x.shape(), 1);
    return {x.data(), x.size(0)};
}

template <class T>
void as_eigen(const Tensor<T>&&) = delete;  // the memory would be gone before the map is used
template <class T>
void as_eigen_vector(const Tensor<T>&&) = delete;

/// The tensor [rows, cols] as an Eigen matrix to write to. If the tensor's memory is shared or borrowed, the
/// tensor first gets a copy of its own. Valid until the tensor is copied, assigned to or destroyed: a copy
/// made meanwhile would see what is written. Throws ShapeError unless the rank is 2.
template <class T>
Eigen::Map<detail::EigenMatrix<T>> as_mutable_eigen(Tensor<T>& x) {
    detail::check_eigen_rank("as_mutable_eigen", "needs a matrix (as_mutable_eigen_vector() takes rank 1)",
                             x.shape(), 2);
    return {x.mutable_data(), x.size(0), x.size(1)};
}

/// The tensor [size] as an Eigen column vector to write to; as as_mutable_eigen(). Throws ShapeError unless
/// the rank is 1.
template <class T>
Eigen::Map<detail::EigenVector<T>> as_mutable_eigen_vector(Tensor<T>& x) {
    detail::check_eigen_rank("as_mutable_eigen_vector", "needs a vector (as_mutable_eigen() takes rank 2)",
                             x.shape(), 1);
    return {x.mutable_data(), x.size(0)};
}

/// A tensor with the elements of any Eigen matrix or array expression, evaluated and copied. Element (row,
/// col) stays at (row, col), whatever Eigen's storage order. Shape [rows, cols]; [size] for vectors of either
/// direction.
template <class Derived>
Tensor<typename Derived::Scalar> from_eigen(const Eigen::DenseBase<Derived>& x) {
    using T = typename Derived::Scalar;
    auto result = Tensor<T>::uninitialized(detail::eigen_shape(x.derived()));
    Eigen::Map<detail::EigenMatrix<T>> target(result.mutable_data(), x.rows(), x.cols());
    target.matrix() = x.derived().matrix();
    return result;
}

/// A tensor that reads an Eigen matrix, vector or map in place, without copying: shape [rows, cols], or
/// [size] for vectors. The Eigen object's memory must outlive every tensor that shares it and stay unchanged
/// meanwhile; writing to such a tensor copies first.
template <class Derived>
Tensor<typename Derived::Scalar> borrow_eigen(const Eigen::PlainObjectBase<Derived>& x) {
    static_assert(
        Derived::IsRowMajor || Derived::IsVectorAtCompileTime,
        "borrow_eigen: a gradus tensor is row-major, and this matrix is column-major (Eigen's default). "
        "Copy it with from_eigen(), or declare it "
        "Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>");
    using T = typename Derived::Scalar;
    return Tensor<T>::borrow(std::span<const T>(x.data(), static_cast<std::size_t>(x.size())),
                             detail::eigen_shape(x));
}

template <class Plain, int Options>
Tensor<typename Plain::Scalar> borrow_eigen(const Eigen::Map<Plain, Options, Eigen::Stride<0, 0>>& x) {
    static_assert(
        Plain::IsRowMajor || Plain::IsVectorAtCompileTime,
        "borrow_eigen: a gradus tensor is row-major, and this map is column-major (Eigen's default). "
        "Copy it with from_eigen(), or map Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, "
        "Eigen::RowMajor>");
    using T = typename Plain::Scalar;
    return Tensor<T>::borrow(std::span<const T>(x.data(), static_cast<std::size_t>(x.size())),
                             detail::eigen_shape(x));
}

template <class Derived>
void borrow_eigen(const Eigen::PlainObjectBase<Derived>&&) = delete;  // the memory would be gone

}  // namespace gradus

#include "gradus/core/macros_back.inc"
