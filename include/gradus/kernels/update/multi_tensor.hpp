// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "gradus/core/memory.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/reduce/reduce.hpp"

// Multi-tensor apply: an element-wise update, or a norm, over many arrays in one pass over memory and one
// parallel region. Arrays are contiguous and of any length; they are cut into chunks that depend on their
// lengths alone, so results do not depend on the number of threads. Known from Apex (multi_tensor_apply) and
// PyTorch (the foreach and fused optimizers).

namespace gradus::kernels {

/// One parameter in an optimizer step: `arrays` are its value, its gradient (which is only read) and the
/// optimizer's state, of `size` numbers. An array that is null reads as zeros and is not written.
template <class T>
struct UpdateSegment {
    static constexpr std::size_t most_arrays = 6;

    Index size;
    T* arrays[most_arrays];
    std::size_t rule = 0;  // which of the rules given to update()
};

template <class T>
using UpdateSegments = gradus::detail::RecycledList<UpdateSegment<T>>;

/// The memory that an update writes to, of tensors some of which may be shared. Such a tensor gets new memory,
/// but no copy: update() copies each chunk just before it changes it, while it is in the cache. So the step after
/// a snapshot of a model costs little more than the others.
///
///     SharedMemory<T> memory(segments.size());
///     segment.arrays[0] = memory.to_write(0, 0, weight);  // of segment 0
///     ...
///     update<2>(rules, segments, memory);
///
/// Until update() was done, the destructor gives the tensors back what they had.
template <class T>
class SharedMemory {
public:
    explicit SharedMemory(std::size_t segments) : segments_(segments) {}
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    ~SharedMemory() {
        for (Replaced& each : replaced_) *each.tensor = std::move(each.before);
    }

    T* to_write(std::size_t segment, std::size_t array, Tensor<T>& x) {
        if (x.exclusive() || x.numel() == 0) [[likely]]
            return x.mutable_data();
        return replace(segment, array, x);
    }

    /// Where the numbers of this array still are; null if they are where they belong.
    const T* source(std::size_t segment, std::size_t array) const {
        return sources_.empty() ? nullptr : sources_[segment * UpdateSegment<T>::most_arrays + array];
    }
    bool any() const { return !sources_.empty(); }

    void done() {
        replaced_.clear();
        sources_.clear();
    }

private:
    struct Replaced {
        Tensor<T>* tensor;
        Tensor<T> before;  // holds the memory until it is read
    };

    [[gnu::noinline]] T* replace(std::size_t segment, std::size_t array, Tensor<T>& x) {
        sources_.resize(segments_ * UpdateSegment<T>::most_arrays);
        replaced_.push_back({&x, x});
        x = Tensor<T>::uninitialized(x.shape());
        sources_[segment * UpdateSegment<T>::most_arrays + array] = replaced_.back().before.data();
        return x.mutable_data();
    }

    std::size_t segments_;
    gradus::detail::RecycledVector<Replaced> replaced_;
    gradus::detail::RecycledVector<const T*> sources_;  // for each array of each segment, if there is any
};

namespace detail {

/// The most elements that one thread takes at a time.
inline constexpr Index chunk_size = 16384;

/// Part of a segment: what one thread does at a time.
struct Chunk {
    std::size_t segment;
    Index begin;
    Index size;
};

/// At least as many chunks as there are.
template <class T>
std::size_t most_chunks(const UpdateSegments<T>& segments) {
    std::size_t most = segments.size();
    for (const auto& segment : segments) most += static_cast<std::size_t>(segment.size / chunk_size);
    return most;
}

/// Calls body(index, chunk) for the chunks of all segments, in parallel; returns how many there are.
template <class T, class Body>
std::size_t for_chunks(const UpdateSegments<T>& segments, const Body& body) {
    gradus::detail::RecycledList<Chunk> chunks(most_chunks(segments));
    Index total = 0;
    for (std::size_t s = 0; s < segments.size(); total += segments[s++].size)
        for (Index begin = 0; begin < segments[s].size; begin += chunk_size)
            chunks.push_back({s, begin, std::min(chunk_size, segments[s].size - begin)});
    const Index count = static_cast<Index>(chunks.size());
    parallel_for(count, total < parallel_grain ? std::max<Index>(count, 1) : 1, [&](Index first, Index last) {
        for (Index i = first; i < last; ++i) body(i, chunks[static_cast<std::size_t>(i)]);
    });
    return chunks.size();
}

/// Applies a rule to n numbers of N arrays.
template <class F, class T, std::size_t N>
struct UpdateKernel {
    static constexpr std::size_t gradient = 1;

    const F* rule;
    Index n;
    T* const* arrays;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        loop<Bytes>(std::make_index_sequence<N>());
    }

    template <int Bytes, std::size_t... I>
    GRADUS_INLINE void loop(std::index_sequence<I...>) const {
        constexpr std::size_t lanes = Bytes / sizeof(T);
        using Vec = simd::Vec<T, static_cast<int>(lanes)>;
        const F f = *rule;  // its numbers stay in registers: stores cannot change them
        T* const x[] = {arrays[I]...};
        // What is null is read from zeros and written to where nobody looks: cheaper than asking every time.
        alignas(Bytes) T zeros[lanes] = {}, ignored[lanes], few[N][lanes] = {};
        const T* from[] = {(x[I] ? x[I] : zeros)...};
        T* to[] = {(x[I] ? x[I] : ignored)...};
        const Index mask[] = {(x[I] ? Index{-1} : Index{0})...};
        const int rest = static_cast<int>(n & (static_cast<Index>(lanes) - 1));
        const Index whole = n - rest;
        Index end = whole;
        for (bool tail = false;; tail = true) {  // the tail is one vector more: f is compiled once
            for (Index i = 0; i < end; i += static_cast<Index>(lanes)) {
                Vec v[N] = {Vec::load(from[I] + (i & mask[I]))...};
                f(v[I]...);
                ((I == gradient ? void() : v[I].store(to[I] + (i & mask[I]))), ...);
            }
            if (tail || rest == 0) break;
            for (std::size_t k = 0; k < N; ++k)
                if (x[k]) simd::detail::copy_few(few[k], x[k] + whole, rest);
            ((from[I] = to[I] = few[I]), ...);
            end = static_cast<Index>(lanes);
        }
        if (rest == 0) return;
        for (std::size_t k = 0; k < N; ++k)
            if (k != gradient && x[k]) simd::detail::copy_few(x[k] + whole, few[k], rest);
    }
};

/// Calls run(rule, n, arrays) for the chunks of all segments, in parallel.
template <class T>
void update_chunks(const UpdateSegments<T>& segments, const void* rules, std::size_t bytes_of_rule,
                   void (*run)(const void* rule, Index n, T* const* arrays), const SharedMemory<T>* shared) {
    for_chunks(segments, [&](Index, const Chunk& chunk) {
        const UpdateSegment<T>& segment = segments[chunk.segment];
        T* arrays[UpdateSegment<T>::most_arrays];
        for (std::size_t k = 0; k < std::size(arrays); ++k) {
            arrays[k] = segment.arrays[k] ? segment.arrays[k] + chunk.begin : nullptr;
            const T* const source = shared ? shared->source(chunk.segment, k) : nullptr;
            if (source)
                std::memcpy(static_cast<void*>(arrays[k]), source + chunk.begin,
                            static_cast<std::size_t>(chunk.size) * sizeof(T));
        }
        run(static_cast<const char*>(rules) + segment.rule * bytes_of_rule, chunk.size, arrays);
    });
}

/// The sum or the greatest of |x · scale|, or of its square, in double.
template <class F, class T>
struct NormKernel {
    const T* x;
    Index n;
    bool squared;
    double scale;

    template <int Bytes>
    GRADUS_INLINE double run() const {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(double));
        using Vec = simd::Vec<T, lanes>;
        using Wide = simd::Vec<double, lanes>;
        const F f;
        Wide total[4] = {0.0, 0.0, 0.0, 0.0};
        const auto add = [&](Wide& sum, const Vec& part) GRADUS_INLINE_LAMBDA {
            const Wide wide = simd::convert<double>(part) * Wide(scale);
            sum = f(sum, squared ? wide * wide : simd::abs(wide));
        };
        Index i = 0;
        for (; i + 4 * lanes <= n; i += 4 * lanes)
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k) add(total[k], Vec::load(x + i + k * lanes));
        for (; i < n; i += lanes)
            add(total[0], Vec::load_partial(x + i, static_cast<int>(std::min<Index>(lanes, n - i))));
        return Wide::fold(f(f(total[0], total[1]), f(total[2], total[3])), f);
    }
};

template <class F, class T>
double norm(const UpdateSegments<T>& segments, bool squared, double scale = 1) {
    gradus::detail::RecycledVector<double> parts(most_chunks(segments));
    const std::size_t count = for_chunks(segments, [&](Index i, const Chunk& chunk) {
        const T* x = segments[chunk.segment].arrays[0] + chunk.begin;
        parts[static_cast<std::size_t>(i)] = simd::run(NormKernel<F, T>{x, chunk.size, squared, scale});
    });
    double total = 0;
    for (std::size_t i = 0; i < count; ++i) total = F{}(total, parts[i]);
    return squared ? std::sqrt(total) / scale : total / scale;
}

}  // namespace detail

/// Calls rules[segment.rule](value, gradient, state...) on vectors of every segment, with the first N arrays
/// of each, and stores what it changed.
template <std::size_t N, class F, class T>
void update(const F* rules, const UpdateSegments<T>& segments, const SharedMemory<T>* shared = nullptr) {
    static_assert(N <= UpdateSegment<T>::most_arrays, "an element-wise rule has at most four kinds of state");
    detail::update_chunks<T>(
        segments, rules, sizeof(F),
        [](const void* rule, Index n, T* const* arrays) {
            simd::run(detail::UpdateKernel<F, T, N>{static_cast<const F*>(rule), n, arrays});
        },
        shared);
}
template <std::size_t N, class F, class T>
void update(const F* rules, const UpdateSegments<T>& segments, SharedMemory<T>& memory) {
    update<N>(rules, segments, memory.any() ? &memory : nullptr);
    memory.done();
}

/// (Σ |x|ᵖ)^(1/p) over the first array of all segments, for p = 1, 2 or infinity (the greatest |x|): added up
/// in double and in an order that depends on the sizes alone. NaN if there is one. Squares neither overflow
/// nor vanish.
template <class T>
double total_norm(const UpdateSegments<T>& segments, double p) {
    if (p > 2) return detail::norm<MaxOf>(segments, false);
    const double norm = detail::norm<SumOf>(segments, p == 2);
    // Of floats, squares are always in the range of double.
    if (p == 1 || std::is_same_v<T, float> || (norm > 1e-140 && norm < 1e150)) return norm;
    const double greatest = detail::norm<MaxOf>(segments, false);
    if (!(greatest > 0 && greatest <= std::numeric_limits<double>::max())) return greatest;
    return detail::norm<SumOf>(segments, true, scale_to_1(greatest));
}

}  // namespace gradus::kernels
