// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "gradus/core/bfloat16.hpp"
#include "gradus/core/shape.hpp"
#include "gradus/io/half.hpp"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error \
    "gradus/io.hpp: files hold little-endian numbers, and are read into memory as they are: not for this processor"
#endif

namespace gradus::io {

/// What the elements of a tensor in a file are. In the order of the safetensors format, which writes the last
/// of these first. Those without a C++ type here (f4 to f6, f8, c64) can be read and written as bytes.
enum class DType : std::uint8_t {
    boolean,
    f4,
    f6_e2m3,
    f6_e3m2,
    u8,
    i8,
    f8_e5m2,
    f8_e4m3,
    f8_e8m0,
    f8_e4m3fnuz,
    f8_e5m2fnuz,
    i16,
    u16,
    f16,
    bf16,
    i32,
    u32,
    f32,
    c64,
    f64,
    i64,
    u64,
};

namespace detail {

struct DTypeInfo {
    std::string_view name;
    int bits;
};

inline constexpr DTypeInfo dtypes[] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},
};

template <class T>
constexpr DType dtype_of_type() {
    if constexpr (std::is_same_v<T, bool>)
        return DType::boolean;
    else if constexpr (std::is_same_v<T, half>)
        return DType::f16;
    else if constexpr (std::is_same_v<T, bfloat16>)
        return DType::bf16;
    else if constexpr (std::is_floating_point_v<T>)
        return sizeof(T) == 4 ? DType::f32 : DType::f64;
    else if constexpr (std::is_signed_v<T>)
        return sizeof(T) == 1   ? DType::i8
               : sizeof(T) == 2 ? DType::i16
               : sizeof(T) == 4 ? DType::i32
                                : DType::i64;
    else
        return sizeof(T) == 1   ? DType::u8
               : sizeof(T) == 2 ? DType::u16
               : sizeof(T) == 4 ? DType::u32
                                : DType::u64;
}

}  // namespace detail

/// What files can hold the elements of.
template <class T>
concept Storable = std::is_same_v<T, half> || std::is_same_v<T, bfloat16> ||
    (std::is_arithmetic_v<T> && sizeof(T) <= 8);

template <Storable T>
inline constexpr DType dtype_of = detail::dtype_of_type<T>();

/// The name in safetensors files: "F32", "I64", "BOOL".
constexpr std::string_view name(DType dtype) { return detail::dtypes[static_cast<int>(dtype)].name; }

/// Bits of an element.
constexpr int bits(DType dtype) { return detail::dtypes[static_cast<int>(dtype)].bits; }

/// Bytes of so many elements; what is left of a byte is not counted.
constexpr Index byte_count(DType dtype, Index numel) {
    return numel / 8 * bits(dtype) + numel % 8 * bits(dtype) / 8;
}

/// f16, bf16, f32 and f64: what converts into each other.
constexpr bool is_floating(DType dtype) {
    return dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f32 || dtype == DType::f64;
}

/// boolean and the integers.
constexpr bool is_integer(DType dtype) {
    switch (dtype) {
        case DType::boolean:
        case DType::u8:
        case DType::i8:
        case DType::i16:
        case DType::u16:
        case DType::i32:
        case DType::u32:
        case DType::i64:
        case DType::u64:
            return true;
        default:
            return false;
    }
}

}  // namespace gradus::io
