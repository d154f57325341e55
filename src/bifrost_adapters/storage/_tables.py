"""The tables, as SQLModel classes on a registry of their own. Their history is in `migrations`."""

import sqlalchemy
from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

INT64 = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits everywhere: on SQLite every INTEGER has them, and only `INTEGER PRIMARY KEY` is the rowid."""


class Table(SQLModel, registry=registry()):
    """The base of all tables; `Table.metadata` holds nothing else."""


class AnalysisRow(Table, table=True):
    """One analysis: the whole of it in `body`, and beside it what lists and filters need.

    `at` orders the history. It is `created_at` in nanoseconds since 1970, of which the last three digits only tell
    rows of one microsecond apart: so it is unique, one number is a place in a list, and every index can end with it.
    `text` is what a search looks at, folded; `schema_version` says how `body` (JSON) is to be read.
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


ANALYSES: sqlalchemy.Table = Table.metadata.tables["analyses"]
