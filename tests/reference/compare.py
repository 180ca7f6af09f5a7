# SPDX-License-Identifier: MIT
# What PyTorch changed between two versions, as far as the tables here can show it. Run each pytorch_*.py with both, in
# copies of this folder, then:
#
#     python3 compare.py OLD_FOLDER NEW_FOLDER
#
# prints every result whose largest difference is more than 1e-12 of its largest value. The differences between 1.13
# and 2.15 that are known are listed in versions.md.
import glob
import math
import os
import sys


def results(path):
    """The numbers of each result, by the line of its case and its name."""
    found, case = {}, ""
    for line in open(path):
        if line[0] != " ":
            case = line.strip()
            found[case, "options"] = []
        else:
            name, shape, *values = line.split()
            found[case, f"{name} {shape}"] = [float(v) for v in values]
    return found


def difference(old, new):
    """The largest, as a share of the largest value."""
    if len(old) != len(new):
        return math.inf
    off = [0.0 if a == b or (math.isnan(a) and math.isnan(b)) else abs(a - b) for a, b in zip(old, new)]
    size = max((abs(a) for a in old if math.isfinite(a)), default=1.0) or 1.0
    return math.inf if any(math.isnan(o) for o in off) else max(off, default=0.0) / size


count = differ = 0
worst = 0.0
for path in sorted(glob.glob(os.path.join(sys.argv[1], "pytorch_*.txt"))):
    old, new = results(path), results(os.path.join(sys.argv[2], os.path.basename(path)))
    for key in sorted(old.keys() ^ new.keys()):
        print(os.path.basename(path), "only in one:", *key)
        differ += 1
    for key in old.keys() & new.keys():
        count += 1
        off = difference(old[key], new[key])
        if off > 1e-12:
            print(os.path.basename(path), f"{off:.2g}", *key)
            differ += 1
        worst = max(worst, off)
print(f"{count} results, {differ} differ; the largest difference is {worst:.2g}")
