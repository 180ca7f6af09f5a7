// SPDX-License-Identifier: MIT
#include "gradus/nn/pool2d.hpp"

#include <string>
#include <type_traits>

#include "gradus/core/random.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/nn/sequential.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

/// Checks the layer against its function: result, gradient and trace.
template <class Layer, class F>
void check_layer(const Layer& layer, const F& f, const std::string& type) {
    static_assert(std::is_trivially_copyable_v<Layer>);
    Generator generator(1);
    const Tensor<> x = randn({2, 3, 6, 8}, generator);
    const nn::Trace trace;
    const Tensor<> y = layer(Variable<>(x)).value();
    CHECK(y == f(Variable<>(x)).value());
    CHECK(gradient(layer, x) == gradient(f, x));
    REQUIRE(trace.entries().size() == 2);
    CHECK(trace.entries()[0].type == type);
    CHECK(trace.entries()[0].output == y.shape());
}

}  // namespace

TEST_CASE("pooling layers: the functions of the same names") {
    check_layer(
        nn::MaxPool2d({.kernel_size = 3, .stride = 2, .padding = 1}),
        [](const auto& x) { return max_pool2d(x, {.kernel_size = 3, .stride = 2, .padding = 1}); },
        "MaxPool2d");
    check_layer(
        nn::AvgPool2d({.kernel_size = 2}), [](const auto& x) { return avg_pool2d(x, {.kernel_size = 2}); },
        "AvgPool2d");
    check_layer(
        nn::AdaptiveAvgPool2d({2, 3}),
        [](const auto& x) {
            return adaptive_avg_pool2d(x, {2, 3});
        },
        "AdaptiveAvgPool2d");
    check_layer(
        nn::GlobalAvgPool2d{}, [](const auto& x) { return global_avg_pool2d(x); }, "GlobalAvgPool2d");
    check_layer(
        nn::GlobalMaxPool2d{}, [](const auto& x) { return global_max_pool2d(x); }, "GlobalMaxPool2d");
}

TEST_CASE("pooling layers: in a model and in a sequence") {
    struct Model {
        nn::MaxPool2d pool{{.kernel_size = 2}};
        nn::GlobalAvgPool2d head;
    };
    Model model;
    CHECK(nn::parameters(model).empty());
    const Variable<> x(ones({2, 3, 4, 4}));
    CHECK(model.head(model.pool(x)).value() == ones({2, 3}));
    nn::Sequential net(nn::MaxPool2d({.kernel_size = 2}), nn::AdaptiveAvgPool2d(1));
    CHECK(net(x).value() == ones({2, 3, 1, 1}));
    CHECK(nn::parameters(net).empty());
}
