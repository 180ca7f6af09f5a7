// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <vector>

#include "gradus/training/metric_input.hpp"

namespace gradus::metrics {

struct CalibrationOptions {
    Index bins = 15;            // of confidence, equally wide
    Index ignore_index = -100;  // positions with this label do not count
};

/// The predictions of one bin: how sure the model was, and how often it was right. NaN if there are none.
struct CalibrationBin {
    Index count = 0;
    double confidence = undefined, accuracy = undefined;
};

/// The expected calibration error: the predictions are put into bins by their confidence, and the distances
/// |accuracy − mean confidence| of the bins are averaged by the number of predictions. A bin holds (lower, upper].
/// Source: Guo et al., "On calibration of modern neural networks", 2017.
///
///     metrics::Calibration calibration;
///     calibration.update(softmax(net(images), 1), labels);
class Calibration {
public:
    /// Throws ValueError unless there are 1 to 1,000,000 bins.
    explicit Calibration(const CalibrationOptions& options = {}) : options_(options) {
        if (options.bins < 1 || options.bins > 1000000)
            detail::raise<ValueError>("calibration", "needs 1 to 1,000,000 bins", options.bins);
        reset();
    }

    /// Probabilities [batch, classes, ...] and labels [batch, ...]: the confidence is the largest probability. Or, for
    /// two classes, the probability [batch] of class 1 and labels [batch] of 0 and 1: then that is the confidence, and
    /// class 1 is right. Throws ShapeError if the shapes do not fit, ValueError for labels out of range and what are
    /// no probabilities (logits, say).
    template <class Probabilities>
    void update(const Probabilities& probabilities, const Tensor<Index>& labels) {
        add(detail::doubles_of(probabilities), labels);
    }

    Index count() const {
        Index sum = 0;
        for (const Bin& bin : bins_) sum += bin.count;
        return sum;
    }
    double value() const {
        double error = 0;
        for (const Bin& bin : bins_)
            error += std::abs(static_cast<double>(bin.right) - bin.confidence.value());
        return count() == 0 ? undefined : error / static_cast<double>(count());
    }
    /// For a reliability diagram.
    std::vector<CalibrationBin> bins() const {
        std::vector<CalibrationBin> result;
        for (const Bin& bin : bins_)
            result.push_back(
                {bin.count,
                 bin.count == 0 ? undefined : bin.confidence.value() / static_cast<double>(bin.count),
                 detail::ratio(bin.right, bin.count, undefined)});
        return result;
    }

    /// Throws ValueError unless both have as many bins.
    Calibration& operator+=(const Calibration& other) {
        if (bins_.size() != other.bins_.size())
            detail::raise<ValueError>("calibration", "numbers of bins differ", bins_.size(),
                                      other.bins_.size());
        for (std::size_t i = 0; i < bins_.size(); ++i) {
            bins_[i].count += other.bins_[i].count;
            bins_[i].right += other.bins_[i].right;
            bins_[i].confidence.add(other.bins_[i].confidence);
        }
        return *this;
    }
    void reset() { bins_.assign(static_cast<std::size_t>(options_.bins), Bin()); }

    template <class Writer>
    void save(Writer& to) const {
        Tensor<Index> counts = Tensor<Index>::uninitialized({options_.bins, 2});
        Tensor<double> confidences = Tensor<double>::uninitialized({options_.bins, 2});
        Index* count = counts.mutable_data();
        double* confidence = confidences.mutable_data();
        for (const Bin& bin : bins_) {
            *count++ = bin.count, *count++ = bin.right;
            *confidence++ = bin.confidence.high(), *confidence++ = bin.confidence.low();
        }
        to.put("counts", counts);
        to.put("confidences", confidences);
    }
    template <class Reader>
    void load(const Reader& from) {
        const auto counts = from.template get<Tensor<Index>>("counts");
        const auto confidences = from.template get<Tensor<double>>("confidences");
        const Shape shape{options_.bins, 2};
        if (!(counts.shape() == shape) || !(confidences.shape() == shape))
            detail::raise<ShapeError>("calibration", "load: another number of bins was saved", counts.shape(),
                                      shape);
        for (const Index n : counts) detail::checked_count("calibration", n);
        for (std::size_t i = 0; i < bins_.size(); ++i)
            bins_[i] = {counts.data()[2 * i], counts.data()[2 * i + 1],
                        detail::Sum::of(confidences.data()[2 * i], confidences.data()[2 * i + 1])};
    }

private:
    struct Bin {
        Index count = 0, right = 0;
        detail::Sum confidence;
    };

    void add(const Tensor<double>& p, const Tensor<Index>& labels) {
        for (Index i = 0; i < p.numel(); ++i)
            if (!(p.data()[i] >= 0 && p.data()[i] <= 1 + tolerance))
                detail::raise<ValueError>(
                    {"calibration: needs probabilities, softmax(logits, 1) or sigmoid(logits): got ",
                     gradus::detail::number_text(p.data()[i]), " at position ",
                     gradus::detail::position_text(p.shape(), i)});
        if (p.rank() == 1 && labels.shape() == p.shape()) {
            detail::LabeledScores::check_labels("calibration", labels, 2, options_.ignore_index);
            for (Index i = 0; i < p.numel(); ++i)
                if (labels.data()[i] != options_.ignore_index) add(p.data()[i], labels.data()[i] == 1);
            return;
        }
        const detail::LabeledScores rows("calibration", p, labels, options_.ignore_index);
        rows.for_each([&](Index, const double* x, Index step) {
            double sum = 0;
            for (Index c = 0; c < rows.classes(); ++c) sum += x[c * step];
            if (!(std::abs(sum - 1) <= 1e-3))
                detail::raise<ValueError>(
                    "calibration",
                    "the probabilities of an example must add up to 1; softmax(logits, 1) first", sum);
        });
        rows.for_each([&](Index label, const double* x, Index step) {
            const Index predicted = kernels::argmax_of(x, rows.classes(), step);
            add(x[predicted * step], predicted == label);
        });
    }
    void add(double confidence, bool right) {
        const double bins = static_cast<double>(options_.bins);
        const double at = std::min(std::max(std::ceil(confidence * bins) - 1, 0.0), bins - 1);
        Bin& bin = bins_[static_cast<std::size_t>(at)];
        ++bin.count;
        bin.right += right;
        bin.confidence.add(confidence);
    }

    static constexpr double tolerance = 1e-5;  // of rounding in a softmax

    CalibrationOptions options_;
    std::vector<Bin> bins_;
};

}  // namespace gradus::metrics
