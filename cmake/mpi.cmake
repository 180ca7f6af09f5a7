# gradus::mpi, for gradus/distributed/mpi.hpp: gradus::gradus and the MPI library of the machine, if there is one.
if(TARGET gradus_mpi)
    return()
endif()
set(MPI_CXX_SKIP_MPICXX TRUE)  # the old C++ bindings
find_package(MPI QUIET COMPONENTS CXX)
if(MPI_CXX_FOUND)
    add_library(gradus_mpi INTERFACE)
    add_library(gradus::mpi ALIAS gradus_mpi)
    target_link_libraries(gradus_mpi INTERFACE gradus::gradus MPI::MPI_CXX)
endif()
