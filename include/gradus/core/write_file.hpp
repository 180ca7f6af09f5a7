// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#if defined(_WIN32)
#include <io.h>
#else
#include <unistd.h>
#endif

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "gradus/core/error.hpp"

#if defined(_WIN32)
extern "C" __declspec(dllimport) int __stdcall MoveFileExA(const char*, const char*, unsigned long);
#endif

namespace gradus {
namespace detail {

[[noreturn, gnu::cold]] inline void refuse_write(const char* operation, const std::string& path,
                                                 std::string_view reason) {
    raise<IoError>({operation, ": ", path, ": cannot write: ", reason});
}

/// What is to be replaced: the path, or the file that a symbolic link there leads to. Throws IoError unless
/// it is a file or nothing yet.
[[gnu::cold]] inline std::string replaceable(const char* operation, const std::string& path) {
    std::string target = path;
#if !defined(_WIN32)
    struct stat link;
    if (::lstat(path.c_str(), &link) == 0 && S_ISLNK(link.st_mode)) {
        char* const behind = ::realpath(path.c_str(), nullptr);
        if (!behind) refuse_write(operation, path, "it is a symbolic link that leads to no file");
        target = behind;
        std::free(behind);
    }
#endif
    struct stat status;
    if (::stat(target.c_str(), &status) != 0) return target;
    if (S_ISDIR(status.st_mode)) refuse_write(operation, path, std::strerror(EISDIR));
    if (!S_ISREG(status.st_mode))
        refuse_write(operation, path, "it is a pipe, socket or device; name a file, which can be replaced");
    return target;
}

/// A new file beside the target, which is open for writing: nobody else has its name, and nothing was there.
[[gnu::cold]] inline std::FILE* create_beside(const std::string& target, std::string& name) {
    int flags = O_WRONLY | O_CREAT | O_EXCL;
#if defined(O_BINARY)
    flags |= O_BINARY;
#endif
#if defined(O_CLOEXEC)
    flags |= O_CLOEXEC;
#endif
#if defined(O_LARGEFILE)
    flags |= O_LARGEFILE;  // more than 2 GiB, on systems of 32 bits
#endif
    int descriptor = -1;
    for (int number = 0; descriptor < 0 && number < 10000; ++number) {
        name = text_of({target, ".", number, ".tmp"});
#if defined(_WIN32)
        descriptor = ::_open(name.c_str(), flags, _S_IREAD | _S_IWRITE);
#else
        descriptor = ::open(name.c_str(), flags, 0666);
#endif
        if (descriptor < 0 && errno != EEXIST) return nullptr;
    }
    if (descriptor < 0) return nullptr;
#if defined(_WIN32)
    return ::_fdopen(descriptor, "wb");
#else
    struct stat before;  // the new file may be read by whom the old one could be
    if (::stat(target.c_str(), &before) == 0) static_cast<void>(::fchmod(descriptor, before.st_mode & 07777));
    return ::fdopen(descriptor, "wb");
#endif
}

/// Everything in a file that is open for writing reaches the disk: 0, or errno.
[[gnu::cold]] inline int sync_file(std::FILE* file) {
#if defined(_WIN32)
    return ::_commit(::_fileno(file)) == 0 ? 0 : errno;
#else
    while (::fsync(::fileno(file)) != 0)
        if (errno != EINTR) return errno;
    return 0;
#endif
}

/// The names in the folder of `path` reach the disk, so that a file that was put there stays after a loss of
/// power: 0, or errno. File systems that cannot do this (EINVAL) have nothing to be asked for.
[[gnu::cold]] inline int sync_folder_of(const std::string& path) {
#if defined(_WIN32)
    static_cast<void>(path);  // there, a renamed file is kept by the journal
    return 0;
#else
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return errno;
    int error = 0;
    while ((error = ::fsync(descriptor) == 0 ? 0 : errno) == EINTR) {
    }
    ::close(descriptor);
    return error == EINVAL ? 0 : error;
#endif
}

/// Writes the pieces, one after the other, to a new file beside the target and returns its name. Throws
/// IoError in the name of `path`.
[[gnu::cold]] inline std::string write_beside(const char* operation, const std::string& path,
                                              const std::string& target,
                                              std::span<const std::string_view> pieces,
                                              bool durable = false) {
    std::string name;
    std::FILE* const file = create_beside(target, name);
    if (!file) refuse_write(operation, path, std::strerror(errno));
    int error = 0;
    for (const std::string_view piece : pieces)
        if (error == 0 && std::fwrite(piece.data(), 1, piece.size(), file) != piece.size()) error = errno;
    if (error == 0 && std::fflush(file) != 0) error = errno;
    if (error == 0 && durable) error = sync_file(file);
    if (std::fclose(file) != 0 && error == 0) error = errno;
    if (error == 0) return name;
    std::remove(name.c_str());
    refuse_write(operation, path, std::strerror(error));
}

/// Puts one file in the place of another, which other programs see as a whole.
[[gnu::cold]] inline bool replace(const std::string& target, const std::string& by) {
#if defined(_WIN32)
    constexpr unsigned long replace_existing = 1;
    errno = EACCES;
    return MoveFileExA(by.c_str(), target.c_str(), replace_existing) != 0;
#else
    return std::rename(by.c_str(), target.c_str()) == 0;
#endif
}

}  // namespace detail

struct WriteOptions {
    bool durable = false;                  // also survives a loss of power: waits for the disk
    const char* operation = "write_file";  // in whose name errors are
};

/// Writes a file as a whole, from pieces that follow each other: a reader sees the old one or the new one, and
/// if there is no room, the old one stays. Any number of programs may write one path; the last one wins. The
/// pieces go to a new file in the same folder first, <path>.0.tmp or with the next free number; if they are to
/// be durable, the old file goes only when the new one has reached the disk. If the path is a symbolic link,
/// the file that it leads to is replaced; a folder, pipe, socket or device is refused.
/// Throws IoError, in the name of `operation`, with the path and the reason.
[[gnu::cold]] inline void write_file(const std::string& path, std::span<const std::string_view> pieces,
                                     const WriteOptions& options = {}) {
    const std::string target = detail::replaceable(options.operation, path);
    const std::string written =
        detail::write_beside(options.operation, path, target, pieces, options.durable);
    if (!detail::replace(target, written)) {
        const int error = errno;
        std::remove(written.c_str());
        detail::refuse_write(options.operation, path, std::strerror(error));
    }
    if (!options.durable) return;
    if (const int error = detail::sync_folder_of(target))
        detail::refuse_write(
            options.operation, path,
            gradus::detail::text_of({"its folder cannot be synced: ", std::strerror(error)}));
}
[[gnu::cold]] inline void write_file(const std::string& path, std::string_view text,
                                     const WriteOptions& options = {}) {
    write_file(path, {&text, 1}, options);
}

/// Throws what write_file() would throw: to be asked before hours of work, not after. It writes some bytes
/// beside the path and takes them away again, so that a full disk is noticed, too.
[[gnu::cold]] inline void check_writable(const std::string& path, const char* operation = "check_writable") {
    const std::string target = detail::replaceable(operation, path), some(std::size_t{1} << 16, '\n');
    const std::string_view piece = some;
    std::remove(detail::write_beside(operation, path, target, {&piece, 1}).c_str());
}

}  // namespace gradus
