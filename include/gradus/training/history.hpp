// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "gradus/core/decimal.hpp"
#include "gradus/core/write_file.hpp"

namespace gradus {

/// A number and what it is called.
struct NamedNumber {
    std::string name;
    double value = 0;

    bool operator==(const NamedNumber&) const = default;
};

/// What one epoch of training gave: means over the examples, and the time it took. NaN stands for what there
/// is not: a validation, say.
struct EpochRecord {
    double train_loss = 0, val_loss = 0, train_score = 0, val_score = 0, seconds = 0;
    double lr = 0;                          // the learning rate of its last step
    std::vector<NamedNumber> metrics = {};  // further ones
};

/// One line of a training table; `epoch` counts from 1.
inline std::string to_string(const EpochRecord& record, int epoch, int epochs) {
    char text[2000];  // a double can have 309 digits
    std::snprintf(
        text, sizeof text,
        "Epoch %4d / %4d: | Train Loss: %6.3f | Val Loss: %6.3f | Train Score: %6.3f | Val Score: %6.3f | "
        "Epoch Time: %6.3f |",
        epoch, epochs, record.train_loss, record.val_loss, record.train_score, record.val_score,
        record.seconds);
    return text;
}

/// Writes epoch,train_loss,val_loss,train_score,val_score,seconds, one line per epoch, with all digits; then lr
/// if there is one, and a column for each further metric, empty where an epoch has none. The file is replaced
/// as a whole, as by write_file(). Throws IoError naming the path and the reason.
[[gnu::cold]] inline void write_history_csv(const std::string& path,
                                            const std::vector<EpochRecord>& history) {
    std::string text = "epoch,train_loss,val_loss,train_score,val_score,seconds";
    bool has_lr = false;
    std::vector<std::string> names;
    for (const EpochRecord& r : history) {
        has_lr = has_lr || r.lr != 0;
        for (const NamedNumber& metric : r.metrics)
            if (std::find(names.begin(), names.end(), metric.name) == names.end())
                names.push_back(metric.name);
    }
    if (has_lr) text += ",lr";
    for (const std::string& name : names) text.append(",").append(detail::csv_text(name));
    text += "\n";
    for (std::size_t i = 0; i < history.size(); ++i) {
        const EpochRecord& r = history[i];
        text += std::to_string(i + 1);
        for (const double number : {r.train_loss, r.val_loss, r.train_score, r.val_score})
            text.append(",").append(detail::csv_number(number));
        text.append(",").append(detail::csv_number(r.seconds, 3));
        if (has_lr) text.append(",").append(detail::csv_number(r.lr));
        for (const std::string& name : names) {
            text += ",";
            for (const NamedNumber& metric : r.metrics)
                if (metric.name == name) text += detail::csv_number(metric.value);
        }
        text += "\n";
    }
    write_file(path, text, {.operation = "write_history_csv"});
}

}  // namespace gradus
