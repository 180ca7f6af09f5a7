// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/distributed/world.hpp"
#include "gradus/training/tree_sum.hpp"

// Sums over processes, along the tree of training::TreeSum. Process r holds part r of a power of two of parts.
// Processes r and r ^ 1 exchange theirs and both add them, then r and r ^ 2 these sums, and so on (recursive
// doubling). Addition of two numbers commutes, so all get the same bits. Which bytes go together does not matter.

namespace gradus::distributed {

struct ReduceOptions {
    Index bucket_bytes = Index{25} << 20;  // that are sent at a time; the bits do not depend on it
    Index step = -1;                       // for the texts of errors
};

namespace detail {

inline constexpr const char* reduce_name = "reduce_gradients";

/// Numbers and lists of them as bytes, for processes of one program on machines of one kind.
class Bytes {
public:
    Bytes() = default;
    explicit Bytes(std::string bytes) : bytes_(std::move(bytes)) {}

    template <class X>
    void put(const X& x) {
        static_assert(std::is_trivially_copyable_v<X>);
        bytes_.append(reinterpret_cast<const char*>(&x), sizeof x);
    }
    template <class X>
    void put_all(const std::vector<X>& xs) {
        put(xs.size());
        for (const X& x : xs) put(x);
    }

    template <class X>
    X get() {
        X x{};
        if (bytes_.size() - at_ < sizeof x)
            gradus::detail::raise<DistributedError>(
                reduce_name, "a message is too short: do all processes run the same program?");
        std::memcpy(&x, bytes_.data() + at_, sizeof x);
        at_ += sizeof x;
        return x;
    }
    template <class X>
    std::vector<X> get_all() {
        const auto count = get<std::size_t>();
        std::vector<X> xs;
        for (std::size_t i = 0; i < count; ++i) xs.push_back(get<X>());
        return xs;
    }

    const std::string& text() const { return bytes_; }

private:
    std::string bytes_;
    std::size_t at_ = 0;
};

[[gnu::cold]] inline void check_power_of_two(const char* operation, const World& world) {
    if ((world.size() & (world.size() - 1)) != 0)
        gradus::detail::raise<ValueError>(
            {operation, ": the tree of sums needs 1, 2, 4, 8, ... processes: got ", world.size()});
}

[[gnu::cold]] inline void check_bucket(const ReduceOptions& options) {
    if (options.bucket_bytes < 1 || options.bucket_bytes > Index{1} << 30)
        gradus::detail::raise<ValueError>(reduce_name, "bucket_bytes must be 1 to 2^30",
                                          options.bucket_bytes);
}

/// Exchanges tensors with a process bucket by bucket, and adds what comes.
template <class T>
void add_from(const World& world, int partner, std::vector<Tensor<T>>& sums, const ReduceOptions& options) {
    const Meeting at{reduce_name, options.step};
    const Index most = std::max<Index>(1, options.bucket_bytes / static_cast<Index>(sizeof(T)));
    const training::detail::AddGradient<T> rule;
    struct Piece {
        T* own;
        Index size;
    };
    std::vector<Piece> pieces;  // of a bucket
    gradus::detail::RecycledVector<T> out, in;
    const auto flush = [&] {
        in.resize(out.size());
        world.exchange(partner, std::as_bytes(std::span(out.data(), out.size())), partner,
                       std::as_writable_bytes(std::span(in.data(), in.size())), at);
        kernels::UpdateSegments<T> segments(pieces.size());
        T* from = in.data();
        for (const Piece& piece : pieces) {
            segments.push_back({piece.size, {piece.own, from}});
            from += piece.size;
        }
        kernels::update<2>(&rule, segments);
        pieces.clear();
        out.clear();
    };
    for (Tensor<T>& sum : sums)
        for (Index begin = 0, n = 0; begin < sum.numel(); begin += n) {
            n = std::min(sum.numel() - begin, most - static_cast<Index>(out.size()));
            T* const own = sum.mutable_data() + begin;
            out.insert(out.end(), own, own + n);
            pieces.push_back({own, n});
            if (static_cast<Index>(out.size()) == most) flush();
        }
    if (!pieces.empty()) flush();
}

/// Adds a node of the tree to that of the other processes. `shapes` are those of the gradients. meet(partner) is
/// called at each level of the tree, before the gradients: it exchanges what else is in a node.
template <class T, class Meet>
void reduce(training::GradientSum<T>& sum, const std::vector<Shape>& shapes, const World& world,
            const ReduceOptions& options, const Meet& meet) {
    sum.gradients.resize(shapes.size());
    for (int bit = 1; bit < world.size(); bit *= 2) {
        const int partner = world.rank() ^ bit;
        Bytes own;
        own.put(options.step);
        own.put(sum.unit);
        own.put(sum.examples);
        for (const Tensor<T>& gradient : sum.gradients) own.put(gradient.numel() > 0);
        Bytes other(world.exchange_text(partner, own.text(), partner, {reduce_name, options.step}));
        if (const auto step = other.get<Index>(); step != options.step)
            gradus::detail::raise<DistributedError>({reduce_name, ": rank ", partner, " is at step ", step,
                                                     ", rank ", world.rank(), " at step ", options.step});
        const auto unit = other.get<Index>(), examples = other.get<Index>();
        meet(partner);
        const bool is_left = partner > world.rank();
        const Index common =
            is_left ? (sum.examples > 0 ? sum.unit : unit) : (examples > 0 ? unit : sum.unit);
        // Both change to the unit of the left one: the right one with a multiplication, if there is any.
        if (sum.examples > 0) sum.change_unit(common);
        sum.unit = common;
        for (std::size_t i = 0; i < shapes.size(); ++i)
            if (const bool there = other.get<bool>(); there && sum.gradients[i].numel() == 0)
                sum.gradients[i] = full<T>(shapes[i], T(-0.0));  // -0 + x is x
        add_from(world, partner, sum.gradients, options);
        sum.examples += examples;
    }
}

}  // namespace detail

/// Makes the gradient of each parameter the mean over all processes, in one line between backward() and step().
/// With one process it is nothing.
///
///     loss.backward();
///     distributed::reduce_gradients(sgd.parameters(), world);
///     sgd.step();
///
/// All processes get the same bits, which depend on how many they are: for those that do not, see Shards. Each
/// process has its own part of the batch; if parts differ in size, say how many examples this one has. A parameter
/// without a gradient counts as 0.
/// Throws ValueError unless the number of processes is a power of two; DistributedError if one is missing.
template <class T>
void reduce_gradients(std::vector<Variable<T>> parameters, const World& world, Index examples = 1,
                      const ReduceOptions& options = {}) {
    if (world.size() == 1) return;
    detail::check_power_of_two(detail::reduce_name, world);
    detail::check_bucket(options);
    if (examples < 1)
        gradus::detail::raise<ValueError>(detail::reduce_name, "a part needs examples", examples);
    std::vector<Shape> shapes;
    for (const Variable<T>& parameter : parameters) shapes.push_back(parameter.shape());
    auto sum = training::detail::take_gradients(parameters, examples);
    detail::reduce(sum, shapes, world, options, [](int) {});
    sum.to_mean();
    training::detail::give_gradients(parameters, sum);
}

}  // namespace gradus::distributed
