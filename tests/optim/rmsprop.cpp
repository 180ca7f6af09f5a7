// SPDX-License-Identifier: MIT
#include "gradus/optim/rmsprop.hpp"

#include "optim/reference.hpp"

using namespace gradus;
using optim::RMSProp, optim::RMSPropOptions;

namespace {

// Printed by tests/reference/optimizers.py with PyTorch 1.13.
const std::vector<Reference<RMSPropOptions>> references = {
    {{},
     {{1.90000001, 0.400000001, -0.900000009999999},
      {1.83291797526506, 0.330565915630775, -0.830010367665041},
      {1.77998228198235, 0.274468029486376, -0.773173328767007},
      {1.36660812073784, -0.223581012062863, -0.256814201946202}}},
    {{.lr = 0.1, .alpha = 0.9},
     {{1.68377224398316, 0.183772234983162, -0.683772243983162},
      {1.49887062011724, -0.0304274772114351, -0.463507420085255},
      {1.36918056742779, -0.201638405238163, -0.283858165710774},
      {1.00006863497012, -1.60741378553556, 1.44991276042768}}},
    {{.lr = 0.1, .eps = 0.1},
     {{1.5, -0.409090909090909, -0.5},
      {1.26343151548749, -0.905829445693232, -0.123655913978495},
      {1.14026691542841, -1.22906594539679, 0.184727294329042},
      {1.00000235447999, -1.99785958220752, 2.3502547554917}}},
    {{.lr = 0.1, .weight_decay = 0.2},
     {{1.00000007142857, -0.49999999009901, -8.33333267946657e-08},
      {0.857880565721356, -1.0062934123957, 0.531914791630152},
      {0.836847934448512, -1.31576683536676, 0.873942449281111},
      {0.833333333333333, -1.90435632880805, 1.66480066585424}}},
    {{.lr = 0.02, .momentum = 0.9},
     {{1.80000002, 0.300000002, -0.800000019999998},
      {1.49467837391498, -0.015779487722297, -0.48188669846425},
      {1.14731465118022, -0.40143668263413, -0.0882599890551016},
      {1.28178189598157, -2.44433599900816, 4.45856864691289}}},
    {{.lr = 0.1, .centered = true},
     {{0.994962285750879, -0.505037805158202, 0.00503771424912092},
      {1.00005030442672, -1.0250504154746, 0.612270512381145},
      {0.999999244227586, -1.3491685836069, 1.05261134772169},
      {1, -1.99940361617808, 2.91716597469127}}},
    {{.lr = 0.02, .alpha = 0.95, .eps = 0.001, .weight_decay = 0.1, .momentum = 0.8, .centered = true},
     {{1.90858324714252, 0.408275583117274, -0.908614891573856},
      {1.77116048496791, 0.268762781448244, -0.769268029821175},
      {1.61132451025048, 0.102951964107007, -0.603028866840276},
      {0.881956195076218, -1.99533280538191, 1.8317983643635}}},
};

const RMSPropOptions every_option{
    .lr = 0.1, .alpha = 0.9, .weight_decay = 0.01, .momentum = 0.5, .centered = true, .l1 = 0.01};

}  // namespace

TEST_CASE("rmsprop: two steps by hand") {
    Variable<> w = leaf({8});
    RMSProp<> rmsprop(Leaves<float>{w}, {.lr = 3, .alpha = 0.75, .eps = 1, .momentum = 0.5});
    w.set_grad({4});
    rmsprop.step();  // s = 4, b = 4 / (2 + 1): ε is outside the root
    check_numbers(w.value(), {4}, 1e-7f);
    w.set_grad({2});
    rmsprop.step();  // s = 3 + 1, b = 2/3 + 2/3
    check_numbers(w.value(), {0}, 1e-6f);
    CHECK(rmsprop.state()[0].kinds.size() == 2);
    CHECK(rmsprop.state()[0].kinds[0].name == "square_avg");
    CHECK(rmsprop.state()[0].kinds[0].value == Tensor<>{4});
    CHECK(rmsprop.state()[0].kinds[1].name == "momentum_buffer");
}

TEST_CASE("rmsprop: centered, by hand") {
    Variable<> w = leaf({8});
    RMSProp<> rmsprop(Leaves<float>{w}, {.lr = 1, .alpha = 0.5, .eps = 1, .centered = true});
    w.set_grad({4});
    rmsprop.step();  // s = 8, a = 2: √(8 − 4) = 2
    check_numbers(w.value(), {8 - 4.0f / 3}, 1e-7f);
    CHECK(rmsprop.state()[0].kinds[1].name == "grad_avg");
    CHECK(rmsprop.state()[0].kinds[1].value == Tensor<>{2});
}

TEST_CASE("rmsprop: a gradient that never changes has no variance, and rounding does not make it negative") {
    Variable<> w = leaf(full({1000}, 0));
    RMSProp<> rmsprop(Leaves<float>{w}, {.lr = 1e-3, .alpha = 0.1, .eps = 1, .centered = true});
    w.set_grad(linspace(-3, 3, 1000));
    for (int i = 0; i < 50; ++i) rmsprop.step();
    bool finite = true;
    for (const float x : w.value()) finite = finite && std::isfinite(x);
    CHECK(finite);
}

TEST_CASE("rmsprop: PyTorch gives the same over 20 steps") { check_references<RMSProp>(references); }

TEST_CASE("rmsprop: what has no gradient or is frozen stays, with its state") {
    check_absent<RMSProp<>>(every_option);
}

TEST_CASE("rmsprop: a NaN in a gradient reaches its own weight and no other") {
    check_nan<RMSProp<>>(RMSPropOptions{});
    check_nan<RMSProp<>>(RMSPropOptions{.momentum = 0.5, .centered = true});
}

TEST_CASE("rmsprop: the same bits for any number of threads") {
    check_threads<RMSProp<>>(RMSPropOptions{});
    check_threads<RMSProp<>>(every_option);
}

TEST_CASE("rmsprop: state is saved and restored with the same bits") {
    check_state<RMSProp<>>(RMSPropOptions{});
    check_state<RMSProp<>>(every_option);
}

TEST_CASE("rmsprop: refusals") {
    const auto make = [](RMSPropOptions options) { RMSProp<> rmsprop(Leaves<float>{leaf({1})}, options); };
    check_refuses("rmsprop", "lr", [&](double x) { make({.lr = x}); });
    check_refuses(
        "rmsprop", "alpha", [&](double x) { make({.alpha = x}); }, true);
    check_refuses("rmsprop", "eps", [&](double x) { make({.eps = x}); });
    check_refuses("rmsprop", "weight_decay", [&](double x) { make({.weight_decay = x}); });
    check_refuses("rmsprop", "momentum", [&](double x) { make({.momentum = x}); });
    check_refuses("rmsprop", "l1", [&](double x) { make({.l1 = x}); });
    check_refuses("rmsprop", "lr_scale", [&](double x) { make({.lr_scale = x}); });
}
