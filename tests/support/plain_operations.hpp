// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <optional>
#include <vector>

#include "gradus/autograd/record.hpp"
#include "gradus/ops/activation.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/conv2d.hpp"
#include "gradus/ops/indexing.hpp"
#include "gradus/ops/layout.hpp"
#include "gradus/ops/matmul.hpp"
#include "gradus/ops/norm.hpp"
#include "gradus/ops/pool2d.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/ops/slice.hpp"

/// Operations as the library has them, and evaluated plainly: one number after the other, for complex
/// numbers, so that complex steps give the derivatives.
namespace plain {

using gradus::Index;
using gradus::MaxPool2dOptions;
using gradus::Shape;
using gradus::Tensor;
using gradus::Variable;

using Complex = std::complex<double>;

inline std::size_t at(Index i) { return static_cast<std::size_t>(i); }

struct Array {
    Shape shape;
    std::vector<Complex> values;

    explicit Array(const Shape& s) : shape(s), values(at(s.numel())) {}
    Complex& operator[](Index i) { return values[at(i)]; }
    const Complex& operator[](Index i) const { return values[at(i)]; }
    Index numel() const { return shape.numel(); }
};
using Arrays = std::vector<Array>;

/// How near an evaluation came to where a derivative jumps or explodes: such operations are not taken.
inline double nearest_trouble = 1;
inline void avoid(double distance) { nearest_trouble = std::min(nearest_trouble, std::abs(distance)); }

/// The shape of a broadcast result, or nothing.
inline std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
    std::vector<Index> sizes(at(std::max(a.rank(), b.rank())));
    for (std::size_t i = 0; i < sizes.size(); ++i) {  // counted from the last axis
        const int k = static_cast<int>(i);
        const Index m = k < a.rank() ? a[a.rank() - 1 - k] : 1, n = k < b.rank() ? b[b.rank() - 1 - k] : 1;
        if (m != n && m != 1 && n != 1) return {};
        sizes[sizes.size() - 1 - i] = m == 1 ? n : m;
    }
    return Shape(sizes.begin(), sizes.end());
}

/// Which element of `from` stands at element i of the broadcast shape `to`.
inline Index source(Index i, const Shape& to, const Shape& from) {
    Index result = 0, stride = 1;
    for (int axis = to.rank() - 1, own = from.rank() - 1; own >= 0; --axis, --own) {
        if (from[own] > 1) result += i % to[axis] * stride;
        i /= to[axis];
        stride *= from[own];
    }
    return result;
}

inline Array zip(const Array& a, const Array& b, const auto& f) {
    Array y(*broadcast(a.shape, b.shape));
    for (Index i = 0; i < y.numel(); ++i)
        y[i] = f(a[source(i, y.shape, a.shape)], b[source(i, y.shape, b.shape)]);
    return y;
}

inline Array each(const Array& x, const auto& f) {
    Array y(x.shape);
    for (Index i = 0; i < y.numel(); ++i) y[i] = f(x[i]);
    return y;
}

inline Array relu_of(const Array& x) {
    return each(x, [](const Complex& v) {
        avoid(v.real());
        return v.real() > 0 ? v : Complex(0);
    });
}

inline Array reshaped(Array x, const Shape& shape) {
    x.shape = shape;
    return x;
}

/// x [1, C, H, W] with weights [O, C, 2, 2], padding 1.
inline Array convolved(const Array& x, const Array& w) {
    const Index channels = x.shape[1], height = x.shape[2], width = x.shape[3];
    Array y({1, w.shape[0], height + 1, width + 1});
    for (Index o = 0, to = 0; o < y.shape[1]; ++o)
        for (Index i = 0; i <= height; ++i)
            for (Index j = 0; j <= width; ++j, ++to)
                for (Index c = 0; c < channels; ++c)
                    for (Index k = 0; k < 4; ++k) {
                        const Index row = i - 1 + k / 2, column = j - 1 + k % 2;
                        if (row >= 0 && row < height && column >= 0 && column < width)
                            y[to] += w[(o * channels + c) * 4 + k] * x[(c * height + row) * width + column];
                    }
    return y;
}

/// The largest of each 2 × 2 window; odd rows and columns at the end are left out.
inline Array pooled(const Array& x) {
    const Index height = x.shape[2], width = x.shape[3];
    Array y({1, x.shape[1], height / 2, width / 2});
    for (Index c = 0, to = 0; c < y.shape[1]; ++c)
        for (Index i = 0; i < y.shape[2]; ++i)
            for (Index j = 0; j < y.shape[3]; ++j, ++to) {
                std::vector<Complex> window;
                for (const Index k : {0, 1, 2, 3})
                    window.push_back(x[(c * height + 2 * i + k / 2) * width + 2 * j + k % 2]);
                std::sort(window.begin(), window.end(),
                          [](const Complex& a, const Complex& b) { return a.real() > b.real(); });
                avoid(window[0].real() - window[1].real());
                y[to] = window[0];
            }
    return y;
}

inline Array normalized(const Array& x) {
    Array y(x.shape);
    const Index size = x.shape[2] * x.shape[3];
    for (Index first = 0; first < x.numel(); first += size) {
        Complex mean = 0, var = 0;
        for (Index i = 0; i < size; ++i) mean += x[first + i] / static_cast<double>(size);
        for (Index i = 0; i < size; ++i)
            var += (x[first + i] - mean) * (x[first + i] - mean) / static_cast<double>(size);
        avoid(var.real());
        for (Index i = 0; i < size; ++i) y[first + i] = (x[first + i] - mean) / std::sqrt(var + 1e-5);
    }
    return y;
}

template <class T>
using Variables = std::vector<Variable<T>>;
using Shapes = std::vector<Shape>;

/// An operation, as the library has it and as it is meant.
template <class T>
struct Operation {
    const char* name;
    std::size_t inputs;
    bool (*fits)(const Shapes&);
    Variable<T> (*library)(const Variables<T>&);
    Array (*reference)(const Arrays&);
};

inline bool anything(const Shapes&) { return true; }
inline bool broadcasts(const Shapes& s) { return broadcast(s[0], s[1]).has_value(); }
inline bool is_image(const Shape& s) { return s.rank() == 4 && s[0] == 1 && s[2] >= 2 && s[3] >= 2; }
inline bool is_list(const Shape& s) { return s.rank() > 0 && s.rank() < 4; }

template <class T>
const std::vector<Operation<T>>& operations() {
    static const std::vector<Operation<T>> list{
        {"add", 2, broadcasts, [](const Variables<T>& x) { return x[0] + x[1]; },
         [](const Arrays& x) { return zip(x[0], x[1], [](auto a, auto b) { return a + b; }); }},
        {"sub", 2, broadcasts, [](const Variables<T>& x) { return x[0] - x[1]; },
         [](const Arrays& x) { return zip(x[0], x[1], [](auto a, auto b) { return a - b; }); }},
        {"mul", 2, broadcasts, [](const Variables<T>& x) { return x[0] * x[1]; },
         [](const Arrays& x) { return zip(x[0], x[1], [](auto a, auto b) { return a * b; }); }},
        {"quotient", 2, broadcasts, [](const Variables<T>& x) { return x[0] / (x[1] * x[1] + T(1)); },
         [](const Arrays& x) { return zip(x[0], x[1], [](auto a, auto b) { return a / (b * b + 1.0); }); }},
        {"square", 1, anything, [](const Variables<T>& x) { return x[0] * x[0]; },
         [](const Arrays& x) { return each(x[0], [](auto v) { return v * v; }); }},
        {"tanh", 1, anything, [](const Variables<T>& x) { return tanh(x[0]); },
         [](const Arrays& x) { return each(x[0], [](auto v) { return std::tanh(v); }); }},
        {"relu", 1, anything, [](const Variables<T>& x) { return relu(x[0]); },
         [](const Arrays& x) { return relu_of(x[0]); }},
        {"affine", 1, anything, [](const Variables<T>& x) { return T(0.25) - x[0] * T(0.75); },
         [](const Arrays& x) { return each(x[0], [](auto v) { return 0.25 - 0.75 * v; }); }},
        {"mean", 1, anything, [](const Variables<T>& x) { return mean(x[0]); },
         [](const Arrays& x) {
             Array y{Shape{}};
             for (const Complex& v : x[0].values) y[0] += v / static_cast<double>(x[0].numel());
             return y;
         }},
        {"matmul", 2,
         [](const Shapes& s) { return s[0].rank() == 2 && s[1].rank() == 2 && s[0][1] == s[1][1]; },
         [](const Variables<T>& x) { return matmul(x[0], transpose(x[1])); },
         [](const Arrays& x) {
             const Index rows = x[0].shape[0], columns = x[1].shape[0], inner = x[0].shape[1];
             Array y({rows, columns});
             for (Index i = 0; i < rows * columns; ++i)
                 for (Index k = 0; k < inner; ++k)
                     y[i] += x[0][i / columns * inner + k] * x[1][i % columns * inner + k];
             return y;
         }},
        {"flatten", 1, anything, [](const Variables<T>& x) { return reshape(x[0], Shape{x[0].numel()}); },
         [](const Arrays& x) { return reshaped(x[0], Shape{x[0].numel()}); }},
        // Adds its contribution to the gradient in place.
        {"index_select", 1, [](const Shapes& s) { return is_list(s[0]); },
         [](const Variables<T>& x) {
             return index_select(x[0], 0, Tensor<Index>{0, x[0].size(0) - 1, 0});
         },
         [](const Arrays& x) {
             const Index row = x[0].numel() / x[0].shape[0];
             std::vector<Index> sizes(x[0].shape.begin(), x[0].shape.end());
             sizes[0] = 3;
             Array y(Shape(sizes.begin(), sizes.end()));
             for (Index i = 0; i < y.numel(); ++i)
                 y[i] = x[0][i / row == 1 ? x[0].numel() - row + i % row : i % row];
             return y;
         }},
        // Any number of inputs with one rule.
        {"concat", 2, [](const Shapes& s) { return is_list(s[0]) && s[0] == s[1]; },
         [](const Variables<T>& x) {
             return gradus::concat({x[0], x[1], x[0]});
         },
         [](const Arrays& x) {
             std::vector<Index> sizes(x[0].shape.begin(), x[0].shape.end());
             sizes[0] *= 3;
             Array y(Shape(sizes.begin(), sizes.end()));
             for (Index i = 0; i < y.numel(); ++i) y[i] = x[i / x[0].numel() == 1 ? 1 : 0][i % x[0].numel()];
             return y;
         }},
        // A joint rule.
        {"joint product", 2, [](const Shapes& s) { return s[0] == s[1]; },
         [](const Variables<T>& x) {
             return record(
                 "joint product", x[0].value() * x[1].value(),
                 wrt_jointly(
                     std::array{x[0], x[1]}, [a = x[0].value(), b = x[1].value()](
                                                 const Tensor<T>& dy, const std::array<bool, 2>& want) {
                         return std::array{want[0] ? dy * b : Tensor<T>(), want[1] ? dy * a : Tensor<T>()};
                     }));
         },
         [](const Arrays& x) { return zip(x[0], x[1], [](auto a, auto b) { return a * b; }); }},
        // Work that the library defers, to do it together with what comes next.
        {"convolution", 2,
         [](const Shapes& s) {
             return is_image(s[0]) && s[1] == Shape{2, 2, 2, 2};
         },
         [](const Variables<T>& x) { return conv2d(x[0], x[1], {.padding = 1}); },
         [](const Arrays& x) { return convolved(x[0], x[1]); }},
        {"convolution, pooling, relu", 2,
         [](const Shapes& s) {
             return is_image(s[0]) && s[1] == Shape{2, 2, 2, 2};
         },
         [](const Variables<T>& x) {
             return relu(max_pool2d(conv2d(x[0], x[1], {.padding = 1}), MaxPool2dOptions{2}));
         },
         [](const Arrays& x) { return relu_of(pooled(convolved(x[0], x[1]))); }},
        {"pooling", 1, [](const Shapes& s) { return is_image(s[0]); },
         [](const Variables<T>& x) { return max_pool2d(x[0], MaxPool2dOptions{2}); },
         [](const Arrays& x) { return pooled(x[0]); }},
        {"norm", 1, [](const Shapes& s) { return is_image(s[0]); },
         [](const Variables<T>& x) { return batch_norm(x[0]); },
         [](const Arrays& x) { return normalized(x[0]); }},
        {"norm, sum, relu", 2, [](const Shapes& s) { return is_image(s[0]) && s[0] == s[1]; },
         [](const Variables<T>& x) { return relu(batch_norm(x[0]) + x[1]); },
         [](const Arrays& x) {
             return relu_of(zip(normalized(x[0]), x[1], [](auto a, auto b) { return a + b; }));
         }},
    };
    return list;
}

}  // namespace plain
