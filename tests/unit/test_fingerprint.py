"""The fingerprint: the same for two logs of one incident, another for two incidents, whoever reads them and how."""

import random
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost_domain.analysis import Analyst, Finished, Limits, Request
from bifrost_domain.caching import CachePolicy
from bifrost_domain.diagnosis import examine
from bifrost_domain.logs.digest import Source
from bifrost_domain.logs.digester import Budget, Digester, combine
from bifrost_domain.logs.fingerprint import fingerprint, masked
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.report import Language

few = settings(max_examples=12, deadline=None)


def name(text: str, *, sizes: tuple[int, ...] = (), key: bytes = b"k" * 32, pii: bool = True) -> str:
    """The fingerprint of a log that is read in pieces of the given sizes, the last of them repeated."""
    digester = Digester("app.log", Redactor(key, pii=pii))
    data = text.encode()
    rest = iter(sizes)
    size = len(data)
    while data:
        size = next(rest, size)
        digester.feed(data[:size])
        data = data[size:]
    return fingerprint(examine(digester.finish(Budget())).identity())


def service(
    *,
    start: datetime = datetime(2026, 11, 20, 10, tzinfo=UTC),
    seed: int = 1,
    refused: str = "redis",
    noise: int = 40,
    repeats: int = 5,
    order: int = 0,
) -> str:
    """The log of a service that is refused by one it needs: `seed` decides on ids, pods, addresses and ports."""
    chance = random.Random(seed)
    pod = f"cart-7f9c6d5b4{chance.randint(2, 9)}-" + "".join(chance.choices("bcdfghjklm2456789", k=5))
    port = chance.randint(30_000, 60_000)
    said = [
        f"INFO [http] request {chance.getrandbits(64):016x} GET /cart/{number} 200 in {chance.random() * 90:.1f} ms"
        for number in range(noise)
    ]
    random.Random(order).shuffle(said)
    said[noise // 2 : noise // 2] = [
        f"ERROR [{refused}] {pod}: connection to {refused}-primary at 10.0.{chance.randint(1, 9)}.7:{port} failed: "
        f"Connection refused (pid {chance.randint(1000, 60_000)}, request {chance.getrandbits(128):032x})"
        for _ in range(repeats)
    ]
    return "".join(
        f"{start + timedelta(milliseconds=170 * number):%Y-%m-%dT%H:%M:%S.%fZ} {text}\n"
        for number, text in enumerate(said)
    )


def build(
    *, test: str = "test_total", error: str = "KeyError: 'tax'", home: str = "/home/runner/work/shop/shop"
) -> str:
    """The log of a build in which one test fails."""
    return f"""\
============================= test session starts ==============================
rootdir: {home}
collected 31 items

tests/test_cart.py ..............................F                       [100%]

=================================== FAILURES ===================================
__________________________________ {test} __________________________________

    def {test}():
>       assert cart.total()
E       {error}

{home}/shop/cart.py:12: {error.partition(":")[0]}
=========================== short test summary info ============================
FAILED tests/test_cart.py::{test} - {error}
========================= 1 failed, 30 passed in 4.31s =========================
"""


# --- one incident -----------------------------------------------------------------------------------------------


@few
@given(st.integers(-(10**8), 10**8), st.integers(0, 10**6))
def test_times_ids_pods_and_ports_do_not_change_it(seconds: int, seed: int) -> None:
    later = datetime(2026, 11, 20, 10, tzinfo=UTC) + timedelta(seconds=seconds)
    assert name(service(start=later, seed=seed)) == name(service())


@few
@given(st.integers(0, 10**6), st.integers(2, 200), st.integers(1, 60))
def test_neither_order_nor_number_of_unrelated_lines_and_repeats_changes_it(
    order: int, noise: int, repeats: int
) -> None:
    assert name(service(order=order, noise=noise, repeats=repeats)) == name(service())


@few
@given(st.integers(0, 45))
def test_a_transient_error_of_something_else_does_not_change_it(place: int) -> None:
    lines = service().splitlines(keepends=True)
    stamp = lines[min(place, len(lines) - 1)].partition(" ")[0]
    lines.insert(place, f"{stamp} ERROR [stats] could not publish usage statistics, retrying\n")
    assert name("".join(lines)) == name(service())


@few
@given(st.lists(st.integers(1, 900), min_size=1, max_size=20))
def test_it_does_not_depend_on_the_pieces_a_log_comes_in(sizes: list[int]) -> None:
    assert name(service(), sizes=tuple(sizes)) == name(service())


@pytest.mark.parametrize("home", ["/Users/kim/src/shop", "/builds/shop", "C:/agent/_work/3/s"])
def test_a_checkout_elsewhere_does_not_change_it(home: str) -> None:
    assert name(build(home=home)) == name(build())


@pytest.mark.parametrize("prefix", ["2026-11-20T10:00:00.1234567Z ", "build-1  | "])
def test_the_prefix_of_a_runner_does_not_change_it(prefix: str) -> None:
    assert name("".join(prefix + line for line in build().splitlines(keepends=True))) == name(build())


def test_a_failure_without_a_known_cause_is_named_by_the_last_words_of_its_command() -> None:
    def job(said: str, took: str) -> str:
        return (
            f"travis_fold:start:install\n$ make deps\nall there after {took}\ntravis_fold:end:install\n"
            f'$ ./verify.sh\nlooked at 12 entries in {took}\n{said}\n\nThe command "./verify.sh" exited with 1.\n'
        )

    assert name(job("entry 7 comes twice", "12 s")) == name(job("entry 9 comes twice", "48 s"))
    assert name(job("entry 7 comes twice", "12 s")) != name(job("entry 7 has no owner", "12 s"))


def test_healthy_logs_of_one_service_share_a_fingerprint_and_of_two_do_not() -> None:
    def healthy(said: str, seed: int) -> str:
        return service(seed=seed, repeats=0).replace("GET /cart/", said)

    assert name(healthy("GET /cart/", 1)) == name(healthy("GET /cart/", 2))
    assert name(healthy("GET /cart/", 1)) != name(healthy("POST /invoice/", 1))


def test_the_request_that_met_a_failure_first_does_not_change_it() -> None:
    def log(*paths: str) -> str:
        return "".join(
            f"2026/11/23 04:45:1{second} [error] 264#264: *{second} connect() failed (111: Connection refused) while "
            f'connecting to upstream, client: 127.0.0.1, server: shop.example, request: "GET {path} HTTP/1.1", '
            f'upstream: "http://127.0.0.1:8421{path}"\n'
            for second, path in enumerate(paths)
        )

    assert name(log("/index.html", "/cart")) == name(log("/search", "/cart"))


def test_a_statement_in_another_file_is_not_that_of_the_message() -> None:
    stamp = "2026-11-20 10:00:00.742 UTC [25509]"
    files = [f"{stamp} ERROR:  deadlock detected\n", f"\n{stamp} STATEMENT:  UPDATE vouchers SET used = true\n"]
    digesters = [Digester(f"{number}.log", Redactor(b"k" * 32)) for number in range(2)]
    for digester, text in zip(digesters, files, strict=True):
        digester.feed(text.encode())
    parts = examine(combine(digesters, Source(name="logs", kind="directory"), Budget())).identity()
    assert not any("vouchers" in part for part in parts)


# --- two incidents ----------------------------------------------------------------------------------------------


def test_another_service_that_refuses_is_another_incident() -> None:
    assert name(service(refused="postgres")) != name(service(refused="redis"))


def test_another_failing_test_and_another_exception_are_other_incidents() -> None:
    names = [name(build()), name(build(test="test_rounding")), name(build(error="ZeroDivisionError: division by zero"))]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "said",
    [
        "ModuleNotFoundError: No module named '{}'",
        'ERROR:  relation "{}" does not exist',
        "curl: (6) Could not resolve host: {}.internal.example",
        "error TS2304: Cannot find name '{}'.",
        "fatal: Remote branch {} not found in upstream origin",
    ],
)
def test_another_missing_name_is_another_incident(said: str) -> None:
    def log(missing: str) -> str:
        return f"2026-11-20T10:00:00Z INFO starting\n{said.format(missing)}\n2026-11-20T10:00:01Z INFO stopped\n"

    assert name(log("invoices")) != name(log("orders"))


def test_another_statement_makes_another_deadlock() -> None:
    def log(table: str) -> str:
        return (
            "2026-11-20 10:00:00.742 UTC [25509] ERROR:  deadlock detected\n"
            "2026-11-20 10:00:00.742 UTC [25509] HINT:  See server log for query details.\n"
            f"2026-11-20 10:00:00.742 UTC [25509] STATEMENT:  UPDATE {table} SET balance = 3 WHERE id = 17\n"
        )

    assert name(log("accounts")) != name(log("vouchers"))


# --- whoever reads it -------------------------------------------------------------------------------------------


class Log:
    name = "app.log"
    size: int | None = None

    def __init__(self, text: str) -> None:
        self._text = text

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        yield self._text.encode()


async def unasked(*_: Any) -> Any:
    raise AssertionError("nothing outside is needed to name an incident")


def analyst() -> Analyst:
    return Analyst(
        open_model=unasked,
        open_storage=unasked,
        open_cache=unasked,
        find_prompt=unasked,
        provider="heuristic",
        order=(),
        secret=b"k" * 32,
        redact_pii=True,
        budget=2000,
        limits=Limits(),
        cache_policy=CachePolicy(),
        clock=lambda: datetime(2026, 11, 20, tzinfo=UTC),
        monotonic=lambda: 0.0,
        new_id=lambda: "id",
        chance=lambda: 0.0,
    )


def request(text: str, language: Language = Language.EN) -> Request:
    return Request(name="app.log", kind="file", logs=(Log(text),), language=language, remember=False, use_cache=False)


@pytest.mark.parametrize("language", list(Language))
async def test_a_report_and_a_digest_of_any_budget_have_the_same_one(language: Language) -> None:
    text = service(noise=400)
    events = [event async for event in analyst().analyse(request(text, language))]
    (reported,) = [event.analysis.cache.fingerprint for event in events if isinstance(event, Finished)]
    assert reported == name(text)
    for budget in (Budget(), Budget(tokens=60), Budget(characters=900)):
        digest, _ = await analyst().digest(request(text), budget)
        assert digest.fingerprint == reported


@pytest.mark.parametrize("pii", [True, False])
def test_neither_key_nor_scope_of_the_redaction_changes_it(pii: bool) -> None:
    password = "tr0ub4dor" + "&3"
    text = (
        f"2026-11-20T10:00:00Z FATAL login of kim.lee@example.com with password={password} failed: permission denied\n"
    )
    assert name(text, key=b"x" * 32, pii=pii) == name(text, key=b"y" * 32)


# --- the hash ---------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["disk full", "timeout after 30 s", "timeout after 45 s", "no route"]), max_size=8))
def test_neither_order_nor_number_of_its_parts_matters(parts: list[str]) -> None:
    assert fingerprint(parts) == fingerprint([*reversed(parts), *parts])


def test_texts_are_kept_apart() -> None:
    assert fingerprint(["ab", "c"]) != fingerprint(["a", "bc"])
    assert len(fingerprint([])) == 16


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("cannot open /home/kim/src/app/main.c", "cannot open /main.c"),
        ("cannot open '/tmp/x/app/main.c': denied", "cannot open '/main.c': denied"),
        (r"cannot open C:\Users\kim\app\main.c", r"cannot open \main.c"),
        ("cannot open src/app/main.c", "cannot open src/app/main.c"),
        ("GET https://api.example/v2/orders", "GET https://api.example/v<*>/orders"),
        ("user [REDACTED:email:3f2a] rejected", "user <*> rejected"),
        ("user kim@example.com rejected", "user <*> rejected"),
    ],
)
def test_what_differs_from_run_to_run_is_masked(text: str, rest: str) -> None:
    assert masked(text) == rest
