// SPDX-License-Identifier: MIT
#include "gradus/data/idx.hpp"

#include "../fuzz.hpp"

// IDX files, plain and compressed.
void fuzz(std::string_view input) {
    const MemoryFile file(input);
    accepted([&] {
        const auto images = gradus::data::read_idx(file.path(), {.max_bytes = 1 << 24});
        require(images.numel() > 0);
    });
}
