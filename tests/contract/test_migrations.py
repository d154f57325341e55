"""What the tables' history promises: any older file becomes what this program expects, whole or not at all."""

import asyncio
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from bifrost_adapters.slots import open_slot
from bifrost_adapters.storage._tables import Table
from bifrost_adapters.storage.migrations import HEAD
from bifrost_domain.errors import SchemaMismatch, StorageUnavailable
from tests.builders import an_analysis

ROOT = Path(__file__).parents[2]

OPEN = """
import asyncio, sys
from bifrost_adapters.slots import open_slot
from tests.builders import an_analysis

async def main():
    async with open_slot("cache", "sqlite", {"path": sys.argv[1]}):
        async with open_slot("storage", "sqlite", {"path": sys.argv[1]}) as storage:
            await storage.analyses.add(an_analysis(id=sys.argv[2]))

asyncio.run(main())
sys.stdout.write("\\n".join(sys.modules))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bifrost.db"


def store(path: Path, *ids: str) -> None:
    async def run() -> None:
        async with open_slot("storage", "sqlite", {"path": str(path)}) as storage:
            for id in ids:
                await storage.analyses.add(an_analysis(id=id))

    asyncio.run(run())


def test_a_fresh_file_has_the_tables_of_the_metadata(path: Path) -> None:
    store(path)
    engine = create_engine(f"sqlite:///{path}")
    ours = set(Table.metadata.tables)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, parents: kind != "table" or name in ours,
            },
        )
        assert ours <= set(inspect(connection).get_table_names())
        assert compare_metadata(context, Table.metadata) == []
    engine.dispose()


def test_a_table_that_the_migrations_lack_is_seen_by_the_comparison(path: Path) -> None:
    store(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX ix_analyses_cached")
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Table.metadata)
    engine.dispose()
    assert ("add_index", "ix_analyses_cached") in {(change[0], change[1].name) for change in differences}


def test_the_head_is_the_last_revision_and_all_are_numbered() -> None:
    config = Config()
    config.set_main_option("script_location", "bifrost_adapters.storage:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_heads() == [HEAD]
    revisions = [script.revision for script in scripts.walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)
    assert all(re.fullmatch(r"\d{4}", revision) for revision in revisions)


def test_a_file_of_a_newer_program_is_refused_and_left_alone(path: Path) -> None:
    store(path, "kept")
    newer = f"{int(HEAD) + 1:04}"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (newer,))
    with pytest.raises(SchemaMismatch, match="ahead of this program") as raised:
        store(path, "added")
    assert newer in raised.value.message
    assert "upgrade" in raised.value.hint
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM analyses").fetchall() == [("kept",)]
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(newer,)]


def test_an_upgrade_that_fails_leaves_nothing_behind(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE analyses_text (somebody TEXT)")
    before = schema(path)
    with pytest.raises(StorageUnavailable):
        store(path)
    assert schema(path) == before
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE analyses_text")
    store(path, "works")


def schema(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()


def test_four_processes_may_open_a_missing_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "made" / "bifrost.db"
    opening = [
        subprocess.Popen([sys.executable, "-c", OPEN, str(path), str(number)], cwd=ROOT, stdout=subprocess.DEVNULL)
        for number in range(4)
    ]
    assert [process.wait() for process in opening] == [0, 0, 0, 0]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM analyses ORDER BY id").fetchall() == [("0",), ("1",), ("2",), ("3",)]
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_file_that_is_up_to_date_is_opened_without_alembic(path: Path) -> None:
    def modules(id: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", OPEN, str(path), id], cwd=ROOT, check=True, capture_output=True, text=True
        )
        return set(done.stdout.split())

    assert "alembic" in modules("first")
    assert "alembic" not in modules("second")
