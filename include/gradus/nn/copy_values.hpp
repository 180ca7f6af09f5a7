// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/nn/model.hpp"

namespace gradus::nn {
namespace detail {

struct NamedValue {
    std::string name;
    Tensor<double> value;  // holds every float
};

template <class Part>
inline constexpr bool is_stored = is_parameter<Part> || is_buffer<Part>;

[[noreturn, gnu::cold]] inline void refuse_names(const std::string& from, const std::string& to) {
    gradus::detail::raise<ValueError>(
        {"copy_values: the models must have the same parameters and buffers: got ",
         from.empty() ? "nothing" : from, " and ", to.empty() ? "nothing" : to});
}

}  // namespace detail

/// Gives every parameter and buffer of `to` the value of the one of the same name in `from`, as its own
/// number type: so a model is cast. Which parameters are frozen, gradients and training flags stay. Throws
/// ValueError unless both have the same names in the same order, ShapeError unless the shapes are equal; then
/// nothing is changed.
///
///     Net<double> exact;
///     nn::copy_values(net, exact);  // net.double() in PyTorch
template <class From, class To>
void copy_values(const From& from, To& to) {
    GRADUS_CHECK_MODEL(From);
    GRADUS_CHECK_MODEL(To);
    std::vector<detail::NamedValue> values;
    detail::walk_model(const_cast<From&>(from), [&](const std::string& path, auto& part) {
        if constexpr (detail::is_stored<std::remove_cvref_t<decltype(part)>>)
            values.push_back({path, cast<double>(part.value())});
    });
    for (const bool write : {false, true}) {  // first see whether everything fits
        std::size_t at = 0;
        detail::walk_model(to, [&](const std::string& path, auto& part) {
            using Part = std::remove_cvref_t<decltype(part)>;
            if constexpr (detail::is_stored<Part>) {
                if (at == values.size() || values[at].name != path)
                    detail::refuse_names(at == values.size() ? "" : values[at].name, path);
                const Tensor<double>& value = values[at++].value;
                if (value.shape() != part.shape())
                    gradus::detail::raise<ShapeError>("copy_values", path + " has another shape",
                                                      value.shape(), part.shape());
                if (write) part.set_value(cast<typename Part::value_type>(value));
            }
        });
        if (at < values.size()) detail::refuse_names(values[at].name, "");
    }
}

}  // namespace gradus::nn
