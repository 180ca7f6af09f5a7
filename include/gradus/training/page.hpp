// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "gradus/training/svg.hpp"

/// Web pages in one file each, which need no other: written as strings, in light and dark, for desktops and
/// phones.
namespace gradus::training::page {

using svg::escape, svg::text_of;

/// Colors, type and layout. The palette follows Okabe & Ito, "Color universal design", 2008, with lightness
/// changed for contrast on light and on dark paper.
inline constexpr const char* style = R"(
:root{--paper:#fcfbf8;--ink:#1c2330;--soft:#5d6675;--rule:#dfddd6;--faint:#f1efe9;
--gray:#4b5363;--blue:#00528f;--sky:#2b93cf;--green:#00876a;--orange:#cc4a00;--purple:#94468a;
--right:0 82 143;--wrong:204 74 0}
@media(prefers-color-scheme:dark){:root{--paper:#14181f;--ink:#e6e8ec;--soft:#9aa3b2;--rule:#303743;--faint:#1b212a;
--gray:#c3c9d4;--blue:#4d9be6;--sky:#a3dcff;--green:#2bbf98;--orange:#ff8a3d;--purple:#c58abb;
--right:77 155 230;--wrong:255 138 61}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);
font:1.0625rem/1.6 Charter,"Bitstream Charter","Iowan Old Style",Georgia,"Liberation Serif",serif}
header,nav,main,footer{max-width:964px;margin:0 auto;padding:0 32px}
header{padding-top:72px}
h1{font-size:clamp(2.1rem,6vw,3.3rem);line-height:1.1;font-weight:600;letter-spacing:-.015em;margin:0 0 .5em;overflow-wrap:anywhere}
header p{font-size:1.2rem;max-width:38em;margin:0}
section{padding-top:64px}
h2{font-size:1.75rem;line-height:1.2;font-weight:600;letter-spacing:-.01em;margin:0 0 .5em}
h3{font-size:1.1rem;font-weight:600;margin:0 0 8px;line-height:1.3}h3 small{font-weight:400;font-size:.86em;color:var(--soft);display:block}
section>p{max-width:41em;margin:.6em 0}
figure{margin:30px 0 0}
figcaption{font-size:.94rem;line-height:1.5;color:var(--soft);max-width:44em;margin-top:10px}
svg{display:block;overflow:visible}
.plot{width:100%;height:auto;font-family:system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.plot text{font-size:12px;fill:var(--soft);stroke:none}
.plot .note{font-size:12px;fill:currentColor;paint-order:stroke;stroke:var(--paper);stroke-width:4px;stroke-linejoin:round}
.mini text{font-size:10px}
.inside{overflow:hidden}
.narrow{display:none}
.grid{display:grid;gap:28px 32px;grid-template-columns:1fr 1fr}
.grid>div{min-width:0}
.three{grid-template-columns:1fr 1fr 1fr}
path{stroke:currentColor;stroke-linejoin:round;fill-rule:evenodd}
.plot path.grid{fill:none;stroke:var(--rule);stroke-width:1}
.plot path.axis{fill:none;stroke:var(--soft);stroke-width:1}
.fill{fill:currentColor;stroke:none}
.mark *{fill:currentColor;stroke:var(--paper);stroke-width:1}
.c-ink{color:var(--ink)}.c-soft{color:var(--soft)}.c-rule{color:var(--rule)}
.c-gray{color:var(--gray)}.c-blue{color:var(--blue)}.c-sky{color:var(--sky)}
.c-green{color:var(--green)}.c-orange{color:var(--orange)}.c-purple{color:var(--purple)}
.legend{display:flex;flex-wrap:wrap;gap:4px 22px;list-style:none;margin:0 0 12px;padding:0;
font:.92rem/1.6 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.legend li{color:var(--ink);display:flex;align-items:center;gap:8px;overflow-wrap:anywhere}
.legend li svg{width:24px;height:14px;flex:none}
.table{margin-top:22px;overflow-x:auto}
table{border-collapse:collapse;width:100%;font:.92rem/1.4 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:7px 0 7px 14px;border-bottom:1px solid var(--rule);font-weight:400;vertical-align:top}
th:first-child{text-align:left;padding-left:0;white-space:nowrap}
thead th{color:var(--soft);vertical-align:bottom}
td small{display:block;color:var(--soft);font-size:.85em}
.swatch{display:inline-block;width:.7em;height:.7em;border-radius:50%;background:currentColor;margin-right:.55em}
footer{padding-top:56px;padding-bottom:56px;color:var(--soft);font-size:.94rem}
footer p{border-top:1px solid var(--rule);padding-top:18px;margin:0}
@media(max-width:640px){
header,nav,main,footer{padding-left:16px;padding-right:16px}
header{padding-top:40px}
header p{font-size:1.1rem}
section{padding-top:52px}
h2{font-size:1.5rem}
.wide{display:none}.narrow{display:block}
.grid{grid-template-columns:1fr}
.three{grid-template-columns:1fr 1fr;gap:20px 12px}
.plot text,.plot .note{font-size:13px}
.mini text{font-size:12.5px}
th,td{padding-left:6px}
table{font-size:.8rem}
}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
)";

/// One series of a legend; the shape tells it apart where colors do not.
struct Series {
    std::string name;
    std::string color;
    int shape = -1;  // of its marker; -1: a line
    std::string dash = {};
};

[[gnu::cold]] inline std::string legend(const std::vector<Series>& series) {
    std::string items;
    for (const Series& s : series) {
        std::string shape;
        if (s.shape >= 0)
            shape = text_of(
                {"<g class=\"mark\" transform=\"translate(12 7)\">", svg::marker(s.shape, 5), "</g>"});
        items += text_of({"<li><svg class=\"c-", s.color, "\" viewBox=\"0 0 24 14\" aria-hidden=\"true\">",
                          svg::segment({1, 7}, {23, 7}, {s.color, 2.5, s.dash}), shape, "</svg>",
                          escape(s.name), "</li>"});
    }
    return text_of({"<ul class=\"legend\">", items, "</ul>\n"});
}

/// A table whose first column names the row; a cell may have a small second line after '\n'.
[[gnu::cold]] inline std::string table(const std::vector<std::string>& head,
                                       const std::vector<std::vector<std::string>>& rows,
                                       const std::vector<std::string>& colors = {}) {
    std::string text = "<div class=\"table\"><table><thead><tr>";
    for (const std::string& cell : head) text += text_of({"<th scope=\"col\">", escape(cell), "</th>"});
    text += "</tr></thead><tbody>";
    for (std::size_t r = 0; r < rows.size(); ++r) {
        text += "<tr>";
        for (std::size_t c = 0; c < rows[r].size(); ++c) {
            const std::string_view cell = rows[r][c];
            const std::size_t cut = cell.find('\n');
            text += c > 0 ? "<td>" : "<th scope=\"row\">";
            if (c == 0 && r < colors.size()) text += text_of({"<b class=\"swatch c-", colors[r], "\"></b>"});
            text += escape(cell.substr(0, cut));
            if (cut != std::string::npos)
                text += text_of({"<small>", escape(cell.substr(cut + 1)), "</small>"});
            text += c > 0 ? "</td>" : "</th>";
        }
        text += "</tr>";
    }
    return text + "</tbody></table></div>\n";
}

/// Drawings side by side where the page is wide enough, below one another where it is not.
[[gnu::cold]] inline std::string grid(const std::vector<std::string>& drawings,
                                      std::string_view name = "two") {
    std::string text;
    for (const std::string& drawing : drawings) text += text_of({"<div>", drawing, "</div>"});
    return text_of({"<div class=\"grid ", name, "\">", text, "</div>\n"});
}

/// One drawing over the whole width, made twice: `draw(width)` for desktops and for phones.
template <class Draw>
std::string across(const Draw& draw) {
    return text_of(
        {"<div class=\"wide\">", draw(900.0), "</div><div class=\"narrow\">", draw(400.0), "</div>\n"});
}

struct DocumentOptions {
    std::string_view more_style = {};  // follows `style`
    std::string_view script = {};
};

/// The file: its title is text, its body is between <body> and </body>.
[[gnu::cold]] inline std::string document(std::string_view title, std::string_view body,
                                          const DocumentOptions& options = {}) {
    const bool script = !options.script.empty();
    return text_of({"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n<title>",
                    escape(title),
                    "</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                    "<meta name=\"color-scheme\" content=\"light dark\"/>\n<style>",
                    style, options.more_style, "</style></head>\n<body>", body, script ? "<script>" : "",
                    options.script, script ? "</script>" : "", "</body></html>\n"});
}

}  // namespace gradus::training::page
