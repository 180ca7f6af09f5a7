// SPDX-License-Identifier: MIT
#include "gradus/distributed/broadcast.hpp"

#include "gradus/gradus.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"
#include "support/thread_world.hpp"

using namespace gradus;
using distributed::World;

namespace {

struct Net {
    nn::Linear<> fc{3, 4};
    nn::BatchNorm1d<> norm{4};
    Buffer<Index> order{arange<Index>(5)};
};

}  // namespace

TEST_CASE("broadcast: all processes get parameters and buffers of the first one") {
    for (const int count : {2, 3, 4, 7}) {
        std::vector<Net> nets(static_cast<std::size_t>(count));
        for (Index r = 0; r < count; ++r) {
            Net& net = nets[static_cast<std::size_t>(r)];
            Generator generator(static_cast<std::uint64_t>(r));
            net.fc.weight.set_value(randn({4, 3}, generator));
            net.norm.running_mean->set_value(randn({4}, generator));
            net.norm.num_batches_tracked->set_value(full<Index>({}, r));
            net.order.set_value(full<Index>({5}, r));
        }
        const Net first = nets[0];
        const auto errors = in_threads(count, {}, [&](World& world) {
            distributed::broadcast(nets[static_cast<std::size_t>(world.rank())], world);
        });
        CHECK(errors == std::vector<std::string>(static_cast<std::size_t>(count)));
        for (const Net& net : nets) {
            CHECK(same_bits(net.fc.weight.value(), first.fc.weight.value()));
            CHECK(same_bits(net.norm.running_mean->value(), first.norm.running_mean->value()));
            CHECK(net.norm.num_batches_tracked->value().item() == 0);
            CHECK(net.order.value().data()[4] == 0);
        }
    }
}

TEST_CASE("broadcast: another model is refused by all, and the part named") {
    const auto errors = in_threads(4, {}, [](World& world) {
        struct Two {
            nn::Linear<> fc1, fc2;
        };
        Two net{nn::Linear<>(3, world.rank() == 2 ? 5 : 4), nn::Linear<>(2, 2)};
        distributed::broadcast(net, world);
    });
    for (const std::string& error : errors)
        CHECK(error ==
              "broadcast: fc1.weight: must be the same in all processes: got F32 [4, 3] on rank 0 and F32 "
              "[5, 3] "
              "on rank 2");
}

TEST_CASE("check_same: names the first setting that differs, with both values") {
    const auto errors_of = [](const std::function<std::vector<distributed::Setting>(int)>& settings) {
        return in_threads(2, {},
                          [&](World& world) { distributed::check_same(world, settings(world.rank())); });
    };
    CHECK(errors_of([](int) {
              return std::vector<distributed::Setting>{{"lr", "0.1"}};
          }) == std::vector<std::string>(2));
    for (const std::string& error : errors_of([](int rank) {
             return std::vector<distributed::Setting>{{"batch", "8"}, {"lr", rank == 0 ? "0.1" : "0.2"}};
         }))
        CHECK(error ==
              "check_same: lr: must be the same in all processes: got 0.1 on rank 0 and 0.2 on rank 1");
    for (const std::string& error : errors_of([](int rank) {
             std::vector<distributed::Setting> settings{{"batch", "8"}};
             if (rank == 1) settings.push_back({"seed", "3"});
             return settings;
         }))
        CHECK(error ==
              "check_same: seed: must be the same in all processes: got nothing on rank 0 and 3 on rank 1");
}
