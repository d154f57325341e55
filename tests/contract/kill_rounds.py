"""A writer is killed in the middle; `make faults` does it two hundred times.

After each time the file has to be whole, and to hold every analysis of which the writer had said that it is stored.
"""

import json
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from subprocess import PIPE, Popen

from bifrost_adapters.slots import open_slot

ROOT = Path(__file__).parents[2]


def write_and_kill(path: Path, acknowledged: int, after: float) -> list[str]:
    """Kill a writer `after` seconds after it had stored that many; the ids that it said are stored."""
    command = [sys.executable, "-m", "tests.contract.history_writer", "sqlite", json.dumps({"path": str(path)})]
    with Popen(command, stdout=PIPE, text=True, cwd=ROOT) as writer:
        assert writer.stdout is not None
        ids = [writer.stdout.readline() for _ in range(acknowledged)]
        time.sleep(after)
        writer.kill()
        ids += [line for line in writer.stdout if line.endswith("\n")]
    return [id.strip() for id in ids]


async def check(path: Path, ids: list[str]) -> None:
    async with open_slot("storage", "sqlite", {"path": str(path)}) as storage:
        for id in ids:
            assert (await storage.analyses.get(id)).id == id
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.execute("INSERT INTO analyses_text (analyses_text, rank) VALUES ('integrity-check', 1)")
