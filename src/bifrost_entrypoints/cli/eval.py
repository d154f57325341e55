"""`bifrost eval`: how well an engine does on cases whose truth is known, without a judge."""

import asyncio
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from bifrost_domain.analysis import AUTO, HEURISTIC, HEURISTIC_MODEL, Finished, Request
from bifrost_domain.application import Application
from bifrost_domain.errors import (
    BadOption,
    BifrostError,
    ConfigurationError,
    InvalidInput,
    LimitReached,
    NoReadableInput,
)
from bifrost_domain.evaluation import (
    METRICS,
    Floor,
    Label,
    Mean,
    Row,
    Summary,
    read_floor,
    read_label,
    row,
    summarize,
)
from bifrost_domain.logs.cleaning import clean
from bifrost_domain.ports import LogSource
from bifrost_domain.prompt import ROOT_CAUSE, PromptVersion
from bifrost_domain.report import Analysis, Language
from bifrost_entrypoints.cli.options import Common, common, explained, positive, printable
from bifrost_entrypoints.cli.output import Talk, coloured, escaped, json_text, one_line, table, write
from bifrost_entrypoints.container import open_application
from bifrost_entrypoints.outcomes import ExitCode
from bifrost_entrypoints.plain import plain
from bifrost_entrypoints.settings import Settings

HELP = explained(
    _(
        """Score engines and prompts on labelled cases, by comparing strings and lines; no other model judges.

CASES is a folder of cases, or one case: a folder with a log and its truth in truth.json. Nothing is kept in the
history, and the cache is not used."""
    ),
    """\
  bifrost eval examples
  bifrost eval examples --provider heuristic --provider ollama --model qwen3:8b
  bifrost eval examples --provider ollama --prompt root-cause@1 --format markdown
  bifrost eval examples --fail-under category=0.9 --format json""",
    _(
        """\
  0 done                                    4 no case to read
  1 a score is under --fail-under           6 some cases failed, the others were scored
  2 wrong usage, or a wrong truth.json      130 interrupted"""
    ),
)

LABEL = "truth.json"


class Case(Struct, frozen=True, kw_only=True):
    """A labelled log: `name` is its folder's, `log` the path of the log."""

    name: str
    log: Path
    label: Label


class EngineChoice(Struct, frozen=True, kw_only=True):
    """One engine to score, as the columns of the tables name it."""

    provider: str
    model: str | None
    name: str
    prompt: PromptVersion | None


@click.command(help=HELP)
@click.argument("cases", metavar="CASES", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--provider",
    "providers",
    multiple=True,
    metavar="NAME",
    help=_("heuristic, ollama, bedrock, or an entry of the settings; repeat it to compare (default: heuristic)."),
)
@click.option(
    "--model", "models", multiple=True, metavar="ID", help=_("The model of that provider; repeat it to compare.")
)
@click.option("--prompt", metavar="NAME@VERSION", help=_("The wording to ask with (default: the built-in one)."))
@click.option("--format", "kind", type=click.Choice(["text", "json", "markdown"]), default="text", help=_("Form."))
@click.option("--limit", type=click.IntRange(1), metavar="N", help=_("Only the first N cases, by name."))
@click.option(
    "--timeout", "patience", type=float, callback=positive, metavar="SECONDS", help=_("The most time for one case.")
)
@click.option(
    "--fail-under",
    "floors",
    multiple=True,
    metavar="METRIC=VALUE",
    help=_("Exit with 1 when the mean of METRIC is lower, as category=0.9; repeat it for more."),
)
@common
def eval(common: Common, **given: Any) -> int:
    return asyncio.run(_eval(common, common.load().settings, **given))


async def _eval(
    common: Common,
    settings: Settings,
    *,
    cases: Path,
    providers: tuple[str, ...],
    models: tuple[str, ...],
    prompt: str | None,
    kind: str,
    limit: int | None,
    patience: float | None,
    floors: tuple[str, ...],
) -> int:
    wanted = [read_floor(text) for text in floors]
    found = find_cases(cases)[:limit]
    talk = common.talk()
    summaries, rows = [], []
    async with open_application(settings) as bifrost:
        version = None if prompt is None else await bifrost.find_prompt(prompt)
        engines = await _engines(bifrost, providers, models, version)
        try:
            for engine in engines:
                scored = []
                for number, case in enumerate(found, 1):
                    talk.progress(
                        _("{engine}: case {number} of {count}, {name}").format(
                            engine=engine.name, number=number, count=len(found), name=case.name
                        )
                    )
                    scored.append(await _score(bifrost, engine, case, patience))
                rows += scored
                reference = None if engine.prompt is None else f"{engine.prompt.name}@{engine.prompt.version}"
                summaries.append(summarize(engine.name, reference, scored))
        finally:
            talk.end()
    _print(cases, summaries, rows, kind, colour=coloured(common.colour, sys.stdout))
    for failed in rows:
        if failed.error is not None:
            words = _("Error: {message}").format(message=one_line(f"{failed.case}: {failed.error}"))
            click.echo(words, err=True)
    return _judge(talk, summaries, wanted)


def find_cases(folder: Path) -> list[Case]:
    """The cases in `folder`, by name, or the one that it is. Raises NoReadableInput for none, BadOption for a label."""
    alone = (folder / LABEL).is_file()
    labels = [folder / LABEL] if alone else sorted(folder.glob(f"*/{LABEL}"))
    if not labels:
        raise NoReadableInput(
            f"there is no case in {printable(str(folder))}", hint=f"a case is a folder with a log and {LABEL}"
        )
    return [_case(path) for path in labels]


def _case(path: Path) -> Case:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadOption(f"{printable(str(path))}: {error.strerror}") from error
    label = read_label(data, printable(str(path)))
    return Case(name=printable(path.parent.resolve().name), log=path.parent / label.log, label=label)


async def _engines(
    bifrost: Application,
    providers: Sequence[str],
    models: Sequence[str],
    version: PromptVersion | None,
) -> list[EngineChoice]:
    """What to score. Every entry is opened once, so that an unknown one is told before the first case."""
    names = list(dict.fromkeys(providers or (HEURISTIC,)))
    asking = [name for name in names if name != HEURISTIC]
    if models and len(asking) != 1:
        raise click.UsageError(_("--model needs exactly one provider that has it: name it with --provider."))
    if AUTO in asking:
        raise click.UsageError(_("eval scores one engine at a time: name it with --provider instead of auto."))
    engines = []
    for name in names:
        if name == HEURISTIC:
            engines.append(EngineChoice(provider=name, model=None, name=f"{name} {HEURISTIC_MODEL}", prompt=None))
            continue
        for model in dict.fromkeys(models) or (None,):
            identity = (await bifrost.open_model(name, model)).identity
            engines.append(
                EngineChoice(provider=name, model=model, name=f"{name} {identity.model}", prompt=version or ROOT_CAUSE)
            )
    return engines


async def _score(bifrost: Application, engine: EngineChoice, case: Case, patience: float | None) -> Row:
    """One engine on one case; what fails, but for the settings, becomes a row with its reason."""
    from bifrost_adapters.slots import open_slot

    began = time.monotonic()
    try:
        async with open_slot("sources", "file", {"target": str(case.log)}) as found:
            texts = await _texts(found.sources, case.label.numbered)
            began = time.monotonic()
            analysis = await _analyse(
                bifrost,
                Request(
                    name=case.name,
                    kind="file",
                    logs=found.sources,
                    provider=engine.provider,
                    model=engine.model,
                    prompt=engine.prompt,
                    language=Language.EN,
                    use_cache=False,
                    remember=False,
                    timeout=patience,
                ),
            )
    except ConfigurationError:
        raise
    except BifrostError as error:
        return Row(case=case.name, engine=engine.name, error=error.message, seconds=round(time.monotonic() - began, 3))
    return row(case.name, engine.name, analysis, case.label, texts, time.monotonic() - began)


async def _analyse(bifrost: Application, request: Request) -> Analysis:
    """The analysis, also where --timeout ended it: then it is the heuristic's and says so."""
    analysis: Analysis | None = None
    try:
        async with aclosing(bifrost.analyst.analyse(request)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    if event.failed:
                        raise NoReadableInput("; ".join(reason for __, reason in event.failed))
                    analysis = event.analysis
    except LimitReached:
        if analysis is None:
            raise
    assert analysis is not None
    return analysis


async def _texts(logs: Iterable[LogSource], wanted: frozenset[int]) -> dict[int, str]:
    """The clean text of the lines with the numbers `wanted`, of the one log that a case has."""
    texts: dict[int, str] = {}
    if not wanted:
        return texts
    log, *others = logs
    if others:
        raise InvalidInput("lines are labelled, but the case has several logs")
    number, row = 1, bytearray()
    async with aclosing(log.chunks()) as chunks:
        async for chunk in chunks:
            first, *rest = chunk.split(b"\n")
            if number in wanted:
                row += first
            for piece in rest:
                if number in wanted:
                    texts[number] = clean(bytes(row))
                number += 1
                row = bytearray(piece if number in wanted else b"")
            if number > max(wanted):
                break
    if number in wanted and row:
        texts[number] = clean(bytes(row))
    if missing := sorted(wanted - set(texts)):
        raise InvalidInput(f"line {missing[0]} is labelled, but the log ends before it")
    return texts


def _judge(talk: Talk, summaries: Sequence[Summary], floors: Sequence[Floor]) -> int:
    under = [(summary, floor) for summary in summaries for floor in floors if not floor.held_by(summary)]
    for summary, floor in under:
        talk.notice(
            _("{engine}: {metric} is {score}, under {floor:g}").format(
                engine=summary.engine,
                metric=floor.metric,
                score=_number(summary.scores[floor.metric]),
                floor=floor.value,
            )
        )
    if under:
        return ExitCode.SEVERITY_REACHED
    return ExitCode.SOME_INPUTS_FAILED if any(summary.failed for summary in summaries) else ExitCode.DONE


def _print(cases: Path, summaries: Sequence[Summary], rows: Sequence[Row], kind: str, *, colour: bool) -> None:
    if kind == "json":
        write(json_text(plain({"cases": printable(str(cases)), "engines": summaries, "rows": rows})))
        return
    parts = [(_overview_titles(summaries), _overview(summaries)), (_row_titles(), [_row(one) for one in rows])]
    if kind == "markdown":
        write("\n".join(_markdown(titles, body) for titles, body in parts))
    else:
        write("\n".join(table(titles, body, colour=colour) for titles, body in parts), colour=True)


def _overview_titles(summaries: Sequence[Summary]) -> list[str]:
    return ["", *(summary.engine for summary in summaries)]


def _overview(summaries: Sequence[Summary]) -> list[list[str]]:
    """One column for each engine: what became of the cases, the means with how many they are of, and what it took."""

    def line(title: str, values: Iterable[object]) -> list[str]:
        return [title, *(str(value) for value in values)]

    body = [
        line(_("prompt"), (one.prompt or "-" for one in summaries)),
        line(_("cases"), (one.cases for one in summaries)),
        line(_("answered"), (one.answered for one in summaries)),
        line(_("degraded to the heuristic"), (one.degraded for one in summaries)),
        line(_("failed"), (one.failed for one in summaries)),
    ]
    body += [line(name, (_number(one.scores[name]) for one in summaries)) for name in METRICS]
    if any(one.degraded for one in summaries):
        body += [
            line(
                _("{metric}, degraded ones too").format(metric=name),
                (_number(one.delivered[name]) for one in summaries),
            )
            for name in ("category", "evidence_recall")
        ]
    return [
        *body,
        line(_("tokens in"), (f"{one.input_tokens:,}" for one in summaries)),
        line(_("tokens out"), (f"{one.output_tokens:,}" for one in summaries)),
        line(_("cost"), (_dollars(one.cost_usd) for one in summaries)),
        line(_("seconds"), (f"{one.seconds:,.1f}" for one in summaries)),
    ]


def _row_titles() -> list[str]:
    return [
        *(_("case"), _("engine"), _("category"), _("right"), _("confidence"), _("evidence"), _("terms")),
        *(_("quotes"), _("own"), _("tokens"), _("seconds"), _("note")),
    ]


def _row(one: Row) -> list[str]:
    if one.error is not None:
        return [one.case, one.engine, *["-"] * 8, f"{one.seconds:.1f}", _("failed: {reason}").format(reason=one.error)]
    scores = one.scores
    return [
        one.case,
        one.engine,
        str(one.category),
        "-" if scores.category is None else _("yes") if scores.category else _("no"),
        f"{one.confidence:.2f}",
        *(_share(value) for value in (scores.evidence_recall, scores.terms, scores.grounding)),
        _("yes") if scores.own_diagnosis else _("no"),
        f"{one.input_tokens + one.output_tokens:,}",
        f"{one.seconds:.1f}",
        "" if one.degraded is None else _("degraded: {reason}").format(reason=one.degraded),
    ]


def _markdown(titles: list[str], body: list[list[str]]) -> str:
    rows = [titles, ["---"] * len(titles), *([escaped(item) for item in row] for row in body)]
    rows[0] = [escaped(item) for item in titles]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _number(mean: Mean) -> str:
    return "-" if mean.mean is None else f"{mean.mean:.2f} ({mean.n})"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _dollars(cost: float | None) -> str:
    return "-" if cost is None else f"${cost:.4f}"
