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

inline std::vector<TraceEntry>*& active_trace() {
    static thread_local std::vector<TraceEntry>* trace = nullptr;
    return trace;
}

}  // namespace detail

/// Notes the output of a layer if somebody is listening on this thread, and passes it on. Layers return
/// through it.
template <class Layer, class T>
Variable<T> traced(const Layer* layer, Variable<T> output) {
    if (auto* trace = detail::active_trace()) [[unlikely]]
        trace->push_back({layer, Layer::type, output.shape()});
    return output;
}

/// Listens while it lives.
class Trace {
public:
    Trace() : before_(detail::active_trace()) { detail::active_trace() = &entries_; }
    ~Trace() { detail::active_trace() = before_; }
    Trace(const Trace&) = delete;
    Trace& operator=(const Trace&) = delete;

    const std::vector<TraceEntry>& entries() const { return entries_; }

private:
    std::vector<TraceEntry> entries_;
    std::vector<TraceEntry>* before_;
};

}  // namespace gradus::nn
