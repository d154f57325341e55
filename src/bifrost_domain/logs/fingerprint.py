"""The identity of an incident: two logs of one failure share it, whatever their times, ids, pods, ports and noise."""

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Any

import re2

from bifrost_domain.logs.templates import mask


@cache
def _places() -> Any:
    return re2.compile(r"(^|[\s'\"`(\[{<=:,])(?:file://)?(?:~|[A-Za-z]:)?(?:[/\\][\w.+@~%-]+)+([/\\][\w.+@~%-]+)")


def masked(text: str) -> str:
    """`text` without what differs between two runs: see `mask`. Of an absolute path the last part stays."""
    return mask(_places().sub(r"\1\2", text))


def fingerprint(decisive: Iterable[str]) -> str:
    """16 hexadecimal digits of SHA-256 over the distinct masked texts in sorted order, each with its length in front.

    `decisive` are the messages that make the incident what it is. Neither their order nor their number matters.
    """
    digest = hashlib.sha256()
    for text in sorted({masked(message) for message in decisive}):
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()[:16]
