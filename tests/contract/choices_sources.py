"""Which source adapters the contract suite runs: each makes its settings from a file with the log's bytes."""

import os
from pathlib import Path
from typing import Any


def _file(path: Path) -> dict[str, Any]:
    return {"target": str(path)}


def _stdin(path: Path) -> dict[str, Any]:
    return {"descriptor": os.open(path, os.O_RDONLY)}


CHOICES = {"file": _file, "stdin": _stdin}
