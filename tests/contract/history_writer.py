"""Writes analyses into a SQLite history until it is stopped: `python -m tests.contract.history_writer PATH [COUNT]`.

The id of each analysis is printed once it is stored.
"""

import asyncio
import sys
from itertools import count
from uuid import uuid4

from bifrost_adapters.slots import open_slot
from tests.builders import an_analysis


async def main(path: str, most: int | None = None) -> None:
    async with open_slot("storage", "sqlite", {"path": path}) as storage:
        for number in count() if most is None else range(most):
            analysis = an_analysis(id=str(uuid4()), root_cause=f"cause {number} " + "x" * 5000)
            await storage.analyses.add(analysis)
            sys.stdout.write(analysis.id + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
