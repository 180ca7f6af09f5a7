// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/winograd_tiles.hpp"

#include <set>
#include <tuple>

#include "support/test.hpp"

using namespace gradus;
using namespace gradus::kernels::detail::winograd;

TEST_CASE("TileBlocks: every row of tiles is in one block") {
    for (const Index images : {1, 2, 7, 30})
        for (const Index rows : {1, 3, 8})
            for (const Index columns : {1, 2, 5, 80})
                for (const Index tiles : {1, 4, 32, 64}) {
                    const TileRows whole{3, images, 2, rows};
                    const TileBlocks blocks(whole, columns, tiles);
                    std::set<std::tuple<Index, Index>> seen;
                    for (Index i = 0; i < blocks.count(); ++i) {
                        const TileRows block = blocks[i];
                        CHECK((block.images > 0 && block.rows > 0));
                        CHECK(
                            (block.images == 1 || block.rows == rows));  // rows of one image, or whole images
                        CHECK(
                            (block.images * block.rows == 1 || block.images * block.rows * columns <= tiles));
                        for (Index n = block.image; n < block.image + block.images; ++n)
                            for (Index row = block.row; row < block.row + block.rows; ++row)
                                CHECK(seen.emplace(n, row).second);
                    }
                    CHECK(seen.size() == static_cast<std::size_t>(images * rows));
                    CHECK(*seen.begin() == std::tuple<Index, Index>(3, 2));
                    CHECK(*seen.rbegin() == std::tuple<Index, Index>(2 + images, 1 + rows));
                }
}

TEST_CASE("TileBlocks: images are shared out evenly, in groups of four tiles") {
    const auto images = [](Index batch, Index rows, Index columns, Index tiles) {
        return TileBlocks({0, batch, 0, rows}, columns, tiles).images;
    };
    CHECK(images(17, 2, 2, 64) == 9);   // two blocks: not 16 and 1
    CHECK(images(70, 1, 1, 64) == 36);  // of one tile each: 35, rounded up to fours
    CHECK(images(3, 2, 2, 64) == 3);
}

TEST_CASE("tiles_before: counts tiles in the order of a part") {
    const TileRows part{4, 3, 1, 2};
    Index expected = 0;
    for (Index image = 4; image < 7; ++image)
        for (Index row = 1; row < 3; ++row, expected += 5)
            CHECK(tiles_before(part, {image, 1, row, 1}, 5) == expected);
}
