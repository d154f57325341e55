"""`bifrost digest`: the evidence alone, to read or to pipe into another tool."""

import asyncio
from collections.abc import Iterable
from gettext import gettext as _
from typing import Any

import click

from bifrost_domain.logs.digest import Digest, Template
from bifrost_domain.logs.digester import Budget, render
from bifrost_entrypoints.cli.options import (
    PATHS,
    Common,
    common,
    explained,
    filters,
    minimum,
    open_inputs,
    request,
    window,
)
from bifrost_entrypoints.cli.output import json_text, name_failed, table, write
from bifrost_entrypoints.container import open_application
from bifrost_entrypoints.outcomes import ExitCode
from bifrost_entrypoints.plain import plain
from bifrost_entrypoints.settings import Settings, time_zone

HELP = explained(
    _(
        """Reduce logs of any size to the lines that matter, with their numbers, cleaned and with secrets masked.

--budget is in tokens by Bifrost's own estimate (logs run near 2.6 characters a token), --max-chars bounds all of what
is printed; the smaller of both wins."""
    ),
    """\
  bifrost digest app.log
  bifrost digest build.log --budget 2000 | llm 'what broke?'
  kubectl logs deploy/checkout | bifrost digest --format json --templates""",
)


@click.command(help=HELP)
@PATHS
@click.option(
    "--budget",
    type=click.IntRange(1),
    metavar="TOKENS",
    help=_("The most tokens to print (default: 4000, without --max-chars)."),
)
@click.option("--max-chars", type=click.IntRange(1), metavar="N", help=_("The most characters to print."))
@click.option("--format", "kind", type=click.Choice(["text", "json"]), default="text", help=_("Form of the result."))
@click.option(
    "--templates", is_flag=True, help=_("List the templates of the whole log; as text, in place of the lines.")
)
@click.option(
    "--pseudonyms/--no-pseudonyms",
    default=None,
    help=_("Name hosts, users and addresses by stand-ins in what is printed."),
)
@filters
@common
def digest(common: Common, pseudonyms: bool | None, time_zone: str | None, **given: Any) -> int:
    loaded = common.load(redaction__pseudonyms=pseudonyms, time_zone=time_zone)
    return asyncio.run(_digest(common, loaded.settings, **given))


async def _digest(
    common: Common,
    settings: Settings,
    *,
    paths: tuple[str, ...],
    budget: int | None,
    max_chars: int | None,
    kind: str,
    templates: bool,
    severity: str | None,
    since: str | None,
    until: str | None,
) -> int:
    talk = common.talk()
    tokens = budget or (settings.digest.budget if max_chars is None else None)
    bound = Budget(tokens=tokens, characters=max_chars)
    zone = time_zone(settings)
    start, end = window(since, until, zone)
    async with open_inputs(paths) as inputs, open_application(settings) as bifrost:
        wish = request(inputs, minimum=minimum(severity), since=start, until=end, zone=zone)
        found, failed = await bifrost.analyst.digest(
            wish,
            bound,
            templates=templates,
            named=kind == "json",
            told=lambda step: talk.reading(step.bytes_read, step.bytes_total),
        )
        talk.end()
    talk.skipped(inputs.skipped)
    if kind == "json":
        write(json_text(_data(found, templates)))
    else:
        write(_listed(found.templates, max_chars) if templates else render(found, max_chars))
    name_failed((*inputs.failed, *failed))
    return ExitCode.SOME_INPUTS_FAILED if inputs.failed or failed else ExitCode.DONE


def _listed(templates: Iterable[Template], max_chars: int | None) -> str:
    """The commonest templates first, as many whole rows as fit."""
    rows = [
        [f"{template.count:,}", template.severity, f"{template.first_line}-{template.last_line}", template.template]
        for template in sorted(templates, key=lambda template: (-template.count, template.first_line))
    ]
    text = table([_("COUNT"), _("SEVERITY"), _("LINES"), _("TEMPLATE")], rows)
    if max_chars is None or len(text) <= max_chars:
        return text
    return text[: text.rfind("\n", 0, max_chars) + 1]


def _data(digest: Digest, templates: bool) -> Any:
    data = {
        "source": digest.source,
        "coverage": digest.coverage,
        "redactions": digest.redactions,
        "fingerprint": digest.fingerprint,
        "lines": [
            {"file": line.file, "line": line.number, "text": line.text, "severity": line.level, "count": line.count}
            for line in digest.lines
        ],
    }
    return plain(data | {"templates": digest.templates} if templates else data)
