// SPDX-License-Identifier: MIT
#include "gradus/training/compare.hpp"

#include <limits>

#include "data/files.hpp"
#include "support/markup.hpp"
#include "support/test.hpp"

using namespace gradus;
using training::setting, training::to_json, training::compare_html, training::read_history_csv,
    training::read_run, training::read_settings, training::RunRecord, training::Settings;

namespace {

EpochRecord epoch_of(double loss, double score, double seconds) {
    return {.train_loss = loss,
            .val_loss = loss / 2,
            .train_score = score,
            .val_score = score / 2,
            .seconds = seconds};
}

std::string header = "epoch,train_loss,val_loss,train_score,val_score,seconds\n";

}  // namespace

TEST_CASE("compare: settings come back as they were written") {
    const TemporaryFolder folder;
    const Settings settings{{"optimizer", "adam"}, {"a \"name\"\n", "\\ and \t and ü \x01"}, {"", ""}};
    CHECK(read_settings(folder.write("a.json", to_json(settings))) == settings);
    CHECK(to_json({{"lr", "0.1"}, {"seed", "1"}}) == "{\n  \"lr\": \"0.1\",\n  \"seed\": \"1\"\n}\n");
    CHECK(read_settings(folder.write("b.json", "{\"lr\": 0.10, \"on\": true, \"s\": [1, 2]}")) ==
          Settings{{"lr", "0.10"}, {"on", "true"}, {"s", "[1, 2]"}});
    CHECK(setting(settings, "optimizer") == "adam");
    CHECK(setting(settings, "lr", "?") == "?");
    const std::string path = folder.write("c.json", "[]");
    CHECK_THROWS_MATCHES(
        read_settings(path), IoError,
        Message("read_settings: " + path + ": not JSON at byte 0: expected an object: got '['"));
}

TEST_CASE("compare: a history comes back as it was written") {
    const TemporaryFolder folder;
    const double no_number = std::numeric_limits<double>::quiet_NaN(),
                 inf = std::numeric_limits<double>::infinity();
    const std::vector<EpochRecord> history{
        {.train_loss = 0.1,
         .val_loss = 1.0 / 3,
         .train_score = 1e-300,
         .val_score = no_number,
         .seconds = 1.25},
        {.train_loss = inf, .val_loss = -inf, .train_score = 0, .val_score = 0.5, .seconds = 0}};
    write_history_csv(folder / "history.csv", history);
    const std::vector<EpochRecord> read = read_history_csv(folder / "history.csv");
    REQUIRE(read.size() == 2);
    CHECK(read[0].train_loss == 0.1);
    CHECK(read[0].val_loss == 1.0 / 3);
    CHECK(read[0].train_score == 1e-300);
    CHECK(std::isnan(read[0].val_score));
    CHECK(read[0].seconds == 1.25);
    CHECK(read[1].train_loss == inf);
    CHECK(read[1].val_loss == -inf);

    const std::vector<NamedNumber> odd{{"a, \"b\"\nc", 0.25}, {"d", 1}};
    write_history_csv(folder / "odd.csv", {{.lr = 0.5, .metrics = odd}});
    CHECK(read_history_csv(folder / "odd.csv")[0].metrics == odd);
    CHECK(read_history_csv(folder / "odd.csv")[0].lr == 0.5);

    const auto more =
        read_history_csv(folder.write("more.csv", "epoch,train_loss,lr,f1\r\n1,2,0.5,0.25\r\n2,1,0.25,\r\n"));
    REQUIRE(more.size() == 2);
    CHECK(more[0].lr == 0.5);
    CHECK(more[0].metrics == std::vector<NamedNumber>{{"f1", 0.25}});
    CHECK(std::isnan(more[1].metrics[0].value));
}

TEST_CASE("compare: files that are no history") {
    const TemporaryFolder folder;
    const auto refuse = [&](const std::string& text, const std::string& why) {
        const std::string path = folder.write("history.csv", text);
        CHECK_THROWS_MATCHES(read_history_csv(path), IoError,
                             Message("read_history_csv: " + path + ": " + why));
    };
    refuse("", "line 1: a history begins with the column epoch: got \"\"");
    refuse("a,b\n1,2\n", "line 1: a history begins with the column epoch: got \"a\"");
    refuse(header + "1,2,3\n", "line 2: as many fields as names: got 3 and 6");
    refuse(header + "1,1,1,1,1,1\n2,1,x<y,1,1,1\n", "line 3, val_loss: must be a number: got \"x<y\"");
    refuse(header + "1,1,1,1,1,1e999\n", "line 2, seconds: must be a number: got \"1e999\"");
    CHECK_THROWS_MATCHES(
        read_run(folder / "none"), IoError,
        Message("compare: " + (folder / "none") +
                "/history.csv: cannot be opened: No such file or directory; check the path"));
}

TEST_CASE("compare: a run's folder") {
    const TemporaryFolder folder;
    folder.write("history.csv", header + "1,4,3,2,1,0.5\n");
    const RunRecord plain = read_run(folder.path() + "/");
    CHECK(plain.name == folder.path().substr(5));  // behind /tmp/
    CHECK(plain.history.size() == 1);
    CHECK(plain.settings.empty());
    folder.write("config.json", "{\"lr\": \"1\"}");
    CHECK(read_run(folder.path()).settings == Settings{{"lr", "1"}});
    folder.write("config.json", "{\"lr\"");
    CHECK_THROWS_MATCHES(
        read_run(folder.path()), IoError,
        Message("compare: " + folder.path() + "/config.json: not JSON at byte 5: expected ':': got the end"));
}

TEST_CASE("compare: several runs on one page") {
    const std::vector<RunRecord> runs{
        {"sgd",
         {epoch_of(4, 0.25, 30), epoch_of(2, 0.75, 40)},
         {{"optimizer", "sgd"}, {"lr", "0.2"}, {"seed", "5"}, {"command", "train --optimizer sgd"}}},
        {"adam",
         {epoch_of(3, 0.5, 1), epoch_of(1, 0.9375, 1), epoch_of(5, 0.5, 1)},
         {{"optimizer", "adam"}, {"lr", "0.2"}, {"seed", "5"}}}};
    const std::string page = compare_html(runs);
    CHECK(malformed(page) == "");
    CHECK(page == compare_html(runs));
    CHECK_THAT(page, ContainsSubstring("<h1>2 runs side by side</h1>"));
    CHECK_THAT(
        page,
        ContainsSubstring(
            "</b>sgd</th><td>0.375<small>epoch 2</small></td><td>0.375</td><td>1<small>epoch 2</small></td>"
            "<td>1</td><td>2</td><td>1 min 10 s</td><td>sgd</td></tr>"));
    CHECK_THAT(page, ContainsSubstring("</b>adam</th><td>0.4688<small>epoch "
                                       "2</small></td><td>0.25</td><td>0.5<small>epoch 2</small></td>"
                                       "<td>2.5</td><td>3</td><td>3 s</td><td>adam</td></tr>"));
    // What they differ in is in the table; what they share is named once.
    CHECK_THAT(page, ContainsSubstring("<th scope=\"col\">optimizer</th></tr>"));
    CHECK_THAT(
        page,
        ContainsSubstring(
            "<dl "
            "class=\"settings\"><div><dt>lr</dt><dd>0.2</dd></div><div><dt>seed</dt><dd>5</dd></div></dl>"));
    CHECK_THAT(page, ContainsSubstring("train --optimizer sgd\n</pre>"));
    CHECK_THROWS_MATCHES(compare_html({}), ValueError, Message("compare: needs one run at least"));
}

TEST_CASE("compare: any name, any number of runs, and numbers that are none") {
    const double no_number = std::numeric_limits<double>::quiet_NaN();
    std::vector<RunRecord> runs;
    for (int i = 0; i < 40; ++i)
        runs.push_back({"<script>\"" + std::to_string(i) + "\n\xff",
                        {epoch_of(no_number, no_number, no_number)},
                        {{"<b>", "&" + std::to_string(i)}}});
    runs.push_back({"empty", {}});
    const std::string page = compare_html(runs);
    CHECK(malformed(page) == "");
    CHECK(page.find("<script") == std::string::npos);
    CHECK(page.find("nan") == std::string::npos);
    CHECK(page.find("<svg class=\"plot\"") == std::string::npos);  // there is nothing to draw
    CHECK_THAT(page, ContainsSubstring("<td>–</td><td>0</td><td>0 s</td><td>–</td>"));
}
