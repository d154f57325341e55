"""What was done to keys, prompts and stored analyses, by whom and when. Only ever added to."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class AuditAction(StrEnum):
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    KEY_DENIED = "key.denied"
    PROMPT_PUBLISHED = "prompt.published"
    LABEL_MOVED = "prompt.label_moved"
    ANALYSIS_DELETED = "analysis.deleted"
    HISTORY_PURGED = "history.purged"
    HISTORY_EXPORTED = "history.exported"
    SCHEMA_UPGRADED = "schema.upgraded"


class AuditEvent(Struct, frozen=True, kw_only=True):
    """`actor` is the id of an API key, or `cli:` and a user's name; `subject` is what it was done to: a key's id,
    `NAME@VERSION`, an analysis. `detail` holds short values for people; never a secret, never log text."""

    id: str
    at: datetime
    actor: str
    action: AuditAction
    subject: str
    detail: Mapping[str, str] = {}


class AuditPage(Struct, frozen=True, kw_only=True):
    """Newest first."""

    items: tuple[AuditEvent, ...]
    next_cursor: str | None = None
