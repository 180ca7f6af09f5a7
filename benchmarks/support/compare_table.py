# SPDX-License-Identifier: MIT
"""Turns what compare.sh collected into tables and summary.json:  compare_table.py <folder>"""

import collections
import json
import pathlib
import statistics
import sys

TOLERANCE = 1e-4  # relative, on the results that both sides must agree on


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
times = collections.defaultdict(list)  # (case, side, setting) -> [(round, milliseconds)]
answers = collections.defaultdict(set)  # (case, side) -> {(first, later)}
limits = collections.defaultdict(list)  # (name, unit) -> [figure]
for round_, side, setting, result in read_runs(folder):
    if side == "machine":
        name = result["name"].replace("/real_time", "")
        for unit in ("GF/s", "GB/s"):
            if unit in result:
                limits[name, unit].append(result[unit])
        if name.startswith("empty_region"):
            limits[name, "us"].append(result["real_time"] / 1e3)
    else:
        times[result["case"], side, setting].append((round_, result["median_ms"]))
        answers[result["case"], side].add((result["first"], result["later"]))


def median_ms(key):
    return statistics.median(ms for _, ms in times[key])


def per_round(key):
    rounds = collections.defaultdict(list)
    for round_, ms in times[key]:
        rounds[round_].append(ms)
    return {round_: statistics.median(values) for round_, values in rounds.items()}


def best(case, side):
    return min((key for key in times if key[:2] == (case, side)), key=median_ms)


def agree(case):
    pairs = answers[case, "gradus"] | answers[case, "libtorch"]
    return all(max(column) - min(column) <= TOLERANCE * abs(max(column)) for column in zip(*pairs))


summary = {"cases": [], "settings": [], "limits": []}
print("| work | gradus, ms | its setting | libtorch, ms | its best setting | libtorch / gradus | per round | same results |")
print("|---|---|---|---|---|---|---|---|")
for case in sorted({key[0] for key in times}):
    ours, peer = best(case, "gradus"), best(case, "libtorch")
    ratio = median_ms(peer) / median_ms(ours)
    ours_by_round, peer_by_round = per_round(ours), per_round(peer)
    ratios = [peer_by_round[i] / ours_by_round[i] for i in peer_by_round if i in ours_by_round]
    print(f"| {case} | {median_ms(ours):.3g} | {ours[2]} | {median_ms(peer):.3g} | {peer[2]} | **{ratio:.2f}** "
          f"| {min(ratios):.2f} to {max(ratios):.2f} | {'yes' if agree(case) else 'NO'} |")
    summary["cases"].append({"case": case, "gradus_ms": median_ms(ours), "gradus_setting": ours[2],
                             "libtorch_ms": median_ms(peer), "libtorch_setting": peer[2], "ratio": ratio,
                             "ratio_per_round": ratios, "same_results": agree(case)})

print("\n| work | side | setting | median, ms | fastest process | slowest |\n|---|---|---|---|---|---|")
for case, side, setting in sorted(times, key=lambda key: (key[0], key[1], median_ms(key))):
    values = [ms for _, ms in times[case, side, setting]]
    print(f"| {case} | {side} | {setting} | {statistics.median(values):.3g} | {min(values):.3g} | {max(values):.3g} |")
    summary["settings"].append({"case": case, "side": side, "setting": setting, "ms": values})

print("\n| limit of this machine | best | median |\n|---|---|---|")
for (name, unit), values in limits.items():
    top = min(values) if unit == "us" else max(values)
    print(f"| {name} | {top:.3g} {unit} | {statistics.median(values):.3g} {unit} |")
    summary["limits"].append({"name": name, "unit": unit, "values": values})

print("\n| work | side | first result, later result |\n|---|---|---|")
for (case, side), pairs in sorted(answers.items()):
    print(f"| {case} | {side} | {'; '.join(f'{first:.6g}, {later:.6g}' for first, later in sorted(pairs))} |")

(folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
sys.exit(0 if all(agree(case["case"]) for case in summary["cases"]) else 1)
