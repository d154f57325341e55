"""What every adapter of metrics and of traces owes, and what Prometheus reads."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bifrost_adapters import slots
from bifrost_adapters.slots import open_slot
from bifrost_domain.metrics import AnalysisMetric, RunOutcome
from bifrost_domain.observations import (
    Analysed,
    Arrived,
    Asked,
    Begun,
    Circuit,
    Ended,
    Jobs,
    Observation,
    Repeated,
    Served,
    Shed,
    Streaming,
)
from bifrost_domain.report import Severity
from tests.builders import START
from tests.contract import choices_metrics, choices_traces

KINDS = [("metrics", kind, options) for kind, options in choices_metrics.CHOICES.items()]
KINDS += [("traces", kind, options) for kind, options in choices_traces.CHOICES.items()]


def analysed(provider: str = "local", model: str = "m-1", **more: Any) -> Analysed:
    metric = AnalysisMetric(
        id="i", at=START, outcome=RunOutcome.ANSWERED, provider=provider, model=model, duration_ms=12, lines_read=7
    )
    return Analysed(metric=metric, severity=Severity.ERROR, **more)


def every(text: str = "local") -> list[Observation]:
    return [
        Arrived(method="POST", traceparent=text),
        Begun(),
        Asked(provider=text, model=text, outcome=text, seconds=0.1, first_token_seconds=0.05),
        analysed(text, text, masked={"password": 2}, sought=True),
        Ended(),
        Repeated(provider=text, model=text),
        Circuit(provider=text, open=True),
        Jobs(queued=3, running=1),
        Shed(reason="in_progress"),
        Streaming(change=1),
        Streaming(change=-1),
        Served(method=text, route="/analyze", status=200, seconds=0.1),
    ]


def test_every_kind_is_enrolled() -> None:
    assert set(slots.names("metrics")) == set(choices_metrics.CHOICES)
    assert set(slots.names("traces")) == set(choices_traces.CHOICES)


@pytest.mark.parametrize(("slot", "kind", "options"), KINDS)
async def test_whatever_is_observed_nothing_is_raised(slot: str, kind: str, options: dict[str, Any]) -> None:
    async with open_slot(slot, kind, options) as observer:
        for text in ("local", "", "x" * 1000, "\x00\ud800", "ü"):
            for observation in every(text):
                observer.observe(observation)


async def series(observations: list[Observation]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    async with open_slot("metrics", "prometheus", choices_metrics.CHOICES["prometheus"]) as metrics:
        for observation in observations:
            metrics.observe(observation)
        text = metrics.exposition().body.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_counters_are_named_as_prometheus_wants_them() -> None:
    async with open_slot("metrics", "prometheus", choices_metrics.CHOICES["prometheus"]) as metrics:
        for observation in every():
            metrics.observe(observation)
        exposition = metrics.exposition()
    assert exposition.content_type.startswith("text/plain")
    for family in text_string_to_metric_families(exposition.body.decode()):
        assert family.documentation, family.name
        for sample in family.samples:
            assert family.type != "counter" or sample.name.endswith("_total")


async def test_it_counts_what_was_observed() -> None:
    found = await series([Begun(), analysed(masked={"password": 2}, sought=True), analysed(sought=False), *every()])
    labels = (("model", "m-1"), ("outcome", "answered"), ("provider", "local"), ("severity", "error"))
    assert found["bifrost_analysis_total", labels] == 2
    assert found["bifrost_cache_misses_total", ()] == 2
    assert found["bifrost_cache_hits_total", ()] == 1
    assert found["bifrost_in_progress", ()] == 1
    assert found["bifrost_lines_read_total", ()] == 21
    assert found["bifrost_redactions_total", (("kind", "password"),)] == 4
    assert found["bifrost_provider_up", (("provider", "local"),)] == 0
    assert found["bifrost_queue_waiting", ()] == 3


async def test_random_names_add_no_series() -> None:
    chance = random.Random(7)
    known = [*every(), *every("other")]
    noise = []
    for _ in range(500):
        text = f"{chance.getrandbits(64):x}"
        noise += [item for item in every(text) if not isinstance(item, Served)]
        noise.append(Served(method=text, route="/analyze", status=chance.randrange(10**6, 10**9), seconds=0.1))
    assert len(await series([*known, *noise])) - len(await series(known)) <= 5


WORKER = """
import asyncio, os, sys
from bifrost_adapters.slots import open_slot
from bifrost_domain.observations import Begun, Repeated
async def main():
    options = {"directory": os.environ["PROMETHEUS_MULTIPROC_DIR"]}
    async with open_slot("metrics", "prometheus", options) as metrics:
        if sys.argv[1] == "read":
            print(metrics.exposition().body.decode())
            return
        metrics.observe(Begun())
        metrics.observe(Repeated(provider="heuristic", model="x"))
        if sys.argv[1] == "killed":
            os.kill(os.getpid(), 9)
asyncio.run(main())
"""


def test_processes_count_together_and_a_killed_one_leaves_nothing_running(tmp_path: Path) -> None:
    def worker(how: str) -> str:
        command = [sys.executable, "-c", WORKER, how]
        variables = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False).stdout

    for how in ("ended", "killed", "ended"):
        worker(how)
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(worker("read"))
        for sample in family.samples
        if not sample.labels
    }
    assert samples["bifrost_cache_hits_total"] == 3
    assert samples.get("bifrost_in_progress", 0) == 0
