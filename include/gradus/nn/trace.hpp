// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "gradus/autograd/variable.hpp"

namespace gradus::nn {

/// What one layer gave during a traced forward pass.
struct TraceEntry {
    const void* layer;
    const char* type;
    Shape output;
};

namespace detail {

/// Who is told of a layer's output. A function pointer, so that only programs that listen compile the list.
struct TraceListener {
    void (*note)(TraceListener& listener, const TraceEntry& entry);
};

inline TraceListener*& active_trace() {
    static thread_local TraceListener* trace = nullptr;
    return trace;
}

}  // namespace detail

/// Notes the output of a layer if somebody is listening on this thread, and passes it on. Layers return
/// through it.
template <class Layer, class T>
Variable<T> traced(const Layer* layer, Variable<T> output) {
    if (auto* trace = detail::active_trace()) [[unlikely]]
        trace->note(*trace, {layer, Layer::type, output.shape()});
    return output;
}

/// Listens while it lives.
class Trace : detail::TraceListener {
public:
    [[nodiscard]] Trace() : TraceListener{&append}, before_(detail::active_trace()) {
        detail::active_trace() = this;
    }
    ~Trace() { detail::active_trace() = before_; }
    Trace(const Trace&) = delete;
    Trace& operator=(const Trace&) = delete;

    const std::vector<TraceEntry>& entries() const { return entries_; }

private:
    static void append(TraceListener& listener, const TraceEntry& entry) {
        static_cast<Trace&>(listener).entries_.push_back(entry);
    }

    std::vector<TraceEntry> entries_;
    TraceListener* before_;
};

}  // namespace gradus::nn
