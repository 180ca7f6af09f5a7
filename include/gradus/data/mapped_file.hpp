// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>

#if !defined(_WIN32)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "gradus/core/error.hpp"
#include "gradus/core/input_file.hpp"

#if defined(_WIN32)
extern "C" {
__declspec(dllimport) void* __stdcall CreateFileA(const char*, unsigned long, unsigned long, void*,
                                                  unsigned long, unsigned long, void*);
__declspec(dllimport) void* __stdcall CreateFileMappingA(void*, void*, unsigned long, unsigned long,
                                                         unsigned long, const char*);
__declspec(dllimport) void* __stdcall MapViewOfFile(void*, unsigned long, unsigned long, unsigned long,
                                                    std::size_t);
__declspec(dllimport) int __stdcall UnmapViewOfFile(const void*);
__declspec(dllimport) int __stdcall CloseHandle(void*);
}
#endif

namespace gradus::data::detail {

/// The bytes of a regular file as memory that the system reads when it is looked at, and shares among programs. The
/// file must not become shorter meanwhile. Every refusal is an IoError that names the file.
class MappedFile {
public:
    [[gnu::cold]] MappedFile(const char* operation, const std::string& path) {
        const gradus::detail::InputFile file(operation, path);  // refuses what is no file
        if (file.size() > std::numeric_limits<std::size_t>::max() / 2)
            file.fail({"cannot be mapped: ", file.size(),
                       " bytes are more than a 32-bit program has addresses for"});
        size_ = static_cast<std::size_t>(file.size());
        if (size_ == 0) return;
#if defined(_WIN32)
        constexpr unsigned long generic_read = 0x80000000, share_read = 1, open_existing = 3,
                                page_readonly = 2, map_read = 4;
        void* const handle =
            CreateFileA(path.c_str(), generic_read, share_read, nullptr, open_existing, 0, nullptr);
        if (handle != reinterpret_cast<void*>(std::intptr_t{-1})) {
            if (void* const mapping = CreateFileMappingA(handle, nullptr, page_readonly, 0, 0, nullptr)) {
                bytes_ = static_cast<const unsigned char*>(MapViewOfFile(mapping, map_read, 0, 0, size_));
                CloseHandle(mapping);
            }
            CloseHandle(handle);
        }
        if (!bytes_)
            file.fail({"cannot be mapped; is another program writing it, or too little address space left?"});
#else
        const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        void* const bytes =
            descriptor < 0 ? MAP_FAILED : ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0);
        const int error = errno;
        if (descriptor >= 0) ::close(descriptor);
        if (bytes == MAP_FAILED) file.fail({"cannot be mapped: ", std::strerror(error)});
        bytes_ = static_cast<const unsigned char*>(bytes);
#endif
    }
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile() {
        if (!bytes_) return;
#if defined(_WIN32)
        UnmapViewOfFile(bytes_);
#else
        ::munmap(const_cast<unsigned char*>(bytes_), size_);
#endif
    }

    const unsigned char* bytes() const { return bytes_; }
    std::size_t size() const { return size_; }

private:
    const unsigned char* bytes_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace gradus::data::detail
