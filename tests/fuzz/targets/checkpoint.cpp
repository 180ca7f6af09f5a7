// SPDX-License-Identifier: MIT
#include "gradus/training/checkpoint.hpp"

#include "../fuzz.hpp"

using namespace gradus;

void fuzz(std::string_view input) {
    const MemoryFile file(input);
    accepted([&] {
        const training::State state = training::read_checkpoint(file.path());
        const training::StateReader reader(state);
        accepted([&] { training::detail::read_position(reader); });
    });
}

// Files whose checksum is right again after they were changed, so that what lies behind it is reached.
#if defined(GRADUS_FUZZER)

std::string mutate(const std::string& input, Dice dice) {
    std::string changed = mutated(input);
    if (dice.below(10) == 0) return changed;
    const std::size_t at = training::detail::find_checksum(changed);
    const std::size_t width = training::detail::no_checksum.size();
    if (at == changed.npos || changed.size() - at < width) return changed;
    changed.replace(at, width, training::detail::no_checksum);
    training::Checksum sum;
    sum.update(changed);
    return changed.replace(at, width, training::detail::checksum_text(sum));
}
GRADUS_MUTATOR

#endif
