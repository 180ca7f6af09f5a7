// SPDX-License-Identifier: MIT
// Finds a garment on a larger canvas: its box, its class and a coarse mask. Three losses, one sum.
// The loop and its checkpoints are written by hand: what training::fit does for the other examples.

#include <chrono>
#include <cstdio>
#include <optional>

#include <gradus/gradus.hpp>
#include <gradus/training/checkpoint.hpp>

#include "support/choices.hpp"
#include "support/run.hpp"
#include "support/scenes.hpp"

namespace data = gradus::data;
namespace nn = gradus::nn;
namespace training = gradus::training;
using gradus::Index, gradus::Tensor, gradus::Variable;

int train(const Flags& flags) {
    gradus::manual_seed(flags.seed);
    const auto [train_set, test_set] = data::fashion_mnist(flags.data);
    const data::Dataset<> garments = flags.limited(train_set);
    const Scenes seen = paste(garments), test = paste(test_set);
    std::printf("baselines: box IoU %.3f (the mean box), accuracy %.3f (one class). Losses and scores:\n",
                box_iou(mean(Variable<>(seen.boxes), 0, {.keepdim = true}), test.boxes),
                accuracy(gradus::one_hot(gradus::zeros<Index>(test.labels.shape()), 10), test.labels));
    nn::Sequential net(nn::Linear<>(Scenes::pixels, 256), nn::ReLU(), nn::Linear<>(256, 128), nn::ReLU(),
                       nn::Linear<>(128, 4 + 10 + Scenes::all_cells));
    const auto find = [&](const Tensor<>& images) {
        return split(net(images), {4, 10, Scenes::all_cells}, 1);
    };
    auto optimizer = make_optimizer(flags, nn::parameters(net));
    const auto schedule = make_schedule(flags, garments.size());
    const data::Loader batches(garments, flags.shuffled());

    std::optional<training::RunFolder> folder;
    open_folder(folder, flags);
    std::optional<training::SignalGuard> signals;
    if (folder) signals.emplace();
    training::History history;  // of the sum of the losses, and of the box IoU as the score
    training::Means means;      // of this epoch
    training::Position at;      // the next batch; places come from the default generator, which is saved, too
    if (folder && folder->resumes())
        at = training::load_checkpoint(folder->last(), net, optimizer, means, history.epochs);
    for (Index epoch = 0; epoch < at.epoch; ++epoch) print_line(flags, history.epochs, epoch);
    const auto save = [&] {
        training::save_checkpoint(folder->last(), at, net, optimizer, means, history.epochs);
    };

    while (at.epoch < flags.epochs) {
        const auto epoch = batches.epoch(at.epoch);
        const auto start = std::chrono::steady_clock::now();
        while (at.batch < epoch.size()) {
            const auto [images, labels] = epoch[at.batch++];
            const Scenes scenes = paste({images, labels});
            const auto found = find(scenes.images), parts = losses(found, scenes);
            const Variable<> loss = parts[0] + parts[1] + parts[2];
            gradus::optim::schedule::apply(optimizer, schedule, at.step++);
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
            means.add(static_cast<double>(loss.item()), box_iou(found[0], scenes.boxes), labels.numel());
            if (folder && flags.checkpoint_every > 0 && at.step % flags.checkpoint_every == 0) save();
            if (!signals || !signals->stopped()) continue;
            save();
            history.signal = signals->signal();
            return finish(flags, history);
        }
        const gradus::NoGrad guard;
        const auto found = find(test.images), parts = losses(found, test);
        const Tensor<double> value{parts[0].item(), parts[1].item(), parts[2].item()};
        const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
        history.epochs.push_back({means.loss,
                                  value(0) + value(1) + value(2),
                                  means.score,
                                  box_iou(found[0], test.boxes),
                                  time.count(),
                                  optimizer.lr(),
                                  {{"val_box", value(0)},
                                   {"val_class", value(1)},
                                   {"val_mask", value(2)},
                                   {"val_accuracy", accuracy(found[1], test.labels)},
                                   {"val_mask_iou", mask_iou(found[2].value(), test.masks)}}});
        print_line(flags, history.epochs, at.epoch);
        at = {at.epoch + 1, 0, at.step}, means = {};
        if (folder) save(), write_history_csv(folder->history(), history.epochs);
    }
    const gradus::NoGrad guard;
    if (folder) write_report(flags, history, scenes_report(net, seen, test, find(test.images)[1].value()));
    return finish(flags, history);
}

int main(int argc, char** argv) {
    const Flags defaults{.epochs = 8, .batch = 250, .lr = 1e-3, .optimizer = "adam", .schedule = "cosine"};
    return run_with_flags(argc, argv, "Finds garments on a canvas.", defaults, train);
}
