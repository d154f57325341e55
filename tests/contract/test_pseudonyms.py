"""Pseudonyms at the command line: as they are on a terminal, named everywhere else."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.contract.test_cli import BIFROST, run

HOST, ADDRESS = "db-3.acme.internal", "10.20.30.40"
INCIDENT = (
    "2026-11-20T03:05:50Z INFO  checkout started, pool size 20\n"
    f'2026-11-20T03:05:54Z ERROR psycopg.OperationalError: connection to server at "{HOST}" ({ADDRESS}), '
    "port 5432 failed: FATAL: sorry, too many clients already\n"
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text(INCIDENT)
    return path


def at_a_terminal(*arguments: str | Path, environment: dict[str, str]) -> str:
    primary, secondary = pty.openpty()
    with subprocess.Popen(
        [BIFROST, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=secondary,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        os.close(secondary)
        seen = b""
        try:
            while piece := os.read(primary, 65536):
                seen += piece
        except OSError:  # EIO is how Linux says that nobody holds the other end any more
            pass
        finally:
            os.close(primary)
        assert process.wait(timeout=60) == 0
    return seen.decode()


def test_text_on_a_terminal_shows_things_as_they_are(log: Path, environment: dict[str, str]) -> None:
    seen = at_a_terminal("analyze", log, "--pseudonyms", environment=environment)
    assert HOST in seen
    assert ADDRESS in seen
    assert "host-" not in seen


@pytest.mark.parametrize("kind", ["json", "markdown", "csv"])
def test_other_forms_keep_the_names_on_a_terminal_too(kind: str, log: Path, environment: dict[str, str]) -> None:
    seen = at_a_terminal("analyze", log, "--pseudonyms", "--format", kind, environment=environment)
    assert "host-" in seen
    assert HOST not in seen
    assert ADDRESS not in seen


@pytest.mark.parametrize("kind", ["text", "json", "jsonl", "markdown", "csv"])
def test_a_pipe_and_the_history_get_the_names(kind: str, log: Path, environment: dict[str, str]) -> None:
    environment |= {"BIFROST_REDACTION__PSEUDONYMS": "true"}
    done = run("analyze", log, "--format", kind, environment=environment)
    kept = run("history", "show", "last", "--format", "json", environment=environment)
    assert done.returncode == kept.returncode == 0
    for text in (done.stdout, done.stderr, kept.stdout):
        assert HOST not in text
        assert ADDRESS not in text
    assert "host-" in done.stdout
    assert "host-" in kept.stdout


def test_a_request_is_shown_as_it_would_be_sent(log: Path, environment: dict[str, str]) -> None:
    plan = run(
        "analyze", log, "--pseudonyms", "--dry-run", "--provider", "ollama", "--model", "m", environment=environment
    )
    assert "ip-lan-" in plan.stdout
    assert ADDRESS not in plan.stdout


def test_the_flag_turns_the_setting_off(log: Path, environment: dict[str, str]) -> None:
    environment |= {"BIFROST_REDACTION__PSEUDONYMS": "true"}
    assert HOST in run("analyze", log, "--no-pseudonyms", environment=environment).stdout
    assert HOST not in run("digest", log, environment=environment).stdout
