# SPDX-License-Identifier: MIT
"""The random shapes of the sweep, one place for both programs:  shapes.py <family> <rows> <seed>

A row is a line of text: its family, for most families a kind, and sizes. A seed gives the same rows everywhere; a
family gives None for sizes that it does not want, and is asked again.
"""

import math
import random
import sys

CHANNELS = (1, 3, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
PIXELS = (4, 7, 8, 12, 14, 16, 20, 24, 28, 32, 40, 56, 64)
BATCHES = (1, 4, 16, 32, 64, 128, 256)
COMMON_SIZES = (1, 2, 3, 4, 8, 10, 16, 32, 50, 64, 100, 128, 256, 350, 512, 784, 1000, 1024, 2048, 4096)


def size(rng):
    """1 to 4096: half of them sizes that programs have, half any, evenly over the logarithm."""
    return rng.choice(COMMON_SIZES) if rng.random() < 0.5 else round(2 ** rng.uniform(0, 12))


def convolution(rng):
    """batch, channels in, out, pixels, window, stride, padding, groups; 2e7 to 4e9 operations forward."""
    window = rng.choice([1, 3, 3, 3, 5, 7])
    stride = rng.choice([1, 1, 1, 2])
    channels, out = rng.choice(CHANNELS), rng.choice(CHANNELS[2:])
    pixels, batch = rng.choice(PIXELS), rng.choice(BATCHES)
    groups = 1
    if rng.choice([False, False, False, False, False, True]):
        groups = out = channels
    row = (batch, channels, out, pixels, window, stride, window // 2, groups)
    return row if pixels >= window and 2e7 <= convolution_flop(*row) <= 4e9 else None


def convolution_flop(batch, channels, out, pixels, window, stride, padding, groups):
    side = (pixels + 2 * padding - window) // stride + 1
    return 2 * batch * out * (channels // groups) * window**2 * side**2


def pooling(rng):
    """Kind, batch, channels, height, width, window, stride, padding (the last three not of a whole plane)."""
    kind = rng.choice(["max", "max", "max", "avg", "avg", "global"])
    window = rng.choice([2, 2, 2, 3, 3, 5, 7])
    stride, padding = rng.choice([window, 1, 2, 2]), rng.choice([0, window // 2])
    batch, channels = rng.choice(BATCHES), rng.choice(CHANNELS)
    height = rng.choice(PIXELS + (112, 224))
    width = height if rng.random() < 0.8 else rng.choice(PIXELS)
    if min(height, width) < window or not 64 <= batch * channels * height * width <= 1e7:
        return None
    return (kind, batch, channels, height, width) + (() if kind == "global" else (window, stride, padding))


def product(rng):
    """linear: rows, in, out; matmul: m, k, n; batched: how many, m, k, n."""
    kind = rng.choice(["linear", "linear", "linear", "linear", "matmul", "batched"])
    row = (kind,) + ((rng.choice(BATCHES),) if kind == "batched" else ()) + (size(rng), size(rng), size(rng))
    return row if 2 * math.prod(row[1:]) <= 4e9 else None


def norm(rng):
    """Kind and the shape of x; the last axis of a layer norm, channels of [rows, channels] or of images."""
    if rng.random() < 0.4:
        shape = ("layer", size(rng), size(rng))
    elif rng.random() < 0.4:
        shape = ("batch", 1 + size(rng), size(rng))
    else:
        pixels = rng.choice(PIXELS)
        shape = ("batch", rng.choice(BATCHES), rng.choice(CHANNELS), pixels, pixels)
    return shape if math.prod(shape[1:]) <= 1e7 else None


ELEMENTWISE = (
    "add mul add_row mul_row add_column mul_column relu gelu silu sigmoid tanh exp square softmax_rows "
    "softmax_columns log_softmax_rows sum_all sum_axis_0 sum_axis_1 mean_axis_1 cross_entropy"
).split()


def elementwise(rng):
    """Operation, rows, columns. add_row adds [columns], add_column [rows, 1]."""
    return rng.choice(ELEMENTWISE), size(rng), size(rng)


def optimizer(rng):
    """Kind, and how many numbers each of 1 to 16 tensors has."""
    kind = rng.choice(["sgd", "adam", "adamw"])
    tensors = tuple(round(2 ** rng.uniform(0, 21)) for _ in range(rng.randint(1, 16)))
    return (kind,) + tensors if sum(tensors) <= 1e7 else None


FAMILIES = dict(convolution=convolution, pooling=pooling, product=product, norm=norm, elementwise=elementwise,
                optimizer=optimizer)
MODELS = dict(mlp=0.485e9, cnn=0.710e9, resnet18=53.3e9)  # the training steps of the suite, and their operations


def rows(family, count, seed):
    """`count` rows of a family as text; of the family "model", all there are."""
    if family == "model":
        return [f"model {name}" for name in MODELS]
    rng, found = random.Random(seed), []
    while len(found) < count:
        row = FAMILIES[family](rng)
        if row is not None:
            found.append(" ".join(map(str, (family, *row))))
    return found


def flop(row, mode):
    """Floating-point operations of a row, as the definition counts them; 0 where memory is what counts. A step also has
    the gradients of both factors."""
    family, *rest = row.split()
    if family == "convolution":
        forward = convolution_flop(*map(int, rest))
    elif family == "product":
        forward = 2 * math.prod(map(int, rest[1:]))
    else:
        return MODELS[rest[0]] if family == "model" else 0
    return forward * (3 if mode == "step" else 1)


def has_layouts(row):
    """Whether PyTorch may keep images with their channels last, too."""
    family, *rest = row.split()
    return (family in ("convolution", "pooling") or family == "norm" and rest[0] == "batch" and len(rest) == 5 or
            family == "model" and rest[0] != "mlp")


if __name__ == "__main__":
    print(*rows(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])), sep="\n")
