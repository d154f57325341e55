"""The metrics of analyses on any SQL database."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import cast, delete, func, insert, select

from bifrost_adapters.storage import _rows
from bifrost_adapters.storage._database import Database
from bifrost_adapters.storage._tables import INT64, METRICS
from bifrost_domain.metrics import AnalysisMetric, DayTotal, RunOutcome, Spent, Statistics, bucket

_DAY = timedelta(days=1) // timedelta(microseconds=1) * _rows.SAME_MICROSECOND


class SqlMetrics:
    """A MetricRepository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, metric: AnalysisMetric) -> None:
        row = to_row(metric)
        await self._database.write(lambda connection: connection.execute(insert(METRICS), row))

    async def statistics(self, since: datetime, until: datetime) -> Statistics:
        columns = METRICS.c
        within = (columns.at >= _rows.place(since), columns.at < _rows.place(until))
        day = (columns.at - (columns.at % _DAY + _DAY) % _DAY).label("day")
        keys = (day, columns.provider, columns.model, columns.outcome)
        analyses = cast(func.sum(columns.runs), INT64).label("analyses")
        sums = (
            analyses,
            *(cast(func.sum(columns[name]), INT64).label(name) for name in ("calls", "input_tokens", "output_tokens")),
            func.coalesce(func.sum(columns.cost_usd), 0.0).label("cost_usd"),
        )
        totals = await self._database.read(select(*keys, *sums).where(*within).group_by(*keys).order_by(*keys))
        counted = select(columns.bucket, analyses).where(*within).group_by(columns.bucket)
        buckets = await self._database.read(counted)
        return Statistics(
            since=since,
            until=until,
            totals=tuple(_to_total(row) for row in totals),
            latency_buckets={row.bucket: int(row.analyses) for row in buckets},
        )

    async def spent(self, family: str, since: datetime) -> Spent:
        columns = METRICS.c
        sums = select(
            func.coalesce(func.sum(columns.input_tokens + columns.output_tokens), 0).label("tokens"),
            func.coalesce(func.sum(columns.cost_usd), 0.0).label("usd"),
        )
        (row,) = await self._database.read(
            sums.where(columns.family == _rows.storable(family), columns.at >= _rows.place(since))
        )
        return Spent(tokens=int(row.tokens), usd=float(row.usd))

    async def forget_before(self, moment: datetime) -> int:
        old = delete(METRICS).where(METRICS.c.at < _rows.place(moment))

        async def work(connection: Any) -> int:
            return int((await connection.execute(old)).rowcount)

        return await self._database.write(work)


def to_row(metric: AnalysisMetric) -> dict[str, Any]:
    row = {
        name: _rows.storable(value) if isinstance(value, str) else value
        for name, value in msgspec.structs.asdict(metric).items()
    }
    row["family"] = row.pop("key")
    return row | {"at": _rows.place(metric.at), "outcome": str(metric.outcome), "bucket": bucket(metric.duration_ms)}


def _to_total(row: Any) -> DayTotal:
    return DayTotal(
        day=_rows.moment(row.day).date(),
        provider=row.provider,
        model=row.model,
        outcome=RunOutcome(row.outcome),
        analyses=int(row.analyses),
        calls=int(row.calls),
        input_tokens=int(row.input_tokens),
        output_tokens=int(row.output_tokens),
        cost_usd=float(row.cost_usd),
    )
