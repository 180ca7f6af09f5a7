// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/tensor.hpp"
#include "gradus/data/dataset.hpp"

namespace gradus::data {

enum class ColumnType { number, category };

/// What all rows of a table have in one column: numbers, or one of several categories.
struct Column {
    std::string name;
    ColumnType type = ColumnType::number;
    Tensor<double> numbers = {};               // [rows], NaN where the value is missing
    Tensor<Index> codes = {};                  // [rows], positions in `categories`, -1 where it is missing
    std::vector<std::string> categories = {};  // sorted by their bytes

    Index size() const { return type == ColumnType::number ? numbers.numel() : codes.numel(); }
    bool missing(Index row) const {
        return type == ColumnType::number ? std::isnan(numbers.data()[row]) : codes.data()[row] < 0;
    }
    Index count_missing() const {
        Index count = 0;
        for (Index row = 0; row < size(); ++row) count += missing(row);
        return count;
    }
};

namespace detail {

/// A name that two of these have, or nullptr.
template <class Named>
[[gnu::cold]] const std::string* repeated_name(const std::vector<Named>& columns) {
    std::vector<const std::string*> names;
    for (const Named& column : columns) names.push_back(&column.name);
    std::sort(names.begin(), names.end(), [](const auto* a, const auto* b) { return *a < *b; });
    const auto at =
        std::adjacent_find(names.begin(), names.end(), [](const auto* a, const auto* b) { return *a == *b; });
    return at == names.end() ? nullptr : *at;
}

}  // namespace detail

/// Columns of equal length, each with a name. Copying costs nothing.
///
///     const data::Table cars = data::read_csv("cars.csv");
///     const data::Column& weight = cars["weight"];
class Table {
public:
    Table() = default;

    /// Throws ValueError if two columns have one name or their lengths differ.
    [[gnu::cold]] explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {
        if (const std::string* twice = detail::repeated_name(columns_))
            gradus::detail::raise<ValueError>({"table: two columns are called \"", *twice, "\""});
        for (const Column& column : columns_)
            if (column.size() != rows())
                gradus::detail::raise<ValueError>({"table: columns differ in length: got ", rows(), " in \"",
                                                   columns_[0].name, "\" and ", column.size(), " in \"",
                                                   column.name, "\""});
    }

    Index rows() const { return columns_.empty() ? 0 : columns_[0].size(); }
    const std::vector<Column>& columns() const { return columns_; }

    bool contains(std::string_view name) const { return find(name) != nullptr; }

    /// The column of this name. Throws ValueError, which lists those that there are.
    [[gnu::cold]] const Column& operator[](std::string_view name) const {
        if (const Column* column = find(name)) return *column;
        std::string names;
        for (const Column& column : columns_)
            names = gradus::detail::text_of({names, names.empty() ? "" : ", ", column.name});
        gradus::detail::raise<ValueError>({"table: no column \"", name, "\"; there are: ", names});
    }

    /// A column of numbers [rows], to be a target of a regression. Throws ValueError if it holds categories
    /// or if a number is missing.
    template <class T = float>
    [[gnu::cold]] Tensor<T> numbers(std::string_view name) const {
        const Column& column = (*this)[name];
        if (column.type != ColumnType::number)
            gradus::detail::raise<ValueError>({"table: column \"", name,
                                               "\" holds categories, not numbers; labels() gives their "
                                               "positions in the list"});
        check_complete(column);
        Tensor<T> result = Tensor<T>::uninitialized(column.numbers.shape());
        std::transform(column.numbers.begin(), column.numbers.end(), result.mutable_data(),
                       [](double x) { return static_cast<T>(x); });
        return result;
    }

    /// Class numbers [rows]: of each row's category, its position in the column's list, or in `classes`, the
    /// list of the table that a model was trained on. Throws ValueError if the column holds numbers, a
    /// category is missing or is not in that list.
    [[gnu::cold]] Tensor<Index> labels(std::string_view name) const {
        return labels(name, (*this)[name].categories);
    }
    [[gnu::cold]] Tensor<Index> labels(std::string_view name, const std::vector<std::string>& classes) const {
        const Column& column = (*this)[name];
        if (column.type != ColumnType::category)
            gradus::detail::raise<ValueError>({"table: column \"", name,
                                               "\" holds numbers, not categories; read it with .types = {{\"",
                                               name, "\", data::ColumnType::category}}"});
        check_complete(column);
        std::vector<Index> number_of;  // of each of the column's categories
        for (const std::string& category : column.categories) {
            const auto at = std::find(classes.begin(), classes.end(), category);
            number_of.push_back(at == classes.end() ? -1 : at - classes.begin());
        }
        Tensor<Index> result = column.codes;
        Index* label = result.mutable_data();
        for (Index row = 0; row < result.numel(); ++row, ++label) {
            const auto code = static_cast<std::size_t>(*label);
            if (number_of[code] < 0)
                gradus::detail::raise<ValueError>({"table: row ", row + 1, ": column \"", name,
                                                   "\" has a category that is not among the classes: got \"",
                                                   column.categories[code], "\""});
            *label = number_of[code];
        }
        return result;
    }

    /// Rows [first, last); shares memory. Throws ShapeError if they are not all there.
    [[gnu::cold]] Table take(Index first, Index last) const {
        return of_each([&](const auto& values) { return values.rows(first, last); });
    }

    /// The rows with these numbers, counted from 0, in this order. Throws ValueError if there is no such row.
    [[gnu::cold]] Table subset(const Tensor<Index>& rows) const {
        for (const Index row : rows)
            if (row < 0 || row >= this->rows())
                gradus::detail::raise<ValueError>(
                    {"table: the rows are 0 to ", this->rows() - 1, ": got ", row});
        return of_each(
            [&](const auto& values) { return detail::gather_rows(values, rows.data(), rows.numel()); });
    }

    /// The rows that have a value in every column.
    [[gnu::cold]] Table without_missing() const {
        std::vector<Index> complete;
        for (Index row = 0; row < rows(); ++row)
            if (std::none_of(columns_.begin(), columns_.end(),
                             [row](const Column& column) { return column.missing(row); }))
                complete.push_back(row);
        return subset(Tensor<Index>(complete));
    }

private:
    const Column* find(std::string_view name) const {
        const auto at = std::find_if(columns_.begin(), columns_.end(),
                                     [name](const Column& column) { return column.name == name; });
        return at == columns_.end() ? nullptr : &*at;
    }

    static void check_complete(const Column& column) {
        for (Index row = 0; row < column.size(); ++row)
            if (column.missing(row))
                gradus::detail::raise<ValueError>(
                    {"table: row ", row + 1, ": column \"", column.name,
                     "\" has no value there; without_missing() leaves such rows out"});
    }

    Table of_each(const auto& rows_of) const {
        Table result = *this;
        for (Column& column : result.columns_) {
            if (column.type == ColumnType::number)
                column.numbers = rows_of(column.numbers);
            else
                column.codes = rows_of(column.codes);
        }
        return result;
    }

    std::vector<Column> columns_;
};

struct TableSplit {
    Table train, test;
};

/// Parts the rows of a table at random, as split() does the examples of a dataset.
[[gnu::cold]] inline TableSplit split(const Table& table, const SplitOptions& options = {}) {
    const Tensor<Index> rows = arange<Index>(table.rows());
    const Split<Index> parts = split(Dataset<Index>{rows, rows}, options);
    return {table.subset(parts.train.labels), table.subset(parts.test.labels)};
}

}  // namespace gradus::data
