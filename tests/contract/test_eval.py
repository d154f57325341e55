"""`bifrost eval` as a user meets it: labelled folders in, one table for all engines out."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.contract.test_cli import HEALTHY, INCIDENT, environment, run

__all__ = ["environment"]

ANSWER = {
    "severity": "error",
    "category": "database",
    "summary": "The pool ran dry.",
    "root_cause": "The database refuses clients beyond its limit.",
    "confidence": 0.9,
    "evidence": [{"line": 3, "quote": "FATAL: sorry, too many clients already", "reason": "the refusal"}],
}
EXAMPLES = Path(__file__).parents[2] / "examples"


def a_case(folder: Path, name: str, log: str, **label: Any) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "app.log").write_text(log)
    (folder / name / "truth.json").write_text(json.dumps({"log": "app.log"} | label))


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    folder = tmp_path / "cases"
    a_case(
        folder,
        "clients",
        INCIDENT,
        severity="critical",
        category="database",
        decisive_lines=[3],
        must_mention=[["clients", "connection"]],
    )
    a_case(folder, "healthy", HEALTHY, severity="ok", category="none")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    answers = {"good": json.dumps(ANSWER), "bad": "I do not know."}
    entries = {name: {"kind": "scripted", "answers": [answer]} for name, answer in answers.items()}
    path.write_text(json.dumps({"providers": entries}))
    return path


def scored(*arguments: str | Path, environment: dict[str, str], code: int = 0) -> dict[str, Any]:
    done = run("eval", *arguments, "--format", "json", environment=environment)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_heuristic_is_scored_without_any_provider(cases: Path, environment: dict[str, str]) -> None:
    found = scored(cases, environment=environment)
    (engine,) = found["engines"]
    assert (engine["cases"], engine["answered"], engine["degraded"], engine["failed"]) == (2, 2, 0, 0)
    assert engine["scores"]["category"] == {"mean": 1.0, "n": 2}
    assert engine["scores"]["evidence_recall"] == {"mean": 1.0, "n": 1}
    assert [row["case"] for row in found["rows"]] == ["clients", "healthy"]


def test_engines_are_compared_side_by_side(cases: Path, config: Path, environment: dict[str, str]) -> None:
    arguments = ("--config", config, "--provider", "heuristic", "--provider", "good", "--provider", "bad")
    found = scored(cases, *arguments, "--prompt", "root-cause@1", environment=environment)
    heuristic, good, bad = found["engines"]
    assert (heuristic["prompt"], good["prompt"]) == (None, "root-cause@1")
    assert (good["answered"], good["input_tokens"] > 0, good["cost_usd"]) == (2, True, None)
    assert (bad["answered"], bad["degraded"]) == (0, 2)
    assert bad["scores"]["category"] == {"mean": None, "n": 0}
    assert bad["delivered"]["category"] == {"mean": 1.0, "n": 2}
    assert all("no valid report" in row["degraded"] for row in found["rows"] if row["engine"].startswith("bad"))


@pytest.mark.parametrize("kind", ["text", "markdown"])
def test_tables_name_engines_metrics_and_cases(
    kind: str, cases: Path, config: Path, environment: dict[str, str]
) -> None:
    done = run(
        *("eval", cases, "--config", config, "--provider", "good", "--provider", "bad", "--format", kind),
        environment=environment,
    )
    assert done.returncode == 0, done.stderr
    for word in ("good scripted", "bad scripted", "clients", "healthy", "degraded"):
        assert word in done.stdout.replace("\\", "")


def test_nothing_is_remembered_and_nothing_comes_from_the_cache(
    cases: Path, config: Path, environment: dict[str, str]
) -> None:
    def sent() -> int:
        found = scored(cases, "--config", config, "--provider", "good", environment=environment)
        return int(found["engines"][0]["input_tokens"])

    assert sent() == sent() > 0
    database = Path(environment["HOME"]) / ".local/share/bifrost/bifrost.db"
    if database.exists():
        with sqlite3.connect(database) as connection:
            assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'analyses'").fetchone() == (0,)


@pytest.mark.parametrize(("floor", "code"), [("category=0.5", 0), ("grounding=0.9", 1), ("files=0.1", 1)])
def test_a_score_under_its_floor_exits_with_1(
    floor: str, code: int, cases: Path, config: Path, environment: dict[str, str]
) -> None:
    arguments = ("eval", cases, "--config", config, "--provider", "good", "--fail-under", floor)
    done = run(*arguments, environment=environment)
    assert done.returncode == code, done.stderr
    assert (floor.partition("=")[0] in done.stderr) == (code == 1)


def test_a_case_that_fails_is_a_row_with_its_reason_and_exits_with_6(cases: Path, environment: dict[str, str]) -> None:
    a_case(cases, "empty", "", category="dns")
    a_case(cases, "short", "one line\n", category="dns", decisive_lines=[7])
    (cases / "clients" / "app.log").unlink()
    found = scored(cases, environment=environment, code=6)
    errors = {row["case"]: row["error"] for row in found["rows"]}
    assert errors["healthy"] is None
    assert all(errors[name] for name in ("clients", "empty", "short"))
    assert "line 7" in errors["short"]
    assert (found["engines"][0]["answered"], found["engines"][0]["failed"]) == (1, 3)


@pytest.mark.parametrize(
    ("label", "field"),
    [('{"log": "app.log", "category": "bad luck"}', "$.category"), ("{", "truth.json"), ('{"log": "x"}', "truth.json")],
)
def test_a_wrong_label_exits_with_2_before_anything_runs(
    label: str, field: str, cases: Path, environment: dict[str, str]
) -> None:
    (cases / "healthy" / "truth.json").write_text(label)
    done = run("eval", cases, environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert field in done.stderr
    assert "healthy/truth.json" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--prompt", "root-cause@9"], "it has 1, production"),
        (["--provider", "nobody"], "nobody"),
        (["--provider", "auto"], "auto"),
        (["--model", "x"], "--model"),
        (["--fail-under", "luck=1"], "category"),
        (["--timeout", "0"], "--timeout"),
    ],
)
def test_what_cannot_be_meant_exits_with_2_and_says_why(
    arguments: list[str], words: str, cases: Path, environment: dict[str, str]
) -> None:
    done = run("eval", cases, *arguments, environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


def test_a_folder_without_a_case_exits_with_4(tmp_path: Path, environment: dict[str, str]) -> None:
    done = run("eval", tmp_path, environment=environment)
    assert done.returncode == 4
    assert "truth.json" in done.stderr


def test_one_case_may_be_named_alone_and_many_be_limited(cases: Path, environment: dict[str, str]) -> None:
    assert [row["case"] for row in scored(cases / "healthy", environment=environment)["rows"]] == ["healthy"]
    assert [row["case"] for row in scored(cases, "--limit", "1", environment=environment)["rows"]] == ["clients"]


def test_a_timeout_degrades_the_case_and_is_no_failure(cases: Path, config: Path, environment: dict[str, str]) -> None:
    slow = {"kind": "scripted", "answers": [json.dumps(ANSWER)], "delay_seconds": 30}
    config.write_text(json.dumps({"providers": {"slow": slow}}))
    found = scored(
        *(cases, "--config", config, "--provider", "slow", "--limit", "1", "--timeout", "1"), environment=environment
    )
    (row,) = found["rows"]
    assert (row["error"], row["category"]) == (None, "database")
    assert "--timeout" in row["degraded"]


def test_labels_by_signals_score_a_log_that_has_no_labelled_lines(cases: Path, environment: dict[str, str]) -> None:
    a_case(cases, "ci", INCIDENT, signals=["too many clients already", "no such words"])
    found = scored(cases / "ci", environment=environment)
    scores = found["rows"][0]["scores"]
    assert (scores["signals"], scores["evidence_recall"], scores["category"]) == (0.5, 0.5, None)


def test_the_examples_are_cases(environment: dict[str, str]) -> None:
    found = scored(EXAMPLES, "--limit", "3", environment=environment)
    assert found["engines"][0]["failed"] == 0
    assert found["engines"][0]["scores"]["category"]["mean"] == 1
