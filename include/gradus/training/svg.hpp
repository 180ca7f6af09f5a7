// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "gradus/core/error.hpp"
#include "gradus/core/utf8.hpp"
#include "gradus/training/history.hpp"

/// Text and shapes of an SVG drawing, written as strings.
namespace gradus::training::svg {

using gradus::detail::text_of;

struct Point {
    double x = 0, y = 0;
};
using Points = std::vector<Point>;

inline Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
inline double length(Point a) { return std::hypot(a.x, a.y); }

/// A number with at most `decimals` decimals, as short as it can be written, in every locale.
[[gnu::cold]] inline std::string number(double x, int decimals = 1) {
    std::string result = gradus::detail::csv_number(x, decimals);
    if (result.find('.') != std::string::npos) {
        result.erase(result.find_last_not_of('0') + 1);
        if (result.back() == '.') result.pop_back();
    }
    return result == "-0" ? "0" : result;
}

/// "10⁻³"
[[gnu::cold]] inline std::string power_of_ten(int exponent) {
    static constexpr const char* digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
    std::string result = exponent < 0 ? "10⁻" : "10";
    for (const char c : std::to_string(std::abs(exponent))) result += digits[c - '0'];
    return result;
}

/// A number for people: `digits` significant digits, as a power of ten if it is very small or large.
[[gnu::cold]] inline std::string readable(double x, int digits = 2) {
    if (!std::isfinite(x)) return std::isnan(x) ? "undefined" : x > 0 ? "∞" : "−∞";
    if (x < 0) return text_of({"−", readable(-x, digits)});
    if (x == 0) return "0";
    int exponent = static_cast<int>(std::floor(std::log10(x) + 1e-9));
    if (exponent >= -3 && exponent < 5) return number(x, std::max(0, digits - 1 - exponent));
    // In two steps: 10⁻³²⁴ alone would be 0.
    std::string factor =
        number(x / std::pow(10.0, exponent / 2) / std::pow(10.0, exponent - exponent / 2), digits - 1);
    if (factor == "10") factor = "1", ++exponent;
    return factor == "1" ? power_of_ten(exponent) : text_of({factor, "·", power_of_ten(exponent)});
}

/// How many bytes the character takes that starts here; 0 if none does, or one that a page must not contain:
/// control characters, U+xxFFFE and U+xxFFFF.
[[gnu::cold]] inline std::size_t character_length(std::string_view text) {
    const std::size_t length = gradus::detail::utf8_length(text);
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    if (length == 1) return byte(0) >= 0x20 || byte(0) == '\t' || byte(0) == '\n' || byte(0) == '\r' ? 1 : 0;
    const bool ends_high = length >= 3 && byte(length - 2) == 0xbf && byte(length - 1) >= 0xbe;
    return ends_high && (byte(length - 3) & 0xf) == 0xf ? 0 : length;
}

/// Text as it stands between tags or in a quoted attribute, whatever bytes it is made of: those that are no
/// text become �.
[[gnu::cold]] inline std::string escape(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const std::size_t size = character_length(text);
        const std::string_view character = text.substr(0, size);
        result += size == 0           ? "�"
                  : character == "<"  ? "&lt;"
                  : character == ">"  ? "&gt;"
                  : character == "&"  ? "&amp;"
                  : character == "\"" ? "&quot;"
                                      : character;
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return result;
}

/// A color is a name that the style sheet gives a value for light and dark pages, "blue" say.
struct Style {
    std::string color = "ink";
    double width = 2;
    std::string dash = {};
    double opacity = 1;
};

[[gnu::cold]] inline std::string attributes(const Style& style) {
    std::string result =
        text_of({"class=\"c-", style.color, "\" stroke-width=\"", number(style.width, 2), "\""});
    if (!style.dash.empty()) result += text_of({" stroke-dasharray=\"", style.dash, "\""});
    if (style.opacity < 1) result += text_of({" opacity=\"", number(style.opacity, 2), "\""});
    return result;
}

/// Leaves out points that lie within `tolerance` of the line through their neighbors (Ramer 1972; Douglas &
/// Peucker 1973).
[[gnu::cold]] inline void keep_corners(const Points& points, std::size_t first, std::size_t last,
                                       double tolerance, std::vector<bool>& keep) {
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

[[gnu::cold]] inline Points simplified(const Points& points, double tolerance = 0.15) {
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
[[gnu::cold]] inline std::string through(const Points& points) {
    std::string d;
    for (const Point& p : points) d += text_of({d.empty() ? "M" : "L", number(p.x), " ", number(p.y)});
    return d;
}

/// A path element: an open line.
[[gnu::cold]] inline std::string line(const Points& points, const Style& style) {
    return text_of({"<path fill=\"none\" d=\"", through(simplified(points)), "\" ", attributes(style), "/>"});
}

[[gnu::cold]] inline std::string segment(Point from, Point to, const Style& style) {
    return text_of({"<path fill=\"none\" d=\"", through({from, to}), "\" ", attributes(style), "/>"});
}

[[gnu::cold]] inline std::string text(Point at, std::string_view words, std::string_view anchor = "start",
                                      std::string_view name = "") {
    const bool anchored = anchor != "start", named = !name.empty();
    return text_of({"<text x=\"", number(at.x), "\" y=\"", number(at.y), "\"",
                    anchored ? " text-anchor=\"" : "", anchored ? anchor : "", anchored ? "\"" : "",
                    named ? " class=\"" : "", name, named ? "\"" : "", ">", escape(words), "</text>"});
}

/// Shapes that tell series apart without color, around (0, 0).
[[gnu::cold]] inline std::string marker(int shape, double r) {
    const auto polygon = [&](int corners, double turn, double scale) {
        Points points;
        for (int i = 0; i < corners; ++i) {
            const double angle = (turn + i) * 2 * 3.14159265358979 / corners;
            points.push_back({scale * r * std::sin(angle), -scale * r * std::cos(angle)});
        }
        return text_of({"<path d=\"", through(points), "Z\"/>"});
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
            return text_of({"<circle r=\"", number(r), "\"/>"});
    }
}

/// A whole drawing of its own size in user units; it scales with the page. `description` is read aloud.
[[gnu::cold]] inline std::string drawing(double width, double height, std::string_view description,
                                         std::string_view shapes, std::string_view name = "plot") {
    return text_of({"<svg class=\"", name, "\" viewBox=\"0 0 ", number(width), " ", number(height),
                    "\" role=\"img\" aria-label=\"", escape(description), "\">", shapes, "</svg>\n"});
}

}  // namespace gradus::training::svg
