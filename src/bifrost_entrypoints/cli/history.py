"""`bifrost history`: past analyses."""

import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from gettext import gettext as _
from gettext import ngettext
from typing import Any, TypeVar

import click

from bifrost_domain.application import Application
from bifrost_domain.errors import AnalysisNotFound, BadOption
from bifrost_domain.history import AnalysisSummary, HistoryQuery, IncidentPage, Page
from bifrost_domain.ports import AnalysisRepository
from bifrost_domain.report import Analysis, Category, Severity
from bifrost_entrypoints.cli.options import Common, actor, common, explained, printable, window
from bifrost_entrypoints.cli.output import FORMATS, coloured, format_analysis, json_text, table, write
from bifrost_entrypoints.cli.running import with_bifrost
from bifrost_entrypoints.outcomes import ExitCode
from bifrost_entrypoints.plain import EVIDENCE_COLUMNS, evidence_rows, plain, table_csv

HELP = explained(
    _("""Past analyses: list, show, search, export, delete."""),
    """\
  bifrost history list --severity error --since 7d
  bifrost history show last
  bifrost history search 'pool exhausted'
  bifrost history incidents
  bifrost history export --format csv > analyses.csv
  bifrost history delete ID
  bifrost history delete --older-than 90d""",
)

Result = TypeVar("Result")

SUMMARY_COLUMNS = (
    *("id", "created_at", "severity", "category", "source", "provider", "model"),
    *("confidence", "cached", "degraded", "fingerprint", "summary"),
)
INCIDENT_COLUMNS = (
    *("fingerprint", "seen", "first_seen", "last_seen", "last_id"),
    *("severity", "category", "source", "summary"),
)


@click.group(help=HELP)
def history() -> None:
    pass


def _selected(command: Any) -> Any:
    for option in (
        click.option("--until", metavar="TIME", help=_("Made before TIME.")),
        click.option("--since", metavar="TIME", help=_("Made at TIME or after; 2h, 7d count back from now.")),
        click.option("--fingerprint", metavar="ID", help=_("Of this incident.")),
        click.option("--cached/--not-cached", default=None, help=_("Answered from the cache, or anew.")),
        click.option("--source", metavar="NAME", help=_("Of this source, as it was typed.")),
        click.option("--provider", metavar="NAME", help=_("Written by this provider.")),
        click.option("--category", type=click.Choice([str(item) for item in Category]), help=_("Of this category.")),
        click.option("--severity", type=click.Choice([str(item) for item in Severity]), help=_("Of this severity.")),
    ):
        command = option(command)
    return command


def _query(
    *,
    severity: str | None = None,
    category: str | None = None,
    source: str | None = None,
    since: str | None = None,
    until: str | None = None,
    **more: Any,
) -> HistoryQuery:
    start, end = window(since, until)
    return HistoryQuery(
        source=None if source is None else printable(source),
        severity=None if severity is None else Severity(severity),
        category=None if category is None else Category(category),
        since=start,
        until=end,
        **more,
    )


def with_analyses(common: Common, work: Callable[[AnalysisRepository], Awaitable[Result]]) -> Result:
    async def run(bifrost: Application) -> Result:
        return await work((await bifrost.open_storage()).analyses)

    return with_bifrost(common, run)


FORMAT = click.option(
    "--format", "kind", type=click.Choice(["text", "json", "jsonl", "csv"]), default="text", help=_("Form of the list.")
)
LIMIT = click.option("--limit", type=click.IntRange(1, 1000), default=20, help=_("The most rows (default: 20)."))
CURSOR = click.option("--cursor", metavar="CURSOR", help=_("Go on after the page that gave this cursor."))


@history.command(name="list", help=_("The newest analyses, newest first."))
@_selected
@LIMIT
@CURSOR
@FORMAT
@common
def list_(common: Common, kind: str, **given: Any) -> None:
    _print_page(common, kind, _query(**given))


@history.command(help=_("Analyses in which all words of TEXT occur, newest first."))
@click.argument("text")
@_selected
@LIMIT
@CURSOR
@FORMAT
@common
def search(common: Common, kind: str, **given: Any) -> None:
    _print_page(common, kind, _query(**given))


def _print_page(common: Common, kind: str, query: HistoryQuery) -> None:
    page = with_analyses(common, lambda analyses: analyses.search(query))
    titles = [_("id"), _("time"), _("severity"), _("category"), _("engine"), _("source"), _("summary")]
    _print_rows(common, kind, page, SUMMARY_COLUMNS, titles, [_row(item) for item in page.items])


def _print_rows(
    common: Common,
    kind: str,
    page: Page | IncidentPage,
    columns: tuple[str, ...],
    titles: list[str],
    cells: list[list[str]],
) -> None:
    """A page: whole as data, or as a table of `cells` under `titles`."""
    rows: list[dict[str, Any]] = plain(page.items)
    if kind == "json":
        write(json_text({"items": rows, "next_cursor": page.next_cursor}))
    elif kind == "jsonl":
        write("".join(json_text(row, indent=False) for row in rows))
    elif kind == "csv":
        write(table_csv(columns, rows))
    else:
        write(table(titles, cells, colour=coloured(common.colour, sys.stdout)), colour=True)
    if page.next_cursor and kind != "json":
        common.talk().notice(_("more: --cursor {cursor}").format(cursor=page.next_cursor))


def _row(item: AnalysisSummary) -> list[str]:
    made = item.created_at.strftime("%Y-%m-%d %H:%M:%SZ")
    return [item.id, made, item.severity, item.category, item.provider, item.source, item.summary]


@history.command(help=_("What broke, how often, when first and last: analyses by their fingerprint, last seen first."))
@LIMIT
@CURSOR
@FORMAT
@common
def incidents(common: Common, kind: str, limit: int, cursor: str | None) -> None:
    page = with_analyses(common, lambda analyses: analyses.incidents(limit=limit, cursor=cursor))
    titles = [_("seen"), _("first"), _("last"), _("severity"), _("incident"), _("summary")]
    cells = [
        [
            str(item.seen),
            _minute(item.first_seen),
            _minute(item.last_seen),
            item.severity,
            item.fingerprint,
            item.summary,
        ]
        for item in page.items
    ]
    _print_rows(common, kind, page, INCIDENT_COLUMNS, titles, cells)


def _minute(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%MZ")


@history.command(help=_("One analysis, whole. `last` is the newest."))
@click.argument("id")
@click.option("--format", "kind", type=click.Choice(FORMATS), default="text", help=_("Form of the report."))
@common
def show(common: Common, id: str, kind: str) -> None:
    async def find(analyses: AnalysisRepository) -> Analysis:
        return await analyses.get(await resolved(analyses, id))

    analysis = with_analyses(common, find)
    write(format_analysis(analysis, kind, colour=coloured(common.colour, sys.stdout)), colour=True)


async def resolved(analyses: AnalysisRepository, id: str) -> str:
    """The id of an analysis as the user names it: `last` is the newest. Raises AnalysisNotFound for none."""
    if id != "last":
        return printable(id)
    page = await analyses.search(HistoryQuery(limit=1))
    if not page.items:
        raise AnalysisNotFound("the history is empty", hint="run `bifrost analyze` first")
    return page.items[0].id


@history.command(
    help=_("All analyses that match, newest first: whole as jsonl or json, one row per evidence item as csv.")
)
@click.option("--text", metavar="TEXT", help=_("In which all these words occur."))
@_selected
@click.option(
    "--format", "kind", type=click.Choice(["jsonl", "json", "csv"]), default="jsonl", help=_("Form of the export.")
)
@common
def export(common: Common, kind: str, **given: Any) -> None:
    async def run(bifrost: Application) -> None:
        first = True
        if kind == "csv":
            write(table_csv(EVIDENCE_COLUMNS, ()))
        async for analysis in bifrost.archive.export(_query(**given), actor=actor()):
            data = plain(analysis)
            if kind == "csv":
                write(table_csv(EVIDENCE_COLUMNS, evidence_rows(data), header=False))
            elif kind == "jsonl":
                write(json_text(data, indent=False))
            else:
                write(("[\n" if first else ",\n") + json_text(data, indent=False).rstrip("\n"))
            first = False
        if kind == "json":
            write("[]\n" if first else "\n]\n")

    with_bifrost(common, run)


@history.command(help=_("Erase analyses for good: those named, or with --older-than all that old."))
@click.argument("ids", nargs=-1, metavar="[ID...]")
@click.option("--older-than", metavar="AGE", help=_("All that are older: 12h, 30d."))
@common
def delete(common: Common, ids: tuple[str, ...], older_than: str | None) -> int:
    if bool(ids) == (older_than is not None):
        raise click.UsageError(_("Name analyses, or an age with --older-than."))
    missing: list[str] = []
    end = None if older_than is None else datetime_before(older_than)

    async def run(bifrost: Application) -> int:
        if end is not None:
            return await bifrost.archive.erase_before(end, actor=actor())
        gone = 0
        for id in ids:
            try:
                found = await resolved((await bifrost.open_storage()).analyses, id)
                await bifrost.archive.erase(found, actor=actor())
                gone += 1
            except AnalysisNotFound as error:
                missing.append(error.message)
        return gone

    gone = with_bifrost(common, run)
    common.talk().notice(ngettext("{count} analysis erased", "{count} analyses erased", gone).format(count=gone))
    for message in missing:
        click.echo(_("Error: {message}").format(message=message), err=True)
    return ExitCode.USAGE if missing else ExitCode.DONE


def datetime_before(text: str) -> datetime:
    """The moment so long ago. Raises BadOption."""
    try:
        return datetime.now(UTC) - age(text)
    except OverflowError as error:
        raise BadOption(f"{text!r} ago is before the first date there is", hint="write 12h, 30d or 4w") from error


def age(text: str) -> timedelta:
    """`90s`, `15m`, `12h`, `30d`, `4w`. Raises BadOption."""
    match = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    if match is None:
        raise BadOption(f"{text!r} is not an age", hint="write 12h, 30d or 4w")
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    return timedelta(**{units[match[2]]: int(match[1])})
