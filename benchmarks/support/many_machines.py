# SPDX-License-Identifier: MIT
"""A model of data-parallel training, measured and checked on this machine:

    many_machines.py <out> --program many_machines --mpirun mpirun [options]

many_machines.cpp measures; this lets its processes take turns, fits the messages, predicts, and writes results.json,
table.md and chart.svg. docs/scaling.md has the formulas, `class Model` is where they are computed.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CORES = len(os.sched_getaffinity(0))
NAMES = {"mlp": "MLP", "cnn": "CNN", "resnet18": "ResNet-18"}
SHARDS, BUCKET = 8, 25 << 20  # gradus's defaults
LOCAL = (1, 2, 4)  # processes on this machine
NODES = [2 ** k for k in range(13)]
PRINTED = [n for n in NODES if n >= 16]
NODE_SHARDS = 8  # of each node, where the batch grows with the nodes
SMALL = 4  # short messages at each level of the tree: two texts, each after its length

# Assumptions about networks: latency in microseconds of a message between two programs, over a switch or two, with
# TCP; and of the Gbit/s on the cable, what one program gets in each direction while both send.
NETWORKS = {"10 GbE": (30, 9.4), "100 GbE": (15, 80)}

PAYS = 0.5  # efficiency below which more nodes are said to stop paying


class Machine:
    """What was measured, in ms: `typical` times, the `fastest` ones, or those of the `processor`."""

    def __init__(self, results, which):
        self.key = {"typical": "median_ms", "fastest": "fastest_ms", "processor": "cpu_ms"}[which]
        self.pick = {"typical": statistics.median, "fastest": min, "processor": statistics.median}[which]
        self.results = results
        self.pieces = fit([(size, self.time(part="message", bytes=size)) for size in
                           sorted({row["bytes"] for row in results if row["part"] == "message"})])

    def rows(self, **fields):
        return [row for row in self.results if all(row.get(key) == value for key, value in fields.items())]

    def time(self, **fields):
        return self.pick([row[self.key] for row in self.rows(**fields)])

    def message(self, size):
        """ms of an exchange of so many bytes between two processes here."""
        for most, alpha, beta in self.pieces:
            if size <= most:
                break
        return alpha + beta * size


def line(points):
    """α and β of α + β · n, with the least squares of relative errors, and the largest of them. Neither is below 0."""
    best = None
    for fixed in (None, "alpha", "beta"):
        sums = [0.0] * 5
        for n, t in points:
            for i, term in enumerate((1, n, n * n, t, n * t)):
                sums[i] += term / (t * t)
        one, x, xx, y, xy = sums
        if fixed == "alpha":
            alpha, beta = 0.0, xy / xx
        elif fixed == "beta":
            alpha, beta = y / one, 0.0
        else:
            scale = one * xx - x * x
            alpha, beta = (y * xx - x * xy) / scale, (one * xy - x * y) / scale
        error = max(abs(alpha + beta * n - t) / t for n, t in points)
        if alpha >= 0 and beta >= 0 and (best is None or error < best[2]):
            best = alpha, beta, error
    return best


def fit(points, tolerance=0.1, most_pieces=4):
    """[(largest size, α, β)]: as few pieces as keep to the tolerance, each of at least three sizes."""
    best = {}  # (number of pieces, end) -> (largest error, pieces)
    for end in range(3, len(points) + 1):
        for begin in [0, *range(3, end - 2)]:
            alpha, beta, error = line(points[begin:end])
            piece = (points[end - 1][0], alpha, beta)
            for count in range(1, most_pieces + 1):
                before = (0.0, []) if begin == 0 and count == 1 else best.get((count - 1, begin)) if begin else None
                if before and max(before[0], error) < best.get((count, end), (math.inf,))[0]:
                    best[count, end] = max(before[0], error), before[1] + [piece]
    whole = [best[count, len(points)] for count in range(1, most_pieces + 1) if (count, len(points)) in best]
    return next((pieces for error, pieces in whole if error <= tolerance), min(whole)[1])


class Model:
    """Time of a step of one model of the suite. Times in ms, sizes in bytes."""

    def __init__(self, machine, name, processes=1, threads=1, speed=1.0):
        part = lambda what: machine.time(part=what, model=name, processes=processes, threads=threads) / speed
        self.forward, self.shard_time = part("forward"), part("forward and backward")
        self.update, self.add, self.mean = part("update"), part("add"), part("mean")
        self.fold = max(0.0, (part("six levels") - part("one level")) / 5)  # pack, unpack and add what came
        row = machine.rows(part="forward", model=name)[0]
        self.bytes, self.shard = row["bytes"], row["shard"]

    def compute(self, shards):
        """Of one process with so many shards, but for what the levels of the tree cost."""
        return shards * self.shard_time + (shards - 1) * self.add + self.mean + self.update

    def buckets(self):
        full, rest = divmod(self.bytes, BUCKET)
        return [BUCKET] * full + [rest] * (rest > 0)

    def doubling(self, processes, message):
        """Whole gradients at each level of the tree: what gradus does."""
        level = self.fold + SMALL * message(64) + sum(message(size) for size in self.buckets())
        return math.log2(processes) * level

    def scatter(self, processes, message):
        """Along the same tree, half of what is left at each level, and back: reduce-scatter and all-gather."""
        levels = [self.bytes / 2 ** k for k in range(1, int(math.log2(processes)) + 1)]
        return sum(2 * message(size) + SMALL * message(64) + self.fold * size / self.bytes for size in levels)

    def work(self, processes, message):
        """Of one process in a step of SHARDS shards, on a core of its own."""
        return self.compute(SHARDS // processes) + self.doubling(processes, message)

    def here(self, processes, message):
        """Such a step, where processes share the cores: each core has the work of processes / cores of them, and it
        carries their messages too."""
        return max(1.0, processes / CORES) * self.work(processes, message)

    def step(self, nodes, shards, network, exchange="doubling", overlap=False):
        """A step with so many shards on each node."""
        latency, gigabits = network
        message = lambda size: latency * 1e-3 + size / (gigabits * 1e9 / 8) * 1e3
        exposed = getattr(self, exchange)(nodes, message)
        if overlap:  # behind the backward pass of the last shard, but for the last bucket
            backward = self.shard_time - self.forward
            exposed = max(exposed - backward, exposed / max(1, len(self.buckets())))
        return self.compute(shards) + exposed


# Measuring


class Runner:
    def __init__(self, options):
        self.options, self.results = options, []
        # Of Open MPI: start as root and more processes than processors, and bind none to a core.
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_", "GRADUS_"))}
        self.env |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                     "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
                     "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
                     "PRTE_MCA_hwloc_default_binding_policy": "none"}

    def run(self, processes, *words, **fields):
        command = [self.options.mpirun, "-n", processes, self.options.program, *words]
        done = subprocess.run(list(map(str, command)), env=self.env, capture_output=True, text=True, timeout=600)
        rows = [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")]
        if done.returncode or not rows:
            sys.exit(f"many_machines: {' '.join(map(str, command))}: {done.stderr.strip() or 'printed nothing'}")
        self.results += [{"processes": processes, **row, **fields} for row in rows]
        return rows


def measure(options):
    runner, quick = Runner(options), options.quick
    say = lambda text: print(f"==> {text}", file=sys.stderr, flush=True)
    seconds, rounds = 0.2 if quick else 0.6, options.rounds or (3 if quick else 7)
    load = os.getloadavg()[0]
    for turn in range(rounds):
        say(f"round {turn + 1} of {rounds}")
        if turn < 3:
            runner.run(2, "messages", 1 << (24 if quick else 28))
        for name in options.models:
            for processes, threads in dict.fromkeys([(1, 1), (CORES, 1), (1, CORES)]):
                rows = runner.run(processes, "parts", name, threads, seconds, threads=threads)
            shard = next(row["fastest_ms"] for row in rows if row["part"] == "forward and backward")
            steps = min(100, max(6, int(1e3 * seconds / (SHARDS * shard))))
            for processes in LOCAL[::-1 if turn % 2 else 1]:
                runner.run(processes, "steps", name, SHARDS, steps, threads=1)
            for threads in dict.fromkeys((1, CORES)):
                runner.run(1, "cost", name, threads, 2 * seconds, threads=threads)
    processor = next((text.split(": ")[1].strip() for text in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                      if text.startswith("model name")), platform.processor())
    library = subprocess.run([options.mpirun, "--version"], capture_output=True, text=True).stdout.splitlines()
    name = next((text for text in library if "MPI" in text or "HYDRA" in text), "MPI")
    return dict(machine=dict(processor=processor, cores=CORES, mpi=name.replace("mpirun (", "").replace(")", ""), load=load,
                             mode="quick" if quick else "full"), results=runner.results)


# What is printed


def show(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(title, text, head, body):
    yield from ["", f"### {title}", ""]
    if text:
        yield from [text, ""]
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    yield from ("| " + " | ".join(map(str, row)) + " |" for row in body)


def messages(typical):
    body, begin = [], 0
    for most, alpha, beta in typical.pieces:
        rate = f"{1e-6 / beta:.2f}" if beta else "–"
        body.append([f"{size_text(begin)} to {size_text(most)}", show(alpha * 1e3), rate])
        begin = most
    yield from table("Messages between two processes here", "World::exchange in both directions at once: α + n / bandwidth.",
                     ["bytes", "α, µs", "GB/s each way"], body)


def size_text(size):
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:g} {name}"
    return f"{size:g}"


def parts(machine, models):
    body = []
    for name in models:
        one, all_ = Model(machine, name), Model(machine, name, threads=CORES)
        body.append([NAMES[name], one.shard, f"{one.bytes * 1e-6:.1f} MB", show(one.shard_time), show(all_.shard_time),
                     *(show(value) for value in (one.add, one.fold, one.mean, one.update))])
    yield from table("Parts of a step", "ms; one thread but where it says otherwise.",
                     ["model", "examples in a shard", "gradients", "forward + backward", f"on {CORES} threads", "add", "level",
                      "mean", "update"], body)


def prediction(typical, fastest, processor, models):
    body, worst = [], 0.0
    for name in models:
        for processes in LOCAL:
            cells = []
            for machine in (typical, fastest, processor):
                model = Model(machine, name, min(processes, CORES))
                predicted = (processes * model.work(processes, machine.message) if machine is processor else
                             model.here(processes, machine.message))
                measured = machine.time(part="step", model=name, processes=processes)
                cells += [show(predicted), show(measured), f"{predicted / measured:.2f}"]
                if machine is typical:
                    worst = max(worst, abs(predicted / measured - 1))
            body.append([NAMES[name], processes, *cells])
    head = [f"{kind}{what}" for kind in ("", "fastest: ", "processors: ") for what in ("predicted", "measured", "ratio")]
    yield from table("Predicted and measured here", f"Steps of {SHARDS} shards, one thread in each process, {CORES} cores; ms: "
                     "medians, the fastest, and the processor time of all processes together. Medians are off by at most "
                     f"{worst:.0%}; asked: 25 %.", ["model", "processes"] + head, body)


def costs(typical, fastest, processor, models):
    body = []
    for name in models:
        for threads in dict.fromkeys((1, CORES)):
            pick = lambda machine, case: machine.time(part="cost", model=name, case=case, threads=threads)
            ratios = [f"{pick(machine, case) / pick(machine, 'plain'):.2f}" for case in ("1 shard", "8 shards")
                      for machine in (typical, fastest, processor)]
            batch = typical.rows(part="cost", model=name)[0]["batch"]
            body.append([NAMES[name], batch, threads, show(pick(typical, "plain")), *ratios])
    head = [f"{case}{kind}" for case in ("1 shard", "8 shards") for kind in ("", ", fastest", ", processor time")]
    yield from table("What shards cost in one process", "A step / a plain step of the same batch.",
                     ["model", "batch", "threads", "plain, ms"] + head, body)
    body = []
    for name in models:
        cpu = {processes: processor.time(part="step", model=name, processes=processes) for processes in LOCAL}
        body.append([NAMES[name], show(cpu[1]), *(f"{cpu[processes] / cpu[1]:.2f}" for processes in LOCAL[1:])])
    yield from table("Processor time of a step", "Of all processes together, / that of one process that does the same work.",
                     ["model", "1 process, ms"] + [f"{processes} processes" for processes in LOCAL[1:]], body)


def curve(model, networks, network, exchange, fixed, overlap=False):
    """[(nodes, ms, speed-up, efficiency)]. fixed: shards of a step altogether, else NODE_SHARDS on each node."""
    one, rows = model.compute(fixed or NODE_SHARDS), []
    for nodes in NODES:
        if fixed and nodes > fixed:
            break
        time = model.step(nodes, fixed // nodes if fixed else NODE_SHARDS, networks[network], exchange, overlap)
        speedup = one / time * (1 if fixed else nodes)
        rows.append((nodes, time, speedup, speedup / nodes))
    return rows


EXCHANGES = {"doubling": "doubling", "scatter": "reduce-scatter"}


def most_nodes(rows):
    """Until where it pays."""
    paying = [nodes for nodes, *_, efficiency in rows if efficiency >= PAYS]
    return f"{paying[-1]}" + (" (all)" if paying[-1] == rows[-1][0] else "")


def shards_of(model, options):
    """Of a fixed batch: the greatest power of two that does not make it larger."""
    return 2 ** int(math.log2(max(1, options.global_batch // model.shard)))


def scaling(models, options):
    for fixed in (True, False):
        for name, model in models.items():
            shards = shards_of(model, options) if fixed else 0
            body = []
            for network in options.networks:
                for exchange in EXCHANGES:
                    rows = curve(model, options.networks, network, exchange, shards)
                    cells = [f"{show(time)} ms, {show(speedup)} ×, {efficiency:.0%}" for nodes, time, speedup, efficiency
                             in rows if nodes in PRINTED]
                    cells += ["–"] * (len(PRINTED) - len(cells))
                    body.append([network, EXCHANGES[exchange], *cells])
            title = (f"{NAMES[name]}, a fixed batch of {shards * model.shard} in {shards} shards" if fixed else
                     f"{NAMES[name]}, a batch that grows: {NODE_SHARDS * model.shard} on each node")
            yield from table(title, f"Time of a step, gain over one node ({show(model.compute(shards or NODE_SHARDS))} ms), "
                             "efficiency." + (" There is no node without a shard." if fixed else ""),
                             ["network", "exchange"] + [f"{nodes} nodes" for nodes in PRINTED], body)
    body = []
    for fixed in (True, False):
        for name, model in models.items():
            for exchange in EXCHANGES:
                cells = []
                for network in options.networks:
                    for overlap in (False, True):
                        rows = curve(model, options.networks, network, exchange,
                                     shards_of(model, options) if fixed else 0, overlap)
                        cells.append(most_nodes(rows))
                body.append(["fixed" if fixed else "grows", NAMES[name], EXCHANGES[exchange], *cells])
    yield from table("Where it stops paying", f"The most nodes with an efficiency of at least {PAYS:.0%}; in brackets if that is "
                     "as far as the shards, or this table, go. Today gradus is doubling without overlap.",
                     ["batch", "model", "exchange"] + [f"{network}{text}" for network in options.networks
                                                       for text in ("", ", overlapped")], body)


def chart(models, options, path):
    """Gain over nodes, both on logarithmic scales: a row of panels for the fixed batch, one for the growing."""
    size, gap, left, top = 250, 50, 48, 64
    width, height = left + len(models) * (size + gap), top + 2 * (size + gap) + 30
    last = math.log2(NODES[-1])
    colors = ["#c4572e", "#2f7d6d", "#5b6abf", "#8a6d3b"]
    out = []
    legend = [("ideal", "ideal")] + [(f"{network}, {EXCHANGES[exchange]}", f'line" stroke="{colors[i % 4]}" stroke-dasharray='
               f'"{"none" if exchange == "doubling" else "5 3"}') for i, network in enumerate(options.networks)
              for exchange in EXCHANGES]
    for i, (text, look) in enumerate(legend):
        x = 8 + i * 168
        out.append(f'<line x1="{x}" x2="{x + 22}" y1="28" y2="28" class="{look}"/><text x="{x + 27}" y="32">{text}</text>')
    for row, fixed in enumerate((True, False)):
        for column, (name, model) in enumerate(models.items()):
            x0, y0 = left + column * (size + gap), top + row * (size + gap)
            x = lambda nodes: x0 + size * math.log2(nodes) / last
            y = lambda gain: y0 + size * (1 - math.log2(gain) / last)
            shards = shards_of(model, options) if fixed else 0
            title = f"{NAMES[name]}, batch {shards * model.shard}" if fixed else \
                f"{NAMES[name]}, batch {NODE_SHARDS * model.shard} × nodes"
            out.append(f'<text x="{x0}" y="{y0 - 6}" class="group">{title}</text>')
            for tick in NODES[::2]:
                out.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{y0}" y2="{y0 + size}" class="tick"/>'
                           f'<line x1="{x0}" x2="{x0 + size}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" class="tick"/>'
                           f'<text x="{x(tick):.1f}" y="{y0 + size + 14}" text-anchor="middle">{tick}</text>'
                           f'<text x="{x0 - 5}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick}</text>')
            out.append(f'<line x1="{x0}" y1="{y0 + size}" x2="{x0 + size}" y2="{y0}" class="ideal"/>')
            for i, network in enumerate(options.networks):
                for exchange in EXCHANGES:
                    points = " ".join(f"{x(nodes):.1f},{y(max(1, gain)):.1f}" for nodes, _, gain, _ in
                                      curve(model, options.networks, network, exchange, shards))
                    dashes = "" if exchange == "doubling" else ' stroke-dasharray="5 3"'
                    out.append(f'<polyline points="{points}" class="line" stroke="{colors[i % 4]}"{dashes}/>')
    style = ("text{font:12px sans-serif;fill:#333}.group{font-weight:bold}.tick{stroke:#ddd}.ideal{stroke:#888;"
             "stroke-dasharray:1 3}.line{fill:none;stroke-width:2}")
    width = max(width, 8 + len(legend) * 168)
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"><style>{style}</style>'
                    f'<rect width="100%" height="100%" fill="#fff"/><text x="8" y="14" class="group">gain over one node / '
                    f'nodes (a model; checked on processes of one machine)</text>{"".join(out)}</svg>\n')


def publish(text, out):
    begin, end = "<!-- figures: written by benchmarks/many_machines.sh -->", "<!-- end of figures -->"
    page = ROOT / "docs/scaling.md"
    before, _, rest = page.read_text().partition(begin)
    _, marker, after = rest.partition(end)
    if not marker:
        sys.exit(f"{page} lacks the markers {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n![Gain over nodes](many-machines-speedup.svg)\n\n{text}\n{end}{after}")
    (ROOT / "docs/many-machines-speedup.svg").write_text((out / "chart.svg").read_text())


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], add_help=False)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--mpirun", default="mpirun")
    parser.add_argument("--program")
    parser.add_argument("--from", dest="source", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--publish", action="store_true")
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(NAMES))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--global-batch", type=int, default=8192)
    parser.add_argument("--network", action="append", default=[])
    parser.add_argument("--node-speed", type=float, default=1.0)
    options = parser.parse_args()
    if unknown := set(options.models) - set(NAMES):
        parser.error(f"no model {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    try:
        options.networks = {name: (float(latency), float(rate)) for name, latency, rate in
                            (text.split(":") for text in options.network)} or NETWORKS
    except ValueError:
        parser.error('--network "name:latency in µs:Gbit/s"')
    return options


def main():
    options = arguments()
    data = json.loads(options.source.read_text()) if options.source else measure(options)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(json.dumps(data, indent=1))
    views = [Machine(data["results"], which) for which in ("typical", "fastest", "processor")]
    typical = views[0]
    names = [name for name in options.models if typical.rows(part="step", model=name)]
    nodes = {name: Model(typical, name, threads=CORES, speed=options.node_speed) for name in names}
    machine = data["machine"]
    networks = "; ".join(f"{name}: {latency:g} µs, {rate:g} Gbit/s" for name, (latency, rate) in options.networks.items())
    text = "\n".join([
        f"{machine['processor']}, {machine['cores']} cores, {machine['mpi']}; {machine['mode']} run, load {machine['load']:.1f} at "
        f"its start. A node is {options.node_speed:g} × this machine. {networks}.",
        *messages(typical), *parts(typical, names), *prediction(*views, names), *costs(*views, names),
        *scaling(nodes, options), ""])
    (options.out / "table.md").write_text(text)
    chart(nodes, options, options.out / "chart.svg")
    if options.publish:
        publish(text, options.out)
    print(text)
    print(f"==> {options.out}/results.json, table.md, chart.svg", file=sys.stderr)


if __name__ == "__main__":
    main()
