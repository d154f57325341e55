"""Which cache adapters the contract suite runs, and with what settings in a directory of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class CacheChoice:
    """`keeps`: it is a cache at all. `lasting`: what is kept is there when it is opened again."""

    kind: str
    options: Callable[[Path], dict[str, Any]]
    keeps: bool = True
    lasting: bool = True


CHOICES = {
    "sqlite": CacheChoice("sqlite", lambda directory: {"path": str(directory / "data" / "bifrost.db")}),
    "memory": CacheChoice("memory", lambda directory: {}, lasting=False),
    "off": CacheChoice("off", lambda directory: {}, keeps=False, lasting=False),
}
