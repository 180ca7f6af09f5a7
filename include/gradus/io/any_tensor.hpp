// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gradus/core/tensor.hpp"
#include "gradus/io/dtype.hpp"

namespace gradus::io {
namespace detail {

using gradus::detail::raise;

/// `from` as `to`, or false if it is no number of that type.
template <class To, class From>
bool convert_exactly(From from, To& to) {
    to = static_cast<To>(from);
    return static_cast<From>(to) == from && (from < From{}) == (to < To{});
}

[[noreturn, gnu::cold]] inline void refuse_dtype(DType has, DType wanted) {
    raise<ValueError>({"as: ", name(has), " does not become ", name(wanted),
                       ": floating types convert into each other, and integers into each other; read it as "
                       "what it is and cast()"});
}

template <class To, class From>
Tensor<To> converted(const Tensor<From>& from) {
    if constexpr (is_floating(dtype_of<To>)) {
        return gradus::cast<To>(from);
    } else {
        Tensor<To> result = Tensor<To>::uninitialized(from.shape(), "as");
        To* out = result.mutable_data();
        for (const From value : from)
            if (!convert_exactly(value, *out++))
                raise<ValueError>({"as: ", std::to_string(value), " is no ", name(dtype_of<To>)});
        return result;
    }
}

}  // namespace detail

/// A tensor whose element type is known when the program runs: what a file holds. A value, as Tensor is, and
/// made from one without a copy: it shares the memory, and a later write to the tensor is not seen here. So
/// holding it is a snapshot.
///
///     io::AnyTensor any = weight;             // Tensor<float>
///     any.dtype();                            // io::DType::f32
///     Tensor<double> x = any.as<double>();
class AnyTensor {
public:
    /// Empty: floats of shape [0].
    AnyTensor() : AnyTensor(Tensor<float>()) {}

    template <Storable T>
    AnyTensor(const Tensor<T>& tensor)
        : dtype_(dtype_of<T>),
          shape_(tensor.shape()),
          bytes_(gradus::detail::reinterpret<std::uint8_t>(
              tensor, Shape{tensor.numel() * static_cast<Index>(sizeof(T))})) {}

    /// Of the bytes that a file holds, little-endian, whose memory is shared. Throws ValueError unless they are
    /// as many as the shape needs.
    AnyTensor(DType dtype, const Shape& shape, const Tensor<std::uint8_t>& bytes)
        : dtype_(dtype), shape_(shape), bytes_(bytes.reshape({-1})) {
        if (bytes.numel() != byte_count(dtype, shape.numel()))
            detail::raise<ValueError>(
                {"tensor: ", to_string(shape), " of ", name(dtype), " is not ", bytes.numel(), " bytes"});
    }

    // There is no move: a copy costs as little, and leaves no shape without elements behind.
    AnyTensor(const AnyTensor&) = default;
    AnyTensor& operator=(const AnyTensor&) = default;

    DType dtype() const { return dtype_; }
    const Shape& shape() const { return shape_; }
    Index numel() const { return shape_.numel(); }

    /// The elements in row-major order, as safetensors files hold them.
    std::span<const std::byte> bytes() const { return std::as_bytes(bytes_.values()); }

    /// The elements, which must be of type T: not converted, and without a copy. Throws ValueError for other types.
    template <Storable T>
    Tensor<T> get() const {
        if (dtype_ != dtype_of<T>) detail::refuse_dtype(dtype_, dtype_of<T>);
        if constexpr (std::is_same_v<T, bool>) check_booleans();
        return memory<T>();
    }

    /// The elements as T. Without a copy if that is what they are; floating types are rounded to each other as
    /// in PyTorch (what is too large becomes infinite), integers and booleans must be equal to a T.
    /// Throws ValueError for integers that are not and for other types.
    template <Storable T>
    Tensor<T> as() const {
        if (dtype_ == dtype_of<T>) return get<T>();
        if constexpr (is_floating(dtype_of<T>)) {
            if (dtype_ == DType::f16) return detail::converted<T>(memory<half>());
            if (dtype_ == DType::bf16) return detail::converted<T>(memory<bfloat16>());
            if (dtype_ == DType::f32) return detail::converted<T>(memory<float>());
            if (dtype_ == DType::f64) return detail::converted<T>(memory<double>());
        } else {
            if (dtype_ == DType::boolean || dtype_ == DType::u8)
                return detail::converted<T>(memory<std::uint8_t>());
            if (dtype_ == DType::i8) return detail::converted<T>(memory<std::int8_t>());
            if (dtype_ == DType::i16) return detail::converted<T>(memory<std::int16_t>());
            if (dtype_ == DType::u16) return detail::converted<T>(memory<std::uint16_t>());
            if (dtype_ == DType::i32) return detail::converted<T>(memory<std::int32_t>());
            if (dtype_ == DType::u32) return detail::converted<T>(memory<std::uint32_t>());
            if (dtype_ == DType::i64) return detail::converted<T>(memory<std::int64_t>());
            if (dtype_ == DType::u64) return detail::converted<T>(memory<std::uint64_t>());
        }
        detail::refuse_dtype(dtype_, dtype_of<T>);
    }

private:
    template <class T>
    Tensor<T> memory() const {
        return gradus::detail::reinterpret<T>(bytes_, shape_);
    }

    /// A bool in memory that is neither 0 nor 1 would be undefined.
    [[gnu::cold]] void check_booleans() const {
        if (dtype_ != DType::boolean) return;
        for (const std::uint8_t byte : bytes_)
            if (byte > 1) detail::raise<ValueError>({"as: BOOL is 0 or 1: got ", byte});
    }

    DType dtype_;
    Shape shape_;
    Tensor<std::uint8_t> bytes_;  // [bytes]
};

/// A tensor and its name in a file: "conv1.weight".
struct NamedTensor {
    std::string name;
    AnyTensor tensor;
};

/// What else a file says, text by text: {{"format", "pt"}}.
using Metadata = std::vector<std::pair<std::string, std::string>>;

}  // namespace gradus::io
