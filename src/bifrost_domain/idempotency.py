"""What is remembered of a request that must not be carried out twice."""

from datetime import datetime

from msgspec import Struct


class Idempotent(Struct, frozen=True, kw_only=True):
    """A request by the key its client gave it. `request_hash` tells whether another one with that key is the same;
    `resource` is the id of what it made, None while it still runs."""

    request_hash: bytes
    resource: str | None = None
    at: datetime
