# SPDX-License-Identifier: MIT
"""Turns what compare.sh collected into tables and summary.json:  compare_table.py <folder>

A process times many steps. Its `median_ms` is what a user sees. Its `fastest_ms` and its `cpu_ms` (processor
time per step, of all threads) hardly feel other programs and tell more on a busy machine. All are medians over
processes. Limits of one thread are per processor time, too.
"""

import collections
import json
import pathlib
import statistics
import sys

TOLERANCE = 1e-4  # relative, on the results that both sides must agree on
MEASURES = {"median_ms": "typical step", "fastest_ms": "fastest step", "cpu_ms": "processor time"}


def results_of(text):
    """The results in one program's output: Google Benchmark's JSON, or one JSON object per line."""
    try:
        rows = json.loads(text)["benchmarks"]
    except (ValueError, KeyError):
        return [json.loads(line) for line in text.splitlines()]
    return [{**row, "case": row["name"].split("/")[0]} for row in rows if "error_message" not in row]


def read_runs(folder):
    for line in (folder / "index.tsv").read_text().splitlines():
        file, round_, side, setting = line.split("\t")
        for result in results_of((folder / file).read_text()):
            yield int(round_), side, setting, result


folder = pathlib.Path(sys.argv[1])
times = collections.defaultdict(list)  # (case, side, setting) -> [(round, {measure: ms})]
answers = collections.defaultdict(set)  # (case, side) -> {(first, later)}
limits = collections.defaultdict(list)  # (name, unit) -> [figure]
for round_, side, setting, result in read_runs(folder):
    if side == "machine":
        name = result["name"].replace("/real_time", "")
        waiting = result["real_time"] / result["cpu_time"] if name.endswith("threads:1") else 1
        for unit in ("GF/s", "GB/s"):
            if unit in result:
                limits[name, unit].append(result[unit] * waiting)
        if name.startswith("empty_region"):
            limits[name, "us"].append(result["real_time"] / 1e3)
    else:
        times[result["case"], side, setting].append((round_, {m: result[m] for m in MEASURES}))
        answers[result["case"], side].add((result["first"], result["later"]))


def typical(key, measure, only_round=None):
    return statistics.median(ms[measure] for round_, ms in times[key] if only_round in (None, round_))


def best(case, side, measure):
    return min((key for key in times if key[:2] == (case, side)), key=lambda key: typical(key, measure))


def agree(case):
    pairs = answers[case, "gradus"] | answers[case, "libtorch"]
    return all(max(column) - min(column) <= TOLERANCE * abs(max(column)) for column in zip(*pairs))


rounds = sorted({round_ for runs in times.values() for round_, _ in runs})
cases = sorted({case for case, _, _ in times}, reverse=True)
summary = {"cases": [], "settings": [], "limits": []}

print("| work | measure | gradus, ms | setting | libtorch, ms | best setting | libtorch / gradus | spread |")
print("|---|---|---|---|---|---|---|---|")
for case in cases:
    for measure, title in MEASURES.items():
        ours, peer = best(case, "gradus", measure), best(case, "libtorch", measure)
        ours_ms, peer_ms = typical(ours, measure), typical(peer, measure)
        ratio = peer_ms / ours_ms
        ratios = [typical(peer, measure, i) / typical(ours, measure, i) for i in rounds]
        print(f"| {case} | {title} | {ours_ms:.3g} | {ours[2]} | {peer_ms:.3g} | {peer[2]} "
              f"| **{ratio:.2f}** | {min(ratios):.2f} to {max(ratios):.2f} |")
        summary["cases"].append({
            "case": case, "measure": measure, "gradus_ms": ours_ms, "gradus_setting": ours[2],
            "libtorch_ms": peer_ms, "libtorch_setting": peer[2], "ratio": ratio,
            "ratio_per_round": ratios, "same_results": agree(case)})

print("\n| work | side | setting | typical step, ms | its spread | fastest of all steps | processor time |")
print("|---|---|---|---|---|---|---|")
for key in sorted(times, key=lambda key: (-cases.index(key[0]), key[1], typical(key, "median_ms"))):
    values = [ms["median_ms"] for _, ms in times[key]]
    fastest = min(ms["fastest_ms"] for _, ms in times[key])
    print(f"| {' | '.join(key)} | {statistics.median(values):.3g} | {min(values):.3g} to {max(values):.3g} "
          f"| {fastest:.3g} | {typical(key, 'cpu_ms'):.3g} |")
    summary["settings"].append({"case": key[0], "side": key[1], "setting": key[2], "runs": times[key]})

print("\n| limit of this machine | best | median |\n|---|---|---|")
for (name, unit), values in limits.items():
    top = min(values) if unit == "us" else max(values)
    print(f"| {name} | {top:.3g} {unit} | {statistics.median(values):.3g} {unit} |")
    summary["limits"].append({"name": name, "unit": unit, "values": values})

print("\n| work | side | first result, later result | agree |\n|---|---|---|---|")
for (case, side), pairs in sorted(answers.items()):
    text = "; ".join(sorted({f"{first:.6g}, {later:.6g}" for first, later in pairs}))
    print(f"| {case} | {side} | {text} | {'yes' if agree(case) else '**NO**'} |")

(folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
sys.exit(0 if all(agree(case) for case in cases) else 1)
