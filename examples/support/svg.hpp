// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

/// Text and shapes of an SVG drawing, written as strings.
namespace svg {

struct Point {
    double x = 0, y = 0;
};
using Points = std::vector<Point>;

inline Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
inline double length(Point a) { return std::hypot(a.x, a.y); }

/// A number with at most `decimals` decimals, as short as it can be written, in every locale.
inline std::string number(double x, int decimals = 1) {
    char text[400];
    const auto end = std::to_chars(text, text + sizeof text, x, std::chars_format::fixed, decimals);
    std::string result(text, end.ptr);
    if (result.find('.') != std::string::npos) {
        result.erase(result.find_last_not_of('0') + 1);
        if (result.back() == '.') result.pop_back();
    }
    return result == "-0" ? "0" : result;
}

/// "10⁻³"
inline std::string power_of_ten(int exponent) {
    static constexpr const char* digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    std::string result = exponent < 0 ? "10⁻" : "10";
    for (const char c : std::to_string(std::abs(exponent))) result += digits[c - '0'];
    return result;
}

/// A number for people: `digits` significant digits, as a power of ten if it is very small or large.
inline std::string readable(double x, int digits = 2) {
    if (!std::isfinite(x)) return std::isnan(x) ? "undefined" : x > 0 ? "∞" : "−∞";
    if (x < 0) return "−" + readable(-x, digits);
    if (x == 0) return "0";
    int exponent = static_cast<int>(std::floor(std::log10(x) + 1e-9));
    if (exponent >= -3 && exponent < 5) return number(x, std::max(0, digits - 1 - exponent));
    std::string factor = number(x / std::pow(10.0, exponent), digits - 1);
    if (factor == "10") factor = "1", ++exponent;
    return factor == "1" ? power_of_ten(exponent) : factor + "·" + power_of_ten(exponent);
}

inline std::string escape(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '<')
            result += "&lt;";
        else if (c == '>')
            result += "&gt;";
        else if (c == '&')
            result += "&amp;";
        else if (c == '"')
            result += "&quot;";
        else
            result += c;
    }
    return result;
}

/// A color is a name that the style sheet gives a value for light and dark pages, "adam" say.
struct Style {
    std::string color = "ink";
    double width = 2;
    std::string dash = {};
    double opacity = 1;
};

inline std::string attributes(const Style& style) {
    std::string result = "class=\"c-" + style.color + "\" stroke-width=\"" + number(style.width, 2) + "\"";
    if (!style.dash.empty()) result += " stroke-dasharray=\"" + style.dash + "\"";
    if (style.opacity < 1) result += " opacity=\"" + number(style.opacity, 2) + "\"";
    return result;
}

/// Leaves out points that lie within `tolerance` of the line through their neighbors (Ramer 1972; Douglas &
/// Peucker 1973).
inline void keep_corners(const Points& points, std::size_t first, std::size_t last, double tolerance,
                         std::vector<bool>& keep) {
    const Point a = points[first], along = points[last] - a;
    double farthest = tolerance;
    std::size_t corner = first;
    for (std::size_t i = first + 1; i < last; ++i) {
        const Point p = points[i] - a;
        const double distance =
            length(along) == 0 ? length(p) : std::abs(along.x * p.y - along.y * p.x) / length(along);
        if (distance > farthest) farthest = distance, corner = i;
    }
    if (corner == first) return;
    keep[corner] = true;
    keep_corners(points, first, corner, tolerance, keep);
    keep_corners(points, corner, last, tolerance, keep);
}

inline Points simplified(const Points& points, double tolerance = 0.15) {
    if (points.size() < 3) return points;
    std::vector<bool> keep(points.size(), false);
    keep.front() = keep.back() = true;
    keep_corners(points, 0, points.size() - 1, tolerance, keep);
    Points result;
    for (std::size_t i = 0; i < points.size(); ++i)
        if (keep[i]) result.push_back(points[i]);
    return result;
}

/// The `d` of a path through points.
inline std::string through(const Points& points) {
    std::string d;
    for (const Point& p : points)
        d.append(d.empty() ? "M" : "L").append(number(p.x)).append(" ").append(number(p.y));
    return d;
}

/// A path element: an open line.
inline std::string line(const Points& points, const Style& style) {
    return "<path fill=\"none\" d=\"" + through(simplified(points)) + "\" " + attributes(style) + "/>";
}

inline std::string segment(Point from, Point to, const Style& style) {
    return "<path fill=\"none\" d=\"" + through({from, to}) + "\" " + attributes(style) + "/>";
}

inline std::string text(Point at, std::string_view words, const char* anchor = "start",
                        const std::string& name = "") {
    return "<text x=\"" + number(at.x) + "\" y=\"" + number(at.y) + "\"" +
           (std::string_view(anchor) == "start" ? "" : " text-anchor=\"" + std::string(anchor) + "\"") +
           (name.empty() ? "" : " class=\"" + name + "\"") + ">" + escape(words) + "</text>";
}

/// Shapes that tell series apart without color, around (0, 0).
inline std::string marker(int shape, double r) {
    const auto polygon = [&](int corners, double turn, double scale) {
        Points points;
        for (int i = 0; i < corners; ++i) {
            const double angle = (turn + i) * 2 * 3.14159265358979 / corners;
            points.push_back({scale * r * std::sin(angle), -scale * r * std::cos(angle)});
        }
        return "<path d=\"" + through(points) + "Z\"/>";
    };
    switch (shape) {
        case 1:
            return polygon(4, 0.5, 1.25);  // square
        case 2:
            return polygon(4, 0, 1.35);  // diamond
        case 3:
            return polygon(3, 0, 1.4);  // triangle
        case 4:
            return polygon(6, 0, 1.2);  // hexagon
        default:
            return "<circle r=\"" + number(r) + "\"/>";
    }
}

/// A whole drawing of its own size in user units; it scales with the page. `description` is read aloud.
inline std::string drawing(double width, double height, std::string_view description,
                           const std::string& shapes, const std::string& name = "plot") {
    return "<svg class=\"" + name + "\" viewBox=\"0 0 " + number(width) + " " + number(height) +
           "\" role=\"img\" aria-label=\"" + escape(description) + "\">" + shapes + "</svg>\n";
}

}  // namespace svg
