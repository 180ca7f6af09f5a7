// SPDX-License-Identifier: MIT
#include "gradus/kernels/gemm/pack.hpp"

#include <vector>

#include "support/test.hpp"

using namespace gradus;
using kernels::MatrixRef;
using kernels::detail::PackA;
using kernels::detail::PackB;

namespace {

constexpr simd::Isa all_isas[] = {simd::Isa::baseline, simd::Isa::avx2, simd::Isa::avx512};

template <class T>
std::vector<T> counting(Index size) {
    std::vector<T> x(static_cast<std::size_t>(size));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(i + 1);
    return x;
}

/// B of k rows, in memory that ends with its last number: stored by rows, by columns, and with gaps.
template <class T>
void check_b(Index k, Index columns) {
    const Index nr = kernels::detail::tile_sizes<T>().columns;
    for (const auto& [row, column] : {std::pair<Index, Index>{columns, 1}, {1, k}, {2 * columns, 2}}) {
        INFO(k << " x " << columns << ", strides " << row << " and " << column);
        const std::vector<T> x = counting<T>((k - 1) * row + (columns - 1) * column + 1);
        const MatrixRef<T> b{x.data(), row, column};
        std::vector<T> out(static_cast<std::size_t>(k * nr), T(-1));
        simd::run(PackB<T>{.b = b, .k_count = k, .columns = columns, .out = out.data()});
        bool right = true;
        for (Index q = 0; q < k; ++q)
            for (Index j = 0; j < nr; ++j)
                right &= out[static_cast<std::size_t>(q * nr + j)] == (j < columns ? *b.at(q, j).data : T(0));
        CHECK(right);
    }
}

template <class T>
void check_a(Index k, Index rows) {
    const Index mr = kernels::detail::tile_sizes<T>().rows;
    for (const auto& [row, column] : {std::pair<Index, Index>{k, 1}, {1, rows}, {1, 20}}) {
        INFO(rows << " x " << k << ", strides " << row << " and " << column);
        const std::vector<T> x = counting<T>((rows - 1) * row + (k - 1) * column + 1);
        const MatrixRef<T> a{x.data(), row, column};
        std::vector<T> out(static_cast<std::size_t>(k * mr), T(-1));
        simd::run(PackA<T>{
            .a = a, .rows = rows, .k_count = k, .whole_vectors = column + rows >= 16, .out = out.data()});
        bool right = true;
        for (Index q = 0; q < k; ++q)
            for (Index i = 0; i < rows; ++i)
                right &= out[static_cast<std::size_t>(q * mr + i)] == *a.at(i, q).data;
        CHECK(right);
    }
}

template <class T>
void check_all() {
    const kernels::detail::TileSizes tile = kernels::detail::tile_sizes<T>();
    for (const Index k : {1, 3, 7, 8, 16, 17, 100}) {
        for (Index columns = 1; columns <= tile.columns; ++columns) check_b<T>(k, columns);
        for (Index rows = 1; rows <= tile.rows; ++rows) check_a<T>(k, rows);
    }
}

}  // namespace

TEST_CASE("pack: micro-panels of A and B, whatever the strides") {
    for (const simd::Isa isa : all_isas) {
        const simd::ScopedIsa scope(isa);
        INFO(simd::name(isa));
        check_all<float>();
        check_all<double>();
    }
}
