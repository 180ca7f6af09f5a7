// SPDX-License-Identifier: MIT
// Operations that read and write each element once or twice, as GB/s: to be read beside the triads of
// ceilings.cpp. Counts what the operation must read and write, not what it does besides.

#include "gradus/gradus.hpp"
#include "support/context.hpp"
#include "support/workload.hpp"

namespace {

using gradus::Index;
using gradus::Shape;
using gradus::Variable;

Variable<> numbers(const Shape& shape) {  // in [-3, 3)
    gradus::Tensor<> x = gradus::Tensor<>::uninitialized(shape);
    workload::fill(x.mutable_values(), 5, 3.0f);
    return x;
}

/// Times `operation(x)` for x [rows, columns]. `traffic` is in numbers read or written per element of x.
template <class Operation>
void time_operation(benchmark::State& state, double traffic, const Operation& operation) {
    const bench::ScopedThreads threads(static_cast<int>(state.range(1)));
    const gradus::NoGrad no_grad;
    const Index rows = state.range(0), columns = 350;
    const Variable<> x = numbers({rows, columns});
    benchmark::DoNotOptimize(operation(x));  // the memory of its result is then at hand
    for (auto _ : state) benchmark::DoNotOptimize(operation(x));
    const double elements = static_cast<double>(rows * columns);
    state.counters["GB/s"] = bench::giga_per_second(traffic * elements * sizeof(float));
}

void exp(benchmark::State& state) {
    time_operation(state, 2, [](const Variable<>& x) { return exp(x); });
}
void tanh(benchmark::State& state) {
    time_operation(state, 2, [](const Variable<>& x) { return tanh(x); });
}
void relu(benchmark::State& state) {
    time_operation(state, 2, [](const Variable<>& x) { return relu(x); });
}
void gelu(benchmark::State& state) {
    time_operation(state, 2, [](const Variable<>& x) { return gelu(x); });
}
void add(benchmark::State& state) {
    const Variable<> y = numbers({state.range(0), 350});
    time_operation(state, 3, [&](const Variable<>& x) { return x + y; });
}
void add_row(benchmark::State& state) {
    const Variable<> row = numbers({350});
    time_operation(state, 2, [&](const Variable<>& x) { return x + row; });
}
void add_column(benchmark::State& state) {
    const Variable<> column = numbers({state.range(0), 1});
    time_operation(state, 2, [&](const Variable<>& x) { return x + column; });
}
void softmax(benchmark::State& state) {
    time_operation(state, 2, [](const Variable<>& x) { return softmax(x, 1); });
}
void sum_all(benchmark::State& state) {
    time_operation(state, 1, [](const Variable<>& x) { return sum(x); });
}
void sum_rows(benchmark::State& state) {
    time_operation(state, 1, [](const Variable<>& x) { return sum(x, {0}); });
}

/// An activation of the MLP (360 KB), and one far beyond the caches (90 MB).
void sizes(benchmark::internal::Benchmark* benchmark) {
    benchmark->UseRealTime()->Unit(benchmark::kMicrosecond)->ArgNames({"rows", "threads"});
    for (const Index rows : {256, 64 * 1024}) {
        benchmark->Args({rows, 1});
        if (gradus::num_threads() > 1) benchmark->Args({rows, gradus::num_threads()});
    }
}

BENCHMARK(exp)->Apply(sizes);
BENCHMARK(tanh)->Apply(sizes);
BENCHMARK(relu)->Apply(sizes);
BENCHMARK(gelu)->Apply(sizes);
BENCHMARK(add)->Apply(sizes);
BENCHMARK(add_row)->Apply(sizes);
BENCHMARK(add_column)->Apply(sizes);
BENCHMARK(softmax)->Apply(sizes);
BENCHMARK(sum_all)->Apply(sizes);
BENCHMARK(sum_rows)->Apply(sizes);

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv); }
