// SPDX-License-Identifier: MIT
#include "gradus/training/signals.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include "gradus/gradus.hpp"
#include "support/test.hpp"

using gradus::ValueError;
using gradus::training::SignalGuard;

namespace {

/// How a child ends that does this: its exit code, or minus the signal that ended it.
template <class Act>
int end_of_child(const Act& act) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(act());
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void (*handler_of(int number))(int) {
    struct sigaction action {};
    ::sigaction(number, nullptr, &action);
    return action.sa_handler;
}

}  // namespace

TEST_CASE("signals: the first is noted, and gives the exit code") {
    for (const auto& [number, code] : {std::pair{SIGINT, 130}, std::pair{SIGTERM, 143}}) {
        const int sent = number;
        CHECK(end_of_child([sent] {
                  const SignalGuard signals;
                  if (signals.stopped() || signals.exit_code() != 0) return 1;
                  std::raise(sent);
                  return signals.stopped() && signals.signal() == sent ? signals.exit_code() : 2;
              }) == code);
    }
}

TEST_CASE("signals: the second ends the program at once, whichever it is") {
    for (const int first : {SIGINT, SIGTERM})
        for (const int second : {SIGINT, SIGTERM})
            CHECK(end_of_child([=] {
                      const SignalGuard signals;
                      std::raise(first);
                      std::raise(second);
                      return 0;
                  }) == -second);
}

TEST_CASE("signals: nothing is installed without a guard or after it; what is ignored stays so") {
    CHECK(end_of_child([] {
              const auto other = [](int) {};
              struct sigaction action {};
              action.sa_handler = other;
              ::sigaction(SIGTERM, &action, nullptr);
              std::signal(SIGINT, SIG_IGN);
              {
                  const SignalGuard signals;
                  std::raise(SIGINT);
                  if (signals.stopped()) return 1;
                  std::raise(SIGTERM);
                  if (!signals.stopped()) return 2;
              }
              if (handler_of(SIGTERM) != static_cast<void (*)(int)>(other) || handler_of(SIGINT) != SIG_IGN)
                  return 3;
              const SignalGuard again;
              return again.stopped() ? 4 : 0;  // a guard begins with none
          }) == 0);
    CHECK(end_of_child([] {
              std::signal(SIGINT, SIG_DFL);
              std::raise(SIGINT);
              return 0;
          }) == -SIGINT);
}

TEST_CASE("signals: two guards would take each other's signals") {
    const SignalGuard signals;
    CHECK_THROWS_MATCHES(SignalGuard(), ValueError, Message("signals: there is a guard already"));
}

TEST_CASE("resume_command: can be pasted into a shell") {
    const auto command = [](std::vector<const char*> words) {
        return gradus::training::resume_command(words);
    };
    CHECK(command({"./mnist", "--out", "runs/a", "--lr=0.1"}) == "./mnist --out runs/a --lr=0.1 --resume");
    CHECK(command({"./mnist", "--resume", "--out", "a"}) == "./mnist --resume --out a");
    CHECK(command({"./mnist", "--overwrite", "--out", "my run", "it's", "", "$HOME"}) ==
          "./mnist --out 'my run' 'it'\\''s' '' '$HOME' --resume");
}
