// SPDX-License-Identifier: MIT
#include "gradus/core/contention.hpp"

#include "support/test.hpp"

#ifdef _OPENMP
using gradus::detail::Contention;

TEST_CASE("contention: loops that work longer than they wait go on as they are", "[core][parallel]") {
    Contention contention;
    contention.report(100, 0.010, 0.006);
    contention.report(100, 0.010, 0.005);
    contention.report(100, 150e-6, 0);  // too short to tell
    CHECK_FALSE(contention.serial());
    CHECK(contention.serial_until() == 0);
}

TEST_CASE("contention: a loop that waited is followed by loops on one thread, for longer if it repeats",
          "[core][parallel]") {
    Contention contention;
    const double waited = 0.008;
    const auto pause_after = [&](double now) {
        contention.report(now, 0.010, 0.010 - waited);
        return contention.serial_until() - now;
    };
    const double once = pause_after(100);
    CHECK(once > waited);
    CHECK(pause_after(100 + once) > 5 * once);  // the next loop on several threads waits again
    CHECK(pause_after(200) == Approx(once));    // long after: chance again
}

TEST_CASE("contention: the pause ends", "[core][parallel]") {
    Contention contention;
    contention.report(omp_get_wtime(), 100, 0);
    CHECK(contention.serial());
    Contention past;
    past.report(omp_get_wtime() - 1000, 100, 0);
    CHECK_FALSE(past.serial());
}
#endif
