// SPDX-License-Identifier: MIT
#include "gradus/data/table.hpp"

#include "support/test.hpp"

using namespace gradus;
using data::Column;
using data::ColumnType;
using data::Table;

namespace {

const Table cars(
    {{.name = "kg", .numbers = {1000, 1500, 2000}},
     {.name = "make", .type = ColumnType::category, .codes = {1, 0, 1}, .categories = {"audi", "seat"}}});

}  // namespace

TEST_CASE("a table refuses columns that do not belong together") {
    CHECK(Table().rows() == 0);
    CHECK(cars.rows() == 3);
    CHECK_THROWS_MATCHES(Table({Column{.name = "a"}, Column{.name = "a"}}), ValueError,
                         Message("table: two columns are called \"a\""));
    CHECK_THROWS_MATCHES(Table({Column{.name = "a", .numbers = {1, 2}}, Column{.name = "b", .numbers = {1}}}),
                         ValueError,
                         Message("table: columns differ in length: got 2 in \"a\" and 1 in \"b\""));
    CHECK_THROWS_MATCHES(cars["color"], ValueError,
                         Message("table: no column \"color\"; there are: kg, make"));
    CHECK_THROWS_MATCHES(cars.numbers("make"), ValueError,
                         Message("table: column \"make\" holds categories, not numbers; labels() gives their "
                                 "positions in the list"));
    CHECK_THROWS_MATCHES(cars.labels("kg"), ValueError,
                         Message("table: column \"kg\" holds numbers, not categories; read it with .types = "
                                 "{{\"kg\", data::ColumnType::category}}"));
}

TEST_CASE("rows of a table are taken as those of a dataset") {
    CHECK(cars.take(1, 3)["kg"].numbers == Tensor<double>{1500, 2000});
    CHECK(cars.take(1, 3)["make"].codes == Tensor<Index>{0, 1});
    CHECK(cars.subset({2, 0})["kg"].numbers == Tensor<double>{2000, 1000});
    CHECK_THROWS_MATCHES(cars.subset({3}), ValueError, Message("table: the rows are 0 to 2: got 3"));
    const auto [train, test] = data::split(cars, {.test = 0.34, .seed = 3});
    CHECK(train.rows() == 2);
    CHECK(test.rows() == 1);
    double sum = 0;
    for (const Table& part : {train, test})
        for (const double kg : part["kg"].numbers) sum += kg;
    CHECK(sum == 4500);
}

TEST_CASE("class numbers follow the list of the training set") {
    CHECK(cars.labels("make") == Tensor<Index>{1, 0, 1});
    CHECK(cars.labels("make", {"seat", "vw", "audi"}) == Tensor<Index>{0, 2, 0});
    CHECK_THROWS_MATCHES(
        cars.labels("make", {"seat"}), ValueError,
        Message("table: row 2: column \"make\" has a category that is not among the classes: got "
                "\"audi\""));
}
