// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/error.hpp"
#include "gradus/core/separate.hpp"
#include "gradus/core/shape.hpp"
#include "gradus/training/checkpoint_files.hpp"

namespace gradus::training {

struct RunFolderOptions {
    bool resume = false;     // go on with the run that is there
    bool overwrite = false;  // remove the run that is there
};

/// The folder of a run, and the files in it:
///     config.json         with what it was started
///     history.csv         a line for every epoch
///     events.jsonl        a line for everything that happened
///     last.safetensors    the newest checkpoint
///     best.safetensors    the best one
///     step-N.safetensors  one after step N, if some are kept
///     report.html         what came of it
/// They refer to nothing outside and to no times: a folder can be moved or copied, and the run goes on there.
///
///     training::RunFolder run("runs/mnist", {.resume = true});
///     if (run.resumes()) at = training::load_checkpoint(run.last(), net, adam);
///
/// The folder is made if it is not there. While this lives, the folder is locked against other processes; the
/// lock of a process that is gone is none. Files that are half written when a process is killed, which have
/// temporary names, are removed by the next one.
/// Throws IoError, with the path, if there is a run and neither option is given, if there is no folder to resume,
/// if another process has the folder, or nothing can be written there; ValueError for both options.
class RunFolder {
public:
    [[gnu::cold]] explicit RunFolder(std::string path, const RunFolderOptions& options = {});
    RunFolder(const RunFolder&) = delete;
    RunFolder& operator=(const RunFolder&) = delete;
    [[gnu::cold]] ~RunFolder();  // which releases the lock

    const std::string& path() const { return path_; }

    /// Whether there is a checkpoint to go on from, and resume was asked for. (A run that was stopped before its
    /// first checkpoint begins anew.)
    bool resumes() const { return resumes_; }

    std::string config() const { return file("config.json"); }
    std::string history() const { return file("history.csv"); }
    std::string events() const { return file("events.jsonl"); }
    std::string last() const { return file("last.safetensors"); }
    std::string best() const { return file("best.safetensors"); }
    std::string report() const { return file("report.html"); }

    /// The checkpoint after step n.
    std::string step(Index n) const { return file(detail::step_file(n)); }

    /// The steps of which there is a checkpoint, in ascending order.
    [[gnu::cold]] std::vector<Index> steps() const;

    /// Removes the checkpoints of all steps but the last k: when a new one is there.
    [[gnu::cold]] void keep_steps(Index k) const;

private:
    std::string file(std::string_view name) const { return gradus::detail::text_of({path_, "/", name}); }

    [[gnu::cold]] void lock();

    [[noreturn, gnu::cold]] void refuse_lock(int descriptor) const;

    [[gnu::cold]] void open(const RunFolderOptions& options);

    static bool is_ours(std::string_view name);

    /// "last.safetensors.0.tmp": see write_file.
    static bool is_temporary(std::string_view name);

    [[gnu::cold]] std::vector<std::string> names() const;

    static constexpr const char* lock_name = "lock";

    std::string path_;
    int lock_ = -1;
    bool resumes_ = false;
};

}  // namespace gradus::training

#if !GRADUS_SEPARATE
#include "gradus/training/run_folder.inc"
#endif
