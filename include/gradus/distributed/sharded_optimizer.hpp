// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/distributed/reduce.hpp"
#include "gradus/optim/optimizer.hpp"

namespace gradus::distributed {
namespace detail {

inline constexpr const char* sharded_name = "sharded_optimizer";

template <class Rule>
Rule rule_of(const optim::Optimizer<Rule>&);

/// Every process has its part of each tensor: of n numbers those from n r / R up to n (r + 1) / R. Afterwards all have
/// all. Recursive doubling: log₂ R messages, each twice as long as the one before; tensors go together up to a
/// bucket.
template <class T>
void all_gather_parts(const World& world, const std::vector<Tensor<T>*>& tensors, const Meeting& at,
                      Index bucket_bytes = Index{25} << 20) {
    const Index ranks = world.size();
    gradus::detail::RecycledVector<T> out, in;
    const auto part = [&](const Tensor<T>& x, Index first, Index last) {
        T* const data = const_cast<Tensor<T>&>(x).mutable_data();
        return std::pair(data + x.numel() * first / ranks, data + x.numel() * last / ranks);
    };
    for (std::size_t begin = 0, end = 0; begin < tensors.size(); begin = end) {
        for (Index bytes = 0; end < tensors.size() && (end == begin || bytes < bucket_bytes); ++end)
            bytes += tensors[end]->numel() * static_cast<Index>(sizeof(T));
        for (Index bit = 1; bit < ranks; bit *= 2) {
            const Index own = world.rank() / bit * bit, other = own ^ bit;
            Index count = 0;
            out.clear();
            for (std::size_t i = begin; i < end; ++i) {
                const auto [a, b] = part(*tensors[i], own, own + bit);
                out.insert(out.end(), a, b);
                const auto [c, d] = part(*tensors[i], other, other + bit);
                count += d - c;
            }
            in.resize(static_cast<std::size_t>(count));
            constexpr std::size_t most = (std::size_t{64} << 20) / sizeof(T);  // of a message
            const auto piece = [&](auto& list, std::size_t from) {
                const std::size_t first = std::min(from, list.size());
                return std::span(list.data() + first, std::min(most, list.size() - first));
            };
            const int partner = world.rank() ^ static_cast<int>(bit);
            for (std::size_t from = 0; from < std::max(out.size(), in.size()); from += most)
                world.exchange(partner, std::as_bytes(piece(out, from)), partner,
                               std::as_writable_bytes(piece(in, from)), at);
            const T* from = in.data();
            for (std::size_t i = begin; i < end; ++i) {
                const auto [c, d] = part(*tensors[i], other, other + bit);
                std::copy_n(from, d - c, c);
                from += d - c;
            }
        }
    }
}

}  // namespace detail

/// An optimizer whose state is spread over the processes: of each parameter, each one keeps and updates its part, and
/// gives the others the new weights. With R processes the state (of Adam twice the weights) takes an R-th of the
/// memory in each; the weights are, bit for bit, those of the optimizer itself.
///
///     distributed::ShardedOptimizer adam(optim::Adam(nn::named_parameters(net), {.lr = 1e-3}), world);
///     shards.backward(batches, step, loss_of);  // or reduce_gradients(): gradients must be the same everywhere
///     adam.step();
///
/// A checkpoint holds the ordinary optimizer, so that a run may go on with any number of processes, spread or not:
///
///     const optim::Adam whole = adam.gather();  // by all processes
///     if (world.is_first()) training::save_checkpoint("last.safetensors", at, net, whole);
///
/// and when it goes on, the optimizer is loaded before it is spread.
///
/// For rules that treat every number alike (ElementwiseRule): SGD, Adam, AdamW, RMSProp, Adagrad. Those of whole
/// parameters do not compile. Throws ValueError unless the number of processes is a power of two.
/// Source: Rajbhandari et al., "ZeRO: memory optimizations toward training trillion parameter models", 2020 (stage 1).
template <class Optimizer>
class ShardedOptimizer {
    using Rule = decltype(detail::rule_of(std::declval<Optimizer&>()));
    using T = typename Rule::value_type;
    static_assert(std::is_base_of_v<optim::ElementwiseRule<T>, Rule>,
                  "ShardedOptimizer: a rule of whole parameters (TensorRule) needs all numbers of each: its "
                  "state cannot be spread over processes; use the optimizer itself");

public:
    using value_type = T;
    using Options = typename Optimizer::Options;

    /// Spreads the state that the optimizer has.
    [[gnu::cold]] explicit ShardedOptimizer(Optimizer optimizer, World world = {})
        : world_(std::move(world)), frame_(std::move(optimizer)), own_(make_own()) {
        std::vector<optim::ParameterState<T>> states = frame_.state(), own;
        for (const std::size_t i : order_) {
            own.push_back({states[i].name, states[i].steps, {}});
            for (auto& kind : states[i].kinds)
                if (Tensor<T> mine = part(kind.value); mine.numel() > 0)
                    own.back().kinds.push_back({kind.name, std::move(mine)});
            states[i] = {states[i].name, 0, {}};
        }
        own_.load_state(own);
        frame_.load_state(states);
    }

    /// Updates the weights of all processes, of parameters that have a gradient and are not frozen. Throws as
    /// the step() of the optimizer does, and DistributedError if a process is missing.
    void step() {
        std::vector<Tensor<T>*> changed;
        auto pieces = own_.parameters();
        std::vector<Variable<T>> parameters = frame_.parameters();
        for (std::size_t j = 0; j < pieces.size(); ++j) {
            const Variable<T>& parameter = parameters[order_[j]];
            pieces[j].zero_grad();
            if (!parameter.has_grad() || !parameter.requires_grad()) continue;
            if (part_size(parameter.numel()) != pieces[j].numel() ||
                parameter.grad().shape() != parameter.shape())
                gradus::detail::raise<ShapeError>(detail::sharded_name,
                                                  "a parameter or its gradient changed shape",
                                                  parameter.shape(), parameter.grad().shape());
            pieces[j].set_value(part(parameter.value()));
            pieces[j].set_grad(part(parameter.grad()));
        }
        own_.step();
        for (std::size_t j = 0; j < pieces.size(); ++j) {
            if (!pieces[j].has_grad()) continue;
            Tensor<T>& whole = parameters[order_[j]].mutable_value();
            std::copy_n(pieces[j].value().data(), pieces[j].numel(), whole.mutable_data() + begin(whole));
            changed.push_back(&whole);
        }
        detail::all_gather_parts(world_, changed, {detail::sharded_name, steps_++});
    }

    void zero_grad() { frame_.zero_grad(); }
    const std::vector<Variable<T>>& parameters() const { return frame_.parameters(); }
    double lr() const { return own_.lr(); }
    void set_lr(double lr) { own_.set_lr(lr); }

    /// That of this process: groups, options and its part of the state; to change options, in all processes alike.
    Optimizer& own() { return own_; }
    const Optimizer& own() const { return own_; }

    /// The optimizer with the state of all, and the options of now. All processes have to call it.
    [[gnu::cold]] Optimizer gather() const {
        Optimizer whole = frame_;
        for (std::size_t g = 0; g < own_.groups().size(); ++g) whole.set_options(g, own_.groups()[g].options);
        auto states = whole.state();
        const auto own = own_.state();
        std::vector<Tensor<T>*> tensors;
        for (std::size_t k = 0; k < Rule::state_names.size(); ++k) {
            std::string there;  // a part without numbers has no state
            for (const auto& state : own) there += find(state, k) ? '1' : '0';
            for (const std::string& text : world_.all_gather(there, {"gather"}))
                for (std::size_t j = 0; j < there.size() && j < text.size(); ++j)
                    if (text[j] == '1') there[j] = '1';
            for (std::size_t j = 0; j < own.size(); ++j) {
                auto& state = states[order_[j]];
                state.steps = own[j].steps;
                if (there[j] == '0') continue;
                Tensor<T> all = zeros<T>(whole.parameters()[order_[j]].shape());
                if (const Tensor<T>* const mine = find(own[j], k))
                    std::copy_n(mine->data(), mine->numel(), all.mutable_data() + begin(all));
                state.kinds.push_back({Rule::state_names[k], std::move(all)});
            }
        }
        for (auto& state : states)
            for (auto& kind : state.kinds) tensors.push_back(&kind.value);
        detail::all_gather_parts(world_, tensors, {"gather"});
        whole.load_state(states);
        return whole;
    }

private:
    Index begin(Index rank, Index numel) const { return numel * rank / world_.size(); }
    Index begin(const Tensor<T>& x) const { return begin(world_.rank(), x.numel()); }
    Index part_size(Index numel) const {
        return begin(world_.rank() + 1, numel) - begin(world_.rank(), numel);
    }
    Tensor<T> part(const Tensor<T>& x) const {
        const auto size = static_cast<std::size_t>(part_size(x.numel()));
        return Tensor<T>({static_cast<Index>(size)}, std::span<const T>(x.data() + begin(x), size));
    }

    static const Tensor<T>* find(const optim::ParameterState<T>& state, std::size_t k) {
        for (const auto& kind : state.kinds)
            if (kind.name == Rule::state_names[k]) return &kind.value;
        return nullptr;
    }

    /// Of the parts of this process, group by group.
    [[gnu::cold]] Optimizer make_own() {
        detail::check_power_of_two(detail::sharded_name, world_);
        const auto names = frame_.names();
        const auto pieces = [&](const std::vector<std::size_t>& indices) {
            std::vector<NamedParameter<T>> list;
            for (const std::size_t i : indices) {
                list.push_back(
                    {names[i], Variable<T>(part(frame_.parameters()[i].value()), {.requires_grad = true})});
                order_.push_back(i);
            }
            return list;
        };
        const auto& groups = frame_.groups();
        Optimizer own(pieces(groups[0].parameters), groups[0].options);
        for (std::size_t g = 1; g < groups.size(); ++g)
            own.add_group(pieces(groups[g].parameters), groups[g].options);
        return own;
    }

    World world_;
    Optimizer frame_;                 // without its state
    std::vector<std::size_t> order_;  // which parameter each of own_ is a part of
    Optimizer own_;
    Index steps_ = 0;
};

}  // namespace gradus::distributed
