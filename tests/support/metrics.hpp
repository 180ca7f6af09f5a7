// SPDX-License-Identifier: MIT
#pragma once

// Examples that tests/reference/metrics.py makes as well, and what every metric has to do with batches.

#include <algorithm>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/ops/on_tensors.hpp"
#include "gradus/training/state.hpp"
#include "support/numbers.hpp"

struct MetricExamples {
    gradus::Tensor<> scores = gradus::zeros({60, 5});                           // with ties
    gradus::Tensor<gradus::Index> labels = gradus::zeros<gradus::Index>({60});  // class 4 does not occur
    gradus::Tensor<> targets = gradus::zeros({60, 5});                          // 0 or 1

    MetricExamples() {
        for (gradus::Index i = 0; i < 60; ++i) {
            labels.mutable_at(i) = (i * i + 2 * i) % 7 % 4;
            for (gradus::Index c = 0; c < 5; ++c) {
                scores.mutable_at(i, c) =
                    static_cast<float>((i * i * 31 + c * c * 17 + i * c * 7 + i * 13) % 29) / 32;
                targets.mutable_at(i, c) = (i * (c + 3) / 2 + c) % 7 < 1 + c % 3 ? 1.0f : 0.0f;
            }
        }
    }
};

/// Updates the metric with the examples cut into uneven batches, some of them empty.
template <class Metric, class X, class Y>
void update_in_batches(Metric& metric, const gradus::Tensor<X>& x, const gradus::Tensor<Y>& y,
                       std::uint64_t seed) {
    gradus::Generator generator(seed);
    for (gradus::Index at = 0; at < x.size(0);) {
        const auto end = std::min(x.size(0), at + static_cast<gradus::Index>(generator.next()(0)[0] % 9));
        metric.update(x.rows(at, end), y.rows(at, end));
        at = end;
    }
}

/// What comes back from a checkpoint into `metric`.
template <class Metric>
Metric saved_and_loaded(const Metric& saved, Metric metric = Metric()) {
    gradus::training::State state;
    gradus::training::StateWriter writer(state, "metric");
    saved.save(writer);
    metric.load(gradus::training::StateReader(state, "metric"));
    return metric;
}
