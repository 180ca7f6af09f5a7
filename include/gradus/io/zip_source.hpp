// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#ifdef GRADUS_WITH_ZLIB
#include <zlib.h>
#endif

#include "gradus/core/crc.hpp"
#include "gradus/io/zip.hpp"

namespace gradus::io::detail {

/// The bytes of one member, unpacked. Its check is compared when the last one was read.
class ZipSource final : public Source {
public:
    [[gnu::cold]] ZipSource(ZipFile& archive, const ZipMember& member, const UnpackOptions& options)
        : archive_(archive), member_(member), at_(archive.start_of(member)) {
        if (!member.deflated) return;
        if (member.size > options.max_bytes)
            fail({"unpacks to ", member.size, " bytes; if that is right, raise UnpackOptions::max_bytes"});
#ifdef GRADUS_WITH_ZLIB
        constexpr int bare = -15;  // largest window, neither header nor trailer
        if (inflateInit2(&stream_, bare) != Z_OK) refuse_memory();
#else
        fail(
            {"is compressed, and this program was built without zlib: write the file uncompressed "
             "(numpy.savez), "
             "or link the CMake target gradus::gradus with zlib installed, or compile with "
             "-DGRADUS_WITH_ZLIB and "
             "-lz"});
#endif
    }
    ZipSource(const ZipSource&) = delete;
    ZipSource& operator=(const ZipSource&) = delete;
    [[gnu::cold]] ~ZipSource() override {
#ifdef GRADUS_WITH_ZLIB
        if (member_.deflated) inflateEnd(&stream_);
#endif
    }

    [[gnu::cold]] std::size_t read(void* to, std::size_t count) override {
        count = static_cast<std::size_t>(std::min<std::uint64_t>(count, remaining()));
        if (!member_.deflated) {
            archive_.read_at(at_, to, count);
            at_ += count;
            taken_ += count;
        } else {
            inflate_all(to, count);
        }
        crc_ = gradus::detail::crc32(to, count, crc_);
        done_ += count;
        if (done_ == member_.size) check_end();
        return count;
    }
    [[gnu::cold]] std::uint64_t remaining() const override { return member_.size - done_; }
    [[gnu::cold]] std::string place() const override { return archive_.place(member_); }

    /// All that is left, as text.
    [[gnu::cold]] std::string read_all() {
        std::string bytes(static_cast<std::size_t>(remaining()), '\0');
        read(bytes.data(), bytes.size());
        return bytes;
    }

private:
    [[gnu::cold]] void check_end() {
#ifdef GRADUS_WITH_ZLIB
        if (member_.deflated && !ended_) {  // nothing may be left but the mark of the end
            unsigned char extra;
            stream_.next_out = &extra;
            stream_.avail_out = 1;
            while (!ended_) {
                inflate_some();
                if (stream_.avail_out == 0)
                    fail({"unpacks to more than the ", member_.size, " bytes that the archive promises",
                          ZipFile::again});
            }
        }
        if (member_.deflated && (stream_.avail_in > 0 || taken_ != member_.packed))
            fail({"bytes follow its compressed stream", ZipFile::again});
#endif
        if (crc_ != member_.crc) fail({"is damaged: its check (CRC-32) differs", ZipFile::again});
    }

#ifdef GRADUS_WITH_ZLIB
    [[noreturn]] static void refuse_memory() {
        raise<OutOfMemory>({"zlib: out of memory: unpacking a zip member needs about 40 KiB"});
    }

    [[gnu::cold]] void inflate_all(void* to, std::size_t count) {
        for (std::size_t done = 0; done < count;) {
            const auto part = static_cast<uInt>(std::min(count - done, std::size_t{1} << 30));
            stream_.next_out = static_cast<Bytef*>(to) + done;
            stream_.avail_out = part;
            if (ended_)
                fail({"unpacks to less than the ", member_.size, " bytes that the archive promises",
                      ZipFile::again});
            inflate_some();
            done += part - stream_.avail_out;
        }
    }

    [[gnu::cold]] void inflate_some() {
        if (stream_.avail_in == 0) {
            const std::uint64_t part = std::min<std::uint64_t>(sizeof input_, member_.packed - taken_);
            archive_.read_at(at_, input_, static_cast<std::size_t>(part));
            at_ += part;
            taken_ += part;
            stream_.next_in = input_;
            stream_.avail_in = static_cast<uInt>(part);
        }
        switch (inflate(&stream_, Z_NO_FLUSH)) {
            case Z_OK:
                return;
            case Z_STREAM_END:
                ended_ = true;
                return;
            case Z_MEM_ERROR:
                refuse_memory();
            case Z_BUF_ERROR:
                fail({"its compressed stream is cut short", ZipFile::again});
            default:
                fail({"its compressed stream is damaged: ", stream_.msg ? stream_.msg : "no progress",
                      ZipFile::again});
        }
    }

    z_stream stream_{};
    bool ended_ = false;
    unsigned char input_[65536];
#else
    [[noreturn]] void inflate_all(void*, std::size_t) const { fail({"is compressed"}); }
#endif

    ZipFile& archive_;
    const ZipMember& member_;
    std::uint64_t at_ = 0, done_ = 0,
                  taken_ = 0;  // place in the file, bytes delivered, bytes taken from the file
    std::uint32_t crc_ = 0;
};

}  // namespace gradus::io::detail
