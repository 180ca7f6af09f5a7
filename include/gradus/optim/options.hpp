// SPDX-License-Identifier: MIT
#pragma once

#include <limits>

#include "gradus/core/error.hpp"

// How the options of optimizers are checked.

namespace gradus::optim {

/// Throws ValueError unless 0 <= value, and finite as a float, in which the optimizer may compute.
[[gnu::cold]] inline void check_setting(const char* optimizer, const char* setting, double value) {
    if (value >= 0 && value <= static_cast<double>(std::numeric_limits<float>::max())) return;
    gradus::detail::refuse<ValueError>({optimizer, ": ", setting, " must be finite and not negative: got ",
                                        gradus::detail::number_text(value)});
}

/// Throws ValueError unless 0 <= value < 1, as the decay of a moving average must be.
[[gnu::cold]] inline void check_fraction(const char* optimizer, const char* setting, double value) {
    if (value >= 0 && value < 1) return;
    gradus::detail::refuse<ValueError>({optimizer, ": ", setting, " must be at least 0 and below 1: got ",
                                        gradus::detail::number_text(value)});
}

/// The learning rate of a group: lr, times lr_scale if there is such an option.
template <class OptionsOfIt>
double scaled_lr(const OptionsOfIt& o) {
    if constexpr (requires { o.lr_scale; })
        return o.lr * o.lr_scale;
    else
        return o.lr;
}

/// Checks the options that most optimizers have: lr, and as far as they are there weight_decay, l1, lr_scale.
template <class OptionsOfIt>
[[gnu::cold]] void check_common_settings(const char* optimizer, const OptionsOfIt& o) {
    check_setting(optimizer, "lr", o.lr);
    if constexpr (requires { o.weight_decay; }) check_setting(optimizer, "weight_decay", o.weight_decay);
    if constexpr (requires { o.l1; }) check_setting(optimizer, "l1", o.l1);
    if constexpr (requires { o.lr_scale; }) {
        check_setting(optimizer, "lr_scale", o.lr_scale);
        check_setting(optimizer, "lr · lr_scale", scaled_lr(o));
    }
}

}  // namespace gradus::optim
