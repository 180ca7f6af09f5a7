// SPDX-License-Identifier: MIT
#include "gradus/loss/cross_entropy.hpp"

#include <vector>

#include "gradus/ops/indexing.hpp"
#include "gradus/ops/layout.hpp"
#include "loss/row.hpp"
#include "loss/targets.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

const Tensor<> example{{3, 3, -2}, {1, -1, 2}};
const Tensor<Index> labels{0, 1};

}  // namespace

TEST_CASE("cross_entropy: op table") {
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
        INFO("reduction " << static_cast<int>(reduction));
        check_op("cross_entropy",
                 [reduction](const auto& x) {
                     return cross_entropy(x[0], some_labels({x[0].size(0)}, x[0].size(1)),
                                          {.reduction = reduction});
                 },
                 {.shapes = {{{1, 1}}, {{1, 4}}, {{5, 3}}, {{3, 17}}},
                  .large = {{{4001, 11}}},
                  .low = -3,
                  .high = 3});
    }
    check_op(
        "cross_entropy of no rows",
        [](const auto& x) { return cross_entropy(x[0], Tensor<Index>(), {.reduction = Reduction::none}); },
        {.shapes = {{{0, 3}}, {{0, 0}}}});
}

TEST_CASE("cross_entropy: op table, all options at once") {
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none})
        for (const Index ignored : {-100, 1}) {
            INFO("reduction " << static_cast<int>(reduction) << ", ignored " << ignored);
            check_op("cross_entropy",
                     [=](const auto& x) {
                         using T = number_of<decltype(x[0])>;
                         const Shape shape = x[0].shape();
                         return cross_entropy(x[0], some_labels(shape.without(1), shape[1]),
                                              {.reduction = reduction,
                                               .weight = targets<T>({shape[1]}, 0.5, 2),
                                               .ignore_index = ignored,
                                               .label_smoothing = 0.125});
                     },
                     {.shapes = {{{1, 1}}, {{1, 4}}, {{5, 3}}, {{3, 4, 1}}, {{2, 3, 5}}, {{2, 3, 2, 2}}},
                      .large = {{{2, 5, 4001}}},
                      .low = -3,
                      .high = 3});
        }
}

TEST_CASE("cross_entropy: op table, per position") {
    check_op(
        "cross_entropy",
        [](const auto& x) { return cross_entropy(x[0], some_labels(x[0].shape().without(1), x[0].size(1))); },
        {.shapes = {{{2, 3, 5}}, {{1, 2, 1, 1}}, {{2, 3, 2, 2}}},
         .large = {{{2, 5, 4001}}, {{3, 2, 70, 90}}}});
    check_op("cross_entropy of no positions",
             [](const auto& x) {
                 return cross_entropy(x[0], Tensor<Index>::uninitialized(x[0].shape().without(1)),
                                      {.reduction = Reduction::sum});
             },
             {.shapes = {{{0, 3, 4}}, {{2, 3, 0}}}});
}

TEST_CASE("cross_entropy: op table, probabilities") {
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none})
        for (const double smoothing : {0.0, 0.125}) {
            INFO("reduction " << static_cast<int>(reduction) << ", smoothing " << smoothing);
            check_op("cross_entropy",
                     [=](const auto& x) {
                         using T = number_of<decltype(x[0])>;
                         return cross_entropy(x[0], targets<T>(x[0].shape(), 0, 1),
                                              {.reduction = reduction,
                                               .weight = targets<T>({x[0].size(1)}, 0.5, 2),
                                               .label_smoothing = smoothing});
                     },
                     {.shapes = {{{1, 1}}, {{5, 3}}, {{3, 17}}, {{2, 3, 5}}, {{2, 3, 2, 2}}},
                      .large = {{{4001, 11}}, {{2, 5, 4001}}},
                      .low = -3,
                      .high = 3});
        }
}

TEST_CASE("cross_entropy: values and gradients by hand") {
    const Variable<> x = leaf(example);
    const Variable<> loss = cross_entropy(x, labels);
    CHECK(loss.shape() == Shape{});
    CHECK(loss.operation() == std::string("cross_entropy"));
    CHECK(loss.item() == Approx(2.0228).margin(5e-5));
    check_numbers(cross_entropy(x, labels, {.reduction = Reduction::sum}).value(), full({}, 4.0455226f),
                  1e-6f);
    check_numbers(cross_entropy(x, labels, {.reduction = Reduction::none}).value(), {0.6965104f, 3.3490122f},
                  1e-6f);

    // (softmax - one_hot) / 2, with softmax {e⁰, e⁰, e⁻⁵} / (2 + e⁻⁵) and {e⁻¹, e⁻³, e⁰} / (1 + e⁻¹ + e⁻³)
    const Tensor<> half_gradient{{-0.2508394f, 0.2491606f, 0.0016788f},
                                 {0.1297482f, -0.4824406f, 0.3526924f}};
    loss.backward();
    check_numbers(x.grad(), half_gradient, 3e-6f);
    check_numbers(
        gradient([](const auto& v) { return cross_entropy(v, labels, {.reduction = Reduction::sum}); },
                 example),
        half_gradient * 2.0f, 3e-6f);
    const Variable<> y = leaf(example);  // one gradient per row
    cross_entropy(y, labels, {.reduction = Reduction::none}).backward({.gradient = Tensor<>{2, 0}});
    check_numbers(y.grad(), {{4 * -0.2508394f, 4 * 0.2491606f, 4 * 0.0016788f}, {0, 0, 0}}, 3e-6f);
}

namespace {

using Row = LossRow<CrossEntropyOptions<>>;

template <class Target>
void check_row(const Row& row, const Tensor<>& at, const Target& wanted) {
    check_loss(row, at,
               [&](const auto& x, const auto& options) { return cross_entropy(x, wanted, options); });
}

const Tensor<> three{{3, 3, -2}, {1, -1, 2}, {0.5f, -0.25f, 1.5f}};
const Tensor<> pixels{{{1, -2}, {0.5f, 3}, {2, 0}}, {{-1, 0.25f}, {4, 1}, {0, -3}}};
const Tensor<> weight{0.5f, 2, 1.25f};

}  // namespace

// From F.cross_entropy(three, [0, 1, 2], ...) of PyTorch 1.13, in double.
TEST_CASE("cross_entropy: every combination of options") {
    for (const Row& row : std::vector<Row>{{"weight",
                                            {.weight = weight},
                                            {0.348255246f, 6.69802443f, 0.541069334f},
                                            2.02329307f,
                                            7.58734901f,
                                            {{-0.0668905108f, 0.0664428226f, 0.000447688217f},
                                             {0.138398112f, -0.514603186f, 0.376205073f},
                                             {0.0795421861f, 0.0375730682f, -0.117115254f}}},
                                           {"ignore_index",
                                            {.ignore_index = 1},
                                            {0.696510492f, 0, 0.432855467f},
                                            0.564682979f,
                                            1.12936596f,
                                            {{-0.250839415f, 0.249160585f, 0.00167883081f},
                                             {0, 0, 0},
                                             {0.119313279f, 0.0563596024f, -0.175672881f}}},
                                           {"weight, ignore_index",
                                            {.weight = weight, .ignore_index = 1},
                                            {0.348255246f, 0, 0.541069334f},
                                            0.508185474f,
                                            0.889324579f,
                                            {{-0.143336809f, 0.142377477f, 0.000959331893f},
                                             {0, 0, 0},
                                             {0.170447542f, 0.0805137176f, -0.250961259f}}},
                                           {"label_smoothing",
                                            {.label_smoothing = 0.1},
                                            {0.863177158f, 3.18234555f, 0.524522134f},
                                            1.52334828f,
                                            4.57004484f,
                                            {{-0.145004055f, 0.154995945f, -0.00999189057f},
                                             {0.075387709f, -0.299404769f, 0.22401706f},
                                             {0.068431075f, 0.0264619571f, -0.0948930321f}}},
                                           {"weight, label_smoothing",
                                            {.weight = weight, .label_smoothing = 0.1},
                                            {0.608826866f, 6.28851518f, 0.674402667f},
                                            2.01913192f,
                                            7.57174472f,
                                            {{-0.0480351985f, 0.0586314682f, -0.0105962697f},
                                             {0.128763739f, -0.479750011f, 0.350986272f},
                                             {0.0750977416f, 0.0197952905f, -0.0948930321f}}},
                                           {"ignore_index, label_smoothing",
                                            {.ignore_index = 1, .label_smoothing = 0.25},
                                            {1.11317716f, 0, 0.662022134f},
                                            0.887599646f,
                                            1.77519929f,
                                            {{-0.167506082f, 0.207493918f, -0.0399878359f},
                                             {0, 0, 0},
                                             {0.0776466125f, 0.0146929357f, -0.0923395481f}}},
                                           {"weight, ignore_index, label_smoothing",
                                            {.weight = weight, .ignore_index = 1, .label_smoothing = 0.25},
                                            {0.999684296f, 0, 0.874402667f},
                                            1.07090684f,
                                            1.87408696f,
                                            {{-0.0423262073f, 0.100530936f, -0.0582047282f},
                                             {0, 0, 0},
                                             {0.146638018f, -0.0147243776f, -0.13191364f}}}})
        check_row(row, three, Tensor<Index>{0, 1, 2});
}

// From F.cross_entropy(pixels, [[2, 1], [0, 2]], ...).
TEST_CASE("cross_entropy: per pixel") {
    for (const Row& row : std::vector<Row>{{"defaults",
                                            {},
                                            {{0.464368784f, 0.0549852354f}, {5.02474489f, 4.39923386f}},
                                            2.48583319f,
                                            9.94333277f,
                                            {{{0.0578059744f, 0.00159436523f},
                                              {0.0350610958f, -0.0133752194f},
                                              {-0.0928670702f, 0.0117808541f}},
                                             {{-0.248356684f, 0.0792198625f},
                                              {0.243889689f, 0.16770845f},
                                              {0.00446699547f, -0.246928313f}}}},
                                           {"weight, ignore_index, label_smoothing",
                                            {.weight = weight, .ignore_index = 0, .label_smoothing = 0.1},
                                            {{0.697127647f, 0.314179911f}, {0, 5.17820899f}},
                                            1.37544812f,
                                            6.18951655f,
                                            {{{0.0605251567f, -0.000975567642f},
                                              {0.0241419583f, -0.0099235235f},
                                              {-0.084667115f, 0.0108990911f}},
                                             {{0, 0.0843183657f}, {0, 0.171527908f}, {0, -0.255846273f}}}}})
        check_row(row, pixels, Tensor<Index>{{2, 1}, {0, 2}});
    const Tensor<> image = pixels.reshape({2, 3, 1, 2});
    const Tensor<Index> map = Tensor<Index>{{2, 1}, {0, 2}}.reshape({2, 1, 2});
    CHECK(cross_entropy(leaf(image), map, {.reduction = Reduction::none}).shape() == Shape{2, 1, 2});
    CHECK(cross_entropy(leaf(image), map).value() ==
          cross_entropy(leaf(pixels), Tensor<Index>{{2, 1}, {0, 2}}).value());
}

// From F.cross_entropy(three, [[0.2, 0.3, 0.5], [1, 0, 0], [0.1, 0.6, 0.2]], ...).
TEST_CASE("cross_entropy: probabilities of all classes") {
    for (const Row& row : std::vector<Row>{{"defaults",
                                            {},
                                            {3.19651049f, 1.34901222f, 1.53956992f},
                                            2.02836421f,
                                            6.08509263f,
                                            {{0.0994403897f, 0.0661070564f, -0.165547446f},
                                             {-0.246834513f, 0.0117063423f, 0.235128171f},
                                             {0.0382546341f, -0.166184239f, 0.127929604f}}},
                                           {"weight",
                                            {.weight = weight},
                                            {4.0478764f, 0.674506108f, 2.7992832f},
                                            2.5072219f,
                                            7.52166571f,
                                            {{0.186758516f, 0.0200918497f, -0.206850366f},
                                             {-0.123417257f, 0.00585317116f, 0.117564085f},
                                             {0.102646612f, -0.343640398f, 0.240993785f}}},
                                           {"label_smoothing",
                                            {.label_smoothing = 0.1},
                                            {3.11317716f, 1.38234555f, 1.52056514f},
                                            2.00536262f,
                                            6.01608785f,
                                            {{0.0949959453f, 0.0649959453f, -0.159991891f},
                                             {-0.224612291f, 0.000595231209f, 0.22401706f},
                                             {0.0312722782f, -0.156919619f, 0.125647341f}}},
                                           {"weight, label_smoothing",
                                            {.weight = weight, .label_smoothing = 0.1},
                                            {3.93848591f, 0.867348691f, 2.70679515f},
                                            2.50420991f,
                                            7.51262974f,
                                            {{0.183290491f, 0.0166238246f, -0.199914316f},
                                             {-0.105818734f, -0.0154910754f, 0.121309809f},
                                             {0.0967691689f, -0.326801947f, 0.230032778f}}}})
        check_row(row, three, Tensor<>{{0.2f, 0.3f, 0.5f}, {1, 0, 0}, {0.1f, 0.6f, 0.2f}});
    const Tensor<> per_pixel{{{0.2f, 0.5f}, {0.3f, 0.5f}, {0.5f, 0}}, {{1, 0.25f}, {0, 0.25f}, {0, 0.5f}}};
    check_numbers(
        cross_entropy(leaf(pixels), per_pixel, {.reduction = Reduction::none, .weight = weight}).value(),
        {{1.61528864f, 1.31873154f}, {2.51237245f, 3.09279233f}}, 1e-6f);
    CHECK(cross_entropy(leaf(pixels), per_pixel, {.weight = weight}).item() == Approx(2.13479624));
}

TEST_CASE("cross_entropy: one-hot probabilities are labels") {
    const Tensor<> hot = one_hot(Tensor<Index>{0, 1, 2}, 3);
    for (const double smoothing : {0.0, 0.1}) {
        const Tensor<Index> y{0, 1, 2};
        check_numbers(cross_entropy(leaf(three), hot, {.label_smoothing = smoothing}).value(),
                      cross_entropy(leaf(three), y, {.label_smoothing = smoothing}).value(), 1e-6f);
    }
    // Weights are the one difference, as in PyTorch: `mean` does not divide by them.
    const float sum = cross_entropy(leaf(three), hot, {.reduction = Reduction::sum, .weight = weight}).item();
    CHECK(sum == Approx(7.58734901));
    CHECK(cross_entropy(leaf(three), hot, {.weight = weight}).item() == Approx(sum / 3));
    CHECK(cross_entropy(leaf(three), {0, 1, 2}, {.weight = weight}).item() == Approx(sum / 3.75f));
}

TEST_CASE("cross_entropy: where all labels are ignored") {
    const auto loss = [](const auto& x) {
        return cross_entropy(x, {1, 1, 1}, {.ignore_index = 1, .label_smoothing = 0.1});
    };
    CHECK(std::isnan(loss(leaf(three)).item()));
    check_numbers(gradient(loss, three), zeros({3, 3}));
    CHECK(cross_entropy(leaf(three), {1, 1, 1}, {.reduction = Reduction::sum, .ignore_index = 1}).item() ==
          0);
    CHECK(cross_entropy(leaf(three), {-100, -100, 2}).item() == Approx(0.432855467));
}

TEST_CASE("cross_entropy: what is ignored may be anything") {
    const Tensor<> bad{{NaN, 1, 2}, {infinity, 0, -infinity}, {0.5f, -0.25f, 1.5f}};
    for (const double smoothing : {0.0, 0.1}) {
        const auto loss = [smoothing](const auto& x) {
            return cross_entropy(x, {-1, -1, 2}, {.ignore_index = -1, .label_smoothing = smoothing});
        };
        CHECK(loss(leaf(bad)).item() == Approx(smoothing > 0 ? 0.524522134 : 0.432855467));
        const Tensor<> slope = gradient(loss, bad);
        check_numbers(slope.rows(0, 2), zeros({2, 3}));
        CHECK(slope(2, 0) != 0);
    }
}

TEST_CASE("cross_entropy: ±100 and ±10000, with every kind of target") {
    const Tensor<> x{{100, -100, 0}, {-1e4f, 1e4f, 0}, {1e4f, -1e4f, -1e4f}};
    const Tensor<Index> y{1, 1, 2};
    const auto each = [&](const auto& target, double smoothing) {
        return cross_entropy(leaf(x), target, {.reduction = Reduction::none, .label_smoothing = smoothing})
            .value();
    };
    check_numbers(each(y, 0), {200, 0, 20000});
    check_numbers(each(y, 0.1), {190, 1000, 19333.333f}, 1e-6f);
    check_numbers(each(one_hot(y, 3), 0), {200, 0, 20000});
    check_numbers(each(one_hot(y, 3), 0.1), {190, 1000, 19333.333f}, 1e-6f);
    const Tensor<> columns = transpose(leaf(x)).value().reshape({1, 3, 3});  // classes are not the last axis
    check_numbers(cross_entropy(leaf(columns), y.reshape({1, 3}), {.reduction = Reduction::none}).value(),
                  {{200, 0, 20000}});
    check_numbers(
        gradient([&](const auto& v) { return cross_entropy(v, y, {.reduction = Reduction::sum}); }, x),
        {{1, -1, 0}, {0, 0, 0}, {1, 0, -1}}, 1e-30f);
}

TEST_CASE("cross_entropy: classes that cannot be") {
    const Tensor<> masked{{0, -infinity, 0}};
    CHECK(cross_entropy(leaf(masked), {0}).item() == Approx(std::log(2.0)));
    CHECK(cross_entropy(leaf(masked), Tensor<>{{0.5f, 0, 0.5f}}).item() == Approx(std::log(2.0)));
    check_numbers(cross_entropy(leaf(masked), {1}).value(), full({}, infinity));
    const Tensor<> column = Tensor<>{-infinity, -infinity, -infinity, 0, NaN, 1}.reshape({1, 3, 2});
    check_numbers(cross_entropy(leaf(column), {{0, 1}}, {.reduction = Reduction::none}).value(),
                  {{NaN, 1.31326169f}}, 1e-6f);
}

TEST_CASE("cross_entropy: masked classes under every option, and their gradients") {
    const Tensor<> x{{0, -infinity, 0}, {infinity, 0, 0}, {-infinity, -infinity, -infinity}};
    const Tensor<Index> right{0, 0, -100};
    const auto sums = [](const auto& target, const CrossEntropyOptions<>& options) {
        return [=](const auto& v) {
            auto with = options;
            with.reduction = Reduction::sum;
            return cross_entropy(v, target, with);
        };
    };
    const Tensor<> slope{{-0.5f, 0, 0.5f}, {0, 0, 0}, {0, 0, 0}};
    CHECK(sums(right, {})(leaf(x)).item() == Approx(std::log(2.0)));
    check_numbers(gradient(sums(right, {}), x) + 0.0f, slope);
    // With a weight of 0 a class has no part in smoothing, and a label none in the loss.
    const CrossEntropyOptions<> smooth{.weight = {1, 0, 1}, .label_smoothing = 0.3};
    const Tensor<Index> first{0}, second{1};
    const Tensor<> row = x.rows(0, 1);
    CHECK(sums(first, smooth)(leaf(row)).item() == Approx(0.9 * std::log(2.0)));
    check_numbers(gradient(sums(first, smooth), row) + 0.0f, {{-0.35f, 0, 0.35f}}, 1e-6f);
    CHECK(sums(second, {.weight = {1, 0, 1}})(leaf(row)).item() == 0);
    check_numbers(gradient(sums(second, {.weight = {1, 0, 1}}), row) + 0.0f, zeros({1, 3}));
    // Smoothing that asks for what cannot be costs infinitely much; the gradient says what to do about it.
    CHECK(sums(first, {.label_smoothing = 0.3})(leaf(row)).item() == infinity);
    check_numbers(gradient(sums(first, {.label_smoothing = 0.3}), row), {{-0.3f, -0.1f, 0.4f}}, 1e-6f);
    // Probabilities: what is 0 costs nothing, also where no class is left.
    const Tensor<> targets{{0.5f, 0, 0.5f}, {1, 0, 0}, {0, 0, 0}};
    CHECK(sums(targets, {})(leaf(x)).item() == Approx(std::log(2.0)));
    check_numbers(gradient(sums(targets, {}), x) + 0.0f, zeros({3, 3}));
    // Classes along another axis.
    const Tensor<> columns = transpose(leaf(x)).value().reshape({1, 3, 3});
    const Tensor<Index> across = right.reshape({1, 3});
    check_numbers(transpose(leaf(gradient(sums(across, {}), columns).reshape({3, 3}))).value() + 0.0f, slope);
}

TEST_CASE("cross_entropy: many classes, long sums") {
    const Index classes = 300'001;
    Tensor<> x = zeros({1, classes});
    for (Index i = 0; i < classes; ++i) x.mutable_data()[i] = -0.1f * static_cast<float>(i % 7);
    double total = 0, logits = 0;
    for (const float v : x) total += std::exp(static_cast<double>(v)), logits += static_cast<double>(v);
    const double right = std::log(total) - 0.5 * logits / static_cast<double>(classes);
    CHECK(cross_entropy(leaf(x), Tensor<Index>{0}, {.label_smoothing = 0.5}).item() ==
          Approx(right).epsilon(1e-6));
    Tensor<Index> every_class = zeros<Index>({classes});
    for (Index i = 0; i < classes; ++i) every_class.mutable_data()[i] = i;
    CHECK(detail::WeightedLabels<float>("nll", "scores", {1, classes, classes},
                                        every_class.reshape({1, classes}), full({classes}, 0.1f), -100)
              .total_weight() ==
          Approx(static_cast<double>(0.1f) * static_cast<double>(classes)).epsilon(1e-6));
}

TEST_CASE("cross_entropy: equal logits cost the logarithm of the number of classes") {
    for (const Index classes : {1, 2, 10, 1000})
        CHECK(cross_entropy(leaf(zeros({3, classes})), some_labels({3}, classes)).item() ==
              Approx(std::log(static_cast<double>(classes))).margin(1e-7));
}

TEST_CASE("cross_entropy: a shift of a row changes nothing") {
    const Tensor<> before = cross_entropy(leaf(example), labels, {.reduction = Reduction::none}).value();
    for (const float shift : {1.0f, -64.0f, 4096.0f, 1048576.0f}) {
        INFO("shift " << shift);
        CHECK(cross_entropy(leaf(example + shift), labels, {.reduction = Reduction::none}).value() == before);
        CHECK(gradient([](const auto& v) { return cross_entropy(v, labels); }, example + shift) ==
              gradient([](const auto& v) { return cross_entropy(v, labels); }, example));
    }
}

TEST_CASE("cross_entropy: large logits") {
    const auto each = [](const Tensor<>& x, const Tensor<Index>& y) {
        return cross_entropy(leaf(x), y, {.reduction = Reduction::none}).value();
    };
    check_numbers(each({{1000, 0}, {1000, 0}, {1e38f, 1e38f}, {-1e38f, 1e38f}}, {0, 1, 0, 0}),
                  {0, 1000, 0.69314718f, 2e38f}, 1e-6f);
    check_numbers(each({{-infinity, 5}, {-infinity, 5}, {infinity, 5}, {NaN, 5}, {1, 1}}, {1, 0, 0, 1, 0}),
                  {0, infinity, 0, NaN, 0.69314718f}, 1e-6f);
    check_numbers(gradient(
                      [](const auto& v) {
                          return cross_entropy(v, {1, 0}, {.reduction = Reduction::sum});
                      },
                      {{1000, 0}, {-infinity, 5}}),
                  {{1, -1}, {-1, 1}});
}

TEST_CASE("cross_entropy: a batch is the mean of its rows") {
    Generator generator(3);
    const Tensor<> x = normal({49, 7}, 0, 3, generator);
    const Tensor<Index> y = some_labels({49}, 7);
    double total = 0;
    for (Index i = 0; i < 49; ++i)
        total += static_cast<double>(cross_entropy(leaf(x.rows(i, i + 1)), y.rows(i, i + 1)).item());
    CHECK(static_cast<double>(cross_entropy(leaf(x), y).item()) == Approx(total / 49).epsilon(1e-6));
}

TEST_CASE("cross_entropy: no rows") {
    const Tensor<Index> none;
    CHECK(std::isnan(cross_entropy(leaf(zeros({0, 3})), none).item()));
    CHECK(cross_entropy(leaf(zeros({0, 3})), none, {.reduction = Reduction::sum}).item() == 0);
    CHECK(gradient([&](const auto& v) { return cross_entropy(v, none); }, zeros({0, 3})).shape() ==
          Shape{0, 3});
}

TEST_CASE("cross_entropy: refusals") {
    const Variable<> x = leaf(zeros({2, 3}));
    const auto shapes = [](const std::string& logits, const std::string& given) {
        return Message("cross_entropy: needs logits [batch, classes, ...] and labels [batch, ...]: got " +
                       logits + " and " + given);
    };
    CHECK_THROWS_MATCHES(cross_entropy(x, {0, 1, 2}), ShapeError, shapes("[2, 3]", "[3]"));
    CHECK_THROWS_MATCHES(cross_entropy(x, {{0}, {1}}), ShapeError,
                         Message("cross_entropy: needs logits [batch, classes, ...] and labels [batch, ...]; "
                                 "squeeze(labels, -1) first: got [2, 3] and [2, 1]"));
    CHECK_THROWS_MATCHES(cross_entropy(leaf(zeros({3})), {0, 1, 2}), ShapeError, shapes("[3]", "[3]"));
    CHECK_THROWS_MATCHES(cross_entropy(leaf(zeros({})), {0}), ShapeError, shapes("[]", "[1]"));
    CHECK_THROWS_MATCHES(cross_entropy(leaf(zeros({2, 3, 1})), {0, 1}), ShapeError,
                         shapes("[2, 3, 1]", "[2]"));
    CHECK_THROWS_MATCHES(cross_entropy(x, {0, 3}), ValueError,
                         Message("cross_entropy: label 3 at position 1 is out of range for 3 classes"));
    CHECK_THROWS_MATCHES(cross_entropy(x, {-1, 0}), ValueError,
                         Message("cross_entropy: label -1 at position 0 is out of range for 3 classes"));
    CHECK_THROWS_MATCHES(cross_entropy(leaf(zeros({1, 0})), {0}), ValueError,
                         Message("cross_entropy: label 0 at position 0 is out of range for 0 classes"));
    CHECK_THROWS_MATCHES(
        cross_entropy(leaf(zeros({1, 3, 2, 2})), Tensor<Index>{0, 1, 2, 7}.reshape({1, 2, 2})), ValueError,
        Message("cross_entropy: label 7 at position [0, 1, 1] is out of range for 3 classes"));
    CHECK_THROWS_MATCHES(cross_entropy(x, {0, -100}, {.ignore_index = 255}), ValueError,
                         Message("cross_entropy: label -100 at position 1 is out of range for 3 classes"));
    CHECK_THROWS_MATCHES(cross_entropy(x, {0, 1}, {.weight = {1, 2}}), ShapeError,
                         Message("cross_entropy: the weight needs one number per class: got [3] and [2]"));
    CHECK_THROWS_MATCHES(cross_entropy(x, zeros({2, 3}), {.weight = {{1, 2, 3}}}), ShapeError,
                         Message("cross_entropy: the weight needs one number per class: got [3] and [1, 3]"));
    const auto smoothing = [](const std::string& given) {
        return Message("cross_entropy: label_smoothing must be at least 0 and less than 1: got " + given);
    };
    CHECK_THROWS_MATCHES(cross_entropy(x, {0, 1}, {.label_smoothing = 1}), ValueError, smoothing("1"));
    CHECK_THROWS_MATCHES(cross_entropy(x, {0, 1}, {.label_smoothing = -0.5}), ValueError, smoothing("-0.5"));
    CHECK_THROWS_MATCHES(cross_entropy(x, zeros({2, 3}), {.label_smoothing = static_cast<double>(NaN)}),
                         ValueError, smoothing("nan"));
    CHECK_THROWS_MATCHES(
        cross_entropy(x, zeros({2, 3}), {.ignore_index = 0}), ValueError,
        Message("cross_entropy: ignore_index goes with labels; leave it out with probabilities"));
    CHECK_THROWS_MATCHES(
        cross_entropy(x, {0, 1}, {.reduction = Reduction::batchmean}), ValueError,
        Message("cross_entropy: batchmean is a reduction of kl_div alone; take mean or sum"));
    const auto probabilities = [](const std::string& given) {
        return Message(
            "cross_entropy: needs logits [batch, classes, ...] and probabilities of the same shape: got " +
            given);
    };
    CHECK_THROWS_MATCHES(cross_entropy(x, zeros({2, 2})), ShapeError, probabilities("[2, 3] and [2, 2]"));
    CHECK_THROWS_MATCHES(cross_entropy(leaf(zeros({3})), zeros({3})), ShapeError,
                         probabilities("[3] and [3]"));
}
