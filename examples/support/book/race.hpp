// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "../contour.hpp"
#include "../page.hpp"
#include "surfaces.hpp"

/// The share of an animation's time in which the paths are drawn; then they stay for a moment.
inline constexpr double drawn_share = 0.88;

/// A path that is drawn step by step, and a marker that runs at its tip. Without animation both stand at the
/// end. `name` must be new on the page.
inline std::string animated(const Points& path, const Racer& racer, const std::string& name) {
    Points rounded;  // as they will be written, so that lengths agree
    for (const Point& p : path)
        rounded.push_back({std::round(10 * std::clamp(p.x, -999.0, 1999.0)) / 10,
                           std::round(10 * std::clamp(p.y, -999.0, 1999.0)) / 10});
    double total = 1e-9;
    for (std::size_t i = 1; i < rounded.size(); ++i) total += length(rounded[i] - rounded[i - 1]);

    std::string runner, trail;
    double done = 0;
    for (std::size_t i = 0; i < rounded.size(); ++i) {
        if (i > 0) done += length(rounded[i] - rounded[i - 1]);
        const double time =
            100 * drawn_share * static_cast<double>(i) / static_cast<double>(rounded.size() - 1);
        const std::string key = svg::number(time, 2) + (i + 1 == rounded.size() ? "%,to{" : "%{");
        runner += key + "transform:translate(" + svg::number(rounded[i].x) + "px," +
                  svg::number(rounded[i].y) + "px)}";
        trail += key + "stroke-dashoffset:" + svg::number(1 - done / total, 4) + "}";
    }
    const std::string d = svg::through(rounded), look = svg::attributes({racer.color, 2});
    return "<style>@keyframes r" + name + "{" + runner + "}@keyframes t" + name + "{" + trail + "}</style>" +
           "<path class=\"trail c-" + racer.color + "\" style=\"animation-name:t" + name +
           "\" fill=\"none\" stroke-width=\"1.8\" pathLength=\"1\" stroke-dasharray=\"1 2\" d=\"" + d +
           "\"/>" + "<g class=\"runner mark c-" + racer.color + "\" style=\"animation-name:r" + name +
           "\" transform=\"translate(" + svg::number(rounded.back().x) + " " + svg::number(rounded.back().y) +
           ")\">" + svg::marker(racer.shape, 5) + "</g>";
}

/// Twelve outlines around the lowest places, at heights that grow by equal factors.
inline std::string contours(const Surface& surface, const svg::Plot& plot) {
    constexpr gradus::Index columns = 120, rows = 100;
    const double width = surface.to.x - surface.from.x, height = surface.to.y - surface.from.y;
    // One step wider than the drawing on each side, so that outlines close outside of it.
    const double step_x = width / (columns - 3), step_y = height / (rows - 3);
    const auto x = gradus::linspace<double>(surface.from.x - step_x, surface.to.x + step_x, columns);
    const auto y = gradus::linspace<double>(surface.to.y + step_y, surface.from.y - step_y, rows);
    const gradus::NoGrad guard;
    const Var z = surface.f(Var(x.reshape({1, columns})), Var(y.reshape({rows, 1})));
    const Contours outlines(z.value());
    std::string shapes;
    for (int level = 0; level < 12; ++level) {
        std::string d;
        for (const Points& outline :
             outlines.below(surface.lowest + surface.highest * std::pow(2.2, -level))) {
            Points placed;
            for (const Point& p : outline)
                placed.push_back(
                    plot.at({surface.from.x + (p.x - 1) * step_x, surface.to.y - (p.y - 1) * step_y}));
            d += svg::through(svg::simplified(placed)) + "Z";
        }
        if (!d.empty()) shapes += "<path class=\"basin\" d=\"" + d + "\"/>";
    }
    return shapes;
}

/// The surface from above with every racer's path.
inline std::string race_track(const Surface& surface, const std::vector<Racer>& racers,
                              const std::vector<Run>& runs, const std::string& name) {
    svg::Plot plot({.width = 420,
                    .height = 360,
                    .x = {surface.from.x, surface.to.x, "x"},
                    .y = {surface.from.y, surface.to.y, "y"},
                    .description = "Contour lines of " + surface.name + " with the path of every optimizer"});
    plot.inside(contours(surface, plot));
    const auto cross = [&](Point p, const char* shape) {
        plot.inside("<g class=\"c-ink\" transform=\"translate(" + svg::number(plot.at(p).x) + " " +
                    svg::number(plot.at(p).y) + ")\"><path fill=\"none\" stroke-width=\"2\" d=\"" + shape +
                    "\"/></g>");
    };
    cross(surface.start, "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0");
    for (std::size_t i = 0; i < racers.size(); ++i)
        plot.inside(animated(plot.at(runs[i].path), racers[i], name + std::to_string(i)));
    for (const Point& minimum : surface.minima) cross(minimum, "M-5 -5L5 5M5 -5L-5 5");
    return plot.str();
}

/// How far every racer still is from a minimum after each step.
inline std::string race_progress(const Surface& surface, const std::vector<Racer>& racers,
                                 const std::vector<Run>& runs) {
    const auto steps = static_cast<double>(runs.front().path.size() - 1);
    double lowest = 0.1;
    for (const Run& run : runs) lowest = std::min(lowest, distance_to_minimum(surface, run.path.back()));
    lowest = std::max(1e-6, std::pow(10.0, std::floor(std::log10(std::max(lowest, 1e-12)))));
    svg::Plot plot({.width = 420,
                    .height = 190,
                    .x = {0, steps, "step"},
                    .y = {lowest, 20, "distance to the minimum", true, {}, {}, 4},
                    .description = "Distance to the minimum of " + surface.name + " after every step"});
    for (std::size_t i = 0; i < racers.size(); ++i) {
        Points line;
        for (const Point& p : runs[i].path)
            line.push_back(
                {static_cast<double>(line.size()), std::max(1e-12, distance_to_minimum(surface, p))});
        plot.line(line, {racers[i].color, 1.8});
    }
    return plot.str();
}

/// All surfaces: tracks with a button and a slider, progress, and a table of the last distances.
inline void add_race(Page& page, const std::vector<Surface>& surfaces, const std::vector<Racer>& racers,
                     int steps) {
    std::vector<std::string> drawings, head = {"after step " + std::to_string(steps)}, colors;
    std::vector<std::vector<std::string>> rows;
    std::vector<Series> series;
    for (const Racer& racer : racers) {
        series.push_back({racer.name, racer.color, racer.shape});
        colors.push_back(racer.color);
        rows.push_back({racer.name});
    }
    for (const Surface& surface : surfaces) {
        std::vector<Run> runs;
        for (const Racer& racer : racers) {
            runs.push_back(best_run(surface, racer, steps));
            rows[runs.size() - 1].push_back(
                svg::readable(distance_to_minimum(surface, runs.back().path.back())) + "\nlr " +
                svg::readable(runs.back().lr, 1));
        }
        drawings.push_back("<h3>" + surface.name + "<small>" + math(surface.formula) + "</small></h3>" +
                           race_track(surface, racers, runs, std::string(1, surface.name[0])) +
                           race_progress(surface, racers, runs));
        head.push_back(surface.name);
    }
    const std::string count = std::to_string(steps);
    page.figure("<div class=\"race\" data-drawn=\"" + svg::number(drawn_share, 2) + "\">" + legend(series) +
                    "<div class=\"controls\" hidden><button type=\"button\">Pause</button><input "
                    "type=\"range\" min=\"0\" max=\"" +
                    count + "\" value=\"" + count + "\" aria-label=\"step\"><output>step " + count + " of " +
                    count + "</output></div>" + grid(drawings) + "</div>",
                "Paths on four surfaces, seen from above, and the distance to the (nearest) minimum. The "
                "circle is the start, the cross a minimum; each contour line lies 2.2 times as high above "
                "the minimum as the next one inside. Every optimizer takes " +
                    count +
                    " steps with the best of the learning rates 1, 2, 5 · 10ⁿ from 10⁻⁴ to 5 that keep it "
                    "inside the picture: the one whose last " +
                    std::to_string(steps / 4) +
                    " points lie nearest to a minimum. β is 0.9, but 0.999 for the squares of Adam.");
    page.figure(table(head, rows, colors),
                "Distance to the nearest minimum at the end, and the learning rate.");
}
