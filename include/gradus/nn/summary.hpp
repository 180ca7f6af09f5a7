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

/// A table of the layers that a forward pass on zeros of shape `input` calls, in that order: path, type,
/// output shape and parameters. The pass runs on a copy, as after nn::eval: it draws no random numbers,
/// changes no running statistics and takes a batch of one. Whatever the model throws for that shape comes out
/// of here.
///
///     layer  type      output  parameters
///     fc1    Linear  [1, 100]      78,500
///     total                        78,500
template <class T = float, class Model>
std::string summary(const Model& model, const Shape& input) {
    Model copy(model);  // shares the memory of the weights
    eval(copy);
    const NoGrad guard;
    const Trace trace;
    static_cast<void>(std::as_const(copy)(Variable<T>(gradus::zeros<T>(input))));

    struct Layer {
        const void* address;
        std::string_view type;
        std::string path;
        Index parameters;
    };
    std::vector<Layer> layers;
    detail::walk_model(copy, [&](const std::string& path, auto& part) {
        using Part = std::remove_cvref_t<decltype(part)>;
        if constexpr (requires { Part::type; })
            layers.push_back({&part, Part::type, path, parameter_count<T>(part)});
    });
    std::vector<std::vector<std::string>> rows{{"layer", "type", "output", "parameters"}};
    for (const TraceEntry& entry : trace.entries()) {
        const auto found = std::find_if(layers.begin(), layers.end(), [&](const Layer& layer) {
            return layer.address == entry.layer && layer.type == entry.type;
        });
        const bool known = found != layers.end();
        rows.push_back({!known                ? "?"
                        : found->path.empty() ? "(model)"
                                              : found->path,
                        entry.type, to_string(entry.output),
                        detail::with_thousands(known ? found->parameters : 0)});
    }
    rows.push_back({"total", "", "", detail::with_thousands(parameter_count<T>(model))});
    return detail::table(rows);
}

}  // namespace gradus::nn
