// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/depthwise_tiles.hpp"

#include <algorithm>
#include <vector>

#include "support/test.hpp"

using namespace gradus;
using kernels::detail::add_taps;
using kernels::detail::TapColumn;
using kernels::detail::TapColumns;

TEST_CASE("depthwise: taps below each other are shared out in columns of about equal height, in order") {
    for (Index taps = 1; taps <= 13; ++taps) {
        INFO("taps " << taps);
        TapColumns columns;
        columns.push_back({5, 6, 7, 1});  // those of another column of the filter
        add_taps(columns, 100, {9, 2, 3, taps});
        CHECK(columns.size() == 1 + static_cast<std::size_t>((taps + 3) / 4));
        CHECK(columns.data()[0].offset == 5);
        std::vector<Index> offsets, weights;
        Index least = taps, most = 0;
        for (std::size_t i = 1; i < columns.size(); ++i) {
            const TapColumn& c = columns.data()[i];
            least = std::min(least, c.taps);
            most = std::max(most, c.taps);
            for (Index t = 0; t < c.taps; ++t) {
                offsets.push_back(c.offset + t * 100);  // where each tap reads, as DepthwiseTiles has it
                weights.push_back(c.first + t * c.step);
            }
        }
        REQUIRE(offsets.size() == static_cast<std::size_t>(taps));
        for (Index t = 0; t < taps; ++t) {
            CHECK(offsets[static_cast<std::size_t>(t)] == 9 + t * 100);
            CHECK(weights[static_cast<std::size_t>(t)] == 2 + t * 3);
        }
        CHECK(most <= TapColumn::at_most);
        CHECK(least >= 1);
        CHECK(most - least <= 1);
    }
    TapColumns none;
    add_taps(none, 100, {9, 2, 3, 0});  // a phase of the gradient that no tap reaches
    CHECK(none.size() == 0);
}
