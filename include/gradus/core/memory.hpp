// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <new>

namespace gradus::detail {

/// 64-byte aligned blocks, recycled. A training step asks for the same sizes again and again; a block that is
/// given back goes to a list of its size class on the thread that frees it, and the next request takes it
/// from there. Size classes are powers of two with four steps between them: at most 20 % of a block over 64
/// bytes is unused. A thread that only frees what others take keeps up to max_bytes; they return to the
/// system when it ends.
class BlockCache {
public:
    static constexpr std::size_t alignment = 64;

    [[gnu::noinline]] static void* take(std::size_t bytes) {
        const int index = size_class(bytes);
        if (BlockCache* cache = local(); cache && index < classes)
            if (Free*& head = cache->heads_[static_cast<std::size_t>(index)]) {
                Free* block = head;
                head = block->next;
                cache->bytes_ -= class_bytes(index);
                return block;
            }
        const bool rounded = index < classes && !sanitized;
        return ::operator new (rounded ? class_bytes(index) : bytes, std::align_val_t{alignment});
    }

    /// `bytes` must be the number that take() was called with.
    [[gnu::noinline]] static void give(void* memory, std::size_t bytes) noexcept {
        const int index = size_class(bytes);
        if (BlockCache* cache = local();
            cache && index < classes && cache->bytes_ + class_bytes(index) <= max_bytes) {
            Free*& head = cache->heads_[static_cast<std::size_t>(index)];
            head = new (memory) Free{head};
            cache->bytes_ += class_bytes(index);
            return;
        }
        ::operator delete (memory, std::align_val_t{alignment});
    }

    BlockCache(const BlockCache&) = delete;
    BlockCache& operator=(const BlockCache&) = delete;

private:
    struct Free {
        Free* next;
    };

    // Recycled and rounded-up blocks would hide from the address sanitizer what it looks for.
#if defined(__SANITIZE_ADDRESS__)
    static constexpr bool sanitized = true;
#elif defined(__has_feature)
    static constexpr bool sanitized = __has_feature(address_sanitizer);
#else
    static constexpr bool sanitized = false;
#endif

    static constexpr int classes = 4 * 22 + 1;                      // up to 256 MiB
    static constexpr std::size_t max_bytes = std::size_t{1} << 30;  // kept per thread at most

    BlockCache() = default;
    ~BlockCache() {
        gone() = true;
        for (Free* head : heads_)
            while (head) {
                Free* next = head->next;
                ::operator delete (head, std::align_val_t{alignment});
                head = next;
            }
    }

    static bool& gone() {
        static thread_local bool gone =
            false;  // outlives the cache: objects freed late in a thread still find it
        return gone;
    }

    static BlockCache* local() {
        if (sanitized || gone())
            return nullptr;  // gone() first: a destroyed thread_local must not be reached again
        static thread_local BlockCache cache;
        return &cache;
    }

    /// 0 for up to 64 bytes, then 80, 96, 112, 128, 160, ...
    static int size_class(std::size_t bytes) {
        if (bytes <= 64) return 0;
        const int log2 =
            static_cast<int>(std::bit_width(bytes - 1)) - 1;  // 64 * 2^(log2-6) < bytes <= 128 * 2^(log2-6)
        const std::size_t step = (bytes - 1) >> (log2 - 2) & 3;
        return 4 * (log2 - 6) + static_cast<int>(step) + 1;
    }

    static std::size_t class_bytes(int index) {
        if (index == 0) return 64;
        const int log2 = (index - 1) / 4 + 6;
        return (std::size_t{5} + static_cast<std::size_t>((index - 1) % 4)) << (log2 - 2);
    }

    std::array<Free*, classes> heads_{};
    std::size_t bytes_ = 0;
};

}  // namespace gradus::detail
