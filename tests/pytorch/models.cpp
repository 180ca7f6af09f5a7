// SPDX-License-Identifier: MIT
// Whole networks against PyTorch, from the same weights: scores, losses, every gradient, and five steps of
// training.
#include "gradus/loss/bce_with_logits.hpp"
#include "gradus/loss/cross_entropy.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/optim/adam.hpp"
#include "gradus/optim/sgd.hpp"
#include "pytorch/cases.hpp"
#include "support/networks.hpp"

using namespace gradus;
using pytorch::Case;

namespace {

/// loss(scores, c.name + "/labels@" + step) -> Variable
template <class T, class Net, class Optimizer, class Loss>
void check_training(const Case& c, Net& net, Optimizer optimizer, const Loss& loss) {
    const auto parameters = nn::named_parameters<T>(net);
    const auto batch = [&](Index step) {
        const Index number = c.integer("first_batch") + step - 1;
        return pytorch::noise<T>(c.name + "/x@" + std::to_string(number), c.shape("x"));
    };
    Tensor<T> losses = zeros<T>({5});
    for (Index step = 1; step <= 5; ++step) {
        const Variable<T> x(batch(step), {.requires_grad = step == 1});
        const Variable<T> scores = net(x);
        const Variable<T> l = loss(scores, c.name + "/labels@" + std::to_string(step));
        optimizer.zero_grad();
        l.backward();
        losses.mutable_at(step - 1) = l.item();
        if (step == 1) {
            c.check("scores", scores.value());
            c.check("dx", x.grad());
            for (const auto& [name, parameter] : parameters) c.check("d" + name, parameter.grad());
        }
        optimizer.step();
    }
    c.check("losses", losses);
    for (const auto& [name, parameter] : parameters) c.check(name + "@5", parameter.value());
    for (const auto& [name, buffer] : nn::named_buffers<T>(net)) c.check(name + "@5", buffer.value());
    nn::eval(net);
    c.check("eval_scores", net(Variable<T>(batch(6))).value());
}

/// Gives the parameters the values that PyTorch's of the same name had.
template <class T, class Net>
void set_parameters(const Case& c, Net& net) {
    for (auto& [name, parameter] : nn::named_parameters<T>(net)) parameter.set_value(c.input<T>(name));
}

template <class Run>
void for_model(const char* kind, const Run& run) {
    pytorch::for_cases_in_both("pytorch_models.txt", kind, run);
}

const auto classification = [](const auto& scores, const std::string& labels) {
    return cross_entropy(scores, pytorch::integers(labels, {scores.size(0)}, scores.size(1)));
};

}  // namespace

TEST_CASE("pytorch: the multi-layer perceptron, with SGD") {
    for_model("mlp", []<class T>(const Case& c, T) {
        Mlp<T> net;
        set_parameters<T>(c, net);
        check_training<T>(
            c, net, optim::SGD<T>(nn::parameters<T>(net), {.lr = 0.05, .momentum = 0.9, .nesterov = true}),
            classification);
    });
}

TEST_CASE("pytorch: the convolutional network, with Adam") {
    for_model("cnn", []<class T>(const Case& c, T) {
        Cnn<T> net;
        set_parameters<T>(c, net);
        check_training<T>(c, net, optim::Adam<T>(nn::parameters<T>(net), {.lr = 0.001, .eps = 0.001}),
                          classification);
    });
}

TEST_CASE("pytorch: ResNet-18, with SGD") {
    for_model("resnet18", []<class T>(const Case& c, T) {
#if defined(__SANITIZE_ADDRESS__)
        if (std::is_same_v<T, double>) return;  // takes minutes
#endif
        ResNet18<T> net{.classes = c.integer("classes")};
        set_parameters<T>(c, net);
        check_training<T>(
            c, net,
            optim::SGD<T>(nn::parameters<T>(net), {.lr = 0x1p-15, .momentum = 0.9, .weight_decay = 0.5}),
            [](const Variable<T>& scores, const std::string& labels) {
                return bce_with_logits(scores, cast<T>(pytorch::integers(labels, scores.shape(), 2)));
            });
    });
}
