// SPDX-License-Identifier: MIT
#include "gradus/ops/einsum.hpp"

#include <string>

#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

/// One row for one equation.
void check_equation(const std::string& equation, const std::vector<std::vector<Shape>>& shapes) {
    check_op("einsum " + equation,
             [equation](const auto& x) {
                 return x.size() == 1 ? einsum(equation, x[0]) : einsum(equation, x[0], x[1]);
             },
             {.shapes = shapes});
}

}  // namespace

TEST_CASE("einsum: op table") {
    check_equation("ij,jk->ik", {{{2, 3}, {3, 4}}, {{1, 1}, {1, 1}}, {{0, 3}, {3, 2}}, {{2, 0}, {0, 3}}});
    check_equation("bij,bjk->bik", {{{2, 3, 4}, {2, 4, 5}}});
    check_equation("bhqd,bhkd->bhqk", {{{2, 3, 4, 5}, {2, 3, 6, 5}}});
    check_equation("i,j->ji", {{{2}, {3}}});
    check_equation("i,i->", {{{3}, {3}}, {{0}, {0}}});
    check_equation("ij,ij->ij", {{{2, 3}, {2, 3}}});
    check_equation("ijk,lk->jl", {{{2, 3, 4}, {5, 4}}});  // i is summed before
    check_equation(",ij->ji", {{{}, {2, 3}}});
    check_equation("ijk->ki", {{{2, 3, 4}}});
    check_equation("ij->", {{{2, 3}}});
}

TEST_CASE("einsum: by hand, with and without a result") {
    const Variable<> a(Tensor<>{{1, 2}, {3, 4}}), b(Tensor<>{{5, 6}, {7, 8}});
    CHECK(einsum("ij,jk->ik", a, b).value() == Tensor<>{{19, 22}, {43, 50}});
    CHECK(einsum(" ij , jk ", a, b).value() == Tensor<>{{19, 22}, {43, 50}});
    CHECK(einsum("ij,kj->ki", a, b).value() == Tensor<>{{17, 39}, {23, 53}});
    CHECK(einsum("ij,ij->", a, b).value() == full({}, 70));
    CHECK(einsum("ij,ij->i", a, b).value() == Tensor<>{17, 53});
    CHECK(einsum("ji", a).value() == Tensor<>{{1, 3}, {2, 4}});  // i, j: the order of the alphabet
    CHECK(einsum("ij->j", a).value() == Tensor<>{4, 6});
    CHECK(einsum("aB,aC", a, b).shape() == Shape{2, 2});
}

TEST_CASE("einsum: refusals show the equation") {
    const Variable<> a(zeros({2, 3})), b(zeros({4, 5})), v(zeros({3}));
    const auto refuses = [&](const char* equation, const Variable<>& x, const Variable<>& y,
                             const std::string& text) {
        CHECK_THROWS_MATCHES(einsum(equation, x, y), Error, Message(text));
    };
    refuses("ij,jk->ik", a, b, "einsum: sizes of j differ: got [2, 3] and [4, 5]");
    refuses("ij,j->i", a, b, "einsum: needs one letter for each axis: got j in \"ij,j->i\" for [4, 5]");
    refuses("ii,jk->ik", a, b,
            "einsum: a letter stands twice in one operand (a diagonal): got \"ii,jk->ik\"");
    refuses("ij,jk->iik", a, b, "einsum: a letter stands twice in the result: got \"ij,jk->iik\"");
    refuses("ij,jk->il", a, b, "einsum: a letter of the result stands in no operand: got \"ij,jk->il\"");
    refuses("...i,i", a, v,
            "einsum: needs letters for the axes of one or two operands, as in \"ij,jk->ik\": got \"...i,i\"");
    refuses("ij,jk,kl->il", a, b,
            "einsum: needs letters for the axes of one or two operands, as in \"ij,jk->ik\": got "
            "\"ij,jk,kl->il\"");
    refuses("ij->i", a, b, "einsum: the equation has one operand: got \"ij->i\"");
    CHECK_THROWS_MATCHES(einsum("ij,jk", a), ValueError,
                         Message("einsum: the equation has two operands: got \"ij,jk\""));
}
