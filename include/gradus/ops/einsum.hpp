// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/layout.hpp"
#include "gradus/ops/matmul.hpp"
#include "gradus/ops/reduce.hpp"

namespace gradus {
namespace detail {

/// The equation of an einsum: the letters of both operands and of the result, one per axis.
struct EinsumLetters {
    std::string a, b, y;
    bool two = false;  // operands

    /// Throws ValueError, or ShapeError if there are not as many letters as axes.
    explicit EinsumLetters(std::string_view equation) : equation_(equation) {
        std::string* side = &a;
        bool has_result = false;
        for (std::size_t i = 0; i < equation.size(); ++i) {
            const char c = equation[i];
            if (c == ' ') continue;
            if (c == ',' && !two && !has_result) {
                two = true;
                side = &b;
            } else if (equation.substr(i, 2) == "->" && !has_result) {
                has_result = true;
                side = &y;
                ++i;
            } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
                if (side->find(c) != std::string::npos)
                    refuse_equation(side == &y ? "a letter stands twice in the result"
                                               : "a letter stands twice in one operand (a diagonal)");
                *side += c;
            } else {
                refuse_equation("needs letters for the axes of one or two operands, as in \"ij,jk->ik\"");
            }
        }
        if (!has_result) y = letters_that_stand_once();
        for (const char c : y)
            if (!stands_in(a, c) && !stands_in(b, c))
                refuse_equation("a letter of the result stands in no operand");
    }

    static bool stands_in(const std::string& letters, char c) { return letters.find(c) != std::string::npos; }

    /// Those of `letters` that stand in `other`, or do not.
    static std::string chosen(const std::string& letters, const std::string& other, bool stand) {
        std::string result;
        for (const char c : letters)
            if (stands_in(other, c) == stand) result += c;
        return result;
    }

    void check_operands(std::size_t given) const {
        if (given != (two ? 2u : 1u))
            refuse_equation(two ? "the equation has two operands" : "the equation has one operand");
    }

    void check_rank(const std::string& letters, const Shape& shape) const {
        if (static_cast<int>(letters.size()) != shape.rank())
            refuse<ShapeError>({"einsum: needs one letter for each axis: got ", letters, " in \"", equation_,
                                "\" for ", to_string(shape)});
    }

    [[noreturn, gnu::cold]] void refuse_equation(std::string_view message) const {
        refuse<ValueError>({"einsum: ", message, ": got \"", equation_, "\""});
    }

private:
    std::string letters_that_stand_once() const {
        std::string result;
        for (char c = 'A'; c <= 'z'; ++c)  // in the order of the alphabet, as in PyTorch
            if (stands_in(a, c) != stands_in(b, c)) result += c;
        return result;
    }

    std::string_view equation_;
};

/// x, whose axes have these letters, with those in the order of `to`; it has all of them.
template <class T>
Variable<T> in_letter_order(const Variable<T>& x, const std::string& letters, const std::string& to) {
    if (letters == to) return x;
    std::vector<int> order;
    for (const char c : to) order.push_back(static_cast<int>(letters.find(c)));
    return permute(x, order);
}

/// x summed over the axes whose letters are not in `kept`; `letters` becomes those of the sum.
template <class T>
Variable<T> summed_over_others(Variable<T> x, std::string& letters, const std::string& kept) {
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
        if (EinsumLetters::stands_in(kept, letters[static_cast<std::size_t>(axis)])) continue;
        x = sum(x, axis);
        letters.erase(static_cast<std::size_t>(axis), 1);
    }
    return x;
}

/// The product of the sizes of x that have these letters.
inline Index span_of(const Shape& shape, const std::string& letters, const std::string& of) {
    Index product = 1;
    for (const char c : of) product *= shape[static_cast<int>(letters.find(c))];
    return product;
}

}  // namespace detail

/// Sums of products in Einstein's notation, of two operands: each letter names an axis, those of one letter
/// run together, and the letters that are not in the result are summed over. einsum("bij,bjk->bik", a, b) is
/// a product of batches of matrices, einsum("i,j->ij", a, b) an outer product. Without "->", the result has
/// the letters that stand once, in the order of the alphabet. Computed by matmul.
/// da = einsum of dy and b       db = einsum of a and dy
/// Throws ValueError if the equation has no meaning or a letter twice in one operand, ShapeError if letters
/// and axes or the sizes of one letter differ.
template <class T>
Variable<T> einsum(std::string_view equation, const Variable<T>& a, const Variable<T>& b) {
    using Letters = detail::EinsumLetters;
    Letters letters(equation);
    letters.check_operands(2);
    letters.check_rank(letters.a, a.shape());
    letters.check_rank(letters.b, b.shape());
    for (std::size_t i = 0; i < letters.a.size(); ++i)
        if (const std::size_t j = letters.b.find(letters.a[i]);
            j != std::string::npos && a.size(static_cast<int>(i)) != b.size(static_cast<int>(j)))
            detail::fail<ShapeError>("einsum", std::string("sizes of ") + letters.a[i] + " differ", a.shape(),
                                     b.shape());
    const std::string &y = letters.y, in_b = letters.b, in_a = letters.a;
    const Variable<T> left = detail::summed_over_others(a, letters.a, y + in_b);
    const Variable<T> right = detail::summed_over_others(b, letters.b, y + in_a);
    const std::string both = Letters::chosen(letters.a, letters.b, true);
    const std::string batch = Letters::chosen(both, y, true), inner = Letters::chosen(both, y, false);
    const std::string rows = Letters::chosen(letters.a, both, false),
                      columns = Letters::chosen(letters.b, both, false);
    const Shape &p = left.shape(), &q = right.shape();
    Shape result;
    for (const char c : batch + rows) result.push_back(p[static_cast<int>(letters.a.find(c))]);
    for (const char c : columns) result.push_back(q[static_cast<int>(letters.b.find(c))]);
    const Index batches = detail::span_of(p, letters.a, batch), terms = detail::span_of(p, letters.a, inner);
    const Variable<T> l = reshape(detail::in_letter_order(left, letters.a, batch + rows + inner),
                                  Shape{batches, detail::span_of(p, letters.a, rows), terms});
    const Variable<T> r = reshape(detail::in_letter_order(right, letters.b, batch + inner + columns),
                                  Shape{batches, terms, detail::span_of(q, letters.b, columns)});
    const Variable<T> product = inner.empty() ? mul(l, r) : matmul(l, r);  // [batches, rows, columns]
    return detail::in_letter_order(reshape(product, result), batch + rows + columns, y);
}

/// The same of one operand, whose axes are summed and permuted: einsum("ij->j", x).
template <class T>
Variable<T> einsum(std::string_view equation, const Variable<T>& x) {
    detail::EinsumLetters letters(equation);
    letters.check_operands(1);
    letters.check_rank(letters.a, x.shape());
    const Variable<T> kept = detail::summed_over_others(x, letters.a, letters.y);
    return detail::in_letter_order(kept, letters.a, letters.y);
}

}  // namespace gradus
