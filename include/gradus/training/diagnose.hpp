// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/backward.hpp"
#include "gradus/optim/adam.hpp"
#include "gradus/training/evaluate.hpp"
#include "gradus/training/examine.hpp"
#include "gradus/training/lr_finder.hpp"

namespace gradus::training {

struct DiagnoseOptions {
    Index steps = 50;     // of training on the batch
    bool find_lr = true;  // also propose a learning rate
    double lr = 1e-3;     // of the Adam that trains if no optimizer is given
};

namespace detail {

template <class Batch>
concept HasInputsAndLabels = requires(const Batch& batch) {
    batch.inputs.shape();
    batch.labels.shape();
};

/// Parameters and their gradients after the first backward(): none, zero, exploding, vanishing.
template <class T>
[[gnu::cold]] void examine_gradients(Diagnosis& d, const std::vector<NamedParameter<T>>& parameters) {
    std::vector<std::string> none, zero, frozen;
    const NamedParameter<T>*smallest = nullptr, *largest = nullptr;
    double least = 0, most = 0;
    for (const auto& named : parameters) {
        const auto& [name, p] = named;
        ParameterHealth health{name, p.shape(), root_mean_square(p.value()),
                               std::numeric_limits<double>::quiet_NaN(), 0};
        if (p.has_grad()) health.gradient = root_mean_square(p.grad());
        d.parameters.push_back(health);
        if (!p.requires_grad()) {
            frozen.push_back(name);
        } else if (!p.has_grad()) {
            none.push_back(name);
        } else if (health.gradient == 0 && p.numel() > 0) {
            zero.push_back(name);
        } else if (std::isfinite(health.gradient)) {
            const double norm = health.gradient * std::sqrt(static_cast<double>(p.numel()));
            if (!largest || norm > most) largest = &named, most = norm;
            if (p.rank() >= 2 && (!smallest || health.gradient < least))
                smallest = &named, least = health.gradient;
        }
    }
    if (!parameters.empty() && frozen.size() == parameters.size())
        return d.add(Severity::error, "all_frozen", "",
                     "every parameter is frozen (set_requires_grad(false)): there is nothing to train");
    if (!frozen.empty())
        d.add(Severity::note, "frozen", frozen[0], "frozen, and will stay as it is: " + some_of(frozen, 4),
              static_cast<double>(frozen.size()));
    if (!none.empty() && none.size() + frozen.size() == parameters.size())
        return d.add(Severity::error, "loss_without_model", "",
                     "no parameter gets a gradient: the loss does not depend on the model. Does it use the "
                     "model that is "
                     "passed to it, and is nothing detach()ed, taken by value() or computed under a NoGrad?");
    if (!none.empty())
        d.add(Severity::warning, "no_gradient", none[0],
              "no gradient for " + some_of(none, 4) +
                  ": is the layer called, and nothing after it detach()ed, taken by value() or computed "
                  "under a NoGrad?",
              static_cast<double>(none.size()));
    if (!zero.empty())
        d.add(Severity::warning, "zero_gradient", zero[0],
              "the gradient is 0 everywhere for " + some_of(zero, 4) +
                  ": a dead relu, an output that is constant, or a factor of 0 lies between it and the loss",
              static_cast<double>(zero.size()));
    if (most > 1e4)
        d.add(Severity::warning, "exploding_gradient", largest->name,
              "the gradient has norm " + digits(most) +
                  ": normalize inputs and targets, initialize smaller, or clip (optim::clip_grad_norm)",
              most);
    if (smallest && least < 1e-10)
        d.add(Severity::warning, "vanishing_gradient", smallest->name,
              "the gradient is only " + digits(least) +
                  " (root mean square): saturated activations or too many layers without normalization or "
                  "residuals",
              least);
}

/// What cannot be seen in the batch or the gradients: flags, symmetry.
template <class T, class Model>
[[gnu::cold]] void examine_model(Diagnosis& d, Model& model,
                                 const std::vector<NamedParameter<T>>& parameters) {
    std::vector<std::string> evaluating;
    nn::detail::walk_model(model, [&](const std::string& path, auto& part) {
        if constexpr (nn::detail::HasTrainingFlag<std::remove_cvref_t<decltype(part)>>)
            if (!part.training) evaluating.push_back(path.empty() ? "(model)" : path);
    });
    if (!evaluating.empty())
        d.add(Severity::warning, "evaluation_mode", evaluating[0],
              "in evaluation mode: " + some_of(evaluating, 4) +
                  ": dropout and batch statistics are off. Call nn::train(model) before training, also after "
                  "every "
                  "evaluation",
              static_cast<double>(evaluating.size()));
    if (!is_grad_enabled())
        d.add(Severity::error, "no_grad", "", "a NoGrad lives here: nothing that is computed can be trained");
    for (const auto& [name, p] : parameters) {
        const Tensor<T>& value = p.value();
        if (p.rank() < 2 || p.numel() < 4 || p.size(0) < 2) continue;
        if (std::all_of(value.begin(), value.end(), [&](const T& w) { return w == *value.begin(); }))
            d.add(Severity::warning, "constant_weights", name,
                  "all weights are " + digits(static_cast<double>(*value.begin())) +
                      ": units that begin alike stay alike; initialize them at random (nn::init)");
    }
}

template <class T, class Optimizer>
[[gnu::cold]] void examine_optimizer(Diagnosis& d, const std::vector<NamedParameter<T>>& parameters,
                                     const Optimizer& optimizer) {
    const auto holds = [](const auto& list, const Variable<T>& p) {
        for (const Variable<T>& other : list)
            if (&other.node() == &p.node()) return true;
        return false;
    };
    std::vector<std::string> missing;
    std::vector<Variable<T>> own;
    for (const auto& [name, p] : parameters) {
        own.push_back(p);
        if (p.requires_grad() && !holds(optimizer.parameters(), p)) missing.push_back(name);
    }
    std::size_t foreign = 0;
    for (const Variable<T>& p : optimizer.parameters()) foreign += !holds(own, p);
    if (foreign > 0)
        d.add(Severity::error, "foreign_parameters", "",
              gradus::detail::text_of(
                  {foreign, " of the ", optimizer.parameters().size(),
                   " parameters of the optimizer are none of this model: it was made for another one, "
                   "or for a copy"}),
              static_cast<double>(foreign));
    else if (!missing.empty())
        d.add(Severity::warning, "not_in_optimizer", missing[0],
              "the optimizer does not have " + some_of(missing, 4) +
                  ": it will stay as it is; add_group(), or freeze it",
              static_cast<double>(missing.size()));
    if (optimizer.lr() == 0)
        d.add(Severity::error, "lr_zero", "", "the learning rate is 0: nothing will change");
}

/// What the model does with the examples of a batch, in evaluation mode: whether the outputs differ, and whether one
/// example's output depends on another.
template <class T, class Model>
[[gnu::cold]] void examine_outputs(Diagnosis& d, Model& model, const Tensor<T>& inputs) {
    const Variable<T> x(inputs, {.requires_grad = true});
    const Variable<T> y = model(x);
    if (y.rank() == 0 || inputs.size(0) < 2 || y.numel() == 0) return;
    if (y.size(0) != inputs.size(0))
        return d.add(
            Severity::warning, "batch_changed", "",
            gradus::detail::text_of({"of ", inputs.size(0), " examples the model makes ", y.size(0),
                                     " outputs: a reshape with a wrong size? flatten(x) keeps the batch"}));
    const Index batch = y.size(0), size = y.numel() / batch;
    bool same = true;
    for (Index i = size; same && i < y.numel(); ++i) same = y.value().data()[i] == y.value().data()[i % size];
    if (same)
        return d.add(Severity::warning, "constant_output", "",
                     "every example gets the same output: the model does not see its input (dead units, "
                     "weights of 0, or "
                     "a value() or a constant in its place)");
    if (!y.requires_grad()) return;
    Tensor<T> first = zeros<T>(y.shape());
    std::fill_n(first.mutable_data(), size, T(1));
    y.backward({.gradient = std::move(first)});
    if (!x.has_grad()) return;
    const Index of_one = inputs.numel() / batch;
    for (Index i = of_one; i < inputs.numel(); ++i)
        if (!(x.grad().data()[i] == T(0)) && std::isfinite(x.grad().data()[i]))
            return d.add(
                Severity::error, "mixed_examples", "",
                gradus::detail::text_of({"the output of example 0 depends on example ", i / of_one,
                                         ": a reshape, transpose or reduction mixes the batch with another "
                                         "axis"}));
}

/// A loss that adds up over the batch: as large as those of its halves together.
[[gnu::cold]] inline void examine_reduction(Diagnosis& d, double all, double first, double second) {
    const double sum = first + second;
    if (!std::isfinite(sum) || std::abs(all) < 1e-12) return;
    if (std::abs(all - sum) < 1e-3 * std::abs(all) && std::abs(all - sum / 2) > 0.25 * std::abs(all))
        d.add(Severity::warning, "loss_grows_with_batch", "",
              "the loss is a sum over the batch: gradients, and so the right learning rate, grow with its "
              "size. Take the "
              "mean (Reduction::mean)");
}

/// What training again and again on one batch says.
[[gnu::cold]] inline void examine_losses(Diagnosis& d, double lr) {
    const std::vector<double>& l = d.losses;
    if (l.size() < 10) return;
    const double start = l.front();
    const double end = (l[l.size() - 1] + l[l.size() - 2] + l[l.size() - 3]) / 3;
    const std::string proposal =
        std::isnan(d.suggested_lr) ? "" : "; on this batch " + digits(d.suggested_lr) + " would do (find_lr)";
    if (!std::isfinite(end) || end > start + 0.5 * std::abs(start))
        d.add(Severity::error, "lr_too_high", "",
              "trained on this one batch again and again, the loss goes from " + digits(start) + " to " +
                  digits(end) + ": the learning rate " + digits(lr) + " is too high" + proposal,
              lr);
    else if (start - end < 0.05 * std::abs(start))
        d.add(Severity::warning, "does_not_overfit", "",
              "trained on this one batch again and again, the loss only goes from " + digits(start) + " to " +
                  digits(end) +
                  ": a model that learns would know it by heart. Too low a learning rate (it is " +
                  digits(lr) + "), or a gradient that does not lead down" + proposal,
              end / start);
}

/// What the first step changed, over what there was.
template <class T>
[[gnu::cold]] void examine_update(Diagnosis& d, const std::vector<NamedParameter<T>>& parameters,
                                  const std::vector<Tensor<T>>& before) {
    std::size_t largest = parameters.size();
    double most = 0;
    bool any = false;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        const Tensor<T>& now = parameters[i].parameter.value();
        double sum = 0;
        for (Index k = 0; k < now.numel(); ++k)
            sum += std::pow(static_cast<double>(now.data()[k]) - static_cast<double>(before[i].data()[k]), 2);
        ParameterHealth& health = d.parameters[i];
        const double change = now.numel() == 0 ? 0 : std::sqrt(sum / static_cast<double>(now.numel()));
        any = any || change != 0;
        if (health.weight == 0) continue;
        health.update = change / health.weight;
        if (now.rank() >= 2 && !(health.update <= most)) most = health.update, largest = i;
    }
    if (!any)
        d.add(Severity::error, "no_update", "",
              "the step changed no parameter: is the learning rate far too small?");
    else if (largest < parameters.size() && most > 0.5)
        d.add(Severity::warning, "large_update", parameters[largest].name,
              "one step changes the weights by " + digits(100 * most) +
                  " % of their size (0.1 % is usual): lower the learning rate",
              most);
    else if (most > 0 && most < 1e-7)
        d.add(Severity::warning, "small_update", parameters[largest].name,
              "one step changes no weights by more than " + digits(100 * most) +
                  " % of their size (0.1 % is usual): raise the learning rate",
              most);
}

template <class T, class Model, class Optimizer, class Batch, class Loss>
class Doctor {
public:
    Doctor(Model& model, Optimizer& optimizer, const Batch& batch, const Loss& loss,
           const DiagnoseOptions& options)
        : model_(model),
          optimizer_(optimizer),
          batch_(batch),
          loss_(loss),
          options_(options),
          parameters_(nn::named_parameters<T>(model)) {}

    Diagnosis examine(bool own_optimizer) && {
        if constexpr (HasInputsAndLabels<Batch>) {
            examine_inputs(d_, batch_.inputs);
            examine_contradictions(d_, batch_.inputs, batch_.labels);
        }
        examine_model(d_, model_, parameters_);
        if (!own_optimizer) examine_optimizer(d_, parameters_, optimizer_);
        if (d_.find("no_grad") || d_.find("empty_batch")) return std::move(d_);
        const gradus::detail::TrainingGuard<Model, Optimizer, T> guard(model_, optimizer_, "diagnose");
        try {
            evaluate();
            if (!d_.find("labels_out_of_range") && !d_.find("labels_ignored")) train();
        } catch (const Error& error) {  // the model, the loss or the optimizer refuse
            d_.add(Severity::error, "refused", "", error.what());
        }
        return std::move(d_);
    }

private:
    /// In evaluation mode: outputs, labels, how the loss adds up.
    void evaluate() {
        if constexpr (HasInputsAndLabels<Batch>) {
            nn::eval(model_);
            const nn::Trace trace(nn::named_layers(model_));
            if constexpr (requires { model_(batch_.inputs).shape(); })
                examine_labels(d_, batch_.labels, model_(batch_.inputs).shape());
            if (d_.has_errors()) return;
            if constexpr (requires(const Variable<T>& x) {
                              requires std::is_same_v<std::remove_cvref_t<decltype(batch_.inputs)>,
                                                      Tensor<T>>;
                              { model_(x) } -> std::convertible_to<Variable<T>>;
                          })
                examine_outputs(d_, model_, batch_.inputs);
            const Index n = batch_.inputs.rank() == 0 ? 0 : batch_.inputs.size(0);
            if constexpr (requires(Batch part) {
                              part.inputs = part.inputs.rows(0, 1);
                              part.labels = part.labels.rows(0, 1);
                          })
                if (n >= 2 && batch_.labels.rank() > 0 && batch_.labels.size(0) == n) {
                    const NoGrad no_grad;
                    const auto part = [&](Index begin, Index end) {
                        Batch rows = batch_;
                        rows.inputs = rows.inputs.rows(begin, end);
                        rows.labels = rows.labels.rows(begin, end);
                        const Variable<T> loss = loss_of(rows);
                        return loss.numel() == 1 ? static_cast<double>(loss.item()) : 0.0;
                    };
                    const Index half = n / 2;
                    try {
                        examine_reduction(d_, part(0, 2 * half), part(0, half), part(half, 2 * half));
                    } catch (const Error&) {  // a loss of this one batch: it cannot be halved
                    }
                }
        }
    }

    Variable<T> loss_of(const Batch& batch) { return forward(model_, loss_, batch).loss; }

    void train() {
        nn::train(model_);
        if (!first_step()) return;
        for (Index i = 1; i < options_.steps; ++i) {
            optimizer_.zero_grad();
            const Variable<T> loss = loss_of(batch_);
            d_.losses.push_back(static_cast<double>(loss.item()));
            if (!std::isfinite(d_.losses.back())) break;
            loss.backward();
            optimizer_.step();
        }
        while (d_.losses.size() < 10 && !std::isfinite(d_.losses.back()))
            d_.losses.push_back(d_.losses.back());
        examine_losses(d_, optimizer_.lr());
    }

    /// False if there is no use in going on.
    bool first_step() {
        for (auto& named : parameters_) named.parameter.zero_grad();
        Index classes = 0;
        {
            ForwardWatch watch(d_, nn::named_layers(model_), parameter_nodes<T>(model_));
            const Variable<T> loss = loss_of(batch_);
            static_cast<void>(loss.value());
            classes = watch.classes();
            if (loss.numel() != 1) {
                d_.add(
                    Severity::error, "loss_not_scalar", "",
                    "the loss has shape " + to_string(loss.shape()) + " and must be one number: mean(loss)");
                return false;
            }
            d_.losses.push_back(static_cast<double>(loss.item()));
            if (loss.requires_grad() && !watch.found()) loss.backward();
            if (watch.found()) {
                const AnomalyFound& found = *watch.found();
                d_.add(Severity::error, found.backward ? "not_finite_backward" : "not_finite_forward",
                       found.path, found.text, static_cast<double>(found.nan + found.infinite));
                return false;
            }
        }
        examine_gradients(d_, parameters_);
        if (d_.find("all_frozen") || d_.find("loss_without_model")) return false;
        const double expected = std::log(static_cast<double>(classes));
        if (classes > 1 && d_.losses[0] > 4 * expected + 2)
            d_.add(Severity::warning, "large_first_loss", "",
                   "the first loss is " + digits(d_.losses[0]) +
                       ", where a model that knows nothing would have " + digits(expected) +
                       ": its outputs are too large (inputs that are not normalized, or weights)",
                   d_.losses[0]);
        propose_lr();
        std::vector<Tensor<T>> before;
        for (const auto& named : parameters_) before.push_back(named.parameter.value());
        optimizer_.step();
        examine_update(d_, parameters_, before);
        return true;
    }

    void propose_lr() {
        if (!options_.find_lr || d_.has_errors()) return;
        const std::vector<const Batch*> batches{&batch_};
        const LrCurve curve =
            gradus::find_lr(model_, optimizer_, batches, [&](const Batch* batch) { return loss_of(*batch); },
                            {.start = 1e-6, .steps = 40});
        d_.suggested_lr = curve.valley;
    }

    Model& model_;
    Optimizer& optimizer_;
    const Batch& batch_;
    const Loss& loss_;
    const DiagnoseOptions& options_;
    std::vector<NamedParameter<T>> parameters_;
    Diagnosis d_;
};

}  // namespace detail

/// Looks for what makes training fail without a word. It trains on one batch again and again and reports what is wrong
/// with the numbers in the batch, the labels, the operations of the first forward and backward pass, the gradients, the
/// first update, the loss and the learning rate; docs/diagnosing.md lists all findings. Nothing is printed. Afterwards
/// model, optimizer, gradients and the default generator are as they were, bit for bit.
///
///     const auto diagnosis = training::diagnose(net, sgd, batch, [](const auto& logits, const auto& labels) {
///         return cross_entropy(logits, labels);
///     });
///     std::puts(to_string(diagnosis).c_str());
///
/// `batch` is data::Batch or what the loss takes; the loss is asked as loss(model(batch.inputs), batch.labels), or as
/// loss(model, batch). The model must be copyable. What model or loss refuse is a finding, not an exception.
template <class Model, class Optimizer, class Batch, class Loss>
requires requires(Optimizer& optimizer) { optimizer.step(); }
Diagnosis diagnose(Model& model, Optimizer& optimizer, const Batch& batch, const Loss& loss,
                   const DiagnoseOptions& options = {}) {
    using T = typename std::remove_cvref_t<decltype(optimizer.parameters())>::value_type::value_type;
    return detail::Doctor<T, Model, Optimizer, Batch, Loss>(model, optimizer, batch, loss, options)
        .examine(false);
}

/// The same without an optimizer: Adam trains, with options.lr.
template <class T = float, class Model, class Batch, class Loss>
requires(!requires(Batch & optimizer) { optimizer.step(); }) Diagnosis
    diagnose(Model& model, const Batch& batch, const Loss& loss, const DiagnoseOptions& options = {}) {
    optim::Adam<T> adam(nn::named_parameters<T>(model), {.lr = options.lr});
    return detail::Doctor<T, Model, optim::Adam<T>, Batch, Loss>(model, adam, batch, loss, options)
        .examine(true);
}

}  // namespace gradus::training
