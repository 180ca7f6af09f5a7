// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

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

namespace detail {

/// As many digits as a reader needs to get the same number (or as many decimals as asked for), in every
/// locale.
inline std::string csv_number(double x, int decimals = -1) {
    char text[400];
#if defined(_LIBCPP_VERSION) && _LIBCPP_VERSION < 14000  // has no std::to_chars for this (Emscripten 3.1.6)
    if (decimals >= 0) std::snprintf(text, sizeof text, "%.*f", decimals, x);
    for (int digits = 15; decimals < 0 && digits <= 17; ++digits) {
        std::snprintf(text, sizeof text, "%.*g", digits, x);
        if (std::strtod(text, nullptr) == x) break;
    }
    return text;
#else
    const std::to_chars_result end =
        decimals < 0 ? std::to_chars(text, text + sizeof text, x)
                     : std::to_chars(text, text + sizeof text, x, std::chars_format::fixed, decimals);
    return {text, end.ptr};
#endif
}

}  // namespace detail

/// Writes epoch,train_loss,val_loss,train_score,val_score,seconds, one line per epoch, with all digits. The
/// file is replaced as a whole, as by write_file(). Throws IoError naming the path and the reason.
inline void write_history_csv(const std::string& path, const std::vector<EpochRecord>& history) {
    std::string text = "epoch,train_loss,val_loss,train_score,val_score,seconds\n";
    for (std::size_t i = 0; i < history.size(); ++i) {
        const EpochRecord& r = history[i];
        text += std::to_string(i + 1);
        for (const double number : {r.train_loss, r.val_loss, r.train_score, r.val_score})
            text.append(",").append(detail::csv_number(number));
        text.append(",").append(detail::csv_number(r.seconds, 3)).append("\n");
    }
    write_file(path, text, {.operation = "write_history_csv"});
}

}  // namespace gradus
