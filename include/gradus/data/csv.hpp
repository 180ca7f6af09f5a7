// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/decimal.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/core/utf8.hpp"
#include "gradus/data/bytes.hpp"
#include "gradus/data/csv_cells.hpp"
#include "gradus/data/table.hpp"

namespace gradus::data {

enum class Missing {
    refuse,  // an error that names the place
    keep     // NaN, or code -1: see Table::without_missing() and TableEncoderOptions
};

struct CsvOptions {
    char separator = ',';
    bool header = true;                                          // the first row names the columns
    std::vector<std::string> names = {};                         // of the columns, where there is no header
    std::vector<std::pair<std::string, ColumnType>> types = {};  // given; those of other columns are decided
    Missing missing = Missing::refuse;
    std::vector<std::string> missing_words = {"", "NA", "N/A", "NaN", "nan", "NULL", "null", "?"};
    bool trim = false;                                 // take away spaces around cells
    std::uint64_t max_bytes = std::uint64_t{4} << 30;  // of the file, unpacked
};

namespace detail {

/// Text in pieces that a message can hold: what could break its line is left out, and it is cut where long.
[[gnu::cold]] inline std::string quoted_cell(std::string_view cell) {
    std::string text = "\"";
    for (const char c : cell.substr(0, 40)) text += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    return text += cell.size() > 40 ? "...\"" : "\"";
}

/// Puts the cells of one column together.
struct ColumnBuilder {
    std::string name;
    bool decided = false;
    ColumnType type = ColumnType::number;
    std::vector<double> numbers = {};
    std::vector<Index> codes = {};
    std::map<std::string, Index, std::less<>> categories = {};  // in order of their bytes
    const std::pair<const std::string, Index>* last = nullptr;  // categories come in runs

    void add_missing() {
        if (!decided || type == ColumnType::number)
            numbers.push_back(std::numeric_limits<double>::quiet_NaN());
        if (!decided || type == ColumnType::category) codes.push_back(-1);
    }

    /// The type of a column is that of its first value.
    void decide(ColumnType as) {
        decided = true;
        type = as;
        if (type == ColumnType::number)
            codes = {};
        else
            numbers = {};
    }

    /// The category's position in the order in which they came; new ones are given to check().
    void add_category(std::string_view cell, const auto& check) {
        if (!last || last->first != cell) {
            auto at = categories.find(cell);
            if (at == categories.end()) {
                check();
                at = categories.emplace(cell, static_cast<Index>(categories.size())).first;
            }
            last = &*at;
        }
        codes.push_back(last->second);
    }

    Column finish() {
        Column column{name, type};
        if (type == ColumnType::number) {
            column.numbers = Tensor<double>(numbers);
            return column;
        }
        std::vector<Index> sorted(categories.size());
        for (const auto& [category, code] : categories) {
            sorted[static_cast<std::size_t>(code)] = static_cast<Index>(column.categories.size());
            column.categories.push_back(category);
        }
        for (Index& code : codes)
            if (code >= 0) code = sorted[static_cast<std::size_t>(code)];
        column.codes = Tensor<Index>(codes);
        return column;
    }
};

/// Reads a table, row by row.
class CsvReader {
public:
    CsvReader(const char* operation, const std::string& path, std::string_view text,
              const CsvOptions& options)
        : options_(options), cells_(operation, path, text, options.separator, options.trim) {
        if (options.separator == '"' || options.separator == '\n' || options.separator == '\r')
            gradus::detail::raise<ValueError>(operation,
                                              "the separator cannot be a quote or the end of a line");
        if (options.header && !options.names.empty())
            gradus::detail::raise<ValueError>(operation,
                                              "names are for files without a header: set .header = false");
        double number;
        for (const std::string& word : options.missing_words)  // as in -999
            if (gradus::detail::read_decimal(word, number) == gradus::detail::Decimal::number)
                words_are_numbers_ = words_are_numbers_ || std::isfinite(number);
        if (cells_.done()) cells_.fail_file({"is empty; was it written whole?"});
        if (options.header) read_header();
    }

    Table read() {
        while (!cells_.done()) read_row();
        check_types();
        std::vector<Column> result;
        for (ColumnBuilder& column : columns_) result.push_back(column.finish());
        return Table(std::move(result));
    }

private:
    void add_column(std::string_view name) {
        columns_.push_back({std::string(name)});
        for (const auto& [given, type] : options_.types)
            if (given == name) columns_.back().decide(type);
    }

    [[gnu::cold]] void read_header() {
        do {
            const std::string_view name = cells_.next();
            if (const std::size_t at = gradus::detail::utf8_prefix(name); at != name.size())
                cells_.fail_file({"the header is no UTF-8 text: byte ",
                                  hex(static_cast<unsigned char>(name[at])), " in column ",
                                  columns_.size() + 1, "; save the file as UTF-8"});
            add_column(name);
        } while (!cells_.row_ended());
        // Often numbers of rows, which a program kept without being asked; they would become a feature. Who
        // gives the type of one knows it.
        for (std::size_t i = 0; i < columns_.size() && columns_.size() > 1; ++i)
            if (!columns_[i].decided && columns_[i].name.find_first_not_of(' ') == std::string::npos)
                cells_.fail_file(
                    {"column ", i + 1, " has no name",
                     i == 0 ? ", as where row numbers were saved: leave them out (pandas: index=False)" : "",
                     i == 0 ? ", or give it a name in the header" : "; give it one in the header"});
        // As names these would do, and a row would be lost in silence. Who gives the type of one knows it.
        if (std::all_of(columns_.begin(), columns_.end(),
                        [](const ColumnBuilder& c) { return !c.decided && is_number(c.name); }))
            cells_.fail_file(
                {"the header is all numbers, from ", quoted_cell(columns_[0].name),
                 " on; if that is the first row, set .header = false; if these are names, give the "
                 "type of one in .types"});
        if (const std::string* twice = repeated_name(columns_))
            cells_.fail_file({"two columns are called ", quoted_cell(*twice)});
        if (columns_.size() > 1 || cells_.quoted()) return;
        for (const char other : {';', '\t', '|', ','})
            if (other != options_.separator && columns_[0].name.find(other) != std::string::npos)
                cells_.fail_file({"the header is one column, ", quoted_cell(columns_[0].name),
                                  "; set .separator = '", other == '\t' ? "\\t" : std::string(1, other),
                                  "'"});
    }

    /// The columns of a file without a header, when its first row is known to have `count` of them.
    [[gnu::cold]] void name_columns(std::size_t count) {
        if (!options_.names.empty() && options_.names.size() != count)
            cells_.fail_file({"has ", count, " columns, and ", options_.names.size(), " names were given"});
        for (std::size_t i = 0; i < count; ++i)
            add_column(options_.names.empty() ? text_of({i + 1}) : options_.names[i]);
    }

    void read_row() {
        if (columns_.empty()) {
            CsvCells ahead = cells_;
            std::size_t count = 0;
            do {
                ahead.next();
                ++count;
            } while (!ahead.row_ended());
            name_columns(count);
        }
        ++row_;
        column_ = 0;
        do {
            const std::string_view cell = cells_.next();
            if (column_ == columns_.size()) refuse_length(true);
            if (column_ == 0 && cells_.row_ended() && cell.empty() && columns_.size() > 1)
                return skip_empty();
            add(columns_[column_], cell);
            ++column_;
        } while (!cells_.row_ended());
        if (column_ < columns_.size()) refuse_length(false);
    }

    void add(ColumnBuilder& column, std::string_view cell) {
        if (words_are_numbers_ && is_missing(cell)) return add_missing(column, cell);
        if (!column.decided || column.type == ColumnType::number) {
            double number;
            const auto read = gradus::detail::read_decimal(cell, number);
            if (read == gradus::detail::Decimal::number && std::isfinite(number)) [[likely]] {
                if (!column.decided) column.decide(ColumnType::number);
                column.numbers.push_back(number);
                return;
            }
            if (is_missing(cell)) return add_missing(column, cell);
            if (column.decided || read != gradus::detail::Decimal::none) refuse_number(column, cell, read);
            if (!cells_.quoted() && is_number(CsvCells::trimmed(cell))) refuse_spaces(cell);
            column.decide(ColumnType::category);
        } else if (is_missing(cell))
            return add_missing(column, cell);
        column.add_category(cell, [&] {
            if (const std::size_t at = gradus::detail::utf8_prefix(cell); at != cell.size())
                fail({"is no UTF-8 text: got byte ", hex(static_cast<unsigned char>(cell[at])),
                      "; save the file as UTF-8"});
        });
    }

    /// A word in quotes is the word itself: a country may be "NA".
    bool is_missing(std::string_view cell) const {
        if (cells_.quoted() && !cell.empty()) return false;
        for (const std::string& word : options_.missing_words)
            if (word == cell) return true;
        return false;
    }

    void add_missing(ColumnBuilder& column, std::string_view word) {
        if (options_.missing == Missing::refuse)
            fail({"has no value", word.empty() ? "" : ": got ", word.empty() ? "" : quoted_cell(word),
                  "; set .missing = data::Missing::keep to read such files"});
        column.add_missing();
    }

    [[noreturn, gnu::cold]] void refuse_number(const ColumnBuilder& column, std::string_view cell,
                                               gradus::detail::Decimal read) const {
        const std::string got = quoted_cell(cell);
        if (read == gradus::detail::Decimal::too_large) fail({"is too large a number: got ", got});
        if (read == gradus::detail::Decimal::number)
            fail({"is no finite number: got ", got,
                  "; if it stands for a missing value, add it to .missing_words"});
        if (cell.find_first_of(" \t") != std::string_view::npos) {
            std::string bare;
            for (const char c : cell)
                if (c != ' ' && c != '\t') bare += c;
            if (is_number(bare)) refuse_spaces(cell);
        }
        for (const auto& [name, type] : options_.types)
            if (name == column.name) fail({"is no number, and the column is to be of numbers: got ", got});
        fail({"is no number, as those before it in the column are: got ", got,
              "; if the column holds categories, set .types = {{\"", column.name,
              "\", data::ColumnType::category}}"});
    }

    [[noreturn, gnu::cold]] void refuse_spaces(std::string_view cell) const {
        fail({"has spaces around a number: got ", quoted_cell(cell), "; set .trim = true"});
    }

    [[gnu::cold]] static bool is_number(std::string_view text) {
        double number;
        return gradus::detail::read_decimal(text, number) == gradus::detail::Decimal::number;
    }

    /// Empty lines are allowed at the end only, where editors leave them.
    [[gnu::cold]] void skip_empty() {
        const Index line = cells_.line();
        while (!cells_.done())
            if (!cells_.next().empty() || !cells_.row_ended())
                cells_.fail_file({"line ", line, " is empty, and rows follow it"});
    }

    [[noreturn, gnu::cold]] void refuse_length(bool more) const {
        cells_.fail_file({"row ", row_, " (line ", cells_.line(), ") has ", more ? "more than " : "", column_,
                          column_ == 1 ? " cell" : " cells", ", and there are ", columns_.size(),
                          " columns"});
    }

    [[noreturn, gnu::cold]] void fail(std::initializer_list<TextPart> problem) const {
        cells_.fail_file({"row ", row_, " (line ", cells_.line(), "), column ", column_ + 1, " (",
                          columns_[column_].name, "): ", text_of(problem)});
    }

    [[gnu::cold]] void check_types() const {
        for (const auto& [name, type] : options_.types) {
            std::string names;
            bool found = false;
            for (const ColumnBuilder& column : columns_) {
                found = found || column.name == name;
                names = text_of({names, names.empty() ? "" : ", ", column.name});
            }
            if (!found) cells_.fail_file({"no column ", quoted_cell(name), "; there are: ", names});
        }
    }

    const CsvOptions& options_;
    CsvCells cells_;
    std::vector<ColumnBuilder> columns_;
    bool words_are_numbers_ = false;
    Index row_ = 0;           // of data, from 1
    std::size_t column_ = 0;  // from 0
};

}  // namespace detail

/// Reads a table from a file of comma-separated values, plain or compressed by gzip.
///
///     const data::Table cars = data::read_csv("cars.csv", {.missing = data::Missing::keep});
///
/// The format is RFC 4180: cells may be in quotes and then hold separators, line ends and, doubled, quotes; lines end
/// with LF or CRLF, also the last one if it likes; a byte order mark is passed over; text is UTF-8. All rows have
/// equally many cells. The first value of a column decides whether it is of numbers or of categories, unless
/// `types` does. Numbers are decimal, with a point in every locale, and finite. A cell is missing if it is one of
/// `missing_words`, and not in quotes unless it is empty.
///
/// Throws IoError, with the file, the row (counted from 1, without the header), the line and the column, at anything
/// else: nothing is skipped or guessed.
///
/// Source: Shafranovich, "Common Format and MIME Type for Comma-Separated Values", RFC 4180, 2005.
[[gnu::cold]] inline Table read_csv(const std::string& path, const CsvOptions& options = {}) {
    const std::string text = detail::read_bytes("read_csv", path, options.max_bytes, "CsvOptions::max_bytes");
    return detail::CsvReader("read_csv", path, text, options).read();
}

}  // namespace gradus::data
