"""The examples of the API are run as they are told to be."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.servers.bifrost import Served, environment, make_key, served

EXAMPLES = Path(__file__).parents[2] / "examples" / "api"
LOG = "2026-11-20T03:05:53Z INFO start\n2026-11-20T03:05:54Z FATAL: sorry, too many clients already\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    variables = environment(tmp_path_factory.mktemp("examples"))
    with served(variables, key=make_key(variables)) as server:
        yield server


def said(server: Served, command: list[str | Path]) -> str:
    variables = os.environ | {"BIFROST_URL": server.url, "BIFROST_API_KEY": server.key}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["analyze.py", "stream.py", "websocket.py"])
def test_a_log_is_analysed(name: str, server: Served, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(LOG)
    assert "connection pool" in said(server, [sys.executable, EXAMPLES / name, tmp_path / "app.log"])


def test_a_folder_is_analysed(server: Served, tmp_path: Path) -> None:
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_text(LOG)
    assert said(server, [sys.executable, EXAMPLES / "batch.py", tmp_path]).count("connection pool") == 2


def test_curl_is_enough(server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.log").write_text(LOG)
    if shutil.which("curl") is None:
        stand_in = tmp_path / "curl"
        stand_in.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("curl.py")} "$@"\n')
        stand_in.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert '"category":"database"' in said(server, [EXAMPLES / "analyze.sh", tmp_path / "app.log"])


def test_every_example_is_tried() -> None:
    tried = {"analyze.py", "stream.py", "websocket.py", "batch.py", "analyze.sh"}
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".sh")} == tried
