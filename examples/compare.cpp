// SPDX-License-Identifier: MIT
// Lays runs side by side: what is in the folders that other examples wrote with --out, as one web page.

#include <cstdio>
#include <string>
#include <vector>

#include <gradus/training/compare.hpp>

#include "support/command_line.hpp"

int main(int argc, char** argv) {
    std::vector<std::string> folders;
    std::string out = "compare.html";
    CommandLine line("Lays runs side by side, as one web page.");
    line.texts("runs", folders, "folders of runs, each with history.csv");
    line.text("--out", out, "the page");
    if (const int code = line.parse(argc, argv); code >= 0) return code;
    try {
        std::vector<gradus::training::RunRecord> runs;
        for (const std::string& folder : folders) runs.push_back(gradus::training::read_run(folder));
        gradus::write_file(out, gradus::training::compare_html(runs), {.operation = "compare"});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    std::puts(out.c_str());
    return std::fflush(stdout) == 0 ? 0 : 1;
}
