// SPDX-License-Identifier: MIT
// What does not depend on the model, compiled once for all examples.
#include "run.hpp"

#include <cstdio>

#include <gradus/training/compare.hpp>
#include <gradus/training/report.hpp>

namespace training = gradus::training;

namespace {

/// The command line, for a shell: without --resume, or with it.
std::string command_of(const Flags& flags, bool resume) {
    std::vector<const char*> words;
    for (const std::string& word : flags.command)
        if (word != "--resume") words.push_back(word.c_str());
    // An option that is there, as the program itself is, is not added.
    return training::resume_command(words, resume ? "--resume" : words[0], resume ? "--overwrite" : "");
}

/// Whether a resumed run may have another value: it changes no number, or only how many epochs there are.
bool may_change(const std::string& setting) {
    for (const char* name :
         {"data", "threads", "progress", "out", "resume", "overwrite", "checkpoint-every", "epochs", "save"})
        if (setting == name) return true;
    return false;
}

}  // namespace

void print_choices(const Flags& flags) {
    std::printf("%s, learning rate %g, schedule %s, batch %d\n", flags.optimizer.c_str(), flags.lr,
                flags.schedule.c_str(), flags.batch);
    flush_output();
}

void open_folder(std::optional<training::RunFolder>& folder, const Flags& flags) {
    if (flags.out.empty()) return;
    folder.emplace(flags.out, training::RunFolderOptions{flags.resume, flags.overwrite});
    if (!folder->resumes()) {
        training::Settings settings = flags.settings;
        settings.emplace_back("command", command_of(flags, false));
        gradus::write_file(folder->config(), training::to_json(settings), {.operation = "--out"});
        return;
    }
    const training::Settings before = training::read_settings(folder->config(), "--resume");
    for (const auto& [name, value] : flags.settings) {
        const std::string was = training::setting(before, name, value);
        if (was != value && !may_change(name))
            throw gradus::ValueError("--resume: " + flags.out + ": the run was started with --" + name + " " +
                                     was + ": got " + value +
                                     "; give it the same flags, or name another folder");
    }
}

void write_report(const Flags& flags, const training::History& history, training::ReportData report) {
    report.title = flags.command[0].substr(flags.command[0].rfind('/') + 1);
    report.history = history.epochs;
    report.stopped = history.stopped;
    for (const auto& setting : flags.settings)
        if (setting.first != "resume" && setting.first != "overwrite") report.settings.push_back(setting);
    report.machine = to_string(gradus::build_info());
    report.command = command_of(flags, false);
    gradus::write_file(flags.out + "/report.html", training::report_html(report), {.operation = "--out"});
}

int finish(const Flags& flags, const training::History& history) {
    for (const std::string& failure : history.failures) std::fprintf(stderr, "%s\n", failure.c_str());
    if (history.signal != 0) std::fprintf(stderr, "to go on: %s\n", command_of(flags, true).c_str());
    return history.exit_code();
}
