// SPDX-License-Identifier: MIT
#include "gradus/nn/dropout.hpp"

#include "gradus/nn/linear.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/nn/sequential.hpp"
#include "support/numbers.hpp"

using namespace gradus;

TEST_CASE("Dropout: drops while training and passes on after eval") {
    nn::Dropout layer{.p = 0.25};
    const Variable<> x(ones({4, 100}));
    manual_seed(3);
    const Tensor<> y = layer(x).value();
    manual_seed(3);
    CHECK(y == dropout(x, 0.25).value());
    CHECK_FALSE(y == layer(x).value());
    nn::eval(layer);
    CHECK(&layer(x).node() == &x.node());
    const auto position = default_generator().position();
    static_cast<void>(layer(x));
    CHECK(default_generator().position() == position);  // nothing is drawn
    nn::train(layer);
    CHECK_FALSE(layer(x).value() == x.value());
}

TEST_CASE("Dropout: in a sequence; p is 0.5 unless told") {
    nn::Sequential net(nn::Linear<>(3, 50), nn::Dropout(), nn::Dropout{.p = 1});
    CHECK(net.get<1>().p == 0.5);
    CHECK(nn::parameters(net).size() == 2);
    const Variable<> x(ones({2, 3}));
    CHECK(net(x).value() == zeros({2, 50}));
    nn::eval(net);
    CHECK(net(x).value() == net.get<0>()(x).value());
    const nn::Trace trace;
    static_cast<void>(net(x));
    CHECK(std::string(trace.entries().at(1).type) == "Dropout");
}

TEST_CASE("Dropout: refuses a p outside [0, 1] when it is used") {
    const nn::Dropout layer{.p = 2};
    CHECK_THROWS_MATCHES(layer(Variable<>(ones({2}))), ValueError,
                         Message("dropout: the probability must be in [0, 1]: got 2"));
}
