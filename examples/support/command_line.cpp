// SPDX-License-Identifier: MIT
// The only source that includes CLI11, which takes the compiler longer than the rest of an example.
#include "command_line.hpp"

#include <iostream>

#include <CLI/CLI.hpp>

namespace {

/// A number from low to high. (CLI::Range lets NaN pass.)
template <class Number>
void add_number(CLI::App& app, const char* name, Number& value, Number low, Number high,
                const char* meaning) {
    const CLI::Range range(low, high);
    const auto within = [=](std::string& text) -> std::string {
        Number number = 0;
        const bool is_number = CLI::detail::lexical_cast(text, number);
        if (is_number && number >= low && number <= high) return "";
        return "Value " + text + " not in range " + CLI::detail::to_string(low) + " to " +
               CLI::detail::to_string(high);
    };
    app.add_option(name, value, meaning)
        ->check(CLI::Validator(within, range.get_description()))
        ->capture_default_str();
}

}  // namespace

CommandLine::CommandLine(const char* what) : app_(std::make_unique<CLI::App>(what)) {}

CommandLine::~CommandLine() = default;

void CommandLine::text(const char* name, std::string& value, const char* meaning) {
    app_->add_option(name, value, meaning);
    remember(name, [&value] { return value; });
}

void CommandLine::texts(const char* name, std::vector<std::string>& values, const char* meaning) {
    app_->add_option(name, values, meaning)->required();
}

void CommandLine::choice(const char* name, std::string& value, const std::vector<std::string>& choices,
                         const char* meaning) {
    app_->add_option(name, value, meaning)->check(CLI::IsMember(choices))->capture_default_str();
    remember(name, [&value] { return value; });
}

void CommandLine::number(const char* name, int& value, int low, int high, const char* meaning) {
    add_number(*app_, name, value, low, high, meaning);
    remember(name, [&value] { return CLI::detail::to_string(value); });
}

void CommandLine::number(const char* name, double& value, double low, double high, const char* meaning) {
    add_number(*app_, name, value, low, high, meaning);
    remember(name, [&value] { return CLI::detail::to_string(value); });
}

void CommandLine::number(const char* name, std::uint64_t& value, std::uint64_t low, std::uint64_t high,
                         const char* meaning) {
    add_number(*app_, name, value, low, high, meaning);
    remember(name, [&value] { return CLI::detail::to_string(value); });
}

void CommandLine::flag(const char* name, bool& value, const char* meaning) {
    app_->add_flag(name, value, meaning);
    remember(name, [&value] { return value ? "yes" : "no"; });
}

void CommandLine::remember(const char* name, std::function<std::string()> value) {
    values_.emplace_back(name + 2, std::move(value));
}

std::vector<std::pair<std::string, std::string>> CommandLine::settings() const {
    std::vector<std::pair<std::string, std::string>> all;
    for (const auto& [name, value] : values_) all.emplace_back(name, value());
    return all;
}

bool CommandLine::given(const char* name) const { return app_->count(name) > 0; }

int CommandLine::parse(int argc, char** argv) {
    try {
        app_->parse(argc, argv);
        return -1;
    } catch (const CLI::ParseError& error) {
        if (app_->exit(error) != 0) return 2;
        return std::cout.flush() ? 0 : 1;  // --help
    }
}
