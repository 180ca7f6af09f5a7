// SPDX-License-Identifier: MIT
#include "gradus/data/csv.hpp"

#include <cmath>

#include "files.hpp"
#include "support/test.hpp"

using namespace gradus;
using data::ColumnType;
using data::CsvOptions;
using data::Missing;
using data::read_csv;
using data::Table;

namespace {

Table table_of(const std::string& text, const CsvOptions& options = {}) {
    const TemporaryFolder folder;
    return read_csv(folder.write("file.csv", text), options);
}

/// The text of the IoError, without its beginning "read_csv: PATH: ".
std::string refusal_of(const std::string& text, const CsvOptions& options = {}) {
    const TemporaryFolder folder;
    const std::string path = folder.write("file.csv", text);
    try {
        read_csv(path, options);
    } catch (const IoError& error) {
        const std::string message = error.what(), start = "read_csv: " + path + ": ";
        REQUIRE(message.substr(0, start.size()) == start);
        return message.substr(start.size());
    }
    return "accepted";
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("read_csv makes columns of numbers and of categories") {
    const Table table = table_of("weight,origin,mpg\n3504,USA,18\n2372,Japan,24.5\n2130,USA,-27e-1\n");
    REQUIRE(table.rows() == 3);
    REQUIRE(table.columns().size() == 3);
    CHECK(table["weight"].type == ColumnType::number);
    CHECK(table["weight"].numbers == Tensor<double>{3504, 2372, 2130});
    CHECK(table["mpg"].numbers == Tensor<double>{18, 24.5, -2.7});
    CHECK(table["origin"].type == ColumnType::category);
    CHECK(table["origin"].categories == Texts{"Japan", "USA"});  // sorted, whatever comes first
    CHECK(table["origin"].codes == Tensor<Index>{1, 0, 1});
    CHECK(table.numbers("mpg") == Tensor<>{18, 24.5f, -2.7f});
    CHECK(table.labels("origin") == Tensor<Index>{1, 0, 1});
    CHECK(table.contains("mpg"));
    CHECK_FALSE(table.contains("MPG"));
}

TEST_CASE("read_csv takes what RFC 4180 allows") {
    const Table quoted = table_of("\"a\",\"b \"\"c\"\"\"\r\n\"1\",\"x,\ny\"\r\n2,\"\"\"\"\r\n3,\"x,\ny\"");
    CHECK(quoted.columns()[1].name == "b \"c\"");
    CHECK(quoted["a"].numbers == Tensor<double>{1, 2, 3});
    CHECK(quoted["b \"c\""].categories == Texts{"\"", "x,\ny"});
    CHECK(quoted["b \"c\""].codes == Tensor<Index>{1, 0, 1});
    CHECK(table_of("\xef\xbb\xbf"
                   "a,b\n1,2\n")["a"]
              .numbers == Tensor<double>{1});
    CHECK(table_of("a,b\n1,2\n\n\r\n\n").rows() == 1);  // empty lines at the end
    CHECK(table_of("a,b").rows() == 0);
    CHECK(table_of("a,b\n").columns().size() == 2);
    CHECK(table_of("a\n1\n2").rows() == 2);
    CHECK(table_of(",x\n1,2\n", {.types = {{"", data::ColumnType::number}}})[""].numbers ==
          Tensor<double>{1});  // R's row names
    CHECK(table_of("straße,日本\n1,2\n").contains("日本"));
}

TEST_CASE("read_csv takes other separators, no header and spaces as the options say") {
    const Table table =
        table_of("1; 2 ;\" x \"\n3;\t4; y", {.separator = ';', .header = false, .trim = true});
    CHECK(table["1"].numbers == Tensor<double>{1, 3});
    CHECK(table["2"].numbers == Tensor<double>{2, 4});
    CHECK(table["3"].categories == Texts{" x ", "y"});
    const Table named = table_of("1\t2\n", {.separator = '\t', .header = false, .names = {"a", "b"}});
    CHECK(named["b"].numbers == Tensor<double>{2});
    CHECK(table_of("a, b\n1, \"2\"\n", {.trim = true})["b"].numbers == Tensor<double>{2});
}

TEST_CASE("the first value decides the type of a column, or the options do") {
    const Table first = table_of("zip,code\nA1,7\n12,8\n");
    CHECK(first["zip"].categories == Texts{"12", "A1"});
    const CsvOptions text{.types = {{"code", ColumnType::category}}};
    CHECK(table_of("zip,code\n1,07\n2,8\n", text)["code"].categories == Texts{"07", "8"});
    CHECK(refusal_of("zip\n12\nA1\n") ==
          "row 2 (line 3), column 1 (zip): is no number, as those before it in the column are: got \"A1\"; "
          "if the "
          "column holds categories, set .types = {{\"zip\", data::ColumnType::category}}");
    CHECK(refusal_of("a,b\nx,1\n", {.types = {{"a", ColumnType::number}}}) ==
          "row 1 (line 2), column 1 (a): is no number, and the column is to be of numbers: got \"x\"");
    CHECK(refusal_of("a,b\n1,2\n", {.types = {{"c", ColumnType::number}}}) ==
          "no column \"c\"; there are: a, b");
}

TEST_CASE("read_csv refuses missing values, or keeps them") {
    CHECK(
        refusal_of("a,b\n1,2\n3,\n") ==
        "row 2 (line 3), column 2 (b): has no value; set .missing = data::Missing::keep to read such files");
    CHECK(refusal_of("a,b\nNA,2\n") ==
          "row 1 (line 2), column 1 (a): has no value: got \"NA\"; set .missing = "
          "data::Missing::keep to read such files");
    const CsvOptions keep{.missing = Missing::keep};
    const Table table = table_of("a,b,c\nNA,,\n1,x,\"\"\n?,NA,\n3,\"NA\",nan\n", keep);
    CHECK(std::isnan(table["a"].numbers(0)));
    CHECK(table["a"].numbers(3) == 3);
    CHECK(table["a"].count_missing() == 2);
    CHECK(table["b"].categories == Texts{"NA", "x"});  // in quotes it is a word
    CHECK(table["b"].codes == Tensor<Index>{-1, 1, -1, 0});
    CHECK(table["c"].type == ColumnType::number);  // nothing tells
    CHECK(table["c"].count_missing() == 4);
    CHECK(table.without_missing().rows() == 0);
    const Table whole = table_of("a,b\n1,x\n,y\n3,\n4,x\n", keep).without_missing();
    CHECK(whole["a"].numbers == Tensor<double>{1, 4});
    CHECK(whole["b"].codes == Tensor<Index>{0, 0});
    const CsvOptions sentinel{.missing = Missing::keep, .missing_words = {"-999", "none"}};
    const Table marked = table_of("a,b\n-999,NA\n5,none\n", sentinel);
    CHECK(marked["a"].count_missing() == 1);
    CHECK(marked["b"].categories == Texts{"NA"});
    CHECK_THROWS_MATCHES(
        table.numbers("a"), ValueError,
        Message("table: row 1: column \"a\" has no value there; without_missing() leaves such rows out"));
}

TEST_CASE("read_csv refuses ragged rows with their number and line") {
    CHECK(refusal_of("a,b\n1,2\n3\n") == "row 2 (line 3) has 1 cell, and there are 2 columns");
    CHECK(refusal_of("a,b,c\n1,2\n") == "row 1 (line 2) has 2 cells, and there are 3 columns");
    CHECK(refusal_of("a,b\n1,\"x\ny\"\n3,4,5\n") ==
          "row 2 (line 4) has more than 2 cells, and there are 2 columns");
    CHECK(refusal_of("a,b\n1,2,\n") == "row 1 (line 2) has more than 2 cells, and there are 2 columns");
    CHECK(refusal_of("a,b\n1,2\n\n3,4\n") == "line 3 is empty, and rows follow it");
    CHECK(refusal_of("1,2\n3\n", {.header = false}) == "row 2 (line 2) has 1 cell, and there are 2 columns");
}

TEST_CASE("read_csv refuses numbers that are no finite ones") {
    const auto with = [](const std::string& cell) { return refusal_of("a,b\n1,2\n3," + cell + "\n"); };
    const std::string place = "row 2 (line 3), column 2 (b): ";
    CHECK(with("1e400") == place + "is too large a number: got \"1e400\"");
    CHECK(with("-1e400") == place + "is too large a number: got \"-1e400\"");
    CHECK(with("1e-400") == "accepted");  // 0, the nearest number
    const std::string word = "; if it stands for a missing value, add it to .missing_words";
    CHECK(with("inf") == place + "is no finite number: got \"inf\"" + word);
    CHECK(with("-Infinity") == place + "is no finite number: got \"-Infinity\"" + word);
    CHECK(with("NAN") == place + "is no finite number: got \"NAN\"" + word);
    CHECK(refusal_of("a\ninf\n") == "row 1 (line 2), column 1 (a): is no finite number: got \"inf\"" + word);
    CHECK(refusal_of("a\n1e400\n") == "row 1 (line 2), column 1 (a): is too large a number: got \"1e400\"");
    CHECK(with(" 4") == place + "has spaces around a number: got \" 4\"; set .trim = true");
    // Nor does such a first value make a column of categories.
    CHECK(refusal_of("a,b\n1, 2\n3, 4\n") ==
          "row 1 (line 2), column 2 (b): has spaces around a number: got \" 2\"; set .trim = true");
    CHECK(refusal_of("a,b\n1,2 \n", {.trim = true}) == "accepted");
    CHECK(refusal_of("a,b\n1,\" 2\"\n") == "accepted");
    CHECK(refusal_of("a,b\n1, 2\n", {.types = {{"b", data::ColumnType::category}}}) == "accepted");
    CHECK_THAT(with("0x1F"), ContainsSubstring("is no number"));
    CHECK_THAT(with("1.5.2"), ContainsSubstring("is no number"));
    CHECK_THAT(with("\"1,5\""), ContainsSubstring("is no number"));  // a decimal comma
    CHECK_THAT(with(std::string(100, 'x')), ContainsSubstring("got \"" + std::string(40, 'x') + "...\""));
}

TEST_CASE("read_csv refuses what is no CSV") {
    const std::string stray =
        "has a quote inside a cell that does not begin with one; write \"a \"\"word\"\"\"";
    CHECK(refusal_of("") == "is empty; was it written whole?");
    CHECK(refusal_of("\xef\xbb\xbf") == "is empty; was it written whole?");
    CHECK(refusal_of("a,b\n1,x\"y\"\n") == "line 2: " + stray);
    CHECK(refusal_of("a,b\n1,\"x\"y\n") ==
          "line 2: text follows a quoted cell; write \"a \"\"word\"\"\" to have quotes in one");
    CHECK(refusal_of("a,b\n1,\"x\n\n") == "line 2: a quoted cell begins there and does not end");
    CHECK(refusal_of("a,b\n1,\"x\ny\"z\n") ==
          "line 3: text follows a quoted cell; write \"a \"\"word\"\"\" to have quotes in one");
    CHECK(refusal_of("a,b\r1,2\r") ==
          "line 1: has a carriage return without a line feed; save it with line ends of Unix or DOS");
    CHECK(refusal_of(std::string("a,b\n1,\0\n", 8)) == "line 2: has a zero byte; is it a text file?");
    CHECK(refusal_of(std::string("a,b\n1,\"\0\"\n", 10)) == "line 2: has a zero byte; is it a text file?");
    CHECK(refusal_of(std::string("\xff\xfe"
                                 "a\0",
                                 4)) == "is UTF-16; save it as UTF-8");
    // A file without a header, whose first row would be lost.
    CHECK(refusal_of("5,0,0\n4,1,0\n") ==
          "the header is all numbers, from \"5\" on; if that is the first row, set .header = false; if these "
          "are "
          "names, give the type of one in .types");
    CHECK(refusal_of("5,0,0\n4,1,0\n", {.header = false}) == "accepted");
    CHECK(refusal_of("2019,2020\n4,1\n", {.types = {{"2020", data::ColumnType::number}}}) == "accepted");
    CHECK(refusal_of("city,2020\nRome,1\n") == "accepted");
    CHECK(refusal_of(",a,b\n0,1,2\n") ==
          "column 1 has no name, as where row numbers were saved: leave them out (pandas: index=False), or "
          "give it a "
          "name in the header");
    CHECK(refusal_of("a,b, \n1,2,3\n") == "column 3 has no name; give it one in the header");
    CHECK(refusal_of("a,b,a\n1,2,3\n") == "two columns are called \"a\"");
    CHECK(refusal_of("a;b\n1;2\n") == "the header is one column, \"a;b\"; set .separator = ';'");
    CHECK(refusal_of("a\tb\n1\t2\n") == "the header is one column, \"a b\"; set .separator = '\\t'");
    CHECK(refusal_of("stra\xdf"
                     "e\n1\n") == "the header is no UTF-8 text: byte df in column 1; save the file as UTF-8");
    CHECK(refusal_of("a\nM\xfcller\n") ==
          "row 1 (line 2), column 1 (a): is no UTF-8 text: got byte fc; save the file as UTF-8");
    CHECK_THAT(refusal_of("a\n\xed\xa0\x80\n"), ContainsSubstring("is no UTF-8 text"));  // half of a pair
    CHECK(refusal_of("1,2\n", {.header = false, .names = {"a"}}) == "has 2 columns, and 1 names were given");
    CHECK(refusal_of("a\n1\n", {.max_bytes = 3}) ==
          "holds more than 3 bytes; if that is right, raise CsvOptions::max_bytes");
    CHECK(refusal_of("a\n1\n", {.max_bytes = 4}) == "accepted");
    CHECK_THROWS_MATCHES(
        read_csv("/dev/null", {}), IoError,
        Message("read_csv: /dev/null: is a pipe, socket or device; copy what it holds into a "
                "file first"));
    CHECK_THROWS_MATCHES(table_of("a\n", {.separator = '"'}), ValueError,
                         Message("read_csv: the separator cannot be a quote or the end of a line"));
    CHECK_THROWS_MATCHES(table_of("a\n", {.names = {"a"}}), ValueError,
                         Message("read_csv: names are for files without a header: set .header = false"));
}

TEST_CASE("a line of ten megabytes is read, and named where it is wrong") {
    const std::string long_cell(10 << 20, 'x');
    CHECK(table_of("a,b\n1," + long_cell + "\n")["b"].categories[0].size() == 10 << 20);
    CHECK(table_of("a,b\n1,\"" + long_cell + "\"\n")["b"].categories[0].size() == 10 << 20);
    CHECK_THAT(refusal_of("a,b\n1,2\n1," + long_cell + "\n"),
               ContainsSubstring("row 2 (line 3), column 2 (b): is no number"));
    std::string wide = "0";
    for (int i = 1; i < 20000; ++i) wide += "," + std::to_string(i);
    CHECK(table_of("x" + wide + "\n" + wide + "\n").columns().size() == 20000);
}

TEST_CASE("no file cut short or with a byte changed makes read_csv do worse than refuse") {
    const std::string good = "a,\"b\"\r\n1,\"x \"\"y\"\"\"\r\n-2.5e1,NA\n";
    for (std::size_t size = 0; size <= good.size(); ++size) refusal_of(good.substr(0, size));
    for (std::size_t at = 0; at < good.size(); ++at)
        for (const char byte : {'\0', '\n', '\r', '"', ',', '\xff', 'e'}) {
            std::string changed = good;
            changed[at] = byte;
            refusal_of(changed, {.missing = Missing::keep, .trim = true});
        }
}

#ifdef GRADUS_WITH_ZLIB
TEST_CASE("read_csv unpacks gzip, within its limit") {
    CHECK(table_of(gzip("a,b\n1,2\n"))["b"].numbers == Tensor<double>{2});
    CHECK(refusal_of(gzip("a\n" + std::string(std::size_t{8} << 20, '1')), {.max_bytes = 1000}) ==
          "holds more than 1000 bytes; if that is right, raise CsvOptions::max_bytes");
    CHECK(refusal_of(gzip("a,b\n1,2\n").substr(0, 20)) ==
          "the gzip stream is cut short; copy or download the file again");
}
#endif
