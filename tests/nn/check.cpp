// SPDX-License-Identifier: MIT
#include "gradus/nn/check.hpp"

#include "../../examples/support/resnet.hpp"
#include "gradus/core/random.hpp"
#include "gradus/nn/activations.hpp"
#include "gradus/nn/embedding.hpp"
#include "gradus/nn/flatten.hpp"
#include "gradus/nn/pool2d.hpp"
#include "gradus/nn/residual.hpp"
#include "gradus/ops/on_tensors.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

struct Cnn {
    nn::Conv2d<> conv1{1, 8, {.kernel_size = 5}}, conv2{8, 16, {.kernel_size = 5}};
    nn::Linear<> fc{256, 10};

    Variable<> operator()(Variable<> x) const {
        x = relu(max_pool2d(conv1(x), {.kernel_size = 2}));
        x = relu(max_pool2d(conv2(x), {.kernel_size = 2}));
        return fc(flatten(x));
    }
};

}  // namespace

TEST_CASE("check: shapes, parameters, multiply-adds and memory of a CNN") {
    const nn::ModelShapes shapes = nn::check(Cnn(), {2, 1, 28, 28});
    REQUIRE(shapes.layers.size() == 3);
    CHECK(shapes.layers[0].path == "conv1");
    CHECK(shapes.layers[0].output == Shape{2, 8, 24, 24});
    CHECK(shapes.layers[0].multiply_adds == 2 * 8 * 24 * 24 * 25);
    CHECK(shapes.layers[0].parameters == 8 * 25 + 8);
    CHECK(shapes.layers[1].output == Shape{2, 16, 8, 8});
    CHECK(shapes.layers[1].multiply_adds == 2 * 16 * 8 * 8 * 8 * 25);
    CHECK(shapes.layers[2].multiply_adds == 2 * 256 * 10);
    CHECK(shapes.multiply_adds ==
          shapes.layers[0].multiply_adds + shapes.layers[1].multiply_adds + shapes.layers[2].multiply_adds);
    CHECK(shapes.parameters == nn::parameter_count(Cnn()));
    CHECK(shapes.parameter_bytes == 4 * shapes.parameters);
    // pooled or not, the first convolution has the largest result
    CHECK(shapes.forward_bytes >= 4 * (2 * 8 * 24 * 24 + 2 * 28 * 28));
    CHECK(shapes.activation_bytes > 4 * (2 * 8 * 12 * 12 + 2 * 16 * 4 * 4 + 2 * 10));
}

TEST_CASE("check: the multiply-adds of ResNet-18 at 224 x 224") {
    const ResNet18<> net{.classes = 1000};
    const nn::ModelShapes shapes = nn::check(net, {1, 3, 224, 224});
    CHECK(shapes.parameters == 11689512);  // torchvision's
    CHECK(shapes.multiply_adds ==
          1814073344);  // fvcore's and torchvision's 1.81 G, by the sum over the layers
}

TEST_CASE("check: a layer around others has what is in it") {
    const nn::Sequential net(nn::Linear<>(4, 4),
                             nn::Residual(nn::Sequential(nn::Linear<>(4, 4), nn::ReLU())));
    const nn::ModelShapes shapes = nn::check(net, {3, 4});
    REQUIRE(shapes.layers.size() == 5);
    CHECK(shapes.layers[4].path == "1");
    CHECK(shapes.layers[4].multiply_adds == 3 * 16);
    CHECK(shapes.layers[4].parameters == 20);
    CHECK(shapes.multiply_adds == 2 * 3 * 16);
}

TEST_CASE("check: names the field or the place, the operation and the shapes") {
    struct Wrong {
        nn::Conv2d<> conv{1, 8, {.kernel_size = 5}};
        nn::Linear<> fc{100, 10};
        bool flat = true;
        Variable<> operator()(const Variable<>& x) const {
            const Variable<> y = conv(x);
            return flat ? fc(flatten(y)) : fc(reshape(y, {-1, 100}));
        }
    };
    CHECK_THROWS_MATCHES(
        nn::check(Wrong(), {2, 1, 8, 8}), ShapeError,
        Message("fc: linear: needs x [..., in] and weight [out, in]: got [2, 128] and [10, 100]"));
    CHECK_THROWS_MATCHES(
        nn::check(Wrong(), {2, 3, 8, 8}), ShapeError,
        Message("conv: conv2d: the weight is for another number of input channels: got [2, 3, 8, 8] "
                "and [8, 1, 5, 5]"));
    Wrong reshaping;
    reshaping.flat = false;
    CHECK_THROWS_WITH(nn::check(reshaping, {2, 1, 8, 8}), ContainsSubstring("after conv: reshape: "));
    CHECK_THROWS_MATCHES(nn::check(nn::Linear<>(2, 2), {1, 3}), ShapeError,  // no path, no prefix
                         Message("linear: needs x [..., in] and weight [out, in]: got [1, 3] and [2, 2]"));
}

TEST_CASE("check: changes nothing, and takes class numbers") {
    nn::Sequential net(nn::Linear<>(4, 3), nn::BatchNorm1d<>(3), nn::Dropout());
    const auto position = default_generator().position();
    CHECK(nn::check(net, {1, 4}).layers.size() == 3);
    CHECK_THROWS_AS(nn::check(net, {1, 5}), ShapeError);
    CHECK((net.get<1>().training && net.get<2>().training));
    CHECK(net.get<1>().running_mean->value() == zeros({3}));
    CHECK(default_generator().position() == position);
    CHECK(is_grad_enabled());
    CHECK(detail::tape_observer() == nullptr);
    CHECK(nn::detail::active_trace() == nullptr);

    struct Words {
        nn::Embedding<> embedding{10, 4};
        nn::Linear<> fc{4, 2};
        Variable<> operator()(const Tensor<Index>& words) const { return fc(embedding(words)); }
    };
    CHECK(nn::check<Index>(Words(), {5, 7}).layers.back().output == Shape{5, 7, 2});
    CHECK(nn::check<double>(nn::Linear<double>(2, 3), {1, 2}).parameter_bytes == 8 * 9);
}
