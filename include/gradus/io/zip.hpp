// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gradus/core/input_file.hpp"
#include "gradus/io/json.hpp"
#include "gradus/io/source.hpp"

// The directory of a zip archive, as far as numpy and PyTorch use them.
// Source: PKWARE, ".ZIP File Format Specification" 6.3.

namespace gradus::io::detail {

struct ZipMember {
    std::string name;
    std::uint64_t size = 0, packed = 0;    // bytes, and as they lie in the file
    std::uint64_t header = 0, before = 0;  // where the local header starts, and what the member may not reach
    std::uint32_t crc = 0;
    bool deflated = false;
};

/// The members of an archive by name. Everything that does not fit is refused: an archive in several parts,
/// encryption, other packing than deflate, names that appear twice, members that overlap, bytes that belong to
/// nothing at its end. Names are keys, never paths. Sizes are compared with the file before memory is taken.
class ZipFile {
public:
    [[gnu::cold]] ZipFile(const char* operation, const std::string& path) : file_(operation, path) {
        read_directory(find_directory());
        check_members();
    }

    const std::vector<ZipMember>& members() const {
        return members_;
    }  // as they follow each other in the file

    [[gnu::cold]] const ZipMember* find(std::string_view name) const {
        const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                         [](const ZipMember* m, std::string_view x) { return m->name < x; });
        return at != by_name_.end() && (*at)->name == name ? *at : nullptr;
    }

    [[noreturn, gnu::cold]] void fail(std::initializer_list<TextPart> problem) const { file_.fail(problem); }
    [[noreturn, gnu::cold]] void fail(const ZipMember& member,
                                      std::initializer_list<TextPart> problem) const {
        raise<IoError>({place(member), ": ", text_of(problem)});
    }
    [[gnu::cold]] std::string place(const ZipMember& member) const {
        return text_of({file_.operation(), ": ", file_.path(), ": ", shown(member.name)});
    }

    /// Where the bytes of a member start, after comparing its local header with the directory.
    [[gnu::cold]] std::uint64_t start_of(const ZipMember& member) {
        char head[local_bytes];
        read_at(member.header, head, sizeof head);
        if (std::string_view(head, 4) != "PK\3\4") fail(member, {"its header is damaged", again});
        const std::uint64_t name = little_endian<2>(head + 26), extra = little_endian<2>(head + 28);
        const std::uint64_t start = member.header + sizeof head + name + extra;
        std::string local(static_cast<std::size_t>(name), '\0');
        if (start > member.before || member.before - start < member.packed)
            fail(member, {"its bytes overlap what follows", again});
        read_at(member.header + sizeof head, local.data(), local.size());
        const bool sizes_follow = little_endian<2>(head + 6) & 8;  // then the header has zeros
        const auto is_other = [](std::uint64_t here, std::uint64_t there) {
            return here != 0xffffffff && here != there;
        };
        if (local != member.name || little_endian<2>(head + 8) != (member.deflated ? 8u : 0u) ||
            (!sizes_follow && (little_endian<4>(head + 14) != member.crc ||
                               is_other(little_endian<4>(head + 18), member.packed) ||
                               is_other(little_endian<4>(head + 22), member.size))))
            fail(member, {"its header differs from the archive's directory", again});
        return start;
    }

    [[gnu::cold]] void read_at(std::uint64_t offset, void* to, std::size_t count) const {
        if (file_.read_at(offset, to, count) != count)
            fail({"got shorter while it was read; is a program writing it?"});
    }

    static constexpr const char* again = "; copy or download the file again";

private:
    static constexpr std::size_t local_bytes = 30, central_bytes = 46, end_bytes = 22, locator_bytes = 20,
                                 end64_bytes = 56, most_comment = 0xffff;
    static constexpr std::uint64_t max_members = 1000000, max_name = 4096;

    struct Directory {
        std::uint64_t start, bytes, entries;
    };

    /// Reads the records at the end of the file.
    [[gnu::cold]] Directory find_directory() {
        char magic[4] = {};
        const std::size_t got = file_.read(magic, sizeof magic);
        const std::string_view first(magic, got);
        if (first != "PK\3\4" && first != "PK\5\6")
            fail({"is not a zip archive, which starts with PK", got < 4 ? ": it is too short" : ""});
        const std::uint64_t size = file_.size();
        std::string tail(static_cast<std::size_t>(std::min<std::uint64_t>(size, end_bytes + most_comment)),
                         '\0');
        read_at(size - tail.size(), tail.data(), tail.size());
        constexpr std::size_t none = std::string::npos;
        std::size_t at = tail.size() < end_bytes ? none : tail.rfind("PK\5\6", tail.size() - end_bytes);
        while (at != none && little_endian<2>(&tail[at + 20]) != tail.size() - end_bytes - at)
            at = at == 0 ? none : tail.rfind("PK\5\6", at - 1);  // the comment may hold these letters, too
        if (at == none) fail({"the zip archive is cut short: it has no end record", again});

        const char* const end = &tail[at];
        std::uint64_t limit = size - tail.size() + at;  // where the directory ends
        Directory directory{little_endian<4>(end + 16), little_endian<4>(end + 12),
                            little_endian<2>(end + 10)};
        bool whole =
            little_endian<4>(end + 4) == 0 && little_endian<2>(end + 8) == little_endian<2>(end + 10);
        char locator[locator_bytes];
        if (limit >= locator_bytes + end64_bytes) {
            read_at(limit - locator_bytes, locator, sizeof locator);
            if (std::string_view(locator, 4) == "PK\6\7") {
                const std::uint64_t end64 = little_endian<8>(locator + 8);
                char record[end64_bytes];
                if (end64 > limit - locator_bytes - end64_bytes)
                    fail({"its zip64 end record is damaged", again});
                read_at(end64, record, sizeof record);
                if (std::string_view(record, 4) != "PK\6\6" ||
                    little_endian<8>(record + 4) != limit - locator_bytes - end64 - 12)
                    fail({"its zip64 end record is damaged", again});
                limit = end64;
                directory = {little_endian<8>(record + 48), little_endian<8>(record + 40),
                             little_endian<8>(record + 32)};
                whole = little_endian<8>(record + 16) == 0 &&
                        little_endian<8>(record + 24) == directory.entries &&
                        little_endian<4>(locator + 4) == 0;
            }
        }
        if (!whole) fail({"is one part of a zip archive in several; join them first"});
        if (directory.start > limit || directory.bytes != limit - directory.start)
            fail({"the directory of the zip archive is not where its end record says", again});
        if (directory.entries > directory.bytes / central_bytes)
            fail({"the zip archive promises ", std::to_string(directory.entries),
                  " members in a directory of ", directory.bytes, " bytes", again});
        if (directory.entries > max_members)
            fail({"the zip archive has ", directory.entries, " members; at most 1000000 are read"});
        return directory;
    }

    [[gnu::cold]] void read_directory(const Directory& directory) {
        std::string bytes(static_cast<std::size_t>(directory.bytes), '\0');
        read_at(directory.start, bytes.data(), bytes.size());
        std::string_view rest = bytes;
        members_.reserve(static_cast<std::size_t>(directory.entries));
        for (std::uint64_t i = 0; i < directory.entries; ++i) {
            if (rest.size() < central_bytes || rest.substr(0, 4) != "PK\1\2")
                fail({"entry ", i, " of the zip archive's directory is damaged", again});
            const char* const entry = rest.data();
            const std::uint64_t name = little_endian<2>(entry + 28), extra = little_endian<2>(entry + 30),
                                comment = little_endian<2>(entry + 32);
            if (rest.size() - central_bytes < name + extra + comment)
                fail({"entry ", i, " of the zip archive's directory is damaged", again});
            ZipMember member;
            member.name = rest.substr(central_bytes, static_cast<std::size_t>(name));
            if (name == 0 || name > max_name || member.name.find('\0') != std::string::npos)
                fail({"the name of member ", i, " is ",
                      name == 0         ? "empty"
                      : name > max_name ? "longer than 4096 bytes"
                                        : "no text: it has a zero byte"});
            member.crc = static_cast<std::uint32_t>(little_endian<4>(entry + 16));
            member.packed = little_endian<4>(entry + 20);
            member.size = little_endian<4>(entry + 24);
            member.header = little_endian<4>(entry + 42);
            widen(member, rest.substr(static_cast<std::size_t>(central_bytes + name),
                                      static_cast<std::size_t>(extra)));
            if (little_endian<2>(entry + 8) & 1)
                fail(member, {"is encrypted; unpack it and pack it without a password"});
            const std::uint64_t method = little_endian<2>(entry + 10);
            if (method != 0 && method != 8)
                fail(member, {"is packed by method ", method, "; stored (0) and deflated (8) are read"});
            member.deflated = method == 8;
            member.before = directory.start;
            members_.push_back(std::move(member));
            rest.remove_prefix(static_cast<std::size_t>(central_bytes + name + extra + comment));
        }
        if (!rest.empty())
            fail({rest.size(), " bytes follow the last entry of the zip archive's directory", again});
    }

    /// Sizes and places that do not fit into 32 bits are in an extra field, in this order.
    [[gnu::cold]] static void widen(ZipMember& member, std::string_view extra) {
        while (extra.size() >= 4) {
            const std::uint64_t id = little_endian<2>(extra.data()),
                                bytes = little_endian<2>(extra.data() + 2);
            extra.remove_prefix(4);
            std::string_view field = extra.substr(0, static_cast<std::size_t>(bytes));
            if (id == 1)
                for (std::uint64_t* value : {&member.size, &member.packed, &member.header})
                    if (*value == 0xffffffff && field.size() >= 8) {
                        *value = little_endian<8>(field.data());
                        field.remove_prefix(8);
                    }
            extra.remove_prefix(std::min(extra.size(), static_cast<std::size_t>(bytes)));
        }
    }

    [[gnu::cold]] void check_members() {
        std::sort(members_.begin(), members_.end(),
                  [](const ZipMember& a, const ZipMember& b) { return a.header < b.header; });
        for (std::size_t i = 0; i < members_.size(); ++i) {
            ZipMember& member = members_[i];
            if (i + 1 < members_.size()) member.before = std::min(member.before, members_[i + 1].header);
            const std::uint64_t least = local_bytes + member.name.size();
            if (member.header > member.before || member.before - member.header < least ||
                member.before - member.header - least < member.packed)
                fail(member, {"its bytes overlap what follows", again});
            if (!member.deflated && member.size != member.packed)
                fail(member, {"is stored as it is, and yet ", member.size, " bytes are said to be ",
                              member.packed, again});
            // Deflate spends at least two bits on 258 bytes.
            if (member.deflated && member.size / 1032 > member.packed)
                fail(member, {member.packed, " bytes cannot unpack to ", std::to_string(member.size), again});
            by_name_.push_back(&member);
        }
        std::sort(by_name_.begin(), by_name_.end(),
                  [](const ZipMember* a, const ZipMember* b) { return a->name < b->name; });
        for (std::size_t i = 1; i < by_name_.size(); ++i)
            if (by_name_[i - 1]->name == by_name_[i]->name)
                fail(*by_name_[i], {"is there twice; which one is meant?"});
    }

    InputFile file_;
    std::vector<ZipMember> members_;
    std::vector<const ZipMember*> by_name_;
};

}  // namespace gradus::io::detail
