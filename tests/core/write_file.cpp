// SPDX-License-Identifier: MIT
#include "gradus/core/write_file.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <set>
#include <thread>
#include <vector>

#include "data/files.hpp"
#include "gradus/training/history.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

/// The names of what is in a folder.
std::set<std::string> files(const TemporaryFolder& folder) {
    std::set<std::string> names;
    DIR* const open = ::opendir(folder.path().c_str());
    while (const dirent* entry = ::readdir(open)) names.insert(entry->d_name);
    ::closedir(open);
    names.erase(".");
    names.erase("..");
    return names;
}

struct stat status_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status;
}

using Files = std::set<std::string>;

}  // namespace

TEST_CASE("write_file: writes bytes as they are, and leaves nothing else behind") {
    const TemporaryFolder folder;
    const std::string path = folder / "a", bytes("one\r\ntwo\0three\n", 15);
    write_file(path, bytes);
    CHECK(content(path) == bytes);
    write_file(path, "");
    CHECK(content(path).empty());
    check_writable(path);
    check_writable(folder / "b");
    CHECK(content(path).empty());
    CHECK(files(folder) == Files{"a"});
}

TEST_CASE("write_file: who may read a file stays") {
    const TemporaryFolder folder;
    const std::string old = folder.write("old", ""), fresh = folder / "fresh";
    REQUIRE(::chmod(old.c_str(), 0640) == 0);
    write_file(old, "text");
    CHECK((status_of(old).st_mode & 07777) == 0640);
    const mode_t mask = ::umask(027);
    write_file(fresh, "text");
    ::umask(mask);
    CHECK((status_of(fresh).st_mode & 07777) == 0640);
}

TEST_CASE("write_file: writes through a link, and never into what stands at a temporary name") {
    const TemporaryFolder folder, elsewhere;
    const std::string target = elsewhere.write("target", "old"), link = folder / "link";
    REQUIRE(::symlink(target.c_str(), link.c_str()) == 0);
    write_file(link, "new");
    CHECK(S_ISLNK(status_of(link).st_mode));
    CHECK(content(target) == "new");
    CHECK(files(elsewhere) == Files{"target"});

    // Links at the names of temporary files, to a file that must not change and to nothing.
    const std::string precious = elsewhere.write("precious", "precious"), path = folder / "history.csv";
    for (const char* name : {".tmp", ".0.tmp", ".1.tmp"})
        REQUIRE(::symlink(precious.c_str(), (path + name).c_str()) == 0);
    REQUIRE(::symlink((elsewhere / "nothing").c_str(), (path + ".2.tmp").c_str()) == 0);
    write_history_csv(path, {});
    check_writable(path);
    CHECK(content(precious) == "precious");
    CHECK(files(elsewhere) == Files{"precious", "target"});
    CHECK(content(path) == "epoch,train_loss,val_loss,train_score,val_score,seconds\n");

    const std::string dangling = folder / "dangling", circle = folder / "circle";
    REQUIRE(::symlink((elsewhere / "nothing").c_str(), dangling.c_str()) == 0);
    REQUIRE(::symlink(circle.c_str(), circle.c_str()) == 0);
    for (const std::string& lost : {dangling, circle})
        CHECK_THROWS_MATCHES(
            write_file(lost, "text"), IoError,
            Message("write_file: " + lost + ": cannot write: it is a symbolic link that leads to no file"));
}

TEST_CASE("write_file: refuses what is no file, at once") {
    const TemporaryFolder folder;
    const std::string pipe = folder / "pipe", link = folder / "link";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    REQUIRE(::symlink(pipe.c_str(), link.c_str()) == 0);
    for (const std::string& path : {pipe, link, std::string("/dev/null")}) {
        const std::string text =
            path + ": cannot write: it is a pipe, socket or device; name a file, which can be replaced";
        CHECK_THROWS_MATCHES(write_file(path, "text"), IoError, Message("write_file: " + text));
        CHECK_THROWS_MATCHES(check_writable(path), IoError, Message("check_writable: " + text));
        CHECK_THROWS_MATCHES(write_history_csv(path, {}), IoError, Message("write_history_csv: " + text));
    }
    CHECK(S_ISFIFO(status_of(pipe).st_mode));
    CHECK(S_ISCHR(status_of("/dev/null").st_mode));
    CHECK_THROWS_MATCHES(write_file(folder.path(), "text"), IoError,
                         Message("write_file: " + folder.path() + ": cannot write: Is a directory"));
    CHECK(files(folder) == Files{"link", "pipe"});
}

TEST_CASE("write_file: two writers on one path do not disturb each other") {
    const TemporaryFolder folder;
    const std::string path = folder / "history.csv";
    std::atomic<int> failures{0}, broken{0};
    std::atomic<bool> running{true};
    const std::string texts[] = {std::string(100000, 'a'), std::string(50000, 'b')};
    write_file(path, texts[0]);
    std::thread reader([&] {
        while (running) {
            std::ifstream file(path, std::ios::binary);
            const std::string text{std::istreambuf_iterator<char>(file), {}};
            broken += text != texts[0] && text != texts[1];
        }
    });
    std::vector<std::thread> writers;
    for (const std::string& text : texts)
        writers.emplace_back([&] {
            for (int i = 0; i < 200; ++i) try {
                    write_file(path, text);
                } catch (const IoError&) {
                    ++failures;
                }
        });
    for (std::thread& writer : writers) writer.join();
    running = false;
    reader.join();
    CHECK(failures == 0);
    CHECK(broken == 0);
    CHECK(files(folder) == Files{"history.csv"});
}

TEST_CASE("check_writable: a folder that is not there, one that may not be written, a full disk") {
    const TemporaryFolder folder;
    CHECK_THROWS_MATCHES(
        check_writable(folder / "no/history.csv", "--out"), IoError,
        Message("--out: " + (folder / "no/history.csv") + ": cannot write: No such file or directory"));
    if (::geteuid() != 0) {  // root may write anywhere
        REQUIRE(::chmod(folder.path().c_str(), 0500) == 0);
        CHECK_THROWS_AS(check_writable(folder / "history.csv"), IoError);
        REQUIRE(::chmod(folder.path().c_str(), 0700) == 0);
    }
    rlimit before;
    ::getrlimit(RLIMIT_FSIZE, &before);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit few{1000, before.rlim_max};
    std::string text;
    ::setrlimit(RLIMIT_FSIZE, &few);
    try {
        check_writable(folder / "history.csv");
    } catch (const IoError& error) {
        text = error.what();
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    CHECK(text == "check_writable: " + (folder / "history.csv") + ": cannot write: File too large");
    CHECK(files(folder).empty());
}
