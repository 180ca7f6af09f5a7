// SPDX-License-Identifier: MIT
#include "gradus/data/tokens.hpp"

#include <set>

#include "files.hpp"
#include "support/test.hpp"

using namespace gradus;
using data::TokenFile;
using data::TokenFileOptions;
using data::TokenLoader;
using data::TokenType;

namespace {

std::string little_endian(const std::vector<std::uint32_t>& numbers, int bytes) {
    std::string text;
    for (const std::uint32_t number : numbers)
        for (int i = 0; i < bytes; ++i) text += static_cast<char>(number >> 8 * i & 255);
    return text;
}

std::string llm_c_header(std::uint32_t magic, std::uint32_t version, std::uint32_t count) {
    std::vector<std::uint32_t> header(256);
    header[0] = magic, header[1] = version, header[2] = count;
    return little_endian(header, 4);
}

/// The text of the IoError, without its beginning "token file: PATH: ".
std::string refusal_of(const std::string& bytes, const TokenFileOptions& options = {}) {
    const TemporaryFolder folder;
    const std::string path = folder.write("t.bin", bytes), start = "token file: " + path + ": ";
    try {
        const TokenFile file(path, options);
        file.tokens(0, file.size());
    } catch (const IoError& error) {
        const std::string text = error.what();
        REQUIRE(text.substr(0, start.size()) == start);
        return text.substr(start.size());
    }
    return "accepted";
}

/// Tokens 0, 1, ..., count - 1.
TokenFile counting(const TemporaryFolder& folder, Index count) {
    const std::string path = folder / "counting.bin";
    data::write_tokens(path, arange<Index>(count));
    return TokenFile(path);
}

}  // namespace

TEST_CASE("tokens are read from anywhere in a file") {
    const TemporaryFolder folder;
    const std::string small = folder.write("a", little_endian({1, 256, 65535}, 2));
    const TokenFile file(small);
    CHECK(file.size() == 3);
    CHECK(file.tokens(0, 3) == Tensor<Index>{1, 256, 65535});
    CHECK(file.tokens(1, 1) == Tensor<Index>{256});
    CHECK(file.tokens(3, 0).numel() == 0);
    const std::string large = folder.write("b", "head" + little_endian({1, 0xffffffff}, 4));
    CHECK(TokenFile(large, {.type = TokenType::u32, .header_bytes = 4}).tokens(0, 2) ==
          Tensor<Index>{1, 4294967295});
    for (const auto& [first, count] :
         {std::pair<Index, Index>{0, 4}, {-1, 1}, {3, 1}, {4, 0}, {0, -1}, {1, 3}})
        CHECK_THROWS_AS(file.tokens(first, count), ValueError);
    CHECK_THROWS_MATCHES(file.tokens(2, 2), ValueError,
                         Message("token file: the tokens are 0 to 2: got 2 to 3"));
}

TEST_CASE("the header of llm.c is known") {
    const TemporaryFolder folder;
    const std::string gpt2 = folder.write("a", llm_c_header(20240520, 1, 2) + little_endian({7, 50256}, 2));
    CHECK(TokenFile(gpt2).tokens(0, 2) == Tensor<Index>{7, 50256});
    const std::string llama = folder.write("b", llm_c_header(20240801, 7, 2) + little_endian({7, 128000}, 4));
    CHECK(TokenFile(llama).tokens(0, 2) == Tensor<Index>{7, 128000});
    CHECK(refusal_of(llm_c_header(20240520, 1, 3) + little_endian({7, 8}, 2)) ==
          "its header says 3 tokens: got 2; was it copied whole?");
    CHECK(refusal_of(llm_c_header(20240520, 1, 3).substr(0, 1000)) ==
          "truncated header: needs 1024 bytes: got 1000");
    CHECK(refusal_of(llm_c_header(20240520, 2, 1) + "xx") == "is of version 2; version 1 is read");
}

TEST_CASE("files that hold no tokens are refused") {
    CHECK(refusal_of("") == "has no tokens: got 0 bytes");
    CHECK(refusal_of("abc") == "holds no whole number of tokens, each of 2 bytes: got 3 bytes");
    CHECK(refusal_of("abcdef", {.type = TokenType::u32}) ==
          "holds no whole number of tokens, each of 4 bytes: got 6 bytes");
    CHECK(refusal_of("abcd", {.header_bytes = 4}) == "has no tokens: got 4 bytes");
    CHECK(refusal_of(little_endian({1, 2, 9}, 2), {.vocabulary = 9}) ==
          "tokens are 0 to 8: got 9 at index 2; is it a file of the other TokenType, or with a header?");
    CHECK(refusal_of(little_endian({1, 2, 8}, 2), {.vocabulary = 9}) == "accepted");
    CHECK_THROWS_MATCHES(
        TokenFile("/absent"), IoError,
        Message("token file: /absent: cannot be opened: No such file or directory; check the path"));
    CHECK_THROWS_MATCHES(TokenFile("/tmp"), IoError,
                         Message("token file: /tmp: is a directory; name a file inside it"));
    CHECK_THROWS_MATCHES(refusal_of("ab", {.header_bytes = -1}), ValueError,
                         Message("token file: header_bytes and vocabulary are at least 0: got -1"));
}

TEST_CASE("write_tokens refuses what does not fit") {
    const TemporaryFolder folder;
    data::write_tokens(folder / "a", {0, 65536}, TokenType::u32);
    CHECK(content(folder / "a") == little_endian({0, 65536}, 4));
    CHECK_THROWS_MATCHES(data::write_tokens(folder / "a", {0, 65536}), ValueError,
                         Message("write_tokens: tokens of this type are 0 to 65535: got 65536 at index 1"));
    CHECK_THROWS_AS(data::write_tokens(folder / "a", {-1}, TokenType::u32), ValueError);
}

TEST_CASE("windows of a text come in batches, with what follows as labels") {
    const TemporaryFolder folder;
    const TokenLoader loader(counting(folder, 11), {.length = 3, .batch_size = 2});
    REQUIRE(loader.size() == 2);
    const auto epoch = loader.epoch(0);
    CHECK(epoch[0].inputs == Tensor<Index>{{0, 1, 2}, {3, 4, 5}});
    CHECK(epoch[0].labels == Tensor<Index>{{1, 2, 3}, {4, 5, 6}});
    CHECK(epoch[1].inputs == Tensor<Index>{{6, 7, 8}});
    CHECK(epoch[1].labels == Tensor<Index>{{7, 8, 9}});
    Index batches = 0;
    for (auto& [inputs, labels] : epoch) CHECK(inputs == epoch[batches++].inputs);
    CHECK(batches == 2);
    CHECK(TokenLoader(counting(folder, 11), {.length = 3, .batch_size = 2, .drop_last = true}).size() == 1);
    CHECK(TokenLoader(counting(folder, 4), {.length = 3}).epoch(0)[0].labels == Tensor<Index>{{1, 2, 3}});
    const TokenLoader dense(counting(folder, 6), {.length = 3, .stride = 1});
    CHECK(dense.epoch(0)[0].inputs == Tensor<Index>{{0, 1, 2}, {1, 2, 3}, {2, 3, 4}});
    CHECK_THROWS_MATCHES(epoch[2], ValueError, Message("token loader: the batches are 0 to 1: got 2"));
}

TEST_CASE("shuffled windows are a function of seed and epoch, and each comes once") {
    const TemporaryFolder folder;
    const data::TokenLoaderOptions options{.length = 4, .batch_size = 7, .shuffle = true, .seed = 5};
    const TokenLoader loader(counting(folder, 401), options), again(counting(folder, 401), options);
    const auto starts = [](const auto& epoch) {
        std::vector<Index> result;
        for (const auto& [inputs, labels] : epoch)
            for (Index i = 0; i < inputs.size(0); ++i) result.push_back(inputs(i, 0));
        return result;
    };
    const auto first = starts(loader.epoch(0)), second = starts(loader.epoch(1));
    CHECK(std::set<Index>(first.begin(), first.end()).size() == 100);
    CHECK(first != second);
    CHECK(starts(again.epoch(1)) == second);
    CHECK(loader.epoch(1)[9].inputs == again.epoch(1)[9].inputs);  // out of order
}

TEST_CASE("a token loader refuses windows that there are not") {
    const TemporaryFolder folder;
    const TokenFile file = counting(folder, 10);
    CHECK_THROWS_MATCHES(TokenLoader(file, {.length = 10}), ValueError,
                         Message("token loader: " + file.path() +
                                 " has 10 tokens, and a window needs one more than its length, 11"));
    CHECK_THROWS_MATCHES(
        TokenLoader(file, {.length = 5, .drop_last = true}), ValueError,
        Message("token loader: there are no batches: drop_last leaves out all 1 windows, fewer than "
                "the batch of 8"));
    CHECK_THROWS_MATCHES(TokenLoader(file, {.length = 0}), ValueError,
                         Message("token loader: length must be at least 1: got 0"));
    CHECK_THROWS_MATCHES(TokenLoader(file, {.length = 2, .batch_size = 0}), ValueError,
                         Message("token loader: batch_size must be at least 1: got 0"));
    CHECK_THROWS_MATCHES(TokenLoader(file, {.length = 2, .stride = -1}), ValueError,
                         Message("token loader: stride must be at least 0: got -1"));
    CHECK_THROWS_MATCHES(TokenLoader(file, {.length = 2}).epoch(-1), ValueError,
                         Message("token loader: the epoch must be at least 0: got -1"));
}
