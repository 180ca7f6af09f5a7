// SPDX-License-Identifier: MIT
#include "gradus/io/safetensors.hpp"

#include "../fuzz.hpp"

using namespace gradus;

void fuzz(std::string_view input) {
    const MemoryFile input_file(input);
    std::vector<io::NamedTensor> tensors;
    const bool read = accepted([&] {
        const io::SafetensorsFile file(input_file.path());
        std::size_t bytes = 0;
        for (const std::string& name : file.names()) {
            tensors.push_back({name, file.read(name)});
            require(tensors.back().tensor.shape() == file.shape(name));
            bytes += tensors.back().tensor.bytes().size();
        }
        require(bytes <= input.size());  // no byte belongs to two tensors
    });
    // What could be read can be written.
    if (read) require(!io::detail::safetensors_layout("fuzz", "", tensors, {}).head.empty());
}
