// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/io/npy.hpp"
#include "gradus/io/zip_source.hpp"
#include "gradus/io/zip_writer.hpp"

namespace gradus::io {

/// The arrays of a .npz file, what numpy.savez and savez_compressed write, by their names. Opening reads the
/// archive's directory only, and read() only one array.
///
///     io::NpzFile file("data.npz");
///     const Tensor<> x = file.read("x").as<float>();
///     const Tensor<Index> y = file.read("y").as<Index>();
///
/// Compressed arrays need a program that was built with zlib (GRADUS_WITH_ZLIB). Throws IoError, naming file and
/// member, for whatever does not fit, see read_npy; for names that appear twice, members that overlap, damaged
/// bytes, and arrays that unpack to more than `max_bytes`. Names are keys only, never paths.
class NpzFile {
public:
    [[gnu::cold]] explicit NpzFile(const std::string& path, const UnpackOptions& options = {},
                                   const char* operation = "npz")
        : archive_(operation, path), options_(options) {
        for (const detail::ZipMember& member : archive_.members())
            if (member.name.size() > suffix.size() && member.name.ends_with(suffix))
                names_.push_back(member.name.substr(0, member.name.size() - suffix.size()));
    }

    /// In the order of the file. Members that are no .npy files have none.
    const std::vector<std::string>& names() const { return names_; }
    bool contains(std::string_view name) const { return archive_.find(member_name(name)) != nullptr; }

    // Of one array. Throws IoError if there is none of that name.
    [[gnu::cold]] DType dtype(std::string_view name) { return header(name).dtype; }
    [[gnu::cold]] Shape shape(std::string_view name) { return header(name).shape; }

    /// Reads one array. Throws IoError if there is none of that name or it is damaged.
    [[gnu::cold]] AnyTensor read(std::string_view name) {
        detail::ZipSource source(archive_, get(name), options_);
        AnyTensor tensor = detail::parse_npy(source);
        return tensor;
    }

private:
    static constexpr std::string_view suffix = ".npy";

    static std::string member_name(std::string_view name) { return std::string(name).append(suffix); }
    [[gnu::cold]] const detail::ZipMember& get(std::string_view name) const {
        if (const detail::ZipMember* member = archive_.find(member_name(name))) return *member;
        archive_.fail({"has no array ", detail::shown(name), "; names() lists those that there are"});
    }
    [[gnu::cold]] detail::NpyHeader header(std::string_view name) {
        detail::ZipSource source(archive_, get(name), options_);
        return detail::read_npy_header(source);
    }

    detail::ZipFile archive_;
    UnpackOptions options_;
    std::vector<std::string> names_;
};

/// Reads all arrays of a .npz file, in the order of the file. See NpzFile.
[[gnu::cold]] inline std::vector<NamedTensor> read_npz(const std::string& path,
                                                       const UnpackOptions& options = {}) {
    NpzFile file(path, options, "read_npz");
    std::vector<NamedTensor> tensors;
    for (const std::string& name : file.names()) tensors.push_back({name, file.read(name)});
    return tensors;
}

/// Writes tensors as a .npz file, uncompressed, which numpy.load reads: the same tensors give the same bytes. The
/// file is replaced as a whole (see write_file); the tensors are written from their own memory.
/// Throws ValueError for a name that appears twice or a type that numpy lacks (bfloat16), IoError if the file
/// cannot be written.
[[gnu::cold]] inline void write_npz(const std::string& path, std::span<const NamedTensor> tensors,
                                    const WriteOptions& options = {.operation = "write_npz"}) {
    std::vector<std::string_view> names;
    for (const NamedTensor& t : tensors) {
        if (t.name.empty() || t.name.size() > 4000 || t.name.find('\0') != t.name.npos)
            detail::raise<ValueError>({options.operation, ": ", path, ": the name ", detail::shown(t.name),
                                       " is empty, longer than 4000 bytes, or has a zero byte"});
        names.push_back(t.name);
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end())
        detail::raise<ValueError>(
            {options.operation, ": ", path, ": two tensors have the name ", detail::shown(*twice)});
    std::deque<std::string> heads;  // stay where they are
    detail::ZipWriter archive;
    for (const NamedTensor& t : tensors) {
        heads.push_back(detail::npy_head(options.operation, path + ": " + detail::shown(t.name), t.tensor));
        archive.add(t.name + ".npy", {heads.back(), detail::bytes_of(t.tensor)});
    }
    archive.write(path, options);
}

}  // namespace gradus::io
