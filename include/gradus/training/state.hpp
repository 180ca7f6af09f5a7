// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/error.hpp"
#include "gradus/core/separate.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/io/any_tensor.hpp"

/// Around a training step: checkpoints, metrics, loops, reports.
namespace gradus::training {

/// How far a run has come: the next batch to train on, both numbers counted from 0, and how many steps the
/// optimizer made. As both the order of the examples and a schedule are functions of these, they are all that
/// must be known to go on.
struct Position {
    Index epoch = 0, batch = 0, step = 0;

    bool operator==(const Position&) const = default;
};

/// What there is to keep of a run: tensors, and numbers and texts as tensors, by name. Holding them costs
/// nothing: tensors are values, and the run that goes on gets memory of its own when it writes.
using State = std::map<std::string, io::AnyTensor, std::less<>>;

namespace detail {

template <class T>
inline constexpr bool is_state_tensor = false;
template <class T>
inline constexpr bool is_state_tensor<Tensor<T>> = true;

/// As what a number is kept: bool, Index, std::uint64_t or double.
template <class T>
struct KeptAs {
    using type = std::conditional_t<
        std::same_as<T, bool>, bool,
        std::conditional_t<std::is_floating_point_v<T>, double,
                           std::conditional_t<std::is_unsigned_v<T>, std::uint64_t, Index>>>;
};
template <class T>
requires std::is_enum_v<T>
struct KeptAs<T> : KeptAs<std::underlying_type_t<T>> {
};

template <class T>
[[gnu::cold]] io::AnyTensor tensor_of(const T& value) {
    if constexpr (is_state_tensor<T> || std::is_same_v<T, io::AnyTensor>) {
        return value;
    } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
        using Kept = typename KeptAs<T>::type;
        return full<Kept>({}, static_cast<Kept>(value));
    } else {
        const std::string_view text = value;
        return Tensor<std::uint8_t>(
            {static_cast<Index>(text.size())},
            std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
    }
}

[[noreturn, gnu::cold]] void refuse_state(const std::string& where, std::string_view name,
                                          std::string_view rule);

/// "a, b, c and 4 more"
[[gnu::cold]] std::string some_of(const std::vector<std::string>& names, std::size_t most = 8);

}  // namespace detail

/// Where a part of a run puts what it must find again: `void save(StateWriter& state) const`.
///
///     void save(training::StateWriter& state) const {
///         state.put("best", best_);
///         state.put("weights", weights_);
///     }
class StateWriter {
public:
    /// Writes into `state`, which must outlive this, under names that begin with `prefix` and a dot.
    explicit StateWriter(State& state, std::string prefix = "")
        : state_(&state), prefix_(std::move(prefix)) {}

    /// Keeps a tensor (or io::AnyTensor), number, flag, enumerator or text. Numbers keep all their bits. Throws
    /// ValueError if the name is taken.
    template <class T>
    void put(std::string_view name, const T& value) {
        put_tensor(name, detail::tensor_of(value));
    }

    /// Keeps everything of a state of its own.
    [[gnu::cold]] void put_all(const State& state);

    /// The same place, one name deeper: of a part of this part.
    StateWriter in(std::string_view name) const { return StateWriter(*state_, path(name)); }

    /// The name in the file: "early_stopping.best".
    [[gnu::cold]] std::string path(std::string_view name) const;

private:
    [[gnu::cold]] void put_tensor(std::string_view name, io::AnyTensor tensor);

    State* state_;
    std::string prefix_;
};

/// Where a part finds what it put: `void load(const StateReader& state)`. A load that throws must leave its part
/// as it was: read everything first, change then.
class StateReader {
public:
    /// Reads from `state`, which must outlive this. `where` begins the texts of errors.
    explicit StateReader(const State& state, std::string prefix = "", std::string where = "state")
        : state_(&state), prefix_(std::move(prefix)), where_(std::move(where)) {}

    bool contains(std::string_view name) const { return state_->find(path(name)) != state_->end(); }

    /// What was put under this name, as the same type. Throws ValueError if there is none, or it is of another
    /// type, or does not fit T.
    template <class T>
    T get(std::string_view name) const {
        if constexpr (detail::is_state_tensor<T>) {
            return tensor<typename T::value_type>(name);
        } else if constexpr (std::is_same_v<T, io::AnyTensor>) {
            return any(name);
        } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
            using Kept = typename detail::KeptAs<T>::type;
            const Tensor<Kept> kept = tensor<Kept>(name);
            if (kept.rank() != 0) refuse(name, "must be one number: got shape " + to_string(kept.shape()));
            const Kept value = kept.item();
            const T result = static_cast<T>(value);
            if constexpr (std::is_integral_v<Kept>)
                if (static_cast<Kept>(result) != value)
                    refuse(name, "is out of range: got " + gradus::detail::text_of({value}));
            return result;
        } else {
            const Tensor<std::uint8_t> bytes = tensor<std::uint8_t>(name);
            return T(bytes.begin(), bytes.end());
        }
    }

    /// The same; it must have this shape.
    template <class T>
    Tensor<T> get(std::string_view name, const Shape& shape) const {
        Tensor<T> value = tensor<T>(name);
        if (value.shape() != shape)
            gradus::detail::raise<ShapeError>({where_, ": ", path(name), ": must have shape ",
                                               to_string(shape), ": got ", to_string(value.shape())});
        return value;
    }

    /// How the tensor of this name differs from one of this type and shape: "F32 [2] and not F32 [3]"; else "".
    [[gnu::cold]] std::string difference(std::string_view name, io::DType dtype, const Shape& shape) const;

    /// Everything that is here, as a state of its own.
    [[gnu::cold]] State get_all() const;

    StateReader in(std::string_view name) const { return StateReader(*state_, path(name), where_); }

    /// The names that are here, without the prefix, in alphabetical order.
    [[gnu::cold]] std::vector<std::string> names() const;

    [[gnu::cold]] std::string path(std::string_view name) const;

    /// Throws ValueError: what was read under this name breaks a rule of the part.
    [[noreturn, gnu::cold]] void refuse(std::string_view name, std::string_view rule) const;

    const std::string& where() const { return where_; }

private:
    [[gnu::cold]] const io::AnyTensor& any(std::string_view name) const;

    template <class T>
    Tensor<T> tensor(std::string_view name) const {
        return any(name, io::dtype_of<T>).template get<T>();
    }

    [[gnu::cold]] const io::AnyTensor& any(std::string_view name, io::DType wanted) const;

    const State* state_;
    std::string prefix_, where_;
};

}  // namespace gradus::training

#if !GRADUS_SEPARATE
#include "gradus/training/state.inc"
#endif
