// SPDX-License-Identifier: MIT
#pragma once

#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "gradus/core/error.hpp"
#include "gradus/core/shape.hpp"

namespace gradus::data::detail {

using gradus::detail::text_of, gradus::detail::TextPart;

/// The cells of a text, one after the other, as RFC 4180 has them.
class CsvCells {
public:
    CsvCells(const char* operation, const std::string& path, std::string_view text, char separator, bool trim)
        : operation_(operation),
          path_(path),
          at_(text.data()),
          end_(at_ + text.size()),
          separator_(separator),
          trim_(trim) {
        for (const char c : {separator_, '\n', '\r', '"', '\0'})
            special_[static_cast<unsigned char>(c)] = true;
        if (text.starts_with("\xef\xbb\xbf")) at_ += 3;  // a byte order mark
        if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
            fail_file({"is UTF-16; save it as UTF-8"});
    }

    bool done() const { return at_ == end_; }      // to be asked at the beginning of a row
    bool row_ended() const { return row_ended_; }  // with the last cell
    bool quoted() const { return quoted_; }        // was the last cell
    Index line() const { return line_; }           // on which the current row begins, from 1

    /// The next cell; valid until the one after it is asked for.
    std::string_view next() {
        if (row_ended_) line_ += lines_, lines_ = 0, row_ended_ = false;
        quoted_ = at_ != end_ && *at_ == '"';
        if (quoted_) return next_quoted();
        const char* const begin = at_;
        for (; at_ != end_; ++at_) {
            if (!special_[static_cast<unsigned char>(*at_)]) [[likely]]
                continue;
            if (*at_ == separator_ || *at_ == '\n') break;
            if (*at_ == '\r' && at_ + 1 != end_ && at_[1] == '\n') break;
            if (*at_ == '"' && trim_ && trimmed({begin, at_}).empty()) {
                quoted_ = true;
                return next_quoted();
            }
            refuse_byte(*at_);
        }
        std::string_view cell(begin, static_cast<std::size_t>(at_ - begin));
        end_cell();
        return trim_ ? trimmed(cell) : cell;
    }

    /// The cells of the next row; not if done().
    [[gnu::cold]] std::vector<std::string> next_row() {
        std::vector<std::string> row;
        do row.emplace_back(next());
        while (!row_ended_);
        return row;
    }

    [[noreturn, gnu::cold]] void fail_file(std::initializer_list<TextPart> problem) const {
        gradus::detail::raise<IoError>({operation_, ": ", path_, ": ", text_of(problem)});
    }

    /// Without the spaces and tabs around it.
    static std::string_view trimmed(std::string_view cell) {
        const std::size_t first = cell.find_first_not_of(" \t");
        return first == npos ? std::string_view()
                             : cell.substr(first, cell.find_last_not_of(" \t") + 1 - first);
    }

private:
    static constexpr std::size_t npos = std::string_view::npos;

    std::string_view next_quoted() {
        unquoted_.clear();
        const char* begin = ++at_;
        for (;;) {
            const void* found = std::memchr(at_, '"', static_cast<std::size_t>(end_ - at_));
            if (!found) fail_line({"a quoted cell begins there and does not end"});
            const char* const quote = static_cast<const char*>(found);
            for (; at_ != quote; ++at_) {
                if (*at_ == '\n') ++lines_;
                if (*at_ == '\0') refuse_byte('\0');
            }
            ++at_;
            if (at_ == end_ || *at_ != '"') {
                std::string_view cell(begin, static_cast<std::size_t>(quote - begin));
                if (!unquoted_.empty()) cell = unquoted_.append(cell);
                while (trim_ && at_ != end_ && (*at_ == ' ' || *at_ == '\t')) ++at_;
                end_cell();
                return cell;
            }
            unquoted_.append(begin, at_);  // with one of the two quotes
            begin = ++at_;
        }
    }

    /// Past what ends a cell: a separator, the end of the line or of the text.
    void end_cell() {
        if (at_ != end_ && *at_ == separator_) {
            ++at_;
            // A separator at the very end is followed by one more, empty cell.
            return;
        }
        row_ended_ = true;
        if (at_ != end_) {
            if (*at_ == '\r' && at_ + 1 != end_ && at_[1] == '\n') ++at_;
            if (*at_ != '\n')
                fail_line({"text follows a quoted cell; write \"a \"\"word\"\"\" to have quotes in one"});
            ++at_;
        }
        ++lines_;
    }

    [[noreturn, gnu::cold]] void refuse_byte(char c) const {
        if (c == '\0') fail_line({"has a zero byte; is it a text file?"});
        if (c == '\r')
            fail_line({"has a carriage return without a line feed; save it with line ends of Unix or DOS"});
        fail_line({"has a quote inside a cell that does not begin with one; write \"a \"\"word\"\"\""});
    }
    [[noreturn, gnu::cold]] void fail_line(std::initializer_list<TextPart> problem) const {
        fail_file({"line ", line_ + lines_, ": ", text_of(problem)});
    }

    const char* operation_;
    const std::string& path_;
    const char *at_, *end_;
    char separator_;
    bool special_[256] = {};  // bytes that end a cell, or do not belong into one
    bool trim_, quoted_ = false, row_ended_ = false;
    Index line_ = 1, lines_ = 0;  // lines that ended since the row began
    std::string unquoted_;
};

}  // namespace gradus::data::detail
