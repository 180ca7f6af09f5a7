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

/// Who is told of a layer's output, and of an error in it. Function pointers, so that only programs that
/// listen compile the list.
struct TraceListener {
    void (*note)(TraceListener& listener, const TraceEntry& entry);
    void (*explain)(TraceListener& listener, const void* layer, const char* type);  // while handling it
};

inline TraceListener*& active_trace() {
    static thread_local TraceListener* trace = nullptr;
    return trace;
}

[[gnu::cold, gnu::noinline]] inline void note(const void* layer, const char* type, const Shape& output) {
    TraceListener* const trace = active_trace();
    trace->note(*trace, {layer, type, output});
}

[[gnu::cold, gnu::noinline]] inline void explain(const void* layer, const char* type) {
    if (TraceListener* const trace = active_trace()) trace->explain(*trace, layer, type);
}

}  // namespace detail

/// Notes the output of a layer if somebody is listening on this thread, and passes it on.
template <class Layer, class T>
Variable<T> traced(const Layer* layer, Variable<T> output) {
    if (detail::active_trace()) [[unlikely]]
        detail::note(layer, Layer::type, output.shape());
    return output;
}

/// The same for the output that compute() gives. An error in it is told where it was: layers return through
/// this one.
///
///     return traced(this, [&] { return linear(x, weight, bias); });
template <class Layer, class Compute>
requires std::is_invocable_v<Compute&>
auto traced(const Layer* layer, Compute&& compute) {
    try {
        return traced(layer, compute());
    } catch (const Error&) {
        detail::explain(layer, Layer::type);
        throw;
    }
}

/// Listens while it lives. With the layers of a model, nn::Trace(nn::named_layers(net)), an error in one of
/// them begins with its path: "fc7: linear: needs x [..., in] ...".
class Trace : detail::TraceListener {
public:
    explicit Trace(std::vector<NamedLayer> layers = {})
        : TraceListener{&append, &add_path}, layers_(std::move(layers)), before_(detail::active_trace()) {
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
    static void append(TraceListener& listener, const TraceEntry& entry) {
        static_cast<Trace&>(listener).entries_.push_back(entry);
    }

    /// Throws the error that is being handled again, with the path of the layer in front, once: on its way
    /// through the layers around that one it stays as it is.
    static void add_path(TraceListener& listener, const void* layer, const char* type) {
        auto& trace = static_cast<Trace&>(listener);
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
    TraceListener* before_;
};

}  // namespace gradus::nn
