"""Batches in this process."""

from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import structs

from bifrost_adapters.storage import _rows
from bifrost_domain.batch import Batch, BatchItem, BatchPage, ItemPage, ItemRef, cancelled
from bifrost_domain.logs.digest import Digest


class _Kept:
    """A batch with its items in the order of their numbers, and the digests of those that are not over."""

    def __init__(self, serial: int, batch: Batch, items: Sequence[tuple[BatchItem, Digest | None]]) -> None:
        self.serial = serial
        self.batch = batch
        self.items = {item.number: item for item, _ in items}
        self.digests = {item.number: digest for item, digest in items if digest is not None}

    def put(self, after: BatchItem) -> BatchItem:
        before, revision = self.items[after.number], self.batch.revision + 1
        self.items[after.number] = stored = structs.replace(after, revision=revision)
        if stored.status.over:
            self.digests.pop(stored.number, None)
        self.batch = structs.replace(
            self.batch, revision=revision, counts=self.batch.counts.moved(before.status, stored.status)
        )
        return stored


class MemoryBatches:
    """A BatchRepository. `most`: with more items than that, the oldest batches that are over go."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._serial = 0
        self._kept: dict[str, _Kept] = {}

    async def add(self, batch: Batch, items: Sequence[tuple[BatchItem, Digest | None]]) -> None:
        self._serial += 1
        self._kept[batch.id] = _Kept(self._serial, batch, items)
        excess = sum(len(kept.items) for kept in self._kept.values()) - self._most
        for id, kept in list(self._kept.items()):
            if excess > 0 and kept.batch.over:
                excess -= len(kept.items)
                del self._kept[id]

    async def get(self, id: str) -> Batch:
        return self._found(id).batch

    async def newest(self, *, family: str | None = None, limit: int = 50, cursor: str | None = None) -> BatchPage:
        before = self._serial + 1 if cursor is None else _rows.from_cursor(cursor)
        found = [
            kept
            for kept in reversed(self._kept.values())
            if kept.serial < before and family in (None, kept.batch.created_by)
        ]
        shown = found[:limit]
        return BatchPage(
            items=tuple(kept.batch for kept in shown),
            next_cursor=_rows.to_cursor(shown[-1].serial) if len(found) > len(shown) else None,
        )

    async def items(self, id: str, *, limit: int = 100, cursor: str | None = None) -> ItemPage:
        after = 0 if cursor is None else _rows.from_cursor(cursor)
        found = [item for item in self._found(id).items.values() if item.number > after]
        shown = found[:limit]
        return ItemPage(
            items=tuple(shown),
            next_cursor=_rows.to_cursor(shown[-1].number) if len(found) > len(shown) else None,
        )

    async def changed(self, id: str, after: int) -> Sequence[BatchItem]:
        items = (item for item in self._found(id).items.values() if item.revision > after)
        return sorted(items, key=lambda item: item.revision)

    async def due(self, now: datetime, limit: int) -> Sequence[ItemRef]:
        due = [
            (item.number, item.due_at, item.ref)
            for kept in self._kept.values()
            if not kept.batch.over
            for item in kept.items.values()
            if item.due_at is not None and item.due_at <= now
        ]
        return [ref for _, _, ref in sorted(due)[:limit]]

    async def change(self, ref: ItemRef, transition: Callable[[BatchItem], BatchItem | None]) -> BatchItem | None:
        kept = self._kept.get(ref.batch)
        before = None if kept is None else kept.items.get(ref.number)
        after = None if before is None else transition(before)
        return None if kept is None or after is None else kept.put(after)

    async def digest(self, ref: ItemRef) -> Digest | None:
        kept = self._kept.get(ref.batch)
        return None if kept is None else kept.digests.get(ref.number)

    async def prolong(self, refs: Sequence[ItemRef], holder: str, until: datetime) -> Sequence[ItemRef]:
        held = []
        for ref in refs:
            kept = self._kept.get(ref.batch)
            item = None if kept is None else kept.items.get(ref.number)
            if kept is not None and item is not None and item.holder == holder:
                kept.items[ref.number] = structs.replace(item, due_at=until)
                held.append(ref)
        return held

    async def cancel(self, id: str, at: datetime) -> Batch:
        kept = self._found(id)
        before = kept.batch.revision
        for item in list(kept.items.values()):
            after = cancelled(item, at)
            if after is not None:
                kept.put(after)
        if kept.batch.revision != before:
            kept.batch = structs.replace(kept.batch, cancelled_at=at)
        return kept.batch

    async def forget_before(self, moment: datetime) -> int:
        old = [id for id, kept in self._kept.items() if kept.batch.over and kept.batch.created_at < moment]
        for id in old:
            del self._kept[id]
        return len(old)

    def _found(self, id: str) -> _Kept:
        if id not in self._kept:
            raise _rows.no_batch(id)
        return self._kept[id]
