// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <gradus/gradus.hpp>
#include <gradus/training/fit.hpp>
#include <gradus/training/lr_finder.hpp>

#include "../flags.hpp"
#include "../page.hpp"

using svg::Point;
using svg::Points;

/// The flags that matter here: optimizers and schedules are the subject, not a choice.
struct BookFlags : Flags {
    void declare(CommandLine& line) {
        line.text("--data", data, "folder of the four IDX files (default: found by itself)");
        line.number("--epochs", epochs, 1, 100000, "passes over the data for each optimizer");
        line.number("--batch", batch, 1, 60000, "examples per step");
        line.number("--lr", lr, 1e-9, 1e3, "learning rate of SGD and momentum");
        line.number("--seed", seed, std::uint64_t{0}, std::uint64_t{1} << 32,
                    "of noise, weights and shuffling");
        line.number("--threads", threads, 0, 1024, "at most (0: all)");
        line.number("--limit", limit, 0, 60000, "use only so many examples to train and to test (0: all)");
        line.text("--out", out, "folder of optimizers.html");
    }
};

/// Where the book will be written. Throws IoError if that cannot be.
inline std::string book_path(const BookFlags& flags) {
    const std::string path = flags.out + "/optimizers.html";
    std::filesystem::create_directories(flags.out);
    gradus::check_writable(path, "page");
    return path;
}

struct Mlp {
    gradus::nn::Linear<> fc1{784, 350}, fc2{350, 250}, fc3{250, 150}, fc4{150, 50}, fc5{50, 10};

    gradus::Variable<> operator()(gradus::Variable<> x) const {  // x [batch, 1, 28, 28]
        x = relu(fc1(flatten(x)));
        x = relu(fc2(x));
        x = relu(fc3(x));
        x = relu(fc4(x));
        return fc5(x);  // [batch, 10] logits
    }
};

/// The same weights for the same seed.
inline Mlp new_mlp(std::uint64_t seed) {
    gradus::Generator generator(seed);
    Mlp net;
    for (auto& [name, parameter] : gradus::nn::named_parameters(net)) {
        if (parameter.rank() == 2)
            parameter.set_value(gradus::normal(
                parameter.shape(), 0, std::sqrt(2.0f / static_cast<float>(parameter.size(1))), generator));
        else
            gradus::nn::init::zeros(parameter);
    }
    return net;
}

inline gradus::optim::SGD<> momentum_average(std::vector<gradus::Variable<>> parameters, double lr) {
    return gradus::optim::SGD<>(std::move(parameters), {.lr = lr, .momentum = 0.9, .dampening = 0.9});
}

/// The range test of one optimizer, with its two proposals.
template <class Make>
std::string lr_curve(const std::string& name, const std::string& color, const gradus::data::Dataset<>& train,
                     const Flags& flags, const Make& make, double start, double end) {
    Mlp net = new_mlp(flags.seed);
    auto optimizer = make(gradus::nn::parameters(net), start);
    const gradus::LrCurve curve =
        gradus::find_lr(net, optimizer, gradus::data::Loader(train, flags.shuffled()).epoch(0),
                        [&](const auto& batch) { return cross_entropy(net(batch.inputs), batch.labels); },
                        {.start = start, .end = end, .steps = 200, .smoothing = 0.9});
    Points raw, smooth;
    for (std::size_t i = 0; i < curve.lr.size(); ++i) {
        raw.push_back({curve.lr[i], curve.loss[i]});
        smooth.push_back({curve.lr[i], curve.smoothed[i]});
    }
    svg::Plot plot({.width = 420,
                    .height = 300,
                    .x = {start, end, "learning rate", true},
                    .y = {0, 4, name + ": loss of the mini-batch (nats)"},
                    .description = "Loss of " + name + " while the learning rate grows"});
    plot.line(raw, {"noise", 1.4});
    plot.line(smooth, {color, 2.6});
    double height = 3.75;
    for (const auto& [what, lr] :
         {std::pair("steepest", curve.steepest), std::pair("valley", curve.valley)}) {
        if (std::isnan(lr)) continue;
        plot.vertical(lr, {"ink", 1, "3 3"});
        plot.note({lr, height}, std::string(what) + " " + svg::readable(lr), {-6, 0}, "end");
        height -= 0.35;
    }
    return plot.str();
}

inline void add_lr_finder(Page& page, const gradus::data::Dataset<>& train, const Flags& flags) {
    const auto sgd = [](auto parameters, double lr) {
        return gradus::optim::SGD<>(std::move(parameters), {.lr = lr});
    };
    const auto adam = [](auto parameters, double lr) {
        return gradus::optim::Adam<>(std::move(parameters), {.lr = lr});
    };
    page.figure(legend({{"raw loss", "noise"}, {"smoothed, SGD", "gray"}, {"smoothed, Adam", "orange"}}) +
                    grid({lr_curve("SGD", "gray", train, flags, sgd, 1e-4, 10),
                          lr_curve("Adam", "orange", train, flags, adam, 1e-6, 1)}),
                "Up to 200 mini-batches of " + std::to_string(flags.batch) +
                    " images, smoothed by a corrected average with β = 0.9. The dashed lines are the two "
                    "proposals: where the smoothed loss falls fastest, and half way down its longest fall. "
                    "The test stops when the loss is four times its lowest value.");
}

/// One optimizer's training.
struct History {
    std::string name, color;
    int shape;
    double lr;
    std::vector<gradus::EpochRecord> epochs;
};

template <class Make>
History trained(const std::string& name, const std::string& color, int shape, double lr,
                const gradus::data::Split<>& data, const Flags& flags, const Make& make) {
    namespace training = gradus::training;
    Mlp net = new_mlp(flags.seed);
    auto optimizer = make(gradus::nn::parameters(net), lr);
    const auto loss = [](const auto& logits, const auto& labels) { return cross_entropy(logits, labels); };
    const auto print = [&](auto& run) {
        std::printf("%-8s epoch %d / %d: loss %.3f, validation score %.4f\n", name.c_str(),
                    static_cast<int>(run.position().epoch), flags.epochs, run.record().train_loss,
                    run.record().val_score);
        flush_output();
    };
    const training::History history = training::fit(
        net, optimizer, loss, gradus::data::Loader(data.train, flags.shuffled()),
        gradus::data::Loader(data.test, {.batch_size = 500}),
        {.epochs = flags.epochs, .progress = training::Progress::none}, training::OnEpochEnd(print));
    return {name, color, shape, lr, history.epochs};
}

/// One number of each epoch.
using Of = double gradus::EpochRecord::*;

inline Points per_epoch(const History& history, Of what) {
    Points result;
    for (const gradus::EpochRecord& epoch : history.epochs)
        result.push_back({static_cast<double>(result.size() + 1), epoch.*what});
    return result;
}

inline std::string epoch_curves(const std::vector<History>& histories, Of train, Of val,
                                const std::string& label) {
    double low = 1e300, high = -1e300;
    for (const History& h : histories)
        for (const gradus::EpochRecord& epoch : h.epochs)
            for (const Of what : {train, val})
                low = std::min(low, epoch.*what), high = std::max(high, epoch.*what);
    const double margin = std::max(0.06 * (high - low), 1e-3);
    std::vector<double> epochs;
    const auto last = static_cast<double>(histories.front().epochs.size());
    const double stride = svg::nice_step(std::max(1.0, last - 1), 10);
    for (double epoch = 1; epoch <= last; epoch += std::max(1.0, stride)) epochs.push_back(epoch);
    svg::Plot plot({.width = 420,
                    .height = 320,
                    .x = {0.85, last + 0.15, "epoch", false, epochs},
                    .y = {low - margin, high + margin, label},
                    .description = label + " per epoch"});
    for (const History& h : histories) {
        plot.line(per_epoch(h, train), {h.color, 1.6, "5 4"});
        plot.line(per_epoch(h, val), {h.color, 2.4});
        plot.dots(per_epoch(h, val), {h.color, 4.5}, h.shape);
    }
    return plot.str();
}

/// Curves and a table of the best scores.
inline void add_training(Page& page, const gradus::data::Split<>& data, const Flags& flags) {
    namespace optim = gradus::optim;
    const auto sgd = [](auto parameters, double lr) {
        return optim::SGD<>(std::move(parameters), {.lr = lr});
    };
    const auto adam = [](auto parameters, double lr) {
        return optim::Adam<>(std::move(parameters), {.lr = lr});
    };
    const std::vector<History> histories = {
        trained("SGD", "gray", 0, flags.lr, data, flags, sgd),
        trained("Momentum", "blue", 1, flags.lr, data, flags, momentum_average),
        trained("Adam", "orange", 4, optimizer_choice("adam").usual_lr, data, flags, adam)};
    std::vector<Series> series;
    std::vector<std::string> colors;
    std::vector<std::vector<std::string>> rows;
    for (const History& h : histories) {
        const auto best =
            std::max_element(h.epochs.begin(), h.epochs.end(),
                             [](const auto& a, const auto& b) { return a.val_score < b.val_score; });
        series.push_back({h.name, h.color, h.shape});
        colors.push_back(h.color);
        rows.push_back({h.name, svg::readable(h.lr, 1), svg::number(best->val_score, 4),
                        std::to_string(best - h.epochs.begin() + 1), svg::number(best->val_loss, 3),
                        svg::number(h.epochs.back().train_loss, 3)});
    }
    series.push_back({"training", "soft", -1, "5 4"});
    series.push_back({"validation", "soft"});
    page.figure(
        legend(series) +
            grid({epoch_curves(histories, &gradus::EpochRecord::train_loss, &gradus::EpochRecord::val_loss,
                               "loss (nats)"),
                  epoch_curves(histories, &gradus::EpochRecord::train_score, &gradus::EpochRecord::val_score,
                               "score (share of right answers)")}),
        "Loss and score per epoch: " + std::to_string(data.train.size()) + " images to learn from, " +
            std::to_string(data.test.size()) + " to judge by, batches of " + std::to_string(flags.batch) +
            ". Training means are taken while the weights change, validation after the epoch. Momentum "
            "averages the gradients, v = 0.9 v + 0.1 g, so that it can have the learning rate of SGD.");
    page.figure(
        table({"", "learning rate", "best score", "epoch", "loss then", "last training loss"}, rows, colors),
        "Best validation score of each optimizer.");
}
