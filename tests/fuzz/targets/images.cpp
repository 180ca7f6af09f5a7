// SPDX-License-Identifier: MIT
#include "gradus/data/images.hpp"

#include "../fuzz.hpp"

using namespace gradus;

// PNG where the program has libpng, PGM and PPM: what was read is the same when it is written and read again.
void fuzz(std::string_view input) {
    accepted([&] {
        const Tensor<std::uint8_t> image = data::decode_image(input, {.max_bytes = 1 << 20});
        require(image.rank() == 3 && image.numel() > 0);
        if (image.size(0) % 2 == 1) require(data::decode_image(data::encode_pnm(image)) == image);
        if (input[0] != 'P') require(data::decode_image(data::encode_png(image)) == image);
    });
}
