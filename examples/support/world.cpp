// SPDX-License-Identifier: MIT
// The one file of the examples that sees MPI.
#include "world.hpp"

#include <cstdlib>

#ifdef GRADUS_WITH_MPI
#include <gradus/distributed/mpi.hpp>
#endif

gradus::distributed::World started_world() {
    for (const char* size : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"})
        if (const char* const processes = std::getenv(size); processes && std::atoi(processes) > 1) {
#ifdef GRADUS_WITH_MPI
            return gradus::distributed::mpi_world();
#else
            throw gradus::ValueError(std::string(size) + ": " + processes +
                                     " processes were started, but CMake found no MPI when it built this");
#endif
        }
    return {};
}
