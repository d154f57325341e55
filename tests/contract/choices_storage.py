"""Which storage adapters the contract suite runs, and with what settings in a directory of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.servers import postgres


@dataclass(frozen=True)
class StorageChoice:
    """`lasting`: what is stored is there when it is opened again, also from another process."""

    kind: str
    options: Callable[[Path], dict[str, Any]]
    lasting: bool = True


CHOICES = {
    "sqlite": StorageChoice("sqlite", lambda directory: {"path": str(directory / "data" / "bifrost.db")}),
    "postgres": StorageChoice("postgres", lambda directory: {"url": postgres.database_of(directory)}),
    "memory": StorageChoice("memory", lambda directory: {}, lasting=False),
}
