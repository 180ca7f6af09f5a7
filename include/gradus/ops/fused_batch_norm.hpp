// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <type_traits>
#include <utility>

#include "gradus/kernels/norm/batch_norm.hpp"
#include "gradus/ops/fusion.hpp"

// A batch normalization whose output nobody has read yet, and what it becomes together with the sum and the
// relu after it, relu(batch_norm(x, weight, bias) + shortcut): y = max(0, norm(x) + residual) in one pass.
// ops/fusion.hpp tells how they find each other. Only the output is deferred; statistics are taken, and
// running ones updated, when batch_norm is called.

namespace gradus::detail {

using simd::MaskWord;

/// The normalization, with what follows it so far. Tensors are the values as they were when the operations
/// were called.
template <class T>
struct BatchNormStep {
    BatchNormStep(Variable<T> input, const Variable<T>* w, const Variable<T>* b,
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
Variable<T> record_batch_norm(BatchNormStep<T> step, Tensor<T> y);

template <class T>
struct DeferredBatchNorm final : Fusible<T> {
    using Fusible<T>::then;

    DeferredBatchNorm(BatchNormStep<T> s, Node<T>* own_node, const Tensor<MaskWord>& shared_mask,
                      MaskWord* out)
        : step(std::move(s)), node(own_node), mask(shared_mask), mask_out(out) {}

    void compute(T* y) override {
        kernels::batch_norm(step.parameters(), step.X, step.residual.defined() ? step.R.data() : nullptr, y,
                            mask_out);
    }

    Variable<T> then(const Relu&) override {
        if constexpr (std::is_floating_point_v<T>)
            if (!step.relu) {
                BatchNormStep<T> next = step;
                next.relu = true;
                return record_batch_norm(std::move(next), std::move(node->value));
            }
        return {};
    }

    Variable<T> then(const Add<T>& sum) override {
        if (step.relu || step.residual.defined()) return {};
        BatchNormStep<T> next = step;
        next.residual = sum.other;
        next.R = sum.other.value();
        return record_batch_norm(std::move(next), std::move(node->value));
    }

    BatchNormStep<T> step;
    Node<T>* node;          // whose value this computes; what takes its place takes its memory, too
    Tensor<MaskWord> mask;  // shared with the rule, which runs after compute() has written it
    MaskWord* mask_out;     // nullptr without the relu
};

template <class T>
Variable<T> record_batch_norm(BatchNormStep<T> s, Tensor<T> memory_of_y) {
    Tensor<MaskWord> memory;
    if (s.relu) memory = Tensor<MaskWord>::uninitialized({s.plan.mask_size()});
    MaskWord* const mask_out = s.relu ? memory.mutable_data() : nullptr;
    const Tensor<MaskWord> mask = std::move(memory);
    const std::array<Variable<T>, 4> inputs{s.x, s.weight, s.bias, s.residual};
    Variable<T> y = record_deferred(
        s.name(), std::move(memory_of_y),
        wrt_jointly(inputs,
                    [X = s.X, W = s.W, norm = s.norm, plan = s.plan, affine = s.affine, by_batch = s.by_batch,
                     relu = s.relu, mask](const Tensor<T>& dy, const std::array<bool, 4>& needs_grad) {
                        auto gradients = kernels::batch_norm_backward<T>(
                            {plan, norm, affine ? &W : nullptr, nullptr}, dy, X, relu ? mask.data() : nullptr,
                            by_batch, {needs_grad[0], needs_grad[1] || needs_grad[2], needs_grad[3] && relu});
                        return std::array<Tensor<T>, 4>{gradients.dx, gradients.dweight, gradients.dbias,
                                                        relu ? gradients.dresidual : dy};
                    }));
    defer<DeferredBatchNorm<T>>(y, std::move(s), &y.node(), mask, mask_out);
    return y;
}

}  // namespace gradus::detail
