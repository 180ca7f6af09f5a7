// SPDX-License-Identifier: MIT
#include "gradus/data/csv.hpp"

#include "../fuzz.hpp"

using namespace gradus;

void fuzz(std::string_view input) {
    const InputAsFile file(input);
    for (const bool header : {true, false})
        accepted([&] { data::read_csv(file.path(), {.header = header, .missing = data::Missing::keep}); });
}
