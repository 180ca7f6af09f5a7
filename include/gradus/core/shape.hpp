// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "gradus/core/error.hpp"

namespace gradus {

/// Signed size and position type of the whole library, and the element type of labels.
using Index = std::int64_t;

namespace detail {

// Sums and products of sizes that come from outside, which may be too large for an Index: they then stop at
// `saturated`, which no shape takes.

inline constexpr Index saturated = std::numeric_limits<Index>::max();

/// a + b for sizes that are not negative.
constexpr Index saturated_sum(Index a, Index b) {
    Index sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? saturated : sum;
}

/// a · b for sizes that are not negative.
constexpr Index saturated_product(Index a, Index b) {
    Index product = 0;
    return __builtin_mul_overflow(a, b, &product) ? saturated : product;
}

}  // namespace detail

namespace detail {

template <class List>
using ItemOf = std::iter_value_t<decltype(std::begin(std::declval<const List&>()))>;

/// A std::vector, array or span of numbers.
template <class List>
concept NumberList = requires(const List& list) {
    std::end(list);
    { std::size(list) } -> std::convertible_to<std::size_t>;
    requires std::is_arithmetic_v<ItemOf<List>>;
};

/// Numbers that become T without the loss of a fraction.
template <class List, class T>
concept ListOf = NumberList<List> && !(std::is_integral_v<T> && std::is_floating_point_v<ItemOf<List>>);

}  // namespace detail

class Shape;
std::string to_string(const Shape& shape);

/// The sizes of a tensor's axes, outermost first: Shape{2, 3} is two rows of three. At most 8 axes.
/// Throws ShapeError if a size is negative, there are too many axes, or there are more than 2⁵⁶ elements
/// (sizes of 0 left out of the count, so that a part of the shape is never larger than the whole).
class Shape {
public:
    static constexpr int max_rank = 8;

    Shape() = default;  // rank 0: the shape of one number
    Shape(std::initializer_list<Index> sizes) : Shape(sizes.begin(), sizes.end()) {}

    /// The sizes in a std::vector, array or span.
    template <detail::ListOf<Index> Sizes>
    Shape(const Sizes& sizes) : Shape(std::begin(sizes), std::end(sizes)) {}

    template <std::input_iterator Iterator>
    [[gnu::noinline]] Shape(Iterator begin, Iterator end) {
        for (; begin != end; ++begin) push_back(static_cast<Index>(*begin));
    }

    /// The same, refused in the name of `operation`.
    static Shape of(const char* operation, std::initializer_list<Index> sizes) {
        Shape shape;
        for (const Index size : sizes) shape.push_back(size, operation);
        return shape;
    }

    int rank() const { return rank_; }
    Index numel() const { return numel_; }  // product of the sizes; 1 for rank 0

    /// Size of one axis. Negative axes count from the end: shape[-1] is the last. Throws ShapeError if there
    /// is none.
    Index operator[](int axis) const { return sizes_[normalize_axis("shape", axis)]; }

    const Index* begin() const { return sizes_; }
    const Index* end() const { return sizes_ + rank_; }

    bool operator==(const Shape& other) const {
        if (rank_ != other.rank_) return false;
        for (int i = 0; i < rank_; ++i)
            if (sizes_[i] != other.sizes_[i]) return false;
        return true;
    }

    template <detail::OutputStream Stream>
    friend Stream& operator<<(Stream& out, const Shape& shape) {
        out << to_string(shape);
        return out;
    }

    /// Makes it the shape [0].
    void reset() {
        rank_ = 1;
        numel_ = 0;
        sizes_[0] = 0;
    }

    /// Maps an axis in [-rank, rank) to [0, rank). Throws ShapeError in the name of `operation`.
    int normalize_axis(const char* operation, int axis) const {
        if (axis < -rank_ || axis >= rank_) [[unlikely]]
            refuse_axis(operation, axis);
        return axis < 0 ? axis + rank_ : axis;
    }

    [[gnu::noinline]] void push_back(Index size, const char* operation = "shape") {
        if (rank_ == max_rank) [[unlikely]]
            detail::refuse<ShapeError>(operation, "more than 8 axes; flatten or reshape first");
        if (size < 0) [[unlikely]]
            detail::refuse<ShapeError>({operation, ": a size is negative: got ", size, " at axis ", rank_});
        const Index before = numel_ > 0 ? numel_ : nonzero_product();
        if (detail::saturated_product(before, std::max<Index>(size, 1)) > max_numel) [[unlikely]]
            detail::refuse<ShapeError>(
                {operation, ": more elements than memory can address: got size ", size, " at axis ", rank_});
        numel_ *= size;
        sizes_[rank_++] = size;
    }

    /// This shape with the size of one axis replaced.
    [[gnu::noinline]] Shape with(int axis, Index size) const {
        const int target = normalize_axis("shape", axis);
        Shape result;
        for (int i = 0; i < rank_; ++i) result.push_back(i == target ? size : sizes_[i]);
        return result;
    }

    /// This shape without one axis.
    [[gnu::noinline]] Shape without(int axis) const {
        const int target = normalize_axis("shape", axis);
        Shape result;
        for (int i = 0; i < rank_; ++i)
            if (i != target) result.push_back(sizes_[i]);
        return result;
    }

    /// Product of the sizes of the axes in [first, last): the element count of that part of the shape.
    /// Expects 0 <= first and last <= rank().
    Index span(int first, int last) const {
        Index product = 1;
        for (int i = first; i < last; ++i) product *= sizes_[i];
        return product;
    }

private:
    static constexpr Index max_numel = Index{1} << 56;  // leaves room for the size of any element type

    [[noreturn]] void refuse_axis(const char* operation, int axis) const;

    /// Bounded like numel(), so that span() and without() of a shape with an axis of size 0 cannot overflow.
    Index nonzero_product() const {
        Index product = 1;
        for (const Index size : *this) product *= std::max<Index>(size, 1);
        return product;
    }

    // Trivially copyable, all axes at once: shapes are copied with every operation.
    int rank_ = 0;
    Index numel_ = 1;
    Index sizes_[max_rank] = {};
};

/// "[2, 3]"; "[]" for rank 0.
[[gnu::cold]] inline std::string to_string(const Shape& shape) {
    std::string text;
    for (const Index& size : shape) text = detail::text_of({text, text.empty() ? "[" : ", ", size});
    return text.empty() ? "[]" : text + "]";
}

[[gnu::cold]] inline void Shape::refuse_axis(const char* operation, int axis) const {
    detail::refuse<ShapeError>({operation, ": axis ", axis, " is out of range for shape ", to_string(*this)});
}

namespace detail {

/// Numbers as the caller wrote them, for a message: "[2, -1]".
template <class Numbers>
struct Given {
    const Numbers& numbers;

    friend std::string to_string(const Given& given) {
        std::string text = "[";
        for (const auto& number : given.numbers)
            text += (text.size() > 1 ? ", " : "") + std::to_string(number);
        return text + "]";
    }
};

/// The shape that has as many elements as another, where one of the sizes listed may be -1 and becomes what
/// is left.
template <class Sizes>
[[gnu::cold]] Shape inferred_shape(const Shape& shape, const Sizes& sizes) {
    const Given<Sizes> target{sizes};
    Shape known;
    int unknown = -1;
    for (const Index size : sizes) {
        if (size < -1)
            fail<ShapeError>("reshape", "a size is negative (only -1 has a meaning)", shape, target);
        if (size == -1 && unknown >= 0) fail<ShapeError>("reshape", "only one size can be -1", shape, target);
        if (size == -1) unknown = known.rank();
        known.push_back(size == -1 ? 1 : size, "reshape");
    }
    if (unknown < 0) return known;
    if (known.numel() == 0)
        fail<ShapeError>("reshape", "-1 beside a size of 0 could be any size", shape, target);
    if (shape.numel() % known.numel() != 0)
        fail<ShapeError>("reshape", "the element count is no multiple of the sizes beside -1", shape, target);
    return known.with(unknown, shape.numel() / known.numel());
}

/// The sizes listed, where -1 keeps that of the axis of `shape` that is aligned with it at the end.
template <class Sizes>
[[gnu::cold]] Shape expanded_shape(const Shape& shape, const Sizes& sizes) {
    const int extra = static_cast<int>(std::size(sizes)) - shape.rank();
    Shape result;
    for (const Index size : sizes) {
        const int own = result.rank() - extra;
        if (size < -1 || (size == -1 && own < 0))
            fail<ShapeError>("broadcast_to", "a size is negative (-1 keeps that of an axis that there is)",
                             shape, Given<Sizes>{sizes});
        result.push_back(size == -1 ? shape[own] : size, "broadcast_to");
    }
    return result;
}

}  // namespace detail

/// The shape two operands share after NumPy broadcasting: axes are aligned at the end, and an axis of size 1
/// (or a missing one) stretches to the other's size. Throws ShapeError in the name of `operation`.
[[gnu::noinline]] inline Shape broadcast(const char* operation, const Shape& a, const Shape& b) {
    if (a == b) return a;
    const int rank = std::max(a.rank(), b.rank());
    Shape result;
    for (int i = 0; i < rank; ++i) {
        const Index m = i < rank - a.rank() ? 1 : a[i - (rank - a.rank())];
        const Index n = i < rank - b.rank() ? 1 : b[i - (rank - b.rank())];
        if (m != n && m != 1 && n != 1) detail::fail<ShapeError>(operation, "shapes do not broadcast", a, b);
        result.push_back(m == 1 ? n : m, operation);
    }
    return result;
}

}  // namespace gradus
