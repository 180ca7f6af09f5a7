// SPDX-License-Identifier: MIT
// Two steps of every optimizer with numbers at the edges of their type, against optimizers.txt. What its
// lines mean and where they come from: optimizers.py.

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "gradus/optim/adagrad.hpp"
#include "gradus/optim/adam.hpp"
#include "gradus/optim/rmsprop.hpp"
#include "gradus/optim/sgd.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

/// A line of the table: numbers before the colon, results behind it.
struct Line {
    double w, first, second;
    std::vector<std::string> results;  // w after one step, after two, each state after two
    std::string text;
};

/// An optimizer with its options, and what it gives.
struct Block {
    std::string text, optimizer, type;
    std::vector<std::pair<std::string, double>> options;
    std::vector<std::string> kinds;
    std::vector<Line> lines;
};

std::vector<Block> read_blocks() {
    const std::string path =
        std::string(__FILE__).substr(0, std::string(__FILE__).rfind('/')) + "/optimizers.txt";
    std::ifstream file(path);
    REQUIRE(file);
    std::vector<Block> blocks;
    for (std::string text; std::getline(file, text);) {
        if (text[0] == '#') continue;
        std::istringstream words(text);
        std::string word;
        if (std::isalpha(static_cast<unsigned char>(text[0])) && text.rfind("inf", 0) != 0 &&
            text.rfind("nan", 0) != 0) {
            Block block{text, {}, {}, {}, {}, {}};
            words >> block.optimizer >> block.type;
            while (words >> word && word != ":")
                block.options.emplace_back(word.substr(0, word.find('=')),
                                           std::strtod(word.c_str() + word.find('=') + 1, nullptr));
            while (words >> word) block.kinds.push_back(word);
            blocks.push_back(block);
        } else {
            Line line{0, 0, 0, {}, text};
            for (double* number : {&line.w, &line.first, &line.second}) {
                words >> word;
                *number = std::strtod(word.c_str(), nullptr);
            }
            words >> word;
            while (words >> word) line.results.push_back(word);
            blocks.back().lines.push_back(line);
        }
    }
    return blocks;
}

/// Whether a computed number is what a result of the table says.
template <class T>
bool is_right(T x, const std::string& result) {
    if (result == "?") return true;
    const auto cut = result.find("..");
    const double low = std::strtod(result.c_str(), nullptr),
                 high = cut == std::string::npos ? low : std::strtod(result.c_str() + cut + 2, nullptr);
    if (std::isnan(low)) return std::isnan(x);
    // A number stands for those a few units in the last place away; a range is only printed with so many
    // digits.
    const double units =
        (cut == std::string::npos ? 40 : 1) * static_cast<double>(std::numeric_limits<T>::epsilon());
    const auto slack = [&](double end) {
        return std::isinf(end)
                   ? 0
                   : units * std::abs(end) + 10 * static_cast<double>(std::numeric_limits<T>::denorm_min());
    };
    const auto got = static_cast<double>(x);
    return got >= low - slack(low) && got <= high + slack(high);
}

template <class Options>
void set_option(Options& o, const std::string& name, double value) {
    const auto set = [&](const char* option, auto& field) {
        if (name == option) field = static_cast<std::remove_reference_t<decltype(field)>>(value);
        return name == option;
    };
    bool known = set("lr", o.lr) || set("lr_scale", o.lr_scale) || set("weight_decay", o.weight_decay) ||
                 set("l1", o.l1);
    if constexpr (requires { o.momentum; }) known = known || set("momentum", o.momentum);
    if constexpr (requires { o.dampening; })
        known = known || set("dampening", o.dampening) || set("nesterov", o.nesterov) ||
                set("decoupled", o.decoupled);
    if constexpr (requires { o.eps; }) known = known || set("eps", o.eps);
    if constexpr (requires { o.beta1; })
        known = known || set("beta1", o.beta1) || set("beta2", o.beta2) || set("amsgrad", o.amsgrad) ||
                set("bias_correction", o.bias_correction);
    if constexpr (requires { o.alpha; })
        known = known || set("alpha", o.alpha) || set("centered", o.centered);
    if constexpr (requires { o.lr_decay; })
        known = known || set("lr_decay", o.lr_decay) ||
                set("initial_accumulator_value", o.initial_accumulator_value);
    INFO(name);
    REQUIRE(known);
}

/// All lines of a block at once: they are the elements of one parameter, which must not disturb each other.
template <template <class> class Optimizer, class T>
void check_block(const Block& block) {
    std::vector<T> w, first, second;
    for (const Line& line : block.lines) {
        w.push_back(static_cast<T>(line.w));
        first.push_back(static_cast<T>(line.first));
        second.push_back(static_cast<T>(line.second));
    }
    const Shape shape{static_cast<Index>(w.size())};
    Variable<T> parameter(Tensor<T>(shape, w), {.requires_grad = true});
    typename Optimizer<T>::Options options;
    for (const auto& [name, value] : block.options) set_option(options, name, value);
    Optimizer<T> optimizer(std::vector<Variable<T>>{parameter}, options);
    std::vector<Tensor<T>> results;
    for (const std::vector<T>* gradient : {&first, &second}) {
        parameter.set_grad(Tensor<T>(shape, *gradient));
        optimizer.step();
        results.push_back(parameter.value());
    }
    const auto state = optimizer.state()[0];
    for (const std::string& kind : block.kinds)
        for (const auto& [name, value] : state.kinds)
            if (name == kind) results.push_back(value);
    REQUIRE(results.size() == 2 + block.kinds.size());
    for (std::size_t i = 0; i < block.lines.size(); ++i)
        for (std::size_t k = 0; k < results.size(); ++k) {
            const T got = results[k].data()[i];
            if (is_right(got, block.lines[i].results[k])) continue;
            INFO(block.text << "\n" << block.lines[i].text << "\nresult " << k << " was " << got);
            CHECK(false);
        }
}

template <template <class> class Optimizer>
void check_blocks(const std::string& optimizer) {
    int blocks = 0;
    for (const Block& block : read_blocks()) {
        if (block.optimizer != optimizer) continue;
        block.type == "float" ? check_block<Optimizer, float>(block) : check_block<Optimizer, double>(block);
        ++blocks;
    }
    CHECK(blocks >= 8);
}

}  // namespace

TEST_CASE("edges: sgd") { check_blocks<optim::SGD>("sgd"); }
TEST_CASE("edges: adam") { check_blocks<optim::Adam>("adam"); }
TEST_CASE("edges: adamw") { check_blocks<optim::AdamW>("adamw"); }
TEST_CASE("edges: rmsprop") { check_blocks<optim::RMSProp>("rmsprop"); }
TEST_CASE("edges: adagrad") { check_blocks<optim::Adagrad>("adagrad"); }
