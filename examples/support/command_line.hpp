// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

/// Takes flags of several kinds into variables that hold their defaults.
class CommandLine {
public:
    explicit CommandLine(const char* what);
    ~CommandLine();
    CommandLine(const CommandLine&) = delete;
    CommandLine& operator=(const CommandLine&) = delete;

    void text(const char* name, std::string& value, const char* meaning);
    /// One or more words that belong to no flag.
    void texts(const char* name, std::vector<std::string>& values, const char* meaning);
    void choice(const char* name, std::string& value, const std::vector<std::string>& choices,
                const char* meaning);
    void number(const char* name, int& value, int low, int high, const char* meaning);
    void number(const char* name, double& value, double low, double high, const char* meaning);
    void number(const char* name, std::uint64_t& value, std::uint64_t low, std::uint64_t high,
                const char* meaning);
    void flag(const char* name, bool& value, const char* meaning);

    bool given(const char* name) const;

    /// All flags, without their dashes, and the values that the variables have now.
    std::vector<std::pair<std::string, std::string>> settings() const;

    /// -1 to go on, or the exit code: 0 after --help (1 if it could not be printed), 2 for a wrong
    /// command line.
    int parse(int argc, char** argv);

private:
    void remember(const char* name, std::function<std::string()> value);

    std::unique_ptr<CLI::App> app_;
    std::vector<std::pair<std::string, std::function<std::string()>>> values_;
};
