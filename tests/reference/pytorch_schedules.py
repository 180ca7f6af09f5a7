# SPDX-License-Identifier: MIT
# The learning rates of PyTorch's schedulers over 1000 steps, and the momentum where they set it: what
# tests/pytorch/schedules.cpp compares. See pytorch.py.
import warnings

import torch
from torch.optim import lr_scheduler

from pytorch import File, noise

warnings.filterwarnings("ignore", message=".*(epoch parameter|optimizer.step).*")
file = File(__file__)
steps = 1000


def run(kind, make, momentum=False, **options):
    """make(optimizer) gives the scheduler."""
    c = file.case(kind)
    c.set(**options)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=options.get("lr", 0.1), momentum=0.9)
    scheduler = make(optimizer)
    rates, momenta = [], []
    for step in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        if step < steps - 1:
            scheduler.step()
    for name, values in [("lr", rates)] + [("momentum", momenta)] * momentum:
        values = torch.tensor(values)
        c.result(name, values)
        c.result(name + "/20", values[::20])


def same_name(kind, scheduler, lr, names={}, **options):
    """A scheduler whose options have other names there."""
    run(kind, lambda o: scheduler(o, **{names.get(k, k): v for k, v in options.items()}), lr=lr, **options)


for lr, decay, per_epoch in ((0.1, 1.0, 1), (0.3, 0.01, 1), (1.0, 0.5, 60)):
    run("inverse_time", lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + decay * (t // per_epoch))),
        lr=lr, decay=decay, per_epoch=per_epoch)
for lr, k, per_epoch in ((0.1, 1.0, 1), (0.3, 2.0, 1), (1.0, 0.5, 60)):
    run("inverse_sqrt", lambda o: lr_scheduler.LambdaLR(o, lambda t: k / (t // per_epoch + 1) ** 0.5),
        lr=lr, k=k, per_epoch=per_epoch)
for lr, step_size, gamma in ((0.1, 300, 0.1), (0.3, 30, 0.9), (1.0, 7, 0.97), (0.01, 1000, 0.5)):
    same_name("step", lr_scheduler.StepLR, lr, step_size=step_size, gamma=gamma)
for lr, milestones, gamma in ((0.1, [300, 600, 900], 0.1), (0.3, [1, 2, 3, 500], 0.5), (1.0, [999], 0.9)):
    same_name("multi_step", lr_scheduler.MultiStepLR, lr, milestones=milestones, gamma=gamma)
for lr, gamma in ((0.1, 0.99), (1.0, 0.999), (0.01, 1.001)):
    same_name("exponential", lr_scheduler.ExponentialLR, lr, gamma=gamma)
for lr, total, power in ((0.1, 1000, 1.0), (0.3, 600, 2.0), (1.0, 999, 0.5), (0.1, 5, 0.9)):
    same_name("polynomial", lr_scheduler.PolynomialLR, lr, dict(total_steps="total_iters"), total_steps=total,
              power=power)
for lr, total, start, end in ((0.1, 500, 0.25, 1.0), (0.3, 1000, 1.0, 0.01), (1.0, 3, 0.5, 0.75)):
    same_name("linear", lr_scheduler.LinearLR, lr, dict(total_steps="total_iters"), total_steps=total,
              start_factor=start, end_factor=end)
for lr, total, low in ((0.1, 1000, 0.0), (0.3, 1500, 0.01), (1.0, 999, 0.25)):
    same_name("cosine", lr_scheduler.CosineAnnealingLR, lr, dict(total_steps="T_max", min_lr="eta_min"),
              total_steps=total, min_lr=low)
for lr, period, factor, low in ((0.1, 100, 1, 0.0), (0.3, 50, 2, 0.01), (1.0, 7, 3, 0.0), (0.1, 1, 2, 0.05)):
    same_name("cosine_restarts", lr_scheduler.CosineAnnealingWarmRestarts, lr,
              dict(period="T_0", period_factor="T_mult", min_lr="eta_min"), period=period, period_factor=factor,
              min_lr=low)
for lr, warm, start, total in ((0.1, 100, 0.125, 900), (0.3, 1, 0.5, 999), (1.0, 999, 0.001, 1000)):
    run("warmup", lambda o: lr_scheduler.SequentialLR(o, [
        lr_scheduler.LinearLR(o, start, 1.0, warm), lr_scheduler.CosineAnnealingLR(o, total)], [warm]),
        lr=lr, steps=warm, start=lr * start, total_steps=total)
for lr, milestone, gamma, decay in ((0.1, 400, 0.99, 0.9), (0.3, 1, 0.5, 0.999)):
    run("sequence", lambda o: lr_scheduler.SequentialLR(o, [
        lr_scheduler.ExponentialLR(o, gamma), lr_scheduler.StepLR(o, 10, decay)], [milestone]),
        lr=lr, milestone=milestone, gamma=gamma, decay=decay)
for up, down, mode, gamma in ((100, None, "triangular", 1.0), (70, 30, "triangular", 1.0), (33, 44, "triangular2", 1.0),
                              (100, None, "triangular2", 1.0), (50, 150, "exp_range", 0.99),
                              (500, None, "exp_range", 0.9995)):
    options = dict(base_lr=0.01, max_lr=0.5, step_size_up=up, mode=mode, gamma=gamma, base_momentum=0.75,
                   max_momentum=0.95, **({"step_size_down": down} if down else {}))
    run("cyclic", lambda o: lr_scheduler.CyclicLR(o, **options), momentum=True, **options)
for total, start, anneal, three, div, final in (
        (1000, 0.3, "cos", False, 25.0, 1e4), (1000, 0.3, "linear", False, 25.0, 1e4),
        (1200, 0.25, "cos", True, 10.0, 100.0), (1003, 0.4, "linear", True, 4.0, 1e3),
        (1000, 0.5, "cos", False, 2.0, 8.0), (1777, 0.1, "linear", False, 25.0, 1e2)):
    options = dict(max_lr=0.8, total_steps=total, pct_start=start, anneal_strategy=anneal, three_phase=three,
                   div_factor=div, final_div_factor=final, base_momentum=0.85, max_momentum=0.95)
    run("one_cycle", lambda o: lr_scheduler.OneCycleLR(o, **options), momentum=True, **options)


def plateau(**options):
    """The metric of epoch t is noise around 1 / (1 + t / 100), or that around 1 − it in the mode max."""
    c = file.case("reduce_on_plateau")
    c.set(lr=0.5, **options)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    metrics = noise(c.name + "/metric", [steps], -0.125, 0.125)
    rates = []
    for t in range(steps):
        metric = metrics[t].item() + 1 / (1 + t / 100)
        scheduler.step(1 - metric if options["mode"] == "max" else metric)
        rates.append(optimizer.param_groups[0]["lr"])
    c.result("lr", torch.tensor(rates))
    c.result("lr/20", torch.tensor(rates)[::20])


for mode, patience, cooldown, threshold, threshold_mode, low in (
        ("min", 10, 0, 1e-4, "rel", 0.0), ("max", 10, 5, 1e-4, "rel", 0.0), ("min", 3, 20, 0.01, "abs", 0.001),
        ("max", 30, 0, 0.05, "abs", 0.0), ("min", 0, 0, 0.1, "rel", 0.01)):
    plateau(mode=mode, factor=0.75, patience=patience, cooldown=cooldown, threshold=threshold,
            threshold_mode=threshold_mode, min_lr=low)
file.write()
