// SPDX-License-Identifier: MIT
// The work of the sweep done by gradus: a program that answers requests (support/serve.hpp) about rows that
// support/shapes.py writes. Its peer is peers/libtorch_sweep.cpp; sweep.sh lets the two take turns.

#include <memory>

#include "support/fma_peak.hpp"
#include "support/models.hpp"
#include "support/round_trip.hpp"
#include "support/serve.hpp"

namespace {

using gradus::Index;
using gradus::Shape;
using gradus::Tensor;
using gradus::Variable;
using serve::Case;
using Sizes = std::vector<Index>;
using Operation = std::function<Variable<>(const std::vector<Variable<>>&)>;

Tensor<> numbers(const Shape& shape, std::uint32_t stream) {
    Tensor<> values = Tensor<>::uninitialized(shape);
    workload::fill(values.mutable_values(), stream, 1.0f);
    return values;
}

/// Inputs of these shapes, filled from streams 8, 9, ...
std::vector<Variable<>> inputs(std::initializer_list<Shape> shapes) {
    std::vector<Variable<>> all;
    for (const Shape& shape : shapes)
        all.emplace_back(numbers(shape, static_cast<std::uint32_t>(8 + all.size())),
                         gradus::VariableOptions{.requires_grad = true});
    return all;
}

/// y = operation(x): forward, and the gradients of all x for a gradient of y that is random.
Case differentiable(std::vector<Variable<>> x, const Operation& operation) {
    const Tensor<> dy = numbers(operation(x).shape(), 20);
    auto step = [x, operation, dy]() mutable {
        const Variable<> y = operation(x);
        measure::keep(y.value().data());  // before backward(), which might do without
        for (Variable<>& input : x) input.zero_grad();
        y.backward({.gradient = dy});
    };
    return {.forward =
                [x, operation] {
                    const gradus::NoGrad no_grad;
                    measure::keep(operation(x).value().data());
                },
            .step = step,
            .results =
                [x, operation, step]() mutable {
                    std::vector<serve::Sketch> all{serve::sketch(operation(x).value().values())};
                    step();
                    for (const Variable<>& input : x) all.push_back(serve::sketch(input.grad().values()));
                    return all;
                }};
}

Case convolution(const Sizes& s) {  // batch, channels in, out, pixels, window, stride, padding, groups
    const Index in = s.at(1), out = s.at(2), groups = s.at(7);
    const gradus::Conv2dOptions options{.stride = s.at(5), .padding = s.at(6), .groups = groups};
    return differentiable(inputs({{s[0], in, s[3], s[3]}, {out, in / groups, s[4], s[4]}, {out}}),
                          [options](const auto& x) { return conv2d(x[0], x[1], x[2], options); });
}

Case pooling(const std::string& kind,
             const Sizes& s) {  // batch, channels, height, width, window, stride, padding
    const auto x = inputs({{s.at(0), s.at(1), s.at(2), s.at(3)}});
    if (kind == "max")
        return differentiable(x, [o = gradus::MaxPool2dOptions{s.at(4), s.at(5), s.at(6)}](const auto& v) {
            return max_pool2d(v[0], o);
        });
    if (kind == "avg")
        return differentiable(x, [o = gradus::AvgPool2dOptions{s.at(4), s.at(5), s.at(6)}](const auto& v) {
            return avg_pool2d(v[0], o);
        });
    if (kind == "global") return differentiable(x, [](const auto& v) { return global_avg_pool2d(v[0]); });
    serve::unknown("pooling " + kind);
}

Case product(const std::string& kind, const Sizes& s) {
    const auto multiply = [](const auto& x) { return matmul(x[0], x[1]); };
    if (kind == "linear")  // rows, in, out
        return differentiable(inputs({{s.at(0), s.at(1)}, {s.at(2), s[1]}, {s[2]}}),
                              [](const auto& x) { return linear(x[0], x[1], x[2]); });
    if (kind == "matmul") return differentiable(inputs({{s.at(0), s.at(1)}, {s[1], s.at(2)}}), multiply);
    if (kind == "batched")  // how many products first
        return differentiable(inputs({{s.at(0), s.at(1), s.at(2)}, {s[0], s[2], s.at(3)}}), multiply);
    serve::unknown("product " + kind);
}

Case norm(const std::string& kind, const Sizes& s) {  // the shape of x
    const Shape shape(s.begin(), s.end());
    if (kind == "layer")
        return differentiable(inputs({shape, {s.back()}, {s.back()}}),
                              [](const auto& x) { return layer_norm(x[0], x[1], x[2]); });
    if (kind == "batch")
        return differentiable(inputs({shape, {s.at(1)}, {s[1]}}),
                              [](const auto& x) { return batch_norm(x[0], x[1], x[2]); });
    serve::unknown("norm " + kind);
}

/// f of one input [rows, columns].
template <class F>
Case unary(const Shape& shape, F f) {
    return differentiable(inputs({shape}), [f](const auto& x) { return f(x[0]); });
}

Case elementwise(const std::string& name, const Sizes& s) {  // rows, columns
    const Shape shape{s.at(0), s.at(1)}, row{s[1]}, column{s[0], 1};
    const auto add = [](const auto& x) { return x[0] + x[1]; };
    const auto mul = [](const auto& x) { return x[0] * x[1]; };
    if (name == "add") return differentiable(inputs({shape, shape}), add);
    if (name == "mul") return differentiable(inputs({shape, shape}), mul);
    if (name == "add_row") return differentiable(inputs({shape, row}), add);
    if (name == "mul_row") return differentiable(inputs({shape, row}), mul);
    if (name == "add_column") return differentiable(inputs({shape, column}), add);
    if (name == "mul_column") return differentiable(inputs({shape, column}), mul);
    if (name == "relu") return unary(shape, [](const auto& x) { return relu(x); });
    if (name == "gelu") return unary(shape, [](const auto& x) { return gelu(x); });
    if (name == "silu") return unary(shape, [](const auto& x) { return silu(x); });
    if (name == "sigmoid") return unary(shape, [](const auto& x) { return sigmoid(x); });
    if (name == "tanh") return unary(shape, [](const auto& x) { return tanh(x); });
    if (name == "exp") return unary(shape, [](const auto& x) { return exp(x); });
    if (name == "square") return unary(shape, [](const auto& x) { return square(x); });
    if (name == "softmax_rows") return unary(shape, [](const auto& x) { return softmax(x, 1); });
    if (name == "softmax_columns") return unary(shape, [](const auto& x) { return softmax(x, 0); });
    if (name == "log_softmax_rows") return unary(shape, [](const auto& x) { return log_softmax(x, 1); });
    if (name == "sum_all") return unary(shape, [](const auto& x) { return sum(x); });
    if (name == "sum_axis_0") return unary(shape, [](const auto& x) { return sum(x, 0); });
    if (name == "sum_axis_1") return unary(shape, [](const auto& x) { return sum(x, 1); });
    if (name == "mean_axis_1") return unary(shape, [](const auto& x) { return mean(x, 1); });
    if (name == "cross_entropy") {
        Tensor<Index> labels = gradus::zeros<Index>({s[0]});
        for (Index i = 0; i < s[0]; ++i) labels.mutable_data()[i] = (i * 7) % s[1];
        return unary(shape, [labels](const auto& x) { return cross_entropy(x, labels); });
    }
    serve::unknown("elementwise " + name);
}

/// Steps with gradients that stay as they are. The results are what two steps change.
template <class Optimizer>
Case updates(const Sizes& s, const typename Optimizer::Options& options) {
    std::vector<Variable<>> parameters;
    Variable<> loss;
    for (const Index size : s) {
        const auto stream = static_cast<std::uint32_t>(30 + 2 * parameters.size());
        parameters.emplace_back(numbers({size}, stream), gradus::VariableOptions{.requires_grad = true});
        const Variable<> term = sum(parameters.back() * Variable<>(numbers({size}, stream + 1)));
        loss = loss.defined() ? loss + term : term;
    }
    loss.backward();
    const auto optimizer = std::make_shared<Optimizer>(parameters, options);
    return {.forward = {},
            .step = [optimizer] { optimizer->step(); },
            .results =
                [optimizer, parameters] {
                    std::vector<Tensor<>> before;
                    for (const Variable<>& parameter : parameters) before.push_back(parameter.value());
                    optimizer->step();
                    optimizer->step();
                    std::vector<serve::Sketch> all;
                    for (std::size_t i = 0; i < parameters.size(); ++i)
                        all.push_back(serve::sketch((parameters[i].value() - before[i]).values()));
                    return all;
                }};
}

Case optimizer(const std::string& kind, const Sizes& s) {  // how many numbers each tensor has
    namespace optim = gradus::optim;
    if (kind == "sgd") return updates<optim::SGD<>>(s, {.lr = 1e-3, .momentum = 0.9});
    if (kind == "adam") return updates<optim::Adam<>>(s, {.lr = 1e-3});
    if (kind == "adamw") return updates<optim::AdamW<>>(s, {.lr = 1e-3, .weight_decay = 0.01});
    serve::unknown("optimizer " + kind);
}

/// The training step of a model of the suite. The results are the losses before the first and after ten
/// updates (ResNet-18: two).
template <class Net>
Case training(const workload::Training& work) {
    const auto net = std::make_shared<Net>();
    bench::fill_parameters(*net, work.gain);
    const auto sgd = std::make_shared<gradus::optim::SGD<>>(
        bench::nn::parameters(*net), gradus::optim::SGDOptions{.lr = static_cast<double>(work.lr)});
    const auto shape = work.input_shape();
    Tensor<> images = Tensor<>::uninitialized(Shape(shape.begin(), shape.end()));
    Tensor<Index> labels = gradus::zeros<Index>({work.batch});
    work.fill_inputs(images.mutable_values());
    work.fill_labels(labels.mutable_values());
    const auto step = [=] {
        Variable<> loss = cross_entropy((*net)(images), labels);
        sgd->zero_grad();
        loss.backward();
        sgd->step();
        return loss.item();
    };
    return {.forward = {}, .step = step, .results = [step, checked = work.checked_step] {
                float losses[2] = {step(), 0};
                for (int i = 0; i < checked; ++i) losses[1] = step();
                return std::vector{serve::sketch({losses, 1}), serve::sketch({losses + 1, 1})};
            }};
}

Case model(const std::string& name) {
    if (name == "mlp") return training<bench::Mlp>(workload::mlp);
    if (name == "cnn") return training<bench::Cnn>(workload::cnn);
    if (name == "resnet18") return training<bench::SmallResNet18>(workload::resnet18);
    serve::unknown("model " + name);
}

Case make(const std::string& family, std::istream& row, const std::string& layout) {
    if (layout != "contiguous") serve::unknown("layout " + layout);
    if (family == "convolution") return convolution(serve::sizes(row));
    std::string kind;
    row >> kind;
    const Sizes sizes = serve::sizes(row);
    if (family == "pooling") return pooling(kind, sizes);
    if (family == "product") return product(kind, sizes);
    if (family == "norm") return norm(kind, sizes);
    if (family == "elementwise") return elementwise(kind, sizes);
    if (family == "optimizer") return optimizer(kind, sizes);
    if (family == "model") return model(kind);
    serve::unknown("family " + family);
}

/// Multiply-adds of `threads` threads that do nothing else, in GF/s: the fastest of many short runs.
double fma_peak(int threads) {
    constexpr Index rounds = 20'000;
    gradus::set_num_threads(threads);
    double fastest = 1e9;
    for (int i = 0; i < 30; ++i) {
        const double start = serve::wall_ms();
        gradus::parallel_for(threads, 1, [&](Index, Index) {
            const float total = gradus::simd::run(bench::FmaChains{.rounds = rounds, .a = 0.5f, .b = 1});
            measure::keep(&total);
        });
        fastest = std::min(fastest, serve::wall_ms() - start);
    }
    return bench::fma_flop(gradus::simd::isa(), rounds) * threads / fastest * 1e-6;
}

}  // namespace

int main() {
    return serve::run(std::string("gradus ") + gradus::simd::name(gradus::simd::isa()), make,
                      gradus::set_num_threads,
                      [](const std::string& request, std::istream& words) -> std::vector<double> {
                          int threads = 1;
                          if (request == "round_trip") return {bench::round_trip_ns()};
                          if (request == "fma_peak" && words >> threads) return {fma_peak(threads)};
                          serve::unknown(request);
                      });
}
