// SPDX-License-Identifier: MIT
#include "gradus/kernels/update/multi_tensor.hpp"

#include <cmath>
#include <limits>

#include "support/isas.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;

namespace {

/// Three arrays per segment: value, gradient, state.
template <class T>
struct Arrays {
    std::vector<Tensor<T>> tensors[3];

    explicit Arrays(const std::vector<Index>& sizes) {
        for (const Index size : sizes)
            for (int k = 0; k < 3; ++k)
                tensors[k].push_back(kernels::map(
                    "number", [](const T& x) { return x + 1; }, arange<T>(size + k).rows(k, size + k)));
    }

    kernels::UpdateSegments<T> segments() {
        kernels::UpdateSegments<T> result(tensors[0].size());
        for (std::size_t s = 0; s < tensors[0].size(); ++s)
            result.push_back(
                {tensors[0][s].numel(),
                 {tensors[0][s].mutable_data(), tensors[1][s].mutable_data(), tensors[2][s].mutable_data()}});
        return result;
    }
};

// Small whole numbers: exact with one rounding or two.
const auto rule = []<class V>(V& value, const V& gradient, V& state) GRADUS_INLINE_LAMBDA {
    state = state + V(2) * gradient;
    value = value - state;
};

struct Rule {
    float factor;
    template <class V>
    GRADUS_INLINE void operator()(V& value, const V& gradient, V& state) const {
        value = value + V(factor) * gradient + state;
        state = V(7);
    }
};

template <class T>
void check_update(const std::vector<Index>& sizes) {
    Arrays<T> arrays(sizes);
    kernels::update<3>(&rule, arrays.segments());
    for (std::size_t s = 0; s < sizes.size(); ++s) {
        bool right = true;
        for (Index i = 0; i < sizes[s]; ++i) {
            const T value = T(i + 1), gradient = T(i + 2), state = T(i + 3);
            right = right && arrays.tensors[1][s](i) == gradient &&
                    arrays.tensors[2][s](i) == state + 2 * gradient &&
                    arrays.tensors[0][s](i) == value - (state + 2 * gradient);
        }
        INFO("segment " << s << " of size " << sizes[s]);
        CHECK(right);
    }
}

}  // namespace

TEST_CASE("update: every element once, the gradient untouched, for any size and instruction set") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(simd::isa()));
        for (Index size = 0; size <= 33; ++size) check_update<float>({size});
        check_update<double>({0, 5, 16, 0, 19});
    }
    check_update<float>({16383, 16384, 16385, 1, 40001, 0, 7});  // pieces of 16384
}

TEST_CASE("update: nothing to do") {
    kernels::update<3>(&rule, kernels::UpdateSegments<float>(0));
    check_update<float>({0, 0});
}

TEST_CASE("update: any number of threads") {
    for (const int threads : {1, 2, 3}) {
        const Threads limit(threads);
        check_update<float>({50000, 3, 17000, 33000});
    }
}

TEST_CASE("update: an array that is not there reads as zeros, and every segment has its rule") {
    const std::vector<Rule> rules{{1}, {10}};
    for (const Index size : {1, 16, 21, 40000}) {
        Tensor<> a = ones({size}), b = ones({size}), c = ones({size}), state = ones({size});
        const Tensor<> gradient = full({size}, 2);
        float* const g = const_cast<float*>(gradient.data());
        kernels::UpdateSegments<float> segments(3);
        segments.push_back({size, {a.mutable_data(), g, nullptr}, 1});
        segments.push_back({size, {b.mutable_data(), g, state.mutable_data()}, 0});
        segments.push_back({size, {c.mutable_data(), nullptr, nullptr}, 1});
        kernels::update<3>(rules.data(), segments);
        INFO("size " << size);
        CHECK(a == full({size}, 21));
        CHECK(b == full({size}, 4));
        CHECK(state == full({size}, 7));
        CHECK(c == ones({size}));
        CHECK(gradient == full({size}, 2));
    }
}

TEST_CASE("update: norms over all segments") {
    const auto segments = [](std::vector<Tensor<>>& tensors) {
        kernels::UpdateSegments<float> result(tensors.size());
        for (auto& x : tensors) result.push_back({x.numel(), {x.mutable_data()}});
        return result;
    };
    const double most = std::numeric_limits<double>::infinity();
    std::vector<Tensor<>> few{{3, -4}, zeros({0}), {12}};
    CHECK(kernels::total_norm(segments(few), 2) == 13);
    CHECK(kernels::total_norm(segments(few), 1) == 19);
    CHECK(kernels::total_norm(segments(few), most) == 12);
    std::vector<Tensor<>> none{zeros({0})}, large{full({100}, 1e30f)};
    CHECK(kernels::total_norm(segments(none), 2) == 0);
    CHECK(kernels::total_norm(segments(none), most) == 0);
    CHECK(kernels::total_norm(segments(large), 2) == Approx(1e31));  // in double: the squares are no floats
    for (Index size = 1; size <= 40; ++size) {                       // 1² + ... + n²
        std::vector<Tensor<>> numbers{arange(size + 1)};
        const double n = static_cast<double>(size);
        CHECK(kernels::total_norm(segments(numbers), 2) == Approx(std::sqrt(n * (n + 1) * (2 * n + 1) / 6)));
        CHECK(kernels::total_norm(segments(numbers), 1) == n * (n + 1) / 2);
        CHECK(kernels::total_norm(segments(numbers), most) == n);
        for (const Index at : {Index{0}, size / 2, size}) {
            std::vector<Tensor<>> bad{arange(size + 1)};
            bad[0].mutable_at(at) = std::numeric_limits<float>::quiet_NaN();
            for (const double p : {1.0, 2.0, most}) CHECK(std::isnan(kernels::total_norm(segments(bad), p)));
        }
    }
    std::vector<Tensor<>> many{full({50000}, 0.5f), full({16384}, 2), full({16385}, 1)};
    for (const int threads : {1, 2, 3}) {
        const Threads limit(threads);
        CHECK(kernels::total_norm(segments(many), 2) == std::sqrt(12500.0 + 65536 + 16385));
        CHECK(kernels::total_norm(segments(many), most) == 2);
    }
}

TEST_CASE("update: shared memory gets its copy on the way, and the other owner sees nothing of it") {
    for (const int threads : {1, 2}) {
        const Threads limit(threads);
        const std::vector<Index> sizes{1, 16384, 40001, 0, 7};
        Arrays<float> shared(sizes), alone(sizes);
        kernels::update<3>(&rule, alone.segments());
        const Arrays<float> before = shared;
        kernels::SharedMemory<float> memory(sizes.size());
        kernels::UpdateSegments<float> segments(sizes.size());
        for (std::size_t s = 0; s < sizes.size(); ++s) {
            if (s % 2 == 1) shared.tensors[2][s].mutable_data();  // some are nobody else's
            segments.push_back({sizes[s],
                                {memory.to_write(s, 0, shared.tensors[0][s]),
                                 const_cast<float*>(shared.tensors[1][s].data()),
                                 memory.to_write(s, 2, shared.tensors[2][s])}});
        }
        CHECK(memory.any());
        kernels::update<3>(&rule, segments, memory);
        CHECK(!memory.any());
        const Arrays<float> fresh(sizes);
        for (int k = 0; k < 3; ++k) {
            CHECK(shared.tensors[k] == alone.tensors[k]);
            CHECK(before.tensors[k] == fresh.tensors[k]);
        }
    }
}

TEST_CASE("update: what was not updated has its numbers and its memory back") {
    Tensor<> x{1, 2, 3};
    const Tensor<> other = x;
    {
        kernels::SharedMemory<float> memory(1);
        memory.to_write(0, 0, x);
        CHECK(!x.shares_memory_with(other));
    }
    CHECK(x.shares_memory_with(other));
    CHECK(x == other);
}
