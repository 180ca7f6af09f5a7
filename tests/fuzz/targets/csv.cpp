// SPDX-License-Identifier: MIT
#include "gradus/data/csv.hpp"

#include "../fuzz.hpp"
#include "gradus/data/table_encoder.hpp"

using namespace gradus;

// What was read can be encoded, and the encoder written and read again. The first byte says with which options.
void fuzz(std::string_view input) {
    const unsigned how = input.empty() ? 0 : static_cast<unsigned char>(input[0]);
    const MemoryFile file(input);
    for (const bool header : {true, false})
        accepted([&] {
            const data::Table table =
                data::read_csv(file.path(), {.separator = how & 1 ? ',' : ';',
                                             .header = header,
                                             .missing = how & 2 ? data::Missing::refuse : data::Missing::keep,
                                             .trim = (how & 4) != 0});
            const auto encode = data::TableEncoder::fit(
                table,
                {.fill_missing = true, .unseen = how & 8 ? data::Unseen::other : data::Unseen::refuse});
            const auto again = data::TableEncoder::from_text(encode.text());
            require(again.text() == encode.text() && again(table) == encode(table));
        });
    accepted([&] { data::TableEncoder::from_text(input).names(); });
}
