// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <vector>

#include <gradus/gradus.hpp>

#include "../page.hpp"

using svg::Point;
using svg::Points;

/// One temperature per day: a yearly wave from 5 °C to 23 °C, and weather that is normal with 3.5 °C.
inline Points temperatures(int days, std::uint64_t seed) {
    gradus::Generator generator(seed);
    const gradus::Tensor<double> weather = gradus::normal<double>({days}, 0, 3.5, generator);
    Points result;
    for (int day = 0; day < days; ++day) {
        const double season = 14 + 9 * std::sin(2 * std::numbers::pi * day / 365);
        result.push_back({static_cast<double>(day + 1), season + weather.data()[day]});
    }
    return result;
}

/// v_t = β v_{t−1} + (1 − β) y_t from v_0 = 0; corrected: v_t / (1 − βᵗ).
inline Points moving_average(const Points& series, double beta, bool corrected) {
    Points result;
    double v = 0, weight = 1;  // βᵗ
    for (const Point& p : series) {
        v = beta * v + (1 - beta) * p.y;
        weight *= beta;
        result.push_back({p.x, corrected ? v / (1 - weight) : v});
    }
    return result;
}

/// Shades from light to dark for up to three values of one setting.
inline constexpr const char* shades[] = {"one", "two", "three"};

inline std::vector<Series> shaded_legend(const std::string& what, const std::vector<double>& values) {
    std::vector<Series> series;
    for (std::size_t i = 0; i < values.size(); ++i)
        series.push_back({what + " = " + svg::number(values[i], 3), shades[i]});
    return series;
}

/// The whole series with a corrected average for each β.
inline std::string year_of_averages(const Points& series, const std::vector<double>& betas, double width) {
    svg::Plot plot({.width = width,
                    .height = width > 500 ? 340.0 : 300.0,
                    .x = {0, series.back().x, "day"},
                    .y = {-5, 35, "temperature (°C)"},
                    .description = "Daily temperatures and their moving averages"});
    plot.cloud(series, {"noise", width > 500 ? 4.0 : 3.0});
    for (std::size_t i = 0; i < betas.size(); ++i)
        plot.line(moving_average(series, betas[i], true), {shades[i], i == 0 ? 1.2 : 2.4});
    return plot.str();
}

/// The first days of one average, with and without correction.
inline std::string start_of_average(const Points& series, double beta, const std::string& color, int days) {
    const Points start(series.begin(), series.begin() + days);
    svg::Plot plot({.width = 420,
                    .height = 260,
                    .x = {0, static_cast<double>(days), "day"},
                    .y = {0, 30, "temperature (°C), β = " + svg::number(beta, 3)},
                    .description = "The first days of the average with and without correction"});
    plot.cloud(start, {"noise", 5});
    plot.line(moving_average(start, beta, false), {color, 2.2, "6 4"});
    plot.line(moving_average(start, beta, true), {color, 2.6});
    return plot.str();
}

inline void add_averages(Page& page, const Points& series, const std::vector<double>& betas, int first_days) {
    page.figure(legend(shaded_legend("β", betas)) +
                    across([&](double width) { return year_of_averages(series, betas, width); }),
                "Two years of made-up temperatures, and their moving averages with correction. A larger β is "
                "smoother and later: it averages over about 1 / (1 − β) days.");
    std::vector<std::string> starts;
    std::vector<Series> lines;
    for (std::size_t i = 1; i < betas.size(); ++i)
        starts.push_back(start_of_average(series, betas[i], shades[i], first_days));
    page.figure(legend({{"corrected", "ink"}, {"not corrected", "ink", -1, "6 4"}}) + grid(starts),
                "The first " + std::to_string(first_days) +
                    " days. Without correction the average starts at 0 and needs about 1 / (1 − β) days to "
                    "forget it; after that the two agree.");
}
