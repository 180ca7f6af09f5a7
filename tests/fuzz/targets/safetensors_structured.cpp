// SPDX-License-Identifier: MIT
#include "safetensors.cpp"

// The same, with headers that change and lengths that are right again afterwards.
#if defined(GRADUS_FUZZER)

std::string mutate(const std::string& input, Dice dice) {
    if (input.size() < 8) return std::string("\x02\0\0\0\0\0\0\0{}", 10);
    std::uint64_t length = 0;
    for (std::size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(input[i]);
    length = std::min<std::uint64_t>(length, input.size() - 8);
    std::string header = input.substr(8, static_cast<std::size_t>(length));
    std::string data = input.substr(8 + static_cast<std::size_t>(length));
    switch (dice.below(6)) {
        case 0: {  // another number where one is
            std::vector<std::size_t> places;
            for (std::size_t i = 1; i < header.size(); ++i)
                if (std::isdigit(static_cast<unsigned char>(header[i])) &&
                    !std::isdigit(static_cast<unsigned char>(header[i - 1])))
                    places.push_back(i);
            if (places.empty()) break;
            const std::size_t at = places[dice.below(places.size())];
            std::size_t end = at;
            while (end < header.size() && std::isdigit(static_cast<unsigned char>(header[end]))) ++end;
            header.replace(at, end - at, std::to_string(dice.awkward()));
            break;
        }
        case 1: {  // another type
            const std::size_t at = header.find("dtype\":\"", dice.below(header.size() + 1));
            if (at == header.npos) break;
            const std::size_t begin = at + 8, end = header.find('"', begin);
            const auto& types = io::detail::dtypes;
            if (end != header.npos)
                header.replace(begin, end - begin, types[dice.below(std::size(types))].name);
            break;
        }
        case 2: {  // an entry twice
            const std::size_t begin = header.find('"'), end = header.find('}');
            if (begin != header.npos && end != header.npos && begin < end)
                header.insert(begin, header.substr(begin, end - begin + 1) + ",");
            break;
        }
        case 3:
            data = mutated(data);
            break;
        default:
            header = mutated(header);
    }
    length = dice.below(20) == 0 ? dice.awkward() : header.size();
    std::string out;
    for (int i = 0; i < 8; ++i) out += static_cast<char>(length >> 8 * i & 255);
    return out + header + data;
}
GRADUS_MUTATOR

#endif
