"""`bifrost demo`: a bundled incident, offline, the first thing a newcomer runs."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from gettext import gettext as _
from importlib.resources import as_file, files

import click

from bifrost_domain.analysis import HEURISTIC, Finished, Request
from bifrost_domain.ports import LogSource
from bifrost_entrypoints.cli.options import Common, common, explained
from bifrost_entrypoints.cli.output import FORMATS, coloured, format_analysis, write
from bifrost_entrypoints.container import open_application

HELP = explained(
    _("Analyse a bundled incident of a web service and its database: offline, and nothing is stored."),
    """\
  bifrost demo
  bifrost demo --language ko
  bifrost demo --format json""",
)


class Bundled:
    """The bundled log under a name that people can read, wherever it is installed."""

    name = "incident.log"

    def __init__(self, log: LogSource) -> None:
        self._log = log
        self.size = log.size

    def chunks(self) -> AsyncGenerator[bytes, None]:
        return self._log.chunks()


@click.command(help=HELP)
@click.option("--format", "kind", type=click.Choice(FORMATS), default="text", help=_("Form of the result on stdout."))
@click.option("--language", type=click.Choice(["en", "ko"]), help=_("Language of the report (default: the locale's)."))
@common
def demo(common: Common, kind: str, language: str | None) -> None:
    asyncio.run(_demo(common, kind, language))


async def _demo(common: Common, kind: str, language: str | None) -> None:
    from bifrost_adapters.slots import open_slot

    settings = common.load(language=language).settings
    with as_file(files("bifrost_entrypoints") / "demo" / "incident.log") as path:
        async with open_slot("sources", "file", {"target": str(path)}) as found, open_application(settings) as bifrost:
            request = Request(
                name="incident.log",
                kind="file",
                logs=(Bundled(found.sources[0]),),
                provider=HEURISTIC,
                language=settings.report_language(os.environ),
                remember=False,
            )
            async with aclosing(bifrost.analyst.analyse(request)) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        text = format_analysis(event.analysis, kind, colour=coloured(common.colour, sys.stdout))
                        write(text, colour=True)
    common.talk().notice(_("That was offline. Now yours: bifrost analyze FILE, or a pipe into bifrost analyze"))
