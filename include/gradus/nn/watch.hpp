// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gradus/autograd/observe.hpp"
#include "gradus/nn/trace.hpp"

namespace gradus::nn::detail {

/// Sees the operations of this thread while it lives, and knows in which layer of a model each of them is: the base of
/// nn::check, nn::summary and training::Anomaly.
class Watch : public gradus::detail::TapeObserver, TraceObserver {
public:
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    /// The path of the innermost layer that runs: "conv1". Between layers, that of the last one that ended: "after
    /// conv1"; empty before the first. A layer that belongs to nobody is named by its type: "(ReLU)".
    [[gnu::cold]] std::string place() const {
        if (!running_.empty()) return name_of(running_.back());
        return last_.first ? "after " + name_of(last_) : "";
    }

protected:
    using Layer = std::pair<const void*, const char*>;  // address and type

    explicit Watch(std::vector<NamedLayer> layers)
        : TraceObserver{&call, &output, &error},
          layers_(std::move(layers)),
          observing_(*this),
          before_(active_trace()) {
        active_trace() = this;
    }
    ~Watch() { active_trace() = before_; }

    /// A layer begins.
    virtual void on_call() {}
    /// A layer gave its output; `path` is null for one that belongs to nobody. `was_called`: on_call told that it began.
    virtual void on_layer(const TraceEntry&, const std::string* /*path*/, bool /*was_called*/) {}
    /// An exception leaves a layer, the innermost first.
    virtual void on_layer_error(const std::string& /*name*/) {}

    void on_result(const char*, const gradus::detail::SeenValue&,
                   const std::vector<gradus::detail::SeenValue>&, bool) override {}
    void on_computed(const gradus::detail::SeenValue&) override {}
    void on_gradient(const char*, const void*, const gradus::detail::SeenValue&,
                     const gradus::detail::SeenValue&) override {}

private:
    const std::string* path_of(const Layer& layer) const {
        for (const NamedLayer& known : layers_)
            if (known.layer == layer.first && std::string_view(known.type) == layer.second)
                return &known.name;
        return nullptr;
    }
    std::string name_of(const Layer& layer) const {
        const std::string* const path = path_of(layer);
        if (!path) return gradus::detail::text_of({"(", layer.second, ")"});
        return path->empty() ? "(model)" : *path;
    }

    static void call(TraceObserver& observer, const void* layer, const char* type) {
        auto& watch = static_cast<Watch&>(observer);
        watch.running_.emplace_back(layer, type);
        watch.on_call();
    }
    static void output(TraceObserver& observer, const TraceEntry& entry) {
        auto& watch = static_cast<Watch&>(observer);
        watch.last_ = {entry.layer, entry.type};
        const bool was_called = watch.leave(watch.last_);
        watch.on_layer(entry, watch.path_of(watch.last_), was_called);
    }
    static void error(TraceObserver& observer, const void* layer, const char* type) {
        auto& watch = static_cast<Watch&>(observer);
        watch.on_layer_error(watch.name_of({layer, type}));
        watch.leave({layer, type});
    }
    bool leave(const Layer& layer) {
        if (running_.empty() || running_.back() != layer) return false;
        running_.pop_back();
        return true;
    }

    std::vector<NamedLayer> layers_;
    std::vector<Layer> running_;
    Layer last_{nullptr, nullptr};
    gradus::detail::Observing observing_;
    TraceObserver* before_;
};

}  // namespace gradus::nn::detail
