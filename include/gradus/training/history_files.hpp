// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "gradus/core/write_file.hpp"
#include "gradus/io/json.hpp"
#include "gradus/training/history.hpp"
#include "gradus/training/run.hpp"

// Callbacks of fit() that write down how a training goes, for other programs.

namespace gradus::training {

/// history.csv: write_history_csv() after every epoch. The file is replaced as a whole, so it is never torn,
/// and a resumed run begins with the epochs that its checkpoint has.
///
///     training::fit(..., training::CsvHistory("run/history.csv"));
class CsvHistory {
public:
    explicit CsvHistory(std::string path) : path_(std::move(path)) {}

    /// Throws IoError if the file cannot be written: before the training, not after its first epoch.
    [[gnu::cold]] void on_train_begin(Run& run) {
        if (run.is_first()) write_history_csv(path_, run.history());
    }
    [[gnu::cold]] void on_epoch_end(Run& run) {
        if (!run.is_first()) return;
        try {
            write_history_csv(path_, run.history());
        } catch (const IoError& e) {
            run.fail(e.what());
        }
    }

private:
    std::string path_;
};

/// A file of lines that grows with a training, each of them a JSON object that begins {"step":120,"epoch":3 and
/// says how many steps had been made and in which epoch, counted from 1. A line is with the system when append()
/// returns; after a kill at most the last one is torn.
class JsonLines {
public:
    JsonLines() = default;
    JsonLines(const JsonLines&) = delete;
    JsonLines& operator=(const JsonLines&) = delete;
    ~JsonLines() { close(); }

    /// Goes on with a file, or begins one: keeps the lines up to a position and leaves out those of later steps,
    /// a torn one, and lines of epochs that had not ended there. Throws IoError with the path and the reason.
    [[gnu::cold]] void open(const std::string& path, const Position& position) {
        close();
        path_ = path;
        std::string kept;
        if (position.step > 0 || position.epoch > 0) kept = lines_before(read(path), position);
        write_file(path, kept, {.operation = "json_lines"});
        file_ = std::fopen(path.c_str(), "ab");
        if (!file_) refuse(std::strerror(errno));
    }

    /// Adds a line, `object` without its braces and the step and epoch. Throws IoError.
    [[gnu::cold]] void append(Index step, Index epoch, std::string_view object) {
        const std::string line =
            gradus::detail::text_of({"{\"step\":", step, ",\"epoch\":", epoch, ",", object, "}\n"});
        errno = 0;
        if (!file_ || std::fwrite(line.data(), 1, line.size(), file_) != line.size() ||
            std::fflush(file_) != 0)
            refuse(errno ? std::strerror(errno) : "it is not open");
    }

    /// A number as JSON has it: null for NaN and infinities.
    static std::string number(double x) { return std::isfinite(x) ? gradus::detail::csv_number(x) : "null"; }

private:
    [[noreturn, gnu::cold]] void refuse(const char* reason) const {
        gradus::detail::raise<IoError>({"json_lines: ", path_, ": cannot write: ", reason});
    }

    [[gnu::cold]] static std::string read(const std::string& path) {
        std::string text;
        std::FILE* const file = std::fopen(path.c_str(), "rb");
        if (!file) return text;  // there is none yet: what can be written shows open()
        char part[4096];
        for (std::size_t n; (n = std::fread(part, 1, sizeof part, file)) > 0;) text.append(part, n);
        std::fclose(file);
        return text;
    }

    /// The number behind `key` where it stands at `at`, which moves behind it; −1 if it does not.
    static Index number_at(const std::string& text, std::size_t& at, std::string_view key) {
        if (text.compare(at, key.size(), key) != 0) return -1;
        char* end = nullptr;
        const char* const begin = text.c_str() + at + key.size();
        const long long value = std::strtoll(begin, &end, 10);
        if (end == begin) return -1;
        at = static_cast<std::size_t>(end - text.c_str());
        return static_cast<Index>(value);
    }

    [[gnu::cold]] static std::string lines_before(const std::string& text, const Position& position) {
        std::size_t begin = 0;
        for (std::size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
            std::size_t at = begin;
            const Index step = number_at(text, at, "{\"step\":"), epoch = number_at(text, at, ",\"epoch\":");
            if (step < 0 || epoch < 0 || step > position.step || text[end - 1] != '}') break;
            const bool is_end = std::string_view(text).substr(at).starts_with(",\"event\":\"epoch\"");
            if (is_end && epoch > position.epoch) break;
        }
        return text.substr(0, begin);
    }

    void close() {
        if (file_) std::fclose(std::exchange(file_, nullptr));
    }

    std::string path_;
    std::FILE* file_ = nullptr;
};

struct JsonHistoryOptions {
    std::string path = "events.jsonl";
    Index every_steps = 50;  // a line with loss and learning rate; 0: for epochs only
};

/// events.jsonl: a line every so many steps, and one for each epoch with all that its record has.
///
///     {"step":50,"epoch":1,"event":"step","loss":0.71,"lr":0.1}
///     {"step":235,"epoch":1,"event":"epoch","train_loss":0.69,...,"val_f1":0.81}
class JsonHistory {
public:
    /// Throws ValueError for a negative every_steps.
    [[gnu::cold]] explicit JsonHistory(const JsonHistoryOptions& options = {}) : options_(options) {
        if (options.every_steps < 0)
            gradus::detail::raise<ValueError>("json_history", "every_steps must not be negative",
                                              options.every_steps);
    }

    /// Throws IoError if the file cannot be written.
    [[gnu::cold]] void on_train_begin(Run& run) {
        if (run.is_first()) lines_.open(options_.path, run.position());
    }

    void on_step_end(auto& run) {
        if (options_.every_steps > 0 && run.position().step % options_.every_steps == 0)
            add(run, run.position().epoch + 1,
                "\"event\":\"step\",\"loss\":" + JsonLines::number(run.loss()) +
                    ",\"lr\":" + JsonLines::number(run.optimizer.lr()));
    }

    [[gnu::cold]] void on_epoch_end(Run& run) {
        const EpochRecord& r = run.record();
        std::string object = "\"event\":\"epoch\"";
        const auto put = [&](const std::string& name, double value) {
            object.append(",")
                .append(io::detail::json_string(name))
                .append(":")
                .append(JsonLines::number(value));
        };
        put("train_loss", r.train_loss);
        put("val_loss", r.val_loss);
        put("train_score", r.train_score);
        put("val_score", r.val_score);
        put("seconds", r.seconds);
        put("lr", r.lr);
        for (const NamedNumber& metric : r.metrics) put(metric.name, metric.value);
        add(run, run.position().epoch, object);
    }

private:
    [[gnu::cold]] void add(Run& run, Index epoch, const std::string& object) {
        if (failed_ || !run.is_first()) return;
        try {
            lines_.append(run.position().step, epoch, object);
        } catch (const IoError& e) {
            failed_ = true;  // a disk that is full stays so: said once
            run.fail(e.what());
        }
    }

    JsonHistoryOptions options_;
    JsonLines lines_;
    bool failed_ = false;
};

}  // namespace gradus::training
