// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <type_traits>
#include <utility>

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/norm/batch_norm.hpp"

// A batch normalisation whose output nobody has read yet, and what it becomes together with the sum and the
// relu after it: y = max(0, norm(x) + residual) in one pass. Nobody calls this by name: the operations in
// ops/norm.hpp, ops/arithmetic.hpp and ops/activation.hpp find each other when one is called with the result
// of the other, relu(batch_norm(x, weight, bias) + shortcut). Only the output waits; statistics are taken,
// and running ones updated, when batch_norm is called.

namespace gradus::detail {

using simd::MaskWord;

/// What goes into the step. Tensors are the values as they were when the operations were called.
template <class T>
struct NormStep {
    NormStep(Variable<T> input, const Variable<T>* w, const Variable<T>* b,
             kernels::NormStatistics<T> statistics, bool by_statistics_of_x)
        : plan(input.shape()),
          x(std::move(input)),
          X(x.value()),
          norm(std::move(statistics)),
          affine(w),
          by_batch(by_statistics_of_x) {
        if (!affine) return;
        weight = *w;
        bias = *b;
        W = weight.value();
        B = bias.value();
    }

    const char* name() const {
        if (relu) return residual.defined() ? "batch_norm + add + relu" : "batch_norm + relu";
        return residual.defined() ? "batch_norm + add" : "batch_norm";
    }
    kernels::BatchNorm<T> parameters() const {
        return {plan, norm, affine ? &W : nullptr, affine ? &B : nullptr};
    }

    kernels::ChannelPlan plan;
    Variable<T> x, weight, bias, residual;
    Tensor<T> X, W, B, R;
    kernels::NormStatistics<T> norm;
    bool affine, by_batch, relu = false;
};

/// The step as an operation whose result is to be written to y.
template <class T>
Variable<T> record_batch_norm(NormStep<T> step, Tensor<T> y);

template <class T>
struct DeferredNorm final : Deferred<T> {
    DeferredNorm(NormStep<T> s, Node<T>* own_node, const Tensor<MaskWord>& shared_mask, MaskWord* out)
        : step(std::move(s)), node(own_node), mask(shared_mask), mask_out(out) {}

    void compute(T* y) override {
        kernels::batch_norm(step.parameters(), step.X, step.residual.defined() ? step.R.data() : nullptr, y,
                            mask_out);
    }

    Variable<T> followed_by(std::string_view operation, const Size2&) override {
        if constexpr (std::is_floating_point_v<T>)
            if (operation == "relu" && !step.relu) {
                NormStep<T> next = step;
                next.relu = true;
                return record_batch_norm(std::move(next), std::move(node->value));
            }
        return {};
    }

    Variable<T> plus(const Variable<T>& other) override {
        if (step.relu || step.residual.defined()) return {};
        NormStep<T> next = step;
        next.residual = other;
        next.R = other.value();
        return record_batch_norm(std::move(next), std::move(node->value));
    }

    NormStep<T> step;
    Node<T>* node;          // whose work this is; what takes its place takes its memory, too
    Tensor<MaskWord> mask;  // shared with the rule, which runs after compute() has written it
    MaskWord* mask_out;     // nullptr without the relu
};

template <class T>
Variable<T> record_batch_norm(NormStep<T> s, Tensor<T> memory_of_y) {
    Tensor<MaskWord> memory;
    if (s.relu) memory = Tensor<MaskWord>::uninitialized({s.plan.mask_size()});
    MaskWord* const mask_out = s.relu ? memory.mutable_data() : nullptr;
    const Tensor<MaskWord> mask = std::move(memory);
    const std::array<Variable<T>, 4> inputs{s.x, s.weight, s.bias, s.residual};
    Variable<T> y =
        record(s.name(), std::move(memory_of_y),
               wrt_jointly(inputs, [X = s.X, W = s.W, norm = s.norm, plan = s.plan, affine = s.affine,
                                    by_batch = s.by_batch, relu = s.relu,
                                    mask](const Tensor<T>& dy, const std::array<bool, 4>& want) {
                   auto gradients = kernels::batch_norm_backward<T>(
                       {plan, norm, affine ? &W : nullptr, nullptr}, dy, X, relu ? mask.data() : nullptr,
                       by_batch, {want[0], want[1] || want[2], want[3] && relu});
                   return std::array<Tensor<T>, 4>{gradients.dx, gradients.dweight, gradients.dbias,
                                                   relu ? gradients.dresidual : dy};
               }));
    y.node().deferred.store(new DeferredNorm<T>(std::move(s), &y.node(), mask, mask_out),
                            std::memory_order_release);
    return y;
}

}  // namespace gradus::detail
