// SPDX-License-Identifier: MIT
#include "gradus/distributed/reduce.hpp"

#include "gradus/core/random.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"
#include "support/thread_world.hpp"
#include "support/threads.hpp"

using namespace gradus;
using distributed::World;

namespace {

using Lists = std::vector<std::vector<Tensor<>>>;

/// Gradients of `count` processes for parameters of some shapes. Those in `absent` (process, parameter) are missing.
struct Parts {
    std::vector<Shape> shapes{{7, 33}, {1}, {20000}, {3}};
    Lists gradients;

    explicit Parts(int count) {
        Generator generator(5);
        for (int r = 0; r < count; ++r) {
            gradients.emplace_back();
            for (const Shape& shape : shapes) gradients.back().push_back(randn(shape, generator));
        }
    }
};

/// What each process has after the reduction; an empty tensor where it has no gradient.
Lists reduced(const Parts& parts, const std::vector<Index>& examples, Index bucket_bytes) {
    const int count = static_cast<int>(parts.gradients.size());
    Lists results(parts.gradients.size());
    const auto errors = in_threads(count, {}, [&](World& world) {
        const auto r = static_cast<std::size_t>(world.rank());
        std::vector<Variable<>> parameters;
        for (std::size_t i = 0; i < parts.shapes.size(); ++i) {
            parameters.emplace_back(zeros(parts.shapes[i]), VariableOptions{.requires_grad = true});
            if (parts.gradients[r][i].numel() > 0) parameters.back().set_grad(parts.gradients[r][i]);
        }
        distributed::reduce_gradients(parameters, world, examples[r],
                                      {.bucket_bytes = bucket_bytes, .step = 3});
        for (const auto& p : parameters) results[r].push_back(p.has_grad() ? p.grad() : Tensor<>());
    });
    CHECK(errors == std::vector<std::string>(parts.gradients.size()));
    return results;
}

/// (Σ g) along the tree, in plain loops, for 2ᵏ parts of one size.
Tensor<> tree(const Parts& parts, std::size_t parameter, std::size_t first, std::size_t count) {
    if (count == 1) return parts.gradients[first][parameter];
    Tensor<> a = tree(parts, parameter, first, count / 2);
    const Tensor<> b = tree(parts, parameter, first + count / 2, count / 2);
    for (Index j = 0; j < a.numel(); ++j) a.mutable_data()[j] += b.data()[j];
    return a;
}

}  // namespace

TEST_CASE("reduce_gradients: the mean along the tree, whatever the buckets, the same on all processes") {
    const Threads one(1);
    for (const int count : {1, 2, 4, 8}) {
        const Parts parts(count);
        for (const Index bucket : {4, 1000, 1 << 20}) {
            if (bucket == 4 && count > 2) continue;  // a message for each number
            const Lists results =
                reduced(parts, std::vector<Index>(static_cast<std::size_t>(count), 1), bucket);
            for (std::size_t i = 0; i < parts.shapes.size(); ++i) {
                Tensor<> expected = tree(parts, i, 0, static_cast<std::size_t>(count));
                for (float& x : expected.mutable_values()) x *= 1.0f / static_cast<float>(count);
                for (const auto& result : results) CHECK(same_bits(result[i], expected));
            }
        }
    }
}

TEST_CASE("reduce_gradients: parts of unlike sizes count by their examples") {
    const Threads one(1);
    const Parts parts(4);
    const std::vector<Index> examples{5, 1, 7, 3};
    const Lists results = reduced(parts, examples, 1 << 20);
    for (std::size_t i = 0; i < parts.shapes.size(); ++i) {
        for (const auto& result : results) CHECK(same_bits(result[i], results[0][i]));
        for (Index j = 0; j < parts.shapes[i].numel(); ++j) {
            double sum = 0;
            for (std::size_t r = 0; r < 4; ++r)
                sum +=
                    static_cast<double>(examples[r]) * static_cast<double>(parts.gradients[r][i].data()[j]);
            REQUIRE_THAT(static_cast<double>(results[0][i].data()[j]), WithinAbs(sum / 16, 1e-6));
        }
    }
}

TEST_CASE("reduce_gradients: a missing gradient counts as 0, and one that nobody has stays missing") {
    const Threads one(1);
    Parts parts(4);
    parts.gradients[1][0] = parts.gradients[2][0] = parts.gradients[3][0] = Tensor<>();
    for (auto& list : parts.gradients) list[1] = Tensor<>();
    const Lists results = reduced(parts, {1, 1, 1, 1}, 1 << 20);
    Tensor<> quarter = parts.gradients[0][0];
    for (float& x : quarter.mutable_values()) x *= 0.25f;
    for (const auto& result : results) {
        CHECK(same_bits(result[0], quarter));
        CHECK(result[1].numel() == 0);
    }
}

TEST_CASE("reduce_gradients: refusals") {
    const auto with = [](int count, const distributed::ReduceOptions& options, Index examples) {
        return in_threads(count, {.deadline = 5}, [&](World& world) {
            Parameter<> p(Tensor<>{1});
            p.set_grad(Tensor<>{1});
            distributed::ReduceOptions own = options;
            if (own.step == -2) own.step = 10 + world.rank();
            distributed::reduce_gradients(std::vector<Variable<>>{p}, world, examples, own);
        });
    };
    CHECK(with(3, {}, 1)[0] == "reduce_gradients: the tree of sums needs 1, 2, 4, 8, ... processes: got 3");
    CHECK(with(2, {.bucket_bytes = 0}, 1)[0] == "reduce_gradients: bucket_bytes must be 1 to 2^30: got 0");
    CHECK(with(2, {}, 0)[0] == "reduce_gradients: a part needs examples: got 0");
    CHECK_THAT(with(2, {.step = -2}, 1)[0], ContainsSubstring("rank 1 is at step 11, rank 0 at step 10") ||
                                                ContainsSubstring("rank 0 is at step 10, rank 1 at step 11"));
}
