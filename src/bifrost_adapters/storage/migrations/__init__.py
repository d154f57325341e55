"""The history of the tables, for Alembic. Revisions are numbered: a greater one is a later one."""

from sqlalchemy import Connection

from bifrost_domain.errors import SchemaMismatch
from bifrost_domain.ports import SchemaStatus

REVISIONS = ("0001", "0002", "0003")
"""Those in `versions`, oldest first."""
HEAD = REVISIONS[-1]
"""The revision that this program works with."""


def pending(current: str | None) -> tuple[str, ...]:
    """The revisions that a database at `current` (None: without tables) lacks, oldest first."""
    return tuple(revision for revision in REVISIONS if current is None or revision > current)


def schema_status(location: str, current: str | None) -> SchemaStatus:
    return SchemaStatus(
        location=location,
        current=current,
        needed=HEAD,
        pending=pending(current),
        ahead=current is not None and current > HEAD,
    )


def refuse_ahead(database: str, current: str | None) -> None:
    """Raises SchemaMismatch for a database that a newer program wrote."""
    if current is not None and current > HEAD:
        raise SchemaMismatch(
            f"{database} is ahead of this program: it has revision {current}, this program knows {HEAD}",
            hint="upgrade Bifrost, or name another database with BIFROST_DATABASE_URL",
        )


def run(connection: Connection, current: str | None) -> tuple[str, ...]:
    """Run what is missing, in the transaction of `connection`. Gives the revisions that were run."""
    missing = pending(current)
    if missing:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", "bifrost_adapters.storage:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)
    return missing
