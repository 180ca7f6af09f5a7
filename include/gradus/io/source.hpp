// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "gradus/core/input_file.hpp"

namespace gradus::io {

struct UnpackOptions {
    /// What one tensor may need beyond what the file holds of it, because it is compressed or repeats its values.
    std::uint64_t max_bytes = std::uint64_t{4} << 30;
};

namespace detail {

using gradus::detail::InputFile, gradus::detail::raise, gradus::detail::text_of, gradus::detail::TextPart;

/// A whole number of `Bytes` bytes, the lowest first.
template <int Bytes>
std::uint64_t little_endian(const char* at) {
    std::uint64_t number = 0;
    for (int i = 0; i < Bytes; ++i) number |= std::uint64_t{static_cast<unsigned char>(at[i])} << 8 * i;
    return number;
}
[[gnu::cold]] inline void append_little_endian(std::string& to, std::uint64_t number, int bytes) {
    for (int i = 0; i < bytes; ++i) to += static_cast<char>(number >> 8 * i & 255);
}

/// Bytes one after the other, from a file or from a member of an archive.
class Source {
public:
    virtual ~Source() = default;
    /// Up to `count` bytes; fewer only at the end.
    virtual std::size_t read(void* to, std::size_t count) = 0;
    virtual std::uint64_t remaining() const = 0;
    /// "operation: path", and the member.
    virtual std::string place() const = 0;

    [[noreturn, gnu::cold]] void fail(std::initializer_list<TextPart> problem) const {
        raise<IoError>({place(), ": ", text_of(problem)});
    }
};

/// All of a file as a source.
class FileSource final : public Source {
public:
    [[gnu::cold]] FileSource(const char* operation, const std::string& path) : file_(operation, path) {}
    [[gnu::cold]] std::size_t read(void* to, std::size_t count) override {
        const std::size_t got = file_.read(to, count);
        position_ += got;
        return got;
    }
    [[gnu::cold]] std::uint64_t remaining() const override {
        return std::max(file_.size(), position_) - position_;
    }
    [[gnu::cold]] std::string place() const override {
        return text_of({file_.operation(), ": ", file_.path()});
    }

private:
    InputFile file_;
    std::uint64_t position_ = 0;
};

}  // namespace detail
}  // namespace gradus::io
