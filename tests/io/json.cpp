// SPDX-License-Identifier: MIT
// What is refused is in lies.cpp.
#include "gradus/io/json.hpp"

#include "support/test.hpp"

using namespace gradus::io::detail;

TEST_CASE("JsonReader: reads what has to be there") {
    JsonReader json(
        R"( {"sizes" : [1, 20 ,18446744073709551615], "deep":{"a":[{},[],""]}, "x":-1.5e+3, "y":null} )",
        "test");
    std::vector<std::uint64_t> sizes;
    std::string keys, x, deep;
    json.begin_object();
    for (std::string key; json.next_key(key);) {
        keys += key + " ";
        if (key == "sizes") {
            json.begin_array();
            while (json.next_item()) sizes.push_back(json.unsigned_integer());
        } else if (key == "x") {
            x = json.number();
        } else if (key == "y") {
            CHECK(json.kind() == JsonReader::Kind::word);
            CHECK(json.word() == "null");
        } else {
            deep = json.skip();
        }
    }
    json.end();
    CHECK(sizes == std::vector<std::uint64_t>{1, 20, 18446744073709551615u});
    CHECK(keys == "sizes deep x y ");
    CHECK(x == "-1.5e+3");
    CHECK(deep == R"({"a":[{},[],""]})");
}

TEST_CASE("JsonReader: text, escaped and not") {
    const auto text = [](std::string_view json) { return JsonReader(json, "test").string(); };
    CHECK(text(R"("")").empty());
    CHECK(text(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t");
    CHECK(text(R"("\u0041\u00e9\u20AC\ud83d\ude00é")") == "Aé€😀é");
    CHECK(text(R"("\u0000x")") == std::string("\0x", 2));
    for (const std::string& any : {std::string("a\"\\\b\f\n\r\t\x01\x1f\x7f/é€😀"), std::string("\0", 1)})
        CHECK(text(json_string(any)) == any);
    CHECK(json_string(std::string("\x01\x1f\0", 3)) == R"("\u0001\u001f\u0000")");
}

TEST_CASE("JsonReader: numbers that are no sizes are left to be read in another way") {
    std::uint64_t value = 0;
    for (const char* text : {"-1", "1.0", "1e2", "18446744073709551616", "99999999999999999999999", "-0"}) {
        JsonReader json(text, "test");
        CHECK_FALSE(json.try_unsigned(value));
        CHECK(json.number() == text);
        json.end();
    }
    JsonReader word("true", "test");
    CHECK_FALSE(word.try_unsigned(value));
    CHECK_THROWS_MATCHES(
        word.unsigned_integer(), gradus::IoError,
        Message("test: not JSON at byte 0: expected an integer from 0 to 2^64 - 1: got 't'"));
}

TEST_CASE("JsonReader: names in messages are short, and whole characters") {
    CHECK(shown("a\n") == R"("a\n")");
    CHECK(shown(std::string(81, 'a')) == "\"" + std::string(80, 'a') + "\"...");
    CHECK(shown(std::string(79, 'a') + "é") == "\"" + std::string(79, 'a') + "\"...");
    CHECK(excerpt("[1,\n2]") == "[1, 2]");
}
