// SPDX-License-Identifier: MIT
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

/// What is wrong with a web page that should be well-formed XML as well, "" if nothing is: every tag is
/// closed in its turn, attributes are quoted and named once, & starts one of four entities, ids are unique.
inline std::string malformed(std::string_view page) {
    std::vector<std::string> open;
    std::set<std::string> ids;
    const auto stop = [&](const std::string& what, std::size_t at) {
        return what + " at: " + std::string(page.substr(at, 60));
    };
    const auto bad_text = [](std::string_view text) {
        if (text.find('<') != text.npos) return true;
        for (std::size_t at = text.find('&'); at != text.npos; at = text.find('&', at + 1)) {
            const std::string_view rest = text.substr(at);
            if (!rest.starts_with("&amp;") && !rest.starts_with("&lt;") && !rest.starts_with("&gt;") &&
                !rest.starts_with("&quot;"))
                return true;
        }
        for (const char c : text)
            if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r') return true;
        return false;
    };
    std::size_t at = 0;
    if (!page.starts_with("<!DOCTYPE html>\n")) return "no document type";
    at = page.find('\n') + 1;
    while (at < page.size()) {
        if (page[at] != '<') {
            const std::size_t end = std::min(page.find('<', at), page.size());
            if (bad_text(page.substr(at, end - at))) return stop("bad text", at);
            if (open.empty() && page.substr(at, end - at) != "\n") return stop("text outside", at);
            at = end;
            continue;
        }
        const std::size_t begin = at;
        const bool closing = page[++at] == '/';
        at += closing;
        const std::size_t name_end = page.find_first_of(" />\n", at);
        if (name_end == page.npos) return stop("no end of a tag", begin);
        const std::string name(page.substr(at, name_end - at));
        if (name.empty()) return stop("no name", begin);
        at = name_end;
        if (closing) {
            if (open.empty() || open.back() != name) return stop("closes what is not open", begin);
            if (page[at++] != '>') return stop("no > of a closing tag", begin);
            open.pop_back();
            continue;
        }
        std::set<std::string> names;
        while (page[at] == ' ' || page[at] == '\n') {
            const std::size_t equals = page.find("=\"", ++at);
            if (equals == page.npos) return stop("no value of an attribute", begin);
            const std::string attribute(page.substr(at, equals - at));
            if (attribute.find_first_of(" <>\"'/&") != attribute.npos || !names.insert(attribute).second)
                return stop("bad attribute", begin);
            const std::size_t quote = page.find('"', equals + 2);
            if (quote == page.npos) return stop("no closing quote", begin);
            const std::string_view value = page.substr(equals + 2, quote - equals - 2);
            if (bad_text(value)) return stop("bad value", begin);
            if (attribute == "id" && !ids.insert(std::string(value)).second) return stop("id twice", begin);
            at = quote + 1;
            if (at >= page.size()) return stop("no end of a tag", begin);
        }
        const bool empty = page[at] == '/';
        at += empty;
        if (at >= page.size() || page[at++] != '>') return stop("no > of a tag", begin);
        if (!empty) open.push_back(name);
        if (name == "style") at = std::min(page.find("</style>", at), page.size());
    }
    return open.empty() ? "" : "not closed: " + open.back();
}
