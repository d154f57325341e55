"""Everything that is kept, in any order, against a plain model: the same on every storage.

Two API keys analyse, list, delete, publish, label and roll back; keys are made, rotated and revoked between.
"""

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bifrost_adapters.slots import open_slot
from bifrost_domain import keys
from bifrost_domain.analysis import Analyst, Finished, Limits, Request
from bifrost_domain.caching import CachePolicy
from bifrost_domain.errors import AnalysisNotFound, Conflict, PromptNotFound, Unauthenticated
from bifrost_domain.history import HistoryQuery
from bifrost_domain.keyring import KeyRing
from bifrost_domain.prompt import ROOT_CAUSE
from bifrost_domain.promptbook import PRODUCTION, PromptBook
from bifrost_domain.report import Analysis
from tests.builders import START, an_id
from tests.contract.choices_storage import CHOICES, StorageChoice
from tests.unit.test_keys import PEPPERS, entropy

LOGS = (
    "2026-11-20T03:05:54Z ERROR FATAL: sorry, too many clients already\n",
    "2026-11-20T03:05:54Z ERROR OSError: [Errno 28] No space left on device\n",
    "2026-11-20T03:05:54Z INFO all is well\n",
)


class Text:
    name = "app.log"
    size: int | None = None

    def __init__(self, text: str) -> None:
        self._text = text

    async def chunks(self) -> Any:
        yield self._text.encode()


class State(RuleBasedStateMachine):
    """`choice` is the storage; each example has one of its own."""

    choice: StorageChoice

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        opening = open_slot("storage", self.choice.kind, self.choice.options(directory))
        self.storage = self.run(self.stack.enter_async_context(opening))
        self.cache = self.run(self.stack.enter_async_context(open_slot("cache", "memory", {}, clock=lambda: self.now)))
        self.now = START
        shared: dict[str, Any] = {
            "open_storage": self.open_storage,
            "clock": lambda: self.now,
            "new_id": an_id,
        }
        self.book = PromptBook(**shared)
        ring = {"peppers": PEPPERS, "entropy": entropy(int(time.monotonic() * 1e6)), "open_cache": self.open_cache}
        self.ring = KeyRing(**shared, **ring, monotonic=lambda: self.now.timestamp())
        self.analyst = Analyst(
            **shared,
            open_model=self.no_model,
            open_cache=self.open_cache,
            find_prompt=self.no_model,
            provider="heuristic",
            order=(),
            secret=b"k" * 32,
            redact_pii=True,
            budget=2000,
            limits=Limits(),
            cache_policy=CachePolicy(),
            monotonic=lambda: self.now.timestamp(),
            chance=lambda: 0.0,
        )
        self.analyses: dict[str, Analysis] = {}
        self.counted: dict[str, int] = {}
        self.texts: list[str] = []
        self.good: dict[str, datetime] = {}
        self.rotated: set[str] = set()
        self.wordings: list[str] = []
        self.trail: list[int] = []

    async def open_storage(self) -> Any:
        return self.storage

    async def open_cache(self) -> Any:
        return self.cache

    async def no_model(self, *_: Any) -> Any:
        raise AssertionError

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()

    def id_of(self, place: int) -> str:
        return keys.parse(self.texts[place % len(self.texts)]).id

    @rule(seconds=st.sampled_from([1, 60, 3600]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(hours=st.integers(1, 30))
    def create(self, hours: int) -> None:
        issued = self.run(self.ring.issue("k", lifetime=timedelta(hours=hours), actor="me"))
        self.texts.append(issued.text)
        self.good[issued.key.id] = issued.key.expires_at

    @rule(place=st.integers(0, 9))
    def revoke(self, place: int) -> None:
        if self.texts:
            id = self.id_of(place)
            self.run(self.ring.revoke(id, actor="me"))
            self.good[id] = min(self.good[id], self.now)
            self.rotated.add(id)

    @rule(place=st.integers(0, 9), hours=st.integers(0, 9))
    def rotate(self, place: int, hours: int) -> None:
        if not self.texts:
            return
        id = self.id_of(place)
        rotating = self.ring.rotate(id, overlap=timedelta(hours=hours), actor="me")
        if id in self.rotated or self.good[id] <= self.now:
            with pytest.raises(Conflict):
                self.run(rotating)
            return
        issued = self.run(rotating)
        self.rotated.add(id)
        self.good[id] = min(self.good[id], self.now + timedelta(hours=hours))
        self.texts.append(issued.text)
        self.good[issued.key.id] = issued.key.expires_at

    @rule(place=st.integers(0, 9), log=st.sampled_from(LOGS))
    def analyse(self, place: int, log: str) -> None:
        """With a key that is good; one that is not gets nothing."""
        if not self.texts:
            return
        id = self.id_of(place)
        try:
            key = self.run(self.ring.authenticate(self.texts[place % len(self.texts)]))
        except Unauthenticated:
            assert self.good[id] <= self.now
            return
        assert self.good[id] > self.now
        wish = Request(name="app.log", kind="file", logs=(Text(log),), key=key.family)

        async def finish() -> Analysis:
            async for event in self.analyst.analyse(wish):
                if isinstance(event, Finished):
                    analysis = event.analysis
            return analysis

        analysis = self.run(finish())
        self.analyses[analysis.id] = analysis
        self.counted[key.family] = self.counted.get(key.family, 0) + 1

    @rule(place=st.integers(0, 20))
    def delete(self, place: int) -> None:
        if not self.analyses:
            with pytest.raises(AnalysisNotFound):
                self.run(self.storage.analyses.delete(an_id()))
            return
        id = sorted(self.analyses)[place % len(self.analyses)]
        del self.analyses[id]
        self.run(self.storage.analyses.delete(id))

    @rule(word=st.sampled_from("abc"))
    def publish(self, word: str) -> None:
        texts = {"system": f"{ROOT_CAUSE.system} {word}", "user": ROOT_CAUSE.user}
        self.run(self.book.publish("mine", **texts, author="me"))
        if self.wordings[-1:] != [word]:
            self.wordings.append(word)

    @rule(version=st.integers(1, 4))
    def label(self, version: int) -> None:
        moving = self.book.label("mine", PRODUCTION, version, by="me")
        if version > len(self.wordings):
            with pytest.raises(PromptNotFound):
                self.run(moving)
            return
        self.run(moving)
        if self.trail[-1:] != [version]:
            self.trail.append(version)

    @rule()
    def rollback(self) -> None:
        rolling = self.book.rollback("mine", by="me")
        if len(self.trail) < 2:
            with pytest.raises(Conflict if self.wordings else PromptNotFound):
                self.run(rolling)
            return
        self.trail.pop()
        assert self.run(rolling).version == self.trail[-1]

    @invariant()
    def the_model_is_what_is_stored(self) -> None:
        async def look() -> None:
            page = await self.storage.analyses.search(HistoryQuery(limit=1000))
            assert {item.id for item in page.items} == set(self.analyses)
            incidents = (await self.storage.analyses.incidents(limit=1000)).items
            fingerprints = [analysis.cache.fingerprint for analysis in self.analyses.values()]
            assert {i.fingerprint: i.seen for i in incidents} == {f: fingerprints.count(f) for f in fingerprints}
            assert {key.id for key in await self.storage.keys.all()} == {keys.parse(text).id for text in self.texts}
            found = await self.storage.metrics.statistics(START, datetime(2100, 1, 1, tzinfo=UTC))
            assert sum(total.analyses for total in found.totals) == sum(self.counted.values())
            if self.wordings:
                prompt = await self.book.prompt("mine")
                assert [version.system[-1] for version in prompt.versions] == self.wordings
                assert prompt.labels == ({PRODUCTION: self.trail[-1]} if self.trail else {})

        self.run(look())


def run_state(choice: StorageChoice, examples: int, steps: int) -> None:
    machine = type(f"State{choice.kind}", (State,), {"choice": choice})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_every_storage_behaves_like_the_model(choice: StorageChoice) -> None:
    run_state(choice, 5, 20)
