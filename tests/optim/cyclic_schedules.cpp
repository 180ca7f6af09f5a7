// SPDX-License-Identifier: MIT
#include "gradus/optim/cyclic_schedules.hpp"

#include "optim/schedules.hpp"

using namespace gradus::optim::schedule;
using gradus::Index;
using gradus::ValueError;

// Tables were printed by tests/reference/schedules.py with PyTorch 1.13.

TEST_CASE("schedule: cosine_restarts") {
    check_lrs(cosine_restarts({.lr = 0.1, .period = 4}), {{0, 0.1},
                                                          {1, 0.08535533905932738},
                                                          {3, 0.01464466094067263},
                                                          {4, 0.1},
                                                          {5, 0.08535533905932738},
                                                          {11, 0.01464466094067263},
                                                          {12, 0.1}});
    const auto s = cosine_restarts({.lr = 0.1, .period = 3, .period_factor = 2, .min_lr = 0.01});
    check_lrs(s, {{0, 0.1},
                  {1, 0.0775},
                  {2, 0.03250000000000001},
                  {3, 0.1},
                  {4, 0.09397114317029975},
                  {8, 0.01602885682970026},
                  {9, 0.1},
                  {15, 0.05500000000000001},
                  {20, 0.01153333781699193},
                  {21, 0.1},
                  {44, 0.01038498123817853},
                  {45, 0.1}});
    CHECK(s(-1) == 0.1);
    CHECK(cosine_restarts({.lr = 0.1, .period = 1})(7) == 0.1);
    const double late = s(std::numeric_limits<Index>::max());
    CHECK((late >= 0.01 && late <= 0.1));
}

TEST_CASE("schedule: cyclic") {
    CyclicOptions options{
        .base_lr = 0.001, .max_lr = 0.1, .step_size_up = 4, .step_size_down = 6, .gamma = 0.97};
    check_lrs_and_momenta(cyclic(options), {{0, 0.001, 0.9},
                                            {1, 0.02575000000000002, 0.875},
                                            {4, 0.09999999999999998, 0.8},
                                            {5, 0.0835, 0.8166666666666667},
                                            {9, 0.01750000000000002, 0.8833333333333333},
                                            {10, 0.001, 0.9},
                                            {13, 0.07524999999999996, 0.8250000000000001},
                                            {14, 0.09999999999999998, 0.8},
                                            {17, 0.05049999999999998, 0.8500000000000001},
                                            {20, 0.001, 0.9},
                                            {24, 0.09999999999999998, 0.8},
                                            {31, 0.02574999999999992, 0.8750000000000001}});
    options.mode = CyclicMode::triangular2;
    check_lrs_and_momenta(cyclic(options), {{0, 0.001, 0.9},
                                            {1, 0.02575000000000002, 0.875},
                                            {4, 0.09999999999999998, 0.8},
                                            {5, 0.0835, 0.8166666666666667},
                                            {9, 0.01750000000000002, 0.8833333333333333},
                                            {10, 0.001, 0.9},
                                            {13, 0.03812499999999998, 0.8625},
                                            {14, 0.05049999999999999, 0.8500000000000001},
                                            {17, 0.02574999999999999, 0.875},
                                            {20, 0.001, 0.9},
                                            {24, 0.02575, 0.875},
                                            {31, 0.00409374999999999, 0.8968750000000001}});
    options.mode = CyclicMode::exp_range;
    check_lrs_and_momenta(cyclic(options), {{0, 0.001, 0.9},
                                            {1, 0.02500750000000002, 0.87575},
                                            {4, 0.08864398818999997, 0.8114707190000001},
                                            {5, 0.07184555712024999, 0.8284388311916667},
                                            {9, 0.01354381246780034, 0.8873294823557573},
                                            {10, 0.001, 0.9},
                                            {13, 0.05097226144479389, 0.849522968237582},
                                            {14, 0.06563079146860011, 0.8347163722539394},
                                            {17, 0.03049338917101083, 0.8702086978070598},
                                            {20, 0.001, 0.9},
                                            {24, 0.0486603049692606, 0.8518582778088277},
                                            {31, 0.01062717719804982, 0.8902755785878285}});
    CHECK(cyclic(options)(-1) == 0.001);
    CHECK(cyclic(options).momentum(-1) == 0.9);
    const auto even = cyclic({.base_lr = 0, .max_lr = 1, .step_size_up = 4});  // down as up
    check_lrs(even, {{0, 0}, {2, 0.5}, {4, 1}, {6, 0.5}, {8, 0}, {12, 1}});
    CHECK(cyclic({.max_lr = 1})(2000) == 1);
}

TEST_CASE("schedule: one_cycle") {
    check_lrs_and_momenta(one_cycle({.max_lr = 0.4, .total_steps = 25}),
                          {{0, 0.01600000000000001, 0.95},
                           {1, 0.03799244307458371, 0.9442728012826604},
                           {3, 0.184856957390978, 0.9060268340127661},
                           {6, 0.394420828945802, 0.8514529091286974},
                           {7, 0.3991948620196127, 0.850201285300238},
                           {10, 0.361803551661394, 0.8595491502812526},
                           {12, 0.3101797555728353, 0.8724551509273948},
                           {13, 0.2786054919107594, 0.8803487484173038},
                           {20, 0.04938710925645063, 0.9376535733001805},
                           {21, 0.02831172803866167, 0.9429224396800933},
                           {23, 0.003215669423944946, 0.9491964794299315},
                           {24, 1.6e-06, 0.95}});
    check_lrs_and_momenta(one_cycle({.max_lr = 0.4, .total_steps = 25, .anneal_strategy = Anneal::linear}),
                          {{0, 0.016, 0.95},
                           {1, 0.07507692307692308, 0.9346153846153846},
                           {3, 0.1932307692307693, 0.9038461538461539},
                           {6, 0.3704615384615385, 0.8576923076923076},
                           {7, 0.3885714742857143, 0.8528571428571429},
                           {10, 0.32000032, 0.87},
                           {12, 0.2742862171428572, 0.8814285714285715},
                           {13, 0.2514291657142858, 0.8871428571428571},
                           {20, 0.09142980571428572, 0.927142857142857},
                           {21, 0.06857275428571424, 0.9328571428571428},
                           {23, 0.02285865142857141, 0.9442857142857143},
                           {24, 1.599999999990498e-06, 0.95}});
    check_lrs_and_momenta(one_cycle({.max_lr = 0.4, .total_steps = 25, .three_phase = true}),
                          {{0, 0.01600000000000001, 0.95},
                           {1, 0.03799244307458371, 0.9442728012826604},
                           {3, 0.184856957390978, 0.9060268340127661},
                           {6, 0.394420828945802, 0.8514529091286974},
                           {7, 0.394420828945802, 0.8514529091286974},
                           {10, 0.184856957390978, 0.9060268340127661},
                           {12, 0.03799244307458371, 0.9442728012826604},
                           {13, 0.016, 0.95},
                           {20, 0.004677812227995311, 0.95},
                           {21, 0.002762438017024876, 0.95},
                           {23, 0.0003256238054629135, 0.95},
                           {24, 1.6e-06, 0.95}});
    check_lrs_and_momenta(one_cycle({.max_lr = 0.4,
                                     .total_steps = 25,
                                     .pct_start = 0.45,
                                     .anneal_strategy = Anneal::linear,
                                     .three_phase = true}),
                          {{0, 0.016, 0.95},
                           {1, 0.05346341463414635, 0.9402439024390243},
                           {3, 0.128390243902439, 0.9207317073170731},
                           {6, 0.240780487804878, 0.8914634146341464},
                           {7, 0.2782439024390244, 0.8817073170731707},
                           {10, 0.3906341463414634, 0.8524390243902439},
                           {12, 0.3344390243902439, 0.8670731707317073},
                           {13, 0.2969756097560976, 0.8768292682926829},
                           {20, 0.0347317073170732, 0.9451219512195121},
                           {21, 0.01371451428571429, 0.95},
                           {23, 0.004572571428571429, 0.95},
                           {24, 1.600000000000906e-06, 0.95}});
    check_lrs_and_momenta(one_cycle({.max_lr = 0.4,
                                     .total_steps = 25,
                                     .pct_start = 0.25,
                                     .div_factor = 10,
                                     .final_div_factor = 100,
                                     .base_momentum = 0.8,
                                     .max_momentum = 0.9}),
                          {{0, 0.03999999999999998, 0.9},
                           {1, 0.07127702062312091, 0.8913119387157997},
                           {3, 0.2600537681121366, 0.8388739533021843},
                           {6, 0.3984245173226327, 0.8003942649342761},
                           {7, 0.391472435606907, 0.8021340251233967},
                           {10, 0.3399927354345704, 0.8150168329743318},
                           {12, 0.2852707024547015, 0.8287110354217464},
                           {13, 0.2539301801589301, 0.8365540089692367},
                           {20, 0.04361804722629722, 0.889184672866292},
                           {21, 0.0251139253272361, 0.8938153340021932},
                           {23, 0.003197991793313127, 0.8992998018535253},
                           {24, 0.0004, 0.9}});
    check_lrs_and_momenta(one_cycle({.max_lr = 0.4, .total_steps = 25, .pct_start = 0}),
                          {{0, 0.3984229465711346, 0.8503942649342761},
                           {1, 0.3937166573591973, 0.8515708419435685},
                           {3, 0.3752614349634287, 0.8561846659978068},
                           {6, 0.3274850880105462, 0.8681288005125655},
                           {7, 0.3071657303343633, 0.8732086602510502},
                           {10, 0.2374769130120933, 0.8906309342707137},
                           {12, 0.1874427463265529, 0.9031395259764656},
                           {13, 0.1625246869879067, 0.9093690657292862},
                           {20, 0.02474016503657137, 0.9438153340021931},
                           {21, 0.01404624664353844, 0.9464888242944125},
                           {23, 0.001578653428865499, 0.9496057350657239},
                           {24, 1.6e-06, 0.95}});
    check_lrs_and_momenta(one_cycle({.max_lr = 0.4, .total_steps = 25, .pct_start = 1}),
                          {{0, 0.01600000000000001, 0.95},
                           {1, 0.01764258661622842, 0.9495722430686905},
                           {3, 0.03061512975783298, 0.9461939766255643},
                           {6, 0.07223549801218293, 0.9353553390593273},
                           {7, 0.09111780563032568, 0.930438071450436},
                           {10, 0.158306743340316, 0.9129409522551259},
                           {12, 0.208, 0.8999999999999999},
                           {13, 0.2330610289062499, 0.8934736903889974},
                           {20, 0.3742768775266123, 0.856698729810778},
                           {21, 0.3853848702421671, 0.8538060233744357},
                           {23, 0.3983574133837716, 0.8504277569313095},
                           {24, 0.4, 0.85}});
    check_lrs_and_momenta(one_cycle({.max_lr = 0.4, .total_steps = 1}), {{0, 1.6e-06, 0.95}});
}

TEST_CASE("schedule: one_cycle outside its steps keeps its ends") {
    const auto s = one_cycle({.max_lr = 0.4, .total_steps = 25});
    CHECK(s(-1) == s(0));
    CHECK(s(25) == s(24));
    CHECK(s(std::numeric_limits<Index>::max()) == s(24));
    CHECK(s.momentum(-1) == s.momentum(0));
    CHECK(s.momentum(25) == s.momentum(24));
    CHECK(one_cycle({.max_lr = 0.4, .total_steps = 4, .pct_start = 0.25})(0) == 0.4);  // up in no step at all
}

TEST_CASE("schedule: one_cycle of no steps stays at its last value") {
    const auto s = one_cycle({.max_lr = 1, .total_steps = 0, .div_factor = 4, .final_div_factor = 2});
    for (const gradus::Index step : {-1, 0, 1, 100}) {
        CHECK(s(step) == 0.125);
        CHECK(s.momentum(step) == 0.95);
    }
}

TEST_CASE("schedule: refusals of cycles") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_REFUSES(cosine_restarts({.period = 1}), "cosine_restarts: lr must be finite and > 0: got 0");
    CHECK_REFUSES(cosine_restarts({.lr = 1}), "cosine_restarts: period must be at least 1: got 0");
    CHECK_REFUSES(cosine_restarts({.lr = 1, .period = 1, .period_factor = 0}),
                  "cosine_restarts: period_factor must be at least 1: got 0");
    CHECK_REFUSES(cosine_restarts({.lr = 1, .period = 1, .min_lr = -1}),
                  "cosine_restarts: the lowest lr must be finite and >= 0: got -1");

    CHECK_REFUSES(cyclic({}), "cyclic: max_lr must be finite and > 0: got 0");
    CHECK_REFUSES(cyclic({.base_lr = 2, .max_lr = 1}), "cyclic: base_lr must be from 0 to max_lr: got 2");
    CHECK_REFUSES(cyclic({.base_lr = nan, .max_lr = 1}), "cyclic: base_lr must be from 0 to max_lr: got nan");
    CHECK_REFUSES(cyclic({.max_lr = 1, .step_size_up = 0}), "cyclic: step_size_up must be at least 1: got 0");
    CHECK_REFUSES(cyclic({.max_lr = 1, .step_size_down = -1}),
                  "cyclic: step_size_down must be at least 1 (or 0: as up): got -1");
    CHECK_REFUSES(cyclic({.max_lr = 1, .gamma = 0}), "cyclic: gamma must be finite and > 0: got 0");
    CHECK_REFUSES(cyclic({.max_lr = 1, .base_momentum = 1}),
                  "cyclic: momentum must be from 0 to below 1: got 1");
    CHECK_REFUSES(cyclic({.max_lr = 1, .max_momentum = -1}),
                  "cyclic: momentum must be from 0 to below 1: got -1");

    CHECK_REFUSES(one_cycle({.total_steps = 1}), "one_cycle: max_lr must be finite and > 0: got 0");
    CHECK_REFUSES(one_cycle({.max_lr = 1, .total_steps = -1}),
                  "one_cycle: total_steps must not be negative: got -1");
    const gradus::Index most = std::numeric_limits<gradus::Index>::max();
    const std::string sum = "cyclic: step_size_up and step_size_down are too large to be added up: got ";
    CHECK_REFUSES(cyclic({.max_lr = 1, .step_size_up = most}), sum + "9223372036854775807");
    CHECK_REFUSES(cyclic({.max_lr = 1, .step_size_up = 1, .step_size_down = most}), sum + "1");
    CHECK_REFUSES(cyclic({.max_lr = 1, .step_size_up = most / 2 + 1}), sum + "4611686018427387904");
    CHECK(cyclic({.max_lr = 1, .step_size_up = most - 1, .step_size_down = 1})(most - 1) == 1);
    CHECK(cyclic({.max_lr = 1, .step_size_up = most / 2})(most / 2) == 1);
    for (const double share : {-0.5, 1.5})
        CHECK_REFUSES(one_cycle({.max_lr = 1, .total_steps = 1, .pct_start = share}),
                      "one_cycle: pct_start must be from 0 to 1: got " + gradus::detail::number_text(share));
    CHECK_REFUSES(one_cycle({.max_lr = 1, .total_steps = 1, .div_factor = 0}),
                  "one_cycle: div_factor and final_div_factor must be finite and > 0: got 0");
    CHECK_REFUSES(one_cycle({.max_lr = 1, .total_steps = 1, .final_div_factor = nan}),
                  "one_cycle: div_factor and final_div_factor must be finite and > 0: got nan");
    CHECK_REFUSES(one_cycle({.max_lr = 1, .total_steps = 1, .base_momentum = -0.5}),
                  "one_cycle: momentum must be from 0 to below 1: got -0.5");
    CHECK_REFUSES(one_cycle({.max_lr = 1, .total_steps = 1, .max_momentum = 1}),
                  "one_cycle: momentum must be from 0 to below 1: got 1");
}
