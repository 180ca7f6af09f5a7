// SPDX-License-Identifier: MIT
#include "gradus/training/report.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "gradus/gradus.hpp"
#include "gradus/training/report_page.hpp"
#include "support/markup.hpp"
#include "support/test.hpp"

using namespace gradus;
using training::Picture, training::ReportData, training::report_html;

namespace {

const double no_number = std::numeric_limits<double>::quiet_NaN(),
             infinite = std::numeric_limits<double>::infinity();

EpochRecord epoch_of(double train_loss, double val_loss, double train_score = 0.5, double val_score = 0.25,
                     double seconds = 1.5) {
    return {.train_loss = train_loss,
            .val_loss = val_loss,
            .train_score = train_score,
            .val_score = val_score,
            .seconds = seconds};
}

ReportData whole_report() {
    ReportData report{.title = "socks",
                      .history = {epoch_of(2.25, 2, 0.125, 0.375), epoch_of(1.125, 1.625, 0.5, 0.8125),
                                  epoch_of(0.75, 1.75, 0.75, 0.6875)},
                      .score_name = "accuracy",
                      .learning_rates = {0.1, 0.2, 0.1},
                      .classes = {"left", "right"},
                      .summary =
                          "layer  type    output  parameters  multiply-adds\nfc     Linear  [1, 2]      "
                          "12,345             67\n"
                          "total                      12,345             67\nmemory: training 8.9 MB\n",
                      .settings = {{"optimizer", "adam"}, {"batch", "17"}},
                      .machine = "gradus 9.9, at most 3 threads",
                      .command = "socks --epochs 3"};
    const Tensor<> images = zeros({4, 1, 2, 3});
    training::add_examples(report, {images, Tensor<Index>{0, 1, 1, 1}});
    training::add_predictions(report, images, Tensor<>{{2, 0}, {3, 0}, {0, 1}, {1, 0}},
                              Tensor<Index>{0, 1, 1, 1});
    return report;
}

}  // namespace

TEST_CASE("report: the page is whole, and says what it was given") {
    const std::string page = report_html(whole_report());
    CHECK(malformed(page) == "");
    for (const char* part :
         {"<title>socks</title>", "<h1>socks</h1>",
          "best validation accuracy</dt><dd>0.8125<small>in epoch 2 of 3",
          "best validation loss</dt><dd>1.625<small>in epoch 2 of 3", "<dd>4.5 s<small>1.5 s per epoch",
          "parameters</dt><dd>12,345<small>", "best 1.62 (epoch 2)", "best 0.812 (epoch 2)", "Learning rate",
          "<td>1.125</td>", "<span>left</span>", "<em>3</em>", "<b>right</b> taken for <b>left</b>: 2 times",
          "title=\"right, taken for left: 2 of 3\">2</td>", "fc     Linear  [1, 2]      12,345",
          "<dt>batch</dt><dd>17</dd>", "It ran with gradus 9.9, at most 3 threads.",
          "socks --epochs 3</pre>"})
        CHECK_THAT(page, ContainsSubstring(part));
    // Precision, recall and F1 of "left": 1 of the 3 that were taken for it; it was found.
    CHECK_THAT(page,
               ContainsSubstring(
                   "<th scope=\"row\">left</th><td>33.3 %</td><td>100.0 %</td><td>50.0 %</td><td>1</td>"));
    CHECK_THAT(page,
               ContainsSubstring(
                   "<th scope=\"row\">right</th><td>100.0 %</td><td>33.3 %</td><td>50.0 %</td><td>3</td>"));
}

TEST_CASE("report: the same data give the same page, which asks for nothing else") {
    const std::string page = report_html(whole_report());
    CHECK(page == report_html(whole_report()));
    for (const char* other : {"http", "<script", "<link", "url(", "@import", "<iframe"})
        CHECK(page.find(other) == std::string::npos);
    std::size_t pictures = 0;
    for (std::size_t at = page.find("src=\""); at != std::string::npos; at = page.find("src=\"", at + 1)) {
        CHECK(page.substr(at + 5, 22) == "data:image/png;base64,");
        ++pictures;
    }
    CHECK(pictures == 6);  // four examples, two mistakes
}

TEST_CASE("report: what is empty is left out") {
    const std::string nothing = report_html({});
    CHECK(malformed(nothing) == "");
    CHECK(nothing.find("<section>") == std::string::npos);
    CHECK_THAT(nothing, ContainsSubstring("<h1>Training</h1>"));

    const std::string one = report_html({.history = {epoch_of(1, no_number, no_number, no_number)}});
    CHECK(malformed(one) == "");
    CHECK_THAT(one, ContainsSubstring("best training loss</dt><dd>1<small>"));
    CHECK_THAT(one, ContainsSubstring("<circle"));  // a line of one point would not show
    CHECK(one.find("Score") == std::string::npos);
    CHECK(one.find("nan") == std::string::npos);
}

TEST_CASE("report: the table of the epochs has a column for each number that there is") {
    std::vector<EpochRecord> history(2, epoch_of(1, 0.5, no_number, no_number));
    history[0].metrics = {{"train_f1", 0.25}, {"val_f1", 0.125}, {"val_r2", 0.5}, {"rate", 7}};
    history[1].metrics = {{"val_f1", 0.75}};  // as one that was added later in a run, or no more
    const std::string page = report_html({.history = history});
    CHECK(malformed(page) == "");
    CHECK(page.find("score") == std::string::npos);
    for (const char* title : {">train_f1</th>", ">val_f1</th>", ">val_r2</th>", ">rate</th>"})
        CHECK_THAT(page, ContainsSubstring(title));
    CHECK_THAT(page,
               ContainsSubstring(
                   "<td>1</td><td>0.5</td><td>0.25</td><td>0.125</td><td>0.5</td><td>7</td><td>1.5</td>"));
    CHECK_THAT(page, ContainsSubstring(
                         "<td>1</td><td>0.5</td><td>–</td><td>0.75</td><td>–</td><td>–</td><td>1.5</td>"));
}

TEST_CASE("report: a metric of training and validation is one chart") {
    const auto pictures = [](const std::vector<NamedNumber>& metrics) {
        std::vector<EpochRecord> history(2, epoch_of(1, no_number, no_number, no_number));
        for (EpochRecord& record : history) record.metrics = metrics;
        const std::string page = report_html({.history = history});
        int count = 0;
        for (std::size_t at = 0; (at = page.find("<svg", at)) != page.npos; ++at) ++count;
        return count;
    };
    const int loss = pictures({}), chart = pictures({{"rate", 1}}) - loss;
    CHECK(chart > 0);
    CHECK(pictures({{"train_f1", 0.25}, {"val_f1", 0.5}}) == loss + chart);
    CHECK(pictures({{"f1", 0.25}, {"val_f1", 0.5}}) == loss + chart);
    CHECK(pictures({{"val_f1", 0.5}}) == loss + chart);
    CHECK(pictures({{"train_f1", 0.5}}) == loss + chart);
    CHECK(pictures({{"f1", 0.5}, {"train_f1", 0.5}, {"val_f1", 0.5}}) == loss + 2 * chart);  // none is lost
}

TEST_CASE("report: any text may be a name") {
    const std::string hostile = "\"><script>alert('x')</script>&amp;\n\t\x01\xff\xc0\x80 ü\xe2\x82";
    ReportData report = whole_report();
    report.title = report.score_name = report.summary = report.machine = report.command = report.stopped =
        hostile;
    report.classes = {hostile, hostile + "2"};
    report.settings = {{hostile, hostile}};
    report.samples.push_back({.label = hostile});
    report.mistakes.push_back({.label = hostile, .predicted = hostile});
    for (EpochRecord& record : report.history) record.metrics = {{hostile, 0.5}, {"val_" + hostile, 1}};
    const std::string page = report_html(report);
    CHECK(malformed(page) == "");
    CHECK(page.find("<script") == std::string::npos);
    CHECK_THAT(page,
               ContainsSubstring("&quot;&gt;&lt;script&gt;alert('x')&lt;/script&gt;&amp;amp;\n\t���� ü��"));
}

TEST_CASE("report: text becomes UTF-8 that a page may hold") {
    using training::svg::escape;
    CHECK(escape("aé€😀") == "aé€😀");
    CHECK(escape(std::string_view("a\0b", 3)) == "a�b");
    CHECK(escape("\xc1\xbf") == "��");            // two bytes for what takes one
    CHECK(escape("\xe0\x80\xaf") == "���");       // three
    CHECK(escape("\xed\xa0\x80") == "���");       // half a surrogate pair
    CHECK(escape("\xf4\x90\x80\x80") == "����");  // beyond the last character
    CHECK(escape("\xef\xbf\xbf") == "���");       // never a character
    CHECK(escape("\xe2\x82") == "��");            // cut off
}

TEST_CASE("report: numbers that are none leave gaps and words") {
    const std::string page =
        report_html({.history = {epoch_of(1, 1), epoch_of(no_number, infinite), epoch_of(2, -infinite),
                                 epoch_of(1e308, no_number), epoch_of(-1e308, 1)}});
    CHECK(malformed(page) == "");
    CHECK_THAT(page, ContainsSubstring("In epoch 2 the training loss was no longer a finite number."));
    CHECK_THAT(page, ContainsSubstring("<td>–</td><td>∞</td>"));
    CHECK_THAT(page, ContainsSubstring("<td>−∞</td>"));
    for (const char* word : {"nan", "inf\"", "inf ", "-inf"}) CHECK(page.find(word) == std::string::npos);

    const std::string none =
        report_html({.history = {epoch_of(no_number, no_number, no_number, no_number, no_number)},
                     .learning_rates = {no_number, infinite}});
    CHECK(malformed(none) == "");
    CHECK(none.find("<svg") == std::string::npos);
}

TEST_CASE("report: what the curves say") {
    const auto said = [](const std::vector<std::pair<double, double>>& losses) {
        std::vector<EpochRecord> history;
        for (const auto& [train, val] : losses) history.push_back(epoch_of(train, val));
        return training::page::reading(history);
    };
    CHECK(said({{1, 1}, {0.5, 0.5}}) == "");  // too short
    CHECK_THAT(said({{1, 1}, {0.8, 0.9}, {0.5, 0.8}}), ContainsSubstring("still falling at the end"));
    CHECK_THAT(said({{1, 1}, {0.8, 0.9}, {0.5, 1.2}}), ContainsSubstring("lowest in epoch 2 and then rose"));
    CHECK_THAT(said({{1, 1}, {0.8, 0.9}, {0.75, 0.901}}), ContainsSubstring("hardly fell any more"));
    CHECK(said({{1, no_number}, {0.8, no_number}, {0.5, no_number}}) == "");  // no validation
}

TEST_CASE("report: axes fit their numbers") {
    using training::axis_for;
    CHECK(axis_for({1, 3}, "").names == std::vector<std::string>{"1", "1.5", "2", "2.5", "3"});
    CHECK(axis_for({0.98761, 0.98764}, "").names.front() == "0.98761");
    CHECK(axis_for({1e-4, 1e-4}, "").names.back() == "1.4·10⁻⁴");  // a constant stands in the middle
    CHECK(axis_for({0.001, 1}, "").log);
    CHECK(!axis_for({0.001, 1}, "", false).log);
    using Values = std::vector<double>;
    for (const Values& values :
         {Values{}, Values{no_number}, Values{0}, Values{5}, Values{-5, -5}, Values{1e308, -1e308},
          Values{1e16, 1e16 + 2}, Values{1e-300, 1e308}, Values{-1e-300, 1e-300}}) {
        const training::svg::Axis axis = axis_for(values, "");
        const std::vector<double> ticks = training::svg::ticks_of(axis);
        CHECK(axis.low < axis.high);
        CHECK(ticks.size() <= 12);
        for (const double value : values)
            if (std::isfinite(value)) {
                CHECK(axis.low <= std::clamp(value, -1e300, 1e300));
                CHECK(axis.high >= std::clamp(value, -1e300, 1e300));
            }
    }
}

TEST_CASE("report: a long series keeps its peaks") {
    training::svg::Points points;
    for (int i = 0; i < 100000; ++i)
        points.push_back({static_cast<double>(i), i == 77777 ? 9.0 : i == 33333 ? -9.0 : 1.0});
    const training::svg::Points some = training::thinned(points);
    CHECK(some.size() <= 1002);
    const auto has = [&](double x, double y) {
        return std::any_of(some.begin(), some.end(), [&](const auto& p) { return p.x == x && p.y == y; });
    };
    CHECK(has(77777, 9));
    CHECK(has(33333, -9));
    CHECK(std::is_sorted(some.begin(), some.end(), [](const auto& a, const auto& b) { return a.x < b.x; }));
}

TEST_CASE("report: pictures are PNG files") {
    const auto uri = [](const Tensor<std::uint8_t>& pixels) {
        return "data:image/png;base64," + training::base64(data::encode_png(pixels));
    };
    CHECK(training::data_uri(Tensor<>{{0, 1, 128.0f / 255}, {64.0f / 255, 0, 1}}) ==
          uri(Tensor<std::uint8_t>{{0, 255, 128}, {64, 0, 255}}));
    const Tensor<> red_and_blue = Tensor<>{1, 0, 0, 128.0f / 255, 0, 1}.reshape({1, 3, 1, 2});
    CHECK(training::data_uri(red_and_blue) ==
          uri(Tensor<std::uint8_t>{255, 0, 0, 128, 0, 255}.reshape({3, 1, 2})));

    using training::base64;
    CHECK(base64("") == "");
    CHECK(base64("f") == "Zg==");
    CHECK(base64("fo") == "Zm8=");
    CHECK(base64("foobar") == "Zm9vYmFy");  // RFC 4648, section 10

    const float infinity = std::numeric_limits<float>::infinity(),
                none = std::numeric_limits<float>::quiet_NaN();
    CHECK(training::data_uri(Tensor<>{{none, infinity, 0.5f}}) == training::data_uri(Tensor<>{{0, 1, 0.5f}}));
    CHECK(training::data_uri(Tensor<>{{-3, 5, 1}}) ==
          training::data_uri(Tensor<>{{0, 1, 0.5f}}));  // standardized
    CHECK(training::data_uri(Tensor<>{{none, none}}) == training::data_uri(Tensor<>{{0, 0}}));
    CHECK(training::data_uri(Tensor<>{{0, 1, 1, 1}, {0, 1, 1, 1}, {0, 0, 0, 0}}, 2) ==
          training::data_uri(Tensor<>{{0.5f, 1}, {0, 0}}));
    CHECK_THROWS_MATCHES(
        training::data_uri(zeros({2, 5, 5})), ShapeError,
        Message("report: a picture is [height, width], [1, height, width] or [3, height, width]: got "
                "[2, 5, 5]"));
    CHECK_THROWS_AS(training::data_uri(zeros({5})), ShapeError);
    CHECK_THROWS_AS(training::data_uri(zeros({2, 3, 5, 5})), ShapeError);
    CHECK_THROWS_AS(training::data_uri(Tensor<>()), ShapeError);
}

TEST_CASE("report: predictions are counted, and the worst kept") {
    ReportData report{.classes = {"a", "b", "c"}};
    const Tensor<> images = zeros({3, 2, 2});
    // Softmax of log p is p.
    const auto row = [](double a, double b, double c) {
        const auto log = [](double p) { return static_cast<float>(std::log(p)); };
        return std::vector<float>{log(a), log(b), log(c)};
    };
    const auto rows = [](std::vector<float> x, const std::vector<float>& y, const std::vector<float>& z) {
        for (const auto& more : {y, z}) x.insert(x.end(), more.begin(), more.end());
        return Tensor<>(Shape{3, 3}, std::span<const float>(x));
    };
    training::add_predictions(
        report, images, rows(row(0.5, 0.3, 0.2), row(0.7, 0.2, 0.1), row(0.05, 0.05, 0.9)), {0, 1, 0}, 2);
    training::add_predictions(report, images,
                              rows(row(0.6, 0.3, 0.1), row(0.6, 0.3, 0.1), row(0.1, 0.2, 0.7)), {2, 1, 2}, 2);
    CHECK(equal(report.confusion, Tensor<Index>{{1, 0, 1}, {2, 0, 0}, {1, 0, 1}}));
    REQUIRE(report.mistakes.size() == 2);
    CHECK(report.mistakes[0].label == "a");
    CHECK(report.mistakes[0].predicted == "c");
    CHECK(report.mistakes[0].probability == Approx(0.9).epsilon(1e-6));
    CHECK(report.mistakes[0].loss == Approx(-std::log(0.05)).epsilon(1e-6));
    CHECK(report.mistakes[1].label == "c");
    CHECK(report.mistakes[1].loss == Approx(-std::log(0.1)).epsilon(1e-6));

    CHECK_THROWS_MATCHES(training::add_predictions(report, images, zeros({3, 2}), {0, 1, 0}), ShapeError,
                         Message("report: the number of classes differs from that before: got 2 and 3"));
    CHECK_THROWS_MATCHES(training::add_predictions(report, images, zeros({3, 3}), {0, 3, 0}), ValueError,
                         Message("report: labels are 0 to the number of classes − 1: got 3"));
    CHECK_THROWS_MATCHES(
        training::add_predictions(report, images, zeros({2, 3}), {0, 1}), ShapeError,
        Message("report: needs images [batch, ...], scores [batch, classes], labels [batch]: got "
                "[3, 2, 2] and [2, 3] and [2]"));
    CHECK(equal(report.confusion, Tensor<Index>{{1, 0, 1}, {2, 0, 0}, {1, 0, 1}}));
    report.confusion = zeros<Index>({2, 3});
    CHECK_THROWS_MATCHES(report_html(report), ShapeError,
                         Message("report: a confusion matrix is [classes, classes]: got [2, 3]"));
}

TEST_CASE("report: examples of all classes") {
    ReportData report;
    training::add_examples(report, {zeros({6, 1, 2, 2}), {2, 0, 2, 2, 0, 0}}, 6);
    CHECK(report.label_counts == std::vector<Index>{3, 0, 3});
    std::string labels;
    for (const Picture& picture : report.samples) labels += picture.label;
    CHECK(labels == "0022");  // two of each class, the first ones
    CHECK_THROWS_MATCHES(training::add_examples(report, {zeros({1, 2}), {-1}}), ValueError,
                         Message("report: labels are classes, counted from 0, at most 1000000: got -1"));
}

TEST_CASE("report: many labels of one example, and many classes") {
    ReportData many{.labels = {{8, 2, 1, 4}, {0, 0, 0, 15}}};
    CHECK_THAT(
        report_html(many),
        ContainsSubstring("<th scope=\"row\">0</th><td>80.0 %</td><td>88.9 %</td><td>84.2 %</td><td>9</td>"));
    ReportData thousand;
    training::add_predictions(thousand, zeros({1, 2, 2}), zeros({1, 1000}), Tensor<Index>{999});
    thousand.label_counts.assign(1000, 7);
    const std::string page = report_html(thousand);
    CHECK(malformed(page) == "");
    CHECK_THAT(page, ContainsSubstring("… and 960 more classes"));
    CHECK_THAT(page, ContainsSubstring("<b>999</b> taken for <b>0</b>: 1 time<"));
    CHECK(page.find("<table class=\"confusion\"") == std::string::npos);
    CHECK(page.size() < 60000);
}
