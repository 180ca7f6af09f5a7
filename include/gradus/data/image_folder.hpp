// SPDX-License-Identifier: MIT
#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/parallel.hpp"
#include "gradus/data/dataset.hpp"
#include "gradus/data/images.hpp"
#include "gradus/data/resize.hpp"

namespace gradus::data {

/// The files of a folder that has one folder for each class.
struct ImageList {
    std::vector<std::string> paths;
    Tensor<Index> labels;              // [paths], positions in `classes`
    std::vector<std::string> classes;  // names of the folders, sorted by their bytes

    Index size() const { return static_cast<Index>(paths.size()); }
};

struct ImageFolderOptions {
    int channels = 3;     // 1 gray, 3 color, 4 with alpha
    ImageSize size = {};  // to resize all images to; {}: they are of one size already
    std::uint64_t max_bytes = std::uint64_t{4} << 30;  // of all images together
};

template <class T = std::uint8_t>
struct ImageFolder {
    Dataset<T> dataset;  // inputs [count, channels, height, width], and labels [count]
    std::vector<std::string> classes, paths;
};

namespace detail {

struct FolderEntry {
    std::string name;
    bool is_folder;

    bool operator<(const FolderEntry& other) const { return name < other.name; }
};

/// What a folder holds, sorted by name, without what is hidden.
[[gnu::cold]] inline std::vector<FolderEntry> folder_entries(const std::string& path) {
    const auto fail = [&](int error) {
        gradus::detail::raise<IoError>({"image_folder: ", path, ": cannot be opened: ", std::strerror(error),
                                        error == ENOENT ? "; check the path"
                                        : error == ENOTDIR
                                            ? "; name the folder that holds a folder for each class"
                                            : ""});
    };
    DIR* const folder = ::opendir(path.c_str());
    if (!folder) fail(errno);
    std::vector<FolderEntry> entries;
    int error = 0;
    for (;;) {
        errno = 0;
        const dirent* const entry = ::readdir(folder);
        if (!entry) {
            error = errno;
            break;
        }
        if (entry->d_name[0] != '.') entries.push_back({entry->d_name, false});
    }
    ::closedir(folder);
    if (error != 0) fail(error);
    for (FolderEntry& entry : entries) {
        struct stat status;
        entry.is_folder =
            ::stat(text_of({path, "/", entry.name}).c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    }
    std::sort(entries.begin(), entries.end());
    return entries;
}

/// Does the name end like that of an image that can be read?
[[gnu::cold]] inline bool has_image_name(std::string_view name) {
    const std::size_t dot = name.rfind('.');
    std::string ending(name.substr(dot == std::string_view::npos ? name.size() : dot));
    for (char& c : ending)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return ending == ".png" || ending == ".pgm" || ending == ".ppm" || ending == ".pnm";
}

/// All images below a folder, which has nothing else.
[[gnu::cold]] inline void add_images(const std::string& path, std::vector<std::string>& paths) {
    for (const FolderEntry& entry : folder_entries(path)) {
        const std::string below = text_of({path, "/", entry.name});
        if (entry.is_folder)
            add_images(below, paths);
        else if (has_image_name(entry.name))
            paths.push_back(below);
        else
            gradus::detail::raise<IoError>(
                {"image_folder: ", below,
                 ": is not called .png, .pgm or .ppm; convert it, or move it elsewhere"});
    }
}

}  // namespace detail

/// The images below `path`, of which each folder is a class: `path`/cat/1.png, `path`/dog/a/2.png. Classes are numbered
/// as their names sort; files are in the order of their paths. What is hidden (.name) is passed over, and so are files
/// beside the folders of the classes.
/// Throws IoError if there is no such folder, a class has no images or something else among them.
[[gnu::cold]] inline ImageList list_images(const std::string& path) {
    ImageList list;
    std::vector<Index> labels;
    for (const detail::FolderEntry& entry : detail::folder_entries(path)) {
        if (!entry.is_folder) continue;
        detail::add_images(detail::text_of({path, "/", entry.name}), list.paths);
        if (labels.size() == list.paths.size())
            gradus::detail::raise<IoError>({"image_folder: ", path, "/", entry.name, ": has no images"});
        labels.resize(list.paths.size(), static_cast<Index>(list.classes.size()));
        list.classes.push_back(entry.name);
    }
    if (list.classes.empty())
        gradus::detail::raise<IoError>(
            {"image_folder: ", path, ": holds no folders; it needs one for each class, with its images"});
    list.labels = Tensor<Index>(labels);
    return list;
}

/// Reads all images of list_images(path) into one tensor: std::uint8_t from 0 to 255, or float or double from 0 to 1.
///
///     const auto [dataset, classes, paths] = data::image_folder<float>("flowers/train", {.size = {64, 64}});
///
/// For more than fits into memory, take list_images() and read_image().
/// Throws IoError if an image cannot be read, or is not of the size of the first one and `size` is not set.
template <class T = std::uint8_t>
[[gnu::cold]] ImageFolder<T> image_folder(const std::string& path, const ImageFolderOptions& options = {}) {
    detail::check_channels("image_folder", options.channels);
    if (options.channels == 0)
        gradus::detail::raise<ValueError>("image_folder",
                                          "all images need equally many channels: set 1, 3 or 4", 0);
    ImageList list = list_images(path);
    const auto read = [&](Index i, ImageSize& size) {
        Tensor<T> image =
            read_image<T>(list.paths[static_cast<std::size_t>(i)], {.channels = options.channels});
        size = {image.size(1), image.size(2)};
        return options.size == ImageSize{} ? image : resize(image, options.size);
    };
    ImageSize first;
    const Tensor<T> sample = read(0, first);
    const std::uint64_t bytes = sample.values().size_bytes();
    if (bytes > options.max_bytes / list.paths.size())
        gradus::detail::raise<IoError>({"image_folder: ", path, ": ", list.size(), " images of ",
                                        to_string(sample.shape()), " are more than ", options.max_bytes,
                                        " bytes; set .size to make them smaller, or raise .max_bytes"});
    Tensor<T> all = Tensor<T>::uninitialized({list.size(), sample.size(0), sample.size(1), sample.size(2)},
                                             "image_folder");
    T* const out = all.mutable_data();
    // What is wrong with one image must not depend on which thread comes first.
    std::vector<std::string> errors(list.paths.size());
    parallel_for(list.size(), 1, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) try {
                ImageSize size;
                const Tensor<T> image = read(i, size);
                if (image.shape() == sample.shape())
                    std::copy(image.begin(), image.end(), out + i * image.numel());
                else
                    errors[static_cast<std::size_t>(i)] = detail::text_of(
                        {"image_folder: ", list.paths[static_cast<std::size_t>(i)], ": is ", size.width,
                         " x ", size.height, " pixels, and ", list.paths[0], " is ", first.width, " x ",
                         first.height, "; set .size = {height, width} to make all alike"});
            } catch (const IoError& error) {
                errors[static_cast<std::size_t>(i)] = error.what();
            }
    });
    for (const std::string& error : errors)
        if (!error.empty()) throw IoError(error);
    return {{std::move(all), list.labels}, std::move(list.classes), std::move(list.paths)};
}

}  // namespace gradus::data
