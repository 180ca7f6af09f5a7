// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <map>
#include <vector>

#include <gradus/core/tensor.hpp>

#include "page.hpp"

/// The outlines of the places where a function on a grid lies below a level, by marching squares (Lorensen &
/// Cline 1987 in two dimensions). values [rows, columns]; the result is in units of the grid, column 0 and
/// row 0 at 0. Around the grid the function is taken to be higher than any level, so every outline is closed;
/// what runs outside the grid is meant to be cut off by the frame.
class Contours {
public:
    explicit Contours(const gradus::Tensor<double>& values)
        : values_(values), rows_(values.size(0)), columns_(values.size(1)) {}

    std::vector<svg::Points> below(double level) const {
        // Every crossed edge ends one segment and starts another, with the low side on the left of both.
        std::map<gradus::Index, gradus::Index> next;
        for (gradus::Index row = -1; row < rows_; ++row)
            for (gradus::Index column = -1; column < columns_; ++column) add_cell(row, column, level, next);
        std::vector<svg::Points> outlines;
        while (!next.empty()) {
            svg::Points outline;
            for (auto edge = next.begin(); edge != next.end();) {
                outline.push_back(crossing(edge->first, level));
                const gradus::Index following = edge->second;
                next.erase(edge);
                edge = next.find(following);
            }
            outlines.push_back(outline);
        }
        return outlines;
    }

private:
    double value(gradus::Index row, gradus::Index column) const {
        if (row < 0 || column < 0 || row >= rows_ || column >= columns_) return 1e300;
        return values_.data()[row * columns_ + column];
    }

    /// An edge runs from its grid point to the right (even numbers) or down (odd ones).
    gradus::Index edge(gradus::Index row, gradus::Index column, bool down) const {
        return 2 * ((row + 1) * (columns_ + 2) + column + 1) + down;
    }

    svg::Point crossing(gradus::Index edge, double level) const {
        const bool down = edge % 2 != 0;
        const gradus::Index row = edge / 2 / (columns_ + 2) - 1, column = edge / 2 % (columns_ + 2) - 1;
        const double a = value(row, column), b = value(row + down, column + !down);
        const double share = std::clamp((level - a) / (b - a), 0.0, 1.0);
        const auto x = static_cast<double>(column), y = static_cast<double>(row);
        return down ? svg::Point{x, y + share} : svg::Point{x + share, y};
    }

    /// The corners clockwise from the upper left, and the side that follows each of them.
    void add_cell(gradus::Index row, gradus::Index column, double level,
                  std::map<gradus::Index, gradus::Index>& next) const {
        const double corner[] = {value(row, column), value(row, column + 1), value(row + 1, column + 1),
                                 value(row + 1, column)};
        const gradus::Index side[] = {edge(row, column, false), edge(row, column + 1, true),
                                      edge(row + 1, column, false), edge(row, column, true)};
        bool low[4];
        int enters[4], leaves[4],
            count = 0;  // sides where a walk around the cell enters or leaves the low part
        for (int i = 0; i < 4; ++i) low[i] = corner[i] < level;
        for (int i = 0; i < 4; ++i)
            if (!low[i] && low[(i + 1) % 4]) {
                int j = (i + 1) % 4;
                while (low[(j + 1) % 4]) j = (j + 1) % 4;
                enters[count] = i, leaves[count++] = j;
            }
        // Two low corners across: the middle of the cell says whether they are joined.
        const bool joined = count == 2 && corner[0] + corner[1] + corner[2] + corner[3] < 4 * level;
        for (int i = 0; i < count; ++i) next[side[leaves[joined ? (i + 1) % 2 : i]]] = side[enters[i]];
    }

    gradus::Tensor<double> values_;
    gradus::Index rows_, columns_;
};
