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
#include "gradus/core/separate.hpp"
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

[[gnu::cold]] std::string checksum_text(const Checksum& sum);

/// Where the digits of the checksum begin in what stands before the data of a file; npos if nowhere.
[[gnu::cold]] std::size_t find_checksum(std::string_view head);

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
[[gnu::cold]] void write_checkpoint(const std::string& path, const State& state,
                                    const char* operation = "save_checkpoint");

/// Reads all that a checkpoint holds. Throws IoError for a file that is none, is of a newer format, was cut
/// short, or has a single bit that differs from what was written.
[[gnu::cold]] State read_checkpoint(const std::string& path, const char* operation = "load_checkpoint");

namespace detail {

inline constexpr const char* generator_name = "default_generator";

/// The state of these parts and of what every run has.
[[gnu::cold]] State snapshot(const Position& position, std::span<const SavedPart> parts);
template <class... Parts>
State snapshot(const Position& position, const Parts&... parts) {
    const std::array<SavedPart, sizeof...(Parts)> erased{saved_part(parts)...};
    return snapshot(position, std::span<const SavedPart>(erased));
}

[[gnu::cold]] Position read_position(const StateReader& state);

/// Gives all parts what is theirs; if one refuses, all are as they were.
[[gnu::cold]] void load_parts(const StateReader& from, std::span<const LoadedPart> parts);

/// Throws ValueError if there are parts that have none of these names.
[[gnu::cold]] void check_all_known(const State& state, std::span<const LoadedPart> known,
                                   const std::string& where);

/// load_checkpoint() of what was read from the path. The first part is the default generator.
[[gnu::cold]] Position load_state(const std::string& path, const State& state,
                                  std::span<const LoadedPart> parts);
template <class... Parts>
Position load_state(const std::string& path, const State& state, Parts&&... parts) {
    auto generator = part(generator_name, default_generator());
    const std::array<LoadedPart, sizeof...(Parts) + 1> erased{loaded_part(generator), loaded_part(parts)...};
    return load_state(path, state, std::span<const LoadedPart>(erased));
}

/// The same of training::load_parts().
[[gnu::cold]] Position load_some(const std::string& path, std::span<const LoadedPart> parts);

/// The state that save_checkpoint() writes.
[[gnu::cold]] State state_to_save(const std::string& path, const Position& position,
                                  std::span<const SavedPart> parts);
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

#if !GRADUS_SEPARATE
#include "gradus/training/checkpoint.inc"
#endif
