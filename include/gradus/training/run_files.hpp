// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/decimal.hpp"
#include "gradus/core/shape.hpp"
#include "gradus/core/write_file.hpp"
#include "gradus/data/bytes.hpp"
#include "gradus/data/csv_cells.hpp"
#include "gradus/io/json.hpp"
#include "gradus/training/history.hpp"

namespace gradus::training {

/// Names and values, in an order of their own: what a training was started with.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// The value of a setting, or `otherwise` if there is none of this name.
[[gnu::cold]] inline std::string setting(const Settings& settings, std::string_view name,
                                         std::string_view otherwise = "") {
    for (const auto& [key, value] : settings)
        if (key == name) return value;
    return std::string(otherwise);
}

/// Settings as a JSON object of strings, one in a line.
[[gnu::cold]] inline std::string to_json(const Settings& settings) {
    std::string text = "{";
    for (const auto& [name, value] : settings)
        text += gradus::detail::text_of({text.size() > 1 ? "," : "", "\n  ", io::detail::json_string(name),
                                         ": ", io::detail::json_string(value)});
    return text + "\n}\n";
}

/// Reads a JSON object whose values are strings, numbers or words; what else there is, as its text. Throws
/// IoError, in the name of `operation`, if the file cannot be read or is none.
[[gnu::cold]] inline Settings read_settings(const std::string& path,
                                            const char* operation = "read_settings") {
    const std::string text = data::detail::read_bytes(operation, path, std::uint64_t{1} << 28, nullptr);
    const std::string where = gradus::detail::text_of({operation, ": ", path});
    io::detail::JsonReader json(text, where);
    Settings settings;
    json.begin_object();
    for (std::string key; json.next_key(key);)
        settings.emplace_back(key, json.kind() == io::detail::JsonReader::Kind::string
                                       ? json.string()
                                       : std::string(json.skip()));
    json.end();
    return settings;
}

/// Reads what write_history_csv() wrote: columns by their names in the first line; those that a record does
/// not have become its metrics. Throws IoError, in the name of `operation`, with the path, the line and what
/// is wrong there.
[[gnu::cold]] inline std::vector<EpochRecord> read_history_csv(const std::string& path,
                                                               const char* operation = "read_history_csv") {
    const std::string file = data::detail::read_bytes(operation, path, std::uint64_t{1} << 28, nullptr);
    data::detail::CsvCells cells(operation, path, file, ',', false);
    const auto names = cells.done() ? std::vector<std::string>() : cells.next_row();
    if (names.empty() || names[0] != "epoch")
        cells.fail_file({"line 1: a history begins with the column epoch: got ",
                         io::detail::shown(names.empty() ? "" : names[0])});
    std::vector<EpochRecord> history;
    while (!cells.done()) {
        const std::vector<std::string> fields = cells.next_row();
        if (fields.size() != names.size())
            cells.fail_file({"line ", cells.line(), ": as many fields as names: got ", fields.size(), " and ",
                             names.size()});
        EpochRecord record;
        for (std::size_t i = 0; i < names.size(); ++i) {
            double value = std::nan("");
            if (!fields[i].empty() &&
                gradus::detail::read_decimal(fields[i], value) != gradus::detail::Decimal::number)
                cells.fail_file({"line ", cells.line(), ", ", names[i], ": must be a number: got ",
                                 io::detail::shown(fields[i])});
            const std::string& name = names[i];
            if (name == "epoch") continue;
            if (name == "train_loss")
                record.train_loss = value;
            else if (name == "val_loss")
                record.val_loss = value;
            else if (name == "train_score")
                record.train_score = value;
            else if (name == "val_score")
                record.val_score = value;
            else if (name == "seconds")
                record.seconds = value;
            else if (name == "lr")
                record.lr = value;
            else
                record.metrics.push_back({name, value});
        }
        history.push_back(std::move(record));
    }
    return history;
}

}  // namespace gradus::training
