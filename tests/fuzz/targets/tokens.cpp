// SPDX-License-Identifier: MIT
#include "gradus/data/tokens.hpp"

#include "../fuzz.hpp"

using namespace gradus;

// All tokens of a file that was opened can be read, and all batches of its windows.
void fuzz(std::string_view input) {
    const unsigned how = input.empty() ? 0 : static_cast<unsigned char>(input.back());
    const MemoryFile file(input);
    accepted([&] {
        const data::TokenFile tokens(file.path(),
                                     {.type = how & 1 ? data::TokenType::u32 : data::TokenType::u16,
                                      .header_bytes = static_cast<Index>(how >> 4),
                                      .vocabulary = how & 2 ? 1000 : 0});
        require(tokens.tokens(0, tokens.size()).numel() == tokens.size());
        const data::TokenLoader loader(
            tokens, {.length = 1 + (how >> 2 & 3), .batch_size = 2, .stride = how & 3, .shuffle = true});
        Index batches = 0;
        for (const auto& [inputs, labels] : loader.epoch(0)) batches += inputs.shape() == labels.shape();
        require(batches == loader.size());
    });
}
