// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#ifdef GRADUS_WITH_ZLIB
#include <zlib.h>
#endif

#include "gradus/core/input_file.hpp"

namespace gradus::data::detail {

using gradus::detail::InputFile, gradus::detail::text_of, gradus::detail::TextPart;

#ifdef GRADUS_WITH_ZLIB

/// What a gzip file holds. Several members in a row are one stream, as RFC 1952 says; anything else after the
/// first is refused. A member's checksum and length are verified when read() reaches its end.
class GzipFile {
public:
    explicit GzipFile(InputFile& file) : file_(file) {
        constexpr int gzip_only = 15 + 16;  // largest window, gzip header and trailer expected
        if (inflateInit2(&stream_, gzip_only) != Z_OK) refuse_memory();
    }
    GzipFile(const GzipFile&) = delete;
    GzipFile& operator=(const GzipFile&) = delete;
    ~GzipFile() { inflateEnd(&stream_); }

    /// Up to `count` bytes; fewer only at the end of the last member.
    std::size_t read(void* to, std::size_t count) {
        std::size_t done = 0;
        while (done < count && !finished_) {
            const auto part = static_cast<uInt>(std::min(count - done, std::size_t{1} << 30));
            stream_.next_out = static_cast<Bytef*>(to) + done;
            stream_.avail_out = part;
            inflate_some();
            done += part - stream_.avail_out;
        }
        return done;
    }

    /// Deflate spends at least two bits on 258 bytes, so a small file cannot promise much.
    std::uint64_t most_bytes() const { return file_.most_bytes() * 1032; }

    [[noreturn]] void fail(std::initializer_list<TextPart> problem) const { file_.fail(problem); }

private:
    [[noreturn]] static void refuse_memory() {
        gradus::detail::raise<OutOfMemory>({"zlib: out of memory: unpacking a gzip file needs about 40 KiB"});
    }

    void inflate_some() {
        if (stream_.avail_in == 0) {
            stream_.next_in = input_;
            stream_.avail_in = static_cast<uInt>(file_.read(input_, sizeof input_));
        }
        if (!in_member_) {
            finished_ = stream_.avail_in == 0;
            if (finished_) return;
            if (*stream_.next_in != 0x1f)
                fail({"bytes follow the end of the gzip stream; copy or download the file again"});
            inflateReset(&stream_);
            in_member_ = true;
        }
        if (stream_.avail_in == 0) fail({"the gzip stream is cut short; copy or download the file again"});
        switch (inflate(&stream_, Z_NO_FLUSH)) {
            case Z_OK:
                return;
            case Z_STREAM_END:
                in_member_ = false;
                return;
            case Z_MEM_ERROR:
                refuse_memory();
            default:
                fail({"the gzip stream is damaged: ", stream_.msg ? stream_.msg : "no progress",
                      "; copy or download the file again"});
        }
    }

    InputFile& file_;
    z_stream stream_{};
    bool in_member_ = true;
    bool finished_ = false;
    unsigned char input_[65536];
};

#endif

[[gnu::cold]] inline std::string hex(unsigned char byte) {
    return {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
}

/// read(source) of the file as it is, or of what it holds if it is compressed, which its contents tell. A
/// source offers read(to, count), most_bytes() and fail(problem).
[[gnu::cold]] auto read_plain_or_gzip(InputFile& file, const auto& read) {
    if (!file.is_gzip()) return read(file);
#ifdef GRADUS_WITH_ZLIB
    GzipFile unpacked(file);
    return read(unpacked);
#else
    file.fail(
        {"is compressed, and this program was built without zlib: gunzip the file, or link the CMake target "
         "gradus::gradus with zlib installed, or compile with -DGRADUS_WITH_ZLIB and -lz"});
#endif
}

/// All bytes of a file, plain or compressed. Throws IoError, in the name of `operation`, if there are more than
/// `max_bytes`; `option` names what raises that limit, if anything does.
[[gnu::cold]] inline std::string read_bytes(const char* operation, const std::string& path,
                                            std::uint64_t max_bytes, const char* option) {
    InputFile file(operation, path);
    return read_plain_or_gzip(file, [&](auto& source) {
        std::string bytes;
        constexpr std::uint64_t step = std::uint64_t{64} << 20;  // at a time, so that no promise costs memory
        for (;;) {
            const std::size_t before = bytes.size();
            if (before > max_bytes)
                source.fail({"holds more than ", max_bytes, " bytes",
                             option ? "; if that is right, raise " : "", option ? option : ""});
            bytes.resize(before + static_cast<std::size_t>(std::min(
                                      {step, source.most_bytes() - before + 1, max_bytes - before + 1})));
            bytes.resize(before + source.read(bytes.data() + before, bytes.size() - before));
            if (bytes.size() == before) return bytes;
        }
    });
}

}  // namespace gradus::data::detail
