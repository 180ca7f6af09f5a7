// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/winograd_dw.hpp"

#include <set>
#include <tuple>

#include "support/test.hpp"

using namespace gradus;
using namespace gradus::kernels::detail::winograd;
using Plan = WinogradBackwardWeightPlan;

namespace {

/// Panels of 32 channels.
Plan plan_of(Index batch, Size2 grid, Index in, Index out, int threads = 1, Index kernel = 3) {
    return {kernel, batch, grid, 32, in, (out + 31) / 32, 16, threads};
}

double tiles_of(const Plan& plan, const TileRows& part) {
    return static_cast<double>(part.images * part.rows * plan.grid.width);
}

}  // namespace

TEST_CASE("winograd_dw: every row of tiles is in one pass of one chunk, which has room for it") {
    for (const Index batch : {1, 3, 16, 100, 1000})
        for (const Size2 grid : {Size2(1), Size2(3), Size2(7, 5), Size2(14), Size2(60, 150)})
            for (const Index channels : {16, 48, 512}) {
                const Plan plan = plan_of(batch, grid, channels, channels);
                INFO("batch " << batch << ", tiles " << to_string(grid) << ", channels " << channels);
                Index rows = 0;
                std::set<std::tuple<Index, Index>> seen;
                for (Index c = 0; c < plan.chunks.count(); ++c) {
                    const TileBlocks passes = plan.passes_of(plan.chunks[c]);
                    for (Index i = 0; i < passes.count(); ++i) {
                        const TileRows pass = passes[i];
                        const Index tiles = pass.images * pass.rows * grid.width;
                        CHECK(plan.v_point >= tiles * plan.v_tile);
                        CHECK(plan.m_point >= tiles * plan.panel);
                        rows += pass.images * pass.rows;
                        for (Index n = pass.image; n < pass.image + pass.images; ++n)
                            for (Index row = pass.row; row < pass.row + pass.rows; ++row)
                                seen.emplace(n, row);
                    }
                }
                CHECK(rows == batch * grid.height);
                CHECK(seen.size() == static_cast<std::size_t>(rows));
                CHECK(*seen.begin() == std::tuple<Index, Index>(0, 0));
                CHECK(*seen.rbegin() == std::tuple<Index, Index>(batch - 1, grid.height - 1));
                CHECK((!plan.single || plan.finishes));
                CHECK((!plan.finishes || plan.chunks.count() == 1));
            }
}

TEST_CASE("winograd_dw: what is added up, and in which order, does not depend on the threads") {
    for (const Index batch : {1, 16, 256})
        for (const Size2 grid : {Size2(3), Size2(8), Size2(56)})
            for (const Index in : {24, 64, 256})
                for (const Index out : {24, 64, 256}) {
                    const Plan one = plan_of(batch, grid, in, out);
                    for (const int threads : {2, 3, 64}) {
                        const Plan plan = plan_of(batch, grid, in, out, threads);
                        CHECK(plan.chunks.count() == one.chunks.count());
                        CHECK(plan.chunks.images == one.chunks.images);
                        CHECK(plan.chunks.rows == one.chunks.rows);
                        CHECK(plan.slice_inputs == one.slice_inputs);
                        CHECK(plan.part == one.part);
                    }
                    CHECK(one.tasks.count() == one.chunks.count());  // one thread transforms nothing twice
                }
}

TEST_CASE("winograd_dw: chunks are few where their sums are large") {
    CHECK(plan_of(256, Size2(3), 24, 32).chunks.count() == 4);  // 2304 tiles, 19 passes: at least 3 each
    CHECK(plan_of(16, Size2(6), 48, 192).chunks.count() == 2);
    CHECK(plan_of(256, Size2(7), 64, 64).chunks.count() == 8);
    CHECK(plan_of(256, Size2(14), 16, 16).chunks.count() == 16);
    CHECK(plan_of(256, Size2(14), 512, 512).chunks.count() == 1);
    CHECK(plan_of(1, Size2(56), 32, 32).chunks.count() == 8);  // rows of an image
    CHECK(plan_of(1, Size2(4), 16, 16).single);
    CHECK(plan_of(3, Size2(16), 40, 17).chunks.count() == 1);      // not two images and one
    CHECK(plan_of(256, Size2(14), 32, 512).chunks.count() == 16);  // 392 passes
    for (const Index in : {16, 48, 100, 512, 2000})
        for (const Index out : {16, 48, 512})
            for (const Index batch : {32, 4096}) {
                const Plan plan = plan_of(batch, Size2(8), in, out);
                const Index chunks = plan.chunks.count(), passes = plan.passes_of(plan.chunks[0]).count();
                const Index sums = chunks * plan.parts * plan.out_panels * plan.points * plan.sum_point;
                CHECK((chunks == 1 || sums <= (passes < 16 ? 1 << 20 : 1 << 24)));
            }
}

TEST_CASE("winograd_dw: threads have as much to do as each other") {
    // The products of the thread that has most to do beyond an equal part of them.
    const auto imbalance = [](Index batch, Size2 grid, Index in, Index out, int threads) {
        const Plan plan = plan_of(batch, grid, in, out, threads);
        const TaskGrid &slices = plan.slices, &tasks = plan.tasks;
        const TaskShares shares{tasks.count(), static_cast<int>(std::min<Index>(tasks.count(), threads))};
        double most = 0, all = 0;
        for (int t = 0; t < shares.threads; ++t) {
            double products = 0;
            for (Index task = shares.first(t); task < shares.first(t + 1); ++task) {
                const Index all_of = tasks.group(task);
                products += tiles_of(plan, plan.chunks[slices.group(all_of)]) *
                            static_cast<double>(slices.last(all_of) - slices.first(all_of)) *
                            static_cast<double>(tasks.last(task) - tasks.first(task)) /
                            static_cast<double>(tasks.panels);
            }
            most = std::max(most, products);
            all += products;
        }
        return most * threads / all - 1;
    };
    CHECK(imbalance(16, Size2(6), 48, 192, 2) < 0.1);
    CHECK(imbalance(16, Size2(4), 128, 128, 2) < 0.1);  // one chunk: half of the channels each
    CHECK(imbalance(128, Size2(2), 128, 24, 2) < 0.1);  // of the input channels
    CHECK(imbalance(1, Size2(14), 48, 192, 2) < 0.1);   // one image
    for (const int threads : {2, 4, 8, 16}) {
        CHECK(imbalance(64, Size2(7), 64, 512, threads) < 0.1);
        CHECK(imbalance(16, Size2(1), 512, 512, threads) < 0.1);
        CHECK(imbalance(16, Size2(4), 128, 128, threads) < 0.1);  // one chunk, cut both ways
        CHECK(imbalance(256, Size2(14), 16, 16, threads) < 0.1);
    }
    CHECK(imbalance(256, Size2(14), 32, 512, 64) < 0.1);
    CHECK(imbalance(16, Size2(2), 256, 256, 64) < 0.1);
}
