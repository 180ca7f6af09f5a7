// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/no_grad.hpp"
#include "gradus/core/reflect.hpp"
#include "gradus/data/loader.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/training/metrics.hpp"

namespace gradus::training {

/// Means of loss and score over examples, in double, from means over batches of any sizes.
struct Means {
    static constexpr const char* state_name = "means";

    double loss = 0, score = 0;
    Index examples = 0;

    void add(double batch_loss, double batch_score, Index batch) {
        examples += batch;
        const auto size = static_cast<double>(batch), all = static_cast<double>(examples);
        if (batch == 0) return;
        loss += (batch_loss - loss) * size / all;
        score += (batch_score - score) * size / all;
    }

    void save(auto& state) const {
        state.put("loss", loss);
        state.put("score", score);
        state.put("examples", examples);
    }
    void load(const auto& state) {
        const Means loaded{state.template get<double>("loss"), state.template get<double>("score"),
                           state.template get<Index>("examples")};
        gradus::detail::check_count("means", "examples", loaded.examples);
        *this = loaded;
    }
};

/// Puts the layers of a model into training mode, or out of it, while it lives; afterwards each is as it was.
///
///     const training::ModeGuard guard(net, false);  // evaluation
class [[nodiscard]] ModeGuard {
public:
    template <class Model>
    [[nodiscard]] ModeGuard(Model& model, bool training) {
        GRADUS_CHECK_MODEL(Model);
        GRADUS_CHECK_NOT_CONST(Model);
        nn::detail::walk_model(model, [&](const std::string&, auto& part) {
            if constexpr (nn::detail::HasTrainingFlag<std::remove_cvref_t<decltype(part)>>)
                flags_.push_back({&part.training, part.training});
        });
        for (const Flag& flag : flags_) *flag.at = training;
    }
    ~ModeGuard() {
        for (const Flag& flag : flags_) *flag.at = flag.before;
    }
    ModeGuard(const ModeGuard&) = delete;
    ModeGuard& operator=(const ModeGuard&) = delete;

private:
    struct Flag {
        bool* at;
        bool before;
    };
    std::vector<Flag> flags_;
};

/// A score of a batch, score(outputs, targets), which is a mean over its examples: what the column "Score" of
/// the table shows instead of the accuracy.
///
///     training::Score([](const auto& logits, const auto& y) { return multilabel_accuracy(logits, y, 0); })
template <class F>
struct Score {
    F function;

    explicit Score(F f) : function(std::move(f)) {}
};

namespace detail {

template <class X>
inline constexpr bool is_score = false;
template <class F>
inline constexpr bool is_score<Score<F>> = true;

template <class Batch>
concept HasInputs = requires(const Batch& batch) {
    batch.inputs;
};
template <class Batch>
concept HasLabels = requires(const Batch& batch) {
    batch.labels;
};

/// How many examples there are: the outermost size of the batch's first tensor.
template <class Batch>
Index examples_of(const Batch& batch) {
    if constexpr (HasInputs<Batch>)
        return batch.inputs.size(0);
    else if constexpr (requires { batch.size(0); })
        return batch.size(0);
    else
        return std::get<0>(gradus::detail::tie_fields(batch)).size(0);
}

/// What the outputs are compared with: the labels, or the last field; of a single tensor itself.
template <class Batch>
const auto& targets_of(const Batch& batch) {
    if constexpr (HasLabels<Batch>) {
        return batch.labels;
    } else if constexpr (requires { batch.size(0); }) {
        return batch;
    } else {
        const auto fields = gradus::detail::tie_fields(batch);
        return std::get<std::tuple_size_v<decltype(fields)> - 1>(fields);
    }
}

// A data set has size() and operator[] as a list of batches has, but gives examples, whose axes would be taken
// for others.

template <class X>
inline constexpr bool is_data_set = requires(const X& x) {
    x.gather(std::span<const Index>());
};
template <class T>
inline constexpr bool is_data_set<Tensor<T>> = true;

/// Throws ShapeError for what can only be one example.
template <class Labels>
void check_is_batch(const Labels& labels) {
    if constexpr (requires { labels.rank(); })
        if (labels.rank() == 0)
            gradus::detail::raise<ShapeError>("fit, evaluate",
                                              "a batch has labels [batch, ...]; make batches of a data set: "
                                              "data::Loader(set, {.batch_size = 32})",
                                              labels.shape());
}

/// The batches of a pass: of a loader those of this epoch; a list of batches is the same in all.
template <class Data>
decltype(auto) epoch_of(Data& data, Index epoch) {
    static_assert(
        !is_data_set<std::remove_cvref_t<Data>>,
        "this takes batches, not a data set or a tensor: write data::Loader(set, {.batch_size = 100}), or "
        "std::vector{tensor} for one batch");
    if constexpr (requires { data.epoch(epoch); })
        return data.epoch(epoch);
    else
        return (data);
}

/// Whether a loss is asked as loss(model(batch.inputs), batch.labels), and not as loss(model, batch).
template <class Loss, class Model, class Batch>
constexpr bool takes_outputs() {
    if constexpr (requires(Model & model, const Batch& batch) {
                      batch.labels;
                      model(batch.inputs);
                  })
        return std::is_invocable_v<const Loss&,
                                   decltype(std::declval<Model&>()(std::declval<const Batch&>().inputs)),
                                   decltype((std::declval<const Batch&>().labels))>;
    else
        return false;
}

struct NoOutputs {};

/// A loss, and the outputs that it was computed from if they are known.
template <class Value, class Outputs>
struct Forward {
    Value loss;
    Outputs outputs;
};
template <class Value, class Outputs>
Forward(Value, Outputs) -> Forward<Value, Outputs>;

template <class Value>
inline constexpr bool is_loss = requires(const Value& value) {
    value.backward();
    value.item();
};
#define GRADUS_LOSS_RULE                                                                              \
    "the loss must return a Variable, from which backward() can go: cross_entropy(outputs, labels), " \
    "without .item()"

/// The loss of a batch. loss(model, batch) may return what has `loss` and `outputs`.
template <class Model, class Loss, class Batch>
auto forward(Model& model, const Loss& loss, const Batch& batch) {
    if constexpr (takes_outputs<Loss, Model, Batch>()) {
        check_is_batch(batch.labels);
        auto outputs = model(batch.inputs);
        auto value = loss(outputs, batch.labels);
        static_assert(is_loss<decltype(value)>, GRADUS_LOSS_RULE);
        return Forward{std::move(value), std::move(outputs)};
    } else {
        static_assert(std::is_invocable_v<const Loss&, Model&, const Batch&>,
                      "the loss must be callable as loss(model(batch.inputs), batch.labels), or as "
                      "loss(model, batch); write [](const auto& outputs, const auto& labels) { return "
                      "cross_entropy(outputs, labels); }");
        auto result = loss(model, batch);
        if constexpr (requires { result.outputs; }) {
            static_assert(is_loss<decltype(result.loss)>, GRADUS_LOSS_RULE);
            return result;
        } else {
            static_assert(is_loss<decltype(result)>, GRADUS_LOSS_RULE);
            return Forward{std::move(result), NoOutputs{}};
        }
    }
}

#undef GRADUS_LOSS_RULE

/// The tensor of outputs, which metrics take.
template <class Outputs>
decltype(auto) values_of(const Outputs& outputs) {
    if constexpr (requires { outputs.value(); })
        return outputs.value();
    else
        return (outputs);
}

/// The accuracy, where outputs are [batch, classes] and targets class numbers.
struct DefaultScore {
    template <class Outputs, class Targets>
    static bool fits(const Outputs& outputs, const Targets& targets) {
        if constexpr (requires { gradus::accuracy(outputs, targets); })
            return outputs.rank() == 2 && outputs.size(1) > 0 && targets.shape() == Shape{outputs.size(0)};
        else
            return false;
    }
    template <class Outputs, class Targets>
    double operator()(const Outputs& outputs, const Targets& targets) const {
        if constexpr (requires { gradus::accuracy(outputs, targets); })
            return gradus::accuracy(outputs, targets);
        else
            return 0;
    }
};

inline const DefaultScore& score_among() {
    static constexpr DefaultScore accuracy;
    return accuracy;
}
template <class First, class... Others>
const auto& score_among(const First& first, const Others&... others) {
    if constexpr (is_score<First>)
        return first.function;
    else
        return score_among(others...);
}

/// The score of a batch and whether there is one.
struct BatchScore {
    double value = 0;
    bool known = false;
};
template <class F, class Outputs, class Batch>
BatchScore score_of(const F& score, const Outputs& outputs, const Batch& batch) {
    if constexpr (std::is_same_v<Outputs, NoOutputs>) {
        return {};
    } else if constexpr (std::is_same_v<F, DefaultScore>) {
        if (!F::fits(outputs, targets_of(batch))) return {};
        return {score(outputs, targets_of(batch)), true};
    } else {
        return {static_cast<double>(score(outputs, targets_of(batch))), true};
    }
}

/// Calls each(batch, loss, outputs) for all batches, in evaluation mode and without history.
template <class Model, class Loss, class Batches, class Each>
void for_each_evaluated(Model& model, const Loss& loss, Batches& batches, const Each& each) {
    const NoGrad no_grad;
    const ModeGuard mode(model, false);
    const auto count = static_cast<Index>(batches.size());
    for (Index i = 0; i < count; ++i) {
        const auto batch = batches[static_cast<decltype(batches.size())>(i)];
        const auto result = forward(model, loss, batch);
        each(batch, static_cast<double>(result.loss.item()), result.outputs);
    }
}

}  // namespace detail

/// What evaluate() found: means over all examples.
struct Evaluation {
    double loss = 0, score = 0;
    Index examples = 0;
};

/// Mean loss and score of a model over data, in evaluation mode and without history; afterwards each layer is
/// in the mode in which it was, also if something throws.
///
///     const auto [loss, score, examples] = training::evaluate(net, loss_of, data::Loader(test), f1, confusion);
///
/// The score is the accuracy where outputs are [batch, classes] and labels class numbers, or what a Score
/// among the metrics says. Every other metric has update(outputs, targets), and takes each batch: its value
/// is the caller's to ask for. `data` and `loss` are as for fit(). Throws ValueError if there are no batches.
template <class Model, class Loss, class Data, class... Metrics>
Evaluation evaluate(Model& model, const Loss& loss, Data&& data, Metrics&&... metrics) {
    auto&& batches = detail::epoch_of(data, 0);
    gradus::detail::check<ValueError>(batches.size() > 0, "evaluate",
                                      "there are no batches; is the dataset empty?");
    const auto& score = detail::score_among(metrics...);
    Means means;
    const auto update = [](auto& metric, const auto& outputs, const auto& batch) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(outputs)>, detail::NoOutputs>)
            static_assert(!sizeof(metric),
                          "this loss(model, batch) shows no outputs to a metric: return a "
                          "struct with `loss` and `outputs`");
        else if constexpr (!detail::is_score<std::remove_cvref_t<decltype(metric)>>)
            metric.update(detail::values_of(outputs), detail::targets_of(batch));
    };
    detail::for_each_evaluated(
        model, loss, batches, [&](const auto& batch, double batch_loss, const auto& outputs) {
            means.add(batch_loss, detail::score_of(score, outputs, batch).value, detail::examples_of(batch));
            (update(metrics, outputs, batch), ...);
        });
    return {means.loss, means.score, means.examples};
}

namespace detail {

/// Puts results of batches below each other.
template <class T>
class Rows {
public:
    void add(Tensor<T> rows) { parts_.push_back(std::move(rows)); }

    Tensor<T> all() && {
        if (parts_.size() == 1) return std::move(parts_.front());
        Index count = 0;
        for (const Tensor<T>& part : parts_) {
            if (part.rank() == 0 || part.shape().without(0) != parts_.front().shape().without(0))
                gradus::detail::raise<ShapeError>("predict", "outputs of batches differ in shape",
                                                  parts_.front().shape(), part.shape());
            count += part.size(0);
        }
        Tensor<T> result = Tensor<T>::uninitialized(parts_.front().shape().with(0, count));
        T* to = result.mutable_data();
        for (const Tensor<T>& part : parts_) to = std::copy(part.begin(), part.end(), to);
        return result;
    }

private:
    std::vector<Tensor<T>> parts_;
};

}  // namespace detail

/// The outputs [examples, ...] of a model for all inputs of the data, in evaluation mode and without history;
/// afterwards each layer is in the mode in which it was.
///
///     const Tensor<> logits = training::predict(net, data::Loader(test, {.batch_size = 500}));
///
/// A batch is what has `inputs`, or a tensor. Throws ValueError if there are no batches, ShapeError if outputs
/// of batches do not fit below each other.
template <class Model, class Data>
auto predict(Model& model, Data&& data) {
    auto&& batches = detail::epoch_of(data, 0);
    gradus::detail::check<ValueError>(batches.size() > 0, "predict",
                                      "there are no batches; is the dataset empty?");
    const NoGrad no_grad;
    const ModeGuard mode(model, false);
    const auto outputs = [&](const auto& batch) {
        if constexpr (detail::HasInputs<std::remove_cvref_t<decltype(batch)>>)
            return model(batch.inputs).value();
        else
            return model(batch).value();
    };
    using Output = std::remove_cvref_t<decltype(outputs(batches[0]))>;
    detail::Rows<typename Output::value_type> rows;
    const auto count = static_cast<Index>(batches.size());
    for (Index i = 0; i < count; ++i) rows.add(outputs(batches[static_cast<decltype(batches.size())>(i)]));
    return std::move(rows).all();
}

}  // namespace gradus::training
