"""Bifrost as it is configured and wired, beside a stub of Ollama that counts its calls."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bifrost_domain.analysis import Finished, Request
from bifrost_domain.application import Application
from bifrost_domain.report import Analysis
from bifrost_entrypoints.container import open_application
from bifrost_entrypoints.settings import load
from tests.contract.servers.ollama import MODEL, OllamaStub
from tests.contract.servers.wire import Behaviour, Connection, Gone
from tests.contract.servers.wire import Request as HttpRequest
from tests.unit.test_analysis import ANSWER, LOG

__all__ = ["ANSWER", "LOG", "Model", "Text", "analysed", "answering", "command", "compared", "opened", "percentile"]

BIFROST = Path(sys.executable).parent / "bifrost"


class Text:
    """A log in memory."""

    name = "app.log"
    size: int | None = None

    def __init__(self, text: str) -> None:
        self._text = text

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        yield self._text.encode()


def environment(workdir: Path, url: str, **more: str) -> dict[str, str]:
    """For a Bifrost that asks the stub and keeps everything below `workdir`."""
    return {
        "HOME": str(workdir),
        "XDG_DATA_HOME": str(workdir / "data"),
        "XDG_CONFIG_HOME": str(workdir / "config"),
        "OLLAMA_HOST": url,
        "BIFROST_PROVIDERS": json.dumps({"ollama": {"kind": "ollama", "host": url, "model": MODEL}}),
        "BIFROST_PROVIDER": "ollama",
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        **more,
    }


@dataclass
class Model(OllamaStub):
    """Answers after `pause` seconds, and counts: `calls` for an answer, and how many of them at most at once."""

    pause: float = 0.0
    coming: asyncio.Event = field(default_factory=asyncio.Event)
    live: int = 0
    most_live: int = 0

    @property
    def calls(self) -> int:
        return sum(request.path == "/api/chat" for request in self.requests)

    async def asked_or(self, done: "asyncio.Task[Any]") -> None:
        """Until a request for an answer has come in, or `done` ended before one did."""
        coming = asyncio.create_task(self.coming.wait())
        await asyncio.wait({coming, done}, return_when=asyncio.FIRST_COMPLETED)
        coming.cancel()

    async def _answer(self, request: HttpRequest, connection: Connection) -> None:
        if request.path != "/api/chat":
            return await super()._answer(request, connection)
        self.coming.set()
        self.live += 1
        self.most_live = max(self.most_live, self.live)
        try:
            await asyncio.sleep(self.pause)
            await super()._answer(request, connection)
        except asyncio.CancelledError:
            raise Gone from None
        finally:
            self.live -= 1


def answering(pause: float = 0.0, **behaviour: Any) -> Model:
    return Model(behaviour=Behaviour(**({"pieces": (ANSWER,)} | behaviour)), pause=pause)


@asynccontextmanager
async def opened(workdir: Path, stub: OllamaStub, **more: str) -> AsyncIterator[Application]:
    settings = load(environment=environment(workdir, stub.url, **more)).settings
    os.environ["XDG_DATA_HOME"] = str(workdir / "data")
    async with open_application(settings) as bifrost:
        yield bifrost


async def analysed(bifrost: Application, text: str = LOG, **wishes: Any) -> Analysis:
    wish = Request(**({"name": "app.log", "kind": "file", "logs": (Text(text),)} | wishes))
    async for event in bifrost.analyst.analyse(wish):
        if isinstance(event, Finished):
            analysis = event.analysis
    return analysis


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


async def compared(one: Application, other: Application, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of so many analyses of different logs, by the one and by the other in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        text = f"{LOG}2026-11-20T03:05:56Z ERROR word{'abcdefghij'[number % 10] * (number // 10 + 3)}\n"
        for bifrost, taken in zip((one, other), times, strict=True):
            began = time.perf_counter()
            await analysed(bifrost, text)
            taken.append(time.perf_counter() - began)
    return times


async def command(workdir: Path, url: str, *arguments: str, **more: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        str(BIFROST),
        *arguments,
        env=environment(workdir, url, **more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
