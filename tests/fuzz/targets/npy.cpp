// SPDX-License-Identifier: MIT
#include "gradus/io/npy.hpp"

#include "../fuzz.hpp"

using namespace gradus;

void fuzz(std::string_view input) {
    const MemoryFile file(input);
    accepted([&] {
        const io::AnyTensor tensor = io::read_npy(file.path());
        require(tensor.bytes().size() <= input.size());
        require(!io::detail::npy_head("fuzz", "", tensor).empty());  // what could be read can be written
    });
}
