// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/data/compose.hpp"
#include "gradus/data/dataset.hpp"

namespace gradus::data {

/// What split() makes of any set, and one fold of k_fold().
template <class Set>
struct Parts {
    Set train, test;
};

/// Parts any set at random, as split() does with a Dataset, and by the same rules. Only numbers of examples
/// are chosen: nothing is read.
template <DataSet Set>
auto split(Set set, const SplitOptions& options = {}) {
    const detail::SplitRows rows = detail::split_rows(detail::size_of(set), options);
    auto train = subset(set, rows.train);
    return Parts<decltype(train)>{std::move(train), subset(std::move(set), rows.test)};
}

struct KFoldOptions {
    Index folds = 5;
    bool shuffle = true;  // false: every fold is a stretch of examples as they come
    std::uint64_t seed = 0;
    Tensor<Index> stratify = {};  // class of every example: the folds get equal shares of each
    Tensor<Index> groups = {};    // group of every example, such as a patient: stays together in one fold
};

namespace detail {

/// The fold of every example of `order`, where parts are dealt one example after the other.
[[gnu::cold]] inline void deal(const std::vector<std::vector<Index>>& classes, Index folds,
                               std::vector<Index>& fold_of) {
    Index next = 0;  // goes on from class to class, so that the folds are of about the same size
    for (const auto& rows : classes)
        for (const Index row : rows) fold_of[static_cast<std::size_t>(row)] = next++ % folds;
}

/// The same, where groups stay together: the largest first, each to the smallest fold.
[[gnu::cold]] inline void deal_groups(std::vector<std::vector<Index>> groups, Index folds,
                                      std::vector<Index>& fold_of) {
    if (static_cast<Index>(groups.size()) < folds)
        gradus::detail::raise<ValueError>(
            {"k_fold: ", folds, " folds need as many groups at least: got ", groups.size()});
    std::stable_sort(groups.begin(), groups.end(),
                     [](const auto& a, const auto& b) { return a.size() > b.size(); });
    std::vector<std::size_t> sizes(static_cast<std::size_t>(folds));
    for (const auto& group : groups) {
        const auto smallest = std::min_element(sizes.begin(), sizes.end());
        for (const Index row : group) fold_of[static_cast<std::size_t>(row)] = smallest - sizes.begin();
        *smallest += group.size();
    }
}

/// The fold in which each example is a test.
[[gnu::cold]] inline std::vector<Index> folds_of(Index count, const KFoldOptions& options) {
    if (options.folds < 2 || options.folds > count)
        gradus::detail::raise<ValueError>(
            {"k_fold: folds must be 2 to the number of examples, ", count, ": got ", options.folds});
    const bool stratify = options.stratify.numel() > 0, groups = options.groups.numel() > 0;
    if (stratify && groups)
        gradus::detail::raise<ValueError>("k_fold", "stratify or groups, not both: a group is not cut up");
    constexpr std::uint64_t stream = (std::uint64_t{1} << 62) + 2;  // beside those of split()
    const Tensor<Index> order =
        options.shuffle ? permutation(count, RandomStream{options.seed, stream}) : arange<Index>(count);
    std::vector<Index> result(static_cast<std::size_t>(count));
    if (stratify) {
        check_numbers("k_fold", "stratify", options.stratify.shape(), count);
        deal(together(options.stratify, order), options.folds, result);
    } else if (groups) {
        check_numbers("k_fold", "groups", options.groups.shape(), count);
        deal_groups(together(options.groups, order), options.folds, result);
    } else {
        for (Index i = 0, fold = 0; i < count; ++i) {  // the first count % folds have one example more
            while (i >= (fold + 1) * (count / options.folds) + std::min(fold + 1, count % options.folds))
                ++fold;
            result[static_cast<std::size_t>(order.data()[i])] = fold;
        }
    }
    return result;
}

}  // namespace detail

/// The folds of a set, a range: see k_fold().
template <DataSet Set>
class KFold {
public:
    KFold(Set set, const KFoldOptions& options)
        : set_(std::move(set)),
          folds_(options.folds),
          fold_of_(detail::folds_of(detail::size_of(set_), options)) {}

    Index size() const { return folds_; }

    /// Fold i: its examples as test, all others as train, both in the order of the set. Throws ValueError if
    /// there is none.
    auto operator[](Index i) const {
        if (i < 0 || i >= folds_)
            gradus::detail::raise<ValueError>({"k_fold: the folds are 0 to ", folds_ - 1, ": got ", i});
        std::vector<Index> sides[2];
        for (std::size_t row = 0; row < fold_of_.size(); ++row)
            sides[fold_of_[row] == i].push_back(static_cast<Index>(row));
        auto train = subset(set_, Tensor<Index>(sides[0]));
        return Parts<decltype(train)>{std::move(train), subset(set_, Tensor<Index>(sides[1]))};
    }

    class Iterator {
    public:
        Iterator(const KFold& folds, Index at) : folds_(&folds), at_(at) {}
        auto operator*() const { return (*folds_)[at_]; }
        Iterator& operator++() {
            ++at_;
            return *this;
        }
        bool operator==(const Iterator& other) const { return at_ == other.at_; }

    private:
        const KFold* folds_;
        Index at_;
    };
    Iterator begin() const { return {*this, 0}; }
    Iterator end() const { return {*this, folds_}; }

private:
    Set set_;
    Index folds_;
    std::vector<Index> fold_of_;
};

/// Cross-validation: every example is a test in one fold and trained on in all others.
///
///     for (auto [train, validation] : data::k_fold(all, {.folds = 5, .stratify = all.labels})) {
///         const auto standardize = data::Standardize::per_feature(train.inputs);   // on these alone
///         ...
///     }
///
/// With `stratify`, the folds differ by at most one example of every class, and in size by at most one. With
/// `groups`, no group is in two folds: a model that has seen a patient is not judged by another image of the
/// same.
/// Throws ValueError unless there are 2 to size() folds and at least as many groups, ShapeError unless there
/// is a class or group for each example.
template <DataSet Set>
KFold<Set> k_fold(Set set, const KFoldOptions& options = {}) {
    return KFold<Set>(std::move(set), options);
}

}  // namespace gradus::data
