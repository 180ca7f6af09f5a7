// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/training/curves.hpp"
#include "gradus/training/page.hpp"
#include "gradus/training/picture.hpp"
#include "gradus/training/report_data.hpp"

// The parts of a report. Each is a function of what it shows, and empty where there is nothing to show.

namespace gradus::training::page {

/// "92.4 %"
[[gnu::cold]] inline std::string percent(double share) {
    return std::isfinite(share) ? text_of({gradus::detail::csv_number(100 * share, 1), " %"}) : "–";
}

/// A number in a table; "–" where there is none.
[[gnu::cold]] inline std::string cell(double x, int digits = 4) {
    return std::isnan(x) ? "–" : svg::readable(x, digits);
}

/// "1 h 2 min", "3 min 20 s", "4.2 s"
[[gnu::cold]] inline std::string duration(double seconds) {
    if (!(seconds >= 0) || seconds > 1e15) return "–";
    if (seconds < 59.95) return text_of({svg::number(seconds), " s"});
    const auto whole = static_cast<long long>(seconds + 0.5), minutes = whole / 60;
    if (minutes < 60) return text_of({minutes, " min ", whole % 60, " s"});
    return text_of({minutes / 60, " h ", minutes % 60, " min"});
}

/// One number of each epoch over the epochs, which count from 1.
template <class Get>
svg::Points over_epochs(const std::vector<EpochRecord>& history, const Get& get) {
    svg::Points points;
    for (const EpochRecord& record : history)
        points.push_back({static_cast<double>(points.size() + 1), static_cast<double>(get(record))});
    return points;
}

/// The largest (or smallest) of the finite numbers, the first of equals: its index, −1 if there is none.
[[gnu::cold]] inline Index best_of(const svg::Points& points, bool largest) {
    Index best = -1;
    for (std::size_t i = 0; i < points.size(); ++i) {
        const double y = points[i].y, before = best < 0 ? 0 : points[static_cast<std::size_t>(best)].y;
        if (std::isfinite(y) && (best < 0 || (largest ? y > before : y < before)))
            best = static_cast<Index>(i);
    }
    return best;
}

/// The names of the further metrics of a history, in the order in which they come up.
[[gnu::cold]] inline std::vector<std::string> metric_names(const std::vector<EpochRecord>& history) {
    std::vector<std::string> names;
    for (const EpochRecord& record : history)
        for (const NamedNumber& number : record.metrics)
            if (std::find(names.begin(), names.end(), number.name) == names.end())
                names.push_back(number.name);
    return names;
}

/// A further metric over the epochs; NaN where an epoch does not have it.
[[gnu::cold]] inline svg::Points metric(const std::vector<EpochRecord>& history, const std::string& name) {
    return over_epochs(history, [&](const EpochRecord& r) {
        for (const NamedNumber& number : r.metrics)
            if (number.name == name) return number.value;
        return std::nan("");
    });
}

/// What the curves say, in a sentence or two.
[[gnu::cold]] inline std::string reading(const std::vector<EpochRecord>& history) {
    const svg::Points train = over_epochs(history, [](const EpochRecord&r) { return r.train_loss; }),
                      validation = over_epochs(history, [](const EpochRecord&r) { return r.val_loss; });
    for (const svg::Point& p : train)
        if (!std::isfinite(p.y))
            return text_of({"In epoch ", static_cast<Index>(p.x),
                            " the training loss was no longer a finite number. "
                            "Usually the learning rate is too high: try a tenth of it."});
    const Index best = best_of(validation, false);
    if (best < 0 || history.size() < 3) return "";
    const auto at = static_cast<std::size_t>(best);
    const double lowest = validation[at].y, last = validation.back().y;
    if (best + 1 == static_cast<Index>(history.size()))
        return "The validation loss was still falling at the end: more epochs may make the network better.";
    if (last > lowest + 0.03 * std::abs(lowest) && train.back().y < train[at].y)
        return text_of(
            {"The validation loss was lowest in epoch ", best + 1,
             " and then rose, while the training loss went on falling: from there on the network learned "
             "the training examples by heart. Fewer epochs (early stopping), dropout, weight decay or more "
             "data help against that."});
    return "At the end the validation loss hardly fell any more: the training had done what it could with "
           "these "
           "settings.";
}

/// Training and validation over each other, for each kind of number that the history has.
[[gnu::cold]] inline std::string curves(const ReportData& report) {
    const std::vector<EpochRecord>& history = report.history;
    const auto pair = [&](const std::string& title, const svg::Points& train, const svg::Points& validation,
                          int better) {  // 1: larger, −1: smaller, 0: unknown
        const Index of_train = best_of(train, better > 0), of_validation = best_of(validation, better > 0);
        if (of_train < 0 && of_validation < 0) return std::string();
        ChartOptions options{.title = title};
        if (better != 0 && history.size() > 1) {
            const bool validated = of_validation >= 0;
            const svg::Point best = validated ? validation[static_cast<std::size_t>(of_validation)]
                                              : train[static_cast<std::size_t>(of_train)];
            options.marks = {best};
            options.color = validated ? "orange" : "blue";
            options.mark =
                text_of({"best ", svg::readable(best.y, 3), " (epoch ", static_cast<Index>(best.x), ")"});
        }
        return chart({{train, {"blue", 2.2}}, {validation, {"orange", 2.2, "7 3"}}}, options);
    };
    std::string score = report.score_name;
    if (!score.empty() && score[0] >= 'a' && score[0] <= 'z')
        score[0] = static_cast<char>(score[0] - 'a' + 'A');
    std::vector<std::string> charts{
        pair("Loss", over_epochs(history, [](const EpochRecord& r) { return r.train_loss; }),
             over_epochs(history, [](const EpochRecord& r) { return r.val_loss; }), -1),
        pair(score, over_epochs(history, [](const EpochRecord& r) { return r.train_score; }),
             over_epochs(history, [](const EpochRecord& r) { return r.val_score; }), 1)};
    const std::vector<std::string> names = metric_names(history);
    const auto there = [&](const std::string& name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    for (const std::string& full : names) {  // val_f1 is drawn over f1, or over train_f1
        if (full.starts_with("val_")) {
            const std::string name = full.substr(4);
            if (!there(name) && !there("train_" + name))
                charts.push_back(pair(name, metric(history, name), metric(history, full), 0));
        } else {
            const std::string base = full.starts_with("train_") ? full.substr(6) : full;
            const std::string name = there(base) ? full : base;
            charts.push_back(pair(name, metric(history, full), metric(history, "val_" + name), 0));
        }
    }
    std::erase(charts, "");
    if (charts.empty()) return "";
    return legend({{"training", "blue"}, {"validation", "orange", -1, "7 3"}}) + grid(charts);
}

[[gnu::cold]] inline std::string learning_rate(const ReportData& report) {
    svg::Points points =
        over_epochs(report.history, [](const EpochRecord& r) { return r.lr > 0 ? r.lr : std::nan(""); });
    const bool steps = !report.learning_rates.empty();
    if (steps) points.clear();
    for (const double rate : report.learning_rates)
        points.push_back({static_cast<double>(points.size()), rate});
    if (best_of(points, true) < 0) return "";
    return across([&](double width) {
        return chart({{points, {"purple", 2.2}}}, {.title = "Learning rate",
                                                   .x_label = steps ? "step" : "epoch",
                                                   .width = width,
                                                   .height = width > 500 ? 200.0 : 220.0,
                                                   .log = false});
    });
}

/// All epochs, or if there are many some of them.
[[gnu::cold]] inline std::string epochs(const std::vector<EpochRecord>& history) {
    if (history.empty()) return "";
    const std::size_t every = (history.size() + 99) / 100;
    std::vector<std::string> titles{"epoch"};
    std::vector<svg::Points> columns;
    const auto add = [&](std::string title, svg::Points points) {  // a column without a number says nothing
        if (std::all_of(points.begin(), points.end(), [](const svg::Point& p) { return std::isnan(p.y); }))
            return;
        titles.push_back(std::move(title));
        columns.push_back(std::move(points));
    };
    add("training loss", over_epochs(history, [](const EpochRecord& r) { return r.train_loss; }));
    add("validation loss", over_epochs(history, [](const EpochRecord& r) { return r.val_loss; }));
    add("training score", over_epochs(history, [](const EpochRecord& r) { return r.train_score; }));
    add("validation score", over_epochs(history, [](const EpochRecord& r) { return r.val_score; }));
    for (const std::string& name : metric_names(history)) add(name, metric(history, name));
    titles.push_back("seconds");
    std::vector<std::vector<std::string>> rows;
    for (std::size_t i = 0; i < history.size(); ++i) {
        if (i % every != 0 && i + 1 != history.size()) continue;
        std::vector<std::string>& row = rows.emplace_back(1, std::to_string(i + 1));
        for (const svg::Points& column : columns) row.push_back(cell(column[i].y));
        row.push_back(svg::number(history[i].seconds, 2));
    }
    std::string title = "All epochs";
    if (every > 1) title = text_of({"Every ", every, "th epoch, and the last; history.csv has all"});
    return text_of({"<details><summary>", title, "</summary>", table(titles, rows), "</details>\n"});
}

/// How many examples each class has, as bars.
[[gnu::cold]] inline std::string label_histogram(const ReportData& report) {
    const std::vector<Index>& counts = report.label_counts;
    if (counts.empty()) return "";
    const Index most = std::max<Index>(1, *std::max_element(counts.begin(), counts.end()));
    constexpr std::size_t shown = 40;
    std::string bars;
    for (std::size_t c = 0; c < std::min(counts.size(), shown); ++c)
        bars += text_of({"<li><span>", escape(class_name(report, static_cast<Index>(c))),
                         "</span><i><b style=\"width:",
                         svg::number(100 * static_cast<double>(counts[c]) / static_cast<double>(most)),
                         "%\"></b></i><em>", counts[c], "</em></li>"});
    std::string more;
    if (counts.size() > shown)
        more = text_of({"<p class=\"more\">… and ", counts.size() - shown, " more classes</p>"});
    return text_of({"<h3>Examples of each class</h3><ul class=\"bars\">", bars, "</ul>", more, "\n"});
}

/// Pictures with what they are below them, and, if it differs, what they were taken for.
[[gnu::cold]] inline std::string pictures(const std::vector<Picture>& pictures) {
    std::string items;
    for (const Picture& p : pictures) {
        items += "<li>";
        if (p.image.numel() > 0)
            items += text_of({"<img alt=\"", escape(p.label), "\" src=\"", data_uri(p.image), "\"/>"});
        if (p.predicted.empty()) {
            items += text_of({"<span>", escape(p.label), "</span>"});
        } else {
            const std::string sure = std::isnan(p.probability) ? "" : text_of({" ", percent(p.probability)});
            items += text_of({"<span class=\"right\">", escape(p.label), "</span><span class=\"wrong\">",
                              escape(p.predicted), sure, "</span>"});
        }
        items += "</li>";
    }
    return items.empty() ? "" : text_of({"<ul class=\"pictures\">", items, "</ul>\n"});
}

/// Rows: what it is; columns: what it was taken for. More than 30 classes find no room.
[[gnu::cold]] inline std::string confusion_matrix(const ReportData& report) {
    const Tensor<Index>& counts = report.confusion;
    if (counts.numel() == 0 || counts.size(0) > 30) return "";
    const Index classes = counts.size(0);
    std::string head = "<td></td>", rows;
    for (Index c = 0; c < classes; ++c)
        head += text_of({"<th scope=\"col\"><span>", escape(class_name(report, c)), "</span></th>"});
    for (Index label = 0; label < classes; ++label) {
        Index all = 0;
        for (Index c = 0; c < classes; ++c) all += counts(label, c);
        rows += text_of({"<tr><th scope=\"row\">", escape(class_name(report, label)), "</th>"});
        for (Index c = 0; c < classes; ++c) {
            const Index n = counts(label, c);
            const double share = all > 0 ? static_cast<double>(n) / static_cast<double>(all) : 0;
            // Mistakes are rare: the root makes them show.
            const double shade = n == 0 ? 0 : c == label ? 0.1 + 0.85 * share : 0.06 + 0.9 * std::sqrt(share);
            rows += text_of({"<td", shade > 0.55 ? " class=\"full\"" : "", " style=\"background:rgb(var(--",
                             c == label ? "right" : "wrong", ")/", svg::number(shade, 2), ")\" title=\"",
                             escape(class_name(report, label)), ", taken for ", escape(class_name(report, c)),
                             ": ", n, " of ", all, "\">", n == 0 ? std::string("·") : std::to_string(n),
                             "</td>"});
        }
        rows += "</tr>";
    }
    return text_of({"<div class=\"table\"><table class=\"confusion\"><thead><tr>", head,
                    "</tr></thead><tbody>", rows, "</tbody></table></div>\n"});
}

/// The pairs of classes that were taken for each other most often.
[[gnu::cold]] inline std::string confused_pairs(const ReportData& report, std::size_t most = 5) {
    struct Pair {
        Index count, label, predicted;
    };
    std::vector<Pair> pairs;  // the most frequent first
    const Index classes = report.confusion.numel() == 0 ? 0 : report.confusion.size(0);
    for (Index i = 0; i < classes; ++i)
        for (Index j = 0; j < classes; ++j) {
            const Index count = report.confusion(i, j);
            if (i == j || count == 0) continue;
            auto at = pairs.end();
            while (at != pairs.begin() && (at - 1)->count < count) --at;
            pairs.insert(at, {count, i, j});
            if (pairs.size() > most) pairs.pop_back();
        }
    std::string items;
    for (std::size_t i = 0; i < std::min(most, pairs.size()); ++i)
        items += text_of({"<li><b>", escape(class_name(report, pairs[i].label)), "</b> taken for <b>",
                          escape(class_name(report, pairs[i].predicted)), "</b>: ", pairs[i].count,
                          pairs[i].count == 1 ? " time</li>" : " times</li>"});
    return items.empty() ? "" : text_of({"<ol class=\"pairs\">", items, "</ol>\n"});
}

/// How often each label was found, missed and so on: as given, or from the confusion matrix.
[[gnu::cold]] inline std::vector<metrics::LabelCounts> counts_of(const ReportData& report) {
    std::vector<metrics::LabelCounts> result = report.labels;
    const Tensor<Index>& confusion = report.confusion;
    if (!result.empty() || confusion.numel() == 0) return result;
    const Index classes = confusion.size(0);
    Index all = 0;
    for (const Index n : confusion) all += n;
    for (Index c = 0; c < classes; ++c) {
        Index labeled = 0, predicted = 0;
        for (Index other = 0; other < classes; ++other)
            labeled += confusion(c, other), predicted += confusion(other, c);
        const Index right = confusion(c, c);
        result.push_back({right, predicted - right, labeled - right, all - labeled - predicted + right});
    }
    return result;
}

/// Precision, recall and F1 of each class; of more than 60 those with the lowest F1.
[[gnu::cold]] inline std::string per_class(const ReportData& report) {
    const std::vector<metrics::LabelCounts> counts = counts_of(report);
    if (counts.empty()) return "";
    std::vector<std::size_t> order;
    for (std::size_t c = 0; c < counts.size(); ++c) order.push_back(c);
    constexpr std::size_t most = 60;
    if (order.size() > most) {
        std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
            return counts[a].f1() != counts[b].f1() ? counts[a].f1() < counts[b].f1() : a < b;
        });
        order.resize(most);
    }
    std::vector<std::vector<std::string>> rows;
    for (const std::size_t c : order) {
        const metrics::LabelCounts& n = counts[c];
        rows.push_back({class_name(report, static_cast<Index>(c)), percent(n.precision()),
                        percent(n.recall()), percent(n.f1()),
                        std::to_string(n.true_positive + n.false_negative)});
    }
    return table({"class", "precision", "recall", "F1", "examples"}, rows);
}

}  // namespace gradus::training::page
