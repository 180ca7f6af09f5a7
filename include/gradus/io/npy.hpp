// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "gradus/core/write_file.hpp"
#include "gradus/io/any_tensor.hpp"
#include "gradus/io/json.hpp"
#include "gradus/io/source.hpp"
#include "gradus/io/strided.hpp"

namespace gradus::io {
namespace detail {

/// What the header of a .npy file says.
struct NpyHeader {
    DType dtype = DType::f32;
    Shape shape;
    bool fortran_order = false, swapped = false;  // the first axis is the fastest; numbers are big-endian
};

struct NpyType {
    std::string_view code;  // of numpy, without the byte order
    DType dtype;
};

inline constexpr NpyType npy_types[] = {
    {"b1", DType::boolean}, {"u1", DType::u8},  {"i1", DType::i8},  {"u2", DType::u16}, {"i2", DType::i16},
    {"f2", DType::f16},     {"u4", DType::u32}, {"i4", DType::i32}, {"f4", DType::f32}, {"c8", DType::c64},
    {"u8", DType::u64},     {"i8", DType::i64}, {"f8", DType::f64},
};

/// Reads the dictionary that a header is: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }. Nothing
/// but these three, which may come in any order, is understood, so nothing can be executed.
class NpyDictionary {
public:
    [[gnu::cold]] NpyDictionary(const Source& source, std::string_view text) : source_(source), text_(text) {
        expect('{');
        while (!next_is('}')) {
            read_item(words());
            if (!next_is(',')) {
                expect('}');
                break;
            }
        }
        skip_space();
        if (at_ < text_.size()) fail_syntax("its end");
        constexpr const char* names[] = {"descr", "fortran_order", "shape"};
        for (int i = 0; i < 3; ++i)
            if (!seen_[i]) source_.fail({"the header has no ", names[i]});
    }

    NpyHeader header;

private:
    [[noreturn, gnu::cold]] void fail_syntax(const char* expected) const {
        source_.fail({"the header is damaged at byte ", at_, ": expected ", expected, ": got ",
                      at_ < text_.size() ? shown(text_.substr(at_, 16)) : "its end"});
    }
    [[gnu::cold]] void skip_space() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
    }
    [[gnu::cold]] bool next_is(char c) {
        skip_space();
        if (at_ == text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    [[gnu::cold]] void expect(char c) {
        const char text[] = {c, '\0'};
        if (!next_is(c)) fail_syntax(text);
    }

    /// A text in quotes of either kind, without escapes.
    [[gnu::cold]] std::string_view words() {
        skip_space();
        const char quote = at_ < text_.size() ? text_[at_] : ' ';
        if (quote != '\'' && quote != '"') fail_syntax("a text in quotes");
        const std::size_t end = text_.find(quote, at_ + 1);
        if (end == text_.npos || text_.substr(at_, end - at_).find('\\') != text_.npos)
            fail_syntax("a text in quotes");
        const std::string_view result = text_.substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
        return result;
    }

    [[gnu::cold]] void read_item(std::string_view key) {
        const int which = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : 3;
        if (which == 3)
            source_.fail(
                {"the header has an unknown key ", shown(key), "; there are descr, fortran_order and shape"});
        if (std::exchange(seen_[which], true)) source_.fail({"the header has ", key, " twice"});
        expect(':');
        if (which == 0) {
            skip_space();
            if (at_ < text_.size() && text_[at_] == '[')
                source_.fail(
                    {"holds records of several fields, not numbers; save each field as an array of its own"});
            read_type(words());
        } else if (which == 1) {
            skip_space();
            const std::string_view rest = text_.substr(at_);
            header.fortran_order = rest.substr(0, 4) == "True";
            if (!header.fortran_order && rest.substr(0, 5) != "False") fail_syntax("True or False");
            at_ += header.fortran_order ? 4 : 5;
        } else {
            read_shape();
        }
    }

    [[gnu::cold]] void read_type(std::string_view descr) {
        std::string_view code = descr;
        header.swapped = !code.empty() && code[0] == '>';
        if (!code.empty() && (code[0] == '<' || code[0] == '>' || code[0] == '|' || code[0] == '='))
            code.remove_prefix(1);
        for (const NpyType& type : npy_types)
            if (type.code == code) {
                header.dtype = type.dtype;
                return;
            }
        const char kind = code.empty() ? ' ' : code[0];
        source_.fail({"holds ",
                      kind == 'O'                  ? "Python objects, which may run code"
                      : kind == 'S' || kind == 'U' ? "texts"
                      : kind == 'V'                ? "raw bytes"
                      : kind == 'M' || kind == 'm' ? "dates or times"
                      : kind == 'f' || kind == 'c' ? "numbers of a size that is not read"
                                                   : "no known type",
                      " (descr ", shown(descr),
                      "); booleans, integers and floats of up to 8 bytes are read"});
    }

    [[gnu::cold]] void read_shape() {
        expect('(');
        bool comma = true;  // (3) is a number in brackets, (3,) a shape
        while (!next_is(')')) {
            skip_space();
            const std::size_t first = at_;
            Index size = 0;
            for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
                size = gradus::detail::saturated_sum(gradus::detail::saturated_product(size, 10),
                                                     text_[at_] - '0');
            if (at_ == first) fail_syntax("a size, which is a whole number from 0 on");
            if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // of Python 2
            try {
                header.shape.push_back(size);
            } catch (const ShapeError& error) {
                source_.fail({"the header has a shape that no tensor has: ", error.what()});
            }
            comma = next_is(',');
            if (!comma) {
                expect(')');
                break;
            }
        }
        if (!comma && header.shape.rank() == 1) fail_syntax("a comma after the only size");
    }

    const Source& source_;
    std::string_view text_;
    std::size_t at_ = 0;
    bool seen_[3] = {};
};

[[gnu::cold]] inline NpyHeader read_npy_header(Source& source) {
    char start[12] = {};
    std::size_t got = source.read(start, 8);
    if (std::string_view(start, 6) != std::string_view("\x93NUMPY", 6))
        source.fail({"is no .npy file, which starts with \\x93NUMPY: got ",
                     shown({start, std::min<std::size_t>(got, 6)})});
    const int major = static_cast<unsigned char>(start[6]), minor = static_cast<unsigned char>(start[7]);
    if (got == 8 && (major < 1 || major > 3 || minor != 0))
        source.fail({"is of version ", major, ".", minor, "; 1.0, 2.0 and 3.0 are read"});
    const std::size_t width = major == 1 ? 2 : 4;
    got += source.read(start + got, width);
    if (got < 8 + width) source.fail({"truncated header: needs ", 8 + width, " bytes: got ", got});
    const std::uint64_t length = major == 1 ? little_endian<2>(start + 8) : little_endian<4>(start + 8);
    if (length > source.remaining())
        source.fail({"truncated header: needs ", length, " bytes more: got ", source.remaining()});
    constexpr std::uint64_t max_length = 10000;  // as numpy
    if (length > max_length)
        source.fail({"the header has ", length, " bytes; that of an array has at most 10000"});
    std::string text(static_cast<std::size_t>(length), '\0');
    source.read(text.data(), text.size());
    return NpyDictionary(source, text).header;
}

/// Turns round the bytes of every number of `width` bytes.
[[gnu::cold]] inline void swap_bytes(std::span<std::uint8_t> bytes, std::size_t width) {
    for (std::size_t at = 0; at + width <= bytes.size(); at += width)
        std::reverse(bytes.data() + at, bytes.data() + at + width);
}

/// Reads a source to its end.
[[gnu::cold]] inline AnyTensor parse_npy(Source& source) {
    const NpyHeader header = read_npy_header(source);
    const auto need = static_cast<std::uint64_t>(byte_count(header.dtype, header.shape.numel()));
    const std::uint64_t got = source.remaining();
    if (got < need)
        source.fail({"truncated data: ", to_string(header.shape), " needs ", need, " bytes: got ", got});
    if (got > need)
        source.fail({"bytes follow the array: ", to_string(header.shape), " needs ", need, " bytes: got ",
                     got, "; several arrays in one file are saved by numpy.savez"});
    auto bytes = Tensor<std::uint8_t>::uninitialized({static_cast<Index>(need)}, "npy");
    if (source.read(bytes.mutable_data(), static_cast<std::size_t>(need)) < need)
        source.fail({"got shorter while it was read; is a program writing it?"});
    const int width = bits(header.dtype) / 8;
    if (header.swapped)
        swap_bytes(bytes.mutable_values(), static_cast<std::size_t>(header.dtype == DType::c64 ? 4 : width));
    if (header.fortran_order && header.shape.rank() > 1) {
        Index strides[Shape::max_rank];
        set_strides(header.shape, true, strides);
        auto rows = Tensor<std::uint8_t>::uninitialized(bytes.shape(), "npy");
        gather(bytes.data(), width, header.shape, strides, rows.mutable_data());
        bytes = std::move(rows);
    }
    return AnyTensor(header.dtype, header.shape, bytes);
}

/// What is in front of the elements: as numpy writes it, a multiple of 64 bytes.
[[gnu::cold]] inline std::string npy_head(const char* operation, const std::string& where,
                                          const AnyTensor& tensor) {
    const auto* type = std::find_if(std::begin(npy_types), std::end(npy_types),
                                    [&](const NpyType& known) { return known.dtype == tensor.dtype(); });
    if (type == std::end(npy_types))
        raise<ValueError>({operation, ": ", where, ": numpy has no ", name(tensor.dtype()),
                           "; convert it first, as with as<float>(), or save it as safetensors"});
    std::string header = text_of({"{'descr': '", bits(tensor.dtype()) == 8 ? "|" : "<", type->code,
                                  "', 'fortran_order': False, 'shape': ("});
    for (const Index& size : tensor.shape())
        header += text_of({&size == tensor.shape().begin() ? "" : ", ", size});
    header += tensor.shape().rank() == 1 ? ",), }" : "), }";
    constexpr std::size_t prefix = 10;
    header.resize((prefix + header.size() + 1 + 63) / 64 * 64 - prefix, ' ');
    header.back() = '\n';
    std::string head("\x93NUMPY\1\0", 8);
    append_little_endian(head, header.size(), 2);
    return head + header;
}

[[gnu::cold]] inline std::string_view bytes_of(const AnyTensor& tensor) {
    return {reinterpret_cast<const char*>(tensor.bytes().data()), tensor.bytes().size()};
}

}  // namespace detail

/// Reads a .npy file, what numpy.save writes: one array of booleans, integers or floats, of any of the format's
/// versions, byte orders and memory orders. The result has the array's shape.
///
///     const Tensor<> x = io::read_npy("x.npy").as<float>();
///
/// Throws IoError, naming the file, if it is missing, truncated, longer than the array, damaged, or holds
/// something else: Python objects are refused, as reading them could run code.
///
/// Source: NumPy, numpy.lib.format.
[[gnu::cold]] inline AnyTensor read_npy(const std::string& path) {
    detail::FileSource source("read_npy", path);
    return detail::parse_npy(source);
}

/// Writes a tensor as a .npy file, which numpy.load reads. The file is replaced as a whole (see write_file).
/// Throws ValueError for a type that numpy lacks (bfloat16), IoError if the file cannot be written.
[[gnu::cold]] inline void write_npy(const std::string& path, const AnyTensor& tensor,
                                    const WriteOptions& options = {.operation = "write_npy"}) {
    const std::string head = detail::npy_head(options.operation, path, tensor);
    const std::string_view pieces[] = {head, detail::bytes_of(tensor)};
    write_file(path, pieces, options);
}

}  // namespace gradus::io
