"""Which cache adapters the contract suite runs, and with what settings in a directory of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.servers import valkey


@dataclass(frozen=True)
class CacheChoice:
    """`keeps`: it is a cache at all. `lasting`: what is kept is there when it is opened again.

    `own_time`: leases and counters end by the clock that is handed over, not by a server's.
    """

    kind: str
    options: Callable[[Path], dict[str, Any]]
    keeps: bool = True
    lasting: bool = True
    own_time: bool = True


CHOICES = {
    "sqlite": CacheChoice("sqlite", lambda directory: {"path": str(directory / "data" / "bifrost.db")}),
    "redis": CacheChoice(
        "redis", lambda directory: {"url": valkey.shared().url, "prefix": str(directory)}, own_time=False
    ),
    "memory": CacheChoice("memory", lambda directory: {}, lasting=False),
    "off": CacheChoice("off", lambda directory: {}, keeps=False, lasting=False),
}
