// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/io/safetensors.hpp"
#include "gradus/nn/model.hpp"

namespace gradus::io {

struct LoadOptions {
    bool partial = false;  // names that only the model has, or only the file, are reported and no error
    std::vector<std::pair<std::string, std::string>> rename = {};  // what names in the file begin with, and
        // what the model has for it; the first fits
    std::function<std::string(const std::string&)> rename_by = {};  // after that; "" leaves a tensor out
};

/// What load() did, by the names of the model, and of the file for what it did not expect.
struct LoadReport {
    std::vector<std::string> loaded, missing, unexpected;
};

namespace detail {

/// A parameter or buffer of a model that takes a tensor.
struct LoadTarget {
    std::string name;
    DType dtype;
    Shape shape;
    void* leaf;
    AnyTensor (*convert)(const AnyTensor&);
    void (*set)(void* leaf, const AnyTensor&);  // of what convert() returned; takes no memory
};

/// A tensor that can be loaded: `position` in what it comes from.
struct LoadSource {
    std::string name, target;
    DType dtype;
    Shape shape;
    std::size_t position;
};

template <class Model>
std::vector<LoadTarget> load_targets(Model& model) {
    std::vector<LoadTarget> targets;
    nn::detail::walk_model(model, [&](const std::string& path, auto& part) {
        using Part = std::remove_cvref_t<decltype(part)>;
        if constexpr (nn::detail::is_parameter<Part> || nn::detail::is_buffer<Part>) {
            using T = typename Part::value_type;
            using Leaf = Variable<T>;
            targets.push_back({path, dtype_of<T>, part.shape(), static_cast<Leaf*>(&part),
                               [](const AnyTensor& from) { return AnyTensor(from.as<T>()); },
                               [](void* leaf, const AnyTensor& value) {
                                   static_cast<Leaf*>(leaf)->set_value(value.as<T>());
                               }});
        }
    });
    return targets;
}

[[gnu::cold]] inline std::string renamed(const std::string& name, const LoadOptions& options) {
    std::string result = name;
    for (const auto& [from, to] : options.rename)
        if (name.compare(0, from.size(), from) == 0) {
            result = to + name.substr(from.size());
            break;
        }
    return options.rename_by ? options.rename_by(result) : result;
}

/// A beginning that all names of one list have, and that is what they differ in from those of the other.
[[gnu::cold]] inline std::string common_prefix(const std::vector<std::string>& longer,
                                               const std::vector<std::string>& shorter) {
    if (longer.empty() || shorter.empty()) return "";
    std::vector<std::string_view> sorted(longer.begin(), longer.end());
    std::sort(sorted.begin(), sorted.end());
    const auto has = [&](const std::string& name) {
        return std::binary_search(sorted.begin(), sorted.end(), std::string_view(name));
    };
    for (const std::string& candidate : longer) {
        const std::string& name = shorter.front();
        if (candidate.size() <= name.size() || !std::string_view(candidate).ends_with(name)) continue;
        const std::string prefix = candidate.substr(0, candidate.size() - name.size());
        if (std::all_of(shorter.begin(), shorter.end(),
                        [&](const std::string& s) { return has(prefix + s); }))
            return prefix;
    }
    return "";
}

/// Which source goes to which target, and what does not fit.
class LoadPlan {
public:
    [[gnu::cold]] LoadPlan(const std::vector<LoadTarget>& targets, std::vector<LoadSource> sources,
                           const LoadOptions& options)
        : targets_(targets), sources_(std::move(sources)) {
        for (LoadSource& source : sources_) source.target = renamed(source.name, options);
        const auto dropped = [](const LoadSource& source) { return source.target.empty(); };
        sources_.erase(std::remove_if(sources_.begin(), sources_.end(), dropped), sources_.end());
        std::stable_sort(sources_.begin(), sources_.end(),
                         [](const LoadSource& a, const LoadSource& b) { return a.target < b.target; });
        for (std::size_t i = 1; i < sources_.size(); ++i)
            if (sources_[i].target == sources_[i - 1].target)
                add(twice_, {shown(sources_[i - 1].name), " and ", shown(sources_[i].name), " as ",
                             shown(sources_[i].target)});
        std::vector<bool> used(sources_.size());
        for (const LoadTarget& target : targets) {
            const auto at = std::lower_bound(
                sources_.begin(), sources_.end(), target.name,
                [](const LoadSource& source, const std::string& name) { return source.target < name; });
            if (at == sources_.end() || at->target != target.name) {
                report.missing.push_back(target.name);
                continue;
            }
            used[static_cast<std::size_t>(at - sources_.begin())] = true;
            match(target, *at);
        }
        for (std::size_t i = 0; i < sources_.size(); ++i)
            if (!used[i]) report.unexpected.push_back(sources_[i].name);
        partial_ = options.partial;
    }

    LoadReport report;
    std::vector<std::pair<const LoadTarget*, const LoadSource*>> matches;

    /// All that does not fit, as lines of a message; nothing if everything does.
    [[gnu::cold]] std::string problems() const {
        std::string text, missing, unexpected;
        if (!partial_) {
            for (const std::string& name : report.missing)
                if (!may_be_missing(name)) add(missing, {shown(name)});
            for (const std::string& name : report.unexpected) add(unexpected, {shown(name)});
        }
        append(text, "missing in the file", missing);
        append(text, "not in the model", unexpected);
        append(text, "of another shape", shape_);
        append(text, "of another type", dtype_);
        append(text, "of one name in the model", twice_);
        if (partial_ && text.empty() && matches.empty() && !targets_.empty())
            text = "\n  no tensor has the name of one in the model";
        return text.empty() ? text : text + hint();
    }

private:
    static void add(std::string& list, std::initializer_list<TextPart> item) {
        list += (list.empty() ? "" : ", ") + text_of(item);
    }
    static void append(std::string& text, const char* what, const std::string& list) {
        if (!list.empty()) text += text_of({"\n  ", what, ": ", list});
    }

    void match(const LoadTarget& target, const LoadSource& source) {
        matches.emplace_back(&target, &source);
        if (source.shape != target.shape)
            add(shape_, {shown(target.name), " (", to_string(source.shape), " in the file, ",
                         to_string(target.shape), " in the model)"});
        const bool converts = (is_floating(source.dtype) && is_floating(target.dtype)) ||
                              (is_integer(source.dtype) && is_integer(target.dtype));
        if (!converts)
            add(dtype_, {shown(target.name), " (", name(source.dtype), " in the file, ", name(target.dtype),
                         " in the model)"});
    }

    /// Files from before PyTorch counted batches lack it, and only means over all batches need it.
    bool may_be_missing(const std::string& name) const {
        constexpr std::string_view counter = "num_batches_tracked", statistics = "running_mean";
        if (!std::string_view(name).ends_with(counter)) return false;
        const std::string beside = name.substr(0, name.size() - counter.size()) + std::string(statistics);
        return std::any_of(matches.begin(), matches.end(),
                           [&](const auto& pair) { return pair.first->name == beside; });
    }

    std::string hint() const {
        std::string prefix = common_prefix(report.unexpected, report.missing);
        if (!prefix.empty()) return text_of({"\n  try {.rename = {{", json_string(prefix), ", \"\"}}}"});
        prefix = common_prefix(report.missing, report.unexpected);
        if (!prefix.empty()) return text_of({"\n  try {.rename = {{\"\", ", json_string(prefix), "}}}"});
        return report.missing.empty() && report.unexpected.empty() ? ""
               : partial_                                          ? ""
                          : "\n  try {.partial = true} to load what fits, or {.rename = ...}";
    }

    const std::vector<LoadTarget>& targets_;
    std::vector<LoadSource> sources_;  // sorted by target
    std::string shape_, dtype_, twice_;
    bool partial_ = false;
};

/// Reads everything that is wanted, and only then changes the model: nothing in that can fail.
template <class Read>
[[gnu::cold]] LoadReport load_all(const std::string& where, const std::vector<LoadTarget>& targets,
                                  std::vector<LoadSource> sources, const LoadOptions& options,
                                  const Read& read) {
    LoadPlan plan(targets, std::move(sources), options);
    const std::string problems = plan.problems();
    if (!problems.empty())
        raise<IoError>({where, ": does not fit the model, which was not changed:", problems});
    std::vector<AnyTensor> values;
    values.reserve(plan.matches.size());
    for (const auto& [target, source] : plan.matches) {
        const AnyTensor value = read(source->position);
        try {
            values.push_back(target->convert(value));
        } catch (const ValueError& error) {
            raise<IoError>({where, ": tensor ", shown(source->name), ": ", error.what()});
        }
        plan.report.loaded.push_back(target->name);
    }
    for (std::size_t i = 0; i < values.size(); ++i)
        plan.matches[i].first->set(plan.matches[i].first->leaf, values[i]);
    return std::move(plan.report);
}

[[gnu::cold]] inline LoadReport load_file(const std::string& path, const std::vector<LoadTarget>& targets,
                                          const LoadOptions& options) {
    const SafetensorsFile file(path, "load");
    if (options.rename.empty() && !options.rename_by && !options.partial)
        for (const auto& [key, value] : file.metadata())
            if (key == "gradus.checkpoint")
                raise<IoError>(
                    {"load: ", path,
                     ": is a checkpoint of a training: training::load_parts(path, model) takes the "
                     "model from it"});
    std::vector<LoadSource> sources;
    for (const std::string& name : file.names())
        sources.push_back({name, "", file.dtype(name), file.shape(name), sources.size()});
    return load_all("load: " + path, targets, std::move(sources), options,
                    [&](std::size_t i) { return file.read(file.names()[i]); });
}

[[gnu::cold]] inline LoadReport load_tensors(const std::vector<LoadTarget>& targets,
                                             std::span<const NamedTensor> tensors,
                                             const LoadOptions& options) {
    std::vector<LoadSource> sources;
    for (const NamedTensor& t : tensors)
        sources.push_back({t.name, "", t.tensor.dtype(), t.tensor.shape(), sources.size()});
    return load_all("load_state_dict: the tensors", targets, std::move(sources), options,
                    [&](std::size_t i) { return tensors[i].tensor; });
}

}  // namespace detail

/// Gives a model the parameters and buffers of a safetensors file, by name: one that save() wrote, or
/// safetensors.torch.save_file(net.state_dict(), path). Floating types are converted (what is too large
/// becomes infinite, as in PyTorch), integers too if they are equal. Gradients, flags, and which parameters
/// are frozen stay; an optimizer goes on with the same parameters.
///
/// Throws IoError unless the file is right and has exactly the names of the model, in its shapes and kinds of
/// numbers: one message lists all that is missing, unexpected or differs. (As in PyTorch, a file may lack
/// num_batches_tracked.) With {.partial = true} only what is in both is loaded, and at least one tensor has to
/// be. Whatever is thrown, also OutOfMemory, the model is as it was.
///
///     io::load("resnet.safetensors", net, {.rename = {{"module.", ""}}});
template <class Model>
LoadReport load(const std::string& path, Model& model, const LoadOptions& options = {}) {
    GRADUS_CHECK_MODEL(Model);
    GRADUS_CHECK_NOT_CONST(Model);
    return detail::load_file(path, detail::load_targets(model), options);
}

/// The same from tensors in memory: what state_dict() gave, or what was read from a file of another format.
template <class Model>
LoadReport load_state_dict(Model& model, std::span<const NamedTensor> tensors,
                           const LoadOptions& options = {}) {
    GRADUS_CHECK_MODEL(Model);
    GRADUS_CHECK_NOT_CONST(Model);
    return detail::load_tensors(detail::load_targets(model), tensors, options);
}

}  // namespace gradus::io
