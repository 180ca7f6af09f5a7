// SPDX-License-Identifier: MIT
#include "gradus/distributed/world.hpp"

#include <array>
#include <chrono>
#include <stdexcept>

#include "support/test.hpp"
#include "support/thread_world.hpp"

using namespace gradus;
using distributed::World;

namespace {

const std::vector<std::string> nothing(4);

double seconds_of(const std::function<void()>& f) {
    const auto start = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("world: of one process, nothing is sent") {
    const World world;
    CHECK(world.rank() == 0);
    CHECK(world.size() == 1);
    CHECK(world.is_first());
    CHECK(world.all_gather("a", {"test"}) == std::vector<std::string>{"a"});
    CHECK(world.exchange_text(0, "b", 0, {"test"}) == "b");
    world.stop("nobody hears this");
    CHECK_THROWS_WITH(
        World(std::make_unique<ThreadTransport>(std::make_shared<ThreadMail>(1), 0), {.deadline = 0}),
        "world: the deadline must be above 0 seconds: got 0");
}

TEST_CASE("world: texts of any length reach all processes, in the order of ranks") {
    for (const int count : {1, 2, 3, 5, 8}) {
        std::vector<std::vector<std::string>> got(static_cast<std::size_t>(count));
        const auto errors = in_threads(count, {}, [&](World& world) {
            got[static_cast<std::size_t>(world.rank())] =
                world.all_gather(std::string(static_cast<std::size_t>(world.rank() * 1000),
                                             static_cast<char>('a' + world.rank())),
                                 {"test"});
        });
        CHECK(errors == std::vector<std::string>(static_cast<std::size_t>(count)));
        for (const auto& texts : got) {
            REQUIRE(texts.size() == static_cast<std::size_t>(count));
            for (std::size_t r = 0; r < texts.size(); ++r)
                CHECK(texts[r] == std::string(r * 1000, static_cast<char>('a' + r)));
        }
    }
}

TEST_CASE("world: the missing process is named by all others, also by those that do not wait for it") {
    std::vector<std::string> errors;
    const double seconds = seconds_of([&] {
        errors = in_threads(4, {.deadline = 0.4}, [](World& world) {
            if (world.rank() == 2) throw std::runtime_error("");  // below: it tells nobody
            world.all_gather("x", {"reduce_gradients", 118});
        });
    });
    CHECK(errors[0] == "rank 2 of 4 stopped: ");
    CHECK(seconds < 5);

    const auto mail = std::make_shared<ThreadMail>(4);
    std::vector<std::string> texts(4);
    std::vector<std::thread> threads;
    for (const int rank : {0, 1, 3})
        threads.emplace_back([&, rank] {
            try {
                World world(std::make_unique<ThreadTransport>(mail, rank), {.deadline = 0.4});
                world.all_gather("x", {"reduce_gradients", 118});
            } catch (const distributed::DistributedError& e) {
                texts[static_cast<std::size_t>(rank)] = e.what();
            }
        });
    for (std::thread& thread : threads) thread.join();
    for (const std::size_t rank : {0u, 1u, 3u})
        CHECK(texts[rank] == "reduce_gradients: rank 2 of 4 did not arrive within 0.4 s at step 118");
}

TEST_CASE("world: a process that throws tells the others why, long before their deadline") {
    std::vector<std::string> errors;
    const double seconds = seconds_of([&] {
        errors = in_threads(4, {.deadline = 60}, [](World& world) {
            world.all_gather("x", {"test"});
            if (world.rank() == 3) throw std::runtime_error("images: 7.png: is damaged");
            world.all_gather("y", {"test"});
        });
    });
    CHECK(seconds < 10);
    CHECK(errors[3] == "images: 7.png: is damaged");
    for (const std::size_t rank : {0u, 1u, 2u})
        CHECK(errors[rank] == "rank 3 of 4 stopped: images: 7.png: is damaged");
}

TEST_CASE("world: after a failure every call fails, at once") {
    const auto errors = in_threads(2, {.deadline = 0.2}, [](World& world) {
        if (world.rank() == 1) {
            std::this_thread::sleep_for(std::chrono::milliseconds(600));
            return;
        }
        std::array<std::byte, 4> bytes{};
        CHECK_THROWS_WITH(world.exchange(1, bytes, 1, bytes, {"first"}),
                          "first: rank 1 of 2 did not arrive within 0.2 s");
        const double seconds = seconds_of([&] {
            CHECK_THROWS_WITH(world.exchange(1, bytes, 1, bytes, {"second", 3}),
                              "first: rank 1 of 2 did not arrive within 0.2 s");
        });
        CHECK(seconds < 0.1);
    });
    CHECK(errors[0].empty());
}

TEST_CASE("world: a slow process is waited for") {
    const auto errors = in_threads(4, {.deadline = 5}, [](World& world) {
        if (world.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(300));
        world.all_gather("x", {"test"});
    });
    CHECK(errors == nothing);
}

TEST_CASE("world: a process that ends too early is named, whatever it waits for then") {
    const auto errors = in_threads(4, {.deadline = 0.4}, [](World& world) {
        if (world.rank() == 1) return;
        world.all_gather("x", {"reduce_gradients", 8});
    });
    CHECK(errors[1].empty());
    for (const std::size_t rank : {0u, 2u, 3u})
        CHECK(errors[rank] ==
              "reduce_gradients: rank 1 of 4 ended before it at step 8: does every process make as many "
              "steps?");
}

TEST_CASE("world: what one finds wrong with all of them is thrown by all as it is") {
    const auto errors = in_threads(4, {.deadline = 20}, [](World& world) {
        if (world.rank() == 2) throw distributed::DistributedError("shards: differ");
        world.all_gather("x", {"test"});
    });
    CHECK(errors == std::vector<std::string>(4, "shards: differ"));
}

TEST_CASE("world: processes that wait for each other at other places say so") {
    const auto errors = in_threads(2, {.deadline = 0.3}, [](World& world) {
        std::array<std::byte, 4> bytes{};
        if (world.rank() == 0)
            world.exchange(1, {}, 1, bytes, {"receive", 7});
        else
            world.exchange(0, {}, 0, bytes, {"receive", 7});
    });
    CHECK_THAT(errors[0] + errors[1], ContainsSubstring("size"));
}
