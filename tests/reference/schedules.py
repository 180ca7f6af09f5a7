# SPDX-License-Identifier: MIT
# Prints the tables of tests/optim/{decay_schedules,cyclic_schedules,schedule,plateau}.cpp: learning rates (and
# momenta) of PyTorch's schedulers at some steps. (Made with PyTorch 1.13.)
import torch
from torch.optim import lr_scheduler as s


def sgd(lr):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr, momentum=0.9)


def show(title, lr, make, steps, momentum=False):
    optimizer = sgd(lr)
    scheduler = make(optimizer)
    points = []
    for step in range(max(steps) + 1):
        if step in steps:
            group = optimizer.param_groups[0]
            values = [group["lr"], group["momentum"]] if momentum else [group["lr"]]
            points.append("{" + ", ".join([str(step)] + [f"{v:.16g}" for v in values]) + "}")
        optimizer.step()
        if step < max(steps):
            scheduler.step()
    print(f"// {title}\n{{" + ", ".join(points) + "}")


show("step", 0.1, lambda o: s.StepLR(o, 3, 0.5), [0, 2, 3, 5, 6, 100])
show("multi_step", 0.1, lambda o: s.MultiStepLR(o, [2, 5, 9], 0.1), [0, 1, 2, 4, 5, 8, 9, 50])
show("exponential", 0.1, lambda o: s.ExponentialLR(o, 0.95), [0, 1, 2, 10, 100])
show("polynomial", 0.1, lambda o: s.PolynomialLR(o, 10, 2.0), [0, 1, 5, 9, 10, 12])
show("linear", 0.1, lambda o: s.LinearLR(o), [0, 1, 4, 5, 6])
show("linear, falling", 0.1, lambda o: s.LinearLR(o, 1.0, 0.25, 8), [0, 1, 4, 8, 20])
show("cosine", 0.1, lambda o: s.CosineAnnealingLR(o, 10, 0.001), [0, 1, 3, 5, 9, 10])
show("sequence", 0.1,
     lambda o: s.SequentialLR(o, [s.LinearLR(o, 0.5, 1.0, 4), s.ExponentialLR(o, 0.9)], [4]), [0, 1, 3, 4, 5, 9])
show("cosine_restarts", 0.1, lambda o: s.CosineAnnealingWarmRestarts(o, 4), [0, 1, 3, 4, 5, 11, 12])
show("cosine_restarts, growing", 0.1, lambda o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
     [0, 1, 2, 3, 4, 8, 9, 15, 20, 21, 44, 45])
for mode in ("triangular", "triangular2", "exp_range"):
    show(f"cyclic {mode}", 0.1, lambda o: s.CyclicLR(o, 0.001, 0.1, 4, 6, mode, 0.97),
         [0, 1, 4, 5, 9, 10, 13, 14, 17, 20, 24, 31], momentum=True)
for options in (dict(), dict(anneal_strategy="linear"), dict(three_phase=True),
                dict(anneal_strategy="linear", three_phase=True, pct_start=0.45),
                dict(pct_start=0.25, div_factor=10.0, final_div_factor=100.0, base_momentum=0.8, max_momentum=0.9),
                dict(pct_start=0.0), dict(pct_start=1.0)):
    show(f"one_cycle {options}", 0.1, lambda o: s.OneCycleLR(o, 0.4, 25, **options),
         [0, 1, 3, 6, 7, 10, 12, 13, 20, 21, 23, 24], momentum=True)
show("one_cycle, one step", 0.1, lambda o: s.OneCycleLR(o, 0.4, 1), [0], momentum=True)

# Learning rates of ReduceLROnPlateau after each metric (1.5 minus it, if more is better).
METRICS = [1.0, 0.9, 0.95, 0.89995, 0.92, 0.91, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.49, 0.7, 0.7, 0.7, 0.7, 0.7]
for options in (dict(patience=2), dict(patience=1, factor=0.5, cooldown=2), dict(patience=0, min_lr=0.02),
                dict(patience=1, threshold=0.05, threshold_mode="abs"), dict(patience=3, mode="max", factor=0.25),
                dict(patience=3, mode="max", threshold=0.1, threshold_mode="abs"),
                dict(patience=0, factor=0.5, eps=0.02)):
    optimizer = sgd(0.1)
    scheduler = s.ReduceLROnPlateau(optimizer, **options)
    rates = []
    for metric in METRICS:
        scheduler.step(1.5 - metric if options.get("mode") == "max" else metric)
        rates.append(f"{optimizer.param_groups[0]['lr']:.16g}")
    print(f"// plateau {options}\n{{" + ", ".join(rates) + "}")
