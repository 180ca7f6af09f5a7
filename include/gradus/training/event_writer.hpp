// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#if defined(_WIN32)
#include <direct.h>
#include <io.h>
#include <process.h>
#else
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gradus/core/bits.hpp"
#include "gradus/core/crc.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/data/encode_png.hpp"
#include "gradus/io/json.hpp"

namespace gradus::training {
namespace detail {

/// A message of Google's protocol buffers, field by field.
/// Source: https://protobuf.dev/programming-guides/encoding.
class ProtoMessage {
public:
    [[gnu::cold]] void put_integer(unsigned field, std::int64_t value) {
        append_varint(field << 3);
        append_varint(static_cast<std::uint64_t>(value));
    }
    [[gnu::cold]] void put_double(unsigned field, double value) {
        append_varint(field << 3 | 1);
        append_fixed(gradus::detail::bit_cast<std::uint64_t>(value), 8);
    }
    [[gnu::cold]] void put_float(unsigned field, float value) {
        append_varint(field << 3 | 5);
        append_fixed(gradus::detail::bit_cast<std::uint32_t>(value), 4);
    }
    [[gnu::cold]] void put_bytes(unsigned field, std::string_view bytes) {
        append_varint(field << 3 | 2);
        append_varint(bytes.size());
        bytes_ += bytes;
    }
    [[gnu::cold]] void put_doubles(unsigned field, const std::vector<double>& values) {
        ProtoMessage packed;
        for (const double value : values)
            packed.append_fixed(gradus::detail::bit_cast<std::uint64_t>(value), 8);
        put_bytes(field, packed.bytes_);
    }
    [[gnu::cold]] void append_fixed(std::uint64_t bits, int bytes) {
        for (int i = 0; i < bytes; ++i) bytes_ += static_cast<char>(bits >> 8 * i & 255);
    }

    const std::string& bytes() const { return bytes_; }

private:
    [[gnu::cold]] void append_varint(std::uint64_t value) {
        for (; value > 127; value >>= 7) bytes_ += static_cast<char>((value & 127) | 128);
        bytes_ += static_cast<char>(value);
    }

    std::string bytes_;
};

/// A file that only grows, by whole pieces: if one does not fit on the disk, nothing of it stays.
class GrowingFile {
public:
    /// Makes a new file. Throws IoError in the name of `operation`.
    [[gnu::cold]] GrowingFile(const char* operation, std::string path)
        : operation_(operation), path_(std::move(path)) {
#if defined(_WIN32)
        descriptor_ =
            ::_open(path_.c_str(), _O_WRONLY | _O_CREAT | _O_EXCL | _O_APPEND | _O_BINARY | _O_NOINHERIT,
                    _S_IREAD | _S_IWRITE);
#else
        descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
#endif
        if (descriptor_ < 0) refuse();
    }
    GrowingFile(const GrowingFile&) = delete;
    GrowingFile& operator=(const GrowingFile&) = delete;
    ~GrowingFile() { ::close(descriptor_); }

    [[gnu::cold]] void append(std::string_view piece) {
        for (std::size_t done = 0; done < piece.size();) {
            errno = 0;
            const auto part =
                ::write(descriptor_, piece.data() + done, static_cast<Count>(piece.size() - done));
            if (part < 0 && errno == EINTR) continue;
            if (part <= 0) {
                const int error = errno;
                if (cut(size_) != 0)
                    size_ = size_ + static_cast<long long>(done);  // what cannot be taken back stays
                errno = error;
                refuse();
            }
            done += static_cast<std::size_t>(part);
        }
        size_ += static_cast<long long>(piece.size());
    }

    const std::string& path() const { return path_; }

private:
#if defined(_WIN32)
    using Count = unsigned;
    int cut(long long size) const { return ::_chsize_s(descriptor_, size); }
#else
    using Count = std::size_t;
    int cut(long long size) const { return ::ftruncate(descriptor_, static_cast<::off_t>(size)); }
#endif
    [[noreturn, gnu::cold]] void refuse() const {
        gradus::detail::raise<IoError>({operation_, ": ", path_, ": cannot write: ", std::strerror(errno)});
    }

    const char* operation_;
    std::string path_;
    int descriptor_ = -1;
    long long size_ = 0;
};

}  // namespace detail

struct EventWriterOptions {
    std::string filename_suffix = "";  // of the file's name, when several programs write to one folder
    std::optional<Index> purge_step =
        {};  // TensorBoard forgets what earlier files say of this step and later ones
};

/// Writes a file that TensorBoard shows:  tensorboard --logdir runs
///
///     training::EventWriter writer("runs/first");
///     writer.add_scalar("loss/train", loss.item(), step);
///     writer.add_histogram("fc1.weight", net.fc1.weight.value(), step);
///     writer.add_image("digit", image, step);                                // [1, 28, 28], values from 0 to 1
///
/// Names are those of PyTorch's SummaryWriter. Each value is with the system when the call returns, whole or, if the
/// disk is full, not at all. The file is events.out.tfevents.<seconds>.<host>.<process>.<number>, a new one for each
/// writer: TensorBoard lays the files of a folder one after the other. The folder is made if it is not there; the one
/// that it lies in has to be.
///
/// Throws IoError with the path and the reason if something cannot be written, ValueError for a tag that is empty or
/// no UTF-8.
///
/// Source: TensorFlow, record_writer.cc (records), event.proto and summary.proto (messages).
class EventWriter {
public:
    [[gnu::cold]] explicit EventWriter(const std::string& folder, const EventWriterOptions& options = {})
        : file_("event_writer", new_path(folder, options.filename_suffix)) {
        detail::ProtoMessage event;
        event.put_double(wall_time, now());
        event.put_bytes(file_version, "brain.Event:2");
        append(event);
        if (!options.purge_step) return;
        constexpr unsigned status = 1;
        constexpr std::int64_t start = 1;
        detail::ProtoMessage session, begin;
        session.put_integer(status, start);
        begin.put_double(wall_time, now());
        begin.put_integer(step_number, *options.purge_step);
        begin.put_bytes(session_log, session.bytes());
        append(begin);
    }

    const std::string& path() const { return file_.path(); }

    /// A point of a curve. NaN and infinities are shown as such.
    [[gnu::cold]] void add_scalar(std::string_view tag, double value, Index step) {
        detail::ProtoMessage entry = tagged(tag);
        constexpr unsigned simple_value = 2;
        entry.put_float(simple_value, static_cast<float>(value));
        append_summary(entry, step);
    }

    /// How often values lie in each of `buckets` intervals of one width, from the smallest to the largest. NaN and
    /// infinities are left out. Throws ValueError unless there is at least one bucket.
    template <class T>
    [[gnu::cold]] void add_histogram(std::string_view tag, const Tensor<T>& values, Index step,
                                     Index buckets = 64) {
        std::vector<double> finite;
        finite.reserve(static_cast<std::size_t>(values.numel()));
        for (const T& value : values)
            if (const auto number = static_cast<double>(value); std::isfinite(number))
                finite.push_back(number);
        add_finite(tag, finite, step, buckets);
    }

    /// A picture [height, width], [1, height, width] (gray) or [3, height, width] (red, green, blue) of values from 0
    /// (black) to 1 (full light); what lies outside is cut off, NaN is black. Throws ShapeError for another shape.
    [[gnu::cold]] void add_image(std::string_view tag, const Tensor<>& image, Index step) {
        add_pixels(tag, image.shape(), step, [&](Index i) {
            const float light = image.data()[i];
            return light > 0 ? static_cast<unsigned char>(std::lround(std::min(light, 1.0f) * 255)) : 0;
        });
    }
    /// The same of values from 0 to 255.
    [[gnu::cold]] void add_image(std::string_view tag, const Tensor<std::uint8_t>& image, Index step) {
        add_pixels(tag, image.shape(), step, [&](Index i) { return image.data()[i]; });
    }

private:
    // Fields of the messages Event and Summary.Value.
    static constexpr unsigned wall_time = 1, step_number = 2, file_version = 3, summary = 5, session_log = 7;

    /// Seconds since 1970.
    static double now() {
        return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    }

    [[gnu::cold]] static std::string new_path(const std::string& folder, const std::string& suffix) {
#if defined(_WIN32)
        const int made = ::_mkdir(folder.c_str()), process = ::_getpid();
        const char* const name = std::getenv("COMPUTERNAME");
        std::string host = name ? name : "";
#else
        const int made = ::mkdir(folder.c_str(), 0777), process = ::getpid();
        char name[256] = "";
        std::string host = ::gethostname(name, sizeof name - 1) == 0 ? name : "";
#endif
        if (made != 0 && errno != EEXIST)
            gradus::detail::raise<IoError>(
                {"event_writer: ", folder, ": the folder cannot be made: ", std::strerror(errno)});
        for (char& c : host)
            if (c == '/' || c == '\\') c = '-';
        if (host.empty()) host = "localhost";
        static std::atomic<int> number{0};  // files of one process and second
        char seconds[32];
        std::snprintf(seconds, sizeof seconds, "%010.0f", std::floor(now()));
        return gradus::detail::text_of(
            {folder, "/events.out.tfevents.", seconds, ".", host, ".", process, ".", number++, suffix});
    }

    [[gnu::cold]] static detail::ProtoMessage tagged(std::string_view tag) {
        if (tag.empty() || gradus::detail::utf8_prefix(tag) != tag.size())
            gradus::detail::raise<ValueError>(
                {"event_writer: a tag is text in UTF-8, such as loss/train: got ", io::detail::shown(tag)});
        detail::ProtoMessage entry;
        entry.put_bytes(1, tag);
        return entry;
    }

    [[gnu::cold]] void append_summary(const detail::ProtoMessage& entry, Index step) {
        detail::ProtoMessage values, event;
        values.put_bytes(1, entry.bytes());
        event.put_double(wall_time, now());
        event.put_integer(step_number, step);
        event.put_bytes(summary, values.bytes());
        append(event);
    }

    /// A record: length, its check, message, its check. Checks are rotated and shifted, so that the check of bytes
    /// that contain checks is not weak.
    [[gnu::cold]] void append(const detail::ProtoMessage& event) {
        const auto masked = [](std::string_view bytes) {
            const std::uint32_t crc = gradus::detail::crc32c(bytes.data(), bytes.size());
            return (crc >> 15 | crc << 17) + 0xa282ead8u;
        };
        detail::ProtoMessage length, check, end;
        length.append_fixed(event.bytes().size(), 8);
        check.append_fixed(masked(length.bytes()), 4);
        end.append_fixed(masked(event.bytes()), 4);
        file_.append(length.bytes() + check.bytes() + event.bytes() + end.bytes());
    }

    [[gnu::cold]] void add_finite(std::string_view tag, const std::vector<double>& values, Index step,
                                  Index buckets) {
        if (buckets < 1)
            gradus::detail::raise<ValueError>("event_writer", "a histogram needs a bucket", buckets);
        double low = 0, high = 0, sum = 0, squares = 0;
        if (!values.empty()) {
            const auto [least, most] = std::minmax_element(values.begin(), values.end());
            low = *least, high = *most;
        }
        const double width = high / static_cast<double>(buckets) - low / static_cast<double>(buckets);
        std::vector<double> limits, counts(static_cast<std::size_t>(buckets), 0.0);
        for (Index i = 1; i < buckets; ++i) limits.push_back(low + width * static_cast<double>(i));
        limits.push_back(high);
        for (const double value : values) {
            const double place = width > 0 ? std::floor((value - low) / width) : 0;
            ++counts[static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(buckets - 1)))];
            sum += value;
            squares += value * value;
        }
        detail::ProtoMessage histogram, entry = tagged(tag);
        unsigned field = 0;
        for (const double number : {low, high, static_cast<double>(values.size()), sum, squares})
            histogram.put_double(++field, number);
        histogram.put_doubles(6, limits);
        histogram.put_doubles(7, counts);
        constexpr unsigned histo = 5;
        entry.put_bytes(histo, histogram.bytes());
        append_summary(entry, step);
    }

    template <class Shade>
    [[gnu::cold]] void add_pixels(std::string_view tag, const Shape& shape, Index step, const Shade& shade) {
        const int rank = shape.rank();
        const Index channels = rank == 3 ? shape[0] : 1;
        if (rank < 2 || rank > 3 || (channels != 1 && channels != 3) || shape.numel() == 0)
            gradus::detail::raise<ShapeError>(
                "event_writer", "a picture is [height, width], [1, height, width] or [3, height, width]",
                shape);
        const Index height = shape[-2], width = shape[-1], area = height * width;
        Tensor<std::uint8_t> pixels = Tensor<std::uint8_t>::uninitialized({channels, height, width});
        std::uint8_t* const shades = pixels.mutable_data();
        for (Index i = 0; i < channels * area; ++i) shades[i] = static_cast<std::uint8_t>(shade(i));
        detail::ProtoMessage image, entry = tagged(tag);
        unsigned field = 0;
        for (const Index number : {height, width, channels}) image.put_integer(++field, number);
        image.put_bytes(4, data::encode_png(pixels));
        constexpr unsigned image_field = 4;
        entry.put_bytes(image_field, image.bytes());
        append_summary(entry, step);
    }

    detail::GrowingFile file_;
};

}  // namespace gradus::training
