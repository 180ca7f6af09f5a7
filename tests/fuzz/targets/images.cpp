// SPDX-License-Identifier: MIT
#include "gradus/data/images.hpp"

#include "../fuzz.hpp"

using namespace gradus;

// PNG where the program has libpng, PGM and PPM.
void fuzz(std::string_view input) {
    accepted([&] {
        const Tensor<std::uint8_t> image = data::decode_image(input, {.max_bytes = 1 << 22});
        require(image.rank() == 3 && image.numel() > 0);
    });
}
