// SPDX-License-Identifier: MIT
#include "gradus/data/sequences.hpp"

#include <vector>

#include "gradus/data/set_loader.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

struct Sentence {
    Tensor<Index> words;
    Tensor<> features;  // [length, 2]
    Tensor<Index> label;
};

Sentence sentence(Index length) {
    Tensor<Index> words = arange<Index>(length);
    for (Index& word : words.mutable_values()) ++word;
    return {words, full({length, 2}, static_cast<float>(length)), full<Index>({}, length)};
}

}  // namespace

TEST_CASE("sequences are padded behind their end") {
    const auto [batch, lengths] =
        data::pad_sequences(std::vector{sentence(2), sentence(3), sentence(0)}, {.value = -1});
    CHECK(batch.words == Tensor<Index>{{1, 2, -1}, {1, 2, 3}, {-1, -1, -1}});
    CHECK(batch.features ==
          Tensor<>{{{2, 2}, {2, 2}, {-1, -1}}, {{3, 3}, {3, 3}, {3, 3}}, {{-1, -1}, {-1, -1}, {-1, -1}}});
    CHECK(batch.label == Tensor<Index>{2, 3, 0});
    CHECK(lengths == Tensor<Index>{2, 3, 0});
    CHECK(data::pad_sequences(std::vector{Tensor<>{1, 2}, Tensor<>{3}}).batch == Tensor<>{{1, 2}, {3, 0}});
    CHECK(data::pad_sequences(std::vector{Tensor<>{1, 2, 3}}, {.multiple = 2}).batch ==
          Tensor<>{{1, 2, 3, 0}});
    CHECK(data::pad_sequences(std::vector{Tensor<>{1, 2}}, {.multiple = 2, .at_least = 3}).batch.shape() ==
          Shape{1, 4});
    CHECK(data::pad_sequences(std::vector{zeros({0, 5}), zeros({0, 5})}).batch.shape() == Shape{2, 0, 5});
}

TEST_CASE("a loader pads what it collates") {
    std::vector<Sentence> sentences;
    Tensor<Index> lengths = Tensor<Index>::uninitialized({40});
    for (Index i = 0; i < 40; ++i) {
        lengths.mutable_at(i) = 1 + i * 7 % 13;
        sentences.push_back(sentence(lengths(i)));
    }
    const data::Loader loader(data::collate(sentences, data::pad_sequences()), data::BucketSampler(lengths),
                              {.batch_size = 8});
    Index seen = 0;
    for (const auto& [batch, long_] : loader.epoch(0)) {
        CHECK(data::batch_size(batch) == 8);
        CHECK(long_ == batch.label);
        seen += data::batch_size(batch);
    }
    CHECK(seen == 40);
    const auto batch = loader.epoch(0)[0];
    CHECK(data::batch_size(batch) == 8);  // of Padded as well
    CHECK_THROWS_AS(data::Loader(sentences, {.batch_size = 8}).epoch(0)[0], ShapeError);
}

TEST_CASE("sequences may differ in length only") {
    CHECK_THROWS_MATCHES(data::pad_sequences(std::vector<Tensor<>>()), ValueError,
                         Message("pad_sequences: needs at least one sequence"));
    CHECK_THROWS_MATCHES(data::pad_sequences(std::vector{zeros({2, 3}), zeros({2, 4})}), ShapeError,
                         Message("pad_sequences: tensor: sequences [length, ...] may differ in length only: "
                                 "got [2, 3] and [2, 4]"));
    Sentence odd = sentence(2);
    odd.features = zeros({2});
    CHECK_THROWS_MATCHES(data::pad_sequences(std::vector{sentence(1), odd}), ShapeError,
                         Message("pad_sequences: features: sequences [length, ...] may differ in length "
                                 "only: got [1, 2] and [2]"));
    odd = sentence(2);
    odd.label = Tensor<Index>{1, 2};
    CHECK_THROWS_MATCHES(
        data::pad_sequences(std::vector{sentence(1), odd}), ShapeError,
        Message("pad_sequences: label: the examples of a batch must have one shape: got [] and [2]"));
    CHECK_THROWS_MATCHES(
        data::pad_sequences(std::vector{full({}, 1)}), ShapeError,
        Message("pad_sequences: the first tensor of an example is its sequence [length, ...]: got []"));
    CHECK_THROWS_MATCHES(data::pad_sequences(std::vector{zeros({2})}, {.multiple = 0}), ValueError,
                         Message("pad_sequences: multiple must be at least 1: got 0"));
}
