// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/training/plot.hpp"

namespace gradus::training {

/// Some of the numbers of a long series, in their order: the smallest and the largest of each stretch, so that
/// no peak is lost. What is not a number stays one.
[[gnu::cold]] inline svg::Points thinned(const svg::Points& points, std::size_t most = 1000) {
    if (points.size() <= most) return points;
    const std::size_t stretch = (2 * points.size() + most - 1) / most;
    const auto below = [](const svg::Point& a, const svg::Point& b) {
        return (std::isnan(a.y) && !std::isnan(b.y)) || a.y < b.y;
    };
    svg::Points result;
    for (std::size_t first = 0; first < points.size(); first += stretch) {
        const auto begin = points.begin() + static_cast<std::ptrdiff_t>(first),
                   end =
                       points.begin() + static_cast<std::ptrdiff_t>(std::min(first + stretch, points.size()));
        auto [low, high] = std::minmax_element(begin, end, below);
        if (low > high) std::swap(low, high);
        result.push_back(*low);
        if (low != high) result.push_back(*high);
    }
    return result;
}

/// An axis on which all finite ones of these values have a place: logarithmic, if it may be, where they are
/// positive and the largest is more than 100 times the smallest.
[[gnu::cold]] inline svg::Axis axis_for(const std::vector<double>& values, std::string label,
                                        bool may_log = true) {
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (const double x : values)
        if (std::isfinite(x)) low = std::min(low, x), high = std::max(high, x);
    svg::Axis axis{.label = std::move(label)};
    if (low > high) return axis;  // there are none
    if (may_log && low > 0 && high / low > 100) {
        axis.log = true;
        axis.low = std::max(low / 1.3, 1e-307), axis.high = std::min(high, 1e307) * 1.3;
        return axis;
    }
    low = std::max(low, -1e300), high = std::min(high, 1e300);
    const double size = std::max(std::abs(low), std::abs(high));
    const bool constant = high == low;
    const double span = constant ? size > 0 ? size : 1 : std::max(high - low, 1e-9 * size);
    const double room = (constant ? 0.5 : 0.06) * span;
    axis.low = low >= 0 && low < 0.2 * high ? 0 : low - room;
    axis.high = high + room;
    // As many digits as tell neighboring ticks apart.
    const double step = svg::nice_step(axis.high - axis.low, axis.most_ticks);
    const int digits = std::max(2, static_cast<int>(std::floor(std::log10(std::max(size, step))) -
                                                    std::floor(std::log10(step) + 1e-9)) +
                                       1);
    axis.ticks = svg::ticks_of(axis);
    for (double& tick : axis.ticks) {
        if (std::abs(tick) < 1e-6 * step) tick = 0;
        axis.names.push_back(svg::readable(tick, digits));
    }
    return axis;
}

/// Whole numbers from `first` to `last`, as of epochs.
[[gnu::cold]] inline svg::Axis count_axis(double first, double last, std::string label) {
    svg::Axis axis{first, last, std::move(label)};
    if (last <= first) {
        axis.low = first - 0.5, axis.high = first + 0.5;
        axis.ticks = {first};
        return axis;
    }
    const double step = std::max(1.0, svg::nice_step(last - first, axis.most_ticks));
    for (double x = std::ceil(first / step) * step; x <= last; x += step) axis.ticks.push_back(x);
    return axis;
}

/// One line of a chart, from point to point; those that are not finite leave a gap.
struct Curve {
    svg::Points points;
    svg::Style style = {};
};

struct ChartOptions {
    std::string title = {};
    std::string x_label = "epoch", y_label = {};
    bool counts = true;         // x is a whole number
    svg::Points marks = {};     // points to be shown
    std::string mark = {};      // what is written beside the first
    std::string color = "ink";  // of the marks
    double width = 420, height = 270;
    bool log = true;  // where the values are far apart
};

/// Curves over each other on axes that fit them.
[[gnu::cold]] inline std::string chart(const std::vector<Curve>& curves, const ChartOptions& options) {
    std::vector<double> xs, ys;
    for (const Curve& curve : curves)
        for (const svg::Point& p : curve.points)
            if (std::isfinite(p.y)) xs.push_back(p.x), ys.push_back(p.y);
    if (xs.empty()) xs = {0, 1};
    const auto [first, last] = std::minmax_element(xs.begin(), xs.end());
    svg::Axis x = options.counts ? count_axis(*first, *last, options.x_label) : axis_for(xs, options.x_label);
    if (!options.counts && !x.log) x.low = std::max(x.low, 0.0);
    svg::Plot plot({.width = options.width,
                    .height = options.height,
                    .x = std::move(x),
                    .y = axis_for(ys, options.y_label, options.log),
                    .description = options.title});
    for (const Curve& curve : curves) {
        plot.line(thinned(curve.points), curve.style);
        // A point between two gaps is no line.
        const auto finite = [&](std::size_t i) {
            return i < curve.points.size() && std::isfinite(curve.points[i].y);
        };
        for (std::size_t i = 0; i < curve.points.size(); ++i)
            if (finite(i) && !finite(i - 1) && !finite(i + 1))
                plot.dots({curve.points[i]}, {curve.style.color, 3.5});
    }
    plot.dots(options.marks, {options.color, 4.5});
    if (!options.marks.empty()) {
        const svg::Point p = options.marks.front(), at = plot.at(p);
        const bool right = at.x > plot.inner_width() / 2, low = at.y > plot.inner_height() - 30;
        plot.note(p, options.mark, {right ? -4.0 : 4.0, low ? -11.0 : 23.0}, right ? "end" : "start",
                  options.color);
    }
    const std::string title =
        options.title.empty() ? "" : svg::text_of({"<h3>", svg::escape(options.title), "</h3>"});
    return title + plot.str();
}

}  // namespace gradus::training
