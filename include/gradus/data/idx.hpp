// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "gradus/core/input_file.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/data/bytes.hpp"

namespace gradus::data {

struct IdxOptions {
    std::uint64_t max_bytes = std::uint64_t{4} << 30;  // of elements; a file that promises more is refused
};

namespace detail {

/// Checks the first four bytes (00 00, type, number of axes) and returns the number of axes.
[[gnu::cold]] inline int idx_rank(const auto& source, const unsigned char (&magic)[4]) {
    if (magic[0] != 0 || magic[1] != 0) {
        const bool reversed = magic[2] == 0 && magic[3] == 0;
        source.fail({"is not an IDX file, which starts with 00 00 08: got ", hex(magic[0]), " ",
                     hex(magic[1]), " ", hex(magic[2]),
                     reversed ? "; the numbers of its header are little-endian, not big-endian"
                              : "; was it downloaded whole?"});
    }
    if (magic[2] != 0x08) {
        const char* type = magic[2] == 0x09   ? "signed bytes"
                           : magic[2] == 0x0b ? "16-bit integers"
                           : magic[2] == 0x0c ? "32-bit integers"
                           : magic[2] == 0x0d ? "floats"
                           : magic[2] == 0x0e ? "doubles"
                                              : "no known type";
        source.fail({"holds ", type, " (type ", hex(magic[2]), "); only unsigned bytes (type 08) are read"});
    }
    if (magic[3] < 1 || magic[3] > Shape::max_rank) source.fail({"has ", magic[3], " axes; 1 to 8 are read"});
    return magic[3];
}

/// The sizes that follow the magic number, each four bytes, big-endian.
[[gnu::cold]] inline Shape idx_shape(const auto& source, const unsigned char* sizes, int rank,
                                     std::uint64_t max_bytes) {
    Shape shape;
    std::uint64_t total = 1;
    max_bytes = std::min(max_bytes, std::uint64_t{1} << 56);  // what Shape can express
    for (int axis = 0; axis < rank; ++axis, sizes += 4) {
        const Index size =
            Index{sizes[0]} << 24 | Index{sizes[1]} << 16 | Index{sizes[2]} << 8 | Index{sizes[3]};
        if (size == 0) source.fail({"is empty: got size 0 at axis ", axis});
        if (__builtin_mul_overflow(total, static_cast<std::uint64_t>(size), &total) || total > max_bytes)
            source.fail({"the header promises more than ", max_bytes,
                         " bytes; if that is right, raise IdxOptions::max_bytes"});
        shape.push_back(size);
    }
    return shape;
}

/// Reads an IDX stream to its end. A source offers read(to, count), most_bytes() and fail(problem). Memory
/// for the elements is taken only after the header was compared with what the source can hold.
template <class Source>
[[gnu::cold]] Tensor<std::uint8_t> parse_idx(Source& source, const IdxOptions& options) {
    const auto read_header = [&](unsigned char* to, std::size_t count, std::size_t before) {
        const std::size_t got = source.read(to, count);
        if (got < count)
            source.fail({"truncated header: needs ", before + count, " bytes: got ", before + got});
    };
    unsigned char magic[4], sizes[4 * Shape::max_rank];
    read_header(magic, sizeof magic, 0);
    const int rank = idx_rank(source, magic);
    const std::size_t sizes_bytes = 4 * static_cast<std::size_t>(rank);
    read_header(sizes, sizes_bytes, sizeof magic);
    const Shape shape = idx_shape(source, sizes, rank, options.max_bytes);

    const auto need = static_cast<std::uint64_t>(shape.numel());
    const auto check_enough = [&](std::uint64_t most) {
        if (most < need)
            source.fail(
                {"truncated data: ", to_string(shape), " needs ", need, " bytes: got at most ", most});
    };
    const std::uint64_t header = sizeof magic + sizes_bytes;
    check_enough(std::max(source.most_bytes(), header) - header);
    Tensor<std::uint8_t> result = Tensor<std::uint8_t>::uninitialized(shape);
    check_enough(source.read(result.mutable_data(), static_cast<std::size_t>(need)));
    unsigned char extra;
    if (source.read(&extra, 1) != 0)
        source.fail({"extra data: ", to_string(shape), " needs ", need, " bytes: got more"});
    return result;
}

}  // namespace detail

/// Reads a whole IDX file of unsigned bytes, the format of MNIST and its relatives: 00 00 08, the number of
/// axes, their sizes as big-endian 32-bit numbers, the elements in row-major order. The result has the file's
/// shape. A gzip file is recognized by its contents, whatever its name, and unpacked if the program was built
/// with zlib.
///
/// Throws IoError, naming the file, if it is missing, unreadable, no regular file, of another type, empty (a
/// size of 0), one byte too short or too long, damaged, or promises more than `max_bytes`.
///
/// Source: LeCun, Cortes & Burges, "The MNIST database of handwritten digits"; gzip: RFC 1952.
[[gnu::cold]] inline Tensor<std::uint8_t> read_idx(const std::string& path, const IdxOptions& options = {}) {
    detail::InputFile file("read_idx", path);
    return detail::read_plain_or_gzip(file, [&](auto& source) { return detail::parse_idx(source, options); });
}

}  // namespace gradus::data
