"""What every storage promises of prompts and labels, and the book of prompts over each."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from bifrost_adapters.slots import open_slot
from bifrost_domain.audit import AuditAction, AuditEvent
from bifrost_domain.errors import BadPrompt, Conflict, PromptNotFound, PromptVersionExists
from bifrost_domain.ports import Storage
from bifrost_domain.prompt import ROOT_CAUSE, LabelMove, PromptVersion
from bifrost_domain.promptbook import PRODUCTION, PromptBook
from tests.builders import START, a_clock, an_id
from tests.contract.choices_storage import CHOICES, StorageChoice

few = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
every_lasting = pytest.mark.parametrize(
    "choice",
    [choice for choice in CHOICES.values() if choice.lasting],
    ids=[label for label, choice in CHOICES.items() if choice.lasting],
)


@pytest.fixture(params=CHOICES.values(), ids=CHOICES.keys())
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_slot("storage", request.param.kind, request.param.options(tmp_path)) as storage:
        yield storage


@pytest.fixture
def book(storage: Storage) -> PromptBook:
    return a_book(storage)


def a_book(storage: Storage) -> PromptBook:
    async def open_storage() -> Storage:
        return storage

    return PromptBook(open_storage=open_storage, clock=a_clock(), new_id=an_id)


def a_version(number: int = 1, **changes: object) -> PromptVersion:
    return structs.replace(ROOT_CAUSE, name="mine", version=number, created_at=START, **changes)  # type: ignore[arg-type]


def an_event(subject: str = "mine@1") -> AuditEvent:
    return AuditEvent(id=an_id(), at=START, actor="me", action=AuditAction.PROMPT_PUBLISHED, subject=subject)


def a_move(label: str, version: int) -> LabelMove:
    return LabelMove(name="mine", label=label, version=version, at=START, by="me", message="why")


def texts(word: str) -> dict[str, str]:
    return {"system": ROOT_CAUSE.system + f" {word}", "user": ROOT_CAUSE.user}


async def test_a_version_comes_back_as_it_was_and_its_event_with_it(storage: Storage) -> None:
    made = a_version(variables={"team": "결제"}, author="나", message="why 'so'")
    event = an_event()
    await storage.prompts.publish(made, event)
    assert await storage.prompts.get("mine", 1) == made
    assert await storage.prompts.versions("mine") == [made]
    assert await storage.prompts.names() == ["mine"]
    assert (await storage.audit.events()).items == (event,)


async def test_a_version_cannot_be_replaced(storage: Storage) -> None:
    await storage.prompts.publish(a_version(), an_event())
    with pytest.raises(PromptVersionExists):
        await storage.prompts.publish(a_version(system="other"), an_event())
    assert await storage.prompts.versions("mine") == [a_version()]
    assert len((await storage.audit.events()).items) == 1


async def test_what_is_not_there_is_told(storage: Storage) -> None:
    with pytest.raises(PromptNotFound):
        await storage.prompts.get("mine", 1)
    assert await storage.prompts.versions("mine") == []
    assert await storage.prompts.moves("mine") == []
    with pytest.raises(PromptNotFound):
        await storage.prompts.move_label(a_move("production", 1), an_event(), after=0)


async def test_of_twenty_moves_at_once_one_is_first(storage: Storage) -> None:
    await storage.prompts.publish(a_version(), an_event())
    moving = (storage.prompts.move_label(a_move(f"l{number}", 1), an_event(), after=0) for number in range(20))
    results = await asyncio.gather(*moving, return_exceptions=True)
    assert [type(result) for result in results if result is not None] == [Conflict] * 19
    (move,) = await storage.prompts.moves("mine")
    assert move.message == "why"
    assert len((await storage.audit.events()).items) == 2


async def test_twenty_who_publish_at_once_get_twenty_numbers(book: PromptBook) -> None:
    made = await asyncio.gather(*(book.publish("mine", **texts(f"word{number}"), author="me") for number in range(20)))
    assert sorted(version.version for version in made) == list(range(1, 21))
    assert [version.version for version in (await book.prompt("mine")).versions] == list(range(1, 21))


async def test_twenty_who_move_one_label_at_once_all_do_one_after_the_other(book: PromptBook) -> None:
    for number in (1, 2):
        await book.publish("mine", **texts(f"word{number}"), author="me")
    await asyncio.gather(*(book.label("mine", "production", 1 + number % 2, by="me") for number in range(20)))
    prompt = await book.prompt("mine")
    assert len(prompt.moves) == 20
    assert prompt.labels == {"production": prompt.moves[-1].version}


async def test_the_built_in_wording_is_there_in_production(storage: Storage, book: PromptBook) -> None:
    assert (await book.find("root-cause")).checksum == ROOT_CAUSE.checksum
    assert (await book.find("root-cause@1")).author == "bifrost"
    assert (await a_book(storage).prompt("root-cause")).labels == {PRODUCTION: 1}
    assert len(await storage.prompts.moves("root-cause")) == 1


async def test_books_that_begin_at_once_publish_the_built_in_wording_once(storage: Storage) -> None:
    found = await asyncio.gather(*(a_book(storage).find("root-cause") for _ in range(10)))
    assert {version.version for version in found} == {1}
    assert len(await storage.prompts.versions("root-cause")) == 1


async def test_an_upgrade_never_takes_a_users_wording_away(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later program brings another wording: it is published beside, and in production only where nobody chose."""
    mine = a_book(storage)
    await mine.publish("root-cause", **texts("mine"), author="me")
    newer = structs.replace(ROOT_CAUSE, system=ROOT_CAUSE.system + " Newer.", version=2)
    monkeypatch.setattr("bifrost_domain.promptbook.PUBLISHED", (ROOT_CAUSE, newer))
    later = a_book(storage)
    assert (await later.find("root-cause")).system.endswith("Newer.")
    assert (await later.find("root-cause@2")).author == "me"
    assert (await later.find("root-cause@3")).author == "bifrost"
    await later.label("root-cause", PRODUCTION, 2, by="me")
    monkeypatch.setattr(
        "bifrost_domain.promptbook.PUBLISHED", (newer, structs.replace(newer, system=newer.system + " Newest."))
    )
    latest = a_book(storage)
    assert (await latest.find("root-cause")).version == 2
    assert (await latest.find("root-cause@4")).system.endswith("Newest.")


@pytest.mark.parametrize("name", ["mine", "\ud800", "a\0b", "Mine", "", "x" * 1000])
async def test_a_name_that_is_none_is_not_found_on_any_storage(book: PromptBook, name: str) -> None:
    for asked in (book.prompt(name), book.find(name), book.find(f"{name}@1"), book.export(name)):
        with pytest.raises(PromptNotFound):
            await asked
    with pytest.raises(PromptNotFound):
        await book.label(name, "staging", 1, by="me")
    with pytest.raises(PromptNotFound):
        await book.rollback(name, by="me")


@pytest.mark.parametrize("message", ["a\0b", "\ud800", "\u202e", "x" * 501])
async def test_a_message_that_no_storage_could_keep_is_told_before(book: PromptBook, message: str) -> None:
    with pytest.raises(BadPrompt, match="the message"):
        await book.publish("mine", **texts("x"), author="me", message=message)
    await book.publish("mine", **texts("x"), author="me")
    with pytest.raises(BadPrompt, match="the message"):
        await book.label("mine", "staging", 1, by="me", message=message)
    await book.label("mine", "staging", 1, by="me")
    await book.label("root-cause", "staging", 1, by="me")
    with pytest.raises(BadPrompt, match="the message"):
        await book.rollback("mine", "staging", by="me", message=message)
    assert len((await book.prompt("mine")).moves) == 1


@pytest.mark.parametrize("where", ["", "0", "2", "-1", "1.0", "\u0661", "9" * 5000, "1@1", "production", "\ud800"])
async def test_a_version_that_is_not_there_is_told_with_those_that_are(book: PromptBook, where: str) -> None:
    await book.publish("mine", **texts("x"), author="me")
    await book.label("mine", "staging", 1, by="me")
    with pytest.raises(PromptNotFound) as caught:
        await book.find(f"mine@{where}")
    assert caught.value.hint == "it has 1, staging"


async def test_without_a_label_a_name_stands_for_the_newest_then_for_production(book: PromptBook) -> None:
    for word in ("x", "y"):
        await book.publish("mine", **texts(word), author="me")
    assert (await book.find("mine")).version == 2
    await book.label("mine", PRODUCTION, 1, by="me")
    assert (await book.find("mine")).version == 1
    assert (await book.find("mine@2")).version == 2


async def test_the_same_text_again_is_the_newest_version_again(book: PromptBook) -> None:
    first = await book.publish("mine", **texts("x"), author="me", message="why")
    assert await book.publish("mine", **texts("x"), author="you", message="again") == first
    await book.publish("mine", **texts("y"), author="me")
    assert (await book.publish("mine", **texts("x"), author="me")).version == 3


async def test_a_rollback_at_the_beginning_says_where_it_is(book: PromptBook) -> None:
    await book.publish("mine", **texts("x"), author="me")
    await book.label("mine", "staging", 1, by="me")
    with pytest.raises(Conflict) as caught:
        await book.rollback("mine", "staging", by="me")
    assert "on 1" in caught.value.hint
    with pytest.raises(Conflict) as caught:
        await book.rollback("mine", "stagnig", by="me")
    assert caught.value.hint == "the labels are staging"


async def test_every_change_is_in_the_audit_log_and_no_refusal_is(storage: Storage, book: PromptBook) -> None:
    await book.publish("mine", **texts("x"), author="me")
    await book.label("mine", "staging", 1, by="you")
    with pytest.raises(PromptNotFound):
        await book.label("mine", "staging", 2, by="you")
    with pytest.raises(Conflict):
        await book.rollback("mine", "staging", by="you")
    events = (await storage.audit.events(subject="mine@1")).items
    assert [(event.action, event.actor) for event in events] == [
        (AuditAction.LABEL_MOVED, "you"),
        (AuditAction.PROMPT_PUBLISHED, "me"),
    ]
    assert events[0].detail == {"label": "staging", "version": "1"}


async def test_ten_who_import_the_same_files_at_once_all_have_them(book: PromptBook) -> None:
    async with open_slot("storage", "memory", {}) as other:
        for word in ("x", "y", "z"):
            await a_book(other).publish("mine", **texts(word), author="me")
        files = list((await a_book(other).export("mine")).values())
    results = await asyncio.gather(*(book.take(files, by="you") for _ in range(10)))
    assert sum(len(taken) for taken, _ in results) == 3
    assert {len(taken) + len(known) for taken, known in results} == {3}
    assert [version.version for version in (await book.prompt("mine")).versions] == [1, 2, 3]


async def test_a_file_with_another_wording_for_a_version_is_refused(book: PromptBook) -> None:
    await book.publish("mine", **texts("x"), author="me")
    async with open_slot("storage", "memory", {}) as other:
        await a_book(other).publish("mine", **texts("y"), author="me")
        files = await a_book(other).export("mine")
    with pytest.raises(Conflict, match="another wording"):
        await book.take(files.values(), by="you")
    assert (await book.find("mine@1")).system.endswith("x")


async def test_any_text_that_may_be_published_comes_back_as_it_was(storage: Storage, book: PromptBook) -> None:
    text = ROOT_CAUSE.system + "\n\t'\";--\\ %s :x $1 결제 \U0001f525\ufe0f \U0010fffd \ufffe e\u0301\n{{v}}\n\n"
    made = await book.publish("mine", system=text, user=ROOT_CAUSE.user, variables={"v": "\n '가"}, author="나")
    (found,) = await storage.prompts.versions("mine")
    assert found == made
    assert (found.system, found.checksum) == (text, made.checksum)


@every_lasting
async def test_prompts_are_there_when_the_storage_is_opened_again(choice: StorageChoice, tmp_path: Path) -> None:
    async with open_slot("storage", choice.kind, choice.options(tmp_path)) as storage:
        await a_book(storage).publish("mine", **texts("x"), author="me")
        await a_book(storage).label("mine", "staging", 1, by="me")
    async with open_slot("storage", choice.kind, choice.options(tmp_path)) as storage:
        assert (await a_book(storage).find("mine@staging")).author == "me"


@few
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("publish"), st.integers(0, 3)),
            st.tuples(st.just("label"), st.sampled_from(["a", "b"]), st.integers(1, 4)),
            st.tuples(st.just("rollback"), st.sampled_from(["a", "b"])),
        ),
        max_size=12,
    ),
    name=st.uuids().map(lambda number: f"p{number.hex[:12]}"),
)
async def test_labels_follow_a_model(book: PromptBook, steps: list[tuple[str, ...]], name: str) -> None:
    """A prompt is a list of texts; a label a pile of versions, from which a rollback takes the top."""
    wordings: list[int] = []
    piles: dict[str, list[int]] = {"a": [], "b": []}
    for step in steps:
        match step:
            case ("publish", int(word)):
                await book.publish(name, **texts(str(word)), author="me")
                if not wordings or wordings[-1] != word:
                    wordings.append(word)
            case ("label", label, int(version)) if version <= len(wordings):
                await book.label(name, label, version, by="me")
                if piles[label][-1:] != [version]:
                    piles[label].append(version)
            case ("label", label, int(version)):
                with pytest.raises(PromptNotFound):
                    await book.label(name, label, version, by="me")
            case ("rollback", label) if len(piles[label]) > 1:
                piles[label].pop()
                assert (await book.rollback(name, label, by="me")).version == piles[label][-1]
            case ("rollback", label):
                with pytest.raises((Conflict, PromptNotFound)):
                    await book.rollback(name, label, by="me")
    if wordings:
        prompt = await book.prompt(name)
        assert prompt.labels == {label: pile[-1] for label, pile in piles.items() if pile}
        assert [version.system.rsplit(" ", 1)[1] for version in prompt.versions] == list(map(str, wordings))


async def test_files_carry_prompts_from_one_book_to_another(book: PromptBook, tmp_path: Path) -> None:
    for number in (1, 2):
        await book.publish(
            "mine",
            system=ROOT_CAUSE.system + f"\nFor {{{{team}}}}. {number}\n",
            user=ROOT_CAUSE.user + "\n\n",
            variables={"team": "결제"},
            author="me",
            message="why",
        )
    files = await book.export("mine")
    assert list(files) == ["mine@1.json", "mine@2.json"]
    async with open_slot("storage", "memory", {}) as other:
        there = a_book(other)
        taken, known = await there.take(files.values(), by="you")
        assert [version.reference for version in taken] == ["mine@1", "mine@2"]
        assert await there.export("mine") == files
        taken, known = await there.take(files.values(), by="you")
        assert (taken, len(known)) == ([], 2)
        edited = files["mine@2.json"].replace("결제".encode(), b"other")
        with pytest.raises(BadPrompt, match="checksum"):
            await there.take([edited], by="you")
        with pytest.raises(BadPrompt, match="no exported prompt"):
            await there.take([b"{}"], by="you")
    with pytest.raises(Conflict, match="gap"):
        async with open_slot("storage", "memory", {}) as other:
            await a_book(other).take([files["mine@2.json"]], by="you")
