// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/autograd/no_grad.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/nn/watch.hpp"

namespace gradus::nn {

/// Every layer of a model (what has a `type`) with its path, in order of declaration: what a Trace takes.
/// They are known by their addresses: the model must stay where it is.
template <class Model>
std::vector<NamedLayer> named_layers(const Model& model) {
    GRADUS_CHECK_MODEL(Model);
    std::vector<NamedLayer> layers;
    detail::walk_model(const_cast<Model&>(model), [&](const std::string& path, auto& part) {
        using Part = std::remove_cvref_t<decltype(part)>;
        if constexpr (requires { Part::type; }) layers.push_back({&part, Part::type, path});
    });
    return layers;
}

/// One call of a layer.
struct LayerShape {
    std::string path;  // "conv1"; "(model)" for the model itself, "?" for what is none of its layers
    const char* type;
    Shape output;
    Index parameters = 0;     // of it and what is in it
    Index multiply_adds = 0;  // of products and convolutions in it
};

/// What check() found out about a model and a shape.
struct ModelShapes {
    std::vector<LayerShape> layers;  // in the order of the calls
    Index parameters = 0;
    Index multiply_adds = 0;     // of the forward pass; a training step takes about three times as many
    Index parameter_bytes = 0;   // of the parameters
    Index forward_bytes = 0;     // of the largest operation without history: its inputs and its result
    Index activation_bytes = 0;  // of all results, which a training step keeps until backward()
};

namespace detail {

/// Puts a model into evaluation mode while it lives; then every layer is as it was.
class Evaluating {
public:
    template <class Model>
    [[nodiscard]] explicit Evaluating(Model& model) {
        walk_model(model, [&](const std::string&, auto& part) {
            if constexpr (HasTrainingFlag<std::remove_cvref_t<decltype(part)>>) {
                flags_.emplace_back(&part.training, part.training);
                part.training = false;
            }
        });
    }
    Evaluating(const Evaluating&) = delete;
    Evaluating& operator=(const Evaluating&) = delete;
    ~Evaluating() {
        for (const auto& [flag, before] : flags_) *flag = before;
    }

private:
    std::vector<std::pair<bool*, bool>> flags_;
};

/// Collects the shapes and the work of a forward pass.
class ShapeWatch final : public Watch {
public:
    ShapeWatch(std::vector<NamedLayer> layers, Index number_bytes)
        : Watch(std::move(layers)), number_bytes_(number_bytes) {}

    ModelShapes shapes;

    /// Throws the error that is being handled again, with the place in front that it came from.
    [[noreturn, gnu::cold]] void rethrow() const {
        const std::string at = error_place_.empty() ? place() : error_place_;
        const std::string before = at.empty() || at == "(model)" ? "" : at + ": ";
        try {
            throw;
        } catch (const ShapeError& error) {
            throw ShapeError(before + error.what());
        } catch (const ValueError& error) {
            throw ValueError(before + error.what());
        } catch (const GraphError& error) {
            throw GraphError(before + error.what());
        }
    }

private:
    void on_call() override { work_before_.push_back(shapes.multiply_adds); }
    void on_layer(const TraceEntry& entry, const std::string* path, bool was_called) override {
        Index work = 0;
        if (was_called) work = shapes.multiply_adds - work_before_.back(), work_before_.pop_back();
        shapes.layers.push_back({!path           ? "?"
                                 : path->empty() ? "(model)"
                                                 : *path,
                                 entry.type, entry.output, 0, work});
    }
    void on_layer_error(const std::string& name) override {
        if (error_place_.empty()) error_place_ = name;
    }

    void on_result(const char* operation, const gradus::detail::SeenValue& result,
                   const std::vector<gradus::detail::SeenValue>& inputs, bool) override {
        const Index bytes = result.shape.numel() * number_bytes_;
        // An operation that became one with the one before it takes its place.
        const bool is_fused = std::string_view(operation).find('+') != std::string_view::npos;
        shapes.activation_bytes += bytes - (is_fused ? last_bytes_ : 0);
        last_bytes_ = bytes;
        Index used = bytes;
        for (const auto& input : inputs) used += input.shape.numel() * number_bytes_;
        shapes.forward_bytes = std::max(shapes.forward_bytes, used);
        if (!is_fused && inputs.size() >= 2) shapes.multiply_adds += work_of(operation, result.shape, inputs);
    }

    /// A product adds up as many terms for each number as a row of its second operand has.
    static Index work_of(std::string_view operation, const Shape& y,
                         const std::vector<gradus::detail::SeenValue>& inputs) {
        const Shape &a = inputs[0].shape, &b = inputs[1].shape;
        if (operation == "linear" || operation == "matmul") return y.numel() * a[-1];
        if (operation == "conv2d") return y.numel() * (b.numel() / std::max<Index>(b[0], 1));
        return 0;
    }

    Index number_bytes_, last_bytes_ = 0;
    std::vector<Index> work_before_;  // for each layer that runs
    std::string error_place_;
};

}  // namespace detail

/// Runs a model on zeros of shape `input`, as after nn::eval and without history, and says what its layers give, how
/// much they multiply and how much memory that takes. Throws what the model throws for that shape, with the field in
/// front: "fc1: linear: needs x [..., in] and weight [out, in]: got [1, 5] and [350, 784]", or "after conv2: ..." for
/// an operation between layers. It draws no random numbers, changes no running statistics and takes a batch of one
/// (which is the quickest); then the model is as it was. A const model is copied for it. A model of class numbers is
/// checked by check<Index>(net, shape).
///
///     nn::check(net, {1, 1, 28, 28});
template <class T = float, class Model>
requires(!std::is_const_v<Model>) ModelShapes check(Model& model, const Shape& input) {
    GRADUS_CHECK_MODEL(Model);
    const detail::Evaluating mode(model);
    const NoGrad guard;
    using Number = std::conditional_t<std::is_integral_v<T>, float, T>;
    detail::ShapeWatch watch(named_layers(model), sizeof(Number));
    try {
        if constexpr (std::is_integral_v<T>)
            static_cast<void>(std::as_const(model)(gradus::zeros<T>(input)));
        else
            static_cast<void>(std::as_const(model)(Variable<T>(gradus::zeros<T>(input))));
    } catch (const Error&) {
        watch.rethrow();
    }
    ModelShapes shapes = std::move(watch.shapes);
    for (const auto& [name, parameter] : named_parameters<Number>(model)) {
        shapes.parameters += parameter.numel();
        for (LayerShape& layer : shapes.layers)
            if (layer.path == "(model)" || (name.starts_with(layer.path) && name[layer.path.size()] == '.'))
                layer.parameters += parameter.numel();
    }
    shapes.parameter_bytes = shapes.parameters * static_cast<Index>(sizeof(Number));
    return shapes;
}

template <class T = float, class Model>
ModelShapes check(const Model& model, const Shape& input) {
    GRADUS_CHECK_MODEL(Model);
    static_assert(std::is_copy_constructible_v<Model>,
                  "nn::check and nn::summary run a const model as a copy, and this one cannot be copied: "
                  "pass it as it is");
    Model copy(model);  // shares the memory of the weights
    return check<T>(copy, input);
}

}  // namespace gradus::nn
