// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/io/any_tensor.hpp"
#include "gradus/io/pickle.hpp"
#include "gradus/io/pytorch_entries.hpp"
#include "gradus/io/strided.hpp"
#include "gradus/io/zip_source.hpp"

namespace gradus::io {
namespace detail {

/// Refuses files that are no zip archive by what they are, and returns the path.
[[gnu::cold]] inline const std::string& check_pytorch(const char* operation, const std::string& path) {
    const InputFile file(operation, path);
    char start[8] = {};
    const std::string_view bytes(start, file.read_at(0, start, sizeof start));
    if (bytes.substr(0, 1) == "\x80")
        file.fail(
            {"is in the format of PyTorch before 1.6, or a bare pickle; torch.save(torch.load(path), path) "
             "with "
             "a newer PyTorch writes the format that is read here"});
    if (bytes.size() == 8 && bytes.substr(2, 6) == std::string_view("\0\0\0\0\0\0", 6) && bytes[0] != '\0')
        file.fail({"is no file of torch.save; is it a safetensors file? Then SafetensorsFile reads it"});
    if (bytes.substr(0, 2) != "PK") file.fail({"is no file of torch.save, which starts with PK"});
    return path;
}

}  // namespace detail

/// The tensors of a file that torch.save wrote, from PyTorch 1.6 on, by their names: that of a state dict as it is,
/// {"model": state_dict, "epoch": 3} as "model.fc1.weight". Opening reads names, types and shapes, and read() only
/// one tensor. A file that holds one tensor has it under the name "".
///
///     io::PytorchFile file("model.pt");                     // torch.save(model.state_dict(), "model.pt")
///     const Tensor<> weight = file.read("fc1.weight").as<float>();
///
/// Nothing in the file is ever executed: of a pickle only what a state dict needs is understood, and what it would
/// call is compared with the names of PyTorch's functions that make tensors. Throws IoError, naming file and
/// tensor, for anything else (a whole model, a TorchScript program, numbers in big-endian order, the format before
/// 1.6), and unless sizes, strides and offsets lie inside the file.
class PytorchFile {
public:
    [[gnu::cold]] explicit PytorchFile(const std::string& path, const UnpackOptions& options = {},
                                       const char* operation = "pytorch")
        : path_(path), archive_(operation, detail::check_pytorch(operation, path)), options_(options) {
        const detail::ZipMember& pickled = find_pickle();
        const std::string root = pickled.name.substr(0, pickled.name.find('/') + 1);
        check_layout(root);
        if (pickled.size > detail::Pickle::max_bytes)
            archive_.fail(pickled, {"is larger than 64 MiB, of which a state dict needs little"});
        const std::string bytes = detail::ZipSource(archive_, pickled, options_).read_all();
        const detail::Pickle pickle(bytes, detail::text_of({operation, ": ", path, ": ", pickled.name}));
        detail::PytorchEntries found(archive_, pickle, root);
        entries_ = std::move(found.tensors);
        others_ = std::move(found.others);
        for (const auto& entry : entries_) names_.push_back(entry.name);
        sort_names();
    }

    const std::string& path() const { return path_; }

    /// In the order of the file.
    const std::vector<std::string>& names() const { return names_; }
    /// Of what is no tensor, such as "epoch".
    const std::vector<std::string>& other_names() const { return others_; }
    bool contains(std::string_view name) const { return find(name) != nullptr; }

    // Of one tensor. Throws IoError if there is none of that name.
    [[gnu::cold]] DType dtype(std::string_view name) const { return get(name).dtype; }
    [[gnu::cold]] const Shape& shape(std::string_view name) const { return get(name).shape; }

    /// Reads one tensor into row-major order. Throws IoError if there is none of that name or it is damaged.
    [[gnu::cold]] AnyTensor read(std::string_view name) { return read(get(name)); }

    /// Reads all tensors, in the order of the file.
    [[gnu::cold]] std::vector<NamedTensor> read_all() {
        std::vector<std::size_t> order(entries_.size());
        for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
        std::sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
            return std::pair(entries_[a].storage, a) <
                   std::pair(entries_[b].storage, b);  // each is read once
        });
        std::vector<NamedTensor> tensors(entries_.size());
        for (const std::size_t i : order) tensors[i] = {entries_[i].name, read(check_readable(entries_[i]))};
        return tensors;
    }

private:
    [[gnu::cold]] const detail::ZipMember& find_pickle() const {
        const detail::ZipMember* found = nullptr;
        for (const detail::ZipMember& member : archive_.members()) {
            const std::size_t slash = member.name.find('/');
            if (slash == std::string::npos || std::string_view(member.name).substr(slash) != "/data.pkl")
                continue;
            if (found) archive_.fail({"holds two pickles, ", found->name, " and ", member.name});
            found = &member;
        }
        if (found) return *found;
        const auto is_array = [](const detail::ZipMember& member) { return member.name.ends_with(".npy"); };
        const bool npz = std::any_of(archive_.members().begin(), archive_.members().end(), is_array);
        archive_.fail({"is no file of torch.save: it has no data.pkl",
                       npz ? "; it is a .npz file, which NpzFile reads" : ""});
    }

    [[gnu::cold]] void check_layout(const std::string& root) {
        if (archive_.find(root + "constants.pkl"))
            archive_.fail(
                {"is a TorchScript program, which holds code; save model.state_dict() with torch.save"});
        const detail::ZipMember* const order = archive_.find(root + "byteorder");
        if (!order ||
            (order->size == 6 && detail::ZipSource(archive_, *order, options_).read_all() == "little"))
            return;
        archive_.fail(
            {"its numbers are not little-endian; load and save it on a processor of that kind, or save it "
             "as safetensors"});
    }

    [[gnu::cold]] void sort_names() {
        for (const auto& entry : entries_) by_name_.push_back(&entry);
        std::sort(by_name_.begin(), by_name_.end(),
                  [](const auto* a, const auto* b) { return a->name < b->name; });
        for (std::size_t i = 1; i < by_name_.size(); ++i)
            if (by_name_[i - 1]->name == by_name_[i]->name)
                archive_.fail({"two tensors have the name ", detail::shown(by_name_[i]->name)});
    }

    [[gnu::cold]] const detail::PytorchEntry* find(std::string_view name) const {
        const auto at =
            std::lower_bound(by_name_.begin(), by_name_.end(), name,
                             [](const auto* entry, std::string_view x) { return entry->name < x; });
        return at != by_name_.end() && (*at)->name == name ? *at : nullptr;
    }
    [[gnu::cold]] const detail::PytorchEntry& get(std::string_view name) const {
        if (const detail::PytorchEntry* entry = find(name)) return check_readable(*entry);
        const bool other = std::find(others_.begin(), others_.end(), name) != others_.end();
        archive_.fail({other ? "what it holds as " : "has no tensor ", detail::shown(name),
                       other ? " is no tensor" : "; names() lists those that there are"});
    }
    [[gnu::cold]] const detail::PytorchEntry& check_readable(const detail::PytorchEntry& entry) const {
        if (!entry.problem.empty())
            archive_.fail({"tensor ", detail::shown(entry.name), ": ", entry.problem});
        return entry;
    }

    [[gnu::cold]] AnyTensor read(const detail::PytorchEntry& entry) {
        const int width = bits(entry.dtype) / 8;
        const Index need = byte_count(entry.dtype, entry.shape.numel());
        const std::uint64_t held = entry.storage->size;
        if (static_cast<std::uint64_t>(need) >
            std::max(options_.max_bytes, held))  // repeated by a stride of 0
            archive_.fail({"tensor ", detail::shown(entry.name), ": ", to_string(entry.shape), " takes ",
                           need, " bytes, of which the file has ", held,
                           "; if that is right, raise UnpackOptions::max_bytes"});
        Index rows[Shape::max_rank];
        detail::set_strides(entry.shape, false, rows);
        bool whole = static_cast<std::uint64_t>(need) == held;  // the storage is the tensor, as nearly always
        for (int axis = 0; axis < entry.shape.rank(); ++axis)
            whole = whole && (entry.strides[axis] == rows[axis] || entry.shape.begin()[axis] == 1);
        if (whole) return AnyTensor(entry.dtype, entry.shape, read_storage(*entry.storage));

        if (last_ != entry.storage) {
            last_ = nullptr;
            storage_ = read_storage(*entry.storage);
            last_ = entry.storage;
        }
        auto bytes = Tensor<std::uint8_t>::uninitialized({need}, "pytorch");
        if (need > 0)
            detail::gather(storage_.data() + entry.offset * width, width, entry.shape, entry.strides,
                           bytes.mutable_data());
        return AnyTensor(entry.dtype, entry.shape, bytes);
    }

    [[gnu::cold]] Tensor<std::uint8_t> read_storage(const detail::ZipMember& member) {
        detail::ZipSource source(archive_, member, options_);
        auto bytes = Tensor<std::uint8_t>::uninitialized({static_cast<Index>(member.size)}, "pytorch");
        source.read(bytes.mutable_data(), static_cast<std::size_t>(member.size));
        return bytes;
    }

    std::string path_;
    detail::ZipFile archive_;
    UnpackOptions options_;
    std::vector<detail::PytorchEntry> entries_;
    std::vector<std::string> names_, others_;
    std::vector<const detail::PytorchEntry*> by_name_;
    Tensor<std::uint8_t> storage_;  // the last one of which a tensor was a part
    const detail::ZipMember* last_ = nullptr;
};

/// Reads all tensors of a file that torch.save wrote, in its order. See PytorchFile.
[[gnu::cold]] inline std::vector<NamedTensor> read_pytorch(const std::string& path,
                                                           const UnpackOptions& options = {}) {
    return PytorchFile(path, options, "read_pytorch").read_all();
}

}  // namespace gradus::io
