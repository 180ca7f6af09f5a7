// SPDX-License-Identifier: MIT
#pragma once

#if defined(_WIN32)
#include <io.h>
#else
#include <sys/ioctl.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "gradus/core/shape.hpp"
#include "gradus/training/history.hpp"

namespace gradus::training {

/// What is shown of a training: a bar that moves and a line per epoch, lines only, or nothing. `automatic` is
/// the bar on a terminal that can move its cursor, and lines elsewhere: in a file, a pipe, with TERM=dumb.
enum class Progress { automatic, bar, plain, none };

/// The word of a command line: auto, bar, plain or none. Throws ValueError for another.
[[gnu::cold]] inline Progress progress_from(std::string_view word) {
    if (word == "auto") return Progress::automatic;
    if (word == "bar") return Progress::bar;
    if (word == "plain") return Progress::plain;
    if (word == "none") return Progress::none;
    gradus::detail::raise<ValueError>({"progress: must be auto, bar, plain or none: got ", word});
}

struct EpochColumns {
    bool validation = true, score = true;
};

/// The line of the training table, as to_string() gives it; without the columns that have no meaning in a run,
/// and followed by further metrics: " f1:  0.912 |".
[[gnu::cold]] inline std::string epoch_line(const EpochRecord& record, Index epoch, Index epochs,
                                            const EpochColumns& columns = {}) {
    std::string line = to_string(record, static_cast<int>(epoch), static_cast<int>(epochs));
    const auto leave_out = [&line](std::string_view name) {
        const std::size_t from = line.find(name), to = line.find('|', from);
        line.erase(from, to + 2 - from);
    };
    if (!columns.validation || !columns.score) leave_out("Val Score:");
    if (!columns.validation) leave_out("Val Loss:");
    if (!columns.score) leave_out("Train Score:");
    for (const NamedNumber& metric : record.metrics) {
        char text[400];
        std::snprintf(text, sizeof text, ": %6.3f |", metric.value);
        line.append(" ").append(metric.name).append(text);
    }
    return line;
}

/// How far an epoch is.
struct BarState {
    Index epoch = 1, epochs = 1;   // counted from 1
    Index batch = 0, batches = 1;  // how many are done
    double seconds = 0;            // in which `recent` batches were done
    Index recent = 0;
    double loss = 0;  // mean so far
};

/// How a bar may look.
struct BarStyle {
    Index width = 80;  // columns; it never takes the last one, from which some terminals go on by themselves
    bool unicode = false;  // lines, or the signs of ASCII
    bool color = false;
};

namespace detail {

/// "1:02:03", "4:05"
[[gnu::cold]] inline std::string clock_text(double seconds) {
    const auto all = static_cast<long long>(std::min(std::max(seconds, 0.0), 3.6e9));
    char text[48];
    if (all >= 3600)
        std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", all / 3600, all / 60 % 60, all % 60);
    else
        std::snprintf(text, sizeof text, "%lld:%02lld", all / 60, all % 60);
    return text;
}

inline bool is_set(const char* variable) {
    const char* const value = std::getenv(variable);
    return value && *value != '\0';
}

/// Whether the terminal understands UTF-8: what the locale of characters says.
[[gnu::cold]] inline bool has_unicode() {
    for (const char* const variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        if (!is_set(variable)) continue;
        const std::string_view value = std::getenv(variable);
        return value.find("UTF-8") != value.npos || value.find("utf8") != value.npos;
    }
    return false;
}

inline bool is_terminal(std::FILE* file) {
#if defined(_WIN32)
    return ::_isatty(::_fileno(file)) != 0;
#else
    return ::isatty(::fileno(file)) != 0;
#endif
}

/// Whether a line can be written over: a terminal that is not a dumb one.
[[gnu::cold]] inline bool can_draw(std::FILE* file) {
    const char* const term = std::getenv("TERM");
    return is_terminal(file) && !(term && std::string_view(term) == "dumb");
}

[[gnu::cold]] inline Index terminal_width(std::FILE* file) {
#if !defined(_WIN32)
    winsize size = {};
    if (::ioctl(::fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
#endif
    static_cast<void>(file);
    const char* const columns = std::getenv("COLUMNS");
    const long width = columns ? std::strtol(columns, nullptr, 10) : 0;
    return width > 0 && width < 10000 ? width : 80;
}

}  // namespace detail

/// One line: epoch, bar, how many batches are done, their rate, the time that the others will take, the loss.
/// What does not fit is left out, the bar first.
[[gnu::cold]] inline std::string bar_text(const BarState& state, const BarStyle& style) {
    const double share =
        static_cast<double>(state.batch) / static_cast<double>(std::max<Index>(state.batches, 1));
    const double rate = state.seconds > 0 ? static_cast<double>(state.recent) / state.seconds : 0;
    char text[160];
    std::snprintf(text, sizeof text, "Epoch %4lld / %4lld: ", static_cast<long long>(state.epoch),
                  static_cast<long long>(state.epochs));
    const std::string left = text;
    std::snprintf(text, sizeof text, " %3d%% %lld/%lld", static_cast<int>(share * 100),
                  static_cast<long long>(state.batch), static_cast<long long>(state.batches));
    std::string right = text;
    if (rate > 0) {
        std::snprintf(text, sizeof text, rate < 10 ? " | %.2f/s" : " | %.0f/s", rate);
        right.append(text).append(" | ETA ").append(
            detail::clock_text(static_cast<double>(state.batches - state.batch) / rate));
    }
    if (state.batch > 0) {
        std::snprintf(text, sizeof text, " | loss %.4g", state.loss);
        right += text;
    }
    const Index room = style.width - 1 - static_cast<Index>(left.size() + right.size());
    const Index cells = std::min<Index>(room, 40);
    std::string line = left;
    if (cells >= 8) {
        const auto full = static_cast<Index>(share * static_cast<double>(cells));
        if (style.color) line += "\033[32m";
        for (Index i = 0; i < cells; ++i) {
            if (i == full && style.color) line += "\033[2m";
            line += style.unicode ? "━" : i < full ? "=" : i == full ? ">" : ".";
            if (i >= full && style.unicode && !style.color) line.replace(line.size() - 3, 3, "─");
        }
        if (style.color) line += "\033[0m";
    }
    line += right;
    if (room < 0) line.resize(static_cast<std::size_t>(std::max<Index>(style.width - 1, 0)));
    return line;
}

/// Writes the table of a training, and the bar if there is to be one.
class Display {
public:
    explicit Display(Progress progress, std::FILE* file = stdout) : file_(file), progress_(progress) {
        if (progress == Progress::automatic)
            progress_ = detail::can_draw(file) ? Progress::bar : Progress::plain;
        style_.unicode = detail::has_unicode();
        style_.color = !detail::is_set("NO_COLOR") && detail::can_draw(file);
    }
    Display(const Display&) = delete;
    Display& operator=(const Display&) = delete;
    ~Display() { clear(); }

    bool has_bar() const { return progress_ == Progress::bar; }

    /// Draws the bar, ten times a second at most.
    void draw(const BarState& state) {
        const auto now = std::chrono::steady_clock::now();
        if (drawn_ && now - last_ < std::chrono::milliseconds(100)) return;
        last_ = now;
        style_.width = detail::terminal_width(file_);
        write("\r" + bar_text(state, style_) + "\033[K");
        drawn_ = true;
    }

    /// A line of its own, above the bar.
    [[gnu::cold]] void line(const std::string& text) {
        if (progress_ == Progress::none) return;
        clear();
        write(text + "\n");
    }

    /// Takes the bar away.
    [[gnu::cold]] void clear() {
        if (!drawn_) return;
        drawn_ = false;
        write("\r\033[K");
    }

    /// Why something could not be written; empty if all was.
    const std::string& error() const { return error_; }

private:
    void write(const std::string& text) {
        errno = 0;
        if (std::fwrite(text.data(), 1, text.size(), file_) == text.size() && std::fflush(file_) == 0) return;
        if (error_.empty()) error_ = std::strerror(errno);
    }

    std::FILE* file_;
    Progress progress_;
    BarStyle style_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point last_;
    std::string error_;
};

}  // namespace gradus::training
