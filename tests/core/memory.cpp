// SPDX-License-Identifier: MIT
#include "gradus/core/memory.hpp"

#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "gradus/core/tensor.hpp"
#include "support/test.hpp"

using gradus::detail::BlockCache;

#if defined(__SANITIZE_ADDRESS__)
#define GRADUS_TEST_RECYCLES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GRADUS_TEST_RECYCLES 0
#endif
#endif
#ifndef GRADUS_TEST_RECYCLES
#define GRADUS_TEST_RECYCLES 1  // under the address sanitizer every block comes from the system
#endif

#if defined(__SANITIZE_THREAD__)
#define GRADUS_TEST_THREADS_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GRADUS_TEST_THREADS_CHECKED 1
#endif
#endif
#ifndef GRADUS_TEST_THREADS_CHECKED
#define GRADUS_TEST_THREADS_CHECKED 0
#endif

namespace {

bool is_aligned(const void* memory) { return reinterpret_cast<std::uintptr_t>(memory) % 64 == 0; }

/// A block that is taken when made and given back at the end.
struct Block {
    explicit Block(std::size_t size) : memory(BlockCache::take(size)), bytes(size) {}
    Block(Block&& other) noexcept : memory(std::exchange(other.memory, nullptr)), bytes(other.bytes) {}
    ~Block() {
        if (memory) BlockCache::give(memory, bytes);
    }
    void* memory;
    std::size_t bytes;
};

}  // namespace

TEST_CASE("blocks of every size are aligned, large enough and apart", "[core][memory]") {
    std::vector<Block> blocks;
    for (std::size_t bytes = 0; bytes <= 2100; bytes += bytes < 300 ? 1 : 37) blocks.emplace_back(bytes);
    for (int power = 12; power <= 22; ++power)
        for (const std::size_t less : {0u, 1u, 2u}) blocks.emplace_back((std::size_t{1} << power) + 1 - less);

    bool aligned = true, intact = true;
    unsigned char mark = 0;
    for (const Block& block : blocks) {
        aligned = aligned && is_aligned(block.memory);
        std::memset(block.memory, mark++, block.bytes);  // a block that is too small is caught here or below
    }
    mark = 0;
    for (const Block& block : blocks) {
        const auto* first = static_cast<const unsigned char*>(block.memory);
        for (std::size_t i = 0; i < block.bytes; ++i) intact = intact && first[i] == mark;
        ++mark;
    }
    CHECK(aligned);
    CHECK(intact);
}

TEST_CASE("a block that was given back is the next one of its size", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    for (const std::size_t bytes : {1u, 64u, 65u, 1000u, 4096u, 1u << 20, 1u << 28}) {
        void* first = BlockCache::take(bytes);
        BlockCache::give(first, bytes);
        void* second = BlockCache::take(bytes);
        CHECK(second == first);
        BlockCache::give(second, bytes);
    }
}

TEST_CASE("sizes of one class share blocks, others do not", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    void* block = BlockCache::take(81);
    BlockCache::give(block, 81);
    const Block smaller(80), larger(97), same(96);
    CHECK(smaller.memory != block);
    CHECK(larger.memory != block);
    CHECK(same.memory == block);
}

TEST_CASE("a block of 256 MiB is recycled, a larger one is not kept", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    constexpr std::size_t limit = std::size_t{1} << 28;
    void* kept = BlockCache::take(limit);
    BlockCache::give(kept, limit);
    {
        const Block larger(limit + 1);
        CHECK(larger.memory != kept);
        CHECK(is_aligned(larger.memory));
    }
    const Block again(limit);
    CHECK(again.memory == kept);
}

TEST_CASE("what a thread keeps is bounded", "[core][memory]") {
    // Six blocks of 256 MiB that nobody touches cost no memory. Four of them are the bound of 1 GiB.
    if (!GRADUS_TEST_RECYCLES) return;
    std::thread([] {
        constexpr std::size_t bytes = std::size_t{1} << 28;
        std::vector<void*> given;
        {
            std::vector<Block> blocks;
            for (int i = 0; i < 6; ++i) blocks.emplace_back(bytes);
            for (const Block& block : blocks) given.push_back(block.memory);
        }
        std::vector<Block> taken;
        for (std::size_t i = 0; i < 4; ++i) taken.emplace_back(bytes);
        std::set<void*> known(given.begin(), given.end());
        int recycled = 0;
        for (const Block& block : taken) recycled += known.count(block.memory) > 0;
        CHECK(recycled == 4);
    }).join();
}

TEST_CASE("a block may be given back by another thread", "[core][memory]") {
    for (int round = 0; round < 20; ++round) {
        std::vector<Block> blocks;
        for (std::size_t i = 0; i < 50; ++i) blocks.emplace_back(i * 100);
        std::thread([moved = std::move(blocks)]() mutable { moved.clear(); }).join();
    }
    SUCCEED("no crash, no leak, no race");
}

TEST_CASE("a block given back by a thread goes to that thread", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    void* block = BlockCache::take(5000);
    std::thread([block] {
        BlockCache::give(block, 5000);
        const Block next(5000);
        CHECK(next.memory == block);
    }).join();
}

TEST_CASE("objects that outlive a thread's cache still find it", "[core][memory]") {
    std::thread([] {
        static thread_local gradus::Tensor<> late;  // made before the cache, so destroyed after it
        late = gradus::ones({100});
        CHECK(late(99) == 1.0f);
    }).join();
    SUCCEED("no crash at the end of the thread");
}

TEST_CASE("a size that no machine has is refused by the allocator", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES || GRADUS_TEST_THREADS_CHECKED) return;  // sanitizers stop the program instead
    const volatile std::size_t huge = std::numeric_limits<std::size_t>::max() / 4;
    CHECK_THROWS_AS(BlockCache::take(huge), std::bad_alloc);
    CHECK_THROWS_AS(gradus::Tensor<double>::uninitialized({gradus::Index{1} << 55}), std::bad_alloc);
}
