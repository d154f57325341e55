"""Stored analyses are erased and taken out here, and nowhere without an entry in the audit log."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import datetime

from bifrost_domain.audit import AuditAction, AuditEvent
from bifrost_domain.history import HistoryQuery
from bifrost_domain.ports import Clock, NewId, Storage
from bifrost_domain.report import Analysis

HISTORY = "history"
"""The subject of events that concern more than one analysis."""


class Archive:
    """Use cases over the analyses of a storage. All raise StorageUnavailable."""

    def __init__(self, *, open_storage: Callable[[], Awaitable[Storage]], clock: Clock, new_id: NewId) -> None:
        self._open_storage = open_storage
        self._clock = clock
        self._new_id = new_id

    async def erase(self, id: str, *, actor: str) -> None:
        """Raises AnalysisNotFound."""
        storage = await self._open_storage()
        await storage.analyses.delete(id)
        await self._note(storage, AuditAction.ANALYSIS_DELETED, actor, id, {})

    async def erase_before(self, moment: datetime, *, actor: str) -> int:
        """Everything made before `moment`, with metrics and batches that are over; returns how many analyses."""
        storage = await self._open_storage()
        gone = await storage.analyses.forget_before(moment)
        counted = await storage.metrics.forget_before(moment)
        await storage.batches.forget_before(moment)
        if gone or counted:
            detail = {"before": moment.isoformat(), "analyses": str(gone)}
            await self._note(storage, AuditAction.HISTORY_PURGED, actor, HISTORY, detail)
        return gone

    async def export(self, query: HistoryQuery, *, actor: str) -> AsyncGenerator[Analysis, None]:
        """Every analysis that matches, newest first, as they are read."""
        storage = await self._open_storage()
        await self._note(storage, AuditAction.HISTORY_EXPORTED, actor, HISTORY, {})
        async for analysis in storage.analyses.export(query):
            yield analysis

    async def _note(
        self, storage: Storage, action: AuditAction, actor: str, subject: str, detail: Mapping[str, str]
    ) -> None:
        event = AuditEvent(
            id=self._new_id(), at=self._clock(), actor=actor, action=action, subject=subject, detail=detail
        )
        await storage.audit.add(event)
