"""Writes analyses into a history until it is stopped: `python -m tests.contract.history_writer KIND OPTIONS [COUNT]`.

OPTIONS is the JSON of the adapter's settings. The id of each analysis is printed once it is stored.
"""

import asyncio
import json
import sys
from itertools import count
from uuid import uuid4

from bifrost_adapters.slots import open_slot
from tests.builders import an_analysis


async def main(kind: str, options: str, most: int | None = None) -> None:
    async with open_slot("storage", kind, json.loads(options)) as storage:
        for number in count() if most is None else range(most):
            analysis = an_analysis(id=str(uuid4()), root_cause=f"cause {number} " + "x" * 5000)
            await storage.analyses.add(analysis)
            sys.stdout.write(analysis.id + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])))
