// SPDX-License-Identifier: MIT
#include "gradus/data/prefetch.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "data/numbered.hpp"
#include "gradus/data/augment_images.hpp"
#include "gradus/data/augment_values.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using data::Loader;

namespace {

/// Counts what is read, and by which threads; example `broken` throws.
struct Watched {
    struct Log {
        std::atomic<Index> reads{0}, in_background{0}, smallest{1000};
    };
    Index count = 20, broken = -1;
    std::shared_ptr<Log> log = std::make_shared<Log>();

    Index size() const { return count; }
    Tensor<Index> operator[](Index i) const {
        ++log->reads;
        if (gradus::detail::in_background()) ++log->in_background;
        if (i < log->smallest) log->smallest = i;
        if (i == broken) throw std::runtime_error("example " + std::to_string(i) + " is broken");
        return full<Index>({}, i);
    }
};

/// Waits until the background has made what it may, or for ten seconds.
template <class Done>
bool eventually(const Done& done) {
    for (int i = 0; i < 10000 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return done();
}

}  // namespace

TEST_CASE("prefetched batches are the same, in any order and for any number of threads") {
    const data::Dataset<> set{rand({50, 3, 8, 8}), arange<Index>(50)};
    const auto plain = data::map(Loader(set, {.batch_size = 8, .shuffle = true}),
                                 data::augment(data::random_crop({.padding = 2}), data::gaussian_noise()));
    for (const Index ahead : {0, 1, 2, 10}) {
        const auto prefetched = data::prefetch(plain, {.ahead = ahead});
        CHECK(prefetched.size() == 7);
        for (const int threads : {1, 2, 3}) {
            const Threads limit(threads);
            Index i = 0;
            const auto expected = plain.epoch(ahead);
            for (auto& [inputs, labels] : prefetched.epoch(ahead)) {
                CHECK(same_bits(inputs, expected[i].inputs));
                CHECK(same_bits(labels, expected[i].labels));
                ++i;
            }
            CHECK(i == 7);
        }
        const auto epoch = prefetched.epoch(1);
        const auto expected = plain.epoch(1);
        for (const Index i : {3, 4, 5, 1, 1, 2, 6, 0, 1, 2, 3})
            CHECK(same_bits(epoch[i].inputs, expected[i].inputs));
        CHECK(epoch.rows(2) == expected.rows(2));
        CHECK_THROWS_MATCHES(epoch[7], ValueError, Message("loader: the batches are 0 to 6: got 7"));
        CHECK_THROWS_MATCHES(epoch[-1], ValueError, Message("loader: the batches are 0 to 6: got -1"));
        CHECK(same_bits(epoch[4].inputs, expected[4].inputs));
    }
}

TEST_CASE("the background works ahead, as far as it is told and no further") {
    if (!data::detail::has_threads) return;
    const Watched set{.count = 40};
    const auto loader = data::prefetch(Loader(set, {.batch_size = 4}), {.ahead = 2});
    {
        const auto epoch = loader.epoch(0);
        CHECK(set.log->reads == 0);  // nothing before it is asked for
        CHECK(epoch[0] == Tensor<Index>{0, 1, 2, 3});
        CHECK(eventually([&] { return set.log->reads == 12; }));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        CHECK(set.log->reads == 12);
        CHECK(epoch[1] == Tensor<Index>{4, 5, 6, 7});
        CHECK(eventually([&] { return set.log->reads == 16; }));
        CHECK(set.log->in_background == 12);
    }
    // Resuming makes nothing that lies before.
    const Watched fresh{.count = 40};
    const auto resumed = data::prefetch(Loader(fresh, {.batch_size = 4}), {.ahead = 1}).epoch(0);
    CHECK(resumed[8] == Tensor<Index>{32, 33, 34, 35});
    CHECK(resumed[9] == Tensor<Index>{36, 37, 38, 39});
    CHECK(fresh.log->smallest == 32);
}

TEST_CASE("nobody waits for a background that gets nowhere") {
    if (!data::detail::has_threads) return;
    const auto stuck = std::make_shared<std::atomic<bool>>(true);
    const auto loader = data::prefetch(
        data::map(Loader(Watched{.count = 12}, {.batch_size = 2}), [=](const Tensor<Index>& batch) {
            while (gradus::detail::in_background() && *stuck) std::this_thread::yield();
            return batch;
        }));
    const auto epoch = loader.epoch(0);
    for (Index i = 0; i < 6; ++i) {
        if (i == 4) *stuck = false;
        CHECK(epoch[i] == Tensor<Index>{2 * i, 2 * i + 1});
    }
    CHECK(all_of(epoch).size() == 12);
}

TEST_CASE("an exception of the background arrives at its batch") {
    const Watched set{.count = 20, .broken = 13};
    const auto loader = data::prefetch(Loader(set, {.batch_size = 4}), {.ahead = 3});
    for (int time = 0; time < 3; ++time) {
        const auto epoch = loader.epoch(0);
        Index i = 0;
        try {
            for (const auto& batch : epoch) {
                CHECK(batch(0) == 4 * i);
                ++i;
            }
            FAIL("nothing was thrown");
        } catch (const std::runtime_error& error) {
            CHECK(std::string(error.what()) == "example 13 is broken");
        }
        CHECK(i == 3);
        CHECK_THROWS_MATCHES(epoch[3], std::runtime_error, Message("example 13 is broken"));
        CHECK(epoch[4] == Tensor<Index>{16, 17, 18, 19});  // the others are still there
    }
    CHECK_THROWS_MATCHES(data::prefetch(Loader(Watched{0})).epoch(0).begin(), ValueError,
                         Message("loader: there are no batches: the set is empty"));
    CHECK_THROWS_MATCHES(data::prefetch(Loader(set), {.ahead = -1}), ValueError,
                         Message("prefetch: ahead must be at least 0: got -1"));
    CHECK_THROWS_MATCHES(data::prefetch(Loader(set)).epoch(-1), ValueError,
                         Message("loader: the epoch must be at least 0: got -1"));
}

TEST_CASE("an epoch may be left at any moment") {
    const auto loader = data::prefetch(Loader(Watched{}, {.batch_size = 1}), {.ahead = 4});
    for (int pause = 0; pause < 40; ++pause) {
        const auto epoch = loader.epoch(pause);
        if (pause % 4 == 0) continue;  // without a batch
        for (Index i = 0; i < pause / 4; ++i) CHECK(epoch[i] == Tensor<Index>{i});
        if (pause % 4 == 2) std::this_thread::sleep_for(std::chrono::microseconds(50 * pause));
    }
    const auto outlives = [] { return data::prefetch(Loader(Watched{5}, {.batch_size = 2})).epoch(0); }();
    CHECK(all_of(outlives) == std::vector<Index>{0, 1, 2, 3, 4});
    CHECK(all_of(outlives) == std::vector<Index>{0, 1, 2, 3, 4});
}

TEST_CASE("several threads may ask one epoch") {
    const auto epoch = data::prefetch(Loader(Watched{.count = 60}, {.batch_size = 2})).epoch(0);
    std::atomic<Index> wrong{0};
    std::vector<std::thread> askers;
    for (Index t = 0; t < 3; ++t)
        askers.emplace_back([&, t] {
            for (Index i = t; i < 30; i += 3)
                if (!(epoch[i] == Tensor<Index>{2 * i, 2 * i + 1})) ++wrong;
        });
    for (std::thread& asker : askers) asker.join();
    CHECK(wrong == 0);
}

TEST_CASE("loops of the background run on its thread alone") {
    if (!data::detail::has_threads) return;
    const Threads threads(3);
    const auto spread = [] {  // how many threads run a loop
        std::atomic<int> others{0};
        const auto self = std::this_thread::get_id();
        parallel_for(64, 1, [&](Index, Index) {
            if (std::this_thread::get_id() != self) ++others;
        });
        return others.load();
    };
    std::atomic<Index> made{0};
    const auto loader = data::map(Loader(Watched{.count = 6}, {.batch_size = 1}), [&](const Tensor<Index>&) {
        ++made;
        return std::pair(gradus::detail::in_background(), spread());
    });
    const auto epoch = data::prefetch(loader, {.ahead = 1}).epoch(0);
    for (Index i = 0; i < 6; ++i) {
        CHECK(eventually([&] { return i == 0 || made > i; }));  // else this thread would make it
        const auto [background, others] = epoch[i];
        CHECK(background == (i > 0));
        if (background) CHECK(others == 0);
    }
    CHECK_FALSE(gradus::detail::in_background());
}
