// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/choose.hpp"

#include <vector>

#include "gradus/core/dual.hpp"
#include "gradus/ops/conv2d.hpp"
#include "support/convolution.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::Bf16Speed;
using kernels::choose;
using kernels::ConvAlgorithms;
using kernels::ConvGeometry;
using simd::Isa;
using Algorithm = kernels::ConvAlgorithm;
using enum kernels::ConvAlgorithm;

namespace {

constexpr Isa all_isas[] = {Isa::baseline, Isa::avx2, Isa::avx512};
constexpr Bf16Speed all_speeds[] = {Bf16Speed::none, Bf16Speed::above_gemm, Bf16Speed::above_winograd};

struct Layer {
    const char* what;
    Index batch, groups, in, out;  // channels of a group
    Size2 image, kernel, stride = 1, padding = 0, dilation = 1;

    ConvGeometry geometry() const {
        return convolution::sizes(batch, groups, in, out, image, kernel, stride, padding, padding, dilation);
    }
};

template <class T = float>
ConvAlgorithms of(const Layer& layer, Isa isa = Isa::avx2, Bf16Speed bf16 = Bf16Speed::none) {
    return choose<T>(layer.geometry(), isa, bf16);
}

// Far from any threshold.
const Layer resnet{"3 x 3 between many channels", 32, 1, 64, 64, {28, 28}, 3, 1, 1};
const Layer large_5x5{"5 x 5 between many channels", 32, 1, 64, 64, {28, 28}, 5, 1, 2};
const Layer lenet{"5 x 5 from one channel", 32, 1, 1, 32, {28, 28}, 5};
const Layer stem{"7 x 7 with a stride, from three channels", 32, 1, 3, 64, {56, 56}, 7, 2, 3};
const Layer down{"3 x 3 with a stride", 32, 1, 64, 128, {28, 28}, 3, 2, 1};
const Layer dilated{"3 x 3 with a dilation", 32, 1, 64, 64, {28, 28}, 3, 1, 2, 2};
const Layer projection{"1 x 1", 32, 1, 64, 128, {28, 28}, 1};
const Layer shortcut{"1 x 1 with a stride", 32, 1, 64, 128, {28, 28}, 1, 2};
const Layer separable{"depthwise", 32, 64, 1, 1, {28, 28}, 3, 1, 1};
const Layer few{"3 x 3 between few channels", 32, 1, 4, 4, {28, 28}, 3, 1, 1};
const Layer all_layers[] = {resnet,  large_5x5,  lenet,    stem,      down,
                            dilated, projection, shortcut, separable, few};

}  // namespace

namespace Catch {
template <>
struct StringMaker<ConvAlgorithms> {
    static std::string convert(const ConvAlgorithms& a) { return to_string(a); }
};
}  // namespace Catch

TEST_CASE("choose: the table, in float") {
    CHECK(of(resnet) == ConvAlgorithms{winograd, winograd, winograd});
    CHECK(of(large_5x5) == ConvAlgorithms{winograd, winograd, winograd});
    CHECK(of(lenet) == ConvAlgorithms{flat, col2im, implicit_gemm});
    CHECK(of(lenet, Isa::avx512) == ConvAlgorithms{winograd_1d, col2im, implicit_gemm});
    CHECK(of(stem) == ConvAlgorithms{implicit_gemm, col2im, implicit_gemm});
    CHECK(of(down) == ConvAlgorithms{implicit_gemm, col2im, implicit_gemm});
    CHECK(of(dilated) == ConvAlgorithms{implicit_gemm, implicit_gemm, implicit_gemm});
    CHECK(of(projection) == ConvAlgorithms{pointwise, pointwise, pointwise});
    CHECK(of(shortcut) == ConvAlgorithms{flat, implicit_gemm, pointwise});
    CHECK(of(separable) == ConvAlgorithms{depthwise, depthwise, depthwise});
    CHECK(of(few) == ConvAlgorithms{flat, flat, flat});
}

TEST_CASE("choose: number types") {
    CHECK(of<double>(resnet) == of(resnet));
    CHECK(of<double>(large_5x5).y == implicit_gemm);  // Winograd's algorithm would lose too many digits
    CHECK(of<double>(lenet, Isa::avx512).y == flat);
    for (const Layer& layer : all_layers) {
        INFO(layer.what);
        CHECK(of<Dual<double>>(layer) == ConvAlgorithms{definition, definition, definition});
        for (const Bf16Speed bf16 : all_speeds)
            CHECK(of<double>(layer, Isa::avx512, bf16) == of<double>(layer, Isa::avx512));
    }
}

TEST_CASE("choose: precision") {
    const ConvAlgorithms rounded{bf16, bf16, bf16};
    for (const Layer& layer : {stem, down, dilated, projection, shortcut}) {
        INFO(layer.what);
        CHECK(of(layer, Isa::avx512, Bf16Speed::above_gemm) == rounded);
        CHECK(of(layer, Isa::avx512, Bf16Speed::above_winograd) == rounded);
    }
    for (const Layer& layer : {resnet, large_5x5}) {  // fewer products against faster ones
        INFO(layer.what);
        CHECK(of(layer, Isa::avx512, Bf16Speed::above_gemm) == of(layer, Isa::avx512));
        CHECK(of(layer, Isa::avx512, Bf16Speed::above_winograd) == rounded);
    }
    for (const Layer& layer : {separable, few}) {  // channels that fill no tile
        INFO(layer.what);
        CHECK(of(layer, Isa::avx512, Bf16Speed::above_winograd) == of(layer, Isa::avx512));
    }
}

TEST_CASE("choose: in float, y and dx do not depend on the number of images") {
    for (const Isa isa : all_isas)
        for (const Size2 kernel : {Size2(1), Size2(2), Size2(3), Size2(5), Size2(7)})
            for (const Index in : {1, 3, 16, 24, 64})
                for (const Index out : {1, 8, 16, 24, 64})
                    for (const Index groups : {1, 4})
                        for (const Size2 image : {Size2(7), Size2(9, 8), Size2(28)})
                            for (const Index stride : {1, 2}) {
                                Layer layer{"", 1, groups, in, out, image, kernel, stride, 1};
                                const ConvAlgorithms one = of(layer, isa);
                                layer.batch = 1000;
                                CHECK(of(layer, isa).y == one.y);
                                CHECK(of(layer, isa).dx == one.dx);
                            }
}

TEST_CASE("choose: pixels are lanes where channels would leave lanes empty") {
    const auto with = [](Index in, Index out, Size2 image, Size2 stride = 1, Isa isa = Isa::avx2) {
        return of({"", 32, 1, in, out, image, 5, stride, 2}, isa);
    };
    CHECK(with(8, 8, {28, 28}) == ConvAlgorithms{flat, flat, flat});
    CHECK(with(8, 8, {28, 28}, 1, Isa::avx512) == ConvAlgorithms{winograd_1d, flat, flat});
    CHECK(with(64, 8, {28, 28}, 1, Isa::avx512).y == flat);
    CHECK(with(64, 8, {28, 28}, 2).y == flat);
    CHECK(with(24, 12, {28, 28}, 1).y == flat);
    CHECK(with(24, 128, {14, 14}, 2) == ConvAlgorithms{implicit_gemm, col2im, implicit_gemm});
    CHECK(with(64, 8, {28, 2}).y == implicit_gemm);     // most positions of a row begin no window
    CHECK(with(2000, 8, {28, 28}).y == implicit_gemm);  // a sum of several pieces
    CHECK(with(8, 2000, {28, 28}).dx != flat);
    CHECK(of({"", 32, 1, 8, 8, {28, 28}, 2, 3}).dx != flat);  // pixels that no window sees
}

TEST_CASE("choose: images that would be padded in memory for few products, or read in every other pixel") {
    const auto with = [](Index in, Index out, Size2 image, Size2 kernel, Size2 padding) {
        return of({"", 32, 1, in, out, image, kernel, 2, padding});
    };
    CHECK(with(128, 16, {12, 12}, 3, 1) == ConvAlgorithms{flat, flat, implicit_gemm});
    CHECK(with(64, 24, {20, 20}, 3, 1).y == flat);
    CHECK(with(48, 12, {12, 12}, 5, 2).y == flat);
    CHECK(with(48, 128, {32, 32}, 3, 1).y ==
          implicit_gemm);                                   // enough products for each number that is padded
    CHECK(with(192, 16, {7, 7}, 3, 1).y == implicit_gemm);  // a row of 4 results leaves lanes empty
    CHECK(with(192, 64, {20, 20}, 3, 1).dx == col2im);
    CHECK(with(256, 128, {64, 64}, 1, 0).y == flat);
    CHECK(with(128, 64, {28, 28}, 1, 0).y == flat);
    CHECK(with(256, 192, {14, 14}, 1, 0).y == implicit_gemm);
}

TEST_CASE("choose: the weights' gradient of few 5 x 5 windows is added up directly") {
    Layer layer = large_5x5;
    layer.image = 8;
    layer.batch = 1;
    CHECK(of(layer) == ConvAlgorithms{winograd, winograd, implicit_gemm});
    layer.batch = 100;
    CHECK(of(layer) == ConvAlgorithms{winograd, winograd, winograd});
    layer.kernel = 3;
    layer.batch = 1;
    CHECK(of(layer) == ConvAlgorithms{winograd, winograd, winograd});
}

TEST_CASE("choose: Winograd's algorithm needs what its tiles and transforms are made for") {
    for (const Layer& good : {resnet, large_5x5}) {
        const auto uses = [&](auto change) {
            Layer layer = good;
            change(layer);
            const ConvAlgorithms a = of(layer);
            CHECK((a.y == winograd) == (a.dx == winograd));
            return a.y == winograd;
        };
        CHECK(uses([](Layer& l) { l.groups = 2; }));
        CHECK(uses([](Layer& l) { l.batch = 0; }));
        CHECK_FALSE(uses([](Layer& l) { l.stride = {1, 2}; }));
        CHECK_FALSE(uses([](Layer& l) { l.dilation = {2, 1}; }));
        CHECK_FALSE(uses([](Layer& l) { l.kernel = {3, 5}; }));
        CHECK_FALSE(uses([](Layer& l) { l.in = 3; }));
        CHECK_FALSE(uses([](Layer& l) { l.out = 3; }));
        CHECK_FALSE(uses([](Layer& l) { l.in = 100000; }));  // more runs than are added up one by one
        CHECK_FALSE(uses([](Layer& l) { l.image = l.kernel, l.padding = 0; }));  // one pixel fills no tile
    }
    const auto along_rows = [](auto change) {
        Layer layer = lenet;
        change(layer);
        return of(layer, Isa::avx512).y == winograd_1d;
    };
    CHECK(along_rows([](Layer& l) { l.kernel = {3, 5}; }));
    CHECK_FALSE(along_rows([](Layer& l) { l.kernel = {5, 3}; }));
    CHECK_FALSE(along_rows([](Layer& l) { l.stride = {1, 2}; }));
    CHECK_FALSE(along_rows([](Layer& l) { l.dilation = {2, 1}; }));
    CHECK_FALSE(along_rows([](Layer& l) { l.groups = 2; }));
    CHECK_FALSE(along_rows([](Layer& l) { l.in = 64; }));
    CHECK_FALSE(along_rows([](Layer& l) { l.out = 1; }));
    CHECK_FALSE(along_rows([](Layer& l) { l.image = {28, 9}; }));  // five columns: tiles mostly outside
}

TEST_CASE("choose: nothing to add up") {
    for (Layer layer : all_layers) {
        INFO(layer.what);
        layer.batch = 0;
        CHECK(of(layer).dw == definition);
        layer.batch = 2;
        layer.in = 0;
        CHECK(of(layer) == ConvAlgorithms{definition, implicit_gemm, definition});
    }
}

TEST_CASE("choose: with a max-pooling") {
    const auto with_pool = [](const Layer& layer, Isa isa) {
        return kernels::choose_with_max_pool<float>(layer.geometry(), isa);
    };
    const auto fuses = [](const Layer& layer, Size2 window = 2) {
        return kernels::fuses_with_max_pool<float>(layer.geometry(), window);
    };
    CHECK(fuses(lenet));
    CHECK(with_pool(lenet, Isa::avx512) == ConvAlgorithms{winograd_1d, argmax_only, argmax_only});
    CHECK(with_pool(lenet, Isa::avx2) == ConvAlgorithms{implicit_gemm, argmax_only, argmax_only});
    CHECK(fuses(large_5x5));
    CHECK(with_pool(large_5x5, Isa::avx2) == ConvAlgorithms{winograd, winograd, winograd});
    CHECK(fuses(projection));
    CHECK(with_pool(projection, Isa::avx2) == ConvAlgorithms{implicit_gemm, argmax_only, argmax_only});
    CHECK_FALSE(fuses(resnet));  // faster apart
    CHECK_FALSE(fuses(dilated));
    CHECK_FALSE(fuses(separable));
    CHECK(fuses(lenet, {4, 4}));
    CHECK_FALSE(fuses(lenet, {5, 4}));  // a window that does not fit
    CHECK_FALSE(kernels::fuses_with_max_pool<Dual<double>>(lenet.geometry(), {2, 2}));
}

TEST_CASE("choose: depthwise and flat kernels add the padding themselves") {
    for (const Layer& layer : all_layers) {
        INFO(layer.what);
        const kernels::ConvPlan<float> plan(layer.geometry());
        if (plan.padded == plan.image) continue;
        const Tensor<> x = ones(plan.x_shape());
        const bool in_cache = plan.algorithms.y == depthwise || plan.algorithms.y == flat;
        CHECK(kernels::pad_images(plan, x).shares_memory_with(x) == in_cache);
        CHECK(kernels::with_padding(plan, x).shape() ==
              Shape{plan.batch, plan.groups * plan.in, plan.padded.height, plan.padded.width});
    }
}

TEST_CASE("conv2d_algorithms: what a user sees") {
    CHECK(conv2d_algorithms({32, 64, 28, 28}, {64, 64, 3, 3}, {.padding = 1}) ==
          "y: winograd, dx: winograd, dw: winograd");
    CHECK(conv2d_algorithms<double>({32, 64, 28, 28}, {128, 64, 1, 1}, {.stride = 2}) ==
          "y: flat, dx: implicit_gemm, dw: pointwise");
    CHECK_THROWS_AS(conv2d_algorithms({32, 64, 28, 28}, {64, 32, 3, 3}), ShapeError);
}
