"""A process that serves batches until it is killed: it says when an item of its runs, and never ends one.

`python -m tests.contract.queue_worker QUEUE OPTIONS STORAGE OPTIONS`, options as JSON.
"""

import asyncio
import sys
from typing import Any

import msgspec

from tests.contract.test_queue import replica
from tests.unit.test_analysis import Actor


class Endless(Actor):
    """A model that takes its time."""

    def __init__(self) -> None:
        super().__init__([600.0])

    async def stream(self, prompt: Any) -> Any:
        sys.stdout.write("running\n")
        sys.stdout.flush()
        async for event in super().stream(prompt):
            yield event


async def main(queue: str, queue_options: str, storage: str, storage_options: str) -> None:
    options = msgspec.json.decode(queue_options), msgspec.json.decode(storage_options)
    async with replica(queue, options[0], storage, options[1], Endless()) as (batches, _), batches.serving():
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
