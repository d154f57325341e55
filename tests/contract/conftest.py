"""Gathers the choices of every slot: `choices_SLOT.py` says in CHOICES which adapters its suite runs, and on what."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def choices() -> Mapping[str, Mapping[str, Any]]:
    """slot -> label -> choice."""
    modules = (path.stem for path in sorted(Path(__file__).parent.glob("choices_*.py")))
    return {stem.removeprefix("choices_"): importlib.import_module(f"{__package__}.{stem}").CHOICES for stem in modules}
