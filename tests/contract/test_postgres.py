"""What PostgreSQL alone promises: its URL, its faults in words, and the upgrade of its tables."""

import asyncio
import subprocess
import sys
import traceback
from pathlib import Path

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect
from sqlalchemy.ext.asyncio import create_async_engine

from bifrost_adapters.slots import administer, open_slot
from bifrost_adapters.storage import postgres
from bifrost_adapters.storage._tables import Table
from bifrost_adapters.storage.migrations import HEAD, REVISIONS
from bifrost_domain.errors import BifrostError, ConfigurationError, SchemaMismatch, StorageUnavailable
from tests.builders import an_analysis
from tests.contract.servers.postgres import database_of, shared

ROOT = Path(__file__).parents[2]
PASSWORD = "open" + "Sesame9"

UPGRADE = """
import asyncio, sys
from bifrost_adapters.slots import administer

async def main():
    async with administer("storage", "postgres", {"url": sys.argv[1]}) as schema:
        print(" ".join(await schema.upgrade()))

asyncio.run(main())
"""


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def refused(url: str, **options: object) -> BifrostError:
    with pytest.raises(BifrostError) as caught:
        async with open_slot("storage", "postgres", {"url": url, **options}):
            pass
    return caught.value


@pytest.mark.parametrize(
    ("url", "location"),
    [
        (f"postgresql://me:{PASSWORD}@db:5432/shop?sslmode=require", "postgresql://me@db:5432/shop"),
        (f"postgres://me:{PASSWORD}@db/shop", "postgresql://me@db/shop"),
        (f"postgresql://db/shop?user=me&password={PASSWORD}", "postgresql://db/shop"),
        ("postgresql://me@one:1,two:2/shop", "postgresql://me@one:1,two:2/shop"),
        ("postgresql://me@[::1]:5432/shop", "postgresql://me@[::1]:5432/shop"),
        (f"postgresql://me:{PASSWORD}@{PASSWORD}@db/shop", "postgresql://me@db/shop"),
        (f"postgresql://me:{PASSWORD}?x@db/shop", "postgresql://..."),
        (f"postgresql://me:12?{PASSWORD}@db/shop", "postgresql://..."),
        (f"postgresql://me:12/{PASSWORD}@db/shop", "postgresql://..."),
        (f"postgresql://me:12#{PASSWORD}@db/shop", "postgresql://..."),
        (f"postgresql://me:{PASSWORD}/shop", "postgresql://..."),
    ],
)
def test_the_location_has_no_password_however_the_url_is_written(url: str, location: str) -> None:
    assert postgres._location(url) == location


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{PASSWORD}@127.0.0.1:port/shop",
        f"postgresql://me:12?{PASSWORD}@127.0.0.1/shop",
        f"postgresql://me:{PASSWORD}@127.0.0.1/shop?sslmode=perhaps",
    ],
)
async def test_a_url_that_cannot_be_read_is_told_without_its_password(url: str) -> None:
    error = await refused(url)
    assert isinstance(error, ConfigurationError)
    assert "cannot be read" in error.message
    assert PASSWORD not in f"{error.message}{error.hint}"
    assert all(PASSWORD not in line for line in traceback.format_exception_only(error))
    assert error.__suppress_context__


async def test_what_keeps_it_from_opening_is_told_in_words() -> None:
    server = shared()
    here = server.url.rpartition("/")[0]
    await execute(server.url, "CREATE ROLE locked NOLOGIN", "CREATE ROLE stranger LOGIN")
    expected = {
        f"postgresql://me:{PASSWORD}@127.0.0.1:1/shop": "cannot be reached",
        f"{here}/nowhere": "does not exist",
        here.replace("postgres@", "locked@") + "/postgres": "refuses the user",
        server.database(): "has no tables of Bifrost's",
    }
    for url, words in expected.items():
        error = await refused(url)
        assert isinstance(error, StorageUnavailable | SchemaMismatch)
        assert words in error.message
        assert error.hint
        assert PASSWORD not in error.message
    assert (
        "does not let this user"
        in (await refused(database_of(Path("rights")).replace("postgres@", "stranger@"))).message
    )


async def test_a_lock_a_full_pool_and_a_read_only_server_are_told(tmp_path: Path) -> None:
    url = database_of(tmp_path)
    options = {"url": url, "pool_size": 1, "connect_seconds": 1.0, "command_seconds": 1.0}
    other = await asyncpg.connect(url)
    async with open_slot("storage", "postgres", options) as storage:
        async with other.transaction():
            await other.execute("LOCK TABLE analyses")
            told = await asyncio.gather(*(storage.analyses.get("x") for _ in range(2)), return_exceptions=True)
            with pytest.raises(StorageUnavailable, match=r"does not answer|is busy"):
                await storage.analyses.add(an_analysis())
        assert all(isinstance(error, StorageUnavailable) for error in told)
        stored = an_analysis()
        await storage.analyses.add(stored)
        assert await storage.analyses.get(stored.id) == stored
    name = url.rpartition("/")[2]
    await other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with open_slot("storage", "postgres", {"url": url}) as storage:
        assert await storage.analyses.get(stored.id) == stored
        with pytest.raises(StorageUnavailable, match="read-only"):
            await storage.analyses.add(an_analysis())
    await other.close()


async def test_fresh_tables_are_those_of_the_metadata(tmp_path: Path) -> None:
    ours = set(Table.metadata.tables)

    def differences(connection: Connection) -> list[object]:
        assert ours <= set(inspect(connection).get_table_names())
        options = {"compare_type": True, "include_name": lambda name, kind, _: kind != "table" or name in ours}
        found: list[object] = compare_metadata(MigrationContext.configure(connection, opts=options), Table.metadata)
        return found

    engine = create_async_engine(database_of(tmp_path).replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


def test_of_four_upgrades_at_once_one_runs_each_revision() -> None:
    url = shared().database()
    running = [
        subprocess.Popen([sys.executable, "-c", UPGRADE, url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    ran = [process.communicate()[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0]
    assert sorted(ran, key=len) == [[], [], [], list(REVISIONS)]


async def test_tables_of_another_revision_are_not_opened_and_newer_ones_not_changed(tmp_path: Path) -> None:
    url = database_of(tmp_path)
    await execute(url, "UPDATE alembic_version SET version_num = '0001'")
    error = await refused(url)
    assert isinstance(error, SchemaMismatch)
    assert error.hint == "run: bifrost db upgrade"
    await execute(url, "UPDATE alembic_version SET version_num = '9999'")
    assert "ahead of this program" in (await refused(url)).message
    async with administer("storage", "postgres", {"url": url}) as schema:
        status = await schema.status()
        assert (status.current, status.needed, status.ahead, status.pending) == ("9999", HEAD, True, ())
        with pytest.raises(SchemaMismatch, match="ahead of this program"):
            await schema.upgrade()


async def test_an_upgrade_does_not_hold_others_up_behind_a_table_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_DDL_SECONDS", 1)
    url = database_of(tmp_path)
    await execute(url, "ALTER TABLE analyses DROP COLUMN provenance", "UPDATE alembic_version SET version_num = '0001'")
    other = await asyncpg.connect(url)
    async with administer("storage", "postgres", {"url": url}) as schema:
        async with other.transaction():
            await other.execute("LOCK TABLE analyses IN ACCESS SHARE MODE")
            with pytest.raises(StorageUnavailable, match="is being changed by another program"):
                await schema.upgrade()
        assert (await schema.status()).current == "0001"
    await other.close()
