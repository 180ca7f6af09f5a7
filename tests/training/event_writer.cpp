// SPDX-License-Identifier: MIT
#include "gradus/training/event_writer.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <csignal>
#include <cstring>
#include <map>

#include "gradus/optim/sgd.hpp"
#include "gradus/training/fit.hpp"
#include "gradus/training/tensorboard.hpp"
#include "io/archives.hpp"
#include "io/references.hpp"
#include "small_run.hpp"
#include "support/test.hpp"

using namespace gradus;
using training::EventWriter;

namespace {

std::uint64_t number_at(const std::string& bytes, std::size_t at, int count) {
    std::uint64_t number = 0;
    for (int i = count; i-- > 0;)
        number = number << 8 | static_cast<unsigned char>(bytes.at(at + static_cast<std::size_t>(i)));
    return number;
}

/// The messages of an event file, whose lengths and checks are verified by the definition.
std::vector<std::string> records(const std::string& path) {
    const std::string bytes = content(path);
    const auto check = [](const std::string& of) {
        const std::uint32_t crc = plain_crc(of, 0x82f63b78);
        return (crc >> 15 | crc << 17) + 0xa282ead8u;
    };
    std::vector<std::string> found;
    for (std::size_t at = 0; at < bytes.size();) {
        const auto length = static_cast<std::size_t>(number_at(bytes, at, 8));
        REQUIRE(number_at(bytes, at + 8, 4) == check(bytes.substr(at, 8)));
        found.push_back(bytes.substr(at + 12, length));
        REQUIRE(found.back().size() == length);
        REQUIRE(number_at(bytes, at + 12 + length, 4) == check(found.back()));
        at += length + 16;
    }
    return found;
}

/// The fields of a message: bytes of numbers as they are, varints as text.
std::multimap<int, std::string> fields(const std::string& message) {
    std::multimap<int, std::string> found;
    std::size_t at = 0;
    const auto varint = [&] {
        std::uint64_t value = 0;
        int shift = 0;
        for (;; shift += 7) {
            const auto byte = static_cast<unsigned char>(message.at(at++));
            value |= std::uint64_t{byte & 127u} << shift;
            if (byte < 128) return value;
        }
    };
    while (at < message.size()) {
        const std::uint64_t key = varint();
        const std::uint64_t kind = key & 7;
        std::string value;
        if (kind == 0) {
            value = std::to_string(static_cast<std::int64_t>(varint()));
        } else {
            const std::size_t length = kind == 1 ? 8 : kind == 5 ? 4 : static_cast<std::size_t>(varint());
            value = message.substr(at, length);
            REQUIRE(value.size() == length);
            at += length;
        }
        found.emplace(static_cast<int>(key >> 3), value);
    }
    return found;
}

std::string field(const std::string& message, int number) {
    const auto all = fields(message);
    REQUIRE(all.count(number) == 1);
    return all.find(number)->second;
}
/// What a record says of its one value.
std::string value_of(const std::string& record) { return field(field(record, 5), 1); }

template <class T>
std::vector<T> plain_numbers(const std::string& bytes) {
    std::vector<T> numbers(bytes.size() / sizeof(T));
    std::memcpy(numbers.data(), bytes.data(), bytes.size());
    return numbers;
}

}  // namespace

TEST_CASE("EventWriter: a file begins with its version, and holds scalars with tag and step") {
    const TemporaryFolder folder;
    EventWriter writer(folder.path());
    CHECK_THAT(writer.path(), ContainsSubstring(folder / "events.out.tfevents."));
    REQUIRE(records(writer.path()).size() == 1);
    CHECK(field(records(writer.path())[0], 3) == "brain.Event:2");
    writer.add_scalar("loss/train", 0.25, 7);
    writer.add_scalar("loss/train", -std::numeric_limits<double>::infinity(), Index{1} << 40);
    const auto all = records(writer.path());  // while the writer lives: nothing waits in memory
    REQUIRE(all.size() == 3);
    CHECK(field(all[1], 2) == "7");
    CHECK(field(value_of(all[1]), 1) == "loss/train");
    CHECK(plain_numbers<float>(field(value_of(all[1]), 2)) == std::vector<float>{0.25f});
    CHECK(field(all[2], 2) == "1099511627776");
    CHECK(std::isinf(plain_numbers<float>(field(value_of(all[2]), 2))[0]));
    const double when = plain_numbers<double>(field(all[1], 1))[0];
    CHECK(when > 1.7e9);
    CHECK(when < 1e11);
}

TEST_CASE("EventWriter: histograms count finite values in equal intervals") {
    const TemporaryFolder folder;
    EventWriter writer(folder.path());
    const float nan = std::numeric_limits<float>::quiet_NaN();
    writer.add_histogram("w", Tensor<>{0, 0.5f, 1, 1, 4, nan}, 3, 4);
    writer.add_histogram("same", Tensor<Index>{2, 2, 2}, 3, 2);
    writer.add_histogram("none", Tensor<>{nan}, 3);
    const auto all = records(writer.path());
    REQUIRE(all.size() == 4);
    const auto histogram = [&](std::size_t i) { return field(value_of(all[i]), 5); };
    const auto number = [](const std::string& of, int which) {
        return plain_numbers<double>(field(of, which))[0];
    };
    CHECK(number(histogram(1), 1) == 0);
    CHECK(number(histogram(1), 2) == 4);
    CHECK(number(histogram(1), 3) == 5);
    CHECK(number(histogram(1), 4) == 6.5);
    CHECK(number(histogram(1), 5) == 18.25);
    CHECK(plain_numbers<double>(field(histogram(1), 6)) == std::vector<double>{1, 2, 3, 4});
    CHECK(plain_numbers<double>(field(histogram(1), 7)) == std::vector<double>{2, 2, 0, 1});
    CHECK(plain_numbers<double>(field(histogram(2), 7)) == std::vector<double>{3, 0});
    CHECK(number(histogram(3), 3) == 0);
    CHECK_THROWS_MATCHES(writer.add_histogram("w", ones({2}), 1, 0), ValueError,
                         Message("event_writer: a histogram needs a bucket: got 0"));
    CHECK(records(writer.path()).size() == 4);
}

TEST_CASE("EventWriter: pictures are PNG files") {
    const TemporaryFolder folder;
    EventWriter writer(folder.path());
    writer.add_image("gray", Tensor<>{{0, 1, 2}, {0.5f, -1, std::numeric_limits<float>::quiet_NaN()}}, 1);
    writer.add_image("color", Tensor<std::uint8_t>{{{1, 2}}, {{3, 4}}, {{5, 6}}}, 1);
    const auto all = records(writer.path());
    REQUIRE(all.size() == 3);
    const std::string gray = field(value_of(all[1]), 4), color = field(value_of(all[2]), 4);
    CHECK(field(gray, 1) == "2");
    CHECK(field(gray, 2) == "3");
    CHECK(field(gray, 3) == "1");
    CHECK(field(gray, 4) == data::encode_png(Tensor<std::uint8_t>{{0, 255, 255}, {128, 0, 0}}));
    CHECK(field(color, 3) == "3");
    CHECK(field(color, 4) == data::encode_png(Tensor<std::uint8_t>{{{1, 2}}, {{3, 4}}, {{5, 6}}}));
    CHECK_THROWS_MATCHES(writer.add_image("x", ones({2, 3, 3}), 1), ShapeError,
                         Message("event_writer: a picture is [height, width], [1, height, width] or [3, "
                                 "height, width]: got [2, 3, 3]"));
}

TEST_CASE("EventWriter: what it refuses") {
    const TemporaryFolder folder;
    EventWriter writer(folder.path());
    CHECK_THROWS_MATCHES(writer.add_scalar("", 1, 1), ValueError,
                         Message("event_writer: a tag is text in UTF-8, such as loss/train: got \"\""));
    CHECK_THROWS_AS(writer.add_scalar("\xff", 1, 1), ValueError);
    CHECK(records(writer.path()).size() == 1);
    const std::string none = folder / "a/b";
    CHECK_THROWS_MATCHES(
        EventWriter(none), IoError,
        Message("event_writer: " + none + ": the folder cannot be made: No such file or directory"));
}

TEST_CASE("EventWriter: several writers of one folder have files of their own") {
    const TemporaryFolder folder;
    const EventWriter a(folder.path()), b(folder.path(), {.filename_suffix = ".b"}),
        c(folder.path(), {.purge_step = 12});
    CHECK(a.path() != b.path());
    CHECK(b.path().ends_with(".b"));
    REQUIRE(records(c.path()).size() == 2);
    CHECK(field(records(c.path())[1], 2) == "12");
    CHECK(field(field(records(c.path())[1], 7), 1) == "1");
}

TEST_CASE("EventWriter: a record that finds no room leaves nothing of itself") {
    const TemporaryFolder folder;
    EventWriter writer(folder.path());
    writer.add_scalar("a", 1, 1);
    const std::string before = content(writer.path());
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit small = old;
    small.rlim_cur = before.size() + 20;
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    std::string refused;
    try {
        writer.add_scalar("b", 2, 2);
    } catch (const IoError& error) {
        refused = error.what();
    }
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
    std::signal(SIGXFSZ, handler);
    CHECK(refused == "event_writer: " + writer.path() + ": cannot write: File too large");
    CHECK(content(writer.path()) == before);
    writer.add_scalar("c", 3, 3);
    CHECK(records(writer.path()).size() == 3);
}

TEST_CASE("TensorBoard: a callback that writes what fit() reports") {
    const TemporaryFolder folder;
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Dataset<> set = small_data(60);
    const data::Loader<> loader(set, {.batch_size = 10, .shuffle = true, .seed = 1});
    training::TensorBoard board({.folder = folder.path(), .every_steps = 4});
    CHECK_THROWS_MATCHES(board.writer(), ValueError,
                         Message("tensorboard: the writer is there once fit() began"));
    const Printed printed;
    const auto history =
        training::fit(net, sgd, small_loss, loader, loader, {.epochs = 2, .output = printed}, board);
    std::multimap<std::string, std::string> points;
    for (const std::string& record : records(board.writer().path()))
        if (fields(record).count(5)) points.emplace(field(value_of(record), 1), field(record, 2));
    CHECK(points.count("loss") == 3);  // after steps 4, 8 and 12
    CHECK(points.count("lr") == 3);
    CHECK(points.count("train_loss") == 2);
    CHECK(points.count("val_loss") == 2);
    CHECK(points.find("train_loss")->second == "6");
    CHECK_THROWS_MATCHES(training::TensorBoard({.every_steps = -1}), ValueError,
                         Message("tensorboard: every_steps must not be negative: got -1"));
}

TEST_CASE("EventWriter: TensorBoard's own reader reads all of it") {
    const std::string python = python_with("tensorboard.backend.event_processing.event_accumulator, numpy");
    if (python.empty()) {
        WARN("skipped: no tensorboard for python3; $GRADUS_PYTHON names another Python");
        return;
    }
    const TemporaryFolder folder;
    EventWriter writer(folder.path());
    for (Index step = 0; step < 5; ++step)
        writer.add_scalar("loss", 1.0 / static_cast<double>(step + 1), step);
    writer.add_histogram("w", Tensor<>{-1, 0, 0.5f, 1}, 2, 8);
    writer.add_image("x", ones({3, 4, 5}), 3);
    CHECK(run_python(python, R"(
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1], {"scalars": 0, "histograms": 0, "images": 0})
a.Reload()
assert [(e.step, e.value) for e in a.Scalars("loss")][3] == (3, 0.25)
h = a.Histograms("w")[0].histogram_value
assert (h.min, h.max, h.num, sum(h.bucket)) == (-1, 1, 4, 4), h
i = a.Images("x")[0]
assert (i.width, i.height, i.step) == (5, 4, 3)
)",
                     folder.path()));
}
