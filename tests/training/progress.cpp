// SPDX-License-Identifier: MIT
#include "gradus/training/progress.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <thread>

#include "support/test.hpp"
#include "training/small_run.hpp"

using namespace gradus;
using training::BarState;
using training::BarStyle;
using training::Progress;

namespace {

/// Sets a variable of the environment for one scope; nullptr: there is none.
class Environment {
public:
    Environment(const char* name, const char* value) : name_(name) {
        if (const char* const before = std::getenv(name)) before_ = before;
        set(value);
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;
    ~Environment() { set(before_ ? before_->c_str() : nullptr); }

private:
    void set(const char* value) {
        if (value)
            ::setenv(name_, value, 1);
        else
            ::unsetenv(name_);
    }

    const char* name_;
    std::optional<std::string> before_;
};

}  // namespace

TEST_CASE("progress: the words of a command line") {
    CHECK(training::progress_from("auto") == Progress::automatic);
    CHECK(training::progress_from("bar") == Progress::bar);
    CHECK(training::progress_from("plain") == Progress::plain);
    CHECK(training::progress_from("none") == Progress::none);
    CHECK_THROWS_WITH(training::progress_from("loud"),
                      "progress: must be auto, bar, plain or none: got loud");
}

TEST_CASE("progress: a line of the table, and what of it has a meaning") {
    EpochRecord record{0.542, 0.465, 0.805, 0.835, 0.612};
    CHECK(training::epoch_line(record, 1, 10) == to_string(record, 1, 10));
    CHECK(training::epoch_line(record, 1, 10, {.validation = false}) ==
          "Epoch    1 /   10: | Train Loss:  0.542 | Train Score:  0.805 | Epoch Time:  0.612 |");
    CHECK(training::epoch_line(record, 1, 10, {.score = false}) ==
          "Epoch    1 /   10: | Train Loss:  0.542 | Val Loss:  0.465 | Epoch Time:  0.612 |");
    CHECK(training::epoch_line(record, 1, 10, {.validation = false, .score = false}) ==
          "Epoch    1 /   10: | Train Loss:  0.542 | Epoch Time:  0.612 |");
    record.metrics = {{"val_f1", 0.9126}, {"val_auc", std::numeric_limits<double>::quiet_NaN()}};
    CHECK(training::epoch_line(record, 2, 3) ==
          "Epoch    2 /    3: | Train Loss:  0.542 | Val Loss:  0.465 | Train Score:  0.805 | Val Score:  "
          "0.835 | Epoch Time:  0.612 | val_f1:  0.913 | val_auc:    nan |");
}

TEST_CASE("progress: the bar") {
    const BarState half{
        .epoch = 3, .epochs = 10, .batch = 120, .batches = 235, .seconds = 2, .recent = 60, .loss = 0.51234};
    CHECK(training::bar_text(half, {.width = 100}) ==
          "Epoch    3 /   10: =================>.................  51% 120/235 | 30/s | ETA 0:03 | loss "
          "0.5123");
    CHECK(training::bar_text(half, {.width = 100, .unicode = true}) ==
          "Epoch    3 /   10: ━━━━━━━━━━━━━━━━━──────────────────  51% 120/235 | 30/s | ETA 0:03 | loss "
          "0.5123");
    CHECK(training::bar_text(half, {.width = 100, .unicode = true, .color = true}) ==
          "Epoch    3 /   10: \033[32m━━━━━━━━━━━━━━━━━\033[2m━━━━━━━━━━━━━━━━━━\033[0m  51% 120/235 | 30/s "
          "| ETA "
          "0:03 | loss 0.5123");
    // It grows to 40 cells; where there is no room it goes first, then the end of the line.
    CHECK(training::bar_text(half, {.width = 300}).find(std::string(20, '=') + ">" + std::string(19, '.')) !=
          std::string::npos);
    CHECK(training::bar_text(half, {.width = 72}) ==
          "Epoch    3 /   10:   51% 120/235 | 30/s | ETA 0:03 | loss 0.5123");
    CHECK(training::bar_text(half, {.width = 30}) == "Epoch    3 /   10:   51% 120/");
    CHECK(training::bar_text(half, {.width = 0}).empty());

    BarState state{.epochs = 1, .batches = 4};
    CHECK(training::bar_text(state, {.width = 60}) ==
          "Epoch    1 /    1: >..............................   0% 0/4");
    state = {.epochs = 1, .batch = 4, .batches = 4, .seconds = 1000, .recent = 4, .loss = 1e10};
    CHECK(training::bar_text(state, {.width = 80}) ==
          "Epoch    1 /    1: ================== 100% 4/4 | 0.00/s | ETA 0:00 | loss 1e+10");
    state = {.epochs = 1,
             .batch = 1,
             .batches = 100,
             .seconds = 100,
             .recent = 1,
             .loss = std::numeric_limits<double>::quiet_NaN()};
    CHECK_THAT(training::bar_text(state, {.width = 80}), ContainsSubstring("ETA 2:45:00 | loss nan"));
}

TEST_CASE("progress: a file gets lines, and nothing moves there") {
    const Printed out;
    {
        training::Display display(Progress::automatic, out);
        CHECK_FALSE(display.has_bar());
        display.line("one");
        display.line("two");
    }
    CHECK(out.text() == "one\ntwo\n");

    const Printed nothing;
    {
        training::Display display(Progress::none, nothing);
        display.line("one");
    }
    CHECK(nothing.text().empty());
}

TEST_CASE("progress: a bar is drawn ten times a second at most, and gone when a line comes") {
    const Environment columns("COLUMNS", "60"), all("LC_ALL", "C");
    const Printed out;
    {
        training::Display display(Progress::bar, out);
        for (Index i = 1; i <= 1000; ++i) display.draw({.batch = i, .batches = 1000});
        display.line("done");
        display.draw({.batch = 1, .batches = 2});
    }
    const std::string text = out.text();
    CHECK(text.starts_with("\rEpoch    1 /    1: "));
    CHECK(text.find("1/1000") != text.npos);
    CHECK(text.find("900/1000") == text.npos);
    CHECK(text.find("\r\033[Kdone\n\rEpoch") != text.npos);
    CHECK(text.ends_with("\r\033[K"));
}

TEST_CASE("progress: unicode is what the locale says") {
    const Environment all("LC_ALL", nullptr), characters("LC_CTYPE", nullptr), lang("LANG", "en_US.UTF-8");
    CHECK(training::detail::has_unicode());
    const Environment none("LC_ALL", "C");
    CHECK_FALSE(training::detail::has_unicode());
    const Environment small("LC_ALL", "C.utf8");
    CHECK(training::detail::has_unicode());
}

TEST_CASE("progress: the width of what is no terminal") {
    const Printed out;
    const Environment wide("COLUMNS", "123");
    CHECK(training::detail::terminal_width(out) == 123);
    for (const char* const wrong : {"", "x", "-5", "99999999999"}) {
        const Environment columns("COLUMNS", wrong);
        CHECK(training::detail::terminal_width(out) == 80);
    }
}

namespace {

/// What fit() shows on a terminal.
std::string shown_on_terminal(const char* term, const char* no_color) {
    const Environment type("TERM", term), color("NO_COLOR", no_color), all("LC_ALL", "C.UTF-8");
    const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) return "no terminal";
    const int slave = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
    if (slave < 0) return "no terminal";
    winsize size{};
    size.ws_col = 100;
    ::ioctl(slave, TIOCSWINSZ, &size);
    std::FILE* const terminal = ::fdopen(slave, "w");
    std::string text;
    std::thread reader([&] {  // until the other side is closed
        char part[1000];
        for (ssize_t n; (n = ::read(master, part, sizeof part)) > 0;)
            text.append(part, static_cast<std::size_t>(n));
    });
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(23), {.batch_size = 5});
    training::fit(net, sgd, small_loss, batches, batches, {.epochs = 1, .output = terminal});
    std::fclose(terminal);
    reader.join();
    ::close(master);
    return text;
}

}  // namespace

TEST_CASE("progress: on a terminal there is a bar, unless it is a dumb one") {
    const std::string text = shown_on_terminal("xterm", nullptr);
    if (text == "no terminal") {
        WARN("there are no pseudo-terminals here");
        return;
    }
    CHECK(text.starts_with("\rEpoch    1 /    1: \033[32m"));
    CHECK(text.find("━") != text.npos);
    CHECK(text.find("1/5") != text.npos);
    CHECK(text.find("\r\033[KEpoch    1 /    1: | Train Loss: ") != text.npos);

    const std::string plain = shown_on_terminal("xterm", "1");
    CHECK(plain.find("━") != plain.npos);
    CHECK(plain.find("\033[32m") == plain.npos);

    const std::string dumb = shown_on_terminal("dumb", nullptr);
    CHECK(dumb.starts_with("Epoch    1 /    1: | Train Loss: "));
    CHECK(dumb.find('\033') == dumb.npos);
}
