"""Analyses and their full-text index.

The index has trigrams, so that parts of words are found too, as Korean needs it. It keeps no positions: a third of the
size, and no text can be put together from it again. On SQLite it is kept by triggers, on PostgreSQL by the adapter.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

SQLITE_SEARCH = (
    """
    CREATE VIRTUAL TABLE analyses_text USING fts5(
        text, content = 'analyses', content_rowid = 'at', tokenize = 'trigram', detail = 'none', columnsize = 0
    )
    """,
    """
    CREATE TRIGGER analyses_text_insert AFTER INSERT ON analyses BEGIN
        INSERT INTO analyses_text (rowid, text) VALUES (new.at, new.text);
    END
    """,
    """
    CREATE TRIGGER analyses_text_delete AFTER DELETE ON analyses BEGIN
        INSERT INTO analyses_text (analyses_text, rowid, text) VALUES ('delete', old.at, old.text);
    END
    """,
)

POSTGRES_SEARCH = (
    """
    CREATE TABLE analyses_text (
        at BIGINT PRIMARY KEY REFERENCES analyses (at) ON DELETE CASCADE, trigrams TSVECTOR NOT NULL
    )
    """,
    "CREATE INDEX ix_analyses_text ON analyses_text USING gin (trigrams)",
    # The planner counts neither what it costs to unpack a tsvector nor how rare the beginning of a trigram is, and
    # would rather read the whole table; and it has to see the words, which a plan kept for later calls would not.
    """
    CREATE FUNCTION analyses_found(wanted TSQUERY, first BIGINT, before BIGINT) RETURNS TABLE (at BIGINT)
    LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
    BEGIN
        RETURN QUERY EXECUTE
            'SELECT row.at FROM analyses_text AS row WHERE row.trigrams @@ $1 AND row.at >= $2 AND row.at < $3'
            USING wanted, first, before;
    END
    $$
    """,
)


def upgrade() -> None:
    op.create_table(
        "analyses",
        sa.Column("at", INT64, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text(), nullable=False, unique=True),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("cached", sa.Boolean(), nullable=False),
        sa.Column("degraded", sa.Boolean(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("schema_version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    for column in ("severity", "category", "provider", "source", "fingerprint", "cached"):
        op.create_index(f"ix_analyses_{column}", "analyses", [column, "at"])
    for statement in SQLITE_SEARCH if op.get_bind().dialect.name == "sqlite" else POSTGRES_SEARCH:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION analyses_found")
    op.execute("DROP TABLE analyses_text")
    op.drop_table("analyses")
