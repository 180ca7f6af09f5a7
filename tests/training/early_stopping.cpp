// SPDX-License-Identifier: MIT
#include "gradus/training/early_stopping.hpp"

#include <string>

#include "support/test.hpp"

using namespace gradus;

namespace {

const double NaN = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();

/// The epoch that stops; -1 if none does.
int stops_at(EarlyStopping stop, const std::vector<double>& metrics) {
    for (std::size_t i = 0; i < metrics.size(); ++i)
        if (stop(metrics[i])) return static_cast<int>(i);
    return -1;
}

}  // namespace

TEST_CASE("early_stopping: stops after `patience` epochs without a better metric") {
    CHECK(stops_at(EarlyStopping({.patience = 2}), {3, 2, 2, 2, 1}) == 3);
    CHECK(stops_at(EarlyStopping({.patience = 2}), {3, 2, 2, 1, 1}) == -1);
    CHECK(stops_at(EarlyStopping({.patience = 2}), {3, 2, 2, 1, 1, 1}) == 5);
    CHECK(stops_at(EarlyStopping({.patience = 1}), {3, 4}) == 1);
    CHECK(stops_at(EarlyStopping(), {1, 1, 1, 1, 1}) == -1);
    CHECK(stops_at(EarlyStopping(), {1, 1, 1, 1, 1, 1}) == 5);
}

TEST_CASE("early_stopping: min_delta has to be exceeded") {
    const EarlyStopping stop({.patience = 2, .min_delta = 0.5});
    CHECK(stops_at(stop, {3, 2.5, 2.25, 0}) == -1);
    CHECK(stops_at(stop, {3, 2.75, 2.5, 0}) == 2);
    CHECK(stops_at(EarlyStopping({.patience = 2, .min_delta = 0.5, .mode = optim::Mode::max}),
                   {1, 1.25, 1.5, 2}) == 2);
}

TEST_CASE("early_stopping: scores") {
    const EarlyStopping stop({.patience = 2, .mode = optim::Mode::max});
    CHECK(stop.best() == -inf);
    CHECK(stops_at(stop, {0.1, 0.2, 0.3}) == -1);
    CHECK(stops_at(stop, {0.3, 0.2, 0.3}) == 2);
}

TEST_CASE("early_stopping: remembers the best") {
    EarlyStopping stop({.patience = 3});
    CHECK(stop.best() == inf);
    CHECK(stop.best_epoch() == -1);
    CHECK_FALSE(stop.improved());
    stop(3);
    CHECK(stop.improved());
    stop(1);
    CHECK(stop.improved());
    stop(2);
    CHECK_FALSE(stop.improved());
    CHECK(stop.best() == 1);
    CHECK(stop.best_epoch() == 1);
}

TEST_CASE("early_stopping: NaN is no improvement") {
    CHECK(stops_at(EarlyStopping({.patience = 2}), {NaN, NaN}) == 1);
    EarlyStopping stop({.patience = 2});
    CHECK_FALSE(stop(NaN));
    CHECK_FALSE(stop.improved());
    CHECK_FALSE(stop(5));
    CHECK_FALSE(stop(NaN));
    CHECK(stop(NaN));
    CHECK(stop.best() == 5);
    CHECK(stop.best_epoch() == 1);
}

TEST_CASE("early_stopping: goes on from a saved state") {
    EarlyStopping stop({.patience = 3}), resumed({.patience = 3});
    for (const double metric : {3.0, 2.0, 2.5}) stop(metric);
    resumed.load_state(stop.state());
    CHECK(resumed.best_epoch() == 1);
    CHECK_FALSE(resumed(2.5));
    CHECK(resumed(2.5));
}

TEST_CASE("early_stopping: negative metrics") {
    for (const optim::Mode mode : {optim::Mode::min, optim::Mode::max}) {
        CHECK(stops_at(EarlyStopping({.patience = 2, .mode = mode}), {-1, -1, -1, -1}) == 2);
        CHECK(stops_at(EarlyStopping({.patience = 2, .min_delta = 0.5, .mode = mode}),
                       {-1, -1.4, -0.6, -1}) == 2);
    }
}

TEST_CASE("early_stopping: refuses states that cannot be") {
    EarlyStopping stop;
    const Index most = std::numeric_limits<Index>::max();
    const std::string name = "early_stopping: load_state: ";
    CHECK_THROWS_MATCHES(stop.load_state({NaN, -1, 0}), ValueError,
                         Message(name + "the best metric is not a number: got nan"));
    CHECK_THROWS_MATCHES(stop.load_state({1, 0, most}), ValueError,
                         Message(name + "epochs must be from 0 to 2^53: got 9223372036854775807"));
    for (const Index best : {Index{-2}, Index{3}, most, std::numeric_limits<Index>::min()})
        CHECK_THROWS_MATCHES(stop.load_state({1, best, 3}), ValueError,
                             Message(name + "the best epoch must be one of the epochs: got " +
                                     std::to_string(best) + " and 3"));
    CHECK(stop.state().epochs == 0);
}

TEST_CASE("early_stopping: refusals") {
    CHECK_THROWS_MATCHES(EarlyStopping({.patience = 0}), ValueError,
                         Message("early_stopping: patience must be at least 1: got 0"));
    for (const double delta : {-1.0, NaN, inf})
        CHECK_THROWS_MATCHES(EarlyStopping({.min_delta = delta}), ValueError,
                             Message("early_stopping: min_delta must be finite and not negative: got " +
                                     gradus::detail::number_text(delta)));
}
