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

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>

#include "gradus/core/error.hpp"

namespace gradus::detail {

/// A regular file of any size that is read. Every refusal is an IoError that names the operation and the file.
class InputFile {
public:
    [[gnu::cold]] InputFile(const char* operation, const std::string& path)
        : operation_(operation), path_(path) {
        Status status;
        if (get_status(path.c_str(), &status) != 0) refuse_open();
        if (S_ISDIR(status.st_mode)) fail({"is a directory; name a file inside it"});
        if (!S_ISREG(status.st_mode))
            fail({"is a pipe, socket or device; copy what it holds into a file first"});
        descriptor_ = ::open(path.c_str(), how_to_open);
        if (descriptor_ < 0) refuse_open();
        if (get_status(descriptor_, &status) == 0) size_ = static_cast<std::uint64_t>(status.st_size);
    }
    InputFile(InputFile&& other) noexcept
        : operation_(other.operation_),
          path_(std::move(other.path_)),
          descriptor_(std::exchange(other.descriptor_, -1)),
          size_(other.size_) {}
    InputFile& operator=(InputFile&&) = delete;
    ~InputFile() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }

    /// Up to `count` of the bytes that follow; fewer only at the end of the file.
    std::size_t read(void* to, std::size_t count) {
        return read_parts(to, count, [this](char* out, Count part, std::uint64_t) {
            return ::read(descriptor_, out, part);
        });
    }

    /// Up to `count` bytes from `offset` on; fewer only at the end of the file. (Threads may do this at the
    /// same time, but on Windows.)
    [[nodiscard]] std::size_t read_at(std::uint64_t offset, void* to, std::size_t count) const {
        return read_parts(to, count, [this, offset](char* out, Count part, std::uint64_t done) {
            return read_part(offset + done, out, part);
        });
    }

    std::uint64_t most_bytes() const { return size_; }  // that read() can deliver in all
    std::uint64_t size() const { return size_; }        // when it was opened
    /// Exactly `count` bytes from `offset` on, which the caller has compared with size().
    void read_all_at(std::uint64_t offset, void* to, std::size_t count) const {
        if (read_at(offset, to, count) < count)
            fail({"got shorter while it was read; is a program writing it?"});
    }

    const char* operation() const { return operation_; }
    const std::string& path() const { return path_; }

    /// To be asked before anything is read.
    bool is_gzip() {
        unsigned char start[2] = {0, 0};
        const std::size_t count = read(start, sizeof start);
        if (::lseek(descriptor_, 0, SEEK_SET) != 0) fail({"cannot be read twice: ", std::strerror(errno)});
        return count == 2 && start[0] == 0x1f && start[1] == 0x8b;
    }

    [[noreturn]] void fail(std::initializer_list<TextPart> problem) const {
        raise<IoError>({operation_, ": ", path_, ": ", text_of(problem)});
    }

private:
    // Sizes and offsets have 64 bits everywhere.
#if defined(_WIN32)
    static constexpr int how_to_open = O_RDONLY | O_BINARY | O_NOINHERIT;
    using Count = unsigned;
    using Status = struct _stat64;
    static int get_status(const char* path, Status* status) { return ::_stat64(path, status); }
    static int get_status(int descriptor, Status* status) { return ::_fstat64(descriptor, status); }
    int read_part(std::uint64_t offset, char* to, Count count) const {
        if (::_lseeki64(descriptor_, static_cast<std::int64_t>(offset), SEEK_SET) < 0) return -1;
        return ::_read(descriptor_, to, count);
    }
#else
    // Not blocking: if a pipe took the file's place since, opening it must not wait for a writer.
    using Count = std::size_t;
#if defined(__GLIBC__) && !defined(__LP64__)
    static constexpr int how_to_open = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_LARGEFILE;
    using Status = struct stat64;
    static int get_status(const char* path, Status* status) { return ::stat64(path, status); }
    static int get_status(int descriptor, Status* status) { return ::fstat64(descriptor, status); }
    ssize_t read_part(std::uint64_t offset, char* to, Count count) const {
        return ::pread64(descriptor_, to, count, static_cast<off64_t>(offset));
    }
#else
    static constexpr int how_to_open = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    using Status = struct stat;
    static int get_status(const char* path, Status* status) { return ::stat(path, status); }
    static int get_status(int descriptor, Status* status) { return ::fstat(descriptor, status); }
    ssize_t read_part(std::uint64_t offset, char* to, Count count) const {
        return ::pread(descriptor_, to, count, static_cast<off_t>(offset));
    }
#endif
#endif

    template <class ReadPart>
    std::size_t read_parts(void* to, std::size_t count, const ReadPart& read_some) const {
        std::size_t done = 0;
        while (done < count) {
            const auto part =  // Linux stops at 2 GiB
                static_cast<Count>(std::min<unsigned long long>(count - done, 1u << 30));
            const auto got = read_some(static_cast<char*>(to) + done, part, done);
            if (got == 0) break;
            if (got > 0)
                done += static_cast<std::size_t>(got);
            else if (errno != EINTR)
                fail({"cannot be read: ", std::strerror(errno)});
        }
        return done;
    }

    [[noreturn]] void refuse_open() const {
        const int reason = errno;
        const char* fix = reason == ENOENT || reason == ENOTDIR ? "; check the path"
                          : reason == EACCES ? "; check the permissions of the file and its folders"
                          : reason == ELOOP  ? "; a symbolic link leads back to itself"
                                             : "";
        fail({"cannot be opened: ", std::strerror(reason), fix});
    }

    const char* operation_;
    std::string path_;
    int descriptor_ = -1;
    std::uint64_t size_ = 0;
};

}  // namespace gradus::detail
