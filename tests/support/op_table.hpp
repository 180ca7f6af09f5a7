// SPDX-License-Identifier: MIT
#pragma once

// One row per operation drives all of its checks. To add a row, write in the test of the operation's header:
//
//     check_op("maximum", [](const auto& x) { return maximum(x[0], x[1]); },
//              {.shapes = {{{2, 3}, {2, 3}}, {{2, 3}, {3}}, {{}, {4}}, {{0, 3}, {3}}, {{1}, {1}}},
//               .large = {{{300, 200}, {200}}}, .low = -1, .high = 1, .distinct = true});
//
// The function takes a vector of variables of any number type and must be generic, because it is called with
// float, double and Dual<double>. `shapes` lists samples; a sample lists the shapes of the inputs: cover a
// scalar, sizes 0 and 1, an odd size, and pairs that broadcast. `large` lists samples of more than 32768
// elements, so that the work is split. Inputs are uniform in [low, high), the same in every run. Values where
// the operation has no derivative go to `kinks`; where it compares its inputs with each other, `distinct`
// keeps them apart.
//
// For each sample:
//   a  the gradient equals central differences, for every element of every input (double)
//   b  in a random direction v: Dual gives J v, equal to a central difference, and <dy, J v> = <gradient, v>
//   c  backward with Dual gives the Hessian-vector product of <dy, f(x)>, equal to a difference of gradients
//   d  float agrees with double, results and gradients
//   e  1, 2 and 3 threads give the same bits, results and gradients
//   f  the result without history has the same bits and wants no gradient
//   g  the same variable passed twice gets the sum of both gradients
//   h  an input that wants no gradient gets none and changes nothing for the others
//   i  inputs, dy and result stay as they were; a second backward() doubles the gradient exactly

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gradus/autograd/backward.hpp"
#include "gradus/autograd/derivatives.hpp"
#include "gradus/autograd/gradcheck.hpp"
#include "gradus/core/random.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"

// Compiled in op_table.cpp.
extern template class gradus::Tensor<gradus::Dual<double>>;
extern template class gradus::Variable<gradus::Dual<double>>;

struct OpRow {
    std::vector<std::vector<gradus::Shape>> shapes;
    std::vector<std::vector<gradus::Shape>> large = {};
    double low = -2, high = 2;
    std::vector<double> kinks = {};  // inputs keep at least `gap` away from these
    double gap = 0.05;
    bool distinct = false;       // no two numbers of a sample are equal or nearly so
    bool smooth = true;          // false: compare with differences at 1e-4 instead of 1e-6
    bool differentiable = true;  // false: only results are compared, and they want no gradient
    bool second_order = true;    // false: leaves out c
    double float_rtol = 1e-5;    // of float against double, relative to the largest number
};

namespace op_table {

using gradus::Dual;
using gradus::Generator;
using gradus::Index;
using gradus::Shape;
using gradus::Tensor;
using gradus::Variable;

template <class T>
using Function = std::function<Variable<T>(const std::vector<Variable<T>>&)>;

struct Functions {
    Function<float> single;
    Function<double> full;
    Function<Dual<double>> dual;
};

using ::same_bits;
template <class T>
bool same_bits(const std::vector<Tensor<T>>& a, const std::vector<Tensor<T>>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const auto& x, const auto& y) { return same_bits(x, y); });
}

/// The largest difference of two elements (NaN is the largest of all) and where it is.
std::pair<double, Index> worst_difference(const Tensor<double>& a, const Tensor<double>& b);

/// Checks that all elements agree to rtol times the largest of them, plus atol.
void check_close(const std::string& what, const Tensor<double>& got, const Tensor<double>& expected,
                 double rtol, double atol);

/// Inputs that float represents exactly, so that float and double start from the same numbers.
std::vector<Tensor<float>> sample_inputs(const std::vector<Shape>& shapes, const OpRow& row,
                                         Generator& generator);

void check_row(const std::string& name, const Functions& f, const OpRow& row);

}  // namespace op_table

template <class F>
void check_op(const std::string& name, const F& f, const OpRow& row) {
    op_table::check_row(name, {f, f, f}, row);
}
