"""Faults as experiments, each with what is expected and what was seen: `python -m tests.faults [NAME...] [--quick]`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One experiment, one line of the table."""

    experiment: str
    expected: str
    seen: str
    passed: bool
