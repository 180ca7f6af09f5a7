// SPDX-License-Identifier: MIT
#include "gradus/optim/adam.hpp"

#include "optim/reference.hpp"

using namespace gradus;
using optim::Adam, optim::AdamOptions, optim::AdamW, optim::AdamWOptions;

namespace {

// Printed by tests/reference/optimizers.py with PyTorch 1.13.
const std::vector<Reference<AdamOptions>> references = {
    {{},
     {{1.99900000001, 0.499000000001, -0.99900000001},
      {1.99800002622384, 0.49800001045036, -0.998000006545047},
      {1.99700009608015, 0.49700003829319, -0.997000023941104},
      {1.98002397202525, 0.480009522543291, -0.980005941496891}}},
    {{.lr = 0.1},
     {{1.900000001, 0.4000000001, -0.900000001},
      {1.80041222971234, 0.300127188179086, -0.800073996839901},
      {1.70158627450442, 0.200473933557898, -0.700273846996275},
      {0.728845905912553, -1.34372163418602, 0.919629178485156}}},
    {{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95},
     {{1.900000001, 0.4000000001, -0.900000001},
      {1.80058832779257, 0.300195310179927, -0.800116228955741},
      {1.70225229562046, 0.2007253403299, -0.70042880073672},
      {0.890404429963732, -1.2926479532561, 0.892004585228863}}},
    {{.lr = 0.1, .eps = 0.1},
     {{1.90909090909091, 0.400990099009901, -0.909090909090909},
      {1.81889110238066, 0.30212423066343, -0.81833662224388},
      {1.72968756782782, 0.203493188357811, -0.727780504407107},
      {0.770478951942711, -1.324224223503, 0.735734396019398}}},
    {{.lr = 0.1, .weight_decay = 0.2},
     {{1.90000000071429, 0.40000000009901, -0.900000000833333},
      {1.80033329589424, 0.300133205923574, -0.800117850120337},
      {1.70127200689875, 0.200496732102169, -0.700438616827866},
      {0.564584611892478, -1.33413088587822, 0.858205120594708}}},
    {{.lr = 0.5, .beta1 = 0.5, .beta2 = 0.6, .amsgrad = true},
     {{1.500000005, 5.00000041370185e-10, -0.500000005},
      {1.07836298686936, -0.492233588633864, -0.00389260988900503},
      {0.847017794360451, -0.942362754039985, 0.485320355155135},
      {1.00050643596196, -1.9993225166769, 2.96874797846523}}},
    {{.lr = 0.5, .beta1 = 0.7, .beta2 = 0.9, .eps = 0.001, .weight_decay = 0.1, .amsgrad = true},
     {{1.50041631973356, 4.97462939010873e-05, -0.500454132606721},
      {1.0400418092894, -0.489645258766094, -0.00815564290651488},
      {0.700103271186261, -0.958425176716, 0.470187863342514},
      {0.936579427604289, -1.88989464376065, 2.1065173260659}}},
};

const std::vector<Reference<AdamWOptions>> decoupled_references = {
    {{},
     {{1.99898000001, 0.498995000001, -0.99899000001},
      {1.99796003695073, 0.497990020552713, -0.997980016710384},
      {1.99694012861148, 0.496985068634728, -0.9969700544803},
      {1.97962639245331, 0.479911478647122, -0.979807919271084}}},
    {{.lr = 0.1},
     {{1.898000001, 0.3995000001, -0.899000001},
      {1.79652586291344, 0.299228443646427, -0.798175828077932},
      {1.69593762866918, 0.199277855058128, -0.697579662766773},
      {0.724667028950848, -1.33578520194255, 0.920560428692155}}},
    {{.lr = 0.1, .beta1 = 0.8, .beta2 = 0.95, .weight_decay = 0},
     {{1.900000001, 0.4000000001, -0.900000001},
      {1.80058832779257, 0.300195310179927, -0.800116228955741},
      {1.70225229562046, 0.2007253403299, -0.70042880073672},
      {0.890404429963732, -1.2926479532561, 0.892004585228863}}},
    {{.lr = 0.1, .eps = 0.1},
     {{1.90709090909091, 0.400490099009901, -0.908090909090909},
      {1.81500246548204, 0.301224585787422, -0.816430313304961},
      {1.72403034795368, 0.202294380737046, -0.725061740296814},
      {0.762344230834494, -1.31645132859124, 0.738283056413741}}},
    {{.lr = 0.1, .weight_decay = 0.5},
     {{1.800000001, 0.3750000001, -0.850000001},
      {1.61118742161906, 0.256416485807507, -0.707617850406857},
      {1.43417135059753, 0.144038398322502, -0.572548209644812},
      {0.660244467308047, -0.995150036580501, 0.852638929759075}}},
    {{.lr = 0.5, .beta1 = 0.5, .beta2 = 0.6, .weight_decay = 0.1, .amsgrad = true},
     {{1.400000005, -0.0249999995, -0.450000005},
      {0.950526688221609, -0.515359194719411, 0.068053732821873},
      {0.742789679764835, -0.937482387107068, 0.552626033379561},
      {0.940524796442805, -1.70093817217829, 2.32005849757154}}},
};

const AdamOptions every_option{.lr = 0.1, .weight_decay = 0.01, .amsgrad = true, .l1 = 0.01};
const AdamWOptions all_decoupled{.lr = 0.1, .weight_decay = 0.1, .amsgrad = true, .l1 = 0.01};

}  // namespace

TEST_CASE("adam: two steps by hand") {
    Variable<> w = leaf({8});
    Adam<> adam(Leaves<float>{w}, {.lr = 1, .beta1 = 0.5, .beta2 = 0.75, .eps = 1});
    w.set_grad({4});
    adam.step();  // m = 2, v = 4, corrected 4 and 16: 4 / (4 + 1)
    check_numbers(w.value(), {7.2f}, 1e-7f);
    w.set_grad({0});
    adam.step();  // m = 1, v = 3, corrected by 3/4 and 7/16
    const float second = (1 / 0.75f) / (std::sqrt(3 * 16.0f / 7) + 1);
    check_numbers(w.value(), {7.2f - second}, 1e-6f);
    const auto state = adam.state();
    REQUIRE(state[0].kinds.size() == 2);
    CHECK(state[0].steps == 2);
    CHECK(state[0].kinds[0].name == "exp_avg");
    CHECK(state[0].kinds[0].value == Tensor<>{1});
    CHECK(state[0].kinds[1].name == "exp_avg_sq");
    CHECK(state[0].kinds[1].value == Tensor<>{3});
}

TEST_CASE("adam: without bias correction, by hand") {
    Variable<> w = leaf({8});
    Adam<> adam(Leaves<float>{w}, {.lr = 1, .beta1 = 0.5, .beta2 = 0.75, .eps = 2, .bias_correction = false});
    w.set_grad({4});
    adam.step();  // m = 2, v = 4: 2 / (2 + 2)
    CHECK(w.value() == Tensor<>{7.5f});
}

TEST_CASE("adam: amsgrad keeps the greatest average of squares") {
    Variable<> w = leaf({8});
    Adam<> adam(Leaves<float>{w}, {.beta2 = 0.75, .amsgrad = true});
    w.set_grad({4});
    adam.step();
    w.set_grad({0});
    adam.step();
    const auto kinds = adam.state()[0].kinds;
    REQUIRE(kinds.size() == 3);
    CHECK(kinds[1].value == Tensor<>{3});
    CHECK(kinds[2].name == "max_exp_avg_sq");
    CHECK(kinds[2].value == Tensor<>{4});
}

TEST_CASE("adamw: the decay is no part of the gradient") {
    Variable<> w = leaf({8});
    AdamW<> adamw(Leaves<float>{w}, {.lr = 0.5, .weight_decay = 0.5});
    w.set_grad({0});
    adamw.step();
    CHECK(w.value() == Tensor<>{6});  // 8 (1 − 0.25)
    CHECK(adamw.state()[0].kinds[0].value == Tensor<>{0});
}

TEST_CASE("adam: PyTorch gives the same over 20 steps") {
    check_references<Adam>(references);
    check_references<AdamW>(decoupled_references);
}

TEST_CASE("adam: what has no gradient or is frozen stays, with its state and bias correction of its own") {
    check_absent<Adam<>>(every_option);
    check_absent<AdamW<>>(all_decoupled);
}

TEST_CASE("adam: a NaN in a gradient reaches its own weight and no other") {
    check_nan<Adam<>>(AdamOptions{});
    check_nan<Adam<>>(AdamOptions{.amsgrad = true});
}

TEST_CASE("adam: the same bits for any number of threads") {
    check_threads<Adam<>>(AdamOptions{});
    check_threads<Adam<>>(every_option);
    check_threads<AdamW<>>(all_decoupled);
}

TEST_CASE("adam: state is saved and restored with the same bits") {
    check_state<Adam<>>(AdamOptions{});
    check_state<Adam<>>(every_option);
    check_state<AdamW<>>(all_decoupled);
}

TEST_CASE("adam: momentum is beta1") {
    Adam<> adam(Leaves<float>{leaf({1})});
    CHECK(adam.momentum() == 0.9);
    adam.set_momentum(0.5);
    CHECK(adam.momentum() == 0.5);
    CHECK(adam.groups()[0].options.beta1 == 0.5);
    CHECK_THROWS_MATCHES(adam.set_momentum(1), ValueError,
                         Message("adam: beta1 must be at least 0 and below 1: got 1"));
}

TEMPLATE_TEST_CASE("adam: refusals", "", AdamOptions, AdamWOptions) {
    constexpr bool coupled = std::is_same_v<TestType, AdamOptions>;
    using Optimizer = std::conditional_t<coupled, Adam<>, AdamW<>>;
    const char* const name = coupled ? "adam" : "adamw";
    const auto make = [](TestType options) { Optimizer optimizer(Leaves<float>{leaf({1})}, options); };
    check_refuses(name, "lr", [&](double x) { make({.lr = x}); });
    check_refuses(
        name, "beta1", [&](double x) { make({.beta1 = x}); }, true);
    check_refuses(
        name, "beta2", [&](double x) { make({.beta2 = x}); }, true);
    check_refuses(name, "eps", [&](double x) { make({.eps = x}); });
    check_refuses(name, "weight_decay", [&](double x) { make({.weight_decay = x}); });
    check_refuses(name, "l1", [&](double x) { make({.l1 = x}); });
    check_refuses(name, "lr_scale", [&](double x) { make({.lr_scale = x}); });
}
