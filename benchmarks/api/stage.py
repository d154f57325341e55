"""Processes of a benchmark: pinned to a core, waited for, and ended."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.contract.servers.bifrost import environment, make_key
from tests.contract.servers.ports import free_port

SERVER_CPU, LOADER_CPU = 1, 0
ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
BIFROST = Path(PYTHON).parent / "bifrost"
KEY_OPTIONS = ("--admin", "--per-minute", "100000000", "--at-once", "10000")


@contextmanager
def process(
    command: list[str], url: str, *, cpu: int, variables: Mapping[str, str] | None = None, seconds: float = 60.0
) -> Iterator[subprocess.Popen[bytes]]:
    """A command on one core, once something answers at `url`."""
    with tempfile.TemporaryFile() as said:
        running = subprocess.Popen(
            ["taskset", "-c", str(cpu), *command],
            env={**os.environ, **(variables or {})},
            stdout=said,
            stderr=said,
            cwd=ROOT,
        )
        try:
            until = time.monotonic() + seconds
            while not answers(url):
                if running.poll() is not None or time.monotonic() > until:
                    said.seek(0)
                    raise RuntimeError(f"{command[0]} did not come up: {said.read()[-3000:].decode(errors='replace')}")
                time.sleep(0.1)
            yield running
        finally:
            running.terminate()
            try:
                running.wait(40)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


class Service:
    def __init__(self, url: str, key: str, pid: int) -> None:
        self.url = url
        self.key = key
        self.pid = pid

    def post(self, body: bytes) -> dict[str, object]:
        headers = {"X-API-Key": self.key, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/analyze", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, object] = json.loads(answer.read())
            return found

    def get(self, path: str) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}", headers={"X-API-Key": self.key})
        with urllib.request.urlopen(request, timeout=60) as answer:
            data: bytes = answer.read()
            return data


@contextmanager
def bifrost(workdir: Path, *options: str, cpu: int = SERVER_CPU, **settings: str) -> Iterator[Service]:
    """`bifrost serve` with API key, metrics, request ids, limits, access log and CORS on."""
    workdir.mkdir(parents=True, exist_ok=True)
    more = {"BIFROST_SERVER__CORS_ORIGINS": "https://console.example", **settings}
    variables = environment(workdir, **more)
    if "BIFROST_DATABASE_URL" in settings:
        subprocess.run([BIFROST, "db", "upgrade"], env=variables, check=True, capture_output=True)
    key = make_key(variables, *KEY_OPTIONS)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(BIFROST), "serve", "--port", str(port), *options]
    with process(command, f"{url}/health/live", cpu=cpu, variables=variables) as running:
        yield Service(url, key, running.pid)


@contextmanager
def provider(tokens: int, pause: float, faults: float = 0.0, *, cpu: int = LOADER_CPU) -> Iterator[str]:
    port = free_port()
    command = [PYTHON, "-m", "benchmarks.api.provider", str(port), str(tokens), str(pause), str(faults)]
    url = f"http://127.0.0.1:{port}"
    with process(command, f"{url}/api/show", cpu=cpu):
        yield url


def asking(url: str) -> dict[str, str]:
    """Settings of a Bifrost that asks this provider."""
    return {
        "BIFROST_PROVIDERS": json.dumps({"ollama": {"kind": "ollama", "host": url, "model": "small:1b"}}),
        "BIFROST_PROVIDER": "ollama",
        "BIFROST_LIMITS__AT_ONCE": "1000",
        "BIFROST_SERVER__MAX_IN_PROGRESS": "2000",
    }
