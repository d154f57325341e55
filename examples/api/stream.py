"""An analysis as it goes: python examples/api/stream.py app.log"""

import asyncio
import sys
from pathlib import Path

from bifrost_entrypoints.client import AsyncClient


async def main() -> None:
    async with AsyncClient() as bifrost:
        async for frame in bifrost.stream(Path(sys.argv[1])):
            match frame.type:
                case "token":  # unverified: what a model writes, as it writes it
                    print(frame.data["text"], end="", flush=True)
                case "report":
                    print(frame.data["report"]["root_cause"])


asyncio.run(main())
