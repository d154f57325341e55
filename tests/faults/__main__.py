"""Runs the experiments and prints the table; exits with 1 where one of them did not end as it should."""

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.faults import Row, asking, batch, cache, keys, service, state, storage

Experiment = Callable[[Path, bool], Awaitable[list[Row]]]

EXPERIMENTS: dict[str, tuple[Experiment, ...]] = {
    "F1": (service.f1,),
    "F2": (service.f2,),
    "F3": (service.f3,),
    "F4": (service.f4,),
    "F5": (service.f5,),
    "F6": (service.f6,),
    "F7": (service.f7,),
    "F8": (service.f8,),
    "F9": (service.f9,),
    "F10": (service.f10,),
    "F11": (service.f11,),
    "F12": (service.f12,),
    "F13": (asking.f13,),
    "F14": (asking.f14,),
    "F15": (cache.f15,),
    "F16": (cache.f16,),
    "F17": (storage.f17, service.f17),
    "F18": (storage.f18, service.f18),
    "F19": (storage.f19,),
    "F20": (storage.f20,),
    "F21": (storage.f21,),
    "F22": (asking.f22, service.f22),
    "F23": (batch.f23,),
    "F24": (batch.f24,),
    "F25": (storage.f25,),
    "F26": (keys.f26,),
    "F27": (asking.f27,),
    "F28": (asking.f28, service.f28),
    "F29": (service.f29,),
    "F30": (service.f30,),
    "F32": (state.f32,),
    "KEYS": (keys.revocation,),
}
LATER = {
    "F23": "a folder of logs is stopped and resumed: with the batch command, which is not built yet",
}


async def main(names: list[str], quick: bool) -> bool:
    passed = True
    for name, experiment in [(title, run) for title in names for run in EXPERIMENTS[title]]:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="bifrost-fault-") as workdir:
            try:
                rows = await experiment(Path(workdir), quick)
            except Exception as error:  # noqa: BLE001  # an experiment that breaks is a failed one, the others go on
                traceback.print_exc()
                rows = [Row(name, "to run", f"{type(error).__name__}: {error}"[:200], False)]
        for row in rows:
            passed = passed and row.passed
            sys.stdout.write(f"{'pass' if row.passed else 'FAIL'}  {row.experiment}\n")
            sys.stdout.write(f"      expected: {row.expected}\n      seen:     {row.seen}\n")
        sys.stdout.write(f"      ({time.monotonic() - began:.0f} s)\n")
        sys.stdout.flush()
    for name, why in LATER.items():
        sys.stdout.write(f"none  {name}\n      {why}\n")
    return passed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(EXPERIMENTS)}; all where none is given"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds of each")
    given = parser.parse_args()
    sys.exit(0 if asyncio.run(main(given.names or list(EXPERIMENTS), given.quick)) else 1)
