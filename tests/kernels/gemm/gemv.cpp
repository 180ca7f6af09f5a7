// SPDX-License-Identifier: MIT
#include "gradus/kernels/gemm/gemv.hpp"

#include <vector>

#include "support/isas.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::MatrixRef;
using kernels::detail::Gemv;

namespace {

template <class T>
void check(Index n, Index k, Index run_length) {
    std::vector<T> x(static_cast<std::size_t>(3 * k)), b(static_cast<std::size_t>(n * k)),
        bias(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(i % 5) - T(2);
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<T>(i % 7) - T(3);
    for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<T>(i % 3);
    for (const bool by_columns : {false, true})
        for (const Index bias_step : {0, 1}) {
            INFO(n << " columns of " << k << (by_columns ? ", by columns" : "") << ", bias " << bias_step);
            const MatrixRef<T> ref = by_columns ? MatrixRef<T>{b.data(), 1, k} : MatrixRef<T>{b.data(), n, 1};
            std::vector<T> c(static_cast<std::size_t>(n), T(-77));
            if (!gemv(Gemv<T>{k, x.data(), 3, ref, bias.data(), bias_step, c.data(), run_length}, n)) {
                const Index lanes = kernels::detail::tile_sizes<T>().columns / 2;
                CHECK((by_columns ? k < Gemv<T>::side : n < lanes));
                continue;
            }
            bool right = true;
            for (Index j = 0; j < n; ++j) {
                T sum = bias[static_cast<std::size_t>(bias_step * j)];  // of whole numbers, so exact
                for (Index i = 0; i < k; ++i) sum += x[static_cast<std::size_t>(3 * i)] * *ref.at(i, j).data;
                right &= c[static_cast<std::size_t>(j)] == sum;
            }
            CHECK(right);
        }
}

}  // namespace

TEST_CASE("gemv: columns and k around the vectors, in one run and in several") {
    for_each_isa([] {
        for (const Index n : {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 64, 129, 300})
            for (const Index k : {1, 2, 3, 4, 7, 8, 16, 33, 70})
                for (const Index run_length : {k, Index{16}}) {
                    check<float>(n, k, run_length);
                    check<double>(n, k, run_length);
                }
    });
    check<float>(3000, 100, 100);  // shared out among threads
}

TEST_CASE("gemv: columns that fall into the same places of the cache are copied") {
    for_each_isa([] {
        for (const Index n : {1, 9, 33, 67}) {
            check<float>(n, 512, 300);
            check<float>(n, 1024, 1024);
            check<float>(n, 2048, 350);
            check<double>(n, 256, 256);
            check<double>(n, 512, 77);
            check<double>(n, 1024, 512);
        }
    });
}
