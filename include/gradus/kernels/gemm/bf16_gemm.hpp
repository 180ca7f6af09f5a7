// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <string_view>

#include "gradus/core/error.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/precision.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/gemm/bf16_backend.hpp"
#include "gradus/kernels/gemm/bf16_pack.hpp"
#include "gradus/kernels/gemm/offsets.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// Products of float matrices, C = A · B + bias, whose operands are rounded to bfloat16 while they are packed,
// or split into the sum of two such numbers: a · b = ah · bh + ah · bl + al · bh, without al · bl, which is
// below the rounding of the rest. Sums are in float. After Henry, Tang & Heinecke, "Leveraging the bfloat16
// artificial intelligence datatype for higher-precision computations", 2019.
//
// Operands are implicit: offsets say where their elements are, so that a convolution gathers its patches
// while it packs. The blocking is that of BLIS: micro-panels of 16 rows of A and 16 columns of B, `kc` of k
// at a time; a task multiplies `mc` by `nc` micro-panels.

namespace gradus::kernels::detail {

/// What the blocking has to suit.
enum class Bf16Shape {
    general,       // both operands are packed as a whole before anything is multiplied
    many_columns,  // few rows, and columns beyond number: B is packed block by block, once for all rows
    long_k,        // k beyond number: both are packed block by block, for many rows and columns
};

/// C(i, j), at c[i · c_row + c_columns(j)], = bias + the sum over k of A(i, k) B(k, j).
struct Bf16Product {
    Index m, n, k;
    Bf16Operand a, b;
    float* c;
    Index c_row;
    OffsetGenerator c_columns;
    const float* row_bias = nullptr;  // one of the two, or none
    const float* column_bias = nullptr;
    Bf16Shape shape = Bf16Shape::general;
};

/// How a product is cut into tasks. Sums depend on kc and k_parts, and so on sizes alone.
struct Bf16Blocking {
    static constexpr Index resident_size = Index{1} << 21;  // numbers of an operand that is packed as a whole

    Index m_panels, n_panels;  // micro-panels, of A and of B
    Index kc;                  // two micro-panels of B of this depth stay in the first-level cache
    Index mc = 8, nc = 2;      // micro-panels of a task, even
    Index k_parts = 1;         // of k, whose sums are added in the end
    bool a_resident = true, b_resident = true;  // packed as a whole, else block by block

    Bf16Blocking(const Bf16Product& p, bool split)
        : m_panels(ceil_div(p.m, bf16_panel_rows)),
          n_panels(ceil_div(p.n, bf16_panel_rows)),
          kc(split ? 256 : 512) {
        if (p.shape == Bf16Shape::general) return;
        nc = 8;
        b_resident = p.n * p.k <= resident_size;
        if (p.shape == Bf16Shape::many_columns) {
            if (!b_resident) mc = ceil_div(m_panels, 2) * 2;
        } else {
            mc = 16;
            a_resident = p.m * p.k <= resident_size;
            k_parts = std::clamp<Index>(16 / (m_tasks() * n_tasks()), 1, ceil_div(p.k, kc));
        }
    }

    Index m_tasks() const { return ceil_div(m_panels, mc); }
    Index n_tasks() const { return ceil_div(n_panels, nc); }
};

/// One product on one backend. Every element adds up in the same order, whatever the number of threads. Up to
/// piece_terms of them are one run in the backend's registers, longer than those of pairwise_sum.hpp:
/// rounding the operands costs more than that.
struct Bf16Gemm {
    const Bf16Backend& backend;
    bool split;  // each operand into two parts
    Bf16Product product;
    Bf16Blocking blocking;
    Index k_begin = 0;  // in a piece of a longer sum

    /// A packed operand, or scratch for a block of one.
    struct Packed {
        Tensor<float> memory;  // of numbers as large as a pair
        Bf16Pair* high = nullptr;
        Bf16Pair* low = nullptr;
        Index panel_stride = 0;

        void allocate(Index panels, Index k, bool low_part) {
            panel_stride = ceil_div(k, bf16_block_k) * bf16_block_pairs;
            memory = Tensor<float>::uninitialized({(low_part ? 2 : 1) * panels * panel_stride});
            high = reinterpret_cast<Bf16Pair*>(memory.mutable_data());
            low = low_part ? high + panels * panel_stride : nullptr;
        }
    };

    void run() const {
        const Index size = product.m * product.n, parts = blocking.k_parts;
        if (product.k > piece_terms) {
            Tensor<float> memory = Tensor<float>::uninitialized({size});
            add_pieces(Index{0}, product.k, piece_terms, size, memory.mutable_data(),
                       [this](Index begin, Index end, float* sums) { piece(begin, end, sums).run(); });
            write(memory.data(), 1);
        } else if (parts > 1) {
            Tensor<float> memory = Tensor<float>::uninitialized({parts, size});
            dense(memory.mutable_data()).run_parts();
            write(memory.data(), parts);
        } else {
            run_parts();
        }
    }

private:
    /// The same product to a matrix without gaps.
    Bf16Gemm dense(float* sums) const {
        Bf16Gemm gemm = *this;
        gemm.product.c = sums;
        gemm.product.c_row = product.n;
        gemm.product.c_columns = linear_offsets(product.n, 1);
        return gemm;
    }

    /// What k in [begin, end) adds, without bias.
    Bf16Gemm piece(Index begin, Index end, float* sums) const {
        Bf16Gemm gemm = dense(sums);
        gemm.k_begin = begin;
        gemm.product.k = end - begin;
        gemm.product.row_bias = gemm.product.column_bias = nullptr;
        gemm.blocking.k_parts = std::min(blocking.k_parts, ceil_div(end - begin, blocking.kc));
        return gemm;
    }

    /// C = bias + the sum of `count` such matrices.
    void write(const float* sums, Index count) const {
        const Index m = product.m, n = product.n;
        Index offsets[bf16_panel_rows];
        for (Index i = 0; i < m; ++i)
            for (Index j = 0; j < n; ++j) {
                if (j % bf16_panel_rows == 0)
                    product.c_columns.run(j, std::min(bf16_panel_rows, n - j), offsets);
                const float* const terms = sums + i * n + j;
                float sum = terms[0];
                for (Index part = 1; part < count; ++part) sum += terms[part * m * n];
                if (product.row_bias) sum += product.row_bias[i];
                if (product.column_bias) sum += product.column_bias[j];
                product.c[i * product.c_row + offsets[j % bf16_panel_rows]] = sum;
            }
    }

    void run_parts() const {
        Packed whole_a, whole_b;
        if (blocking.a_resident) pack_all(product.a, product.m, false, whole_a);
        if (blocking.b_resident) pack_all(product.b, product.n, true, whole_b);
        const Index m_tasks = blocking.m_tasks(), n_tasks = blocking.n_tasks();
        const Index work = blocking.mc * blocking.nc * bf16_block_pairs * product.k / blocking.k_parts / 8;
        parallel_for(m_tasks * n_tasks * blocking.k_parts,
                     std::max<Index>(1, parallel_grain / std::max<Index>(1, work)),
                     [&](Index begin, Index end) {
                         Packed block_a, block_b;
                         if (!blocking.a_resident) block_a.allocate(blocking.mc, blocking.kc, split);
                         if (!blocking.b_resident) block_b.allocate(blocking.nc, blocking.kc, split);
                         backend.begin();
                         for (Index task = begin; task < end; ++task)
                             run_task(task % m_tasks, task / m_tasks % n_tasks, task / m_tasks / n_tasks,
                                      blocking.a_resident ? whole_a : block_a,
                                      blocking.b_resident ? whole_b : block_b);
                         backend.end();
                     });
    }

    void pack_all(const Bf16Operand& x, Index rows, bool is_b, Packed& packed) const {
        const Index panels = ceil_div(rows, bf16_panel_rows), k = product.k, kc = blocking.kc;
        packed.allocate(panels, k, split);
        const Index work = bf16_panel_rows * k;
        parallel_for(panels, std::max<Index>(1, parallel_grain / work), [&](Index begin, Index end) {
            for (Index at = 0; at < k; at += kc)
                pack(x, rows, is_b, begin, end - begin, at, std::min(kc, k - at), packed,
                     begin * packed.panel_stride + at * bf16_block_pairs / bf16_block_k);
        });
    }

    /// Packs `panels` micro-panels from the first on, for k in [at, at + count), to packed + offset.
    void pack(const Bf16Operand& x, Index rows, bool is_b, Index first, Index panels, Index at, Index count,
              const Packed& packed, Index offset) const {
        pack_bf16_panels(backend, x, rows, is_b, first, panels, k_begin + at, count, packed.high + offset,
                         packed.low ? packed.low + offset : nullptr, packed.panel_stride);
    }

    void run_task(Index m_task, Index n_task, Index part, const Packed& packed_a,
                  const Packed& packed_b) const {
        const Bf16Blocking& plan = blocking;
        const Index a_first = m_task * plan.mc, a_panels = std::min(plan.mc, plan.m_panels - a_first);
        const Index b_first = n_task * plan.nc, b_panels = std::min(plan.nc, plan.n_panels - b_first);
        const Index blocks = ceil_div(product.k, plan.kc);
        const Index begin = blocks * part / plan.k_parts * plan.kc;
        const Index end = std::min(product.k, blocks * (part + 1) / plan.k_parts * plan.kc);
        float* const c = product.c + part * product.m * product.n;
        for (Index k = begin; k < end; k += plan.kc) {
            const Index count = std::min(plan.kc, end - k);
            if (!plan.a_resident) pack(product.a, product.m, false, a_first, a_panels, k, count, packed_a, 0);
            if (!plan.b_resident) pack(product.b, product.n, true, b_first, b_panels, k, count, packed_b, 0);
            const Index block = k * bf16_block_pairs / bf16_block_k;
            const Index a_at = plan.a_resident ? block + a_first * packed_a.panel_stride : 0;
            const Index b_at = plan.b_resident ? block + b_first * packed_b.panel_stride : 0;
            for (Index i = 0; i < a_panels; i += 2)
                for (Index j = 0; j < b_panels; j += 2) {
                    Bf16Tile tile{};
                    tile.terms = split ? 3 : 1;
                    for (int term = 0; term < tile.terms; ++term) {  // high · high, high · low, low · high
                        tile.a[term] =
                            (term == 2 ? packed_a.low : packed_a.high) + a_at + i * packed_a.panel_stride;
                        tile.b[term] =
                            (term == 1 ? packed_b.low : packed_b.high) + b_at + j * packed_b.panel_stride;
                    }
                    tile.k_blocks = ceil_div(count, bf16_block_k);
                    tile.a_stride = packed_a.panel_stride;
                    tile.b_stride = packed_b.panel_stride;
                    tile.a_panels = static_cast<int>(std::min<Index>(2, a_panels - i));
                    tile.b_panels = static_cast<int>(std::min<Index>(2, b_panels - j));
                    run_tile(tile, a_first + i, b_first + j, c, k == begin);
                }
        }
    }

    /// A tile goes straight to C where all of its rows and columns exist and columns follow each other, else
    /// by way of a copy.
    void run_tile(Bf16Tile& tile, Index a_panel, Index b_panel, float* c, bool first) const {
        const float *const row_bias = product.row_bias, *const column_bias = product.column_bias;
        const Index row = a_panel * bf16_panel_rows, c_row = product.c_row;
        float* const rows = c + row * c_row;
        float copy[2][2 * bf16_panel_rows * bf16_panel_rows];
        Index offsets[2][bf16_panel_rows], columns[2];
        tile.rows = std::min(tile.a_panels * bf16_panel_rows, product.m - row);
        tile.add = !first || row_bias || column_bias;
        for (int p = 0; p < tile.b_panels; ++p) {
            const Index column = (b_panel + p) * bf16_panel_rows;
            columns[p] = std::min(bf16_panel_rows, product.n - column);
            product.c_columns.run(column, columns[p], offsets[p]);
            const bool direct = tile.rows == tile.a_panels * bf16_panel_rows &&
                                columns[p] == bf16_panel_rows &&
                                in_runs(offsets[p], bf16_panel_rows, bf16_panel_rows);
            tile.c[p] = direct ? rows + offsets[p][0] : copy[p];
            tile.c_row[p] = direct ? c_row : bf16_panel_rows;
            if (first && tile.add)
                for (Index i = 0; i < tile.rows; ++i)
                    for (Index j = 0; j < columns[p]; ++j)
                        tile.c[p][i * tile.c_row[p] + j] =
                            row_bias ? row_bias[row + i] : column_bias[column + j];
            if (!first && !direct)
                for (Index i = 0; i < tile.rows; ++i)
                    for (Index j = 0; j < columns[p]; ++j)
                        copy[p][i * bf16_panel_rows + j] = rows[i * c_row + offsets[p][j]];
        }
        backend.multiply(&tile);
        for (int p = 0; p < tile.b_panels; ++p)
            for (Index i = 0; tile.c[p] == copy[p] && i < tile.rows; ++i)
                for (Index j = 0; j < columns[p]; ++j)
                    rows[i * c_row + offsets[p][j]] = copy[p][i * bf16_panel_rows + j];
    }
};

/// How a product of float is computed: by `run` on the backend, or in float if there is none.
struct Bf16Plan {
    const Bf16Backend* backend = nullptr;
    bool split = false;
    void (*run)(const Bf16Plan&, const Bf16Product&) = nullptr;

    explicit operator bool() const { return backend != nullptr; }
    void operator()(const Bf16Product& product) const { run(*this, product); }
};

inline void run_bf16_gemm(const Bf16Plan& plan, const Bf16Product& product) {
    Bf16Gemm{*plan.backend, plan.split, product, Bf16Blocking(product, plan.split)}.run();
}

/// Whether a product [m, k] · [k, n] is large enough for packing to pay, and fills a block of 16 × 16.
constexpr bool is_profitable_in_bf16(Index m, Index n, Index k) {
    return std::min(m, n) >= bf16_panel_rows && k >= 24 && m * n * k >= 1 << 17;
}

/// The fastest that the precision allows: float where splitting takes the backend longer.
inline Bf16Plan fastest_bf16_plan() {
    using gradus::detail::MatmulPrecision;
    const auto precision = gradus::detail::matmul_precision.load(std::memory_order_relaxed);
    const Bf16Backend* const backend = bf16_backend();
    const bool split = precision == MatmulPrecision::high;
    if (precision == MatmulPrecision::highest || !backend || (split && !backend->split_is_faster)) return {};
    return {backend, split, run_bf16_gemm};
}

/// That function, while some precision below "highest" is allowed: reached by pointer, so that only programs
/// that call set_float32_matmul_precision() compile all of this.
inline std::atomic<Bf16Plan (*)()> bf16_planner{nullptr};

inline Bf16Plan bf16_plan() {
    const auto planner = bf16_planner.load(std::memory_order_relaxed);
    return planner ? planner() : Bf16Plan{};
}

}  // namespace gradus::kernels::detail

[[gnu::cold]] inline void gradus::set_float32_matmul_precision(std::string_view precision) {
    using detail::MatmulPrecision;
    for (const auto level : {MatmulPrecision::highest, MatmulPrecision::high, MatmulPrecision::medium}) {
        if (precision != detail::matmul_precision_names[static_cast<int>(level)]) continue;
        detail::matmul_precision.store(level, std::memory_order_relaxed);
        kernels::detail::bf16_planner.store(
            level == MatmulPrecision::highest ? nullptr : kernels::detail::fastest_bf16_plan,
            std::memory_order_relaxed);
        return;
    }
    detail::raise<ValueError>(
        {"set_float32_matmul_precision: needs \"highest\", \"high\" or \"medium\": got \"", precision, "\""});
}
