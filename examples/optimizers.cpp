// SPDX-License-Identifier: MIT
// Writes a picture book of optimizers: one web page whose every number this program computes.

#include <gradus/gradus.hpp>

#include "support/book/averages.hpp"
#include "support/book/noise.hpp"
#include "support/book/race.hpp"
#include "support/book/rates.hpp"
#include "support/book/training.hpp"
#include "support/page.hpp"

void write_book(const BookFlags& flags) {
    const std::string path = book_path(flags);
    auto [train_set, val_set] = gradus::data::fashion_mnist(flags.data);
    const auto standardize = gradus::data::Standardize::per_feature(train_set.inputs);
    train_set = flags.limited(standardize(train_set));
    val_set = flags.limited(standardize(val_set));
    Page page(
        "Optimizers, step by step",
        "Training a network is walking downhill in fog: only the slope under your feet is known, and even "
        "that is measured with noise. Each picture here was computed by the library that it explains.");

    page.section(
        "Moving averages",
        "An exponential moving average follows a noisy series and keeps only one number. Each new "
        "value counts 1 − β, and what was there before counts β. It starts at 0, so its first values are "
        "too small; dividing by the sum of the weights so far makes up for that.",
        "v_t = β v_{t−1} + (1 − β) y_t,   v_0 = 0\ncorrected:  v_t / (1 − β^t)");
    add_averages(page, temperatures(730, flags.seed), {0.5, 0.9, 0.98}, 100);

    page.section(
        "Noisy gradients",
        "The gradient of a few examples is a guess at the gradient of all of them. Small batches guess "
        "badly, but they cost little; a moving average over steps gets much of the accuracy back. Here "
        "it is logistic regression on Fashion-MNIST, all gradients taken at the same weights.",
        "g_B = 1/|B| ∑_{i ∈ B} ∇C_i(w),   cos angle = g_B · g / (|g_B| |g|)");
    add_noise(page, measure_noise(train_set, {1, 16, 256}, 300, 0.9, flags.seed), 0.9);

    page.section(
        "The race",
        "Five optimizers, four landscapes, and no winner everywhere. SGD crosses a narrow valley from "
        "wall to wall; momentum adds up what the steps agree on. RMSProp and Adam divide by the size of "
        "recent gradients, so a flat direction gets as long a step as a steep one.",
        "Momentum:  v = β v + g,   w = w − lr · v   Nesterov:  w = w − lr · (g + β v)\n"
        "RMSProp:  s = β s + (1 − β) g^2,   w = w − lr · g / (√s + ε)\n"
        "Adam:  v = β_1 v + (1 − β_1) g,   s = β_2 s + (1 − β_2) g^2,   "
        "w = w − lr · v / (1 − β_1^t) / (√(s / (1 − β_2^t)) + ε)");
    add_race(page, race_surfaces(), racers(), 200);

    page.section(
        "Why Adam corrects its averages",
        "Both averages of Adam start at 0, the one of squares with the larger β. Without correction the "
        "early steps divide by a root that is far too small, and are several times too long: just when "
        "the weights are least known.",
        "first step, not corrected:   (1 − β_1) / √(1 − β_2) = 0.1 / √0.001 ≈ 3.2 learning rates");
    add_bias_correction(page, race_surfaces()[0], 0.12, flags.seed);

    page.section(
        "Learning-rate decay",
        "Long steps cover ground, short ones settle. A schedule leads from one to the other. Each is a "
        "plain function of the step, so a training that stopped can go on from anywhere.",
        "inverse time:  lr = lr_0 / (1 + d · epoch)   inverse root:  lr = k / √t · lr_0\n"
        "exponential:  lr = lr_0 γ^t   polynomial:  lr = lr_0 (1 − t/T)^p   "
        "cosine:  lr = lr_0 (1 + cos(π t/T)) / 2");
    add_policies(page);

    page.section(
        "One cycle",
        "One long rise and fall of the learning rate. The high rates in the middle carry the weights past "
        "saddle points and out of narrow basins; momentum steps back meanwhile, and returns for the end.",
        "lr: peak/25 → peak → peak/250 000   momentum: 0.95 → 0.85 → 0.95");
    add_one_cycle(page, 0.5);

    page.section(
        "Finding a learning rate",
        "Let the rate grow from mini-batch to mini-batch until the loss explodes. A good rate lies where "
        "the loss falls fast, well before its lowest point. Here on Fashion-MNIST, with the network of "
        "the next section.",
        "lr_i = start · (end/start)^{i/(n − 1)}");
    add_lr_finder(page, train_set, flags);

    page.section(
        "On real data",
        "Fashion-MNIST: a network of five layers (784-350-250-150-50-10) learns to tell ten kinds of "
        "clothes apart. All three optimizers start from the same weights and see the same batches.",
        "C = −log softmax(z)_{label},   averaged over the batch");
    add_training(page, {train_set, val_set}, flags);

    page.write(path, "Written by examples/optimizers.cpp with seed " + std::to_string(flags.seed) +
                         ". The same seed gives the same page.");
}

int main(int argc, char** argv) {
    const BookFlags defaults{{.epochs = 5, .batch = 256, .lr = 0.2, .seed = 512, .out = "."}};
    return run_with_flags(argc, argv, "Writes optimizers.html, a picture book of optimizers.", defaults,
                          write_book);
}
