// SPDX-License-Identifier: MIT
#include "gradus/optim/plateau.hpp"

#include "optim/schedules.hpp"

using namespace gradus;
using optim::Mode, optim::ReduceOnPlateau, optim::ReduceOnPlateauOptions, optim::ThresholdMode;

namespace {

const std::vector<double> metrics = {1.0, 0.9, 0.95, 0.89995, 0.92, 0.91, 0.5, 0.6, 0.6, 0.6,
                                     0.6, 0.6, 0.6,  0.49,    0.7,  0.7,  0.7, 0.7, 0.7};
const double NaN = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();

void check_plateau(const ReduceOnPlateauOptions& options, const std::vector<double>& rates) {
    ReduceOnPlateau plateau(options);
    REQUIRE(rates.size() == metrics.size());
    for (std::size_t i = 0; i < rates.size(); ++i) {
        const double lr = plateau(options.mode == Mode::max ? 1.5 - metrics[i] : metrics[i]);
        check_close(static_cast<Index>(i), lr, rates[i]);
        CHECK(plateau.lr() == lr);
    }
}

}  // namespace

// Printed by tests/reference/schedules.py with PyTorch 1.13.
TEST_CASE("plateau: reduces when PyTorch does") {
    check_plateau({.lr = 0.1, .patience = 2}, {0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.01, 0.001, 0.001,
                                               0.001, 0.0001, 0.0001, 0.0001, 0.0001, 1e-05, 1e-05, 1e-05});
    check_plateau({.lr = 0.1, .factor = 0.5, .patience = 1, .cooldown = 2},
                  {0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.025, 0.0125, 0.0125,
                   0.0125, 0.0125, 0.00625, 0.00625, 0.00625});
    check_plateau({.lr = 0.1, .patience = 0, .min_lr = 0.02},
                  {0.1, 0.1, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02,
                   0.02, 0.02, 0.02, 0.02});
    check_plateau({.lr = 0.1, .patience = 1, .threshold = 0.05, .threshold_mode = ThresholdMode::abs},
                  {0.1, 0.1, 0.1, 0.01, 0.01, 0.001, 0.001, 0.001, 0.0001, 0.0001, 1e-05, 1e-05, 1e-06, 1e-06,
                   1e-07, 1e-07, 1.000000000000001e-08, 1.000000000000001e-08, 1.000000000000001e-08});
    check_plateau({.lr = 0.1, .mode = Mode::max, .factor = 0.25, .patience = 3},
                  {0.1, 0.1, 0.1, 0.1, 0.1, 0.025, 0.025, 0.025, 0.025, 0.025, 0.00625, 0.00625, 0.00625,
                   0.00625, 0.00625, 0.00625, 0.00625, 0.0015625, 0.0015625});
    check_plateau(
        {.lr = 0.1, .mode = Mode::max, .patience = 3, .threshold = 0.1, .threshold_mode = ThresholdMode::abs},
        {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.001, 0.001, 0.001, 0.001,
         0.0001});
    check_plateau({.lr = 0.1, .factor = 0.5, .patience = 0, .eps = 0.02},
                  {0.1, 0.1, 0.05, 0.025, 0.025, 0.025, 0.025, 0.025, 0.025, 0.025, 0.025, 0.025, 0.025,
                   0.025, 0.025, 0.025, 0.025, 0.025, 0.025});
}

TEST_CASE("plateau: the defaults wait for ten epochs") {
    ReduceOnPlateau plateau({.lr = 1});
    CHECK(plateau.lr() == 1);
    CHECK(plateau.best() == inf);
    CHECK(ReduceOnPlateau({.lr = 1, .mode = Mode::max}).best() == -inf);
    plateau(5);
    CHECK(plateau.best() == 5);
    for (int i = 0; i < 10; ++i) CHECK(plateau(5) == 1);
    CHECK(plateau(5) == 0.1);
}

TEST_CASE("plateau: NaN is no improvement") {
    ReduceOnPlateau plateau({.lr = 1, .patience = 1});
    CHECK(plateau(NaN) == 1);
    CHECK(plateau(NaN) == 0.1);
    CHECK(plateau.best() == inf);
    CHECK(plateau(2) == 0.1);
    CHECK(plateau.best() == 2);
}

TEST_CASE("plateau: a relative threshold is a share of the size of the best metric, whatever its sign") {
    const auto rates = [](const ReduceOnPlateauOptions& options, const std::vector<double>& seen) {
        ReduceOnPlateau plateau(options);
        std::vector<double> result;
        for (const double metric : seen) result.push_back(plateau(metric));
        return result;
    };
    const std::vector<double> same(8, -1.0), waits = {1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01};
    for (const Mode mode : {Mode::min, Mode::max})
        for (const double threshold : {0.0, 1e-4, 0.5, 1.0, 2.0}) {
            INFO(threshold);
            const auto got = rates({.lr = 1, .mode = mode, .patience = 2, .threshold = threshold}, same);
            for (std::size_t i = 0; i < waits.size(); ++i)
                check_close(static_cast<Index>(i), got[i], waits[i]);
        }
    // By a tenth of |best|: -1.05 is not better than -1, -1.2 is; for scores, -0.95 is not, -0.8 is.
    const ReduceOnPlateauOptions loss{.lr = 1, .patience = 0, .threshold = 0.1};
    CHECK(rates(loss, {-1, -1.05}).back() == 0.1);
    CHECK(rates(loss, {-1, -1.2}).back() == 1);
    CHECK(rates(loss, {1, 0.95}).back() == 0.1);
    CHECK(rates(loss, {1, 0.8}).back() == 1);
    CHECK(rates(loss, {0, -1e-300}).back() == 1);
    const ReduceOnPlateauOptions score{.lr = 1, .mode = Mode::max, .patience = 0, .threshold = 0.1};
    CHECK(rates(score, {-1, -0.95}).back() == 0.1);
    CHECK(rates(score, {-1, -0.8}).back() == 1);
    CHECK(rates(score, {1, 1.05}).back() == 0.1);
    CHECK(rates(score, {1, 1.2}).back() == 1);
    CHECK(rates(score, {-1, 1e-300}).back() == 1);
    // With a threshold of 1 a positive loss cannot become better by as much as itself, a negative one can.
    CHECK(rates({.lr = 1, .patience = 0, .threshold = 1}, {-1, -2.5}).back() == 1);
    CHECK(rates({.lr = 1, .patience = 0, .threshold = 1}, {1, 0.5}).back() == 0.1);
    CHECK(rates({.lr = 1, .patience = 0, .threshold = 1}, {1, -0.5}).back() == 1);
    // Infinities.
    CHECK(rates({.lr = 1, .patience = 0}, {inf}).back() == 0.1);
    CHECK(rates({.lr = 1, .patience = 0}, {-inf}).back() == 1);
    CHECK(rates({.lr = 1, .patience = 0}, {-inf, -inf}).back() == 0.1);
}

TEST_CASE("plateau: refuses states that cannot be") {
    ReduceOnPlateau plateau({.lr = 0.5});
    const std::string name = "reduce_on_plateau: load_state: ";
    const Index most = std::numeric_limits<Index>::max();
    CHECK_REFUSES(plateau.load_state({0, 1, 0, 0}), name + "lr must be finite and > 0: got 0");
    CHECK_REFUSES(plateau.load_state({NaN, 1, 0, 0}), name + "lr must be finite and > 0: got nan");
    CHECK_REFUSES(plateau.load_state({1, NaN, 0, 0}), name + "the best metric is not a number: got nan");
    CHECK_REFUSES(plateau.load_state({1, 1, most, 0}),
                  name + "epochs must be from 0 to 2^53: got 9223372036854775807");
    CHECK_REFUSES(plateau.load_state({1, 1, 0, -1}), name + "epochs must be from 0 to 2^53: got -1");
    CHECK(plateau.lr() == 0.5);  // nothing was changed
}

TEST_CASE("plateau: a copy goes on by itself, and so does a saved state") {
    const ReduceOnPlateauOptions options{.lr = 0.1, .patience = 2, .cooldown = 1};
    for (std::size_t saved_at = 0; saved_at < metrics.size(); ++saved_at) {
        ReduceOnPlateau plateau(options);
        for (std::size_t i = 0; i < saved_at; ++i) plateau(metrics[i]);
        ReduceOnPlateau copy = plateau, resumed(options);
        resumed.load_state(plateau.state());
        for (std::size_t i = saved_at; i < metrics.size(); ++i) {
            const double lr = plateau(metrics[i]);
            CHECK(copy(metrics[i]) == lr);
            CHECK(resumed(metrics[i]) == lr);
        }
    }
}

TEST_CASE("plateau: refusals") {
    const std::string name = "reduce_on_plateau: ";
    for (const double lr : {0.0, -1.0, NaN, inf})
        CHECK_REFUSES(ReduceOnPlateau({.lr = lr}),
                      name + "lr must be finite and > 0: got " + gradus::detail::number_text(lr));
    for (const double factor : {0.0, 1.0, NaN})
        CHECK_REFUSES(ReduceOnPlateau({.lr = 1, .factor = factor}),
                      name + "factor must be between 0 and 1: got " + gradus::detail::number_text(factor));
    CHECK_REFUSES(ReduceOnPlateau({.lr = 1, .patience = -1}),
                  name + "patience and cooldown must not be negative: got -1");
    CHECK_REFUSES(ReduceOnPlateau({.lr = 1, .cooldown = -2}),
                  name + "patience and cooldown must not be negative: got -2");
    CHECK_REFUSES(ReduceOnPlateau({.lr = 1, .threshold = inf}),
                  name + "threshold, min_lr and eps must be finite and not negative: got inf");
    CHECK_REFUSES(ReduceOnPlateau({.lr = 1, .min_lr = -1}),
                  name + "threshold, min_lr and eps must be finite and not negative: got -1");
    CHECK_REFUSES(ReduceOnPlateau({.lr = 1, .eps = NaN}),
                  name + "threshold, min_lr and eps must be finite and not negative: got nan");
}
