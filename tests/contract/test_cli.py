"""The command line as a user meets it: a process of its own, real files, real pipes, real signals."""

import csv
import gzip
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

BIFROST = Path(sys.executable).parent / "bifrost"
INCIDENT = """\
2026-11-20T03:05:50Z INFO  checkout started, pool size 20
2026-11-20T03:05:53Z INFO  GET /cart 200 12 ms
2026-11-20T03:05:54Z ERROR psycopg.OperationalError: FATAL: sorry, too many clients already
2026-11-20T03:05:54Z ERROR could not obtain connection from pool within 30 s
2026-11-20T03:05:55Z ERROR GET /cart 500
"""
HEALTHY = "".join(f"2026-11-20T03:05:{second:02d}Z INFO GET /cart 200 {second} ms\n" for second in range(50))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.write_text(INCIDENT)
    return path


def run(
    *arguments: str | Path, environment: dict[str, str], text: str | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if text is None else {"input": text}
    return subprocess.run(
        [BIFROST, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd,
        timeout=120,
        check=False,
        **given,
    )


def analysis(*arguments: str | Path, environment: dict[str, str], text: str | None = None) -> dict[str, Any]:
    done = run("analyze", "--format", "json", *arguments, environment=environment, text=text)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


SHAPE = {
    "id": str,
    "created_at": str,
    "source": {"name": str, "kind": str, "files": [{"name": str, "lines": int, "bytes": int}]},
    "engine": {"provider": str, "model": str, "prompt": None, "degraded": bool, "degraded_reason": None},
    "cache": {"hit": bool, "fingerprint": str},
    "report": {
        "severity": str,
        "category": str,
        "summary": str,
        "root_cause": str,
        "confidence": float,
        "files": [str],
        "tests": [str],
        "evidence": [{"file": str, "line_start": int, "line_end": int, "quote": str, "reason": str, "verified": bool}],
        "actions": [{"title": str, "command": None, "why": str}],
        "timeline": [{"at": None, "line": int, "event": str}],
    },
    "coverage": {
        "lines_read": int,
        "bytes_read": int,
        "templates": int,
        "templates_shown": int,
        "lines_shown": int,
        "tokens_estimated": int,
        "lines_truncated": int,
        "time_start": None,
        "time_end": None,
    },
    "redactions": {"total": int, "by_kind": dict},
    "grounding": {"claims": int, "verified": int},
    "usage": {"input_tokens": int, "output_tokens": int, "cost_usd": None},
    "duration_ms": int,
}


def conforms(value: Any, shape: Any, path: str = "$") -> None:
    if isinstance(shape, dict):
        assert list(value) == list(shape), path
        for name, inner in shape.items():
            conforms(value[name], inner, f"{path}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), path
        for item in value:
            conforms(item, shape[0], f"{path}[]")
    elif shape is float:
        assert isinstance(value, int | float), path
    elif shape is not None:
        assert isinstance(value, shape), path


def test_the_json_report_has_exactly_the_documented_shape(log: Path, environment: dict[str, str]) -> None:
    found = analysis(log, environment=environment)
    conforms(found, SHAPE)
    assert found["report"]["category"] == "database"
    assert found["report"]["severity"] in ("error", "critical")
    assert found["source"] == {
        "name": str(log),
        "kind": "file",
        "files": [{"name": str(log), "lines": 5, "bytes": len(INCIDENT)}],
    }
    assert found["coverage"]["lines_read"] == 5
    rows = INCIDENT.splitlines()
    assert found["report"]["evidence"]
    for item in found["report"]["evidence"]:
        assert item["verified"]
        assert item["quote"] in "\n".join(rows[item["line_start"] - 1 : item["line_end"]])


def test_standard_input_is_noticed_and_a_dash_works_too(environment: dict[str, str]) -> None:
    for arguments in ((), ("-",)):
        found = analysis(*arguments, environment=environment, text=INCIDENT)
        assert found["source"]["kind"] == "stdin"
        assert {item["file"] for item in found["report"]["evidence"]} == {"-"}


def test_files_folders_and_archives_make_one_report(tmp_path: Path, log: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / "logs"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.log").write_text(HEALTHY)
    with gzip.open(tmp_path / "b.log.gz", "wt") as file:
        file.write(INCIDENT)
    found = analysis(tmp_path / "b.log.gz", folder, environment=environment)
    names = [file["name"] for file in found["source"]["files"]]
    assert names == [str(tmp_path / "b.log.gz"), f"{folder}/inner/a.log"]
    assert {item["file"] for item in found["report"]["evidence"]} == {str(tmp_path / "b.log.gz")}
    assert found["coverage"]["lines_read"] == 55


def test_a_healthy_log_is_ok(environment: dict[str, str]) -> None:
    found = analysis(environment=environment, text=HEALTHY)
    assert (found["report"]["severity"], found["report"]["category"]) == ("ok", "none")


def test_a_named_path_leaves_standard_input_alone(log: Path, environment: dict[str, str]) -> None:
    reader, writer = os.pipe()
    done = subprocess.run(
        [BIFROST, "analyze", str(log)], stdin=reader, capture_output=True, env=environment, timeout=60, check=False
    )
    os.close(writer)
    os.close(reader)
    assert done.returncode == 0


@pytest.mark.parametrize("kind", ["text", "markdown", "csv", "jsonl"])
def test_every_format_is_printed(kind: str, log: Path, environment: dict[str, str]) -> None:
    done = run("analyze", log, "--format", kind, environment=environment)
    assert done.returncode == 0
    assert "too many clients already" in done.stdout
    if kind == "csv":
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        assert rows
        assert all(row["verified"] == "true" for row in rows)
    if kind == "jsonl":
        assert len(done.stdout.splitlines()) == 1


def test_colour_is_the_only_difference_it_makes(log: Path, environment: dict[str, str]) -> None:
    plain = run("history", "list", environment=environment | {"NO_COLOR": "1"})
    assert plain.returncode == 0
    first = run("analyze", log, "--no-store", "--color", "always", environment=environment).stdout
    second = run("analyze", log, "--no-store", "--color", "never", environment=environment).stdout
    assert "\x1b[" in first
    assert "\x1b" not in second
    strip = re.compile(r"\x1b\[[0-9;]*m")
    varying = re.compile(r"\d+\.\d s · \S+")
    assert varying.sub("", strip.sub("", first)) == varying.sub("", second)


@pytest.mark.parametrize(
    ("variables", "colours"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colour_follows_the_environment(
    variables: dict[str, str], colours: bool, log: Path, environment: dict[str, str]
) -> None:
    done = run("analyze", log, "--no-store", environment=environment | variables)
    assert ("\x1b[" in done.stdout) is colours


def test_hostile_log_text_cannot_act_on_the_terminal(environment: dict[str, str]) -> None:
    hostile = "ERROR \x1b]52;c;ZXZpbA==\x07 \x1b[2J \x9b31m \u202e FATAL: disk full: No space left on device\n"
    for kind in ("text", "markdown", "json", "csv"):
        done = run("analyze", "--format", kind, "--no-store", environment=environment, text=hostile * 3)
        assert done.returncode == 0, done.stderr
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", done.stdout)


def test_secrets_reach_neither_output_nor_database(tmp_path: Path, environment: dict[str, str]) -> None:
    secret = "hunter2" + "Correct"
    text = INCIDENT + f"2026-11-20T03:05:56Z ERROR cannot connect to postgres://app:{secret}@db:5432/shop\n"
    done = run("analyze", "--format", "json", environment=environment, text=text)
    assert secret not in done.stdout + done.stderr
    assert json.loads(done.stdout)["redactions"]["total"] == 1
    for path in Path(environment["HOME"]).rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


# --- exit codes -----------------------------------------------------------------------------------------------------


def test_fail_on_exits_with_1_only_when_reached(log: Path, environment: dict[str, str]) -> None:
    assert run("analyze", log, "--fail-on", "warning", environment=environment).returncode == 1
    assert run("analyze", "--fail-on", "info", environment=environment, text=HEALTHY).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["analyze", "--format", "xml"],
        ["analyse"],
        ["analyze", "--provider", "nobody"],
        ["analyze", "--since", "whenever"],
        ["analyze", "--timeout", "0"],
        ["history", "show", "no-such-id"],
    ],
)
def test_wrong_usage_exits_with_2_and_a_message(arguments: list[str], environment: dict[str, str]) -> None:
    done = run(*arguments, environment=environment, text=INCIDENT)
    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_exits_with_2_and_names_the_nearest(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "c.yaml").write_text("provdier: auto\n")
    done = run("analyze", "--config", tmp_path / "c.yaml", environment=environment, text=INCIDENT)
    assert done.returncode == 2
    assert "did you mean 'provider'" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["history", "show", "\udcff"],
        ["history", "delete", "\udcff"],
        ["history", "delete", "--older-than", "999999w"],
        ["doctor", "--timeout", "nan"],
    ],
)
def test_values_beyond_all_measure_are_wrong_usage(arguments: list[str], environment: dict[str, str]) -> None:
    done = run(*arguments, environment=environment)
    assert done.returncode == 2
    assert "Error: " in done.stderr


@pytest.mark.parametrize("wrong", ["digest: {budget: 255}", "cache: {ttl_hours: 0}", "cache: {max_entries: 0}"])
def test_a_setting_that_nothing_could_work_with_exits_with_2_and_is_named(
    wrong: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "config.yaml").write_text(wrong)
    done = run("config", "validate", "--config", tmp_path / "config.yaml", environment=environment)
    assert done.returncode == 2
    assert f"{wrong.partition(':')[0]}.{wrong.partition('{')[2].partition(':')[0]}" in done.stderr


def test_a_failing_provider_falls_back_marked_or_exits_with_3(log: Path, environment: dict[str, str]) -> None:
    environment |= {"OLLAMA_HOST": "127.0.0.1:1"}
    found = analysis(log, "--provider", "ollama", environment=environment)
    assert found["engine"]["provider"] == "heuristic"
    assert found["engine"]["degraded"]
    assert "ollama" in found["engine"]["degraded_reason"]
    done = run("analyze", log, "--provider", "ollama", "--no-fallback", environment=environment)
    assert (done.returncode, done.stdout) == (3, "")
    assert "ollama" in done.stderr


@pytest.mark.parametrize("text", [""])
def test_an_empty_log_exits_with_4(text: str, environment: dict[str, str]) -> None:
    assert run("analyze", environment=environment, text=text).returncode == 4


def test_a_missing_path_exits_with_4_and_names_it(environment: dict[str, str]) -> None:
    done = run("analyze", "/nowhere/app.log", environment=environment)
    assert done.returncode == 4
    assert "/nowhere/app.log" in done.stderr


def test_a_timeout_reports_what_was_read_and_exits_with_5(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [BIFROST, "analyze", "--timeout", "2", "--no-store"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(INCIDENT)
        process.stdin.flush()
        try:
            code = process.wait(60)
        finally:
            process.kill()
        assert code == 5
        assert "too many clients" in process.stdout.read()


def test_one_bad_input_among_good_ones_exits_with_6(log: Path, environment: dict[str, str]) -> None:
    done = run("analyze", log, "/nowhere/b.log", environment=environment)
    assert done.returncode == 6
    assert "too many clients" in done.stdout
    assert "/nowhere/b.log" in done.stderr


def test_a_name_that_is_no_unicode_is_analysed_stored_and_found(tmp_path: Path, environment: dict[str, str]) -> None:
    place = os.fsencode(tmp_path) + b"/odd\xff\x1b[31m.log"
    with open(place, "w") as file:
        file.write(INCIDENT)
    shown = str(tmp_path) + "/odd\\udcff\\x1b[31m.log"
    found = analysis(os.fsdecode(place), environment=environment)
    assert found["source"]["name"] == shown
    assert found["report"]["evidence"][0]["file"] == shown
    stored = run("history", "show", "last", "--format", "json", environment=environment)
    assert json.loads(stored.stdout)["source"]["name"] == shown
    listed = run("history", "list", "--format", "jsonl", "--source", os.fsdecode(place), environment=environment)
    assert json.loads(listed.stdout)["source"] == shown


@pytest.mark.parametrize("command", ["analyze", "analyze --dry-run", "digest"])
def test_what_could_not_be_read_is_named_once_and_cannot_act_on_the_terminal(
    command: str, log: Path, environment: dict[str, str]
) -> None:
    done = run(*command.split(), log, "b\x1b]0;title\x07.log", environment=environment)
    assert done.returncode == 6
    assert done.stderr == "Error: b\\x1b]0;title\\x07.log: there is no such file or folder\n"


def test_where_nothing_can_be_read_every_input_is_named(environment: dict[str, str]) -> None:
    done = run("analyze", "/nowhere/a.log", "/nowhere/b.log", environment=environment)
    assert done.returncode == 4
    assert "a.log" in done.stderr
    assert "b.log" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--since", "soon"], "--since 'soon'"),
        (["--until", "soon"], "--until 'soon'"),
        (["--since", "2026-11-20", "--until", "2026-11-19"], "is after --until"),
        (["--model", "qwen3:8b"], "--provider"),
        (["--model", "qwen3:8b", "--provider", "heuristic"], "--provider"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_by_name(
    arguments: list[str], told: str, log: Path, environment: dict[str, str]
) -> None:
    done = run("analyze", log, *arguments, environment=environment)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stdout == ""


def test_an_interrupt_exits_with_130_and_stores_nothing(environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [BIFROST, "analyze"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    assert process.stdin is not None
    process.stdin.write(INCIDENT.encode() * 1000)
    process.stdin.flush()
    for _ in range(200):
        if Path(f"/proc/{process.pid}/task").exists() and len(os.listdir(f"/proc/{process.pid}/task")) > 1:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in error
    assert run("history", "list", "--format", "jsonl", environment=environment).stdout == ""


# --- pipes and terminals ----------------------------------------------------------------------------------------------


def test_a_reader_that_leaves_is_no_error(log: Path, environment: dict[str, str]) -> None:
    for command in (f"analyze {log}", f"digest {log}", f"redact < {log}", "history export", "--help", "nonsense 2>&1"):
        done = shell(f"set -o pipefail; {BIFROST} {command} | true", environment)
        # Usage errors keep their code; nothing else may come of it, least of all the code of --fail-on.
        assert (done.returncode, done.stderr) == (2 if "2>&1" in command else 0, ""), command


def shell(script: str, environment: dict[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, cwd=cwd, timeout=60, check=False
    )


@pytest.mark.parametrize("command", ["analyze app.log", "digest app.log", "redact < app.log", "templates app.log"])
@pytest.mark.parametrize("nowhere", ["> /dev/full", ">&-", ">&- 0<&-"])
def test_a_result_that_cannot_be_written_is_a_failure_and_no_bug(
    command: str, nowhere: str, log: Path, environment: dict[str, str]
) -> None:
    done = shell(f"{BIFROST} {command} {nowhere}", environment, log.parent)
    if command.startswith("redact") and "0<&-" in nowhere:
        assert done.returncode == 2
    else:
        assert done.returncode == 3
        assert done.stderr.startswith("Error: cannot write to standard output: ")
        assert done.stderr.count("\n") == 1


def test_a_closed_standard_error_loses_messages_and_nothing_else(log: Path, environment: dict[str, str]) -> None:
    done = shell(f"{BIFROST} analyze {log} /nowhere/b.log 2>&-", environment)
    assert done.returncode == 6
    assert "too many clients" in done.stdout
    assert "nowhere" not in done.stdout
    stored = run("history", "show", "last", environment=environment)
    assert "too many clients" in stored.stdout, "the database was written to by a message"


def test_without_a_pipe_and_without_a_path_it_says_so_at_once(environment: dict[str, str]) -> None:
    primary, secondary = pty.openpty()
    done = subprocess.run(
        [BIFROST, "analyze"], stdin=secondary, capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    os.close(primary)
    os.close(secondary)
    assert done.returncode == 2
    assert "pipe a log in" in done.stderr


@pytest.mark.parametrize("command", ["analyze", "digest", "redact", "templates"])
def test_a_closed_standard_input_is_named(command: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{BIFROST} {command} 0<&-"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert done.returncode in (2, 4)
    assert done.stderr.startswith("Error: ") or "Usage: " in done.stderr
    assert "bug" not in done.stderr


def test_a_pipe_without_a_command_is_told_which_one(environment: dict[str, str]) -> None:
    done = run(environment=environment, text=INCIDENT)
    assert done.returncode == 2
    assert "bifrost analyze -" in done.stderr


def test_nothing_is_written_beside_the_working_directory(
    tmp_path: Path, log: Path, environment: dict[str, str]
) -> None:
    place = tmp_path / "cwd"
    place.mkdir()
    assert run("analyze", log, environment=environment, cwd=place).returncode == 0
    assert run("demo", environment=environment, cwd=place).returncode == 0
    assert list(place.iterdir()) == []


# --- the other commands -------------------------------------------------------------------------------------------


def test_redact_gives_one_line_for_each_and_leaves_the_rest_alone(environment: dict[str, str]) -> None:
    secret = "s3cr3t" + "Passw0rd"
    raw = b"plain \xff\xfe line\r\n" + f"password={secret}\n".encode() + b"last without end"
    done = subprocess.run([BIFROST, "redact"], input=raw, capture_output=True, env=environment, check=True)
    rows = done.stdout.split(b"\n")
    assert rows[0] == b"plain \xff\xfe line\r"
    assert secret.encode() not in done.stdout
    assert b"[REDACTED:" in rows[1]
    assert rows[2] == b"last without end"


def test_digest_keeps_within_its_bound_and_numbers_its_lines(log: Path, environment: dict[str, str]) -> None:
    text = run("digest", log, "--max-chars", "400", environment=environment).stdout
    assert len(text) <= 400
    assert "3: 2026-11-20T03:05:54Z ERROR psycopg.OperationalError" in text
    data = json.loads(run("digest", log, "--format", "json", "--templates", environment=environment).stdout)
    assert list(data) == ["source", "coverage", "redactions", "fingerprint", "lines", "templates"]
    assert list(data["lines"][0]) == ["file", "line", "text", "severity", "count"]
    assert set(data["templates"][0]) == {"id", "template", "count", "severity", "first_line", "last_line"}


def test_without_a_budget_a_digest_fills_the_characters_it_was_given(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    rows = "\n".join(f"ERROR part {chr(97 + n % 26) * (n % 31 + 3)} of {n:x} broke" for n in range(3000))
    (tmp_path / "app.log").write_text(rows)
    text = run("digest", tmp_path / "app.log", "--max-chars", "16000", environment=environment).stdout
    assert 15_000 < len(text) <= 16_000
    both = run(
        "digest", tmp_path / "app.log", "--max-chars", "16000", "--budget", "1000", environment=environment
    ).stdout
    assert len(both) <= 2600


def test_templates_of_a_digest_are_listed_commonest_first(log: Path, environment: dict[str, str]) -> None:
    rows = run("digest", log, "--templates", environment=environment).stdout.splitlines()
    assert rows[0].split() == ["COUNT", "SEVERITY", "LINES", "TEMPLATE"]
    counts = [int(row.split()[0]) for row in rows[1:]]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == 5
    assert len(run("digest", log, "--templates", "--max-chars", "90", environment=environment).stdout) <= 90


def test_templates_gives_one_id_for_each_line(log: Path, environment: dict[str, str]) -> None:
    ids = run("templates", log, environment=environment).stdout.splitlines()
    assert len(ids) == 5
    done = run("templates", environment=environment, text="a\n\n  at b\n\nlast")
    assert len(done.stdout.splitlines()) == 5


def test_history_lists_shows_searches_exports_and_deletes(log: Path, environment: dict[str, str]) -> None:
    first = analysis(log, environment=environment)
    second = analysis(environment=environment, text=HEALTHY)
    page = json.loads(run("history", "list", "--format", "json", environment=environment).stdout)
    assert [item["id"] for item in page["items"]] == [second["id"], first["id"]]
    assert json.loads(run("history", "show", "last", "--format", "json", environment=environment).stdout) == second
    assert json.loads(run("history", "show", first["id"], "--format", "json", environment=environment).stdout) == first
    hits = run("history", "search", "too many clients", "--format", "jsonl", environment=environment).stdout
    assert [json.loads(row)["id"] for row in hits.splitlines()] == [first["id"]]
    exported = run("history", "export", environment=environment).stdout.splitlines()
    assert [json.loads(row) for row in exported] == [second, first]
    assert run("history", "delete", first["id"], environment=environment).returncode == 0
    assert run("history", "show", first["id"], environment=environment).returncode == 2
    assert run("history", "list", "--severity", "error", "--format", "jsonl", environment=environment).stdout == ""


def test_no_store_keeps_nothing(log: Path, environment: dict[str, str]) -> None:
    analysis(log, "--no-store", environment=environment)
    assert run("history", "list", "--format", "jsonl", environment=environment).stdout == ""


def test_config_init_show_path_validate(tmp_path: Path, environment: dict[str, str]) -> None:
    place = Path(environment["HOME"]) / ".config/bifrost/config.yaml"
    assert run("config", "path", environment=environment).stdout.strip() == str(place)
    assert run("config", "init", environment=environment).returncode == 0
    assert run("config", "init", environment=environment).returncode == 2
    assert run("config", "validate", environment=environment).returncode == 0
    shown = run("config", "show", environment=environment | {"BIFROST_PROVIDER": "heuristic"}).stdout
    assert re.search(r"^provider +heuristic +environment BIFROST_PROVIDER$", shown, re.M)
    place.write_text("providers: {local: {kind: ollama, modle: x}}\n")
    done = run("config", "validate", environment=environment)
    assert done.returncode == 2
    assert "providers.local" in done.stderr


def test_doctor_tells_what_works(environment: dict[str, str]) -> None:
    environment |= {"OLLAMA_HOST": "127.0.0.1:1"}
    done = run("doctor", "--format", "json", environment=environment)
    checks = {item["name"]: item for item in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0
    assert checks["database"]["status"] == checks["cache"]["status"] == "ok"
    assert checks["provider ollama"]["status"] == "unused"
    assert run("doctor", environment=environment | {"BIFROST_PROVIDER": "ollama"}).returncode == 3


def test_the_demo_needs_nothing(environment: dict[str, str]) -> None:
    found = json.loads(run("demo", "--format", "json", "-q", environment=environment).stdout)
    assert found["engine"]["provider"] == "heuristic"
    assert found["report"]["severity"] in ("error", "critical")
    assert found["report"]["confidence"] >= 0.5
    assert found["grounding"]["verified"] == found["grounding"]["claims"] > 0


def test_korean_prose_with_english_keys_and_untouched_quotes(log: Path, environment: dict[str, str]) -> None:
    found = analysis(log, "--language", "ko", environment=environment)
    assert re.search("[가-힣]", found["report"]["summary"])
    assert found["report"]["category"] == "database"
    assert all(item["quote"] in INCIDENT for item in found["report"]["evidence"])
    text = run("analyze", log, "--no-store", environment=environment | {"LANG": "ko_KR.UTF-8"}).stdout
    assert "근본 원인" in text
    assert "근거" in text
