// SPDX-License-Identifier: MIT
#include "gradus/io/json.hpp"

#include "../fuzz.hpp"

using gradus::io::detail::JsonReader;

void fuzz(std::string_view input) {
    require(gradus::detail::utf8_prefix(input) <= input.size());
    if (gradus::detail::utf8_prefix(input) < input.size()) return;  // which the reader is promised
    std::string text(input);
    accepted([&] {
        JsonReader check(text, "json");
        check.check_value(1000);
        check.end();
        JsonReader whole(text, "json");
        const std::string_view value = whole.skip();
        require(value.size() <= text.size());
    });
    // What is written is read as the same.
    const std::string written = gradus::io::detail::json_string(input);
    std::string back;
    require(accepted([&] { back = JsonReader(written, "json").string(); }));
    require(back == input);
}
