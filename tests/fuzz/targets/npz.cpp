// SPDX-License-Identifier: MIT
#include "gradus/io/npz.hpp"

#include "../fuzz.hpp"

using namespace gradus;

void fuzz(std::string_view input) {
    const MemoryFile file(input);
    accepted([&] {
        for (const io::NamedTensor& t : io::read_npz(file.path(), {.max_bytes = 1 << 22}))
            require(t.tensor.bytes().size() <= std::max<std::size_t>(input.size(), 1 << 22));
    });
}
