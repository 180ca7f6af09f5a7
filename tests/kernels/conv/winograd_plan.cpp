// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/winograd.hpp"
#include "support/test.hpp"

using namespace gradus;
namespace winograd = kernels::detail::winograd;

TEST_CASE("winograd: a plan has room for its blocks and products") {
    using winograd::WinogradPlan;
    for (const Index kernel : {3, 5})
        for (const Index batch : {1, 2, 33, 500})
            for (const Size2 grid : {Size2(1), Size2(2, 3), Size2(9), Size2(1, 300)})
                for (const Index in : {1, 16, 33, 512, 4096})
                    for (const Index out_panels : {1, 4})
                        for (const bool ordered : {false, true}) {
                            const WinogradPlan plan(kernel, batch, grid, 32, in, out_panels, ordered, 16, 2);
                            CHECK(plan.points == (kernel + 3) * (kernel + 3));
                            const Index tiles = plan.blocks.images * plan.blocks.rows * grid.width;
                            CHECK(plan.v_tile >= in);
                            CHECK(plan.v_point >= (tiles + 3) / 4 * 4 * plan.v_tile);
                            CHECK(plan.m_point >= (tiles + 3) / 4 * 4 * plan.panel);
                            CHECK(plan.u_point >= plan.k * plan.panel);
                            CHECK((plan.k == in || !plan.shared));  // all blocks share whole weights
                            CHECK(plan.shared == (plan.blocks.count() > 1));
                            CHECK(plan.tasks.groups * plan.together == plan.blocks.count());
                            CHECK((!ordered || plan.together == plan.blocks.down));
                        }
}

namespace {

/// Of `threads` that share tasks out as core/parallel.hpp does: the time of the one that takes longest, where
/// work(task) says how long each takes.
template <class Work>
double longest(Index count, int threads, const Work& work) {
    const int workers = static_cast<int>(std::min<Index>(count, threads));
    const TaskShares shares{count, workers};
    double most = 0;
    for (int t = 0; t < workers; ++t) {
        double time = 0;
        for (Index task = shares.first(t); task < shares.first(t + 1); ++task) time += work(task);
        most = std::max(most, time);
    }
    return most;
}

}  // namespace

TEST_CASE("winograd: tasks cover every panel of every group once") {
    for (const Index groups : {0, 1, 3, 16, 100})
        for (const Index panels : {1, 2, 5, 16})
            for (const int threads : {1, 2, 3, 8, 64}) {
                const winograd::TaskGrid grid(groups, panels, 0.25, threads);
                Index task = 0;
                for (Index g = 0; g < groups; ++g)
                    for (Index p = 0; p < panels; p = grid.last(task++)) {
                        REQUIRE(task < grid.count());
                        CHECK(grid.group(task) == g);
                        CHECK(grid.first(task) == p);
                        CHECK(grid.last(task) > p);
                    }
                CHECK(task == grid.count());
            }
    CHECK(winograd::TaskGrid(5, 7, 0.25, 1).splits == 1);   // alone, nobody transforms twice
    CHECK(winograd::TaskGrid(16, 7, 0.25, 2).splits == 1);  // eight groups each
    CHECK(winograd::TaskGrid(1, 8, 0.25, 2).splits == 2);   // one image: half of its channels each
    CHECK(winograd::TaskGrid(3, 8, 0.25, 2).splits == 2);   // not two groups for one, and one for the other
}

TEST_CASE("winograd: threads have as much to do as each other") {
    // What the thread that has most to do takes beyond an equal part of the products, where there are enough
    // images for all; panels of 32 channels.
    using winograd::WinogradPlan;
    const auto imbalance = [](Index batch, Size2 grid, Index in, Index out_panels, bool ordered,
                              int threads) {
        const WinogradPlan plan(3, batch, grid, 32, in, out_panels, ordered, 16, threads);
        const winograd::TaskGrid& tasks = plan.tasks;
        double all = 0;
        const double most = longest(tasks.count(), threads, [&](Index task) {
            double tiles = 0;
            for (Index i = 0; i < plan.together; ++i) {
                const winograd::TileRows part = plan.blocks[tasks.group(task) * plan.together + i];
                tiles += static_cast<double>(part.images * part.rows * grid.width);
            }
            const auto panels = static_cast<double>(tasks.last(task) - tasks.first(task));
            all += tiles * (0.25 * panels / static_cast<double>(out_panels) + panels);
            return tiles * (0.25 + panels);
        });
        return most * threads / all - 1;
    };
    for (const bool ordered : {false, true}) {
        for (const int threads : {2, 4, 8, 16}) {
            CHECK(imbalance(16, Size2(6), 48, 6, ordered, threads) < 0.1);  // 24 x 24 pixels
            CHECK(imbalance(16, Size2(8), 64, 2, ordered, threads) < 0.1);
            CHECK(imbalance(64, Size2(7), 32, 1, ordered, threads) < 0.1);
            CHECK(imbalance(16, Size2(14), 64, 2, ordered, threads) < 0.1);  // several blocks of an image
        }
        for (const int threads : {2, 4, 8, 16, 64}) {
            CHECK(imbalance(256, Size2(6), 48, 6, ordered, threads) < 0.1);
            CHECK(imbalance(128, Size2(8), 64, 2, ordered, threads) < 0.1);
        }
        CHECK(imbalance(1, Size2(16), 48, 16, ordered, 2) < 0.1);   // one image
        CHECK(imbalance(16, Size2(1), 512, 16, ordered, 2) < 0.1);  // one block
    }
}
