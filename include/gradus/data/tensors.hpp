// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/parallel.hpp"
#include "gradus/core/reflect.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/data/dataset.hpp"

// Examples and batches are plain structs of tensors, or tensors. A batch is the same struct as an example,
// whose tensors have one axis more in front: {image [3, 32, 32], label []} becomes {image [batch, 3, 32, 32],
// label [batch]}.

namespace gradus::data {
namespace detail {

template <class X>
inline constexpr bool is_tensor = false;
template <class T>
inline constexpr bool is_tensor<Tensor<T>> = true;

/// Calls visit(name, tensor) for the tensors of a struct, and of structs in it, in order of declaration.
template <class X, class Visit>
void for_each_tensor(X& x, Visit&& visit, std::string_view name = "tensor") {
    using Value = std::remove_const_t<X>;
    if constexpr (is_tensor<Value>) {
        visit(name, x);
    } else {
        static_assert(
            is_reflectable<Value>,
            "an example or a batch is a tensor or a plain struct of tensors: make a number a tensor "
            "of shape [], as full<Index>({}, label) does, or give the set a collate() of your own");
        if constexpr (is_reflectable<Value>)
            for_each_field(x,
                           [&](std::string_view field, auto& part) { for_each_tensor(part, visit, field); });
    }
}

template <class X>
auto& first_tensor(X& x) {
    if constexpr (is_tensor<std::remove_const_t<X>>)
        return x;
    else if constexpr (gradus::detail::HasFields<std::remove_const_t<X>>)
        return first_tensor(gradus::detail::as_part_of<X>(
            std::get<0>(const_cast<std::remove_const_t<X>&>(x).fields()).value));
    else
        return first_tensor(std::get<0>(gradus::detail::tie_fields(x)));
}

/// The tensors of a struct, in the order of for_each_tensor().
template <class X>
std::vector<const void*> tensor_pointers(const X& x) {
    std::vector<const void*> result;
    for_each_tensor(x, [&](std::string_view, const auto& tensor) { result.push_back(&tensor); });
    return result;
}

[[noreturn, gnu::cold]] inline void refuse_field(const char* operation, std::string_view field,
                                                 std::string_view rule, const Shape& shape,
                                                 const Shape& other) {
    gradus::detail::raise<ShapeError>(
        {operation, ": ", field, ": ", rule, ": got ", to_string(shape), " and ", to_string(other)});
}

/// [count, ...] of examples of shape [...].
inline Shape batch_shape(Index count, const Shape& example) {
    Shape shape{count};
    for (const Index size : example) shape.push_back(size, "stack");
    return shape;
}

/// Copies parts of so many bytes, one behind the other.
[[gnu::noinline]] inline void copy_parts(void* to, const std::vector<const void*>& parts, Index bytes) {
    const Index block = std::max<Index>(1, parallel_grain * 4 / std::max<Index>(1, bytes));
    parallel_for(static_cast<Index>(parts.size()), block, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i)
            std::memcpy(static_cast<char*>(to) + i * bytes, parts[static_cast<std::size_t>(i)],
                        static_cast<std::size_t>(bytes));
    });
}

}  // namespace detail

/// How many examples a batch holds: the first size of its first tensor.
template <class BatchOf>
Index batch_size(const BatchOf& batch) {
    const auto& first = detail::first_tensor(batch);
    return first.rank() == 0 ? 0 : first.size(0);
}

/// Examples as a batch: every tensor of them gets an axis in front. Throws ValueError if there are none,
/// ShapeError if their shapes differ.
template <class Example>
Example stack(const std::vector<Example>& examples) {
    if (examples.empty()) gradus::detail::raise<ValueError>("stack", "needs at least one example");
    std::vector<std::vector<const void*>> tensors;  // by example, by field
    for (const Example& example : examples) tensors.push_back(detail::tensor_pointers(example));
    Example batch = examples.front();
    std::size_t field = 0;
    detail::for_each_tensor(batch, [&]<class T>(std::string_view name, Tensor<T>& stacked) {
        const Shape shape = stacked.shape();
        std::vector<const void*> parts;
        for (const auto& pointers : tensors) {
            const auto& tensor = *static_cast<const Tensor<T>*>(pointers[field]);
            if (tensor.shape() != shape)
                detail::refuse_field("stack", name,
                                     "the examples of a batch must have one shape (crop them, or collate() "
                                     "with pad_sequences())",
                                     shape, tensor.shape());
            parts.push_back(tensor.data());
        }
        ++field;
        stacked = Tensor<T>::uninitialized(detail::batch_shape(static_cast<Index>(parts.size()), shape));
        if (stacked.numel() > 0)
            detail::copy_parts(stacked.mutable_data(), parts, shape.numel() * static_cast<Index>(sizeof(T)));
    });
    return batch;
}

/// A set of examples in memory: row i of all tensors of a struct is example i. Copying costs nothing.
///
///     struct Scan { Tensor<> image; Tensor<Index> mask; };
///     data::TensorDataset scans(Scan{images, masks});      // [count, 1, 64, 64] and [count, 64, 64]
template <class Struct>
class TensorDataset {
public:
    /// Throws ShapeError unless all tensors have equally many rows.
    explicit TensorDataset(Struct tensors) : tensors_(std::move(tensors)), size_(batch_size(tensors_)) {
        const Shape* first = nullptr;
        detail::for_each_tensor(std::as_const(tensors_), [&](std::string_view name, const auto& tensor) {
            if (!first) first = &tensor.shape();
            if (tensor.rank() == 0 || first->rank() == 0 || tensor.size(0) != size_)
                detail::refuse_field("tensor_dataset", name, "needs as many rows as the first tensor",
                                     tensor.shape(), *first);
        });
    }

    Index size() const { return size_; }
    const Struct& tensors() const { return tensors_; }

    /// Example i; shares memory. Throws ValueError if there is none.
    Struct operator[](Index i) const {
        detail::check_rows("tensor_dataset", {&i, 1}, size_);
        return changed([i](auto& tensor) { tensor = detail::row_of(tensor, i); });
    }

    /// The examples with these numbers as a batch, copied. Throws ValueError if there is no such example.
    Struct gather(std::span<const Index> rows) const {
        detail::check_rows("tensor_dataset", rows, size_);
        return changed([&](auto& tensor) {
            tensor = detail::gather_rows(tensor, rows.data(), static_cast<Index>(rows.size()));
        });
    }

    /// The examples with these numbers [count], copied.
    TensorDataset subset(const Tensor<Index>& rows) const { return TensorDataset(gather(rows.values())); }

private:
    template <class Change>
    Struct changed(const Change& change) const {
        Struct result = tensors_;
        detail::for_each_tensor(result, [&](std::string_view, auto& tensor) { change(tensor); });
        return result;
    }

    Struct tensors_;
    Index size_;
};

}  // namespace gradus::data
