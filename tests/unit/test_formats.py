"""Formats: every shape of log gives the same four fields."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_domain.errors import BadOption
from bifrost_domain.logs.formats import detect, infer_level, parse_moment, parse_time, strip_runner
from bifrost_domain.logs.lines import Level

FIXTURES = Path(__file__).parent.parent / "data" / "formats"
SHAPES = sorted(path.stem for path in FIXTURES.glob("*.log"))
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def lines_of(shape: str) -> list[str]:
    return (FIXTURES / f"{shape}.log").read_text(encoding="utf-8").split("\n")[:-1]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_recognised_and_read(shape: str) -> None:
    name, *expected = (FIXTURES / f"{shape}.expected").read_text(encoding="utf-8").splitlines()
    lines = lines_of(shape)
    reader = detect(lines, NOW)
    assert reader.name == name
    found = [reader.read(text) for text in lines]
    for text, fields, wanted in zip(lines, found, expected, strict=True):
        message, time, level, source, start = json.loads(wanted)
        at = None if time is None else datetime.fromisoformat(time)
        assert (fields.message, fields.time, fields.level, fields.source, fields.start) == (
            message,
            at,
            level,
            source,
            start,
        ), text


@pytest.mark.parametrize("shape", SHAPES)
def test_a_line_of_another_shape_is_read_as_what_it_is(shape: str) -> None:
    reader = detect(lines_of(shape), NOW)
    reader.reset()
    assert reader.read("").message == ""
    fields = reader.read("2026-03-01 10:00:05,000 ERROR [main] org.example.Shop: cannot pay")
    assert "cannot pay" in fields.message
    assert fields.level == Level.ERROR


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")), max_size=12))
def test_any_text_can_be_read(lines: list[str]) -> None:
    reader = detect(lines, NOW)
    for text in lines:
        fields = reader.read(text)
        assert fields.time is None or fields.time.tzinfo is UTC


pieces = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        "],",
        "},",
        '"message":',
        '"x",',
        '{"level":50,"msg":"x"}',
        "MESSAGE",
        "PRIORITY=3",
        "MESSAGE=x",
        "2026-03-01T10:00:00Z",
        "stdout",
        "P",
        "F",
        "ERROR",
        "[main]",
        "-",
        "|",
        ":",
        "<34>1",
        "time=",
        "level=error",
        'msg="x',
        "I0301 10:00:00.0",
        "##[error]",
        '{"log":"x","stream":"stdout"}',
        "1:M",
    ]
)


@given(st.lists(st.lists(pieces, max_size=6).map(" ".join), min_size=1, max_size=12), st.sampled_from(SHAPES))
def test_damaged_records_never_stop_a_reader(lines: list[str], shape: str) -> None:
    reader = detect(lines_of(shape), NOW)
    for text in lines:
        reader.read(text)
    for text in lines:
        detect([text], NOW).read(text)


def test_json_deeper_than_any_record_is_plain_text() -> None:
    bomb = "[" * 50_000 + "]" * 50_000
    assert detect([bomb]).read(bomb).message == bomb


def test_a_message_out_of_json_cannot_smuggle_an_escape() -> None:
    text = '{"level":"info","msg":"\\u001b]52;c;AAAA\\u0007done \\u202e"}'
    assert detect([text]).read(text).message == "done \\u{202e}"


def test_what_one_line_leaves_open_the_file_tells() -> None:
    lines = [f"2026-03-01 10:00:0{second} INFO Cart: item {second}" for second in range(8)]
    assert detect(lines).read(lines[0]).source == "Cart"
    varied = [
        f"2026-03-01 10:00:0{second} INFO {word}" for second, word in enumerate(["Total: 3", "done", "a b", "c", "d"])
    ]
    assert detect(varied).read(varied[0]).message == "Total: 3"


def test_a_syslog_line_without_a_program_still_has_a_host() -> None:
    lines = [f"Mar  1 10:00:0{second} web-1 shop[7]: item {second}" for second in range(8)]
    assert (
        detect(lines, NOW).read("Mar  1 10:00:09 web-1 last message repeated 3 times").message
        == "last message repeated 3 times"
    )


@pytest.mark.parametrize(
    "message",
    [
        "error: cannot find x",
        "ValueError: bad",
        "Traceback (most recent call last):",
        "npm ERR! code ELIFECYCLE",
        "E   AssertionError: assert 1 == 2",
        "E       assert 1 == 2",
        "java.lang.NullPointerException: x",
        "--- FAIL: TestX (0.00s)",
        "FAILED tests/a.py::test_x - AssertionError",
        "src/a.ts(3,4): error TS2304: Cannot find name",
        "error[E0308]: mismatched types",
        "make: *** [all] Error 2",
        "not ok 3 - works",
        "bash: foo: command not found",
        "Process completed with exit code 1.",
        "fatal: not a git repository",
        "  ✗ does x",
        "BUILD FAILED",
        "3 tests failed",
        "a.c:3:5: error: expected ';'",
        "Failed to connect to db",
        "connection refused",
        "Tests: 1 failed, 2 passed",
        "==1==ERROR: AddressSanitizer: heap-use-after-free",
        "2 problems (2 errors, 0 warnings)",
        "Found 279 errors in 9 files",
        "ld: symbol(s) not found for architecture x86_64",
        "thread 'main' panicked at src/main.rs:2:5",
        '"GET / HTTP/1.1" 502 157',
    ],
)
def test_words_that_say_error_are_an_error(message: str) -> None:
    assert infer_level(message) == Level.ERROR


@pytest.mark.parametrize(
    "message",
    ["FATAL: password authentication failed", "panic: runtime error", "Segmentation fault (core dumped)", "OOMKilled"],
)
def test_words_that_say_the_end_are_critical(message: str) -> None:
    assert infer_level(message) == Level.CRITICAL


@pytest.mark.parametrize(
    "message",
    ["warning: unused variable", "DeprecationWarning: x", "npm WARN deprecated foo", "WARNING: error rate is low"],
)
def test_words_that_warn_are_a_warning(message: str) -> None:
    assert infer_level(message) == Level.WARNING


@pytest.mark.parametrize(
    "message",
    [
        "0 errors, 0 warnings",
        "no errors found",
        "error_count=0",
        "--fail-fast",
        "errors.py",
        "failed: 0",
        "GET /x 404",
        "tests/test_errors.py::test_error_handling PASSED",
        "test_error ... ok",
        "Tests run: 3, Failures: 0, Errors: 0",
        "gcc -Werror -c x.c",
        "Get:1 libgpg-error0 amd64",
        "$ make || exit 1",
        "compiled without errors",
        "ok 3 - throws an error",
        "  ✓ throws an error (3ms)",
        "0 failed, 3 passed",
        "exit code 0",
        "if [ $? -ne 0 ]; then",
        "fail-fast: true",
        "continue-on-error: false",
        "docs/errors.md | 3 ++-",
        "a plain line",
    ],
)
def test_words_that_only_look_like_an_error_say_nothing(message: str) -> None:
    assert infer_level(message) is None


@given(st.text(max_size=600))
def test_inferring_a_level_takes_any_text(message: str) -> None:
    assert infer_level(message) in (None, *Level)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-03-01T10:00:00.1234567Z ##[error]boom", "##[error]boom"),
        ("build\tRun tests\t2026-03-01T10:00:00.1234567Z boom", "boom"),
        ("2026-03-01T10:00:00.000000Z 01O boom", "boom"),
        ("travis_fold:end:a travis_time:start:0a1b boom", "boom"),
        ("section_start:1772359200:build boom", "boom"),
        ("travis_fold:end:a", "travis_fold:end:a"),
        ("2026-03-01T10:00:00.123Z boom", "2026-03-01T10:00:00.123Z boom"),
        ("a\tb\tboom", "a\tb\tboom"),
        ("", ""),
    ],
)
def test_only_a_runners_own_prefix_is_dropped(text: str, shown: str) -> None:
    assert strip_runner(text) == shown


@given(st.text(max_size=80))
def test_what_is_left_of_a_line_is_its_end(text: str) -> None:
    assert text.endswith(strip_runner(text))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T10:00:00.1234567Z", datetime(2026, 3, 1, 10, 0, 0, 123456)),
        ("2026-03-01 10:00:00,5", datetime(2026, 3, 1, 10, 0, 0, 500000)),
        ("2026-03-01T10:00:00+09:00", datetime(2026, 3, 1, 1)),
        ("2026-03-01 10:00:00 +0900", datetime(2026, 3, 1, 1)),
        ("2026/03/01 10:00:00", datetime(2026, 3, 1, 10)),
        ("2026-03-01-10.00.00.250000", datetime(2026, 3, 1, 10, 0, 0, 250000)),
        ("20260301-1:02:3:444", datetime(2026, 3, 1, 1, 2, 3, 444000)),
        ("260301 100000", datetime(2026, 3, 1, 10)),
        ("26/03/01 10:00:00", datetime(2026, 3, 1, 10)),
        ("03/01/2026 1:00:00 PM", datetime(2026, 3, 1, 13)),
        ("Sun Mar 01 10:00:00.25 2026", datetime(2026, 3, 1, 10, 0, 0, 250000)),
        ("Sun Mar  1 10:00:00 UTC 2026", datetime(2026, 3, 1, 10)),
        ("Sun, 01 Mar 2026 10:00:00 +0100", datetime(2026, 3, 1, 9)),
        ("01/Mar/2026:10:00:00 -0500", datetime(2026, 3, 1, 15)),
        ("Mar  1 10:00:00", datetime(2026, 3, 1, 10)),
        ("Dec 31 23:59:59", datetime(2025, 12, 31, 23, 59, 59)),
        ("Feb 29 10:00:00", datetime(2024, 2, 29, 10)),
        ("03-01 10:00:00.811", datetime(2026, 3, 1, 10, 0, 0, 811000)),
        ("1772359200", datetime(2026, 3, 1, 10)),
        ("1772359200123", datetime(2026, 3, 1, 10, 0, 0, 123000)),
    ],
)
def test_a_time_in_any_usual_form_is_read(text: str, moment: datetime) -> None:
    assert parse_time(text, NOW) == moment.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2026-13-01 10:00:00", "2026-03-01 25:00:00", "10:00:00", "12345", "Mar 41 10:00:00", "soon", ""]
)
def test_what_is_no_date_is_no_time(text: str) -> None:
    assert parse_time(text, NOW) is None


def test_without_a_reference_a_time_without_a_year_is_none() -> None:
    assert parse_time("Mar  1 10:00:00") is None


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)),
    st.sampled_from([" ", "T"]),
    st.sampled_from(["", "Z", "+00:00"]),
)
def test_a_written_time_is_read_back(moment: datetime, between: str, zone: str) -> None:
    assert parse_time(moment.isoformat(between) + zone) == moment.replace(tzinfo=UTC)


@given(st.text(max_size=40))
def test_a_time_is_read_from_any_text_without_failing(text: str) -> None:
    moment = parse_time(text, NOW)
    assert moment is None or moment.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("30s ago", timedelta(seconds=30)),
    ],
)
def test_a_moment_can_be_how_long_ago(text: str, ago: timedelta) -> None:
    assert parse_moment(text, NOW) == NOW - ago


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-02-20 10:00", datetime(2026, 2, 20, 10)),
        ("2026-02-20T10:00:00+09:00", datetime(2026, 2, 20, 1)),
        ("2026-02-20", datetime(2026, 2, 20)),
        ("10:00", datetime(2026, 3, 1, 10)),
        ("today", datetime(2026, 3, 2)),
        ("Feb 20 10:00:00", datetime(2026, 2, 20, 10)),
    ],
)
def test_a_moment_can_be_a_time(text: str, moment: datetime) -> None:
    assert parse_moment(text, NOW) == moment.replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "25:00", "2026-13-01", "15x", "999999w"])
def test_what_is_no_moment_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(BadOption) as caught:
        parse_moment(text, NOW)
    assert "15m" in caught.value.hint
