// SPDX-License-Identifier: MIT
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#if defined(_WIN32)
#include <direct.h>
#include <io.h>
#include <process.h>
#include <share.h>
#else
#include <sys/file.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/error.hpp"
#include "gradus/core/shape.hpp"
#include "gradus/core/write_file.hpp"

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
    [[gnu::cold]] explicit RunFolder(std::string path, const RunFolderOptions& options = {})
        : path_(std::move(path)) {
        using gradus::detail::raise;
        while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
        if (options.resume && options.overwrite)
            raise<ValueError>({"run: ", path_, ": either resume or overwrite"});
        if (path_.empty()) raise<ValueError>({"run: the folder has no name"});
        struct stat status;
        if (::stat(path_.c_str(), &status) != 0) {
            if (options.resume)
                raise<IoError>(
                    {"run: ", path_, ": there is no such folder to resume a run in; check the path"});
            make_folder();
        } else if (!S_ISDIR(status.st_mode)) {
            raise<IoError>({"run: ", path_, ": is a file; name a folder"});
        }
        lock();
        try {
            open(options);
        } catch (...) {
            ::close(lock_);
            throw;
        }
    }
    RunFolder(const RunFolder&) = delete;
    RunFolder& operator=(const RunFolder&) = delete;
    ~RunFolder() { ::close(lock_); }  // which releases it

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
    std::string step(Index n) const { return file(gradus::detail::text_of({"step-", n, ".safetensors"})); }

    /// The steps of which there is a checkpoint, in ascending order.
    [[gnu::cold]] std::vector<Index> steps() const {
        std::vector<Index> found;
        for (const std::string& name : names())
            if (const Index n = step_of(name); n >= 0) found.push_back(n);
        std::sort(found.begin(), found.end());
        return found;
    }

    /// Removes the checkpoints of all steps but the last k: when a new one is there.
    [[gnu::cold]] void keep_steps(Index k) const {
        const std::vector<Index> all = steps();
        for (Index i = 0; i + k < static_cast<Index>(all.size()); ++i)
            std::remove(step(all[static_cast<std::size_t>(i)]).c_str());
    }

private:
    std::string file(std::string_view name) const { return gradus::detail::text_of({path_, "/", name}); }

    /// And those that it is in.
    [[gnu::cold]] void make_folder() const {
        for (std::size_t end = path_.find('/', 1);; end = path_.find('/', end + 1)) {
            const std::string folder = path_.substr(0, end);
#if defined(_WIN32)
            const int made = ::_mkdir(folder.c_str());
#else
            const int made = ::mkdir(folder.c_str(), 0777);
#endif
            if (made != 0 && (errno != EEXIST || end == path_.npos))
                gradus::detail::refuse_write("run", path_, std::strerror(errno));
            if (end == path_.npos) return;
        }
    }

    [[gnu::cold]] void lock() {
        const std::string name = file(lock_name);
#if defined(_WIN32)
        lock_ = ::_sopen(name.c_str(), O_RDWR | O_CREAT | O_BINARY | O_NOINHERIT, _SH_DENYRW,
                         _S_IREAD | _S_IWRITE);
        if (lock_ < 0 && errno == EACCES) refuse_lock(-1);
        if (lock_ < 0) gradus::detail::refuse_write("run", path_, std::strerror(errno));
#else
        lock_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (lock_ < 0) gradus::detail::refuse_write("run", path_, std::strerror(errno));
        int failed = 0;
        while ((failed = ::flock(lock_, LOCK_EX | LOCK_NB)) != 0 && errno == EINTR) {
        }
        if (failed != 0 && errno == EWOULDBLOCK) refuse_lock(lock_);
        // File systems that have no locks (some of networks) do without.
        const std::string process = gradus::detail::text_of({::getpid(), "\n"});
        if (::ftruncate(lock_, 0) != 0 || ::write(lock_, process.data(), process.size()) < 0) {
            const int error = errno;
            ::close(lock_);
            gradus::detail::refuse_write("run", path_, std::strerror(error));
        }
#endif
    }

    [[noreturn, gnu::cold]] void refuse_lock(int descriptor) const {
        char process[24] = {};
#if !defined(_WIN32)
        if (::read(descriptor, process, sizeof process - 1) < 0) process[0] = 0;
        ::close(descriptor);
        process[std::strcspn(process, "\n")] = 0;
#else
        static_cast<void>(descriptor);
#endif
        gradus::detail::raise<IoError>({"run: ", path_, ": another process trains in this folder",
                                        process[0] ? " (number " : "", process, process[0] ? ")" : "",
                                        ": wait for it, or name another folder"});
    }

    [[gnu::cold]] void open(const RunFolderOptions& options) {
        bool any = false;
        for (const std::string& name : names()) {
            const bool temporary = is_temporary(name), ours = is_ours(name);
            if (temporary || (ours && options.overwrite)) std::remove(file(name).c_str());
            any = any || ours;
            resumes_ = resumes_ || (options.resume && name == "last.safetensors");
        }
        if (any && !options.resume && !options.overwrite)
            gradus::detail::raise<IoError>(
                {"run: ", path_,
                 ": there is a run in this folder: resume goes on with it, overwrite "
                 "removes it"});
    }

    static bool is_ours(std::string_view name) {
        for (const char* known : {"config.json", "history.csv", "events.jsonl", "last.safetensors",
                                  "best.safetensors", "report.html"})
            if (name == known) return true;
        return step_of(name) >= 0;
    }

    /// "last.safetensors.0.tmp": see write_file.
    static bool is_temporary(std::string_view name) {
        if (!name.ends_with(".tmp")) return false;
        name.remove_suffix(4);
        const std::size_t dot = name.rfind('.');
        if (dot == name.npos || dot + 1 == name.size()) return false;
        const std::string_view number = name.substr(dot + 1);
        return number.find_first_not_of("0123456789") == number.npos && is_ours(name.substr(0, dot));
    }

    /// N of "step-N.safetensors", or -1.
    static Index step_of(std::string_view name) {
        constexpr std::string_view before = "step-", after = ".safetensors";
        if (!name.starts_with(before) || !name.ends_with(after)) return -1;
        name.remove_prefix(before.size());
        name.remove_suffix(after.size());
        if (name.empty() || name.size() > 18 || (name.size() > 1 && name[0] == '0')) return -1;
        Index n = 0;
        for (const char digit : name) {
            if (digit < '0' || digit > '9') return -1;
            n = 10 * n + (digit - '0');
        }
        return n;
    }

    [[gnu::cold]] std::vector<std::string> names() const {
        std::vector<std::string> found;
        DIR* const folder = ::opendir(path_.c_str());
        if (!folder)
            gradus::detail::raise<IoError>({"run: ", path_, ": cannot be read: ", std::strerror(errno)});
        while (const dirent* entry = ::readdir(folder)) found.emplace_back(entry->d_name);
        ::closedir(folder);
        return found;
    }

    static constexpr const char* lock_name = "lock";

    std::string path_;
    int lock_ = -1;
    bool resumes_ = false;
};

}  // namespace gradus::training
