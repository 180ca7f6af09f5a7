// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gradus/training/anomaly.hpp"
#include "gradus/training/finding.hpp"
#include "gradus/training/state.hpp"

// What diagnose() looks for in a batch and in the operations of one forward pass.

namespace gradus::training::detail {

/// "3.142": four digits, for sentences.
[[gnu::cold]] inline std::string digits(double x) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", x);
    return text;
}

template <class T>
double root_mean_square(const Tensor<T>& x) {
    double sum = 0;
    for (const T& value : x) sum += static_cast<double>(value) * static_cast<double>(value);
    return x.numel() == 0 ? 0 : std::sqrt(sum / static_cast<double>(x.numel()));
}

/// The numbers that go into the model.
template <class T>
[[gnu::cold]] void examine_inputs(Diagnosis& d, const Tensor<T>& x) {
    if (x.rank() == 0 || x.numel() == 0)
        return d.add(Severity::error, "empty_batch", "", "the batch has no examples");
    const NonFinite broken = count_non_finite(x.data(), x.numel());
    if (broken.any())
        return d.add(Severity::error, "input_not_finite", "",
                     gradus::detail::text_of({"the inputs hold ", broken.nan, " NaN and ", broken.infinite,
                                              " infinite numbers of ", x.numel(),
                                              ": fill or drop missing values before training"}));
    double sum = 0, squares = 0;
    for (const T& value : x) sum += static_cast<double>(value);
    const double mean = sum / static_cast<double>(x.numel());
    for (const T& value : x)
        squares += (static_cast<double>(value) - mean) * (static_cast<double>(value) - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(x.numel()));
    const Index examples = x.size(0), size = x.numel() / examples;
    const auto row = [&](Index i) { return x.data() + i * size; };
    const auto bytes = static_cast<std::size_t>(size) * sizeof(T);
    bool same = examples > 1;
    for (Index i = 1; same && i < examples; ++i) same = std::memcmp(row(0), row(i), bytes) == 0;
    if (same)
        return d.add(
            Severity::error, "constant_inputs", "",
            gradus::detail::text_of({"all ", examples,
                                     " examples are the same: is the buffer overwritten while they are "
                                     "collected, or one row broadcast?"}));
    if constexpr (!std::is_floating_point_v<T>) return;  // class numbers, for an embedding
    if (std::abs(mean) > 10 || deviation > 10 || deviation < 1e-3)
        d.add(Severity::warning, "unnormalized_inputs", "",
              "the inputs have mean " + digits(mean) + " and standard deviation " + digits(deviation) +
                  ": bring them to about 0 and 1, (x - mean) / deviation, with the numbers of the training "
                  "set (or pixels "
                  "from 0 ... 255 to 0 ... 1)",
              deviation);
    if (x.rank() != 2) return;
    double least = std::numeric_limits<double>::infinity(), most = 0;  // deviations of columns
    Index least_column = 0, most_column = 0;
    for (Index c = 0; c < size && examples > 1; ++c) {
        double m = 0, s = 0;
        for (Index i = 0; i < examples; ++i)
            m += static_cast<double>(row(i)[c]) / static_cast<double>(examples);
        for (Index i = 0; i < examples; ++i) s += std::pow(static_cast<double>(row(i)[c]) - m, 2);
        s = std::sqrt(s / static_cast<double>(examples));
        if (s > most) most = s, most_column = c;
        if (s > 0 && s < least) least = s, least_column = c;
    }
    if (most > 1e3 * least && most > 10)
        d.add(Severity::warning, "unequal_features", "",
              gradus::detail::text_of(
                  {"feature ", most_column, " varies ", digits(most / least), " times as much as feature ",
                   least_column, ": standardize every column by itself, or the small ones will not count"}),
              most / least);
}

/// Examples that are the same, with labels that are not.
template <class T, class L>
[[gnu::cold]] void examine_contradictions(Diagnosis& d, const Tensor<T>& x, const Tensor<L>& y) {
    if (x.rank() == 0 || y.rank() == 0 || x.size(0) != y.size(0) || x.size(0) > 512 || x.numel() == 0 ||
        d.has_errors())
        return;
    const Index n = x.size(0), sx = x.numel() / n, sy = y.numel() / n;
    const auto equal = [](const auto* a, const auto* b, Index size) {
        return std::memcmp(a, b, static_cast<std::size_t>(size) * sizeof *a) == 0;
    };
    for (Index i = 0; i < n; ++i)
        for (Index j = i + 1; j < n; ++j)
            if (equal(x.data() + i * sx, x.data() + j * sx, sx) &&
                !equal(y.data() + i * sy, y.data() + j * sy, sy))
                return d.add(Severity::warning, "contradicting_labels", "",
                             gradus::detail::text_of(
                                 {"examples ", i, " and ", j,
                                  " are the same and have different labels: were inputs and labels "
                                  "shuffled apart from each other?"}));
}

/// Class numbers against scores [batch, classes, ...].
[[gnu::cold]] inline void examine_labels(Diagnosis& d, const Tensor<Index>& labels, const Shape& scores) {
    if (labels.numel() == 0) return;
    Index least = std::numeric_limits<Index>::max(), most = std::numeric_limits<Index>::min();
    for (const Index label : labels)
        if (label != -100) least = std::min(least, label), most = std::max(most, label);
    if (most < least)
        return d.add(Severity::error, "labels_ignored", "",
                     "every label is -100, which losses ignore: nothing counts");
    if (scores.rank() < 2 || !(labels.shape() == scores.without(1))) return;
    const Index classes = scores[1];
    if (least < 0 || most >= classes) {
        const bool from_one = least == 1 && most == classes;
        return d.add(
            Severity::error, "labels_out_of_range", "",
            gradus::detail::text_of({"labels go from ", least, " to ", most, ", and the model has ", classes,
                                     " outputs, for 0 ... ", classes - 1,
                                     from_one ? ": labels that count from 1 need labels - 1"
                                              : ": make the last layer larger, or renumber the labels"}));
    }
    if (least == most && labels.numel() >= 8)
        d.add(Severity::warning, "single_class", "",
              gradus::detail::text_of({"every label of the batch is ", least,
                                       ": is the data sorted by class? shuffle it ({.shuffle = true})"}));
}
template <class T>
[[gnu::cold]] void examine_labels(Diagnosis& d, const Tensor<T>& targets, const Shape&) {
    if (const NonFinite broken = count_non_finite(targets.data(), targets.numel()); broken.any())
        return d.add(Severity::error, "targets_not_finite", "",
                     gradus::detail::text_of({"the targets hold ", broken.nan, " NaN and ", broken.infinite,
                                              " infinite numbers of ", targets.numel()}));
    if (const double size = root_mean_square(targets); size > 100)
        d.add(Severity::warning, "large_targets", "",
              "the targets are as large as " + digits(size) +
                  " (root mean square): standardize them, and undo that for predictions",
              size);
}

/// Follows the first forward pass: the first number that is not finite, what was put on top of what, dead units.
class ForwardWatch final : public AnomalyWatch {
public:
    ForwardWatch(Diagnosis& d, std::vector<nn::NamedLayer> layers,
                 std::vector<std::pair<const void*, std::string>> parameters)
        : AnomalyWatch(std::move(layers), std::move(parameters), {.throws = false}), d_(d) {}

    /// How many classes the cross-entropy had; 0 without one.
    Index classes() const { return classes_; }

private:
    struct Made {
        std::string operation, place;
        const void* input;
        Shape shape;
    };

    void on_result(const char* operation, const gradus::detail::SeenValue& result,
                   const std::vector<gradus::detail::SeenValue>& inputs, bool is_deferred) override {
        AnomalyWatch::on_result(operation, result, inputs, is_deferred);
        const Made made{operation, place(), inputs.empty() ? nullptr : inputs[0].node, result.shape};
        made_.insert_or_assign(result.node, made);
        if (!inputs.empty()) examine(made, inputs);
        if (!is_deferred) examine_units(made, result);
    }
    void on_computed(const gradus::detail::SeenValue& result) override {
        AnomalyWatch::on_computed(result);
        if (const auto at = made_.find(result.node); at != made_.end()) examine_units(at->second, result);
    }

    /// What made a value, through operations that only arrange it.
    const Made* source(const void* node) const {
        for (int i = 0; i < 8; ++i) {
            const auto at = made_.find(node);
            if (at == made_.end()) return nullptr;
            if (at->second.operation != "reshape" && at->second.operation != "transpose") return &at->second;
            node = at->second.input;
        }
        return nullptr;
    }

    void examine(const Made& made, const std::vector<gradus::detail::SeenValue>& inputs) {
        const Made* const before = source(inputs[0].node);
        const std::string& op = made.operation;
        const std::string_view from = before ? std::string_view(before->operation) : "";
        if (op == "cross_entropy" && inputs[0].shape.rank() >= 2) classes_ = inputs[0].shape[1];
        const auto add = [&](Severity severity, const char* kind, const char* text) {
            if (!d_.find(kind)) d_.add(severity, kind, before->place, text);
        };
        if (op == "cross_entropy" && (from == "softmax" || from == "sigmoid"))
            add(Severity::error, "softmax_before_cross_entropy",
                "cross_entropy takes logits and does the softmax itself: return the scores of the last layer "
                "(twice "
                "softmax learns slowly and stops early)");
        if (op == "cross_entropy" && from == "log_softmax")
            add(Severity::note, "log_softmax_before_cross_entropy",
                "cross_entropy does this itself: log_softmax before it changes nothing and costs time");
        if ((op == "cross_entropy" || op == "bce_with_logits") && from.ends_with("relu"))
            add(Severity::warning, "relu_before_loss",
                "the logits go through a relu, which takes every negative score away: leave out the last "
                "activation");
        if (op == "cross_entropy" && inputs[0].shape.rank() >= 2 && inputs[0].shape[1] == 1)
            d_.add(Severity::error, "one_class", made.place,
                   "cross_entropy over one class is always 0: for two classes take two outputs, or "
                   "bce_with_logits");
        if (op == "bce_with_logits" && (from == "sigmoid" || from == "softmax"))
            add(Severity::error, "sigmoid_before_bce_with_logits",
                "bce_with_logits takes logits and does the sigmoid itself: leave it out, or take bce");
        if (op == "nll" && (from == "softmax" || from == "linear"))
            add(Severity::error, "nll_without_log",
                "nll takes log-probabilities, log_softmax(logits, 1): take cross_entropy of the logits");
        if (op == "kl_div" && (from == "softmax" || from == "linear"))
            add(Severity::error, "kl_div_without_log",
                "kl_div takes log-probabilities as its input: log_softmax(logits, 1)");
        if (op == "log" && (from == "softmax" || from == "sigmoid"))
            add(Severity::warning, "log_of_probability",
                "the logarithm of a rounded probability is -inf sooner or later: log_softmax(logits, 1), "
                "cross_entropy "
                "or bce_with_logits do it in one step");
        if ((op == "softmax" || op == "sigmoid") && (from == "softmax" || from == "sigmoid"))
            add(Severity::warning, "activation_twice",
                "softmax or sigmoid of probabilities: one of them is too much");
        if (op == "softmax" && made.shape.rank() >= 2 && made.shape[-1] == 1)
            d_.add(Severity::warning, "softmax_of_one", made.place,
                   "softmax over one number is always 1: take sigmoid, or another axis");
        if (op == "linear" && from == "linear" && inputs[0].node != nullptr)
            if (!d_.find("no_activation"))
                d_.add(Severity::note, "no_activation", made.place,
                       gradus::detail::text_of(
                           {"there is no activation between this linear layer and the one at ", before->place,
                            ": the two are no more than one"}));
        if (inputs.size() == 2 && inputs[0].shape != inputs[1].shape) examine_broadcast(made, inputs);
    }

    /// [batch, 1] with [batch] becomes [batch, batch].
    void examine_broadcast(const Made& made, const std::vector<gradus::detail::SeenValue>& inputs) {
        for (const int k : {0, 1}) {
            const Shape &column = inputs[static_cast<std::size_t>(k)].shape,
                        &row = inputs[static_cast<std::size_t>(1 - k)].shape;
            if (column.rank() != 2 || column[1] != 1 || row.rank() != 1 || row[0] != column[0] || row[0] < 2)
                continue;
            if (!(made.shape == Shape{row[0], row[0]})) continue;
            d_.add(Severity::error, "broadcast_in_loss", made.place,
                   gradus::detail::text_of({made.operation, " of ", to_string(inputs[0].shape), " and ",
                                            to_string(inputs[1].shape), " gives ", to_string(made.shape),
                                            ": every example meets every other; squeeze(x, 1) first"}));
        }
    }

    /// Units [batch, unit, ...] of a relu that are 0 for every example, and sigmoids and tanhs at their ends.
    void examine_units(const Made& made, const gradus::detail::SeenValue& result) {
        if (!result.is_float && !result.is_double) return;
        const std::string_view op = made.operation;
        if (result.shape.rank() < 2 || result.shape.numel() == 0) return;
        if (op == "relu" || op.ends_with("+ relu")) {
            const double dead = share_of_units(result, [](double x) { return x <= 0; });
            if (dead > 0.5 && result.shape[0] > 1)
                d_.add(Severity::warning, "dead_relu", made.place,
                       "relu gives 0 for every example in " + digits(100 * dead) +
                           " % of its units, which then learn nothing: a smaller learning rate, normalized "
                           "inputs, "
                           "another initialization or leaky_relu",
                       dead);
        } else if (op == "sigmoid" || op == "tanh") {
            const bool is_tanh = op == "tanh";
            const double flat = share_of_units(
                result, [&](double x) { return is_tanh ? std::abs(x) > 0.999 : x < 1e-3 || x > 0.999; });
            if (flat > 0.9)
                d_.add(Severity::warning, "saturated", made.place,
                       made.operation + " is at its flat ends in " + digits(100 * flat) +
                           " % of its units, where gradients vanish: smaller weights or normalized inputs",
                       flat);
        }
    }
    template <class Test>
    static double share_of_units(const gradus::detail::SeenValue& x, const Test& test) {
        const Index batch = x.shape[0], units = x.shape[1], inner = x.shape.span(2, x.shape.rank());
        Index count = 0;
        for (Index u = 0; u < units; ++u) {
            bool all = true;
            for (Index b = 0; all && b < batch; ++b)
                for (Index i = 0; all && i < inner; ++i) {
                    const Index at = (b * units + u) * inner + i;
                    all = test(x.is_float ? static_cast<double>(static_cast<const float*>(x.numbers)[at])
                                          : static_cast<const double*>(x.numbers)[at]);
                }
            count += all;
        }
        return static_cast<double>(count) / static_cast<double>(units);
    }

    Diagnosis& d_;
    std::unordered_map<const void*, Made> made_;
    Index classes_ = 0;
};

}  // namespace gradus::training::detail
