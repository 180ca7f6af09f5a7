// SPDX-License-Identifier: MIT
#include "gradus/data/table_encoder.hpp"

#include <cmath>

#include "files.hpp"
#include "support/test.hpp"

using namespace gradus;
using data::CsvOptions;
using data::Missing;
using data::Table;
using data::TableEncoder;
using data::TableEncoderOptions;
using data::Unseen;

namespace {

Table table_of(const std::string& text, const CsvOptions& options = {.missing = Missing::keep}) {
    const TemporaryFolder folder;
    return data::read_csv(folder.write("file.csv", text), options);
}

auto value_error(const std::string& text) { return Message("table encoder: " + text); }

const Table cars = table_of("kg,make,mpg\n1000,seat,30\n1500,audi,20\n2000,seat,10\n");

}  // namespace

TEST_CASE("a table becomes standardized numbers and one-hot categories") {
    const auto encode = TableEncoder::fit(cars, {.except = {"mpg"}});
    CHECK(encode.width() == 3);
    CHECK(encode.names() == std::vector<std::string>{"kg", "make=audi", "make=seat"});
    const auto far = static_cast<float>(500 / std::sqrt(500 * 500 * 2.0 / 3));
    CHECK(encode(cars) == Tensor<>{{-far, 0, 1}, {0, 1, 0}, {far, 0, 1}});
    CHECK(encode(cars.take(0, 0)).shape() == Shape{0, 3});
    const auto plain = TableEncoder::fit(cars, {.columns = {"mpg", "kg"}, .standardize = false});
    CHECK(plain(cars) == Tensor<>{{30, 1000}, {20, 1500}, {10, 2000}});
    const auto constant = TableEncoder::fit(table_of("a\n7\n7\n"));
    CHECK(constant(table_of("a\n7\n8\n")) == Tensor<>{{0}, {1}});
}

TEST_CASE("another table is encoded as the one fitted to, whatever it holds") {
    const auto encode = TableEncoder::fit(cars, {.except = {"mpg"}});
    const Table other = table_of("make,year,kg\nseat,1,1500\nseat,2,1500\n");  // no audi, other order, no mpg
    CHECK(encode(other) == Tensor<>{{0, 0, 1}, {0, 0, 1}});
    CHECK_THROWS_MATCHES(encode(table_of("make\nseat\n")), ValueError,
                         Message("table: no column \"kg\"; there are: make"));
    CHECK_THROWS_MATCHES(
        encode(table_of("kg,make\n1,2\n")), ValueError,
        value_error("column \"make\" is to hold categories, as it did when this was fitted; read "
                    "the file with csv_options()"));
    CHECK_THROWS_MATCHES(
        encode(table_of("kg,make\n1,2\n", encode.csv_options())), ValueError,
        value_error(
            "row 1: column \"make\" has the category \"2\", which the table that this was fitted to does "
            "not have; .unseen = data::Unseen::other allows that"));
}

TEST_CASE("unseen and rare categories are refused or go among the others") {
    const Table table = table_of("c\nx\ny\nx\nz\nz\nz\n");
    const auto encode = TableEncoder::fit(table, {.unseen = Unseen::other, .rare = 2});
    CHECK(encode.names() == std::vector<std::string>{"c=x", "c=z", "c=other"});
    CHECK(encode(table_of("c\nz\ny\nnew\n")) == Tensor<>{{0, 1, 0}, {0, 0, 1}, {0, 0, 1}});
    CHECK_THROWS_MATCHES(
        TableEncoder::fit(table, {.rare = 2}), ValueError,
        value_error("rare categories go among the others: set .unseen = data::Unseen::other"));
    CHECK_THROWS_MATCHES(
        TableEncoder::fit(table, {.max_categories = 2}), ValueError,
        value_error(
            "column \"c\" has 3 categories, more than .max_categories (2); leave it out by .except, or make "
            "rare ones \"other\" by .rare"));
}

TEST_CASE("missing values are refused, or filled with what the table fitted to has") {
    const Table holes = table_of("a,c\n1,x\n,y\n3,\n");
    CHECK_THROWS_MATCHES(
        TableEncoder::fit(holes), ValueError,
        value_error("row 2: column \"a\" has no value there; set .fill_missing, or leave such rows "
                    "out by without_missing()"));
    const auto encode = TableEncoder::fit(holes, {.fill_missing = true});
    CHECK(encode.names() == std::vector<std::string>{"a", "c=missing", "c=x", "c=y"});
    CHECK(encode(holes) == Tensor<>{{-1, 0, 1, 0}, {0, 0, 0, 1}, {1, 1, 0, 0}});
    CHECK(TableEncoder::fit(holes, {.columns = {"a"}, .standardize = false, .fill_missing = true})(holes) ==
          Tensor<>{{1}, {2}, {3}});
    const auto strict = TableEncoder::fit(cars);
    CHECK_THROWS_MATCHES(
        strict(table_of("kg,make,mpg\n,audi,1\n")), ValueError,
        value_error("row 1: column \"kg\" has no value there; set .fill_missing, or leave such rows "
                    "out by without_missing()"));
    const auto filling = TableEncoder::fit(cars, {.fill_missing = true});
    CHECK_THROWS_MATCHES(
        filling(table_of("kg,make,mpg\n1,audi,1\n1,,1\n")), ValueError,
        value_error(
            "row 2: column \"make\" has no value, which the table that this was fitted to does not have; "
            ".unseen = data::Unseen::other allows that"));
    CHECK_THROWS_MATCHES(TableEncoder::fit(table_of("a,b\n1,\n2,\n"), {.fill_missing = true}), ValueError,
                         value_error("column \"b\" has no values at all; leave it out by .except"));
    CHECK(filling.csv_options().missing == Missing::keep);
    CHECK(strict.csv_options().missing == Missing::refuse);
}

TEST_CASE("an encoder of numbers turns predictions back") {
    const auto target = TableEncoder::fit(cars, {.columns = {"mpg"}});
    CHECK(target.inverse(target(cars)) == Tensor<>{{30}, {20}, {10}});
    CHECK_THROWS_MATCHES(
        TableEncoder::fit(cars).inverse(zeros({1, 4})), ValueError,
        value_error("column \"make\" holds categories, and only numbers can be turned back"));
    CHECK_THROWS_MATCHES(
        target.inverse(zeros({3, 2})), ShapeError,
        value_error("needs one column for each number that it encodes: got [3, 2] and [3, 1]"));
}

TEST_CASE("an encoder that was written as text is the same") {
    const Table odd = table_of("\"a,\"\"b\"\"\nc\",n\n\"x,\ny\",0.1\n\"\"\"q\"\"\",0.3\n,0.7\nz,\n");
    for (const auto& options : {TableEncoderOptions{.fill_missing = true},
                                TableEncoderOptions{.fill_missing = true, .unseen = Unseen::other},
                                TableEncoderOptions{.standardize = false, .fill_missing = true}}) {
        const auto encode = TableEncoder::fit(odd, options);
        const auto again = TableEncoder::from_text(encode.text());
        CHECK(again.text() == encode.text());
        CHECK(again.names() == encode.names());
        CHECK(again.operator()<double>(odd) == encode.operator()<double>(odd));
    }
    CHECK(TableEncoder::fit(cars, {.except = {"mpg"}, .standardize = false}).text() ==
          "gradus table encoder,1,refuse,refuse\nnumber,kg,1500,0,1\ncategory,make,audi,seat\n");
}

TEST_CASE("text that is no encoder's is refused") {
    const auto refusal = [](const std::string& text) -> std::string {
        try {
            TableEncoder::from_text(text);
        } catch (const IoError& error) {
            return error.what();
        }
        return "accepted";
    };
    const std::string header = "gradus table encoder,1,refuse,fill\n", fix = "; give back what text() wrote";
    CHECK(refusal("") == "table encoder: text: line 1: is empty" + fix);
    CHECK(refusal("hello") == "table encoder: text: line 1: is not of a table encoder" + fix);
    CHECK(refusal("gradus table encoder,2,refuse,fill\n") ==
          "table encoder: text: line 1: is of a version that is not known here" + fix);
    CHECK(refusal("gradus table encoder,1,refuse,empty\n") ==
          "table encoder: text: line 1: has an unknown word" + fix);
    CHECK(refusal(header) == "table encoder: text: line 1: has no columns" + fix);
    CHECK(refusal(header + "number\n") == "table encoder: text: line 2: has too few cells" + fix);
    CHECK(refusal(header + "text,a\n") == "table encoder: text: line 2: has an unknown word" + fix);
    const std::string numbers = "table encoder: text: line 2: needs three numbers, the last above 0" + fix;
    for (const char* line : {"number,a", "number,a,1,1", "number,a,1,1,0", "number,a,1,1,x",
                             "number,a,inf,1,1", "number,a,1,1,1,1"})
        CHECK(refusal(header + line) == numbers);
    CHECK(refusal(header + "category,a,y,x\n") ==
          "table encoder: text: line 2: has categories out of order" + fix);
    CHECK(refusal(header + "category,a,x,x\n") ==
          "table encoder: text: line 2: has categories out of order" + fix);
    CHECK(refusal(header + "category,a,x\ncategory,a,x\n") ==
          "table encoder: text: line 3: has a column twice" + fix);
    CHECK(refusal(header + "category,a,x\n") == "accepted");
}
