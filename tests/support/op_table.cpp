// SPDX-License-Identifier: MIT
#include "support/op_table.hpp"

#include <cmath>
#include <utility>

#include "gradus/ops/arithmetic.hpp"
#include "support/threads.hpp"

template class gradus::Tensor<gradus::Dual<double>>;
template class gradus::Variable<gradus::Dual<double>>;

namespace op_table {
namespace {

template <class T>
struct Outcome {
    Tensor<T> value;
    std::vector<Tensor<T>> gradients;  // zeros where an input got none
};

template <class To, class From>
std::vector<Tensor<To>> cast_all(const std::vector<Tensor<From>>& tensors) {
    std::vector<Tensor<To>> result;
    for (const auto& tensor : tensors) result.push_back(gradus::cast<To>(tensor));
    return result;
}

double largest(const Tensor<double>& x) {
    double result = 0;
    for (const double value : x) result = std::max(result, std::abs(value));
    return result;
}

/// x + step * direction.
std::vector<Tensor<double>> moved(std::vector<Tensor<double>> x, const std::vector<Tensor<double>>& direction,
                                  double step) {
    for (std::size_t k = 0; k < x.size(); ++k) {
        double* const out = x[k].mutable_data();
        for (Index i = 0; i < x[k].numel(); ++i) out[i] += step * direction[k].data()[i];
    }
    return x;
}

/// (a - b) / distance.
Tensor<double> slope(Tensor<double> a, const Tensor<double>& b, double distance) {
    double* const out = a.mutable_data();
    for (Index i = 0; i < a.numel(); ++i) out[i] = (out[i] - b.data()[i]) / distance;
    return a;
}

double inner(const Tensor<double>& a, const Tensor<double>& b) {
    double total = 0;
    for (Index i = 0; i < a.numel(); ++i) total += a.data()[i] * b.data()[i];
    return total;
}

void check_all_close(const std::string& what, const std::vector<Tensor<double>>& got,
                     const std::vector<Tensor<double>>& expected, double rtol, double atol) {
    REQUIRE(got.size() == expected.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        check_close(what + ", input " + std::to_string(i), got[i], expected[i], rtol, atol);
}

std::vector<Tensor<double>> directions(const std::vector<Tensor<double>>& inputs) {
    Generator generator(7);
    std::vector<Tensor<double>> result;
    for (const auto& input : inputs) result.push_back(gradus::randn<double>(input.shape(), generator));
    return result;
}

/// The gradient of the result from which backward() starts.
template <class T>
Tensor<T> dy_for(const Shape& shape) {
    Generator generator(2);
    return gradus::cast<T>(gradus::randn<float>(shape, generator));
}

template <class T>
std::vector<Variable<T>> leaves(const std::vector<Tensor<T>>& inputs, bool requires_grad) {
    std::vector<Variable<T>> result;
    for (const auto& input : inputs) result.emplace_back(input, gradus::VariableOptions{requires_grad});
    return result;
}

template <class T>
Tensor<T> gradient_of(const Variable<T>& x) {
    return x.has_grad() ? x.grad() : gradus::zeros<T>(x.shape());
}

template <class T>
std::vector<Tensor<T>> gradients_of(const std::vector<Variable<T>>& variables) {
    std::vector<Tensor<T>> result;
    for (const auto& variable : variables) result.push_back(gradient_of(variable));
    return result;
}

template <class T>
Outcome<T> run(const Function<T>& f, const std::vector<Variable<T>>& x) {
    const Variable<T> y = f(x);
    if (y.requires_grad()) y.backward({.gradient = dy_for<T>(y.shape())});
    return {y.value(), gradients_of(x)};
}

template <class T>
Tensor<T> value_of(const Function<T>& f, const std::vector<Tensor<T>>& inputs) {
    const gradus::NoGrad guard;
    const Variable<T> y = f(leaves(inputs, true));
    CHECK_FALSE(y.requires_grad());
    return y.value();
}

void check_differences(const Functions& f, const std::vector<Tensor<double>>& x,
                       const Outcome<double>& outcome, const OpRow& row) {
    const double rtol = row.smooth ? 1e-6 : 1e-4;
    const auto report = gradus::gradcheck(f.full, x, {.step = 1e-6, .rtol = rtol, .atol = 1e-8});
    INFO(to_string(report));
    CHECK(report.passed);  // a

    const auto v = directions(x);
    const double h = 1e-6;
    const auto [value, tangent] = gradus::jvp(f.dual, x, v);
    check_close("Dual: value", value, outcome.value, 1e-13, 1e-14);
    check_close("Dual: J v against a difference", tangent,
                slope(value_of(f.full, moved(x, v, h)), value_of(f.full, moved(x, v, -h)), 2 * h), rtol,
                1e-8);
    double adjoint = 0, size = 0;
    for (std::size_t k = 0; k < x.size(); ++k) {
        adjoint += inner(outcome.gradients[k], v[k]);
        for (Index i = 0; i < x[k].numel(); ++i)
            size += std::abs(outcome.gradients[k].data()[i] * v[k].data()[i]);
    }
    INFO("<dy, J v> = <gradient, v>");
    CHECK(std::abs(inner(dy_for<double>(value.shape()), tangent) - adjoint) <= 1e-11 * (1 + size));  // b
}

void check_second_order(const Functions& f, const std::vector<Tensor<double>>& x,
                        const Outcome<double>& outcome) {
    const auto v = directions(x);
    std::vector<Variable<Dual<double>>> duals;
    for (std::size_t k = 0; k < x.size(); ++k)
        duals.emplace_back(gradus::detail::with_tangent("op table", x[k], v[k]),
                           gradus::VariableOptions{true});
    std::vector<Tensor<double>> gradients, products, differences;
    for (const auto& g : run(f.dual, duals).gradients) {
        gradients.push_back(gradus::detail::part(g, &Dual<double>::value));
        products.push_back(gradus::detail::part(g, &Dual<double>::dual));
    }
    check_all_close("Dual: gradient", gradients, outcome.gradients, 1e-12, 1e-13);
    const double h = 1e-5;
    const auto ahead = run(f.full, leaves(moved(x, v, h), true)).gradients;
    const auto behind = run(f.full, leaves(moved(x, v, -h), true)).gradients;
    for (std::size_t k = 0; k < x.size(); ++k) differences.push_back(slope(ahead[k], behind[k], 2 * h));
    check_all_close("Dual: H v against a difference of gradients", products, differences, 1e-5, 1e-7);
}

void check_threads(const Functions& f, const std::vector<Tensor<float>>& x, const Outcome<float>& outcome) {
    for (int threads = 1; threads <= 3; ++threads) {
        const Threads limit(threads);
        const Outcome<float> again = run(f.single, leaves(x, true));
        INFO(threads << " threads");
        CHECK(same_bits(again.value, outcome.value));
        CHECK(same_bits(again.gradients, outcome.gradients));
    }
}

void check_float(const Functions& f, const std::vector<Tensor<float>>& x, const Outcome<double>& full,
                 const OpRow& row) {
    const Outcome<float> single = run(f.single, leaves(x, true));
    check_close("float: value", gradus::cast<double>(single.value), full.value, row.float_rtol, 1e-6);
    check_all_close("float: gradient", cast_all<double>(single.gradients), full.gradients, row.float_rtol,
                    1e-6);
    check_threads(f, x, single);
    INFO("float, without history");
    CHECK(same_bits(value_of(f.single, x), single.value));
}

/// The first two inputs of one shape become the same variable.
void check_same_variable_twice(const Functions& f, std::vector<Tensor<double>> x) {
    for (std::size_t i = 0; i < x.size(); ++i)
        for (std::size_t j = i + 1; j < x.size(); ++j) {
            if (x[i].shape() != x[j].shape()) continue;
            x[j] = x[i];
            const Outcome<double> apart = run(f.full, leaves(x, true));
            auto variables = leaves(x, true);
            variables[j] = variables[i];
            const Outcome<double> together = run(f.full, variables);
            CHECK(same_bits(together.value, apart.value));
            check_close("the same variable twice", together.gradients[i],
                        moved({apart.gradients[i]}, {apart.gradients[j]}, 1)[0], 1e-13, 1e-14);
            return;
        }
}

void check_some_wanted(const Functions& f, const std::vector<Tensor<double>>& x,
                       const Outcome<double>& outcome) {
    for (std::size_t k = 0; k < x.size(); ++k) {
        auto variables = leaves(x, false);
        variables[k].set_requires_grad(true);
        const Outcome<double> alone = run(f.full, variables);
        INFO("only input " << k << " wants a gradient");
        CHECK(same_bits(alone.value, outcome.value));
        check_close("gradient", alone.gradients[k], outcome.gradients[k], 1e-13, 1e-14);
        for (std::size_t other = 0; other < x.size(); ++other)
            if (other != k) CHECK_FALSE(variables[other].has_grad());
    }
    CHECK_FALSE(f.full(leaves(x, false)).requires_grad());
}

void check_nothing_changes(const Functions& f, const std::vector<Tensor<double>>& x,
                           const Outcome<double>& outcome) {
    const auto deep_copy = [](const Tensor<double>& t) { return Tensor<double>(t.shape(), t.values()); };
    std::vector<Tensor<double>> inputs;
    for (const auto& input : x) inputs.push_back(deep_copy(input));
    const auto variables = leaves(inputs, true);
    const Variable<double> y = f.full(variables);
    if (!y.requires_grad()) return;
    const Tensor<double> value = deep_copy(y.value()), dy = dy_for<double>(y.shape()),
                         dy_before = deep_copy(dy);
    y.backward({.gradient = dy, .retain_graph = true});
    y.backward({.gradient = dy});
    const auto gradients = gradients_of(variables);
    for (std::size_t k = 0; k < x.size(); ++k) {
        INFO("input " << k);
        CHECK(same_bits(variables[k].value(), x[k]));
        CHECK(same_bits(inputs[k], x[k]));
        CHECK(same_bits(gradients[k], moved({outcome.gradients[k]}, {outcome.gradients[k]}, 1)[0]));
    }
    CHECK(same_bits(dy, dy_before));
    CHECK(same_bits(y.value(), value));
}

void check_sample(const Functions& f, const std::vector<Shape>& shapes, const OpRow& row,
                  Generator& generator, bool large) {
    const std::vector<Tensor<float>> single = sample_inputs(shapes, row, generator);
    const std::vector<Tensor<double>> x = cast_all<double>(single);
    const Outcome<double> outcome = run(f.full, leaves(x, true));
    check_float(f, single, outcome, row);
    CHECK(same_bits(value_of(f.full, x), outcome.value));
    if (!row.differentiable) CHECK_FALSE(f.full(leaves(x, true)).requires_grad());
    if (!row.differentiable || large) return;
    check_differences(f, x, outcome, row);
    if (row.second_order) check_second_order(f, x, outcome);
    check_same_variable_twice(f, x);
    check_some_wanted(f, x, outcome);
    check_nothing_changes(f, x, outcome);
}

std::string describe(const std::vector<Shape>& shapes) {
    std::string text;
    for (const Shape& shape : shapes) text += (text.empty() ? "" : ", ") + to_string(shape);
    return text;
}

}  // namespace

std::pair<double, Index> worst_difference(const Tensor<double>& a, const Tensor<double>& b) {
    std::pair<double, Index> worst{0, 0};
    for (Index i = 0; i < a.numel(); ++i) {
        const double difference = std::abs(a.data()[i] - b.data()[i]);
        if (!(difference <= worst.first)) worst = {difference, i};
        if (std::isnan(difference)) break;
    }
    return worst;
}

void check_close(const std::string& what, const Tensor<double>& got, const Tensor<double>& expected,
                 double rtol, double atol) {
    INFO(what);
    REQUIRE(got.shape() == expected.shape());
    const auto [error, at] = worst_difference(got, expected);
    if (error <= atol + rtol * largest(expected)) return;
    FAIL_CHECK("element " << at << ": got " << got.data()[at] << ", expected " << expected.data()[at]);
}

std::vector<Tensor<float>> sample_inputs(const std::vector<Shape>& shapes, const OpRow& row,
                                         Generator& generator) {
    Index count = 0, at = 0;
    for (const Shape& shape : shapes) count += shape.numel();
    const Tensor<Index> order = gradus::permutation(row.distinct ? count : 0, generator);
    std::vector<Tensor<float>> result;
    for (const Shape& shape : shapes) {
        Tensor<float> input =
            gradus::cast<float>(gradus::uniform<double>(shape, row.low, row.high, generator));
        float* const out = input.mutable_data();
        for (Index i = 0; i < shape.numel(); ++i) {
            double x = static_cast<double>(out[i]);
            if (row.distinct)
                x = row.low + (row.high - row.low) * (static_cast<double>(order(at++)) + 0.5) /
                                  static_cast<double>(count);
            for (const double kink : row.kinks)
                if (std::abs(x - kink) < row.gap) x += x < kink ? -row.gap : row.gap;
            out[i] = static_cast<float>(x);
        }
        result.push_back(std::move(input));
    }
    return result;
}

void check_row(const std::string& name, const Functions& f, const OpRow& row) {
    Generator generator(1);
    for (const bool large : {false, true})
        for (const auto& shapes : large ? row.large : row.shapes) {
            INFO(name << ": inputs " << describe(shapes));
            check_sample(f, shapes, row, generator, large);
        }
}

}  // namespace op_table
