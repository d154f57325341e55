"""`bifrost metrics`: what analyses took."""

import sys
from datetime import UTC, datetime
from gettext import gettext as _

import click

from bifrost_domain.application import Application
from bifrost_entrypoints.cli.options import Common, common, explained, window
from bifrost_entrypoints.cli.output import coloured, json_text, table, write
from bifrost_entrypoints.cli.running import with_bifrost
from bifrost_entrypoints.figures import Figures, Totals, figures
from bifrost_entrypoints.plain import plain

HELP = explained(
    _("""What analyses took: how many, how long, from the cache or not, tokens and cost by provider and day."""),
    """\
  bifrost metrics
  bifrost metrics --since 30d
  bifrost metrics --format json""",
)


@click.command(help=HELP)
@click.option("--since", default="7d", metavar="TIME", help=_("From TIME on, as 24h or 30d ago (default: 7d)."))
@click.option("--until", metavar="TIME", help=_("Up to TIME."))
@click.option("--format", "kind", type=click.Choice(["text", "json"]), default="text", help=_("Form of the result."))
@common
def metrics(common: Common, since: str, until: str | None, kind: str) -> None:
    start, end = window(since, until)

    async def find(bifrost: Application) -> Figures:
        storage = await bifrost.open_storage()
        first = start or datetime.fromtimestamp(0, UTC)
        return figures(await storage.metrics.statistics(first, end or datetime.now(UTC)))

    found = with_bifrost(common, find)
    if kind == "json":
        write(json_text(plain(found)))
        return
    write(_text(found, colour=coloured(common.colour, sys.stdout)), colour=True)


def _text(found: Figures, *, colour: bool) -> str:
    totals, latency = found.totals, found.latency_ms
    rate = _("nobody asked a model") if found.cache_hit_rate is None else f"{found.cache_hit_rate:.0%}"
    lines = [
        _("{count:,} analyses from {since} to {until}: {errors:,} failed, {degraded:,} gave way").format(
            count=totals.analyses, since=found.since, until=found.until, errors=totals.errors, degraded=totals.degraded
        ),
        _("milliseconds: p50 {p50}, p90 {p90}, p95 {p95}, p99 {p99}; from the cache: {rate}").format(
            **{name: "-" if value is None else f"{value:,.0f}" for name, value in plain(latency).items()}, rate=rate
        ),
        "",
    ]
    titles = [_("provider"), _("model"), *_titles()]
    rows = [[row.provider, row.model, *_cells(row)] for row in found.by_provider]
    days = [[str(row.day), *_cells(row)] for row in found.by_day]
    return (
        "\n".join(lines)
        + "\n"
        + table(titles, rows, colour=colour)
        + "\n"
        + table([_("day"), *_titles()], days, colour=colour)
    )


def _titles() -> list[str]:
    return [_("analyses"), _("failed"), _("from the cache"), _("tokens in"), _("tokens out"), _("cost")]


def _cells(row: Totals) -> list[str]:
    numbers = (row.analyses, row.errors, row.cached, row.input_tokens, row.output_tokens)
    return [*(f"{number:,}" for number in numbers), f"${row.cost_usd:.4f}"]
