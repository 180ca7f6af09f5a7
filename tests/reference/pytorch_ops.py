# SPDX-License-Identifier: MIT
# Values and gradients of layers in PyTorch for random options: what tests/pytorch/ops.cpp compares. See pytorch.py.
import warnings

import torch
import torch.nn.functional as F

from pytorch import File, integers, noise

warnings.filterwarnings("ignore", message=".*padding='same' with even kernel.*")
file = File(__file__)


def pair(random, low, high):
    return [random.randint(low, high), random.randint(low, high)]


def conv2d(large):
    c = file.case("conv2d")
    r = c.random
    kernel, dilation, stride = pair(r, 1, 4), pair(r, 1, 2), pair(r, 1, 3)
    padding = pair(r, 0, 3)
    if r.random() < 0.3:  # the most common ones
        side = r.choice([1, 3, 5])
        kernel, dilation = [side] * 2, [1, 1]
        stride, padding = [r.choice([1, 1, 2])] * 2, [r.choice([0, side // 2])] * 2
    if r.random() < 0.2:
        stride, padding = [1, 1], "same"
    groups = r.choice([1, 1, 1, 2, 3])
    most = 24 if large else 3
    inside, out = groups * r.randint(1, most // groups), groups * r.randint(1, most // groups + 1)
    if r.random() < 0.2:  # depthwise, sometimes with several results per channel
        groups = inside
        out = inside * r.choice([1, 1, 2])
    least = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    image = [max(s, r.randint(10, 30) if large else r.randint(3, 9)) for s in least]
    x = c.input("x", [r.randint(1, 3), inside] + image)
    weight = c.input("weight", [out, inside // groups] + kernel)
    bias = c.input("bias", [out]) if r.random() < 0.5 else None
    c.set(stride=stride, padding=padding, dilation=dilation, groups=groups)
    c.backward(F.conv2d(x, weight, bias, stride, padding, dilation, groups))


def common_conv2d(inside, out, side, image, stride=1, groups=1, batch=2):
    """One as networks have it, padded so that stride 1 keeps the size."""
    c = file.case("conv2d")
    x, weight = c.input("x", [batch, inside, image, image]), c.input("weight", [out, inside // groups, side, side])
    bias = c.input("bias", [out])
    c.set(stride=[stride] * 2, padding=[side // 2] * 2, dilation=[1, 1], groups=groups)
    c.backward(F.conv2d(x, weight, bias, stride, side // 2, 1, groups))


def conv_pool(large):
    """relu(max_pool2d(conv2d(x))) or max_pool2d(relu(conv2d(x)))."""
    c = file.case("conv_pool")
    r = c.random
    kernel, window = pair(r, 1, 5), pair(r, 1, 3)
    stride, padding = [r.choice([1, 1, 2])] * 2, [r.choice([0, 0, 1])] * 2
    pool_stride = window if r.random() < 0.7 else pair(r, 1, 3)
    least = [k + s * w for k, s, w in zip(kernel, stride, window)]
    image = [max(s, r.randint(10, 32) if large else r.randint(5, 12)) for s in least]
    inside, out = r.randint(1, 8 if large else 3), r.randint(1, 40 if large else 4)
    relu_first = r.random() < 0.3
    c.set(stride=stride, padding=padding, window=window, pool_stride=pool_stride, relu_first=relu_first)
    x, weight = c.input("x", [r.randint(1, 3), inside] + image), c.input("weight", [out, inside] + kernel)
    y = F.conv2d(x, weight, c.input("bias", [out]) if r.random() < 0.7 else None, stride, padding)
    pool = lambda y: F.max_pool2d(y, window, pool_stride)
    c.backward(pool(F.relu(y)) if relu_first else F.relu(pool(y)))


def windows(c, large):
    """x and the options of a pooling, with at least one window that fits."""
    r = c.random
    kernel = pair(r, 1, 4)
    stride = pair(r, 1, 3) if r.random() < 0.7 else [0, 0]
    padding = [r.randint(0, k // 2) for k in kernel]
    image = [max(k, r.randint(3, 9) * (3 if large else 1)) for k in kernel]
    shape = [r.randint(1, 3), r.randint(1, 20 if large else 3)] + image
    ceil_mode = r.random() < 0.5
    c.set(kernel=kernel, stride=stride, padding=padding, ceil_mode=ceil_mode)
    return shape, kernel, [s or k for s, k in zip(stride, kernel)], padding, ceil_mode


def max_pool2d(large):
    c = file.case("max_pool2d")
    shape, kernel, stride, padding, ceil_mode = windows(c, large)
    dilation = pair(c.random, 1, 2)
    for i in (0, 1):
        if shape[2 + i] < dilation[i] * (kernel[i] - 1) + 1:
            dilation[i] = 1
    x = c.input("x", shape)
    if c.random.random() < 0.3:  # few different values: ties
        c.set(coarse=True)
        with torch.no_grad():
            x.copy_((x * 2).floor())
    c.set(dilation=dilation)
    c.backward(F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode))


def avg_pool2d(large):
    c = file.case("avg_pool2d")
    shape, kernel, stride, padding, ceil_mode = windows(c, large)
    count_include_pad = c.random.random() < 0.5
    c.set(count_include_pad=count_include_pad)
    c.backward(F.avg_pool2d(c.input("x", shape), kernel, stride, padding, ceil_mode, count_include_pad))


def adaptive_avg_pool2d():
    c = file.case("adaptive_avg_pool2d")
    r = c.random
    output = pair(r, 1, 8)
    c.set(output=output)
    c.backward(F.adaptive_avg_pool2d(c.input("x", [r.randint(1, 2), r.randint(1, 3)] + pair(r, 1, 9)), output))


def global_pool2d(kind, function):
    c = file.case(kind)
    r = c.random
    c.backward(function(c.input("x", [r.randint(1, 3), r.randint(1, 4)] + pair(r, 1, 9)), 1).flatten(1))


def batch_norm(axes, large):
    """Two batches in training, then one in evaluation: running statistics after each of the two modes."""
    c = file.case("batch_norm")
    r = c.random
    channels = r.randint(17, 40) if large else r.randint(1, 5)
    # At least four values per channel: with two, x̂ is ±1 and dx nothing but rounding errors.
    batch = r.randint(4 if axes == 2 else 2, 6)
    shape = [batch, channels] + [r.randint(2, 12 if large else 6) for _ in range(axes - 2)]
    eps, momentum = r.choice([1e-5, 2**-10, 2**-3]), r.choice([0.1, 0.25, 0.5, 1.0])
    affine, track = r.random() < 0.75, r.random() < 0.8
    layer = (torch.nn.BatchNorm2d if axes == 4 else torch.nn.BatchNorm1d)(
        channels, eps=eps, momentum=momentum, affine=affine, track_running_stats=track)
    x = c.input("x", shape, -2, 6)
    if affine:
        for name, low, high in (("weight", 0.5, 1.5), ("bias", -1, 1)):
            with torch.no_grad():
                getattr(layer, name).copy_(c.input(name, [channels], low, high))
            c.inputs[name] = getattr(layer, name)
    c.set(eps=eps, momentum=momentum, affine=affine, track=track)
    layer(noise(c.name + "/first", shape, -2, 6))
    c.backward(layer(x), "train_")
    layer.eval()
    c.backward(layer(x), "eval_")
    if track:
        c.result("running_mean", layer.running_mean)
        c.result("running_var", layer.running_var)


def layer_norm():
    c = file.case("layer_norm")
    r = c.random
    shape = [r.choice([1, 2, 3, 5, 17]) for _ in range(r.randint(1, 4))]
    shape[-1] = r.choice([4, 7, 16, 33])
    normalized = shape[-r.randint(1, len(shape)):]
    eps = r.choice([1e-5, 2**-10, 2**-3])
    x = c.input("x", shape, -2, 6)
    affine = r.random() < 0.7
    weight, bias = (c.input("weight", normalized), c.input("bias", normalized)) if affine else (None, None)
    c.set(eps=eps, normalized=normalized)
    c.backward(F.layer_norm(x, normalized, weight, bias, eps))


def embedding():
    c = file.case("embedding")
    r = c.random
    count, shape = r.randint(1, 20), [r.randint(1, 5) for _ in range(r.randint(1, 3))]
    c.set(indices=shape)
    indices = integers(c.name + "/indices", shape, count)
    padding_idx = r.randrange(count) if r.random() < 0.5 else None
    if padding_idx is not None:
        c.set(padding_idx=padding_idx)
    c.backward(F.embedding(indices, c.input("weight", [count, r.randint(1, 9)]), padding_idx))


def activation(kind, function, options=({},), low=-4, high=4):
    for more in options:
        c = file.case(kind)
        c.set(**more)
        shape = [c.random.randint(1, 9) for _ in range(c.random.randint(1, 3))]
        c.backward(function(c.input("x", shape, low, high), **more))


def unary(kind, function, low=-4, high=4, axes=(1, 3)):
    """An operation of x alone, with options that it sets itself."""
    c = file.case(kind)
    shape = [c.random.randint(1, 9) for _ in range(c.random.randint(*axes))]
    c.backward(function(c.input("x", shape, low, high), c))


def option(c, name, value):
    c.set(**{name: value})
    return value


def any_axis(x, c):
    return option(c, "dim", c.random.randrange(x.dim()))


def masked_fill(x, c):
    return x.masked_fill(noise(c.name + "/mask", x.shape) < 0, option(c, "value", 2.5))


def scatter_add():
    c = file.case("scatter_add")
    r = c.random
    shape = [3, r.randint(1, 3)]  # of the indices and of the source: PyTorch has no gradient for a larger one
    x, source = c.input("x", [r.randint(3, 5), r.randint(3, 5)]), c.input("source", shape)
    axis = option(c, "dim", r.randrange(2))
    indices = integers(c.name + "/indices", shape, x.shape[axis])
    c.backward(x.scatter_add(axis, indices, source))


def einsum(equation, a, b=None):
    c = file.case("einsum")
    c.set(equation=equation.replace(" ", ""))
    operands = [c.input(name, shape) for name, shape in (("a", a), ("b", b)) if shape]
    c.backward(torch.einsum(equation, *operands))


for i in range(80):
    conv2d(large=i >= 70)
for options in ((3, 64, 7, 32, 2), (64, 64, 3, 14), (32, 64, 3, 14, 2), (64, 128, 1, 9), (64, 96, 1, 9, 2),
                (1, 32, 5, 28), (32, 32, 3, 15, 1, 32), (24, 48, 3, 16, 2, 24), (16, 32, 3, 12, 1, 4)):
    common_conv2d(*options)
for i in range(30):
    conv_pool(large=i >= 20)
for i in range(30):
    max_pool2d(large=i >= 26)
for i in range(30):
    avg_pool2d(large=i >= 26)
for i in range(15):
    adaptive_avg_pool2d()
for i in range(5):
    global_pool2d("global_avg_pool2d", F.adaptive_avg_pool2d)
for i in range(5):
    global_pool2d("global_max_pool2d", F.adaptive_max_pool2d)
for i in range(30):
    batch_norm(2 + i % 3, large=i >= 24)
for i in range(20):
    layer_norm()
for i in range(10):
    embedding()
activation("relu", F.relu, [{}] * 2)
activation("leaky_relu", F.leaky_relu, [dict(negative_slope=s) for s in (0.01, 0.25)])
activation("elu", F.elu, [dict(alpha=a) for a in (1.0, 0.5, 2.0)])
activation("gelu", F.gelu, [{}] * 2)
activation("sigmoid", torch.sigmoid, [{}] * 2, -16, 16)
activation("silu", F.silu, [{}] * 2)
activation("tanh", torch.tanh, [{}] * 2)
activation("erf", torch.erf, [{}] * 2)
activation("softplus", F.softplus, [{}] * 2, -16, 16)
activation("softmax", F.softmax, [dict(dim=d) for d in (-1, 0, -1, 0)])  # where it saturates, dx is rounding errors
activation("log_softmax", F.log_softmax, [dict(dim=d) for d in (-1, 0, -1, 0)], -16, 16)
activation("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"), [{}] * 2)
activation("softplus_options", F.softplus, [dict(beta=2.0, threshold=20.0), dict(beta=0.5, threshold=1.0)], -16, 16)
for i in range(3):
    unary("rsqrt", lambda x, c: torch.rsqrt(x), 0.25, 4)
    unary("round", lambda x, c: torch.round(x))
    unary("clamp_min", lambda x, c: torch.clamp_min(x, -0.5))
    unary("clamp_max", lambda x, c: torch.clamp_max(x, 0.5))
    unary("masked_fill", masked_fill)
    unary("tril", lambda x, c: torch.tril(x, option(c, "diagonal", c.random.randint(-3, 3))), axes=(2, 3))
    unary("triu", lambda x, c: torch.triu(x, option(c, "diagonal", c.random.randint(-3, 3))), axes=(2, 3))
    unary("prod", lambda x, c: torch.prod(x, any_axis(x, c)))
    unary("std", lambda x, c: torch.std(x, any_axis(x, c), correction=option(c, "correction", 0)))
    unary("cumsum", lambda x, c: torch.cumsum(x, any_axis(x, c)))
    unary("sort", lambda x, c: torch.sort(x, any_axis(x, c), descending=option(c, "descending", i > 0))[0])
    unary("topk", lambda x, c: torch.topk(x, option(c, "k", x.shape[-1] // 2), largest=option(c, "largest", i > 0))[0])
    scatter_add()
for equation, *shapes in (("ij,jk->ik", [2, 3], [3, 4]), ("bhqd,bhkd->bhqk", [2, 2, 3, 4], [2, 2, 5, 4]),
                          ("ij,kj", [2, 3], [4, 3]), ("i,j->ji", [3], [2]), ("ijk,lk->jl", [2, 3, 4], [5, 4]),
                          ("ijk->kj", [2, 3, 4])):
    einsum(equation, *shapes)
file.write()
