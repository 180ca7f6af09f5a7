// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/io/safetensors.hpp"
#include "gradus/nn/model.hpp"

namespace gradus::io {

struct SaveOptions {
    std::optional<DType> dtype = {};  // what floating parameters and buffers become: f16, bf16, f32, f64
    Metadata metadata = {{"format", "pt"}};  // as PyTorch's users write it; some programs ask for it
    bool durable = false;                    // also survives a loss of power: waits for the disk
};

/// Every parameter and buffer of a model with its path, which is PyTorch's name for it: "conv1.weight",
/// "layer1.0.bn1.running_mean". A snapshot that costs no memory before the model changes.
template <class Model>
std::vector<NamedTensor> state_dict(const Model& model) {
    GRADUS_CHECK_MODEL(Model);
    std::vector<NamedTensor> result;
    nn::detail::walk_model(const_cast<Model&>(model), [&](const std::string& path, auto& part) {  // read only
        using Part = std::remove_cvref_t<decltype(part)>;
        if constexpr (nn::detail::is_parameter<Part> || nn::detail::is_buffer<Part>)
            result.push_back({path, AnyTensor(part.value())});
    });
    return result;
}

namespace detail {

[[gnu::cold]] inline AnyTensor floating_as(DType dtype, const AnyTensor& tensor) {
    if (!is_floating(tensor.dtype()) || tensor.dtype() == dtype) return tensor;
    switch (dtype) {
        case DType::f16:
            return tensor.as<half>();
        case DType::bf16:
            return tensor.as<bfloat16>();
        case DType::f32:
            return tensor.as<float>();
        default:
            return tensor.as<double>();
    }
}

[[gnu::cold]] inline void save_tensors(const std::string& path, std::vector<NamedTensor> tensors,
                                       const SaveOptions& options) {
    if (options.dtype) {
        if (!is_floating(*options.dtype))
            raise<ValueError>(
                {"save: ", path, ": dtype must be f16, bf16, f32 or f64: got ", name(*options.dtype)});
        for (NamedTensor& t : tensors) t.tensor = floating_as(*options.dtype, t.tensor);
    }
    write_safetensors(path, tensors, options.metadata, {.durable = options.durable, .operation = "save"});
}

}  // namespace detail

/// Saves the parameters and buffers of a model as a safetensors file with PyTorch's names: what
/// safetensors.torch.save_file(net.state_dict(), path) writes. Numbers stay what they are; with {.dtype =
/// io::DType::bf16} the floating ones are rounded to that type, as in PyTorch (what it cannot express becomes
/// infinite). The file is replaced as a whole, so that an error leaves the old one.
/// Throws IoError with the path and the reason; ValueError for another dtype and for two parts of one name.
template <class Model>
void save(const std::string& path, const Model& model, const SaveOptions& options = {}) {
    GRADUS_CHECK_MODEL(Model);
    detail::save_tensors(path, state_dict(model), options);
}

}  // namespace gradus::io
