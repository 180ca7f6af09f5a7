// SPDX-License-Identifier: MIT
#include "gradus/training/diagnose_step.hpp"

#include "gradus/gradus.hpp"
#include "support/numbers.hpp"
#include "support/random.hpp"

using namespace gradus;
using training::diagnose_step;

namespace {

struct Net {
    nn::Linear<> fc1{6, 8}, fc2{8, 3};
    nn::Dropout dropout{.p = 0.1};
    Variable<> operator()(const Variable<>& x) const { return fc2(dropout(relu(fc1(x)))); }
};

struct Loop {
    Net net;
    optim::SGD<> sgd{nn::named_parameters(net), {.lr = 0.1, .momentum = 0.9}};
    Tensor<> x = random({16, 6}, 1);
    Tensor<Index> labels = zeros<Index>({16});

    Variable<> loss() { return cross_entropy(net(x), labels); }
};

std::string kinds(const training::Diagnosis& d) {
    std::string text;
    for (const auto& finding : d.findings) text += (text.empty() ? "" : " ") + finding.kind;
    return text;
}

}  // namespace

TEST_CASE(
    "diagnose_step: a step without faults, with the gradients forgotten before or after, clipped or not") {
    Loop l;
    const Tensor<> before = l.net.fc1.weight.value();
    const auto position = default_generator().position();
    CHECK(kinds(diagnose_step(l.net, l.sgd, [&] {
              l.sgd.zero_grad();
              l.loss().backward();
              l.sgd.step();
          })) == "");
    CHECK(kinds(diagnose_step(l.net, l.sgd, [&] {
              l.loss().backward();
              optim::clip_grad_norm(nn::parameters(l.net), 1);
              l.sgd.step();
              l.sgd.zero_grad();
          })) == "");
    CHECK(l.net.fc1.weight.value() == before);
    CHECK_FALSE(l.net.fc1.weight.has_grad());
    CHECK(default_generator().position() == position);
}

TEST_CASE("diagnose_step: what is forgotten") {
    Loop l;
    const auto no_zero_grad = diagnose_step(l.net, l.sgd, [&] {
        l.loss().backward();
        l.sgd.step();
    });
    CHECK(to_string(no_zero_grad.findings.at(0)) ==
          "error: gradients of the step before are still there and are added to: call zero_grad() before "
          "backward() "
          "(unless they are accumulated on purpose)");
    CHECK(kinds(diagnose_step(l.net, l.sgd, [&] {
              l.loss().backward();
              optim::clip_grad_norm(nn::parameters(l.net), 1);
              l.sgd.step();
          })) == "zero_grad_forgotten");
    CHECK(kinds(diagnose_step(l.net, l.sgd, [&] {
              l.sgd.zero_grad();
              l.loss().backward();
          })) == "step_forgotten");
    CHECK(kinds(diagnose_step(l.net, l.sgd, [&] {
              l.sgd.zero_grad();
              static_cast<void>(l.loss());
          })) == "backward_forgotten");
    CHECK(kinds(diagnose_step(l.net, l.sgd, [&] {
              nn::eval(l.net);
              l.sgd.zero_grad();
              l.loss().backward();
              l.sgd.step();
          })) == "evaluation_mode");
    CHECK(l.net.dropout.training);
    Net other;
    optim::SGD<> foreign(nn::parameters(other), {.lr = 0.1});
    CHECK(kinds(diagnose_step(l.net, foreign, [&] {
              l.loss().backward();
              l.sgd.step();
              l.sgd.zero_grad();
          })) == "foreign_parameters");
}
