// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/error.hpp"
#include "gradus/core/shape.hpp"

namespace gradus::training {

enum class Severity {
    note,     // worth knowing
    warning,  // training suffers from it, or it is not what was meant
    error,    // training cannot work
};

/// One thing that diagnose() found.
struct Finding {
    Severity severity = Severity::note;
    std::string kind;  // "dead_relu": docs/diagnosing.md lists them
    std::string
        path;  // of the parameter, layer or operation: "fc1.weight", "conv1", "after fc2"; may be empty
    std::string text;                                          // what it is and what to do, in plain words
    double number = std::numeric_limits<double>::quiet_NaN();  // the share, norm or ratio that it is about
};

/// What diagnose() saw of one parameter in the first step.
struct ParameterHealth {
    std::string name;
    Shape shape;
    double weight = 0;    // root mean square of its numbers
    double gradient = 0;  // and of its gradient; NaN if there is none
    double update = 0;    // and of what the step changed, over that of its numbers
};

/// All that diagnose() found.
struct Diagnosis {
    std::vector<Finding> findings;
    std::vector<ParameterHealth> parameters;
    std::vector<double> losses;  // of the batch, while it was trained on again and again
    double suggested_lr = std::numeric_limits<double>::quiet_NaN();  // find_lr's valley on this batch

    /// True without warnings and errors.
    bool healthy() const {
        for (const Finding& finding : findings)
            if (finding.severity != Severity::note) return false;
        return true;
    }
    /// The first finding of a kind, or nullptr.
    const Finding* find(std::string_view kind) const {
        for (const Finding& finding : findings)
            if (finding.kind == kind) return &finding;
        return nullptr;
    }
    bool has_errors() const {
        for (const Finding& finding : findings)
            if (finding.severity == Severity::error) return true;
        return false;
    }
    [[gnu::cold]] void add(Severity severity, std::string kind, std::string path, std::string text,
                           double number = std::numeric_limits<double>::quiet_NaN()) {
        findings.push_back({severity, std::move(kind), std::move(path), std::move(text), number});
    }
};

[[gnu::cold]] inline const char* to_string(Severity severity) {
    return severity == Severity::error ? "error" : severity == Severity::warning ? "warning" : "note";
}

/// "error: fc1.weight: ..."
[[gnu::cold]] inline std::string to_string(const Finding& finding) {
    return gradus::detail::text_of(
        {to_string(finding.severity), ": ", finding.path, finding.path.empty() ? "" : ": ", finding.text});
}

/// One finding per line, errors first; then what training on the batch did.
[[gnu::cold]] inline std::string to_string(const Diagnosis& diagnosis) {
    std::string text;
    for (const Severity severity : {Severity::error, Severity::warning, Severity::note})
        for (const Finding& finding : diagnosis.findings)
            if (finding.severity == severity) text += to_string(finding) + "\n";
    if (diagnosis.findings.empty()) text = "nothing found\n";
    char line[160];
    if (!diagnosis.losses.empty()) {
        std::snprintf(line, sizeof line, "the loss of this batch went from %.4g to %.4g in %zu steps\n",
                      diagnosis.losses.front(), diagnosis.losses.back(), diagnosis.losses.size() - 1);
        text += line;
    }
    if (!std::isnan(diagnosis.suggested_lr)) {
        std::snprintf(line, sizeof line, "suggested learning rate: %.2g\n", diagnosis.suggested_lr);
        text += line;
    }
    return text;
}

}  // namespace gradus::training
