// SPDX-License-Identifier: MIT
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include "gradus/core/parallel.hpp"
#include "gradus/data/dataset.hpp"
#include "gradus/data/idx.hpp"
#include "gradus/data/places.hpp"

namespace gradus::data {
namespace detail {

inline constexpr const char* mnist_files[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                              "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};

// Marked cold: run once, so compiled for size, which keeps compile times down.

/// Path of a file, plain or compressed; empty if the folder has neither. Whatever else is wrong with it
/// (permissions, a circle of links) is left for read_idx to report.
[[gnu::cold]] inline std::string find_idx(const std::string& folder, const char* name) {
    for (const char* suffix : {"", ".gz"}) {
        const std::string path = text_of({folder, "/", name, suffix});
        struct stat status;
        if (::stat(path.c_str(), &status) == 0 || (errno != ENOENT && errno != ENOTDIR)) return path;
    }
    return "";
}

/// "" if the folder holds all four files, else what is wrong with it.
[[gnu::cold]] inline std::string missing_files(const std::string& folder) {
    struct stat status;
    if (::stat(folder.c_str(), &status) != 0 && errno == ENOENT) return "does not exist";
    std::string missing;
    int count = 0;
    for (const char* name : mnist_files)
        if (find_idx(folder, name).empty()) missing = text_of({missing, count++ ? ", " : "lacks ", name});
    return count == 4 ? "has none of them" : missing;
}

/// Pixels of 0 ... 255 as numbers of 0 ... 1, in another shape of as many.
template <class T>
Tensor<T> unit_images(const Tensor<std::uint8_t>& pixels, const Shape& shape) {
    T shades[256];
    for (int pixel = 0; pixel < 256; ++pixel) shades[pixel] = static_cast<T>(pixel) / T(255);
    Tensor<T> images = Tensor<T>::uninitialized(shape);
    T* out = images.mutable_data();
    parallel_for(pixels.numel(), parallel_grain, [&, in = pixels.data()](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) out[i] = shades[in[i]];
    });
    return images;
}

/// Reads one pair of files. Throws IoError if they are not images and labels that belong together.
template <class T>
[[gnu::cold]] Dataset<T> read_mnist(const char* operation, const std::string& images,
                                    const std::string& labels) {
    const Tensor<std::uint8_t> classes = read_idx(labels), pixels = read_idx(images);
    if (classes.rank() != 1)
        gradus::detail::raise<IoError>({operation, ": ", labels, ": labels are [count]: got ",
                                        to_string(classes.shape()),
                                        "; are the files of images and labels swapped?"});
    if (pixels.rank() != 3 || pixels.size(1) != 28 || pixels.size(2) != 28)
        gradus::detail::raise<IoError>(
            {operation, ": ", images, ": images are [count, 28, 28]: got ", to_string(pixels.shape()),
             pixels.rank() == 1 ? "; are the files of images and labels swapped?" : ""});
    if (pixels.size(0) != classes.size(0))
        gradus::detail::raise<IoError>({operation, ": every image needs one label: got ", pixels.size(0),
                                        " images in ", images, " and ", classes.size(0), " labels in ",
                                        labels});
    for (Index i = 0; i < classes.numel(); ++i)
        if (classes.data()[i] > 9)
            gradus::detail::raise<IoError>(
                {operation, ": ", labels, ": labels are 0 to 9: got ", classes.data()[i], " at index ", i});
    return {unit_images<T>(pixels, {pixels.size(0), 1, 28, 28}), cast<Index>(classes)};
}

template <class T>
[[gnu::cold]] Split<T> find_mnist(const char* operation, const char* name, const std::string& folder,
                                  const char* fix) {
    std::string tried;
    for (const std::string& place : usual_places(name, folder)) {
        const std::string missing = missing_files(place);
        if (missing.empty()) {
            const auto path = [&](int i) { return find_idx(place, mnist_files[i]); };
            return {read_mnist<T>(operation, path(0), path(1)), read_mnist<T>(operation, path(2), path(3))};
        }
        tried = text_of({tried, tried.empty() ? "" : ", ", place, " ", missing});
    }
    std::string files;
    for (const char* file : mnist_files) files = text_of({files, files.empty() ? "" : ", ", file});
    gradus::detail::raise<IoError>(
        {operation, ": needs ", files, ", plain or .gz: ", tried.empty() ? "HOME is not set" : tried, "; ",
         fix, folder.empty() ? "" : " and leave the folder out", ", or pass the folder that holds them"});
}

}  // namespace detail

/// Handwritten digits: 60000 images to train on and 10000 to test, as inputs [count, 1, 28, 28] from 0
/// (paper) to 1 (ink), and labels [count] from 0 to 9.
///
///     auto [train, test] = gradus::data::mnist();
///
/// Reads train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte,
/// plain or .gz, from `folder`. Without a folder, the first of these that has all four: $GRADUS_DATA/mnist,
/// $XDG_CACHE_HOME/gradus/mnist (~/.cache/gradus/mnist if that variable is not set).
/// Throws IoError if they are not found or not what they should be.
///
/// Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998.
template <class T = float>
[[gnu::cold]] Split<T> mnist(const std::string& folder = "") {
    return detail::find_mnist<T>("mnist", "mnist", folder, "run examples/get_data.sh mnist");
}

/// Clothes in ten classes, in MNIST's format and sizes. Like mnist(), but in folders named fashion-mnist, and
/// after $GRADUS_DATA also in that of Debian's package dataset-fashion-mnist.
///
/// Source: Xiao et al., "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms",
/// 2017.
template <class T = float>
[[gnu::cold]] Split<T> fashion_mnist(const std::string& folder = "") {
    return detail::find_mnist<T>(
        "fashion_mnist", "fashion-mnist", folder,
        "apt install dataset-fashion-mnist, or run examples/get_data.sh fashion-mnist");
}

}  // namespace gradus::data
