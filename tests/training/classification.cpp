// SPDX-License-Identifier: MIT
#include "gradus/training/classification.hpp"

#include <array>

#include "support/metrics.hpp"

using namespace gradus;
using metrics::Average;

namespace {

// From tests/reference/metrics.py.
const Tensor<Index> reference_counts{
    {4, 5, 3, 3, 2}, {2, 5, 3, 3, 5}, {2, 2, 1, 1, 2}, {4, 5, 3, 3, 2}, {0, 0, 0, 0, 0}};

}  // namespace

TEST_CASE("metrics::Accuracy: reference values, however the batches are cut") {
    const MetricExamples e;
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
        metrics::Accuracy accuracy, top2({.top_k = 2});
        update_in_batches(accuracy, e.scores, e.labels, seed);
        update_in_batches(top2, e.scores, e.labels, seed);
        CHECK(accuracy.value() == 13.0 / 60);
        CHECK(top2.value() == 21.0 / 60);
        CHECK(accuracy.count() == 60);
        CHECK(accuracy.standard_error() == Approx(std::sqrt(13.0 / 60 * (47.0 / 60) / 59)).epsilon(1e-12));
    }
}

TEST_CASE("metrics::Accuracy: equal scores, NaN, ignored labels, positions of an image") {
    metrics::Accuracy accuracy;
    accuracy.update(Tensor<>{{2, 2, 1}, {2, 2, 1}}, {0, 1});  // the first of equals
    CHECK(accuracy.value() == 0.5);
    metrics::Accuracy second({.top_k = 2});
    second.update(Tensor<>{{2, 2, 2}, {2, 2, 2}, {2, 2, 2}}, {0, 1, 2});
    CHECK(second.value() == 2.0 / 3);
    metrics::Accuracy nan;
    nan.update(Tensor<>{{1, NaN}, {NaN, 1}, {NaN, NaN}}, {1, 1, 0});  // the largest, as in argmax
    CHECK(nan.value() == 2.0 / 3);
    metrics::Accuracy ignoring;
    ignoring.update(leaf(Tensor<>{{1, 0}, {1, 0}, {1, 0}}), {0, -100, 1});
    CHECK((ignoring.value() == 0.5 && ignoring.count() == 2));
    metrics::Accuracy pixels;  // [batch, classes, width] with labels [batch, width]
    pixels.update(Tensor<>{{{1, 0, 5}, {0, 1, 4}}}, {{0, 1, 1}});
    CHECK(pixels.value() == 2.0 / 3);
}

TEST_CASE("metrics::Accuracy: nothing seen, reset, sums, text") {
    metrics::Accuracy accuracy;
    CHECK(std::isnan(accuracy.value()));
    CHECK(to_string(accuracy) == "nan");
    accuracy.update(zeros({0, 3}), Tensor<Index>());
    CHECK(std::isnan(accuracy.value()));
    metrics::Accuracy other;
    other.update(Tensor<>{{1, 0}, {1, 0}}, {0, 1});
    accuracy.update(Tensor<>{{1, 0}, {1, 0}}, {0, 0});
    CHECK(to_string(accuracy += other) == "0.75 ± 0.25");
    CHECK(saved_and_loaded(accuracy).value() == 0.75);
    accuracy.reset();
    CHECK(accuracy.count() == 0);
}

TEST_CASE("metrics::Accuracy: refusals leave it as it was") {
    metrics::Accuracy accuracy({.top_k = 3});
    CHECK_THROWS_MATCHES(metrics::Accuracy({.top_k = 0}), ValueError,
                         Message("accuracy: top_k must be at least 1: got 0"));
    CHECK_THROWS_MATCHES(accuracy.update(zeros({2, 2}), {0, 1}), ValueError,
                         Message("accuracy: top_k is more than there are classes: got 3 and 2"));
    CHECK_THROWS_MATCHES(accuracy.update(zeros({2, 3}), {0, 3}), ValueError,
                         Message("accuracy: label 3 at position 1 is out of range for 3 classes"));
    CHECK_THROWS_MATCHES(accuracy.update(zeros({2, 3}), {{0}, {1}}), ShapeError,
                         Message("accuracy: needs scores [batch, classes, ...] and labels [batch, ...]; "
                                 "squeeze(labels, -1) first: got [2, 3] and [2, 1]"));
    CHECK(accuracy.count() == 0);
}

TEST_CASE("metrics::ConfusionMatrix: reference values, however the batches are cut") {
    const MetricExamples e;
    metrics::ConfusionMatrix confusion;
    update_in_batches(confusion, e.scores, e.labels, 7);
    CHECK(confusion.counts() == reference_counts);
    CHECK(confusion(0, 1) == 5);
    CHECK(confusion.accuracy() == 13.0 / 60);
    CHECK(confusion.balanced_accuracy() == Approx(0.203635620915033).epsilon(1e-12));
    const auto macro = confusion.scores(Average::macro), weighted = confusion.scores(Average::weighted);
    CHECK(macro.precision == Approx(0.205490196078431).epsilon(1e-12));
    CHECK(macro.recall == Approx(0.162908496732026).epsilon(1e-12));
    CHECK(macro.f1 == Approx(0.178981937602627).epsilon(1e-12));
    CHECK(weighted.precision == Approx(0.281013071895425).epsilon(1e-12));
    CHECK(weighted.recall == Approx(0.216666666666667).epsilon(1e-12));
    CHECK(weighted.f1 == Approx(0.241652983032293).epsilon(1e-12));
    CHECK(confusion.f1(Average::micro) == confusion.accuracy());
    CHECK(confusion.precision(1) == 5.0 / 17);
    CHECK(confusion.recall(1) == 5.0 / 18);
    CHECK(confusion.f1(1) == 10.0 / 35);
    CHECK(confusion.scores(4).support == 0);
    CHECK(confusion.recall(4) == 0);  // nothing to divide by
}

TEST_CASE("metrics::ConfusionMatrix: a class that is nowhere is not in the macro scores") {
    metrics::ConfusionMatrix confusion({.classes = 3});
    confusion.update(Tensor<Index>{0, 1, 1}, Tensor<Index>{0, 1, 0});
    CHECK(confusion.recall(Average::macro) == (0.5 + 1) / 2);
    CHECK(confusion.precision(Average::macro) == (1 + 0.5) / 2);
}

TEST_CASE("metrics::ConfusionMatrix: sums, checkpoint, predictions of classes") {
    const MetricExamples e;
    metrics::ConfusionMatrix first, second, all({.classes = 5});
    first.update(e.scores.rows(0, 17), e.labels.rows(0, 17));
    second.update(leaf(e.scores.rows(17, 60)), e.labels.rows(17, 60));
    all.update(argmax(e.scores, 1), e.labels);
    CHECK(all.counts() == reference_counts);
    metrics::ConfusionMatrix sum;
    (sum += first) += second;
    CHECK((sum += metrics::ConfusionMatrix()).counts() == reference_counts);
    CHECK(saved_and_loaded(sum).counts() == reference_counts);
    all.reset();
    CHECK(std::isnan(all.accuracy()));
    CHECK(std::isnan(all.f1(Average::macro)));
    CHECK(std::isnan(all.balanced_accuracy()));
    CHECK(all.classes() == 5);
}

TEST_CASE("metrics::F1: an F1 score as value()") {
    const MetricExamples e;
    metrics::F1 macro, weighted(Average::weighted);
    update_in_batches(macro, e.scores, e.labels, 3);
    update_in_batches(weighted, e.scores, e.labels, 4);
    CHECK(macro.value() == Approx(0.178981937602627).epsilon(1e-12));
    CHECK(weighted.value() == Approx(0.241652983032293).epsilon(1e-12));
    weighted.reset();
    CHECK(std::isnan(weighted.value()));
    weighted.load(training::StateReader([&]() -> const training::State& {
        static training::State state;
        training::StateWriter writer(state);
        macro.save(writer);
        return state;
    }()));
    CHECK(weighted.value() == Approx(0.241652983032293).epsilon(1e-12));
}

TEST_CASE("metrics::ConfusionMatrix: table") {
    metrics::ConfusionMatrix confusion({.classes = 2});
    confusion.update(Tensor<Index>{0, 0, 1, 1}, Tensor<Index>{0, 0, 0, 1});
    CHECK(to_string(confusion) ==
          "class       precision  recall      f1  support\n"
          "0              1.0000  0.6667  0.8000        3\n"
          "1              0.5000  1.0000  0.6667        1\n"
          "macro          0.7500  0.8333  0.7333        4\n"
          "weighted       0.8750  0.7500  0.7667        4\n"
          "accuracy                       0.7500        4\n");
    const std::array<std::string, 2> names{"cat", "dog"};
    CHECK_THAT(to_string(confusion, names), ContainsSubstring("dog            0.5000"));
    const std::array<std::string, 3> wrong{"cat", "dog", "bird"};
    CHECK_THROWS_MATCHES(to_string(confusion, wrong), ValueError,
                         Message("confusion_matrix: needs one name per class: got 3 and 2"));
}

TEST_CASE("metrics::ConfusionMatrix: refusals") {
    metrics::ConfusionMatrix confusion;
    CHECK_THROWS_MATCHES(
        confusion.update(Tensor<Index>{0}, Tensor<Index>{0}), ValueError,
        Message("confusion_matrix: needs {.classes = ...} before an update with predicted classes"));
    confusion.update(zeros({1, 3}), {0});
    CHECK_THROWS_MATCHES(
        confusion.update(zeros({1, 2}), {0}), ShapeError,
        Message("confusion_matrix: the number of classes differs from that before: got 2 and 3"));
    CHECK_THROWS_MATCHES(confusion.update(Tensor<Index>{3}, Tensor<Index>{0}), ValueError,
                         Message("confusion_matrix: prediction: label 3 at position 0 is out of range for 3 "
                                 "classes"));
    CHECK_THROWS_MATCHES(confusion.update(zeros({1, 3}), {7}), ValueError,
                         Message("confusion_matrix: label 7 at position 0 is out of range for 3 classes"));
    CHECK_THROWS_MATCHES(confusion.f1(3), ValueError,
                         Message("confusion_matrix: there is no class 3 among 3"));
    CHECK_THROWS_MATCHES(metrics::ConfusionMatrix({.classes = -1}), ValueError,
                         Message("confusion_matrix: classes must not be negative: got -1"));
    CHECK_THROWS_MATCHES(
        saved_and_loaded(confusion, metrics::ConfusionMatrix({.classes = 2})), ShapeError,
        Message("confusion_matrix: load: the saved counts are of another shape: got [3, 3] and [2, "
                "2]"));
    CHECK(confusion.count() == 1);
}
