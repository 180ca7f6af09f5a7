// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/bf16.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gradus/core/precision.hpp"
#include "gradus/core/random.hpp"
#include "gradus/kernels/conv/conv2d.hpp"
#include "support/bf16_backends.hpp"
#include "support/convolution.hpp"
#include "support/random.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using convolution::sizes;
using kernels::Bf16Backend;
using kernels::ConvGeometry;
using kernels::detail::Bf16Plan;

namespace {

struct Results {
    Tensor<> y, dx, dw;
};

struct Operands {
    Tensor<> x, padded, w, bias, dy;

    explicit Operands(const ConvGeometry& s)
        : x(whole_numbers<float>({s.batch, s.groups * s.in, s.image.height, s.image.width}, 1)),
          padded(kernels::with_padding(s, x)),
          w(whole_numbers<float>(s.weight_shape(), 2)),
          bias(whole_numbers<float>({s.groups * s.out}, 3)),
          dy(whole_numbers<float>(s.y_shape(), 4)) {}

    /// The exact result: operands are whole numbers, and float may round (Winograd's algorithm does).
    Results expected(const ConvGeometry& s) const {
        const auto wide = [](const Tensor<>& numbers) { return cast<double>(numbers); };
        const auto whole = [](const Tensor<double>& numbers) {
            Tensor<> result = Tensor<>::uninitialized(numbers.shape());
            std::transform(numbers.begin(), numbers.end(), result.mutable_data(),
                           [](double number) { return static_cast<float>(std::round(number)); });
            return result;
        };
        Tensor<double> y = Tensor<double>::uninitialized(s.y_shape());
        const kernels::ConvPlan<double> plan(s);
        const Tensor<double> read = kernels::pad_images(plan, wide(x));
        kernels::conv2d(plan, read, wide(w), wide(bias).data(), y.mutable_data());
        return {whole(y), whole(kernels::conv2d_backward_input(plan, wide(dy), wide(w))),
                whole(kernels::conv2d_backward_weight(plan, read, wide(dy)))};
    }
    Results with(const Bf16Plan& plan, const ConvGeometry& s) const {
        Results r{full(s.y_shape(), 12345.0f), kernels::detail::conv2d_backward_input_bf16(plan, s, dy, w),
                  kernels::detail::conv2d_backward_weight_bf16(plan, s, padded, dy)};
        kernels::detail::conv2d_bf16(plan, s, padded.data(), w.data(), bias.data(), r.y.mutable_data());
        return r;
    }
};

void check(const ConvGeometry& s) {
    INFO("batch " << s.batch << ", groups " << s.groups << ", channels " << s.in << " to " << s.out
                  << ", image " << to_string(s.image) << ", kernel " << to_string(s.kernel) << ", stride "
                  << to_string(s.stride) << ", padded " << to_string(s.padded) << ", dilation "
                  << to_string(s.dilation));
    const Operands operands(s);
    const Results expected = operands.expected(s);
    for (const Bf16Backend& backend : bf16_backends::all())
        for (const bool split : {false, true}) {
            INFO(backend.name << ", split " << split);
            const Results r = operands.with(bf16_backends::plan(backend, split), s);
            CHECK(r.y == expected.y);
            CHECK(r.dx == expected.dx);
            CHECK(r.dw == expected.dw);
        }
}

}  // namespace

TEST_CASE("bf16 convolutions: as in float where nothing is rounded, at awkward sizes") {
    const Size2 one{1, 1}, none{0, 0};
    for (const Index channels : {1, 15, 16, 17, 33}) {
        check(sizes(3, 1, 3, channels, {5, 4}, {3, 2}, one, none, none, one));
        check(sizes(2, 1, channels, 3, {4, 5}, {2, 3}, one, one, one, one));
    }
    for (const Index width : {1, 4, 8, 13, 16, 17, 31, 32, 40})  // runs of pixels
        check(sizes(2, 1, 2, 3, {3, width}, {3, 3}, one, one, one, one));
    check(sizes(5, 1, 4, 6, {3, 3}, {3, 3}, one, none, none, one));        // one pixel per image
    check(sizes(3, 1, 16, 20, {8, 8}, {1, 1}, one, none, none, one));      // no patches
    check(sizes(37, 1, 2, 40, {6, 6}, {3, 3}, one, one, one, one));        // k in several blocks
    check(sizes(2, 1, 40, 20, {5, 5}, {5, 5}, one, {2, 2}, {2, 2}, one));  // many taps
    check(sizes(2, 1, 3, 5, {4, 4}, {2, 2}, one, {3, 4}, {2, 1}, one));    // padding beyond the kernel
    check(sizes(2, 1, 3, 5, {9, 8}, {3, 3}, {2, 3}, one, {2, 0}, one));
    check(sizes(2, 1, 3, 5, {9, 8}, {1, 2}, {3, 2}, none, none, one));  // pixels that no window sees
    check(sizes(2, 1, 3, 5, {9, 10}, {3, 2}, {2, 2}, {2, 1}, {1, 3}, {3, 2}));
    check(sizes(2, 1, 3, 5, {7, 7}, {3, 3}, {4, 5}, {2, 2}, {2, 2}, {2, 2}));
    check(sizes(2, 1, 3, 5, {9, 9}, {3, 3}, {2, 2}, {2, 2}, {2, 2},
                {2, 2}));                                          // taps that reach every other pixel
    check(sizes(2, 3, 2, 5, {5, 5}, {3, 3}, one, one, one, one));  // groups
    check(sizes(2, 7, 1, 5, {5, 6}, {3, 3}, one, one, one, one));
    check(sizes(1, 1, 17, 18, {64, 63}, {2, 2}, {2, 1}, none, none, one));
}

TEST_CASE("bf16 convolutions: operands that are too large to be packed as a whole") {
    const Size2 one{1, 1};
    check(sizes(9, 1, 32, 40, {32, 32}, {3, 3}, one, one, one, one));
    check(sizes(4, 1, 64, 33, {46, 47}, {3, 3}, {2, 1}, one, one, one));
}

TEST_CASE("bf16 convolutions: the same bits for every number of threads") {
    const Size2 one{1, 1};
    const ConvGeometry s = sizes(9, 1, 32, 40, {32, 32}, {3, 3}, one, one, one, one);
    Operands operands(s);
    Generator generator(5);
    operands.padded = randn<float>(operands.padded.shape(), generator);
    operands.dy = randn<float>(operands.dy.shape(), generator);
    for (const Bf16Backend& backend : bf16_backends::all()) {
        INFO(backend.name);
        const Threads one_thread(1);
        const Results first = operands.with(bf16_backends::plan(backend, false), s);
        for (const int threads : {2, 3}) {
            const Threads limit(threads);
            const Results r = operands.with(bf16_backends::plan(backend, false), s);
            CHECK(r.y == first.y);
            CHECK(r.dx == first.dx);
            CHECK(r.dw == first.dw);
        }
    }
}

TEST_CASE("bf16 convolutions: a plan keeps the backend and the precision of its making") {
    const Size2 one{1, 1};
    const ConvGeometry s = sizes(4, 1, 16, 20, {16, 16}, {3, 3}, one, one, one, one);
    const Operands operands(s);
    Bf16Backend backend = bf16_backends::model;
    backend.split_is_faster = true;  // faster than Winograd's algorithm
    const kernels::ScopedBf16Backend scope(backend);
    CHECK(kernels::ConvPlan<float>(s).algorithms.y == kernels::ConvAlgorithm::winograd);
    set_float32_matmul_precision("medium");
    const kernels::ConvPlan<float> plan(s);
    CHECK(plan.algorithms.y == kernels::ConvAlgorithm::bf16);
    CHECK(kernels::ConvPlan<double>(s).algorithms.y == kernels::ConvAlgorithm::winograd);
    set_float32_matmul_precision("highest");
    const Results r = operands.with(bf16_backends::plan(backend, false), s);
    Tensor<> y = Tensor<>::uninitialized(s.y_shape());
    kernels::conv2d(plan, operands.padded, operands.w, operands.bias.data(), y.mutable_data());
    CHECK(y == r.y);
    CHECK(kernels::conv2d_backward_input(plan, operands.dy, operands.w) == r.dx);
    CHECK(kernels::conv2d_backward_weight(plan, operands.padded, operands.dy) == r.dw);
}
