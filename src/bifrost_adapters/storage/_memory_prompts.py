"""Prompts and their labels in this process."""

from collections.abc import Sequence

from bifrost_adapters.storage import _rows
from bifrost_adapters.storage._memory_keys import MemoryAudit
from bifrost_domain.audit import AuditEvent
from bifrost_domain.errors import Conflict, PromptVersionExists
from bifrost_domain.prompt import LabelMove, PromptVersion


class MemoryPrompts:
    """A PromptRepository."""

    def __init__(self, audit: MemoryAudit) -> None:
        self._audit = audit
        self._versions: dict[str, dict[int, PromptVersion]] = {}
        self._moves: dict[str, list[LabelMove]] = {}

    async def publish(self, version: PromptVersion, event: AuditEvent) -> None:
        versions = self._versions.setdefault(version.name, {})
        if version.version in versions:
            raise PromptVersionExists(f"there is a prompt {version.reference} already")
        versions[version.version] = version
        self._audit.append(event)

    async def get(self, name: str, version: int) -> PromptVersion:
        found = self._versions.get(name, {}).get(version)
        if found is None:
            raise _rows.no_prompt(name, version)
        return found

    async def names(self) -> Sequence[str]:
        return sorted(self._versions)

    async def versions(self, name: str) -> Sequence[PromptVersion]:
        versions = self._versions.get(name, {})
        return [versions[number] for number in sorted(versions)]

    async def moves(self, name: str) -> Sequence[LabelMove]:
        return list(self._moves.get(name, ()))

    async def move_label(self, move: LabelMove, event: AuditEvent, *, after: int) -> None:
        if move.version not in self._versions.get(move.name, {}):
            raise _rows.no_prompt(move.name, move.version)
        moves = self._moves.setdefault(move.name, [])
        if len(moves) != after:
            raise Conflict(f"a label of prompt {move.name} was moved meanwhile", hint="look again, and try again")
        moves.append(move)
        self._audit.append(event)
