// SPDX-License-Identifier: MIT
#pragma once

#include <sys/stat.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "gradus/core/error.hpp"

namespace gradus::data {
namespace detail {

using gradus::detail::text_of;

/// The folder that the caller names, or where a set may be if that is none.
[[gnu::cold]] inline std::vector<std::string> usual_places(std::string_view name, const std::string& folder) {
    std::vector<std::string> places;
    if (!folder.empty()) {
        places.push_back(text_of({folder}));
        return places;
    }
    const auto add = [&](const char* variable, const char* below) {
        const char* root = std::getenv(variable);
        if (!root || !*root) return false;
        places.push_back(text_of({root, below, name}));
        return true;
    };
    add("GRADUS_DATA", "/");
    if (name == "fashion-mnist") places.push_back("/usr/share/datasets/fashion-mnist");  // Debian's package
    if (!add("XDG_CACHE_HOME", "/gradus/") && !add("HOME", "/.cache/gradus/"))
        add("LOCALAPPDATA", "/gradus/");
    return places;
}

}  // namespace detail

/// The path of a file of a data set: of the first of these that there is: $GRADUS_DATA/`set`/`file`,
/// $XDG_CACHE_HOME/gradus/`set`/`file` (~/.cache if that variable is not set). Throws IoError, with all of them.
[[gnu::cold]] inline std::string find_file(const std::string& set, const std::string& file) {
    std::string tried;
    for (const std::string& place : detail::usual_places(set, "")) {
        const std::string path = detail::text_of({place, "/", file});
        struct stat status;
        if (::stat(path.c_str(), &status) == 0) return path;
        tried = detail::text_of({tried, tried.empty() ? "" : ", ", path, " does not exist"});
    }
    gradus::detail::raise<IoError>({"find_file: ", tried.empty() ? "HOME is not set" : tried,
                                    "; run examples/get_data.sh ", set, ", or pass the path of the file"});
}

}  // namespace gradus::data
