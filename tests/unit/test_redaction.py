"""Redaction: what is masked, what stays as it is, and that neither depends on how the text comes in."""

import base64
import importlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bifrost_domain.logs.redaction import RedactingStream, Redactor, unkeyed

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "redaction"
SEED = 20

REDACTOR = Redactor(b"k" * 32)


@pytest.fixture(scope="module")
def score() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARK))
        yield importlib.import_module("score")


def redact(text: str) -> str:
    return REDACTOR.line(text).text


def stream(data: bytes, *sizes: int) -> bytes:
    """`data` in chunks of these sizes, the last of which is used again and again."""
    redacting = RedactingStream(REDACTOR)
    out: list[bytes] = []
    position = place = 0
    while position < len(data):
        size = sizes[min(place, len(sizes) - 1)] if sizes else len(data)
        out.append(redacting.feed(data[position : position + size]))
        position += size
        place += 1
    return b"".join((*out, redacting.finish()))


def joined(*parts: str) -> str:
    """A fake token, of which no part in this file looks like one."""
    return "".join(parts)


GITHUB = joined("gh", "p_", "16C7e42F292c6912E7710c838347Ae178B4a")
AWS = joined("AK", "IA", "Q3EGUZ4WXJ7RN5TK")
BODY = base64.b64encode(bytes(range(48))).decode()
DASHES = "-" * 5
BEGIN, END = f"{DASHES}BEGIN RSA PRIVATE KEY{DASHES}", f"{DASHES}END RSA PRIVATE KEY{DASHES}"
PEM = [BEGIN, BODY, BODY, BODY[:20] + "==", END]


# The bars


def test_the_corpus_is_as_large_as_the_bars_ask(score: ModuleType) -> None:
    samples = score.corpus(SEED)
    groups = Counter(sample.group for sample in samples)
    assert groups["token"] >= 120
    assert len({sample.kind for sample in samples if sample.group == "token"}) >= 40
    assert groups["context"] >= 60
    assert groups["evasion"] >= 18
    assert groups["look-alike"] >= 130


@pytest.mark.parametrize(
    ("groups", "bar"), [(("token", "context"), 0.97), (("evasion",), 12 / 18), (("personal",), 0.97)]
)
def test_secrets_of_the_corpus_do_not_survive(score: ModuleType, groups: tuple[str, ...], bar: float) -> None:
    samples = [sample for sample in score.corpus(SEED) if sample.group in groups]
    leaked = [s.text for s in samples if any(score.leaks(s, out) for out in score.outputs(REDACTOR, s))]
    assert 1 - len(leaked) / len(samples) >= bar, leaked


def test_lookalikes_of_the_corpus_are_left_as_they_are(score: ModuleType) -> None:
    samples = [sample for sample in score.corpus(SEED) if sample.group == "look-alike"]
    changed = [s.text for s in samples if any(out != s.text for out in score.outputs(REDACTOR, s))]
    assert 1 - len(changed) / len(samples) >= 0.98, changed


def test_nearly_every_changed_line_of_the_corpus_held_a_secret(score: ModuleType) -> None:
    changed = [s for s in score.corpus(SEED) if any(out != s.text for out in score.outputs(REDACTOR, s))]
    wrongly = [sample.text for sample in changed if not sample.secrets]
    assert 1 - len(wrongly) / len(changed) >= 0.97, wrongly


@pytest.mark.parametrize("name", ["heldout", "unseen", "third", "fourth"])
def test_what_the_held_out_lists_taught_is_not_forgotten(name: str, score: ModuleType) -> None:
    samples = getattr(score, name)(SEED)
    fine = Counter[bool]()
    total = Counter(bool(sample.secrets) for sample in samples)
    for sample in samples:
        found = score.outputs(REDACTOR, sample)
        kept = all(out == sample.text for out in found)
        fine[bool(sample.secrets)] += not any(score.leaks(sample, out) for out in found) if sample.secrets else kept
    assert fine[True] / total[True] >= 0.95
    assert fine[False] / total[False] >= 0.97


# The rules, one example each


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        (f"using {GITHUB}, next", "using [REDACTED:github-token], next"),
        (f'{{"id":"{AWS}"}}', '{"id":"[REDACTED:aws-access-key]"}'),
        ("postgres://app:hunt3r!x@db:5432/orders", "postgres://app:[REDACTED:url-credential]@db:5432/orders"),
        ("Authorization: Bearer aB3dE5gH7jK9mN1pQ3s", "Authorization: Bearer [REDACTED:authorization]"),
        ("> Cookie: sid=aB3dE5gH7jK9mN1pQ3s; theme=dark", "> Cookie: sid=[REDACTED:cookie]; theme=dark"),
        ("DB_PASSWORD=hunt3r!x user=bob", "DB_PASSWORD=[REDACTED:password] user=bob"),
        ("password: 'two words'", "password: '[REDACTED:password]'"),
        ('{"apiKey": "aB3dE5gH7jK9"}', '{"apiKey": "[REDACTED:api-key]"}'),
        (r'{"m":"{\"password\":\"hunt3r\"}"}', r'{"m":"{\"password\":\"[REDACTED:password]\"}"}'),
        ("<password>hunt3r</password>", "<password>[REDACTED:password]</password>"),
        ("curl -u admin:hunt3r https://x", "curl -u admin:[REDACTED:password] https://x"),
        ("mysqldump -uroot -phunt3r9 --all-databases", "mysqldump -uroot -p[REDACTED:password] --all-databases"),
        ("deploy --password hunt3r --force", "deploy --password [REDACTED:password] --force"),
        ("CREATE USER a IDENTIFIED BY 'hunt3r'", "CREATE USER a IDENTIFIED BY '[REDACTED:password]'"),
        ("machine h login bob password hunt3r", "machine h login bob password [REDACTED:password]"),
        ("GET /b?x-amz-signature=0a1b2c3d4e5f60718293 403", "GET /b?x-amz-signature=[REDACTED:url-signature] 403"),
        ("Server=db;User Id=sa;Password=hunt3r;", "Server=db;User Id=sa;Password=[REDACTED:password];"),
        ("one-time code is not one; otp=482913", "one-time code is not one; otp=[REDACTED:one-time-code]"),
        ("비밀번호: hunt3r!x", "비밀번호: [REDACTED:password]"),
        ("mail to jane@example.com bounced", "mail to [REDACTED:email] bounced"),
    ],
)
def test_a_secret_is_masked_and_what_stands_around_it_stays(line: str, masked: str) -> None:
    assert unkeyed(redact(line)) == masked


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('{"apiKey": "aB3dE5gH7jK9"}', "api-key"),
        ("X-Api-Key: aB3dE5gH7jK9mN", "api-key"),
        ("access_token=aB3dE5gH7jK9", "token"),
        ("client_secret=aB3dE5gH7jK9", "secret"),
        ("Proxy-Authorization: Basic dXNlcjpodW50M3I=", "authorization"),
    ],
)
def test_a_kind_tells_what_the_secret_is(line: str, kind: str) -> None:
    assert REDACTOR.line(line).kinds == (kind,)


@pytest.mark.parametrize(
    "line",
    [
        "mysql -h db -p 3306:3306 -u root",
        "docker run --name mysql -p 3306:3306 mysql:8",
        "docker run -p 3306 mysql && mysqladmin -p ping",
        "--- PASS: TestPasswordReset (0.00s)",
        "PASS: test_login_ab12cd34",
        "PWD=/home/x",
        "GITHUB_TOKEN: ***",
        "password: ${DB_PASSWORD}",
        "SyntaxError: Unexpected token '}' in JSON at position 17",
        "password: required",
        "pull example.com/app@sha256:" + "0f1e2d3c4b5a6978" * 4,
        "Restored cache key Linux-node-" + "0f1e2d3c4b5a6978" * 4,
        "order 4539148803436464 shipped",
        f"{DASHES}BEGIN CERTIFICATE{DASHES}",
        BODY,
    ],
)
def test_what_only_looks_like_a_secret_stays(line: str) -> None:
    assert redact(line) == line


# Private keys


@pytest.mark.parametrize("block", [PEM, PEM[:3], PEM[1:], ["key: |", *(f"  {row}" for row in PEM), "next: 1"]])
def test_each_line_of_a_private_key_is_masked_and_stays_a_line(block: list[str]) -> None:
    lines = ["before", *block, "after the key, an ordinary line"]
    masked = [result.text for result in REDACTOR.lines(lines)]
    assert len(masked) == len(lines)
    assert masked[0] == "before"
    assert masked[-1] == lines[-1]
    assert not any(BODY[:12] in text for text in masked)
    assert stream("\n".join(lines).encode()).decode() == "\n".join(masked)


def test_a_private_key_in_escaped_json_is_masked_inside_its_line() -> None:
    line = json.dumps({"type": "service_account", "private_key": "\n".join(PEM), "id": 7})
    masked = redact(line)
    assert BODY[:12] not in masked
    assert json.loads(masked)["id"] == 7


def test_a_certificate_behind_a_cut_off_key_stays() -> None:
    certificate = [f"{DASHES}BEGIN CERTIFICATE{DASHES}", BODY, f"{DASHES}END CERTIFICATE{DASHES}"]
    masked = [result.text for result in REDACTOR.lines([BEGIN, BODY, *certificate])]
    assert masked[2:] == certificate


# Lines that the one before gives away


@pytest.mark.parametrize(
    ("lines", "masked"),
    [
        (["Enter password:", "hunt3rX9"], ["Enter password:", "[REDACTED:password]"]),
        (["use this password:", "", "0a1b2c3d4e5f", "x"], ["use this password:", "", "[REDACTED:password]", "x"]),
        (["- name: DB_PASSWORD", "  value: hunt3r"], ["- name: DB_PASSWORD", "  value: [REDACTED:password]"]),
        (
            ["user,password,role", "bob,hunt3rX9,ops", "end"],
            ["user,password,role", "bob,[REDACTED:password],ops", "end"],
        ),
        (["id | secret", "---+---", "1 | aB3dE5gH"], ["id | secret", "---+---", "1 | [REDACTED:password]"]),
        (["< 334 UGFzc3dvcmQ6", "> aHVudDNyWDk="], ["< 334 UGFzc3dvcmQ6", "> [REDACTED:password]"]),
    ],
)
def test_a_secret_behind_a_line_that_names_it_is_masked(lines: list[str], masked: list[str]) -> None:
    assert [unkeyed(result.text) for result in REDACTOR.lines(lines)] == masked
    data = "\n".join(lines).encode()
    assert stream(data, 1) == stream(data)
    assert unkeyed(stream(data).decode()).split("\n") == masked


@pytest.mark.parametrize(
    "lines",
    [
        ["wrong password:", "    at com.acme.Login.check(Login.java:12)"],
        ["password:", "  required: true"],
        ["id,token_count,price", "7,1532,19.90"],
        ["the password was changed", "hunt3rX9"],
    ],
)
def test_a_line_behind_one_that_only_speaks_of_secrets_stays(lines: list[str]) -> None:
    assert [result.text for result in REDACTOR.lines(lines)] == lines


# Placeholders


def test_equal_secrets_have_equal_placeholders_wherever_they_stand() -> None:
    first, second = redact(f"password={GITHUB}"), redact(f"got {GITHUB} back")
    assert first.partition("=")[2] == second.removeprefix("got ").removesuffix(" back")


def test_other_secrets_and_other_keys_have_other_placeholders() -> None:
    lines = [redact(f"password=hunter{number}") for number in range(8)]
    assert len(set(lines)) == 8
    assert Redactor(b"other").line("password=hunter1").text != lines[1]


def test_unkeyed_placeholders_do_not_tell_secrets_apart() -> None:
    assert {unkeyed(redact(f"password=hunter{number}")) for number in range(4)} == {"password=[REDACTED:password]"}
    assert unkeyed("nothing here") == "nothing here"


def test_a_clean_line_is_the_same_object_and_has_no_kinds() -> None:
    line = "an ordinary line of text"
    result = REDACTOR.line(line)
    assert result.text is line
    assert result.kinds == ()


def test_each_secret_of_a_line_is_counted() -> None:
    line = f"password=hunt3r token={GITHUB} https://a:hunt3r9@h/"
    assert sorted(REDACTOR.line(line).kinds) == ["github-token", "password", "url-credential"]
    redacting = RedactingStream(REDACTOR)
    redacting.feed(f"{line}\n{line}\n".encode())
    redacting.finish()
    assert redacting.counts == {"github-token": 2, "password": 2, "url-credential": 2}


# Personal data


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("mail to jane@example.com bounced", "email"),
        ("charge card 4539148803436467 failed", "payment-card"),
        ("pan 4539-1488-0343-6467", "payment-card"),
        ("주민등록번호 900101-1234568 확인", "resident-number"),
    ],
)
def test_personal_data_is_masked_unless_it_is_asked_for(line: str, kind: str) -> None:
    assert REDACTOR.line(line).kinds == (kind,)
    assert Redactor(b"k", pii=False).line(line).text is line


@pytest.mark.parametrize(
    "line",
    ["charge card 4539148803436468 failed", "ISBN 978-3-16-148410-0", "git@github.com:acme/app.git", "991332-1234567"],
)
def test_a_number_that_fails_its_check_is_no_personal_data(line: str) -> None:
    assert redact(line) == line


# Properties

_FRAGMENTS = st.sampled_from(
    [
        *("password", "token", "api_key", "Authorization", "cookie", "secret", "-p ", "--password ", "mysql", "PASS"),
        *("=", ":", ": ", "=>", "://", "@", "&", ";", ",", "\\", '"', '\\"', "'", "`", "<", ">", "</", "{", "}", "%3D"),
        *("\\u003d", "&quot;", "\u200b", "＝", "\x1b[31m", "\x1b[0m", "\x00", "\r", "\t", " ", "bearer ", "Basic "),
        *("hunt3r!x", "Tr0ub4dor&3", "***", "${X}", "[REDACTED:", "[REDACTED:password:ab12]", "12345678", "user"),
        *(GITHUB, AWS, GITHUB[:9], BODY, BODY[:20], BEGIN, END, "PRIVATE KEY", "Private-Lines: 2", "eyJhbGciOi"),
        *(
            "jane@example.com",
            "4539148803436467",
            "https://a:b1c2d3@h",
            base64.b64encode(b"password=hunt3r99x").decode(),
        ),
    ]
)
_LINES = st.lists(_FRAGMENTS | st.text(st.characters(exclude_characters="\n"), max_size=8), max_size=10).map("".join)
_BYTES = st.lists(_FRAGMENTS.map(str.encode) | st.just(b"\n") | st.binary(max_size=6), max_size=30).map(b"".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(_LINES, max_size=8))
@example([BEGIN, BODY, BODY[:20], END])
def test_redacting_again_changes_nothing(lines: list[str]) -> None:
    once = [result.text for result in REDACTOR.lines(lines)]
    assert [result.text for result in REDACTOR.lines(once)] == once


@settings(max_examples=100, deadline=None)
@given(st.lists(_LINES, max_size=8))
def test_as_many_lines_come_out_and_only_those_with_a_kind_are_changed(lines: list[str]) -> None:
    results = REDACTOR.lines(lines)
    assert len(results) == len(lines)
    for before, after in zip(lines, results, strict=True):
        assert (after.text == before) == (not after.kinds)
        assert "\n" not in after.text


@settings(max_examples=200, deadline=None)
@given(_BYTES, st.lists(st.integers(1, 60), min_size=1, max_size=6))
@example(("\n".join(PEM[1:]) + "\n").encode(), [70])
@example(b"a\r\npassword=hunt3r9\r\n\xff\xfe\x00", [1])
def test_a_stream_does_not_depend_on_its_chunks(data: bytes, sizes: list[int]) -> None:
    assert stream(data, *sizes) == stream(data)


@settings(max_examples=200, deadline=None)
@given(_BYTES)
def test_a_stream_has_one_line_out_for_each_line_in_and_changes_only_those_it_masks(data: bytes) -> None:
    before, after = data.split(b"\n"), stream(data).split(b"\n")
    assert len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        assert new == old or b"[REDACTED:" in new.replace(b"\0", b"")


@settings(max_examples=100, deadline=None)
@given(st.lists(_LINES, max_size=8))
def test_a_stream_masks_what_lines_do(lines: list[str]) -> None:
    expected = "\n".join(result.text for result in REDACTOR.lines(lines))
    out = stream("\n".join(lines).encode("utf-8", "surrogatepass"))
    assert out == expected.encode("utf-8", "surrogatepass")


def test_a_line_longer_than_the_memory_of_a_stream_does_not_depend_on_its_chunks() -> None:
    words = "".join(f" word{number}" + (f" password=hunt3r{number}" * (number % 500 == 0)) for number in range(60_000))
    data = f"short line\n{words}\nthe last".encode()
    whole = stream(data)
    assert whole.count(b"\n") == 2
    assert whole.count(b"[REDACTED:password:") == 120
    assert b"hunt3r" not in whole
    assert stream(data, 40_000) == whole
    assert stream(data, 300_000, 17) == whole


def test_a_secret_longer_than_the_memory_of_a_stream_leaves_nothing_behind() -> None:
    data = b"password=" + b"aB3$" * 200_000 + b" tail"
    out = stream(data, 65_536)
    assert b"aB3$" not in out
    assert out.endswith(b" tail")


_SIZE = 64 * 1024


@pytest.mark.parametrize(
    "unit",
    [
        '"',
        "\\",
        '\\"',
        "=",
        ":",
        "'",
        "`",
        "<",
        "{",
        "%25",
        "&quot;",
        "\\u0022",
        "password=",
        "password:'",
        "token=",
        'token="',
        'password="\\',
        "-p ",
        "mysql -p",
        "login -p",
        "://a:",
        "a://b:c",
        "@",
        "a@b.",
        "1",
        "1 ",
        "A",
        "Aa1+",
        "eyJ.",
        "cookie: a=b;",
        "authorization: ",
        "basic ",
        "set password for ",
        "name=token value=",
        "<password ",
        "\x00",
        "\u200b",
        "[REDACTED:",
        "[REDACTED:password:ab12]",
        DASHES,
        BEGIN,
        END,
        "--",
        "password is ",
        "pass:",
        "A3T",
        "sk-",
        "x ",
        "\x1b[",
        "identified by ",
        "curl -b ",
        "echo ",
    ],
)
def test_a_hostile_line_comes_out_as_one_line(unit: str) -> None:
    line = (unit * (_SIZE // len(unit) + 1))[:_SIZE]
    results = REDACTOR.lines([line, "the next line"])
    assert len(results) == 2
    assert results[1].text == "the next line"
