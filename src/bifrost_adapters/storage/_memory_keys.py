"""API keys and the audit log in this process."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from msgspec import structs

from bifrost_adapters.storage import _rows
from bifrost_domain.audit import AuditEvent, AuditPage
from bifrost_domain.errors import StorageUnavailable
from bifrost_domain.keys import ApiKey


class MemoryAudit:
    """An AuditLog."""

    def __init__(self) -> None:
        self._events: list[AuditEvent] = []

    def append(self, event: AuditEvent) -> None:
        self._events.append(event)

    async def add(self, event: AuditEvent) -> None:
        self.append(event)

    async def events(self, *, subject: str | None = None, limit: int = 50, cursor: str | None = None) -> AuditPage:
        end = len(self._events) if cursor is None else min(len(self._events), _rows.from_cursor(cursor))
        items: list[AuditEvent] = []
        for serial in range(end - 1, -1, -1):
            if subject is None or self._events[serial].subject == subject:
                if len(items) == limit:
                    return AuditPage(items=tuple(items), next_cursor=_rows.to_cursor(serial + 1))
                items.append(self._events[serial])
        return AuditPage(items=tuple(items))


class MemoryKeys:
    """A KeyRepository."""

    def __init__(self, audit: MemoryAudit) -> None:
        self._audit = audit
        self._keys: dict[str, ApiKey] = {}

    async def add(self, key: ApiKey, event: AuditEvent) -> None:
        if key.id in self._keys:
            raise StorageUnavailable(f"there is an API key {key.id} already")
        self._keys[key.id] = key
        self._audit.append(event)

    async def find(self, id: str) -> ApiKey | None:
        return self._keys.get(id)

    async def update(
        self, id: str, change: Callable[[ApiKey], ApiKey], event: AuditEvent, *, successor: ApiKey | None = None
    ) -> ApiKey:
        key = self._keys.get(id)
        if key is None:
            raise _rows.no_key(id)
        changed = change(key)
        if successor is not None and successor.id in self._keys:
            raise StorageUnavailable(f"there is an API key {successor.id} already")
        self._keys[id] = changed
        if successor is not None:
            self._keys[successor.id] = successor
        self._audit.append(event)
        return changed

    async def all(self) -> Sequence[ApiKey]:
        return sorted(self._keys.values(), key=lambda key: (key.created_at, key.id), reverse=True)

    async def touch(self, used: Mapping[str, datetime]) -> None:
        for id, moment in used.items():
            key = self._keys.get(id)
            if key is not None and (key.last_used_at is None or key.last_used_at < moment):
                self._keys[id] = structs.replace(key, last_used_at=moment)
