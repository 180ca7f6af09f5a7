# SPDX-License-Identifier: MIT
"""Lets gradus and PyTorch take turns on random shapes:  sweep.py <gradus's program> <the peer's program> <out> [options]

Two programs, since each library brings an OpenMP of its own, whose threads would fight in one process, and since an
environment that suits one may hurt the other. While one works, the other waits for its next request
(support/serve.hpp), and its threads sleep. support/shapes.py makes the rows. The peer may also be another build of
gradus's program, or for the models peers/models.py with the name of a library.
"""

import argparse
import csv
import itertools
import math
import os
import pathlib
import shlex
import statistics
import subprocess
import sys

import shapes

THREADS = len(os.sched_getaffinity(0))
BEHIND = 0.97
NEAR_NS = 250  # below: the two processors share a cache
AT_THE_PEAK = 0.95  # share of the FMA peak above which nothing is left to win without another algorithm
TOLERANCE = 2e-4  # of ‖difference‖ / ‖result‖
OWN_SETTINGS = ("OMP_", "OPENBLAS_", "GOMP_", "GRADUS_", "ONEDNN_", "DNNL_", "ATEN_", "MKL_", "KMP_")


class Failed(Exception):
    pass


class Server:
    """One of the programs, started anew after it has ended."""

    def __init__(self, program, settings):
        # Large tensors stay in the process. Else PyTorch's come from the system anew in each step, page by page.
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(OWN_SETTINGS)}
        self.env |= {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)} | settings
        self.program, self.process = program, None
        self.start()

    def start(self):
        self.process = subprocess.Popen(shlex.split(self.program), env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.library = self.process.stdout.readline().strip()
        if not self.library:
            raise SystemExit(f"sweep: {self.program} does not start")

    def ask(self, *words):
        request = " ".join(map(str, words))
        try:
            print(request, file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline().split()
        except BrokenPipeError:
            answer = []
        if not answer:
            self.start()
            raise Failed(f"{self.library} ended at: {request}")
        if answer[0] != "ok":
            raise Failed(f"{self.library}: {' '.join(answer[1:])}")
        return [float(word) for word in answer[1:]]


def cores(round_trip):
    return "one" if round_trip == 0 else "near" if round_trip < NEAR_NS else "apart"


def distance(a, b):
    """How far the results of two checks are apart, relative to their length: the largest of all. What should be zero is
    noise on one side, so lengths count as at least a tenth of the longest."""
    if len(a) != len(b) or not all(map(math.isfinite, a + b)):
        return math.inf
    results = [(max(a[i], b[i]), a[i + 1:i + 9], b[i + 1:i + 9]) for i in range(0, len(a), 9)]
    longest = max(length for length, _, _ in results)
    return max(math.dist(x, y) / math.sqrt(8) / max(length, longest / 10, 1e-30) for length, x, y in results)


class Sweep:
    def __init__(self, options):
        ours, theirs = {}, dict(setting.split("=", 1) for setting in options.peer_setting)
        if options.isa:
            ours["GRADUS_ISA"] = options.isa
        if options.isa == "avx2":
            theirs |= dict(ATEN_CPU_CAPABILITY="avx2", ONEDNN_MAX_CPU_ISA="AVX2", MKL_ENABLE_INSTRUCTIONS="AVX2")
        self.gradus, self.peer = Server(options.gradus, ours), Server(options.peer, theirs)
        self.peer_has_layouts = self.peer.library.startswith("PyTorch")
        name = self.peer.library.split()[0]
        self.peer_name = "other" if name == self.gradus.library.split()[0] else name
        if options.isa and self.peer_name == "other":
            self.peer = Server(options.peer, ours)
        self.options, self.peaks = options, {}

    def sides(self, row):
        yield "gradus", self.gradus, "contiguous"
        for layout in ("contiguous", "channels_last")[:1 + (self.peer_has_layouts and shapes.has_layouts(row))]:
            yield layout, self.peer, layout

    def check(self, row):
        """Both programs must compute the same. Which sides a row has, how far their results are apart, and what was left
        out: a layout in which the peer ends or is wrong (it agrees in the other one)."""
        ours, *peers = self.sides(row)
        result, apart, failures = ours[1].ask("check", "contiguous", row), {}, []
        for side in peers:
            try:
                apart[side] = distance(result, side[1].ask("check", side[2], row))
                if not apart[side] <= TOLERANCE:
                    failures.append(f"{row}: results differ by {apart[side]:.1e} ({side[0]})")
                    side[1].process.kill()  # what computes wrong may have written where it should not
                    side[1].start()
            except Failed as failure:
                failures.append(f"{row}: {failure}")
        good = [side for side in apart if apart[side] <= TOLERANCE]
        if not good:
            raise Failed("; ".join(failures))
        return [ours, *good], max(apart[side] for side in good), failures

    def turns(self, sides, row, mode, threads):
        """(median, fastest) of each turn of each side, in microseconds; every other round goes backwards."""
        taken = {name: [] for name, _, _ in sides}
        for turn in range(self.options.turns):
            for name, server, layout in sides[::-1 if turn % 2 else 1]:
                taken[name].append(server.ask("time", mode, threads, self.options.seconds, layout, row))
        return taken

    def measure(self, sides, row, mode, threads):
        """One line of the table. If the processors moved nearer or apart meanwhile, it is measured again."""
        for attempt in range(5):
            peak = self.gradus.ask("fma_peak", threads)[0]
            before = self.gradus.ask("round_trip")[0]
            taken = self.turns(sides, row, mode, threads)
            after = self.gradus.ask("round_trip")[0]
            if cores(before) == cores(after):
                break
        typical = {name: statistics.median(median for median, _ in turns) for name, turns in taken.items()}
        fastest = {name: min(fast for _, fast in turns) for name, turns in taken.items()}
        ours, ours_fastest = typical.pop("gradus"), fastest.pop("gradus")
        layout = min(typical, key=typical.get)
        peak = self.peaks[threads] = max(peak, self.peaks.get(threads, 0))
        share = lambda time: shapes.flop(row, mode) / time * 1e-3 / peak
        return dict(family=row.split()[0], row=row, mode=mode, threads=threads, ratio=typical[layout] / ours,
                    fastest_ratio=min(fastest.values()) / ours_fastest, gradus_us=ours, peer_us=typical[layout],
                    gradus_fastest_us=ours_fastest, peer_fastest_us=min(fastest.values()), layout=layout,
                    share=share(ours), peer_share=share(typical[layout]), fma_peak=peak,
                    cores=cores(before) if cores(before) == cores(after) else "changing", round_trip_ns=before,
                    round_trip_after_ns=after, attempts=attempt + 1)


def geometric_mean(numbers):
    return math.exp(statistics.fmean(math.log(number) for number in numbers))


def summary(lines, peer):
    """The table of one family, mode and number of threads: what is worst first."""
    ratios = [line["ratio"] for line in lines]
    behind = [line for line in lines if line["ratio"] < BEHIND]
    at_the_peak = sum(line["peer_share"] >= AT_THE_PEAK for line in behind)
    first, states = lines[0], [line["cores"] for line in lines]
    yield (f"{first['family']}, {first['mode']}, {first['threads']} thread{'s' * (first['threads'] > 1)}: "
           f"geometric mean {geometric_mean(ratios):.2f} (of the fastest steps "
           f"{geometric_mean([line['fastest_ratio'] for line in lines]):.2f}), {len(behind)} of {len(lines)} behind "
           f"({len(behind) / len(lines):.0%}), worst {min(ratios):.2f}")
    if at_the_peak:
        yield f"    {at_the_peak} of those behind where {peer} runs at {AT_THE_PEAK:.0%} of the FMA peak or more"
    if shares := [line["share"] for line in lines if line["share"]]:
        theirs = statistics.median(line["peer_share"] for line in lines if line["share"])
        yield f"    share of the FMA peak, median: gradus {statistics.median(shares):.0%}, {peer} {theirs:.0%}"
    yield "    cores: " + ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    yield f"    ratio  fastest     gradus    {peer:>7}  of the peak  layout         cores     row"
    for line in sorted(lines, key=lambda line: line["ratio"])[:10]:
        shares = f"{line['share']:4.0%} {line['peer_share']:4.0%}" if line["share"] else ""
        yield (f"    {line['ratio']:5.2f}  {line['fastest_ratio']:7.2f} {line['gradus_us']:8.1f} µs "
               f"{line['peer_us']:8.1f} µs  {shares:11}  {line['layout']:13}  {line['cores']:8}  {line['row']}")


def gains(lines, mode):
    """What several threads gain over one, near and apart; the row with the least gain of those above 100 µs."""
    alone = {line["row"]: line["gradus_us"] for line in lines if line["mode"] == mode and line["threads"] == 1}
    together = [line for line in lines if line["mode"] == mode and line["threads"] > 1 and line["row"] in alone]
    gain = lambda line: alone[line["row"]] / line["gradus_us"]
    for state in sorted({line["cores"] for line in together}):
        there = [line for line in together if line["cores"] == state]
        text = (f"{there[0]['family']}, {mode}: {there[0]['threads']} threads of gradus, cores {state}, gain "
                f"{geometric_mean(map(gain, there)):.2f} over one ({len(there)} rows)")
        if long := [line for line in there if alone[line["row"]] > 100]:
            worst = min(long, key=gain)
            text += f"; of {len(long)} above 100 µs the least is {gain(worst):.2f}: {worst['row']}"
        yield text


def arguments():
    parser = argparse.ArgumentParser(description="gradus and PyTorch on random shapes, in turns", add_help=False)
    parser.add_argument("gradus")
    parser.add_argument("peer")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--family", action="append", choices=[*shapes.FAMILIES, "model"])
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--row", action="append", help="a row as the table writes it, instead of random ones")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--mode", action="append", choices=["forward", "step"])
    parser.add_argument("--isa", choices=["avx2", "avx512"])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.03)
    parser.add_argument("--peer-setting", action="append", default=[], metavar="NAME=VALUE")
    return parser.parse_args()


def main():
    options = arguments()
    threads = [options.threads] if options.threads else sorted({1, THREADS})
    rows = options.row or [row for family in options.family or (*shapes.FAMILIES, "model")
                           for row in shapes.rows(family, options.rows, options.seed)]
    sweep, lines, failures, notes = Sweep(options), [], [], []
    print(f"{sweep.gradus.library} and {sweep.peer.library}, seed {options.seed}, {options.turns} turns of "
          f"{options.seconds} s; ratio: the latter's time / gradus's, behind: below {BEHIND}; on one thread processor time",
          flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    with open(options.out / "sweep.csv", "w", newline="", encoding="utf-8") as file:
        writer = None
        for family, members in itertools.groupby(rows, key=lambda row: row.split()[0]):
            start = len(lines)
            for row in members:
                try:
                    sides, apart, left_out = sweep.check(row)
                    notes.extend(left_out)
                    for mode, count in itertools.product(options.mode or ("forward", "step"), threads):
                        if mode == "forward" and family in ("optimizer", "model"):
                            continue
                        lines.append(dict(sweep.measure(sides, row, mode, count), difference=apart))
                        if writer is None:
                            writer = csv.DictWriter(file, lines[-1].keys())
                            writer.writeheader()
                        writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value
                                         for key, value in lines[-1].items()})
                        file.flush()
                except Failed as failure:
                    failures.append(f"{row}: {failure}")
            kind = lambda line: (line["mode"], line["threads"])
            for _, same in itertools.groupby(sorted(lines[start:], key=kind), key=kind):
                print("", *summary(list(same), sweep.peer_name), sep="\n", flush=True)
            for text in itertools.chain(*(gains(lines[start:], mode) for mode in ("forward", "step"))):
                print("", text, sep="\n", flush=True)
    for note in notes:
        print("left out: " + note, file=sys.stderr)
    for failure in failures:
        print("failed: " + failure, file=sys.stderr)
    print(f"\n{options.out / 'sweep.csv'} has all {len(lines)} lines")
    sys.exit(bool(failures))


main()
