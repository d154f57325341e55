"""`bifrost templates`: one template id for each physical line."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from gettext import gettext as _

import click

from bifrost_domain.logs.cleaning import clean_many
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.logs.stream import LineStream
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
    redactor = Redactor(installation_key(common.load().settings))
    write("".join(f"{id}\n" for id in template_ids(_texts(path, redactor))))


def _texts(path: str, redactor: Redactor) -> Iterator[str]:
    """The clean lines, a block at a time."""
    stream = LineStream()
    with asyncio.Runner() as runner:
        for chunk in _chunks(path, runner):
            for block in stream.feed(chunk):
                yield from _cleaned(block, redactor)
        yield from _cleaned(stream.end(), redactor)


def _cleaned(block: bytes, redactor: Redactor) -> Iterator[str]:
    rows = block.split(b"\n")
    if not rows[-1]:
        rows.pop()
    return (line.text for line in redactor.lines(clean_many(rows).texts))


def _chunks(path: str, runner: asyncio.Runner) -> Iterator[bytes]:
    stack = AsyncExitStack()
    inputs = runner.run(stack.enter_async_context(open_inputs((path,))))
    try:
        for log in inputs.logs:
            chunks = log.chunks()

            async def following(chunks: AsyncGenerator[bytes, None] = chunks) -> bytes | None:
                return await anext(chunks, None)

            while (chunk := runner.run(following())) is not None:
                yield chunk
    finally:
        runner.run(stack.aclose())
