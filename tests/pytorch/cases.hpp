// SPDX-License-Identifier: MIT
#pragma once

// Configurations and what PyTorch computed for them, from the files tests/reference/pytorch_*.txt. Where they
// come from, their format and the formula of the inputs: tests/reference/pytorch.py.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/backward.hpp"
#include "support/test.hpp"

namespace pytorch {

using gradus::Index;
using gradus::Shape;
using gradus::Tensor;
using gradus::Variable;

/// Of the largest value; PyTorch computed in double.
template <class T>
constexpr double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-12;

/// noise() in the sense of pytorch.py: a sequence of 21-bit numbers, named by a text.
class Bits {
public:
    explicit Bits(const std::string& name) {
        for (const char c : name) state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    }
    Index next() {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        return static_cast<Index>((z ^ z >> 31) >> 43);
    }

private:
    std::uint64_t state_ = 0xCBF29CE484222325u;
};

template <class T>
Tensor<T> noise(const std::string& name, const Shape& shape, double low = -1, double high = 1) {
    Tensor<T> result = Tensor<T>::uninitialized(shape);
    Bits bits(name);
    for (T& value : result.mutable_values())
        value = static_cast<T>(low + (high - low) * (static_cast<double>(bits.next()) * 0x1p-21));
    return result;
}

inline Tensor<Index> integers(const std::string& name, const Shape& shape, Index count) {
    Tensor<Index> result = Tensor<Index>::uninitialized(shape);
    Bits bits(name);
    for (Index& value : result.mutable_values()) value = bits.next() % count;
    return result;
}

/// One result: all values, or their digest.
struct Expected {
    std::string name;
    Shape shape;
    bool whole = true;
    std::vector<double> values;

    /// How far `got` is off, as a share of the largest value.
    double error(const Tensor<double>& got) const {
        const std::vector<double> numbers = whole ? std::vector<double>(got.begin(), got.end()) : digest(got);
        double largest = whole ? 0 : values[0];
        if (whole)
            for (const double x : values) largest = std::max(largest, std::abs(x));
        // A sum of n numbers may be √n times as far off as one of them.
        const double spread = std::sqrt(static_cast<double>(got.numel()) / 8);
        double worst = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (std::isnan(values[i]) && std::isnan(numbers[i])) continue;
            const double off = std::abs(numbers[i] - values[i]) / (whole || i < 9 ? 1 : spread);
            if (!(off <= worst)) worst = off;  // also if it is NaN
        }
        return worst == 0 ? 0 : worst / largest;
    }

private:
    static std::vector<double> digest(const Tensor<double>& x) {
        std::vector<double> result(17);
        Bits bits("digest");
        for (Index i = 0; i < x.numel(); ++i) {
            const double value = x.data()[i];
            result[0] = std::max(result[0], std::abs(value));
            result[static_cast<std::size_t>(9 + i % 8)] += bits.next() < 1 << 20 ? -value : value;
        }
        for (Index j = 0; j < 8; ++j) result[static_cast<std::size_t>(1 + j)] = x.data()[j * x.numel() / 8];
        return result;
    }
};

inline std::vector<double> split_numbers(std::string text) {
    for (char& c : text)
        if (c == ',') c = ' ';
    std::istringstream words(text);
    std::vector<double> result;
    for (std::string word; words >> word;)
        if (word != "-") result.push_back(std::strtod(word.c_str(), nullptr));
    return result;
}

inline Shape to_shape(const std::string& text) {
    const std::vector<double> sizes = split_numbers(text);
    return Shape(sizes.begin(), sizes.end());
}

/// One configuration: what was asked, and what came out.
struct Case {
    std::string name;  // such as conv2d/3
    std::vector<std::pair<std::string, std::string>> options = {};
    std::vector<Expected> expected = {};

    bool has(const std::string& option) const { return find(option) != nullptr; }
    std::string word(const std::string& option) const {
        const std::string* const found = find(option);
        if (!found) FAIL(name << " has no option " << option);
        return *found;
    }
    std::vector<double> numbers(const std::string& option) const { return split_numbers(word(option)); }
    double number(const std::string& option) const { return numbers(option).at(0); }
    double number(const std::string& option, double otherwise) const {
        return has(option) ? number(option) : otherwise;
    }
    Index integer(const std::string& option) const { return static_cast<Index>(number(option)); }
    bool flag(const std::string& option) const { return number(option, 0) != 0; }
    Shape shape(const std::string& option) const { return to_shape(word(option)); }
    template <class Size2>
    Size2 pair(const std::string& option) const {
        return {shape(option)[0], shape(option)[1]};
    }

    /// The input of this name.
    template <class T>
    Tensor<T> input(const std::string& input_name) const {
        const std::string range = input_name + "_in";
        const std::vector<double> limits = has(range) ? numbers(range) : std::vector<double>{-1, 1};
        return noise<T>(name + "/" + input_name, shape(input_name), limits.at(0), limits.at(1));
    }

    /// Checks one result.
    template <class T>
    void check(const std::string& result, const Tensor<T>& got) const {
        INFO(name << " " << result << (std::is_same_v<T, float> ? ", float" : ", double"));
        const auto at = std::find_if(expected.begin(), expected.end(),
                                     [&](const Expected& e) { return e.name == result; });
        REQUIRE(at != expected.end());
        REQUIRE(got.shape() == at->shape);
        const double error = at->error(gradus::cast<double>(got));
        INFO("off by " << error << " of the largest value");
        CHECK(error <= tolerance<T>);
    }

private:
    const std::string* find(const std::string& option) const {
        for (const auto& [key, value] : options)
            if (key == option) return &value;
        return nullptr;
    }
};

/// The inputs of a case as leaves, and the checks of what comes of them.
template <class T>
class Inputs {
public:
    explicit Inputs(const Case& c) : case_(c) {}

    Variable<T> operator[](const std::string& name) { return add(name, case_.input<T>(name)); }
    Variable<T> add(const std::string& name, Tensor<T> value) {
        return add(name, Variable<T>(std::move(value), {.requires_grad = true}));
    }
    Variable<T> add(const std::string& name, Variable<T> variable) {
        leaves_.emplace_back(name, variable);
        return variable;
    }

    /// y, and the gradients of all inputs for a pseudo-random gradient of y.
    void check(const Variable<T>& y, const std::string& prefix = "") {
        case_.check(prefix + "y", y.value());
        y.backward({.gradient = noise<T>(case_.name + "/" + prefix + "dy", y.shape())});
        for (auto& [name, leaf] : leaves_) {
            case_.check(prefix + "d" + name, leaf.has_grad() ? leaf.grad() : gradus::zeros<T>(leaf.shape()));
            leaf.zero_grad();
        }
    }

private:
    const Case& case_;
    std::vector<std::pair<std::string, Variable<T>>> leaves_;
};

inline std::vector<Case> read_cases(const std::string& path) {
    std::ifstream file(path);
    if (!file) FAIL("cannot read " << path);
    std::vector<Case> result;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string name, word;
        words >> name;
        if (line[0] != ' ') {
            result.push_back({name});
            while (words >> word)
                result.back().options.emplace_back(word.substr(0, word.find('=')),
                                                   word.substr(word.find('=') + 1));
        } else {
            words >> word;
            const char mark = word.back();
            word.pop_back();
            std::getline(words, line);
            result.back().expected.push_back({name, to_shape(word), mark == ':', split_numbers(line)});
        }
    }
    return result;
}

/// All cases of one kind: run(case) for each. The files are in the folder beside this one's.
inline void for_cases(const std::string& file, const std::string& kind,
                      const std::function<void(const Case&)>& run) {
    const std::string here = __FILE__;
    const std::string folder = here.substr(0, here.rfind("pytorch/cases.hpp")) + "reference/";
    static std::vector<std::pair<std::string, std::vector<Case>>> read;
    auto at = std::find_if(read.begin(), read.end(), [&](const auto& entry) { return entry.first == file; });
    if (at == read.end()) at = read.insert(at, {file, read_cases(folder + file)});
    std::size_t count = 0;
    for (const Case& c : at->second) {
        if (c.name.substr(0, c.name.find('/')) != kind) continue;
        run(c);
        ++count;
    }
    CHECK(count > 0);
}

/// The same where a case is run for float and for double: run(case, T()).
template <class Run>
void for_cases_in_both(const std::string& file, const std::string& kind, const Run& run) {
    for_cases(file, kind, [&](const Case& c) {
        run(c, float());
        run(c, double());
    });
}

}  // namespace pytorch
