// SPDX-License-Identifier: MIT
// The part of the consumer that is a shared library.
#include <gradus/gradus.hpp>

gradus::Tensor<> doubled(const gradus::Tensor<>& x) { return (gradus::Variable<>(x) * 2.0f).value(); }
