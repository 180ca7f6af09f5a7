// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>

#include "gradus/loss/reduction.hpp"

// What losses of class numbers share.

namespace gradus::detail {

/// Scores [batch, classes, ...] as [batch, classes, inner]: one position for each label [batch, ...].
struct ClassAxis {
    Index batch, classes, inner;

    explicit ClassAxis(const Shape& scores)
        : batch(scores[0]), classes(scores[1]), inner(scores.span(2, scores.rank())) {}

    Index positions() const { return batch * inner; }
    Shape scores() const { return {batch, classes, inner}; }
    Shape per_position() const { return {batch, 1, inner}; }  // broadcasts to scores()

    /// f(position, offset of its score for class 0), for all positions, on several threads.
    template <class F>
    void for_each(const F& f) const {
        for_each_erased(&f,
                        [](const void* g, Index i, Index first) { (*static_cast<const F*>(g))(i, first); });
    }

private:
    void for_each_erased(const void* f, void (*call)(const void* f, Index position, Index first)) const {
        parallel_for(positions(), parallel_grain / 8, [&](Index begin, Index end) {
            Index at = begin % inner, first = begin / inner * classes * inner;
            for (Index i = begin; i < end; ++i) {
                call(f, i, first + at);
                if (++at == inner) at = 0, first += classes * inner;
            }
        });
    }
};

/// What labels of a wrong shape were meant to be.
[[gnu::cold]] inline const char* label_remedy(const Shape& scores, const Shape& labels) {
    if (scores.rank() < 2) return "";
    const Shape right = scores.without(1);
    if (labels.rank() == right.rank() + 1 && labels[-1] == 1 && labels.without(-1) == right)
        return "; squeeze(labels, -1) first";
    if (labels == scores.with(1, 1)) return "; squeeze(labels, 1) first";
    if (labels == scores) return ", class numbers; argmax(labels, 1) of one-hot labels";
    return "";
}

/// Throws ShapeError unless there is one weight per class.
template <class T>
void check_class_weight(const char* operation, const Tensor<T>& weight, Index classes) {
    if (is_given(weight) && !(weight.shape() == Shape{classes})) [[unlikely]]
        raise<ShapeError>(operation, "the weight needs one number per class", Shape{classes}, weight.shape());
}

/// Labels within range, and how much each of them counts.
template <class T>
class WeightedLabels {
public:
    /// Throws ShapeError unless the labels are those of scores [batch, classes, ...] and there is one weight
    /// per class (or none), ValueError if a label is out of range and not the ignored one.
    WeightedLabels(const char* operation, const char* scores_name, const Shape& scores,
                   const Tensor<Index>& labels, const Tensor<T>& weight, Index ignored)
        : axis(scores.rank() < 2 || !(labels.shape() == scores.without(1))
                   ? refuse_shapes(operation, scores_name, scores, labels.shape())
                   : scores),
          labels_(labels),
          weight_(weight),
          weighted_(is_given(weight)),
          ignored_(ignored) {
        check_class_weight(operation, weight, axis.classes);
        const Index* const label = labels_.data();
        for (Index i = 0; i < labels_.numel(); ++i) {
            if (label[i] == ignored_) continue;
            if (label[i] < 0 || label[i] >= axis.classes) [[unlikely]]
                refuse_label(operation, i);
            ++counted_;
        }
    }

    Index operator[](Index i) const { return labels_.data()[i]; }
    bool ignores(Index i) const { return (*this)[i] == ignored_; }

    /// The weight of the label at position i, which is not ignored.
    T weight(Index i) const { return weighted_ ? weight_.data()[(*this)[i]] : T(1); }

    /// The sum of the weights of all labels. Labels are counted by class first, so that the weights of a
    /// million pixels add up without rounding errors.
    T total_weight() const {
        if (!weighted_) return T(counted_);
        Tensor<Index> counts = zeros<Index>({axis.classes});
        Index* const count = counts.mutable_data();
        for (Index i = 0; i < labels_.numel(); ++i)
            if (!ignores(i)) ++count[(*this)[i]];
        return kernels::detail::sum_in_runs<T>(axis.classes,
                                               [&](Index c) { return T(T(count[c]) * weight_.data()[c]); });
    }

    const ClassAxis axis;

private:
    [[noreturn, gnu::cold]] static Shape refuse_shapes(const char* operation, const char* scores_name,
                                                       const Shape& scores, const Shape& labels) {
        raise<ShapeError>(operation,
                          text_of({"needs ", scores_name, " [batch, classes, ...] and labels [batch, ...]",
                                   label_remedy(scores, labels)}),
                          scores, labels);
    }
    [[noreturn, gnu::cold]] void refuse_label(const char* operation, Index i) const {
        raise<ValueError>({operation, ": label ", (*this)[i], " at position ",
                           position_text(labels_.shape(), i), " is out of range for ", axis.classes,
                           " classes"});
    }

    Tensor<Index> labels_;
    Tensor<T> weight_;
    bool weighted_;
    Index ignored_, counted_ = 0;
};

}  // namespace gradus::detail
