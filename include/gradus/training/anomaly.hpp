// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gradus/nn/summary.hpp"
#include "gradus/nn/watch.hpp"

namespace gradus::training {

/// The first number that is not finite: what training::Anomaly throws.
class AnomalyError : public Error {
public:
    using Error::Error;
};

struct AnomalyOptions {
    bool infinity = true;  // also infinite numbers (not those that were given: a mask of −inf, say)
    bool throws = true;    // AnomalyError; else the first is only kept in found()
};

/// Where the first NaN or infinite number appeared.
struct AnomalyFound {
    std::string path;  // of the layer: "conv1", "after conv1" between layers; of the parameter: "fc1.weight"
    std::string operation;  // "linear"; "parameter" if that was broken before
    bool backward = false;  // in the rule of the operation, else in its result
    Shape shape;
    Index nan = 0, infinite = 0;  // how many numbers
    std::string text;             // all that in a sentence
};

namespace detail {

struct NonFinite {
    Index nan = 0, infinite = 0;
    bool any() const { return nan + infinite > 0; }
};

template <class T>
NonFinite count_non_finite(const T* x, Index n) {
    NonFinite count;
    for (Index i = 0; i < n; ++i)
        if (!std::isfinite(x[i])) ++(std::isnan(x[i]) ? count.nan : count.infinite);
    return count;
}
inline NonFinite count_non_finite(const gradus::detail::SeenValue& x) {
    if (!x.numbers) return {};
    if (x.is_float) return count_non_finite(static_cast<const float*>(x.numbers), x.shape.numel());
    if (x.is_double) return count_non_finite(static_cast<const double*>(x.numbers), x.shape.numel());
    return {};
}

/// Watches for the first number that is not finite.
class AnomalyWatch : public nn::detail::Watch {
public:
    /// The first one; where each is an exception, the last one.
    const std::optional<AnomalyFound>& found() const { return found_; }

protected:
    ~AnomalyWatch() = default;
    AnomalyWatch(std::vector<nn::NamedLayer> layers,
                 std::vector<std::pair<const void*, std::string>> parameters, const AnomalyOptions& options)
        : Watch(std::move(layers)), parameters_(std::move(parameters)), options_(options) {}

    /// What is known of the value of a node that an operation made.
    struct Known {
        std::string place;
        const char* operation;
        NonFinite here, given;  // in the value, and in the inputs that it came from
    };

    void on_result(const char* operation, const gradus::detail::SeenValue& result,
                   const std::vector<gradus::detail::SeenValue>& inputs, bool is_deferred) override {
        if (is_over()) return;
        Known known{place(), operation, {}, {}};
        for (const auto& input : inputs) {
            const NonFinite count = of_input(input);
            known.given.nan += count.nan, known.given.infinite += count.infinite;
            if (count.any() && !find(input)) check_given(known, input, count);
        }
        Known& kept = values_.insert_or_assign(result.node, std::move(known)).first->second;
        if (!is_deferred) check(kept, result);
    }

    void on_computed(const gradus::detail::SeenValue& result) override {
        if (is_over()) return;
        if (const auto at = values_.find(result.node); at != values_.end()) check(at->second, result);
    }

    void on_gradient(const char* operation, const void* of, const gradus::detail::SeenValue& input,
                     const gradus::detail::SeenValue& gradient) override {
        if (is_over()) return;
        const NonFinite count = count_non_finite(gradient);
        if (!is_anomaly(count)) return;
        const auto at = values_.find(of);
        const std::string* const parameter = name_of(input.node);
        const Known* const source = find(input);
        AnomalyFound found{at == values_.end() ? "" : at->second.place,
                           operation,
                           true,
                           gradient.shape,
                           count.nan,
                           count.infinite,
                           ""};
        found.text = gradus::detail::text_of(
            {"anomaly: backward: ", found.path, found.path.empty() ? "" : ": ", operation,
             " gave a gradient that is not finite for ",
             parameter ? *parameter
             : source  ? "the result of "
                       : "its input",
             source && !parameter ? source->operation : "", ", ", counts(count, gradient.shape)});
        report(std::move(found));
    }

    const std::string* name_of(const void* node) const {
        for (const auto& [known, name] : parameters_)
            if (known == node) return &name;
        return nullptr;
    }

private:
    /// One finding is enough, unless each is an exception.
    bool is_over() const { return found_ && !options_.throws; }

    /// What was found out about an input when it was made; addresses of leaves may have been those of results.
    const Known* find(const gradus::detail::SeenValue& input) const {
        if (!input.is_result && (input.numbers || name_of(input.node))) return nullptr;
        const auto at = values_.find(input.node);
        return at == values_.end() ? nullptr : &at->second;
    }
    NonFinite of_input(const gradus::detail::SeenValue& input) const {
        if (const Known* const known = find(input)) return known->here;
        return count_non_finite(input);
    }

    bool is_anomaly(const NonFinite& count) const {
        return count.nan > 0 || (options_.infinity && count.infinite > 0);
    }

    /// An input that no operation made. Infinite numbers in data are meant: a mask, say.
    void check_given(const Known& known, const gradus::detail::SeenValue& input, const NonFinite& count) {
        const std::string* const parameter = name_of(input.node);
        if (is_over() || !(parameter ? is_anomaly(count) : count.nan > 0)) return;
        AnomalyFound found{parameter ? *parameter : known.place,
                           parameter ? "parameter" : known.operation,
                           false,
                           input.shape,
                           count.nan,
                           count.infinite,
                           ""};
        if (parameter)
            found.text = gradus::detail::text_of({"anomaly: forward: the parameter ", *parameter,
                                                  " is not finite, ", counts(count, input.shape)});
        else
            found.text = gradus::detail::text_of(
                {"anomaly: forward: ", known.place, known.place.empty() ? "" : ": ", known.operation,
                 " was given data that is not finite, ", counts(count, input.shape)});
        report(std::move(found));
    }

    void check(Known& known, const gradus::detail::SeenValue& result) {
        known.here = count_non_finite(result);
        const NonFinite& here = known.here;
        if (is_over() || !here.any()) return;
        // What came in goes out again; masking puts in what it is told to.
        const std::string_view operation = known.operation;
        const bool is_meant = known.given.any() || operation == "masked_fill" || operation == "where";
        if (!(here.nan > 0 && known.given.nan == 0) && !(options_.infinity && here.infinite > 0 && !is_meant))
            return;
        AnomalyFound found{known.place, known.operation, false, result.shape, here.nan, here.infinite, ""};
        found.text = gradus::detail::text_of(
            {"anomaly: forward: ", known.place, known.place.empty() ? "" : ": ", operation,
             " gave a result that is not finite, ", counts(here, result.shape),
             known.given.any() ? ", from infinite inputs" : ""});
        report(std::move(found));
    }

    void report(AnomalyFound found) {
        found_ = std::move(found);
        if (options_.throws) throw AnomalyError(found_->text);
    }

    static std::string counts(const NonFinite& count, const Shape& shape) {
        return gradus::detail::text_of({count.nan, " NaN and ", count.infinite, " infinite of ",
                                        shape.numel(), " numbers ", to_string(shape)});
    }

    std::vector<std::pair<const void*, std::string>> parameters_;
    AnomalyOptions options_;
    std::unordered_map<const void*, Known> values_;  // by node
    std::optional<AnomalyFound> found_;
};

template <class T, class Model>
std::vector<std::pair<const void*, std::string>> parameter_nodes(const Model& model) {
    std::vector<std::pair<const void*, std::string>> nodes;
    for (const auto& [name, parameter] : nn::named_parameters<T>(const_cast<Model&>(model)))
        nodes.emplace_back(&parameter.node(), name);
    return nodes;
}

}  // namespace detail

/// While it lives, every result and every gradient of this thread is looked at, and the first NaN or infinite number
/// throws AnomalyError, which names the operation, the layer and the direction. For a model of doubles write
/// training::Anomaly::of<double>(net). Reading every number costs time: for the search, not for good. Without one, an
/// operation asks a single question.
///
///     training::Anomaly anomaly(net);
///     cross_entropy(net(images), labels).backward();
///     // anomaly: forward: fc2: linear gave a result that is not finite, 3 NaN and 0 infinite of 320 numbers [32, 10]
///
/// A number is reported where it appears first: a layer that was given NaN is not to blame. The model must stay where it
/// is meanwhile.
class Anomaly final : public detail::AnomalyWatch {
public:
    template <class Model>
    [[nodiscard]] explicit Anomaly(const Model& model, const AnomalyOptions& options = {})
        : Anomaly(nn::named_layers(model), detail::parameter_nodes<float>(model), options) {}

    template <class T, class Model>
    [[nodiscard]] static Anomaly of(const Model& model, const AnomalyOptions& options = {}) {
        return Anomaly(nn::named_layers(model), detail::parameter_nodes<T>(model), options);
    }

private:
    Anomaly(std::vector<nn::NamedLayer> layers, std::vector<std::pair<const void*, std::string>> parameters,
            const AnomalyOptions& options)
        : AnomalyWatch(std::move(layers), std::move(parameters), options) {}
};

}  // namespace gradus::training
