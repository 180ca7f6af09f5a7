// SPDX-License-Identifier: MIT
#include "gradus/data/mnist.hpp"

#include <sys/stat.h>

#include <numeric>

#include "files.hpp"
#include "gradus/data/loader.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

std::string images(std::uint32_t count) {
    std::string bytes = idx_header({count, 28, 28});
    for (std::uint32_t i = 0; i < count * 784; ++i) bytes += static_cast<char>(i % 256);
    return bytes;
}

std::string labels(const std::string& digits) {
    std::string bytes = idx_header({static_cast<std::uint32_t>(digits.size())});
    for (const char digit : digits) bytes += static_cast<char>(digit - '0');
    return bytes;
}

void write_set(const TemporaryFolder& folder) {
    folder.write("train-images-idx3-ubyte", images(3));
    folder.write("train-labels-idx1-ubyte", labels("509"));
    folder.write("t10k-images-idx3-ubyte", images(2));
    folder.write("t10k-labels-idx1-ubyte", labels("71"));
}

const std::string four =
    "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte, plain "
    "or .gz: ";

}  // namespace

TEST_CASE("mnist reads four files into images from 0 to 1 and labels") {
    const TemporaryFolder folder;
    write_set(folder);
    auto [train, test] = data::mnist(folder.path());
    CHECK(train.inputs.shape() == Shape{3, 1, 28, 28});
    CHECK(train.inputs(0, 0, 0, 0) == 0.0f);
    CHECK(train.inputs(0, 0, 0, 1) == 1.0f / 255);
    CHECK(train.inputs(0, 0, 9, 3) == 1.0f);  // 9 * 28 + 3 = 255
    CHECK(train.inputs(1, 0, 0, 0) == 16.0f / 255);
    CHECK(train.labels == Tensor<Index>{5, 0, 9});
    CHECK(test.size() == 2);
    CHECK(test.labels == Tensor<Index>{7, 1});
    CHECK(data::fashion_mnist(folder.path()).test.labels == test.labels);
    Index seen = 0;
    for (auto& [inputs, classes] :
         data::Loader(train, {.batch_size = 2, .shuffle = true, .seed = 1}).epoch(0))
        seen += classes.numel();
    CHECK(seen == 3);
}

TEST_CASE("mnist refuses files that do not belong together") {
    const TemporaryFolder folder;
    write_set(folder);
    const std::string pictures = folder / "train-images-idx3-ubyte",
                      classes = folder / "train-labels-idx1-ubyte";
    const auto refuses = [&](const std::string& text) {
        CHECK_THROWS_MATCHES(data::mnist(folder.path()), IoError, Message("mnist: " + text));
    };
    folder.write("train-labels-idx1-ubyte", labels("5091"));
    refuses("every image needs one label: got 3 images in " + pictures + " and 4 labels in " + classes);

    folder.write("train-labels-idx1-ubyte", labels("50:"));  // ':' is the character after '9'
    refuses(classes + ": labels are 0 to 9: got 10 at index 2");
    folder.write("train-labels-idx1-ubyte", idx_header({3}) + "\x01\xff\x01");
    refuses(classes + ": labels are 0 to 9: got 255 at index 1");

    folder.write("train-labels-idx1-ubyte", images(3));
    refuses(classes + ": labels are [count]: got [3, 28, 28]; are the files of images and labels swapped?");
    folder.write("train-labels-idx1-ubyte", labels("509"));
    folder.write("train-images-idx3-ubyte", labels("509"));
    refuses(pictures + ": images are [count, 28, 28]: got [3]; are the files of images and labels swapped?");
    folder.write("train-images-idx3-ubyte", idx_header({3, 1, 2}) + "abcdef");
    refuses(pictures + ": images are [count, 28, 28]: got [3, 1, 2]");
}

TEST_CASE("mnist reports a damaged file by its name") {
    const TemporaryFolder folder;
    write_set(folder);
    const std::string path = folder.write("t10k-images-idx3-ubyte", images(2) + "x");
    CHECK_THROWS_MATCHES(
        data::mnist(folder.path()), IoError,
        Message("read_idx: " + path + ": extra data: [2, 28, 28] needs 1568 bytes: got more"));
}

TEST_CASE("a folder that is given is the only one looked into") {
    const TemporaryFolder folder;
    const std::string path = folder.path();
    CHECK_THROWS_MATCHES(data::mnist(path), IoError,
                         Message("mnist: needs " + four + path +
                                 " has none of them; run examples/get_data.sh mnist and "
                                 "leave the folder out, or pass the folder that holds them"));
    CHECK_THROWS_MATCHES(
        data::fashion_mnist(path + "/absent"), IoError,
        Message("fashion_mnist: needs " + four + path +
                "/absent does not exist; apt install "
                "dataset-fashion-mnist, or run examples/get_data.sh fashion-mnist and leave the folder "
                "out, or pass the folder that holds them"));
    write_set(folder);
    ::unlink((folder / "t10k-labels-idx1-ubyte").c_str());
    CHECK_THROWS_MATCHES(data::mnist(path), IoError,
                         Message("mnist: needs " + four + path +
                                 " lacks t10k-labels-idx1-ubyte; run examples/get_data.sh "
                                 "mnist and leave the folder out, or pass the folder that holds them"));
}

TEST_CASE("without a folder, the usual places are tried in order") {
    const TemporaryFolder root, folder;
    write_set(folder);
    REQUIRE(::symlink(folder.path().c_str(), (root / "mnist").c_str()) == 0);
    REQUIRE(::symlink(folder.path().c_str(), (root / "fashion-mnist").c_str()) == 0);
    REQUIRE(::symlink(root.path().c_str(), (root / "gradus").c_str()) == 0);
    REQUIRE(::symlink(root.path().c_str(), (root / ".cache").c_str()) == 0);
    const TemporaryFolder empty;
    {
        const Environment data("GRADUS_DATA", root.path().c_str()),
            cache("XDG_CACHE_HOME", empty.path().c_str());
        CHECK(data::mnist().train.size() == 3);
        CHECK(data::fashion_mnist().train.size() == 3);
    }
    const Environment none("GRADUS_DATA", empty.path().c_str());
    {
        const Environment cache("XDG_CACHE_HOME", root.path().c_str());
        CHECK(data::mnist().train.size() == 3);
    }
    const Environment unset("XDG_CACHE_HOME", "");
    {
        const Environment home("HOME", root.path().c_str());
        CHECK(data::mnist().train.size() == 3);
    }
    const Environment home("HOME", empty.path().c_str());
    CHECK_THROWS_MATCHES(
        data::mnist(), IoError,
        Message("mnist: needs " + four + empty.path() + "/mnist does not exist, " + empty.path() +
                "/.cache/gradus/mnist does not exist; run examples/get_data.sh mnist, or pass the "
                "folder that holds them"));
    const Environment no_data("GRADUS_DATA", nullptr), no_home("HOME", nullptr);
    CHECK_THROWS_MATCHES(data::mnist(), IoError,
                         Message("mnist: needs " + four +
                                 "HOME is not set; run examples/get_data.sh mnist, or pass the "
                                 "folder that holds them"));
}

#ifdef GRADUS_WITH_ZLIB

TEST_CASE("mnist takes compressed files, and plain ones first") {
    const TemporaryFolder folder;
    folder.write("train-images-idx3-ubyte.gz", gzip(images(3)));
    folder.write("train-labels-idx1-ubyte.gz", gzip(labels("509")));
    folder.write("t10k-images-idx3-ubyte.gz", gzip(images(2)));
    folder.write("t10k-labels-idx1-ubyte.gz", gzip(labels("71")));
    CHECK(data::mnist(folder.path()).test.labels == Tensor<Index>{7, 1});
    folder.write("t10k-labels-idx1-ubyte", labels("34"));
    CHECK(data::mnist(folder.path()).test.labels == Tensor<Index>{3, 4});
}

TEST_CASE("Fashion-MNIST is what it is known to be") {
    const std::string folder = "/usr/share/datasets/fashion-mnist";
    if (!data::detail::missing_files(folder).empty()) {
        WARN("skipped: dataset-fashion-mnist is not installed");
        return;
    }
    const auto [train, test] = data::fashion_mnist(folder);
    CHECK(train.inputs.shape() == Shape{60000, 1, 28, 28});
    CHECK(test.inputs.shape() == Shape{10000, 1, 28, 28});
    for (Index digit = 0; digit < 10; ++digit) {
        CHECK(std::count(train.labels.begin(), train.labels.end(), digit) == 6000);
        CHECK(std::count(test.labels.begin(), test.labels.end(), digit) == 1000);
    }
    CHECK(test.labels.rows(0, 10) == Tensor<Index>{9, 2, 1, 1, 6, 1, 4, 6, 5, 7});
    const double mean = std::accumulate(train.inputs.begin(), train.inputs.end(), 0.0) /
                        static_cast<double>(train.inputs.numel());
    CHECK_THAT(mean, WithinAbs(0.2860406, 1e-6));  // the value in common use
    CHECK(*std::min_element(train.inputs.begin(), train.inputs.end()) == 0.0f);
    CHECK(*std::max_element(train.inputs.begin(), train.inputs.end()) == 1.0f);
}

#endif
