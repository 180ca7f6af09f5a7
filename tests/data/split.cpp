// SPDX-License-Identifier: MIT
#include "gradus/data/split.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "data/numbered.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

template <class Set>
std::vector<Index> numbers(const Set& set) {
    std::vector<Index> result;
    for (Index i = 0; i < set.size(); ++i) result.push_back(set[i].item());
    return result;
}

template <class Parts>
bool parted(const Parts& parts, Index count) {
    std::vector<Index> all = numbers(parts.train);
    const std::vector<Index> test = numbers(parts.test);
    all.insert(all.end(), test.begin(), test.end());
    std::sort(all.begin(), all.end());
    const Tensor<Index> expected = arange<Index>(count);
    return std::equal(all.begin(), all.end(), expected.begin(), expected.end());
}

std::map<Index, Index> counts(const Tensor<Index>& labels, const std::vector<Index>& rows) {
    std::map<Index, Index> result;
    for (const Index row : rows) ++result[labels(row)];
    return result;
}

/// 60 of class 0, 30 of class 1, 9 of class 2, one of class 3, mixed.
Tensor<Index> uneven_classes() {
    Tensor<Index> labels = Tensor<Index>::uninitialized({100});
    for (Index i = 0; i < 100; ++i) {
        const Index k = i * 37 % 100;
        labels.mutable_at(i) = k < 60 ? 0 : k < 90 ? 1 : k < 99 ? 2 : 3;
    }
    return labels;
}

}  // namespace

TEST_CASE("split parts any set, and a Dataset as before") {
    const auto parts = data::split(Numbers{50}, {.test = 0.3, .seed = 4});
    CHECK(parts.test.size() == 15);
    CHECK(parted(parts, 50));
    CHECK(numbers(data::split(Numbers{50}, {.test = 0.3, .seed = 4}).test) == numbers(parts.test));
    CHECK(numbers(data::split(Numbers{50}, {.test = 0.3, .seed = 5}).test) != numbers(parts.test));
    const auto [train, test] =
        data::split(data::Dataset<>{zeros({50, 1}), arange<Index>(50)}, {.test = 0.3, .seed = 4});
    CHECK(std::vector<Index>(test.labels.begin(), test.labels.end()) == numbers(parts.test));
    CHECK_THROWS_MATCHES(data::split(Numbers{5}, {.test = -1}), ValueError,
                         Message("split: the test fraction must be 0 to 1: got -1"));
}

TEST_CASE("a stratified split has the same share of every class on both sides") {
    const Tensor<Index> labels = uneven_classes();
    for (const std::uint64_t seed : {0u, 1u, 2u}) {
        const auto parts = data::split(Numbers{100}, {.test = 0.2, .seed = seed, .stratify = labels});
        CHECK(parted(parts, 100));
        CHECK(counts(labels, numbers(parts.test)) == std::map<Index, Index>{{0, 12}, {1, 6}, {2, 2}});
        CHECK(counts(labels, numbers(parts.train)) ==
              std::map<Index, Index>{{0, 48}, {1, 24}, {2, 7}, {3, 1}});
    }
    // A rare class is on both sides as soon as it has two examples, also where its share rounds to none.
    const auto rare = data::split(Numbers{100}, {.test = 0.02, .stratify = labels});
    CHECK(counts(labels, numbers(rare.test)) == std::map<Index, Index>{{0, 1}, {1, 1}, {2, 1}});
    CHECK(data::split(Numbers{100}, {.test = 0, .stratify = labels}).test.size() == 0);
    CHECK(data::split(Numbers{100}, {.test = 1, .stratify = labels}).train.size() == 0);
    const auto [train, test] =
        data::split(data::Dataset<>{zeros({100, 1}), labels}, {.test = 0.2, .stratify = labels});
    CHECK(test.size() == 20);
    CHECK_THROWS_MATCHES(data::split(Numbers{5}, {.stratify = labels}), ShapeError,
                         Message("split: stratify needs one number for each example, [5]: got [100]"));
}

TEST_CASE("a split by groups tears none apart") {
    Tensor<Index> patients = Tensor<Index>::uninitialized({60});
    for (Index i = 0; i < 60; ++i) patients.mutable_at(i) = i * 7 % 12;  // 12 patients of 5 images
    std::set<std::vector<Index>> outcomes;
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        const auto parts = data::split(Numbers{60}, {.test = 0.25, .seed = seed, .groups = patients});
        CHECK(parted(parts, 60));
        CHECK(parts.test.size() == 15);
        const auto train = counts(patients, numbers(parts.train)),
                   test = counts(patients, numbers(parts.test));
        for (const auto& [patient, count] : test) CHECK(train.count(patient) == 0);
        outcomes.insert(numbers(parts.test));
    }
    CHECK(outcomes.size() > 1);
    // Groups that are larger than what is wanted: one is taken for the tests, one left to train on.
    const Tensor<Index> two{0, 0, 0, 0, 0, 1, 1, 1, 1, 1};
    CHECK(data::split(Numbers{10}, {.test = 0.1, .groups = two}).test.size() == 5);
    CHECK(data::split(Numbers{10}, {.test = 0.9, .groups = two}).train.size() == 5);
    CHECK_THROWS_MATCHES(data::split(Numbers{3}, {.groups = Tensor<Index>{4, 4, 4}}), ValueError,
                         Message("split: all examples are of one group, which is not cut up"));
    CHECK_THROWS_MATCHES(data::split(Numbers{10}, {.stratify = two, .groups = two}), ValueError,
                         Message("split: stratify or groups, not both: a group is not cut up"));
    CHECK_THROWS_MATCHES(data::split(Numbers{9}, {.groups = two}), ShapeError,
                         Message("split: groups needs one number for each example, [9]: got [10]"));
}

TEST_CASE("k_fold tests every example once and never on what it was trained on") {
    for (const bool shuffle : {false, true}) {
        const auto folds = data::k_fold(Numbers{11}, {.folds = 3, .shuffle = shuffle});
        CHECK(folds.size() == 3);
        std::vector<Index> tested, sizes;
        for (const auto& fold : folds) {
            CHECK(parted(fold, 11));
            const auto test = numbers(fold.test);
            tested.insert(tested.end(), test.begin(), test.end());
            sizes.push_back(fold.test.size());
        }
        CHECK(sizes == std::vector<Index>{4, 4, 3});
        if (!shuffle) CHECK(std::is_sorted(tested.begin(), tested.end()));
        std::sort(tested.begin(), tested.end());
        CHECK(std::set<Index>(tested.begin(), tested.end()).size() == 11);
    }
    const auto fold = data::k_fold(data::Dataset<>{rand({6, 2}), arange<Index>(6)}, {.folds = 3})[1];
    CHECK(fold.train.inputs.shape() == Shape{4, 2});  // in memory, to fit a Standardize to
    CHECK_THROWS_MATCHES(data::k_fold(Numbers{11}, {.folds = 3})[3], ValueError,
                         Message("k_fold: the folds are 0 to 2: got 3"));
    CHECK_THROWS_MATCHES(data::k_fold(Numbers{4}, {.folds = 5}), ValueError,
                         Message("k_fold: folds must be 2 to the number of examples, 4: got 5"));
    CHECK_THROWS_AS(data::k_fold(Numbers{4}, {.folds = 1}), ValueError);
}

TEST_CASE("stratified folds have equal shares, folds of groups are disjoint") {
    const Tensor<Index> labels = uneven_classes();
    std::map<Index, std::set<Index>> shares;
    for (const auto& fold : data::k_fold(Numbers{100}, {.folds = 4, .stratify = labels})) {
        CHECK(fold.test.size() == 25);
        for (const auto& [label, count] : counts(labels, numbers(fold.test))) shares[label].insert(count);
    }
    CHECK(shares == std::map<Index, std::set<Index>>{{0, {15}}, {1, {7, 8}}, {2, {2, 3}}, {3, {1}}});

    const Tensor<Index> groups{5, 5, 5, 5, 1, 1, 2, 2, 3, 3, 4, 4};
    for (const auto& fold : data::k_fold(Numbers{12}, {.folds = 3, .groups = groups})) {
        CHECK(parted(fold, 12));
        CHECK(fold.test.size() == 4);
        const auto train = counts(groups, numbers(fold.train));
        for (const Index row : numbers(fold.test)) CHECK(train.count(groups(row)) == 0);
    }
    CHECK_THROWS_MATCHES(data::k_fold(Numbers{12}, {.folds = 6, .groups = groups}), ValueError,
                         Message("k_fold: 6 folds need as many groups at least: got 5"));
    CHECK_THROWS_MATCHES(data::k_fold(Numbers{12}, {.folds = 3, .stratify = labels}), ShapeError,
                         Message("k_fold: stratify needs one number for each example, [12]: got [100]"));
}
