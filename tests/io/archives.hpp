// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/files.hpp"
#include "gradus/core/error.hpp"

// Archives that are right, or wrong in one place.

inline std::string le(std::uint64_t number, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(number >> 8 * i & 255);
    return text;
}

/// The check of zip files, bit by bit.
inline std::uint32_t plain_crc(const std::string& bytes, std::uint32_t polynomial = 0xedb88320) {
    std::uint32_t rest = ~0u;
    for (const char byte : bytes) {
        rest ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit) rest = rest & 1 ? rest >> 1 ^ polynomial : rest >> 1;
    }
    return ~rest;
}

struct TestMember {
    std::string name, bytes;     // as they lie in the file
    std::uint64_t size = ~0ull;  // unpacked; as many as there are bytes unless said otherwise
    std::uint64_t packed = ~0ull;
    std::int64_t crc = -1;  // of the bytes unless said otherwise
    int method = 0, flags = 0;
    bool zip64 = false;           // sizes and place are in extra fields
    bool sizes_follow = false;    // in a data descriptor behind the bytes
    std::string local_name = "";  // if it differs
};

struct TestArchive {
    std::vector<TestMember> members;
    std::string comment = "";
    bool zip64 = false;
    long long directory_shift = 0;  // of the place that the end record gives
    long long entries_more = 0;     // than there are
    std::string between = "";       // bytes between the directory and the end record
    int disk = 0;

    std::string bytes() const {
        std::string file, directory;
        for (const TestMember& m : members) {
            const std::uint64_t size = m.size == ~0ull ? m.bytes.size() : m.size;
            const std::uint64_t packed = m.packed == ~0ull ? m.bytes.size() : m.packed;
            const std::uint32_t crc = m.crc < 0 ? plain_crc(m.bytes) : static_cast<std::uint32_t>(m.crc);
            const std::uint64_t none = 0xffffffff, at = file.size();
            const int flags = m.flags | (m.sizes_follow ? 8 : 0);
            const std::string fixed = le(20, 2) + le(static_cast<unsigned>(flags), 2) +
                                      le(static_cast<unsigned>(m.method), 2) + le(0, 4);
            const std::string wide = m.zip64 ? le(1, 2) + le(16, 2) + le(size, 8) + le(packed, 8) : "";
            const std::string wide_and_place =
                m.zip64 ? le(1, 2) + le(24, 2) + le(size, 8) + le(packed, 8) + le(at, 8) : "";
            const std::string sizes = m.zip64 ? le(none, 4) + le(none, 4) : le(packed, 4) + le(size, 4);
            const std::string local_name = m.local_name.empty() ? m.name : m.local_name;
            file += "PK\3\4" + fixed +
                    (m.sizes_follow ? le(0, 4) + (m.zip64 ? sizes : le(0, 8)) : le(crc, 4) + sizes) +
                    le(local_name.size(), 2) + le(wide.size(), 2) + local_name + wide + m.bytes;
            if (m.sizes_follow)
                file += "PK\7\10" + le(crc, 4) + le(packed, m.zip64 ? 8 : 4) + le(size, m.zip64 ? 8 : 4);
            directory += "PK\1\2" + le(20, 2) + fixed + le(crc, 4) + sizes + le(m.name.size(), 2) +
                         le(wide_and_place.size(), 2) + le(0, 10 - 2) + le(0, 2) +
                         (m.zip64 ? le(none, 4) : le(at, 4)) + m.name + wide_and_place;
        }
        const std::uint64_t start = file.size() + static_cast<std::uint64_t>(directory_shift),
                            entries = members.size() + static_cast<std::uint64_t>(entries_more);
        file += directory + between;
        if (zip64) {
            const std::uint64_t end = file.size();
            file += "PK\6\6" + le(44, 8) + le(45, 2) + le(45, 2) + le(0, 8) + le(entries, 8) +
                    le(entries, 8) + le(directory.size(), 8) + le(start, 8);
            file += "PK\6\7" + le(0, 4) + le(end, 8) + le(1, 4);
        }
        file += "PK\5\6" + le(static_cast<unsigned>(disk), 2) + le(0, 2) + le(zip64 ? 0xffff : entries, 2) +
                le(zip64 ? 0xffff : entries, 2) + le(zip64 ? 0xffffffff : directory.size(), 4) +
                le(zip64 ? 0xffffffff : start, 4) + le(comment.size(), 2) + comment;
        return file;
    }
};

/// The text of the IoError that an action throws, without its beginning.
template <class Action>
std::string refusal_without(const std::string& start, const Action& action) {
    try {
        action();
    } catch (const gradus::IoError& error) {
        const std::string text = error.what();
        return text.substr(0, start.size()) == start ? text.substr(start.size()) : "another place: " + text;
    }
    return "accepted";
}

#ifdef GRADUS_WITH_ZLIB
/// A member that is deflated.
inline TestMember deflated(const std::string& name, const std::string& bytes) {
    const std::string packed = deflated_bytes(bytes, -15);
    return {.name = name, .bytes = packed, .size = bytes.size(), .crc = plain_crc(bytes), .method = 8};
}
#endif
