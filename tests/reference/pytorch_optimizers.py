# SPDX-License-Identifier: MIT
# 20 steps of PyTorch's optimizers with random options on a small network: what tests/pytorch/optimizers.cpp compares.
# See pytorch.py.
import math
import random

import torch

from pytorch import File

file = File(__file__)
kept_steps = (1, 2, 3, 5, 10, 20)


def run(kind, optimizer, two_groups=False, clip=None, **options):
    """The loss is mse(tanh(x · aᵀ + b) · cᵀ, target)."""
    c = file.case(kind)
    c.set(**options)
    parameters = [c.input("a", [4, 3]), c.input("b", [4]), c.input("c", [2, 4])]
    x, target = c.input("x", [6, 3], -2, 2, grad=False), c.input("target", [6, 2], grad=False)
    if two_groups:  # the last one with an eighth of the learning rate
        c.set(two_groups=True)
        groups = [dict(params=parameters[:2]), dict(params=parameters[2:], lr=options["lr"] / 8)]
    else:
        groups = parameters
    if "beta1" in options:
        options["betas"] = (options.pop("beta1"), options.pop("beta2"))
    stepper = optimizer(groups, **options)
    if clip:
        c.set(clip=clip)
    for step in range(1, 21):
        stepper.zero_grad()
        y = torch.tanh(x @ parameters[0].t() + parameters[1]) @ parameters[2].t()
        torch.nn.functional.mse_loss(y, target).backward()
        if clip and clip[0] == "norm":
            norm = torch.nn.utils.clip_grad_norm_(parameters, clip[1], norm_type=clip[2])
            c.result(f"norm@{step}", norm)
        elif clip:
            torch.nn.utils.clip_grad_value_(parameters, clip[1])
        stepper.step()
        if step in kept_steps:
            for name, p in zip("abc", parameters):
                c.result(f"{name}@{step}", p)


def random_options(kind, count, draw):
    """Options for the i-th case are draw(random), where an option that is None keeps its default."""
    r = random.Random(kind)
    for i in range(count):
        yield i % 4 == 3, {k: v for k, v in draw(r).items() if v is not None}


def sgd(r):
    momentum = r.choice([0.0, 0.5, 0.9])
    nesterov = momentum > 0 and r.random() < 0.4
    return dict(lr=r.choice([0.01, 0.1, 0.3]), momentum=momentum, nesterov=nesterov,
                dampening=r.choice([0.0, 0.5, momentum]) if momentum and not nesterov else 0.0,
                weight_decay=r.choice([None, 0.01, 0.25]))


def adagrad(r):
    return dict(lr=r.choice([0.01, 0.1, 0.5]), lr_decay=r.choice([None, 0.01, 0.5]),
                weight_decay=r.choice([None, 0.01, 0.25]), initial_accumulator_value=r.choice([None, 0.125, 1.0]),
                eps=r.choice([None, 1e-3, 0.1]))


def rmsprop(r):
    return dict(lr=r.choice([0.001, 0.01, 0.03]), alpha=r.choice([None, 0.5, 0.9]), eps=r.choice([None, 1e-3, 0.1]),
                weight_decay=r.choice([None, 0.01, 0.25]), momentum=r.choice([None, 0.5, 0.9]),
                centered=r.random() < 0.5)


def adam(r):
    return dict(lr=r.choice([0.001, 0.01, 0.1]), beta1=r.choice([0.9, 0.5, 0.0]), beta2=r.choice([0.999, 0.9, 0.5]),
                eps=r.choice([None, 1e-3, 0.1]), weight_decay=r.choice([None, 0.0, 0.01, 0.25]),
                amsgrad=r.random() < 0.4)


for kind, optimizer, count, draw in (("sgd", torch.optim.SGD, 16, sgd), ("adagrad", torch.optim.Adagrad, 12, adagrad),
                                     ("rmsprop", torch.optim.RMSprop, 16, rmsprop),
                                     ("adam", torch.optim.Adam, 16, adam), ("adamw", torch.optim.AdamW, 12, adam)):
    for two_groups, options in random_options(kind, count, draw):
        run(kind, optimizer, two_groups, **options)
for clip in (["norm", 0.25, 2.0], ["norm", 100.0, 2.0], ["norm", 0.25, 1.0],
             ["norm", 0.25, math.inf], ["value", 0.03125]):
    run("clip", torch.optim.SGD, clip=clip, lr=0.5)
file.write()
