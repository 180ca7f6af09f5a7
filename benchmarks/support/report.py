# SPDX-License-Identifier: MIT
"""Turns results.json into table.md and chart.svg:  report.py <folder> [--publish]

A process times many steps. Its `median_ms` is what a user sees. Its `fastest_ms` and its `cpu_ms` (processor time per
step, of all threads) hardly feel other programs and tell more on a busy machine. Figures are medians over rounds.
--publish also puts the tables and the chart in docs/, and the figures where README.md and the pages there name them.
"""

import collections
import json
import math
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = pathlib.Path(sys.argv[1])
DATA = json.loads((FOLDER / "results.json").read_text())
MACHINE, RESULTS = DATA["machine"], DATA["results"]
THREADS = MACHINE["processors"]
NAMES = {"gradus": "gradus", "libtorch": "libtorch 1.13", "dlib": "dlib", "tinydnn": "tiny-dnn", "eigen": "Eigen",
         "openblas": "OpenBLAS", "onednn": "oneDNN", "include": "bare include of gradus", "readme": "README program",
         "compiled": "README program, gradus::compiled"}
STEPS = {"mlp": "MLP 784-350-250-150-50-10, batch 256", "cnn": "CNN on 28×28, batch 100",
         "resnet18": "ResNet-18 on 32×32, batch 16"}
STEP_TOLERANCE, KERNEL_TOLERANCE, PRECISION_TOLERANCE = (1e-4, 2e-3), (2e-3, 2e-3), (1e-2, 3e-2)  # first, later result

lines, bars = [], []  # bars: (group, work, peer, ratio)
slower = collections.defaultdict(list)  # work -> (ratio, peer)


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


def share_of(rows, work, limit):
    """The rate of processor time as a share of `limit`, and the same in each round."""
    if not rows:
        return math.nan, []
    share = lambda ms: rows[0][work] / ms / 1e6 / limit
    name, ms = best(rows, "cpu_ms")
    return share(ms), [share(row["cpu_ms"]) for row in rows if row["setting"] == name]


def ceiling(name, unit, threads=1):
    values = [row["value"] for row in rows_of("ceilings", case=f"{name}/threads:{threads}", unit=unit)]
    return max(values) if values else math.nan


def fma_peak(isa=MACHINE["isa"], threads=1):
    return ceiling(f"fma_peak/{isa}", "GF/s", threads)


def triad(size):
    """Of the level of memory in which so many bytes lie; and which that is."""
    level = ("L1" if size <= 24 * 1024 else "L2" if size <= MACHINE["l2_bytes"] else
             "L3" if size <= 16 << 20 else "memory")
    return ceiling(f"triad_{level.lower()}", "GB/s"), level


def show(value, digits=3):
    return "" if value is None or math.isnan(value) else f"{value:.0f}" if value >= 1000 else f"{value:.{digits}g}"


def spread(rounds, form=".2f"):
    return f" ({min(rounds):{form}} to {max(rounds):{form}})" if len(rounds) > 1 else ""


def is_loss(ratio):
    return not math.isnan(ratio) and round(ratio, 2) < 1


def show_ratio(ratio, rounds=()):
    """Bold where gradus is ahead, ▼ where it is behind."""
    if math.isnan(ratio):
        return ""
    return (f"{ratio:.2f} ▼" if is_loss(ratio) else f"**{ratio:.2f}**") + spread(rounds)


def show_share(share, rounds=()):
    return "" if math.isnan(share) else f"{share:.0%}{spread(rounds, '.0%')}"


def table(title, text, head, body):
    if not body:
        return
    lines.extend(["", f"## {title}", ""] + ([text, ""] if text else []))
    lines.append("| " + " | ".join(head) + " |")
    lines.append("|" + "---|" * len(head))
    lines.extend("| " + " | ".join(str(cell) for cell in row) + " |" for row in body)


def note(what, peer, ratio):
    """Remembers where gradus is slower."""
    if is_loss(ratio):
        slower[what].append((ratio, peer))


def bar(group, what, peer, ratio):
    if not math.isnan(ratio):
        bars.append((group, what, peer, ratio))


# The targets, one line each.


def target_line(what, text, goal, met):
    return [what, text or "not measured", goal, "" if not text else met if isinstance(met, str) else
            "yes" if met else "**no**"]


def at_least(what, figure, goal, show_figure, goal_text):
    value, rounds = figure
    return target_line(what, "" if math.isnan(value) else show_figure(value, rounds), goal_text,
                       value >= goal)


def ratio_target(what, figure, goal):
    return at_least(what, figure, goal, lambda ratio, rounds: f"{ratio:.2f}{spread(rounds)}", f"at least {goal}")


def share_target(what, figure, goal):
    return at_least(what, figure, goal, show_share, f"at least {goal:.0%}")


def gemm_targets():
    for case, shape in (("mlp forward 1", "256×350×784"), ("mlp weight gradient 1", "784×350×256")):
        rows = lambda side, part="kernels", **fields: rows_of(part, case=f"gemm {case}", side=side, threads=1, **fields)
        name = f"gemm {shape}, 1 thread"
        yield share_target(f"{name}: share of the FMA peak", share_of(rows("gradus"), "flop", fma_peak()), 0.82)
        for peer in ("eigen", "openblas"):
            yield ratio_target(f"{name}: {NAMES[peer]} / gradus", ratio_of(rows("gradus"), rows(peer), "cpu_ms"), 1.25)
        yield share_target(f"{name}: AVX2 only, share of the AVX2 peak",
                           share_of(rows("gradus", "isa", isa="avx2"), "flop", fma_peak("avx2")), 0.8)


def step_targets():
    rows = lambda case, **fields: rows_of("steps", case=case, **fields)
    against = lambda case, **fields: ratio_of(rows(case, side="gradus"), rows(case, side="libtorch", **fields), "median_ms")
    yield share_target("MLP step: share of the FMA peak, 1 thread",
                       share_of(rows("mlp", side="gradus", threads=1), "flop", fma_peak()), 0.75)
    yield ratio_target("MLP step: libtorch's best / gradus", against("mlp"), 2.2)
    yield ratio_target("CNN step: libtorch's best / gradus", against("cnn"), 3.5)
    yield ratio_target("CNN step: libtorch in its default layout / gradus", against("cnn", layout="contiguous"), 6)
    yield ratio_target("ResNet-18 step: libtorch's best / gradus", against("resnet18"), 1.4)


def precision_targets():
    for case in ("mlp", "resnet18"):
        rows = lambda precision: [row for row in rows_of("precision", case=case)
                                  if row["setting"].endswith(f"precision {precision}")]
        for precision, goal in (("high", 1.3), ("medium", 2.5)):
            line = ratio_target(f'{case} step: "highest" / "{precision}"',
                                ratio_of(rows(precision), rows("highest"), "cpu_ms"), goal)
            if not MACHINE["amx"]:
                line[2:] = [f"at least {goal} with AMX", line[3] and "no AMX here"]
            yield line


def overhead_target():
    ours = rows_of("steps", case="chain", side="gradus")
    value = best(ours, "median_ms")[1]  # of 1000 operations
    text = "" if math.isnan(value) else f"{value:.2f}{spread([row['median_ms'] for row in ours])} µs"
    return target_line("Overhead of an operation, forward and backward", text, "at most 0.15 µs", value <= 0.15)


def traffic_targets():
    names = ("adam", "softmax", "layer norm", "batch norm", "max pool")
    for case in cases_of("kernels"):
        if case.startswith(names) and ("[65536" in case or "128, 128]" in case):
            yield share_target(f"{case}: share of the triad in memory",
                               share_of(rows_of("kernels", case=case, side="gradus", threads=1), "bytes",
                                        ceiling("triad_memory", "GB/s")), 0.85)


def native_targets():
    for case in STEPS:
        plain, native = (rows_of("native", case=case, side=side) for side in ("gradus", "native"))
        value, rounds = ratio_of(native, plain, "cpu_ms")
        text = "" if math.isnan(value) else f"{value:.3f}{spread(rounds, '.3f')}"
        yield target_line(f"{case} step: plain -O2 / -march=native", text, "at most 1.05", value <= 1.05)


def scaling_targets():
    if THREADS < 2:
        return
    ratio = fma_peak(threads=THREADS) / fma_peak()
    for case in ("mlp", "cnn"):
        rows = rows_of("steps", case=case, side="gradus")
        figure = ratio_of([r for r in rows if r["threads"] == THREADS], [r for r in rows if r["threads"] == 1], "median_ms")
        line = ratio_target(f"{case} step: 1 thread / {THREADS} threads (the FMA peak itself: {ratio:.2f})", figure, 1.7)
        if ratio < 1.8:
            line[2:] = ["at least 1.7 on cores of their own", line[3] and "cores not their own"]
        yield line


def compile_targets():
    for side, goal in (("readme", 5), ("compiled", 2)):
        values = [row["user_seconds"] for row in rows_of("compile", side=side)]
        yield target_line(f"Compile time: {NAMES[side]}, g++ -O2", f"{min(values):.2f} s" if values else "",
                          f"at most {goal} s", bool(values) and min(values) <= goal)


def memory_target():
    peaks = step_memory("cnn")
    if not {"gradus", "libtorch"} <= peaks.keys():
        return target_line("CNN step: peak memory", "", "at most half of libtorch's", False)
    (total, own), (their_total, their_own) = peaks["gradus"], peaks["libtorch"]
    return target_line("CNN step: peak memory, gradus / libtorch",
                       f"{own / their_own:.2f} ({own:.0f} of {their_own:.0f} MB; with the libraries {total / their_total:.2f})",
                       "at most 0.5", own <= 0.5 * their_own)


def targets():
    table("Targets", "Ratios in the best setting of each side, with the range over rounds.",
          ["what", "reached", "target", "met"],
          [*gemm_targets(), *step_targets(), *precision_targets(), overhead_target(), *traffic_targets(),
           *native_targets(), *scaling_targets(), *compile_targets(), memory_target()])


# Everything else.


def steps():
    body, settings = [], []
    for case, name in STEPS.items():
        ours = rows_of("steps", case=case, side="gradus")
        if not ours:
            continue
        torch = rows_of("steps", case=case, side="libtorch")
        default = [row for row in torch if row["is_default"]]
        cells = [name, show(best(ours, "median_ms")[1]), show(best(torch, "median_ms")[1])]
        for measure in ("median_ms", "fastest_ms", "cpu_ms"):
            cells.append(show_ratio(*ratio_of(ours, torch, measure)))
        cells.append(show_ratio(*ratio_of(ours, default, "median_ms")))
        for side in ("libtorch", "dlib", "tinydnn"):
            ratio, _ = ratio_of(ours, rows_of("steps", case=case, side=side), "median_ms")
            cells += [show_ratio(ratio)] * (side != "libtorch")
            note(f"{case} step", NAMES[side], ratio)
            bar("training step", case, NAMES[side], ratio)
        cells.append(show_share(*share_of([row for row in ours if row["threads"] == 1], "flop", fma_peak())))
        body.append(cells)
        settings.extend([name, NAMES[side], setting, show(value)] for side, (setting, value) in
                        ((side, best(rows_of("steps", case=case, side=side), "median_ms"))
                         for side in ("gradus", "libtorch", "dlib", "tinydnn")) if setting)
    table("Training steps", "Forward, cross entropy, backward, SGD; typical (median) steps in ms, ratios of time to "
          "gradus, with the range over rounds. The share of the FMA peak is that of one thread in its processor "
          "time; it counts the flops of a dense step, of which fused pooling leaves some out.",
          ["work", "gradus, ms", "libtorch, ms", "libtorch / gradus", "fastest step", "processor time",
           "libtorch as installed", "dlib", "tiny-dnn", "share of FMA peak"], body)
    table("Best settings", "", ["work", "library", "setting", "typical step, ms"], settings)


def scaling():
    if THREADS < 2:
        return
    body = [[f"limit: {name}", "", "", f"{ceiling(name, unit, THREADS) / ceiling(name, unit):.2f}", ""]
            for name, unit in ((f"fma_peak/{MACHINE['isa']}", "GF/s"), ("triad_l2", "GB/s"), ("triad_memory", "GB/s"))]
    for case, name in STEPS.items():
        cells = {}
        for side in ("gradus", "libtorch"):
            rows = rows_of("steps", case=case, side=side)
            cells[side] = [[row for row in rows if row["threads"] == threads] for threads in (1, THREADS)]
        one, all_ = cells["gradus"]
        if one and all_:
            ratio, rounds = ratio_of(all_, one, "median_ms")
            theirs, _ = ratio_of(cells["libtorch"][1], cells["libtorch"][0], "median_ms")
            body.append([name, show(best(one, "median_ms")[1]), show(best(all_, "median_ms")[1]),
                         f"{ratio:.2f}{spread(rounds)}", show(theirs)])
    table(f"{THREADS} threads against 1", "What the machine itself gains stands first: two virtual processors may share "
          "a core.", ["work", "1 thread, ms", f"{THREADS} threads, ms", "gain", "libtorch's gain"], body)


def instruction_sets():
    body = []
    for case in cases_of("isa"):
        rows = {isa: rows_of("isa", case=case, isa=isa) for isa in ("baseline", "avx2", "avx512")}
        if case in STEPS or case in ("gemm mlp forward 1", "gemm mlp weight gradient 1", "gemm square 512"):
            cells = [case]
            for isa, of_isa in rows.items():
                cells.append(f"{show(best(of_isa, 'cpu_ms')[1])} ms, {show_share(*share_of(of_isa, 'flop', fma_peak(isa)))}"
                             if of_isa else "")
            body.append(cells)
    table("Instruction sets", "One thread, chosen by GRADUS_ISA: processor time, and the share of the multiply-add peak "
          "of that instruction set with the range over rounds.", ["work", "baseline (SSE2)", "AVX2", "AVX-512"], body)


def flags():
    body = []
    for case, name in STEPS.items():
        plain, native = (rows_of("native", case=case, side=side) for side in ("gradus", "native"))
        if plain and native:
            cells = [name, show(best(plain, "cpu_ms")[1]), show(best(native, "cpu_ms")[1])]
            for measure in ("cpu_ms", "fastest_ms"):
                ratio, rounds = ratio_of(native, plain, measure)
                cells.append(f"{ratio:.3f}{spread(rounds, '.3f')}")
            body.append(cells)
    table("Plain -O2 against -march=native", "One thread; the same source, two builds, taking turns.",
          ["work", "-O2, ms of processor time", "-march=native", "-O2 / native", "fastest steps"], body)


def precision():
    body = []
    for case, name in STEPS.items():
        rows = {p: [row for row in rows_of("precision", case=case) if row["setting"].endswith(f"precision {p}")]
                for p in ("highest", "high", "medium")}
        for p, of_p in rows.items():
            if of_p:
                body.append([name, p, show(best(of_p, "cpu_ms")[1]), show_ratio(*ratio_of(of_p, rows["highest"], "cpu_ms")),
                             f"{of_p[0]['first']:.5g}", f"{of_p[0]['later']:.5g}"])
    table("Precision", "One thread; the loss before the first update and after ten (ResNet-18: two).",
          ["work", "precision", "ms of processor time", "highest / this", "first loss", "later loss"], body)


def overhead():
    body = []
    for case in cases_of("steps", "chain"):
        ours, torch = (rows_of("steps", case=case, side=side) for side in ("gradus", "libtorch"))
        ratio, rounds = ratio_of(ours, torch, "median_ms")
        body.append([case, show(best(ours, "median_ms")[1]), show(best(torch, "median_ms")[1]), show_ratio(ratio, rounds)])
        note(case, NAMES["libtorch"], ratio)
        bar("small operations", case, NAMES["libtorch"], ratio)
    table("Overhead", "A chain of 1000 multiplications of 16 numbers, forward and backward: ms, or µs per operation.",
          ["work", "gradus", "libtorch", "libtorch / gradus"], body)


def kernel_peers(case, threads):
    """(name, rows) of every peer. oneDNN counts twice: on plain arrays and on those of its own layout."""
    rows = lambda **fields: rows_of("kernels", case=case, threads=threads, **fields)
    yield NAMES["libtorch"], rows(side="libtorch")
    if case.startswith("gemm "):
        yield NAMES["openblas"], rows(side="openblas")
        yield NAMES["eigen"], rows(side="eigen")
    yield NAMES["onednn"], rows(side="onednn", layout="contiguous")
    yield "oneDNN in its own layout", rows(side="onednn", layout="blocked")


def kernel_row(group, case, limit, work):
    """At one thread by processor time, which other programs do not disturb; at more by the fastest step. The lowest
    ratio on plain arrays comes first, to sort by."""
    ours = rows_of("kernels", case=case, side="gradus", threads=1)
    _, our_ms = best(ours, "cpu_ms")
    if math.isnan(our_ms):
        return None
    cells = [case, show(our_ms), show(ours[0][work] / our_ms / 1e6), limit(case, ours)]
    ratios = []
    for name, rows in kernel_peers(case, 1):
        ratio, rounds = ratio_of(ours, rows, "cpu_ms")
        cells.append(show_ratio(ratio, rounds))
        if rows:
            note(case, name, ratio)
            ratios += [(ratio, name)] * (name != "oneDNN in its own layout")
    ratio, name = min(ratios, default=(math.nan, ""))
    bar(group, case.removeprefix("conv ").removeprefix("gemm "), name, ratio)
    if THREADS > 1:
        ours = rows_of("kernels", case=case, side="gradus", threads=THREADS)
        at_all = [(*ratio_of(ours, rows, "fastest_ms"), name) for name, rows in kernel_peers(case, THREADS)
                  if ours and rows and name != "oneDNN in its own layout"]
        least, rounds, name = min(at_all, default=(math.nan, [], ""))
        cells.append(f"{show_ratio(least, rounds)} {name}".strip())
    return ratio, cells


def kernels():
    threads = [f"{THREADS} threads: best peer"] if THREADS > 1 else []
    peak = lambda case, rows: show_share(*share_of(rows, "flop", fma_peak()))

    def of_triad(case, rows):
        limit, level = triad(rows[0]["bytes"])
        return f"{show_share(share_of(rows, 'bytes', limit)[0])} of {level}"

    onednn = ["oneDNN, plain arrays", "oneDNN, its own layout"]
    for title, group, text, limit, work, unit, share, peers in (
            ("Matrix products", "gemm ", "", peak, "flop", "GF/s", "of FMA peak", ["libtorch", "OpenBLAS", "Eigen", *onednn]),
            ("Convolutions", "conv ", " oneDNN on plain arrays reorders them and the result as it needs.", peak, "flop",
             "GF/s", "of FMA peak", ["libtorch", *onednn]),
            ("Memory-bound work", "", " Bytes count once, against the triad where so many bytes lie: in a cache or in "
             "memory.", of_triad, "bytes", "GB/s", "of triad", ["libtorch", *onednn])):
        chart_group = {"gemm ": "matrix product", "conv ": "convolution"}.get(group, "memory-bound work") + ", 1 thread, best peer"
        cases = [case for case in cases_of("kernels")
                 if (case.startswith(group) if group else not case.startswith(("gemm ", "conv ")))]
        body = [row for row in (kernel_row(chart_group, case, limit, work) for case in cases) if row]
        body.sort(key=lambda row: (math.isnan(row[0]), row[0]))
        table(title, f"One thread: time of the peer / time of gradus, the greatest losses first.{text}",
              ["work", "gradus, ms", unit, share] + peers + threads, [cells for _, cells in body])


def loading():
    body = []
    for case in cases_of("loading"):
        images = 60000 if case == "epoch" else 70000
        ours, torch = (rows_of("loading", case=case, side=side) for side in ("gradus", "libtorch"))
        name, ms = best(ours, "median_ms")
        if not name:
            continue
        body.append([case, NAMES["gradus"], name, show(ms), show(images / ms / 1e3), show(ours[0]["bytes"] / ms / 1e6), ""])
        for setting in dict.fromkeys(row["setting"] for row in torch):
            rows = [row for row in torch if row["setting"] == setting]
            _, their_ms = best(rows, "median_ms")
            body.append([case, NAMES["libtorch"], setting, show(their_ms), show(images / their_ms / 1e3),
                         show(rows[0]["bytes"] / their_ms / 1e6), show_ratio(*ratio_of(ours, rows, "median_ms"))])
        ratio, _ = ratio_of(ours, torch, "median_ms")
        note(f"loading: {case}", NAMES["libtorch"], ratio)
        bar("loading data", case, NAMES["libtorch"], ratio)
    table("Loading Fashion-MNIST", "open: both sets from their files to standardized numbers. epoch: all training images "
          "once, in shuffled batches of 256. Bytes: what is read, and the numbers that are made.",
          ["work", "library", "setting", "ms", "million images/s", "GB/s", "libtorch / gradus"], body)


def epochs():
    body = []
    for case in cases_of("epochs"):
        ours, torch = (rows_of("epochs", case=case, side=side) for side in ("gradus", "libtorch"))
        ratio, rounds = ratio_of(ours, torch, "seconds")
        note(f"{case}: an epoch", NAMES["libtorch"], ratio)
        bar("epochs on real data", case, NAMES["libtorch"], ratio)
        body.append([f"{case}: an epoch", show(best(ours, "seconds")[1]), show(best(torch, "seconds")[1]),
                     show_ratio(ratio, rounds), show_ratio(ratio_of(ours, torch, "cpu_seconds")[0])])
        for target in (0.98, 0.99) if "cnn" in case else ():
            until = [until_accuracy(rows, target) for rows in (ours, torch)]
            if all(until):
                ratio = until[1][0] / until[0][0]
                note(f"{case} to {target:.0%}", NAMES["libtorch"], ratio)
                bar("epochs on real data", f"{case} to {target:.0%}", NAMES["libtorch"], ratio)
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


def step_memory(case):
    """side -> (MB at the peak, the same without what its libraries take), of the leanest setting."""
    sides = {row["side"] for row in rows_of("steps", case=case)}
    return {side: min((row["peak_mb"], row["peak_mb"] - row["start_mb"]) for row in rows_of("steps", case=case, side=side))
            for side in sides}


def memory():
    body = []
    for case, name in STEPS.items():
        peaks = step_memory(case)
        if "gradus" not in peaks:
            continue
        ratio = peaks["libtorch"][0] / peaks["gradus"][0] if "libtorch" in peaks else math.nan
        note(f"{case}: peak memory", NAMES["libtorch"], ratio)
        bar("peak memory of a step", case, NAMES["libtorch"], ratio)
        body.append([name] + [f"{peaks[side][0]:.0f} ({peaks[side][1]:.0f})" if side in peaks else ""
                              for side in ("gradus", "libtorch", "dlib", "tinydnn")] + [show_ratio(ratio)])
    table("Peak memory of a training step", "MB (in brackets without what the libraries take before anything is done), "
          "in the leanest setting.", ["work", "gradus", "libtorch", "dlib", "tiny-dnn", "libtorch / gradus"], body)


def compile_time():
    measured = {side: rows_of("compile", side=side) for side in ("gradus", "libtorch", "dlib", "tinydnn", "include",
                                                                "readme", "compiled")}
    seconds = {side: min(row["user_seconds"] for row in rows) for side, rows in measured.items() if rows}
    body = []
    for side, value in seconds.items():
        peer = side in ("libtorch", "dlib", "tinydnn")
        ratio = value / seconds["gradus"]
        body.append([NAMES[side] if side in ("include", "readme", "compiled") else f"MLP program, {NAMES[side]}",
                     f"{value:.2f}", f"{measured[side][0]['peak_mb']:.0f}", show_ratio(ratio) if peer else ""])
        if peer:
            note("compiling the MLP program", NAMES[side], ratio)
            bar("compile time", "MLP program", NAMES[side], ratio)
    table("Compile time", "g++ -O2, fastest run.", ["program", "user seconds", "MB", "peer / gradus"], body)


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
        if "first" in row:
            results[row["part"] == "precision", row["case"]].append(row)
    for (precisions, case), rows in results.items():
        step = case in STEPS or case.startswith("chain")
        tolerance = PRECISION_TOLERANCE if precisions else STEP_TOLERANCE if step else KERNEL_TOLERANCE
        for index, key in enumerate(("first", "later")):
            values = [row[key] for row in rows]
            allowed = tolerance[index] * max(abs(value) for value in values)
            if not max(values) - min(values) <= allowed:
                low, high = min(rows, key=lambda row: row[key]), max(rows, key=lambda row: row[key])
                yield (f"{case}: {key} result is {low[key]:.7g} for {low['side']} ({low['setting']}), "
                       f"{high[key]:.7g} for {high['side']} ({high['setting']})")


def chart():
    """Horizontal bars on a logarithmic scale, the longest first: right of 1, gradus is faster (or smaller)."""
    if not bars:
        return
    left, width, height = 300, 420, 17
    low = min([0.5] + [ratio for *_, ratio in bars])
    high = 20.0  # longer bars are cut there: they have their figure
    x = lambda ratio: left + width * math.log(ratio / low) / math.log(high / low)
    parts, y, group = [], 40, None
    escape = lambda text: text.replace("&", "&amp;").replace("<", "&lt;")
    groups = list(dict.fromkeys(group for group, *_ in bars))
    for bar_group, what, peer, ratio in sorted(bars, key=lambda entry: (groups.index(entry[0]), -entry[3])):
        if bar_group != group:
            group = bar_group
            y += 12
            parts.append(f'<text x="8" y="{y + 12}" class="group">{escape(group)}</text>')
            y += height
        start, end = sorted((x(1), x(min(ratio, high))))
        parts.append(f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(what)}</text>')
        parts.append(f'<rect x="{start:.1f}" y="{y + 2}" width="{end - start:.1f}" height="{height - 5}" '
                     f'class="{"won" if ratio >= 1 else "lost"}"/>')
        parts.append(f'<text x="{end + 5:.1f}" y="{y + 12}">{ratio:.2f} '
                     f'<tspan class="peer">{escape(peer)}</tspan></text>')
        y += height
    axis = "".join(f'<line x1="{x(t):.1f}" x2="{x(t):.1f}" y1="36" y2="{y}" class="{"one" if t == 1 else "tick"}"/>'
                   f'<text x="{x(t):.1f}" y="30" text-anchor="middle">{t:g}×</text>'
                   for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if low <= t <= high)
    style = ("text{font:12px sans-serif;fill:#333}.group{font-weight:bold}.won{fill:#2f7d6d}.lost{fill:#c4572e}"
             ".peer{fill:#888}.tick{stroke:#ddd}.one{stroke:#333}")
    (FOLDER / "chart.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 130}" height="{y + 12}">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="8" y="14" class="group">time of the peer / time of gradus (memory and compile time alike)</text>'
        f'{axis}{"".join(parts)}</svg>\n')


def replace_block(path, text):
    """Puts text between the markers of a page."""
    begin, end = "<!-- figures: written by benchmarks/support/report.py -->", "<!-- end of figures -->"
    page = path.read_text()
    before, _, rest = page.partition(begin)
    _, marker, after = rest.partition(end)
    if not marker:
        sys.exit(f"{path} lacks the markers {begin} and {end}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")


def publish():
    """The whole table in docs/benchmarks.md, and its figures in what is written there and in README.md."""
    page = [line.replace("## ", "### ", 1) if line.startswith("## ") else line for line in lines[2:]]
    tables = ROOT / "docs/benchmarks.md"
    replace_block(tables, "\n".join(["![Ratios to every peer](benchmarks.svg)", "", *page]))
    (ROOT / "docs/benchmarks.svg").write_text((FOLDER / "chart.svg").read_text())
    for path in (tables, ROOT / "README.md", ROOT / "docs/how-it-works.md"):
        command = ["awk", "-f", ROOT / "cmake/figures.awk", tables, path]
        path.write_text(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    machine = (f"{MACHINE['processor']}, {THREADS} processors, {MACHINE['isa']}, {MACHINE['compiler']}; {MACHINE['mode']} run, "
               f"load {MACHINE['load_at_start']:.1f} at its start")
    lines.extend(["# gradus beside its peers", "", f"{machine}. Ratios above 1 are gradus's gain, ▼ marks its losses."])
    for section in (targets, steps, scaling, precision, instruction_sets, flags, overhead, kernels, loading, epochs, memory,
                    compile_time, ceilings):
        section()
    table("Where gradus is slower", "Or larger. Each peer that is ahead, and its time / that of gradus.", ["work", "ahead"],
          [[what, ", ".join(f"{peer} {ratio:.2f}" for ratio, peer in sorted(peers))]
           for what, peers in sorted(slower.items(), key=lambda entry: min(entry[1]))])
    wrong = list(disagreements())
    lines.extend(["", "## Same work", ""])
    lines.extend([f"- **{text}**" for text in wrong] or ["All libraries computed the same losses and results."])
    if DATA["failures"]:
        lines.extend(["", "## Failed", ""] + [f"- `{text}`" for text in DATA["failures"]])
    (FOLDER / "table.md").write_text("\n".join(lines) + "\n")
    chart()
    if "--publish" in sys.argv[2:]:
        publish()
    return 1 if wrong or DATA["failures"] else 0


sys.exit(main())
