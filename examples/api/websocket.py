"""An analysis over a WebSocket, with no client but the protocol: python examples/api/websocket.py app.log"""

import asyncio
import json
import os
import sys
from pathlib import Path

import websockets


async def main(log: Path) -> None:
    url = os.environ["BIFROST_URL"].replace("http", "ws", 1) + "/ws/analyze"
    request = {"logs": await asyncio.to_thread(log.read_text, errors="replace"), "source": str(log)}
    async with websockets.connect(url) as socket:
        await socket.send(json.dumps({"type": "start", "key": os.environ["BIFROST_API_KEY"], "request": request}))
        async for text in socket:
            frame = json.loads(text)
            print(frame["seq"], frame["type"])
            if frame["type"] == "report":
                print(frame["data"]["report"]["root_cause"])


asyncio.run(main(Path(sys.argv[1])))
