// SPDX-License-Identifier: MIT
// Convolutions: forward and both gradients, each by itself, dense (a fused max_pool2d would leave most of the
// work out; steps.cpp has that). The peer is in peers/libtorch_kernels.cpp.

#include <string>

#include "gradus/ops/conv2d.hpp"
#include "support/measure.hpp"
#include "support/workload.hpp"

namespace {

using gradus::Tensor;
using gradus::Variable;

Tensor<> numbers(const gradus::Shape& shape, std::uint32_t stream) {
    Tensor<> values = Tensor<>::uninitialized(shape);
    workload::fill(values.mutable_values(), stream, 1.0f);
    return values;
}

template <class Step>
void time(const measure::Arguments& arguments, const workload::Convolution& c, const char* what,
          const Step& step) {
    const std::string name = std::string("conv ") + what + ": " + c.name;
    if (!arguments.wants(name)) return;
    const double first = workload::checksum(step().values());
    measure::run(arguments, name, {.first = first, .flop = c.flop()}, [&] { measure::keep(step().data()); });
}

void time_convolution(const measure::Arguments& arguments, const workload::Convolution& c) {
    const gradus::NoGrad no_grad;
    const Tensor<> x = numbers({c.batch, c.in, c.size, c.size}, 8);
    const Tensor<> w = numbers({c.out, c.in / c.groups, c.kernel, c.kernel}, 9);
    const Tensor<> dy = numbers({c.batch, c.out, c.result(), c.result()}, 10);
    const gradus::Conv2dOptions options{.stride = c.stride, .padding = c.padding, .groups = c.groups};
    const gradus::kernels::ConvPlan<float> plan(
        gradus::detail::conv2d_geometry(x.shape(), w.shape(), options));
    time(arguments, c, "forward", [&] { return conv2d(Variable<>(x), Variable<>(w), options).value(); });
    time(arguments, c, "input gradient", [&] { return gradus::kernels::conv2d_backward_input(plan, dy, w); });
    time(arguments, c, "weight gradient", [&] {
        return gradus::kernels::conv2d_backward_weight(plan, gradus::kernels::pad_images(plan, x), dy);
    });
}

}  // namespace

int main(int argc, char** argv) {
    const measure::Arguments arguments(argc, argv);
    gradus::set_num_threads(arguments.threads);
    for (const workload::Convolution& c : workload::convolutions) time_convolution(arguments, c);
}
