// SPDX-License-Identifier: MIT
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gradus/core/tensor.hpp"
#include "gradus/data/bytes.hpp"
#include "gradus/data/dataset.hpp"
#include "gradus/data/mnist.hpp"
#include "gradus/data/places.hpp"

namespace gradus::data {
namespace detail {

/// How the files of CIFAR-10 and CIFAR-100 are laid out: records of labels, then 3 x 32 x 32 pixels.
struct CifarFormat {
    const char* operation;
    const char* name;                // of the set's folder
    const char* inner;               // the folder that its archive unpacks to
    std::vector<const char*> train;  // files, in order
    const char* test;
    int labels, label, classes;  // bytes in front of the pixels, which one of them counts, and its values
};

/// Pixels [count, 3, 32, 32] and labels of the records in `bytes`, added behind those that are there.
[[gnu::cold]] inline void add_cifar(const CifarFormat& format, const std::string& path,
                                    std::string_view bytes, std::string& pixels, std::vector<Index>& labels) {
    const std::size_t before = static_cast<std::size_t>(format.labels), record = before + 3072;
    const auto fail = [&](std::initializer_list<TextPart> problem) {
        gradus::detail::raise<IoError>({format.operation, ": ", path, ": ", text_of(problem)});
    };
    if (bytes.empty() || bytes.size() % record != 0)
        fail({"holds no whole number of images, each of ", record, " bytes: got ", bytes.size(),
              " bytes; was it downloaded and unpacked whole?"});
    for (std::size_t at = 0; at < bytes.size(); at += record) {
        const int label = static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(format.label)]);
        if (label >= format.classes)
            fail({"labels are 0 to ", format.classes - 1, ": got ", label, " at index ", at / record,
                  "; is it the binary version of the set?"});
        labels.push_back(label);
        pixels.append(bytes, at + before, 3072);
    }
}

template <class T>
[[gnu::cold]] Dataset<T> read_cifar(const CifarFormat& format, const std::string& folder,
                                    const std::vector<const char*>& files) {
    std::string pixels;
    std::vector<Index> labels;
    for (const char* file : files) {
        const std::string path = text_of({folder, "/", file});
        constexpr std::uint64_t most = std::uint64_t{1} << 30;
        add_cifar(format, path,
                  read_bytes(format.operation, path, most, "nothing: no file of the set is so large"), pixels,
                  labels);
    }
    const auto count = static_cast<Index>(labels.size());
    Tensor<std::uint8_t> bytes = Tensor<std::uint8_t>::uninitialized({count, 3, 32, 32});
    std::copy(pixels.begin(), pixels.end(), bytes.mutable_data());
    return {unit_images<T>(bytes, bytes.shape()), Tensor<Index>(labels)};
}

template <class T>
[[gnu::cold]] Split<T> find_cifar(const CifarFormat& format, const std::string& folder) {
    std::vector<const char*> files = format.train;
    files.push_back(format.test);
    const auto exists = [](const std::string& path) {
        struct stat status;
        return ::stat(path.c_str(), &status) == 0;
    };
    std::string tried, names;
    for (const std::string& place : usual_places(format.name, folder))
        for (const std::string& below : {place, text_of({place, "/", format.inner})}) {
            std::string missing;
            std::size_t count = 0;
            for (const char* file : files)
                if (!exists(text_of({below, "/", file})))
                    missing = text_of({missing, count++ ? ", " : "lacks ", file});
            if (count == 0)
                return {read_cifar<T>(format, below, format.train),
                        read_cifar<T>(format, below, {format.test})};
            if (!exists(below)) missing = "does not exist";
            if (below == place || exists(below))
                tried = text_of({tried, tried.empty() ? "" : ", ", below, " ", missing});
        }
    for (const char* file : files) names = text_of({names, names.empty() ? "" : ", ", file});
    gradus::detail::raise<IoError>({format.operation, ": needs ", names, ": ",
                                    tried.empty() ? "HOME is not set" : tried, "; run examples/get_data.sh ",
                                    format.name, folder.empty() ? "" : " and leave the folder out",
                                    ", or pass the folder that holds them"});
}

}  // namespace detail

/// Photographs of ten kinds of things, airplane to truck: 50000 to train on and 10000 to test, as inputs
/// [count, 3, 32, 32] from 0 to 1 (red, green, blue) and labels [count] from 0 to 9.
///
///     auto [train, test] = gradus::data::cifar10();
///
/// Reads the binary version, data_batch_1.bin to data_batch_5.bin and test_batch.bin, from `folder` or from
/// cifar-10-batches-bin in it. Without a folder, the first of these that has them: $GRADUS_DATA/cifar-10,
/// $XDG_CACHE_HOME/gradus/cifar-10 (~/.cache/gradus/cifar-10 if that variable is not set).
/// Throws IoError if they are not found or not what they should be.
///
/// Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
template <class T = float>
[[gnu::cold]] Split<T> cifar10(const std::string& folder = "") {
    return detail::find_cifar<T>({.operation = "cifar10",
                                  .name = "cifar-10",
                                  .inner = "cifar-10-batches-bin",
                                  .train = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                            "data_batch_4.bin", "data_batch_5.bin"},
                                  .test = "test_batch.bin",
                                  .labels = 1,
                                  .label = 0,
                                  .classes = 10},
                                 folder);
}

/// The same of CIFAR-100, with labels from 0 to 99 (its fine ones): train.bin and test.bin, in folders named cifar-100,
/// or cifar-100-binary in them.
template <class T = float>
[[gnu::cold]] Split<T> cifar100(const std::string& folder = "") {
    return detail::find_cifar<T>({.operation = "cifar100",
                                  .name = "cifar-100",
                                  .inner = "cifar-100-binary",
                                  .train = {"train.bin"},
                                  .test = "test.bin",
                                  .labels = 2,
                                  .label = 1,
                                  .classes = 100},
                                 folder);
}

}  // namespace gradus::data
