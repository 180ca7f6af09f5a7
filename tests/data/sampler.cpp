// SPDX-License-Identifier: MIT
#include "gradus/data/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "gradus/data/loader.hpp"
#include "support/test.hpp"

using namespace gradus;
using data::Pass;

namespace {

bool each_once(const Tensor<Index>& rows, Index count) {
    std::vector<Index> sorted(rows.begin(), rows.end());
    std::sort(sorted.begin(), sorted.end());
    const Tensor<Index> expected = arange<Index>(count);
    return std::equal(sorted.begin(), sorted.end(), expected.begin(), expected.end());
}

/// Σ (observed - expected)² / expected.
double chi_square(const std::vector<double>& observed, const std::vector<double>& expected) {
    double sum = 0;
    for (std::size_t i = 0; i < observed.size(); ++i)
        sum += (observed[i] - expected[i]) * (observed[i] - expected[i]) / expected[i];
    return sum;
}

}  // namespace

TEST_CASE("sequential and random samplers take each example once") {
    CHECK(data::SequentialSampler{}({.examples = 4}) == Tensor<Index>{0, 1, 2, 3});
    const data::RandomSampler random{.seed = 3};
    CHECK(each_once(random({.epoch = 7, .examples = 100}), 100));
    CHECK(random({.epoch = 7, .examples = 100}) == random({.epoch = 7, .examples = 100}));
    CHECK_FALSE(random({.epoch = 7, .examples = 100}) == random({.epoch = 8, .examples = 100}));
    CHECK_FALSE(random({.epoch = 7, .examples = 100}) ==
                data::RandomSampler{.seed = 4}({.epoch = 7, .examples = 100}));
    // The order of a Loader that shuffles.
    const data::Dataset<> set{zeros({100, 1}), arange<Index>(100)};
    const data::Loader loader(set, {.batch_size = 100, .shuffle = true, .seed = 3});
    CHECK(loader.epoch(7)[0].labels == random({.epoch = 7, .examples = 100}));
    CHECK(loader.epoch(7).rows(0) == random({.epoch = 7, .examples = 100}));
}

TEST_CASE("draws with replacement follow the weights") {
    const Tensor<double> weights{1, 0, 3, 0.5, 5.5};
    constexpr Index draws = 20000;
    const data::WeightedSampler sampler(weights, {.samples = draws, .seed = 11});
    std::vector<double> observed(5);
    const Tensor<Index> rows = sampler({.examples = 5});
    CHECK(rows.numel() == draws);
    for (const Index row : rows) ++observed[static_cast<std::size_t>(row)];
    CHECK(observed[1] == 0);
    // 3 degrees of freedom: 16.27 is exceeded once in 1000.
    CHECK(chi_square({observed[0], observed[2], observed[3], observed[4]}, {2000, 6000, 1000, 11000}) <
          16.27);
    CHECK_FALSE(rows == sampler({.epoch = 1, .examples = 5}));
    CHECK(data::WeightedSampler(weights)({.examples = 5}).numel() == 5);
}

TEST_CASE("draws without replacement compete anew each time") {
    const Tensor<double> weights{1, 2, 0, 3};
    const data::WeightedSampler sampler(weights, {.samples = 2, .replacement = false, .seed = 5});
    // The first is i with probability w_i / 6, the second j with w_j / (6 - w_i).
    std::vector<double> observed(9), expected;
    const Index ids[] = {0, 1, 3};
    constexpr Index epochs = 12000;
    for (Index epoch = 0; epoch < epochs; ++epoch) {
        const Tensor<Index> rows = sampler({.epoch = epoch, .examples = 4});
        const auto place = [&](Index row) { return static_cast<std::size_t>(row == 3 ? 2 : row); };
        ++observed[place(rows(0)) * 3 + place(rows(1))];
        if (rows(0) == rows(1) || rows(0) == 2 || rows(1) == 2) FAIL("drawn twice, or of weight 0");
    }
    std::vector<double> counted;
    for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t j = 0; j < 3; ++j) {
            if (i == j) continue;
            const double first = weights(ids[i]), second = weights(ids[j]);
            expected.push_back(epochs * first / 6 * second / (6 - first));
            counted.push_back(observed[i * 3 + j]);
        }
    CHECK(chi_square(counted, expected) < 20.52);  // 5 degrees of freedom, once in 1000
    CHECK(each_once(data::WeightedSampler(Tensor<double>{1, 9, 5}, {.replacement = false})({.examples = 3}),
                    3));
}

TEST_CASE("weights that cannot be drawn by are refused") {
    using data::WeightedSampler;
    const auto nan = std::nan("");
    CHECK_THROWS_MATCHES(
        WeightedSampler(zeros<double>({3})), ValueError,
        Message("weighted_sampler: needs a weight above 0, and a finite sum: got 3 weights of the sum 0"));
    CHECK_THROWS_MATCHES(
        WeightedSampler(Tensor<double>()), ValueError,
        Message("weighted_sampler: needs a weight above 0, and a finite sum: got 0 weights of the sum 0"));
    CHECK_THROWS_MATCHES(
        WeightedSampler(Tensor<double>{1e308, 1e308}), ValueError,
        Message("weighted_sampler: needs a weight above 0, and a finite sum: got 2 weights of the sum inf"));
    CHECK_THROWS_MATCHES(
        WeightedSampler(Tensor<double>{1, -2}), ValueError,
        Message("weighted_sampler: weights must be finite and at least 0: got -2 for example 1"));
    CHECK_THROWS_AS(WeightedSampler(Tensor<double>{1, nan}), ValueError);
    CHECK_THROWS_MATCHES(WeightedSampler(zeros<double>({2, 2})), ShapeError,
                         Message("weighted_sampler: weights are [count]: got [2, 2]"));
    CHECK_THROWS_MATCHES(
        WeightedSampler(Tensor<double>{1, 0, 1}, {.replacement = false}), ValueError,
        Message("weighted_sampler: 3 samples without replacement need as many weights above 0: got "
                "2; set samples, or replacement = true"));
    CHECK_THROWS_MATCHES(WeightedSampler(Tensor<double>{1}, {.samples = -1}), ValueError,
                         Message("weighted_sampler: samples must be at least 0: got -1"));
    CHECK_THROWS_MATCHES(WeightedSampler(Tensor<double>{1, 2})({.examples = 3}), ValueError,
                         Message("weighted_sampler: needs one weight for each of 3 examples: got 2"));
}

TEST_CASE("balanced weights make classes equally likely") {
    CHECK(data::balanced_weights({5, 7, 7, 5, 5, 7, 7, 9}) ==
          Tensor<double>{1.0 / 3, 0.25, 0.25, 1.0 / 3, 1.0 / 3, 0.25, 0.25, 1});
}

TEST_CASE("stratified batches hold every class in its share") {
    Tensor<Index> labels = Tensor<Index>::uninitialized({1000});  // 700, 200, 95 and 5, sorted
    for (Index i = 0; i < 1000; ++i) labels.mutable_at(i) = i < 700 ? 0 : i < 900 ? 1 : i < 995 ? 2 : 3;
    const data::StratifiedSampler sampler(labels, {.seed = 2});
    for (const Index epoch : {0, 1}) {
        const Tensor<Index> rows = sampler({.epoch = epoch, .examples = 1000});
        CHECK(each_once(rows, 1000));
        std::set<Index> with_rare;
        for (Index batch = 0; batch < 20; ++batch) {
            Index counts[4] = {};
            for (Index i = batch * 50; i < batch * 50 + 50; ++i) ++counts[labels(rows(i))];
            CHECK(std::abs(static_cast<double>(counts[0]) - 35) <= 2);
            CHECK(std::abs(static_cast<double>(counts[1]) - 10) <= 2);
            CHECK(std::abs(static_cast<double>(counts[2]) - 4.75) <= 2);
            if (counts[3] > 0) with_rare.insert(batch);
        }
        CHECK(with_rare.size() == 5);  // five examples in five batches
    }
    CHECK_FALSE(sampler({.epoch = 0, .examples = 1000}) == sampler({.epoch = 1, .examples = 1000}));
    CHECK_THROWS_MATCHES(sampler({.examples = 999}), ValueError,
                         Message("stratified_sampler: needs one label for each of 999 examples: got 1000"));
}

TEST_CASE("buckets put similar lengths together") {
    Tensor<Index> lengths = Tensor<Index>::uninitialized({203});
    for (Index i = 0; i < 203; ++i) lengths.mutable_at(i) = 1 + i * 89 % 211;
    const data::BucketSampler sampler(lengths, {.seed = 1, .batches = 10});
    const data::Plan plan = sampler({.examples = 203, .batch_size = 8});
    CHECK(each_once(plan.rows, 203));
    CHECK(plan.starts.numel() == 27);
    Index padded = 0;
    std::vector<Index> longest_of;
    for (Index b = 0; b < 26; ++b) {
        Index longest = 0;
        for (Index i = plan.starts(b); i < plan.starts(b + 1); ++i)
            longest = std::max(longest, lengths(plan.rows(i)));
        padded += longest * (plan.starts(b + 1) - plan.starts(b));
        longest_of.push_back(longest);
    }
    Index total = 0;
    for (const Index length : lengths) total += length;
    CHECK(static_cast<double>(padded) < 1.15 * static_cast<double>(total));  // at random, it is 1.75
    CHECK_FALSE(std::is_sorted(longest_of.begin(), longest_of.end()));
    CHECK(sampler({.examples = 203, .batch_size = 8, .drop_last = true}).rows.numel() == 200);
    CHECK_THROWS_MATCHES(data::BucketSampler(lengths, {.batches = 0}), ValueError,
                         Message("bucket_sampler: batches must be at least 1: got 0"));
    CHECK_THROWS_MATCHES(sampler({.examples = 3}), ValueError,
                         Message("bucket_sampler: needs one length for each of 3 examples: got 203"));
}

TEST_CASE("ranks share the batches of every step exactly") {
    const data::RandomSampler inner{.seed = 9};
    for (const Index count : {40, 41, 47, 48, 33, 25, 17})
        for (const Index ranks : {1, 2, 3, 4})
            for (const Index batch_size : {2, 4, 5}) {
                const Pass pass{.epoch = 3, .examples = count, .batch_size = batch_size};
                const Tensor<Index> all = inner(pass);
                std::vector<data::Plan> plans;
                for (Index rank = 0; rank < ranks; ++rank)
                    plans.push_back(data::DistributedSampler(inner, {.rank = rank, .ranks = ranks})(pass));
                // Step by step and rank by rank, the batches are the order of one process.
                std::vector<Index> together;
                for (Index step = 0; step + 1 < plans[0].starts.numel(); ++step) {
                    Index least = batch_size, most = 0;
                    for (const data::Plan& plan : plans) {
                        if (plan.starts.numel() != plans[0].starts.numel())
                            FAIL("unequal numbers of batches");
                        const Index first = plan.starts(step), last = plan.starts(step + 1);
                        least = std::min(least, last - first), most = std::max(most, last - first);
                        together.insert(together.end(), plan.rows.data() + first, plan.rows.data() + last);
                    }
                    if (least < 1 || most > batch_size || most - least > 1)
                        FAIL("uneven batches " << least << " " << most);
                }
                if (!std::equal(together.begin(), together.end(), all.begin(), all.end()))
                    FAIL("not the whole");
                // Full steps are the batches of one process in turn.
                if (count >= 2 * ranks * batch_size)
                    CHECK(plans.back().rows(0) == all((ranks - 1) * batch_size));
            }
    const Pass dropping{.examples = 47, .batch_size = 5, .drop_last = true};
    const data::Plan plan = data::DistributedSampler(inner, {.rank = 1, .ranks = 3})(dropping);
    CHECK(plan.starts == Tensor<Index>{0, 5, 10, 15});
    CHECK(data::DistributedSampler(inner, {.rank = 1, .ranks = 3})({.examples = 0, .batch_size = 5}).starts ==
          Tensor<Index>{0});
    CHECK_THROWS_MATCHES(data::DistributedSampler(inner, {.rank = 3, .ranks = 3}), ValueError,
                         Message("distributed_sampler: the rank must be 0 to ranks - 1: got 3 of 3"));
    CHECK_THROWS_MATCHES(
        data::DistributedSampler(inner, {.rank = 0, .ranks = 4})({.examples = 3, .batch_size = 5}),
        ValueError,
        Message("distributed_sampler: 3 examples in batches of 5 are too few for each of 4 ranks to "
                "have one in every step: use drop_last or fewer ranks"));
    CHECK_THROWS_AS(
        data::DistributedSampler(inner, {.rank = 0, .ranks = 4})({.examples = 10, .batch_size = 1}),
        ValueError);
}
