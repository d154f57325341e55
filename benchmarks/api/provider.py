"""A provider that costs next to nothing: Ollama's /api/show and /api/chat, as bytes.

The first piece of an answer holds the moment at which it was written, as `T<nanoseconds>T` of the machine's monotonic
clock, so that whoever gets it can tell how long it was on its way. `python -m benchmarks.api.provider PORT TOKENS
SECONDS_BETWEEN [SHARE_OF_FAULTS]`.
"""

import asyncio
import json
import random
import sys
import time

REST = (
    '", "root_cause": "the pool is too small", "category": "database", "severity": "critical", "confidence": 0.8, '
    '"files": [], "tests": [], "evidence": [], "actions": [], "timeline": []}'
)
SHOW = json.dumps({"model_info": {"general.architecture": "llama", "llama.context_length": 8192}, "capabilities": []})
FAULTS = ("429", "500", "cut", "html", "hang")


def line(text: str, *, done: bool = False) -> bytes:
    message = {"model": "small:1b", "message": {"role": "assistant", "content": text}, "done": done}
    if done:
        message |= {"done_reason": "stop", "prompt_eval_count": 700, "eval_count": 60}
    data = json.dumps(message).encode() + b"\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


class Provider(asyncio.Protocol):
    tokens = 20
    pause = 0.0
    faults = 0.0

    def __init__(self) -> None:
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, body = self._buffer.partition(b"\r\n\r\n")
            length = next(
                (int(row.split(b":")[1]) for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")),
                0,
            )
            if len(body) < length:
                return
            self._buffer = body[length:]
            if b" /api/show" in head.split(b"\r\n")[0]:
                self._whole(200, SHOW)
            else:
                self._task = asyncio.create_task(self._chat())

    def _whole(self, status: int, body: str) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write((head + body).encode())

    async def _chat(self) -> None:
        fault = random.choice(FAULTS) if random.random() < self.faults else ""
        if fault in ("429", "500"):
            self._whole(int(fault), '{"error": "no"}')
            return
        if fault == "html":
            self._whole(200, "<html></html>")
            return
        write = self._transport.write
        write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
        if fault == "hang":
            await asyncio.sleep(60)
        write(line(f'{{"summary": "T{time.monotonic_ns()}T'))
        for number in range(self.tokens):
            if self.pause:
                await asyncio.sleep(self.pause)
            write(line(f" word{number}"))
            if fault == "cut" and number == 5:
                self._transport.abort()
                return
        write(line(REST) + line("", done=True) + b"0\r\n\r\n")


async def main() -> None:
    port, Provider.tokens, Provider.pause = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    Provider.faults = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
