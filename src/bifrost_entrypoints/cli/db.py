"""`bifrost db`: the tables of the configured database."""

import asyncio
from collections.abc import Awaitable, Callable
from gettext import gettext as _
from typing import TypeVar

import click

from bifrost_domain.logs.cleaning import safe
from bifrost_domain.ports import Schema, SchemaStatus
from bifrost_entrypoints.cli.options import Common, common, explained
from bifrost_entrypoints.cli.output import json_text, write
from bifrost_entrypoints.container import administer_storage
from bifrost_entrypoints.outcomes import ExitCode
from bifrost_entrypoints.plain import plain

HELP = explained(
    _(
        """The tables of the configured database.

SQLite brings itself up to date when it is opened. PostgreSQL never does, as another replica may be using it: upgrade
it once, before the new version starts. Any number may upgrade at once; each revision is run by one of them."""
    ),
    """\
  bifrost db status
  bifrost db upgrade
  BIFROST_DATABASE_URL=postgresql://bifrost@db/bifrost bifrost db upgrade""",
)

Result = TypeVar("Result")

FORMAT = click.option(
    "--format", "kind", type=click.Choice(["text", "json"]), default="text", help=_("Form of the result.")
)


@click.group(help=HELP)
def db() -> None:
    pass


def _with_schema(common: Common, work: Callable[[Schema], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        async with administer_storage(common.load().settings) as schema:
            return await work(schema)

    return asyncio.run(run())


@db.command(help=_("Which revision the tables have, and which this program needs. Exit code 3 where they differ."))
@FORMAT
@common
def status(common: Common, kind: str) -> int:
    found = _with_schema(common, lambda schema: schema.status())
    current = not found.pending and not found.ahead
    if kind == "json":
        write(json_text(plain(found)))
    else:
        write(safe(f"{found.location}\n{_told(found)}\n"))
    return ExitCode.DONE if current else ExitCode.FAILED


def _told(found: SchemaStatus) -> str:
    if found.ahead:
        return _("ahead of this program: revision {current}, this program knows {needed}; upgrade Bifrost").format(
            current=found.current, needed=found.needed
        )
    if found.pending:
        return _("revision {current}, {needed} is needed; run: bifrost db upgrade").format(
            current=found.current or _("none"), needed=found.needed
        )
    return _("up to date: revision {current}").format(current=found.current)


@db.command(help=_("Run the revisions that are missing."))
@FORMAT
@common
def upgrade(common: Common, kind: str) -> None:
    async def run(schema: Schema) -> tuple[tuple[str, ...], SchemaStatus]:
        return await schema.upgrade(), await schema.status()

    ran, found = _with_schema(common, run)
    if kind == "json":
        write(json_text({"ran": list(ran), **plain(found)}))
    else:
        done = _("ran {revisions}").format(revisions=", ".join(ran)) if ran else _("nothing to do")
        write(safe(f"{found.location}\n{done}; {_told(found)}\n"))
