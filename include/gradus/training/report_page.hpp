// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "gradus/training/report_sections.hpp"

namespace gradus::training {
namespace page {

/// What a report needs beyond the style of all pages.
inline constexpr const char* report_style = R"(
.kind{color:var(--soft);font-size:1rem;margin:0 0 .4em}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5em,1fr));gap:1px;background:var(--rule);
border:1px solid var(--rule);border-radius:8px;overflow:hidden;margin:36px 0 0}
.tiles div{background:var(--paper);padding:14px 18px}
.tiles dt{color:var(--soft);font-size:.9rem;line-height:1.35}
.tiles dd{margin:2px 0 0;font-size:1.65rem;line-height:1.25;font-variant-numeric:tabular-nums}
.tiles small{display:block;font-size:.9rem;color:var(--soft)}
.grid+.wide,.grid+.narrow{margin-top:28px}
.how{color:var(--soft)}
section>p.read{border-left:3px solid var(--orange);padding-left:1em;margin:1.4em 0 2em}
h3{margin-top:26px}.grid h3{margin-top:0}
details{margin-top:24px}summary{cursor:pointer;color:var(--soft)}
.bars{list-style:none;margin:24px 0 0;padding:0;columns:2;column-gap:32px;
font:.92rem/1.4 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums}
.bars li{display:grid;grid-template-columns:7em 1fr 4em;gap:10px;align-items:center;break-inside:avoid;padding:3px 0}
.bars span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.bars i{background:var(--faint);height:14px}.bars b{display:block;height:14px;background:var(--blue);min-width:1px}
.bars em{font-style:normal;color:var(--soft);text-align:right}
.more{color:var(--soft)}
.pictures{list-style:none;margin:24px 0 0;padding:0;display:grid;grid-template-columns:repeat(10,1fr);
gap:18px 14px;font:.8rem/1.35 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.pictures img{display:block;width:100%;max-width:128px;image-rendering:pixelated;border-radius:4px;margin-bottom:5px}
.pictures span{display:block;overflow-wrap:anywhere}
.mistakes .pictures{grid-template-columns:repeat(6,1fr)}
.right{color:var(--blue)}.wrong{color:var(--orange)}
.right::before{content:"is "}.wrong::before{content:"taken for "}
.right::before,.wrong::before{color:var(--soft)}
.confusion{width:auto;min-width:min(100%,640px);font-size:.84rem;table-layout:auto}
.confusion th,.confusion td{padding:5px;border:1px solid var(--paper);text-align:center;vertical-align:middle}
.confusion th[scope=row]{text-align:right;padding-right:10px}
.confusion td{min-width:2.6em}
.confusion thead th{vertical-align:bottom}
.confusion thead span{writing-mode:vertical-rl;transform:rotate(180deg);white-space:nowrap;max-height:11em;overflow:hidden}
.confusion .full{color:var(--paper)}
.pairs{padding-left:1.3em;margin:18px 0 0}
pre{overflow-x:auto;background:var(--faint);border-radius:6px;padding:14px 16px;
font:.86rem/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
pre.command{white-space:pre-wrap;overflow-wrap:anywhere}
.settings{display:grid;grid-template-columns:repeat(auto-fill,minmax(15em,1fr));gap:0 32px;margin:18px 0 0;
font:.92rem/1.4 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
.settings div{display:flex;justify-content:space-between;gap:14px;border-bottom:1px solid var(--rule);padding:7px 0}
.settings dt{color:var(--soft)}.settings dd{margin:0;text-align:right;overflow-wrap:anywhere}
.pair{display:grid;grid-template-columns:1fr;gap:8px 40px}
@media(max-width:640px){
.bars{columns:1}
.tiles{grid-template-columns:1fr 1fr;margin-top:28px}
.tiles div{padding:10px 14px}.tiles dd{font-size:1.35rem}
.pictures{grid-template-columns:repeat(5,1fr);gap:14px 8px;font-size:.72rem}
.mistakes .pictures{grid-template-columns:repeat(3,1fr)}
.confusion{font-size:.64rem}.confusion th,.confusion td{padding:4px 1px;min-width:0}
.confusion th[scope=row]{padding-right:5px}
.settings{grid-template-columns:1fr}
}
)";

[[gnu::cold]] inline std::string tile(std::string_view name, std::string_view value,
                                      std::string_view more = "") {
    return text_of({"<div><dt>", escape(name), "</dt><dd>", escape(value), "<small>", escape(more),
                    "</small></dd></div>"});
}

/// The few numbers to know first.
[[gnu::cold]] inline std::string tiles(const ReportData& report) {
    const std::vector<EpochRecord>& history = report.history;
    if (history.empty()) return "";
    std::string text;
    const auto best = [&](std::string_view what, const svg::Points& points, bool largest) {
        const Index at = best_of(points, largest);
        if (at < 0) return false;
        text += tile(text_of({"best ", what}), svg::readable(points[static_cast<std::size_t>(at)].y, 4),
                     text_of({"in epoch ", at + 1, " of ", history.size()}));
        return true;
    };
    if (!best(text_of({"validation ", report.score_name}),
              over_epochs(history, [](const EpochRecord& r) { return r.val_score; }), true))
        best(text_of({"training ", report.score_name}),
             over_epochs(history, [](const EpochRecord& r) { return r.train_score; }), true);
    if (!best("validation loss", over_epochs(history, [](const EpochRecord& r) { return r.val_loss; }),
              false))
        best("training loss", over_epochs(history, [](const EpochRecord& r) { return r.train_loss; }), false);
    double seconds = 0;
    for (const EpochRecord& r : history) seconds += r.seconds;
    text += tile("time", duration(seconds),
                 text_of({duration(seconds / static_cast<double>(history.size())), " per epoch"}));
    // The summary has a line "total   1,234".
    const std::string_view summary = report.summary;
    const std::size_t total = summary.find("\ntotal "),
                      first = summary.find_first_of("0123456789\n", total + 1);
    if (total != summary.npos && first != summary.npos && summary[first] != '\n')
        text +=
            tile("parameters", summary.substr(first, summary.find_first_not_of("0123456789,", first) - first),
                 "of the model");
    return text_of({"<dl class=\"tiles\">", text, "</dl>"});
}

[[gnu::cold]] inline std::string section(std::string_view title, std::string_view words,
                                         std::string_view content) {
    const bool some = !words.empty();
    return content.empty()
               ? ""
               : text_of({"<section><h2>", escape(title), "</h2>\n", some ? "<p class=\"how\">" : "",
                          escape(words), some ? "</p>\n" : "", content, "</section>\n"});
}

[[gnu::cold]] inline std::string settings(const std::vector<std::pair<std::string, std::string>>& settings) {
    std::string text;
    for (const auto& [name, value] : settings)
        text += text_of({"<div><dt>", escape(name), "</dt><dd>", escape(value), "</dd></div>"});
    return text.empty() ? "" : text_of({"<dl class=\"settings\">", text, "</dl>\n"});
}

[[gnu::cold]] inline std::string preformatted(std::string_view text, std::string_view name = "") {
    return text.empty() ? "" : text_of({"<pre class=\"", name, "\">", escape(text), "</pre>\n"});
}

}  // namespace page

}  // namespace gradus::training
