// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/version.hpp"
#include "gradus/distributed/world.hpp"
#include "gradus/io/any_tensor.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/training/checksum.hpp"

namespace gradus::distributed {

/// Something that has to be the same in all processes.
struct Setting {
    std::string name, value;
};

namespace detail {

/// A tensor of a model, whatever its type.
struct ModelBytes {
    std::string path, kind;  // "fc1.weight", "F32 [64, 20]"
    std::span<std::byte> bytes;
};

template <class Model>
std::vector<ModelBytes> bytes_of(Model& model) {
    GRADUS_CHECK_MODEL(Model);
    GRADUS_CHECK_NOT_CONST(Model);
    std::vector<ModelBytes> parts;
    nn::detail::walk_model(model, [&](const std::string& path, auto& part) {
        using Leaf = std::remove_cvref_t<decltype(part)>;
        if constexpr (nn::detail::is_parameter<Leaf> || nn::detail::is_buffer<Leaf>) {
            using T = typename Leaf::value_type;
            Tensor<T>& x = part.mutable_value();
            parts.push_back(
                {path, gradus::detail::text_of({io::name(io::dtype_of<T>), " ", to_string(x.shape())}),
                 std::as_writable_bytes(std::span(x.mutable_data(), static_cast<std::size_t>(x.numel())))});
        }
    });
    return parts;
}

/// From the first process to all, each of which hands it on. Binomial tree: log₂ size() messages behind each other.
[[gnu::cold]] inline void broadcast_bytes(const World& world, std::span<std::byte> bytes, const Meeting& at) {
    constexpr std::size_t most = std::size_t{64} << 20;
    for (std::size_t begin = 0; begin < bytes.size(); begin += most) {
        const auto piece = bytes.subspan(begin, std::min(most, bytes.size() - begin));
        for (int distance = 1; distance < world.size(); distance *= 2) {
            if (const int to = world.rank() + distance; world.rank() < distance && to < world.size())
                world.exchange(to, piece, to, {}, at);
            else if (world.rank() >= distance && world.rank() < 2 * distance)
                world.exchange(world.rank() - distance, {}, world.rank() - distance, piece, at);
        }
    }
}

[[gnu::cold]] inline std::string text_of(const std::vector<Setting>& settings) {
    std::string text;
    for (const Setting& setting : settings)
        text.append(setting.name).append("\n").append(setting.value).append("\n");
    return text;
}

/// The lines of a text, in pairs.
[[gnu::cold]] inline std::vector<Setting> settings_of(const std::string& text) {
    std::vector<Setting> settings;
    for (std::size_t at = 0; at < text.size();) {
        Setting setting;
        for (std::string* const line : {&setting.name, &setting.value}) {
            const std::size_t end = std::min(text.find('\n', at), text.size());
            *line = text.substr(at, end - at);
            at = std::min(end + 1, text.size());
        }
        settings.push_back(std::move(setting));
    }
    return settings;
}

[[noreturn, gnu::cold]] inline void refuse_settings(const char* operation,
                                                    const std::vector<std::string>& texts) {
    const std::vector<Setting> first = settings_of(texts[0]);
    for (std::size_t r = 1; r < texts.size(); ++r) {
        const std::vector<Setting> other = settings_of(texts[r]);
        for (std::size_t i = 0; i < std::max(first.size(), other.size()); ++i) {
            const Setting a = i < first.size() ? first[i] : Setting{"", "nothing"};
            const Setting b = i < other.size() ? other[i] : Setting{"", "nothing"};
            if (a.name == b.name && a.value == b.value) continue;
            const bool same_name = a.name == b.name || a.name.empty() || b.name.empty();
            const std::string& name = a.name.empty() ? b.name : a.name;
            gradus::detail::raise<DistributedError>(
                {operation, ": ", name, ": must be the same in all processes: got ", a.value,
                 " on rank 0 and ", same_name ? "" : b.name + ": ", b.value, " on rank ", r});
        }
    }
    gradus::detail::raise<DistributedError>(operation, "the processes differ");
}

}  // namespace detail

/// Throws DistributedError, the same in all processes, unless all gave the same settings; it names the first that
/// differs, and both values:
///
///     distributed::check_same(world, {{"learning rate", std::to_string(lr)}, {"batch", std::to_string(batch)}});
///
/// The version of gradus is always one of them.
[[gnu::cold]] inline void check_same(const World& world, std::vector<Setting> settings,
                                     const char* operation = "check_same") {
    if (world.size() == 1) return;
    settings.insert(
        settings.begin(),
        {{"version of gradus", GRADUS_VERSION},
         {"order of bytes", std::endian::native == std::endian::little ? "little-endian" : "big-endian"}});
    const std::string text = detail::text_of(settings);
    training::Checksum sum;
    sum.update(text);
    const std::uint64_t own = sum.value();
    const auto sums =
        world.all_gather(std::string(reinterpret_cast<const char*>(&own), sizeof own), {operation});
    if (std::all_of(sums.begin(), sums.end(), [&](const std::string& s) { return s == sums[0]; })) return;
    detail::refuse_settings(operation, world.all_gather(text, {operation}));
}

/// Gives all processes the parameters and buffers of the model of the first one. Throws DistributedError if the models
/// differ in their parts, and names the first that does.
template <class Model>
void broadcast(Model& model, const World& world) {
    if (world.size() == 1) return;
    const std::vector<detail::ModelBytes> parts = detail::bytes_of(model);
    std::vector<Setting> settings;
    for (const detail::ModelBytes& part : parts) settings.push_back({part.path, part.kind});
    check_same(world, std::move(settings), "broadcast");
    for (const detail::ModelBytes& part : parts) detail::broadcast_bytes(world, part.bytes, {"broadcast"});
}

}  // namespace gradus::distributed
