"""The parts of the service that need no server: who called, what a request brings, and routes that are closed."""

import asyncio
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar, get
from litestar.testing import TestClient

from bifrost_domain.errors import BifrostError, ConfigurationError, InvalidInput, LogTooLarge, TooSlow
from bifrost_entrypoints.api import intake
from bifrost_entrypoints.api.edge import Edge
from bifrost_entrypoints.api.problems import problem, respond
from bifrost_entrypoints.api.service import authorise
from bifrost_entrypoints.api.visit import accepted_id, caller, networks
from bifrost_entrypoints.settings import Server, is_loopback

ADDRESSES = st.ip_addresses().map(str)


def status_of(work: Callable[[], object]) -> int:
    """200, or the status of the error of ours that it raises."""
    try:
        work()
    except BifrostError as error:
        return problem(error, "id").status
    return 200


def scope(peer: str, *forwarded: str) -> dict[str, Any]:
    return {"client": (peer, 1), "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded]}


@given(ADDRESSES, ADDRESSES)
def test_nobody_speaks_for_another_address_without_being_trusted(peer: str, said: str) -> None:
    assert caller(scope(peer, said), ()) == caller(scope(peer), ())


@given(ADDRESSES, st.lists(ADDRESSES | st.text("ab.:, ", max_size=9), max_size=3))
def test_the_last_hop_that_is_not_trusted_is_the_caller(client: str, before: list[str]) -> None:
    trusted = networks(["10.0.0.0/8"])
    if ip_address(client) in trusted[0]:
        return
    found = caller(scope("10.1.1.1", ",".join([*before, client, "10.2.2.2"])), trusted)
    assert found == caller(scope(client), ())


def test_addresses_of_one_network_of_ipv6_count_together() -> None:
    assert caller(scope("2001:db8:1:2::1"), ()) == caller(scope("2001:db8:1:2:ffff::9"), ())
    assert caller(scope("2001:db8:1:2::1"), ()) != caller(scope("2001:db8:1:3::1"), ())
    assert caller(scope("::ffff:192.0.2.1"), ()) == caller(scope("192.0.2.1"), ())
    assert caller({"client": None, "headers": []}, ()) == "unknown"
    with pytest.raises(ConfigurationError):
        networks(["everybody"])


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False)]
)
def test_only_a_loopback_address_is_one(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@given(st.text(max_size=200))
def test_a_request_id_is_taken_over_only_where_it_is_safe_anywhere(text: str) -> None:
    taken = accepted_id(text)
    assert taken is None or (taken == text and taken.isascii() and taken.isprintable() and " " not in taken)


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=5))
def test_wishes_of_a_query_are_wishes_or_an_error_of_ours(pairs: list[tuple[str, str]]) -> None:
    assert status_of(lambda: intake.wishes_of(pairs)) in (200, 422)


@settings(max_examples=50)
@given(st.binary(max_size=300), st.sampled_from(["", "x", "----b"]))
def test_any_form_is_read_or_refused(body: bytes, boundary: str) -> None:
    headers = [(b"content-type", f"multipart/form-data; boundary={boundary}".encode())]
    request = {"headers": headers, "query_string": b""}
    assert status_of(lambda: asyncio.run(intake.given(request, body, Server()))) < 500


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_any_json_is_read_or_refused(body: bytes) -> None:
    request = {"headers": [(b"content-type", b"application/json")], "query_string": b""}
    assert status_of(lambda: asyncio.run(intake.given(request, body, Server()))) in (200, 400, 422)


class TestBody:
    limits = msgspec.structs.replace(Server(), max_body_bytes=1024, body_seconds=0.05)

    def read(self, *messages: dict[str, Any], length: int | None = None) -> bytes:
        waiting = list(messages)

        async def receive() -> dict[str, Any]:
            if not waiting:
                await asyncio.sleep(60)
            return waiting.pop(0)

        headers = [] if length is None else [(b"content-length", b"%d" % length)]
        return asyncio.run(intake.body_of({"headers": headers}, receive, self.limits))

    def test_its_pieces_are_put_together(self) -> None:
        more = {"type": "http.request", "body": b"a", "more_body": True}
        assert self.read(more, more, {"type": "http.request", "body": b"b"}) == b"aab"

    def test_what_is_too_large_is_refused_by_its_length_or_by_what_came(self) -> None:
        with pytest.raises(LogTooLarge):
            self.read(length=1025)
        with pytest.raises(LogTooLarge):
            self.read({"type": "http.request", "body": b"x" * 1025, "more_body": True})

    def test_one_that_does_not_come_is_not_waited_for(self) -> None:
        with pytest.raises(TooSlow):
            self.read({"type": "http.request", "body": b"x", "more_body": True})

    def test_a_client_who_leaves_in_the_middle_has_sent_nothing(self) -> None:
        with pytest.raises(InvalidInput):
            self.read({"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"})


def test_a_route_that_does_not_say_who_may_use_it_is_closed() -> None:
    @get("/forgotten", sync_to_thread=False)
    def forgotten() -> str:
        return "open to all"

    app = Litestar(
        [forgotten],
        guards=[authorise],
        exception_handlers={Exception: respond},
        openapi_config=None,
        logging_config=None,
    )
    edge = Edge(app, new_id=lambda: "1", trusted=(), hosts=())
    with TestClient(edge) as client:  # type: ignore[arg-type]
        answer = client.get("/forgotten")
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:bifrost:problem:forbidden")


def test_a_bug_is_told_by_its_id_and_by_nothing_else() -> None:
    told = problem(RuntimeError("secret text of a log"), "id-1")
    assert (told.status, told.request_id) == (500, "id-1")
    assert "secret" not in str(told)
