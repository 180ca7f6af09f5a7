// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>

#include "gradus/gradus.hpp"
#include "gradus/training/fit.hpp"
#include "support/same_bits.hpp"

/// A small model, its data and its loss, for tests of fit() and what goes with it.
struct SmallNet {
    gradus::nn::Linear<> fc1{4, 6};
    gradus::nn::BatchNorm1d<> norm{6};
    gradus::nn::Dropout dropout{.p = 0.25};
    gradus::nn::Linear<> fc2{6, 3};

    gradus::Variable<> operator()(gradus::Variable<> x) const { return fc2(dropout(relu(norm(fc1(x))))); }
};

inline const auto small_loss = [](const auto& logits, const auto& labels) {
    return cross_entropy(logits, labels);
};

/// Three classes, which the numbers tell apart with some noise.
inline gradus::data::Dataset<> small_data(gradus::Index count, std::uint64_t seed = 5) {
    gradus::Generator generator(seed);
    gradus::data::Dataset<> set{gradus::randn({count, 4}, generator), gradus::zeros<gradus::Index>({count})};
    for (gradus::Index i = 0; i < count; ++i) {
        set.labels.mutable_data()[i] = i % 3;
        set.inputs.mutable_data()[4 * i + i % 3] += 2;
    }
    return set;
}

/// Whether two models have the same bits: parameters and buffers.
template <class Net>
bool same_models(Net& a, Net& b) {
    const auto equal = [](const auto& x, const auto& y) {
        if (x.size() != y.size()) return false;
        for (std::size_t i = 0; i < x.size(); ++i)
            if (!same_bits(x[i].value(), y[i].value())) return false;
        return true;
    };
    return equal(gradus::nn::parameters(a), gradus::nn::parameters(b)) &&
           equal(gradus::nn::buffers(a), gradus::nn::buffers(b));
}

/// A file in memory for what is printed.
class Printed {
public:
    Printed() : file_(std::tmpfile()) {
        if (!file_) throw std::runtime_error("no temporary file");
    }
    Printed(const Printed&) = delete;
    Printed& operator=(const Printed&) = delete;
    ~Printed() { std::fclose(file_); }

    operator std::FILE*() const { return file_; }

    std::string text() const {
        std::fflush(file_);
        std::rewind(file_);
        std::string all;
        for (int c; (c = std::fgetc(file_)) != EOF;) all += static_cast<char>(c);
        return all;
    }

    /// The text with 0.000 for the seconds, which no two runs have in common.
    std::string table() const {
        std::string all = text();
        const std::string before = "Epoch Time: ";
        for (std::size_t at = 0; (at = all.find(before, at)) != all.npos;) {
            at += before.size();
            all.replace(at, all.find(" |", at) - at, " 0.000");
        }
        return all;
    }

private:
    std::FILE* file_;
};
