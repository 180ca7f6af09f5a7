// SPDX-License-Identifier: MIT
#pragma once

// Training with several processes. Not part of gradus.hpp. The processes of MPI are in gradus/distributed/mpi.hpp,
// which alone needs an MPI library.

#include "gradus/gradus.hpp"

#include "gradus/core/macros_aside.inc"

#include "gradus/distributed/broadcast.hpp"
#include "gradus/distributed/fit.hpp"
#include "gradus/distributed/reduce.hpp"
#include "gradus/distributed/shards.hpp"
#include "gradus/distributed/transport.hpp"
#include "gradus/distributed/world.hpp"

#include "gradus/core/macros_back.inc"
