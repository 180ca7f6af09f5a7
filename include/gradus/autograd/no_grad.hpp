// SPDX-License-Identifier: MIT
#pragma once

namespace gradus {
namespace detail {

inline bool& grad_enabled_flag() {
    static thread_local bool enabled = true;
    return enabled;
}

}  // namespace detail

/// True unless a NoGrad lives on this thread.
inline bool is_grad_enabled() { return detail::grad_enabled_flag(); }

/// While one lives, operations on this thread record no history: results need no memory beyond their value.
///
///     { gradus::NoGrad guard;  accuracy = score(net(images), labels); }
class [[nodiscard]] NoGrad {
public:
    [[nodiscard]] NoGrad() : before_(detail::grad_enabled_flag()) { detail::grad_enabled_flag() = false; }
    ~NoGrad() { detail::grad_enabled_flag() = before_; }
    NoGrad(const NoGrad&) = delete;
    NoGrad& operator=(const NoGrad&) = delete;

private:
    bool before_;
};

}  // namespace gradus
