"""`bifrost prompts`: what models are asked, as versions that never change."""

import asyncio
import os
import sys
from datetime import datetime
from gettext import gettext as _
from pathlib import Path
from typing import Any, TypeVar

import click

from bifrost_domain import promptbook as domain
from bifrost_domain.application import Application
from bifrost_domain.errors import BadOption, NoReadableInput
from bifrost_domain.logs.cleaning import safe
from bifrost_domain.prompt import PromptVersion, places
from bifrost_entrypoints.cli.options import (
    Common,
    actor,
    common,
    explained,
    named_values,
    open_inputs,
    printable,
    request,
)
from bifrost_entrypoints.cli.output import coloured, json_text, table, write
from bifrost_entrypoints.cli.running import with_bifrost
from bifrost_entrypoints.container import open_application
from bifrost_entrypoints.outcomes import ExitCode
from bifrost_entrypoints.plain import plain

HELP = explained(
    _(
        """What models are asked: versions that never change, and labels that move.

NAME stands for the version labelled production, NAME@4 for version 4, NAME@staging for the one with that label."""
    ),
    """\
  bifrost prompts list
  bifrost prompts show root-cause
  bifrost prompts create root-cause --from root-cause@1 --system system.txt --message 'shorter'
  bifrost prompts diff root-cause@1 root-cause@2
  bifrost prompts label root-cause@2 production
  bifrost prompts rollback root-cause
  bifrost prompts export prompts/""",
)

Result = TypeVar("Result")

FORMAT = click.option(
    "--format", "kind", type=click.Choice(["text", "json"]), default="text", help=_("Form of the result.")
)
MESSAGE = click.option("-m", "--message", default="", metavar="TEXT", help=_("Why; kept with it."))
MOST_BYTES = 1 << 20
"""Of a file that is read."""


@click.group(help=HELP)
def prompts() -> None:
    pass


@prompts.command(name="list", help=_("The prompts, with their newest version and where their labels are."))
@FORMAT
@common
def list_(common: Common, kind: str) -> None:
    async def find(bifrost: Application) -> list[domain.Labelled]:
        book = bifrost.promptbook
        return [await book.prompt(name) for name in await book.names()]

    found = with_bifrost(common, find)
    if kind == "json":
        items = [
            {"name": prompt.name, "versions": len(prompt.versions), "labels": dict(prompt.labels)} for prompt in found
        ]
        write(json_text({"items": plain(items), "next_cursor": None}))
        return
    titles = [_("name"), _("versions"), _("newest"), _("labels")]
    rows = [[prompt.name, str(len(prompt.versions)), prompt.versions[-1].author, _labels(prompt)] for prompt in found]
    write(table(titles, rows, colour=coloured(common.colour, sys.stdout)), colour=True)


def _labels(prompt: domain.Labelled) -> str:
    return ", ".join(f"{label} @{version}" for label, version in sorted(prompt.labels.items()))


@prompts.command(help=_("NAME: its versions and the moves of its labels. NAME@VERSION or NAME@LABEL: the wording."))
@click.argument("reference", metavar="NAME[@VERSION|@LABEL]")
@FORMAT
@common
def show(common: Common, kind: str, reference: str) -> None:
    reference = printable(reference)
    if "@" in reference:
        version = with_bifrost(common, lambda bifrost: bifrost.promptbook.find(reference))
        if kind == "json":
            write(json_text(_plain(version)))
        else:
            write(safe(_wording(version)))
        return
    prompt = with_bifrost(common, lambda bifrost: bifrost.promptbook.prompt(reference))
    if kind == "json":
        data = {
            "name": prompt.name,
            "labels": dict(prompt.labels),
            "versions": [_plain(version) for version in prompt.versions],
            "moves": plain(prompt.moves),
        }
        write(json_text(data))
        return
    colour = coloured(common.colour, sys.stdout)
    versions = [
        [version.reference, _moment(version.created_at), version.author, _at(prompt, version), version.message]
        for version in prompt.versions
    ]
    write(table([_("version"), _("time"), _("by"), _("labels"), _("message")], versions, colour=colour), colour=True)
    if prompt.moves:
        moves = [
            [
                _moment(move.at),
                move.label,
                f"@{move.version}",
                move.by,
                _("rolled back") if move.rollback else "",
                move.message,
            ]
            for move in prompt.moves
        ]
        titles = [_("time"), _("label"), _("to"), _("by"), "", _("message")]
        write("\n" + table(titles, moves, colour=colour), colour=True)


def _at(prompt: domain.Labelled, version: PromptVersion) -> str:
    return ", ".join(sorted(label for label, number in prompt.labels.items() if number == version.version))


def _wording(version: PromptVersion) -> str:
    rows = [f"{version.reference}  {version.checksum}", f"{version.author} {_moment(version.created_at)}".rstrip()]
    rows += [version.message] if version.message else []
    rows += [f"{name} = {value}" for name, value in sorted(version.variables.items())]
    return "\n".join([*rows, "", "--- system", version.system, "", "--- user", version.user, ""])


@prompts.command(help=_("Publish a new version of NAME, from files; what is left out is taken from --from."))
@click.argument("name")
@click.option("--system", type=click.Path(path_type=Path), metavar="FILE", help=_("The system text."))
@click.option("--user", type=click.Path(path_type=Path), metavar="FILE", help=_("The user text."))
@click.option("--from", "base", metavar="NAME[@VERSION|@LABEL]", help=_("The version to start from."))
@click.option(
    "--variable",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help=_("Declare a variable with its value, in the texts as {{NAME}}; repeat it for more."),
)
@MESSAGE
@click.option("--label", metavar="LABEL", help=_("Put this label on it."))
@FORMAT
@common
def create(
    common: Common,
    kind: str,
    name: str,
    system: Path | None,
    user: Path | None,
    base: str | None,
    variables: tuple[str, ...],
    message: str,
    label: str | None,
) -> None:
    if base is None and (system is None or user is None):
        raise click.UsageError(_("Give both --system and --user, or a version to start from with --from."))
    texts = {part: _read(path) for part, path in (("system", system), ("user", user)) if path is not None}

    async def publish(bifrost: Application) -> PromptVersion:
        book = bifrost.promptbook
        given: dict[str, Any] = {"variables": named_values(variables)} | texts
        if base is not None:
            old = await book.find(printable(base))
            given = {"system": old.system, "user": old.user} | given
            used = {*places(given["system"], "the system text"), *places(given["user"], "the user text")}
            kept = {variable: value for variable, value in old.variables.items() if variable in used}
            given["variables"] = kept | given["variables"]
        version = await book.publish(printable(name), **given, author=actor(), message=message)
        if label is not None:
            await book.label(version.name, printable(label), version.version, by=actor(), message=message)
        return version

    version = with_bifrost(common, publish)
    if kind == "json":
        write(json_text(_plain(version)))
    else:
        write(safe(f"{version.reference}  {version.checksum}\n"))


@prompts.command(help=_("What differs between two versions."))
@click.argument("before", metavar="NAME[@VERSION|@LABEL]")
@click.argument("after", metavar="NAME[@VERSION|@LABEL]")
@common
def diff(common: Common, before: str, after: str) -> None:
    async def compare(bifrost: Application) -> str:
        book = bifrost.promptbook
        return domain.diff(await book.find(printable(before)), await book.find(printable(after)))

    write(safe(with_bifrost(common, compare)))


@prompts.command(help=_("Put a label on a version, wherever it was before."))
@click.argument("reference", metavar="NAME@VERSION|NAME@LABEL")
@click.argument("label")
@MESSAGE
@common
def label(common: Common, reference: str, label: str, message: str) -> None:
    async def move(bifrost: Application) -> PromptVersion:
        version = await bifrost.promptbook.find(printable(reference))
        await bifrost.promptbook.label(version.name, printable(label), version.version, by=actor(), message=message)
        return version

    version = with_bifrost(common, move)
    common.talk().notice(_("{label} is on {reference} now").format(label=label, reference=version.reference))


@prompts.command(help=_("Put a label back where it was before; done again, it goes further back."))
@click.argument("name")
@click.option("--label", default=domain.PRODUCTION, metavar="LABEL", help=_("Which one (default: production)."))
@MESSAGE
@common
def rollback(common: Common, name: str, label: str, message: str) -> None:
    move = with_bifrost(
        common,
        lambda bifrost: bifrost.promptbook.rollback(printable(name), printable(label), by=actor(), message=message),
    )
    reference = f"{move.name}@{move.version}"
    common.talk().notice(_("{label} is on {reference} now").format(label=move.label, reference=reference))


@prompts.command(help=_("Exactly what a model would be sent for a log, by a version. Nothing is sent."))
@click.argument("reference", metavar="NAME[@VERSION|@LABEL]")
@click.argument("path", metavar="PATH|-")
@click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help=_("A value for a declared variable."))
@click.option("--language", type=click.Choice(["en", "ko"]), help=_("Language of the report (default: the locale's)."))
@FORMAT
@common
def render(
    common: Common, kind: str, reference: str, path: str, variables: tuple[str, ...], language: str | None
) -> int:
    settings = common.load(language=language).settings

    async def run() -> Any:
        async with open_inputs((path,)) as inputs, open_application(settings) as bifrost:
            version = await bifrost.promptbook.find(printable(reference))
            wish = request(
                inputs,
                prompt=version,
                variables=named_values(variables),
                language=settings.report_language(os.environ),
            )
            return await bifrost.analyst.rendered(wish)

    rendered = asyncio.run(run())
    if kind == "json":
        write(json_text(plain({"system": rendered.system, "user": rendered.user, "schema": rendered.schema})))
    else:
        write(safe("\n".join(["--- system", rendered.system, "", "--- user", rendered.user, ""])))
    return ExitCode.DONE


@prompts.command(help=_("Write every version of NAME, or of all prompts, as one file each into FOLDER, for git."))
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("name", required=False)
@common
def export(common: Common, folder: Path, name: str | None) -> None:
    async def collect(bifrost: Application) -> dict[str, bytes]:
        book = bifrost.promptbook
        names = await book.names() if name is None else (printable(name),)
        return {file: content for each in names for file, content in (await book.export(each)).items()}

    files = with_bifrost(common, collect)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (folder / file).write_bytes(content)
    except OSError as error:
        raise BadOption(f"cannot write to {printable(str(folder))}: {error.strerror}") from error
    common.talk().notice(_("{count} files written").format(count=len(files)))


@prompts.command(name="import", help=_("Take exported files, or all of a folder, under their own version numbers."))
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@common
def import_(common: Common, paths: tuple[Path, ...]) -> None:
    files = [file for path in paths for file in (sorted(path.glob("*@*.json")) if path.is_dir() else [path])]
    if not files:
        raise NoReadableInput("there is no exported prompt in it", hint="files are called NAME@VERSION.json")
    contents = [_read_bytes(file) for file in files]
    taken, known = with_bifrost(common, lambda bifrost: bifrost.promptbook.take(contents, by=actor()))
    for version in taken:
        write(safe(f"{version.reference}\n"))
    common.talk().notice(_("{taken} taken, {known} were there already").format(taken=len(taken), known=len(known)))


def _read(path: Path) -> str:
    """A text file with the ends of lines of Unix, without the last one."""
    try:
        text = _read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise BadOption(f"{printable(str(path))} is not UTF-8") from error
    return text.replace("\r\n", "\n").removesuffix("\n")


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise NoReadableInput(f"cannot read {printable(str(path))}: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise BadOption(f"{printable(str(path))} is larger than 1 MiB: it is no prompt")
    return content


def _plain(version: PromptVersion) -> dict[str, Any]:
    data: dict[str, Any] = plain(version)
    return data | {"checksum": version.checksum}


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%MZ")
