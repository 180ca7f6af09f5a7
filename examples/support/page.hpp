// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradus/core/write_file.hpp>

#include "style.hpp"
#include "svg.hpp"

/// One series of a legend; the shape tells it apart where colors do not.
struct Series {
    std::string name;
    std::string color;
    int shape = -1;  // of its marker; -1: a line
    std::string dash = {};
};

/// A formula in plain text: v_t and x^2 are set lower and higher (braces hold longer ones: v_{t−1}), and
/// single letters in italics.
inline std::string math(std::string_view text) {
    std::string result;
    std::vector<const char*> closing;
    const auto is_letter = [&](std::size_t i) {
        return i < text.size() && std::isalpha(static_cast<unsigned char>(text[i])) != 0;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '_' || text[i] == '^') {
            const bool lower = text[i] == '_';
            result += lower ? "<sub>" : "<sup>";
            const char* const end = lower ? "</sub>" : "</sup>";
            if (i + 1 < text.size() && text[i + 1] == '{') {
                closing.push_back(end);
                ++i;
            } else {  // one character, however many bytes
                std::size_t last = i + 1;
                while (last + 1 < text.size() && (text[last + 1] & 0xC0) == 0x80) ++last;
                result += math(text.substr(i + 1, last - i)) + end;
                i = last;
            }
        } else if (text[i] == '}' && !closing.empty()) {
            result += closing.back();
            closing.pop_back();
        } else if (is_letter(i) && !is_letter(i + 1) && (i == 0 || !is_letter(i - 1))) {
            result += "<i>" + std::string(1, text[i]) + "</i>";
        } else {
            result += svg::escape(text.substr(i, 1));
        }
    }
    return result;
}

/// Lines of formulas, which may break where there are three spaces.
inline std::string formulas(std::string_view text) {
    std::string result = "<p class=\"formula\">";
    while (!text.empty()) {
        const std::size_t line = text.find('\n'), gap = text.find("   "), end = std::min(line, gap);
        result +=
            "<span>" + math(text.substr(0, end)) + "</span> " + (end == line && line != gap ? "<br>" : "");
        text.remove_prefix(end == std::string_view::npos ? text.size() : end == line ? end + 1 : end + 3);
    }
    return result + "</p>\n";
}

inline std::string legend(const std::vector<Series>& series) {
    std::string items;
    for (const Series& s : series) {
        const std::string shape = s.shape >= 0 ? "<g class=\"mark\" transform=\"translate(12 7)\">" +
                                                     svg::marker(s.shape, 5) + "</g>"
                                               : "";
        items += "<li><svg class=\"c-" + s.color + "\" viewBox=\"0 0 24 14\" aria-hidden=\"true\">" +
                 svg::segment({1, 7}, {23, 7}, {s.color, 2.5, s.dash}) + shape + "</svg>" +
                 svg::escape(s.name) + "</li>";
    }
    return "<ul class=\"legend\">" + items + "</ul>\n";
}

/// A table whose first column names the row; a cell may have a small second line after '\n'.
inline std::string table(const std::vector<std::string>& head,
                         const std::vector<std::vector<std::string>>& rows,
                         const std::vector<std::string>& colors = {}) {
    std::string text = "<table><thead><tr>";
    for (const std::string& cell : head) text += "<th scope=\"col\">" + svg::escape(cell) + "</th>";
    text += "</tr></thead><tbody>";
    for (std::size_t r = 0; r < rows.size(); ++r) {
        text += "<tr>";
        for (std::size_t c = 0; c < rows[r].size(); ++c) {
            const std::string& cell = rows[r][c];
            const std::size_t cut = cell.find('\n');
            const std::string words =
                svg::escape(cell.substr(0, cut)) +
                (cut == std::string::npos ? "" : "<small>" + svg::escape(cell.substr(cut + 1)) + "</small>");
            text += c > 0 ? "<td>" + words + "</td>"
                          : "<th scope=\"row\">" +
                                (r < colors.size() ? "<b class=\"swatch c-" + colors[r] + "\"></b>" : "") +
                                words + "</th>";
        }
        text += "</tr>";
    }
    return "<div class=\"table\">" + text + "</tbody></table></div>\n";
}

/// Drawings side by side where the page is wide enough, below one another where it is not.
inline std::string grid(const std::vector<std::string>& drawings, const std::string& name = "two") {
    std::string text;
    for (const std::string& drawing : drawings) text += "<div>" + drawing + "</div>";
    return "<div class=\"grid " + name + "\">" + text + "</div>\n";
}

/// One drawing over the whole width, made twice: `draw(width)` for desktops and for phones.
template <class Draw>
std::string across(const Draw& draw) {
    return "<div class=\"wide\">" + draw(900.0) + "</div><div class=\"narrow\">" + draw(400.0) + "</div>\n";
}

/// A web page of numbered sections in one file that needs no other.
class Page {
public:
    Page(std::string title, std::string introduction)
        : title_(std::move(title)), introduction_(std::move(introduction)) {}

    void section(const std::string& title, const std::string& text, const std::string& formula) {
        if (sections_++ > 0) body_ += "</section>\n";
        const std::string n = std::to_string(sections_);
        body_ += "<section id=\"s" + n + "\"><h2><span>" + n + "</span>" + svg::escape(title) + "</h2>\n<p>" +
                 svg::escape(text) + "</p>\n" + formulas(formula);
        contents_ += "<li><a href=\"#s" + n + "\">" + svg::escape(title) + "</a></li>";
    }

    void figure(const std::string& content, const std::string& caption, const std::string& name = "") {
        body_ += "<figure" + (name.empty() ? "" : " class=\"" + name + "\"") + ">" + content +
                 "<figcaption>" + svg::escape(caption) + "</figcaption></figure>\n";
    }

    /// Replaces the file as a whole. Throws IoError naming the path and the reason.
    void write(const std::string& path, const std::string& footer) const {
        const std::string html =
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>" +
            svg::escape(title_) +
            "</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta name=\"color-scheme\" content=\"light dark\">\n<style>" +
            std::string(page_style) + "</style></head>\n<body><header><h1>" + svg::escape(title_) +
            "</h1><p>" + svg::escape(introduction_) + "</p></header>\n<nav aria-label=\"Contents\"><ol>" +
            contents_ + "</ol></nav>\n<main>" + body_ + "</section></main>\n<footer><p>" +
            svg::escape(footer) + "</p></footer>\n<script>" + std::string(page_script) +
            "</script></body></html>\n";
        gradus::write_file(path, html, {.operation = "page"});
    }

private:
    std::string title_, introduction_, contents_, body_;
    int sections_ = 0;
};
