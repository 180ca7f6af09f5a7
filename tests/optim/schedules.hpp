// SPDX-License-Identifier: MIT
#pragma once

// Comparing schedules with tables.

#include <cmath>
#include <limits>
#include <vector>

#include "gradus/core/error.hpp"
#include "gradus/core/shape.hpp"
#include "support/test.hpp"

#define CHECK_REFUSES(expression, text) \
    CHECK_THROWS_MATCHES(static_cast<void>(expression), gradus::ValueError, Message(text))

struct LrPoint {
    gradus::Index step;
    double lr;
    double momentum = 0;
};

/// The same number but for rounding, of which 1 may have some units in the last place.
inline void check_close(gradus::Index step, double got, double expected) {
    INFO("step " << step << ": got " << got << ", expected " << expected);
    CHECK(std::abs(got - expected) <= 1e-15 + 1e-14 * std::abs(expected));
}

template <class S>
void check_lrs(const S& schedule, const std::vector<LrPoint>& points) {
    for (const LrPoint& point : points) check_close(point.step, schedule(point.step), point.lr);
}

template <class S>
void check_lrs_and_momenta(const S& schedule, const std::vector<LrPoint>& points) {
    check_lrs(schedule, points);
    for (const LrPoint& point : points)
        check_close(point.step, schedule.momentum(point.step), point.momentum);
}
