// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The work that gradus and its peers are compared on. Only the standard library here: every program starts
/// from the same numbers and does the same work, whatever framework it uses.
namespace workload {

/// A deterministic number in [-1, 1): the hash of (stream, i). The mixer is the finalizer of MurmurHash3.
inline float number(std::uint32_t stream, std::size_t i) {
    std::uint32_t h = static_cast<std::uint32_t>(i) * 2654435761u + stream * 0x9E3779B9u;
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    h ^= h >> 16;
    return static_cast<float>(h >> 8) * 0x1p-23f - 1.0f;
}

inline void fill(std::span<float> values, std::uint32_t stream, float scale, float shift = 0.0f) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = shift + scale * number(stream, i);
}

/// What programs compare to see that they computed the same: weights between 1 and 2 tell exchanged numbers,
/// and nothing cancels.
inline double checksum(std::span<const float> values) {
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i)
        sum += std::fabs(static_cast<double>(values[i])) * (1.5 + 0.5 * static_cast<double>(number(17, i)));
    return sum;
}

/// Fills parameter `index` of a model. Weights [out, in, ...] are uniform up to ±gain / √(fan in), biases
/// small, the weights [channels] of a norm 1.
inline void fill_parameter(std::span<float> values, int index, bool is_bias, std::size_t rank,
                           std::size_t fan_in, float gain) {
    const auto stream = static_cast<std::uint32_t>(100 + index);
    if (is_bias)
        fill(values, stream, 0.01f);
    else if (rank == 1)
        fill(values, stream, 0.0f, 1.0f);
    else
        fill(values, stream, gain / std::sqrt(static_cast<float>(fan_in)));
}

/// A training step: forward, cross entropy, backward, plain SGD, on one fixed batch.
struct Training {
    const char* name;
    int batch;
    std::vector<std::int64_t> image;  // shape of one input
    float lr, gain;                   // gain: see fill_parameter
    int checked_step;                 // the loss before this step shows that so many updates were right
    double gflop;  // multiplications and additions of the products and convolutions, none left out

    std::vector<std::int64_t> input_shape() const {
        std::vector<std::int64_t> shape = image;
        shape.insert(shape.begin(), batch);
        return shape;
    }
    void fill_inputs(std::span<float> values) const { fill(values, 1, 1.0f); }
    void fill_labels(std::span<std::int64_t> labels) const {
        for (std::size_t i = 0; i < labels.size(); ++i)
            labels[i] = static_cast<std::int64_t>((number(2, i) + 1.0f) * 5.0f);
    }
};

inline constexpr int classes = 10;
inline constexpr float he = 2.449490f, torch_default = 1.0f;  // gains of √6 (He et al. 2015) and 1
inline const Training mlp{"mlp", 256, {784}, 0.2f, he, 10, 0.485};
inline const Training cnn{"cnn", 100, {1, 28, 28}, 0.1f, torch_default, 10, 0.710};
inline const Training resnet18{"resnet18", 16, {3, 32, 32}, 0.01f, he, 2, 53.3};

inline constexpr int mlp_sizes[] = {784, 350, 250, 150, 50, 10};

/// y = x; 1000 times y = y * w; sum(y).backward(), all on 16 numbers: what recording and undoing cost.
struct Chain {
    static constexpr int operations = 1000, size = 16;

    static void fill_x(std::span<float> values) { fill(values, 3, 1.0f); }
    static void fill_w(std::span<float> values) { fill(values, 4, 1e-4f, 1.0f); }
};

/// c[m, n] = a[m, k] · b[k, n], where a or b may lie in memory transposed.
struct Product {
    const char* name;
    std::int64_t m, n, k;
    bool a_transposed = false, b_transposed = false;

    double flop() const { return 2.0 * static_cast<double>(m * n * k); }
};

inline constexpr Product products[] = {
    {"mlp forward 1", 256, 350, 784, false, true},
    {"mlp forward 2", 256, 250, 350, false, true},
    {"mlp forward 4", 256, 50, 150, false, true},
    {"mlp forward 5", 256, 10, 50, false, true},
    {"mlp weight gradient 1", 784, 350, 256, true, false},
    {"mlp input gradient 2", 256, 350, 250},
    {"conv2 as a product", 1600, 64, 800},
    {"one row", 1, 350, 784, false, true},
    {"square 64", 64, 64, 64},
    {"square 128", 128, 128, 128},
    {"square 256", 256, 256, 256},
    {"square 512", 512, 512, 512},
    {"square 1024", 1024, 1024, 1024},
};

/// A square image and kernel.
struct Convolution {
    const char* name;
    std::int64_t batch, in, out, size, kernel, stride = 1, padding = 0, groups = 1;

    std::int64_t result() const { return (size + 2 * padding - kernel) / stride + 1; }
    double flop() const {
        return 2.0 * static_cast<double>(batch * out * result() * result() * (in / groups) * kernel * kernel);
    }
};

inline constexpr Convolution convolutions[] = {
    {"mnist conv1, 5x5, 1 to 32", 100, 1, 32, 28, 5},
    {"mnist conv2, 5x5, 32 to 64", 100, 32, 64, 8, 5},
    {"3x3, 64 to 64, 32x32", 16, 64, 64, 32, 3, 1, 1},
    {"3x3, 128 to 128, 16x16", 16, 128, 128, 16, 3, 1, 1},
    {"3x3, 512 to 512, 4x4", 16, 512, 512, 4, 3, 1, 1},
    {"3x3 stride 2, 64 to 128, 32x32", 16, 64, 128, 32, 3, 2, 1},
    {"1x1, 128 to 256, 16x16", 16, 128, 256, 16, 1},
    {"1x1 stride 2, 64 to 128, 32x32", 16, 64, 128, 32, 1, 2},
    {"depthwise 3x3, 128, 32x32", 16, 128, 128, 32, 3, 1, 1, 128},
    {"grouped 3x3, 128 to 128 in 8, 16x16", 16, 128, 128, 16, 3, 1, 1, 8},
    {"7x7 stride 2, 3 to 64, 64x64", 16, 3, 64, 64, 7, 2, 3},
};

/// Work whose time is that of its memory traffic: how many numbers it must read or write per number of x.
/// x is [rows, columns], or images [16, 64, side, side].
struct Traffic {
    const char* name;
    double numbers;
};

inline constexpr Traffic relu{"relu", 2}, exp{"exp", 2}, tanh{"tanh", 2}, gelu{"gelu", 2}, add{"add", 3},
    add_row{"add a row", 2}, add_column{"add a column", 2}, softmax{"softmax", 2},
    softmax_backward{"softmax backward", 3}, sum_all{"sum", 1}, sum_rows{"sum over rows", 1},
    layer_norm{"layer norm", 2}, batch_norm{"batch norm, training", 2},
    batch_norm_backward{"batch norm backward", 3}, max_pool{"max pool 2x2", 1.25},
    max_pool_backward{"max pool 2x2 backward", 1.25}, max_pool_3{"max pool 3x3 stride 2", 1.25},
    sgd{"sgd step", 3}, adam{"adam step", 7};

/// Rows of 350: an activation of the MLP (360 KB), and an array far beyond the caches (90 MB). Images alike
/// (1 and 67 MB).
inline constexpr std::int64_t columns = 350, small_rows = 256, large_rows = 64 * 1024;
inline constexpr std::int64_t pool_batch = 16, pool_channels = 64, small_side = 16, large_side = 128;

}  // namespace workload
