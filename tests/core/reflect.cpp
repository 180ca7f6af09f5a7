// SPDX-License-Identifier: MIT
#include "gradus/core/reflect.hpp"

#include <any>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "gradus/core/dual.hpp"
#include "gradus/core/tensor.hpp"
#include "support/test.hpp"

using gradus::for_each_field;
using gradus::is_reflectable;

namespace {

using Names = std::vector<std::string>;

template <class T>
Names names_of(T& x) {
    Names names;
    for_each_field(x, [&](std::string_view name, auto&) { names.emplace_back(name); });
    return names;
}

struct Empty {};

struct Single {
    double only;
};

/// Cannot be made without arguments, as most layers cannot.
struct Layer {
    Layer(int inputs, int outputs) : weight(static_cast<std::size_t>(inputs * outputs)) {}
    std::vector<float> weight;
};

struct Net {
    int hidden = 3;
    Layer fc1{2, hidden};
    Layer fc2{hidden, 1};
};

struct Nested {
    Net inner;
    struct {
        int x = 1, y = 2;
    } point;
    Empty nothing;
};

struct Containers {
    std::vector<Layer> list{{1, 2}, {3, 4}};
    std::optional<Layer> maybe;
    std::array<Layer, 2> pair{Layer{1, 1}, Layer{1, 1}};
    std::tuple<int, Layer> mixed{1, {1, 1}};
    std::map<std::string, int> table;
    std::variant<int, std::string> either;
    std::unique_ptr<Layer> owned;
    std::function<int(int)> call;
    std::string text;
    gradus::Tensor<> tensor;
    std::pair<int, float> two;
};

/// Fields whose constructors take anything, and one that can be neither copied nor moved.
struct Greedy {
    std::any any;
    std::mutex mutex;
    gradus::Dual<double> dual;
    gradus::detail::Literal<float> literal{1};
};

class ByHand {
public:
    explicit ByHand(int size) : weight_(static_cast<std::size_t>(size)) {}
    auto fields() { return std::tuple(gradus::field("weight", weight_), gradus::field("steps", steps_)); }

private:
    std::vector<float> weight_;
    int steps_ = 0;
    int hidden_ = 0;

    friend int hidden_of(const ByHand& x) { return x.hidden_; }
};

/// Both a plain struct and one that lists its fields: the list wins.
struct Selective {
    int used = 1;
    int unused = 2;
    auto fields() { return std::tuple(gradus::field("chosen", used)); }
};

struct Base {
    int a = 0;
};
struct EmptyBase {};
struct Derived : Base {
    int b = 0;
};
struct DerivedAlone : Base {};
struct DerivedFromEmpty : EmptyBase {
    int b = 0;
    Layer layer{1, 2};
};
class Private {
    [[maybe_unused]] int secret_ = 0;
};
struct Virtual {
    virtual ~Virtual() = default;
};
union Union {
    int i;
    float f;
};

// clang-format off
struct Wide20 { int f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19; };
struct Wide31 { int f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
                    f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30; };
struct Wide32 { int f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19,
                    f20, f21, f22, f23, f24, f25, f26, f27, f28, f29, f30, f31; };
// clang-format on

template <class Wide>
void check_wide(int count) {
    Wide wide{};
    for_each_field(wide, [next = 0](std::string_view, int& field) mutable { field = next++; });
    int expected = 0;
    for_each_field(wide, [&](std::string_view name, const int& field) {
        CHECK(name == "f" + std::to_string(expected));
        CHECK(field == expected++);
    });
    CHECK(expected == count);
}

template <int N>
struct Counted {
    int first, second;
};

/// An aggregate of N fields, for the sizes that the wide structs leave out.
template <std::size_t... I>
struct Slot {
    int value;
};

}  // namespace

TEST_CASE("the fields of a plain struct, by name and in order", "[core][reflect]") {
    Net net;
    CHECK(names_of(net) == Names{"hidden", "fc1", "fc2"});
    std::vector<std::size_t> sizes;
    for_each_field(net, [&](std::string_view, auto& field) {
        if constexpr (std::is_same_v<decltype(field), Layer&>) sizes.push_back(field.weight.size());
    });
    CHECK(sizes == std::vector<std::size_t>{6, 3});
}

TEST_CASE("fields are references: they can be written", "[core][reflect]") {
    Single single{1};
    for_each_field(single, [](std::string_view, double& value) { value = 7; });
    CHECK(single.only == 7);
    CHECK(names_of(single) == Names{"only"});
}

TEST_CASE("an empty struct has no fields", "[core][reflect]") {
    Empty empty;
    CHECK(names_of(empty).empty());
    const Empty fixed{};
    CHECK(names_of(fixed).empty());
}

TEST_CASE("nested structs are one field each", "[core][reflect]") {
    Nested nested;
    CHECK(names_of(nested) == Names{"inner", "point", "nothing"});
    CHECK(names_of(nested.inner) == Names{"hidden", "fc1", "fc2"});
    CHECK(names_of(nested.point) == Names{"x", "y"});
}

TEST_CASE("the fields of a const struct are const", "[core][reflect]") {
    const Net net;
    CHECK(names_of(net) == Names{"hidden", "fc1", "fc2"});
    for_each_field(net, [](std::string_view, auto& field) {
        STATIC_REQUIRE(std::is_const_v<std::remove_reference_t<decltype(field)>>);
    });
}

TEST_CASE("containers as fields count as one", "[core][reflect]") {
    Containers containers;
    CHECK(names_of(containers) == Names{"list", "maybe", "pair", "mixed", "table", "either", "owned", "call",
                                        "text", "tensor", "two"});
}

TEST_CASE("fields that can be made from anything, or not be copied", "[core][reflect]") {
    Greedy greedy;
    CHECK(names_of(greedy) == Names{"any", "mutex", "dual", "literal"});
}

TEST_CASE("a class may list its fields by hand", "[core][reflect]") {
    ByHand model(4);
    CHECK(names_of(model) == Names{"weight", "steps"});
    for_each_field(model, [](std::string_view name, auto& field) {
        if constexpr (std::is_same_v<decltype(field), int&>)
            field = 5;
        else
            CHECK(name == "weight");
    });

    const ByHand& fixed = model;  // its fields() is not const, but a const model is still only read
    CHECK(names_of(fixed) == Names{"weight", "steps"});
    for_each_field(fixed, [](std::string_view, auto& field) {
        STATIC_REQUIRE(std::is_const_v<std::remove_reference_t<decltype(field)>>);
        if constexpr (std::is_same_v<decltype(field), const int&>) CHECK(field == 5);
    });
    CHECK(hidden_of(model) == 0);

    Selective selective;
    const Selective fixed_selective;
    CHECK(names_of(selective) == Names{"chosen"});
    CHECK(names_of(fixed_selective) == Names{"chosen"});
}

TEST_CASE("local and templated structs", "[core][reflect]") {
    struct Local {
        int alpha = 1;
        Layer beta_2{1, 2};
    } local;
    CHECK(names_of(local) == Names{"alpha", "beta_2"});
    Counted<3> counted{1, 2};
    CHECK(names_of(counted) == Names{"first", "second"});
    Slot<1, 2, 3> slot{1};
    CHECK(names_of(slot) == Names{"value"});
}

TEST_CASE("names may be short, long, or not English", "[core][reflect]") {
    struct Odd {
        int a, _, value, nowhere, x1y2z3, größe, a_rather_long_name_that_says_exactly_what_it_holds;
    } odd{};
    CHECK(names_of(odd) == Names{"a", "_", "value", "nowhere", "x1y2z3", "größe",
                                 "a_rather_long_name_that_says_exactly_what_it_holds"});
}

TEST_CASE("up to 32 fields", "[core][reflect]") {
    check_wide<Wide20>(20);
    check_wide<Wide31>(31);
    check_wide<Wide32>(32);
}

TEST_CASE("names are known at compile time", "[core][reflect]") {
    STATIC_REQUIRE(gradus::detail::field_name<Net, 1>() == "fc1");
    STATIC_REQUIRE(gradus::detail::field_count<Net>() == 3);
    STATIC_REQUIRE(gradus::detail::field_count<Empty>() == 0);
    STATIC_REQUIRE(gradus::detail::field_count<Nested>() == 3);
}

TEST_CASE("which types can be visited", "[core][reflect]") {
    STATIC_REQUIRE(is_reflectable<Net>);
    STATIC_REQUIRE(is_reflectable<const Net>);
    STATIC_REQUIRE(is_reflectable<Empty>);
    STATIC_REQUIRE(is_reflectable<ByHand>);
    STATIC_REQUIRE(is_reflectable<const ByHand>);
    STATIC_REQUIRE(is_reflectable<Greedy>);
    STATIC_REQUIRE_FALSE(is_reflectable<Layer>);
    STATIC_REQUIRE_FALSE(is_reflectable<Private>);
    STATIC_REQUIRE_FALSE(is_reflectable<Virtual>);
    STATIC_REQUIRE_FALSE(is_reflectable<Derived>);
    STATIC_REQUIRE_FALSE(is_reflectable<DerivedAlone>);
    STATIC_REQUIRE_FALSE(is_reflectable<DerivedFromEmpty>);
    STATIC_REQUIRE_FALSE(is_reflectable<Union>);
    STATIC_REQUIRE_FALSE(is_reflectable<int>);
    STATIC_REQUIRE_FALSE(is_reflectable<int[3]>);
    STATIC_REQUIRE_FALSE(is_reflectable<int*>);
    STATIC_REQUIRE_FALSE(is_reflectable<std::string>);
    STATIC_REQUIRE_FALSE(is_reflectable<gradus::Tensor<>>);
}
