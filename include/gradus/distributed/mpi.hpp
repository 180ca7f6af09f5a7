// SPDX-License-Identifier: MIT
#pragma once

#define OMPI_SKIP_MPICXX 1  // the old C++ bindings, which this does not use
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#ifdef __unix__
#include <unistd.h>
#endif

#include "gradus/core/parallel.hpp"
#include "gradus/distributed/world.hpp"

// The processes that mpirun starts. The one header that needs an MPI library: link gradus::mpi.

namespace gradus::distributed {
namespace detail {

[[gnu::cold]] inline void check_mpi(int code, const char* what) {
    if (code == MPI_SUCCESS) return;
    char text[MPI_MAX_ERROR_STRING] = {};
    int length = 0;
    MPI_Error_string(code, text, &length);
    gradus::detail::raise<DistributedError>(
        {"mpi: ", what, ": ", std::string_view(text, static_cast<std::size_t>(length))});
}

class MpiTransport final : public Transport {
public:
    [[gnu::cold]] MpiTransport() {
        int initialized = 0, finalized = 0;
        MPI_Initialized(&initialized);
        MPI_Finalized(&finalized);
        if (finalized)
            gradus::detail::raise<DistributedError>(
                "mpi_world",
                "MPI was finalized: make the world once, and keep a copy as long as it is needed");
        if (!initialized) {
            int provided = 0;
            check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "init");
            owns_mpi_ = true;
        }
        check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &everyone_), "dup");  // apart from messages of the program
        MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
        MPI_Comm_set_errhandler(everyone_, MPI_ERRORS_RETURN);
        check_mpi(MPI_Comm_rank(everyone_, &rank_), "rank");
        check_mpi(MPI_Comm_size(everyone_, &size_), "size");
    }

    int rank() const override { return rank_; }
    int size() const override { return size_; }

    Request send(int to, std::span<const std::byte> bytes) override {
        const Request at = free_slot();
        check_mpi(
            MPI_Isend(bytes.data(), count_of(bytes.size()), MPI_BYTE, to, data_tag, everyone_, &slots_[at]),
            "send");
        return at;
    }
    Request receive(int from, std::span<std::byte> bytes) override {
        const Request at = free_slot();
        check_mpi(
            MPI_Irecv(bytes.data(), count_of(bytes.size()), MPI_BYTE, from, data_tag, everyone_, &slots_[at]),
            "receive");
        return at;
    }
    bool is_done(Request request) override {
        int done = 0;
        check_mpi(MPI_Test(&slots_[request], &done, MPI_STATUS_IGNORE), "message");
        return done != 0;
    }

    void send_notice(int to, std::string_view text) override {
        notices_.push_back({std::string(text.substr(0, longest_notice)), MPI_REQUEST_NULL});
        Sent& sent = notices_.back();
        check_mpi(MPI_Isend(sent.text.data(), static_cast<int>(sent.text.size()), MPI_BYTE, to, notice_tag,
                            everyone_, &sent.request),
                  "notice");
    }
    bool take_notice(Notice& notice) override {
        int there = 0, length = 0;
        MPI_Status status;
        check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, notice_tag, everyone_, &there, &status), "notice");
        if (!there) return false;
        check_mpi(MPI_Get_count(&status, MPI_BYTE, &length), "notice");
        notice.from = status.MPI_SOURCE;
        notice.text.resize(static_cast<std::size_t>(length));
        check_mpi(MPI_Recv(notice.text.data(), length, MPI_BYTE, notice.from, notice_tag, everyone_,
                           MPI_STATUS_IGNORE),
                  "notice");
        return true;
    }

    /// After a failure MPI_Finalize would wait for those that are gone: the process ends without it. Launchers then
    /// end the others; all know by now, and at exit each gives them the time to print it.
    [[gnu::cold]] void close(bool in_order) override {
        if (!in_order) {
            std::atexit([] {
                std::fflush(nullptr);
                std::this_thread::sleep_for(std::chrono::milliseconds(300));
            });
            return;
        }
        for (Sent& sent : notices_) MPI_Wait(&sent.request, MPI_STATUS_IGNORE);
        MPI_Comm_free(&everyone_);
        if (owns_mpi_) MPI_Finalize();
    }

    MPI_Comm everyone() const { return everyone_; }

private:
    static constexpr int data_tag = 1, notice_tag = 2;
    static constexpr std::size_t longest_notice = 1000;  // leaves at once, whether or not somebody listens

    struct Sent {
        std::string text;
        MPI_Request request;
    };

    static int count_of(std::size_t bytes) {
        if (bytes > std::size_t{1} << 30)
            gradus::detail::raise<DistributedError>({"mpi: a message is of at most 2^30 bytes: got ", bytes});
        return static_cast<int>(bytes);
    }

    Request free_slot() {
        const auto at = std::find(slots_.begin(), slots_.end(), MPI_REQUEST_NULL);
        if (at != slots_.end()) return static_cast<Request>(at - slots_.begin());
        slots_.push_back(MPI_REQUEST_NULL);
        return slots_.size() - 1;
    }

    MPI_Comm everyone_ = MPI_COMM_NULL;
    int rank_ = 0, size_ = 1;
    bool owns_mpi_ = false;
    std::vector<MPI_Request> slots_;
    std::list<Sent> notices_;
};

/// Processes on one machine share its processors, unless OMP_NUM_THREADS says how many threads each has.
[[gnu::cold]] inline void share_processors(MPI_Comm everyone) {
    if (std::getenv("OMP_NUM_THREADS")) return;
    MPI_Comm here = MPI_COMM_NULL;
    int local = 1;
    check_mpi(MPI_Comm_split_type(everyone, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here), "split");
    MPI_Comm_size(here, &local);
    MPI_Comm_free(&here);
    int processors = static_cast<int>(std::thread::hardware_concurrency());
#ifdef _SC_NPROCESSORS_ONLN
    processors =
        static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));  // also those that a launcher bound others to
#endif
    set_num_threads(std::clamp(processors / local, 1, num_threads()));
}

}  // namespace detail

/// The processes that mpirun (or srun) started with this one; without it, this process alone. Initializes MPI if
/// the program did not, and finalizes it when the last copy of the world goes. Each process gets its share of the
/// processors of its machine as threads, unless OMP_NUM_THREADS is set.
///
///     distributed::World world = distributed::mpi_world({.deadline = 120});
///
/// Throws DistributedError if MPI fails, ValueError unless the deadline is above 0.
[[gnu::cold]] inline World mpi_world(const WorldOptions& options = {}) {
    auto transport = std::make_unique<detail::MpiTransport>();
    detail::share_processors(transport->everyone());
    return World(std::move(transport), options);
}

}  // namespace gradus::distributed
