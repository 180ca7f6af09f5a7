// SPDX-License-Identifier: MIT
// Sizes that no computation can have: every operation refuses them at once, before it spends time or memory
// on them, and without adding up or multiplying beyond the range of Index.

#include <chrono>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/conv2d.hpp"
#include "gradus/ops/indexing.hpp"
#include "gradus/ops/layout.hpp"
#include "gradus/ops/pool2d.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/ops/slice.hpp"
#include "support/numbers.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

constexpr Index most = std::numeric_limits<Index>::max(), least = std::numeric_limits<Index>::min();
const std::initializer_list<Index> huge = {most,
                                           most - 1,
                                           most / 2,
                                           most / 2 + 1,
                                           most / 3,
                                           Index{1} << 61,
                                           Index{1} << 56,
                                           Index{1} << 32,
                                           3037000500 /* √2⁶³ */,
                                           Index{1} << 31,
                                           (Index{1} << 57) + 1};

Variable<> images(const Shape& shape = {1, 1, 5, 5}) { return Variable<>(ones(shape)); }

/// Runs `f`, which must refuse with a ShapeError or a ValueError within a second.
template <class F>
void check_refused(const F& f) {
    const auto start = std::chrono::steady_clock::now();
    bool refused = false;
    try {
        f();
    } catch (const ShapeError&) {
        refused = true;
    } catch (const ValueError&) {
        refused = true;
    }
    CHECK(refused);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
}

}  // namespace

TEST_CASE("limits: the windows of convolutions") {
    const Variable<> x = images(), kernel(ones({1, 1, 3, 3})), dot(ones({1, 1, 1, 1}));
    for (const Index n : huge) {
        INFO(n);
        for (const Size2 size : {Size2(n), Size2(n, 1), Size2(1, n)}) {
            CHECK_THROWS_AS(conv2d(x, kernel, {.dilation = size}), ShapeError);
            if (n > Index{1} << 60) {
                Conv2dOptions padded;
                padded.padding = {size.height, size.width};
                CHECK_THROWS_AS(conv2d(x, kernel, padded), ShapeError);
                padded.dilation = size;
                CHECK_THROWS_AS(conv2d(x, kernel, padded), ShapeError);
                CHECK_THROWS_AS(conv2d(images({0, 1, 5, 5}), kernel, padded), ShapeError);
                CHECK_THROWS_AS(conv2d(x, kernel, {.padding = "same", .dilation = size}), ShapeError);
            }
        }
        // One window fits: it is the first, whatever the distance to the next; and one tap has no neighbors.
        CHECK(conv2d(x, kernel, {.stride = n}).value() == full({1, 1, 1, 1}, 9));
        CHECK(conv2d(x, dot, {.stride = n, .dilation = n}).value() == full({1, 1, 1, 1}, 1));
        CHECK(conv2d(x, dot, {.dilation = n}).value() == ones({1, 1, 5, 5}));
        const Variable<> from = leaf(ones({1, 1, 5, 5}));
        sum(conv2d(from, kernel, {.stride = n})).backward();
        CHECK(sum(Variable<>(from.grad())).item() == 9);
        CHECK_THROWS_AS(conv2d(x, kernel, {.groups = n}), ValueError);
    }
    for (const Index n : {least, least + 1, Index{-1}}) {
        CHECK_THROWS_AS(conv2d(x, kernel, {.stride = n}), ValueError);
        CHECK_THROWS_AS(conv2d(x, kernel, {.padding = n}), ValueError);
        CHECK_THROWS_AS(conv2d(x, kernel, {.dilation = n}), ValueError);
        CHECK_THROWS_AS(conv2d(x, kernel, {.groups = n}), ValueError);
    }
    const std::string at_most = std::to_string(most);
    CHECK_THROWS_MATCHES(conv2d(x, kernel, {.dilation = most}), ShapeError,
                         Message("conv2d: the kernel (with dilation) is larger than the padded image: got [" +
                                 at_most + ", " + at_most + "] and [5, 5]"));
    CHECK_THROWS_MATCHES(
        conv2d(x, kernel, {.padding = most}), ShapeError,
        Message("conv2d: more elements than memory can address: got size " + at_most + " at axis 2"));
    // Empty tensors may have long axes.
    const Variable<> line(zeros({0, 1, 1, Index{1} << 50}));
    CHECK_THROWS_AS(conv2d(line, dot, {.padding = Index{1} << 40}), ShapeError);
    CHECK_THROWS_AS(conv2d(line, Variable<>(zeros({0, 1, 3, Index{1} << 50})), {.dilation = Index{1} << 50}),
                    ShapeError);
}

TEST_CASE("limits: the windows of poolings") {
    const Variable<> x = images();
    for (const Index n : huge) {
        INFO(n);
        for (const Size2 size : {Size2(n), Size2(n, 1), Size2(1, n)}) {
            check_refused([&] { max_pool2d(x, {.kernel_size = size}); });
            check_refused([&] { max_pool2d(x, {.kernel_size = 2, .stride = size}); });
            check_refused([&] { max_pool2d(x, {.kernel_size = 2, .padding = size}); });
            check_refused([&] { max_pool2d(x, {.kernel_size = 2, .dilation = size}); });
            check_refused([&] { max_pool2d(x, {.kernel_size = size, .padding = size, .ceil_mode = true}); });
            check_refused([&] { avg_pool2d(x, {.kernel_size = size}); });
            check_refused([&] { avg_pool2d(x, {.kernel_size = 2, .stride = size, .padding = size}); });
            check_refused([&] { adaptive_avg_pool2d(x, size); });
            check_refused([&] { adaptive_avg_pool2d(images({0, 1, 5, 5}), size); });
        }
    }
    for (const Index n : {least, Index{-1}}) {
        check_refused([&] { max_pool2d(x, {.kernel_size = n}); });
        check_refused([&] { max_pool2d(x, {.kernel_size = 2, .stride = n}); });
        check_refused([&] { max_pool2d(x, {.kernel_size = 2, .padding = n}); });
        check_refused([&] { max_pool2d(x, {.kernel_size = 2, .dilation = n}); });
        check_refused([&] { adaptive_avg_pool2d(x, n); });
    }
    CHECK_THROWS_MATCHES(adaptive_avg_pool2d(x, most), ShapeError,
                         Message("adaptive_avg_pool2d: more elements than memory can address: got size " +
                                 std::to_string(most) + " at axis 2"));
    const Variable<> line(zeros({0, 1, 1, Index{1} << 50}));  // of no images, and so without memory
    check_refused([&] { max_pool2d(line, {.kernel_size = 1}); });
    check_refused([&] { avg_pool2d(line, {.kernel_size = 1}); });
    check_refused([&] { adaptive_avg_pool2d(line, {1, 1 << 20}); });
    CHECK(max_pool2d(x, {.kernel_size = 1, .dilation = Index{1} << 30}).value() == x.value());
}

TEST_CASE("limits: shapes") {
    const Variable<> x(Tensor<>{{0, 1, 2}, {3, 4, 5}});
    for (const Index n : huge) {
        INFO(n);
        check_refused([&] { reshape(x, {n, n, -1}); });
        check_refused([&] { reshape(x, {n, -1}); });
        check_refused([&] { repeat(x, {n, n}); });
        check_refused([&] { repeat(x, {n, 1, 1 << 30, 1 << 30}); });
        check_refused([&] { pad(x, {{n, n}, {n, n}}); });
        check_refused([&] { broadcast_to(Variable<>(ones({1})), {n, n}); });
        check_refused([&] { one_hot(Tensor<Index>{{0, 1}}, most); });
        check_refused([&] { eye(n); });
    }
    for (const Index n : {most, Index{1} << 57, Index{-1}, least}) {
        INFO(n);
        check_refused([&] { static_cast<void>(arange(n)); });
        check_refused([&] { static_cast<void>(linspace(0, 1, n)); });
        check_refused([&] { static_cast<void>(eye(n)); });
        check_refused([&] { static_cast<void>(permutation(n)); });
        check_refused([&] { static_cast<void>(zeros({n, 1})); });
    }
    CHECK_THROWS_MATCHES(arange(most), ShapeError,
                         Message("arange: more elements than memory can address: got size " +
                                 std::to_string(most) + " at axis 0"));
    // Lists of pieces and sums of sizes: axes of empty tensors.
    const Variable<> long_and_empty(zeros({Index{1} << 50, 0}));
    CHECK_THROWS_MATCHES(split(long_and_empty, 1), ValueError,
                         Message("split: more than 2^31 pieces; is the size of a piece too small?: got " +
                                 std::to_string(Index{1} << 50)));
    CHECK(split(long_and_empty, Index{1} << 49).size() == 2);
    check_refused([] { concat(std::vector<Variable<>>(200, Variable<>(zeros({Index{1} << 56, 0})))); });
}

TEST_CASE("limits: positions") {
    const Variable<> x(Tensor<>{0, 1, 2, 3, 4});
    for (const Index n : {most, least, least + 1, most - 1}) {
        INFO(n);
        check_refused([&] { slice(x, 0, n, 5); });
        check_refused([&] { slice(x, 0, 0, n); });
        check_refused([&] { slice(x, 0, n, n, n); });
        check_refused([&] { split(x, {n, 5}); });
        check_refused([&] { split(x, {n, n}); });
        check_refused([&] { index_select(x, 0, Tensor<Index>{n}); });
        check_refused([&] { gather(x, 0, Tensor<Index>{n}); });
        check_refused([&] { one_hot(Tensor<Index>{n}, 5); });
        check_refused([&] { static_cast<void>(x.value().rows(n, n)); });
        check_refused([&] { static_cast<void>(x.value().rows(0, n)); });
        check_refused([&] { static_cast<void>(x.value()(n)); });
    }
    CHECK(slice(x, 0, 1, 5, most).value() == Tensor<>{1});
    CHECK(split(x, most).size() == 1);
    check_refused([&] { slice(x, 0, 0, 5, least); });
    check_refused([&] { split(x, least); });
}

TEST_CASE("limits: sums of integers wrap around") {
    const Index top = std::numeric_limits<Index>::max();
    for (const Index n : {2, 3, 7, 9000}) {  // a row, several blocks of a row
        Tensor<Index> x = zeros<Index>({n});
        x.mutable_at(0) = x.mutable_at(n - 1) = top;
        CHECK(sum(Variable<Index>(x)).value().item() == -2);
        CHECK(sum(Variable<Index>(x.reshape({n, 1})), 0).value().item() == -2);
    }
}

TEST_CASE("limits: quotients of integers as variables") {
    const Variable<Index> x(Tensor<Index>{7, 0});
    check_refused([&] { x / Index{0}; });
    check_refused([&] { Index{1} / x; });
    check_refused([&] { x / x; });
    check_refused([&] { Variable<Index>(Tensor<Index>{least}) / Index{-1}; });
    CHECK((x / Index{2}).value() == Tensor<Index>{3, 0});
    CHECK((Index{-7} / Variable<Index>(Tensor<Index>{2})).value() == Tensor<Index>{-3});
}

TEST_CASE("limits: the mean of integers") {
    const auto mean_of = [](const Tensor<Index>& x) { return mean(Variable<Index>(x)).value(); };
    CHECK(mean_of({7, 8, 10}).item() == 8);
    CHECK_THROWS_MATCHES(
        mean_of(Tensor<Index>()), ValueError,
        Message("mean: integers cannot be divided by the count; cast<float>() first?: got 0"));
    CHECK_THROWS_AS(mean(Variable<Index>(zeros<Index>({3, 0})), 1), ValueError);
    CHECK(mean(Variable<Index>(zeros<Index>({0, 3})), 1).shape() == Shape{0});
    CHECK_THROWS_AS(mean(Variable<std::uint8_t>(zeros<std::uint8_t>({256}))), ValueError);
}
