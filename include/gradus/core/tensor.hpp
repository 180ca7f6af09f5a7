// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "gradus/core/error.hpp"
#include "gradus/core/memory.hpp"
#include "gradus/core/remedy.hpp"
#include "gradus/core/shape.hpp"

namespace gradus {

template <class T>
class Tensor;

namespace detail {

[[noreturn, gnu::cold]] inline void refuse_memory(const char* operation, const Shape& shape,
                                                  std::uint64_t bytes) {
    raise<OutOfMemory>({operation, ": out of memory: ", to_string(shape), " needs ", bytes,
                        " bytes; is a size larger than meant?"});
}

/// Shared memory behind tensors: a reference count and the bytes that follow it (or somebody else's bytes,
/// borrowed).
class Storage {
public:
    Storage() = default;
    explicit Storage(std::size_t bytes) {
        BlockCache::Size size(sizeof(Block) + bytes);
        void* const memory = BlockCache::allocate_at_least(size);
        block_ = new (memory) Block{RefCount(), nullptr, size};
    }

    static Storage borrow(const void* memory) {
        Storage storage(0);
        storage.block_->borrowed = memory;
        return storage;
    }

    Storage(const Storage& other) noexcept : block_(other.block_) {
        if (block_) block_->references.add();
    }
    Storage(Storage&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    Storage& operator=(Storage other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~Storage() {
        if (block_ && block_->references.drop() == 1) BlockCache::deallocate(block_, block_->size);
    }

    /// True if nobody else can see a write.
    bool exclusive() const { return !block_ || (!block_->borrowed && block_->references.get() == 1); }

    void* data() const {
        if (!block_) return nullptr;
        return block_->borrowed ? const_cast<void*>(block_->borrowed) : static_cast<void*>(block_ + 1);
    }

private:
    struct alignas(BlockCache::alignment) Block {
        RefCount references;
        const void* borrowed;   // only read: exclusive() is false for it
        BlockCache::Size size;  // with this
    };

    Block* block_ = nullptr;
};

/// A number or a braced list of literals, so that {{1, 2}, {3, 4}} can be written for a tensor.
template <class T>
struct Literal {
    template <class U>
    requires std::constructible_from<T, U> Literal(const U& number) : value(static_cast<T>(number)) {}
    Literal(std::initializer_list<Literal> list) : items(list), is_list(true) {}

    T value{};
    std::initializer_list<Literal> items{};
    bool is_list = false;
};

/// to[0 ... n - 1] = value, 64 bytes at a time; g++ -O2 would do it number by number.
template <class T>
void fill_copies(T* to, Index n, const T& value) {
    constexpr Index together = std::max<Index>(1, 64 / static_cast<Index>(sizeof(T)));
    T block[std::size_t{together}];
    for (T& copy : block) copy = value;
    for (; n >= together; n -= together, to += together)
        std::memcpy(static_cast<void*>(to), block, sizeof block);
    std::copy_n(block, n, to);
}

[[noreturn, gnu::cold]] inline void refuse_rows(Index first, Index last, const Shape& shape) {
    raise<ShapeError>({"rows: [", first, ", ", last, ") is out of range for shape ", to_string(shape)});
}

[[noreturn, gnu::cold]] inline void refuse_positions(std::initializer_list<Index> positions,
                                                     const Shape& shape) {
    std::string text;
    for (const Index position : positions) text = text_of({text, text.empty() ? "" : ", ", position});
    raise<ShapeError>({"tensor: no element (", text, ") in shape ", to_string(shape)});
}

[[noreturn, gnu::cold]] inline void refuse_count(const char* operation, const Shape& shape,
                                                 std::size_t count) {
    raise<ShapeError>(
        {operation, ": shape ", to_string(shape), " needs ", shape.numel(), " values: got ", count});
}

/// Reading an element, in a base class only because g++ prints its arguments where x(0, 1) is assigned to.
template <class Tensor, class T, Text to_write>
struct Elements {
    template <std::integral... Is>
    const T& operator()(Is... positions) const& {  // to write, x.mutable_at(0, 1) = 5
        const Tensor& x = static_cast<const Tensor&>(*this);
        return x.data()[x.offset({static_cast<Index>(positions)...})];
    }
    template <std::integral... Is>
    T operator()(Is... positions) const&& {  // by value: the tensor goes
        return (*this)(positions...);
    }
};

/// The memory of a tensor as elements of another type, in another shape; shares it. Expects as many bytes.
template <class To, class From>
Tensor<To> reinterpret(const Tensor<From>& x, const Shape& shape);

template <class Tensor, class T>
using ReadElements = Elements<Tensor, T, "x.mutable_at(0, 1) = 5 writes">;

}  // namespace detail

/// An n-dimensional array and a value: copying costs nothing, and a write through one copy is never seen by
/// another (the writer gets memory of its own first). Contiguous, row-major, 64-byte aligned when it owns its
/// memory.
///
///     Tensor<> a{{1, 2}, {3, 4}};          // [2, 2] floats
///     Tensor<> b = zeros({2, 3});
///     float x = a(1, 0);                   // 3
///     a.mutable_at(1, 0) = 5;
template <class T = float>
class Tensor : public detail::ReadElements<Tensor<T>, T> {
    friend detail::ReadElements<Tensor<T>, T>;
    template <class To, class From>
    friend Tensor<To> detail::reinterpret(const Tensor<From>&, const Shape&);
    static_assert(std::is_trivially_copyable_v<T> && !std::is_const_v<T>, "a tensor holds plain numbers");

public:
    using value_type = T;

    /// An empty tensor of shape [0].
    Tensor() { shape_.reset(); }

    Tensor(const Tensor&) = default;
    Tensor(Tensor&& other) noexcept  // leaves an empty tensor behind, which may be used again
        : storage_(std::move(other.storage_)),
          data_(std::exchange(other.data_, nullptr)),
          shape_(other.shape_) {
        other.shape_.reset();
    }
    Tensor& operator=(const Tensor& other) noexcept = default;
    Tensor& operator=(Tensor&& other) noexcept {
        storage_ = std::move(other.storage_);
        data_ = std::exchange(other.data_, nullptr);
        shape_ = other.shape_;
        if (this != &other) other.shape_.reset();
        return *this;
    }
    ~Tensor() = default;

    /// A tensor of the values listed: {1, 2, 3} or {{1, 2}, {3, 4}} or deeper. Throws ShapeError if rows
    /// differ.
    Tensor(std::initializer_list<detail::Literal<T>> items) : Tensor(uninitialized(literal_shape(items))) {
        T* out = mutable_data();
        copy_literal(items, shape_, 0, out);
    }

    /// A tensor of this shape with a copy of the values, in row-major order. Throws ShapeError if the counts
    /// differ.
    Tensor(const Shape& shape, std::span<const T> values)
        : Tensor(uninitialized(check_count("tensor", shape, values.size()))) {
        std::copy(values.begin(), values.end(), mutable_data());
    }

    /// The numbers of a std::vector, array or span [count], converted and copied.
    template <detail::ListOf<T> Numbers>
    explicit Tensor(const Numbers& numbers)
        : Tensor(uninitialized({static_cast<Index>(std::size(numbers))})) {
        std::transform(std::begin(numbers), std::end(numbers), mutable_data(),
                       [](const auto& number) { return static_cast<T>(number); });
    }

    /// A tensor that reads memory owned by the caller, without copying. The memory must outlive every tensor
    /// that shares it and stay unchanged meanwhile; writing to such a tensor copies first.
    static Tensor borrow(std::span<const T> values, const Shape& shape) {
        return Tensor(check_count("borrow", shape, values.size()), detail::Storage::borrow(values.data()));
    }

    /// A tensor whose elements hold no particular values yet. Throws OutOfMemory, in the name of `operation`,
    /// if the system does not have the memory.
    [[gnu::noinline]] static Tensor uninitialized(const Shape& shape, const char* operation = "tensor") {
        const std::uint64_t bytes = static_cast<std::uint64_t>(shape.numel()) * sizeof(T);
        try {
            if constexpr (sizeof(std::size_t) < sizeof(bytes))
                if (bytes > std::numeric_limits<std::size_t>::max() / 2) throw std::bad_alloc();
            return Tensor(shape, detail::Storage(static_cast<std::size_t>(bytes)));
        } catch (const std::bad_alloc&) {
            detail::refuse_memory(operation, shape, bytes);
        }
    }

    const Shape& shape() const { return shape_; }
    int rank() const { return shape_.rank(); }
    Index numel() const { return shape_.numel(); }
    Index size(int axis) const { return shape_[axis]; }

    const T* data() const { return data_; }

    /// Memory to write to. If it is shared or borrowed, this tensor first gets a copy of its own. Copying the
    /// tensor shares the memory anew: ask again after that, do not write through an older pointer.
    T* mutable_data() {
        if (!storage_.exclusive()) [[unlikely]]
            detach();
        return data_;
    }

    std::span<const T> values() const { return {data_, static_cast<std::size_t>(numel())}; }
    std::span<T> mutable_values() { return {mutable_data(), static_cast<std::size_t>(numel())}; }
    const T* begin() const { return data_; }
    const T* end() const { return data_ + numel(); }

    /// The element at these positions, one per axis. Throws ShapeError if there are too many, too few or out
    /// of range.
    using detail::ReadElements<Tensor<T>, T>::operator();
    template <std::integral... Is>
    T& mutable_at(Is... positions) {
        const Index at = offset({static_cast<Index>(positions)...});
        return mutable_data()[at];
    }

    template <detail::Text remedy = "x(0, 1) is an element, x.rows(0, 1) a row", class I>
    void operator[](I) const = delete;  // x(0, 1) is an element, x.rows(0, 1) a row

    template <detail::Text remedy = "any(x) or all(x) of a condition, x.item() of one number",
              detail::RealOrCondition N>
    operator N() const = delete;  // any(x), all(x) or x.item()

    /// The only element. Throws ShapeError if there is not exactly one.
    T item() const {
        if (numel() != 1) detail::raise<ShapeError>("item", "needs a tensor of one element", shape_);
        return *data_;
    }

    /// The same elements in another shape; shares memory. Throws ShapeError if the element counts differ.
    Tensor reshape(const Shape& shape) const {
        if (shape.numel() != numel())
            detail::raise<ShapeError>("reshape", "element counts differ", shape_, shape);
        Tensor result(*this);
        result.shape_ = shape;
        return result;
    }
    /// The same where one size may be -1: it becomes what the element count leaves.
    Tensor reshape(std::initializer_list<Index> sizes) const {
        return reshape(detail::inferred_shape(shape_, sizes));
    }
    template <detail::ListOf<Index> Sizes>
    Tensor reshape(const Sizes& sizes) const {
        return reshape(detail::inferred_shape(shape_, sizes));
    }

    /// Rows [first, last) of the outermost axis; shares memory. Throws ShapeError if they are not all there.
    Tensor rows(Index first, Index last) const {
        if (rank() == 0 || first < 0 || last < first || last > shape_[0]) [[unlikely]]
            detail::refuse_rows(first, last, shape_);
        Tensor result(*this);
        result.shape_ = shape_.with(0, last - first);
        result.data_ += first * (shape_.numel() == 0 ? 0 : shape_.numel() / shape_[0]);
        return result;
    }

    /// True if some memory is read by both: one is a copy, a reshape or overlapping rows of the other.
    bool shares_memory_with(const Tensor& other) const {
        const auto at = [](const T* p) { return reinterpret_cast<std::uintptr_t>(p); };
        return numel() > 0 && other.numel() > 0 && at(begin()) < at(other.end()) &&
               at(other.begin()) < at(end());
    }

    /// True if a write would not have to copy.
    bool exclusive() const { return storage_.exclusive(); }

    /// Releases the memory; only shape() is valid afterwards.
    void release_storage() {
        storage_ = detail::Storage();
        data_ = nullptr;
    }

    /// Same shape and equal elements (so NaN differs from itself).
    bool operator==(const Tensor& other) const {
        return shape_ == other.shape_ && std::equal(begin(), end(), other.begin());
    }

private:
    Tensor(const Shape& shape, detail::Storage storage)
        : storage_(std::move(storage)), data_(static_cast<T*>(storage_.data())), shape_(shape) {}

    [[gnu::noinline]] void detach() {
        Tensor copy = uninitialized(shape_);
        if (numel() > 0) std::memcpy(static_cast<void*>(copy.data_), data_, values().size_bytes());
        *this = std::move(copy);
    }

    Index offset(std::initializer_list<Index> positions) const {
        Index at = 0;
        int axis = 0;
        bool inside = static_cast<int>(positions.size()) == rank();
        for (const Index position : positions) {
            if (!inside) break;
            inside = position >= 0 && position < shape_.begin()[axis];
            if (inside) at = at * shape_.begin()[axis++] + position;
        }
        if (!inside) [[unlikely]]
            detail::refuse_positions(positions, shape_);
        return at;
    }

    static const Shape& check_count(const char* operation, const Shape& shape, std::size_t count) {
        if (static_cast<std::size_t>(shape.numel()) != count) [[unlikely]]
            detail::refuse_count(operation, shape, count);
        return shape;
    }

    using Items = std::initializer_list<detail::Literal<T>>;

    static Shape literal_shape(Items items) {
        Shape shape;
        for (const Items* level = &items;; level = &level->begin()->items) {
            shape.push_back(static_cast<Index>(level->size()));
            if (level->size() == 0 || !level->begin()->is_list) return shape;
        }
    }

    static void copy_literal(Items items, const Shape& shape, int depth, T*& out) {
        if (static_cast<Index>(items.size()) != shape[depth])
            detail::raise<ShapeError>("tensor", "the rows of a literal differ in length", shape[depth],
                                      items.size());
        for (const detail::Literal<T>& item : items) {
            if (item.is_list != (depth + 1 < shape.rank()))
                detail::raise<ShapeError>("tensor", "a literal mixes numbers and lists on one level");
            if (item.is_list)
                copy_literal(item.items, shape, depth + 1, out);
            else
                *out++ = item.value;
        }
    }

    detail::Storage storage_;
    T* data_ = nullptr;
    Shape shape_;
};

namespace detail {

template <class To, class From>
Tensor<To> reinterpret(const Tensor<From>& x, const Shape& shape) {
    Tensor<To> result(shape, x.storage_);
    result.data_ = static_cast<To*>(static_cast<void*>(x.data_));
    return result;
}

}  // namespace detail

template <detail::NumberList Numbers>
Tensor(const Numbers&) -> Tensor<detail::ItemOf<Numbers>>;

/// A tensor filled with `value`.
template <class T = float>
Tensor<T> full(const Shape& shape, std::type_identity_t<T> value) {
    Tensor<T> result = Tensor<T>::uninitialized(shape, "full");
    detail::fill_copies(result.mutable_data(), shape.numel(), value);
    return result;
}

template <class T = float>
Tensor<T> zeros(const Shape& shape) {
    Tensor<T> result = Tensor<T>::uninitialized(shape, "zeros");
    std::memset(static_cast<void*>(result.mutable_data()), 0,
                result.values().size_bytes());  // 0 has no bits set
    return result;
}

template <class T = float>
Tensor<T> ones(const Shape& shape) {
    return full<T>(shape, T(1));
}

/// 0, 1, ..., count - 1.
template <class T = float>
Tensor<T> arange(Index count) {
    Tensor<T> result = Tensor<T>::uninitialized(Shape::of("arange", {count}), "arange");
    T* out = result.mutable_data();
    for (Index i = 0; i < count; ++i) out[i] = static_cast<T>(i);
    return result;
}

/// `count` evenly spaced numbers from `first` to `last`, both included; `first` alone if count is 1.
template <class T = float>
Tensor<T> linspace(std::type_identity_t<T> first, std::type_identity_t<T> last, Index count) {
    Tensor<T> result = Tensor<T>::uninitialized(Shape::of("linspace", {count}), "linspace");
    T* out = result.mutable_data();
    const T steps = static_cast<T>(std::max<Index>(count - 1, 1));
    for (Index i = 0; i < count; ++i) out[i] = first + (last - first) * static_cast<T>(i) / steps;
    if (count > 1) out[count - 1] = last;  // whatever rounding says
    return result;
}

/// The identity matrix [size, size].
template <class T = float>
Tensor<T> eye(Index size) {
    Tensor<T> result = zeros<T>(Shape::of("eye", {size, size}));
    T* out = result.mutable_data();
    for (Index i = 0; i < size; ++i) out[i * size + i] = T(1);
    return result;
}

namespace detail {

/// Whether x, without what follows its point, is a number of the integer type `To`.
template <class To>
bool fits_integer(double x) {
    using Limits = std::numeric_limits<To>;
    const double beyond = 2.0 * static_cast<double>(To{1} << (Limits::digits - 1));  // the largest + 1
    return x < beyond && (Limits::is_signed ? x >= -beyond || x + 1 > -beyond : x > -1);
}

}  // namespace detail

/// The same elements converted to another type. From floating point to integers it goes toward zero; NaN and
/// what is too large for the integers is a ValueError.
template <class To, class From>
Tensor<To> cast(const Tensor<From>& x) {
    if constexpr (std::is_same_v<To, From>) return x;
    Tensor<To> result = Tensor<To>::uninitialized(x.shape(), "cast");
    To* out = result.mutable_data();
    for (const From& value : x) {
        if constexpr (std::is_integral_v<To> && !std::is_same_v<To, bool> && !std::is_integral_v<From>)
            if (!detail::fits_integer<To>(static_cast<double>(value))) [[unlikely]]
                detail::raise<ValueError>("cast", "a number does not fit the integers",
                                          static_cast<double>(value));
        *out++ = static_cast<To>(value);
    }
    return result;
}

}  // namespace gradus
