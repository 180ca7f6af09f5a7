// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "gradus/core/separate.hpp"
#include "gradus/core/shape.hpp"

// How the files of a run are named, and the folder in which they are.

namespace gradus::training::detail {

/// Of the checkpoint after step n: "step-12.safetensors".
[[gnu::cold]] std::string step_file(Index n);

/// N of "step-N.safetensors", or -1.
[[gnu::cold]] Index step_of(std::string_view file);

/// Makes a folder that is not there, and those that it is in. Throws IoError, in the name of `operation`, if that cannot be
/// done or there is a file of its name.
[[gnu::cold]] void make_folder(const char* operation, const std::string& path);

}  // namespace gradus::training::detail

#if !GRADUS_SEPARATE
#include "gradus/training/checkpoint_files.inc"
#endif
