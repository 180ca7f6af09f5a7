// SPDX-License-Identifier: MIT
#include "images.cpp"

// The chunks of a PNG file are changed, and their sizes and checksums set right again.
#if defined(GRADUS_FUZZER)

#include <vector>

std::string mutate(const std::string& input, Dice dice) {
    if (!input.starts_with(data::detail::png_signature)) return mutated(input);
    std::vector<std::string> chunks;  // their types and contents
    const auto byte = [&](std::size_t at) { return std::size_t{static_cast<unsigned char>(input[at])}; };
    for (std::size_t at = 8; at + 12 <= input.size();) {
        const std::size_t size = byte(at) << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3);
        if (size > input.size() - at - 12) break;
        chunks.push_back(input.substr(at + 4, size + 4));
        at += size + 12;
    }
    if (chunks.empty()) return mutated(input);
    const std::size_t at = dice.below(chunks.size());
    if (dice.below(8) == 0)
        chunks.insert(chunks.begin() + static_cast<std::ptrdiff_t>(dice.below(chunks.size())),
                      std::string(chunks[at]));
    else
        chunks[at] = chunks[at].substr(0, 4) + mutated(chunks[at].substr(4));
    std::string file(data::detail::png_signature);
    for (const std::string& chunk : chunks)
        file += data::detail::big_endian(static_cast<std::uint32_t>(chunk.size() - 4)) + chunk +
                data::detail::big_endian(detail::crc32(chunk.data(), chunk.size()));
    return file;
}

GRADUS_MUTATOR

#endif
