// SPDX-License-Identifier: MIT
#include "gradus/kernels/simd/bit_mask.hpp"

#include <limits>
#include <vector>

#include "gradus/kernels/simd/dispatch.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"

namespace simd = gradus::simd;
using gradus::Index;

namespace {

/// mask: where x is not 0. y: x where a bit of it is set, read back from any element on.
template <class T>
struct MaskKernel {
    const T* x;
    Index n;
    simd::MaskWord* mask;
    T* y;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        write<simd::VecOf<T, Bytes>>();
        read<simd::VecOf<T, Bytes>>();
    }

    template <class V>
    GRADUS_INLINE void write() const {
        simd::for_words<V>(n, [&](Index word, Index first, int vectors) GRADUS_INLINE_LAMBDA {
            std::uint32_t bits = 0;
            for (int k = 0; k < vectors; ++k)
                bits |= simd::nonzero_bits(V::load(x + first + k * V::size)) << (k * V::size);
            mask[word / simd::mask_bits] = static_cast<simd::MaskWord>(bits >> (word - first));
        });
    }

    template <class V>
    GRADUS_INLINE void read() const {
        for (Index i = 0; i + V::size <= n; ++i)
            simd::where_set(simd::bits_at(mask, i), V::load(x + i)).store(y + i);
    }
};

template <class T>
struct CompareKernel {
    const T* x;
    std::uint32_t* bits;

    template <int Bytes>
    GRADUS_INLINE int run() const {
        using Vec = simd::VecOf<T, Bytes>;
        const Vec v = Vec::load(x);
        bits[0] = simd::lane_bits(v < Vec(T(0)));
        bits[1] = simd::nonzero_bits(v);
        return Vec::size;
    }
};

template <class T>
std::vector<T> numbers(Index n) {
    const T some[] = {T(1), T(0), T(-2), T(-0.0), std::numeric_limits<T>::quiet_NaN(), T(0), T(0), T(5)};
    std::vector<T> x;
    for (Index i = 0; i < n; ++i) x.push_back(some[(i * 5 + i / 7) % 8]);
    return x;
}

template <class T>
void check_mask(const std::vector<T>& x, const std::vector<simd::MaskWord>& mask) {
    for (std::size_t i = 0; i < x.size(); ++i) CHECK((mask[i / 16] >> (i % 16) & 1) == (x[i] != T(0)));
}

}  // namespace

TEMPLATE_TEST_CASE("a mask has one bit per element, and gives it back", "", float, double) {
    using T = TestType;
    for_each_isa([] {
        for (Index n = 16; n <= 70; ++n) {
            INFO("n = " << n);
            const std::vector<T> x = numbers<T>(n);
            std::vector<simd::MaskWord> mask(static_cast<std::size_t>(simd::mask_words(n) + 1));
            std::vector<T> y(x.size(), T(-1));
            simd::run(MaskKernel<T>{x.data(), n, mask.data(), y.data()});
            check_mask(x, mask);
            for (std::size_t i = 0; i < x.size(); ++i)
                CHECK((y[i] == x[i] || (y[i] != y[i] && x[i] != x[i])));
        }
    });
}

TEST_CASE("a mask of a row that is too short for vectors") {
    for (Index n = 0; n <= 40; ++n) {
        INFO("n = " << n);
        const std::vector<double> x = numbers<double>(n);
        std::vector<simd::MaskWord> mask(static_cast<std::size_t>(simd::mask_words(n) + 1));
        std::vector<double> y(x.size());
        const MaskKernel<double> kernel{x.data(), n, mask.data(), y.data()};
        kernel.write<simd::Single<double>>();
        check_mask(x, mask);
    }
}

TEMPLATE_TEST_CASE("bit i stands for lane i", "", float, double) {
    using T = TestType;
    for_each_isa([] {
        for (int place = 0; place < 16; ++place) {
            T x[16] = {};
            x[place] = T(-3);
            x[(place + 1) % 16] = std::numeric_limits<T>::quiet_NaN();
            std::uint32_t bits[2];
            const int lanes = simd::run(CompareKernel<T>{x, bits});
            const std::uint32_t all = (std::uint32_t{1} << lanes) - 1, one = std::uint32_t{1} << place;
            const std::uint32_t nan = std::uint32_t{1} << (place + 1) % 16;
            CHECK(bits[0] == (one & all));
            CHECK(bits[1] == ((one | nan) & all));
        }
    });
    CHECK(simd::nonzero_bits(simd::Single<TestType>(2)) == 1);
    CHECK(simd::nonzero_bits(simd::Single<TestType>(0)) == 0);
}
