// SPDX-License-Identifier: MIT
#include "gradus/data/compose.hpp"

#include <string>
#include <vector>

#include "gradus/data/set_loader.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;

namespace {

struct Scan {
    Tensor<> image;
    Tensor<Index> mask;
};

/// Example i is an image [2] of (i, i + 0.5) and a mask [] of 100 + i.
struct Scans {
    Index count = 5;
    mutable Index reads = 0;

    Index size() const { return count; }
    Scan operator[](Index i) const {
        ++reads;
        const auto x = static_cast<float>(i);
        return {Tensor<>{x, x + 0.5f}, full<Index>({}, 100 + i)};
    }
};

template <class Set>
std::vector<Index> masks(const Set& set) {
    std::vector<Index> result;
    for (Index i = 0; i < static_cast<Index>(set.size()); ++i)
        result.push_back(data::detail::example_of(set, i).mask.item());
    return result;
}

using Numbers = std::vector<Index>;

static_assert(data::DataSet<Scans>);
static_assert(data::DataSet<std::vector<Scan>>);
static_assert(data::DataSet<data::Dataset<>>);
static_assert(!data::DataSet<data::Loader<>>);

}  // namespace

TEST_CASE("map computes an example when it is asked for") {
    const auto doubled = data::map(Scans{3}, [](Scan scan) {
        return Scan{scan.image, full<Index>({}, 2 * scan.mask.item())};
    });
    CHECK(masks(doubled) == Numbers{200, 202, 204});
    const auto images = data::map(Scans{3}, &Scan::image);  // also to another type
    CHECK(images.size() == 3);
    CHECK(images[2] == Tensor<>{2, 2.5f});
}

TEST_CASE("filter and subset choose examples, in the given order") {
    const auto even = data::filter(Scans{5}, [](const Scan& scan) { return scan.mask.item() % 2 == 0; });
    CHECK(masks(even) == Numbers{100, 102, 104});
    CHECK(even.rows() == Tensor<Index>{0, 2, 4});
    const auto some = data::subset(even, {2, 0, 2});
    CHECK(masks(some) == Numbers{104, 100, 104});
    CHECK(data::subset(Scans{}, Tensor<Index>()).size() == 0);
    CHECK_THROWS_MATCHES(data::subset(even, {3}), ValueError,
                         Message("subset: the examples are 0 to 2: got 3"));
    CHECK_THROWS_MATCHES(some[-1], ValueError, Message("subset: the examples are 0 to 2: got -1"));
    CHECK_THROWS_MATCHES(data::subset(even, Tensor<Index>{{0}}), ShapeError,
                         Message("subset: needs row numbers [count]: got [1, 1]"));
    const std::vector<Scan> list{Scans{}[1], Scans{}[3]};
    CHECK(masks(data::subset(list, {1})) == Numbers{103});
}

TEST_CASE("a part of a dataset in memory is a dataset in memory") {
    const data::Dataset<> all{Tensor<>{{1, 2}, {3, 4}, {5, 6}}, Tensor<Index>{7, 8, 9}};
    const data::Dataset<> odd =
        data::filter(all, [](const data::Batch<>& x) { return x.labels.item() % 2 == 1; });
    CHECK(odd.inputs == Tensor<>{{1, 2}, {5, 6}});
    CHECK(all[1].inputs == Tensor<>{3, 4});
    CHECK(all[1].inputs.data() == all.inputs.data() + 2);
    CHECK(all[1].labels.shape() == Shape{});
    CHECK_THROWS_MATCHES(all[3], ValueError, Message("dataset: the examples are 0 to 2: got 3"));
    const std::vector<Index> rows{2, 3};
    CHECK_THROWS_MATCHES(all.gather(rows), ValueError, Message("dataset: the examples are 0 to 2: got 3"));

    const data::TensorDataset scans(Scan{all.inputs, all.labels});
    const data::TensorDataset<Scan> last = data::subset(scans, {2});
    CHECK(last.tensors().image == Tensor<>{{5, 6}});
    CHECK(scans[0].mask.item() == 7);
    CHECK(scans[0].image.data() == all.inputs.data());
    CHECK_THROWS_MATCHES(scans[-1], ValueError, Message("tensor_dataset: the examples are 0 to 2: got -1"));
    CHECK_THROWS_MATCHES(
        data::TensorDataset(Scan{zeros({3, 2}), zeros<Index>({2})}), ShapeError,
        Message("tensor_dataset: mask: needs as many rows as the first tensor: got [2] and [3, 2]"));
    CHECK_THROWS_AS(data::TensorDataset(Scan{full({}, 1), full<Index>({}, 1)}), ShapeError);
    CHECK(data::TensorDataset(zeros({4, 2}))[3].shape() == Shape{2});  // a lone tensor
}

TEST_CASE("concat goes from one set to the next, whatever their kind") {
    const std::vector<Scan> list{Scans{}[4]};
    const auto all = data::concat(Scans{2}, list, Scans{0}, data::subset(Scans{5}, {3}));
    CHECK(all.size() == 4);
    CHECK(masks(all) == Numbers{100, 101, 104, 103});
    CHECK_THROWS_MATCHES(all[4], ValueError, Message("concat: the examples are 0 to 3: got 4"));
}

TEST_CASE("cache reads every example once") {
    const Scans scans{3};
    const auto cached = data::cache(scans);
    CHECK(scans.reads == 3);
    CHECK(masks(cached) == Numbers{100, 101, 102});
    CHECK(masks(cached) == Numbers{100, 101, 102});
    CHECK(scans.reads == 3);
    const auto copy = cached;
    CHECK(&copy[1] == &cached[1]);
    CHECK_THROWS_MATCHES(cached[3], ValueError, Message("cache: the examples are 0 to 2: got 3"));
}

TEST_CASE("stack gives every tensor one axis more, and names the field that does not fit") {
    const Scan batch = data::stack(std::vector{Scans{}[3], Scans{}[1]});
    CHECK(batch.image == Tensor<>{{3, 3.5f}, {1, 1.5f}});
    CHECK(batch.mask == Tensor<Index>{103, 101});
    CHECK(data::batch_size(batch) == 2);
    CHECK(data::stack(std::vector{Tensor<>{1}, Tensor<>{2}}) == Tensor<>{{1}, {2}});
    CHECK(data::stack(std::vector{zeros({2, 0})}).shape() == Shape{1, 2, 0});
    CHECK_THROWS_MATCHES(
        data::stack(std::vector{Scan{zeros({3, 4}), {}}, Scan{zeros({3, 5}), {}}}), ShapeError,
        Message("stack: image: the examples of a batch must have one shape (crop them, or collate() "
                "with pad_sequences()): got [3, 4] and [3, 5]"));
    CHECK_THROWS_MATCHES(data::stack(std::vector<Scan>()), ValueError,
                         Message("stack: needs at least one example"));
    struct Nested {
        Scan scan;
        Tensor<double> weight;
    };
    const Nested nested = data::stack(
        std::vector<Nested>{{Scans{}[0], full<double>({}, 2)}, {Scans{}[1], full<double>({}, 3)}});
    CHECK(nested.scan.mask == Tensor<Index>{100, 101});
    CHECK(nested.weight == Tensor<double>{2, 3});
}

TEST_CASE("all ways to the same examples make the same batches") {
    const data::Dataset<> memory{rand({9, 3}), arange<Index>(9)};
    const Tensor<Index> rows{8, 1, 1, 4};
    const auto expected = memory.subset(rows);
    const auto same = [&](const auto& set) {
        const auto batch = data::detail::read_batch(set, rows.values());
        return same_bits(batch.inputs, expected.inputs) && same_bits(batch.labels, expected.labels);
    };
    CHECK(same(memory));
    CHECK(same(data::map(memory, [](data::Batch<> x) { return x; })));
    CHECK(same(data::cache(memory)));
    CHECK(same(data::concat(memory.take(0, 4), memory.take(4, 9))));
    CHECK(same(data::subset(data::map(memory, [](data::Batch<> x) { return x; }), arange<Index>(9))));
    CHECK(same(data::collate(
        memory, [](const std::vector<data::Batch<>>& examples) { return data::stack(examples); })));
    for (const int threads : {1, 2, 3}) {
        const Threads set(threads);
        CHECK(same(data::read_in_parallel(memory)));
    }
}

TEST_CASE("an error in one of several threads reaches the reader") {
    const auto broken = data::map(Scans{20}, [](const Scan& scan) {
        if (scan.mask.item() == 113) throw std::runtime_error("example 13 is broken");
        return scan.image;
    });
    const Threads threads(2);
    const data::Loader loader(data::read_in_parallel(broken), {.batch_size = 20});
    CHECK_THROWS_MATCHES(loader.epoch(0)[0], std::runtime_error, Message("example 13 is broken"));
}
