"""`bifrost keys` where people paste, mistype, and move between machines."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bifrost_domain import keys

BIFROST = Path(sys.executable).parent / "bifrost"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}

    def run(*arguments: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [BIFROST, "keys", *arguments],
            env=environment | more,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd=tmp_path,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def created(run: Run, *arguments: str, **more: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(run("create", *arguments, "--format", "json", **more).stdout)
    return made


def test_a_whole_key_stands_for_its_id_and_is_never_repeated(run: Run, tmp_path: Path) -> None:
    made = created(run, "ci")
    secret = keys.parse(made["key"]).secret
    shown = run("show", made["key"])
    revoked = run("revoke", made["key"], "--reason", f"found {made['key']} in a log", "--format", "json")
    part = run("show", made["key"][:-1], code=2)
    unknown = run("revoke", keys.write("live", "0" * 12, secret), code=2)
    assert json.loads(revoked.stdout)["state"] == "revoked"
    assert "REDACTED" in json.loads(revoked.stdout)["revoked_reason"]
    for done in (shown, revoked, part, unknown, run("audit"), run("list", "--all")):
        assert secret not in done.stdout + done.stderr
    assert secret.encode() not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_what_is_made_has_what_was_asked_for_and_nothing_of_its_hash(run: Run) -> None:
    limits = ("--per-minute", "7", "--at-once", "2", "--tokens-per-day", "1000", "--usd-per-day", "0.5")
    made = created(run, " deploy ", "--admin", "--env", "test", "--expires", "never", *limits)
    assert made["key"].startswith("bfr_test_")
    assert (made["name"], made["expires_at"], made["state"]) == ("deploy", None, "active")
    assert made["scopes"] == [str(scope) for scope in keys.Scope]
    assert made["limit"] == {"per_minute": 7, "at_once": 2, "tokens_per_day": 1000, "usd_per_day": 0.5}
    assert made["created_by"].startswith("cli:")
    stored = json.loads(run("show", made["id"], "--format", "json").stdout)
    assert not {"hash", "key"} & stored.keys()
    assert "hash" not in made
    assert {name: stored[name] for name in stored if name != "events"} == {
        name: made[name] for name in made if name != "key"
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--usd-per-day", "nan"), "finite"),
        (("--usd-per-day", "inf"), "finite"),
        (("--tokens-per-day", "9" * 400), "finite"),
        (("--per-minute", "-1"), "one request a minute"),
        (("--expires", "0d"), "a key lives"),
        (("--expires", "soon"), "is not an age"),
        (("--scope", "everything"), "everything"),
    ],
)
def test_a_key_that_limits_nothing_is_not_made(run: Run, arguments: tuple[str, str], words: str) -> None:
    assert words in run("create", "ci", *arguments, code=2).stderr
    assert json.loads(run("list", "--all", "--format", "json").stdout)["items"] == []


def test_keys_of_a_pepper_that_is_gone_are_named(run: Run) -> None:
    first, second = ({"BIFROST_KEYS__PEPPERS": json.dumps({number: "p" * 32})} for number in "12")
    made = created(run, "ci", **first)
    assert made["pepper_version"] == 1
    assert made["id"] not in run("list", **first).stderr
    told = run("list", **second)
    assert made["id"] in told.stderr
    assert "keys.peppers" in told.stderr
