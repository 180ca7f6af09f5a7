# SPDX-License-Identifier: MIT
"""Turns results.json into table.md and chart.svg:  report.py <folder>

A process times many steps. Its `median_ms` is what a user sees. Its `fastest_ms` and its `cpu_ms` (processor time per
step, of all threads) hardly feel other programs and tell more on a busy machine. Figures are medians over rounds.
"""

import collections
import json
import math
import pathlib
import statistics
import sys

FOLDER = pathlib.Path(sys.argv[1])
DATA = json.loads((FOLDER / "results.json").read_text())
MACHINE, RESULTS = DATA["machine"], DATA["results"]
THREADS = MACHINE["processors"]
NAMES = {"libtorch": "libtorch 1.13", "dlib": "dlib", "tinydnn": "tiny-dnn", "eigen": "Eigen"}
TOLERANCE = {"steps": (1e-4, 2e-3), "trial": (1e-4, 2e-3), "kernels": (2e-3, 2e-3)}  # relative: first, later result

lines, bars, slower = [], [], []  # bars: (group, text, ratio)


def rows_of(part, **fields):
    return [row for row in RESULTS if row["part"] == part and all(row.get(k) == v for k, v in fields.items())]


def cases_of(part, prefix=""):
    return list(dict.fromkeys(row["case"] for row in rows_of(part) if row["case"].startswith(prefix)))


def best(rows, measure):
    """The setting with the lowest median over rounds, and that median."""
    by_setting = collections.defaultdict(list)
    for row in rows:
        by_setting[row["setting"]].append(row[measure])
    if not by_setting:
        return None, math.nan
    medians = {name: statistics.median(values) for name, values in by_setting.items()}
    name = min(medians, key=medians.get)
    return name, medians[name]


def ratio_of(ours, theirs, measure):
    """theirs / ours in the best setting of each, and the same in each round."""
    (our_name, our_value), (their_name, their_value) = best(ours, measure), best(theirs, measure)
    rounds = []
    for round_ in sorted({row["round"] for row in ours} & {row["round"] for row in theirs}):
        pick = lambda rows, name: [r[measure] for r in rows if r["round"] == round_ and r["setting"] == name]
        a, b = pick(ours, our_name), pick(theirs, their_name)
        if a and b:
            rounds.append(statistics.median(b) / statistics.median(a))
    return their_value / our_value, rounds


def show(value, digits=3):
    return "" if value is None or math.isnan(value) else f"{value:.{digits}g}"


def show_ratio(ratio, rounds=()):
    if math.isnan(ratio):
        return ""
    spread = f" ({min(rounds):.2f} to {max(rounds):.2f})" if len(rounds) > 1 else ""
    return f"**{ratio:.2f}**{spread}"


def table(title, text, head, body):
    if not body:
        return
    lines.extend(["", f"## {title}", ""] + ([text, ""] if text else []))
    lines.append("| " + " | ".join(head) + " |")
    lines.append("|" + "---|" * len(head))
    lines.extend("| " + " | ".join(str(cell) for cell in row) + " |" for row in body)


def note(group, what, peer, ratio):
    """Remembers a ratio for the chart and for the list of what is slower."""
    if math.isnan(ratio):
        return
    bars.append((group, what, peer, ratio))
    if ratio < 1:
        slower.append((ratio, what, peer))


def ceiling(name, unit, threads=1):
    values = [row["value"] for row in rows_of("ceilings", case=f"{name}/threads:{threads}", unit=unit)]
    return max(values) if values else math.nan


def fma_peak(threads=1):
    return ceiling(f"fma_peak/{MACHINE['isa']}", "GF/s", threads)


def steps():
    names = {"mlp": "MLP 784-350-250-150-50-10, batch 256", "cnn": "CNN on 28×28, batch 100",
             "resnet18": "ResNet-18 on 32×32, batch 16"}
    body, settings = [], []
    for case, name in names.items():
        ours = rows_of("steps", case=case, side="gradus")
        if not ours:
            continue
        our_name, our_ms = best(ours, "median_ms")
        torch = rows_of("steps", case=case, side="libtorch")
        default = [row for row in torch if row["is_default"]]
        their_name, their_ms = best(torch, "median_ms")
        cells = [name, show(our_ms), show(their_ms)]
        for measure in ("median_ms", "fastest_ms", "cpu_ms"):
            ratio, rounds = ratio_of(ours, torch, measure)
            cells.append(show_ratio(ratio, rounds))
            if measure == "median_ms":
                note("training step", case, "libtorch", ratio)
        cells.append(show_ratio(*ratio_of(ours, default, "median_ms")))
        for side in ("dlib", "tinydnn"):
            ratio, rounds = ratio_of(ours, rows_of("steps", case=case, side=side), "median_ms")
            cells.append(show_ratio(ratio))
            note("training step", case, NAMES[side], ratio)
        _, cpu = best([row for row in ours if row["threads"] == 1], "cpu_ms")
        cells.append(f"{ours[0]['flop'] / cpu / 1e6 / fma_peak():.0%}")
        body.append(cells)
        settings.extend([name, side, setting, show(value)] for side, (setting, value) in
                        ((side, best(rows_of("steps", case=case, side=side), "median_ms"))
                         for side in ("gradus", "libtorch", "dlib", "tinydnn")) if setting)
    table("Training steps", "Forward, cross entropy, backward, SGD; typical (median) steps in ms, ratios of time to "
          "gradus, with the range over rounds. The share of the FMA peak is that of one thread in its processor "
          "time; it counts the flops of a dense step, of which fused pooling leaves some out.",
          ["work", "gradus, ms", "libtorch, ms", "libtorch / gradus", "fastest step", "processor time",
           "libtorch as installed", "dlib", "tiny-dnn", "share of FMA peak"], body)
    table("Best settings", "", ["work", "library", "setting", "typical step, ms"], settings)


def overhead():
    body = []
    for case in cases_of("steps", "chain"):
        ours, torch = (rows_of("steps", case=case, side=side) for side in ("gradus", "libtorch"))
        ratio, rounds = ratio_of(ours, torch, "median_ms")
        body.append([case, show(best(ours, "median_ms")[1]), show(best(torch, "median_ms")[1]), show_ratio(ratio, rounds)])
        note("small operations", case, "libtorch", ratio)
    table("Overhead", "A chain of 1000 multiplications of 16 numbers, forward and backward: ms, or µs per operation.",
          ["work", "gradus", "libtorch", "libtorch / gradus"], body)


def kernel_row(case, limit, work):
    """At one thread by processor time, which other programs do not disturb; at more by the fastest step."""
    one = lambda side: rows_of("kernels", case=case, side=side, threads=1)
    _, our_ms = best(one("gradus"), "cpu_ms")
    if math.isnan(our_ms):
        return None
    rate = one("gradus")[0][work] / our_ms / 1e6
    cells = [case, show(our_ms), show(rate), f"{rate / limit:.0%}"]
    for side in ["libtorch"] + ["eigen"] * case.startswith("gemm"):
        ratio, rounds = ratio_of(one("gradus"), one(side), "cpu_ms")
        cells.append(show_ratio(ratio, rounds))
        note("kernel, 1 thread", case, NAMES[side].split()[0], ratio)
    more = lambda side: rows_of("kernels", case=case, side=side, threads=THREADS)
    if THREADS > 1:
        cells.append(show_ratio(*ratio_of(more("gradus"), more("libtorch"), "fastest_ms")))
    return cells


def kernels():
    threads = [f"{THREADS} threads: libtorch / gradus"] if THREADS > 1 else []
    for title, prefixes, limit, work, unit, share, peers in (
            ("Matrix products", ["gemm "], fma_peak(), "flop", "GF/s", "of FMA peak", ["OpenBLAS / gradus", "Eigen / gradus"]),
            ("Convolutions", ["conv "], fma_peak(), "flop", "GF/s", "of FMA peak", ["libtorch / gradus"]),
            ("Memory-bound work", None, ceiling("triad_memory", "GB/s"), "bytes", "GB/s", "of triad", ["libtorch / gradus"])):
        cases = [case for case in cases_of("kernels") if
                 (case.startswith(tuple(prefixes)) if prefixes else not case.startswith(("gemm ", "conv ")))]
        body = [row for row in (kernel_row(case, limit, work) for case in cases) if row]
        table(title, "One thread; arrays of [256, 350] and [16, 64, 16, 16] are in the caches, and so may be above the triad of memory."
              if not prefixes else "One thread.", ["work", "gradus, ms", unit, share] + peers + threads, body)


def epochs():
    body = []
    for case in cases_of("epochs"):
        ours, torch = (rows_of("epochs", case=case, side=side) for side in ("gradus", "libtorch"))
        seconds = lambda rows, measure="seconds": statistics.median([row[measure] for row in rows]) if rows else math.nan
        ratio = seconds(torch) / seconds(ours)
        note("epoch", case, "libtorch", ratio)
        body.append([f"{case}: an epoch", show(seconds(ours)), show(seconds(torch)), show_ratio(ratio),
                     show_ratio(seconds(torch, "cpu_seconds") / seconds(ours, "cpu_seconds"))])
        for target in (0.98, 0.99) if "cnn" in case else ():
            until = [until_accuracy(rows, target) for rows in (ours, torch)]
            if all(until):
                ratio = until[1][0] / until[0][0]
                note("time to accuracy", f"{case} to {target:.0%}", "libtorch", ratio)
                body.append([f"{case}: until {target:.0%} on the test set",
                             *(f"{time:.3g} ({epoch} epochs)" for time, epoch in until), show_ratio(ratio), ""])
    table("Epochs on real data", "Seconds of training, each side in its best setting; both start from the same weights and "
          "see the same batches.", ["work", "gradus, s", "libtorch, s", "libtorch / gradus", "processor time"], body)


def until_accuracy(rows, target):
    total = 0.0
    for row in sorted((row for row in rows if row["round"] == 1), key=lambda row: row["epoch"]):
        total += row["seconds"]
        if row["accuracy"] >= target:
            return total, row["epoch"]
    return None


def memory():
    body = []
    for case in ("mlp", "cnn", "resnet18"):
        peaks = {}
        for side in ("gradus", "libtorch", "dlib", "tinydnn"):
            rows = rows_of("steps", case=case, side=side)
            if rows:  # of the leanest setting
                peaks[side] = min((row["peak_mb"], row["peak_mb"] - row["start_mb"]) for row in rows)
        if not peaks:
            continue
        text = lambda side, i: f"{peaks[side][i]:.0f}" if side in peaks else ""
        ratio = peaks["libtorch"][0] / peaks["gradus"][0] if "libtorch" in peaks else math.nan
        note("peak memory", case, "libtorch", ratio)
        body.append([case] + [f"{text(side, 0)} ({text(side, 1)})" if side in peaks else ""
                              for side in ("gradus", "libtorch", "dlib", "tinydnn")] + [show_ratio(ratio)])
    table("Peak memory of a training step", "MB (in brackets without what the libraries take before anything is done), "
          "in the leanest setting.", ["work", "gradus", "libtorch", "dlib", "tiny-dnn", "libtorch / gradus"], body)


def compile_time():
    seconds = {side: min(row["user_seconds"] for row in rows_of("compile", side=side))
               for side in ("gradus", "libtorch", "dlib", "tinydnn") if rows_of("compile", side=side)}
    body = []
    for side, value in seconds.items():
        ratio = value / seconds["gradus"]
        body.append([NAMES.get(side, side), show(value), f"{rows_of('compile', side=side)[0]['peak_mb']:.0f}", f"{ratio:.2f}"])
        if side != "gradus":
            note("compile time", "mlp program", NAMES[side].split()[0], ratio)
    table("Compile time of the MLP program", "g++ -O2, fastest run.", ["library", "user seconds", "MB", "times gradus"], body)


def ceilings():
    body = []
    for case, unit in dict.fromkeys((row["case"], row["unit"]) for row in rows_of("ceilings")):
        values = [row["value"] for row in rows_of("ceilings", case=case, unit=unit)]
        body.append([case, f"{max(values):.3g} {unit}", f"{statistics.median(values):.3g} {unit}"])
    table("Limits of this machine, measured in the same run", "", ["limit", "best", "median"], body)


def disagreements():
    """Cases whose results differ between processes by more than rounding."""
    results = collections.defaultdict(list)
    for row in RESULTS:
        if row["part"] in TOLERANCE:
            results[row["case"]].append(row)
    for case, rows in results.items():
        for index, key in enumerate(("first", "later")):
            values = [row[key] for row in rows]
            allowed = TOLERANCE[rows[0]["part"]][index] * max(abs(value) for value in values)
            if not max(values) - min(values) <= allowed:
                low, high = min(rows, key=lambda row: row[key]), max(rows, key=lambda row: row[key])
                yield (f"{case}: {key} result is {low[key]:.7g} for {low['side']} ({low['setting']}), "
                       f"{high[key]:.7g} for {high['side']} ({high['setting']})")


def chart():
    """Horizontal bars on a logarithmic scale: right of the line at 1, gradus is faster (or smaller)."""
    if not bars:
        return
    left, width, height = 380, 520, 17
    low = min(0.5, *(bar[3] for bar in bars))
    high = max(4.0, *(bar[3] for bar in bars))
    x = lambda ratio: left + width * math.log(ratio / low) / math.log(high / low)
    parts, y, group = [], 40, None
    escape = lambda text: text.replace("&", "&amp;").replace("<", "&lt;")
    for bar_group, what, peer, ratio in bars:
        if bar_group != group:
            group = bar_group
            y += 12
            parts.append(f'<text x="8" y="{y + 12}" class="group">{escape(group)}</text>')
            y += height
        start, end = sorted((x(1), x(ratio)))
        parts.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(what)}, {escape(peer)}</text>')
        parts.append(f'<rect x="{start:.1f}" y="{y + 2}" width="{end - start:.1f}" height="{height - 5}" '
                     f'class="{"won" if ratio >= 1 else "lost"}"/>')
        parts.append(f'<text x="{end + 5:.1f}" y="{y + 12}">{ratio:.2f}</text>')
        y += height
    axis = "".join(f'<line x1="{x(t):.1f}" x2="{x(t):.1f}" y1="36" y2="{y}" class="{"one" if t == 1 else "tick"}"/>'
                   f'<text x="{x(t):.1f}" y="30" text-anchor="middle">{t:g}×</text>'
                   for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if low <= t <= high)
    style = ("text{font:12px sans-serif;fill:#333}.group{font-weight:bold}.won{fill:#2f7d6d}.lost{fill:#c4572e}"
             ".tick{stroke:#ddd}.one{stroke:#333}")
    (FOLDER / "chart.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{y + 12}">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="8" y="14" class="group">time of the peer / time of gradus (memory and compile time alike)</text>'
        f'{axis}{"".join(parts)}</svg>\n')


def main():
    head = (f"{MACHINE['processor']}, {THREADS} processors, {MACHINE['isa']}, {MACHINE['compiler']}, {MACHINE['system']}; "
            f"{MACHINE['mode']} run, load {MACHINE['load_at_start']:.1f} at its start")
    lines.extend(["# gradus beside its peers", "", head + ". Ratios above 1 are gradus's gain."])
    for section in (steps, overhead, kernels, epochs, memory, compile_time, ceilings):
        section()
    table("Where gradus is slower", "", ["work", "peer", "peer / gradus"],
          [[what, peer, f"{ratio:.2f}"] for ratio, what, peer in sorted(slower)])
    wrong = list(disagreements())
    lines.extend(["", "## Same work", ""])
    lines.extend([f"- **{text}**" for text in wrong] or ["All libraries computed the same losses and results."])
    if DATA["failures"]:
        lines.extend(["", "## Failed", ""] + [f"- `{text}`" for text in DATA["failures"]])
    (FOLDER / "table.md").write_text("\n".join(lines) + "\n")
    chart()
    return 1 if wrong or DATA["failures"] else 0


sys.exit(main())
