// SPDX-License-Identifier: MIT
#include "gradus/training/run_folder.hpp"

#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#include <csignal>

#include "data/files.hpp"
#include "gradus/gradus.hpp"
#include "support/test.hpp"

using namespace gradus;
using training::RunFolder;

namespace {

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

TEST_CASE("run folder: a new one, with the folders that it is in") {
    const TemporaryFolder folder;
    {
        const RunFolder run(folder / "a/b/");
        CHECK(run.path() == folder / "a/b");
        CHECK(!run.resumes());
        CHECK(run.last() == folder / "a/b/last.safetensors");
        CHECK(run.best() == folder / "a/b/best.safetensors");
        CHECK(run.config() == folder / "a/b/config.json");
        CHECK(run.history() == folder / "a/b/history.csv");
        CHECK(run.events() == folder / "a/b/events.jsonl");
        CHECK(run.report() == folder / "a/b/report.html");
        CHECK(run.step(500) == folder / "a/b/step-500.safetensors");
    }
    CHECK(exists(folder / "a/b/lock"));
    ::unlink((folder / "a/b/lock").c_str());
    ::rmdir((folder / "a/b").c_str());
    ::rmdir((folder / "a").c_str());
}

TEST_CASE("run folder: a run is neither overwritten nor mixed with another") {
    const TemporaryFolder folder;
    const std::string path = folder.path();
    folder.write("notes.txt", "mine");
    { const RunFolder run(path); }  // what is no run does not matter
    folder.write("history.csv", "epoch\n");
    CHECK_THROWS_MATCHES(
        RunFolder(path), IoError,
        Message("run: " + path +
                ": there is a run in this folder: resume goes on with it, overwrite removes it"));
    CHECK(!RunFolder(path, {.resume = true}).resumes());  // stopped before its first checkpoint
    folder.write("last.safetensors", "x");
    CHECK(RunFolder(path, {.resume = true}).resumes());
    for (const char* name :
         {"best.safetensors", "step-10.safetensors", "config.json", "events.jsonl", "report.html"})
        folder.write(name, "x");
    CHECK(!RunFolder(path, {.overwrite = true}).resumes());
    for (const char* name : {"last.safetensors", "best.safetensors", "step-10.safetensors", "config.json",
                             "history.csv", "events.jsonl", "report.html"})
        CHECK(!exists(folder / name));
    CHECK(content(folder / "notes.txt") == "mine");
    CHECK_THROWS_MATCHES(RunFolder(path, {.resume = true, .overwrite = true}), ValueError,
                         Message("run: " + path + ": either resume or overwrite"));
    CHECK_THROWS_MATCHES(RunFolder(folder / "none", {.resume = true}), IoError,
                         Message("run: " + (folder / "none") +
                                 ": there is no such folder to resume a run in; check the path"));
    CHECK(!exists(folder / "none"));
    CHECK_THROWS_MATCHES(RunFolder(folder / "notes.txt"), IoError,
                         Message("run: " + (folder / "notes.txt") + ": is a file; name a folder"));
    CHECK_THROWS_MATCHES(RunFolder(folder / "notes.txt/a"), IoError,
                         Message("run: " + (folder / "notes.txt/a") + ": cannot write: Not a directory"));
    CHECK_THROWS_MATCHES(RunFolder(""), ValueError, Message("run: the folder has no name"));
}

TEST_CASE("run folder: one process at a time, and a killed one holds nothing") {
    const TemporaryFolder folder;
    const std::string path = folder.path();
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const RunFolder run(path);
        const char byte = 'x';
        if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
        for (;;) ::pause();
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    for (const bool overwrite : {false, true})
        CHECK_THROWS_MATCHES(RunFolder(path, {.overwrite = overwrite}), IoError,
                             Message("run: " + path + ": another process trains in this folder (number " +
                                     std::to_string(child) + "): wait for it, or name another folder"));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const RunFolder run(path);
    CHECK_THROWS_WITH(RunFolder(path), ContainsSubstring("another process trains in this folder (number " +
                                                         std::to_string(::getpid()) + ")"));
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST_CASE("run folder: what a killed process was writing is removed, and nothing else") {
    const TemporaryFolder folder;
    const char* const gone[] = {"last.safetensors.0.tmp", "last.safetensors.12.tmp", "history.csv.0.tmp",
                                "step-30.safetensors.1.tmp"};
    const char* const kept[] = {
        "last.safetensors",         "notes.0.tmp",          "last.safetensors.tmp", "last.safetensors.x.tmp",
        "step-x.safetensors.0.tmp", "step-007.safetensors", "step-.safetensors"};
    for (const char* name : gone) folder.write(name, "half");
    for (const char* name : kept) folder.write(name, "whole");
    const RunFolder run(folder.path(), {.resume = true});
    CHECK(run.resumes());
    for (const char* name : gone) CHECK(!exists(folder / name));
    for (const char* name : kept) CHECK(exists(folder / name));
    CHECK(run.steps().empty());
}

TEST_CASE("run folder: keeps the last k steps, by their numbers and not by the clock") {
    const TemporaryFolder folder;
    const RunFolder run(folder.path());
    for (const Index n : {5, 100, 20, 9}) folder.write("step-" + std::to_string(n) + ".safetensors", "x");
    const utimbuf future{2000000000, 2000000000};
    ::utime(run.step(5).c_str(), &future);
    CHECK(run.steps() == std::vector<Index>{5, 9, 20, 100});
    run.keep_steps(2);
    CHECK(run.steps() == std::vector<Index>{20, 100});
    run.keep_steps(5);
    CHECK(run.steps() == std::vector<Index>{20, 100});
}
