// SPDX-License-Identifier: MIT
#include "pytorch.cpp"

#include "../archive.hpp"

#if defined(GRADUS_FUZZER)

/// A pickle with another number, with a part of it twice or left out, or changed anywhere.
std::string mutated_pickle(std::string pickle, Dice& dice) {
    switch (dice.below(4)) {
        case 0: {  // a small number becomes an awkward one
            const std::size_t at = pickle.find('K', dice.below(pickle.size() + 1));
            if (at == pickle.npos || at + 2 > pickle.size()) break;
            pickle.replace(at, 2, "\x8a\x08" + le(dice.awkward(), 8));
            return pickle;
        }
        case 1: {
            const std::size_t begin = dice.below(pickle.size() + 1), count = dice.below(64);
            pickle.insert(dice.below(pickle.size() + 1), pickle.substr(begin, count));
            return pickle;
        }
        case 2: {
            const std::size_t begin = dice.below(pickle.size() + 1);
            pickle.erase(begin, dice.below(16));
            return pickle;
        }
        default:
            break;
    }
    return mutated(pickle);
}

std::string mutate(const std::string& input, Dice dice) {
    return mutate_archive(input, dice, [&](TestMember& member) {
        member.bytes =
            member.name.ends_with("data.pkl") ? mutated_pickle(member.bytes, dice) : mutated(member.bytes);
    });
}
GRADUS_MUTATOR

#endif
