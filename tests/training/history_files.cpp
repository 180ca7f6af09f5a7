// SPDX-License-Identifier: MIT
#include "gradus/training/history_files.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>

#include "data/files.hpp"
#include "gradus/training/hooks.hpp"
#include "gradus/training/parts.hpp"
#include "support/test.hpp"
#include "training/small_run.hpp"

using namespace gradus;
using training::JsonLines;

namespace {

/// A run of three epochs with five steps, which may be interrupted at a step.
void run_into(const TemporaryFolder& folder, Index save_at, Index stop_at, const std::string& resume = "") {
    manual_seed(3);
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(23), {.batch_size = 5});
    training::fit(net, sgd, small_loss, batches, batches,
                  {.epochs = 3, .progress = training::Progress::none, .resume = resume},
                  training::CsvHistory(folder / "history.csv"),
                  training::JsonHistory({.path = folder / "events.jsonl", .every_steps = 2}),
                  training::OnStepEnd([&](auto& run) {
                      if (run.position().step == save_at) run.save(folder / "last");
                      if (run.position().step == stop_at) run.interrupt("now");
                  }));
}

/// The text with 0 for the seconds, in both kinds of files.
std::string without_seconds(std::string text) {
    for (const std::string before : {"\"seconds\":"}) {
        for (std::size_t at = 0; (at = text.find(before, at)) != text.npos;) {
            at += before.size();
            text.replace(at, text.find(',', at) - at, "0");
        }
    }
    return text;
}

std::string csv_without_seconds(const std::string& text) {
    std::istringstream lines(text);
    std::string all;
    for (std::string line; std::getline(lines, line);) {
        std::size_t from = 0;
        for (int i = 0; i < 5; ++i) from = line.find(',', from) + 1;
        all += line.erase(from, line.find(',', from) - from) + "\n";
    }
    return all;
}

}  // namespace

TEST_CASE("history files: what a run writes") {
    const TemporaryFolder folder;
    run_into(folder, -1, -1);
    const std::string csv = content(folder / "history.csv"), events = content(folder / "events.jsonl");
    CHECK(csv.starts_with("epoch,train_loss,val_loss,train_score,val_score,seconds,lr\n1,"));
    CHECK(std::count(csv.begin(), csv.end(), '\n') == 4);
    CHECK(csv.ends_with(",0.1\n"));
    CHECK(events.starts_with("{\"step\":2,\"epoch\":1,\"event\":\"step\",\"loss\":"));
    CHECK(std::count(events.begin(), events.end(), '\n') == 7 + 3);
    const std::size_t third = events.rfind("{\"step\":15,\"epoch\":3,\"event\":\"epoch\",\"train_loss\":");
    REQUIRE(third != events.npos);
    CHECK(events.ends_with(",\"lr\":0.1}\n"));
}

TEST_CASE("history files: after a resume they are those of a run that was never stopped") {
    const TemporaryFolder whole;
    run_into(whole, -1, -1);
    const std::string csv = csv_without_seconds(content(whole / "history.csv")),
                      events = without_seconds(content(whole / "events.jsonl"));
    for (Index save_at = 1; save_at <= 15; ++save_at) {
        const TemporaryFolder folder;
        run_into(folder, save_at, std::min<Index>(save_at + save_at % 4, 15));  // killed later, or at once
        const std::string path = folder / "events.jsonl", before = content(path);
        if (save_at % 3 == 0) folder.write("events.jsonl", before + "{\"step\":16,\"epoch\":4,\"ev");  // torn
        run_into(folder, -1, -1, folder / "last");
        CHECK(csv_without_seconds(content(folder / "history.csv")) == csv);
        CHECK(without_seconds(content(path)) == events);
    }
}

TEST_CASE("json lines: only what stands before a position is kept") {
    const TemporaryFolder folder;
    const std::string path = folder / "events.jsonl";
    const std::string one = "{\"step\":1,\"epoch\":1,\"event\":\"step\"}\n",
                      two = "{\"step\":2,\"epoch\":1,\"event\":\"step\"}\n",
                      end = "{\"step\":2,\"epoch\":1,\"event\":\"epoch\",\"a\":1}\n",
                      three = "{\"step\":3,\"epoch\":2,\"event\":\"step\"}\n";
    const auto kept = [&](const std::string& before, const training::Position& position) {
        folder.write("events.jsonl", before);
        JsonLines lines;
        lines.open(path, position);
        return content(path);
    };
    const std::string all = one + two + end + three;
    CHECK(kept(all, {.epoch = 0, .batch = 0, .step = 0}).empty());  // a new run
    CHECK(kept(all, {.epoch = 0, .batch = 1, .step = 1}) == one);
    CHECK(kept(all, {.epoch = 0, .batch = 2, .step = 2}) == one + two);        // before the validation
    CHECK(kept(all, {.epoch = 1, .batch = 0, .step = 2}) == one + two + end);  // and after it
    CHECK(kept(all, {.epoch = 1, .batch = 1, .step = 3}) == all);
    for (std::size_t cut = 1; cut < three.size(); ++cut)  // torn anywhere
        CHECK(kept(one + two + end + three.substr(0, cut), {.epoch = 1, .batch = 1, .step = 3}) ==
              one + two + end);
    CHECK(kept(one + "what is this\n" + two, {.epoch = 0, .batch = 2, .step = 2}) == one);
    CHECK(kept("", {.epoch = 1, .batch = 1, .step = 3}).empty());
}

TEST_CASE("json lines: what is written is JSON") {
    CHECK(JsonLines::number(0.1) == "0.1");
    CHECK(JsonLines::number(std::numeric_limits<double>::quiet_NaN()) == "null");
    CHECK(JsonLines::number(-std::numeric_limits<double>::infinity()) == "null");
    const TemporaryFolder folder;
    JsonLines lines;
    lines.open(folder / "x", {});
    lines.append(3, 1, "\"a\":1");
    CHECK(content(folder / "x") == "{\"step\":3,\"epoch\":1,\"a\":1}\n");  // at once
}

TEST_CASE("history files: a path that cannot be written is refused before the training") {
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(23), {.batch_size = 5});
    const auto go = [&](auto&& callback) {
        training::fit(net, sgd, small_loss, batches, batches,
                      {.epochs = 1, .progress = training::Progress::none}, callback);
    };
    const SmallNet before = net;
    CHECK_THROWS_WITH(go(training::CsvHistory("/no/such/h.csv")),
                      "write_history_csv: /no/such/h.csv: cannot write: No such file or directory");
    CHECK_THROWS_WITH(go(training::JsonHistory({.path = "/no/such/e.jsonl"})),
                      "json_lines: /no/such/e.jsonl: cannot write: No such file or directory");
    CHECK(same_bits(before.fc1.weight.value(), net.fc1.weight.value()));
    CHECK_THROWS_WITH(training::JsonHistory({.every_steps = -1}),
                      "json_history: every_steps must not be negative: got -1");
    JsonLines closed;
    CHECK_THROWS_WITH(closed.append(0, 0, ""), "json_lines: : cannot write: it is not open");
}

TEST_CASE("history csv: learning rates and further metrics have columns") {
    const TemporaryFolder folder;
    std::vector<EpochRecord> history(2);
    history[0] = {.train_loss = 1, .lr = 0.5, .metrics = {{"val_f1", 0.25}}};
    history[1] = {.train_loss = 0.5, .metrics = {{"a,\"b\"", 2}}};
    write_history_csv(folder / "h.csv", history);
    CHECK(content(folder / "h.csv") ==
          "epoch,train_loss,val_loss,train_score,val_score,seconds,lr,val_f1,\"a,\"\"b\"\"\"\n"
          "1,1,0,0,0,0.000,0.5,0.25,\n"
          "2,0.5,0,0,0,0.000,0,,2\n");
}

TEST_CASE("history: a checkpoint keeps all of it") {
    std::vector<EpochRecord> history(3);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    history[0] = {1, 2, 3, 4, 5, 6, {{"val_f1", 0.25}, {"a.b", 7}}};
    history[1] = {1.5, nan, 0, 0, 0, 0.1, {}};
    history[2] = {0, 0, 0, 0, 0, 0, {{"val_f1", nan}, {"c", 8}}};
    training::State state;
    training::save_part(training::StateWriter(state), history);
    std::vector<EpochRecord> loaded(7);
    training::load_part(training::StateReader(state), loaded);
    REQUIRE(loaded.size() == 3);
    CHECK(loaded[0].train_loss == 1);
    CHECK(loaded[0].seconds == 5);
    CHECK(loaded[0].lr == 6);
    CHECK(loaded[0].metrics == history[0].metrics);
    CHECK(std::isnan(loaded[1].val_loss));
    CHECK(loaded[1].metrics.empty());
    REQUIRE(loaded[2].metrics.size() == 2);
    CHECK(loaded[2].metrics[0].name == "val_f1");
    CHECK(std::isnan(loaded[2].metrics[0].value));
    CHECK(loaded[2].metrics[1] == NamedNumber{"c", 8});
}
