// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "gradus/core/reflect.hpp"
#include "gradus/optim/optimizer.hpp"

namespace gradus::optim {

/// The options of an optimizer as numbers by name, to be saved: schedules change some of them.
struct SavedOptions {
    struct Option {
        std::string name;
        double value;  // a flag is 0 or 1, an enumerator its number
    };
    struct Group {
        std::vector<Index> parameters;  // as in Optimizer::Group
        std::vector<Option> options;
    };
    std::string kind;  // what the rule is called: "sgd", "adam", ...
    std::vector<Group> groups;
};

namespace detail {

/// Calls visit(name, option) for every option that is a number, flag or enumerator; for lr alone if the fields
/// cannot be seen.
template <class Options, class Visit>
void for_each_number(Options& options, const Visit& visit) {
    if constexpr (is_reflectable<Options>)
        for_each_field(options, [&](std::string_view name, auto& option) {
            using Option = std::remove_cvref_t<decltype(option)>;
            if constexpr (std::is_arithmetic_v<Option> || std::is_enum_v<Option>) visit(name, option);
        });
    else
        visit(std::string_view("lr"), options.lr);
}

[[gnu::cold]] inline double saved_number(const char* name, const SavedOptions::Group& saved,
                                         std::string_view option) {
    for (const SavedOptions::Option& o : saved.options)
        if (o.name == option) return o.value;
    gradus::detail::raise<ValueError>({name, ": load_options: ", option, " is missing"});
}

/// Throws ValueError unless `saved` is of such an optimizer with the same groups of parameters.
template <class Group>
[[gnu::cold]] void check_options(const char* name, const std::vector<Group>& groups,
                                 const SavedOptions& saved) {
    if (saved.kind != name)
        gradus::detail::raise<ValueError>({name, ": load_options: these are options of ", saved.kind});
    if (saved.groups.size() != groups.size())
        gradus::detail::raise<ValueError>(name, "load_options: needs as many groups of parameters",
                                          saved.groups.size(), groups.size());
    for (std::size_t g = 0; g < groups.size(); ++g)
        if (!std::equal(saved.groups[g].parameters.begin(), saved.groups[g].parameters.end(),
                        groups[g].parameters.begin(), groups[g].parameters.end(),
                        [](Index a, std::size_t b) { return a == static_cast<Index>(b); }))
            gradus::detail::raise<ValueError>(
                {name, ": load_options: group ", g,
                 " has other parameters: call add_group() and configure() as it was done there"});
}

}  // namespace detail

/// The options of every group that are numbers, flags or enumerators; others belong to the program.
template <class Rule>
[[gnu::cold]] SavedOptions saved_options(const Optimizer<Rule>& optimizer) {
    SavedOptions saved{Rule::name, {}};
    for (const auto& group : optimizer.groups()) {
        SavedOptions::Group& to = saved.groups.emplace_back();
        to.parameters.assign(group.parameters.begin(), group.parameters.end());
        detail::for_each_number(group.options, [&](std::string_view name, const auto& option) {
            to.options.push_back({std::string(name), static_cast<double>(option)});
        });
    }
    return saved;
}

/// Gives an optimizer the options that saved_options() gave. Throws ValueError, and changes nothing, unless
/// they are of the same kind of optimizer with the same groups of parameters, and in range.
template <class Rule>
[[gnu::cold]] void load_options(Optimizer<Rule>& optimizer, const SavedOptions& saved) {
    detail::check_options(Rule::name, optimizer.groups(), saved);
    std::vector<typename Rule::Options> all;
    for (std::size_t g = 0; g < saved.groups.size(); ++g) {
        auto& options = all.emplace_back(optimizer.groups()[g].options);
        detail::for_each_number(options, [&](std::string_view name, auto& option) {
            option = static_cast<std::remove_cvref_t<decltype(option)>>(
                detail::saved_number(Rule::name, saved.groups[g], name));
        });
        Rule::validate(options);
    }
    for (std::size_t g = 0; g < all.size(); ++g) optimizer.set_options(g, all[g]);
}

}  // namespace gradus::optim
