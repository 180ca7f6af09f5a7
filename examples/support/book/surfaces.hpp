// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include <gradus/gradus.hpp>

#include "../page.hpp"

using svg::Point;
using svg::Points;
using Var = gradus::Variable<double>;

/// A function of two numbers to be minimized, made of ordinary operations, and the part of it that is drawn.
struct Surface {
    std::string name, formula;
    std::function<Var(const Var& x, const Var& y)> f;
    Point start;
    Points minima;
    double lowest;       // the value there
    Point from, to;      // corners of the drawing
    double highest = 0;  // the highest contour line, above the lowest value
};

inline std::vector<Surface> race_surfaces() {
    return {
        {"Valley",
         "z = ½ x² + 18 y²",
         [](const Var& x, const Var& y) { return 0.5 * square(x) + 18.0 * square(y); },
         {-9, 1.6},
         {{0, 0}},
         0,
         {-10, -2.4},
         {4, 2.4},
         150},
        {"Saddle",
         "z = ¾ x² − y² / 20 + y⁴ / 40",
         [](const Var& x, const Var& y) { return 0.75 * square(x) - 0.05 * square(y) + 0.025 * pow(y, 4); },
         {-1.6, 0.001},
         {{0, -1}, {0, 1}},
         -0.025,
         {-2, -1.6},
         {2.2, 1.6},
         1.5},
        {"Rosenbrock",
         "z = (1 − x)² + 100 (y − x²)²",
         [](const Var& x, const Var& y) { return square(1.0 - x) + 100.0 * square(y - square(x)); },
         {-1.2, 1},
         {{1, 1}},
         0,
         {-1.8, -0.7},
         {1.8, 2},
         1000},
        {"Beale",
         "z = (1.5 − x + x y)² + (2.25 − x + x y²)² + (2.625 − x + x y³)²",
         [](const Var& x, const Var& y) {
             return square(1.5 - x + x * y) + square(2.25 - x + x * square(y)) +
                    square(2.625 - x + x * pow(y, 3));
         },
         {0.5, -1},
         {{3, 0.5}},
         0,
         {-0.8, -1.6},
         {4.2, 2.2},
         100},
    };
}

inline double distance_to_minimum(const Surface& surface, Point p) {
    double nearest = std::numeric_limits<double>::infinity();
    for (const Point& minimum : surface.minima) nearest = std::min(nearest, length(p - minimum));
    return std::isfinite(p.x) && std::isfinite(p.y) ? nearest : std::numeric_limits<double>::infinity();
}

/// An optimizer that takes part, with its color and marker on the whole page.
struct Racer {
    std::string name, color;
    int shape;
    std::function<Points(const Surface&, double lr, int steps)> run;
};

/// The points that an optimizer visits; `make(parameters, lr)` builds it.
template <class Make>
Points descend(const Surface& surface, int steps, double lr, const Make& make) {
    Var x(gradus::full<double>({}, surface.start.x), {.requires_grad = true});
    Var y(gradus::full<double>({}, surface.start.y), {.requires_grad = true});
    auto optimizer = make(std::vector<Var>{x, y}, lr);
    Points path = {surface.start};
    for (int step = 0; step < steps; ++step) {
        optimizer.zero_grad();
        surface.f(x, y).backward();
        optimizer.step();
        path.push_back({x.item(), y.item()});
    }
    return path;
}

template <class Make>
Racer racer(const char* name, const char* color, int shape, const Make& make) {
    return {name, color, shape, [make](const Surface& surface, double lr, int steps) {
                return descend(surface, steps, lr, make);
            }};
}

inline std::vector<Racer> racers() {
    namespace optim = gradus::optim;
    using Parameters = std::vector<Var>;
    return {
        racer("SGD", "gray", 0,
              [](Parameters p, double lr) { return optim::SGD<double>(std::move(p), {.lr = lr}); }),
        racer("Momentum", "blue", 1,
              [](Parameters p, double lr) {
                  return optim::SGD<double>(std::move(p), {.lr = lr, .momentum = 0.9});
              }),
        racer("Nesterov", "sky", 2,
              [](Parameters p, double lr) {
                  return optim::SGD<double>(std::move(p), {.lr = lr, .momentum = 0.9, .nesterov = true});
              }),

        racer("RMSProp", "green", 3,
              [](Parameters p, double lr) {
                  return optim::RMSProp<double>(std::move(p), {.lr = lr, .alpha = 0.9});
              }),
        racer("Adam", "orange", 4,
              [](Parameters p, double lr) { return optim::Adam<double>(std::move(p), {.lr = lr}); }),
    };
}

/// What one racer did on one surface with the learning rate that served it best.
struct Run {
    double lr = 0;
    Points path;
};

inline bool stays_inside(const Surface& surface, const Points& path) {
    return std::all_of(path.begin(), path.end(), [&](Point p) {
        return p.x >= surface.from.x && p.x <= surface.to.x && p.y >= surface.from.y && p.y <= surface.to.y;
    });
}

/// Tries the learning rates 1, 2, 5 · 10ⁿ from 10⁻⁴ to 5, as far as the path stays inside the drawing, and
/// keeps the one whose last quarter of points lies nearest to a minimum on average (a single last point could
/// be there by luck).
inline Run best_run(const Surface& surface, const Racer& racer, int steps) {
    Run best;
    double least = std::numeric_limits<double>::infinity();
    for (int exponent = -4; exponent <= 0; ++exponent)
        for (const double factor : {1.0, 2.0, 5.0}) {
            const double lr = factor * std::pow(10.0, exponent);
            Points path = racer.run(surface, lr, steps);
            if (!best.path.empty() && !stays_inside(surface, path)) continue;
            double total = 0;
            for (std::size_t i = path.size() * 3 / 4; i < path.size(); ++i)
                total += distance_to_minimum(surface, path[i]);
            if (best.path.empty() || total < least) least = total, best = {lr, std::move(path)};
        }
    return best;
}
