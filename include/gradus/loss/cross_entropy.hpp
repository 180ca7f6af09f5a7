// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>

#include "gradus/loss/class_softmax.hpp"
#include "gradus/loss/labels.hpp"
#include "gradus/ops/arithmetic.hpp"

namespace gradus {

template <class T = float>
struct CrossEntropyOptions {
    Reduction reduction = Reduction::mean;
    Tensor<T> weight = {};       // per class [classes]; all 1 if empty
    Index ignore_index = -100;   // positions with this label do not count
    double label_smoothing = 0;  // share of the target that is spread over all classes, in [0, 1)
};

namespace detail {

/// Σ −q log softmax(x) over the classes, for targets q that broadcast to the scores: [batch, 1, inner].
template <class T>
Tensor<T> soft_losses(const ClassSoftmax<T>& p, const Tensor<T>& q) {
    const auto term = []<class V>(const V& x, const V& largest, const V& log_sum,
                                  const V& share) GRADUS_INLINE_LAMBDA {
        using simd::select;  // a class that cannot be and has not to be costs nothing
        return V(select(share == V(0), V(0), V(share * (log_sum - kernels::below_largest<T>(x, largest)))));
    };
    return kernels::reduce<kernels::SumOf>(
        kernels::map("cross_entropy", vectorized(term), p.x, p.largest, p.log_sums, q), 1u << 1);
}

/// dy Σ q / sums: 0 where there are no targets, even if there are no classes left either.
template <class T>
Tensor<T> soft_factor(const Tensor<T>& dy, const Tensor<T>& q, const Tensor<T>& sums) {
    return kernels::map(
        "cross_entropy",
        [](const T& d, const T& share, const T& sum) {
            return share == T(0) && sum == T(0) ? T(0) : T(d * share / sum);
        },
        dy, kernels::reduce<kernels::SumOf>(q, 1u << 1), sums);
}

/// exps · factor − q · dy: its gradient.
template <class T>
Tensor<T> soft_gradient(const Tensor<T>& exps, const Tensor<T>& factor, const Tensor<T>& q,
                        const Tensor<T>& dy) {
    const auto slope = []<class V>(const V& e, const V& f, const V& share, const V& d)
                           GRADUS_INLINE_LAMBDA { return V(e * f - share * d); };
    return kernels::map("cross_entropy", vectorized(slope), exps, factor, q, dy);
}

template <class T>
T checked_smoothing(const CrossEntropyOptions<T>& options) {
    if (!(options.label_smoothing >= 0 && options.label_smoothing < 1))
        raise<ValueError>("cross_entropy", "label_smoothing must be at least 0 and less than 1",
                          options.label_smoothing);
    return T(options.label_smoothing);
}

/// Class numbers that are no integers are the usual mistake.
[[noreturn, gnu::cold]] inline void refuse_probabilities(const Shape& logits, const Shape& given) {
    const bool labels = logits.rank() >= 2 && given.numel() == logits.without(1).numel() && logits[1] != 1;
    raise<ShapeError>("cross_entropy",
                      labels
                          ? "class numbers are a Tensor<Index> [batch, ...], so cast<Index>(labels) first; "
                            "probabilities have the shape of the logits"
                          : "needs logits [batch, classes, ...] and probabilities of the same shape",
                      logits, given);
}

/// What smoothing adds to the target of each class: weight · smoothing / classes, [classes, 1].
template <class T>
[[gnu::cold]] Tensor<T> spread_target(const CrossEntropyOptions<T>& options, T smoothing, Index classes) {
    Tensor<T> weight = is_given(options.weight) ? options.weight : ones<T>({classes});
    for (T& value : weight.mutable_values()) value = value * (smoothing / T(classes));
    return weight.reshape({classes, 1});
}

/// What cross_entropy knows of its labels.
template <class T>
struct LabelTargets {
    WeightedLabels<T> labels;
    T at_label;        // the share of the target that goes to the label
    Tensor<T> spread;  // and what every class has beside that; empty without smoothing
    T spread_sum = T(0);

    /// The sum of the targets at position i, whose label is not ignored.
    T share_of(Index i) const { return at_label * labels.weight(i) + spread_sum; }
    /// False where there is nothing to learn: the label is ignored, or all its weights are 0.
    bool counts(Index i) const { return !labels.ignores(i) && !(share_of(i) == T(0)); }

    /// One term per position; 0 where nothing counts, whatever the logits are.
    Tensor<T> losses(const ClassSoftmax<T>& p) const {
        Tensor<T> result = Tensor<T>::uninitialized(p.sums.shape());
        T* const loss = result.mutable_data();
        const T *const x = p.x.data(), *const largest = p.largest.data(), *const log_sums = p.log_sums.data();
        const Index inner = labels.axis.inner, classes = spread.numel();
        labels.axis.for_each([&](Index i, Index first) {
            // A class that cannot be and has not to be costs nothing.
            const auto cost = [&](Index c, const T& share) {
                if (share == T(0)) return T(0);
                return T(share * (log_sums[i] - kernels::below_largest<T>(x[first + c * inner], largest[i])));
            };
            loss[i] = T(0);
            if (labels.ignores(i)) return;
            if (classes > 0)
                loss[i] = kernels::detail::sum_in_runs<T>(classes,
                                                          [&](Index c) { return cost(c, spread.data()[c]); });
            loss[i] = loss[i] + cost(labels[i], T(at_label * labels.weight(i)));
        });
        return result;
    }

    /// dy is one number or one per position; `mean` divides by `divisor`.
    Tensor<T> gradient(const Tensor<T>& exps, const Tensor<T>& sums, const Tensor<T>& dy, T divisor) const {
        Tensor<T> factors = zeros<T>(sums.shape());
        T* const factor = factors.mutable_data();
        const Index step = dy.numel() == 1 ? 0 : 1, inner = labels.axis.inner, classes = spread.numel();
        const auto seed = [&, from = dy.data()](Index i) { return from[i * step] / divisor; };
        labels.axis.for_each([&](Index i, Index) {
            if (counts(i)) factor[i] = seed(i) * share_of(i) / sums.data()[i];
        });
        Tensor<T> result = exps * factors;
        T* const out = result.mutable_data();
        labels.axis.for_each([&](Index i, Index first) {
            if (!counts(i)) {  // 0 · NaN is not 0
                for (Index c = 0; c < labels.axis.classes; ++c) out[first + c * inner] = T(0);
                return;
            }
            const T s = seed(i);
            for (Index c = 0; c < classes; ++c)
                out[first + c * inner] = out[first + c * inner] - s * spread.data()[c];
            T& right = out[first + labels[i] * inner];
            right = right - s * (at_label * labels.weight(i));
        });
        return result;
    }
};

}  // namespace detail

/// −w log softmax(logits)[label] at every position: the negative log-likelihood of the right class, times its
/// weight. Softmax and logarithm are one step, so large logits do not overflow and unlikely classes keep
/// their accuracy. With label_smoothing ε the label counts 1 − ε, and each class c adds ε w[c] / classes of
/// its own −log softmax. `mean` is weighted: over the sum of w[label], so NaN if nothing counts.
/// A class that is masked out by a logit of −inf costs nothing where its share of the target is 0, and
/// infinitely much where it is not: at a label, or by smoothing (a class weight of 0 takes it out of that).
/// Gradients are finite in both cases. What is ignored or has the weight 0 costs nothing whatever its logits.
/// dlogits = w (softmax(logits) − one_hot(label)) · dy without smoothing, over that sum for `mean`
/// logits [batch, classes] or [batch, classes, ...] (per pixel), labels [batch] or [batch, ...] in
/// 0 ... classes − 1; the result is one number, or of the labels' shape with `none`.
/// Throws ShapeError if the shapes do not fit, ValueError for a label out of range or unless
/// 0 ≤ label_smoothing < 1.
/// Source of the smoothing: Szegedy et al., "Rethinking the inception architecture", 2016.
template <class T>
Variable<T> cross_entropy(const Variable<T>& logits, const Tensor<Index>& labels,
                          const std::type_identity_t<CrossEntropyOptions<T>>& options = {}) {
    const T smoothing = detail::checked_smoothing(options);
    detail::LabelTargets<T> targets{
        {"cross_entropy", "logits", logits.shape(), labels, options.weight, options.ignore_index},
        T(1) - smoothing,
        {}};
    const detail::ClassAxis axis = targets.labels.axis;
    if (smoothing > T(0)) {
        targets.spread = detail::spread_target(options, smoothing, axis.classes);
        targets.spread_sum = detail::sum_all(targets.spread);
    }
    const T divisor = detail::divisor("cross_entropy", options.reduction, targets.labels.total_weight());
    const detail::ClassSoftmax<T> p(logits.value(), axis);
    return record("cross_entropy",
                  detail::reduced(targets.losses(p).reshape(labels.shape()), options.reduction, divisor),
                  wrt(logits, [exps = p.exps, sums = p.sums, targets, divisor,
                               shape = logits.shape()](const Tensor<T>& dy) {
                      return targets.gradient(exps, sums, dy, divisor).reshape(shape);
                  }));
}

/// The same for targets that are probabilities of all classes, in the shape of the logits: −Σ w t log
/// softmax(logits) over the classes at every position. `mean` is over the number of positions, whatever the
/// weights. With label_smoothing ε, t counts 1 − ε, and each class has ε / classes beside it.
/// dlogits = (softmax(logits) Σ w t − w t) · dy, over the number of positions for `mean`
/// Throws ShapeError if the shapes do not fit, ValueError unless 0 ≤ label_smoothing < 1 or for an
/// ignore_index ≥ 0, because there are no labels to ignore.
template <class T, class U>
requires std::same_as<T, U> Variable<T> cross_entropy(
    const Variable<T>& logits, const Tensor<U>& probabilities,
    const std::type_identity_t<CrossEntropyOptions<T>>& options = {}) {
    const T smoothing = detail::checked_smoothing(options);
    gradus::detail::check<ValueError>(options.ignore_index < 0, "cross_entropy",
                                      "ignore_index goes with labels; leave it out with probabilities");
    if (logits.rank() < 2 || !(probabilities.shape() == logits.shape()))
        detail::refuse_probabilities(logits.shape(), probabilities.shape());
    const detail::ClassAxis axis(logits.shape());
    detail::check_class_weight("cross_entropy", options.weight, axis.classes);
    Tensor<T> q = probabilities.reshape(axis.scores());
    if (smoothing > T(0)) q = q * (T(1) - smoothing) + smoothing / T(axis.classes);
    if (detail::is_given(options.weight)) q = q * options.weight.reshape({axis.classes, 1});

    const bool each = options.reduction == Reduction::none;
    const T divisor = detail::divisor("cross_entropy", options.reduction, T(axis.positions()));
    const detail::ClassSoftmax<T> p(logits.value(), axis);
    const Tensor<T> losses = detail::soft_losses(p, q).reshape(logits.shape().without(1));
    return record(
        "cross_entropy", detail::reduced(losses, options.reduction, divisor),
        wrt(logits, [exps = p.exps, sums = p.sums, q, divisor, each,
                     shape = logits.shape()](const Tensor<T>& dy) {
            const Tensor<T> seed = (dy / divisor).reshape(each ? sums.shape() : Shape{1, 1, 1});
            return detail::soft_gradient(exps, detail::soft_factor(seed, q, sums), q, seed).reshape(shape);
        }));
}

}  // namespace gradus
