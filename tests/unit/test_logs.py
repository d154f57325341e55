"""The log of the service: one record a line, nothing secret, nothing that acts on a terminal."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_domain.logs.redaction import Redactor
from bifrost_entrypoints.logs import AccessLog, configure, request_id

REDACTOR = Redactor(b"k" * 32)


def masked(text: str) -> str:
    return "\n".join(line.text for line in REDACTOR.lines(text.split("\n")))


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers, root.level
    stream = io.StringIO()
    configure("info", masked, stream)
    yield stream
    root.handlers, root.level = before


def records(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_has_its_request_and_what_was_said(stream: io.StringIO) -> None:
    token = request_id.set("r-1")
    logging.getLogger("bifrost.api").warning("%s failed", "it", extra={"number": 3})
    request_id.reset(token)
    (record,) = records(stream)
    assert record | {"time": ""} == {
        "time": "",
        "level": "warning",
        "logger": "bifrost.api",
        "message": "it failed",
        "request_id": "r-1",
        "number": 3,
    }


def test_secrets_and_escapes_go_from_messages_fields_and_tracebacks(stream: io.StringIO) -> None:
    secret = "hunter2" * 3
    try:
        raise ValueError(f"password={secret} \x1b]0;x\x07")
    except ValueError:
        logging.getLogger("bifrost.api").exception("password=%s", secret, extra={"more": f"password={secret}"})
    text = stream.getvalue()
    assert secret not in text
    assert "\x1b" not in text
    assert "\\u001b" not in text
    (record,) = records(stream)
    assert "ValueError" in str(record["exception"])


def test_what_is_no_text_is_masked_too_and_a_wrong_call_shows_nothing(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "hunter2" * 3
    logging.getLogger("bifrost.api").warning("odd", extra={"more": {"password": f"password={secret}"}})
    logging.getLogger("bifrost.api").warning("%d", f"password={secret}")
    assert secret not in stream.getvalue() + capsys.readouterr().err


def test_a_private_key_of_several_lines_is_masked(stream: io.StringIO) -> None:
    begin, end = (f"-----{word} RSA PRIVATE KEY-----" for word in ("BEGIN", "END"))
    body = "MIIEowIBAAKCAQEAq7" * 3
    logging.getLogger("bifrost.api").warning("%s", "\n".join([begin, body, body, end]))
    assert body not in stream.getvalue()


@given(st.text(max_size=100))
def test_any_message_is_one_line_of_json(text: str) -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers, root.level
    try:
        configure("info", masked, stream)
        logging.getLogger("bifrost.api").info("%s", text)
    finally:
        root.handlers, root.level = before
    assert len(records(stream)) == 1


async def test_answers_are_written_together_and_each_is_a_line() -> None:
    stream = io.StringIO()
    access = AccessLog(stream, as_json=True)
    for number in range(3):
        access.note(id=f"r{number}", method="GET", route="/history/{id}", status=200, seconds=0.0015, key=None)
    assert stream.getvalue() == ""
    access.write()
    found = records(stream)
    assert [record["request_id"] for record in found] == ["r0", "r1", "r2"]
    assert found[0]["message"] == "GET /history/{id} 200"
    assert found[0]["ms"] == 1.5
    stream.close()
    access.note(id="r3", method="GET", route="/x", status=200, seconds=0, key=None)
    access.write()


@pytest.mark.parametrize(("level", "written"), [("debug", True), ("info", True), ("warning", False)])
def test_the_level_says_whether_answers_are_written(level: str, written: bool) -> None:
    root = logging.getLogger()
    before = root.handlers, root.level
    try:
        assert (configure(level, str, io.StringIO()) is not None) is written
    finally:
        root.handlers, root.level = before
