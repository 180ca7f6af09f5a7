// SPDX-License-Identifier: MIT
#include "npz.cpp"

#include "../archive.hpp"

#if defined(GRADUS_FUZZER)

std::string mutate(const std::string& input, Dice dice) {
    return mutate_archive(input, dice, [&](TestMember& member) {
#ifdef GRADUS_WITH_ZLIB
        if (dice.below(4) == 0) {
            member = deflated(member.name, member.bytes);
            if (dice.below(2) == 0) member.bytes = mutated(member.bytes);
            return;
        }
#endif
        member.bytes = mutated(member.bytes);
    });
}
GRADUS_MUTATOR

#endif
