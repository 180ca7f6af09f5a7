// SPDX-License-Identifier: MIT
#pragma once

// The whole library, in the order of its layers: each uses only those above it.

#include "gradus/core/bfloat16.hpp"
#include "gradus/core/dual.hpp"
#include "gradus/core/error.hpp"
#include "gradus/core/memory.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/print.hpp"
#include "gradus/core/random.hpp"
#include "gradus/core/reflect.hpp"
#include "gradus/core/shape.hpp"
#include "gradus/core/size2.hpp"
#include "gradus/core/tensor.hpp"

#include "gradus/kernels/arithmetic.hpp"
#include "gradus/kernels/functions.hpp"
#include "gradus/kernels/gemm.hpp"
#include "gradus/kernels/indexing.hpp"
#include "gradus/kernels/isa.hpp"
#include "gradus/kernels/layout.hpp"
#include "gradus/kernels/map.hpp"
#include "gradus/kernels/reduce.hpp"
#include "gradus/kernels/simd.hpp"
#include "gradus/kernels/softmax.hpp"
#include "gradus/kernels/strided_copy.hpp"
#include "gradus/kernels/update.hpp"

#include "gradus/autograd/backward.hpp"
#include "gradus/autograd/derivatives.hpp"
#include "gradus/autograd/gradcheck.hpp"
#include "gradus/autograd/no_grad.hpp"
#include "gradus/autograd/record.hpp"
#include "gradus/autograd/variable.hpp"

#include "gradus/ops/activation.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/indexing.hpp"
#include "gradus/ops/layout.hpp"
#include "gradus/ops/map.hpp"
#include "gradus/ops/matmul.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/ops/slice.hpp"

#include "gradus/nn/activations.hpp"
#include "gradus/nn/flatten.hpp"
#include "gradus/nn/init.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/nn/sequential.hpp"
#include "gradus/nn/summary.hpp"
#include "gradus/nn/trace.hpp"

#include "gradus/loss/cross_entropy.hpp"
#include "gradus/loss/reduction.hpp"

#include "gradus/optim/optimizer.hpp"
#include "gradus/optim/sgd.hpp"

#include "gradus/data/dataset.hpp"
#include "gradus/data/idx.hpp"
#include "gradus/data/loader.hpp"
#include "gradus/data/mnist.hpp"
#include "gradus/data/transform.hpp"

#include "gradus/training/history.hpp"
#include "gradus/training/metrics.hpp"
