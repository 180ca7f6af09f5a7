// SPDX-License-Identifier: MIT
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#ifdef GRADUS_WITH_ZLIB
#include <zlib.h>
#endif

/// All bytes of a file.
inline std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// A folder that exists, with all that is in it, as long as this object.
class TemporaryFolder {
public:
    TemporaryFolder() {
        if (!::mkdtemp(path_.data())) throw std::runtime_error("cannot make a temporary folder");
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const { return path_; }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

    /// Writes a file, in folders that are made if its name has some, and returns its path.
    std::string write(const std::string& name, const std::string& bytes) const {
        const std::string path = *this / name;
        if (name.find('/') != std::string::npos)
            std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        std::FILE* file = std::fopen(path.c_str(), "wb");
        if (!file || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size() ||
            std::fclose(file) != 0)
            throw std::runtime_error("cannot write " + path);
        return path;
    }

private:
    std::string path_ = "/tmp/gradus_test_XXXXXX";
};

/// Sets, or with nullptr removes, an environment variable as long as this object exists.
class Environment {
public:
    Environment(const char* name, const char* value) : name_(name) {
        if (const char* old = ::getenv(name)) before_ = old;
        set(value);
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;
    ~Environment() { set(before_ ? before_->c_str() : nullptr); }

private:
    void set(const char* value) { value ? ::setenv(name_, value, 1) : ::unsetenv(name_); }

    const char* name_;
    std::optional<std::string> before_;
};

/// The header of an IDX file of unsigned bytes.
inline std::string idx_header(const std::vector<std::uint32_t>& sizes) {
    std::string bytes{'\0', '\0', '\x08', static_cast<char>(sizes.size())};
    for (const std::uint32_t size : sizes)
        for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(size >> shift & 0xff);
    return bytes;
}

#ifdef GRADUS_WITH_ZLIB
/// Bytes deflated, in what zlib calls a window of these bits: negative ones have no header, 16 more gzip's.
inline std::string deflated_bytes(const std::string& bytes, int window_bits) {
    z_stream stream{};
    if (deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::runtime_error("deflateInit2");
    std::string result(deflateBound(&stream, bytes.size()), '\0');
    std::string input = bytes;
    stream.next_in = reinterpret_cast<Bytef*>(input.data());
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = reinterpret_cast<Bytef*>(result.data());
    stream.avail_out = static_cast<uInt>(result.size());
    const int code = deflate(&stream, Z_FINISH);
    result.resize(stream.total_out);
    deflateEnd(&stream);
    if (code != Z_STREAM_END) throw std::runtime_error("deflate");
    return result;
}

/// One gzip member.
inline std::string gzip(const std::string& bytes) { return deflated_bytes(bytes, 15 + 16); }
#endif
