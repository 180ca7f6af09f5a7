// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>

#include "gradus/autograd/variable.hpp"

namespace gradus {
namespace detail {

/// A leaf with the meaning of a value: a copy has a value of its own, and assigning one of the same shape
/// changes its value but not its identity, so an optimizer that holds it goes on. Assigning another shape
/// makes it another leaf. The old one is marked as abandoned, as it is when its owner goes, and an optimizer
/// that still holds it, without a gradient, says so.
template <class T>
class OwnedLeaf : public Variable<T> {
public:
    OwnedLeaf(Tensor<T> value, bool requires_grad) : Variable<T>(std::move(value), {requires_grad}) {}
    OwnedLeaf(const OwnedLeaf& other) : OwnedLeaf(other.value(), other.requires_grad()) {}
    // Out of line, since g++ 12 takes a moved std::optional<Parameter> for uninitialized.
    [[gnu::noinline]] OwnedLeaf(OwnedLeaf&& other) noexcept : Variable<T>(std::move(other)) {}

    OwnedLeaf& operator=(const OwnedLeaf& other) {
        if (this == &other) return *this;
        if (takes(other.value()))
            this->set_value(other.value());
        else
            become(Variable<T>(other.value(), {other.requires_grad()}));
        return *this;
    }
    OwnedLeaf& operator=(OwnedLeaf&& other) {
        if (this == &other) return *this;
        if (takes(other.value()))
            this->set_value(other.value());
        else
            become(std::move(other));
        return *this;
    }
    [[gnu::noinline]] ~OwnedLeaf() { abandon(); }  // out of line: as above

    void operator+=(const Variable<T>&) = delete;  // would replace the leaf by a result: use set_value
    void operator-=(const Variable<T>&) = delete;
    void operator*=(const Variable<T>&) = delete;
    void operator/=(const Variable<T>&) = delete;

private:
    bool takes(const Tensor<T>& value) const { return this->node_ && this->shape() == value.shape(); }

    void become(Variable<T>&& other) {
        if (this->node_) this->zero_grad();  // nothing comes of it any more
        abandon();
        static_cast<Variable<T>&>(*this) = std::move(other);
    }

    void abandon() {
        if (this->node_) this->node_->abandoned = true;
    }
};

}  // namespace detail

/// What a model learns: a leaf that requires a gradient. Copying a model copies its parameters.
template <class T = float>
class Parameter : public detail::OwnedLeaf<T> {
public:
    explicit Parameter(Tensor<T> value) : detail::OwnedLeaf<T>(std::move(value), true) {}
    Parameter& operator=(Tensor<T> value) {
        this->set_value(std::move(value));
        return *this;
    }
};

/// What a model keeps but does not learn by gradients: running statistics, say. It is saved with the model
/// and copied with it, and no optimizer sees it.
template <class T = float>
class Buffer : public detail::OwnedLeaf<T> {
public:
    explicit Buffer(Tensor<T> value) : detail::OwnedLeaf<T>(std::move(value), false) {}
    Buffer& operator=(Tensor<T> value) {
        this->set_value(std::move(value));
        return *this;
    }
};

/// A parameter and where it is in its model: what nn::named_parameters gives, and optimizers take.
template <class T>
struct NamedParameter {
    std::string name;  // path of fields: "conv1.weight", "blocks.2.fc.bias"
    Variable<T> parameter;
};

}  // namespace gradus
