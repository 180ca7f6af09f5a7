// SPDX-License-Identifier: MIT
// One planted failure per finding, and healthy models without any.

#include "gradus/training/diagnose.hpp"

#include "../../examples/support/resnet.hpp"
#include "gradus/gradus.hpp"
#include "support/numbers.hpp"
#include "support/random.hpp"

using namespace gradus;
using training::Diagnosis;
using training::Severity;

namespace {

const auto ce = [](const Variable<>& logits, const Tensor<Index>& labels) {
    return cross_entropy(logits, labels);
};

struct Mlp {
    nn::Linear<> fc1{12, 16}, fc2{16, 4};

    Variable<> operator()(const Variable<>& x) const { return fc2(relu(fc1(x))); }
};

/// Four blobs, as standardized data would be.
data::Batch<> blobs(Index n = 32, std::uint64_t seed = 1) {
    data::Batch<> batch{random({n, 12}, seed) * 0.5f, zeros<Index>({n})};
    for (Index i = 0; i < n; ++i) {
        batch.labels.mutable_at(i) = i % 4;
        batch.inputs.mutable_at(i, i % 4) += 2;
    }
    return batch;
}

template <class Model>
Diagnosis of(Model model, const data::Batch<>& batch = blobs()) {
    return training::diagnose(model, batch, ce);
}

/// There is this finding; returns it as text.
std::string text_of(const Diagnosis& diagnosis, const char* kind) {
    INFO(to_string(diagnosis));
    REQUIRE(diagnosis.find(kind));
    return to_string(*diagnosis.find(kind));
}

}  // namespace

TEST_CASE("diagnose: nothing is found in healthy models, which stay as they were") {
    const data::Batch<> batch = blobs();
    SECTION("MLP, several optimizers") {
        Mlp net;
        const Mlp before = net;
        const auto position = default_generator().position();
        sum(net(batch.inputs)).backward();
        const Tensor<> gradient = net.fc1.weight.grad();
        const Diagnosis own = training::diagnose(net, batch, ce);
        CHECK(to_string(own).starts_with("nothing found\n"));
        CHECK(own.healthy());
        CHECK(own.losses.size() == 50);
        CHECK(own.losses.back() < own.losses.front());
        CHECK((own.suggested_lr > 1e-5 && own.suggested_lr < 10));
        CHECK(own.parameters.size() == 4);
        optim::SGD sgd(nn::named_parameters(net), {.lr = 0.1, .momentum = 0.9});
        CHECK(to_string(training::diagnose(net, sgd, batch, ce)).starts_with("nothing found\n"));
        optim::AdamW adamw(nn::parameters(net), {.lr = 3e-3});
        const auto by_model = [](Mlp& model, const data::Batch<>& b) {
            return cross_entropy(model(b.inputs), b.labels);
        };
        CHECK(to_string(training::diagnose(net, adamw, batch, by_model)).starts_with("nothing found\n"));
        CHECK(net.fc1.weight.value() == before.fc1.weight.value());
        CHECK(net.fc1.weight.grad() == gradient);
        CHECK(default_generator().position() == position);
        CHECK(sgd.state()[0].kinds.empty());
    }
    SECTION("CNN with dropout and batch normalization") {
        nn::Sequential net(nn::Conv2d<>(1, 8, {.kernel_size = 3}), nn::BatchNorm2d<>(8), nn::ReLU(),
                           nn::MaxPool2d({.kernel_size = 2}), nn::Flatten(), nn::Dropout{.p = 0.2},
                           nn::Linear<>(8 * 36, 4));
        const Tensor<> mean = net.get<1>().running_mean->value();
        data::Batch<> images{random({16, 1, 14, 14}, 3), batch.labels.rows(0, 16)};
        CHECK(to_string(of(net, images)).starts_with("nothing found\n"));
        CHECK(net.get<1>().running_mean->value() == mean);
    }
    SECTION("ResNet-18") {
        ResNet18<> net{.classes = 4};
        data::Batch<> images{random({4, 3, 32, 32}, 3), batch.labels.rows(0, 4)};
        const Diagnosis d = training::diagnose(net, images, ce, {.steps = 12, .find_lr = false});
        CHECK(to_string(d).starts_with("nothing found\n"));
    }
    SECTION("regression") {
        Mlp net;
        const auto mse_of = [](const Variable<>& y, const Tensor<>& t) { return mse(y, t); };
        const data::Batch<float, float> numbers{random({32, 12}, 5), random({32, 4}, 6)};
        CHECK(to_string(training::diagnose(net, numbers, mse_of)).starts_with("nothing found\n"));
    }
}

TEST_CASE("diagnose: the numbers that go in") {
    data::Batch<> batch = blobs();
    SECTION("pixels") {
        batch.inputs = batch.inputs * 40 + 100;
        CHECK_THAT(text_of(of(Mlp(), batch), "unnormalized_inputs"),
                   ContainsSubstring("warning: the inputs have mean 1") &&
                       ContainsSubstring("bring them to about 0 and 1"));
    }
    SECTION("NaN") {
        batch.inputs.mutable_at(3, 2) = NaN;
        CHECK(text_of(of(Mlp(), batch), "input_not_finite") ==
              "error: the inputs hold 1 NaN and 0 infinite numbers of 384: fill or drop missing values "
              "before training");
    }
    SECTION("always the same") {
        batch.inputs = ones({32, 12});
        CHECK(text_of(of(Mlp(), batch), "constant_inputs") ==
              "error: all 32 examples are the same: is the buffer overwritten while they are collected, or "
              "one row "
              "broadcast?");
    }
    SECTION("a feature in other units") {
        for (Index i = 0; i < 32; ++i) batch.inputs.mutable_at(i, 5) *= 1e5f;
        CHECK_THAT(text_of(of(Mlp(), batch), "unequal_features"),
                   ContainsSubstring("warning: feature 5 varies"));
    }
    SECTION("none") {
        CHECK(text_of(of(Mlp(), {zeros({0, 12}), Tensor<Index>()}), "empty_batch") ==
              "error: the batch has no examples");
    }
}

TEST_CASE("diagnose: labels") {
    data::Batch<> batch = blobs();
    SECTION("from 1") {
        for (Index& label : batch.labels.mutable_values()) ++label;
        CHECK(text_of(of(Mlp(), batch), "labels_out_of_range") ==
              "error: labels go from 1 to 4, and the model has 4 outputs, for 0 ... 3: labels that count "
              "from 1 need "
              "labels - 1");
    }
    SECTION("too many") {
        batch.labels.mutable_at(3) = 9;
        CHECK(text_of(of(Mlp(), batch), "labels_out_of_range") ==
              "error: labels go from 0 to 9, and the model has 4 outputs, for 0 ... 3: make the last layer "
              "larger, or "
              "renumber the labels");
    }
    SECTION("sorted") {
        for (Index& label : batch.labels.mutable_values()) label = 2;
        CHECK(text_of(of(Mlp(), batch), "single_class") ==
              "warning: every label of the batch is 2: is the data sorted by class? shuffle it ({.shuffle = "
              "true})");
    }
    SECTION("ignored") {
        for (Index& label : batch.labels.mutable_values()) label = -100;
        CHECK(text_of(of(Mlp(), batch), "labels_ignored") ==
              "error: every label is -100, which losses ignore: nothing counts");
    }
    SECTION("shuffled apart") {
        for (Index c = 0; c < 12; ++c) batch.inputs.mutable_at(7, c) = batch.inputs(4, c);
        CHECK(text_of(of(Mlp(), batch), "contradicting_labels") ==
              "warning: examples 4 and 7 are the same and have different labels: were inputs and labels "
              "shuffled apart "
              "from each other?");
    }
    SECTION("targets of a regression") {
        const auto mse_of = [](const Variable<>& y, const Tensor<>& t) { return mse(y, t); };
        Mlp net;
        data::Batch<float, float> numbers{random({32, 12}, 5), random({32, 4}, 6) * 1000};
        CHECK_THAT(text_of(training::diagnose(net, numbers, mse_of), "large_targets"),
                   ContainsSubstring("standardize them"));
        numbers.labels.mutable_at(0, 0) = NaN;
        CHECK(text_of(training::diagnose(net, numbers, mse_of), "targets_not_finite") ==
              "error: the targets hold 1 NaN and 0 infinite numbers of 128");
    }
}

namespace {

/// An Mlp whose output goes through something else.
template <class F>
struct With {
    F f;
    Mlp mlp;
    Variable<> operator()(const Variable<>& x) const { return f.value(mlp(x)); }
};
template <class F>
With<nn::Ignored<F>> with(F f) {
    return {nn::Ignored<F>(std::move(f)), {}};
}

}  // namespace

TEST_CASE("diagnose: what stands before the loss") {
    const data::Batch<> batch = blobs();
    CHECK(text_of(of(with([](const Variable<>& y) { return softmax(y, 1); })),
                  "softmax_before_cross_entropy") ==
          "error: after mlp.fc2: cross_entropy takes logits and does the softmax itself: return the scores "
          "of the last "
          "layer (twice softmax learns slowly and stops early)");
    CHECK_THAT(text_of(of(with([](const Variable<>& y) {
                           return reshape(softmax(y, 1), Shape{y.size(0), 4});
                       })),
                       "softmax_before_cross_entropy"),
               ContainsSubstring("takes logits"));
    const Diagnosis twice = of(with([](const Variable<>& y) { return log_softmax(y, 1); }));
    CHECK(text_of(twice, "log_softmax_before_cross_entropy").starts_with("note: "));
    CHECK(twice.healthy());
    CHECK_THAT(text_of(of(with([](const Variable<>& y) { return relu(y); })), "relu_before_loss"),
               ContainsSubstring("leave out the last activation"));
    CHECK_THAT(text_of(of(with([](const Variable<>& y) { return sigmoid(sigmoid(y)); })), "activation_twice"),
               ContainsSubstring("of probabilities"));
    Mlp net;
    const auto found = [&](const auto& loss) { return training::diagnose(net, batch, loss); };
    const Tensor<> hot = one_hot(batch.labels, 4);
    CHECK_THAT(text_of(found([&](const Variable<>& y, const Tensor<Index>&) {
                           return bce_with_logits(sigmoid(y), hot);
                       }),
                       "sigmoid_before_bce_with_logits"),
               ContainsSubstring("leave it out, or take bce"));
    CHECK_THAT(
        text_of(found([](const Variable<>& y, const Tensor<Index>& t) { return nll(softmax(y, 1), t); }),
                "nll_without_log"),
        ContainsSubstring("log_softmax(logits, 1)"));
    CHECK_THAT(
        text_of(found([&](const Variable<>& y, const Tensor<Index>&) { return kl_div(softmax(y, 1), hot); }),
                "kl_div_without_log"),
        ContainsSubstring("log_softmax(logits, 1)"));
    CHECK_THAT(
        text_of(found([](const Variable<>& y, const Tensor<Index>& t) { return nll(log(softmax(y, 1)), t); }),
                "log_of_probability"),
        ContainsSubstring("-inf sooner or later"));
}

TEST_CASE("diagnose: one output") {
    struct One {
        nn::Linear<> fc{12, 1};
        Variable<> operator()(const Variable<>& x) const { return fc(x); }
    };
    data::Batch<> batch = blobs();
    batch.labels = zeros<Index>({32});
    CHECK_THAT(text_of(of(One(), batch), "one_class"), ContainsSubstring("over one class is always 0"));
    struct Soft {
        nn::Linear<> fc{12, 1};
        Variable<> operator()(const Variable<>& x) const { return softmax(fc(x), 1); }
    };
    Soft soft;
    const data::Batch<float, float> numbers{batch.inputs, random({32, 1}, 4)};
    const auto squares = [](const Variable<>& y, const Tensor<>& t) { return mse(y, t); };
    CHECK_THAT(text_of(training::diagnose(soft, numbers, squares), "softmax_of_one"),
               ContainsSubstring("is always 1"));
    One one;  // [32, 1] against [32]
    const data::Batch<float, float> flat{batch.inputs, random({32}, 4)};
    const auto broadcast = [](const Variable<>& y, const Tensor<>& t) { return mean(square(y - t)); };
    CHECK(text_of(training::diagnose(one, flat, broadcast), "broadcast_in_loss") ==
          "error: after fc: sub of [32, 1] and [32] gives [32, 32]: every example meets every other; "
          "squeeze(x, 1) "
          "first");
}

TEST_CASE("diagnose: parameters without a part in it") {
    struct Net {
        nn::Linear<> fc1{12, 16}, fc2{16, 4}, extra{16, 16};
        Variable<> operator()(const Variable<>& x) const { return fc2(relu(fc1(x))); }
    };
    CHECK(text_of(of(Net()), "no_gradient") ==
          "warning: extra.weight: no gradient for extra.weight, extra.bias: is the layer called, and "
          "nothing after it "
          "detach()ed, taken by value() or computed under a NoGrad?");
    struct Detached {
        nn::Linear<> fc1{12, 16}, fc2{16, 4};
        Variable<> operator()(const Variable<>& x) const { return fc2(relu(fc1(x)).detach()); }
    };
    CHECK_THAT(text_of(of(Detached()), "no_gradient"),
               ContainsSubstring("no gradient for fc1.weight, fc1.bias"));

    Mlp net;
    const auto elsewhere = [other = Mlp()](const Variable<>&, const Tensor<Index>& t) {
        return cross_entropy(other(blobs().inputs), t);
    };
    CHECK(text_of(training::diagnose(net, blobs(), elsewhere), "loss_without_model").starts_with("error: "));
    const auto constant = [](const Variable<>& y, const Tensor<Index>& t) {
        return cross_entropy(y.detach(), t);
    };
    CHECK(training::diagnose(net, blobs(), constant).find("loss_without_model"));

    struct Zeroed {
        nn::Linear<> fc1{12, 16}, fc2{16, 4};
        Variable<> operator()(const Variable<>& x) const { return fc2(fc1(x) * 0.0f); }
    };
    CHECK_THAT(
        text_of(of(Zeroed()), "zero_gradient"),
        ContainsSubstring("warning: fc1.weight: the gradient is 0 everywhere for fc1.weight, fc1.bias, "
                          "fc2.weight"));
    CHECK_THAT(text_of(of(Zeroed()), "constant_output"),
               ContainsSubstring("every example gets the same output"));

    net.fc1.weight.set_requires_grad(false);
    const Diagnosis frozen = training::diagnose(net, blobs(), ce);
    CHECK(text_of(frozen, "frozen") == "note: fc1.weight: frozen, and will stay as it is: fc1.weight");
    CHECK(frozen.healthy());
    for (Variable<> p : nn::parameters(net)) p.set_requires_grad(false);
    CHECK(training::diagnose(net, blobs(), ce).find("all_frozen"));
}

TEST_CASE("diagnose: gradients and activations of the wrong size") {
    Mlp net;
    SECTION("dead relu") {
        net.fc1.bias->mutable_value() = full({16}, -100);
        const Diagnosis d = training::diagnose(net, blobs(), ce);
        CHECK_THAT(text_of(d, "dead_relu"),
                   ContainsSubstring("warning: after fc1: relu gives 0 for every example in "
                                     "100 % of its units"));
        CHECK(d.find("dead_relu")->number == 1);
        CHECK(d.find("zero_gradient"));
    }
    SECTION("saturated") {
        struct Tanh {
            nn::Linear<> fc1{12, 16}, fc2{16, 4};
            Variable<> operator()(const Variable<>& x) const { return fc2(tanh(fc1(x) * 1e3f)); }
        };
        Tanh flat;
        flat.fc1.bias->mutable_value() = full({16}, 100);
        CHECK_THAT(text_of(of(flat), "saturated"), ContainsSubstring("tanh is at its flat ends in"));
    }
    SECTION("exploding, and a first loss that is too large") {
        net.fc2.weight.mutable_value() = random({4, 16}, 9) * 1e5f;
        const Diagnosis d = training::diagnose(net, blobs(), ce);
        CHECK_THAT(text_of(d, "exploding_gradient"), ContainsSubstring("the gradient has norm"));
        CHECK_THAT(text_of(d, "large_first_loss"),
                   ContainsSubstring("where a model that knows nothing would have 1.386"));
    }
    SECTION("vanishing") {
        struct Deep {
            std::vector<nn::Linear<>> layers;
            nn::Linear<> head{12, 4};
            Variable<> operator()(Variable<> x) const {
                for (const auto& layer : layers) x = sigmoid(layer(x));
                return head(x);
            }
        };
        Deep deep;
        for (int i = 0; i < 25; ++i) deep.layers.emplace_back(12, 12);
        CHECK_THAT(text_of(of(deep), "vanishing_gradient"),
                   ContainsSubstring("warning: layers.0.weight: the gradient"));
    }
    SECTION("all weights alike") {
        net.fc1.weight.mutable_value() = full({16, 12}, 0.1f);
        CHECK(text_of(training::diagnose(net, blobs(), ce), "constant_weights") ==
              "warning: fc1.weight: all weights are 0.1: units that begin alike stay alike; initialize them "
              "at random "
              "(nn::init)");
    }
    SECTION("no activation") {
        const nn::Sequential flat(nn::Linear<>(12, 8), nn::Linear<>(8, 4));
        CHECK(text_of(of(flat), "no_activation") ==
              "note: 1: there is no activation between this linear layer and the one at 0: the two are no "
              "more than one");
    }
}

TEST_CASE("diagnose: NaN forward and backward") {
    Mlp net;
    const auto root = [](const Variable<>& y, const Tensor<Index>&) { return mean(sqrt(y * 0.0f)); };
    CHECK_THAT(text_of(training::diagnose(net, blobs(), root), "not_finite_backward"),
               ContainsSubstring(
                   "anomaly: backward: after fc2: sqrt gave a gradient that is not finite for the result "
                   "of mul"));
    const auto logarithm = [](const Variable<>& y, const Tensor<Index>&) { return mean(log(y - 100)); };
    CHECK_THAT(text_of(training::diagnose(net, blobs(), logarithm), "not_finite_forward"),
               ContainsSubstring("anomaly: forward: after fc2: log gave a result that is not finite"));
    net.fc2.bias->mutable_value().mutable_at(1) = NaN;
    const Diagnosis d = training::diagnose(net, blobs(), ce);
    CHECK_THAT(text_of(d, "not_finite_forward"), ContainsSubstring("the parameter fc2.bias is not finite"));
    CHECK(d.find("not_finite_forward")->path == "fc2.bias");
}

TEST_CASE("diagnose: modes") {
    nn::Sequential net(nn::Linear<>(12, 8), nn::BatchNorm1d<>(8), nn::ReLU(), nn::Dropout(),
                       nn::Linear<>(8, 4));
    nn::eval(net);
    CHECK(text_of(of(net), "evaluation_mode") ==
          "warning: 1: in evaluation mode: 1, 3: dropout and batch statistics are off. Call "
          "nn::train(model) before "
          "training, also after every evaluation");
    nn::train(net);
    const data::Batch<> one = blobs(1);
    CHECK_THAT(text_of(of(net, one), "refused"), ContainsSubstring("batch_norm"));
    const NoGrad guard;
    CHECK(text_of(of(net), "no_grad") ==
          "error: a NoGrad lives here: nothing that is computed can be trained");
}

TEST_CASE("diagnose: shapes") {
    Mlp net;
    CHECK(text_of(training::diagnose(net, data::Batch<>{random({8, 11}, 1), zeros<Index>({8})}, ce),
                  "refused") ==
          "error: fc1: linear: needs x [..., in] and weight [out, in]: got [8, 11] and [16, 12]");
    const auto each = [](const Variable<>& y, const Tensor<Index>& t) {
        return cross_entropy(y, t, {.reduction = Reduction::none});
    };
    CHECK(text_of(training::diagnose(net, blobs(), each), "loss_not_scalar") ==
          "error: the loss has shape [32] and must be one number: mean(loss)");
    struct Folding {
        nn::Linear<> fc{24, 4};
        Variable<> operator()(const Variable<>& x) const { return fc(reshape(x, {-1, 24})); }
    };
    CHECK_THAT(text_of(of(Folding()), "batch_changed"),
               ContainsSubstring("of 32 examples the model makes 16 outputs"));
    struct Mixing {  // a reshape where a transpose was meant
        nn::Linear<> fc{12, 4};
        Variable<> operator()(const Variable<>& x) const {
            return fc(reshape(transpose(x, 0, 1), Shape{x.size(0), 12}));
        }
    };
    CHECK_THAT(text_of(of(Mixing()), "mixed_examples"),
               ContainsSubstring("the output of example 0 depends on example"));
}

TEST_CASE("diagnose: optimizer and learning rate") {
    manual_seed(1);
    Mlp net, other;
    optim::SGD half(nn::parameters(net.fc1), {.lr = 0.1});
    CHECK(text_of(training::diagnose(net, half, blobs(), ce), "not_in_optimizer") ==
          "warning: fc2.weight: the optimizer does not have fc2.weight, fc2.bias: it will stay as it is; "
          "add_group(), "
          "or freeze it");
    optim::SGD foreign(nn::parameters(other), {.lr = 0.1});
    CHECK_THAT(text_of(training::diagnose(net, foreign, blobs(), ce), "foreign_parameters"),
               ContainsSubstring("4 of the 4 parameters of the optimizer are none of this model"));
    optim::SGD still(nn::parameters(net), {.lr = 0});
    CHECK(text_of(training::diagnose(net, still, blobs(), ce), "lr_zero") ==
          "error: the learning rate is 0: nothing will change");
    CHECK(training::diagnose(net, still, blobs(), ce).find("no_update"));
    optim::SGD wild(nn::parameters(net), {.lr = 1e4});
    const Diagnosis high = training::diagnose(net, wild, blobs(), ce);
    CHECK_THAT(text_of(high, "lr_too_high"),
               ContainsSubstring("the learning rate 1e+04 is too high; on this batch"));
    CHECK_THAT(text_of(high, "large_update"), ContainsSubstring("lower the learning rate"));
    optim::SGD slow(nn::parameters(net), {.lr = 1e-7});
    const Diagnosis low = training::diagnose(net, slow, blobs(), ce);
    CHECK_THAT(text_of(low, "does_not_overfit"), ContainsSubstring("Too low a learning rate (it is 1e-07)"));
    CHECK_THAT(text_of(low, "small_update"), ContainsSubstring("raise the learning rate"));
}

TEST_CASE("diagnose: a loss that grows with the batch") {
    Mlp net;
    const auto total = [](const Variable<>& y, const Tensor<Index>& t) {
        return cross_entropy(y, t, {.reduction = Reduction::sum});
    };
    CHECK(text_of(training::diagnose(net, blobs(), total), "loss_grows_with_batch") ==
          "warning: the loss is a sum over the batch: gradients, and so the right learning rate, grow with "
          "its size. Take "
          "the mean (Reduction::mean)");
}

TEST_CASE("diagnose: everything is put back, also when the model refuses") {
    nn::Sequential net(nn::Linear<>(12, 8), nn::BatchNorm1d<>(8), nn::Dropout(), nn::Linear<>(8, 4));
    net.get<2>().training = false;
    const Tensor<> weight = net.get<0>().weight.value(), mean = net.get<1>().running_mean->value();
    static_cast<void>(training::diagnose(net, blobs(1), ce));
    static_cast<void>(training::diagnose(net, blobs(), ce));
    CHECK(net.get<0>().weight.value() == weight);
    CHECK(net.get<1>().running_mean->value() == mean);
    CHECK_FALSE(net.get<0>().weight.has_grad());
    CHECK((net.get<1>().training && !net.get<2>().training));
    CHECK(detail::tape_observer() == nullptr);
    CHECK(nn::detail::active_trace() == nullptr);
}
