// SPDX-License-Identifier: MIT
// Work that reads and writes each number once or twice, as GB/s, to be read beside the triads of
// ceilings.cpp. Counts what the operation must read and write, not what it does besides. The peer is in
// peers/libtorch_kernels.cpp.

#include <string>

#include "gradus/gradus.hpp"
#include "support/measure.hpp"
#include "support/workload.hpp"

namespace {

using gradus::Index;
using gradus::Shape;
using gradus::Tensor;
using gradus::Variable;
using workload::Traffic;

Tensor<> numbers(const Shape& shape, std::uint32_t stream = 5) {  // in [-3, 3)
    Tensor<> x = Tensor<>::uninitialized(shape);
    workload::fill(x.mutable_values(), stream, 3.0f);
    return x;
}

class Suite {
public:
    explicit Suite(const measure::Arguments& arguments) : arguments_(arguments) {}

    /// Times `operation(x)` without a history. The first result must agree between programs.
    template <class Operation>
    void forward(const Traffic& traffic, const Tensor<>& x, const Operation& operation) const {
        const std::string name = case_name(traffic, x);
        if (!arguments_.wants(name)) return;
        const gradus::NoGrad no_grad;
        const Variable<> input(x);
        const double first = workload::checksum(operation(input).value().values());
        measure::run(arguments_, name, work(traffic, x, first),
                     [&] { measure::keep(operation(input).value().data()); });
    }

    /// Times the gradient alone: forward runs once, backward again and again.
    template <class Operation>
    void backward(const Traffic& traffic, const Tensor<>& x, const Operation& operation) const {
        const std::string name = case_name(traffic, x);
        if (!arguments_.wants(name)) return;
        Variable<> input(x, {.requires_grad = true});
        const Variable<> y = operation(input);
        const Tensor<> dy = numbers(y.shape(), 11);
        const auto step = [&] {
            input.zero_grad();
            y.backward({.gradient = dy, .retain_graph = true});
            measure::keep(input.grad().data());
        };
        step();
        measure::run(arguments_, name, work(traffic, x, workload::checksum(input.grad().values())), step);
    }

    /// Times the update of one parameter. The first change must agree.
    template <class Optimizer>
    void update(const Traffic& traffic, const Tensor<>& x) const {
        const std::string name = case_name(traffic, x);
        if (!arguments_.wants(name)) return;
        Variable<> parameter(x, {.requires_grad = true});
        sum(parameter * Variable<>(numbers(x.shape(), 11))).backward();
        Optimizer optimizer({parameter}, {.lr = 1e-3});
        optimizer.step();
        const double first = workload::checksum((x - parameter.value()).values());
        measure::run(arguments_, name, work(traffic, x, first), [&] { optimizer.step(); });
    }

private:
    static std::string case_name(const Traffic& traffic, const Tensor<>& x) {
        std::string name = traffic.name;
        for (int axis = 0; axis < x.rank(); ++axis)
            name += (axis == 0 ? " [" : ", ") + std::to_string(x.size(axis));
        return name + "]";
    }
    static measure::Work work(const Traffic& traffic, const Tensor<>& x, double first) {
        return {.first = first, .bytes = traffic.numbers * static_cast<double>(x.numel()) * sizeof(float)};
    }

    const measure::Arguments& arguments_;
};

void time_rows(const Suite& suite, Index rows) {
    const Tensor<> x = numbers({rows, workload::columns});
    const Variable<> y(numbers(x.shape(), 12)), row(numbers({x.size(1)}, 13)), column(numbers({rows, 1}, 14));
    const Variable<> weight(numbers({x.size(1)}, 15)), bias(numbers({x.size(1)}, 16));
    suite.forward(workload::relu, x, [](const Variable<>& v) { return relu(v); });
    suite.forward(workload::exp, x, [](const Variable<>& v) { return exp(v); });
    suite.forward(workload::tanh, x, [](const Variable<>& v) { return tanh(v); });
    suite.forward(workload::gelu, x, [](const Variable<>& v) { return gelu(v); });
    suite.forward(workload::add, x, [&](const Variable<>& v) { return v + y; });
    suite.forward(workload::add_row, x, [&](const Variable<>& v) { return v + row; });
    suite.forward(workload::add_column, x, [&](const Variable<>& v) { return v + column; });
    suite.forward(workload::sum_all, x, [](const Variable<>& v) { return sum(v); });
    suite.forward(workload::sum_rows, x, [](const Variable<>& v) { return sum(v, {0}); });
    suite.forward(workload::softmax, x, [](const Variable<>& v) { return softmax(v, 1); });
    suite.backward(workload::softmax_backward, x, [](const Variable<>& v) { return softmax(v, 1); });
    suite.forward(workload::layer_norm, x,
                  [&](const Variable<>& v) { return layer_norm(v, weight, bias, {}); });
    suite.update<gradus::optim::SGD<>>(workload::sgd, x);
    suite.update<gradus::optim::Adam<>>(workload::adam, x);
}

void time_images(const Suite& suite, Index side) {
    const Tensor<> x = numbers({workload::pool_batch, workload::pool_channels, side, side});
    const auto norm = [weight = Variable<>(numbers({x.size(1)}, 15)),
                       bias = Variable<>(numbers({x.size(1)}, 16))](const Variable<>& v) {
        return batch_norm(v, weight, bias);
    };
    const auto pool = [](const Variable<>& v) { return max_pool2d(v, {.kernel_size = 2}); };
    suite.forward(workload::batch_norm, x, norm);
    suite.backward(workload::batch_norm_backward, x, norm);
    suite.forward(workload::max_pool, x, pool);
    suite.backward(workload::max_pool_backward, x, pool);
    suite.forward(workload::max_pool_3, x, [](const Variable<>& v) {
        return max_pool2d(v, {.kernel_size = 3, .stride = 2, .padding = 1});
    });
}

}  // namespace

int main(int argc, char** argv) {
    const measure::Arguments arguments(argc, argv);
    gradus::set_num_threads(arguments.threads);
    const Suite suite(arguments);
    time_rows(suite, workload::small_rows);
    time_images(suite, workload::small_side);
    time_images(suite, workload::large_side);
    time_rows(suite, workload::large_rows);
}
