// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/io/load.hpp"
#include "gradus/io/pytorch.hpp"

namespace gradus::io {

struct LoadPytorchOptions {
    std::string part = "";  // of the file: "model" if it is {"model": net.state_dict(), ...}
    LoadOptions load = {};  // as for load(), by the names in that part
    UnpackOptions unpack = {};
};

namespace detail {

/// The part of a file that has all names of the model, if the file as a whole does not; "" if there is none.
[[gnu::cold]] inline std::string likely_part(const PytorchFile& file,
                                             const std::vector<LoadTarget>& targets) {
    if (targets.empty() || file.contains(targets[0].name)) return "";
    for (const std::string& name : file.names()) {
        if (!std::string_view(name).ends_with("." + targets[0].name)) continue;
        const std::string part = name.substr(0, name.size() - targets[0].name.size());
        if (std::all_of(targets.begin(), targets.end(),
                        [&](const LoadTarget& target) { return file.contains(part + target.name); }))
            return part.substr(0, part.size() - 1);
    }
    return "";
}

[[gnu::cold]] inline LoadReport load_pytorch_file(const std::string& path,
                                                  const std::vector<LoadTarget>& targets,
                                                  const LoadPytorchOptions& options) {
    PytorchFile file(path, options.unpack, "load_pytorch");
    const std::string prefix = options.part.empty() ? "" : options.part + ".";
    std::vector<LoadSource> sources;
    for (std::size_t i = 0; i < file.names().size(); ++i) {
        const std::string& name = file.names()[i];
        if (std::string_view(name).starts_with(prefix))
            sources.push_back({name.substr(prefix.size()), "", file.dtype(name), file.shape(name), i});
    }
    if (!prefix.empty() && sources.empty())
        raise<IoError>({"load_pytorch: ", path, ": no tensor lies in ", shown(options.part)});
    const bool as_named = prefix.empty() && options.load.rename.empty() && !options.load.rename_by;
    if (const std::string part = as_named ? likely_part(file, targets) : ""; !part.empty())
        raise<IoError>({"load_pytorch: ", path, ": is no state dict, but has one in it, as ", shown(part),
                        "; try {.part = ", json_string(part), "}"});
    return load_all("load_pytorch: " + path, targets, std::move(sources), options.load,
                    [&](std::size_t i) { return file.read(file.names()[i]); });
}

}  // namespace detail

/// Gives a model the parameters and buffers of a file that PyTorch wrote, by name, as load() does from a
/// safetensors file:
///
///     torch.save(net.state_dict(), "net.pt")                        # in Python
///     io::load_pytorch("net.pt", net);
///     torch.save({"model": net.state_dict(), "epoch": 3}, "c.pt")
///     io::load_pytorch("c.pt", net, {.part = "model"});
///
/// Throws IoError as PytorchFile and load() do; the model is then as it was.
template <class Model>
LoadReport load_pytorch(const std::string& path, Model& model, const LoadPytorchOptions& options = {}) {
    GRADUS_CHECK_MODEL(Model);
    GRADUS_CHECK_NOT_CONST(Model);
    return detail::load_pytorch_file(path, detail::load_targets(model), options);
}

}  // namespace gradus::io
