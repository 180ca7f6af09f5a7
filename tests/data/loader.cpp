// SPDX-License-Identifier: MIT
#include "gradus/data/loader.hpp"

#include <algorithm>
#include <iterator>
#include <ranges>
#include <set>
#include <vector>

#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using data::Dataset;
using data::Loader;

namespace {

/// Input row i is [10 i, 10 i + 1, ...] of the given width, and its label i.
Dataset<> numbered(Index count, Index width = 2) {
    Tensor<> inputs = Tensor<>::uninitialized({count, width});
    float* out = inputs.mutable_data();
    for (Index i = 0; i < count * width; ++i) out[i] = static_cast<float>(10 * (i / width) + i % width);
    return {inputs, arange<Index>(count)};
}

std::vector<Index> label_order(const data::Epoch<>& epoch) {
    std::vector<Index> order;
    for (auto& [inputs, labels] : epoch) order.insert(order.end(), labels.begin(), labels.end());
    return order;
}

static_assert(std::input_iterator<Loader<>::Iterator>);
static_assert(std::ranges::input_range<const Loader<>&>);
static_assert(std::ranges::input_range<const data::Epoch<>&>);

}  // namespace

TEST_CASE("a dataset needs one label for each input") {
    CHECK(Dataset<>().size() == 0);
    CHECK_NOTHROW(Dataset<>().check());
    const Dataset<> uneven{zeros({3, 1, 2, 2}), arange<Index>(2)};
    const auto text = Message("dataset: every input needs one label: got [3, 1, 2, 2] and [2]");
    CHECK_THROWS_MATCHES(uneven.check(), ShapeError, text);
    CHECK_THROWS_MATCHES(Loader(uneven), ShapeError,
                         Message("loader: every input needs one label: got [3, 1, 2, 2] and [2]"));
    CHECK_THROWS_AS((Dataset<>{full({}, 1), arange<Index>(1)}).check(), ShapeError);
    CHECK_THROWS_AS((Dataset<>{zeros({1}), full<Index>({}, 1)}).check(), ShapeError);
}

TEST_CASE("take and subset choose examples") {
    const Dataset<> all = numbered(5);
    const Dataset<> copy = all;
    CHECK(copy.inputs.shares_memory_with(all.inputs));
    const Dataset<> middle = all.take(1, 3);
    CHECK(middle.inputs == Tensor<>{{10, 11}, {20, 21}});
    CHECK(middle.labels == Tensor<Index>{1, 2});
    CHECK(middle.inputs.data() == all.inputs.data() + 2);
    CHECK_THROWS_AS(all.take(3, 6), ShapeError);

    const Dataset<> chosen = all.subset({4, 0, 4});
    CHECK(chosen.inputs == Tensor<>{{40, 41}, {0, 1}, {40, 41}});
    CHECK(chosen.labels == Tensor<Index>{4, 0, 4});
    CHECK(all.subset(Tensor<Index>()).size() == 0);
    CHECK_THROWS_MATCHES(all.subset({0, 5}), ValueError, Message("subset: the examples are 0 to 4: got 5"));
    CHECK_THROWS_MATCHES(all.subset({-1}), ValueError, Message("subset: the examples are 0 to 4: got -1"));
    CHECK_THROWS_MATCHES(all.subset(Tensor<Index>{{0, 1}}), ShapeError,
                         Message("subset: needs row numbers [count]: got [1, 2]"));
}

TEST_CASE("a dataset can hold other targets than class numbers") {
    const Dataset pairs{Tensor<>{{1, 2}, {3, 4}, {5, 6}}, Tensor<>{{0.1f, 0.2f}, {0.3f, 0.4f}, {0.5f, 0.6f}}};
    static_assert(std::is_same_v<decltype(pairs), const Dataset<float, float>>);
    for (const auto& [inputs, targets] : Loader(pairs, {.batch_size = 3})) CHECK(targets == pairs.labels);
    CHECK(pairs.subset({2}).labels == Tensor<>{{0.5f, 0.6f}});
}

TEST_CASE("split puts every example on one side, by the seed alone") {
    const Dataset<> all = numbered(101);
    const auto [train, test] = data::split(all, {.test = 0.2, .seed = 7});
    CHECK(test.size() == 20);
    CHECK(train.size() == 81);
    std::set<Index> seen(train.labels.begin(), train.labels.end());
    seen.insert(test.labels.begin(), test.labels.end());
    CHECK(seen.size() == 101);
    CHECK(test.inputs(3, 0) == static_cast<float>(10 * test.labels(3)));
    CHECK(data::split(all, {.test = 0.2, .seed = 7}).test.labels == test.labels);
    CHECK_FALSE(data::split(all, {.test = 0.2, .seed = 8}).test.labels == test.labels);
    CHECK(data::split(all, {.test = 0}).train.size() == 101);
    CHECK(data::split(all, {.test = 1}).test.size() == 101);
    CHECK(data::split(Dataset<>()).train.size() == 0);
    CHECK_THROWS_MATCHES(data::split(all, {.test = 1.5}), ValueError,
                         Message("split: the test fraction must be 0 to 1: got 1.5"));
    CHECK_THROWS_AS(data::split(all, {.test = std::nan("")}), ValueError);
}

TEST_CASE("a loader goes through a dataset in order, sharing its memory") {
    const Dataset<> all = numbered(7);
    const Loader loader(all, {.batch_size = 3});
    CHECK(loader.size() == 3);
    Index at = 0;
    for (const auto& [inputs, labels] : loader) {
        CHECK(labels.numel() == (at < 6 ? 3 : 1));
        CHECK(labels(0) == at);
        CHECK(inputs.data() == all.inputs.data() + 2 * at);
        at += 3;
    }
    CHECK(at == 9);
    CHECK(loader[1].labels == Tensor<Index>{3, 4, 5});
    CHECK_THROWS_MATCHES(loader[3], ValueError, Message("loader: the batches are 0 to 2: got 3"));
    CHECK_THROWS_MATCHES(loader[-1], ValueError, Message("loader: the batches are 0 to 2: got -1"));
}

TEST_CASE("what a caller does to a batch stays in that batch") {
    const Dataset<> all = numbered(4);
    for (auto& [inputs, labels] : Loader(all, {.batch_size = 2})) {
        inputs.mutable_at(0, 0) = -1;
        labels = Tensor<Index>{9};
    }
    CHECK(all.inputs == numbered(4).inputs);
    CHECK(all.labels == arange<Index>(4));
}

TEST_CASE("batches outlive the loader and the dataset that made them") {
    std::vector<Tensor<>> kept;
    for (const bool shuffle : {false, true})
        for (auto& [inputs, labels] : Loader(numbered(4), {.batch_size = 2, .shuffle = shuffle}).epoch(0))
            kept.push_back(inputs);
    CHECK(kept.size() == 4);
    CHECK(kept[1] == Tensor<>{{20, 21}, {30, 31}});
}

TEST_CASE("a loader that shuffles is only iterated by the epoch") {
    const Loader loader(numbered(4), {.batch_size = 2, .shuffle = true});
    const auto rule =
        Message("loader: each epoch has its own order: use loader.epoch(number), or shuffle = false");
    CHECK_THROWS_MATCHES(loader.begin(), ValueError, rule);
    CHECK_THROWS_MATCHES(loader[0], ValueError, rule);
    CHECK(loader.size() == 2);
    CHECK(loader.epoch(0).size() == 2);
    const auto in_order = label_order(Loader(numbered(4), {.batch_size = 2}).epoch(5));  // all alike
    CHECK(in_order == std::vector<Index>{0, 1, 2, 3});
}

TEST_CASE("an epoch can be gone through again, and outlives its loader") {
    const data::Epoch epoch = Loader(numbered(50), {.batch_size = 8, .shuffle = true}).epoch(3);
    CHECK(label_order(epoch) == label_order(epoch));
    CHECK(epoch[6].labels == Tensor<Index>{label_order(epoch)[48], label_order(epoch)[49]});
    CHECK_THROWS_MATCHES(epoch[7], ValueError, Message("loader: the batches are 0 to 6: got 7"));
}

TEST_CASE("an iterator gives access to its batch") {
    const Loader loader(numbered(4), {.batch_size = 2});
    auto at = loader.begin();
    CHECK(at->labels == Tensor<Index>{0, 1});
    at++;
    CHECK((*at).labels == Tensor<Index>{2, 3});
    CHECK(++at == loader.end());
}

TEST_CASE("a loader keeps or drops a smaller last batch") {
    struct Case {
        Index count, batch;
        bool drop_last;
        Index batches, examples;
    };
    for (const Case& c :
         {Case{7, 3, false, 3, 7}, Case{7, 3, true, 2, 6}, Case{6, 3, false, 2, 6}, Case{6, 3, true, 2, 6},
          Case{1, 3, false, 1, 1}, Case{1, 3, true, 0, 0}, Case{0, 3, false, 0, 0}, Case{0, 3, true, 0, 0},
          Case{5, 1, false, 5, 5}, Case{5, Index{1} << 62, false, 1, 5}})
        for (const bool shuffle : {false, true}) {
            const Loader loader(numbered(c.count),
                                {.batch_size = c.batch, .shuffle = shuffle, .drop_last = c.drop_last});
            CHECK(loader.size() == c.batches);
            if (c.batches > 0) CHECK(static_cast<Index>(label_order(loader.epoch(0)).size()) == c.examples);
        }
    CHECK(Loader(Dataset<>()).size() == 0);
    CHECK(Loader(Dataset<>(), {.shuffle = true}).size() == 0);
}

TEST_CASE("a loop over no batches is refused") {
    for (const bool shuffle : {false, true}) {
        CHECK_THROWS_MATCHES(label_order(Loader(numbered(0), {.shuffle = shuffle}).epoch(0)), ValueError,
                             Message("loader: the dataset is empty"));
        CHECK_THROWS_MATCHES(Loader(Dataset<>(), {.shuffle = shuffle}).epoch(0).begin(), ValueError,
                             Message("loader: the dataset is empty"));
        CHECK_THROWS_MATCHES(
            label_order(
                Loader(numbered(2), {.batch_size = 3, .shuffle = shuffle, .drop_last = true}).epoch(0)),
            ValueError,
            Message("loader: there are no batches: drop_last leaves out all 2 examples, fewer than the batch "
                    "of 3"));
    }
}

TEST_CASE("a shuffled pass shows each example once, with its own label") {
    std::vector<Index> order;
    for (auto& [inputs, labels] :
         Loader(numbered(100, 3), {.batch_size = 7, .shuffle = true, .seed = 5}).epoch(0))
        for (Index i = 0; i < labels.numel(); ++i) {
            order.push_back(labels(i));
            CHECK(inputs(i, 0) == static_cast<float>(10 * labels(i)));
            CHECK(inputs(i, 2) == static_cast<float>(10 * labels(i) + 2));
        }
    CHECK_FALSE(std::ranges::is_sorted(order));
    std::ranges::sort(order);
    for (Index i = 0; i < 100; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("the shuffled order is a function of seed and epoch") {
    const auto order = [](std::uint64_t seed, Index epoch, Index batch = 10) {
        return label_order(
            Loader(numbered(200), {.batch_size = batch, .shuffle = true, .seed = seed}).epoch(epoch));
    };
    const std::vector<Index> first = order(1, 0);
    CHECK(order(1, 0) == first);
    CHECK(order(1, 0, 33) == first);  // whatever the batch size
    CHECK(order(1, 1) != first);
    CHECK(order(2, 0) != first);
    CHECK(order(0, 0) != order(~std::uint64_t{0}, 0));
    // The same on every machine: a run can be resumed elsewhere.
    const auto ten = label_order(Loader(numbered(10), {.shuffle = true, .seed = 1}).epoch(2));
    CHECK(ten == std::vector<Index>{4, 5, 9, 0, 8, 7, 2, 1, 3, 6});
}

TEST_CASE("shuffled batches have the same bits for any number of threads") {
    const Dataset<> all = numbered(500, 1000);  // wide enough to be gathered in parallel
    const data::LoaderOptions options{.batch_size = 200, .shuffle = true, .seed = 3};
    std::vector<Tensor<>> expected;
    for (int threads = 1; threads <= 3; ++threads) {
        const Threads limit(threads);
        std::vector<Tensor<>> got;
        for (auto& [inputs, labels] : Loader(all, options).epoch(0)) got.push_back(inputs);
        if (threads == 1) expected = got;
        CHECK(got == expected);
    }
}

TEST_CASE("a loader refuses options that make no sense") {
    const Dataset<> all = numbered(3);
    CHECK_THROWS_MATCHES(Loader(all, {.batch_size = 0}), ValueError,
                         Message("loader: batch_size must be at least 1: got 0"));
    CHECK_THROWS_MATCHES(Loader(all, {.batch_size = -5}), ValueError,
                         Message("loader: batch_size must be at least 1: got -5"));
    CHECK_THROWS_MATCHES(Loader(all).epoch(-1), ValueError,
                         Message("loader: the epoch must be at least 0: got -1"));
}
