// SPDX-License-Identifier: MIT
#include "gradus/training/lr_finder.hpp"

#include <stdexcept>

#include "gradus/data/loader.hpp"
#include "gradus/loss/cross_entropy.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/ops/activation.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/optim/sgd.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

/// Two half circles that reach into each other: the classes of 2-d points.
data::Dataset<> two_moons(Index count) {
    Generator generator(7);
    Tensor<> points = randn({count, 2}, generator);
    Tensor<Index> labels = zeros<Index>({count});
    float* p = points.mutable_data();
    for (Index i = 0; i < count; ++i) {
        const float angle = 3.14159f * static_cast<float>(i) / static_cast<float>(count - 1);
        const bool lower = i % 2 == 1;
        p[2 * i] = 0.1f * p[2 * i] + (lower ? 1 - std::cos(angle) : std::cos(angle));
        p[2 * i + 1] = 0.1f * p[2 * i + 1] + (lower ? 0.5f - std::sin(angle) : std::sin(angle));
        labels.mutable_data()[i] = lower;
    }
    return {points, labels};
}

/// Adds noise from the default generator while training, and counts how often.
struct Noise {
    Buffer<> count{zeros({})};
    bool training = true;

    Variable<> operator()(const Variable<>& x) const {
        if (!training) return x;
        Variable<> handle(count);
        handle.set_value(full({}, count.item() + 1));
        return x + Variable<>(normal(x.shape(), 0, 0.01f));
    }
};

struct Net {
    std::vector<nn::Linear<>> layers{nn::Linear<>{2, 16}, nn::Linear<>{16, 16}};
    Noise noise, unused;
    nn::Linear<> last{16, 2};

    Variable<> operator()(Variable<> x) const {
        for (const auto& layer : layers) x = relu(layer(x));
        return last(noise(x));
    }
};

/// All that find_lr() promises to put back.
struct Everything {
    std::vector<Tensor<>> tensors;
    std::vector<std::string> names;
    std::vector<double> numbers;

    bool operator==(const Everything&) const = default;
};

Everything everything(Net& net, const optim::SGD<>& sgd) {
    Everything e;
    for (const auto& [name, parameter] : nn::named_parameters(net)) {
        e.names.push_back(name);
        e.tensors.push_back(parameter.value());
        e.numbers.push_back(parameter.has_grad());
        if (parameter.has_grad()) e.tensors.push_back(parameter.grad());
    }
    for (const auto& buffer : nn::buffers(net)) e.tensors.push_back(buffer.value());
    for (const auto& state : sgd.state()) {
        e.numbers.push_back(static_cast<double>(state.steps));
        for (const auto& [name, value] : state.kinds) e.tensors.push_back(value);
    }
    for (const auto& group : sgd.groups())
        for (const double option : {group.options.lr, group.options.momentum}) e.numbers.push_back(option);
    e.numbers.push_back(net.noise.training);
    e.numbers.push_back(net.unused.training);
    e.numbers.push_back(static_cast<double>(default_generator().seed()));
    e.numbers.push_back(static_cast<double>(default_generator().position()));
    return e;
}

Variable<> loss_on(const Net& net, const data::Batch<>& batch) {
    return cross_entropy(net(batch.inputs), batch.labels);
}

/// Losses of a curve that falls like a logistic function, with a ripple, and rises after step 28.
double bend(int i) {
    return 2.3 - 1.5 / (1 + std::exp(-(i - 18) / 3.0)) + 0.05 * (i * 7 % 5) / 5 +
           (i > 28 ? 0.3 * (i - 28) * (i - 28) : 0);
}

LrCurve sweep_bend(double smoothing) {
    detail::LrSweep sweep({.start = 1e-5, .end = 10, .steps = 40, .smoothing = smoothing});
    for (int i = 0; sweep.running(); ++i) sweep.add(bend(i));
    return std::move(sweep).finish();
}

LrCurve sweep_losses(const std::vector<double>& losses, double smoothing = 0, double stop_factor = 4) {
    detail::LrSweep sweep({.start = 1,
                           .end = std::pow(2.0, static_cast<double>(losses.size() - 1)),
                           .steps = static_cast<Index>(losses.size()),
                           .smoothing = smoothing,
                           .stop_factor = stop_factor});
    for (const double loss : losses)
        if (!sweep.add(loss)) break;
    return std::move(sweep).finish();
}

const std::vector<Tensor<>> one_batch = {Tensor<>{1}};

}  // namespace

TEST_CASE("find_lr: takes these steps") {
    Parameter<> w(Tensor<>{2});
    std::vector<Parameter<>> net = {w};
    optim::SGD<> sgd(nn::parameters(net), {.lr = 0.5});
    std::vector<float> seen;
    const LrCurve curve = find_lr(net, sgd, one_batch,
                                  [&](const Tensor<>& batch) {
                                      seen.push_back(net[0].value()(0));
                                      return sum(net[0] * net[0] * batch);
                                  },
                                  {.start = 0.001, .end = 0.1, .steps = 3, .smoothing = 0.5});
    REQUIRE(curve.lr.size() == 3);
    CHECK(curve.lr[0] == 0.001);
    CHECK(curve.lr[1] == Approx(0.01).epsilon(1e-12));
    CHECK(curve.lr[2] == Approx(0.1).epsilon(1e-12));
    REQUIRE(seen.size() == 3);  // w = w − lr · 2 w
    CHECK(seen[0] == 2);
    CHECK(seen[1] == Approx(2 * 0.998).epsilon(1e-6));
    CHECK(seen[2] == Approx(2 * 0.998 * 0.98).epsilon(1e-6));
    for (std::size_t i = 0; i < 3; ++i) CHECK(curve.loss[i] == Approx(seen[i] * seen[i]).epsilon(1e-6));
    const auto& l = curve.loss;
    CHECK(curve.smoothed[0] == Approx(l[0]).epsilon(1e-12));
    CHECK(curve.smoothed[1] == Approx((0.25 * l[0] + 0.5 * l[1]) / 0.75).epsilon(1e-12));
    CHECK(curve.smoothed[2] == Approx((0.125 * l[0] + 0.25 * l[1] + 0.5 * l[2]) / 0.875).epsilon(1e-12));
    CHECK_FALSE(curve.diverged);
    CHECK(net[0].value() == Tensor<>{2});
    CHECK(sgd.lr() == 0.5);
}

TEST_CASE("find_lr: begins the batches again when they run out") {
    std::vector<Parameter<>> net = {Parameter<>(Tensor<>{2})};
    optim::SGD<> sgd(nn::parameters(net));
    std::vector<int> seen;
    const auto loss_of = [&](int batch) {
        seen.push_back(batch);
        return sum(net[0] * net[0]);
    };
    find_lr(net, sgd, std::vector<int>{1, 2, 3}, loss_of, {.end = 1e-6, .steps = 7});
    CHECK(seen == std::vector<int>{1, 2, 3, 1, 2, 3, 1});
    seen.clear();
    find_lr(net, sgd, std::vector<int>{1, 2, 3}, loss_of, {.end = 1e-6, .steps = 3});
    CHECK(seen == std::vector<int>{1, 2, 3});
}

TEST_CASE("find_lr: everything is as before") {
    manual_seed(3);
    const auto moons = two_moons(200);
    Net net;
    optim::SGD<> sgd(nn::parameters(net), {.lr = 0.1, .momentum = 0.9});
    const data::Epoch batches = data::Loader(moons, {.batch_size = 50, .shuffle = true}).epoch(0);
    for (auto& batch : batches) {  // momentum, gradients and a count to lose
        sgd.zero_grad();
        loss_on(net, batch).backward();
        sgd.step();
    }
    nn::parameters(net)[3].zero_grad();
    net.unused.training = false;
    const Everything before = everything(net, sgd);

    SECTION("after a sweep") {
        const LrCurve curve = find_lr(net, sgd, batches, [&](auto& batch) { return loss_on(net, batch); });
        CHECK(curve.loss.front() > curve.loss[curve.loss.size() / 2]);
        CHECK(everything(net, sgd) == before);
    }
    SECTION("after an exception") {
        int calls = 0;
        const auto loss_of = [&](const data::Batch<>& batch) {
            net.noise.training = false;
            if (++calls == 6) throw std::logic_error("enough");
            return loss_on(net, batch);
        };
        CHECK_THROWS_MATCHES(find_lr(net, sgd, batches, loss_of), std::logic_error, Message("enough"));
        CHECK(calls == 6);
        CHECK(everything(net, sgd) == before);
    }
}

TEST_CASE("find_lr: a run after it equals a run without it") {
    const auto moons = two_moons(200);
    const data::Epoch batches = data::Loader(moons, {.batch_size = 50, .shuffle = true}).epoch(0);
    const auto run = [&](bool with_find_lr) {
        manual_seed(3);
        Net net;
        optim::SGD<> sgd(nn::parameters(net), {.lr = 0.1, .momentum = 0.9});
        for (int epoch = 0; epoch < 3; ++epoch) {
            if (with_find_lr) find_lr(net, sgd, batches, [&](auto& batch) { return loss_on(net, batch); });
            for (auto& batch : batches) {
                sgd.zero_grad();
                loss_on(net, batch).backward();
                sgd.step();
            }
        }
        return everything(net, sgd);
    };
    CHECK(run(true) == run(false));
}

TEST_CASE("find_lr: also restores what only the optimizer knows") {
    std::vector<Parameter<>> net = {Parameter<>(Tensor<>{2})};
    Variable<> weight = leaf({3});
    weight.set_grad({5});
    optim::SGD<> sgd({net[0], weight}, {.lr = 0.5});
    find_lr(net, sgd, one_batch, [&](const Tensor<>&) { return sum(net[0] * weight); });
    CHECK(weight.value() == Tensor<>{3});
    CHECK(weight.grad() == Tensor<>{5});
    CHECK_FALSE(net[0].has_grad());
}

TEST_CASE("find_lr: the model is in training mode meanwhile") {
    Net net;
    nn::eval(net);
    optim::SGD<> sgd(nn::parameters(net));
    bool always = true;
    find_lr(net, sgd, data::Loader(two_moons(8)), [&](auto& batch) {
        always = always && net.noise.training && net.unused.training;
        return loss_on(net, batch);
    });
    CHECK(always);
    CHECK_FALSE(net.noise.training);
}

TEST_CASE("find_lr: finds a rate that trains") {
    manual_seed(1);
    const auto moons = two_moons(1000);
    Net net;
    optim::SGD<> sgd(nn::parameters(net), {.lr = 0.1});
    const LrCurve curve = find_lr(net, sgd, data::Loader(moons, {.batch_size = 50, .shuffle = true}).epoch(0),
                                  [&](auto& batch) { return loss_on(net, batch); }, {.end = 1000});
    CHECK(curve.diverged);
    for (const double proposal : {curve.steepest, curve.valley}) {
        INFO(proposal);
        CHECK((proposal > 1e-3 && proposal < 3));
        Net trained = net;
        optim::SGD<> optimizer(nn::parameters(trained));
        optimizer.set_lr(proposal);
        const data::Loader loader(moons, {.batch_size = 50, .shuffle = true});
        for (int epoch = 0; epoch < 10; ++epoch)
            for (auto& batch : loader.epoch(epoch)) {
                optimizer.zero_grad();
                loss_on(trained, batch).backward();
                optimizer.step();
            }
        CHECK(loss_on(trained, {moons.inputs, moons.labels}).item() < 0.45f);  // from 0.7
    }
}

TEST_CASE("find_lr: proposes what fastai does") {  // computed by a Python form of its two rules
    struct Case {
        double smoothing;
        std::size_t points, valley, steepest;
    };
    for (const Case& c : {Case{0, 32, 15, 17}, Case{0.5, 33, 14, 19}, Case{0.9, 37, 15, 22}}) {
        const LrCurve curve = sweep_bend(c.smoothing);
        CHECK(curve.diverged);
        REQUIRE(curve.lr.size() == c.points);
        CHECK(curve.valley == curve.lr[c.valley]);
        CHECK(curve.steepest == curve.lr[c.steepest]);
    }
}

TEST_CASE("find_lr: proposals of short curves") {
    const LrCurve two = sweep_losses({2, 1});
    CHECK(two.steepest == 1);
    CHECK(two.valley == 1);
    const LrCurve five = sweep_losses({3, 4, 3.5, 2, 2.5});
    CHECK(five.steepest == 4);  // before the fall of 1.5
    CHECK(five.valley == 2);    // 4, 3.5, 2 end at 8: three points back from there, and half way again
    for (const auto& losses : {std::vector<double>{1, 2}, {1, 1, 1}, {1, 2, 3, 4}}) {
        const LrCurve rising = sweep_losses(losses);
        CHECK(std::isnan(rising.steepest));
        CHECK(std::isnan(rising.valley));
    }
}

TEST_CASE("find_lr: stops when the smoothed loss is too high or not a number") {
    LrCurve curve = sweep_losses({2, 1, 4, 4.5, 1});
    CHECK(curve.loss == std::vector<double>{2, 1, 4, 4.5});
    CHECK(curve.diverged);
    curve = sweep_losses({2, 1, 4, 4.5, 1}, 0, 5);
    CHECK_FALSE(curve.diverged);
    CHECK(curve.loss.size() == 5);
    for (const double bad : {double(NaN), double(infinity), -double(infinity)}) {
        curve = sweep_losses({2, 1, bad, 1});
        CHECK(curve.diverged);
        CHECK(curve.loss == std::vector<double>{2, 1});
    }
    curve = sweep_losses({-1, -2, 3, 4, 4.5, 1});  // 3 · |−2| above −2
    CHECK(curve.loss.size() == 5);
    CHECK(sweep_losses({1, 9, 9}, 0.9).loss.size() == 2);
    CHECK(sweep_losses({1, 6, 1, 1}, 0.9).diverged == false);  // smoothed: 3.63
}

TEST_CASE("find_lr: refusals") {
    std::vector<Parameter<>> net = {Parameter<>(Tensor<>{2})};
    optim::SGD<> sgd(nn::parameters(net));
    const auto refuses = [&](const FindLrOptions& options, const std::string& text) {
        const auto loss_of = [&](const Tensor<>&) { return sum(net[0]); };
        CHECK_THROWS_MATCHES(find_lr(net, sgd, one_batch, loss_of, options), ValueError,
                             Message("find_lr: " + text));
    };
    refuses({.start = 0}, "needs 0 < start < end: got 0 and 10");
    refuses({.start = 1, .end = 1}, "needs 0 < start < end: got 1 and 1");
    refuses({.start = 1, .end = double(infinity)}, "needs 0 < start < end: got 1 and inf");
    refuses({.steps = 1}, "steps must be at least 2: got 1");
    refuses({.smoothing = 1}, "smoothing must be at least 0 and below 1: got 1");
    refuses({.smoothing = double(NaN)}, "smoothing must be at least 0 and below 1: got nan");
    refuses({.stop_factor = 1}, "stop_factor must be above 1: got 1");

    const auto bad = [&](const Tensor<>&) { return sum(net[0]) * NaN; };
    CHECK_THROWS_MATCHES(
        find_lr(net, sgd, one_batch, bad), ValueError,
        Message("find_lr: the loss is not finite before the first step; check the data and the model"));
    CHECK_THROWS_MATCHES(find_lr(net, sgd, std::vector<Tensor<>>(), bad), ValueError,
                         Message("find_lr: there are no batches; is the dataset empty?"));
    CHECK(net[0].value() == Tensor<>{2});
}
