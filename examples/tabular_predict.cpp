// SPDX-License-Identifier: MIT
// Predicts a number for each row of a CSV file, with a model that tabular has saved. The rows need the columns that the
// model was trained on, in any order; what else they have is passed over.

#include <cstdio>
#include <map>

#include <gradus/data.hpp>
#include <gradus/io.hpp>

#include "support/command_line.hpp"
#include "support/flags.hpp"
#include "support/regressor.hpp"

namespace data = gradus::data;
using data::TableEncoder;

void predict(const std::string& model, const std::string& rows) {
    const auto pairs = gradus::io::SafetensorsFile(model).metadata();
    std::map<std::string, std::string> metadata(pairs.begin(), pairs.end());
    if (metadata["target"].empty())
        throw gradus::IoError("--model: must be what tabular saved: got " + model);
    const auto inputs = TableEncoder::from_text(metadata["inputs"]),
               target = TableEncoder::from_text(metadata["target"]);
    Regressor net{.features = inputs.width()};
    gradus::io::load(model, net);

    const data::Table table = data::read_csv(rows, inputs.csv_options());
    const gradus::NoGrad no_grad;
    std::printf("%s\n", target.names()[0].c_str());
    for (const float y : target.inverse(net(inputs(table)).value()))
        std::printf("%.6g\n", static_cast<double>(y));
}

int main(int argc, char** argv) {
    CommandLine line("Predicts a number for each row of a CSV file.");
    std::string model = "tabular.safetensors", rows;
    line.text("--model", model, "the file that tabular saved");
    line.text("--data", rows, "a CSV file with a header");
    if (const int code = line.parse(argc, argv); code >= 0) return code;
    if (rows.empty()) {
        std::fprintf(stderr, "--data: name a CSV file\n");
        return 2;
    }
    try {
        predict(model, rows);
        flush_output();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
