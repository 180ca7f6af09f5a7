# SPDX-License-Identifier: MIT
# Prints the table of tests/optim/sgd.cpp: 20 steps of PyTorch's SGD on the quadratic ½ Σ aᵢ (wᵢ − bᵢ)², in double.
# The numbers of the options are exact in binary, so that float and double mean the same. (Made with PyTorch 1.13.)
import torch

CASES = [
    dict(lr=0.125),
    dict(lr=0.125, weight_decay=0.25),
    dict(lr=0.125, momentum=0.75),
    dict(lr=0.125, momentum=0.75, dampening=0.25),
    dict(lr=0.125, momentum=0.75, dampening=0.75, weight_decay=0.25),
    dict(lr=0.125, momentum=0.75, nesterov=True),
    dict(lr=0.125, momentum=0.75, weight_decay=0.25, nesterov=True),
]
a = torch.tensor([1.0, 4.0, 0.25], dtype=torch.double)
b = torch.tensor([1.0, -2.0, 3.0], dtype=torch.double)

for options in CASES:
    w = torch.tensor([2.0, 0.5, -1.0], dtype=torch.double, requires_grad=True)
    sgd = torch.optim.SGD([w], **options)
    rows = []
    for step in range(1, 21):
        sgd.zero_grad()
        (0.5 * a * (w - b) ** 2).sum().backward()
        sgd.step()
        if step in (1, 2, 3, 20):
            rows.append("{" + ", ".join(f"{x:.15g}" for x in w.tolist()) + "}")
    fields = ", ".join(f".{k} = {str(v).lower() if isinstance(v, bool) else str(v) + 'f'}" for k, v in options.items())
    print(f"    {{{{{fields}}},\n     {{" + ",\n      ".join(rows) + "}},")
