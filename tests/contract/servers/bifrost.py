"""`bifrost serve` as a process of its own, on a free port."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

BIFROST = Path(sys.executable).parent / "bifrost"


class Served:
    """A running server: where it is, what it said on stderr so far, and a client that shows `key`."""

    def __init__(self, process: subprocess.Popen[str], key: str) -> None:
        self.process = process
        self.key = key
        self.url = ""
        self.said: list[str] = []
        self._up = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip("\n"))
            if "listening on " in line:
                self.url = line.partition("listening on ")[2].strip()
                self._up.set()
        self._up.set()

    def wait(self, seconds: float = 60.0) -> None:
        """Until it answers."""
        if not self._up.wait(seconds) or not self.url:
            raise AssertionError("\n".join(self.said) or "the server said nothing")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}/health/live", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("\n".join(self.said))

    def stop(self) -> None:
        """As an orchestrator does, and harder where it takes too long."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://").rpartition(":")[0]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, key: str | None = None, **options: object) -> httpx.Client:
        headers = {"X-API-Key": self.key if key is None else key}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)  # type: ignore[arg-type]

    def records(self) -> list[dict[str, object]]:
        """What it logged."""
        return [json.loads(line) for line in list(self.said) if line.startswith("{")]


def environment(workdir: Path, **more: str) -> dict[str, str]:
    return {
        "HOME": str(workdir),
        "XDG_DATA_HOME": str(workdir / "data"),
        "XDG_CONFIG_HOME": str(workdir / "config"),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        **more,
    }


def make_key(variables: Mapping[str, str], *options: str) -> str:
    """A new key of the database that `variables` name."""
    command = [BIFROST, "keys", "create", "test", *options, "--format", "json"]
    done = subprocess.run(command, env=dict(variables), capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)["key"])


@contextmanager
def served(variables: Mapping[str, str], *options: str, key: str = "", wait: bool = True) -> Iterator[Served]:
    """`bifrost serve` with these options; stopped at the end, and killed where it does not stop."""
    process = subprocess.Popen(
        [BIFROST, "serve", "--port", "0", *options], env=dict(variables), stderr=subprocess.PIPE, text=True
    )
    server = Served(process, key)
    try:
        if wait:
            server.wait()
        yield server
    finally:
        server.stop()


LIMITS = ("--per-minute", "1000000", "--at-once", "1000")
