// SPDX-License-Identifier: MIT
#include "gradus/data/set_loader.hpp"

#include <ranges>
#include <string>
#include <vector>

#include "data/numbered.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"

using namespace gradus;
using data::Loader;

namespace {

data::Dataset<> numbered(Index count) { return {rand({count, 2}), arange<Index>(count)}; }

using NumbersLoader = Loader<Numbers, data::detail::LoaderOrder>;
static_assert(data::BatchSource<NumbersLoader>);
static_assert(data::BatchSource<Loader<>>);
static_assert(std::ranges::input_range<const data::SetEpoch<Numbers>&>);

}  // namespace

TEST_CASE("a loader of any set has the order of one of a Dataset") {
    const data::Dataset<> set = numbered(23);
    const data::LoaderOptions options{.batch_size = 5, .shuffle = true, .seed = 8};
    const Loader one(set, options);
    const Loader other(Numbers{23}, options);
    CHECK(one.epoch(2).size() == other.epoch(2).size());
    for (Index i = 0; i < 5; ++i) {
        CHECK(one.epoch(2)[i].labels == other.epoch(2)[i]);
        CHECK(one.epoch(2).rows(i) == other.epoch(2).rows(i));
    }
    CHECK(Loader(set, {.batch_size = 5}).epoch(0).rows(4) == Tensor<Index>{20, 21, 22});
    CHECK_THROWS_MATCHES(one.epoch(0).rows(5), ValueError, Message("loader: the batches are 0 to 4: got 5"));
    CHECK(all_of(Loader(Numbers{4}, {.batch_size = 3}).epoch(0)) == std::vector<Index>{0, 1, 2, 3});
    CHECK(all_of(Loader(Numbers{4}, {.batch_size = 3, .drop_last = true}).epoch(0)) ==
          std::vector<Index>{0, 1, 2});
    CHECK(Loader(std::vector<Tensor<>>{Tensor<>{1, 2}, Tensor<>{3, 4}}, {.batch_size = 2}).epoch(0)[0] ==
          Tensor<>{{1, 2}, {3, 4}});
}

TEST_CASE("every batch is reached directly, and the epoch may outlive the loader") {
    const auto epoch = [] { return Loader(Numbers{10}, {.batch_size = 3, .shuffle = true}).epoch(4); }();
    std::vector<Tensor<Index>> forward;
    for (const auto& batch : epoch) forward.push_back(batch);
    for (const Index i : {3, 0, 2, 1, 1}) CHECK(epoch[i] == forward[static_cast<std::size_t>(i)]);
    CHECK_THROWS_MATCHES(epoch[4], ValueError, Message("loader: the batches are 0 to 3: got 4"));
    CHECK_THROWS_MATCHES(epoch[-1], ValueError, Message("loader: the batches are 0 to 3: got -1"));
}

TEST_CASE("any function is a sampler") {
    const auto backwards = [](const data::Pass& pass) {
        Tensor<Index> rows = arange<Index>(pass.examples);
        for (Index& row : rows.mutable_values()) row = pass.examples - 1 - row;
        return rows;
    };
    CHECK(all_of(Loader(Numbers{5}, backwards, {.batch_size = 2}).epoch(0)) ==
          std::vector<Index>{4, 3, 2, 1, 0});
    const auto plan = [](const data::Pass& pass) {
        CHECK(pass.epoch == 6);
        CHECK(pass.batch_size == 2);
        return data::Plan{{4, 4, 1}, {0, 1, 3}};
    };
    const auto epoch = Loader(numbered(5), plan, {.batch_size = 2}).epoch(6);
    CHECK(epoch[0].labels == Tensor<Index>{4});
    CHECK(epoch[1].labels == Tensor<Index>{4, 1});
    CHECK(epoch.repeats(0) == Tensor<Index>{0});
    CHECK(epoch.repeats(1) == Tensor<Index>{1, 0});
    CHECK(Loader(Numbers{}, {.batch_size = 2}).epoch(0).repeats(1).numel() == 0);
}

TEST_CASE("loaders refuse what cannot be meant") {
    CHECK_THROWS_MATCHES(Loader(Numbers{}, {.batch_size = 0}), ValueError,
                         Message("loader: batch_size must be at least 1: got 0"));
    CHECK_THROWS_MATCHES(Loader(Numbers{}).epoch(-1), ValueError,
                         Message("loader: the epoch must be at least 0: got -1"));
    CHECK_THROWS_MATCHES(
        Loader(Numbers{}, data::SequentialSampler{}, {.shuffle = true}), ValueError,
        Message("loader: the sampler says in which order: leave out shuffle, or the sampler"));
    CHECK_THROWS_MATCHES(Loader(Numbers{0}).epoch(0).begin(), ValueError,
                         Message("loader: there are no batches: the set is empty"));
    CHECK_THROWS_MATCHES(
        Loader(Numbers{3}, {.batch_size = 4, .drop_last = true}).epoch(0).begin(), ValueError,
        Message("loader: there are no batches: drop_last or the sampler leaves out all examples"));
    const auto out_of_range = [](const data::Pass&) { return Tensor<Index>{0, 10}; };
    CHECK_THROWS_MATCHES(Loader(Numbers{10}, out_of_range).epoch(0), ValueError,
                         Message("sampler: the examples are 0 to 9: got 10"));
    for (const data::Plan& plan : {data::Plan{{0, 1}, {0, 3}}, data::Plan{{0, 1}, {0, 2, 1}},
                                   data::Plan{{0, 1}, {1, 2}}, data::Plan{{0, 1}, Tensor<Index>()}})
        CHECK_THROWS_MATCHES(
            Loader(Numbers{10}, [&](const data::Pass&) { return plan; }).epoch(0), ValueError,
            Message("sampler: needs rows [count] and starts [batches + 1] that rise from 0 to the "
                    "count: got [2] and " +
                    to_string(plan.starts.shape())));
}

TEST_CASE("map changes batches, and is told where they come from") {
    const Loader loader(numbered(7), {.batch_size = 3, .shuffle = true});
    const auto tripled = data::map(loader, [](data::Batch<> batch) {
        for (Index& label : batch.labels.mutable_values()) label *= 3;
        return batch;
    });
    CHECK(tripled.size() == 3);
    const auto informed = data::map(tripled, [](data::Batch<> batch, const data::BatchInfo& info) {
        CHECK(info.epoch == 5);
        for (Index i = 0; i < batch.labels.numel(); ++i) CHECK(batch.labels(i) == 3 * info.rows(i));
        CHECK(info.repeats.numel() == 0);
        return info.batch;
    });
    Index number = 0;
    for (const Index batch : informed.epoch(5)) CHECK(batch == number++);
    CHECK(number == 3);
    CHECK(informed.epoch(5)[2] == 2);
    const auto none = data::map(Loader(Numbers{0}), [](const Tensor<Index>& x) { return x; });
    CHECK_THROWS_MATCHES(none.epoch(0).begin(), ValueError,
                         Message("loader: there are no batches: the set is empty"));
}
