"""The OpenAPI document is right: what it says is tried against a running server, with all checks of schemathesis."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.servers.bifrost import LIMITS, Served, environment, make_key, served

HERE = Path(__file__).parent / "schema"
SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
EXAMPLES = os.environ.get("BIFROST_SCHEMA_EXAMPLES", "15")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    variables = environment(tmp_path_factory.mktemp("openapi"), BIFROST_SERVER__TRUSTED_PROXIES="127.0.0.1")
    with served(variables, key=make_key(variables, "--admin", *LIMITS)) as server:
        yield server


def test_nothing_that_can_be_made_of_the_document_surprises_the_server(server: Served, tmp_path: Path) -> None:
    variables = environment(tmp_path, SCHEMATHESIS_HOOKS="tests.contract.schema.hooks", PYTHONPATH=str(HERE.parents[2]))
    done = subprocess.run(
        [
            *(SCHEMATHESIS, "--config-file", HERE / "schemathesis.toml", "run", f"{server.url}/schema/openapi.json"),
            *("-H", f"X-API-Key: {server.key}", "--checks", "all", "--max-examples", EXAMPLES, "--seed", "1"),
            *("--continue-on-failure", "--generation-database", "none", "--report-dir", str(tmp_path / "reports")),
        ],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "28 selected" in done.stdout
    assert [record for record in server.records() if record["level"] == "error"] == []


def test_every_route_is_documented_with_an_example_and_its_errors(server: Served) -> None:
    document = httpx.get(f"{server.url}/schema/openapi.json").json()
    operations = [
        (path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()
    ]
    assert len({operation["operationId"] for _, _, operation in operations}) == len(operations)
    for path, method, operation in operations:
        where = f"{method} {path}"
        answers = operation["responses"]
        assert {"400", "429", "500", "503"} <= set(answers), where
        assert ({"401", "403"} <= set(answers)) == bool(operation["security"]), where
        for status, answer in answers.items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], f"{where} {status}"
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        assert body is None or body["examples"], where
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert reference in document["components"]["schemas"]


@pytest.mark.parametrize("path", ["/nothing", "/history/x/y", "/schema/none"])
def test_what_no_route_matches_is_a_problem_too(path: str, server: Served) -> None:
    answer = httpx.get(f"{server.url}{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
