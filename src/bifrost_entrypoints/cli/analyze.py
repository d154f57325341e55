"""`bifrost analyze`: logs in, one cited root cause out."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from gettext import gettext as _
from typing import Any

import click

from bifrost_domain import analysis as domain
from bifrost_domain.application import Application
from bifrost_domain.errors import LimitReached, StorageUnavailable
from bifrost_domain.history import Incident
from bifrost_domain.report import Analysis, Severity
from bifrost_entrypoints.cli.options import (
    PATHS,
    Common,
    asked_with,
    common,
    explained,
    filters,
    minimum,
    named_values,
    open_inputs,
    positive,
    request,
    window,
)
from bifrost_entrypoints.cli.output import (
    FORMATS,
    Talk,
    coloured,
    complain,
    format_analysis,
    json_text,
    lines,
    name_failed,
    write,
)
from bifrost_entrypoints.container import open_application
from bifrost_entrypoints.outcomes import ExitCode, outcome
from bifrost_entrypoints.plain import plain
from bifrost_entrypoints.settings import Settings, time_zone

HELP = explained(
    _(
        """Find out what broke, why, which lines prove it, and what to do next.

PATH is a file, a glob pattern, a folder, or - for standard input, which is read as well when something is piped in and
no path is named. Several paths make one report. Compressed files (.gz, .bz2, .xz, .zst) are read as they are."""
    ),
    """\
  kubectl logs deploy/checkout --previous | bifrost analyze
  bifrost analyze build.log app.log.gz /var/log/app/
  bifrost analyze app.log --since 2h --severity warning
  bifrost analyze app.log --provider ollama --model qwen3:8b
  bifrost analyze app.log --dry-run --provider ollama
  bifrost analyze ci.log --format json --fail-on error""",
    _(
        """\
  0 done                                    4 no readable input
  1 --fail-on was reached                   5 stopped by --timeout or --max-cost
  2 wrong usage or configuration            6 some inputs failed, the others were done
  3 failed, and --no-fallback was given     130 interrupted"""
    ),
)


@click.command(help=HELP)
@PATHS
@click.option("--provider", metavar="NAME", help=_("auto, heuristic, ollama, bedrock, or an entry of the settings."))
@click.option("--model", metavar="ID", help=_("The model of that provider."))
@click.option("--format", "kind", type=click.Choice(FORMATS), default="text", help=_("Form of the result on stdout."))
@click.option("--language", type=click.Choice(["en", "ko"]), help=_("Language of the report (default: the locale's)."))
@asked_with
@filters
@click.option("--budget", type=click.IntRange(256), metavar="TOKENS", help=_("Tokens of log that a model is shown."))
@click.option("--dry-run", is_flag=True, help=_("Show exactly what would be sent, its tokens and cost; send nothing."))
@click.option(
    "--fail-on",
    type=click.Choice([str(severity) for severity in Severity if severity is not Severity.OK] + ["never"]),
    default="never",
    help=_("Exit with 1 when the report is at least this severe."),
)
@click.option("--timeout", type=float, callback=positive, metavar="SECONDS", help=_("Stop after so long."))
@click.option("--max-cost", type=float, callback=positive, metavar="USD", help=_("Send nothing that may cost more."))
@click.option(
    "--pseudonyms/--no-pseudonyms",
    default=None,
    help=_("Name hosts, users and addresses by stand-ins; only text on a terminal shows them as they are."),
)
@click.option("--no-cache", is_flag=True, help=_("Ask the model anew, and keep nothing for later."))
@click.option("--no-fallback", is_flag=True, help=_("Fail when the provider or the storage fails."))
@click.option("--no-store", is_flag=True, help=_("Do not keep the analysis in the history."))
@common
def analyze(
    common: Common,
    dry_run: bool,
    language: str | None,
    pseudonyms: bool | None,
    time_zone: str | None,
    **given: Any,
) -> int:
    loaded = common.load(language=language, redaction__pseudonyms=pseudonyms, time_zone=time_zone)
    run = _show_plan if dry_run else _analyse
    return asyncio.run(run(common, loaded.settings, **given))


async def _analyse(
    common: Common,
    settings: Settings,
    *,
    paths: tuple[str, ...],
    kind: str,
    fail_on: str,
    no_store: bool,
    no_fallback: bool,
    **given: Any,
) -> int:
    async with open_inputs(paths) as inputs, open_application(settings) as bifrost:
        common.talk().skipped(inputs.skipped)
        wish = request(
            inputs,
            remember=settings.history.enabled and not no_store,
            fallback=not no_fallback,
            **await _wishes(bifrost, settings, **given),
        )
        code, analysis = await deliver(common, bifrost, bifrost.analyst.analyse(wish), kind, failed=inputs.failed)
    if code in (ExitCode.DONE, ExitCode.SOME_INPUTS_FAILED) and _reached(analysis, fail_on):
        return ExitCode.SEVERITY_REACHED
    return code


async def deliver(
    common: Common,
    bifrost: Application,
    running: AsyncGenerator[domain.Event, None],
    kind: str,
    *,
    failed: tuple[tuple[str, str], ...] = (),
) -> tuple[ExitCode, Analysis | None]:
    """Prints the report of an analysis when it stands, and tells of everything else on stderr.

    `failed` are the inputs that could not be opened, with the reason. Raises what the analysis raises before its
    report.
    """
    talk = common.talk()
    code = ExitCode.DONE
    analysis: Analysis | None = None
    try:
        async with aclosing(running) as events:
            async for event in events:
                if isinstance(event, domain.Finished):
                    talk.end()
                    analysis = event.analysis
                    names = bifrost.pseudonyms if sys.stdout.isatty() else None
                    shown = None if names is None else names.shown
                    colour = coloured(common.colour, sys.stdout)
                    write(format_analysis(analysis, kind, colour=colour, shown=shown), colour=True)
                    if unread := (*failed, *event.failed):
                        code = ExitCode.SOME_INPUTS_FAILED
                        name_failed(unread)
                else:
                    _tell(talk, event)
    except (LimitReached, StorageUnavailable) as error:
        if analysis is None:
            raise
        complain(error)
        code = outcome(error).exit
    finally:
        talk.end()
    return code, analysis


def _reached(analysis: Analysis | None, fail_on: str) -> bool:
    return analysis is not None and fail_on != "never" and analysis.report.severity >= fail_on


async def _wishes(
    bifrost: Application,
    settings: Settings,
    *,
    severity: str | None,
    since: str | None,
    until: str | None,
    **given: Any,
) -> dict[str, Any]:
    if given["model"] is not None and not _asks_a_model(settings, given["provider"]):
        raise click.UsageError(_("--model needs a provider that has it: name one with --provider."))
    zone = time_zone(settings)
    start, end = window(since, until, zone)
    return {
        "provider": given["provider"],
        "model": given["model"],
        "prompt": None if given["prompt"] is None else await bifrost.find_prompt(given["prompt"]),
        "variables": named_values(given["variables"]),
        "language": settings.report_language(os.environ),
        "minimum": minimum(severity),
        "since": start,
        "until": end,
        "zone": zone,
        "budget": given["budget"],
        "use_cache": not given["no_cache"],
        "timeout": given["timeout"],
        "max_cost": given["max_cost"],
    }


def _asks_a_model(settings: Settings, provider: str | None) -> bool:
    name = provider or settings.provider
    return bool(set(settings.order) - {domain.HEURISTIC}) if name == domain.AUTO else name != domain.HEURISTIC


def _tell(talk: Talk, event: domain.Event) -> None:
    match event:
        case domain.Reading(bytes_read=read, bytes_total=total):
            talk.reading(read, total)
        case domain.Reduced(digest=digest):
            coverage = digest.coverage
            talk.progress(
                _("{lines} read, {shown} chosen").format(lines=lines(coverage.lines_read), shown=coverage.lines_shown)
            )
        case domain.CacheHit():
            talk.progress(_("answered before, quotes looked up again"))
        case domain.ModelStarted(identity=identity, input_tokens=tokens):
            talk.progress(
                _("asking {provider} {model}, {tokens:,} tokens").format(
                    provider=identity.provider, model=identity.model, tokens=tokens
                )
            )
        case domain.Token(text=piece):
            talk.token(piece)
        case domain.Repairing(complaint=complaint):
            talk.notice(_("the answer was not valid ({complaint}); asking once more").format(complaint=complaint))
        case domain.FellBack(provider=provider, reason=reason):
            talk.notice(
                _("provider {provider}: {reason}. Answering without it. See `bifrost doctor`.").format(
                    provider=provider, reason=reason
                )
            )
        case domain.Remembered(incident=Incident(seen=seen) as incident) if seen > 1:
            talk.notice(
                _("seen {count} times, first on {first:%Y-%m-%d %H:%M}Z (incident {fingerprint})").format(
                    count=seen, first=incident.first_seen, fingerprint=incident.fingerprint
                )
            )
        case domain.NotRemembered(reason=reason):
            talk.notice(_("not kept in the history: {reason}").format(reason=reason))


async def _show_plan(
    common: Common,
    settings: Settings,
    *,
    paths: tuple[str, ...],
    kind: str,
    fail_on: str,
    no_store: bool,
    no_fallback: bool,
    **given: Any,
) -> int:
    """Prints the request that would be sent; text and JSON are the only forms."""
    if kind not in ("text", "json"):
        raise click.UsageError(_("--dry-run prints text or json"))
    talk = common.talk()
    async with open_inputs(paths) as inputs, open_application(settings) as bifrost:
        talk.skipped(inputs.skipped)
        plan = await bifrost.analyst.plan(request(inputs, **await _wishes(bifrost, settings, **given)))
    prompt = plan.prompt
    if plan.assumed is not None:
        talk.notice(
            _("{provider}: {reason}; a context of {tokens:,} tokens is assumed").format(
                provider=plan.identity.provider, reason=plan.assumed, tokens=domain.ASSUMED_CONTEXT
            )
        )
    data = plain(
        {
            "provider": plan.identity.provider,
            "model": plan.identity.model,
            "options": dict(plan.identity.options),
            "sends": prompt is not None,
            "request": None
            if prompt is None
            else {"system": prompt.system, "user": prompt.user, "max_output_tokens": prompt.max_output_tokens},
            "input_tokens": plan.input_tokens,
            "cost_usd": plan.cost_usd,
            "coverage": plan.digest.coverage,
            "redactions": plan.digest.redactions,
        }
    )
    if kind == "json":
        write(json_text(data))
    else:
        write(_plan_text(data))
    name_failed(failed := (*inputs.failed, *plan.failed))
    return ExitCode.SOME_INPUTS_FAILED if failed else ExitCode.DONE


def _plan_text(data: dict[str, Any]) -> str:
    masked = data["redactions"]
    if not data["sends"]:
        head = _(
            "The heuristic analyst works in this process: nothing would be sent. A provider is chosen by --provider."
        )
        return f"{head}\n"
    price = _("unknown or free") if data["cost_usd"] is None else f"${data['cost_usd']:.4f}"
    rows = [
        _(
            "To {provider}, model {model}: about {tokens:,} tokens, up to {answer:,} back; cost at most: {price}."
        ).format(
            provider=data["provider"],
            model=data["model"],
            tokens=data["input_tokens"],
            answer=data["request"]["max_output_tokens"],
            price=price,
        ),
        _("{shown} of {read} lines; {masked} secrets masked. Nothing was sent.").format(
            shown=data["coverage"]["lines_shown"], read=data["coverage"]["lines_read"], masked=masked["total"]
        ),
        "",
        "--- system",
        data["request"]["system"],
        "",
        "--- user",
        data["request"]["user"],
    ]
    return "\n".join(rows) + "\n"
