# SPDX-License-Identifier: MIT
# What the scripts pytorch_*.py share: numbers that tests/pytorch/cases.hpp computes in the same way, and the file of
# configurations and results that it reads. Each script writes the .txt file of its own name; made with PyTorch 1.13,
# and the same with 2.15 (versions.md).
#
# A file has one line for each case, its name and its options, and below it one indented line for each result, with
# its name, its shape and its values in row-major order:
#
#     conv2d/3 x=1,2,4,4 weight=2,1,3,3 stride=1,1 padding=same dilation=1,1 groups=2
#      y 1,2,4,4: 0.1 0.2 ...
#
# A shape without axes is "-". Of results with more than 400 elements (or what the script says), 1 + 8 + 8 numbers are
# kept, after "~" instead of ":": the largest absolute value, 8 elements (number ⌊j n / 8⌋ for j = 0 ... 7) and 8 sums,
# the j-th of ±element i over all i with i mod 8 = j, where ± is the sign of number i of noise("digest").
# Inputs are not kept: noise(case name + "/" + input name) gives them.
import os
import random

import numpy
import torch

torch.set_default_dtype(torch.double)
torch.set_num_threads(1)


def bits(name, count):
    """21 pseudo-random bits for each i < count: the upper ones of splitmix64, seeded with FNV-1a of the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    z = numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15) + numpy.uint64(seed)
    z = (z ^ z >> numpy.uint64(30)) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> numpy.uint64(27)) * numpy.uint64(0x94D049BB133111EB)
    return (z ^ z >> numpy.uint64(31)) >> numpy.uint64(43)


def noise(name, shape, low=-1, high=1):
    """Numbers in [low, high), exact in float where low and high have few bits."""
    count = int(numpy.prod(shape, dtype=int))
    unit = bits(name, count).astype(numpy.double) / 2**21
    return torch.from_numpy(low + (high - low) * unit).reshape(shape)


def integers(name, shape, count):
    """Whole numbers from 0 to count - 1."""
    drawn = bits(name, int(numpy.prod(shape, dtype=int))) % numpy.uint64(count)
    return torch.from_numpy(drawn.astype(numpy.int64)).reshape(shape)


def text(value):
    if isinstance(value, (list, tuple, torch.Size)):
        return ",".join(text(v) for v in value) or "-"
    if isinstance(value, bool):
        return str(int(value))
    return str(value)


def digest(x):
    x = x.detach().reshape(-1)
    n = x.numel()
    signed = torch.where(noise("digest", [n]) < 0, -x, x)
    sums = [signed[j::8].sum().item() for j in range(8)]
    return [x.abs().max().item()] + [x[j * n // 8].item() for j in range(8)] + sums


class Case:
    """One configuration: options are kept as they are asked for."""

    def __init__(self, name):
        self.name = name
        self.random = random.Random(name)
        self.options = {}
        self.results = []
        self.inputs = {}

    def set(self, **options):
        self.options.update(options)

    def input(self, name, shape, low=-1, high=1, grad=True):
        self.options[name] = list(shape)
        if (low, high) != (-1, 1):
            self.options[name + "_in"] = [low, high]
        x = noise(f"{self.name}/{name}", shape, low, high)
        if grad:
            self.inputs[name] = x.requires_grad_()
        return x

    def result(self, name, x):
        self.results.append((name, x.detach().clone()))

    def backward(self, y, prefix=""):
        """y and the gradients of all inputs, for a pseudo-random gradient of y."""
        self.result(prefix + "y", y)
        y.backward(noise(f"{self.name}/{prefix}dy", y.shape))
        for name, x in self.inputs.items():
            self.result(prefix + "d" + name, x.grad)
            x.grad = None

    def lines(self, most):
        yield self.name + "".join(f" {k}={text(v)}" for k, v in self.options.items())
        for name, x in self.results:
            whole = x.numel() <= most
            values = x.reshape(-1).tolist() if whole else digest(x)
            yield f" {name} {text(x.shape)}{':' if whole else '~'} " + " ".join(f"{v:.14g}" for v in values)


class File:
    def __init__(self, script, most=400):
        self.most = most
        self.path = os.path.splitext(os.path.abspath(script))[0] + ".txt"
        self.cases = []

    def case(self, kind):
        count = sum(c.name.startswith(kind + "/") for c in self.cases)
        self.cases.append(Case(f"{kind}/{count}"))
        return self.cases[-1]

    def write(self):
        with open(self.path, "w") as out:
            for case in self.cases:
                for line in case.lines(self.most):
                    out.write(line + "\n")
        print(f"{os.path.basename(self.path)}: {len(self.cases)} cases, {os.path.getsize(self.path)} bytes")
