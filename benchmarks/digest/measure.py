"""How fast a digest is made, how much memory it takes, and whether the needle is in it, on generated logs.

    python benchmarks/digest/measure.py [--megabytes 20] [--runs 3]

Every shape is digested in a process of its own. Speed is given as CPU time per line beside that of counting distinct
lines with `collections.Counter`, in the same process on the same lines: the ratio holds on any machine, the megabytes
a second only on this one. In each log one failing line hides at a third of the way; the last column says whether an
8,000-character digest shows it.
"""

import argparse
import multiprocessing
import random
import resource
import statistics
import time
from collections import Counter
from collections.abc import Iterator

from bifrost_domain.logs.digester import Budget, Digester, render
from bifrost_domain.logs.redaction import Redactor

NEEDLE = "ERROR cannot flush the journal: No space left on device"
SHAPES = ("service", "build", "uuid", "words", "json", "same", "oneline")


def rows(shape: str) -> Iterator[str]:
    """Endless lines of one shape."""
    chance = random.Random(7)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9))) for _ in range(20_000)]
    paths = [f"src/{chance.choice(words)}/{chance.choice(words)}.c" for _ in range(3_000)]
    number = 0
    while True:
        number += 1
        stamp = f"2026-11-20T10:{number // 600 % 60:02d}:{number // 10 % 60:02d}.{number % 1000:03d}Z"
        if shape == "service":
            yield f"{stamp} INFO [worker-{number % 16}] GET /v1/items/{chance.randrange(10**6)} took {number % 90} ms"
        elif shape == "build":
            yield f"{stamp} [{number % 977}/977] CC {chance.choice(paths)} -> {chance.choice(words)}.o"
        elif shape == "uuid":
            yield f"{stamp} INFO request {chance.getrandbits(128):032x} done"
        elif shape == "words":
            yield " ".join(chance.choices(words, k=9))
        elif shape == "json":
            yield f'{{"time":"{stamp}","level":"info","msg":"did {number}","trace":"{chance.getrandbits(64):016x}"}}'
        else:
            yield "WARNING x"


def log(shape: str, size: int) -> bytes:
    """About `size` bytes of one shape, with the needle at a third of the way; `oneline` has a single line."""
    if shape == "oneline":
        return b"x=1 " * (size // 4)
    kept: list[str] = []
    length = 0
    for row in rows(shape):
        if length < size // 3 <= length + len(row) + 1:
            kept.append(NEEDLE)
        kept.append(row)
        length += len(row) + 1
        if length >= size:
            return ("\n".join(kept) + "\n").encode()
    raise AssertionError("rows never end")


def measure(shape: str, size: int) -> tuple[float, float, float, bool]:
    """Megabytes a second, the ratio to counting lines, peak megabytes beyond the log itself, and the needle shown."""
    text = log(shape, size)
    began = time.process_time()
    Counter(text.split(b"\n"))
    counting = time.process_time() - began
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    digester = Digester(shape, Redactor(b"benchmark" * 4))
    for start in range(0, len(text), 1 << 18):
        digester.feed(text[start : start + (1 << 18)])
    shown = render(digester.finish(Budget(characters=8000)), 8000)
    spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return size / 1e6 / spent, spent / max(counting, 1e-6), peak / 1024, NEEDLE in shown or shape == "oneline"


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--megabytes", type=int, default=20)
    ask.add_argument("--runs", type=int, default=3)
    given = ask.parse_args()
    missed = 0
    print("shape        MB/s of CPU  x Counter  peak MB  needle")
    for shape in SHAPES:
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            runs = [pool.apply(measure, (shape, given.megabytes * 1_000_000)) for _ in range(given.runs)]
        speed, ratio, peak = (statistics.median(run[column] for run in runs) for column in range(3))
        shown = all(run[3] for run in runs)
        missed += not shown
        print(f"{shape:10} {speed:13.1f} {ratio:10.1f} {peak:8.0f}  {'shown' if shown else 'MISSED'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
