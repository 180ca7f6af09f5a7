# SPDX-License-Identifier: MIT
# Values and gradients of losses in PyTorch for random options: what tests/pytorch/losses.cpp compares. See pytorch.py.
import warnings

import torch
import torch.nn.functional as F

from pytorch import File, integers

warnings.filterwarnings("ignore", message=".*'batchmean'.*")
file = File(__file__)
reductions = ("mean", "sum", "none")


def new_case(kind, reduction):
    c = file.case(kind)
    c.set(reduction=reduction)
    return c, c.random


def some_shape(r):
    return [r.randint(1, 6) for _ in range(r.randint(1, 3))]


def stretching(r, shape):
    """A shape that broadcasts to this one."""
    return [s if r.random() < 0.6 else 1 for s in shape][r.choice([0, 0, 1]):]


def pairwise(kind, function, reduction, **options):
    c, r = new_case(kind, reduction)
    c.set(**options)
    shape = some_shape(r)
    x, target = c.input("x", shape, -2, 2), c.input("target", shape, -2, 2, grad=False)
    c.backward(function(x, target, reduction=reduction, **options))


def bce(reduction, weighted, edges=False):
    c, r = new_case("bce", reduction)
    shape = some_shape(r)
    p = c.input("x", shape, *((-0.25, 1.25) if edges else (2**-8, 1)))
    target = c.input("target", shape, 0, 1, grad=False)
    if edges:  # with probabilities of exactly 0 and 1
        c.set(edges=True)
        with torch.no_grad():
            p.clamp_(0, 1)
    weight = c.input("weight", stretching(r, shape), 0, 2, grad=False) if weighted else None
    c.backward(F.binary_cross_entropy(p, target, weight, reduction=reduction))
    if edges:  # there PyTorch divides by 1e-12 as float has it, which is a little less
        name, gradient = c.results.pop()
        limit = torch.tensor(1e-12, dtype=torch.float).item()
        c.result(name, torch.where((p == 0) | (p == 1), gradient * (limit / 1e-12), gradient))


def bce_with_logits(reduction, weighted, uneven, size=16):
    c, r = new_case("bce_with_logits", reduction)
    shape = some_shape(r)
    x, target = c.input("x", shape, -size, size), c.input("target", shape, 0, 1, grad=False)
    weight = c.input("weight", stretching(r, shape), 0, 2, grad=False) if weighted else None
    pos_weight = c.input("pos_weight", shape[-1:], 0, 4, grad=False) if uneven else None
    c.backward(F.binary_cross_entropy_with_logits(x, target, weight, reduction=reduction, pos_weight=pos_weight))


def kl_div(reduction, log_target):
    c, r = new_case("kl_div", reduction)
    shape = some_shape(r)
    c.set(log_target=log_target)
    x = c.input("x", shape, -4, 0)
    target = c.input("target", shape, *((-4, 0) if log_target else (0, 1)), grad=False)
    if not log_target and r.random() < 0.5:
        c.set(zeros=True)  # a quarter of the targets: such terms are 0
        target = torch.where(target < 0.25, 0.0, target)
    c.backward(F.kl_div(x, target, reduction=reduction, log_target=log_target))


def labels_of(c, shape, classes):
    """Class numbers; some are ignored if there is an ignore_index."""
    r = c.random
    if r.random() < 0.5:
        return -100, integers(c.name + "/labels", shape, classes)
    ignore_index = r.choice([-100, -1, r.randrange(classes)])
    c.set(ignore_index=ignore_index)
    labels = integers(c.name + "/labels", shape, classes + 1)
    return ignore_index, torch.where(labels == classes, ignore_index, labels)


def scores(c):
    r = c.random
    classes = r.choice([2, 3, 5, 10, 19])
    return classes, [r.randint(2, 7), classes] + [r.randint(1, 4) for _ in range(r.choice([0, 0, 1, 2]))]


def nll(reduction, weighted):
    c, r = new_case("nll", reduction)
    classes, shape = scores(c)
    x = c.input("x", shape, -4, 0)
    weight = c.input("weight", [classes], 0, 2, grad=False) if weighted else None
    ignore_index, labels = labels_of(c, shape[:1] + shape[2:], classes)
    c.backward(F.nll_loss(x, labels, weight, ignore_index=ignore_index, reduction=reduction))


def cross_entropy(reduction, weighted, smoothing, soft, size=8):
    c, r = new_case("cross_entropy", reduction)
    classes, shape = scores(c)
    x = c.input("x", shape, -size, size)
    weight = c.input("weight", [classes], 0, 2, grad=False) if weighted else None
    c.set(label_smoothing=smoothing, soft=soft)
    if soft:
        target, options = c.input("target", shape, 0, 1, grad=False), {}
    else:
        ignore_index, target = labels_of(c, shape[:1] + shape[2:], classes)
        options = dict(ignore_index=ignore_index)
    c.backward(F.cross_entropy(x, target, weight, reduction=reduction, label_smoothing=smoothing, **options))


for reduction in reductions:
    for _ in range(2):
        pairwise("mse", F.mse_loss, reduction)
        pairwise("l1", F.l1_loss, reduction)
    for beta in (1.0, 0.0, 0.25):
        pairwise("smooth_l1", F.smooth_l1_loss, reduction, beta=beta)
    for delta in (1.0, 0.5, 2.0):
        pairwise("huber", F.huber_loss, reduction, delta=delta)
    for weighted in (False, True):
        bce(reduction, weighted)
        bce(reduction, weighted)
        nll(reduction, weighted)
        nll(reduction, weighted)
        for uneven in (False, True):
            bce_with_logits(reduction, weighted, uneven)
        for smoothing in (0.0, 0.125, 0.5):
            for soft in (False, True):
                cross_entropy(reduction, weighted, smoothing, soft)
    cross_entropy(reduction, False, 0.0, False)
    cross_entropy(reduction, True, 0.125, False, size=128)
    cross_entropy(reduction, True, 0.0, True, size=128)
    bce_with_logits(reduction, True, True, size=128)
    bce(reduction, False, edges=True)
    bce(reduction, True, edges=True)
for reduction in reductions + ("batchmean",):
    for log_target in (False, True):
        kl_div(reduction, log_target)
        kl_div(reduction, log_target)
file.write()
