// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "gradus/core/separate.hpp"
#include "gradus/training/report_data.hpp"

namespace gradus::training {

/// A training as a web page: one file that needs no network, no script and no other file. A function of what
/// it is given, and of nothing else; what is empty is left out. Names may hold any text. Write it with
/// write_file().
///
///     training::ReportData report{.title = "my net", .history = history.epochs, .summary = nn::summary(net, shape)};
///     training::add_examples(report, train);
///     training::add_predictions(report, images, scores, labels);
///     write_file("report.html", training::report_html(report));
///
/// Throws ShapeError for a picture or a confusion matrix that is none.
[[gnu::cold]] std::string report_html(const ReportData& report);

}  // namespace gradus::training

#if !GRADUS_SEPARATE
#include "gradus/training/report.inc"
#endif
