"""Requests by their idempotency keys in this process."""

from datetime import datetime

from msgspec import structs

from bifrost_domain.idempotency import Idempotent


class MemoryIdempotency:
    """An IdempotencyRepository. `most`: past it, the one that was noted first goes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._noted: dict[tuple[str, bytes], Idempotent] = {}

    async def begin(self, family: str, key_hash: bytes, request_hash: bytes, at: datetime) -> Idempotent | None:
        noted = self._noted.get((family, key_hash))
        if noted is None:
            self._noted[family, key_hash] = Idempotent(request_hash=request_hash, at=at)
            if len(self._noted) > self._most:
                del self._noted[next(iter(self._noted))]
        return noted

    async def finish(self, family: str, key_hash: bytes, resource: str) -> None:
        noted = self._noted.get((family, key_hash))
        if noted is not None:
            self._noted[family, key_hash] = structs.replace(noted, resource=resource)

    async def abandon(self, family: str, key_hash: bytes) -> None:
        self._noted.pop((family, key_hash), None)

    async def forget_before(self, moment: datetime) -> int:
        old = [key for key, noted in self._noted.items() if noted.at < moment]
        for key in old:
            del self._noted[key]
        return len(old)
