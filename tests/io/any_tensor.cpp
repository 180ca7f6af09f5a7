// SPDX-License-Identifier: MIT
#include "gradus/io/any_tensor.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "support/test.hpp"

using namespace gradus;
using io::AnyTensor;
using io::DType;

namespace {

std::string refusal(const auto& f) {
    try {
        f();
    } catch (const ValueError& error) {
        return error.what();
    }
    return "no ValueError";
}

const void* address(const AnyTensor& x) { return x.bytes().data(); }

}  // namespace

TEST_CASE("AnyTensor: shares the memory of what it is made from, and is a snapshot of it") {
    Tensor<> x{{1, 2}, {3, 4}};
    const AnyTensor any = x;
    CHECK(any.dtype() == DType::f32);
    CHECK(any.shape() == Shape{2, 2});
    CHECK(any.bytes().size() == 16);
    CHECK(address(any) == x.data());
    CHECK(any.as<float>().data() == x.data());
    x.mutable_at(0, 0) = 5;  // copies first
    CHECK(address(any) != x.data());
    CHECK(any.as<float>() == Tensor<>{{1, 2}, {3, 4}});
    Tensor<> y = any.as<float>();
    y.mutable_at(0, 0) = 6;
    CHECK(any.as<float>()(0, 0) == 1);
    AnyTensor moved_from = any;
    const AnyTensor moved = std::move(moved_from);
    CHECK(moved_from.as<float>() == moved.as<float>());
    CHECK(AnyTensor().as<double>() == Tensor<double>());
    CHECK(AnyTensor(x.rows(1, 2)).as<float>() == Tensor<>{{3, 4}});
    const float memory[] = {7, 8};
    CHECK(address(AnyTensor(Tensor<>::borrow(memory, {2}))) == memory);
}

TEST_CASE("AnyTensor: knows every number type by its name") {
    const auto name = [](const auto& tensor) { return std::string(io::name(AnyTensor(tensor).dtype())); };
    CHECK(name(Tensor<bool>()) == "BOOL");
    CHECK(name(Tensor<std::uint8_t>()) == "U8");
    CHECK(name(Tensor<std::int8_t>()) == "I8");
    CHECK(name(Tensor<std::int16_t>()) == "I16");
    CHECK(name(Tensor<std::uint16_t>()) == "U16");
    CHECK(name(Tensor<std::int32_t>()) == "I32");
    CHECK(name(Tensor<std::uint32_t>()) == "U32");
    CHECK(name(Tensor<Index>()) == "I64");
    CHECK(name(Tensor<long>()) == (sizeof(long) == 8 ? "I64" : "I32"));
    CHECK(name(Tensor<std::uint64_t>()) == "U64");
    CHECK(name(Tensor<half>()) == "F16");
    CHECK(name(Tensor<bfloat16>()) == "BF16");
    CHECK(name(Tensor<float>()) == "F32");
    CHECK(name(Tensor<double>()) == "F64");
}

TEST_CASE("AnyTensor: floating types become each other") {
    const Tensor<double> x{1.5, -0.1, 1e-10, 1e30, 1e300};
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(AnyTensor(x).as<float>() == Tensor<>{1.5f, -0.1f, 1e-10f, 1e30f, infinity});
    CHECK(AnyTensor(AnyTensor(x).as<half>()).as<float>() ==
          Tensor<>{1.5f, -0.0999755859375f, 0.0f, infinity, infinity});
    CHECK(AnyTensor(AnyTensor(Tensor<>{1.5f, -0.1f}).as<bfloat16>()).as<double>() ==
          Tensor<double>{1.5, -0.10009765625});
    CHECK(AnyTensor(AnyTensor(Tensor<>{1.5f, 1e-7f}).as<half>()).as<bfloat16>() ==
          Tensor<bfloat16>({2}, std::vector<bfloat16>{bfloat16(1.5f), bfloat16(0x1p-23f)}));
    CHECK(std::isnan(AnyTensor(AnyTensor(Tensor<double>{std::nan("")}).as<half>()).as<double>().item()));
}

TEST_CASE("AnyTensor: integers become each other if they are equal, and nothing else") {
    CHECK(AnyTensor(Tensor<Index>{-128, 127}).as<std::int8_t>() == Tensor<std::int8_t>{-128, 127});
    CHECK(AnyTensor(Tensor<std::uint8_t>{0, 255}).as<Index>() == Tensor<Index>{0, 255});
    CHECK(AnyTensor(Tensor<bool>{true, false}).as<Index>() == Tensor<Index>{1, 0});
    CHECK(AnyTensor(Tensor<Index>{1, 0}).as<bool>() == Tensor<bool>{true, false});
    CHECK(refusal([] { AnyTensor(Tensor<Index>{128}).as<std::int8_t>(); }) == "as: 128 is no I8");
    CHECK(refusal([] { AnyTensor(Tensor<Index>{-1}).as<std::uint64_t>(); }) == "as: -1 is no U64");
    CHECK(refusal([] { AnyTensor(Tensor<std::int32_t>{-1}).as<std::uint32_t>(); }) == "as: -1 is no U32");
    CHECK(refusal([] { AnyTensor(Tensor<std::uint64_t>{~std::uint64_t{0}}).as<Index>(); }) ==
          "as: 18446744073709551615 is no I64");
    CHECK(refusal([] { AnyTensor(Tensor<std::uint8_t>{2}).as<bool>(); }) == "as: 2 is no BOOL");
    const std::string rest =
        ": floating types convert into each other, and integers into each other; read it as what it is and "
        "cast()";
    CHECK(refusal([] { AnyTensor(Tensor<Index>{1}).as<float>(); }) == "as: I64 does not become F32" + rest);
    CHECK(refusal([] { AnyTensor(Tensor<>{1}).as<Index>(); }) == "as: F32 does not become I64" + rest);
}

TEST_CASE("AnyTensor: of the bytes of a file") {
    const Tensor<std::uint8_t> bytes{0, 0, 128, 63, 0, 0, 0, 64};
    const AnyTensor any(DType::f32, {2, 1}, bytes);
    CHECK(any.as<float>() == Tensor<>{{1}, {2}});
    CHECK(address(any) == bytes.data());
    CHECK(AnyTensor(DType::f4, {4, 4}, bytes).bytes().size() == 8);
    CHECK(refusal([&] { AnyTensor(DType::f32, {3}, bytes); }) == "tensor: [3] of F32 is not 8 bytes");
    CHECK(refusal([&] {
              AnyTensor(DType::f8_e4m3, {8}, bytes).as<float>();
          }).starts_with("as: F8_E4M3 does not become F32: "));
    // A bool that is neither 0 nor 1 never gets into a tensor.
    CHECK(refusal([&] { AnyTensor(DType::boolean, {8}, bytes).as<bool>(); }) ==
          "as: BOOL is 0 or 1: got 128");
    CHECK(AnyTensor(DType::boolean, {8}, bytes).as<std::uint8_t>() == bytes);
}
