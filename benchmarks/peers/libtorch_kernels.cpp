// SPDX-License-Identifier: MIT
// The work of gemm.cpp, conv2d.cpp and bandwidth.cpp done by libtorch: its products are OpenBLAS's, its
// convolutions those of oneDNN. OPENBLAS_CORETYPE, OPENBLAS_NUM_THREADS and OMP_WAIT_POLICY count.

#include "../support/measure.hpp"
#include "libtorch.hpp"

namespace {

using torch::Tensor;
using workload::Traffic;

Tensor numbers(at::IntArrayRef shape, std::uint32_t stream, float scale = 1.0f) {
    Tensor values = torch::empty(shape);
    workload::fill(peer::floats(values), stream, scale);
    return values;
}

void time_product(const measure::Arguments& arguments, const workload::Product& p) {
    const std::string name = std::string("gemm ") + p.name;
    if (!arguments.wants(name)) return;
    const Tensor a = p.a_transposed ? numbers({p.k, p.m}, 6).t() : numbers({p.m, p.k}, 6);
    const Tensor b = p.b_transposed ? numbers({p.n, p.k}, 7).t() : numbers({p.k, p.n}, 7);
    Tensor c = torch::empty({p.m, p.n});
    const auto multiply = [&] { torch::mm_out(c, a, b); };
    multiply();
    measure::run(arguments, name, {.first = peer::checksum(c), .flop = p.flop()}, multiply);
}

void time_convolution(const measure::Arguments& arguments, const workload::Convolution& c) {
    const torch::MemoryFormat layout = peer::layout(arguments.channels_last);
    const Tensor x = numbers({c.batch, c.in, c.size, c.size}, 8).clone(layout);
    const Tensor w = numbers({c.out, c.in / c.groups, c.kernel, c.kernel}, 9).clone(layout);
    const Tensor dy = numbers({c.batch, c.out, c.result(), c.result()}, 10).clone(layout);
    const auto time = [&](const char* what, const auto& step) {
        const std::string name = std::string("conv ") + what + ": " + c.name;
        if (!arguments.wants(name)) return;
        const double first = peer::checksum(step());
        measure::run(arguments, name, {.first = first, .flop = c.flop()}, step);
    };
    const auto gradient = [&](std::array<bool, 3> wanted) {
        return torch::convolution_backward(dy, x, w, c10::nullopt, {c.stride, c.stride},
                                           {c.padding, c.padding}, {1, 1}, false, {0, 0}, c.groups, wanted);
    };
    time("forward", [&] { return torch::conv2d(x, w, {}, c.stride, c.padding, 1, c.groups); });
    time("input gradient", [&] { return std::get<0>(gradient({true, false, false})); });
    time("weight gradient", [&] { return std::get<1>(gradient({false, true, false})); });
}

class Suite {
public:
    explicit Suite(const measure::Arguments& arguments) : arguments_(arguments) {}

    template <class Operation>
    void forward(const Traffic& traffic, const Tensor& x, const Operation& operation) const {
        const std::string name = case_name(traffic, x);
        if (!arguments_.wants(name)) return;
        const double first = peer::checksum(operation(x));
        measure::run(arguments_, name, work(traffic, x, first), [&] { operation(x); });
    }

    template <class Operation>
    void backward(const Traffic& traffic, const Tensor& x, const Operation& operation) const {
        const std::string name = case_name(traffic, x);
        if (!arguments_.wants(name)) return;
        const torch::AutoGradMode with_history(true);
        const Tensor input = x.detach().requires_grad_();
        const Tensor y = operation(input);
        const Tensor dy = numbers(y.sizes(), 11, 3.0f).contiguous(y.suggest_memory_format());
        const auto step = [&] { return torch::autograd::grad({y}, {input}, {dy}, true)[0]; };
        measure::run(arguments_, name, work(traffic, x, peer::checksum(step())), step);
    }

    template <class Optimizer, class Options>
    void update(const Traffic& traffic, const Tensor& x) const {
        const std::string name = case_name(traffic, x);
        if (!arguments_.wants(name)) return;
        Tensor parameter = x.clone().requires_grad_();
        parameter.mutable_grad() = numbers(x.sizes(), 11, 3.0f);
        Optimizer optimizer({parameter}, Options(1e-3));
        optimizer.step();
        const double first = peer::checksum(x - parameter.detach());
        measure::run(arguments_, name, work(traffic, x, first), [&] { optimizer.step(); });
    }

private:
    static std::string case_name(const Traffic& traffic, const Tensor& x) {
        std::string name = traffic.name;
        for (std::int64_t axis = 0; axis < x.dim(); ++axis)
            name += (axis == 0 ? " [" : ", ") + std::to_string(x.size(axis));
        return name + "]";
    }
    static measure::Work work(const Traffic& traffic, const Tensor& x, double first) {
        return {.first = first, .bytes = traffic.numbers * static_cast<double>(x.numel()) * sizeof(float)};
    }

    const measure::Arguments& arguments_;
};

void time_rows(const Suite& suite, std::int64_t rows) {
    const Tensor x = numbers({rows, workload::columns}, 5, 3.0f), y = numbers(x.sizes(), 12, 3.0f);
    const Tensor row = numbers({x.size(1)}, 13, 3.0f), column = numbers({rows, 1}, 14, 3.0f);
    const Tensor weight = numbers({x.size(1)}, 15, 3.0f), bias = numbers({x.size(1)}, 16, 3.0f);
    suite.forward(workload::relu, x, [](const Tensor& v) { return v.relu(); });
    suite.forward(workload::exp, x, [](const Tensor& v) { return v.exp(); });
    suite.forward(workload::tanh, x, [](const Tensor& v) { return v.tanh(); });
    suite.forward(workload::gelu, x, [](const Tensor& v) { return torch::gelu(v); });
    suite.forward(workload::add, x, [&](const Tensor& v) { return v + y; });
    suite.forward(workload::add_row, x, [&](const Tensor& v) { return v + row; });
    suite.forward(workload::add_column, x, [&](const Tensor& v) { return v + column; });
    suite.forward(workload::sum_all, x, [](const Tensor& v) { return v.sum(); });
    suite.forward(workload::sum_rows, x, [](const Tensor& v) { return v.sum(0); });
    suite.forward(workload::softmax, x, [](const Tensor& v) { return v.softmax(1); });
    suite.backward(workload::softmax_backward, x, [](const Tensor& v) { return v.softmax(1); });
    suite.forward(workload::layer_norm, x,
                  [&](const Tensor& v) { return torch::layer_norm(v, weight.sizes(), weight, bias); });
    suite.update<torch::optim::SGD, torch::optim::SGDOptions>(workload::sgd, x);
    suite.update<torch::optim::Adam, torch::optim::AdamOptions>(workload::adam, x);
}

void time_images(const Suite& suite, std::int64_t side, bool channels_last) {
    const Tensor x = numbers({workload::pool_batch, workload::pool_channels, side, side}, 5, 3.0f)
                         .clone(peer::layout(channels_last));
    const auto norm = [weight = numbers({x.size(1)}, 15, 3.0f),
                       bias = numbers({x.size(1)}, 16, 3.0f)](const Tensor& v) {
        return torch::batch_norm(v, weight, bias, {}, {}, true, 0.1, 1e-5, false);
    };
    const auto pool = [](const Tensor& v) { return torch::max_pool2d(v, 2); };
    suite.forward(workload::batch_norm, x, norm);
    suite.backward(workload::batch_norm_backward, x, norm);
    suite.forward(workload::max_pool, x, pool);
    suite.backward(workload::max_pool_backward, x, pool);
    suite.forward(workload::max_pool_3, x, [](const Tensor& v) { return torch::max_pool2d(v, 3, 2, 1); });
}

}  // namespace

int main(int argc, char** argv) {
    const measure::Arguments arguments(argc, argv);
    torch::set_num_threads(arguments.threads);
    const torch::NoGradGuard no_grad;
    for (const workload::Product& p : workload::products) time_product(arguments, p);
    for (const workload::Convolution& c : workload::convolutions) time_convolution(arguments, c);
    const Suite suite(arguments);
    time_rows(suite, workload::small_rows);
    time_images(suite, workload::small_side, arguments.channels_last);
    time_images(suite, workload::large_side, arguments.channels_last);
    time_rows(suite, workload::large_rows);
}
