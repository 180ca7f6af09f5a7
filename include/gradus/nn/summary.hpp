// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gradus/autograd/no_grad.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/nn/trace.hpp"

namespace gradus::nn {
namespace detail {

/// Rows of equal length as a table: first two columns left-aligned, the others right-aligned.
inline std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> width(rows[0].size(), 0);
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], row[i].size());
    std::string text;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string space(width[i] - row[i].size(), ' ');
            if (i > 0) line += "  ";
            line += i < 2 ? row[i] + space : space + row[i];
        }
        text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return text;
}

/// 269322 as "269,322".
inline std::string with_thousands(Index number) {
    std::string text = std::to_string(number);
    for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, 1, ',');
    return text;
}

}  // namespace detail

/// Every layer of a model (what has a `type`) with its path, in order of declaration: what a Trace takes.
/// They are known by their addresses: the model must stay where it is.
template <class Model>
std::vector<NamedLayer> named_layers(const Model& model) {
    GRADUS_CHECK_MODEL(Model);
    std::vector<NamedLayer> layers;
    detail::walk_model(const_cast<Model&>(model), [&](const std::string& path, auto& part) {
        using Part = std::remove_cvref_t<decltype(part)>;
        if constexpr (requires { Part::type; }) layers.push_back({&part, Part::type, path});
    });
    return layers;
}

namespace detail {

/// Puts a model into evaluation mode while it lives; then every layer is as it was.
class Evaluating {
public:
    template <class Model>
    [[nodiscard]] explicit Evaluating(Model& model) {
        walk_model(model, [&](const std::string&, auto& part) {
            if constexpr (HasTrainingFlag<std::remove_cvref_t<decltype(part)>>) {
                flags_.emplace_back(&part.training, part.training);
                part.training = false;
            }
        });
    }
    Evaluating(const Evaluating&) = delete;
    Evaluating& operator=(const Evaluating&) = delete;
    ~Evaluating() {
        for (const auto& [flag, before] : flags_) *flag = before;
    }

private:
    std::vector<std::pair<bool*, bool>> flags_;
};

}  // namespace detail

/// A table of the layers that a forward pass on zeros of shape `input` calls, in that order: path, type,
/// output shape and parameters. The pass runs as after nn::eval: it draws no random numbers, changes no
/// running statistics and takes a batch of one; then the model is as it was. A const model is copied for it.
/// What the model throws for that shape comes out of here, with the path of the layer in front.
///
///     layer  type      output  parameters
///     fc1    Linear  [1, 100]      78,500
///     total                        78,500
template <class T = float, class Model>
requires(!std::is_const_v<Model>) std::string summary(Model& model, const Shape& input) {
    GRADUS_CHECK_MODEL(Model);
    const detail::Evaluating mode(model);
    const NoGrad guard;
    const Trace trace(named_layers(model));
    static_cast<void>(std::as_const(model)(Variable<T>(gradus::zeros<T>(input))));

    const auto named = named_parameters<T>(model);
    const auto count = [&](const std::string& path) {  // of the parameters at the path and below
        Index sum = 0;
        for (const auto& [name, parameter] : named)
            if (path.empty() || (name.starts_with(path) && name[path.size()] == '.'))
                sum += parameter.numel();
        return detail::with_thousands(sum);
    };
    std::vector<std::vector<std::string>> rows{{"layer", "type", "output", "parameters"}};
    for (const TraceEntry& entry : trace.entries()) {
        const std::string* const path = trace.name_of(entry.layer, entry.type);
        rows.push_back({!path           ? "?"
                        : path->empty() ? "(model)"
                                        : *path,
                        entry.type, to_string(entry.output), path ? count(*path) : "0"});
    }
    rows.push_back({"total", "", "", count("")});
    return detail::table(rows);
}

template <class T = float, class Model>
std::string summary(const Model& model, const Shape& input) {
    GRADUS_CHECK_MODEL(Model);
    static_assert(
        std::is_copy_constructible_v<Model>,
        "nn::summary runs a const model as a copy, and this one cannot be copied: pass it as it is");
    Model copy(model);  // shares the memory of the weights
    return summary<T>(copy, input);
}

}  // namespace gradus::nn
