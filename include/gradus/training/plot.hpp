// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "gradus/training/svg.hpp"

namespace gradus::training::svg {

/// One axis of a plot. A label carries its unit: "temperature (°C)".
struct Axis {
    double low = 0, high = 1;
    std::string label = {};
    bool log = false;
    std::vector<double> ticks = {};       // chosen if empty
    std::vector<std::string> names = {};  // of the ticks, instead of their numbers
    int most_ticks = 6;
};

/// 1, 2 or 5 times a power of ten, so that at most `most` of them fit.
[[gnu::cold]] inline double nice_step(double span, int most) {
    double step = std::pow(10.0, std::floor(std::log10(span / most)));
    for (const double factor : {1.0, 2.0, 5.0, 10.0})
        if (span / (factor * step) <= most) return factor * step;
    return 10 * step;
}

[[gnu::cold]] inline std::vector<double> ticks_of(const Axis& axis) {
    if (!axis.ticks.empty()) return axis.ticks;
    std::vector<double> ticks;
    if (axis.log) {
        const double first = std::ceil(std::log10(axis.low) - 1e-9), last = std::log10(axis.high) + 1e-9;
        const double step = std::max(1.0, std::ceil((last - first) / axis.most_ticks));
        for (double e = first; e <= last; e += step) ticks.push_back(std::pow(10.0, e));
    } else {
        const double step = nice_step(axis.high - axis.low, axis.most_ticks);
        for (double k = std::ceil(axis.low / step - 1e-9); k * step <= axis.high + 1e-9 * step; ++k)
            ticks.push_back(k * step);
    }
    return ticks;
}

[[gnu::cold]] inline std::string tick_name(const Axis& axis, std::size_t i, double value) {
    if (i < axis.names.size()) return axis.names[i];
    const double exponent = std::log10(std::abs(value));
    if (axis.log && (exponent < -2.5 || exponent > 3.5) && std::abs(exponent - std::round(exponent)) < 1e-9)
        return power_of_ten(static_cast<int>(std::lround(exponent)));
    return readable(value, 3);
}

struct PlotOptions {
    double width = 420, height = 280;
    Axis x = {}, y = {};
    std::string description = {};
    double font = 13;    // the largest size that the style sheet gives to text, in user units
    bool equal = false;  // one unit is as long on both axes: height follows from width
    std::string name = "plot";
};

/// Axes, and what is drawn between them in the units of the data.
class Plot {
public:
    [[gnu::cold]] explicit Plot(PlotOptions options) : o_(std::move(options)) {
        std::size_t longest = 1;
        const std::vector<double> ticks = ticks_of(o_.y);
        for (std::size_t i = 0; i < ticks.size(); ++i)
            longest = std::max(longest, letters(tick_name(o_.y, i, ticks[i])));
        left_ = 10 + 0.62 * o_.font * static_cast<double>(longest);
        top_ = o_.y.label.empty() ? 10 : 2.1 * o_.font;
        bottom_ = (o_.x.label.empty() ? 1.9 : 3.2) * o_.font;
        if (o_.equal)
            o_.height = top_ + bottom_ + inner_width() * (o_.y.high - o_.y.low) / (o_.x.high - o_.x.low);
    }

    double inner_width() const { return o_.width - left_ - right_; }
    double inner_height() const { return o_.height - top_ - bottom_; }
    double height() const { return o_.height; }

    /// Where a point of the data lies between the axes, in user units.
    Point at(Point p) const {
        return {inner_width() * share(o_.x, p.x), inner_height() * (1 - share(o_.y, p.y))};
    }
    [[gnu::cold]] Points at(const Points& points) const {
        Points result;
        for (const Point& p : points) result.push_back(at(p));
        return result;
    }

    /// A line through the data, broken where a value is not finite (or not positive on a logarithmic axis).
    [[gnu::cold]] void line(const Points& points, const Style& style = {}) {
        Points run;
        for (const Point& p : points) {
            const Point q = at(p);
            if (std::isfinite(q.x) && std::isfinite(q.y)) {
                run.push_back({q.x, std::clamp(q.y, -1000.0, 2000.0)});
            } else if (!run.empty()) {
                inside_ += svg::line(run, style);
                run.clear();
            }
        }
        if (!run.empty()) inside_ += svg::line(run, style);
    }

    /// The area between the data and a horizontal line.
    [[gnu::cold]] void area(const Points& points, double base, const Style& style) {
        Points outline = at(points);
        outline.push_back(at({points.back().x, base}));
        outline.push_back(at({points.front().x, base}));
        inside_ += text_of({"<path d=\"", through(simplified(outline)), "Z\" class=\"fill c-", style.color,
                            "\" opacity=\"", number(style.opacity, 2), "\"/>"});
    }

    [[gnu::cold]] void dots(const Points& points, const Style& style, int shape = 0) {
        std::string all;
        for (const Point& p : points)
            if (const Point q = at(p); std::isfinite(q.x) && std::isfinite(q.y))
                all += text_of({"<g transform=\"translate(", number(q.x), " ", number(q.y), ")\">",
                                marker(shape, style.width), "</g>"});
        over_ += text_of({"<g class=\"mark c-", style.color, "\" opacity=\"", number(style.opacity, 2), "\">",
                          all, "</g>"});
    }

    /// A cloud of equal dots: one path, since there may be many.
    [[gnu::cold]] void cloud(const Points& points, const Style& style) {
        std::string d;
        for (const Point& p : points) d += text_of({"M", number(at(p).x), " ", number(at(p).y), "h0"});
        inside_ +=
            text_of({"<path fill=\"none\" stroke-linecap=\"round\" d=\"", d, "\" ", attributes(style), "/>"});
    }

    [[gnu::cold]] void vertical(double x, const Style& style = {"soft", 1, "3 3"}) {
        inside_ += segment({at({x, o_.y.low}).x, 0}, {at({x, o_.y.low}).x, inner_height()}, style);
    }
    [[gnu::cold]] void horizontal(double y, const Style& style = {"soft", 1, "3 3"}) {
        const double height = at({o_.x.low, y}).y;
        inside_ += segment({0, height}, {inner_width(), height}, style);
    }

    /// Words beside a point of the data, shifted by `by` user units.
    [[gnu::cold]] void note(Point p, const std::string& words, Point by = {0, 0},
                            const char* anchor = "start", const std::string& color = "ink") {
        const Point q = at(p);
        over_ += text({q.x + by.x, q.y + by.y}, words, anchor, text_of({"note c-", color}));
    }

    /// Shapes in the frame's own user units, cut off at its border.
    void inside(const std::string& shapes) { inside_ += shapes; }
    /// The same, not cut off.
    void over(const std::string& shapes) { over_ += shapes; }

    [[gnu::cold]] std::string str() const {
        const std::string width = number(inner_width()), height = number(inner_height());
        return drawing(o_.width, o_.height, o_.description,
                       text_of({grid(), "<svg class=\"inside\" x=\"", number(left_), "\" y=\"", number(top_),
                                "\" width=\"", width, "\" height=\"", height, "\">", inside_,
                                "</svg><g transform=\"translate(", number(left_), " ", number(top_), ")\">",
                                over_, "</g>"}),
                       o_.name);
    }

private:
    static double share(const Axis& axis, double value) {
        if (axis.log) return std::log(value / axis.low) / std::log(axis.high / axis.low);
        return (value - axis.low) / (axis.high - axis.low);
    }

    static std::size_t letters(const std::string& text) {  // not bytes: continuation bytes do not count
        return static_cast<std::size_t>(
            std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
    }

    [[gnu::cold]] std::string grid() const {
        std::string lines, words;
        const double bottom = top_ + inner_height(), right = left_ + inner_width();
        const std::vector<double> xs = ticks_of(o_.x), ys = ticks_of(o_.y);
        for (std::size_t i = 0; i < ys.size(); ++i) {
            const double y = top_ + at({o_.x.low, ys[i]}).y;
            lines += text_of({"M", number(left_), " ", number(y), "H", number(right)});
            words += text({left_ - 6, y + 0.35 * o_.font}, tick_name(o_.y, i, ys[i]), "end");
        }
        for (std::size_t i = 0; i < xs.size(); ++i) {
            const double x = left_ + at({xs[i], o_.y.low}).x;
            lines += text_of({"M", number(x), " ", number(bottom), "v4"});
            words += text({x, bottom + 1.4 * o_.font}, tick_name(o_.x, i, xs[i]),
                          x > o_.width - 1.2 * o_.font ? "end" : "middle");
        }
        words += text({left_ - 6, 0.95 * o_.font}, o_.y.label, "start", "label");
        words += text({right, o_.height - 0.35 * o_.font}, o_.x.label, "end", "label");
        return text_of({"<path class=\"grid\" d=\"", lines, "\"/><path class=\"axis\" d=\"M", number(left_),
                        " ", number(bottom), "H", number(right), "\"/>", words});
    }

    PlotOptions o_;
    double left_ = 0, right_ = 14, top_ = 0, bottom_ = 0;
    std::string inside_, over_;
};

}  // namespace gradus::training::svg
