// SPDX-License-Identifier: MIT
// Losses against PyTorch, with all options and reductions: values and gradients.
#include "gradus/loss/bce.hpp"
#include "gradus/loss/bce_with_logits.hpp"
#include "gradus/loss/cross_entropy.hpp"
#include "gradus/loss/huber.hpp"
#include "gradus/loss/kl_div.hpp"
#include "gradus/loss/l1.hpp"
#include "gradus/loss/mse.hpp"
#include "gradus/loss/nll.hpp"
#include "gradus/loss/smooth_l1.hpp"
#include "pytorch/cases.hpp"

using namespace gradus;
using pytorch::Case;
using pytorch::Inputs;

namespace {

Reduction reduction(const Case& c) {
    const std::string word = c.word("reduction");
    for (const auto& [name, value] : {std::pair("mean", Reduction::mean), std::pair("sum", Reduction::sum),
                                      std::pair("none", Reduction::none)})
        if (word == name) return value;
    CHECK(word == "batchmean");
    return Reduction::batchmean;
}

/// No weights are an empty tensor.
template <class T>
Tensor<T> weight(const Case& c, const char* name = "weight") {
    return c.has(name) ? c.input<T>(name) : Tensor<T>();
}

/// Where there is an ignore_index, the number after the last class stands for it.
Tensor<Index> labels(const Case& c) {
    const Shape scores = c.shape("x");
    const Index classes = scores[1];
    const std::string name = c.name + "/labels";
    if (!c.has("ignore_index")) return pytorch::integers(name, scores.without(1), classes);
    Tensor<Index> result = pytorch::integers(name, scores.without(1), classes + 1);
    for (Index& label : result.mutable_values())
        if (label == classes) label = c.integer("ignore_index");
    return result;
}

/// Checks a loss of x: f(x, case).
template <class F>
void check_loss(const char* kind, const F& f) {
    pytorch::for_cases_in_both("pytorch_losses.txt", kind, [&]<class T>(const Case& c, T) {
        Inputs<T> inputs(c);
        inputs.check(f(inputs["x"], c));
    });
}

}  // namespace

TEST_CASE("pytorch: losses of differences") {
    check_loss("mse", []<class T>(const Variable<T>& x, const Case& c) {
        return mse(x, c.input<T>("target"), {.reduction = reduction(c)});
    });
    check_loss("l1", []<class T>(const Variable<T>& x, const Case& c) {
        return l1(x, c.input<T>("target"), {.reduction = reduction(c)});
    });
    check_loss("smooth_l1", []<class T>(const Variable<T>& x, const Case& c) {
        return smooth_l1(x, c.input<T>("target"), {.reduction = reduction(c), .beta = c.number("beta")});
    });
    check_loss("huber", []<class T>(const Variable<T>& x, const Case& c) {
        return huber(x, c.input<T>("target"), {.reduction = reduction(c), .delta = c.number("delta")});
    });
}

TEST_CASE("pytorch: losses of probabilities") {
    pytorch::for_cases_in_both("pytorch_losses.txt", "bce", []<class T>(const Case& c, T) {
        Tensor<T> p = c.input<T>("x");
        if (c.flag("edges"))
            for (T& value : p.mutable_values()) value = std::clamp(value, T(0), T(1));
        Inputs<T> inputs(c);
        inputs.check(bce(inputs.add("x", p), c.input<T>("target"),
                         {.reduction = reduction(c), .weight = weight<T>(c)}));
    });
    check_loss("bce_with_logits", []<class T>(const Variable<T>& x, const Case& c) {
        return bce_with_logits(
            x, c.input<T>("target"),
            {.reduction = reduction(c), .weight = weight<T>(c), .pos_weight = weight<T>(c, "pos_weight")});
    });
    check_loss("kl_div", []<class T>(const Variable<T>& x, const Case& c) {
        Tensor<T> target = c.input<T>("target");
        if (c.flag("zeros"))
            for (T& t : target.mutable_values()) t = t < T(0.25) ? T(0) : t;
        return kl_div(x, target, {.reduction = reduction(c), .log_target = c.flag("log_target")});
    });
}

TEST_CASE("pytorch: losses of classes") {
    check_loss("nll", []<class T>(const Variable<T>& x, const Case& c) {
        NllOptions<T> o{.reduction = reduction(c), .weight = weight<T>(c)};
        if (c.has("ignore_index")) o.ignore_index = c.integer("ignore_index");
        return nll(x, labels(c), o);
    });
    check_loss("cross_entropy", []<class T>(const Variable<T>& x, const Case& c) {
        CrossEntropyOptions<T> o{.reduction = reduction(c),
                                 .weight = weight<T>(c),
                                 .label_smoothing = c.number("label_smoothing")};
        if (c.flag("soft")) return cross_entropy(x, c.input<T>("target"), o);
        if (c.has("ignore_index")) o.ignore_index = c.integer("ignore_index");
        return cross_entropy(x, labels(c), o);
    });
}
