// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/core/parallel.hpp"

/// Sets the number of threads for one scope.
class Threads {
public:
    explicit Threads(int count) : before_(gradus::num_threads()) { gradus::set_num_threads(count); }
    ~Threads() { gradus::set_num_threads(before_); }
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;

private:
    int before_;
};
