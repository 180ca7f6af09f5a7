// SPDX-License-Identifier: MIT
#include "gradus/training/evaluate.hpp"

#include <stdexcept>
#include <vector>

#include "support/test.hpp"
#include "training/small_run.hpp"

using namespace gradus;

namespace {

/// A metric that remembers what it was given.
struct Seen {
    Index examples = 0, batches = 0;

    void update(const Tensor<>& outputs, const Tensor<Index>& labels) {
        CHECK(outputs.shape() == Shape{labels.size(0), 3});
        examples += labels.size(0);
        ++batches;
    }
};

}  // namespace

TEST_CASE("evaluate: means over all examples, in evaluation mode, for any batches") {
    manual_seed(2);
    SmallNet net;
    net.norm.training = false;  // as its owner wants it
    const auto set = small_data(23);
    SmallNet other = net;
    nn::eval(other);
    const double loss = static_cast<double>(cross_entropy(other(set.inputs), set.labels).item());
    const double score = accuracy(other(set.inputs), set.labels);
    for (const Index batch_size : {1, 5, 23, 100}) {
        Seen seen;
        const auto found =
            training::evaluate(net, small_loss, data::Loader(set, {.batch_size = batch_size}), seen);
        CHECK(found.loss == Approx(loss).epsilon(1e-6));
        CHECK(found.score == Approx(score).epsilon(1e-12));
        CHECK(found.examples == 23);
        CHECK(seen.examples == 23);
        CHECK(seen.batches == (23 + batch_size - 1) / batch_size);
        CHECK(net.dropout.training);
        CHECK_FALSE(net.norm.training);
        CHECK(is_grad_enabled());
    }
    const data::Loader shuffled(set, {.batch_size = 5, .shuffle = true});
    CHECK(training::evaluate(net, small_loss, shuffled).loss == Approx(loss).epsilon(1e-6));
}

TEST_CASE("evaluate: a score of one's own") {
    SmallNet net;
    const data::Loader batches(small_data(10), {.batch_size = 4});
    const auto found = training::evaluate(net, small_loss, batches,
                                          training::Score([](const Variable<>&, const Tensor<Index>& y) {
                                              return y.numel() == 4 ? 1.0 : 0.0;
                                          }));
    CHECK(found.score == Approx(0.8));
}

TEST_CASE("evaluate: modes and history come back when something throws") {
    SmallNet net;
    net.norm.training = false;
    const data::Loader batches(small_data(10), {.batch_size = 4});
    const auto refuses = [](const Variable<>&, const Tensor<Index>&) -> Variable<> {
        CHECK_FALSE(is_grad_enabled());
        throw std::runtime_error("user: no");
    };
    CHECK_THROWS_WITH(training::evaluate(net, refuses, batches), "user: no");
    CHECK(net.dropout.training);
    CHECK_FALSE(net.norm.training);
    CHECK(is_grad_enabled());
    CHECK_THROWS_WITH(training::evaluate(net, small_loss, data::Loader(small_data(0))),
                      "evaluate: there are no batches; is the dataset empty?");
}

TEST_CASE("predict: the outputs of all inputs, below each other") {
    SmallNet net;
    const auto set = small_data(23);
    SmallNet other = net;
    nn::eval(other);
    const Tensor<> expected = other(set.inputs).value();
    for (const Index batch_size : {1, 5, 23}) {
        const Tensor<> found = training::predict(net, data::Loader(set, {.batch_size = batch_size}));
        REQUIRE(found.shape() == Shape{23, 3});
        for (Index i = 0; i < found.numel(); ++i)
            CHECK_THAT(static_cast<double>(found.data()[i]),
                       WithinAbs(static_cast<double>(expected.data()[i]), 1e-6));
    }
    CHECK(net.dropout.training);

    // Inputs alone, as a list of tensors.
    const std::vector<Tensor<>> parts{set.inputs.rows(0, 10), set.inputs.rows(10, 23)};
    CHECK(training::predict(net, parts).shape() == Shape{23, 3});

    CHECK_THROWS_WITH(training::predict(net, std::vector<Tensor<>>()),
                      "predict: there are no batches; is the dataset empty?");
    struct Same {
        Variable<> operator()(const Tensor<>& x) const { return Variable<>(x); }
    } same;
    const std::vector<Tensor<>> uneven{Tensor<>{{1, 2}}, Tensor<>{{1, 2, 3}}};
    CHECK_THROWS_WITH(training::predict(same, uneven),
                      "predict: outputs of batches differ in shape: got [1, 2] and [1, 3]");
}

TEST_CASE("mode guard: every layer is put back as it was") {
    SmallNet net;
    net.dropout.training = false;
    {
        const training::ModeGuard guard(net, true);
        CHECK(net.dropout.training);
        CHECK(net.norm.training);
        const training::ModeGuard inner(net, false);
        CHECK_FALSE(net.norm.training);
    }
    CHECK_FALSE(net.dropout.training);
    CHECK(net.norm.training);
}

TEST_CASE("means: any cut into batches gives the mean over the examples") {
    training::Means means;
    means.add(2, 0.5, 4);
    means.add(8, 1, 2);
    means.add(100, 100, 0);  // of nothing
    CHECK(means.loss == Approx(4).epsilon(1e-15));
    CHECK(means.score == Approx(4.0 / 6).epsilon(1e-15));
    CHECK(means.examples == 6);
}
