"""What every storage promises of API keys and of the audit log."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from bifrost_adapters.slots import open_slot
from bifrost_adapters.storage import _keys
from bifrost_domain import keys
from bifrost_domain.audit import AuditAction, AuditEvent
from bifrost_domain.errors import BadOption, Conflict, KeyNotFound, StorageUnavailable
from bifrost_domain.keys import ApiKey, Limit, Scope
from bifrost_domain.ports import Storage
from tests.builders import START, an_id
from tests.contract.choices_storage import CHOICES, StorageChoice

few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
every_lasting = pytest.mark.parametrize(
    "choice",
    [choice for choice in CHOICES.values() if choice.lasting],
    ids=[label for label, choice in CHOICES.items() if choice.lasting],
)
HOUR = timedelta(hours=1)


@pytest.fixture(params=CHOICES.values(), ids=CHOICES.keys())
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_slot("storage", request.param.kind, request.param.options(tmp_path)) as storage:
        yield storage


def a_key(id: str = "a" * 12, **changes: object) -> ApiKey:
    made = ApiKey(
        id=id,
        name="ci",
        environment="live",
        hash=b"\x00\xff" * 16,
        pepper_version=1,
        scopes=(Scope.ANALYZE_WRITE,),
        limit=Limit(),
        family=id,
        created_at=START,
        created_by="me",
        expires_at=START + HOUR,
    )
    return structs.replace(made, **changes)  # type: ignore[arg-type]


def an_event(subject: str = "a" * 12, **changes: object) -> AuditEvent:
    made = AuditEvent(id=an_id(), at=START, actor="me", action=AuditAction.KEY_CREATED, subject=subject)
    return structs.replace(made, **changes)  # type: ignore[arg-type]


moments = st.none() | st.integers(0, 10**9).map(lambda seconds: START + timedelta(seconds=seconds, microseconds=7))
words = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)


@few
@given(
    name=words,
    scopes=st.sets(st.sampled_from(Scope)).map(tuple),
    limit=st.builds(
        Limit,
        per_minute=st.integers(1, 10**6),
        tokens_per_day=st.none() | st.integers(0, 2**53),
        usd_per_day=st.none() | st.floats(0, 10**6),
    ),
    ends=moments,
    revoked=moments,
    reason=st.none() | words,
)
async def test_a_key_comes_back_as_it_was(storage: Storage, name: str, **values: object) -> None:
    made = a_key(
        an_id()[-12:],
        name=name,
        scopes=values["scopes"],
        limit=values["limit"],
        expires_at=values["ends"],
        revoked_at=values["revoked"],
        revoked_reason=values["reason"],
    )
    await storage.keys.add(made, an_event(made.id))
    assert await storage.keys.find(made.id) == made


async def test_what_is_not_there_is_none_or_told(storage: Storage) -> None:
    assert await storage.keys.find("nobody") is None
    assert await storage.keys.all() == []
    with pytest.raises(KeyNotFound):
        await storage.keys.update("nobody", lambda key: key, an_event())
    assert (await storage.audit.events()).items == ()


async def test_an_id_is_taken_once(storage: Storage) -> None:
    await storage.keys.add(a_key(), an_event())
    with pytest.raises(StorageUnavailable, match="already"):
        await storage.keys.add(a_key(name="other"), an_event())
    assert await storage.keys.find("a" * 12) == a_key()
    assert len((await storage.audit.events()).items) == 1


async def test_twenty_changes_at_once_are_all_there(storage: Storage) -> None:
    await storage.keys.add(a_key(name=""), an_event())
    changing = (
        storage.keys.update("a" * 12, lambda key: structs.replace(key, name=key.name + "x"), an_event())
        for _ in range(20)
    )
    changed = await asyncio.gather(*changing)
    assert sorted(len(key.name) for key in changed) == list(range(1, 21))
    assert await storage.keys.find("a" * 12) == a_key(name="x" * 20)
    assert len((await storage.audit.events(limit=100)).items) == 21


async def test_of_many_rotations_at_once_one_takes_place(storage: Storage) -> None:
    await storage.keys.add(a_key(), an_event())

    async def rotate(number: int) -> None:
        successor = a_key(f"{number:012}", family="a" * 12)
        await storage.keys.update(
            "a" * 12, lambda key: keys.rotated(key, successor.id, HOUR, START), an_event(), successor=successor
        )

    outcomes = await asyncio.gather(*(rotate(number) for number in range(12)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [Conflict] * 11
    old, new = sorted(await storage.keys.all(), key=lambda key: key.id, reverse=True)
    assert (old.id, old.successor, new.family) == ("a" * 12, new.id, old.id)
    assert len((await storage.audit.events()).items) == 2


async def test_a_change_that_fails_changes_nothing(storage: Storage) -> None:
    def refuse(key: ApiKey) -> ApiKey:
        raise BadOption("no")

    await storage.keys.add(a_key(), an_event())
    with pytest.raises(BadOption):
        await storage.keys.update("a" * 12, refuse, an_event(), successor=a_key("b" * 12))
    with pytest.raises(StorageUnavailable):
        await storage.keys.update(
            "a" * 12, lambda key: structs.replace(key, name="other"), an_event(), successor=a_key()
        )
    assert await storage.keys.all() == [a_key()]
    assert len((await storage.audit.events()).items) == 1


async def test_a_successor_comes_with_the_change(storage: Storage) -> None:
    await storage.keys.add(a_key(), an_event())
    later = a_key("b" * 12, created_at=START + HOUR, family="a" * 12)
    old = await storage.keys.update(
        "a" * 12, lambda key: structs.replace(key, successor="b" * 12), an_event(), successor=later
    )
    assert old.successor == "b" * 12
    assert await storage.keys.all() == [later, old]


async def test_the_last_use_only_goes_forward(storage: Storage) -> None:
    await storage.keys.add(a_key(), an_event())
    await storage.keys.touch({})
    for minute, seen in ((2, 2), (1, 2), (3, 3)):
        await storage.keys.touch({"a" * 12: START + timedelta(minutes=minute), "nobody": START})
        found = await storage.keys.find("a" * 12)
        assert found is not None
        assert found.last_used_at == START + timedelta(minutes=seen)


@pytest.mark.parametrize("size", [4, 5])
async def test_the_last_use_of_many_keys_is_noted(storage: Storage, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_keys, "_TOUCHED_AT_ONCE", 2)
    made = [a_key(f"{number:012}") for number in range(size)]
    for key in made:
        await storage.keys.add(key, an_event(key.id))
    await storage.keys.touch({key.id: START + HOUR for key in made})
    assert {key.last_used_at for key in await storage.keys.all()} == {START + HOUR}


async def test_noting_the_last_use_does_not_wait_for_a_row_that_is_held(tmp_path: Path) -> None:
    choice = CHOICES["postgres"]
    options = choice.options(tmp_path)
    async with open_slot("storage", choice.kind, options) as storage:
        for id in ("a" * 12, "b" * 12):
            await storage.keys.add(a_key(id), an_event(id))
        other = await asyncpg.connect(options["url"])
        try:
            async with other.transaction():
                await other.fetch("SELECT id FROM api_keys WHERE id = $1 FOR UPDATE", "a" * 12)
                await asyncio.wait_for(storage.keys.touch({"a" * 12: START, "b" * 12: START}), 30)
                touched = {key.id: key.last_used_at for key in await storage.keys.all()}
        finally:
            await other.close()
    assert touched == {"a" * 12: None, "b" * 12: START}


@pytest.mark.parametrize("size", [0, 1, 3])
async def test_the_last_page_of_events_says_that_it_is_the_last(storage: Storage, size: int) -> None:
    for _ in range(size):
        await storage.audit.add(an_event())
    page = await storage.audit.events(limit=3)
    assert (len(page.items), page.next_cursor) == (size, None)


async def test_events_that_come_while_somebody_pages_move_no_page(storage: Storage) -> None:
    made = [an_event() for _ in range(4)]
    for event in made:
        await storage.audit.add(event)
    first = await storage.audit.events(limit=2)
    await storage.audit.add(an_event())
    second = await storage.audit.events(limit=2, cursor=first.next_cursor)
    assert [*first.items, *second.items] == made[::-1]


async def test_no_text_breaks_the_audit_log(storage: Storage) -> None:
    hostile = "'; DROP TABLE audit_events; -- \0 \u202e % _"
    await storage.audit.add(an_event(hostile, actor=hostile, detail={"reason": hostile}))
    (event,) = (await storage.audit.events(subject=hostile)).items
    assert event.subject.replace("\u2400", "\0") == event.detail["reason"] == hostile


@every_lasting
async def test_keys_are_there_when_the_storage_is_opened_again(choice: StorageChoice, tmp_path: Path) -> None:
    async with open_slot("storage", choice.kind, choice.options(tmp_path)) as storage:
        await storage.keys.add(a_key(), an_event())
    async with open_slot("storage", choice.kind, choice.options(tmp_path)) as storage:
        assert await storage.keys.find("a" * 12) == a_key()


async def test_events_are_listed_newest_first_page_by_page(storage: Storage) -> None:
    made = [
        an_event(str(number % 3), at=START - timedelta(seconds=number), detail={"순서": str(number)})
        for number in range(10)
    ]
    for event in made:
        await storage.audit.add(event)
    for subject in (None, "1", "nobody"):
        found: list[AuditEvent] = []
        cursor: str | None = None
        while True:
            page = await storage.audit.events(subject=subject, limit=2, cursor=cursor)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == [event for event in made[::-1] if subject in (None, event.subject)]
    with pytest.raises(BadOption):
        await storage.audit.events(cursor="somewhere")
