// SPDX-License-Identifier: MIT
#pragma once

#ifdef _OPENMP
#include <omp.h>

#include <atomic>

// Whether loops run on a team of threads at all, where other programs keep the processors busy. A thread of
// the team may then not get to run for milliseconds, and a loop cannot end before it has.
//
// So core/parallel.hpp reports each loop: seconds from its beginning to its end, and how many of them the
// calling thread worked rather than waited for others. After a loop that waited longer than it worked, and
// more than 200 µs, loops run serially for twice as long as it waited, since that may have been chance (a
// thread that had to be started, say). If it happens again within a second of that time, they do for 20 times
// as long: about a twentieth of the time is then lost to waiting. Results do not depend on any of it.

namespace gradus::detail {

class Contention {
public:
    /// Whether the calling thread runs its loops alone at present.
    bool serial() const { return serial_until() > 0 && omp_get_wtime() < serial_until(); }

    /// A loop on several threads has ended at time `now`, which took `spent` seconds; the calling thread
    /// worked for `worked` of them.
    void report(double now, double spent, double worked) {
        const double waited = spent - worked;
        if (waited <= 200e-6 || waited <= worked) return;
        const bool again = now < serial_until() + 1;
        serial_until_.store(now + (again ? 20 : 2) * waited, std::memory_order_relaxed);
    }

    /// Time until which loops run serially; 0 if they never did.
    double serial_until() const { return serial_until_.load(std::memory_order_relaxed); }

    /// That of the program.
    static Contention& here() {
        static Contention contention;
        return contention;
    }

private:
    std::atomic<double> serial_until_{0};
};

}  // namespace gradus::detail
#endif
