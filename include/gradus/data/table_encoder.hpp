// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/decimal.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/data/csv.hpp"
#include "gradus/data/table.hpp"
#include "gradus/data/transform.hpp"

namespace gradus::data {

enum class Unseen {
    refuse,  // an error that names row and category
    other    // counted among a category "other", which each column then has
};

struct TableEncoderOptions {
    std::vector<std::string> columns = {};  // in this order; none: all
    std::vector<std::string> except = {};   // columns to leave out, such as the target
    bool standardize = true;                // numbers, to mean 0 and standard deviation 1
    bool fill_missing = false;              // numbers by their mean; categories by one of their own
    Unseen unseen = Unseen::refuse;         // categories that the table fitted to does not have
    Index rare = 0;                         // with Unseen::other: categories of fewer rows are "other", too
    Index max_categories = 1000;            // of one column: more are no categories but texts or numbers
};

/// Turns tables into the inputs of a model [rows, width]: a number for each column of numbers, and for each column
/// of categories as many as there are, of which one is 1 (one-hot). Means, deviations and the lists of categories are
/// those of the table that it was fitted to, the training set; other tables are encoded alike, whatever they hold.
///
///     const auto [train, test] = data::split(data::read_csv("cars.csv"));
///     const auto encode = data::TableEncoder::fit(train, {.except = {"mpg"}});
///     const data::Dataset dataset{encode(train), train.numbers("mpg")};
///
/// It has to be saved with the model: text() goes into a file's metadata, and from_text() makes it again.
class TableEncoder {
public:
    /// Throws ValueError if a column is missing, has missing values (unless `fill_missing`) or too many categories,
    /// or if there are no rows or no columns.
    [[gnu::cold]] static TableEncoder fit(const Table& table, const TableEncoderOptions& options = {}) {
        if (table.rows() == 0) refuse({"needs at least one row to be fitted to"});
        if (options.rare > 0 && options.unseen != Unseen::other)
            refuse({"rare categories go among the others: set .unseen = data::Unseen::other"});
        TableEncoder encoder;
        encoder.other_ = options.unseen == Unseen::other;
        encoder.fill_ = options.fill_missing;
        for (const std::string& name : options.except) static_cast<void>(table[name]);
        std::vector<std::string> names = options.columns;
        if (names.empty())
            for (const Column& column : table.columns()) names.push_back(column.name);
        for (const std::string& name : names)
            if (std::find(options.except.begin(), options.except.end(), name) == options.except.end())
                encoder.parts_.push_back(encoder.fit_column(table[name], options));
        if (encoder.parts_.empty()) refuse({"no column is left to encode"});
        return encoder;
    }

    /// Numbers [rows, width()]. The table may have more columns, and its columns another order. Throws ValueError if a
    /// column is missing or of the other type, or a row has a missing value or an unseen category that is not allowed.
    template <class T = float>
    [[gnu::cold]] Tensor<T> operator()(const Table& table) const {
        const Index rows = table.rows(), all = width();
        Tensor<double> result = zeros<double>({rows, all});
        Index first = 0;
        for (const Part& part : parts_) {
            encode(part, table[part.name], result.mutable_data() + first, all);
            first += width_of(part);
        }
        return cast<T>(result);
    }

    /// From standardized numbers [rows, width()] back to those of the columns: of what a model predicts, where the
    /// targets were encoded. Throws ValueError if there are categories, ShapeError if the width is another.
    template <class T>
    [[gnu::cold]] Tensor<T> inverse(const Tensor<T>& encoded) const {
        for (const Part& part : parts_)
            if (part.type == ColumnType::category)
                refuse({"column \"", part.name, "\" holds categories, and only numbers can be turned back"});
        if (encoded.rank() != 2 || encoded.size(1) != width())
            gradus::detail::raise<ShapeError>(
                "table encoder", "needs one column for each number that it encodes", encoded.shape(),
                Shape{encoded.rank() > 0 ? encoded.size(0) : 0, width()});
        Tensor<T> result = encoded;
        T* x = result.mutable_data();
        for (Index row = 0; row < result.size(0); ++row)
            for (const Part& part : parts_) {
                *x = static_cast<T>(static_cast<double>(*x) * part.scale + part.shift);
                ++x;
            }
        return result;
    }

    Index width() const {
        Index width = 0;
        for (const Part& part : parts_) width += width_of(part);
        return width;
    }

    /// What each of the width() numbers is: "weight", "origin=USA", "origin=other".
    [[gnu::cold]] std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const Part& part : parts_) {
            if (part.type == ColumnType::number) names.push_back(part.name);
            for (const std::string& category : part.categories)
                names.push_back(detail::text_of({part.name, "=", category.empty() ? "missing" : category}));
            if (part.type == ColumnType::category && other_)
                names.push_back(detail::text_of({part.name, "=other"}));
        }
        return names;
    }

    /// How a file has to be read so that it can be encoded: the types of the columns, and missing values kept if they
    /// are filled in.
    [[gnu::cold]] CsvOptions csv_options() const {
        CsvOptions options;
        options.missing = fill_ ? Missing::keep : Missing::refuse;
        for (const Part& part : parts_) options.types.emplace_back(part.name, part.type);
        return options;
    }

    /// All of it, as CSV: a line for each column, with its type, its name, and the categories, or what is
    /// filled in, subtracted and divided by.
    [[gnu::cold]] std::string text() const {
        std::string text = detail::text_of(
            {"gradus table encoder,1,", other_ ? "other" : "refuse", ",", fill_ ? "fill" : "refuse", "\n"});
        for (const Part& part : parts_) {
            const bool number = part.type == ColumnType::number;
            text.append(number ? "number," : "category,").append(gradus::detail::csv_text(part.name));
            if (number)
                for (const double x : {part.fill, part.shift, part.scale})
                    text.append(",").append(gradus::detail::csv_number(x));
            for (const std::string& category : part.categories)
                text.append(",").append(gradus::detail::csv_text(category));
            text.append("\n");
        }
        return text;
    }

    /// What text() wrote. Throws IoError if the text is another.
    [[gnu::cold]] static TableEncoder from_text(std::string_view text) {
        const std::string source = "text";
        detail::CsvCells cells("table encoder", source, text, ',', false);
        const auto broken = [&](const char* problem) {
            cells.fail_file({"line ", cells.line(), ": ", problem, "; give back what text() wrote"});
        };
        const auto one_of = [&](const std::string& word, const char* yes, const char* no) {
            if (word != yes && word != no) broken("has an unknown word");
            return word == yes;
        };
        TableEncoder encoder;
        if (text.empty()) broken("is empty");
        const std::vector<std::string> header = cells.next_row();
        if (header[0] != "gradus table encoder") broken("is not of a table encoder");
        if (header.size() != 4 || header[1] != "1") broken("is of a version that is not known here");
        encoder.other_ = one_of(header[2], "other", "refuse");
        encoder.fill_ = one_of(header[3], "fill", "refuse");
        while (!cells.done()) {
            std::vector<std::string> row = cells.next_row();
            if (row.size() < 2) broken("has too few cells");
            Part part{row[1],
                      one_of(row[0], "number", "category") ? ColumnType::number : ColumnType::category};
            row.erase(row.begin(), row.begin() + 2);
            if (part.type == ColumnType::category) {
                if (std::adjacent_find(row.begin(), row.end(), std::greater_equal<>()) != row.end())
                    broken("has categories out of order");
                part.categories = std::move(row);
            } else if (row.size() != 3 || !read_finite(row[0], part.fill) ||
                       !read_finite(row[1], part.shift) || !read_finite(row[2], part.scale) ||
                       part.scale <= 0)
                broken("needs three numbers, the last above 0");
            for (const Part& other : encoder.parts_)
                if (other.name == part.name) broken("has a column twice");
            encoder.parts_.push_back(std::move(part));
        }
        if (encoder.parts_.empty()) broken("has no columns");
        return encoder;
    }

private:
    struct Part {
        std::string name;
        ColumnType type;
        double fill = 0, shift = 0, scale = 1;     // x is (x - shift) / scale, and `fill` where it is missing
        std::vector<std::string> categories = {};  // sorted; "" stands for a missing value
    };

    [[noreturn, gnu::cold]] static void refuse(std::initializer_list<detail::TextPart> problem) {
        gradus::detail::raise<ValueError>({"table encoder: ", detail::text_of(problem)});
    }

    static bool read_finite(const std::string& text, double& value) {
        return gradus::detail::read_decimal(text, value) == gradus::detail::Decimal::number &&
               std::isfinite(value);
    }

    Index width_of(const Part& part) const {
        return part.type == ColumnType::number ? 1 : static_cast<Index>(part.categories.size()) + other_;
    }

    [[noreturn, gnu::cold]] static void refuse_missing(const std::string& column, Index row) {
        refuse({"row ", row + 1, ": column \"", column,
                "\" has no value there; set .fill_missing, or leave such rows out by without_missing()"});
    }

    Part fit_column(const Column& column, const TableEncoderOptions& options) const {
        Part part{column.name, column.type};
        std::vector<Index> present;
        for (Index row = 0; row < column.size(); ++row) {
            if (!column.missing(row))
                present.push_back(row);
            else if (!fill_)
                refuse_missing(column.name, row);
        }
        if (column.type == ColumnType::category)
            part.categories = categories_of(column, options);
        else if (present.empty())
            refuse({"column \"", column.name, "\" has no values at all; leave it out by .except"});
        else {
            const Tensor<Index> rows(present);
            const auto moments =
                Standardize::global(detail::gather_rows(column.numbers, rows.data(), rows.numel()));
            part.fill = moments.mean().item();
            if (options.standardize) {
                part.shift = part.fill;
                part.scale = moments.std().item() > 0 ? moments.std().item() : 1;
            }
        }
        return part;
    }

    static std::vector<std::string> categories_of(const Column& column, const TableEncoderOptions& options) {
        std::vector<Index> counts(column.categories.size() + 1);  // of missing values first
        for (const Index code : column.codes) ++counts[static_cast<std::size_t>(code + 1)];
        std::vector<std::string> categories;
        for (std::size_t i = 0; i < counts.size(); ++i)
            if (counts[i] >= std::max<Index>(1, options.rare))
                categories.push_back(i ? column.categories[i - 1] : "");
        if (static_cast<Index>(categories.size()) > options.max_categories)
            refuse({"column \"", column.name, "\" has ", categories.size(),
                    " categories, more than .max_categories (", options.max_categories,
                    "); leave it out by .except, or make rare ones \"other\" by .rare"});
        if (categories.size() > 1 && categories[0] == categories[1]) categories.erase(categories.begin());
        return categories;
    }

    void encode(const Part& part, const Column& column, double* to, Index stride) const {
        if (column.type != part.type)
            refuse({"column \"", part.name, "\" is to hold ",
                    part.type == ColumnType::number ? "numbers" : "categories",
                    ", as it did when this was fitted; read the file with csv_options()"});
        const auto check_value = [&](Index row) {
            if (column.missing(row) && !fill_) refuse_missing(part.name, row);
        };
        if (part.type == ColumnType::number) {
            for (Index row = 0; row < column.size(); ++row, to += stride) {
                check_value(row);
                const double value = column.missing(row) ? part.fill : column.numbers.data()[row];
                *to = (value - part.shift) / part.scale;
            }
            return;
        }
        const auto last = static_cast<Index>(part.categories.size());
        std::vector<Index> places;  // of missing values, then of each of the column's categories
        for (std::size_t i = 0; i <= column.categories.size(); ++i) {
            const std::string category = i ? column.categories[i - 1] : "";
            const auto at = std::lower_bound(part.categories.begin(), part.categories.end(), category);
            const bool known = at != part.categories.end() && *at == category;
            places.push_back(known ? at - part.categories.begin() : last);
        }
        for (Index row = 0; row < column.size(); ++row, to += stride) {
            check_value(row);
            const auto code = static_cast<std::size_t>(column.codes.data()[row] + 1);
            if (places[code] == last && !other_)
                refuse(
                    {"row ", row + 1, ": column \"", part.name, "\" has ",
                     code ? detail::text_of(
                                {"the category ", detail::quoted_cell(column.categories[code - 1])})
                          : "no value",
                     ", which the table that this was fitted to does not have; .unseen = data::Unseen::other "
                     "allows that"});
            to[places[code]] = 1;
        }
    }

    bool other_ = false, fill_ = false;
    std::vector<Part> parts_;
};

}  // namespace gradus::data
