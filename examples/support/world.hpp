// SPDX-License-Identifier: MIT
#pragma once

#include <gradus/distributed/world.hpp>

/// The processes that mpirun started; this one alone if there are no others, or if the examples were built without MPI.
gradus::distributed::World started_world();
