// SPDX-License-Identifier: MIT
#include "gradus/optim/saved_options.hpp"

#include "gradus/gradus.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

struct Net {
    nn::Linear<> fc1{3, 2}, fc2{2, 1};
};

/// What a rule of the user may have among its options.
struct MixedOptions {
    double lr = 0.1;
    float factor = 0.25f;
    Index every = 7;
    bool on = true;
    optim::Mode mode = optim::Mode::max;
    std::string name = "mine";
};

template <class T>
struct MixedRule : optim::ElementwiseRule<T> {
    using Options = MixedOptions;
    static constexpr const char* name = "mixed";
    static constexpr std::array<const char*, 0> state_names = {};
    static void validate(const Options& o) { optim::check_setting(name, "lr", o.lr); }
    MixedRule(const Options& o, Index) : lr(T(o.lr)) {}
    template <class V>
    GRADUS_INLINE void operator()(V& w, const V& dw) const {
        w = w - V(lr) * dw;
    }
    T lr;
};

}  // namespace

TEST_CASE("saved options: another optimizer of the same groups takes them, of every type") {
    Net net;
    optim::Optimizer<MixedRule<float>> first(nn::named_parameters(net)), second(nn::named_parameters(net));
    for (auto* optimizer : {&first, &second}) optimizer->configure("fc2", [](auto& o) { o.lr = 2; });
    MixedOptions changed;
    changed.lr = 0.5;
    changed.factor = 0.1f;
    changed.every = 1 << 30;
    changed.on = false;
    changed.mode = optim::Mode::min;
    changed.name = "other";
    first.set_options(1, changed);
    const optim::SavedOptions saved = saved_options(first);
    CHECK(saved.kind == "mixed");
    CHECK(saved.groups.size() == 2);
    CHECK(saved.groups[1].parameters == std::vector<Index>{2, 3});
    load_options(second, saved);
    const MixedOptions& loaded = second.groups()[1].options;
    CHECK(loaded.lr == 0.5);
    CHECK(loaded.factor == 0.1f);
    CHECK(loaded.every == 1 << 30);
    CHECK(!loaded.on);
    CHECK(loaded.mode == optim::Mode::min);
    CHECK(loaded.name == "mine");  // belongs to the program
    CHECK(second.groups()[0].options.lr == 0.1);
}

TEST_CASE("saved options: what does not fit is refused, and nothing is changed") {
    Net net;
    optim::SGD sgd(nn::named_parameters(net), {.lr = 0.1});
    optim::SGD two(nn::named_parameters(net), {.lr = 0.2});
    two.configure("fc2", [](auto& o) { o.lr = 0.3; });
    optim::SGD other(nn::named_parameters(net), {.lr = 0.4});
    other.configure("fc1", [](auto& o) { o.lr = 0.5; });
    const optim::Adam adam(nn::named_parameters(net));
    CHECK_THROWS_MATCHES(load_options(sgd, saved_options(adam)), ValueError,
                         Message("sgd: load_options: these are options of adam"));
    CHECK_THROWS_MATCHES(load_options(sgd, saved_options(two)), ValueError,
                         Message("sgd: load_options: needs as many groups of parameters: got 2 and 1"));
    CHECK_THROWS_MATCHES(
        load_options(two, saved_options(other)), ValueError,
        Message("sgd: load_options: group 0 has other parameters: call add_group() and configure() "
                "as it was done there"));
    optim::SavedOptions wrong = saved_options(two);
    wrong.groups[0].options[0].value = 7;
    wrong.groups[1].options[0].value = -1;
    CHECK_THROWS_MATCHES(load_options(two, wrong), ValueError,
                         Message("sgd: lr must be finite and not negative: got -1"));
    wrong.groups[1].options.erase(wrong.groups[1].options.begin());
    CHECK_THROWS_MATCHES(load_options(two, wrong), ValueError, Message("sgd: load_options: lr is missing"));
    CHECK(sgd.lr() == 0.1);
    CHECK(two.groups()[0].options.lr == 0.2);
    CHECK(two.groups()[1].options.lr == 0.3);
}

TEST_CASE("saved options: of an optimizer of any kind") {
    Net net;
    optim::AnyOptimizer any = optim::SGD(nn::parameters(net), {.lr = 0.1});
    const optim::SavedOptions saved = saved_options(any);
    CHECK(saved.kind == "sgd");
    any.set_lr(0.7);
    load_options(any, saved);
    CHECK(any.lr() == 0.1);
}
