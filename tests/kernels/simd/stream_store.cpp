// SPDX-License-Identifier: MIT
#include "gradus/kernels/simd/stream_store.hpp"

#include <vector>

#include "gradus/kernels/simd/dispatch.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"

namespace simd = gradus::simd;
using gradus::Index;

namespace {

/// y[i] = 1 + i, streamed as rows of n.
template <class T>
struct StreamKernel {
    Index rows, n;
    T* y;
    bool* asked_beside;  // for lanes that are of no row

    template <int Bytes>
    GRADUS_INLINE void run() const {
        using Vec = simd::VecOf<T, Bytes>;
        simd::StreamedRows<Vec> streamed(y);
        for (Index r = 0; r < rows; ++r) {
            const bool last = r + 1 == rows;
            streamed.row(n, last, [&](Index i) GRADUS_INLINE_LAMBDA {
                if (r * n + i < 0 || r * n + i + Vec::size > rows * n) *asked_beside = true;
                return simd::iota<Vec>() + Vec(static_cast<T>(r * n + i + 1));
            });
        }
        simd::store_fence();
    }
};

template <class T>
struct StoreKernel {
    T* y;
    bool stream;

    template <int Bytes>
    GRADUS_INLINE int run() const {
        using Vec = simd::VecOf<T, Bytes>;
        simd::store(simd::iota<Vec>(), y, stream);
        simd::store_fence();
        return Vec::size;
    }
};

}  // namespace

TEMPLATE_TEST_CASE("a vector is written whole, streamed or not", "", float, double) {
    for_each_isa([] {
        for (const bool stream : {false, true}) {
            alignas(64) TestType y[32] = {};
            const int lanes = simd::run(StoreKernel<TestType>{y, stream});
            for (int i = 0; i < 32; ++i) CHECK(y[i] == (i < lanes ? TestType(i) : TestType(0)));
        }
    });
    TestType y = 0;
    simd::store(simd::Single<TestType>(3), &y, true);
    CHECK(y == 3);
}

TEMPLATE_TEST_CASE("streamed rows: all numbers and no others, wherever they begin", "", float, double) {
    using T = TestType;
    constexpr Index room = 16;
    for_each_isa([] {
        bool asked_beside = false;
        for (const Index rows : {1, 2, 3, 7})
            for (Index n = 16; n <= 40; ++n)
                for (Index begin = room; begin < 2 * room; ++begin) {
                    const Index size = rows * n;
                    std::vector<T> memory(static_cast<std::size_t>(begin + size + room), T(-1));
                    simd::run(StreamKernel<T>{rows, n, memory.data() + begin, &asked_beside});
                    bool right = true;
                    for (Index i = -begin; i < size + room; ++i)
                        right &= memory[static_cast<std::size_t>(begin + i)] ==
                                 (i < 0 || i >= size ? T(-1) : static_cast<T>(i + 1));
                    INFO(rows << " rows of " << n << " from " << begin);
                    CHECK(right);
                }
        CHECK_FALSE(asked_beside);
    });
}

TEST_CASE("only large results are streamed, and rows that vectors allow") {
    constexpr Index large = Index{1} << 23;  // floats
    CHECK_FALSE(simd::should_stream(1000));
    CHECK(simd::should_stream(4 * large));
    CHECK(simd::should_stream<float>(large / 32, 32));
    CHECK_FALSE(simd::should_stream<float>(large / 32, 33));  // the second row is not aligned
    CHECK_FALSE(simd::should_stream<float>(10, 32));
    CHECK(simd::should_stream_rows<float>(large / 32, 33));
    CHECK_FALSE(simd::should_stream_rows<float>(large, 15));
}
