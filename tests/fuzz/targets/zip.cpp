// SPDX-License-Identifier: MIT
#include "gradus/io/zip.hpp"

#include "../fuzz.hpp"
#include "gradus/io/zip_source.hpp"

using namespace gradus;

void fuzz(std::string_view input) {
    const MemoryFile file(input);
    accepted([&] {
        io::detail::ZipFile archive("zip", file.path());
        std::size_t stored = 0;
        for (const io::detail::ZipMember& member : archive.members()) {
            if (!member.deflated) stored += static_cast<std::size_t>(member.size);
            require(archive.find(member.name) == &member);
            accepted([&] {
                io::detail::ZipSource source(archive, member, {.max_bytes = 1 << 22});
                require(source.read_all().size() == member.size);
            });
        }
        require(stored <= input.size());  // no byte belongs to two members
    });
}
