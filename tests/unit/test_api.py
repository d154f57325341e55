"""What the service tells, and whom it serves without keys."""

import pytest

from bifrost_entrypoints.api.problems import problem
from bifrost_entrypoints.settings import is_loopback


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False)]
)
def test_only_a_loopback_address_is_one(host: str, local: bool) -> None:
    assert is_loopback(host) is local


def test_a_bug_is_told_by_its_id_and_by_nothing_else() -> None:
    told = problem(RuntimeError("secret text of a log"), "id-1")
    assert (told.status, told.request_id) == (500, "id-1")
    assert "secret" not in str(told)
