// SPDX-License-Identifier: MIT
#include <iomanip>
#include <sstream>

#include <gradus/gradus.hpp>

#include "support/test.hpp"

using namespace gradus;

namespace {

template <class X>
std::string streamed(const X& x) {
    std::ostringstream out;
    out << x << std::setw(2) << 1;  // the stream goes on as the type that it is
    return out.str();
}

}  // namespace

TEST_CASE("what is written to a stream is what to_string gives") {
    const Tensor<> x{{1, 2}, {3, 4}};
    CHECK(streamed(x) == "[[1, 2],\n [3, 4]] 1");
    CHECK(streamed(Variable<>(x)) == "[[1, 2],\n [3, 4]] 1");
    CHECK(streamed(Parameter<>(x)) == "[[1, 2],\n [3, 4]] 1");
    CHECK(streamed(Variable<>()) == "(no value) 1");
    CHECK(streamed(Tensor<Index>{1, -2}) == "[ 1, -2] 1");
    CHECK(streamed(x.shape()) == "[2, 2] 1");
    CHECK(streamed(Shape()) == "[] 1");
    CHECK(streamed(Size2(3, 1)) == "[3, 1] 1");
    CHECK(streamed(bfloat16(0.5f)) == "0.5 1");
}
