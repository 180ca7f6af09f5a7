// SPDX-License-Identifier: MIT
#include "gradus/training/history.hpp"

#include <sys/resource.h>

#include <clocale>
#include <csignal>
#include <fstream>
#include <limits>

#include "data/files.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

/// While it lives, files cannot grow beyond so many bytes: what a full disk does to a writer.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }

private:
    rlimit before_;
    void (*handler_)(int);
};

const std::string header = "epoch,train_loss,val_loss,train_score,val_score,seconds\n";
const EpochRecord epoch_record{0.542, 0.465, 0.805, 0.835, 0.612};

}  // namespace

TEST_CASE("history: a line of the table") {
    CHECK(to_string(epoch_record, 1, 10) ==
          "Epoch    1 /   10: | Train Loss:  0.542 | Val Loss:  0.465 | Train Score:  0.805 | Val Score:  "
          "0.835 | "
          "Epoch Time:  0.612 |");
    CHECK(to_string(EpochRecord{12.3456, 0, 1, 0.99951, 1234.5}, 10000, 99999) ==
          "Epoch 10000 / 99999: | Train Loss: 12.346 | Val Loss:  0.000 | Train Score:  1.000 | Val Score:  "
          "1.000 | "
          "Epoch Time: 1234.500 |");
    const double nan = std::numeric_limits<double>::quiet_NaN(),
                 infinity = std::numeric_limits<double>::infinity();
    CHECK(to_string(EpochRecord{nan, infinity, 0, 0, 0}, 2, 3) ==
          "Epoch    2 /    3: | Train Loss:    nan | Val Loss:    inf | Train Score:  0.000 | Val Score:  "
          "0.000 | "
          "Epoch Time:  0.000 |");
}

TEST_CASE("history: a diverged loss leaves the line whole") {
    const double huge = std::numeric_limits<double>::max();
    CHECK_THAT(to_string(EpochRecord{huge, huge, 0.1, 0.1, 1}, 1, 1),
               Catch::Matchers::EndsWith("| Epoch Time:  1.000 |"));
}

TEST_CASE("history: as CSV, with all digits") {
    const TemporaryFolder folder;
    const std::string path = folder / "history.csv";
    write_history_csv(path, {});
    CHECK(content(path) == header);
    write_history_csv(path, {{0.5, 0.25, 0.75, 1, 0.612}, {0.1, 1e-20, 1e10, 1.0 / 3, 12}});
    CHECK(content(path) == header +
                               "1,0.5,0.25,0.75,1,0.612\n"
                               "2,0.1,1e-20,1e+10,0.3333333333333333,12.000\n");
    CHECK_FALSE(exists(path + ".0.tmp"));
}

TEST_CASE("history: the CSV has decimal points in every locale") {
    const std::string before = std::setlocale(LC_NUMERIC, nullptr);
    std::setlocale(LC_NUMERIC, "de_DE.UTF-8");  // where it is installed
    const TemporaryFolder folder;
    write_history_csv(folder / "history.csv", {epoch_record});
    std::setlocale(LC_NUMERIC, before.c_str());
    CHECK_THAT(content(folder / "history.csv"), ContainsSubstring(",0.612\n"));
}

TEST_CASE("history: a file is replaced as a whole") {
    const TemporaryFolder folder;
    const std::string path = folder.write("history.csv", "old\n");
    std::ifstream reader(path);  // opened before: still sees the old file
    write_history_csv(path, {epoch_record});
    std::string line;
    CHECK(std::getline(reader, line));
    CHECK(line == "old");
    CHECK(content(path).substr(0, header.size()) == header);
}

TEST_CASE("history: a path that cannot be written") {
    const TemporaryFolder folder;
    const std::string missing = folder / "nowhere/history.csv";
    CHECK_THROWS_MATCHES(
        write_history_csv(missing, {epoch_record}), IoError,
        Message("write_history_csv: " + missing + ": cannot write: No such file or directory"));
    CHECK_THROWS_MATCHES(write_history_csv(folder.path(), {epoch_record}), IoError,
                         Message("write_history_csv: " + folder.path() + ": cannot write: Is a directory"));
    CHECK_FALSE(exists(folder.path() + ".0.tmp"));
    const std::string below_file = folder.write("file", "") + "/history.csv";
    CHECK_THROWS_MATCHES(write_history_csv(below_file, {epoch_record}), IoError,
                         Message("write_history_csv: " + below_file + ": cannot write: Not a directory"));
}

TEST_CASE("history: a disk without space leaves the old file") {
    const TemporaryFolder folder;
    const std::string path = folder.write("history.csv", "old\n");
    const std::vector<EpochRecord> small(1, epoch_record),
        large(1000, epoch_record);  // fails at the end or on the way
    for (const auto* history : {&small, &large}) {
        std::string text;
        try {
            const FileSizeLimit limit(10);
            write_history_csv(path, *history);
        } catch (const IoError& error) {
            text = error.what();
        }
        CHECK(text == "write_history_csv: " + path + ": cannot write: File too large");
        CHECK(content(path) == "old\n");
        CHECK_FALSE(exists(path + ".0.tmp"));
    }
}
