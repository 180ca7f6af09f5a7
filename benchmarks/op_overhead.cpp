// SPDX-License-Identifier: MIT
// What an operation costs beside its arithmetic: a long chain of multiplications of 16 numbers. Its peer is
// in peers/libtorch_steps.cpp.

#include "gradus/gradus.hpp"
#include "support/measure.hpp"
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

void chain(const measure::Arguments& arguments) {
    Leaves leaves(true);
    Variable<> total;
    const auto step = [&] {
        total = leaves.run();
        leaves.x.zero_grad();
        leaves.w.zero_grad();
        total.backward();
    };
    step();
    const double first = total.item(), later = sum(Variable<>(leaves.w.grad())).item();
    measure::run(arguments, "chain", {.first = first, .later = later}, step);
}

/// Recording a history and dropping it unused; or no history.
void chain_forward(const measure::Arguments& arguments, const char* name, bool requires_grad) {
    const Leaves leaves(requires_grad);
    const auto step = [&] { measure::keep(leaves.run().value().data()); };
    measure::run(arguments, name, {.first = leaves.run().item()}, step);
}

}  // namespace

int main(int argc, char** argv) {
    const measure::Arguments arguments(argc, argv);
    gradus::set_num_threads(arguments.threads);
    if (arguments.wants("chain")) chain(arguments);
    if (arguments.wants("chain forward")) chain_forward(arguments, "chain forward", true);
    if (arguments.wants("chain no grad")) chain_forward(arguments, "chain no grad", false);
}
