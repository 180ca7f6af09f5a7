// SPDX-License-Identifier: MIT
#pragma once

namespace gradus {
namespace detail {

/// What an operation has to mind on this thread; 0 most of the time, so that it asks a single question.
struct TapeFlags {
    static constexpr unsigned char no_grad = 1;   // a NoGrad lives
    static constexpr unsigned char observed = 2;  // somebody wants to see results: autograd/observe.hpp
};

inline unsigned char& tape_flags() {
    static thread_local unsigned char flags = 0;
    return flags;
}

/// Sets or clears a flag while it lives. It leaves the other flag alone, so the guards of the two may end in any order.
class TapeFlagGuard {
public:
    [[nodiscard]] TapeFlagGuard(unsigned char flag, bool on)
        : flag_(flag), before_(static_cast<unsigned char>(tape_flags() & flag)) {
        tape_flags() = static_cast<unsigned char>(on ? tape_flags() | flag : tape_flags() & ~flag);
    }
    ~TapeFlagGuard() { tape_flags() = static_cast<unsigned char>((tape_flags() & ~flag_) | before_); }
    TapeFlagGuard(const TapeFlagGuard&) = delete;
    TapeFlagGuard& operator=(const TapeFlagGuard&) = delete;

private:
    unsigned char flag_, before_;
};

}  // namespace detail

/// True unless a NoGrad lives on this thread.
inline bool is_grad_enabled() { return (detail::tape_flags() & detail::TapeFlags::no_grad) == 0; }

/// While one lives, operations on this thread record no history: results need no memory beyond their value.
///
///     { gradus::NoGrad guard;  accuracy = score(net(images), labels); }
class [[nodiscard]] NoGrad {
public:
    [[nodiscard]] NoGrad() : flag_(detail::TapeFlags::no_grad, true) {}

private:
    detail::TapeFlagGuard flag_;
};

}  // namespace gradus
