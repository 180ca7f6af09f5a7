// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "gradus/core/crc.hpp"
#include "gradus/core/write_file.hpp"
#include "gradus/io/source.hpp"

namespace gradus::io::detail {

/// An archive of stored members, written as a whole. What the pieces refer to must live until write().
class ZipWriter {
public:
    [[gnu::cold]] void add(const std::string& name, std::initializer_list<std::string_view> pieces) {
        std::uint64_t size = 0;
        std::uint32_t crc = 0;
        for (const std::string_view piece : pieces) {
            size += piece.size();
            crc = gradus::detail::crc32(piece.data(), piece.size(), crc);
        }
        const bool wide = size >= 0xffffffff || offset_ >= 0xffffffff;
        const std::uint64_t version = wide ? 45 : 20;
        std::string extra;  // of 64-bit numbers
        if (wide) {
            append_little_endian(extra, 1, 2);
            append_little_endian(extra, 24, 2);
            for (const std::uint64_t number : {size, size, offset_}) append_little_endian(extra, number, 8);
        }
        // What the local header and the directory have in common: flags (names are UTF-8), method, time, date.
        std::string common;
        constexpr std::uint64_t utf8 = 1 << 11, first_of_january_1980 = 33;
        for (const std::uint64_t number : {utf8, std::uint64_t{0}, std::uint64_t{0}, first_of_january_1980})
            append_little_endian(common, number, 2);
        append_little_endian(common, crc, 4);
        for (int i = 0; i < 2; ++i) append_little_endian(common, wide ? 0xffffffff : size, 4);
        append_little_endian(common, name.size(), 2);

        // A local header has no place for the offset: there, the field is 16 bytes long.
        std::string local = "PK\3\4";
        append_little_endian(local, version, 2);
        local += common;
        append_little_endian(local, wide ? 20 : 0, 2);
        local += name;
        if (wide) {
            append_little_endian(local, 1, 2);
            append_little_endian(local, 16, 2);
            local += extra.substr(4, 16);
        }

        constexpr std::uint64_t unix_system = 3 << 8, file_mode = 0100644;
        directory_ += "PK\1\2";
        append_little_endian(directory_, unix_system | version, 2);
        append_little_endian(directory_, version, 2);
        directory_ += common;
        append_little_endian(directory_, extra.size(), 2);
        directory_ += std::string(6, '\0');  // comment, disk, internal attributes
        append_little_endian(directory_, file_mode << 16, 4);
        append_little_endian(directory_, wide ? 0xffffffff : offset_, 4);
        directory_ += name;
        directory_ += extra;

        headers_.push_back(std::move(local));
        pieces_.push_back(headers_.back());
        pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
        offset_ += headers_.back().size() + size;
        ++entries_;
    }

    [[gnu::cold]] void write(const std::string& path, const WriteOptions& options) {
        std::string end = directory_;
        if (entries_ >= 0xffff || offset_ + directory_.size() >= 0xffffffff) {
            end += "PK\6\6";
            append_little_endian(end, end64_rest, 8);
            append_little_endian(end, 45 | 45 << 16, 4);
            append_little_endian(end, 0, 8);
            for (const std::uint64_t number : {entries_, entries_, std::uint64_t{directory_.size()}, offset_})
                append_little_endian(end, number, 8);
            end += std::string("PK\6\7\0\0\0\0", 8);
            append_little_endian(end, offset_ + directory_.size(), 8);
            append_little_endian(end, 1, 4);
        }
        end += std::string("PK\5\6\0\0\0\0", 8);
        for (int i = 0; i < 2; ++i) append_little_endian(end, std::min<std::uint64_t>(entries_, 0xffff), 2);
        append_little_endian(end, std::min<std::uint64_t>(directory_.size(), 0xffffffff), 4);
        append_little_endian(end, std::min<std::uint64_t>(offset_, 0xffffffff), 4);
        append_little_endian(end, 0, 2);
        pieces_.push_back(end);
        write_file(path, pieces_, options);
        pieces_.pop_back();
    }

private:
    static constexpr std::uint64_t end64_rest = 44;  // bytes after the field that says so

    std::deque<std::string> headers_;  // which the pieces refer to
    std::vector<std::string_view> pieces_;
    std::string directory_;
    std::uint64_t offset_ = 0, entries_ = 0;
};

}  // namespace gradus::io::detail
