"""Prompts, API keys, the database and replay as a user of the command line meets them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bifrost_domain import keys
from tests.contract.servers import postgres, valkey

BIFROST = Path(sys.executable).parent / "bifrost"
LOG = """\
2026-11-20T03:05:50Z INFO  checkout started
2026-11-20T03:05:54Z ERROR psycopg.OperationalError: FATAL: sorry, too many clients already
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


on_both = pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Settings that name it; SQLite where a test does not ask for both."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return {}
    return {"BIFROST_DATABASE_URL": postgres.database_of(tmp_path), "BIFROST_CACHE_URL": valkey.shared().url}


@pytest.fixture
def run(tmp_path: Path, database: dict[str, str]) -> Run:
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **database}

    def run(*arguments: object, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [BIFROST, *map(str, arguments)],
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


def data(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


@on_both
def test_a_key_lives_from_its_making_to_its_end(run: Run, tmp_path: Path, database: dict[str, str]) -> None:
    made = data(run("keys", "create", "ci", "--scope", "metrics:read", "--expires", "30d", "--format", "json"))
    assert keys.parse(made["key"]).id == made["id"]
    assert (made["name"], made["scopes"], "hash" in made) == ("ci", ["metrics:read"], False)
    assert made["expires_at"]
    shown = run("keys", "create", "plain")
    assert keys.parse(shown.stdout.strip())
    assert "shown once" in shown.stderr
    successor = data(run("keys", "rotate", made["id"], "--overlap", "1h", "--format", "json"))
    assert (successor["family"], successor["scopes"]) == (made["id"], ["metrics:read"])
    assert data(run("keys", "show", made["id"], "--format", "json"))["successor"] == successor["id"]
    run("keys", "revoke", successor["id"], "--reason", "leaked")
    listed = data(run("keys", "list", "--format", "json"))["items"]
    assert {key["name"] for key in listed} == {"ci", "plain"}
    assert successor["id"] not in {key["id"] for key in listed}
    everything = data(run("keys", "list", "--all", "--format", "json"))["items"]
    assert {key["state"] for key in everything} == {"active", "revoked"}
    events = data(run("keys", "show", successor["id"], "--format", "json"))["events"]
    assert [event["action"] for event in events] == ["key.revoked"]
    assert events[0]["detail"] == {"reason": "leaked"}
    assert "key.rotated" in run("keys", "audit").stdout
    secrets = [keys.parse(text).secret for text in (made["key"], successor["key"], shown.stdout.strip())]
    if not database:
        stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert not any(secret.encode() in stored for secret in secrets)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "ci", "--expires", "400d"), "at most 365 days"),
        (("create", ""), "1 to 100"),
        (("create", "ci", "--per-minute", "0"), "one request a minute"),
        (("show", "nobody"), "no API key"),
        (("revoke", "nobody"), "no API key"),
        (("rotate", "nobody", "--overlap", "30d"), "no API key"),
    ],
)
def test_what_cannot_be_done_to_keys_is_told(run: Run, arguments: tuple[str, ...], words: str) -> None:
    assert words in run("keys", *arguments, code=2).stderr


def test_without_a_lasting_installation_key_no_key_is_made(run: Run, database: dict[str, str]) -> None:
    if not database:  # its file would lie there too
        return
    told = run("keys", "create", "ci", code=2, XDG_DATA_HOME="/proc/nowhere")
    assert "keys.peppers" in told.stderr
    run("keys", "create", "ci", XDG_DATA_HOME="/proc/nowhere", BIFROST_KEYS__PEPPERS=json.dumps({"1": "p" * 32}))


def test_the_doctor_sees_keys_that_can_no_longer_be_checked(run: Run) -> None:
    def keys_of(**more: str) -> dict[str, str]:
        code = 3 if more else 0
        checks = data(run("doctor", "--format", "json", code=code, **more))["checks"]
        found: dict[str, str] = next(check for check in checks if check["name"] == "api keys")
        return found

    run("keys", "create", "ci")
    assert (keys_of()["status"], keys_of()["detail"]) == ("ok", "1 stored")
    lost = keys_of(BIFROST_KEYS__PEPPERS=json.dumps({"2": "p" * 32}))
    assert lost["status"] == "failed"
    assert "keys.peppers" in lost["hint"]


@on_both
def test_a_prompt_is_written_labelled_compared_and_rolled_back(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(LOG)
    built_in = data(run("prompts", "show", "root-cause@1", "--format", "json"))
    (tmp_path / "system.txt").write_text(built_in["system"] + "\nThe service is {{team}}'s.\n")
    made = data(
        run(
            *("prompts", "create", "root-cause", "--from", "root-cause@1", "--system", "system.txt"),
            *("--variable", "team=checkout", "-m", "names the team", "--label", "staging", "--format", "json"),
        )
    )
    assert (made["version"], made["variables"], made["author"][:4]) == (2, {"team": "checkout"}, "cli:")
    assert "+The service is {{team}}'s." in run("prompts", "diff", "root-cause@1", "root-cause@staging").stdout
    assert "root-cause@2" in run("prompts", "label", "root-cause@2", "production").stderr
    assert data(run("prompts", "list", "--format", "json"))["items"] == [
        {"name": "root-cause", "versions": 2, "labels": {"production": 2, "staging": 2}}
    ]
    rendered = run("prompts", "render", "root-cause", "app.log", "--var", "team=payments").stdout
    assert "The service is payments's." in rendered
    assert "2: 2026-11-20T03:05:54Z ERROR psycopg" in rendered
    assert "root-cause@1" in run("prompts", "rollback", "root-cause").stderr
    assert "nowhere to go back" in run("prompts", "rollback", "root-cause", code=2).stderr
    moves = data(run("prompts", "show", "root-cause", "--format", "json"))["moves"]
    assert [(move["version"], move["rollback"]) for move in moves] == [(1, False), (2, False), (2, False), (1, True)]
    plain = ("prompts", "create", "root-cause", "--from", "root-cause@2", "--system", "plain.txt", "--format", "json")
    (tmp_path / "plain.txt").write_text(built_in["system"] + "\nBe brief.\n")
    assert data(run(*plain))["variables"] == {}, "what the new texts no longer use is not declared any more"
    run("prompts", "export", "prompts")
    assert sorted(path.name for path in (tmp_path / "prompts").iterdir()) == [
        f"root-cause@{number}.json" for number in (1, 2, 3)
    ]
    by_hand = json.loads((tmp_path / "prompts" / "root-cause@3.json").read_text())
    del by_hand["checksum"]
    by_hand |= {"version": 4, "system": [*by_hand["system"], "By hand."]}
    (tmp_path / "prompts" / "root-cause@4.json").write_text(json.dumps(by_hand))
    imported = run("prompts", "import", "prompts")
    assert (imported.stdout, "3 were there already" in imported.stderr) == ("root-cause@4\n", True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "nobody"), "no prompt"),
        (("show", "root-cause@9"), "it has 1, production"),
        (("create", "mine", "--system", "a.txt"), "Give both"),
        (("create", "mine", "--system", "a.txt", "--user", "a.txt"), "cannot read a.txt"),
        (("create", "mine", "--from", "root-cause", "--variable", "x"), "no NAME=VALUE"),
        (("label", "root-cause@1", "7"), "cannot be a label"),
        (("import", "nowhere.json"), "cannot read"),
    ],
)
def test_what_cannot_be_done_to_prompts_is_told(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code = 4 if "cannot read" in words else 2
    assert words in run("prompts", *arguments, code=code).stderr


def test_an_incident_is_counted_and_an_analysis_replayed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(LOG)
    first = data(run("analyze", "app.log", "--format", "json"))
    assert "seen 2 times" in run("analyze", "app.log").stderr
    again = run("replay", first["id"], "--format", "json")
    assert data(again)["report"] == first["report"]
    assert data(again)["id"] != first["id"]
    assert "same as before" in again.stderr
    (incident,) = data(run("history", "incidents", "--format", "json"))["items"]
    assert (incident["seen"], incident["last_id"]) == (3, data(again)["id"])
    assert "no prompt" in run("replay", "last", "--prompt", "nothing", code=2).stderr
    assert "no analysis" in run("replay", "nothing", code=2).stderr
    run("history", "delete", first["id"])
    assert "analysis.deleted" in run("keys", "audit").stdout
    assert [item["seen"] for item in data(run("history", "incidents", "--format", "json"))["items"]] == [2]


@on_both
def test_the_past_is_erased_by_itself_where_it_is_wanted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(LOG)
    for days, left in (("1", 2), ("0.00000001", 0)):
        run("analyze", "app.log", BIFROST_HISTORY__RETENTION_DAYS="1")
        run("analyze", "app.log", BIFROST_HISTORY__RETENTION_DAYS=days)
        items = data(run("history", "list", "--format", "json"))["items"]
        assert len(items) == left
    assert "history.purged" in run("keys", "audit").stdout


@on_both
def test_the_tables_are_told_and_brought_up_to_date(run: Run, database: dict[str, str], tmp_path: Path) -> None:
    if database:
        database = {"BIFROST_DATABASE_URL": postgres.shared().database()}
        told = run("history", "list", code=3, **database).stderr
        assert "no tables of Bifrost's" in told
        assert "bifrost db upgrade" in told
    found = data(run("db", "status", "--format", "json", code=3, **database))
    assert (found["current"], found["pending"], found["ahead"]) == (None, ["0001", "0002", "0003"], False)
    assert data(run("db", "upgrade", "--format", "json", **database))["ran"] == ["0001", "0002", "0003"]
    assert "nothing to do" in run("db", "upgrade", **database).stdout
    assert "up to date" in run("db", "status", **database).stdout
    run("history", "list", **database)


def test_a_database_without_tables_is_told(run: Run) -> None:
    assert "no tables" in run("db", "status", code=2, BIFROST_DATABASE_URL="memory:").stderr
    told = run("db", "status", code=3, BIFROST_DATABASE_URL="postgresql://me:hush@127.0.0.1:1/x").stderr
    assert "cannot be reached" in told
    assert "hush" not in told
