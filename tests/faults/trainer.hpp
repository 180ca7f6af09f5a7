// SPDX-License-Identifier: MIT
#pragma once

#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

extern char** environ;

/// A process of this program that trains: the test case "trainer", which does what its environment says.
struct Trainer {
    std::string folder;
    std::string kind = "sgd";  // or "adam", which has all that can have state
    int threads = 1;
    int every = 3;   // steps between two checkpoints
    int steps = 60;  // after which it stops, as if it had been told to
    bool async = false;
    std::string at_rename = {};  // "before:7", "after:7": is killed as the seventh file is put in place

    pid_t start() const {
        std::vector<std::string> variables{"TRAINER_FOLDER=" + folder,
                                           "TRAINER_KIND=" + kind,
                                           "OMP_NUM_THREADS=" + std::to_string(threads),
                                           "TRAINER_EVERY=" + std::to_string(every),
                                           "TRAINER_STEPS=" + std::to_string(steps),
                                           "TRAINER_ASYNC=" + std::string(async ? "1" : "0"),
                                           "TRAINER_AT_RENAME=" + at_rename};
        for (char** variable = environ; *variable; ++variable)
            if (std::string_view(*variable).substr(0, 4) != "OMP_") variables.emplace_back(*variable);
        std::vector<char*> environment;
        for (std::string& variable : variables) environment.push_back(variable.data());
        environment.push_back(nullptr);
        std::string name = "faults", test = "trainer", quiet = "-o", nowhere = "/dev/null";
        char* const arguments[] = {name.data(), test.data(), quiet.data(), nowhere.data(), nullptr};
        pid_t child = -1;
        if (::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments, environment.data()) != 0)
            throw std::runtime_error("cannot start the trainer");
        return child;
    }

    /// The exit code, or minus the signal that ended it.
    static int end_of(pid_t child) {
        int status = 0;
        if (::waitpid(child, &status, 0) != child) throw std::runtime_error("lost the trainer");
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

    int run() const { return end_of(start()); }
};
