// SPDX-License-Identifier: MIT
#include "gradus/training/keep_checkpoints.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "data/files.hpp"
#include "gradus/training/hooks.hpp"
#include "gradus/training/run_folder.hpp"
#include "gradus/training/stopping.hpp"
#include "support/test.hpp"
#include "training/small_run.hpp"

using namespace gradus;
using training::KeepCheckpoints;
using training::KeepCheckpointsOptions;
using training::OnEpochEnd;
using training::OnStepEnd;

namespace {

/// The names in a folder, in order.
std::vector<std::string> files_in(const TemporaryFolder& folder) {
    std::vector<std::string> names;
    DIR* const opened = ::opendir(folder.path().c_str());
    while (const dirent* const entry = ::readdir(opened))
        if (entry->d_name[0] != '.') names.push_back(entry->d_name);
    ::closedir(opened);
    std::sort(names.begin(), names.end());
    return names;
}

using Names = std::vector<std::string>;

struct Result {
    SmallNet net;
    training::History history;
};

/// Epochs of five steps.
template <class... Callbacks>
Result run(const KeepCheckpointsOptions& options, const std::string& resume, Index epochs,
           Callbacks&&... callbacks) {
    manual_seed(resume.empty() ? 5 : 50);
    Result result;
    optim::Adam adam(nn::parameters(result.net), {.lr = 0.01});
    const data::Loader batches(small_data(23), {.batch_size = 5, .shuffle = true});
    result.history = training::fit(result.net, adam, small_loss, batches, batches,
                                   {.epochs = epochs, .progress = training::Progress::none, .resume = resume},
                                   callbacks..., KeepCheckpoints(options));
    return result;
}

training::Position position_in(const std::string& path) {
    SmallNet net;
    return training::load_parts(path, net);
}

}  // namespace

TEST_CASE("keep checkpoints: last and the newest k, in the background and not") {
    for (const bool background : {true, false}) {
        const TemporaryFolder folder;
        run({.folder = folder.path(), .every_steps = 2, .keep = 3, .background = background}, "", 2);
        // after steps 2 4 (5) 6 8 (10)
        CHECK(files_in(folder) ==
              Names{"last.safetensors", "step-10.safetensors", "step-6.safetensors", "step-8.safetensors"});
        CHECK(position_in(folder / "last.safetensors") == training::Position{2, 0, 10});
        CHECK(position_in(folder / "step-6.safetensors") == training::Position{1, 1, 6});
    }
}

TEST_CASE("keep checkpoints: only after so many epochs, and at the end") {
    const TemporaryFolder folder;
    std::vector<training::Position> seen;
    const auto look = OnStepEnd([&](auto& at) {
        if (at.position().batch == 1 && ::access((folder / "last.safetensors").c_str(), F_OK) == 0)
            seen.push_back(position_in(folder / "last.safetensors"));
    });
    run({.folder = folder.path(), .every_epochs = 2, .background = false}, "", 5, look);
    CHECK(seen == std::vector<training::Position>{{2, 0, 10}, {2, 0, 10}, {4, 0, 20}});
    CHECK(position_in(folder / "last.safetensors") == training::Position{5, 0, 25});

    const TemporaryFolder other;  // only when it was ended before
    run({.folder = other.path(), .every_epochs = 0}, "", 5, OnStepEnd([](auto& at) {
            if (at.position().step == 7) at.interrupt("now");
        }));
    CHECK(position_in(other / "last.safetensors") == training::Position{1, 2, 7});
}

TEST_CASE("keep checkpoints: the best epoch") {
    const TemporaryFolder folder;
    const std::vector<double> losses{3, 1, 2, 0.5, 0.5};
    std::vector<SmallNet> models;
    const auto set_losses = OnEpochEnd([&](auto& at) {
        at.record().val_loss = losses[at.history().size() - 1];
        models.push_back(at.model);
    });
    run({.folder = folder.path(), .best = "val_loss"}, "", 5, set_losses);
    SmallNet best;
    CHECK(training::load_parts(folder / "best.safetensors", best) == training::Position{4, 0, 20});
    CHECK(same_models(best, models[3]));

    // A resumed run remembers what was best: the first two epochs, then the others.
    const TemporaryFolder again;
    models.clear();
    run({.folder = again.path(), .best = "val_loss"}, "", 2, set_losses);
    run({.folder = again.path(), .best = "val_loss"}, again / "last.safetensors", 3, set_losses);
    CHECK(training::load_parts(again / "best.safetensors", best) == training::Position{2, 0, 10});
    CHECK(same_models(best, models[1]));

    const TemporaryFolder highest;
    models.clear();
    run({.folder = highest.path(), .best = "val_loss", .mode = optim::Mode::max}, "", 3, set_losses);
    CHECK(training::load_parts(highest / "best.safetensors", best) == training::Position{1, 0, 5});
    run({.folder = highest.path(), .best = "val_score"}, "", 3,  // more of a score is better
        OnEpochEnd([&](auto& at) { at.record().val_score = static_cast<double>(at.history().size()); }));
    CHECK(training::load_parts(highest / "best.safetensors", best) == training::Position{3, 0, 15});
}

TEST_CASE("keep checkpoints: a run that goes on from one of them is the run that was never stopped") {
    const TemporaryFolder folder;
    Result whole = run({.folder = folder.path()}, "", 3);
    for (Index step = 1; step < 15; step += 3) {
        run({.folder = folder.path(), .every_steps = 1, .keep = 2}, "", 3, OnStepEnd([&](auto& at) {
                if (at.position().step == step) at.interrupt("now");
            }));
        Result resumed =
            run({.folder = folder.path(), .every_steps = 1, .keep = 2}, folder / "last.safetensors", 3);
        CHECK(same_models(whole.net, resumed.net));
        CHECK(files_in(folder) == Names{"last.safetensors", "step-14.safetensors", "step-15.safetensors"});
    }
}

TEST_CASE("keep checkpoints: the last one is of the last weights, also where the best come back at the end") {
    const TemporaryFolder folder;
    SmallNet last;
    const std::vector<double> losses{1, 2, 3, 4};
    const auto result = run({.folder = folder.path()}, "", 4, OnEpochEnd([&](auto& at) {
                                at.record().val_loss = losses[at.history().size() - 1];
                                last = at.model;
                            }),
                            training::StopEarly({.patience = 2, .restore_best = true}));
    CHECK(result.history.epochs.size() == 3);
    SmallNet saved;
    CHECK(training::load_parts(folder / "last.safetensors", saved) == training::Position{3, 0, 15});
    CHECK(same_models(saved, last));
    CHECK_FALSE(same_bits(result.net.fc1.weight.value(), last.fc1.weight.value()));
}

TEST_CASE("keep checkpoints: a folder that is not there is made, or refused before the training") {
    const TemporaryFolder folder;
    run({.folder = folder / "runs/mnist/"}, "", 1);
    CHECK(position_in(folder / "runs/mnist/last.safetensors") == training::Position{1, 0, 5});
    Index steps = 0;
    const auto count = OnStepEnd([&](auto&) { ++steps; });
    const std::string file = folder / "runs/mnist/last.safetensors";
    CHECK_THROWS_WITH(run({.folder = file}, "", 1, count),
                      "keep_checkpoints: " + file + ": is a file; name a folder");
    CHECK_THROWS_WITH(run({.folder = file + "/run"}, "", 1, count),
                      "keep_checkpoints: " + file + "/run: cannot write: Not a directory");
    CHECK(steps == 0);
}

TEST_CASE("keep checkpoints: a folder that goes away is a failure, and the training goes on") {
    for (const bool background : {true, false}) {
        const TemporaryFolder folder;
        const std::string path = folder / "run";
        const auto remove = OnStepEnd([&](auto&) { ::rmdir(path.c_str()); });
        Result result = run({.folder = path, .background = background}, "", 2, remove);
        CHECK(result.history.epochs.size() == 2);
        REQUIRE_FALSE(result.history.failures.empty());
        CHECK(result.history.failures.front() ==
              "save_checkpoint: " + path + "/last.safetensors: cannot write: No such file or directory");
        CHECK(result.history.exit_code() == 1);
    }
}

TEST_CASE("keep checkpoints: a run folder knows the steps that were kept") {
    const TemporaryFolder folder;
    const std::string path = folder / "run";
    run({.folder = path, .every_steps = 2, .keep = 3}, "", 2);
    const training::RunFolder kept(path, {.resume = true});
    CHECK(kept.steps() == std::vector<Index>{6, 8, 10});
    CHECK(position_in(kept.step(8)) == training::Position{1, 3, 8});
}

TEST_CASE("keep checkpoints: refusals") {
    CHECK_THROWS_WITH(KeepCheckpoints({.every_steps = -1}),
                      "keep_checkpoints: every_epochs, every_steps and keep must not be negative: got -1");
    CHECK_THROWS_WITH(run({.folder = "/tmp", .best = "val_f1"}, "", 1),
                      "keep_checkpoints: there is no metric val_f1; there are train_loss, val_loss, "
                      "train_score, val_score, seconds, lr");
}
