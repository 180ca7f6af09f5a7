#!/usr/bin/env python3
"""Writes reference.safetensors with the format's own library (PyPI: safetensors, torch).

    python3 reference.py [PATH]

tests/io/safetensors.cpp writes the same tensors and compares the bytes.
"""
import os
import sys

import torch
from safetensors.torch import save_file

tensors = {
    "w": torch.tensor([[1.5, -2, float("inf")], [float("-inf"), 1e-40, -0.0]]),
    "fc.bias": torch.tensor([0.1, 0.2], dtype=torch.float64),
    "fc.weight": torch.tensor([[0.1], [1e300]], dtype=torch.float64),
    "half": torch.tensor([1.5, 65504, 1e5, 6e-8, -0.1]).half(),
    "bf": torch.tensor([1.5, 3e38, -0.1]).bfloat16(),
    "scalar": torch.tensor(-7),
    "count": torch.tensor([2**53 + 1]),
    "i32": torch.tensor([-(2**31), 2**31 - 1], dtype=torch.int32),
    "i16": torch.tensor([-(2**15), 2**15 - 1], dtype=torch.int16),
    "i8": torch.tensor([-128, 127], dtype=torch.int8),
    "u8": torch.tensor([0, 255], dtype=torch.uint8),
    "u16": torch.tensor([65535], dtype=torch.uint16),
    "u32": torch.tensor([2**32 - 1], dtype=torch.uint32),
    "u64": torch.tensor([2**64 - 1], dtype=torch.uint64),
    "mask": torch.tensor([[True, False, True]]),
    "empty": torch.zeros(0, 3),
    'zéro "\\\n\x01\x7f': torch.zeros(1),
}
here = os.path.dirname(os.path.abspath(__file__))
save_file(tensors, sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "reference.safetensors"), {"format": "pt"})
