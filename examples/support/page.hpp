// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gradus/core/write_file.hpp>
#include <gradus/training/page.hpp>
#include <gradus/training/plot.hpp>

#include "style.hpp"

namespace svg = gradus::training::svg;
using gradus::training::page::across, gradus::training::page::grid, gradus::training::page::legend,
    gradus::training::page::Series, gradus::training::page::table;

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
            const std::size_t size = std::max<std::size_t>(svg::character_length(text.substr(i)), 1);
            result += svg::escape(text.substr(i, size));
            i += size - 1;
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
            "<span>" + math(text.substr(0, end)) + "</span> " + (end == line && line != gap ? "<br/>" : "");
        text.remove_prefix(end == std::string_view::npos ? text.size() : end == line ? end + 1 : end + 3);
    }
    return result + "</p>\n";
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
        const std::string body =
            "<header><h1>" + svg::escape(title_) + "</h1><p>" + svg::escape(introduction_) +
            "</p></header>\n<nav aria-label=\"Contents\"><ol>" + contents_ + "</ol></nav>\n<main>" + body_ +
            "</section></main>\n<footer><p>" + svg::escape(footer) + "</p></footer>\n";
        const std::string html = gradus::training::page::document(title_, body, {book_style, book_script});
        gradus::write_file(path, html, {.operation = "page"});
    }

private:
    std::string title_, introduction_, contents_, body_;
    int sections_ = 0;
};
