// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/core/write_file.hpp"
#include "gradus/io/safetensors.hpp"
#include "gradus/training/checksum.hpp"
#include "gradus/training/parts.hpp"
#include "gradus/training/state.hpp"

// A checkpoint is one safetensors file with all that a run needs to go on as if it had never stopped: its parts,
// the position, and the default generator, from which dropout draws. Its metadata holds the version of the
// format and a checksum of the whole file. How each kind of part is written is in parts.hpp; which parts a run of
// fit() has, in RunOf::snapshot() of fit.hpp. See docs/resuming.md.

namespace gradus::training {
namespace detail {

inline constexpr const char* version_key = "gradus.checkpoint";
inline constexpr int newest_version = 1;
inline constexpr const char* checksum_key = "gradus.checksum";
inline constexpr std::string_view no_checksum = "0000000000000000";  // what stands there while it is computed

[[gnu::cold]] inline std::string checksum_text(const Checksum& sum) {
    char text[24];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(sum.value()));
    return text;
}

/// Where the digits of the checksum begin in what stands before the data of a file; npos if nowhere.
[[gnu::cold]] inline std::size_t find_checksum(std::string_view head) {
    const std::string before = gradus::detail::text_of({"\"", checksum_key, "\":\""});
    const std::size_t at = head.find(before);
    if (at == head.npos || head.size() - at < before.size() + no_checksum.size()) return head.npos;
    return at + before.size();
}

/// Calls act() and says in errors of parts where they come from.
template <class Act>
void in_name_of(const std::string& where, const Act& act) {
    const auto text = [&](const std::exception& e) {
        const std::string_view what = e.what();
        return what.starts_with(where) ? std::string(what) : gradus::detail::text_of({where, ": ", what});
    };
    try {
        act();
    } catch (const ShapeError& e) {
        throw ShapeError(text(e));
    } catch (const ValueError& e) {
        throw ValueError(text(e));
    }
}

}  // namespace detail

/// Writes a state as a checkpoint. The file is replaced as a whole, and the old one goes only when the new one
/// has reached the disk (see write_file). Throws IoError, with the path and the reason, and leaves the old file.
[[gnu::cold]] inline void write_checkpoint(const std::string& path, const State& state,
                                           const char* operation = "save_checkpoint") {
    std::vector<io::NamedTensor> tensors;
    for (const auto& [name, tensor] : state) tensors.push_back({name, tensor});
    const io::Metadata metadata{{detail::version_key, std::to_string(detail::newest_version)},
                                {detail::checksum_key, std::string(detail::no_checksum)}};
    auto layout = io::detail::safetensors_layout(operation, path, tensors, metadata);
    Checksum sum;
    for (const std::string_view piece : layout.pieces()) sum.update(piece);
    layout.head.replace(detail::find_checksum(layout.head), detail::no_checksum.size(),
                        detail::checksum_text(sum));
    const std::vector<std::string_view> pieces = layout.pieces();
    write_file(path, pieces, {.durable = true, .operation = operation});
}

/// Reads all that a checkpoint holds. Throws IoError for a file that is none, is of a newer format, was cut
/// short, or has a single bit that differs from what was written.
[[gnu::cold]] inline State read_checkpoint(const std::string& path,
                                           const char* operation = "load_checkpoint") {
    using gradus::detail::raise;
    const io::SafetensorsFile file(path, operation);
    std::string version;
    for (const auto& [key, value] : file.metadata())
        if (key == detail::version_key) version = value;
    if (version.empty())
        raise<IoError>({operation, ": ", path,
                        ": is a safetensors file, but no checkpoint: io::load reads the weights of a model"});
    if (version != std::to_string(detail::newest_version))
        raise<IoError>({operation, ": ", path, ": is a checkpoint of version ", version, ", and this reads ",
                        detail::newest_version, ": use the gradus that wrote it, or a newer one"});
    std::string head = file.head();
    const std::size_t at = detail::find_checksum(head);
    if (at == head.npos) raise<IoError>({operation, ": ", path, ": has no checksum: it was damaged"});
    const std::string expected = head.substr(at, detail::no_checksum.size());
    head.replace(at, detail::no_checksum.size(), detail::no_checksum);
    Checksum sum;
    sum.update(head);
    State state;
    for (const std::string& name : file.names()) {  // in the order of their data
        io::AnyTensor tensor = file.read(name);
        sum.update({reinterpret_cast<const char*>(tensor.bytes().data()), tensor.bytes().size()});
        state.emplace(name, std::move(tensor));
    }
    if (const std::string got = detail::checksum_text(sum); got != expected)
        raise<IoError>({operation, ": ", path, ": was damaged: its checksum must be ", expected, ": got ",
                        got, "; take the checkpoint before it"});
    return state;
}

namespace detail {

inline constexpr const char* generator_name = "default_generator";

/// The state of these parts and of what every run has.
[[gnu::cold]] inline State snapshot(const Position& position, std::span<const SavedPart> parts) {
    State state;
    StateWriter writer(state);
    StateWriter at = writer.in("position");
    at.put("epoch", position.epoch);
    at.put("batch", position.batch);
    at.put("step", position.step);
    save_part(writer, part(generator_name, default_generator()));
    for (const SavedPart& part : parts) part.save(part.value, writer.in(part.name));
    return state;
}
template <class... Parts>
State snapshot(const Position& position, const Parts&... parts) {
    const std::array<SavedPart, sizeof...(Parts)> erased{saved_part(parts)...};
    return snapshot(position, std::span<const SavedPart>(erased));
}

[[gnu::cold]] inline Position read_position(const StateReader& state) {
    const StateReader at = state.in("position");
    const Position position{at.get<Index>("epoch"), at.get<Index>("batch"), at.get<Index>("step")};
    for (const Index number : {position.epoch, position.batch, position.step})
        gradus::detail::check_count("position", "epoch, batch and step", number);
    return position;
}

/// Gives all parts what is theirs; if one refuses, all are as they were.
[[gnu::cold]] inline void load_parts(const StateReader& from, std::span<const LoadedPart> parts) {
    State before;
    StateWriter writer(before);
    for (const LoadedPart& part : parts) part.save(part.value, writer.in(part.name));
    try {
        for (const LoadedPart& part : parts) part.load(part.target, from.in(part.name));
    } catch (...) {
        const StateReader back(before);
        for (const LoadedPart& part : parts) part.load(part.target, back.in(part.name));
        throw;
    }
}

/// Throws ValueError if there are parts that have none of these names.
[[gnu::cold]] inline void check_all_known(const State& state, std::span<const LoadedPart> known,
                                          const std::string& where) {
    std::vector<std::string> unknown;
    for (const auto& [name, tensor] : state) {
        const auto is_in = [&full = name](std::string_view part) {
            return full.starts_with(part) && (full.size() == part.size() || full[part.size()] == '.');
        };
        bool is_known = is_in("position");
        for (const LoadedPart& part : known) is_known = is_known || is_in(part.name);
        if (is_known) continue;
        const std::string part = name.substr(0, name.find('.'));
        if (unknown.empty() || unknown.back() != part) unknown.push_back(part);
    }
    if (unknown.empty()) return;
    gradus::detail::raise<ValueError>(
        {where, ": holds parts that are not loaded here: ", some_of(unknown),
         ": pass them, too, to go on as if it had never stopped; training::load_parts takes some of a file"});
}

/// load_checkpoint() of what was read from the path. The first part is the default generator.
[[gnu::cold]] inline Position load_state(const std::string& path, const State& state,
                                         std::span<const LoadedPart> parts) {
    const std::string where = "load_checkpoint: " + path;
    Position position;
    in_name_of(where, [&] {
        const StateReader reader(state, "", where);
        position = read_position(reader);
        check_all_known(state, parts, where);
        load_parts(reader, parts);
    });
    return position;
}
template <class... Parts>
Position load_state(const std::string& path, const State& state, Parts&&... parts) {
    auto generator = part(generator_name, default_generator());
    const std::array<LoadedPart, sizeof...(Parts) + 1> erased{loaded_part(generator), loaded_part(parts)...};
    return load_state(path, state, std::span<const LoadedPart>(erased));
}

/// The same of training::load_parts().
[[gnu::cold]] inline Position load_some(const std::string& path, std::span<const LoadedPart> parts) {
    const State state = read_checkpoint(path, "load_parts");
    const std::string where = "load_parts: " + path;
    Position position;
    in_name_of(where, [&] {
        const StateReader reader(state, "", where);
        position = read_position(reader);
        load_parts(reader, parts);
    });
    return position;
}

/// The state that save_checkpoint() writes.
[[gnu::cold]] inline State state_to_save(const std::string& path, const Position& position,
                                         std::span<const SavedPart> parts) {
    State state;
    in_name_of("save_checkpoint: " + path, [&] { state = snapshot(position, parts); });
    return state;
}
template <class... Parts>
State state_to_save(const std::string& path, const Position& position, const Parts&... parts) {
    const std::array<SavedPart, sizeof...(Parts)> erased{saved_part(parts)...};
    return state_to_save(path, position, std::span<const SavedPart>(erased));
}

}  // namespace detail

/// Saves a run to one file, from which load_checkpoint() goes on as if it had never stopped: the bits of all
/// later steps are equal, at any batch, for any number of threads. `position` is the next batch to train on.
/// The old file goes only when the new one has reached the disk.
///
///     training::save_checkpoint("last.safetensors", {.epoch = epoch, .batch = i + 1, .step = step}, net, adam);
///
/// Throws IoError with the path and the reason; ValueError for two parts of one name: part() names them.
template <class... Parts>
void save_checkpoint(const std::string& path, const Position& position, const Parts&... parts) {
    write_checkpoint(path, detail::state_to_save(path, position, parts...));
}

/// Goes on where a run stood when save_checkpoint() was called with the same parts: gives them their state,
/// the default generator its, and returns the next batch to train on.
///
///     training::Position at = training::load_checkpoint("last.safetensors", net, adam);
///
/// If it throws, nothing is changed at all: IoError for a file that is no whole checkpoint; ValueError or
/// ShapeError, which list the names, for one of another model, optimizer or set of parts.
template <class... Parts>
Position load_checkpoint(const std::string& path, Parts&&... parts) {
    return detail::load_state(path, read_checkpoint(path), parts...);
}

/// Gives these parts their state and leaves what else there is in the file, and the default generator: the
/// averaged model of a run, say, to predict with it. Throws as load_checkpoint().
///
///     training::load_parts("best.safetensors", net);
template <class... Parts>
Position load_parts(const std::string& path, Parts&&... parts) {
    const std::array<detail::LoadedPart, sizeof...(Parts)> erased{detail::loaded_part(parts)...};
    return detail::load_some(path, std::span<const detail::LoadedPart>(erased));
}

}  // namespace gradus::training
