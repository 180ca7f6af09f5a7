// SPDX-License-Identifier: MIT
// Gives the files and folders that it is called with to a fuzz target, for compilers without a fuzzer.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int count, char** arguments) {
    int replayed = 0;
    const auto replay = [&](const std::filesystem::path& path) {
        std::ifstream file(path, std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        const auto run = [&](const std::string& input) {
            const std::vector<std::uint8_t> exact(input.begin(),
                                                  input.end());  // reading behind it is noticed
            LLVMFuzzerTestOneInput(exact.data(), exact.size());
            ++replayed;
        };
        run(bytes);
        // A fuzzer's first ideas, which need none: cut short, and a bit flipped.
        const std::size_t step = bytes.size() / 64 + 1;
        for (std::size_t at = 0; at < bytes.size(); at += step) {
            run(bytes.substr(0, at));
            std::string flipped = bytes;
            flipped[at] = static_cast<char>(flipped[at] ^ 1 << at % 8);
            run(flipped);
        }
    };
    for (int i = 1; i < count; ++i) {
        if (!std::filesystem::is_directory(arguments[i])) {
            replay(arguments[i]);
            continue;
        }
        for (const auto& entry : std::filesystem::directory_iterator(arguments[i])) replay(entry.path());
    }
    std::printf("%d inputs\n", replayed);
    return replayed > 0 ? 0 : 1;
}
