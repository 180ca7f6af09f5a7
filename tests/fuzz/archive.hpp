// SPDX-License-Identifier: MIT
#pragma once

#include "fuzz.hpp"
#include "gradus/io/zip_source.hpp"
#include "io/archives.hpp"

// Mutators of what lies in archives: a member changes, and the archive around it is right again.

#if defined(GRADUS_FUZZER)

/// The members of an archive, unpacked; none if it is damaged.
inline std::vector<TestMember> members_of(const std::string& input) {
    std::vector<TestMember> members;
    const MemoryFile file(input);
    accepted([&] {
        gradus::io::detail::ZipFile archive("zip", file.path());
        for (const auto& member : archive.members())
            accepted([&] {
                gradus::io::detail::ZipSource source(archive, member, {.max_bytes = 1 << 16});
                members.push_back({.name = member.name, .bytes = source.read_all()});
            });
    });
    return members;
}

/// Changes a member with `change`, or the archive itself, and writes it anew.
template <class Change>
std::string mutate_archive(const std::string& input, Dice& dice, const Change& change) {
    TestArchive archive{.members = members_of(input)};
    if (archive.members.empty()) return mutated(input);
    // The first one says what the others are, where there is such a thing.
    TestMember& member = archive.members[dice.below(2) * dice.below(archive.members.size())];
    switch (dice.below(36)) {
        case 0:
            member.name = mutated(member.name, 4);
            break;
        case 1:
            member.size = dice.awkward();
            break;
        case 2:
            member.packed = dice.awkward();
            break;
        case 3:
            member.method = 8;
            break;
        case 4:
            member.zip64 = true;
            break;
        case 5:
            member.sizes_follow = true;
            break;
        case 6:
            archive.zip64 = true;
            break;
        case 7:
            archive.directory_shift = static_cast<long long>(dice.awkward());
            break;
        case 8:
            archive.members.push_back(TestMember(member));
            break;
        default:
            change(member);
    }
    std::string bytes = archive.bytes();
    return dice.below(30) == 0 ? mutated(bytes) : bytes;
}

#endif
