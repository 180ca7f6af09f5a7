// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>

#include "gradus/core/error.hpp"
#include "support/memory_file.hpp"

// What the fuzz targets share. A target is one file of targets/, which gives a parser the input; it may be refused
// with a gradus::Error or for want of memory, and nothing else may happen. It says what must hold of what was read
// with require().

/// Ends the program, so that the fuzzer keeps the input, unless something holds.
inline void require(bool holds) {
    if (!holds) std::abort();
}

/// Runs what may be refused. False if it was.
template <class Action>
bool accepted(const Action& action) {
    try {
        action();
        return true;
    } catch (const gradus::Error& error) {
        require(error.what()[0] != '\0');
    } catch (const std::bad_alloc&) {
    }
    return false;
}

void fuzz(std::string_view input);  // the target

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz({reinterpret_cast<const char*>(data), size});
    return 0;
}

#if defined(GRADUS_FUZZER)

#include <algorithm>

// Mutators: what a target offers to change valid parts of its input, and to put the whole together again.

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

/// Bytes, changed by the fuzzer.
inline std::string mutated(std::string bytes, std::size_t grow = 32) {
    const std::size_t size = bytes.size();
    bytes.resize(size + grow);
    bytes.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(bytes.data()), size, bytes.size()));
    return bytes;
}

/// Random numbers of a mutator.
class Dice {
public:
    explicit Dice(unsigned seed) : state_(seed | std::uint64_t{1} << 32) {}
    std::size_t below(std::size_t count) {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return count == 0 ? 0 : static_cast<std::size_t>(state_ >> 33) % count;
    }
    /// A number that breaks programs.
    std::uint64_t awkward() {
        const std::uint64_t numbers[] = {0,          1,          2,          3,          7,
                                         8,          255,        256,        65535,      1u << 31,
                                         0xffffffff, 1ull << 32, 1ull << 40, 1ull << 56, (1ull << 63) - 1,
                                         1ull << 63, ~0ull,      ~0ull - 7};
        return numbers[below(std::size(numbers))];
    }

private:
    std::uint64_t state_;
};

std::string mutate(const std::string& input, Dice dice);  // of a target that has GRADUS_MUTATOR

#define GRADUS_MUTATOR                                                                           \
    extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,         \
                                                   std::size_t max_size, unsigned seed) {        \
        const std::string out = mutate({reinterpret_cast<const char*>(data), size}, Dice(seed)); \
        const std::size_t count = std::min(out.size(), max_size);                                \
        std::copy_n(out.data(), count, reinterpret_cast<char*>(data));                           \
        return count;                                                                            \
    }

#endif
