// SPDX-License-Identifier: MIT
// Every operation and loss of docs/ops.md at ±0, denormal, huge, infinite numbers and NaN, on empty axes,
// axes of 1 and of a million, against edges.txt, which edges.py computed from the formulas. The format is
// described there.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/backward.hpp"
#include "gradus/loss/bce.hpp"
#include "gradus/loss/bce_with_logits.hpp"
#include "gradus/loss/cross_entropy.hpp"
#include "gradus/loss/huber.hpp"
#include "gradus/loss/kl_div.hpp"
#include "gradus/loss/l1.hpp"
#include "gradus/loss/mse.hpp"
#include "gradus/loss/nll.hpp"
#include "gradus/loss/smooth_l1.hpp"
#include "gradus/ops/activation.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/comparison.hpp"
#include "gradus/ops/conv2d.hpp"
#include "gradus/ops/dropout.hpp"
#include "gradus/ops/einsum.hpp"
#include "gradus/ops/embedding.hpp"
#include "gradus/ops/indexing.hpp"
#include "gradus/ops/layout.hpp"
#include "gradus/ops/map.hpp"
#include "gradus/ops/masking.hpp"
#include "gradus/ops/matmul.hpp"
#include "gradus/ops/norm.hpp"
#include "gradus/ops/pool2d.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/ops/scan.hpp"
#include "gradus/ops/slice.hpp"
#include "gradus/ops/sort.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

struct Numbers {
    Shape shape;
    double ulp = 0, off = 0;  // allowed: units of the last place, and in all
    std::vector<double> values;
};

struct Case {
    std::string name, type;
    std::map<std::string, double> options;
    std::map<std::string, Numbers> inputs;
    std::vector<std::pair<std::string, Numbers>> results;
};

std::string folder() {
    const std::string here = __FILE__;
    return here.substr(0, here.rfind("edges/edges.cpp"));
}

Shape to_shape(const std::string& text) {
    std::vector<Index> sizes;
    std::istringstream words(text);
    for (std::string word; text != "-" && std::getline(words, word, ',');) sizes.push_back(std::stoll(word));
    return Shape(sizes.begin(), sizes.end());
}

std::vector<Case> read_cases() {
    const std::string path = folder() + "edges/edges.txt";
    std::ifstream file(path);
    if (!file) FAIL("cannot read " << path);
    std::vector<Case> cases;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string name, word;
        words >> name >> word;
        if (line[0] != ' ') {
            cases.push_back({name, word, {}, {}, {}});
            while (words >> word) {
                const auto equals = word.find('=');
                cases.back().options[word.substr(0, equals)] =
                    std::strtod(word.c_str() + equals + 1, nullptr);
            }
            continue;
        }
        Numbers numbers{to_shape(word), 0, 0, {}};
        words >> word;
        const bool is_input = word == ">";
        if (!is_input) {
            numbers.ulp = std::strtod(word.c_str(), nullptr);
            words >> numbers.off >> word;
        }
        while (words >> word) numbers.values.push_back(std::strtod(word.c_str(), nullptr));
        if (is_input)
            cases.back().inputs[name] = numbers;
        else
            cases.back().results.emplace_back(name, numbers);
    }
    return cases;
}

const std::vector<Case>& all_cases() {
    static const std::vector<Case> cases = read_cases();
    return cases;
}

template <class T, class To = T>
Tensor<To> tensor(const Numbers& numbers) {
    Tensor<To> result = Tensor<To>::uninitialized(numbers.shape);
    std::size_t i = 0;
    for (To& value : result.mutable_values())
        value = static_cast<To>(static_cast<T>(numbers.values[i++ % numbers.values.size()]));
    return result;
}

/// A case with its inputs as leaves.
template <class T>
struct Inputs {
    explicit Inputs(const Case& c) : given(c) {}

    Variable<T> operator[](const std::string& name) {
        return leaves.emplace(name, Variable<T>(constant(name), {.requires_grad = true})).first->second;
    }
    Tensor<T> constant(const std::string& name) const { return tensor<T>(given.inputs.at(name)); }
    Tensor<Index> indices(const std::string& name) const {
        return tensor<double, Index>(given.inputs.at(name));
    }
    double option(const std::string& name) const { return given.options.at(name); }

    const Case& given;
    std::map<std::string, Variable<T>> leaves = {};
};

template <class T>
using Function = std::function<Variable<T>(Inputs<T>&)>;

/// A condition as 0 and 1.
template <class T>
Variable<T> answer(const Tensor<bool>& condition) {
    return Variable<T>(cast<T>(condition));
}

/// Each operation on the inputs of its cases.
template <class T>
std::map<std::string, Function<T>> functions() {
    using In = Inputs<T>;
    constexpr auto none = Reduction::none;
    return {
        {"add", [](In& in) { return add(in["a"], in["b"]); }},
        {"sub", [](In& in) { return sub(in["a"], in["b"]); }},
        {"mul", [](In& in) { return mul(in["a"], in["b"]); }},
        {"div", [](In& in) { return div(in["a"], in["b"]); }},
        {"neg", [](In& in) { return neg(in["x"]); }},
        {"exp", [](In& in) { return exp(in["x"]); }},
        {"expm1", [](In& in) { return expm1(in["x"]); }},
        {"log", [](In& in) { return log(in["x"]); }},
        {"log1p", [](In& in) { return log1p(in["x"]); }},
        {"sqrt", [](In& in) { return sqrt(in["x"]); }},
        {"rsqrt", [](In& in) { return rsqrt(in["x"]); }},
        {"sign", [](In& in) { return sign(in["x"]); }},
        {"floor", [](In& in) { return floor(in["x"]); }},
        {"ceil", [](In& in) { return ceil(in["x"]); }},
        {"round", [](In& in) { return round(in["x"]); }},
        {"square", [](In& in) { return square(in["x"]); }},
        {"abs", [](In& in) { return abs(in["x"]); }},
        {"sin", [](In& in) { return sin(in["x"]); }},
        {"cos", [](In& in) { return cos(in["x"]); }},
        {"pow",
         [](In& in) {
             return in.given.options.empty() ? pow(in["a"], in["b"]) : pow(in["x"], in.option("n"));
         }},
        {"maximum", [](In& in) { return maximum(in["a"], in["b"]); }},
        {"minimum", [](In& in) { return minimum(in["a"], in["b"]); }},
        {"clamp", [](In& in) { return clamp(in["x"], T(in.option("low")), T(in.option("high"))); }},
        {"clamp_min", [](In& in) { return clamp_min(in["x"], T(in.option("low"))); }},
        {"clamp_max", [](In& in) { return clamp_max(in["x"], T(in.option("high"))); }},
        {"eq", [](In& in) { return answer<T>(eq(in["a"], in["b"])); }},
        {"ne", [](In& in) { return answer<T>(ne(in["a"], in["b"])); }},
        {"lt", [](In& in) { return answer<T>(lt(in["a"], in["b"])); }},
        {"le", [](In& in) { return answer<T>(le(in["a"], in["b"])); }},
        {"gt", [](In& in) { return answer<T>(gt(in["a"], in["b"])); }},
        {"ge", [](In& in) { return answer<T>(ge(in["a"], in["b"])); }},
        {"equal", [](In& in) { return answer<T>(full<bool>({}, equal(in["a"], in["b"]))); }},
        {"logical_and", [](In& in) { return answer<T>(logical_and(in["a"] > 0, in["b"] > 0)); }},
        {"logical_or", [](In& in) { return answer<T>(logical_or(in["a"] > 0, in["b"] > 0)); }},
        {"logical_xor", [](In& in) { return answer<T>(logical_xor(in["a"] > 0, in["b"] > 0)); }},
        {"logical_not", [](In& in) { return answer<T>(logical_not(in["x"] > 0)); }},
        {"all", [](In& in) { return answer<T>(full<bool>({}, all(in["x"] > 0))); }},
        {"any", [](In& in) { return answer<T>(full<bool>({}, any(in["x"] > 0))); }},
        {"masked_fill", [](In& in) { return masked_fill(in["x"], in.constant("x") > T(0), T(7)); }},
        {"tril", [](In& in) { return tril(in["x"]); }},
        {"triu", [](In& in) { return triu(in["x"]); }},
        {"einsum", [](In& in) { return einsum("ij,jk->ik", in["a"], in["b"]); }},
        {"prod", [](In& in) { return prod(in["x"], static_cast<int>(in.option("axis"))); }},
        {"std", [](In& in) { return gradus::std(in["x"], static_cast<int>(in.option("axis"))); }},
        {"cumsum", [](In& in) { return cumsum(in["x"], 1); }},
        {"sort", [](In& in) { return sort(in["x"]).values; }},
        {"argsort", [](In& in) { return Variable<T>(cast<T>(argsort(in["x"]))); }},
        {"topk",
         [](In& in) {
             return topk(in["x"], static_cast<Index>(in.option("k")), 0,
                         {.largest = in.option("smallest") == 0})
                 .values;
         }},
        {"scatter_add",
         [](In& in) {
             return scatter_add(in["x"], in.constant("x").rank() - 1, in.indices("indices"), in["source"]);
         }},
        {"where", [](In& in) { return where(in.constant("a") > T(0), in["a"], in["b"]); }},
        {"map", [](In& in) { return map([](auto x) { return 1 / x; }, in["x"]); }},
        {"relu", [](In& in) { return relu(in["x"]); }},
        {"leaky_relu", [](In& in) { return leaky_relu(in["x"], T(in.option("negative_slope"))); }},
        {"elu", [](In& in) { return elu(in["x"]); }},
        {"gelu",
         [](In& in) {
             return in.given.options.empty() ? gelu(in["x"])
                                             : gelu(in["x"], {.approximate = GeluApproximation::tanh});
         }},
        {"sigmoid", [](In& in) { return sigmoid(in["x"]); }},
        {"silu", [](In& in) { return silu(in["x"]); }},
        {"tanh", [](In& in) { return tanh(in["x"]); }},
        {"erf", [](In& in) { return erf(in["x"]); }},
        {"softplus",
         [](In& in) {
             return in.given.options.empty() ? softplus(in["x"])
                                             : softplus(in["x"], {.beta = in.option("beta")});
         }},
        {"softmax", [](In& in) { return softmax(in["x"]); }},
        {"log_softmax", [](In& in) { return log_softmax(in["x"]); }},
        {"sum", [](In& in) { return sum(in["x"], static_cast<int>(in.option("axis"))); }},
        {"mean", [](In& in) { return mean(in["x"], static_cast<int>(in.option("axis"))); }},
        {"norm", [](In& in) { return norm(in["x"], static_cast<int>(in.option("axis"))); }},
        {"max", [](In& in) { return max(in["x"], static_cast<int>(in.option("axis"))); }},
        {"min", [](In& in) { return min(in["x"], static_cast<int>(in.option("axis"))); }},
        {"var", [](In& in) { return var(in["x"], static_cast<int>(in.option("axis"))); }},
        {"logsumexp", [](In& in) { return logsumexp(in["x"], static_cast<int>(in.option("axis"))); }},
        {"argmax", [](In& in) { return Variable<T>(cast<T>(argmax(in["x"]))); }},
        {"matmul", [](In& in) { return matmul(in["a"], in["b"]); }},
        {"linear", [](In& in) { return linear(in["x"], in["w"], in["b"]); }},
        {"conv2d", [](In& in) { return conv2d(in["x"], in["w"]); }},
        {"max_pool2d",
         [](In& in) { return max_pool2d(in["x"], {.kernel_size = Index(in.option("kernel_size"))}); }},
        {"avg_pool2d",
         [](In& in) { return avg_pool2d(in["x"], {.kernel_size = Index(in.option("kernel_size"))}); }},
        {"adaptive_avg_pool2d",
         [](In& in) { return adaptive_avg_pool2d(in["x"], Index(in.option("size"))); }},
        {"global_avg_pool2d", [](In& in) { return global_avg_pool2d(in["x"]); }},
        {"global_max_pool2d", [](In& in) { return global_max_pool2d(in["x"]); }},
        {"batch_norm", [](In& in) { return batch_norm(in["x"], in["w"], in["b"]); }},
        {"layer_norm", [](In& in) { return layer_norm(in["x"], in["w"], in["b"]); }},
        {"dropout", [](In& in) { return dropout(in["x"], 0); }},
        {"reshape", [](In& in) { return reshape(in["x"], {-1}); }},
        {"flatten", [](In& in) { return flatten(in["x"]); }},
        {"squeeze", [](In& in) { return squeeze(unsqueeze(in["x"], 0), 0); }},
        {"unsqueeze", [](In& in) { return unsqueeze(in["x"], 1); }},
        {"transpose", [](In& in) { return transpose(in["x"]); }},
        {"permute",
         [](In& in) {
             return permute(in["x"], {1, 0});
         }},
        {"flip", [](In& in) { return flip(in["x"], {0}); }},
        {"broadcast_to",
         [](In& in) {
             const Variable<T> x = in["x"];
             return broadcast_to(x, Shape{2, x.size(0), x.size(1)});
         }},
        {"repeat",
         [](In& in) {
             return repeat(in["x"], {2, 1});
         }},
        {"slice", [](In& in) { return slice(in["x"], 0, 0, in["x"].size(0)); }},
        {"split",
         [](In& in) {
             const std::vector<Variable<T>> parts = split(in["x"], 1, 1);
             return concat(parts, 1);
         }},
        {"concat",
         [](In& in) {
             return concat(std::vector<Variable<T>>{in["x"], in["x"]}, 0);
         }},
        {"stack",
         [](In& in) {
             return stack(std::vector<Variable<T>>{in["x"], in["x"]}, 0);
         }},
        {"pad",
         [](In& in) {
             return pad(in["x"], {{1, 0}}, T(7));
         }},
        {"index_select", [](In& in) { return index_select(in["x"], 0, in.indices("indices")); }},
        {"gather", [](In& in) { return gather(in["x"], 1, in.indices("indices")); }},
        {"one_hot", [](In& in) { return Variable<T>(one_hot<T>(in.indices("indices"), 3)); }},
        {"embedding", [](In& in) { return embedding(in.indices("indices"), in["x"]); }},
        {"cross_entropy",
         [](In& in) { return cross_entropy(in["x"], in.indices("labels"), {.reduction = none}); }},
        {"nll", [](In& in) { return nll(in["x"], in.indices("labels"), {.reduction = none}); }},
        {"bce", [](In& in) { return bce(in["x"], in.constant("t"), {.reduction = none}); }},
        {"bce_with_logits",
         [](In& in) { return bce_with_logits(in["x"], in.constant("t"), {.reduction = none}); }},
        {"mse", [](In& in) { return mse(in["x"], in.constant("t"), {.reduction = none}); }},
        {"l1", [](In& in) { return l1(in["x"], in.constant("t"), {.reduction = none}); }},
        {"smooth_l1",
         [](In& in) {
             return smooth_l1(in["x"], in.constant("t"), {.reduction = none, .beta = in.option("beta")});
         }},
        {"huber",
         [](In& in) {
             return huber(in["x"], in.constant("t"), {.reduction = none, .delta = in.option("delta")});
         }},
        {"kl_div", [](In& in) { return kl_div(in["x"], in.constant("t"), {.reduction = none}); }},
    };
}

/// Infinities and NaN by kind, other numbers within the errors allowed and two denormals.
template <class T>
bool is_right(T got, double expected, const Numbers& allowed) {
    if (std::isnan(expected)) return std::isnan(got);
    if (std::isinf(expected) || allowed.ulp == 0)
        return static_cast<double>(got) == static_cast<double>(static_cast<T>(expected));
    using Limits = std::numeric_limits<T>;
    const double size = std::min(std::abs(expected), static_cast<double>(Limits::max()));
    return std::abs(static_cast<double>(got) - expected) <=
           allowed.ulp * static_cast<double>(Limits::epsilon()) * size + allowed.off +
               (allowed.ulp > 0 ? 2 * static_cast<double>(Limits::denorm_min()) : 0);
}

template <class T>
void check_numbers(const Case& c, const std::string& name, const Tensor<T>& got, const Numbers& expected) {
    INFO(name);
    if (name == "head") {  // the first elements only
        REQUIRE(got.numel() >= expected.shape.numel());
    } else {
        REQUIRE(got.shape() == expected.shape);
    }
    for (Index i = 0; i < expected.shape.numel(); ++i) {
        const double right = expected.values[static_cast<std::size_t>(i) % expected.values.size()];
        if (is_right(got.data()[i], right, expected)) continue;
        std::string at;
        for (const auto& [input, numbers] : c.inputs)
            if (!numbers.values.empty())
                at += " " + input + " = " +
                      std::to_string(numbers.values[static_cast<std::size_t>(i) % numbers.values.size()]);
        FAIL_CHECK("element " << i << " (" << at << " if element by element): got " << got.data()[i]
                              << ", right is " << right);
        break;  // one of each result is enough to read
    }
}

template <class T>
void check_case(const Case& c, const Function<T>& f) {
    Inputs<T> in(c);
    const Variable<T> y = f(in);
    if (y.requires_grad())
        y.backward({.gradient = c.inputs.count("dy")
                                    ? broadcast_to(Variable<T>(in.constant("dy")), y.shape()).value()
                                    : ones<T>(y.shape())});
    for (const auto& [name, expected] : c.results) {
        if (name == "y" || name == "head")
            check_numbers(c, name, y.value(), expected);
        else
            check_numbers(c, name, in.leaves.at(name.substr(1)).grad(), expected);
    }
}

template <class T>
void check_all(const std::string& type) {
    const auto known = functions<T>();
    for (const Case& c : all_cases()) {
        if (c.type != type) continue;
        INFO(c.name << ", " << c.type);
        const auto at = known.find(c.name);
        REQUIRE(at != known.end());
        check_case<T>(c, at->second);
    }
}

/// The names in the first column of the tables of the catalog.
std::set<std::string> catalog() {
    std::ifstream page(folder() + "../docs/ops.md");
    std::set<std::string> names;
    for (std::string line; std::getline(page, line);) {
        if (line.rfind("| `", 0) != 0) continue;
        const std::string name = line.substr(3, line.find_first_of("(`<", 3) - 3);
        names.insert(name);
    }
    return names;
}

}  // namespace

TEST_CASE("edges: float", "[edges]") { check_all<float>("float"); }
TEST_CASE("edges: double", "[edges]") { check_all<double>("double"); }

TEST_CASE("edges: the table has every operation and loss of the catalog", "[edges]") {
    std::set<std::string> covered;
    for (const Case& c : all_cases()) covered.insert(c.name);
    const std::set<std::string> names = catalog();
    CHECK(names.size() > 60);
    for (const std::string& name : names) {
        INFO(name);
        CHECK(covered.count(name) == 1);
    }
}
