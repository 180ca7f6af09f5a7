// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/winograd.hpp"

#include <cmath>
#include <limits>

#include "gradus/core/random.hpp"
#include "gradus/kernels/conv/conv2d.hpp"
#include "support/convolution.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using kernels::ConvGeometry;
namespace winograd = kernels::detail::winograd;

namespace {

ConvGeometry sizes(Index batch, Index in, Index out, Size2 image, Size2 before, Size2 after) {
    return convolution::sizes(batch, 1, in, out, image, 3, 1, before, after, 1);
}

ConvGeometry sizes(Index batch, Index in, Index out, Size2 image, Index padding) {
    return sizes(batch, in, out, image, padding, padding);
}

ConvGeometry sizes_5x5(Index batch, Index in, Index out, Size2 image, Size2 before, Size2 after) {
    return convolution::sizes(batch, 1, in, out, image, 5, 1, before, after, 1);
}

ConvGeometry sizes_5x5(Index batch, Index in, Index out, Size2 image, Index padding) {
    return sizes_5x5(batch, in, out, image, padding, padding);
}

template <class T>
struct Operands {
    Tensor<T> x, weight, bias, dy;

    explicit Operands(const ConvGeometry& s) {
        Generator generator(3);
        x = randn<T>({s.batch, s.groups * s.in, s.image.height, s.image.width}, generator);
        weight = randn<T>(s.weight_shape(), generator);
        bias = randn<T>({s.groups * s.out}, generator);
        dy = randn<T>(s.y_shape(), generator);
    }
};

template <class T>
struct Passes {
    Tensor<T> y, dx, dweight;
};

template <class T>
Passes<T> filtered(const ConvGeometry& s, const Operands<T>& o) {
    const Tensor<T> padded = kernels::with_padding(s, o.x);
    Passes<T> result{full<T>(s.y_shape(), T(7)), full<T>(o.x.shape(), T(7)), full<T>(s.weight_shape(), T(7))};
    winograd::forward<T>(s, padded.data(), o.weight.data(), o.bias.data(), {result.y.mutable_data()});
    winograd::backward_input<T>(s, {o.dy.data()}, o.weight.data(), result.dx.mutable_data());
    winograd::backward_weight<T>(s, padded.data(), {o.dy.data()}, result.dweight.mutable_data());
    return result;
}

template <class T>
Passes<T> direct(const ConvGeometry& s, const Operands<T>& o) {
    const Tensor<T> padded = kernels::with_padding(s, o.x);
    Passes<T> result{full<T>(s.y_shape(), T(7)), full<T>(o.x.shape(), T(7)), full<T>(s.weight_shape(), T(7))};
    kernels::detail::implicit_gemm(s, padded, o.weight, o.bias.data(), result.y.mutable_data());
    kernels::detail::implicit_gemm_backward_input(s, o.dy, o.weight, result.dx.mutable_data());
    kernels::detail::implicit_gemm_backward_weight(s, padded, o.dy, result.dweight.mutable_data());
    return result;
}

/// The definition, in double, with the sums of the absolute values of the products; and as one float chain,
/// in which each product is added with one rounding.
struct Definition {
    Passes<double> sums, sizes;
    Passes<float> chains;

    template <class T>
    Definition(const ConvGeometry& s, const Operands<T>& o) {
        for (Passes<double>* const p : {&sums, &sizes})
            *p = {zeros<double>(s.y_shape()), zeros<double>(o.x.shape()), zeros<double>(s.weight_shape())};
        chains = {zeros(s.y_shape()), zeros(o.x.shape()), zeros(s.weight_shape())};
        const Sum y{*this, &Passes<double>::y, &Passes<float>::y};
        for (Index i = 0; i < o.dy.numel(); ++i)
            y.add(i, static_cast<double>(o.bias.data()[i / s.result.area() % s.out]));
        for (Index n = 0; n < s.batch; ++n)
            for (Index k = 0; k < s.out; ++k)
                for (Index c = 0; c < s.in; ++c)
                    for (Index ky = 0; ky < s.kernel.height; ++ky)
                        for (Index kx = 0; kx < s.kernel.width; ++kx) add_tap(s, o, n, k, c, ky, kx);
    }

private:
    template <class T>
    void add_tap(const ConvGeometry& s, const Operands<T>& o, Index n, Index k, Index c, Index ky, Index kx) {
        const Index w = ((k * s.in + c) * s.kernel.height + ky) * s.kernel.width + kx;
        const Sum y{*this, &Passes<double>::y, &Passes<float>::y};
        const Sum dx{*this, &Passes<double>::dx, &Passes<float>::dx};
        const Sum dweight{*this, &Passes<double>::dweight, &Passes<float>::dweight};
        for (Index i = 0; i < s.result.height; ++i)
            for (Index j = 0; j < s.result.width; ++j) {
                const Index row = i + ky - s.before.height, column = j + kx - s.before.width;
                if (row < 0 || row >= s.image.height || column < 0 || column >= s.image.width) continue;
                const Index to = ((n * s.out + k) * s.result.height + i) * s.result.width + j;
                const Index from = ((n * s.in + c) * s.image.height + row) * s.image.width + column;
                const double value = static_cast<double>(o.x.data()[from]);
                const double weight = static_cast<double>(o.weight.data()[w]);
                const double gradient = static_cast<double>(o.dy.data()[to]);
                y.add(to, value * weight);
                dx.add(from, gradient * weight);
                dweight.add(w, gradient * value);
            }
    }

    struct Sum {
        double *sums, *sizes;
        float* chains;

        Sum(Definition& d, Tensor<double> Passes<double>::*pass, Tensor<float> Passes<float>::*chain)
            : sums((d.sums.*pass).mutable_data()),
              sizes((d.sizes.*pass).mutable_data()),
              chains((d.chains.*chain).mutable_data()) {}

        void add(Index at, double term) const {
            sums[at] += term;
            sizes[at] += std::abs(term);
            chains[at] = static_cast<float>(static_cast<double>(chains[at]) + term);
        }
    };
};

/// The largest error, relative to the largest sum of the absolute values of the products.
template <class T>
double error(const Tensor<T>& result, const Tensor<double>& sums, const Tensor<double>& sizes) {
    double largest = 0, size = 0;
    for (Index i = 0; i < result.numel(); ++i) {
        const double difference = std::abs(static_cast<double>(result.data()[i]) - sums.data()[i]);
        if (!(difference <= largest)) largest = difference;  // NaN too
        size = std::max(size, sizes.data()[i]);
    }
    return largest / size;
}

template <class T>
void check(const ConvGeometry& s) {
    INFO("batch " << s.batch << ", channels " << s.in << " to " << s.out << ", image " << to_string(s.image)
                  << ", kernel " << to_string(s.kernel) << ", before " << to_string(s.before) << ", padded "
                  << to_string(s.padded));
    const Operands<T> operands(s);
    const Definition exact(s, operands);
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        INFO("instruction set " << simd::name(isa));
        const Passes<T> passes = filtered(s, operands);
        const double bound =
            (s.kernel == Size2(3) ? 16 : 64) * static_cast<double>(std::numeric_limits<T>::epsilon());
        INFO("bound " << bound);
        CHECK(error(passes.y, exact.sums.y, exact.sizes.y) <= bound);
        CHECK(error(passes.dx, exact.sums.dx, exact.sizes.dx) <= bound);
        CHECK(error(passes.dweight, exact.sums.dweight, exact.sizes.dweight) <= bound);
    }
}

template <class T>
void check_3x3() {
    for (const Index channels : {1, 3, 8, 15, 16, 17, 31, 32, 33, 64, 65, 70}) {
        check<T>(sizes(2, channels, 5, {5, 6}, 1));
        check<T>(sizes(1, 4, channels, {4, 4}, 1));
    }
    for (const Index width : {1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 18, 29, 43}) {
        check<T>(sizes(2, 3, 4, {3, width}, 1));
        check<T>(sizes(1, 2, 17, {width, 5}, {0, 2}, {2, 0}));
    }
    for (const Index padding : {0, 1, 2})
        for (const Size2 image : {Size2(3, 3), Size2(4, 9), Size2(11, 6)})
            check<T>(sizes(3, 6, 7, image, padding));
    check<T>(sizes(1, 1, 1, {1, 1}, 1));
    check<T>(sizes(2, 2, 2, {1, 2}, {2, 1}, {0, 1}));
    check<T>(sizes(3, 5, 6, {7, 5}, {0, 1}, {2, 0}));
    check<T>(sizes(2, 3, 4, {6, 5}, {3, 0}, {4, 5}));
    check<T>(sizes(131, 3, 2, {3, 3}, 1));     // several blocks of tiles
    check<T>(sizes(5, 131, 37, {9, 9}, 1));    // and of input channels
    check<T>(sizes(3, 130, 34, {17, 18}, 1));  // and several passes
    check<T>(sizes(1, 2, 3, {9, 300}, 1));     // one row of tiles is a block
    check<T>(sizes(100, 3, 2, {12, 11}, 1));   // the gradient of the weight from several chunks of images
    check<T>(sizes(1, 2, 3, {130, 129}, 1));   // and of rows
}

void check_5x5() {
    for (const Index channels : {1, 3, 15, 16, 17, 32, 33, 65}) {  // around the widths of panels
        check<float>(sizes_5x5(2, channels, 7, {8, 8}, 0));
        check<float>(sizes_5x5(2, 7, channels, {8, 8}, 0));
    }
    for (const Index size : {5, 6, 7, 9, 11, 12, 13})  // around the sizes of tiles
        check<float>(sizes_5x5(1, 3, 4, {size, 21 - size}, 0));
    for (const Index batch :
         {1, 6, 12, 13, 14, 15, 24, 28, 29})  // around the rows of products, and of blocks
        check<float>(sizes_5x5(batch, 5, 4, {8, 8}, 0));
    check<float>(sizes_5x5(3, 4, 5, {4, 6}, 2));
    check<float>(sizes_5x5(3, 4, 5, {6, 3}, {4, 1}, {0, 3}));
    check<float>(sizes_5x5(2, 4, 5, {41, 30}, 2));     // several blocks of an image
    check<float>(sizes_5x5(40, 40, 50, {20, 18}, 0));  // several passes
    check<float>(sizes_5x5(3, 70, 35, {34, 30}, 2));   // an image in several passes
}

}  // namespace

TEST_CASE("winograd: the definition, at awkward sizes") {
    check_3x3<float>();
    check_3x3<double>();
    check_5x5();
}

TEST_CASE("winograd: the error stays near that of a sum in one chain") {
    for (const ConvGeometry& s : {sizes(2, 64, 64, {16, 16}, 1), sizes(16, 256, 32, {4, 4}, 1),
                                  sizes_5x5(4, 64, 48, {12, 12}, 2), sizes_5x5(16, 256, 16, {8, 8}, 0)}) {
        INFO("kernel " << to_string(s.kernel) << ", channels " << s.in);
        const double most = s.kernel == Size2(3) ? 3 : 10;
        const Operands<float> operands(s);
        const Definition exact(s, operands);
        const Passes<float> ours = filtered(s, operands);
        const auto ratio = [&](Tensor<float> Passes<float>::*pass,
                               Tensor<double> Passes<double>::*definition) {
            const auto of = [&](const Passes<float>& p) {
                return error(p.*pass, exact.sums.*definition, exact.sizes.*definition);
            };
            return of(ours) / of(exact.chains);
        };
        CHECK(ratio(&Passes<float>::y, &Passes<double>::y) < most);
        CHECK(ratio(&Passes<float>::dx, &Passes<double>::dx) < most);
        CHECK(ratio(&Passes<float>::dweight, &Passes<double>::dweight) < most);
    }
}

TEST_CASE("winograd: the gradient of the weight from few pixels is as good as from many") {
    for (const Size2 kernel : {Size2(3), Size2(5)})
        for (const Index batch : {1, 16})
            for (Index size = 1; size <= 12; ++size) {
                const Index padding = kernel.height / 2;
                const ConvGeometry s = kernel == Size2(3) ? sizes(batch, 24, 16, {size, size}, padding)
                                                          : sizes_5x5(batch, 24, 16, {size, size}, padding);
                INFO("kernel " << to_string(kernel) << ", batch " << batch << ", size " << size);
                const Operands<float> operands(s);
                const kernels::ConvPlan<float> plan(s);
                const Tensor<> padded = kernels::with_padding(s, operands.x);
                Tensor<> plain = zeros(s.weight_shape());
                Tensor<double> exact = zeros<double>(s.weight_shape());
                kernels::detail::implicit_gemm_backward_weight(s, padded, operands.dy, plain.mutable_data());
                kernels::detail::implicit_gemm_backward_weight(
                    s, cast<double>(padded), cast<double>(operands.dy), exact.mutable_data());
                const auto squares = [&](const Tensor<>& result) {
                    double sum = 0;
                    for (Index i = 0; i < exact.numel(); ++i)
                        sum += std::pow(static_cast<double>(result.data()[i]) - exact.data()[i], 2);
                    return sum;
                };
                const double ratio = std::sqrt(
                    squares(kernels::conv2d_backward_weight(plan, padded, operands.dy)) / squares(plain));
                CHECK((squares(plain) == 0 || ratio < (kernel == Size2(3) ? 8 : 14)));
            }
}

TEST_CASE("winograd: the same bits for any number of threads") {
    ConvGeometry groups = sizes(5, 16, 20, {18, 17}, 1);
    groups.groups = 5;
    for (const ConvGeometry& s :
         {sizes(5, 70, 33, {18, 17}, 1), sizes(3, 131, 65, {4, 4}, 1), sizes(1, 70, 33, {61, 50}, 1),
          sizes(100, 24, 20, {12, 11}, 1), sizes(1, 5, 40, {130, 129}, 1), sizes(40, 80, 5, {9, 8}, 1),
          sizes_5x5(30, 33, 20, {14, 9}, 2), sizes_5x5(3, 70, 35, {34, 30}, 2), groups}) {
        const Operands<float> operands(s);
        const Threads one_thread(1);
        const Passes<float> one = filtered(s, operands);
        for (const int count : {2, 3, 7}) {
            const Threads limit(count);
            const Passes<float> several = filtered(s, operands);
            CHECK(several.y == one.y);
            CHECK(several.dx == one.dx);
            CHECK(several.dweight == one.dweight);
        }
    }
}

TEST_CASE("winograd: an image does not see the others of its batch") {
    // 131 images make several blocks of tiles, with one transform of the weights for all; one makes a single
    // block.
    for (ConvGeometry many : {sizes(131, 100, 35, {6, 5}, 1), sizes_5x5(131, 70, 35, {8, 7}, 0),
                              sizes_5x5(131, 35, 70, {9, 5}, 2), sizes(131, 70, 5, {3, 33}, 1)}) {
        const Operands<float> operands(many);
        const Passes<float> all = filtered(many, operands);
        ConvGeometry one = many;
        one.batch = 1;
        for (const Index image : {0, 60, 130}) {
            Operands<float> alone = operands;
            alone.x = operands.x.rows(image, image + 1);
            alone.dy = operands.dy.rows(image, image + 1);
            const Passes<float> passes = filtered(one, alone);
            CHECK(passes.y == all.y.rows(image, image + 1));
            CHECK(passes.dx == all.dx.rows(image, image + 1));
        }
    }
}

TEST_CASE("winograd: a group is a convolution of its own") {
    for (ConvGeometry many : {sizes(3, 5, 34, {9, 6}, 1), sizes(40, 34, 5, {9, 6}, {0, 2}, {2, 1}),
                              sizes_5x5(5, 17, 9, {8, 11}, 2)}) {
        const ConvGeometry one = many;
        many.groups = 3;
        const Operands<float> operands(many);
        const Passes<float> all = filtered(many, operands);
        const auto planes = [&](const Tensor<>& x, Index first, Index count) {
            const Index before[] = {0, first, 0, 0};
            return kernels::crop<float>(x, {many.batch, count, x.size(2), x.size(3)}, before);
        };
        for (Index g = 0; g < many.groups; ++g) {
            Operands<float> alone = operands;
            alone.x = planes(operands.x, g * one.in, one.in);
            alone.dy = planes(operands.dy, g * one.out, one.out);
            alone.weight = operands.weight.rows(g * one.out, (g + 1) * one.out);
            alone.bias = operands.bias.rows(g * one.out, (g + 1) * one.out);
            const Passes<float> passes = filtered(one, alone);
            CHECK(planes(all.y, g * one.out, one.out) == passes.y);
            CHECK(planes(all.dx, g * one.in, one.in) == passes.dx);
            CHECK(all.dweight.rows(g * one.out, (g + 1) * one.out) == passes.dweight);
        }
    }
}

namespace {

/// What conv2d and its gradients make of the operands.
template <class T>
Passes<T> convolved(const ConvGeometry& s, const Operands<T>& o) {
    const kernels::ConvPlan<T> plan(s);
    const Tensor<T> padded = kernels::pad_images(plan, o.x);
    Passes<T> result{zeros<T>(s.y_shape()), kernels::conv2d_backward_input(plan, o.dy, o.weight),
                     kernels::conv2d_backward_weight(plan, padded, o.dy)};
    kernels::conv2d(plan, padded, o.weight, o.bias.data(), result.y.mutable_data());
    return result;
}

/// The largest error of an element, relative to the sum of the absolute values of its own products.
template <class T>
double error_of_each(const Tensor<T>& result, const Tensor<double>& sums, const Tensor<double>& sizes) {
    double largest = 0;
    for (Index i = 0; i < result.numel(); ++i) {
        const double difference = std::abs(static_cast<double>(result.data()[i]) - sums.data()[i]);
        if (!(difference <= largest * sizes.data()[i])) largest = difference / sizes.data()[i];
    }
    return largest;
}

/// Changes images of two dimensions: x to the left of a column, and some pixels.
template <class T>
void outliers(Tensor<T>& x, T factor, bool half) {
    const Index height = x.size(2), width = x.size(3);
    for (Index plane = 0; plane < x.size(0) * x.size(1); ++plane)
        for (Index i = 0; i < height; ++i)
            for (Index j = 0; j < width; ++j)
                if (half ? j < width / 2 : plane % 17 == 3 && i == height / 2 && j == width / 3)
                    x.mutable_data()[(plane * height + i) * width + j] *= factor;
}

const ConvGeometry uneven_cases[] = {sizes(2, 32, 24, {13, 14}, 1), sizes(3, 24, 40, {12, 9}, 0),
                                     sizes_5x5(2, 20, 17, {12, 16}, 2), sizes_5x5(2, 17, 20, {12, 12}, 0)};

}  // namespace

TEST_CASE("winograd: far from outliers, results are as accurate as elsewhere") {
    for (const ConvGeometry& s : uneven_cases)
        for (const float factor : {1e3f, 1e4f, 1e8f, 1e15f})
            for (const bool half : {false, true}) {
                INFO("kernel " << to_string(s.kernel) << ", image " << to_string(s.image) << ", factor "
                               << factor << (half ? ", half of the image" : ", one pixel"));
                Operands<float> operands(s);
                outliers(operands.x, factor, half);
                const Definition forward(s, operands);
                const Passes<float> of_x = convolved(s, operands);
                CHECK(error_of_each(of_x.y, forward.sums.y, forward.sizes.y) < 1e-3);
                CHECK(error(of_x.dweight, forward.sums.dweight, forward.sizes.dweight) < 2e-5);
                operands = Operands<float>(s);
                outliers(operands.dy, factor, half);
                const Definition backward(s, operands);
                const Passes<float> of_dy = convolved(s, operands);
                CHECK(error_of_each(of_dy.dx, backward.sums.dx, backward.sizes.dx) < 1e-3);
                CHECK(error(of_dy.dweight, backward.sums.dweight, backward.sizes.dweight) < 2e-5);
            }
}

TEST_CASE("winograd: one large pixel three pixels away") {
    const ConvGeometry s = sizes(1, 32, 32, {16, 16}, 1);
    Operands<float> operands(s);
    operands.x = ones(operands.x.shape());
    operands.x.mutable_at(0, 7, 5, 6) = 1e8f;
    operands.weight = full(s.weight_shape(), 0.01f);
    operands.bias = zeros({32});
    CHECK(convolved(s, operands).y(0, 3, 5, 9) == Approx(2.88));
    operands.x = zeros(operands.x.shape());
    operands.x.mutable_at(0, 7, 5, 6) = 1e38f;
    operands.weight = full(s.weight_shape(), 1e-3f);
    CHECK(convolved(s, operands).y(0, 3, 5, 6) == Approx(1e35));
    CHECK(convolved(s, operands).y(0, 3, 5, 9) == 0);
}

TEST_CASE("winograd: what is not finite reaches what direct sums give it to, and nothing else") {
    for (const ConvGeometry& s : uneven_cases)
        for (const float value :
             {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
            INFO("kernel " << to_string(s.kernel) << ", value " << value);
            const auto same = [](const Tensor<>& a, const Tensor<>& b) {
                bool result = true;
                for (Index i = 0; i < a.numel(); ++i) {
                    const float x = a.data()[i], y = b.data()[i];
                    result &= std::isnan(x) ? std::isnan(y) : std::isinf(x) ? x == y : std::isfinite(y);
                }
                return result;
            };
            Operands<float> operands(s);
            operands.x.mutable_at(0, 1, 6, 6) = value;
            CHECK(same(convolved(s, operands).y, direct(s, operands).y));
            CHECK(same(convolved(s, operands).dweight, direct(s, operands).dweight));
            operands = Operands<float>(s);
            operands.dy.mutable_at(1, 2, 5, 4) = value;
            CHECK(same(convolved(s, operands).dx, direct(s, operands).dx));
            CHECK(same(convolved(s, operands).dweight, direct(s, operands).dweight));
        }
}

TEST_CASE("winograd: an image with outliers does not change the others") {
    ConvGeometry groups = sizes(3, 16, 20, {12, 10}, 1);
    groups.groups = 3;
    for (const ConvGeometry& s : {sizes(5, 24, 24, {13, 14}, 1), sizes_5x5(5, 17, 20, {12, 12}, 0), groups}) {
        const Operands<float> even(s);
        Operands<float> operands = even;
        operands.x.mutable_at(1, 16, 3, 3) = 1e8f;  // in groups, of the second
        operands.dy.mutable_at(1, s.groups == 1 ? 5 : 20, 3, 3) = 1e8f;
        const Passes<float> before = convolved(s, even), after = convolved(s, operands);
        for (Index n = 0; n < s.batch; ++n) {
            CHECK((after.y.rows(n, n + 1) == before.y.rows(n, n + 1)) == (n != 1));
            CHECK((after.dx.rows(n, n + 1) == before.dx.rows(n, n + 1)) == (n != 1));
        }
        if (s.groups == 1) continue;
        const auto group = [&](const Tensor<>& x, Index g) {
            return x.reshape({9, x.size(1) / 3, 12, 10}).rows(3 + g, 4 + g);
        };
        for (const Index g : {0, 2}) {
            CHECK(group(after.y, g) == group(before.y, g));
            CHECK(group(after.dx, g) == group(before.dx, g));
        }
    }
}

TEST_CASE("winograd: ordinary images are not taken for uneven") {
    for (const ConvGeometry& s : {sizes(20, 16, 64, {32, 32}, 1), sizes_5x5(20, 16, 32, {16, 16}, 2)}) {
        Operands<float> operands(s);
        for (float& value : operands.x.mutable_values()) value = std::max(0.0f, value - 1);  // most are zero
        for (Index i = 0; i < operands.dy.numel(); ++i)
            if (i * 7 % 11 > 2) operands.dy.mutable_data()[i] = 0;
        const Tensor<> padded = kernels::with_padding(s, operands.x);
        Passes<float> out{zeros(s.y_shape()), zeros(operands.x.shape()), zeros(s.weight_shape())};
        for (const unsigned char mark : winograd::forward<float>(s, padded.data(), operands.weight.data(),
                                                                 nullptr, {out.y.mutable_data()}))
            CHECK(mark == 0);
        for (const unsigned char mark : winograd::backward_input<float>(
                 s, {operands.dy.data()}, operands.weight.data(), out.dx.mutable_data()))
            CHECK(mark == 0);
        CHECK(winograd::backward_weight<float>(s, padded.data(), {operands.dy.data()},
                                               out.dweight.mutable_data())[0] == 0);
    }
}

TEST_CASE("winograd: what conv2d computes") {
    for (const ConvGeometry& s : {sizes(3, 24, 33, {7, 6}, 1), sizes_5x5(7, 17, 33, {7, 12}, 2)}) {
        const Operands<float> operands(s);
        const Passes<float> passes = filtered(s, operands), same = convolved(s, operands);
        CHECK(same.y == passes.y);
        CHECK(same.dx == passes.dx);
        CHECK(same.dweight == passes.dweight);
    }
}

TEST_CASE("winograd: no images") {
    for (const ConvGeometry& s : {sizes(0, 24, 33, {7, 6}, 1), sizes_5x5(0, 24, 33, {7, 6}, 2)}) {
        const Passes<float> passes = convolved(s, Operands<float>(s));
        CHECK(passes.dx.shape() == Shape{0, 24, 7, 6});
        CHECK(passes.dweight == zeros(s.weight_shape()));
    }
}
