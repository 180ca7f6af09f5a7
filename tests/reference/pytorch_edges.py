# SPDX-License-Identifier: MIT
# Prints values and gradients of PyTorch at zeros, infinities and NaN, in float. Run it with two versions and compare
# the output with diff: versions.md lists what came out. (What is right there does not come from PyTorch: see
# tests/edges/edges.py.)
import torch
import torch.nn.functional as F

inf, nan = float("inf"), float("nan")
edges = [inf, -inf, nan, 0.0, -0.0, 1e20, -1e20]


def show(name, function, *inputs):
    for repeats in (1, 5):  # short tensors and long ones may take different code
        leaves = [torch.tensor(x * repeats, requires_grad=True) for x in inputs]
        y = function(*leaves)
        y.backward(torch.ones_like(y))
        count = len(inputs[0])
        print(name, repeats, y.tolist()[:count], [leaf.grad.tolist()[:count] for leaf in leaves])


unary = dict(
    relu=F.relu, leaky_relu=F.leaky_relu, elu=F.elu, gelu=F.gelu, sigmoid=torch.sigmoid, silu=F.silu, tanh=torch.tanh,
    erf=torch.erf, softplus=F.softplus, abs=torch.abs, sqrt=torch.sqrt, square=torch.square, exp=torch.exp,
    expm1=torch.expm1, log=torch.log, log1p=torch.log1p, sin=torch.sin, cos=torch.cos, power_of_0=lambda x: x**0,
    power_of_2_5=lambda x: x**2.5, clamp=lambda x: torch.clamp(x, 0.0, 1e20),
    clamp_at_infinity=lambda x: torch.clamp(x, -inf, inf), clamp_to_one_number=lambda x: torch.clamp(x, 0.0, 0.0),
)
for name, function in unary.items():
    show(name, function, edges)
first, second = [x for x in edges for _ in edges], edges * len(edges)
binary = dict(
    add=torch.add, sub=torch.sub, mul=torch.mul, div=torch.div, pow=torch.pow, maximum=torch.maximum,
    minimum=torch.minimum,
)
for name, function in binary.items():
    show(name, function, first, second)
losses = dict(mse=F.mse_loss, l1=F.l1_loss, smooth_l1=F.smooth_l1_loss, huber=F.huber_loss)
for name, function in losses.items():
    target = torch.tensor(second)
    show(name, lambda x: function(x, target.repeat(len(x) // len(target)), reduction="none"), first)
for label in (0.0, 0.5, 1.0):
    show(f"bce_with_logits_{label}",
         lambda x: F.binary_cross_entropy_with_logits(x, torch.full_like(x, label), reduction="none"), edges)
for row in ([-inf, 0.0], [inf, 0.0], [-inf, -inf], [nan, 0.0]):
    for name in ("softmax", "log_softmax", "logsumexp"):
        function = getattr(torch, name)
        x = torch.tensor(row, requires_grad=True)
        y = function(x, 0)
        y.backward(torch.arange(1.0, 1 + y.numel()).reshape(y.shape))
        print(name, row, y.tolist(), x.grad.tolist())
