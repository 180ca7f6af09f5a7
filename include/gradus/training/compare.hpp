// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "gradus/training/report_page.hpp"
#include "gradus/training/run_files.hpp"

namespace gradus::training {

/// What is compared of a run.
struct RunRecord {
    std::string name;
    std::vector<EpochRecord> history;
    Settings settings = {};
};

/// Reads history.csv and, if it is there, config.json of a run's folder, whose last part becomes the name.
/// Throws IoError for a file that cannot be read or is none.
[[gnu::cold]] inline RunRecord read_run(const std::string& folder) {
    std::string path = folder;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    RunRecord run{path.substr(path.rfind('/') + 1), read_history_csv(path + "/history.csv", "compare")};
    if (run.name.empty() || run.name == "." || run.name == "..") run.name = path;
    struct stat status;
    const std::string config = path + "/config.json";
    if (::stat(config.c_str(), &status) == 0) run.settings = read_settings(config, "compare");
    return run;
}

namespace page {

inline constexpr const char* colors[] = {"gray", "blue", "orange", "green", "purple", "sky"};
inline constexpr const char* dashes[] = {"", "7 3", "2 3", "10 3 2 3"};

/// A color for each of six runs, then the same ones dashed.
[[gnu::cold]] inline svg::Style run_style(std::size_t i) {
    return {colors[i % std::size(colors)], 2.2, dashes[i / std::size(colors) % std::size(dashes)]};
}

/// One kind of number of all runs: over the epochs, or over the seconds since the start.
template <class Get>
std::string curves_of(std::span<const RunRecord> runs, const std::string& title, bool over_time,
                      const Get& get) {
    std::vector<Curve> curves;
    bool some = false;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        svg::Points points = over_epochs(runs[i].history, get);
        double seconds = 0;
        for (std::size_t e = 0; over_time && e < points.size(); ++e)
            points[e].x = seconds +=
                std::isfinite(runs[i].history[e].seconds) ? runs[i].history[e].seconds : 0;
        some = some || best_of(points, true) >= 0;
        curves.push_back({points, run_style(i)});
    }
    if (!some) return "";
    return chart(curves, {.title = title, .x_label = over_time ? "seconds" : "epoch", .counts = !over_time});
}

/// Where the runs stand: best and last numbers, time, and the settings in which they differ.
[[gnu::cold]] inline std::string standings(std::span<const RunRecord> runs) {
    std::vector<std::string> names;  // of settings
    for (const RunRecord& run : runs)
        for (const auto& entry : run.settings)
            if (entry.first != "command" && entry.first != "out" &&
                std::find(names.begin(), names.end(), entry.first) == names.end())
                names.push_back(entry.first);
    std::erase_if(names, [&](const std::string& name) {
        return std::all_of(runs.begin(), runs.end(), [&](const RunRecord& run) {
            return setting(run.settings, name, "–") == setting(runs.front().settings, name, "–");
        });
    });
    std::vector<std::string> head{"run",       "best score", "last score", "best loss",
                                  "last loss", "epochs",     "time"};
    head.insert(head.end(), names.begin(), names.end());
    std::vector<std::vector<std::string>> rows;
    std::vector<std::string> colors_of_rows;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const std::vector<EpochRecord>& history = runs[i].history;
        // Of the validation, or of the training where there is none.
        svg::Points scores = over_epochs(history, [](const EpochRecord&r) { return r.val_score; }),
                    losses = over_epochs(history, [](const EpochRecord&r) { return r.val_loss; });
        if (best_of(scores, true) < 0)
            scores = over_epochs(history, [](const EpochRecord& r) { return r.train_score; });
        if (best_of(losses, false) < 0)
            losses = over_epochs(history, [](const EpochRecord& r) { return r.train_loss; });
        const auto best = [](const svg::Points& points, bool largest) -> std::string {
            const Index at = best_of(points, largest);
            return at < 0 ? "–" : text_of({cell(points[static_cast<std::size_t>(at)].y), "\nepoch ", at + 1});
        };
        const auto last = [](const svg::Points& points) {
            return points.empty() ? std::string("–") : cell(points.back().y);
        };
        double seconds = 0;
        for (const EpochRecord& r : history) seconds += r.seconds;
        rows.push_back({runs[i].name, best(scores, true), last(scores), best(losses, false), last(losses),
                        std::to_string(history.size()), duration(seconds)});
        for (const std::string& name : names) rows.back().push_back(setting(runs[i].settings, name, "–"));
        colors_of_rows.push_back(colors[i % std::size(colors)]);
    }
    return table(head, rows, colors_of_rows);
}

}  // namespace page

/// Several trainings side by side, as a web page like that of report_html(): a table of what each reached, by
/// which settings and in what time, and their curves over each other. Throws ValueError if there are none.
///
///     const std::vector runs{training::read_run("runs/sgd"), training::read_run("runs/adam")};
///     write_file("compare.html", training::compare_html(runs));
[[gnu::cold]] inline std::string compare_html(std::span<const RunRecord> runs) {
    using namespace page;
    if (runs.empty()) gradus::detail::raise<ValueError>("compare", "needs one run at least");
    std::vector<Series> series;
    for (std::size_t i = 0; i < runs.size(); ++i)
        series.push_back({runs[i].name, run_style(i).color, -1, run_style(i).dash});
    const auto val_loss = [](const EpochRecord& r) { return r.val_loss; };
    const auto val_score = [](const EpochRecord& r) { return r.val_score; };
    const auto train_loss = [](const EpochRecord& r) { return r.train_loss; };
    const auto train_score = [](const EpochRecord& r) { return r.train_score; };
    const auto both = [&](bool over_time) {
        std::vector<std::string> charts{curves_of(runs, "Validation score", over_time, val_score),
                                        curves_of(runs, "Validation loss", over_time, val_loss)};
        if (!over_time || (charts[0].empty() && charts[1].empty())) {
            charts.push_back(curves_of(runs, "Training score", over_time, train_score));
            charts.push_back(curves_of(runs, "Training loss", over_time, train_loss));
        }
        std::erase(charts, "");
        return charts.empty() ? "" : legend(series) + grid(charts);
    };
    Settings same;
    for (const auto& entry : runs.front().settings)
        if (entry.first != "command" && entry.first != "out" &&
            std::all_of(runs.begin(), runs.end(), [&](const RunRecord& run) {
                return std::find(run.settings.begin(), run.settings.end(), entry) != run.settings.end();
            }))
            same.push_back(entry);
    std::string commands;
    for (const RunRecord& run : runs) {
        const std::string command = setting(run.settings, "command");
        if (!command.empty()) commands += text_of({command, "\n"});
    }
    const std::string title = runs.size() == 1 ? runs[0].name : text_of({runs.size(), " runs side by side"});
    const std::string body = text_of(
        {"<header><p class=\"kind\">Comparison</p><h1>", escape(title), "</h1></header>\n<main>",
         section("Results", "Of the validation, or of the training where there was none.", standings(runs)),
         section("By epoch", "", both(false)),
         section("By time",
                 "The same over the seconds since the start: an epoch of one run can take longer than that "
                 "of another.",
                 both(true)),
         section("The same in all", "", settings(same)),
         section("Run them again", "", preformatted(commands, "command")),
         "</main>\n<footer><p>Written by gradus. This file holds all that it shows.</p></footer>\n"});
    return document(title, body, {.more_style = report_style});
}

}  // namespace gradus::training
