// SPDX-License-Identifier: MIT
#include "gradus/io/pytorch.hpp"

#include "../fuzz.hpp"

using namespace gradus;

void fuzz(std::string_view input) {
    const MemoryFile input_file(input);
    accepted([&] {
        io::PytorchFile file(input_file.path(), {.max_bytes = 1 << 20});
        for (const std::string& name : file.names())
            accepted([&] { require(file.read(name).shape() == file.shape(name)); });
    });
}
