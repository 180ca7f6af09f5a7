// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "gradus/core/random.hpp"
#include "gradus/kernels/conv/geometry.hpp"

// What the tests of convolution kernels share.

namespace convolution {

using gradus::Index;
using gradus::Shape;
using gradus::Size2;
using gradus::Tensor;
using gradus::kernels::ConvGeometry;

inline ConvGeometry sizes(Index batch, Index groups, Index in, Index out, Size2 image, Size2 kernel,
                          Size2 stride, Size2 before, Size2 after, Size2 dilation) {
    ConvGeometry s;
    s.batch = batch;
    s.groups = groups;
    s.in = in;
    s.out = out;
    s.kernel = kernel;
    s.stride = stride;
    s.dilation = dilation;
    s.image = image;
    s.before = before;
    s.padded = {image.height + before.height + after.height, image.width + before.width + after.width};
    s.result = {(s.padded.height - dilation.height * (kernel.height - 1) - 1) / stride.height + 1,
                (s.padded.width - dilation.width * (kernel.width - 1) - 1) / stride.width + 1};
    return s;
}

}  // namespace convolution
