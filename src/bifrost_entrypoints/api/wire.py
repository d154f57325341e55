"""What clients send and get, as types: the OpenAPI document is made of these and of the domain's own."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from bifrost_domain.audit import AuditEvent
from bifrost_domain.batch import MOST_ITEMS
from bifrost_domain.keys import ApiKey, Limit, Scope, Status, status
from bifrost_domain.logs.lines import Level
from bifrost_domain.prompt import LabelMove, PromptVersion
from bifrost_domain.report import Language

Name = Annotated[str, Meta(min_length=1, max_length=500)]


class Wishes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to analyse. `source` is what the logs are called in citations; `prompt` is NAME, NAME@VERSION or NAME@LABEL.

    `severity`, `since` and `until` choose the lines that are looked at; `time_zone` is that of times which name none.
    Without `cache` a model is asked anew; without `fallback` its failure is an error; without `store` the analysis is
    not kept in the history.
    """

    source: Name | None = None
    provider: Name | None = None
    model: Name | None = None
    language: Language | None = None
    prompt: Name | None = None
    variables: dict[str, str] = {}
    severity: Level | None = None
    since: Annotated[str, Meta(max_length=100)] | None = None
    until: Annotated[str, Meta(max_length=100)] | None = None
    time_zone: Annotated[str, Meta(max_length=100)] | None = None
    budget: Annotated[int, Meta(ge=256, le=1_000_000)] | None = None
    cache: bool = True
    fallback: bool = True
    store: bool = True


class AnalyzeRequest(Wishes, frozen=True, kw_only=True):
    """Logs and how to analyse them."""

    logs: str


class BatchLog(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One log of a batch; `source` is what it is called, `-` otherwise."""

    logs: str
    source: Name | None = None


class BatchRequest(Wishes, frozen=True, kw_only=True):
    """Logs that are analysed one by one, all in the same way."""

    items: Annotated[tuple[BatchLog, ...], Meta(min_length=1, max_length=MOST_ITEMS)]


class NewKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`expires` is an age such as 90d, at most 365d, or never."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    scopes: tuple[Scope, ...] = ()
    expires: Annotated[str, Meta(pattern=r"^([1-9][0-9]{0,5}[smhdw]|never)$")] = "90d"
    environment: Literal["live", "test"] = "live"
    limit: Limit = Limit()


class Rotation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long both keys work: 0, or an age up to 7d."""

    overlap: Annotated[str, Meta(pattern=r"^([1-9][0-9]{0,5}[smhdw]|0)$")] = "24h"


class KeyShown(Struct, frozen=True, kw_only=True):
    """A stored key. Its secret is not stored, and no hash of it is shown."""

    id: str
    name: str
    environment: Literal["live", "test"]
    state: Status
    scopes: tuple[Scope, ...]
    limit: Limit
    family: str
    pepper_version: int
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    not_before: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    revoked_reason: str | None
    successor: str | None
    last_used_at: datetime | None


class KeyWithEvents(KeyShown, frozen=True, kw_only=True):
    events: tuple[AuditEvent, ...]


class KeyIssued(KeyShown, frozen=True, kw_only=True):
    """`key` is the whole key: shown now, and never again."""

    key: str


class KeyPage(Struct, frozen=True, kw_only=True):
    items: tuple[KeyShown, ...]
    next_cursor: str | None = None


def shown(key: ApiKey, now: datetime) -> dict[str, Any]:
    """The fields of KeyShown."""
    fields = {name: getattr(key, name) for name in KeyShown.__struct_fields__ if name != "state"}
    return fields | {"state": status(key, now)}


class NewPrompt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    system: Annotated[str, Meta(max_length=100_000)]
    user: Annotated[str, Meta(max_length=100_000)]
    variables: dict[str, str] = {}
    message: Annotated[str, Meta(max_length=500)] = ""


class NewLabel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    message: Annotated[str, Meta(max_length=500)] = ""


class Rollback(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    message: Annotated[str, Meta(max_length=500)] = ""


class PromptName(Struct, frozen=True, kw_only=True):
    name: str


class PromptNames(Struct, frozen=True, kw_only=True):
    items: tuple[PromptName, ...]
    next_cursor: str | None = None


class PromptVersionShown(Struct, frozen=True, kw_only=True):
    name: str
    version: int
    checksum: str
    system: str
    user: str
    variables: Mapping[str, str]
    author: str
    message: str
    created_at: datetime | None


class PromptShown(Struct, frozen=True, kw_only=True):
    """A prompt: its versions, oldest first, where its labels are, and how they came there."""

    name: str
    versions: tuple[PromptVersionShown, ...]
    labels: Mapping[str, int]
    moves: tuple[LabelMove, ...]


class PromptDiff(Struct, frozen=True, kw_only=True):
    """What changed, as a unified diff; empty where nothing did."""

    name: str
    before: int
    after: int
    diff: str


def version_shown(version: PromptVersion) -> PromptVersionShown:
    fields = {name: getattr(version, name) for name in PromptVersionShown.__struct_fields__}
    return PromptVersionShown(**fields)


class Check(Struct, frozen=True, kw_only=True):
    status: Literal["ok", "down", "open"]
    detail: str | None = None


class Live(Struct, frozen=True, kw_only=True):
    status: Literal["ok"] = "ok"


class Ready(Struct, frozen=True, kw_only=True):
    """Whether requests can be served. A cache or a provider that is down is told and changes nothing."""

    status: Literal["ok", "unavailable"]
    storage: Check
    cache: Check
    providers: Mapping[str, Check] = {}
