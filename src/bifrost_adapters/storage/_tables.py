"""The tables, as SQLModel classes on a registry of their own. Their history is in `migrations`."""

import sqlalchemy
from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

INT64 = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits everywhere: on SQLite every INTEGER has them, and only `INTEGER PRIMARY KEY` is the rowid."""


class Table(SQLModel, registry=registry()):
    """The base of all tables; `Table.metadata` holds nothing else. Moments are places: see `_rows.place`."""


class AnalysisRow(Table, table=True):
    """One analysis: the whole of it in `body`, and beside it what lists and filters need.

    `at` orders the history. It is `created_at` in nanoseconds since 1970, of which the last three digits only tell
    rows of one microsecond apart: so it is unique, one number is a place in a list, and every index can end with it.
    `text` is what a search looks at, folded; `schema_version` says how `body` (JSON) is to be read. `provenance` is a
    Provenance as compressed JSON.
    """

    __tablename__ = "analyses"
    __table_args__ = tuple(
        Index(f"ix_analyses_{column}", column, "at")
        for column in ("severity", "category", "provider", "source", "fingerprint", "cached")
    )

    at: int = Field(sa_type=INT64, primary_key=True, sa_column_kwargs={"autoincrement": False})
    id: str = Field(sa_type=Text, unique=True)
    severity: str = Field(sa_type=Text)
    category: str = Field(sa_type=Text)
    provider: str = Field(sa_type=Text)
    model: str = Field(sa_type=Text)
    source: str = Field(sa_type=Text)
    fingerprint: str = Field(sa_type=Text)
    cached: bool
    degraded: bool
    confidence: float
    summary: str = Field(sa_type=Text)
    schema_version: int
    text: str = Field(sa_type=Text)
    body: bytes = Field(sa_type=LargeBinary)
    provenance: bytes | None = Field(sa_type=LargeBinary, default=None)


class IncidentRow(Table, table=True):
    """One fingerprint that is in `analyses`, kept up to date with it in the same transactions."""

    __tablename__ = "incidents"

    fingerprint: str = Field(sa_type=Text, primary_key=True)
    seen: int = Field(sa_type=INT64)
    first_at: int = Field(sa_type=INT64)
    last_at: int = Field(sa_type=INT64, unique=True)


class MetricRow(Table, table=True):
    """One AnalysisMetric. `bucket` is that of its duration; `family` is the API key's.

    What a family has spent is summed up from the index alone.
    """

    __tablename__ = "analysis_metrics"
    __table_args__ = (
        Index("ix_analysis_metrics_at", "at"),
        Index("ix_analysis_metrics_spent", "family", "at", "input_tokens", "output_tokens", "cost_usd"),
    )

    id: str = Field(sa_type=Text, primary_key=True)
    at: int = Field(sa_type=INT64)
    outcome: str = Field(sa_type=Text)
    provider: str = Field(sa_type=Text)
    model: str = Field(sa_type=Text)
    analysis: str | None = Field(sa_type=Text, default=None)
    error: str | None = Field(sa_type=Text, default=None)
    family: str | None = Field(sa_type=Text, default=None)
    duration_ms: int = Field(sa_type=INT64)
    bucket: int
    first_token_ms: int | None = Field(sa_type=INT64, default=None)
    calls: int
    input_tokens: int = Field(sa_type=INT64)
    output_tokens: int = Field(sa_type=INT64)
    cost_usd: float | None
    lines_read: int = Field(sa_type=INT64)
    bytes_read: int = Field(sa_type=INT64)
    runs: int = Field(default=1, sa_column_kwargs={"server_default": "1"})


class PromptTemplateRow(Table, table=True):
    """A prompt's name. `moves` counts the moves of its labels: who moves one has to have seen them all."""

    __tablename__ = "prompts"

    name: str = Field(sa_type=Text, primary_key=True)
    moves: int


class PromptVersionRow(Table, table=True):
    """One wording, never changed. `variables` is a JSON object; `checksum` is PromptVersion.checksum."""

    __tablename__ = "prompt_versions"

    name: str = Field(sa_type=Text, primary_key=True)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    system: str = Field(sa_type=Text)
    user: str = Field(sa_type=Text)
    variables: bytes = Field(sa_type=LargeBinary)
    checksum: str = Field(sa_type=Text)
    author: str = Field(sa_type=Text)
    message: str = Field(sa_type=Text)
    created_at: int | None = Field(sa_type=INT64, default=None)


class LabelMoveRow(Table, table=True):
    """One move of a label; `serial` numbers those of a prompt from 1."""

    __tablename__ = "prompt_label_moves"

    name: str = Field(sa_type=Text, primary_key=True)
    serial: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    label: str = Field(sa_type=Text)
    version: int
    at: int = Field(sa_type=INT64)
    by: str = Field(sa_type=Text)
    message: str = Field(sa_type=Text)
    rollback: bool


class ApiKeyRow(Table, table=True):
    """One ApiKey, without its secret. `scopes` and `limit` are JSON."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_family", "family"),)

    id: str = Field(sa_type=Text, primary_key=True)
    name: str = Field(sa_type=Text)
    environment: str = Field(sa_type=Text)
    hash: bytes = Field(sa_type=LargeBinary)
    pepper_version: int
    scopes: bytes = Field(sa_type=LargeBinary)
    limit: bytes = Field(sa_type=LargeBinary)
    family: str = Field(sa_type=Text)
    created_at: int = Field(sa_type=INT64)
    created_by: str = Field(sa_type=Text)
    expires_at: int | None = Field(sa_type=INT64, default=None)
    not_before: int | None = Field(sa_type=INT64, default=None)
    revoked_at: int | None = Field(sa_type=INT64, default=None)
    revoked_by: str | None = Field(sa_type=Text, default=None)
    revoked_reason: str | None = Field(sa_type=Text, default=None)
    successor: str | None = Field(sa_type=Text, default=None)
    last_used_at: int | None = Field(sa_type=INT64, default=None)


class AuditRow(Table, table=True):
    """One AuditEvent; `detail` is a JSON object. `serial` orders events of one moment."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_subject", "subject", "serial"),)

    serial: int | None = Field(sa_type=INT64, primary_key=True, default=None)
    id: str = Field(sa_type=Text, unique=True)
    at: int = Field(sa_type=INT64)
    actor: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    subject: str = Field(sa_type=Text)
    detail: bytes = Field(sa_type=LargeBinary)


class BatchRow(Table, table=True):
    """One Batch. `serial` orders the list; `options` is JSON. The counts and `revision` are kept up to date with
    `batch_items` in the same transactions, which lock this row first."""

    __tablename__ = "batches"
    __table_args__ = (Index("ix_batches_family", "family", "serial"), Index("ix_batches_at", "at"))

    serial: int | None = Field(sa_type=INT64, primary_key=True, default=None)
    id: str = Field(sa_type=Text, unique=True)
    at: int = Field(sa_type=INT64)
    family: str | None = Field(sa_type=Text, default=None)
    options: bytes = Field(sa_type=LargeBinary)
    revision: int
    cancelled_at: int | None = Field(sa_type=INT64, default=None)
    queued: int
    running: int
    done: int
    failed: int
    cancelled: int


class BatchItemRow(Table, table=True):
    """One BatchItem. `error` is JSON; `digest` is one as compressed JSON, gone when the item is over.

    The index of what is due is small however many items are over, and empty where all are.
    """

    __tablename__ = "batch_items"
    __table_args__ = (
        Index("ix_batch_items_revision", "batch", "revision"),
        Index(
            "ix_batch_items_due",
            "number",
            "due_at",
            sqlite_where=sqlalchemy.text("due_at IS NOT NULL"),
            postgresql_where=sqlalchemy.text("due_at IS NOT NULL"),
        ),
    )

    batch: str = Field(sa_type=Text, primary_key=True)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    name: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    result: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    attempts: int
    error: bytes | None = Field(sa_type=LargeBinary, default=None)
    changed_at: int = Field(sa_type=INT64)
    revision: int
    due_at: int | None = Field(sa_type=INT64, default=None)
    holder: str | None = Field(sa_type=Text, default=None)
    digest: bytes | None = Field(sa_type=LargeBinary, default=None)


class IdempotencyRow(Table, table=True):
    """One Idempotent, by the family of the API key and the hash of the client's key."""

    __tablename__ = "idempotency"
    __table_args__ = (Index("ix_idempotency_at", "at"),)

    family: str = Field(sa_type=Text, primary_key=True)
    key_hash: bytes = Field(sa_type=LargeBinary, primary_key=True)
    request_hash: bytes = Field(sa_type=LargeBinary)
    resource: str | None = Field(sa_type=Text, default=None)
    at: int = Field(sa_type=INT64)


def _table(name: str) -> sqlalchemy.Table:
    return Table.metadata.tables[name]


ANALYSES = _table("analyses")
INCIDENTS = _table("incidents")
METRICS = _table("analysis_metrics")
PROMPTS = _table("prompts")
PROMPT_VERSIONS = _table("prompt_versions")
LABEL_MOVES = _table("prompt_label_moves")
API_KEYS = _table("api_keys")
AUDIT_EVENTS = _table("audit_events")
BATCHES = _table("batches")
BATCH_ITEMS = _table("batch_items")
IDEMPOTENCY = _table("idempotency")
