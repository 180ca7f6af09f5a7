// SPDX-License-Identifier: MIT
// What an operation costs beside its arithmetic: a long chain of multiplications of 16 numbers.

#include "gradus/gradus.hpp"
#include "support/context.hpp"
#include "support/workload.hpp"

namespace {

using gradus::Tensor;
using gradus::Variable;
using workload::Chain;

struct Leaves {
    Variable<> x, w;

    explicit Leaves(bool requires_grad) {
        Tensor<> start = gradus::zeros({Chain::size}), factor = gradus::zeros({Chain::size});
        Chain::fill_x(start.mutable_values());
        Chain::fill_w(factor.mutable_values());
        x = Variable<>(start, {.requires_grad = requires_grad});
        w = Variable<>(factor, {.requires_grad = requires_grad});
    }

    Variable<> run() const {
        Variable<> y = x;
        for (int i = 0; i < Chain::operations; ++i) y = y * w;
        return sum(y);
    }
};

void report_per_operation(benchmark::State& state, const workload::StepTimes& times) {
    state.counters["us/op"] = times.median() * 1e3 / Chain::operations;
}

/// Forward and backward; the peers' "chain".
void chain(benchmark::State& state) {
    Leaves leaves(true);
    Variable<> total;
    const auto step = [&] {
        total = leaves.run();
        leaves.x.zero_grad();
        leaves.w.zero_grad();
        total.backward();
    };
    step();
    const float first = total.item(), later = sum(Variable<>(leaves.w.grad())).item();
    workload::StepTimes times;
    for (auto _ : state) times.time(step);
    bench::report(state, times, first, later);
    report_per_operation(state, times);
}
BENCHMARK(chain)->UseRealTime()->Unit(benchmark::kMillisecond);

void time_forward(benchmark::State& state, const Leaves& leaves) {
    workload::StepTimes times;
    for (auto _ : state) times.time([&] { benchmark::DoNotOptimize(leaves.run()); });
    report_per_operation(state, times);
}

/// Recording a history and dropping it unused.
void chain_forward(benchmark::State& state) { time_forward(state, Leaves(true)); }
BENCHMARK(chain_forward)->Unit(benchmark::kMillisecond);

/// The same without a history.
void chain_no_grad(benchmark::State& state) { time_forward(state, Leaves(false)); }
BENCHMARK(chain_no_grad)->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv); }
