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
#include "gradus/core/separate.hpp"
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
[[gnu::cold]] const char* name_problem(std::string_view name);

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

[[gnu::cold]] SafetensorsLayout safetensors_layout(const char* operation, const std::string& path,
                                                   std::span<const NamedTensor> tensors,
                                                   const Metadata& metadata);

/// What the header of a file says of a tensor.
struct SafetensorsEntry {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;
    std::uint64_t begin = 0, end = 0;  // of its bytes, in the data
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
    [[gnu::cold]] explicit SafetensorsFile(const std::string& path, const char* operation = "safetensors");

    const std::string& path() const { return file_.path(); }

    /// In the order of their data.
    const std::vector<std::string>& names() const { return names_; }
    const Metadata& metadata() const { return metadata_; }

    bool contains(std::string_view name) const { return find(name) != nullptr; }

    // Of one tensor. Throws IoError if there is none of that name.
    DType dtype(std::string_view name) const { return get(name).dtype; }
    const Shape& shape(std::string_view name) const { return get(name).shape; }

    /// The bytes in front of the data: the length of the header, and the header.
    [[gnu::cold]] std::string head() const;

    /// Reads one tensor. Throws IoError if there is none of that name or the file was changed, OutOfMemory.
    [[gnu::cold]] AnyTensor read(std::string_view name) const;

private:
    const detail::SafetensorsEntry* find(std::string_view name) const;
    const detail::SafetensorsEntry& get(std::string_view name) const;

    gradus::detail::InputFile file_;
    std::uint64_t data_ = 0;
    std::vector<detail::SafetensorsEntry> entries_;
    std::vector<std::string> names_;
    std::vector<std::size_t> by_name_;
    Metadata metadata_;
};

}  // namespace gradus::io

#if !GRADUS_SEPARATE
#include "gradus/io/safetensors.inc"
#endif
