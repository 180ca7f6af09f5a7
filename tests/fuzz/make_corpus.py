"""Writes the seeds of the fuzz targets:  make_corpus.py corpus

Those of npy, npz and PyTorch's files are in ../io/references. Needs numpy and safetensors. The seed of checkpoints is
written by make_checkpoint.cpp.
"""
import gzip
import os
import struct
import sys
import zlib

import numpy as np
from safetensors.numpy import save

root = sys.argv[1]


def write(target, name, content):
    os.makedirs(os.path.join(root, target), exist_ok=True)
    with open(os.path.join(root, target, name), "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


idx = b"\0\0\x08\x03" + struct.pack(">III", 2, 2, 3) + bytes(range(12))
write("idx", "images", idx)
write("idx", "labels", b"\0\0\x08\x01" + struct.pack(">I", 2) + b"\1\2")
write("idx", "images.gz", gzip.compress(idx, mtime=0))

arrays = {"a": np.ones((2, 3), np.float32), "b": np.array(5, np.int64), "c": np.zeros((0, 4), np.float16),
          "d": np.array([True, False])}
write("safetensors", "types", save(arrays, {"format": "pt"}))
write("safetensors", "one", save({"w": np.zeros(1, np.uint8)}))
write("safetensors", "none", struct.pack("<Q", 2) + b"{}")

write("json", "object", '{"a": [1, -2.5e3, true, null, "\\u00e9\\n\\ud83d\\ude00"], "b": {"c": {}}, "d": []}')
write("json", "array", "[[[0]], 18446744073709551615, 1.0E-7, \"\\\"\"]")

write("csv", "types", "name,age,\"city, state\"\r\n\"a\"\"b\",1.5,x\r\nb,NA,\"two\nlines\"\r\n")
write("csv", "numbers", "\ufeff1,2\n-3e2,0x\n,\n")
write("csv", "words", "a,b\nred,1\ngreen,2\nred,3\n")


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, depth, color, rows, more=b"", interlaced=0):
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)) +
            more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


write("images", "gray.png", png(3, 2, 8, 0, b"\0\1\2\3\2\4\5\6"))
write("images", "rgba16.png", png(1, 1, 16, 6, b"\0" + bytes(8)))
write("images", "palette.png", png(4, 1, 2, 3, b"\0\x1b", chunk(b"PLTE", bytes(range(12))) + chunk(b"tRNS", b"\0\x80")))
write("images", "interlaced.png", png(1, 1, 8, 2, b"\0\1\2\3", interlaced=1))
write("images", "plain.pgm", "P2\n# a comment\n3 2\n255\n0 1 2 3 4 255\n")
write("images", "gray.pgm", b"P5 2 2 65535\n" + bytes(8))
write("images", "color.ppm", b"P6\n1 2\n255\n" + bytes(range(6)))

write("tokens", "plain", np.arange(20, dtype="<u2").tobytes())
write("tokens", "llm_c", np.array([20240520, 1, 4] + [0] * 253, "<i4").tobytes() + np.arange(4, dtype="<u2").tobytes())
write("tokens", "llm_c_32", np.array([20240801, 7, 3] + [0] * 253, "<i4").tobytes() + np.arange(3, dtype="<u4").tobytes())
write("cifar10", "one", b"\7" + bytes(3072))
write("cifar10", "fine", b"\1\x63" + bytes(3072))
write("csv", "encoder", 'gradus table encoder,1,other,fill\nnumber,"a",1,0.5,2\ncategory,"b","","x"\n')
