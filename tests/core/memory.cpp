// SPDX-License-Identifier: MIT
#include "gradus/core/memory.hpp"

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <atomic>
#include <chrono>
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

using gradus::memory_stats;
using gradus::MemoryStats;
using gradus::release_cached_memory;
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
    explicit Block(std::size_t size) : memory(BlockCache::allocate(size)), bytes(size) {}
    Block(Block&& other) noexcept : memory(std::exchange(other.memory, nullptr)), bytes(other.bytes) {}
    ~Block() {
        if (memory) BlockCache::deallocate(memory, bytes);
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
        void* first = BlockCache::allocate(bytes);
        BlockCache::deallocate(first, bytes);
        void* second = BlockCache::allocate(bytes);
        CHECK(second == first);
        BlockCache::deallocate(second, bytes);
    }
}

TEST_CASE("sizes of one class share blocks, others do not", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    void* block = BlockCache::allocate(81);
    BlockCache::deallocate(block, 81);
    const Block smaller(80), larger(97), same(96);
    CHECK(smaller.memory != block);
    CHECK(larger.memory != block);
    CHECK(same.memory == block);
}

TEST_CASE("a block of 256 MiB is recycled, a larger one is not kept", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    constexpr std::size_t limit = std::size_t{1} << 28;
    void* kept = BlockCache::allocate(limit);
    BlockCache::deallocate(kept, limit);
    {
        const Block larger(limit + 1);
        CHECK(larger.memory != kept);
        CHECK(is_aligned(larger.memory));
    }
    const Block again(limit);
    CHECK(again.memory == kept);
}

TEST_CASE("a block to spare of a larger class serves, and stays in its class", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    release_cached_memory();
    BlockCache::Size size(200'000);
    void* const large = BlockCache::allocate_at_least(size);
    CHECK(size.bytes == 229'376);
    BlockCache::deallocate(large, size);
    size = 120'000;  // three classes down
    void* const smaller = BlockCache::allocate_at_least(size);
    CHECK(smaller == large);
    CHECK(size.bytes == 229'376);
    BlockCache::deallocate(smaller, size);
    {
        const Block far(110'000), exact(120'000);  // four down; and a caller that wants this class alone
        CHECK(far.memory != large);
        CHECK(exact.memory != large);
    }
    const Block again(200'000);
    CHECK(again.memory == large);
}

TEST_CASE("statistics: in use, waiting, and the most that was in use", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    release_cached_memory();
    const MemoryStats before = memory_stats();
    CHECK(before.cached == 0);
    constexpr std::size_t mib = std::size_t{1} << 20;
    {
        const Block one(mib), two(2 * mib), small(1000);
        CHECK(memory_stats().live == before.live + 3 * mib);
        CHECK(memory_stats().cached == 0);
    }
    CHECK(memory_stats().live == before.live);
    CHECK(memory_stats().cached == 3 * mib);
    CHECK(memory_stats().peak >= before.live + 3 * mib);
    {
        const Block one(mib);
        CHECK(memory_stats().cached == 2 * mib);
        release_cached_memory();
        CHECK(memory_stats().cached == 0);
        CHECK(memory_stats().live == before.live + mib);
    }
    CHECK(memory_stats().cached == mib);
}

TEST_CASE("what is not needed for a while goes back to the system", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    release_cached_memory();
    constexpr std::size_t mib = std::size_t{1} << 20;
    { const Block once(64 * mib); }
    const auto step = [] {  // what a training step does: everything is needed in every step
        const Block a(mib), b(3 * mib);
        const Block c(mib);
    };
    const auto taken_by = [&](int steps) {
        for (int i = 0; i < steps; ++i) step();
        return memory_stats().cached / mib;
    };
    CHECK(taken_by(1) == 69);
    CHECK(taken_by(2000) == 5);  // two rounds later the block of 64 MiB is gone
    CHECK(taken_by(20000) == 5);
}

TEST_CASE("large blocks wait where every thread finds them", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    release_cached_memory();
    for (int round = 0; round < 5; ++round) {  // one thread takes, the other gives back
        Block block(100'000);
        std::thread([moved = std::move(block)] {}).join();
        CHECK(memory_stats().cached == 114'688);
    }
}

TEST_CASE("small blocks that a thread keeps are bounded", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    std::thread([] {
        constexpr std::size_t bytes = std::size_t{1} << 15, kept = 1024;  // 32 MiB
        std::vector<Block> fill, beyond;
        for (std::size_t i = 0; i < kept; ++i) fill.emplace_back(bytes);
        for (std::size_t i = 0; i < kept; ++i) beyond.emplace_back(bytes);
        std::set<void*> known;
        for (const Block& block : fill) known.insert(block.memory);
        fill.clear();
        beyond.clear();  // the list is full: to the system
        std::size_t recycled = 0;
        for (std::size_t i = 0; i < kept; ++i) {
            fill.emplace_back(bytes);
            recycled += known.count(fill.back().memory);
        }
        CHECK(recycled == kept);
    }).join();
}

TEST_CASE("blocks from 4 MiB on begin at a huge page", "[core][memory]") {
    for (const std::size_t mib : {4u, 5u, 9u, 300u}) {
        const Block block(mib << 20);
        CHECK(reinterpret_cast<std::uintptr_t>(block.memory) % BlockCache::huge_page == 0);
        std::memset(block.memory, 1, 4096);
    }
}

TEST_CASE("a vector of recycled memory", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    const int* memory = nullptr;
    {
        gradus::detail::RecycledVector<int> first{1, 2, 3};
        memory = first.data();
    }
    const gradus::detail::RecycledVector<int> second{4, 5, 6};
    CHECK(second.data() == memory);
    CHECK(second[2] == 6);
}

TEST_CASE("a block may be given back by another thread", "[core][memory]") {
    const std::size_t live = memory_stats().live;
    for (int round = 0; round < 20; ++round) {
        std::vector<Block> blocks;
        for (std::size_t i = 0; i < 50; ++i) blocks.emplace_back(i * i * 100);  // small and large ones
        std::thread([moved = std::move(blocks)]() mutable { moved.clear(); }).join();
    }
    CHECK(memory_stats().live == live);
}

TEST_CASE("a block given back by a thread goes to that thread", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES) return;
    void* block = BlockCache::allocate(5000);
    std::thread([block] {
        BlockCache::deallocate(block, 5000);
        const Block next(5000);
        CHECK(next.memory == block);
    }).join();
}

TEST_CASE("objects that outlive a thread's cache still find it", "[core][memory]") {
    const std::size_t live = memory_stats().live;
    std::thread([] {
        static thread_local gradus::Tensor<> small, large;  // made before the cache, so destroyed after it
        small = gradus::ones({100});
        large = gradus::ones({1'000'000});
        CHECK(small(99) + large(99) == 2.0f);
    }).join();
    CHECK(memory_stats().live == live);
}

TEST_CASE("a size that no machine has is refused by the allocator", "[core][memory]") {
    if (!GRADUS_TEST_RECYCLES || GRADUS_TEST_THREADS_CHECKED) return;  // sanitizers stop the program instead
    const volatile std::size_t huge = std::numeric_limits<std::size_t>::max() / 4;
    CHECK_THROWS_AS(BlockCache::allocate(huge), std::bad_alloc);
    CHECK_THROWS_AS(gradus::Tensor<double>::uninitialized({gradus::Index{1} << 55}), std::bad_alloc);
}

// Where blocks come from the sanitizer, a child may find the lock of its allocator taken.
#if defined(__unix__) && GRADUS_TEST_RECYCLES
TEST_CASE("fork: the child can allocate while other threads of the parent do", "[core][memory]") {
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t)
        threads.emplace_back([&stop] {
            while (!stop) {
                const Block first(100'000), second(200'000);
            }
        });
    int failures = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (failures == 0 && std::chrono::steady_clock::now() < end) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(10);  // ends a child that hangs
            const Block first(100'000);
            const gradus::Tensor<> second = gradus::ones({50'000});
            _exit(second(49'999) == 1.0f && memory_stats().live >= 300'000 ? 0 : 1);
        }
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) ++failures;
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(failures == 0);
}
#endif
