"""What analyses took, summed up for people and programs: the body of `GET /metrics` and of `bifrost metrics`."""

from collections.abc import Callable, Hashable, Iterable
from datetime import date
from typing import Any, TypeVar

from msgspec import Struct

from bifrost_domain.metrics import DayTotal, RunOutcome, Statistics


class Totals(Struct, frozen=True, kw_only=True):
    """Sums of analyses. `errors` had no report, `degraded` had one by another engine than was asked."""

    analyses: int = 0
    errors: int = 0
    degraded: int = 0
    cached: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


class ProviderTotals(Totals, frozen=True, kw_only=True):
    provider: str
    model: str


class DayTotals(Totals, frozen=True, kw_only=True):
    day: date


class Latency(Struct, frozen=True, kw_only=True):
    """Milliseconds that so many of the analyses did not exceed, at most 9 % too high; null where there were none."""

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


class Figures(Struct, frozen=True, kw_only=True):
    """What analyses took from `since` until `until`. `cache_hit_rate` is over those that a model or its cache
    answered; null where there were none."""

    since: str
    until: str
    totals: Totals
    latency_ms: Latency
    cache_hit_rate: float | None
    by_provider: tuple[ProviderTotals, ...]
    by_day: tuple[DayTotals, ...]


Key = TypeVar("Key", bound=Hashable)


def figures(found: Statistics) -> Figures:
    rows = found.totals
    answered = sum(row.analyses for row in rows if row.outcome in (RunOutcome.ANSWERED, RunOutcome.CACHED))
    cached = sum(row.analyses for row in rows if row.outcome is RunOutcome.CACHED)
    shares = {f"p{share}": _rounded(found.percentile(share / 100)) for share in (50, 90, 95, 99)}
    return Figures(
        since=f"{found.since:%Y-%m-%dT%H:%M:%SZ}",
        until=f"{found.until:%Y-%m-%dT%H:%M:%SZ}",
        totals=Totals(**_sums(rows)),
        latency_ms=Latency(**shares),
        cache_hit_rate=round(cached / answered, 4) if answered else None,
        by_provider=tuple(
            ProviderTotals(provider=provider, model=model, **_sums(group))
            for (provider, model), group in _grouped(rows, lambda row: (row.provider, row.model))
        ),
        by_day=tuple(DayTotals(day=day, **_sums(group)) for day, group in _grouped(rows, lambda row: row.day)),
    )


def _grouped(rows: Iterable[DayTotal], key: Callable[[DayTotal], Key]) -> list[tuple[Key, list[DayTotal]]]:
    groups: dict[Key, list[DayTotal]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return sorted(groups.items(), key=lambda item: str(item[0]))


def _sums(rows: Iterable[DayTotal]) -> dict[str, Any]:
    rows = tuple(rows)

    def of(outcome: RunOutcome) -> int:
        return sum(row.analyses for row in rows if row.outcome is outcome)

    return {
        "analyses": sum(row.analyses for row in rows),
        "errors": of(RunOutcome.FAILED),
        "degraded": of(RunOutcome.DEGRADED),
        "cached": of(RunOutcome.CACHED),
        "calls": sum(row.calls for row in rows),
        "input_tokens": sum(row.input_tokens for row in rows),
        "output_tokens": sum(row.output_tokens for row in rows),
        "cost_usd": round(sum(row.cost_usd for row in rows), 6),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
