"""Pseudonyms: what has a name, what stays, that only their maker can turn them back, and that nothing else gets out."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost_adapters.slots import open_slot
from bifrost_domain.diagnosis import diagnose
from bifrost_domain.logs.digester import Budget, Digester
from bifrost_domain.logs.redaction import Pseudonyms, Redactor, unkeyed
from bifrost_domain.report import Language
from tests.unit.test_analysis import Actor, Stage

KEY = b"k" * 32
EXAMPLES = sorted(path.parent for path in (Path(__file__).parents[2] / "examples").glob("*/truth.json"))
HOST, ADDRESS, USER, MAIL = "db-3.acme.internal", "10.20.30.40", "alice7", "alice@acme-shop.com"
LOG = f"""\
2026-11-20T03:05:50Z INFO  checkout started on web-7.acme.internal, mail to {MAIL}
2026-11-20T03:05:54Z ERROR connection to "{HOST}" ({ADDRESS}), port 5432 failed: FATAL: sorry, too many clients already
2026-11-20T03:05:55Z ERROR GET /cart 500 user={USER}
"""
ORIGINALS = (HOST, ADDRESS, USER, MAIL, "web-7")


def named(text: str) -> str:
    return unkeyed(Redactor(KEY, pseudonyms=Pseudonyms(KEY)).line(text).text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("connect to db-1.prod.internal:5432 refused", "connect to host:5432 refused"),
        ("GET https://shop.acme.com/cart 502", "GET https://host/cart 502"),
        ("dial tcp 203.0.113.9:443: i/o timeout", "dial tcp ip:443: i/o timeout"),
        ("peer 192.168.4.20 gone", "peer ip-lan gone"),
        ("listen [2001:db8::12]:80", "listen [ip]:80"),
        ("arp 3c:22:fb:01:02:03 is-at", "arp mac is-at"),
        ("bounced: jane@example.com", "bounced: email"),
        ('FATAL: role "carol" does not exist', 'FATAL: role "user" does not exist'),
        ("Failed password for invalid user bob from 203.0.113.9", "Failed password for invalid user user from ip"),
        ("open /home/carol/app/main.py: permission denied", "open /home/user/app/main.py: permission denied"),
        ("Nov 23 07:07:09 web1 sshd[1]: started", "Nov 23 07:07:09 host sshd[1]: started"),
        ("getaddrinfo ENOTFOUND redis-master", "getaddrinfo ENOTFOUND host"),
        ("https://carol@web-1.acme.com/x", "https://user@host/x"),
        ('{"host":"web-17","user":"dave"}', '{"host":"host","user":"user"}'),
    ],
)  # fmt: skip
def test_what_tells_a_place_or_a_person_is_named_by_its_kind(line: str, expected: str) -> None:
    assert named(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "bind 127.0.0.1:80, [::1]:80, 0.0.0.0:80, localhost:80, 169.254.169.254, fe80::1, 255.255.255.255",
        "at com.acme.shop.Main.run(Main.java:12) java.io.IOException main.py:3 app.config.json node_modules/x.js",
        "import django.test; log.info(x); self.app.run(); os.path.join",
        "version 1.2.3.4, v1.2.3.4, openssl-3.0.13.1-r2, Chrome/120.0.0.0",
        "10:11:12 std::vec cafe::babe 2024-05-04T10:11:12Z",
        "npm http fetch GET https://github.com/acme/left-pad git@github.com:acme/app.git",
        "session opened for user root by uid=0(root)",
        "SHA256 fingerprint 3c:22:fb:01:02:03:04:05:06:07",
        "req 0a0b1c2d-3e4f-4a5b-8c6d-7e8f9a0b1c2d user=0a0b1c2d-3e4f-4a5b-8c6d-7e8f9a0b1c2d",
    ],
)
def test_what_a_diagnosis_needs_and_what_is_no_place_stays(line: str) -> None:
    assert Pseudonyms(KEY).masked([line]) == [line]


def test_equal_values_have_equal_names_under_one_key_and_others_under_another() -> None:
    line = f"to {HOST} from {ADDRESS}"
    once, again = Pseudonyms(KEY), Pseudonyms(KEY)
    assert again.masked(["first other.acme.internal", line])[1] == once.masked([line])[0]
    assert Pseudonyms(b"x" * 32).masked([line]) != once.masked([line])


def test_only_the_maker_of_a_name_can_turn_it_back() -> None:
    maker = Pseudonyms(KEY)
    (line,) = maker.masked([f"to {HOST}"])
    assert maker.shown(line) == f"to {HOST}"
    assert Pseudonyms(KEY).shown(line) == line


def test_no_two_values_share_a_name() -> None:
    maker = Pseudonyms(KEY)
    lines = [f"to h{number}.acme.internal" for number in range(20_000)]
    out = maker.masked(lines)
    assert len(set(out)) == len(lines)
    assert [maker.shown(line) for line in out] == lines


def test_a_secret_is_masked_for_good_and_not_named() -> None:
    maker = Pseudonyms(KEY)
    text = Redactor(KEY, pseudonyms=maker).line(f"postgres://carol:{'hunt' + '3rX9'}@{HOST}:5432/x").text
    assert unkeyed(text) == "postgres://user:[REDACTED:url-credential]@host:5432/x"
    assert "3rX9" not in maker.shown(text)


_PARTS = st.sampled_from(
    [
        *(HOST, ADDRESS, USER, MAIL, "user=", "host=", '"', "\\", "://", "@", ":", "/", " ", ".", "-", "::1"),
        *("2001:db8::", "203.0.113.9", "[REDACTED:password:ab12]", "host-a1b2c3", "for user ", "\x00", "é"),
        *("1.2.3", "3c:22:fb:01:02:03", "/home/", ".com", "a.io", "ENOTFOUND ", "ip-lan-", "Nov 23 07:07:09 "),
    ]
)  # fmt: skip
_TEXTS = st.lists(_PARTS | st.text(st.characters(exclude_characters="\n"), max_size=4), max_size=10).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.lists(_TEXTS, min_size=1, max_size=5))
def test_what_is_named_is_turned_back_line_by_line(lines: list[str]) -> None:
    maker = Pseudonyms(KEY)
    out = maker.masked(lines)
    assert len(out) == len(lines)
    assert [maker.shown(line) for line in out] == lines


@pytest.fixture
async def stage() -> AsyncGenerator[Any, None]:
    async with open_slot("storage", "memory", {}) as storage, open_slot("cache", "memory", {}) as cache:
        yield lambda models, **changes: Stage(storage, cache, models, **changes)


async def test_nothing_original_reaches_the_prompt_the_report_or_the_history(stage: Any) -> None:
    maker = Pseudonyms(KEY)
    (_, error, _) = Redactor(KEY, pseudonyms=maker).lines(LOG.splitlines())
    answer = {
        "severity": "critical",
        "category": "database",
        "summary": "The database takes no more connections.",
        "root_cause": "All connections of the database are taken.",
        "confidence": 0.9,
        "evidence": [{"line": 2, "quote": error.text, "reason": "says so"}],
        "actions": [{"title": "See who holds them", "command": None, "why": "they are all taken"}],
    }
    actor = Actor([json.dumps(answer)])
    run = stage({"actor": actor}, pseudonyms=maker)
    analysis = await run.result(LOG)
    (stored,) = await run.stored()
    kept = await run.storage.analyses.get(stored)
    out = msgspec.json.encode(analysis).decode() + msgspec.json.encode(kept).decode()
    out += "".join(prompt.system + prompt.user for prompt in actor.asked)
    assert len(actor.asked) == 1
    assert not [value for value in ORIGINALS if value in out]
    assert analysis.grounding.verified == analysis.grounding.claims > 0
    assert HOST in maker.shown(analysis.report.evidence[0].quote)


async def test_an_answer_about_names_is_not_given_to_who_asks_without(stage: Any) -> None:
    actor = Actor(["no answer at all"])
    await stage({"actor": actor}, pseudonyms=Pseudonyms(KEY)).result(LOG)
    asked = len(actor.asked)
    assert not (await stage({"actor": actor}).result(LOG)).cache.hit
    assert len(actor.asked) > asked


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_a_diagnosis_does_not_change_by_them(example: Path) -> None:
    name = json.loads((example / "truth.json").read_text())["log"]
    reports = []
    for pseudonyms in (None, Pseudonyms(KEY)):
        digester = Digester(name, Redactor(KEY, pseudonyms=pseudonyms))
        digester.feed((example / name).read_bytes())
        reports.append(diagnose(digester.finish(Budget()), Language.EN))
    plain, other = reports
    assert (other.category, other.severity) == (plain.category, plain.severity)
    assert [item.line_start for item in other.evidence] == [item.line_start for item in plain.evidence]
