// SPDX-License-Identifier: MIT
#include "gradus/kernels/simd/tail.hpp"

#include <numeric>
#include <vector>

#include "gradus/kernels/simd/dispatch.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"

namespace simd = gradus::simd;
using gradus::Index;

namespace {

/// All that Tail does to two rows of n numbers.
template <class T>
struct TailKernel {
    const T *x, *end;  // of both rows
    Index n;
    T *sums, *copies;

    template <int Bytes>
    GRADUS_INLINE int run() const {
        using Vec = simd::VecOf<T, Bytes>;
        const simd::Tail<Vec> tail(n);
        const Vec zero(T(0));
        for (Index r = 0; r < 2; ++r) {
            const T* const row = x + r * n;
            T* const to = copies + r * n;
            Vec forward = zero;
            for (Index i = 0; i < tail.whole; i += Vec::size) {
                forward += Vec::load(row + i);
                Vec::load(row + i).store(to + i);
            }
            Vec backward = forward;
            if (tail.rest > 0) {
                const Vec last = tail.load(row + tail.whole, end);
                forward += tail.own(last, zero);
                tail.store(last, to + tail.whole, copies + 2 * n);
                if (n >= Vec::size)
                    backward += tail.fresh(Vec::load(row + n - Vec::size), zero, std::false_type());
            }
            sums[2 * r] = sum(forward);
            sums[2 * r + 1] = n >= Vec::size ? sum(backward) : sums[2 * r];
        }
        return Vec::size;
    }
};

template <class T>
struct ColumnKernel {
    const T* x;
    Index columns;
    T* y;
    int* most;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        using Vec = simd::VecOf<T, Bytes>;
        for (simd::ColumnVectors<Vec> vectors(columns); !vectors.done(); vectors.next()) {
            for (int k = 0; k < vectors.count; ++k) vectors.store(vectors.load(x, k) + Vec(T(1)), y, k);
            if (vectors.count > *most) *most = vectors.count;
        }
    }
};

}  // namespace

TEMPLATE_TEST_CASE("every number of a row counts once, however its tail is read", "", float, double) {
    using T = TestType;
    for_each_isa([] {
        for (Index n = 1; n <= 50; ++n) {
            const std::size_t size = static_cast<std::size_t>(2 * n);
            std::vector<T> x(size), copies(size);  // of exact size, for the address sanitizer
            std::iota(x.begin(), x.end(), T(1));
            T sums[4];
            simd::run(TailKernel<T>{x.data(), x.data() + size, n, sums, copies.data()});
            INFO("n = " << n);
            for (Index r = 0; r < 2; ++r) {
                const T expected = static_cast<T>(n * (n + 1) / 2 + r * n * n);
                CHECK(sums[2 * r] == expected);
                CHECK(sums[2 * r + 1] == expected);
            }
            CHECK(copies == x);
        }
    });
}

TEMPLATE_TEST_CASE("columns: each is read and written, and nothing beside them", "", float, double) {
    using T = TestType;
    for_each_isa([] {
        int most = 0;
        for (Index columns = 0; columns <= 150; ++columns) {
            std::vector<T> x(static_cast<std::size_t>(columns)), y(x.size(), T(-1)), expected(x.size());
            std::iota(x.begin(), x.end(), T(1));
            std::iota(expected.begin(), expected.end(), T(2));
            simd::run(ColumnKernel<T>{x.data(), columns, y.data(), &most});
            INFO(columns << " columns");
            CHECK(y == expected);
        }
        CHECK(most == 4);
    });
}
