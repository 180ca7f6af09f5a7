// SPDX-License-Identifier: MIT
// The work of sweep.cpp done by libtorch, whichever release it is built against: Debian's, or that of a
// PyTorch wheel.

#include <torch/version.h>

#include <memory>

#include "../support/serve.hpp"
#include "libtorch.hpp"

namespace {

using serve::Case;
using torch::Tensor;
using Sizes = std::vector<std::int64_t>;
using Operation = std::function<Tensor(const std::vector<Tensor>&)>;

Tensor numbers(at::IntArrayRef shape, std::uint32_t stream) {
    Tensor values = torch::empty(shape);
    workload::fill(peer::floats(values), stream, 1.0f);
    return values;
}

/// As clone(): see peer::layout().
Tensor in_layout(const Tensor& x, torch::MemoryFormat layout) { return x.dim() == 4 ? x.clone(layout) : x; }

serve::Sketch sketch(const Tensor& x) { return serve::sketch(peer::floats(x.detach().contiguous())); }

std::vector<Tensor> inputs(std::initializer_list<Sizes> shapes, torch::MemoryFormat layout) {
    std::vector<Tensor> all;
    for (const Sizes& shape : shapes)
        all.push_back(
            in_layout(numbers(shape, static_cast<std::uint32_t>(8 + all.size())), layout).requires_grad_());
    return all;
}

/// y = operation(x): forward as for inference, and the gradients of all x, written as in training:
/// autograd::grad() would leave that of a sum as a view of one number.
Case differentiable(const std::vector<Tensor>& x, torch::MemoryFormat layout, const Operation& operation) {
    const Tensor dy = in_layout(numbers(operation(x).sizes(), 20), layout);
    const auto step = [x, operation, dy] {
        const Tensor y = operation(x);
        for (const Tensor& input : x) input.mutable_grad().reset();
        y.backward(dy);
    };
    return {.forward =
                [x, operation] {
                    const c10::InferenceMode no_history;
                    operation(x);
                },
            .step = step,
            .results =
                [x, operation, step] {
                    std::vector<serve::Sketch> all{sketch(operation(x))};
                    step();
                    for (const Tensor& input : x) all.push_back(sketch(input.grad()));
                    return all;
                }};
}

Case convolution(const Sizes& s, torch::MemoryFormat layout) {
    const std::int64_t stride = s.at(5), padding = s.at(6), groups = s.at(7);
    return differentiable(
        inputs({{s[0], s[1], s[3], s[3]}, {s[2], s[1] / groups, s[4], s[4]}, {s[2]}}, layout), layout,
        [=](const auto& x) { return torch::conv2d(x[0], x[1], x[2], stride, padding, 1, groups); });
}

Case pooling(const std::string& kind, const Sizes& s, torch::MemoryFormat layout) {
    const auto x = inputs({{s.at(0), s.at(1), s.at(2), s.at(3)}}, layout);
    const auto with = [&](const auto& f) { return differentiable(x, layout, f); };
    if (kind == "global") return with([](const auto& v) { return v[0].mean({2, 3}); });
    const std::int64_t window = s.at(4), stride = s.at(5), padding = s.at(6);
    if (kind == "max")
        return with([=](const auto& v) { return torch::max_pool2d(v[0], window, stride, padding); });
    if (kind == "avg")
        return with([=](const auto& v) { return torch::avg_pool2d(v[0], window, stride, padding); });
    serve::unknown("pooling " + kind);
}

Case product(const std::string& kind, const Sizes& s) {
    constexpr auto layout = torch::MemoryFormat::Contiguous;
    const auto multiply = [](const auto& x) { return torch::matmul(x[0], x[1]); };
    if (kind == "linear")
        return differentiable(inputs({{s.at(0), s.at(1)}, {s.at(2), s[1]}, {s[2]}}, layout), layout,
                              [](const auto& x) { return torch::linear(x[0], x[1], x[2]); });
    if (kind == "matmul")
        return differentiable(inputs({{s.at(0), s.at(1)}, {s[1], s.at(2)}}, layout), layout, multiply);
    if (kind == "batched")
        return differentiable(inputs({{s.at(0), s.at(1), s.at(2)}, {s[0], s[2], s.at(3)}}, layout), layout,
                              multiply);
    serve::unknown("product " + kind);
}

Case norm(const std::string& kind, const Sizes& s, torch::MemoryFormat layout) {
    if (kind == "layer")
        return differentiable(inputs({s, {s.back()}, {s.back()}}, layout), layout, [](const auto& x) {
            return torch::layer_norm(x[0], x[1].sizes(), x[1], x[2]);
        });
    if (kind == "batch")
        return differentiable(inputs({s, {s.at(1)}, {s[1]}}, layout), layout, [](const auto& x) {
            return torch::batch_norm(x[0], x[1], x[2], {}, {}, true, 0.1, 1e-5, false);
        });
    serve::unknown("norm " + kind);
}

Case elementwise(const std::string& name, const Sizes& s) {
    constexpr auto layout = torch::MemoryFormat::Contiguous;
    const Sizes shape{s.at(0), s.at(1)}, row{s[1]}, column{s[0], 1};
    const auto unary = [&](auto f) {
        return differentiable(inputs({shape}, layout), layout, [f](const auto& x) { return f(x[0]); });
    };
    const auto binary = [&](const Sizes& second, auto f) {
        return differentiable(inputs({shape, second}, layout), layout,
                              [f](const auto& x) { return f(x[0], x[1]); });
    };
    const auto add = [](const Tensor& a, const Tensor& b) { return a + b; };
    const auto mul = [](const Tensor& a, const Tensor& b) { return a * b; };
    if (name == "add") return binary(shape, add);
    if (name == "mul") return binary(shape, mul);
    if (name == "add_row") return binary(row, add);
    if (name == "mul_row") return binary(row, mul);
    if (name == "add_column") return binary(column, add);
    if (name == "mul_column") return binary(column, mul);
    if (name == "relu") return unary([](const Tensor& x) { return x.relu(); });
    if (name == "gelu") return unary([](const Tensor& x) { return torch::gelu(x); });
    if (name == "silu") return unary([](const Tensor& x) { return torch::silu(x); });
    if (name == "sigmoid") return unary([](const Tensor& x) { return x.sigmoid(); });
    if (name == "tanh") return unary([](const Tensor& x) { return x.tanh(); });
    if (name == "exp") return unary([](const Tensor& x) { return x.exp(); });
    if (name == "square") return unary([](const Tensor& x) { return x.square(); });
    if (name == "softmax_rows") return unary([](const Tensor& x) { return x.softmax(1); });
    if (name == "softmax_columns") return unary([](const Tensor& x) { return x.softmax(0); });
    if (name == "log_softmax_rows") return unary([](const Tensor& x) { return x.log_softmax(1); });
    if (name == "sum_all") return unary([](const Tensor& x) { return x.sum(); });
    if (name == "sum_axis_0") return unary([](const Tensor& x) { return x.sum(0); });
    if (name == "sum_axis_1") return unary([](const Tensor& x) { return x.sum(1); });
    if (name == "mean_axis_1") return unary([](const Tensor& x) { return x.mean(1); });
    if (name == "cross_entropy") {
        Tensor labels = torch::empty({s[0]}, torch::kInt64);
        for (std::int64_t i = 0; i < s[0]; ++i) labels.data_ptr<std::int64_t>()[i] = (i * 7) % s[1];
        return unary([labels](const Tensor& x) { return torch::nn::functional::cross_entropy(x, labels); });
    }
    serve::unknown("elementwise " + name);
}

/// Parameters and gradients, which stay as they are.
struct Weights {
    std::vector<Tensor> parameters, gradients;

    explicit Weights(const Sizes& s) {
        for (const std::int64_t size : s) {
            const auto stream = static_cast<std::uint32_t>(30 + 2 * parameters.size());
            parameters.push_back(numbers({size}, stream));
            gradients.push_back(numbers({size}, stream + 1));
        }
    }
    std::vector<Tensor> zeros() const {
        std::vector<Tensor> all;
        for (const Tensor& parameter : parameters) all.push_back(torch::zeros_like(parameter));
        return all;
    }
};

template <class Step>
Case updates(const Weights& weights, Step step) {
    return {.forward = {}, .step = step, .results = [parameters = weights.parameters, step]() mutable {
                std::vector<Tensor> before;
                for (const Tensor& parameter : parameters) before.push_back(parameter.detach().clone());
                step();
                step();
                std::vector<serve::Sketch> all;
                for (std::size_t i = 0; i < parameters.size(); ++i)
                    all.push_back(sketch(parameters[i] - before[i]));
                return all;
            }};
}

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
// One pass over all tensors: what torch.optim.Adam(..., fused=True) runs, its fastest form.
Case optimizer(const std::string& kind, const Sizes& s) {
    const Weights w(s);
    if (kind == "sgd")
        return updates(w, [w, momentum = w.zeros(), first = true]() mutable {
            at::_fused_sgd_(w.parameters, w.gradients, momentum, 0, 0.9, 1e-3, 0, false, false, first);
            first = false;
        });
    std::vector<Tensor> steps;
    for (std::size_t i = 0; i < s.size(); ++i) steps.push_back(torch::zeros({}));
    if (kind == "adam")
        return updates(w, [w, steps, m = w.zeros(), v = w.zeros()] {
            at::_foreach_add_(steps, 1);
            at::_fused_adam_(w.parameters, w.gradients, m, v, {}, steps, 1e-3, 0.9, 0.999, 0, 1e-8, false,
                             false);
        });
    if (kind == "adamw")
        return updates(w, [w, steps, m = w.zeros(), v = w.zeros()] {
            at::_foreach_add_(steps, 1);
            at::_fused_adamw_(w.parameters, w.gradients, m, v, {}, steps, 1e-3, 0.9, 0.999, 0.01, 1e-8, false,
                              false);
        });
    serve::unknown("optimizer " + kind);
}
#else
template <class Optimizer, class Options>
Case tensor_by_tensor(const Weights& w, const Options& options) {
    for (std::size_t i = 0; i < w.parameters.size(); ++i) {
        Tensor parameter = w.parameters[i].requires_grad_();
        parameter.mutable_grad() = w.gradients[i];
    }
    return updates(w,
                   [optimizer = std::make_shared<Optimizer>(w.parameters, options)] { optimizer->step(); });
}

Case optimizer(const std::string& kind, const Sizes& s) {
    namespace optim = torch::optim;
    const Weights w(s);
    if (kind == "sgd") return tensor_by_tensor<optim::SGD>(w, optim::SGDOptions(1e-3).momentum(0.9));
    if (kind == "adam") return tensor_by_tensor<optim::Adam>(w, optim::AdamOptions(1e-3));
    if (kind == "adamw")
        return tensor_by_tensor<optim::AdamW>(w, optim::AdamWOptions(1e-3).weight_decay(0.01));
    serve::unknown("optimizer " + kind);
}
#endif

template <class Net>
Case training(const workload::Training& work, torch::MemoryFormat layout) {
    Net net;
    peer::prepare(*net, work.gain, layout == torch::MemoryFormat::ChannelsLast);
    const auto sgd =
        std::make_shared<torch::optim::SGD>(net->parameters(), torch::optim::SGDOptions(work.lr));
    Tensor images = torch::empty(work.input_shape());
    const Tensor labels = torch::empty({work.batch}, torch::kInt64);
    work.fill_inputs(peer::floats(images));
    work.fill_labels({labels.data_ptr<std::int64_t>(), static_cast<std::size_t>(work.batch)});
    images = in_layout(images, layout);
    auto loss_of_step = [=, parameters = net->parameters()]() mutable {
        const Tensor loss = torch::nn::functional::cross_entropy(net->forward(images), labels);
        for (Tensor& parameter : parameters) parameter.mutable_grad().reset();
        loss.backward();
        sgd->step();
        return loss.item<float>();
    };
    return {.forward = {},
            .step = loss_of_step,
            .results = [loss_of_step, checked = work.checked_step]() mutable {
                float losses[2] = {loss_of_step(), 0};
                for (int i = 0; i < checked; ++i) losses[1] = loss_of_step();
                return std::vector{serve::sketch({losses, 1}), serve::sketch({losses + 1, 1})};
            }};
}

Case model(const std::string& name, torch::MemoryFormat layout) {
    if (name == "mlp") return training<peer::Mlp>(workload::mlp, layout);
    if (name == "cnn") return training<peer::Cnn>(workload::cnn, layout);
    if (name == "resnet18") return training<peer::SmallResNet18>(workload::resnet18, layout);
    serve::unknown("model " + name);
}

Case make(const std::string& family, std::istream& row, const std::string& layout_name) {
    const torch::MemoryFormat layout = peer::layout(layout_name == "channels_last");
    if (family == "convolution") return convolution(serve::sizes(row), layout);
    std::string kind;
    row >> kind;
    const Sizes sizes = serve::sizes(row);
    if (family == "pooling") return pooling(kind, sizes, layout);
    if (family == "product") return product(kind, sizes);
    if (family == "norm") return norm(kind, sizes, layout);
    if (family == "elementwise") return elementwise(kind, sizes);
    if (family == "optimizer") return optimizer(kind, sizes);
    if (family == "model") return model(kind, layout);
    serve::unknown("family " + family);
}

}  // namespace

int main() {
    return serve::run(
        "PyTorch " TORCH_VERSION, make, [](int threads) { torch::set_num_threads(threads); },
        [](const std::string& request, std::istream&) -> std::vector<double> { serve::unknown(request); });
}
