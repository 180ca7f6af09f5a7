"""Writes the files that the tests of npy.cpp, npz.cpp and pytorch.cpp read:  make_references.py FOLDER

Those of PyTorch have its version in their names; run it with each version that is to be tested.
"""
import collections
import os
import sys

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)


def path(name):
    return os.path.join(folder, name)


def with_numpy():
    import numpy as np

    x = np.arange(6, dtype=np.float32).reshape(2, 3) / 2
    np.save(path("float32.npy"), x)
    np.save(path("fortran.npy"), np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)))
    np.save(path("big_endian.npy"), np.array([1, 256, -2], dtype=">i4"))
    np.save(path("objects.npy"), np.array([None, "a"], dtype=object), allow_pickle=True)
    np.save(path("records.npy"), np.zeros(2, dtype=[("a", "<f4"), ("b", "<i4")]))
    np.save(path("texts.npy"), np.array(["a", "bc"]))
    for version in (2, 3):
        with open(path("version%d.npy" % version), "wb") as file:
            np.lib.format.write_array(file, x, version=(version, 0))
    arrays = {
        "bool": np.array([True, False, True]),
        "int8": np.array([-128, 127], dtype=np.int8),
        "uint8": np.array([0, 255], dtype=np.uint8),
        "int16": np.array([-2, 3], dtype=np.int16),
        "uint16": np.array([65535], dtype=np.uint16),
        "int32": np.array([[-70000], [5]], dtype=np.int32),
        "uint32": np.array([4000000000], dtype=np.uint32),
        "int64": np.array([-(2**60)], dtype=np.int64),
        "uint64": np.array([2**64 - 1], dtype=np.uint64),
        "float16": np.array([0.5, -2], dtype=np.float16),
        "float32": x,
        "float64": np.array([1e300]),
        "scalar": np.array(2.5),
        "empty": np.zeros((0, 3), dtype=np.float32),
        "../name": np.array([7], dtype=np.uint8),
    }
    np.savez(path("stored.npz"), **arrays)
    np.savez_compressed(path("deflated.npz"), long=np.arange(3000, dtype=np.int32) // 100, **arrays)


def with_torch():
    import torch

    version = ".".join(torch.__version__.split(".")[:2])
    storage = torch.arange(12, dtype=torch.float32)
    tensors = {
        "float32": torch.arange(6, dtype=torch.float32).reshape(2, 3) / 2,
        "float64": torch.tensor([1e300], dtype=torch.float64),
        "float16": torch.tensor([0.5, -2]).half(),
        "bfloat16": torch.tensor([0.5, -2]).bfloat16(),
        "int64": torch.tensor([-(2**60)]),
        "int32": torch.tensor([[-70000], [5]], dtype=torch.int32),
        "int16": torch.tensor([-2, 3], dtype=torch.int16),
        "int8": torch.tensor([-128, 127], dtype=torch.int8),
        "uint8": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "transposed": storage.reshape(3, 4).t(),
        "part": storage.reshape(3, 4)[1:, 1:3],
        "every_third": storage[::3],
        "repeated": torch.tensor([[1.5], [2.5]]).expand(2, 3),
    }
    torch.save(tensors, path("tensors-%s.pt" % version))

    model = torch.nn.Sequential(collections.OrderedDict(
        fc=torch.nn.Linear(2, 3), norm=torch.nn.BatchNorm1d(3)))
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) + i)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 2)).sum().backward()
    optimizer.step()
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) + i)
    torch.save(model.state_dict(), path("state_dict-%s.pt" % version))
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3},
               path("checkpoint-%s.pt" % version))
    if version != "1.13":  # once is enough
        torch.save({"unsigned": torch.tensor([65535], dtype=torch.uint16), "sign": torch._neg_view(torch.ones(2)),
                    "complex": torch.tensor([1 + 2j]), "wide": torch.tensor([1 + 2j], dtype=torch.complex128),
                    "sparse": torch.eye(2).to_sparse(), "plain": torch.ones(1)}, path("unusual.pt"))
        return
    torch.save(torch.arange(3), path("one_tensor.pt"))
    torch.save([torch.arange(3), (torch.ones(1),)], path("list.pt"))
    torch.save(model, path("model.pt"))
    torch.save(model.state_dict(), path("legacy.pt"), _use_new_zipfile_serialization=False)
    torch.save({"a": torch.ones(1)}, path("protocol4.pt"), pickle_protocol=4)
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), path("script.pt"))


for make in (with_numpy, with_torch):
    try:
        make()
    except ImportError as error:
        print("left out:", error)
