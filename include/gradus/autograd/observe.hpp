// SPDX-License-Identifier: MIT
#pragma once

#include <initializer_list>
#include <type_traits>
#include <vector>

#include "gradus/autograd/no_grad.hpp"
#include "gradus/core/tensor.hpp"

// Who wants to see every operation of a thread and every gradient, whatever their number type: nn::check, nn::summary
// and training::Anomaly. An operation asks once whether there is somebody (record()), a walk once at its begin.

namespace gradus::detail {

/// A value as an observer sees it. Valid during the call.
struct SeenValue {
    const void* node;  // who it is
    Shape shape;
    const void* numbers;  // null where nobody has computed them yet, or nobody needs them any more
    bool is_double, is_float;
    bool is_result;  // of an operation that recorded history
};

template <class Node, class T>
SeenValue seen_value(const Node& node, const Tensor<T>& value) {
    return {&node,         value.shape(), value.data(), std::is_same_v<T, double>, std::is_same_v<T, float>,
            node.is_result};
}

/// What is called on the thread where it is active.
struct TapeObserver {
    /// An operation made a result of these inputs (those that a gradient could go to). `is_deferred`: its numbers
    /// follow in on_computed, if anybody reads them; else they are there.
    virtual void on_result(const char* operation, const SeenValue& result,
                           const std::vector<SeenValue>& inputs, bool is_deferred) = 0;
    virtual void on_computed(const SeenValue& result) = 0;
    /// The rule of an operation gave this gradient of one of its inputs.
    virtual void on_gradient(const char* operation, const void* result, const SeenValue& input,
                             const SeenValue& gradient) = 0;

protected:
    ~TapeObserver() = default;
};

inline TapeObserver*& tape_observer() {
    static thread_local TapeObserver* observer = nullptr;
    return observer;
}

/// The inputs of a part of a node, as record() has them: a variable or several.
template <class Inputs>
void see_inputs(const Inputs& inputs, std::vector<SeenValue>& seen) {
    if constexpr (requires { inputs.node(); }) {
        if (!inputs.defined()) return;
        seen.push_back(seen_value(inputs.node(), inputs.node().value));
        if (inputs.node().deferred.load(std::memory_order_acquire)) seen.back().numbers = nullptr;
    } else {
        for (const auto& input : inputs) see_inputs(input, seen);
    }
}

struct InputsOfPart {
    const void* inputs;
    void (*see)(const void* inputs, std::vector<SeenValue>& seen);

    template <class Inputs>
    static InputsOfPart of(const Inputs& inputs) {
        return {&inputs, [](const void* all, std::vector<SeenValue>& seen) {
                    see_inputs(*static_cast<const Inputs*>(all), seen);
                }};
    }
};

template <class Node>
[[gnu::cold, gnu::noinline]] void report_result(const char* operation, const Node& result, bool is_deferred,
                                                std::initializer_list<InputsOfPart> parts) {
    std::vector<SeenValue> inputs;
    for (const InputsOfPart& part : parts) part.see(part.inputs, inputs);
    SeenValue seen = seen_value(result, result.value);
    if (is_deferred) seen.numbers = nullptr;
    tape_observer()->on_result(operation, seen, inputs, is_deferred);
}

template <class Node>
[[gnu::cold, gnu::noinline]] void report_computed(const Node& result) {
    tape_observer()->on_computed(seen_value(result, result.value));
}

template <class Node, class T>
[[gnu::cold, gnu::noinline]] void report_gradient(TapeObserver& observer, const Node& of, const Node& input,
                                                  const Tensor<T>& gradient) {
    observer.on_gradient(of.name, &of, seen_value(input, input.value), seen_value(input, gradient));
}

/// Makes an observer the active one of this thread while it lives.
class Observing {
public:
    [[nodiscard]] explicit Observing(TapeObserver& observer)
        : before_(tape_observer()), flag_(TapeFlags::observed, true) {
        tape_observer() = &observer;
    }
    ~Observing() { tape_observer() = before_; }
    Observing(const Observing&) = delete;
    Observing& operator=(const Observing&) = delete;

private:
    TapeObserver* before_;
    TapeFlagGuard flag_;
};

}  // namespace gradus::detail
