# SPDX-License-Identifier: MIT
# Three networks in PyTorch with pseudo-random weights: scores and gradients of the first step, and what five steps of
# training make of losses, parameters and running statistics: what tests/pytorch/models.cpp compares. See pytorch.py.
import math

import torch
import torch.nn.functional as F
from torch import nn

from pytorch import File, integers, noise

file = File(__file__, most=40)

# relu and max-pooling have kinks. Where a network comes within rounding errors of one, float and double take different
# sides, and gradients differ by far more than rounding errors (PyTorch's own, too). So the first batch is one that
# stays away from all kinks by this share of the standard deviation.
distance = 4e-6
closest = math.inf


def keep_away(gaps, x):
    global closest
    closest = min(closest, (gaps.min() / x.std()).item())


def relu(x):
    keep_away(x.detach().abs(), x.detach())
    return F.relu(x)


def max_pool2d(x, *options):
    planes = x.detach().flatten(0, 1).unsqueeze(1)
    best = F.unfold(planes, options[0], 1, *reversed(options[1:])).topk(2, dim=1).values
    gaps = best[:, 0] - best[:, 1]
    keep_away(gaps[gaps > 0], planes)  # relu made equal zeros
    return F.max_pool2d(x, *options)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [784, 350, 250, 150, 50, 10]
        for i in range(5):
            setattr(self, f"fc{i + 1}", nn.Linear(sizes[i], sizes[i + 1]))

    def forward(self, x):
        x = x.flatten(1)
        for layer in (self.fc1, self.fc2, self.fc3, self.fc4):
            x = relu(layer(x))
        return self.fc5(x)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5)
        self.conv2 = nn.Conv2d(32, 64, 5)
        self.fc1 = nn.Linear(256, 200)
        self.fc2 = nn.Linear(200, 10)

    def forward(self, x):
        x = relu(max_pool2d(self.conv1(x), 3, 3))
        x = relu(max_pool2d(self.conv2(x), 2, 2))
        return self.fc2(relu(self.fc1(x.flatten(1))))


class BasicBlock(nn.Module):
    def __init__(self, inside, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or inside != out:
            self.downsample = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.bn2(self.conv2(relu(self.bn1(self.conv1(x)))))
        return relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """torchvision's resnet18, with its names."""

    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        for i, (inside, out, stride) in enumerate(((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))):
            blocks = nn.Sequential(BasicBlock(inside, out, stride), BasicBlock(out, out, 1))
            setattr(self, f"layer{i + 1}", blocks)
        self.fc = nn.Linear(512, classes)

    def forward(self, x):
        x = max_pool2d(relu(self.bn1(self.conv1(x))), 3, 2, 1)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def weight_range(name, p):
    """Powers of two near Kaiming's bound for weights. The last normalization of a block makes what the block adds
    small, so that rounding errors do not grow from block to block."""
    if p.dim() == 1 and name.endswith("weight"):
        return (0.125, 0.375) if name.endswith("bn2.weight") else (0.5, 1.5)
    if p.dim() == 1:
        return -0.25, 0.25
    bound = 2.0 ** round(math.log2(math.sqrt(6 / p[0].numel())))
    return -bound, bound


def first_batch(c, net, shape):
    """The number of the first batch that keeps its distance."""
    global closest
    number, closest = 0, 0
    state = {name: x.clone() for name, x in net.state_dict().items()}
    while closest < distance:
        number, closest = number + 1, math.inf
        with torch.no_grad():
            net(noise(f"{c.name}/x@{number}", shape))
    net.load_state_dict(state)
    return number


def train(kind, net, shape, classes, make_optimizer, multilabel=False, dtype=torch.double):
    c = file.case(kind)
    for name, p in net.named_parameters():
        value = c.input(name, p.shape, *weight_range(name, p), grad=False)
        with torch.no_grad():
            p.copy_(value)
    first = first_batch(c, net, shape)
    net.to(dtype)
    optimizer = make_optimizer(net)
    c.set(x=shape, classes=classes, first_batch=first)
    losses = []
    for step in range(1, 6):
        x = noise(f"{c.name}/x@{first + step - 1}", shape).to(dtype).requires_grad_(step == 1)
        scores = net(x)
        if multilabel:
            target = integers(f"{c.name}/labels@{step}", [shape[0], classes], 2).to(dtype)
            loss = F.binary_cross_entropy_with_logits(scores, target)
        else:
            loss = F.cross_entropy(scores, integers(f"{c.name}/labels@{step}", shape[:1], classes))
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        if step == 1:
            c.result("scores", scores)
            c.result("dx", x.grad)
            for name, p in net.named_parameters():
                c.result("d" + name, p.grad)
        optimizer.step()
    c.result("losses", torch.tensor(losses))
    for name, x in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            c.result(name + "@5", x)
    net.eval()
    c.result("eval_scores", net(noise(f"{c.name}/x@{first + 5}", shape).to(dtype)))


def main():
    train("mlp", Mlp(), [16, 1, 28, 28], 10,
          lambda net: torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True))
    # Where a gradient is next to 0, Adam's steps are as large as elsewhere, and their sign is up to rounding errors:
    # eps makes an end of that.
    train("cnn", Cnn(), [8, 1, 28, 28], 10, lambda net: torch.optim.Adam(net.parameters(), lr=0.001, eps=0.001))
    # The later batches do come near a kink. With a small learning rate that makes little difference.
    train("resnet18", ResNet18(19), [4, 3, 64, 64], 19,
          lambda net: torch.optim.SGD(net.parameters(), lr=2**-15, momentum=0.9, weight_decay=0.5), multilabel=True)
    file.write()


if __name__ == "__main__":
    main()
