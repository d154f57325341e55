"""What analyses take: one record for each, and the sums over many."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum

from msgspec import Struct

BUCKETS_PER_DOUBLING = 8


class RunOutcome(StrEnum):
    """How an analysis ended. `OFFLINE`: the heuristic was asked; `DEGRADED`: it stood in for a model that failed."""

    ANSWERED = "answered"
    CACHED = "cached"
    OFFLINE = "offline"
    DEGRADED = "degraded"
    FAILED = "failed"


class AnalysisMetric(Struct, frozen=True, kw_only=True):
    """One analysis, whether it succeeded or not. `analysis` is the id of its report where there is one.

    `provider` and `model` are those that were asked, whoever wrote the report in the end; `error` is the slug of what
    went wrong. `calls` counts the requests sent to the model; tokens and cost are those of all of them, also of answers
    that were thrown away. `key` is the family of the API key that asked, None on the command line.
    `runs`: for how many analyses alike in everything this stands, each as long as `duration_ms`; calls, tokens, cost,
    lines and bytes are those of all of them together.
    """

    id: str
    at: datetime
    outcome: RunOutcome
    provider: str
    model: str
    analysis: str | None = None
    error: str | None = None
    key: str | None = None
    duration_ms: int = 0
    first_token_ms: int | None = None
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    lines_read: int = 0
    bytes_read: int = 0
    runs: int = 1


class DayTotal(Struct, frozen=True, kw_only=True):
    """The sums of one UTC day, provider, model and outcome."""

    day: date
    provider: str
    model: str
    outcome: RunOutcome
    analyses: int
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


class Statistics(Struct, frozen=True, kw_only=True):
    """Sums over a time. `latency_buckets`: how many analyses fell into each bucket of `bucket`."""

    since: datetime
    until: datetime
    totals: tuple[DayTotal, ...] = ()
    latency_buckets: Mapping[int, int] = {}

    def percentile(self, share: float) -> float | None:
        """Milliseconds that `share` (0 to 1) of the analyses did not exceed, at most 9 % too high; None for none."""
        rank = math.ceil(share * sum(self.latency_buckets.values()))
        seen = 0
        for bucket, count in sorted(self.latency_buckets.items()):
            seen += count
            if seen >= max(1, rank):
                return upper_bound(bucket)
        return None


class Spent(Struct, frozen=True, kw_only=True):
    """What a key's family has used since a moment."""

    tokens: int = 0
    usd: float = 0.0


def collected(metrics: Iterable[AnalysisMetric], since: datetime, until: datetime) -> Statistics:
    """The statistics of these metrics: what any storage has to make of them."""
    groups: dict[tuple[date, str, str, RunOutcome], list[AnalysisMetric]] = {}
    buckets: Counter[int] = Counter()
    for metric in metrics:
        day = metric.at.astimezone(UTC).date()
        groups.setdefault((day, metric.provider, metric.model, metric.outcome), []).append(metric)
        buckets[bucket(metric.duration_ms)] += metric.runs
    totals = (
        DayTotal(
            day=day,
            provider=provider,
            model=model,
            outcome=outcome,
            analyses=sum(metric.runs for metric in group),
            calls=sum(metric.calls for metric in group),
            input_tokens=sum(metric.input_tokens for metric in group),
            output_tokens=sum(metric.output_tokens for metric in group),
            cost_usd=sum(metric.cost_usd or 0.0 for metric in group),
        )
        for (day, provider, model, outcome), group in sorted(groups.items())
    )
    return Statistics(since=since, until=until, totals=tuple(totals), latency_buckets=dict(buckets))


def bucket(milliseconds: int) -> int:
    """The number of the logarithmic bucket of a duration: eight for each doubling, 0 for under a millisecond."""
    return 0 if milliseconds < 1 else 1 + math.ceil(BUCKETS_PER_DOUBLING * math.log2(milliseconds) - 1e-9)


def upper_bound(bucket: int) -> float:
    """The longest duration of a bucket, in milliseconds."""
    return 0.0 if bucket <= 0 else float(2 ** ((bucket - 1) / BUCKETS_PER_DOUBLING))
