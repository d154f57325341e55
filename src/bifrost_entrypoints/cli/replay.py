"""`bifrost replay`: a stored analysis once more, with another wording, model or provider."""

import asyncio
import os
from gettext import gettext as _
from typing import Any

import click

from bifrost_domain.analysis import Request
from bifrost_domain.report import Analysis
from bifrost_entrypoints.cli.analyze import deliver
from bifrost_entrypoints.cli.history import resolved
from bifrost_entrypoints.cli.options import Common, asked_with, common, explained, named_values, positive
from bifrost_entrypoints.cli.output import FORMATS
from bifrost_entrypoints.container import open_application
from bifrost_entrypoints.outcomes import ExitCode
from bifrost_entrypoints.settings import Settings

HELP = explained(
    _(
        """Make a stored analysis again from the digest that was kept with it.

Without --prompt, the very wording that asked before asks again. The new report is printed and kept beside the old one;
what changed is told on stderr."""
    ),
    """\
  bifrost replay last --provider heuristic
  bifrost replay ANALYSIS --prompt root-cause@5
  bifrost replay ANALYSIS --provider bedrock --prompt root-cause@staging""",
)


@click.command(help=HELP)
@click.argument("id", metavar="ANALYSIS|last")
@click.option("--provider", metavar="NAME", help=_("auto, heuristic, ollama, bedrock, or an entry of the settings."))
@click.option("--model", metavar="ID", help=_("The model of that provider."))
@asked_with
@click.option("--format", "kind", type=click.Choice(FORMATS), default="text", help=_("Form of the result on stdout."))
@click.option("--language", type=click.Choice(["en", "ko"]), help=_("Language of the report (default: the locale's)."))
@click.option("--timeout", type=float, callback=positive, metavar="SECONDS", help=_("Stop after so long."))
@click.option("--max-cost", type=float, callback=positive, metavar="USD", help=_("Send nothing that may cost more."))
@click.option("--no-cache", is_flag=True, help=_("Ask the model anew, and keep nothing for later."))
@click.option("--no-fallback", is_flag=True, help=_("Fail when the provider or the storage fails."))
@click.option("--no-store", is_flag=True, help=_("Do not keep the analysis in the history."))
@common
def replay(common: Common, language: str | None, **given: Any) -> int:
    return asyncio.run(_replay(common, common.load(language=language).settings, **given))


async def _replay(
    common: Common,
    settings: Settings,
    *,
    id: str,
    kind: str,
    prompt: str | None,
    variables: tuple[str, ...],
    no_cache: bool,
    no_fallback: bool,
    no_store: bool,
    **given: Any,
) -> int:
    async with open_application(settings) as bifrost:
        analyses = (await bifrost.open_storage()).analyses
        id = await resolved(analyses, id)
        before = await analyses.get(id)
        wish = Request(
            name=before.source.name,
            kind=before.source.kind,
            logs=(),
            prompt=None if prompt is None else await bifrost.find_prompt(prompt),
            variables=named_values(variables),
            language=settings.report_language(os.environ),
            use_cache=not no_cache,
            fallback=not no_fallback,
            remember=settings.history.enabled and not no_store,
            **given,
        )
        code, after = await deliver(common, bifrost, bifrost.analyst.replay(id, wish), kind)
    if after is not None:
        for line in differences(before, after):
            common.talk().notice(line)
    return ExitCode(code)


def differences(before: Analysis, after: Analysis) -> list[str]:
    """What the second report says otherwise than the first, one line each."""
    rows = [
        (_("engine"), _engine(before), _engine(after)),
        (_("severity"), str(before.report.severity), str(after.report.severity)),
        (_("category"), str(before.report.category), str(after.report.category)),
        (_("confidence"), f"{before.report.confidence:.0%}", f"{after.report.confidence:.0%}"),
        (_("quotes"), _quotes(before), _quotes(after)),
        (_("summary"), before.report.summary, after.report.summary),
    ]
    told = [f"{name}: {old} -> {new}" for name, old, new in rows if old != new]
    return told or [_("the report says the same as before")]


def _engine(analysis: Analysis) -> str:
    engine = analysis.engine
    asked = "" if engine.prompt is None else f" {engine.prompt.name}@{engine.prompt.version}"
    return f"{engine.provider} {engine.model}{asked}"


def _quotes(analysis: Analysis) -> str:
    return f"{analysis.grounding.verified}/{analysis.grounding.claims}"
