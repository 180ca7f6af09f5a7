// SPDX-License-Identifier: MIT
#include "gradus/data/cifar10.hpp"

#include "files.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

/// One record: labels, and pixels that count on from `first`, plane after plane.
std::string record(const std::string& labels, int first) {
    std::string bytes = labels;
    for (int i = 0; i < 3072; ++i) bytes += static_cast<char>((first + i) % 256);
    return bytes;
}

void write_set(const TemporaryFolder& folder, const std::string& below = "") {
    for (int i = 1; i <= 5; ++i)
        folder.write(below + "data_batch_" + std::to_string(i) + ".bin",
                     record(std::string(1, static_cast<char>(i)), i) + record("\x9", 10 * i));
    folder.write(below + "test_batch.bin", record("\x7", 0));
}

const std::string six =
    "data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, data_batch_5.bin, "
    "test_batch.bin: ";

std::string refusal_of(const std::string& folder) {
    try {
        data::cifar10(folder);
    } catch (const IoError& error) {
        return error.what();
    }
    return "accepted";
}

}  // namespace

TEST_CASE("cifar10 joins the batches") {
    const TemporaryFolder folder;
    write_set(folder);
    const auto [train, test] = data::cifar10(folder.path());
    CHECK(train.inputs.shape() == Shape{10, 3, 32, 32});
    CHECK(train.labels == Tensor<Index>{1, 9, 2, 9, 3, 9, 4, 9, 5, 9});
    CHECK(test.labels == Tensor<Index>{7});
    CHECK(train.inputs(0, 0, 0, 0) == 1 / 255.0f);
    CHECK(train.inputs(3, 0, 0, 5) == 25 / 255.0f);
    CHECK(test.inputs(0, 0, 1, 2) == 34 / 255.0f);            // rows of 32 ...
    CHECK(test.inputs(0, 2, 31, 31) == 3071 % 256 / 255.0f);  // ... in planes of 1024
    CHECK(data::cifar10<double>(folder.path()).test.inputs(0, 0, 0, 1) == 1 / 255.0);
}

TEST_CASE("cifar10 looks where its archive unpacks, and in the usual places") {
    const TemporaryFolder folder, root, empty;
    write_set(folder, "cifar-10-batches-bin/");
    CHECK(data::cifar10(folder.path()).train.size() == 10);
    write_set(root, "cifar-10/");
    const Environment data("GRADUS_DATA", root.path().c_str()), cache("XDG_CACHE_HOME", empty.path().c_str());
    CHECK(data::cifar10().train.size() == 10);
    const Environment none("GRADUS_DATA", nullptr);
    CHECK_THROWS_MATCHES(
        data::cifar10(), IoError,
        Message("cifar10: needs " + six + empty.path() +
                "/gradus/cifar-10 does not exist; run examples/get_data.sh cifar-10, or pass the "
                "folder that holds them"));
}

TEST_CASE("cifar100 takes the fine labels") {
    const TemporaryFolder folder;
    folder.write("train.bin", record("\x13\x63", 5) + record(std::string("\0\0", 2), 6));
    folder.write("test.bin", record("\1\2", 0));
    const auto [train, test] = data::cifar100(folder.path());
    CHECK(train.labels == Tensor<Index>{99, 0});
    CHECK(train.inputs(0, 0, 0, 0) == 5 / 255.0f);
    folder.write("train.bin", record("\1\x64", 5));
    CHECK_THROWS_MATCHES(
        data::cifar100(folder.path()), IoError,
        Message("cifar100: " + (folder / "train.bin") +
                ": labels are 0 to 99: got 100 at index 0; is it the binary version of the set?"));
}

TEST_CASE("cifar10 refuses files that are missing or of another size") {
    const TemporaryFolder folder;
    const std::string fix =
        "; run examples/get_data.sh cifar-10 and leave the folder out, or pass the folder that holds them";
    CHECK(refusal_of(folder / "absent") ==
          "cifar10: needs " + six + (folder / "absent") + " does not exist" + fix);
    write_set(folder);
    std::filesystem::remove(folder / "data_batch_3.bin");
    CHECK(refusal_of(folder.path()) ==
          "cifar10: needs " + six + folder.path() + " lacks data_batch_3.bin" + fix);
    const auto refusal = [&](const std::string& bytes) {
        const std::string path = folder.write("data_batch_3.bin", bytes), start = "cifar10: " + path + ": ";
        const std::string text = refusal_of(folder.path());
        return text.starts_with(start) ? text.substr(start.size()) : text;
    };
    const std::string good = record("\1", 0);
    const auto size_text = [](const char* got) {
        return std::string("holds no whole number of images, each of 3073 bytes: got ") + got +
               " bytes; was it downloaded and unpacked whole?";
    };
    CHECK(refusal("") == size_text("0"));
    CHECK(refusal(good.substr(1)) == size_text("3072"));
    CHECK(refusal(good + "x") == size_text("3074"));
    CHECK(refusal(good + record("\xa", 0)) ==
          "labels are 0 to 9: got 10 at index 1; is it the binary version of the set?");
    CHECK(refusal(good + record("\xff", 0)) ==
          "labels are 0 to 9: got 255 at index 1; is it the binary version of the set?");
    CHECK(refusal(good) == "accepted");
    std::filesystem::remove(folder / "data_batch_3.bin");
    std::filesystem::create_directory(folder / "data_batch_3.bin");
    CHECK(refusal_of(folder.path()) ==
          "cifar10: " + (folder / "data_batch_3.bin") + ": is a directory; name a file inside it");
}
