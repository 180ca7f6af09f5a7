// SPDX-License-Identifier: MIT
#include <sys/resource.h>
#include <sys/stat.h>

#ifdef __linux__
#include <sys/mount.h>
#endif

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>

#include "data/files.hpp"
#include "gradus/gradus.hpp"
#include "gradus/training/async_checkpoint.hpp"
#include "gradus/training/run_folder.hpp"
#include "support/test.hpp"
#include "trainer.hpp"

using namespace gradus;

namespace {

/// The last checkpoint of a run that nothing happened to.
const std::string& undisturbed(const std::string& kind) {
    static std::map<std::string, std::string> known;
    std::string& bytes = known[kind];
    if (bytes.empty()) {
        const TemporaryFolder folder;
        REQUIRE(Trainer{.folder = folder.path(), .kind = kind}.run() == 0);
        bytes = content(folder / "last.safetensors");
    }
    return bytes;
}

/// Not for the eyes: a failed test would print all bytes.
bool ends_as(const std::string& bytes, const TemporaryFolder& folder) {
    return content(folder / "last.safetensors") == bytes;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

/// What there is can be read: nothing or whole checkpoints.
void check_folder(const std::string& folder) {
    const training::RunFolder run(folder, {.resume = true});
    if (run.resumes()) training::read_checkpoint(run.last());
    for (const Index step : run.steps()) training::read_checkpoint(run.step(step));
}

}  // namespace

TEST_CASE("faults: a run that is killed at random moments ends with the same bits") {
    struct Case {
        const char* kind;
        bool async;
        int kills;
    };
    std::mt19937 random(5);
    int killed_in_all = 0, on_the_way = 0;
    for (const Case& c :
         {Case{"sgd", false, 12}, Case{"adam", false, 16}, Case{"adam", true, 16}, Case{"sgd", true, 8}}) {
        const TemporaryFolder folder;
        Trainer trainer{.folder = folder.path(), .kind = c.kind, .async = c.async};
        const auto start = std::chrono::steady_clock::now();
        REQUIRE(trainer.run() == 0);
        const auto end = std::chrono::steady_clock::now();
        // Of a kill, at most so long after the start: it takes several to come to the end.
        double longest = std::chrono::duration<double, std::micro>(end - start).count() / 2;
        int killed = 0;
        for (int attempt = 0; killed < c.kills && attempt < 10 * c.kills; ++attempt) {
            if (exists(folder / "last.safetensors") && ends_as(undisturbed(c.kind), folder)) {
                const training::RunFolder anew(folder.path(), {.overwrite = true});
                longest *= 0.8;
            }
            trainer.threads = 1 + attempt % 2;
            const pid_t child = trainer.start();
            ::usleep(static_cast<useconds_t>(longest * static_cast<double>(random() % 1000) / 1000));
            ::kill(child, SIGKILL);
            if (Trainer::end_of(child) != -SIGKILL) continue;
            ++killed;
            check_folder(folder.path());
            if (exists(folder / "last.safetensors"))
                ++on_the_way;
            else
                longest *= 1.2;
        }
        CHECK(killed == c.kills);
        killed_in_all += killed;
        REQUIRE(trainer.run() == 0);
        CHECK(ends_as(undisturbed(c.kind), folder));
    }
    CHECK(killed_in_all >= 50);
    CHECK(on_the_way >= 15);
}

TEST_CASE("faults: killed just before and after a file is put in place") {
    for (const char* when : {"before", "after"})
        for (const bool async : {false, true}) {
            const TemporaryFolder folder;
            Trainer trainer{.folder = folder.path(), .kind = "adam", .async = async};
            for (int number = 1; number <= 4; ++number) {
                trainer.threads = 1 + number % 2;
                trainer.at_rename = std::string(when) + ":" + std::to_string(number);
                const int end = trainer.run();
                // In the background, where newer states take the place of older ones, there may be fewer.
                REQUIRE((end == -SIGKILL || (async && number > 1 && end == 0)));
                check_folder(folder.path());
            }
            trainer.at_rename.clear();
            REQUIRE(trainer.run() == 0);
            CHECK(ends_as(undisturbed("adam"), folder));
            CHECK(!exists(folder / "last.safetensors.0.tmp"));
        }
}

TEST_CASE("faults: three resumes within an epoch, at both of its ends, from one thread to two") {
    const TemporaryFolder folder;
    Trainer trainer{.folder = folder.path(), .kind = "adam"};
    for (const int steps : {0, 1, 3, 4, 12, 13, 14, 26, 60}) {  // an epoch has 13
        trainer.steps = steps;
        trainer.threads = 1 + steps % 2;
        REQUIRE(trainer.run() == 0);
    }
    CHECK(ends_as(undisturbed("adam"), folder));
}

TEST_CASE("faults: SIGINT and SIGTERM save, and the run goes on") {
    for (const auto& [number, code] : {std::pair{SIGINT, 130}, std::pair{SIGTERM, 143}}) {
        const TemporaryFolder folder;
        Trainer trainer{.folder = folder.path(), .kind = "adam", .every = 1};
        const pid_t child = trainer.start();
        for (int waited = 0; !exists(folder / "last.safetensors") && waited < 10000; ++waited) ::usleep(1000);
        ::kill(child, number);
        REQUIRE(Trainer::end_of(child) == code);
        check_folder(folder.path());
        REQUIRE(trainer.run() == 0);
        trainer.every = 3;
        CHECK(ends_as(undisturbed("adam"), folder));
    }
}

TEST_CASE("faults: a copy of the folder goes on as the folder does, whatever its times say") {
    const TemporaryFolder folder, copy;
    Trainer trainer{.folder = folder.path(), .kind = "adam", .steps = 30};
    REQUIRE(trainer.run() == 0);
    const std::string command = "cp " + folder.path() + "/* " + copy.path() + " && touch -d '1999-01-01' " +
                                copy.path() + "/last.safetensors && touch -d '2035-01-01' " + copy.path() +
                                "/step-*.safetensors " + copy.path() + "/lock";
    REQUIRE(std::system(command.c_str()) == 0);
    trainer.folder = copy.path();
    trainer.steps = 60;
    REQUIRE(trainer.run() == 0);
    CHECK(ends_as(undisturbed("adam"), copy));
    CHECK(!ends_as(undisturbed("adam"), folder));
}

TEST_CASE("faults: two processes in one folder") {
    const TemporaryFolder folder;
    const training::RunFolder mine(folder.path());
    CHECK(Trainer{.folder = folder.path()}.run() == 2);
    CHECK(!exists(folder / "last.safetensors"));
}

#ifdef __linux__
namespace {

/// A small disk, where mounting works.
class SmallDisk {
public:
    explicit SmallDisk(const std::string& path) : path_(path) {
        mounted_ = ::mount("none", path.c_str(), "tmpfs", 0, "size=256k") == 0;
    }
    ~SmallDisk() {
        if (mounted_) ::umount(path_.c_str());
    }
    bool mounted() const { return mounted_; }
    bool read_only() const {
        return ::mount("none", path_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, nullptr) == 0;
    }

private:
    std::string path_;
    bool mounted_;
};

}  // namespace

TEST_CASE("faults: a full disk and one that may not be written keep the last good checkpoint") {
    const TemporaryFolder folder;
    const SmallDisk disk(folder.path());
    if (!disk.mounted()) {
        WARN("skipped: a file system cannot be mounted here");
        return;
    }
    Trainer trainer{.folder = folder.path(), .kind = "adam", .steps = 30};
    REQUIRE(trainer.run() == 0);
    const std::string good = content(folder / "last.safetensors");
    const std::string full = "head -c 1000000 /dev/zero > " + (folder / "filler") + " 2> /dev/null";
    static_cast<void>(std::system(full.c_str()));
    trainer.steps = 40;
    for (const bool async : {false, true}) {
        trainer.async = async;
        CHECK(trainer.run() == 1);
        CHECK(ends_as(good, folder));
        check_folder(folder.path());
    }
    REQUIRE(disk.read_only());
    CHECK(trainer.run() == 2);
    CHECK_THROWS_MATCHES(training::RunFolder(folder.path(), {.resume = true}), IoError,
                         Message("run: " + folder.path() + ": cannot write: Read-only file system"));
    CHECK(ends_as(good, folder));
}
#endif

TEST_CASE("faults: a limit of the size of files is a failed save, and training goes on") {
    const TemporaryFolder folder;
    Trainer trainer{.folder = folder.path(), .kind = "adam", .steps = 30};
    REQUIRE(trainer.run() == 0);
    const std::string good = content(folder / "last.safetensors");
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);  // the trainer inherits both
    rlimit small = before;
    small.rlim_cur = 8192;
    ::setrlimit(RLIMIT_FSIZE, &small);
    trainer.steps = 40;
    const int sync = trainer.run();
    trainer.async = true;
    const int async = trainer.run();
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    CHECK(sync == 1);
    CHECK(async == 1);
    CHECK(ends_as(good, folder));
    trainer.async = false;
    trainer.steps = 60;
    REQUIRE(trainer.run() == 0);
    CHECK(ends_as(undisturbed("adam"), folder));
}

TEST_CASE("faults: a device is no place for a checkpoint") {
    nn::Linear<> net(2, 2);
    CHECK_THROWS_MATCHES(
        training::save_checkpoint("/dev/full", {}, net), IoError,
        Message("save_checkpoint: /dev/full: cannot write: it is a pipe, socket or device; name a "
                "file, which can be replaced"));
}
