# SPDX-License-Identifier: MIT
# Weights both ways between gradus and PyTorch: see run.sh. The networks are those of tests/reference.
#
#     python3 weights.py make DIR      writes PyTorch's weights, inputs and outputs into DIR
#     python3 weights.py check DIR     loads what gradus wrote there, and compares outputs
import os
import sys

import torch
from safetensors.torch import load_file, save_file

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "reference"))
from pytorch_models import Cnn, Mlp, ResNet18  # noqa: E402

models = {"mlp": (Mlp, [8, 1, 28, 28]), "cnn": (Cnn, [8, 1, 28, 28]), "resnet18": (lambda: ResNet18(19), [4, 3, 64, 64])}
types = {"float": (torch.float, 1e-5), "double": (torch.double, 1e-12)}


def make(folder):
    torch.manual_seed(1)
    for kind, (model, shape) in models.items():
        for name, (dtype, _) in types.items():
            net = model().to(dtype)
            with torch.no_grad():
                for _ in range(2):
                    net(torch.randn(shape, dtype=dtype))  # moves the running statistics
            net.eval()
            x = torch.randn(shape, dtype=dtype)
            with torch.no_grad():
                y = net(x)
            path = os.path.join(folder, f"{kind}_{name}.torch")
            save_file(net.state_dict(), path + ".safetensors", {"format": "pt"})
            save_file({"x": x, "y": y}, path + ".example.safetensors")

    # Every rounding from one type to another: all sizes, ties, and the ends of each range.
    bits = torch.randint(-(2**31), 2**31, [200_000], dtype=torch.int64).to(torch.int32)
    ties = (torch.arange(2**16, dtype=torch.int64) << 16 | 0x8000).to(torch.int32)
    quarter = (torch.arange(2**19, dtype=torch.int64) << 12 | 0).to(torch.int32)  # ties of half
    x = torch.cat([bits, ties, ties + 1, ties - 1, quarter]).view(torch.float)
    x = x[~x.isnan()]
    d = torch.cat([x.double() * (1 + 2.0**-40), torch.tensor([1e300, -1e300, 1e-300], dtype=torch.double)])
    rounded = {"x": x, "half": x.half(), "bfloat16": x.bfloat16(), "back": x.half().float()}
    rounded |= {"d": d, "d_float": d.float(), "d_half": d.half(), "d_bfloat16": d.bfloat16()}
    save_file(rounded, os.path.join(folder, "rounded.safetensors"))


def check(folder):
    failed = False
    for kind, (model, shape) in models.items():
        for name, (dtype, tolerance) in types.items():
            path = os.path.join(folder, f"{kind}_{name}.gradus")
            example = load_file(path + ".example.safetensors")
            net = model().to(dtype)
            net.load_state_dict(load_file(path + ".safetensors"))  # strict: exactly these names
            net.eval()
            with torch.no_grad():
                y = net(example["x"])
            error = ((y - example["y"]).abs().max() / y.abs().max()).item()
            right = example["y"].dtype == dtype and y.shape == example["y"].shape and error <= tolerance
            if kind == "resnet18":
                right = right and net.bn1.num_batches_tracked.dtype == torch.int64
                right = right and net.bn1.num_batches_tracked.item() == 2
            failed = failed or not right
            print(f"{kind} {name}, gradus to PyTorch: {error:.2g} of the largest output{'' if right else ': FAILED'}")
    stored = load_file(os.path.join(folder, "resnet18_bf16.gradus.safetensors"))
    full = load_file(os.path.join(folder, "resnet18_float.gradus.safetensors"))
    for key, value in full.items():
        if not torch.equal(stored[key], value.bfloat16() if value.is_floating_point() else value):
            print(f"{key} saved as bf16: FAILED")
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](sys.argv[2])
