"""What may be reused, under which name, and for how long.

A cache key is an HMAC over length-prefixed parts, so that no two different requests can share one and nobody without
the installation's key can tell what was asked. It is stricter than the incident's fingerprint, which only groups.
"""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import NewType

from msgspec import Struct

from bifrost_domain.report import Report, Usage

CacheKey = NewType("CacheKey", str)


class CachedReport(Struct, frozen=True, kw_only=True):
    """A model's own verified report, before it is merged with the heuristic's, and what is needed to serve it again.

    Its quotes are looked up anew in the next input; `timeline_quotes` are the lines behind the timeline's entries.
    """

    schema_version: int
    created_at: datetime
    report: Report
    usage: Usage
    timeline_quotes: tuple[str, ...] = ()


class CachePolicy(Struct, frozen=True, kw_only=True):
    """How long a report is kept: `ttl` for a confident one, a quarter of it below `confident`."""

    ttl: timedelta = timedelta(days=7)
    confident: float = 0.5

    def ttl_for(self, report: Report) -> timedelta:
        return self.ttl if report.confidence >= self.confident else self.ttl / 4


def cache_key(secret: bytes, parts: tuple[str, ...]) -> CacheKey:
    """HMAC-SHA-256 (64 hex digits) of `parts`, each preceded by its length in bytes as eight big-endian bytes."""
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    for part in parts:
        encoded = part.encode()
        mac.update(len(encoded).to_bytes(8, "big"))
        mac.update(encoded)
    return CacheKey(mac.hexdigest())
