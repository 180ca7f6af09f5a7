# SPDX-License-Identifier: MIT
"""Runs the benchmark programs and keeps what they print in results.json:  suite.py <programs> <out> [--quick]

Short processes of gradus and its peers take turns, since a shared machine changes its speed within a minute. A peer
first tries every setting that may be its best; the best few, and its default, go through all rounds.
"""

import argparse
import glob
import gzip
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
THREADS = os.cpu_count()
CPUINFO = pathlib.Path("/proc/cpuinfo").read_text()
BLAS_FOLDERS = {folder.rsplit("-", 1)[1]: folder for folder in glob.glob("/usr/lib/*/openblas-*")}
# OpenBLAS knows the processors of its time only: on a newer one it may choose kernels that are far too old.
CORE_TYPES = ["default"] + [name for name, needs in (("SkylakeX", "avx512f"), ("Haswell", "avx2"), ("Zen", "AMD"))
                            if needs in CPUINFO]
ISAS = ["baseline"] + ["avx2"] * (" avx2 " in CPUINFO) + ["avx512"] * (" avx512f " in CPUINFO)
STEPS = ("mlp", "cnn", "resnet18")

BUDGETS = {  # seconds per case and rounds
    "full": dict(step=0.5, step_rounds=5, kernel=0.05, kernel_rounds=3, peer_rounds=2, trial=0.15, compile=2,
                 epoch_rounds=3, epochs=12, core_types=CORE_TYPES, kernel_threads={1, THREADS},
                 passive=(False, True), with_default=True, pair=0.3, pair_rounds=3, loading=0.3, loading_rounds=3),
    "quick": dict(step=0.2, step_rounds=2, kernel=0.01, kernel_rounds=1, peer_rounds=1, trial=0.05, compile=1,
                  epoch_rounds=1, epochs=1, core_types=CORE_TYPES[:2], kernel_threads={1},
                  passive=(False,), with_default=False, pair=0.1, pair_rounds=1, loading=0.05, loading_rounds=1),
}

# User seconds of g++ -O2 for one MLP program in each library are in compile_time/*.cpp; these are gradus's own programs.
GRADUS_FLAGS = ["-fopenmp", "-Iinclude"]
COMPILED_FLAGS = ["-DGRADUS_COMPILED"]  # what the CMake target gradus::compiled adds


def setting(threads, layout="contiguous", core_type="default", blas="pthread", passive=False, isa="", options=()):
    """What one process runs with. Debian has OpenBLAS with threads of its own, and on OpenMP."""
    return dict(threads=threads, layout=layout, core_type=core_type, blas=blas, passive=passive, isa=isa,
                options=options)


def label(s, part, side):
    words = [f"{s['threads']} thread" + "s" * (s["threads"] > 1)]
    words += ["passive waiting"] * s["passive"]
    words += [s["isa"]] * bool(s["isa"])
    words += [s["layout"].replace("_", "-")] * (s["layout"] != "contiguous")
    if side in ("libtorch", "dlib", "openblas") and part != "loading":
        words += [f"OpenBLAS {s['blas']} {s['core_type']}"]
    return ", ".join(words + [option.removeprefix("--").replace("=", " ") for option in s["options"]])


def environment(s):
    env = {key: value for key, value in os.environ.items()
           if not key.startswith(("OMP_", "OPENBLAS_", "GOMP_", "GRADUS_", "ONEDNN_", "DNNL_"))}
    env["OMP_NUM_THREADS"] = env["OPENBLAS_NUM_THREADS"] = str(s["threads"])
    # Large tensors stay in the process. Else libtorch's come from the system anew in each step, page by page.
    env["MALLOC_MMAP_THRESHOLD_"] = env["MALLOC_TRIM_THRESHOLD_"] = str(1 << 30)
    if s["passive"]:
        env["OMP_WAIT_POLICY"] = "passive"
    if s["isa"]:
        env["GRADUS_ISA"] = s["isa"]
    if s["core_type"] != "default":
        env["OPENBLAS_CORETYPE"] = s["core_type"]
    if s["blas"] in BLAS_FOLDERS:
        env["LD_LIBRARY_PATH"] = BLAS_FOLDERS[s["blas"]]
    return env


class Suite:
    def __init__(self, programs, out, budget):
        self.programs, self.out, self.budget = programs, out, budget
        self.results = []  # one per case and process
        self.failures = []
        self.torch = {}  # case -> settings

    def has(self, program):
        return (self.programs / program).exists()

    def run(self, part, round_, side, program, s, *options):
        """Runs a program and keeps the JSON that it prints, one object a line."""
        command = [self.programs / program, f"--threads={s['threads']}", *s["options"], *options]
        if program.startswith(("libtorch", "onednn")):
            command.append(f"--layout={s['layout']}")
        done = subprocess.run(command, env=environment(s), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            self.failures.append(f"{' '.join(map(str, command))}: {done.stderr.strip()[-300:]}")
            return []
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        for row in rows:
            self.results.append(dict(part=part, round=round_, side=side, setting=label(s, part, side), threads=s["threads"],
                                     layout=s["layout"], isa=s["isa"], is_default=s == setting(THREADS), **row))
        return rows

    def ceilings(self, round_):
        command = [self.programs / "ceilings", "--benchmark_format=json", "--benchmark_min_time=0.05"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
        report = json.loads(done.stdout)
        self.context = report["context"]
        for row in report["benchmarks"]:
            if "error_message" in row:
                continue
            name = row["name"].replace("/real_time", "")
            # Of one thread we want what it does while it runs, not while it waits for other programs.
            waiting = row["real_time"] / row["cpu_time"] if name.endswith("threads:1") else 1
            for unit in ("GF/s", "GB/s"):
                if unit in row:
                    self.results.append(dict(part="ceilings", round=round_, case=name, unit=unit,
                                             value=row[unit] * waiting))

    def modes(self):
        yield setting(1)
        if THREADS > 1:
            for passive in self.budget["passive"]:
                yield setting(THREADS, passive=passive)

    def blas_settings(self):
        for core_type in self.budget["core_types"]:
            yield setting(1, core_type=core_type)
            if THREADS > 1:
                for blas in BLAS_FOLDERS:
                    for passive in self.budget["passive"]:
                        yield setting(THREADS, core_type=core_type, blas=blas, passive=passive)

    def best_settings(self, case, side, program, candidates):
        """For each number of threads and way of waiting the setting that gave the fastest step, the best first; also
        the best of each layout, and in a full run the default. So a peer has as many settings as gradus to be at its
        best in when it counts."""
        tried = []
        for s in candidates:
            rows = self.run("trial", 0, side, program, s, f"--filter=={case}", f"--seconds={self.budget['trial']}")
            if rows:
                tried.append((rows[0]["fastest_ms"], len(tried), s))
        kept, covered = [], set()
        for _, _, s in sorted(tried):
            covers = {(s["threads"], s["passive"]), s["layout"]} - covered
            covered |= covers
            kept += [s] * bool(covers)
        default = setting(THREADS)
        return kept + [default] * (side == "libtorch" and self.budget["with_default"] and default not in kept)

    def libtorch_settings(self):
        """For every training step the settings to go on with, tried once."""
        if self.torch or not self.has("libtorch_steps"):
            return self.torch
        say("steps: libtorch tries its settings")
        mlp = self.best_settings("mlp", "libtorch", "libtorch_steps", self.blas_settings())
        # Convolutions are oneDNN's: OpenBLAS's part in these is small, so only its best two settings.
        blas = list(dict.fromkeys((s["core_type"], s["blas"]) for s in mlp[:2]))
        mixed = [{**mode, "layout": layout, "core_type": core_type, "blas": build}
                 for mode in self.modes() for layout in ("contiguous", "channels_last") for core_type, build in blas]
        self.torch = {"mlp": mlp, "chain": [setting(1)],
                      "cnn": self.best_settings("cnn", "libtorch", "libtorch_steps", mixed),
                      "resnet18": self.best_settings("resnet18", "libtorch", "libtorch_steps", mixed[::len(blas)])}
        return self.torch

    def steps(self):
        """Training steps and the chain of small operations, on all libraries."""
        torch = self.libtorch_settings()
        others = {}
        for side in ("dlib", "tinydnn"):
            if self.has(f"{side}_steps"):  # tiny-dnn takes too long to try much: all threads are its best
                core_type = torch["mlp"][0]["core_type"] if "mlp" in torch else "default"
                candidates = [setting(THREADS)] if side == "tinydnn" else [
                    {**mode, "core_type": core_type} for mode in self.modes()]
                others[side] = {case: candidates[0] if len(candidates) == 1 else
                                self.best_settings(case, side, f"{side}_steps", candidates)[0]
                                for case in ("mlp", "cnn")}
        for round_ in range(1, self.budget["step_rounds"] + 1):
            say(f"steps: round {round_} of {self.budget['step_rounds']}")
            if self.budget["with_default"]:
                self.ceilings(round_)
            for case in (*STEPS, "chain"):
                options = (f"--filter=={case}", f"--seconds={self.budget['step']}")
                ours = [setting(1)] if case == "chain" else list(self.modes())
                turns = max(len(ours), len(torch.get(case, [])))
                for turn in range(turns):
                    if turn < len(ours):
                        self.run("steps", round_, "gradus", "op_overhead" if case == "chain" else "steps", ours[turn], *options)
                    if self.has("libtorch_steps") and turn < len(torch[case]):
                        self.run("steps", round_, "libtorch", "libtorch_steps", torch[case][turn], *options)
                for side, best in others.items():
                    if case in best and round_ <= self.budget["peer_rounds"]:
                        self.run("steps", round_, side, f"{side}_steps", best[case], *options)

    def kernels(self):
        """Products, convolutions and work that is bound by memory, at equal numbers of threads."""
        seconds = f"--seconds={self.budget['kernel']}"
        for round_ in range(1, self.budget["kernel_rounds"] + 1):
            say(f"kernels: round {round_} of {self.budget['kernel_rounds']}")
            for threads in sorted(self.budget["kernel_threads"]):
                one = setting(threads)

                def peer(side, program, s=one, *options):
                    if self.has(program):
                        self.run("kernels", round_, side, program, s, seconds, *options)

                self.run("kernels", round_, "gradus", "gemm", one, seconds)
                peer("eigen", "eigen_gemm")
                for s in self.blas_settings():
                    if s["threads"] == threads and not s["passive"]:
                        peer("openblas", "openblas_gemm", s)
                for core_type in self.budget["core_types"]:
                    peer("libtorch", "libtorch_kernels", setting(threads, core_type=core_type), "--filter=gemm ")
                for layout in ("contiguous", "blocked"):
                    peer("onednn", "onednn_kernels", setting(threads, layout))
                for program, filter_ in (("conv2d", "conv "), ("bandwidth", "[")):
                    self.run("kernels", round_, "gradus", program, one, seconds)
                    peer("libtorch", "libtorch_kernels", one, f"--filter={filter_}")
                    peer("libtorch", "libtorch_kernels", setting(threads, "channels_last"),
                         "--filter=" + filter_.replace("[", "[16, "))

    def pairs(self):
        """gradus against itself on one thread: plain -O2 and -march=native, every precision and instruction set."""
        seconds = f"--seconds={self.budget['pair']}"
        one = setting(1)
        for round_ in range(1, self.budget["pair_rounds"] + 1):
            say(f"flags, precisions, instruction sets: round {round_} of {self.budget['pair_rounds']}")
            for case in STEPS:
                for side, program in (("gradus", "steps"), ("native", "steps_native")):
                    self.run("native", round_, side, program, one, f"--filter=={case}", seconds)
                for precision in ("highest", "high", "medium"):
                    self.run("precision", round_, "gradus", "steps", setting(1, options=(f"--precision={precision}",)),
                             f"--filter=={case}", seconds)
                for isa in ISAS:
                    self.run("isa", round_, "gradus", "steps", setting(1, isa=isa), f"--filter=={case}", seconds)
            for isa in ISAS:
                self.run("isa", round_, "gradus", "gemm", setting(1, isa=isa), f"--seconds={self.budget['kernel']}")

    def data_folders(self):
        """Fashion-MNIST as plain files, where examples/get_data.sh puts them, and the same compressed."""
        plain = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "gradus/fashion-mnist"
        zipped = self.out / "fashion-mnist-gzip"
        zipped.mkdir(exist_ok=True)
        for file in plain.glob("*-ubyte"):
            if not (zipped / f"{file.name}.gz").exists():
                (zipped / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 6))
        return plain, zipped

    def loading(self):
        """Files to numbers, and an epoch of shuffled batches."""
        plain, zipped = self.data_folders()
        seconds, source = f"--seconds={self.budget['loading']}", f"--data={plain}"
        ways = [(f"--loader={loader}", f"--workers={workers}") for loader in ("stack", "batches") for workers in (0, 2)]
        for round_ in range(1, self.budget["loading_rounds"] + 1):
            say(f"loading: round {round_} of {self.budget['loading_rounds']}")
            for s in self.modes():
                if not s["passive"]:
                    self.run("loading", round_, "gradus", "loading", s, source, f"--gzip={zipped}", seconds)
                    if self.has("libtorch_loading"):
                        self.run("loading", round_, "libtorch", "libtorch_loading", s, source, seconds, "--filter=open")
            for way in ways * self.has("libtorch_loading"):
                self.run("loading", round_, "libtorch", "libtorch_loading", setting(1, options=way), source, seconds,
                         "--filter=epoch")

    def epochs(self):
        """Whole epochs on real data; and the CNN until 98 % and 99 % on the test set."""
        say("epochs on real data")
        sides = [("gradus", "epochs")] + [("libtorch", "libtorch_epochs")] * self.has("libtorch_epochs")
        for case, step, epochs, rounds in (("fashion-mnist mlp", "mlp", 1, self.budget["epoch_rounds"]),
                                           ("mnist cnn", "cnn", self.budget["epochs"], 1)):
            ours = self.best_settings(step, "gradus", "steps", self.modes())[0]
            for round_ in range(1, rounds + 1):
                for side, program in sides:
                    s = ours if side == "gradus" else self.libtorch_settings()[step][0]
                    self.run("epochs", round_, side, program, s, f"--filter={case}", f"--epochs={epochs}", "--target=0.99")

    def compile_programs(self, folder):
        """(side, source, flags): the same MLP program in every library, and gradus's include and README program."""
        for source in sorted((ROOT / "benchmarks/compile_time").glob("*.cpp")):
            flags = next((line.removeprefix("// flags:").split() for line in source.read_text().splitlines()
                          if line.startswith("// flags:")), [])
            yield source.stem, source, flags
        include = folder / "include.cpp"
        include.write_text("#include <gradus/gradus.hpp>\n")
        yield "include", include, GRADUS_FLAGS
        snippets = subprocess.run(["awk", "-v", f"out={folder}", "-f", "cmake/doc_snippets.awk", "README.md"],
                                  cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        readme = folder / (next(line.split()[1] for line in snippets if line.startswith("program ")) + ".cpp")
        yield "readme", readme, GRADUS_FLAGS
        yield "compiled", readme, GRADUS_FLAGS + COMPILED_FLAGS

    def compile_time(self):
        """User seconds of g++ -O2."""
        say("compile time")
        with tempfile.TemporaryDirectory() as folder:
            programs = list(self.compile_programs(pathlib.Path(folder)))
            for round_ in range(1, self.budget["compile"] + 1):
                for side, source, flags in programs:
                    command = ["g++", "-std=c++20", "-O2", "-w", *flags, "-c", source, "-o", f"{folder}/object.o"]
                    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
                    _, status, used = os.wait4(process.pid, 0)
                    if status == 0:
                        self.results.append(dict(part="compile", round=round_, side=side, case="compile time",
                                                 user_seconds=used.ru_utime, peak_mb=used.ru_maxrss / 1024))
                    elif side in ("gradus", "include", "readme", "compiled"):
                        self.failures.append(" ".join(map(str, command)))

    def save(self, mode):
        model = next((line.split(":")[1].strip() for line in CPUINFO.splitlines() if line.startswith("model name")), "")
        l2 = max((cache["size"] for cache in self.context["caches"] if cache["level"] == 2), default=0)
        machine = dict(processor=model, processors=THREADS, system=platform.platform(), mode=mode,
                       load_at_start=self.load, load_at_end=os.getloadavg()[0], isa=self.context["isa"],
                       l2_bytes=l2, amx="amx_bf16" in CPUINFO, compiler=self.context["compiler"])
        report = dict(machine=machine, failures=self.failures, results=self.results)
        (self.out / "results.json").write_text(json.dumps(report, indent=0) + "\n")


def say(text):
    print(f"==> {text}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="steps,kernels,pairs,loading,epochs,compile")
    arguments = parser.parse_args()
    mode = "quick" if arguments.quick else "full"
    suite = Suite(arguments.programs, arguments.out, BUDGETS[mode])
    suite.load = os.getloadavg()[0]
    if suite.load > 0.5:
        say(f"this machine is busy (load {suite.load:.1f}): trust the ratios more than the times")
    parts = {"steps": suite.steps, "kernels": suite.kernels, "pairs": suite.pairs, "loading": suite.loading,
             "epochs": suite.epochs, "compile": suite.compile_time}
    wanted = arguments.only.split(",")
    if unknown := set(wanted) - set(parts):
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {', '.join(parts)}")
    suite.ceilings(0)
    for name in wanted:
        parts[name]()
        suite.save(mode)


main()
