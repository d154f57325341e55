"""What an analysis was made of, incidents, metrics, prompts, API keys and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TABLES = (
    "audit_events",
    "api_keys",
    "prompt_label_moves",
    "prompt_versions",
    "prompts",
    "analysis_metrics",
    "incidents",
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE analyses_terms USING fts5vocab(analyses_text, 'row')")
    op.add_column("analyses", sa.Column("provenance", sa.LargeBinary(), nullable=True))
    op.create_table(
        "incidents",
        sa.Column("fingerprint", sa.Text(), primary_key=True, nullable=False),
        sa.Column("seen", INT64, nullable=False),
        sa.Column("first_at", INT64, nullable=False),
        sa.Column("last_at", INT64, nullable=False, unique=True),
    )
    op.execute(
        "INSERT INTO incidents (fingerprint, seen, first_at, last_at) "
        "SELECT fingerprint, count(*), min(at), max(at) FROM analyses GROUP BY fingerprint"
    )
    op.create_table(
        "analysis_metrics",
        sa.Column("id", sa.Text(), primary_key=True, nullable=False),
        sa.Column("at", INT64, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("analysis", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("family", sa.Text(), nullable=True),
        sa.Column("duration_ms", INT64, nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("first_token_ms", INT64, nullable=True),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("input_tokens", INT64, nullable=False),
        sa.Column("output_tokens", INT64, nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=True),
        sa.Column("lines_read", INT64, nullable=False),
        sa.Column("bytes_read", INT64, nullable=False),
    )
    op.create_index("ix_analysis_metrics_at", "analysis_metrics", ["at"])
    op.create_index("ix_analysis_metrics_family", "analysis_metrics", ["family", "at"])
    op.create_table(
        "prompts",
        sa.Column("name", sa.Text(), primary_key=True, nullable=False),
        sa.Column("moves", sa.Integer(), nullable=False),
    )
    op.create_table(
        "prompt_versions",
        sa.Column("name", sa.Text(), primary_key=True, nullable=False),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("variables", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=True),
    )
    op.create_table(
        "prompt_label_moves",
        sa.Column("name", sa.Text(), primary_key=True, nullable=False),
        sa.Column("serial", sa.Integer(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", INT64, nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("rollback", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), primary_key=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("pepper_version", sa.Integer(), nullable=False),
        sa.Column("scopes", sa.LargeBinary(), nullable=False),
        sa.Column("limit", sa.LargeBinary(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("created_at", INT64, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", INT64, nullable=True),
        sa.Column("not_before", INT64, nullable=True),
        sa.Column("revoked_at", INT64, nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.Column("successor", sa.Text(), nullable=True),
        sa.Column("last_used_at", INT64, nullable=True),
    )
    op.create_index("ix_api_keys_family", "api_keys", ["family"])
    op.create_table(
        "audit_events",
        sa.Column("serial", INT64, primary_key=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False, unique=True),
        sa.Column("at", INT64, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_audit_events_subject", "audit_events", ["subject", "serial"])


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("analyses", "provenance")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE analyses_terms")
