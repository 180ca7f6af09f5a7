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

#include "gradus/core/separate.hpp"
#include "gradus/core/shape.hpp"
#include "gradus/training/history.hpp"

namespace gradus::training {

/// What is shown of a training: a bar that moves and a line per epoch, lines only, or nothing. `automatic` is
/// the bar on a terminal that can move its cursor, and lines elsewhere: in a file, a pipe, with TERM=dumb.
enum class Progress { automatic, bar, plain, none };

/// The word of a command line: auto, bar, plain or none. Throws ValueError for another.
[[gnu::cold]] Progress progress_from(std::string_view word);

struct EpochColumns {
    bool validation = true, score = true;
};

/// The line of the training table, as to_string() gives it; without the columns that have no meaning in a run,
/// and followed by further metrics: " f1:  0.912 |".
[[gnu::cold]] std::string epoch_line(const EpochRecord& record, Index epoch, Index epochs,
                                     const EpochColumns& columns = {});

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
[[gnu::cold]] std::string clock_text(double seconds);

bool is_set(const char* variable);

/// Whether the terminal understands UTF-8: what the locale of characters says.
[[gnu::cold]] bool has_unicode();

bool is_terminal(std::FILE* file);

/// Whether a line can be written over: a terminal that is not a dumb one.
[[gnu::cold]] bool can_draw(std::FILE* file);

[[gnu::cold]] Index terminal_width(std::FILE* file);

}  // namespace detail

/// One line: epoch, bar, how many batches are done, their rate, the time that the others will take, the loss.
/// What does not fit is left out, the bar first.
[[gnu::cold]] std::string bar_text(const BarState& state, const BarStyle& style);

/// Writes the table of a training, and the bar if there is to be one.
class Display {
public:
    explicit Display(Progress progress, std::FILE* file = stdout);
    Display(const Display&) = delete;
    Display& operator=(const Display&) = delete;
    ~Display() { clear(); }

    bool has_bar() const { return progress_ == Progress::bar; }

    /// Draws the bar, ten times a second at most.
    void draw(const BarState& state);

    /// A line of its own, above the bar.
    [[gnu::cold]] void line(const std::string& text);

    /// Takes the bar away.
    [[gnu::cold]] void clear();

    /// Why something could not be written; empty if all was.
    const std::string& error() const { return error_; }

private:
    void write(const std::string& text);

    std::FILE* file_;
    Progress progress_;
    BarStyle style_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point last_;
    std::string error_;
};

}  // namespace gradus::training

#if !GRADUS_SEPARATE
#include "gradus/training/progress.inc"
#endif
