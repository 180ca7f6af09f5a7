// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/input_file.hpp"
#include "gradus/core/write_file.hpp"
#include "gradus/io/any_tensor.hpp"
#include "gradus/io/json.hpp"

// The format of https://huggingface.co/docs/safetensors: 8 bytes, the length of the header, little-endian; the
// header, JSON, which says of each tensor its type, its shape and which bytes of the data it is; the data.

namespace gradus::io {
namespace detail {

inline constexpr std::uint64_t max_header = 100'000'000;  // bytes; as the library of the format
inline constexpr std::size_t max_tensors = 1'000'000;
inline constexpr std::size_t max_name = 4096;  // bytes
inline constexpr const char* metadata_key = "__metadata__";

/// Why a text cannot be the name of a tensor; nullptr if it can.
[[gnu::cold]] inline const char* name_problem(std::string_view name) {
    return name == metadata_key               ? "is what the format calls its metadata"
           : name.size() > max_name           ? "is longer than 4096 bytes"
           : name.find('\0') != name.npos     ? "has a byte 0"
           : utf8_prefix(name) != name.size() ? "is not UTF-8"
                                              : nullptr;
}

/// A file as it will be written: what is in front of the data, and the tensors in the order of their data.
struct SafetensorsLayout {
    std::string head;
    std::vector<const NamedTensor*> tensors;

    /// The whole file in pieces, which refer to this and to the memory of the tensors.
    std::vector<std::string_view> pieces() const {
        std::vector<std::string_view> result{head};
        for (const NamedTensor* t : tensors)
            result.emplace_back(reinterpret_cast<const char*>(t->tensor.bytes().data()),
                                t->tensor.bytes().size());
        return result;
    }
};

[[gnu::cold]] inline SafetensorsLayout safetensors_layout(const char* operation, const std::string& path,
                                                          std::span<const NamedTensor> tensors,
                                                          const Metadata& metadata) {
    SafetensorsLayout layout;
    for (const NamedTensor& t : tensors) {
        if (const char* problem = name_problem(t.name))
            raise<ValueError>({operation, ": ", path, ": the name ", shown(t.name), " ", problem});
        layout.tensors.push_back(&t);
    }
    // The order of the format's own library: of two files with the same tensors, the same bytes.
    std::sort(layout.tensors.begin(), layout.tensors.end(), [](const NamedTensor* a, const NamedTensor* b) {
        const DType first = a->tensor.dtype(), second = b->tensor.dtype();
        return first != second ? first > second : a->name < b->name;
    });
    std::vector<std::string_view> names;
    for (const NamedTensor* t : layout.tensors) names.push_back(t->name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end())
        raise<ValueError>({operation, ": ", path, ": two tensors have the name ", shown(*twice)});

    std::string json = "{";
    if (!metadata.empty()) {
        json += text_of({json_string(metadata_key), ":{"});
        for (const auto& [key, value] : metadata) {
            const auto same = [&name = key](const auto& other) { return other.first == name; };
            if (std::count_if(metadata.begin(), metadata.end(), same) > 1)
                raise<ValueError>(
                    {operation, ": ", path, ": the metadata has the key ", shown(key), " twice"});
            if (utf8_prefix(key) != key.size() || utf8_prefix(value) != value.size())
                raise<ValueError>({operation, ": ", path, ": the metadata at ", shown(key), " is not UTF-8"});
            json += json_string(key) + ":" + json_string(value) + ",";
        }
        json.back() = '}';
    }
    std::uint64_t offset = 0;
    for (const NamedTensor* t : layout.tensors) {
        const std::uint64_t end = offset + t->tensor.bytes().size();
        if (json.size() > 1) json += ',';
        json += json_string(t->name);
        json += text_of({":{\"dtype\":\"", name(t->tensor.dtype()), "\",\"shape\":["});
        for (const Index& size : t->tensor.shape())
            json += text_of({&size == t->tensor.shape().begin() ? "" : ",", size});
        json += text_of({"],\"data_offsets\":[", offset, ",", end, "]}"});
        offset = end;
    }
    json += '}';
    json.resize((json.size() + 7) / 8 * 8, ' ');
    if (json.size() > max_header || tensors.size() > max_tensors)
        raise<ValueError>({operation, ": ", path, ": too much for one file: ", tensors.size(),
                           " tensors with a header of ", json.size(),
                           " bytes; at most 1000000 and 100000000"});
    const std::uint64_t length = json.size();
    for (int shift = 0; shift < 64; shift += 8) layout.head += static_cast<char>(length >> shift & 255);
    layout.head += json;
    return layout;
}

/// What the header of a file says of a tensor.
struct SafetensorsEntry {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;
    std::uint64_t begin = 0, end = 0;  // of its bytes, in the data
};

/// The header of a file, checked in the order of the rules below, each before what depends on it.
class SafetensorsHeader {
public:
    explicit SafetensorsHeader(const gradus::detail::InputFile& file) : file_(file) {
        read_text();
        read_json();
        for (std::size_t i = 0; i < entries.size(); ++i) set_shape(entries[i], sizes_[i]);
        check_offsets();
    }

    std::vector<SafetensorsEntry> entries;  // in the order of their data
    Metadata metadata;
    std::uint64_t data = 0;  // where it begins in the file

private:
    using Sizes = std::vector<std::uint64_t>;

    [[noreturn]] void fail(std::initializer_list<TextPart> problem) const { file_.fail(problem); }
    [[noreturn]] void fail(const std::string& name, std::initializer_list<TextPart> problem) const {
        file_.fail({"tensor ", shown(name), ": ", text_of(problem)});
    }

    /// What a file is that is no safetensors file.
    const char* other_format(const unsigned char (&start)[8]) const {
        const std::string_view text(reinterpret_cast<const char*>(start), sizeof start);
        return text.substr(0, 2) == "PK"          ? "; it is a zip file, as torch.save and numpy.savez write"
               : text.substr(0, 6) == "\x93NUMPY" ? "; it is a .npy file"
               : text == "version "               ? "; it is a pointer of Git LFS: git lfs pull gets the file"
               : text.substr(0, 4) == "GGUF"      ? "; it is a GGUF file"
               : text.substr(0, 4) == "\x89HDF"   ? "; it is an HDF5 file"
               : text.substr(0, 2) == "\x1f\x8b"  ? "; it is compressed: gunzip it"
               : text[0] == '{' || text[0] == '<' ? "; it is a text"
                                                  : "; is it a safetensors file?";
    }

    void read_text() {
        unsigned char start[8] = {};
        if (file_.size() < sizeof start)
            fail({"is no safetensors file: needs at least 8 bytes: got ", file_.size()});
        file_.read_all_at(0, start, sizeof start);
        unsigned long long length = 0;
        for (int i = 7; i >= 0; --i) length = length << 8 | start[i];
        if (length > max_header)
            fail({"the header has more than 100000000 bytes: got ", std::to_string(length),
                  other_format(start)});
        const std::uint64_t rest = file_.size() - 8;
        if (length > rest)
            fail({"the header is cut short: needs ", length, " bytes: got ", rest,
                  "; copy or download the file again"});
        text_.resize(static_cast<std::size_t>(length));
        file_.read_all_at(8, text_.data(), text_.size());
        data = 8 + length;
        const std::size_t valid = utf8_prefix(text_);
        if (valid < text_.size()) fail({"the header is not UTF-8 at byte ", valid});
        const std::size_t first = text_.find_first_not_of(" \t\n\r");
        if (first == text_.npos || text_[first] != '{')
            fail({"the header does not begin with {: got ",
                  first == text_.npos ? "nothing" : excerpt(std::string_view(text_).substr(first, 8))});
    }

    void read_json() {
        const std::string where = text_of({file_.operation(), ": ", file_.path(), ": the header"});
        JsonReader check(text_, where);
        check.check_value(max_tensors + 1);
        check.end();
        for (const bool tensors : {false, true}) {
            JsonReader json(text_, where);
            json.begin_object();
            for (std::string key; json.next_key(key);) {
                const std::string_view value = json.skip();
                if ((key != metadata_key) == tensors) tensors ? read_entry(key, value) : read_metadata(value);
            }
        }
    }

    void read_metadata(std::string_view value) {
        JsonReader json(value, "");
        if (json.kind() != JsonReader::Kind::object)
            fail({"__metadata__ is not an object of texts: got ", excerpt(value)});
        json.begin_object();
        for (std::string key; json.next_key(key);) {
            if (json.kind() != JsonReader::Kind::string)
                fail({"__metadata__: ", shown(key), " is not a text: got ", excerpt(json.skip())});
            metadata.emplace_back(std::move(key), json.string());
        }
    }

    void read_entry(const std::string& name, std::string_view value) {
        if (const char* problem = name_problem(name)) fail({"the name ", shown(name), " ", problem});
        JsonReader json(value, "");
        if (json.kind() != JsonReader::Kind::object)
            fail(name, {"is not described by an object: got ", excerpt(value)});
        SafetensorsEntry entry;
        entry.name = name;
        Sizes sizes, offsets;
        bool has_dtype = false, has_shape = false, has_offsets = false;
        json.begin_object();
        for (std::string key; json.next_key(key);) {
            const std::string_view text = json.skip();
            if (key == "dtype") {
                has_dtype = true;
                entry.dtype = read_dtype(name, text);
            } else if (key == "shape") {
                has_shape = read_sizes(text, sizes);
                if (!has_shape) fail(name, {"shape is not a list of sizes from 0 on: got ", excerpt(text)});
                if (sizes.size() > static_cast<std::size_t>(Shape::max_rank))
                    fail(name, {"has ", sizes.size(), " axes; at most 8 are read"});
            } else if (key == "data_offsets") {
                has_offsets = read_sizes(text, offsets) && offsets.size() == 2;
                if (!has_offsets)
                    fail(name, {"data_offsets is not two numbers from 0 on: got ", excerpt(text)});
                entry.begin = offsets[0];
                entry.end = offsets[1];
            } else {
                fail(name,
                     {"has an unknown field ", shown(key), "; there are dtype, shape and data_offsets"});
            }
        }
        if (!has_dtype || !has_shape || !has_offsets)
            fail(name, {"has no ", !has_dtype ? "dtype" : !has_shape ? "shape" : "data_offsets"});
        entries.push_back(std::move(entry));
        sizes_.push_back(std::move(sizes));
    }

    DType read_dtype(const std::string& name, std::string_view text) const {
        JsonReader json(text, "");
        const std::string dtype = json.kind() == JsonReader::Kind::string ? json.string() : "";
        for (std::size_t i = 0; i < std::size(dtypes); ++i)
            if (dtypes[i].name == dtype) return static_cast<DType>(i);
        fail(name, {"unknown dtype: got ", excerpt(text)});
    }

    /// A list of numbers from 0 to 2^64 - 1. Of a longer one than a rule allows, one more than that.
    static bool read_sizes(std::string_view text, Sizes& sizes) {
        JsonReader json(text, "");
        if (json.kind() != JsonReader::Kind::array) return false;
        json.begin_array();
        for (std::uint64_t size = 0; json.next_item(); sizes.push_back(size))
            if (!json.try_unsigned(size)) return false;
        return true;
    }

    /// Bytes are counted up to 2^62: no shape that Tensor takes has more.
    void set_shape(SafetensorsEntry& entry, const Sizes& sizes) const {
        std::uint64_t count = 1, nonzero = 1;
        const auto shape_text = [&] {
            std::string text;
            for (const std::uint64_t size : sizes) text += (text.empty() ? "[" : ", ") + std::to_string(size);
            return text + "]";
        };
        for (const std::uint64_t size : sizes) {
            if (__builtin_mul_overflow(nonzero, std::max<std::uint64_t>(size, 1), &nonzero) ||
                nonzero > std::uint64_t{1} << 56)
                fail(entry.name, {"more elements than memory can address: got shape ", shape_text()});
            count *= size;
        }
        if (count * static_cast<unsigned>(bits(entry.dtype)) % 8 != 0)
            fail(entry.name, {shape_text(), " of ", name(entry.dtype), " is not a whole number of bytes"});
        for (const std::uint64_t size : sizes) entry.shape.push_back(static_cast<Index>(size));
    }

    void check_offsets() {
        std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
            return a.begin != b.begin ? a.begin < b.begin : a.end != b.end ? a.end < b.end : a.name < b.name;
        });
        std::uint64_t at = 0;
        for (const SafetensorsEntry& entry : entries) {
            const std::string given =
                "[" + std::to_string(entry.begin) + ", " + std::to_string(entry.end) + "]";
            if (entry.end < entry.begin)
                fail(entry.name, {"data_offsets end before they begin: got ", given});
            if (entry.begin != at)
                fail(entry.name,
                     {entry.begin < at ? "overlaps the tensor before it" : "leaves a gap before it",
                      ": data_offsets must begin at ", std::to_string(at), ": got ", given});
            at = entry.end;
        }
        for (const SafetensorsEntry& entry : entries) {
            const auto need = static_cast<std::uint64_t>(byte_count(entry.dtype, entry.shape.numel()));
            if (entry.end - entry.begin != need)
                fail(entry.name, {to_string(entry.shape), " of ", name(entry.dtype), " needs ", need,
                                  " bytes: data_offsets give ", std::to_string(entry.end - entry.begin)});
        }
        const std::uint64_t rest = file_.size() - data;
        if (at > rest)
            fail({"the data is cut short: needs ", std::to_string(at), " bytes: got ", rest,
                  "; copy or download the file again"});
        if (at < rest) fail({"bytes follow the last tensor: needs ", at, " bytes of data: got ", rest});
    }

    const gradus::detail::InputFile& file_;
    std::string text_;
    std::vector<Sizes> sizes_;  // of the entries
};

}  // namespace detail

/// Writes tensors as a safetensors file, which PyTorch and many others read: sorted as the format's own library
/// sorts them, so that the same tensors are the same bytes. The file is replaced as a whole (see write_file);
/// the tensors are written from their own memory.
/// Throws ValueError for a name or metadata that files cannot have (a name twice, "__metadata__", no UTF-8, a
/// byte 0, longer than 4096 bytes); IoError, with the path and the reason, if it cannot be written.
[[gnu::cold]] inline void write_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                                            const Metadata& metadata = {},
                                            const WriteOptions& options = {
                                                .operation = "write_safetensors"}) {
    const detail::SafetensorsLayout layout =
        detail::safetensors_layout(options.operation, path, tensors, metadata);
    const std::vector<std::string_view> pieces = layout.pieces();
    write_file(path, pieces, options);
}

/// The tensors of a safetensors file by their names. Opening reads the header only, however large the file, and
/// read() only the bytes of one tensor.
///
///     const io::SafetensorsFile file("model.safetensors");
///     for (const std::string& name : file.names()) file.shape(name);
///     const Tensor<> weight = file.read("fc1.weight").as<float>();
///
/// The constructor throws IoError, which names the file, the tensor and the value, unless all of the header is
/// right: so no offset, size or name in a hostile file is ever followed.
class SafetensorsFile {
public:
    [[gnu::cold]] explicit SafetensorsFile(const std::string& path, const char* operation = "safetensors")
        : file_(operation, path) {
        detail::SafetensorsHeader header(file_);
        entries_ = std::move(header.entries);
        metadata_ = std::move(header.metadata);
        data_ = header.data;
        for (const detail::SafetensorsEntry& entry : entries_) names_.push_back(entry.name);
        for (std::size_t i = 0; i < names_.size(); ++i) by_name_.push_back(i);
        std::sort(by_name_.begin(), by_name_.end(),
                  [this](std::size_t a, std::size_t b) { return names_[a] < names_[b]; });
    }

    const std::string& path() const { return file_.path(); }

    /// In the order of their data.
    const std::vector<std::string>& names() const { return names_; }
    const Metadata& metadata() const { return metadata_; }

    bool contains(std::string_view name) const { return find(name) != nullptr; }

    // Of one tensor. Throws IoError if there is none of that name.
    DType dtype(std::string_view name) const { return get(name).dtype; }
    const Shape& shape(std::string_view name) const { return get(name).shape; }

    /// The bytes in front of the data: the length of the header, and the header.
    [[gnu::cold]] std::string head() const {
        std::string bytes(static_cast<std::size_t>(data_), '\0');
        file_.read_all_at(0, bytes.data(), bytes.size());
        return bytes;
    }

    /// Reads one tensor. Throws IoError if there is none of that name or the file was changed, OutOfMemory.
    [[gnu::cold]] AnyTensor read(std::string_view name) const {
        const detail::SafetensorsEntry& entry = get(name);
        auto bytes =
            Tensor<std::uint8_t>::uninitialized({static_cast<Index>(entry.end - entry.begin)}, "safetensors");
        file_.read_all_at(data_ + entry.begin, bytes.mutable_data(), bytes.values().size());
        return AnyTensor(entry.dtype, entry.shape, bytes);
    }

private:
    const detail::SafetensorsEntry* find(std::string_view name) const {
        const auto at =
            std::lower_bound(by_name_.begin(), by_name_.end(), name,
                             [this](std::size_t i, std::string_view of) { return names_[i] < of; });
        return at != by_name_.end() && names_[*at] == name ? &entries_[*at] : nullptr;
    }
    const detail::SafetensorsEntry& get(std::string_view name) const {
        if (const detail::SafetensorsEntry* entry = find(name)) return *entry;
        file_.fail({"has no tensor ", detail::shown(name), "; names() lists those that there are"});
    }

    gradus::detail::InputFile file_;
    std::uint64_t data_ = 0;
    std::vector<detail::SafetensorsEntry> entries_;
    std::vector<std::string> names_;
    std::vector<std::size_t> by_name_;
    Metadata metadata_;
};

}  // namespace gradus::io
