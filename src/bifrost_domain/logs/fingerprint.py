"""The fingerprint of an incident: a short hash of what makes it the one it is, without what differs between runs."""

import hashlib
from collections.abc import Iterable
from functools import cache
from typing import Any

import re2

from bifrost_domain.logs.templates import WILDCARD, mask


@cache
def _directories() -> Any:
    return re2.compile(r"(^|[\s'\"`(\[{<=:,])(?:file://)?(?:~|[A-Za-z]:)?(?:[/\\][\w.+@~%-]+)+([/\\][\w.+@~%-]+)")


@cache
def _placeholder() -> Any:
    return re2.compile(r"\[REDACTED:[^\]\s]{1,80}\]")


def masked(text: str) -> str:
    """`text` without what differs between two runs of one failure, and between two installations that read its log.

    That is what `templates.mask` masks, and besides: placeholders of redaction are wildcards like the mail addresses
    and numbers that they may stand for, and of an absolute path the last part stays: no checkout has a fixed home.
    """
    return mask(_directories().sub(r"\1\2", _placeholder().sub(WILDCARD, text)))


def fingerprint(parts: Iterable[str]) -> str:
    """16 hexadecimal digits of SHA-256 over the distinct masked texts in sorted order, each with its length in front.

    `parts` are what makes the incident the one it is. Neither their order nor their number matters.
    """
    digest = hashlib.sha256()
    for text in sorted({masked(part) for part in parts}):
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()[:16]
