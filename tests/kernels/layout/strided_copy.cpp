// SPDX-License-Identifier: MIT
#include "gradus/kernels/layout/strided_copy.hpp"

#include <numeric>
#include <vector>

#include "support/test.hpp"

using namespace gradus;
using kernels::StridedBox;

namespace {

/// Copies a box of sizes (outermost first) from numbered elements, and checks each element and that no other
/// changes.
void check_copy(const Shape& shape, const kernels::Strides& from, const kernels::Strides& to) {
    INFO(to_string(shape));
    Index read = 1, written = 1;
    for (int axis = 0; axis < shape.rank(); ++axis) {
        read += (shape[axis] - 1) * from[axis];
        written += (shape[axis] - 1) * to[axis];
    }
    std::vector<double> x(static_cast<std::size_t>(read)), y(static_cast<std::size_t>(written), -1),
        expected = y;
    std::iota(x.begin(), x.end(), 0.0);
    for (Index i = 0; i < shape.numel(); ++i) {
        Index rest = i, source = 0, target = 0;
        for (int axis = shape.rank() - 1; axis >= 0; --axis) {
            source += rest % shape[axis] * from[axis];
            target += rest % shape[axis] * to[axis];
            rest /= shape[axis];
        }
        expected[static_cast<std::size_t>(target)] = x[static_cast<std::size_t>(source)];
    }
    kernels::copy_box(StridedBox(shape, from, to), x.data(), y.data());
    CHECK(y == expected);
}

kernels::Strides strides(std::initializer_list<Index> values) {
    kernels::Strides result;
    int axis = 0;
    for (const Index value : values) result[axis++] = value;
    return result;
}

}  // namespace

TEST_CASE("a box merges neighboring axes that both arrays allow, and leaves out those of size 1") {
    const Shape shape{2, 3, 1, 4};
    const kernels::Strides contiguous(shape);
    const StridedBox whole(shape, contiguous, contiguous);
    CHECK(whole.rank == 1);
    CHECK(whole.sizes[0] == 24);
    CHECK(whole.is_contiguous());
    const StridedBox part(shape, contiguous, strides({24, 4, 4, 1}));
    CHECK(part.rank == 2);
    CHECK_FALSE(part.is_contiguous());
    CHECK(StridedBox(Shape{}, contiguous, contiguous).is_contiguous());
    CHECK_FALSE(StridedBox(Shape{4}, strides({2}), strides({1})).is_contiguous());
}

TEST_CASE("a cursor visits the places of a box in order, from any start") {
    const StridedBox box(Shape{2, 3}, strides({10, 100}), strides({1, 7}));
    kernels::StridedCursor all(box, 0, 0);
    for (Index i = 0; i < 6; ++i, all.next()) {
        CHECK(all.from == i / 3 * 10 + i % 3 * 100);
        CHECK(all.to == i / 3 + i % 3 * 7);
        const kernels::StridedCursor there(box, 0, i);
        CHECK(there.from == all.from);
        CHECK(there.to == all.to);
    }
}

TEST_CASE("a box is copied between any strides") {
    check_copy({}, strides({}), strides({}));
    check_copy({5}, strides({1}), strides({1}));
    check_copy({5}, strides({3}), strides({2}));
    check_copy({5, 20}, strides({30, 1}), strides({40, 1}));   // rows
    check_copy({70, 90}, strides({1, 71}), strides({95, 1}));  // tiles with gaps on either side
    check_copy({70, 90}, strides({90, 1}), strides({1, 70}));  // reads in order, writes across
    check_copy({3, 20, 30}, strides({2000, 1, 25}), strides({700, 31, 1}));
    check_copy({4, 3, 5}, strides({0, 1, 0}), strides({15, 5, 1}));  // repeated elements
    check_copy({2, 100000}, strides({100001, 1}), strides({100002, 1}));
    check_copy({2, 100000}, strides({300000, 3}), strides({100000, 1}));
}
