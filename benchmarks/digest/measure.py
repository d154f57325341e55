"""How fast a digest is made, how much memory it takes, and whether the needle is in it, on generated logs.

    python benchmarks/digest/measure.py [--megabytes 50] [--runs 3] [--drain3 PYTHON] [--large MEGABYTES]

Every shape is written to a file and digested by `bifrost digest --max-chars 8000`, start of the program and redaction
included. What counts is CPU time (user and system) of the whole process beside that of others in the same round: of
`wc -l` on the same file, and of drain3 with masks for numbers, addresses and hexadecimal ids, the usual template miner,
on its first two megabytes (per line; `--drain3` names a Python that has it). The ratios hold on any machine, the
megabytes a second only on this one. In each log one failing line hides at a third of the way; the last column says
whether the digest shows it. `--large` also measures the wall time of one and of two processes on a log of that size.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

NEEDLE = "ERROR cannot flush the journal: No space left on device"
SHAPES = ("build", "service", "json", "uuid", "words", "same", "oneline")
DRAINED = ("build", "service", "json", "uuid")
"""drain3 compares a line with every cluster of its length: where all words are random it does not end."""
SAMPLE = 2_000_000
BIFROST = str(Path(sys.executable).with_name("bifrost"))

DRAIN3 = r"""
import logging, sys
from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig
logging.disable(logging.CRITICAL)
config = TemplateMinerConfig()
config.masking_instructions = [
    MaskingInstruction(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", "ADDRESS"),
    MaskingInstruction(r"\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{8,}\b", "HEX"),
    MaskingInstruction(r"\b\d+\b", "NUMBER"),
]
miner = TemplateMiner(config=config)
with open(sys.argv[1], errors="replace") as log:
    for line in log:
        miner.add_log_message(line.rstrip("\n"))
"""
ONE_PROCESS = """
import sys
import bifrost_domain.analysis
bifrost_domain.analysis.SHARDED_BYTES = sys.maxsize
from bifrost_entrypoints.cli.main import main
main(sys.argv[1:])
"""


class Run(NamedTuple):
    """CPU and wall seconds of a process and those it waited for, peak megabytes of the largest, what it printed."""

    cpu: float
    wall: float
    peak: float
    output: str


def run(*command: str) -> Run:
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as child:
        assert child.stdout is not None
        output = child.stdout.read()
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command[0]} failed with {child.returncode}")
    return Run(used.ru_utime + used.ru_stime, time.monotonic() - began, used.ru_maxrss / 1024, output)


def rows(shape: str) -> Iterator[str]:
    """Endless lines of one shape."""
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9))) for _ in range(20_000)]
    paths = [f"src/{chance.choice(words)}/{chance.choice(words)}.c" for _ in range(3_000)]
    number = 0
    while True:
        number += 1
        stamp = f"2026-11-20T10:{number // 600 % 60:02d}:{number // 10 % 60:02d}.{number % 1000:03d}Z"
        match shape:
            case "service":
                yield f"{stamp} INFO [worker-{number % 16}] GET /v1/items/{chance.randrange(10**6)} took {number % 90} ms"
            case "build" if number % 9:
                step = number // 9 % 4000
                yield f"{stamp} [{step}/4000] Building CXX object {paths[step % 3000]}.o ({number % 9 * 7} ms)"
            case "build":
                named = chance.choice(paths)
                yield f"{stamp} {named}:{chance.randrange(900)}: note: {' '.join(chance.choices(words, k=6))}"
            case "uuid":
                yield f"{stamp} INFO request {chance.getrandbits(128):032x} done"
            case "words":
                yield " ".join(chance.choices(words, k=9))
            case "json":
                trace = f"{chance.getrandbits(64):016x}"
                yield f'{{"time":"{stamp}","level":"info","msg":"did {number}","trace":"{trace}"}}'
            case _:
                yield "WARNING x"


def write(shape: str, size: int, path: Path) -> int:
    """A log of about `size` bytes of one shape, the needle at a third of the way (not in `oneline`); returns its lines."""
    if shape == "oneline":
        path.write_bytes(b"x=1 " * (size // 4))
        return 1
    written = lines = 0
    with path.open("w") as out:
        for row in rows(shape):
            if written < size // 3 <= written + len(row) + 1:
                out.write(NEEDLE + "\n")
                lines += 1
            out.write(row + "\n")
            written += len(row) + 1
            lines += 1
            if written >= size:
                return lines
    raise AssertionError("rows never end")


def measure(shape: str, size: int, runs: int, drain3: str | None, folder: Path) -> bool:
    """Prints the row of one shape; whether the needle was shown each time."""
    whole, part = folder / "whole.log", folder / "part.log"
    lines = write(shape, size, whole)
    part.write_bytes(whole.read_bytes()[:SAMPLE])
    drained = part.read_bytes().count(b"\n")
    found: list[tuple[float, float, float, float]] = []
    shown = True
    for _ in range(runs):
        own = run(BIFROST, "digest", "--max-chars", "8000", str(whole))
        counting = run("wc", "-l", str(whole))
        peer = run(drain3, "-c", DRAIN3, str(part)) if drain3 and shape in DRAINED else None
        ratio = (lines / own.cpu) / (drained / peer.cpu) if peer else float("nan")
        found.append((size / 1e6 / own.cpu, own.peak, ratio, own.cpu / max(counting.cpu, 0.001)))
        shown &= NEEDLE in own.output or shape == "oneline"
    speed, peak, ratio, counted = (statistics.median(run[column] for run in found) for column in range(4))
    against = f"{ratio:9.1f}" if ratio == ratio else "        -"
    print(f"{shape:9} {speed:9.1f} {peak:8.0f} {against} {counted:8.0f}  {'shown' if shown else 'MISSED'}", flush=True)
    return shown


def large(size: int, runs: int, folder: Path) -> None:
    path = folder / "large.log"
    write("build", size, path)
    ratios = []
    for _ in range(runs):
        two = run(BIFROST, "digest", "--max-chars", "8000", str(path))
        one = run(sys.executable, "-c", ONE_PROCESS, "digest", "--max-chars", "8000", str(path))
        ratios.append(two.wall / one.wall)
        print(
            f"{size // 1_000_000} MB: one process {one.wall:.1f} s, two {two.wall:.1f} s, peak {two.peak:.0f} MB",
            flush=True,
        )
    print(f"wall time of two processes to one: {statistics.median(ratios):.2f}")


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--megabytes", type=int, default=50)
    ask.add_argument("--runs", type=int, default=3)
    ask.add_argument("--drain3", metavar="PYTHON")
    ask.add_argument("--large", type=int, metavar="MEGABYTES")
    given = ask.parse_args()
    missed = 0
    print("shape      MB/s CPU  peak MB  x drain3  wc times  needle")
    with tempfile.TemporaryDirectory() as folder:
        for shape in SHAPES:
            missed += not measure(shape, given.megabytes * 1_000_000, given.runs, given.drain3, Path(folder))
        if given.large:
            large(given.large * 1_000_000, given.runs, Path(folder))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
