"""Who is let in: every route of the document and the WebSocket, with every sort of key that is none."""

import asyncio
import json
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import websockets

from bifrost_domain.keys import Scope, id_of, write
from tests.contract.servers.bifrost import BIFROST, LIMITS, Served, environment, make_key, served

OPEN = {"/health/live", "/health/ready"}


class Keys:
    """A server, and keys of every sort on it."""

    def __init__(self, server: Served, database: Path) -> None:
        self.server = server
        with server.client() as client:
            self.revoked = client.post("/api-keys", json={"name": "revoked"}).json()
            client.delete(f"/api-keys/{self.revoked['id']}")
            early = client.post("/api-keys", json={"name": "early"}).json()
            with closing(sqlite3.connect(database)) as rows, rows:
                rows.execute(
                    "UPDATE api_keys SET not_before = (created_at + expires_at) / 2 WHERE id = ?", (early["id"],)
                )
            assert client.get(f"/api-keys/{early['id']}").json()["not_before"]
            self.short = client.post("/api-keys", json={"name": "short", "expires": "1s"}).json()
            self.lacking = {
                scope: client.post(
                    "/api-keys", json={"name": "x", "scopes": [other for other in Scope if other is not scope]}
                ).json()["key"]
                for scope in Scope
            }
            self.operations = [
                (
                    method.upper(),
                    path.replace("{id}", "none").replace("{name}", "none").replace("{label}", "none"),
                    each,
                )
                for path, item in client.get("/schema/openapi.json").json()["paths"].items()
                for method, each in item.items()
            ]
        good = server.key
        self.bad = {
            "malformed": "nonsense",
            "empty": "",
            "a wrong check": good[:-1] + ("A" if good[-1] != "A" else "B"),
            "too short": good[:-1],
            "too long": good + "x",
            "an unknown id": write("live", "0" * 12, "0" * 32),
            "a wrong secret": write("live", id_of(good), "0" * 32),
            "another environment": good.replace("_live_", "_test_"),
            "revoked": self.revoked["key"],
            "not yet valid": early["key"],
        }


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    workdir = tmp_path_factory.mktemp("access")
    variables = environment(workdir, BIFROST_SERVER__TRUSTED_PROXIES="127.0.0.1")
    with served(variables, key=make_key(variables, "--admin", *LIMITS)) as server:
        yield Keys(server, Path(variables["XDG_DATA_HOME"], "bifrost", "bifrost.db"))


_from = iter(range(1, 1 << 16))


def address() -> dict[str, str]:
    """Of a caller who was not here before: failures shut an address out."""
    number = next(_from)
    return {"X-Forwarded-For": f"192.168.{number >> 8}.{number & 255}"}


def test_every_route_but_the_open_ones_needs_a_key(keys: Keys) -> None:
    with httpx.Client(base_url=keys.server.url) as client:
        for method, path, _ in keys.operations:
            answer = client.request(method, path, headers=address())
            assert (answer.status_code == 401) == (path not in OPEN), f"{method} {path}: {answer.status_code}"


def test_no_key_that_is_none_is_let_in_anywhere_and_all_get_one_answer(keys: Keys) -> None:
    until = datetime.fromisoformat(keys.short["expires_at"]) + timedelta(seconds=0.2)
    time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()))
    bad = keys.bad | {"expired": keys.short["key"]}
    bodies = set()
    with httpx.Client(base_url=keys.server.url) as client:
        for method, path, _ in keys.operations:
            if path in OPEN:
                continue
            for sort, key in bad.items():
                for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}".strip()}):
                    answer = client.request(method, path, headers=headers | address())
                    assert answer.status_code == 401, f"{sort}: {method} {path}"
                    assert answer.headers["www-authenticate"].startswith("Bearer")
                    data = answer.json()
                    del data["request_id"]
                    bodies.add(json.dumps(data))
    assert len(bodies) == 1


def test_every_route_needs_its_scope(keys: Keys) -> None:
    with httpx.Client(base_url=keys.server.url) as client:
        for method, path, operation in keys.operations:
            if path in OPEN:
                continue
            needed = Scope(operation["description"].partition("the scope `")[2].partition("`")[0])
            answer = client.request(method, path, headers={"X-API-Key": keys.lacking[needed]} | address())
            assert answer.status_code == 403, f"{method} {path}"


def test_a_401_comes_before_the_body(keys: Keys) -> None:
    server = keys.server
    request = "POST /analyze HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        connection.sendall(request.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 401")


def test_an_address_that_tries_too_often_waits_whatever_it_says_of_itself(keys: Keys) -> None:
    shut_out = address()
    with httpx.Client(base_url=keys.server.url) as client:
        answers = [client.get("/history", headers={"X-API-Key": "x"} | shut_out) for _ in range(25)]
        assert [answer.status_code for answer in answers[:20]] == [401] * 20
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
        forged = {"X-Forwarded-For": f"203.0.113.9, {shut_out['X-Forwarded-For']}"}
        assert client.get("/history", headers={"X-API-Key": "x"} | forged).status_code == 429
        assert client.get("/history", headers={"X-API-Key": keys.server.key} | address()).status_code == 200


def test_no_page_of_another_site_is_let_in_unless_it_is_named(keys: Keys) -> None:
    headers = {"Origin": "https://console.example", "Access-Control-Request-Method": "POST"}
    with httpx.Client(base_url=keys.server.url) as client:
        for answer in (
            client.options("/analyze", headers=headers),
            client.get("/history", headers=headers | {"X-API-Key": keys.server.key}),
        ):
            assert answer.is_success
            assert not [name for name in answer.headers if name.startswith("access-control-")]


class TestSocket:
    @staticmethod
    def closed_with(url: str, first: object, headers: dict[str, str]) -> tuple[int, str]:
        async def run() -> tuple[int, str]:
            async with websockets.connect(url, additional_headers=headers) as socket:
                last = ""
                try:
                    if first is not None:
                        await socket.send(first if isinstance(first, str | bytes) else json.dumps(first))
                    async for frame in socket:
                        last = json.loads(frame)["type"]
                except websockets.ConnectionClosedError:
                    pass
                return socket.close_code or 0, last

        return asyncio.run(run())

    def url(self, keys: Keys) -> str:
        return keys.server.url.replace("http://", "ws://") + "/ws/analyze"

    def test_no_key_that_is_none_is_let_in(self, keys: Keys) -> None:
        request = {"logs": "ERROR x"}
        for key in (*keys.bad.values(), None):
            first = {"type": "start", "request": request} | ({} if key is None else {"key": key})
            assert self.closed_with(self.url(keys), first, address()) == (4401, "error")
        for key in keys.bad.values():
            if key:
                headers = {"X-API-Key": key} | address()
                assert self.closed_with(self.url(keys), None, headers) == (4401, "error")

    def test_its_scope_is_needed(self, keys: Keys) -> None:
        first = {"type": "start", "request": {"logs": "ERROR x"}, "key": keys.lacking[Scope.ANALYZE_WRITE]}
        assert self.closed_with(self.url(keys), first, address()) == (4403, "error")

    def test_the_key_is_taken_from_a_header_or_the_first_frame_and_never_from_the_url(self, keys: Keys) -> None:
        first = {"type": "start", "request": {"logs": "ERROR x"}}
        key = keys.server.key
        assert self.closed_with(self.url(keys), first, {"Authorization": f"Bearer {key}"}) == (1000, "done")
        assert self.closed_with(self.url(keys), first | {"key": key}, address()) == (1000, "done")
        assert self.closed_with(f"{self.url(keys)}?key={key}&api_key={key}", first, address()) == (4401, "error")

    def test_a_page_of_another_site_is_refused(self, keys: Keys) -> None:
        first = {"type": "start", "request": {"logs": "ERROR x"}, "key": keys.server.key}
        assert self.closed_with(self.url(keys), first, {"Origin": "https://evil.example"})[0] == 4403
        assert self.closed_with(self.url(keys), first, {"Origin": keys.server.url}) == (1000, "done")

    @pytest.mark.parametrize(
        ("first", "code"),
        [
            ("{", 4400),
            (b"\xff\xfe", 4400),
            ('{"type": "start"}', 4422),
            ('{"type": "cancel", "request": {"logs": "x"}}', 4422),
            ('{"type": "start", "request": {"logs": "x", "budget": -1}}', 4422),
            ('{"type": "start", "request": {"logs": ""}}', 4400),
        ],
    )
    def test_what_cannot_be_meant_closes_it_with_a_reason(self, keys: Keys, first: str | bytes, code: int) -> None:
        headers = {"X-API-Key": keys.server.key}
        assert self.closed_with(self.url(keys), first, headers) == (code, "error")


def test_without_keys_only_this_machine_is_served(tmp_path: Path) -> None:
    done = subprocess.run(
        [BIFROST, "serve", "--host", "0.0.0.0", "--port", "0", "--no-auth"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "loopback" in done.stderr
    with served(environment(tmp_path), "--no-auth") as server:
        assert httpx.post(f"{server.url}/analyze", json={"logs": "ERROR x"}).status_code == 200
        answer = httpx.get(f"{server.url}/history", headers={"Host": "evil.example"})
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:bifrost:problem:bad-host")
    with served(environment(tmp_path, BIFROST_ALLOW_NO_AUTH="1"), "--host", "0.0.0.0", "--no-auth") as server:
        assert httpx.get(f"http://127.0.0.1:{server.port}/history").status_code == 200


def test_a_port_that_is_taken_is_told_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [BIFROST, "serve", "--port", port], env=environment(tmp_path), capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert "Traceback" not in done.stderr
