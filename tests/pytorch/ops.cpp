// SPDX-License-Identifier: MIT
// Operations and layers against PyTorch, for random options: values and all gradients.
#include "gradus/nn/batch_norm.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/ops/activation.hpp"
#include "gradus/ops/comparison.hpp"
#include "gradus/ops/conv2d.hpp"
#include "gradus/ops/einsum.hpp"
#include "gradus/ops/embedding.hpp"
#include "gradus/ops/indexing.hpp"
#include "gradus/ops/masking.hpp"
#include "gradus/ops/norm.hpp"
#include "gradus/ops/pool2d.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/ops/scan.hpp"
#include "gradus/ops/sort.hpp"
#include "pytorch/cases.hpp"

using namespace gradus;
using pytorch::Case;
using pytorch::Inputs;

namespace {

template <class Run>
void for_cases(const char* kind, const Run& run) {
    pytorch::for_cases_in_both("pytorch_ops.txt", kind, run);
}

/// Operations of x alone: f(x, case).
template <class F>
void check_unary(const char* kind, const F& f) {
    for_cases(kind, [&]<class T>(const Case& c, T) {
        Inputs<T> inputs(c);
        inputs.check(f(inputs["x"], c));
    });
}

template <class T, class Layer>
void check_batch_norm(const Case& c, Layer layer) {
    Inputs<T> inputs(c);
    const Variable<T> x = inputs["x"];
    for (auto& [name, parameter] : nn::named_parameters<T>(layer)) {
        parameter.set_value(c.input<T>(name));
        inputs.add(name, parameter);
    }
    layer(Variable<T>(pytorch::noise<T>(c.name + "/first", x.shape(), -2, 6)));
    inputs.check(layer(x), "train_");
    nn::eval(layer);
    inputs.check(layer(x), "eval_");
    for (auto& [name, buffer] : nn::named_buffers<T>(layer)) c.check(name, buffer.value());
    CHECK(nn::parameters<T>(layer).size() == (c.flag("affine") ? 2 : 0));
    CHECK(nn::buffers<T>(layer).size() == (c.flag("track") ? 2 : 0));
}

}  // namespace

TEST_CASE("pytorch: conv2d") {
    for_cases("conv2d", []<class T>(const Case& c, T) {
        Conv2dOptions o{.stride = c.pair<Size2>("stride"),
                        .dilation = c.pair<Size2>("dilation"),
                        .groups = c.integer("groups")};
        o.padding = c.word("padding") == "same" ? Padding2("same") : c.pair<Padding2>("padding");
        Inputs<T> inputs(c);
        const Variable<T> x = inputs["x"], weight = inputs["weight"];
        inputs.check(c.has("bias") ? conv2d(x, weight, inputs["bias"], o) : conv2d(x, weight, o));
    });
}

TEST_CASE("pytorch: conv2d with max_pool2d and relu") {
    for_cases("conv_pool", []<class T>(const Case& c, T) {
        Inputs<T> inputs(c);
        const Variable<T> x = inputs["x"], weight = inputs["weight"];
        const Conv2dOptions o{.stride = c.pair<Size2>("stride"), .padding = c.pair<Padding2>("padding")};
        const MaxPool2dOptions pool{.kernel_size = c.pair<Size2>("window"),
                                    .stride = c.pair<Size2>("pool_stride")};
        const auto conv = [&] {
            return c.has("bias") ? conv2d(x, weight, inputs["bias"], o) : conv2d(x, weight, o);
        };
        inputs.check(c.flag("relu_first") ? max_pool2d(relu(conv()), pool) : relu(max_pool2d(conv(), pool)));
    });
}

TEST_CASE("pytorch: max_pool2d") {
    for_cases("max_pool2d", []<class T>(const Case& c, T) {
        Inputs<T> inputs(c);
        Tensor<T> x = c.input<T>("x");
        if (c.flag("coarse"))
            for (T& value : x.mutable_values()) value = std::floor(2 * value);
        inputs.check(max_pool2d(inputs.add("x", x), {.kernel_size = c.pair<Size2>("kernel"),
                                                     .stride = c.pair<Size2>("stride"),
                                                     .padding = c.pair<Size2>("padding"),
                                                     .dilation = c.pair<Size2>("dilation"),
                                                     .ceil_mode = c.flag("ceil_mode")}));
    });
}

TEST_CASE("pytorch: avg_pool2d") {
    check_unary("avg_pool2d", [](const auto& x, const Case& c) {
        return avg_pool2d(x, {.kernel_size = c.pair<Size2>("kernel"),
                              .stride = c.pair<Size2>("stride"),
                              .padding = c.pair<Size2>("padding"),
                              .ceil_mode = c.flag("ceil_mode"),
                              .count_include_pad = c.flag("count_include_pad")});
    });
}

TEST_CASE("pytorch: adaptive and global pooling") {
    check_unary("adaptive_avg_pool2d",
                [](const auto& x, const Case& c) { return adaptive_avg_pool2d(x, c.pair<Size2>("output")); });
    check_unary("global_avg_pool2d", [](const auto& x, const Case&) { return global_avg_pool2d(x); });
    check_unary("global_max_pool2d", [](const auto& x, const Case&) { return global_max_pool2d(x); });
}

TEST_CASE("pytorch: batch_norm") {
    for_cases("batch_norm", []<class T>(const Case& c, T) {
        const Shape shape = c.shape("x");
        const nn::BatchNormLayerOptions o{.eps = c.number("eps"),
                                          .momentum = c.number("momentum"),
                                          .affine = c.flag("affine"),
                                          .track_running_stats = c.flag("track")};
        if (shape.rank() == 4)
            check_batch_norm<T>(c, nn::BatchNorm2d<T>(shape[1], o));
        else
            check_batch_norm<T>(c, nn::BatchNorm1d<T>(shape[1], o));
    });
}

TEST_CASE("pytorch: layer_norm") {
    for_cases("layer_norm", []<class T>(const Case& c, T) {
        Inputs<T> inputs(c);
        const Variable<T> x = inputs["x"];
        const NormOptions o{.eps = c.number("eps")};
        if (c.has("weight")) {
            const Variable<T> weight = inputs["weight"], bias = inputs["bias"];
            inputs.check(layer_norm(x, weight, bias, o));
        } else {
            inputs.check(layer_norm(x, c.shape("normalized"), o));
        }
    });
}

TEST_CASE("pytorch: embedding") {
    for_cases("embedding", []<class T>(const Case& c, T) {
        Inputs<T> inputs(c);
        const Variable<T> weight = inputs["weight"];
        const Tensor<Index> indices =
            pytorch::integers(c.name + "/indices", c.shape("indices"), weight.size(0));
        const EmbeddingOptions o{.padding_idx = static_cast<Index>(c.number("padding_idx", -1))};
        inputs.check(embedding(indices, weight, o));
    });
}

TEST_CASE("pytorch: activations") {
    check_unary("relu", [](const auto& x, const Case&) { return relu(x); });
    check_unary("leaky_relu", []<class T>(const Variable<T>& x, const Case& c) {
        return leaky_relu(x, static_cast<T>(c.number("negative_slope")));
    });
    check_unary("elu", []<class T>(const Variable<T>& x, const Case& c) {
        return elu(x, static_cast<T>(c.number("alpha")));
    });
    check_unary("gelu", [](const auto& x, const Case&) { return gelu(x); });
    check_unary("sigmoid", [](const auto& x, const Case&) { return sigmoid(x); });
    check_unary("silu", [](const auto& x, const Case&) { return silu(x); });
    check_unary("tanh", [](const auto& x, const Case&) { return tanh(x); });
    check_unary("erf", [](const auto& x, const Case&) { return erf(x); });
    check_unary("softplus", [](const auto& x, const Case&) { return softplus(x); });
    check_unary("softmax", [](const auto& x, const Case& c) { return softmax(x, int(c.integer("dim"))); });
    check_unary("log_softmax",
                [](const auto& x, const Case& c) { return log_softmax(x, int(c.integer("dim"))); });
    check_unary("gelu_tanh",
                [](const auto& x, const Case&) { return gelu(x, {.approximate = GeluApproximation::tanh}); });
    check_unary("softplus_options", [](const auto& x, const Case& c) {
        return softplus(x, {.beta = c.number("beta"), .threshold = c.number("threshold")});
    });
}

TEST_CASE("pytorch: element by element") {
    check_unary("rsqrt", [](const auto& x, const Case&) { return rsqrt(x); });
    check_unary("round", [](const auto& x, const Case&) { return round(x); });
    check_unary("clamp_min", [](const auto& x, const Case&) { return clamp_min(x, -0.5); });
    check_unary("clamp_max", [](const auto& x, const Case&) { return clamp_max(x, 0.5); });
}

TEST_CASE("pytorch: masks and triangles") {
    check_unary("masked_fill", []<class T>(const Variable<T>& x, const Case& c) {
        const Tensor<bool> mask = pytorch::noise<T>(c.name + "/mask", x.shape()) < 0;
        return masked_fill(x, mask, static_cast<T>(c.number("value")));
    });
    check_unary("tril", [](const auto& x, const Case& c) { return tril(x, c.integer("diagonal")); });
    check_unary("triu", [](const auto& x, const Case& c) { return triu(x, c.integer("diagonal")); });
}

TEST_CASE("pytorch: along an axis") {
    check_unary("prod", [](const auto& x, const Case& c) { return prod(x, int(c.integer("dim"))); });
    check_unary("std", [](const auto& x, const Case& c) {
        return gradus::std(x, int(c.integer("dim")), {.correction = c.integer("correction")});
    });
    check_unary("cumsum", [](const auto& x, const Case& c) { return cumsum(x, int(c.integer("dim"))); });
    check_unary("sort", [](const auto& x, const Case& c) {
        return sort(x, int(c.integer("dim")), {.descending = c.flag("descending")}).values;
    });
    check_unary("topk", [](const auto& x, const Case& c) {
        return topk(x, c.integer("k"), -1, {.largest = c.flag("largest")}).values;
    });
}

TEST_CASE("pytorch: scatter_add and einsum") {
    for_cases("scatter_add", []<class T>(const Case& c, T) {
        Inputs<T> inputs(c);
        const Variable<T> x = inputs["x"], source = inputs["source"];
        const int axis = int(c.integer("dim"));
        const Tensor<Index> indices = pytorch::integers(c.name + "/indices", source.shape(), x.size(axis));
        inputs.check(scatter_add(x, axis, indices, source));
    });
    for_cases("einsum", []<class T>(const Case& c, T) {
        Inputs<T> inputs(c);
        const std::string equation = c.word("equation");
        const Variable<T> a = inputs["a"];
        inputs.check(c.has("b") ? einsum(equation, a, inputs["b"]) : einsum(equation, a));
    });
}
