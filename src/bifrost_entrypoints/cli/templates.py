"""`bifrost templates`: one template id for each physical line."""

import asyncio
from gettext import gettext as _

import click

from bifrost_domain.logs.cleaning import Transcoder, clean_many
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.logs.templates import template_ids
from bifrost_entrypoints.cli.options import Common, common, explained, open_inputs
from bifrost_entrypoints.cli.output import write
from bifrost_entrypoints.container import installation_key

HELP = explained(
    _("""Print exactly one template id for each line of a log, in order; equal ids, same template."""),
    """\
  bifrost templates app.log
  paste <(bifrost templates app.log) app.log | sort -n | head""",
)


@click.command(help=HELP)
@click.argument("path", default="-", metavar="[PATH|-]")
@common
def templates(common: Common, path: str) -> None:
    texts = asyncio.run(_texts(path))
    redactor = Redactor(installation_key(common.load().settings))
    ids = template_ids([redacted.text for redacted in redactor.lines(texts)])
    write("".join(f"{id}\n" for id in ids))


async def _texts(path: str) -> list[str]:
    transcoder = Transcoder()
    pieces: list[bytes] = []
    async with open_inputs((path,)) as inputs:
        for log in inputs.logs:
            pieces += [transcoder.feed(chunk) async for chunk in log.chunks()]
    pieces.append(transcoder.finish())
    rows = b"".join(pieces).split(b"\n")
    if not rows[-1]:
        rows.pop()
    return list(clean_many(rows).texts)
