"""Which queue adapters the contract suite runs, over which storages, with looks at the storage that come soon."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.choices_storage import CHOICES as STORAGES
from tests.contract.choices_storage import StorageChoice
from tests.contract.servers import postgres


@dataclass(frozen=True)
class QueueChoice:
    """`tells`: other processes hear of what is put without a look at the storage."""

    kind: str
    options: Callable[[Path], dict[str, Any]]
    storage: StorageChoice
    tells: bool = False


CHOICES = {
    "stored sqlite": QueueChoice("stored", lambda directory: {"look_seconds": 0.1}, STORAGES["sqlite"]),
    "stored postgres": QueueChoice("stored", lambda directory: {"look_seconds": 0.1}, STORAGES["postgres"]),
    "pgqueuer": QueueChoice(
        "pgqueuer",
        lambda directory: {"url": postgres.database_of(directory), "look_seconds": 0.3, "lost_seconds": 0.8},
        STORAGES["postgres"],
        tells=True,
    ),
}
