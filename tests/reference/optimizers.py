# SPDX-License-Identifier: MIT
# Prints the tables of tests/optim/{sgd,adagrad,rmsprop,adam}.cpp: 20 steps of PyTorch's optimizers on the quadratic
# ½ Σ aᵢ (wᵢ − bᵢ)², in double. (Made with PyTorch 1.13.)
import torch

CASES = {
    "SGD": [
        dict(lr=0.125),
        dict(lr=0.125, weight_decay=0.25),
        dict(lr=0.125, momentum=0.75),
        dict(lr=0.125, momentum=0.75, dampening=0.25),
        dict(lr=0.125, momentum=0.75, dampening=0.75, weight_decay=0.25),
        dict(lr=0.125, momentum=0.75, nesterov=True),
        dict(lr=0.125, momentum=0.75, weight_decay=0.25, nesterov=True),
    ],
    "Adagrad": [
        dict(),
        dict(lr=0.5),
        dict(lr=0.5, lr_decay=0.1),
        dict(lr=0.5, initial_accumulator_value=0.3),
        dict(lr=0.5, eps=0.1),
        dict(lr=0.5, weight_decay=0.2),
        dict(lr=0.4, lr_decay=0.05, weight_decay=0.1, initial_accumulator_value=0.1, eps=1e-3),
    ],
    "RMSprop": [
        dict(),
        dict(lr=0.1, alpha=0.9),
        dict(lr=0.1, eps=0.1),
        dict(lr=0.1, weight_decay=0.2),
        dict(lr=0.02, momentum=0.9),
        dict(lr=0.1, centered=True),
        dict(lr=0.02, alpha=0.95, eps=1e-3, weight_decay=0.1, momentum=0.8, centered=True),
    ],
    "Adam": [
        dict(),
        dict(lr=0.1),
        dict(lr=0.1, betas=(0.8, 0.95)),
        dict(lr=0.1, eps=0.1),
        dict(lr=0.1, weight_decay=0.2),
        dict(lr=0.5, betas=(0.5, 0.6), amsgrad=True),
        dict(lr=0.5, betas=(0.7, 0.9), eps=1e-3, weight_decay=0.1, amsgrad=True),
    ],
    "AdamW": [
        dict(),
        dict(lr=0.1),
        dict(lr=0.1, betas=(0.8, 0.95), weight_decay=0),
        dict(lr=0.1, eps=0.1),
        dict(lr=0.1, weight_decay=0.5),
        dict(lr=0.5, betas=(0.5, 0.6), weight_decay=0.1, amsgrad=True),
    ],
}
a = torch.tensor([1.0, 4.0, 0.25], dtype=torch.double)
b = torch.tensor([1.0, -2.0, 3.0], dtype=torch.double)


def run(name, options):
    w = torch.tensor([2.0, 0.5, -1.0], dtype=torch.double, requires_grad=True)
    optimizer = getattr(torch.optim, name)([w], **options)
    for step in range(1, 21):
        optimizer.zero_grad()
        (0.5 * a * (w - b) ** 2).sum().backward()
        optimizer.step()
        if step in (1, 2, 3, 20):
            yield "{" + ", ".join(f"{x:.15g}" for x in w.tolist()) + "}"


def fields(options, order):
    if "betas" in options:
        options = {**options, "beta1": options["betas"][0], "beta2": options["betas"][1]}
        del options["betas"]
    for key in sorted(options, key=order.index):
        value = options[key]
        yield f".{key} = {str(value).lower() if isinstance(value, bool) else value}"


ORDER = {
    "SGD": "lr momentum dampening weight_decay nesterov".split(),
    "Adagrad": "lr lr_decay weight_decay initial_accumulator_value eps".split(),
    "RMSprop": "lr alpha eps weight_decay momentum centered".split(),
    "Adam": "lr beta1 beta2 eps weight_decay amsgrad".split(),
    "AdamW": "lr beta1 beta2 eps weight_decay amsgrad".split(),
}
for name, cases in CASES.items():
    print(f"// {name}")
    for options in cases:
        head = ", ".join(fields(options, ORDER[name]))
        print(f"    {{{{{head}}},\n     {{" + ",\n      ".join(run(name, options)) + "}},")
