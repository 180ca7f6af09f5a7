// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "gradus/core/error.hpp"
#include "gradus/core/fork.hpp"
#include "gradus/core/ref_count.hpp"

namespace gradus {

/// Bytes of blocks of more than 32 KiB, which hold nearly all numbers of a program, on all its threads.
struct MemoryStats {
    std::size_t live = 0;    // in use
    std::size_t cached = 0;  // kept for the next request
    std::size_t peak = 0;    // the most that was in use at a time
};

namespace detail {

/// 64-byte aligned blocks, recycled: a training step asks for the same sizes again and again. Size classes
/// are powers of two with four steps between them: at most 20 % of a block over 64 bytes is unused.
///
/// Small blocks go to a thread-local free list, up to small_limit in all, and return to the system when the
/// thread ends. Larger ones go to free lists that all threads share, so that a thread may free what another
/// one allocates. Of those, a block that was not needed for a while goes back to the system: at the end of a
/// round, in which `round` times the memory in use was allocated, every class returns as many blocks as were
/// always free. A loop that needs all its blocks in each step loses none.
class BlockCache {
    // Recycled and rounded-up blocks would hide from the address sanitizer what it looks for.
#if defined(__SANITIZE_ADDRESS__)
    static constexpr bool sanitized = true;
#elif defined(__has_feature)
    static constexpr bool sanitized = __has_feature(address_sanitizer);
#else
    static constexpr bool sanitized = false;
#endif

    static constexpr int small_classes = 4 * 9 + 1;  // up to 32 KiB
    static constexpr std::size_t small_bytes = std::size_t{1} << 15;
    static constexpr int classes = 4 * 22 + 1;  // up to 256 MiB

public:
    static constexpr std::size_t alignment = 64;
    static constexpr std::size_t huge_page = std::size_t{1} << 21;

    /// The size of a block: one of the classes of 64, 80, 96, 112, 128, 160, ... bytes, or the exact size
    /// if such a block is not recycled.
    struct Size {
        int index;
        std::size_t bytes;

        constexpr Size(std::size_t requested) : index(classes), bytes(requested) {
            if (sanitized) return;
            const std::size_t last = std::max<std::size_t>(requested, 64) - 1;
            const int shift = static_cast<int>(std::bit_width(last)) - 3;
            const std::size_t step = last >> shift;  // 4 ... 7
            index = 4 * shift + static_cast<int>(step) - 19;
            if (index < classes) bytes = (step + 1) << shift;
        }
    };

    [[gnu::noinline]] static void* allocate(Size size) {
        if (size.index >= small_classes) return allocate_large(size, 1);
        Small& cache = small();
        Free*& head = cache.heads[static_cast<std::size_t>(size.index)];
        if (!head) [[unlikely]]
            return from_system(size.bytes);
        cache.bytes -= size.bytes;
        return pop(head);
    }

    /// The same; but a large block may come from a larger class, of less than twice the size, if one is free
    /// there. `size` then becomes that class.
    static void* allocate_at_least(Size& size) {
        return size.index < small_classes ? allocate(size) : allocate_large(size, 4);
    }

    /// `size` must be what the block was allocated with.
    [[gnu::noinline]] static void deallocate(void* memory, Size size) noexcept {
        if (size.index >= small_classes) return deallocate_large(memory, size);
        Small& cache = small();
        if (cache.bytes + size.bytes > cache.limit && !admits(cache)) [[unlikely]]
            return to_system(memory, size.bytes);
        Free*& head = cache.heads[static_cast<std::size_t>(size.index)];
        head = new (memory) Free{head};
        cache.bytes += size.bytes;
    }

    /// Returns to the system what is free in the shared lists and in those of this thread.
    [[gnu::cold]] static void release() noexcept {
        small().release();
        Large& cache = large();
        const SpinLock lock(cache.busy);
        cache.trim(true);
    }

    static MemoryStats stats() {
        Large& cache = large();
        const SpinLock lock(cache.busy);
        return {cache.live, cache.cached, cache.peak};
    }

    BlockCache() = delete;

private:
    struct Free {
        Free* next;
    };

    static constexpr std::size_t small_limit = std::size_t{1} << 25;
    static constexpr std::size_t round = 64;                          // times the most that was in use
    static constexpr std::size_t least_round = std::size_t{1} << 28;  // bytes allocated

    // Both caches are plain memory: objects that are freed late in a thread or in the program still find
    // them.

    struct Small {
        std::array<Free*, small_classes> heads;
        std::size_t bytes;
        std::size_t limit;  // 0 before the first block comes back and after the end of the thread
        bool ended;

        [[gnu::cold]] void release() noexcept {
            for (int index = 0; index < small_classes; ++index)
                for (Free*& head = heads[static_cast<std::size_t>(index)]; head;)
                    to_system(pop(head), class_bytes(index));
            bytes = 0;
        }
    };
    static Small& small() {
        static thread_local Small cache;
        return cache;
    }

    struct Large {
        std::atomic_flag busy{};
        std::array<Free*, classes - small_classes> heads{};
        std::array<int, classes - small_classes> free_blocks{};        // of each class
        std::array<int, classes - small_classes> least_free_blocks{};  // the fewest in this round
        std::size_t live = 0, cached = 0, peak = 0;
        std::size_t allocated = 0, most_live = 0;  // in this round

        Free* reuse(int index) {
            const auto k = static_cast<std::size_t>(index - small_classes);
            if (!heads[k]) return nullptr;
            Free* const block = pop(heads[k]);
            least_free_blocks[k] = std::min(least_free_blocks[k], --free_blocks[k]);
            cached -= class_bytes(index);
            count(class_bytes(index));
            return block;
        }

        void count(std::size_t bytes) {
            live += bytes;
            allocated += bytes;
            most_live = std::max(most_live, live);
            peak = std::max(peak, live);
            if (allocated > std::max(round * most_live, least_round)) trim(false);
        }

        [[gnu::cold]] void trim(bool all) {
            for (std::size_t k = 0; k < heads.size(); ++k) {
                const std::size_t size = class_bytes(small_classes + static_cast<int>(k));
                for (int surplus = all ? free_blocks[k] : least_free_blocks[k]; surplus > 0; --surplus) {
                    to_system(pop(heads[k]), size);
                    --free_blocks[k];
                    cached -= size;
                }
                least_free_blocks[k] = free_blocks[k];
            }
            allocated = 0;
            most_live = live;
        }
    };
    static Large& large() {
        static constinit Large cache;
        [[maybe_unused]] static const bool held =
            hold_at_fork([]() -> std::atomic_flag& { return cache.busy; });
        return cache;
    }

    static Free* pop(Free*& head) {
        Free* const block = head;
        head = block->next;
        return block;
    }

    /// Of the `choice` classes from that of `size` on, the first with a free block.
    [[gnu::noinline]] static void* allocate_large(Size& size, int choice) {
        Large& cache = large();
        {
            const SpinLock lock(cache.busy);
            for (int index = size.index, last = std::min(index + choice, classes); index < last; ++index)
                if (void* const block = cache.reuse(index)) {
                    size.index = index;
                    size.bytes = class_bytes(index);
                    return block;
                }
        }
        void* const memory = from_system(size.bytes);
        if (size.bytes > small_bytes) {
            const SpinLock lock(cache.busy);
            cache.count(size.bytes);
        }
        return memory;
    }

    [[gnu::noinline]] static void deallocate_large(void* memory, Size size) noexcept {
        if (size.index >= classes) to_system(memory, size.bytes);
        if (size.bytes <= small_bytes) return;
        Large& cache = large();
        const SpinLock lock(cache.busy);
        cache.live -= size.bytes;
        if (size.index >= classes) return;
        const auto k = static_cast<std::size_t>(size.index - small_classes);
        cache.heads[k] = new (memory) Free{cache.heads[k]};
        ++cache.free_blocks[k];
        cache.cached += size.bytes;
    }

    /// Whether a small block that is over the limit is kept all the same: it is if it is the thread's first.
    [[gnu::cold]] static bool admits(Small& cache) noexcept {
        if (cache.limit > 0 || cache.ended) return false;
        struct Cleaner {
            ~Cleaner() {
                small().release();
                small().limit = 0;
                small().ended = true;
            }
        };
        static thread_local Cleaner cleaner;
        static_cast<void>(&cleaner);
        cache.limit = small_limit;
        return true;
    }

    static std::align_val_t alignment_of(std::size_t bytes) {
        return std::align_val_t{bytes >= 2 * huge_page ? huge_page : alignment};
    }

    [[gnu::noinline]] static void* from_system(std::size_t bytes) {
        void* memory = ::operator new(bytes, alignment_of(bytes), std::nothrow);
        if (!memory) {
            release();
            memory = ::operator new(bytes, alignment_of(bytes), std::nothrow);
            if (!memory) raise<OutOfMemory>({"memory: the system does not give ", bytes, " bytes"});
        }
#if defined(MADV_HUGEPAGE)
        // A kernel may read a whole block with few entries of the page table; advice may be declined.
        if (bytes >= 2 * huge_page) madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);
#endif
        return memory;
    }
    [[gnu::noinline]] static void to_system(void* memory, std::size_t bytes) noexcept {
        ::operator delete(memory, alignment_of(bytes));
    }

    static constexpr std::size_t class_bytes(int index) {
        return (std::size_t{5} + static_cast<std::size_t>((index + 3) % 4)) << ((index + 3) / 4 + 3);
    }
};

/// An allocator of recycled blocks, for lists that an operation or a training step makes anew each time.
template <class T>
struct RecyclingAllocator {
    using value_type = T;

    RecyclingAllocator() = default;
    template <class U>
    RecyclingAllocator(const RecyclingAllocator<U>&) {}

    T* allocate(std::size_t count) { return static_cast<T*>(BlockCache::allocate(count * sizeof(T))); }
    void deallocate(T* memory, std::size_t count) noexcept {
        BlockCache::deallocate(memory, count * sizeof(T));
    }
    bool operator==(const RecyclingAllocator&) const { return true; }
};

template <class T>
using RecycledVector = std::vector<T, RecyclingAllocator<T>>;

/// A list of plain values in recycled memory, for a number of them that is known to be enough: a vector takes
/// much longer to compile.
template <class T>
class RecycledList {
    static_assert(std::is_trivially_destructible_v<T>);

public:
    explicit RecycledList(std::size_t capacity)
        : bytes_(capacity * sizeof(T)), values_(static_cast<T*>(BlockCache::allocate(bytes_))) {}
    RecycledList(RecycledList&& other) noexcept
        : bytes_(other.bytes_), size_(other.size_), values_(std::exchange(other.values_, nullptr)) {}
    RecycledList& operator=(RecycledList&&) = delete;
    ~RecycledList() {
        if (values_) BlockCache::deallocate(values_, bytes_);
    }

    void push_back(const T& value) { new (values_ + size_++) T(value); }

    std::size_t size() const { return size_; }
    const T* data() const { return values_; }
    const T* begin() const { return values_; }
    const T* end() const { return values_ + size_; }
    const T& operator[](std::size_t i) const { return values_[i]; }

private:
    std::size_t bytes_, size_ = 0;
    T* values_;
};

}  // namespace detail

/// What tensors and the cache behind them hold.
inline MemoryStats memory_stats() { return detail::BlockCache::stats(); }

/// Returns memory that was kept for later requests to the system: after a phase that needed much more than
/// what follows. (What nobody asks for goes back by itself after some time.)
[[gnu::cold]] inline void release_cached_memory() { detail::BlockCache::release(); }

}  // namespace gradus
