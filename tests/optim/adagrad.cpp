// SPDX-License-Identifier: MIT
#include "gradus/optim/adagrad.hpp"

#include "optim/reference.hpp"

using namespace gradus;
using optim::Adagrad, optim::AdagradOptions;

namespace {

// Printed by tests/reference/optimizers.py with PyTorch 1.13.
const std::vector<Reference<AdagradOptions>> references = {
    {{},
     {{1.990000000001, 0.4900000000001, -0.990000000001},
      {1.9829645540223, 0.482943116835238, -0.98293778761794},
      {1.97723793949143, 0.477188266847693, -0.977175926893099},
      {1.92518694710469, 0.424497332450938, -0.924327707310711}}},
    {{.lr = 0.5},
     {{1.50000000005, 5.00000041370185e-12, -0.50000000005},
      {1.27639320230213, -0.312347523770249, -0.170747696137856},
      {1.15639873606768, -0.545504116090738, 0.0854125081803831},
      {1.00001157695282, -1.80176181533288, 1.91480560117436}}},
    {{.lr = 0.5, .lr_decay = 0.1},
     {{1.50000000005, 5.00000041370185e-12, -0.50000000005},
      {1.29672109300648, -0.283952294336136, -0.200679723766232},
      {1.18983970696681, -0.480793666894952, 0.0142678154762119},
      {1.0030862421808, -1.40414417064428, 1.15882021787112}}},
    {{.lr = 0.5, .initial_accumulator_value = 0.3},
     {{1.56147099038495, 0.0007483167126906, -0.561470990384947},
      {1.34058025766055, -0.311385177860156, -0.253733605774111},
      {1.21115761600234, -0.54445246755338, -0.00867145295458221},
      {1.00007656322074, -1.80120857657844, 1.81406807725026}}},
    {{.lr = 0.5, .eps = 0.1},
     {{1.54545454545455, 0.00495049504950495, -0.545454545454545},
      {1.32535125090146, -0.305446320317316, -0.236891973895293},
      {1.19872004715852, -0.537570701347011, 0.00652665458749199},
      {1.00005621032277, -1.79665903075826, 1.80727765044512}}},
    {{.lr = 0.5, .weight_decay = 0.2},
     {{1.50000000003571, 4.95048446680357e-12, -0.500000000041667},
      {1.25193053086266, -0.310450859486989, -0.184703687511174},
      {1.10321775141551, -0.541023498676786, 0.0524712350261017},
      {0.833536912170508, -1.74100730504385, 1.40011808528748}}},
    {{.lr = 0.4, .lr_decay = 0.05, .weight_decay = 0.1, .initial_accumulator_value = 0.1, .eps = 0.001},
     {{1.61351641461614, 0.100237625658723, -0.615905799730059},
      {1.41188780684232, -0.14416896107517, -0.370426753750391},
      {1.28338314579486, -0.323076899448101, -0.186347926379213},
      {0.923689371427637, -1.3097093538279, 0.921587437106283}}},
};

const AdagradOptions every_option{
    .lr = 0.5, .lr_decay = 0.1, .weight_decay = 0.01, .initial_accumulator_value = 0.5, .l1 = 0.01};

}  // namespace

TEST_CASE("adagrad: two steps by hand") {
    Variable<> w = leaf({8, 8});
    Adagrad<> adagrad(Leaves<float>{w}, {.lr = 2, .lr_decay = 1, .eps = 1});
    w.set_grad({3, 0});
    adagrad.step();
    CHECK(w.value() == Tensor<>{6.5f, 8});  // 2 · 3 / (√9 + 1)
    w.set_grad({4, 3});
    adagrad.step();                                             // the rate is 2 / (1 + 1) now
    check_numbers(w.value(), {6.5f - 4.0f / 6, 7.25f}, 1e-7f);  // √(9 + 16) + 1, √9 + 1
    CHECK(adagrad.state()[0].kinds[0].name == "sum");
    CHECK(adagrad.state()[0].kinds[0].value == Tensor<>{25, 9});
}

TEST_CASE("adagrad: the sum begins with initial_accumulator_value") {
    Variable<> w = leaf({8});
    Adagrad<> adagrad(Leaves<float>{w}, {.lr = 1, .initial_accumulator_value = 16, .eps = 0});
    w.set_grad({3});
    adagrad.step();
    CHECK(adagrad.state()[0].kinds[0].value == Tensor<>{25});
    check_numbers(w.value(), {7.4f}, 1e-7f);
}

TEST_CASE("adagrad: PyTorch gives the same over 20 steps") { check_references<Adagrad>(references); }

TEST_CASE("adagrad: what has no gradient or is frozen stays, with its state") {
    check_absent<Adagrad<>>(every_option);
}

TEST_CASE("adagrad: a NaN in a gradient reaches its own weight and no other") {
    check_nan<Adagrad<>>(AdagradOptions{});
}

TEST_CASE("adagrad: the same bits for any number of threads") { check_threads<Adagrad<>>(every_option); }

TEST_CASE("adagrad: state is saved and restored with the same bits") { check_state<Adagrad<>>(every_option); }

TEST_CASE("adagrad: refusals") {
    const auto make = [](AdagradOptions options) { Adagrad<> adagrad(Leaves<float>{leaf({1})}, options); };
    check_refuses("adagrad", "lr", [&](double x) { make({.lr = x}); });
    check_refuses("adagrad", "lr_decay", [&](double x) { make({.lr_decay = x}); });
    check_refuses("adagrad", "weight_decay", [&](double x) { make({.weight_decay = x}); });
    check_refuses("adagrad", "initial_accumulator_value",
                  [&](double x) { make({.initial_accumulator_value = x}); });
    check_refuses("adagrad", "eps", [&](double x) { make({.eps = x}); });
    check_refuses("adagrad", "l1", [&](double x) { make({.l1 = x}); });
    check_refuses("adagrad", "lr_scale", [&](double x) { make({.lr_scale = x}); });
}
