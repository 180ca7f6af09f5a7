// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "gradus/nn/check.hpp"

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

namespace detail {

/// 1100000 as "1.1 MB".
inline std::string with_bytes(Index bytes) {
    char text[32];
    double size = static_cast<double>(bytes);
    const char* unit = "B";
    for (const char* const larger : {"kB", "MB", "GB", "TB"})
        if (size >= 1000) size /= 1000, unit = larger;
    std::snprintf(text, sizeof text, "%.3g %s", size, unit);
    return text;
}

}  // namespace detail

/// What check() found as a table: the layers in the order of their calls with path, type, output shape, parameters and
/// multiply-adds, then the memory for it: a training step needs parameters and gradients (and what the optimizer keeps)
/// and the results of all operations, inference the parameters and the largest operation.
[[gnu::cold]] inline std::string to_string(const ModelShapes& shapes) {
    std::vector<std::vector<std::string>> rows{{"layer", "type", "output", "parameters", "multiply-adds"}};
    for (const LayerShape& layer : shapes.layers)
        rows.push_back({layer.path, layer.type, to_string(layer.output),
                        detail::with_thousands(layer.parameters),
                        detail::with_thousands(layer.multiply_adds)});
    rows.push_back({"total", "", "", detail::with_thousands(shapes.parameters),
                    detail::with_thousands(shapes.multiply_adds)});
    return gradus::detail::text_of(
        {detail::table(rows), "memory: inference ",
         detail::with_bytes(shapes.parameter_bytes + shapes.forward_bytes), ", training ",
         detail::with_bytes(2 * shapes.parameter_bytes + shapes.activation_bytes), "\n"});
}

/// A table of what check(model, input) finds: see there for how the model is run and what is thrown.
///
///     layer  type      output  parameters  multiply-adds
///     fc1    Linear  [1, 100]      78,500         78,400
///     total                        78,500         78,400
///     memory: inference 632 kB, training 628 kB
template <class T = float, class Model>
requires(!std::is_const_v<Model>) std::string summary(Model& model, const Shape& input) {
    GRADUS_CHECK_MODEL(Model);
    return to_string(check<T>(model, input));
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
