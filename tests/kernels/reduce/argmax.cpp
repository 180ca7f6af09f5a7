// SPDX-License-Identifier: MIT
#include "gradus/kernels/reduce/argmax.hpp"

#include <limits>

#include "gradus/core/random.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

/// As the definition has it.
template <class T>
Index first_largest(const T* x, Index n, Index step) {
    Index best = 0;
    for (Index i = 0; i < n; ++i) {
        if (x[i * step] != x[i * step]) return i;
        if (x[i * step] > x[best * step]) best = i;
    }
    return best;
}

/// Small whole numbers, so that many are equal; with NaN and infinities here and there.
template <class T>
void check_argmax(Index outer, Index n, Index inner, bool special) {
    INFO(outer << " x " << n << " x " << inner << (special ? ", special" : ""));
    const Tensor<T> random = randn<T>({outer, n, inner});
    Tensor<T> x = Tensor<T>::uninitialized(random.shape());
    for (Index i = 0; i < x.numel(); ++i) {
        const T value = random.data()[i];
        x.mutable_data()[i] = !special         ? static_cast<T>(static_cast<int>(value * T(3)))
                              : value > T(2.2) ? std::numeric_limits<T>::quiet_NaN()
                              : value > T(2)   ? std::numeric_limits<T>::infinity()
                                               : -std::numeric_limits<T>::infinity();
    }
    const Tensor<Index> got = kernels::argmax(x, outer, n, inner, {outer, inner});
    Index wrong = 0;
    for (Index o = 0; o < outer; ++o)
        for (Index i = 0; i < inner; ++i)
            wrong += got(o, i) != first_largest(x.data() + o * n * inner + i, n, inner);
    CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("argmax kernel: the first of the largest, on every instruction set") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(simd::isa()));
        for (const bool special : {false, true}) {
            for (const Index n : {1, 2, 31, 63, 64, 65, 96, 100, 127, 129, 1000}) {
                check_argmax<float>(37, n, 1, special);
                check_argmax<double>(5, n, 1, special);
            }
            for (const Index inner : {2, 16, 31, 63, 64, 65, 130, 257, 600}) {
                check_argmax<float>(3, 50, inner, special);
                check_argmax<double>(2, 7, inner, special);
                check_argmax<float>(1, 1, inner, special);
            }
        }
    }
}

TEST_CASE("argmax kernel: nothing of nothing") {
    CHECK(kernels::argmax(zeros({0, 3}), 0, 3, 1, {0}).numel() == 0);
    CHECK(kernels::argmax(zeros({3, 0}), 1, 3, 0, {0}).numel() == 0);
}
