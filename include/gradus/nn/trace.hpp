// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/variable.hpp"

namespace gradus::nn {

/// What one layer gave during a traced forward pass.
struct TraceEntry {
    const void* layer;
    const char* type;
    Shape output;
};

/// A layer and where it is in its model: what nn::named_layers gives.
struct NamedLayer {
    const void* layer;
    const char* type;
    std::string name;  // path of fields: "conv1", "blocks.2.fc"; empty for the model itself
};

namespace detail {

/// Observer of layers: of calls, outputs and errors. Function pointers, so that only programs that observe compile the
/// list.
struct TraceObserver {
    void (*on_call)(TraceObserver& observer, const void* layer, const char* type);
    void (*on_output)(TraceObserver& observer, const TraceEntry& entry);
    void (*on_error)(TraceObserver& observer, const void* layer, const char* type);  // while it is handled
};

inline TraceObserver*& active_trace() {
    static thread_local TraceObserver* trace = nullptr;
    return trace;
}

[[gnu::cold, gnu::noinline]] inline void report_call(const void* layer, const char* type) {
    TraceObserver* const trace = active_trace();
    trace->on_call(*trace, layer, type);
}

[[gnu::cold, gnu::noinline]] inline void report_output(const void* layer, const char* type,
                                                       const Shape& output) {
    TraceObserver* const trace = active_trace();
    trace->on_output(*trace, {layer, type, output});
}

[[gnu::cold, gnu::noinline]] inline void report_error(const void* layer, const char* type) {
    if (TraceObserver* const trace = active_trace()) trace->on_error(*trace, layer, type);
}

}  // namespace detail

/// Reports the output of a layer to the observer of this thread, if there is one, and passes it on.
template <class Layer, class T>
Variable<T> traced(const Layer* layer, Variable<T> output) {
    if (detail::active_trace()) [[unlikely]]
        detail::report_output(layer, Layer::type, output.shape());
    return output;
}

/// The same for the output that compute() gives; an error in it is reported as well. Layers return through
/// this one.
///
///     return traced(this, [&] { return linear(x, weight, bias); });
template <class Layer, class Compute>
requires std::is_invocable_v<Compute&>
auto traced(const Layer* layer, Compute&& compute) {
    if (detail::active_trace()) [[unlikely]]
        detail::report_call(layer, Layer::type);
    try {
        return traced(layer, compute());
    } catch (const Error&) {
        detail::report_error(layer, Layer::type);
        throw;
    }
}

/// Observes the layers that run on this thread while it lives. With the layers of a model,
/// nn::Trace(nn::named_layers(net)), an error in one of them begins with its path: "fc7: linear: needs x
/// [..., in] ...".
class Trace : detail::TraceObserver {
public:
    [[nodiscard]] explicit Trace(std::vector<NamedLayer> layers = {})
        : TraceObserver{&pass, &append, &add_path},
          layers_(std::move(layers)),
          before_(detail::active_trace()) {
        detail::active_trace() = this;
    }
    ~Trace() { detail::active_trace() = before_; }
    Trace(const Trace&) = delete;
    Trace& operator=(const Trace&) = delete;

    const std::vector<TraceEntry>& entries() const { return entries_; }

    /// The layer's path in the model; null if it is not one of those that were given.
    const std::string* name_of(const void* layer, std::string_view type) const {
        for (const NamedLayer& known : layers_)
            if (known.layer == layer && known.type == type) return &known.name;
        return nullptr;
    }

private:
    static void pass(TraceObserver&, const void*, const char*) {}
    static void append(TraceObserver& observer, const TraceEntry& entry) {
        static_cast<Trace&>(observer).entries_.push_back(entry);
    }

    /// Throws the error that is being handled again, with the path of the layer in front, once: on its way
    /// through the layers around that one it stays as it is.
    static void add_path(TraceObserver& observer, const void* layer, const char* type) {
        auto& trace = static_cast<Trace&>(observer);
        const std::string* const name = trace.name_of(layer, type);
        if (!name || name->empty()) return;
        const auto throw_named = [&]<class E>(const E& error) {
            if (error.what() == trace.explained_) return;
            trace.explained_ = *name + ": " + error.what();
            throw E(trace.explained_);
        };
        try {
            throw;
        } catch (const ShapeError& error) {
            throw_named(error);
        } catch (const ValueError& error) {
            throw_named(error);
        } catch (const GraphError& error) {
            throw_named(error);
        } catch (const Error&) {  // of other kinds: no layer's
        }
    }

    std::vector<TraceEntry> entries_;
    std::vector<NamedLayer> layers_;
    std::string explained_;
    TraceObserver* before_;
};

}  // namespace gradus::nn
