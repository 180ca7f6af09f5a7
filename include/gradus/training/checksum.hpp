// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace gradus::training {

/// XXH64 of bytes that come piece by piece, at the speed of memory: a file that was damaged has another one.
/// Not for secrets: who wants to can make a file of any checksum.
///
///     Checksum sum;
///     for (std::string_view piece : pieces) sum.update(piece);
///     sum.value();
///
/// Source: Collet, "xxHash fast digest algorithm", revision 0.1.1.
class Checksum {
public:
    void update(std::string_view bytes) {
        length_ += bytes.size();
        if (filled_ > 0) {
            const std::size_t taken = std::min(bytes.size(), stripe - filled_);
            std::memcpy(rest_.data() + filled_, bytes.data(), taken);
            filled_ += taken;
            bytes.remove_prefix(taken);
            if (filled_ < stripe) return;
            mix({rest_.data(), stripe});
            filled_ = 0;
        }
        mix(bytes);
        const std::string_view rest = bytes.substr(bytes.size() / stripe * stripe);
        if (!rest.empty()) std::memcpy(rest_.data(), rest.data(), rest.size());
        filled_ = rest.size();
    }

    /// Of all bytes so far.
    std::uint64_t value() const {
        std::uint64_t sum = prime5;
        if (length_ >= stripe) {
            sum = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
                  std::rotl(lanes_[3], 18);
            for (const std::uint64_t lane : lanes_) sum = (sum ^ round(0, lane)) * prime1 + prime4;
        }
        sum += length_;
        const char* at = rest_.data();
        const char* const end = at + filled_;
        for (; end - at >= 8; at += 8)
            sum = std::rotl(sum ^ round(0, read<std::uint64_t>(at)), 27) * prime1 + prime4;
        for (; end - at >= 4; at += 4)
            sum = std::rotl(sum ^ read<std::uint32_t>(at) * prime1, 23) * prime2 + prime3;
        for (; at < end; ++at) sum = std::rotl(sum ^ static_cast<unsigned char>(*at) * prime5, 11) * prime1;
        sum = (sum ^ sum >> 33) * prime2;
        sum = (sum ^ sum >> 29) * prime3;
        return sum ^ sum >> 32;
    }

private:
    static constexpr std::size_t stripe = 32;
    static constexpr std::uint64_t prime1 = 0x9E3779B185EBCA87u, prime2 = 0xC2B2AE3D27D4EB4Fu,
                                   prime3 = 0x165667B19E3779F9u, prime4 = 0x85EBCA77C2B2AE63u,
                                   prime5 = 0x27D4EB2F165667C5u;

    static std::uint64_t round(std::uint64_t lane, std::uint64_t input) {
        return std::rotl(lane + input * prime2, 31) * prime1;
    }

    /// Little-endian.
    template <class Word>
    static std::uint64_t read(const char* bytes) {
        Word word;
        std::memcpy(&word, bytes, sizeof word);
        if constexpr (std::endian::native == std::endian::little) return word;
        std::uint64_t turned = 0;
        for (std::size_t i = 0; i < sizeof word; ++i)
            turned |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << 8 * i;
        return turned;
    }

    /// All whole stripes.
    void mix(std::string_view bytes) {
        std::uint64_t a = lanes_[0], b = lanes_[1], c = lanes_[2], d = lanes_[3];
        for (const char *at = bytes.data(), *end = at + bytes.size() / stripe * stripe; at != end;
             at += stripe) {
            a = round(a, read<std::uint64_t>(at));
            b = round(b, read<std::uint64_t>(at + 8));
            c = round(c, read<std::uint64_t>(at + 16));
            d = round(d, read<std::uint64_t>(at + 24));
        }
        lanes_ = {a, b, c, d};
    }

    std::array<std::uint64_t, 4> lanes_{prime1 + prime2, prime2, 0, 0 - prime1};
    std::array<char, stripe> rest_{};  // what did not fill a stripe
    std::size_t filled_ = 0;
    std::uint64_t length_ = 0;
};

}  // namespace gradus::training
