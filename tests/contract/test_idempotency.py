"""What every storage promises of requests with an idempotency key."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bifrost_adapters.slots import open_slot
from bifrost_domain.idempotency import Idempotent
from bifrost_domain.ports import IdempotencyRepository
from tests.builders import START
from tests.contract.choices_storage import CHOICES, StorageChoice

KEY, OTHER = b"\x00\xffkey", b"\x00\xffother"
REQUEST = b"r" * 32


@pytest.fixture(params=CHOICES.values(), ids=CHOICES.keys())
async def requests(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[IdempotencyRepository]:
    async with open_slot("storage", request.param.kind, request.param.options(tmp_path)) as storage:
        yield storage.idempotency


async def test_the_first_request_with_a_key_is_new_and_the_next_are_told_of_it(requests: IdempotencyRepository) -> None:
    assert await requests.begin("one", KEY, REQUEST, START) is None
    later = START + timedelta(hours=1)
    assert await requests.begin("one", KEY, b"another", later) == Idempotent(request_hash=REQUEST, at=START)
    await requests.finish("one", KEY, "made-1")
    found = Idempotent(request_hash=REQUEST, resource="made-1", at=START)
    assert await requests.begin("one", KEY, REQUEST, later) == found


async def test_keys_of_other_families_and_other_keys_are_apart(requests: IdempotencyRepository) -> None:
    for family, key in (("one", KEY), ("two", KEY), ("one", OTHER), ("", b"")):
        assert await requests.begin(family, key, REQUEST, START) is None
    await requests.finish("two", KEY, "theirs")
    assert await requests.begin("one", KEY, REQUEST, START) == Idempotent(request_hash=REQUEST, at=START)


async def test_one_that_was_abandoned_is_new_again(requests: IdempotencyRepository) -> None:
    await requests.begin("one", KEY, REQUEST, START)
    await requests.begin("one", OTHER, REQUEST, START)
    await requests.abandon("one", KEY)
    await requests.abandon("one", b"never begun")
    await requests.finish("one", KEY, "too late")
    assert await requests.begin("one", KEY, b"another", START) is None
    assert await requests.begin("one", OTHER, REQUEST, START) is not None


async def test_the_old_are_forgotten(requests: IdempotencyRepository) -> None:
    await requests.begin("one", KEY, REQUEST, START)
    await requests.begin("one", OTHER, REQUEST, START + timedelta(hours=1))
    assert await requests.forget_before(START + timedelta(hours=1)) == 1
    assert await requests.begin("one", KEY, REQUEST, START) is None
    assert await requests.begin("one", OTHER, REQUEST, START) is not None


async def test_of_many_at_once_one_is_new(requests: IdempotencyRepository) -> None:
    begun = await asyncio.gather(*(requests.begin("one", KEY, bytes([number]), START) for number in range(20)))
    assert begun.count(None) == 1
    assert len({found.request_hash for found in begun if found is not None}) == 1


@pytest.mark.parametrize(
    "choice",
    [choice for choice in CHOICES.values() if choice.lasting],
    ids=[label for label, choice in CHOICES.items() if choice.lasting],
)
async def test_two_processes_share_them(choice: StorageChoice, tmp_path: Path) -> None:
    options = choice.options(tmp_path)
    async with (
        open_slot("storage", choice.kind, options) as one,
        open_slot("storage", choice.kind, options) as other,
    ):
        for number in range(10):
            key = bytes([number])
            begun = await asyncio.gather(
                *(storage.idempotency.begin("one", key, REQUEST, START) for storage in (one, other) for _ in range(3))
            )
            assert begun.count(None) == 1


async def test_the_memory_keeps_a_bounded_number() -> None:
    async with open_slot("storage", "memory", {"max_analyses": 2}) as storage:
        for key in (b"1", b"2", b"3"):
            assert await storage.idempotency.begin("one", key, REQUEST, START) is None
        assert await storage.idempotency.begin("one", b"3", REQUEST, START) is not None
        assert await storage.idempotency.begin("one", b"1", REQUEST, START) is None
