// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#if defined(__linux__)
#include <sys/mman.h>
#endif

/// A file that holds these bytes until the next one is made, in memory where the system can do that: for tests that
/// read thousands of files.
class MemoryFile {
public:
    explicit MemoryFile(std::string_view bytes) {
        static const int descriptor = open_file();
        if (::ftruncate(descriptor, 0) != 0 || ::lseek(descriptor, 0, SEEK_SET) != 0) std::abort();
        while (!bytes.empty()) {
            const auto part = ::write(descriptor, bytes.data(), bytes.size());
            if (part <= 0) std::abort();
            bytes.remove_prefix(static_cast<std::size_t>(part));
        }
    }

    const std::string& path() const { return name(); }

private:
    static std::string& name() {
        static std::string path;
        return path;
    }
    static int open_file() {
#if defined(__linux__)
        const int descriptor = ::memfd_create("input", 0);
        name() = "/proc/self/fd/" + std::to_string(descriptor);
#else
        name() = "/tmp/gradus_fuzz_XXXXXX";
        const int descriptor = ::mkstemp(name().data());
#endif
        if (descriptor < 0) std::abort();
        return descriptor;
    }
};
