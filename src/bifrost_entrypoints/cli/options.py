"""Options that several commands share, and what they mean together: settings, inputs, filters."""

import getpass
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, tzinfo
from gettext import gettext as _
from typing import Any, TypeVar

import click
from msgspec import Struct

from bifrost_domain.analysis import Request
from bifrost_domain.errors import BadOption, InvalidInput, NoReadableInput
from bifrost_domain.logs.lines import Level
from bifrost_domain.ports import LogSource
from bifrost_entrypoints.cli.output import Talk
from bifrost_entrypoints.settings import Loaded, load

Command = TypeVar("Command", bound=Callable[..., Any])


class Common(Struct, frozen=True, kw_only=True):
    """What every command takes: `config` is a path; `colour` is auto, always or never."""

    config: str | None
    quiet: bool
    colour: str

    def load(self, **flags: Any) -> Loaded:
        """The settings, with the flags that were typed (those that are not None) on top."""
        return load(self.config, {name.replace("__", "."): value for name, value in flags.items() if value is not None})

    def talk(self) -> Talk:
        return Talk(self.quiet, self.colour)


def explained(prose: str, examples: str, exit_codes: str = "") -> str:
    """The help of a command: what it does, then examples as they are typed."""
    parts = [prose, "\b\n" + _("Examples:") + f"\n{examples}"]
    if exit_codes:
        parts.append("\b\n" + _("Exit codes:") + f"\n{exit_codes}")
    return "\n\n".join(parts)


def common(command: Command) -> Command:
    """Adds --config, --quiet and --color, and hands them over as one `common`."""

    @click.option("--config", metavar="FILE", help=_("Settings file (default: BIFROST_CONFIG, else the user's)."))
    @click.option("-q", "--quiet", is_flag=True, help=_("Say nothing on stderr but errors."))
    @click.option(
        "--color",
        "colour",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help=_("Colours (auto: on a terminal, unless NO_COLOR is set)."),
    )
    def wrapped(config: str | None, quiet: bool, colour: str, **others: Any) -> Any:
        return command(common=Common(config=config, quiet=quiet, colour=colour), **others)

    wrapped.__name__ = command.__name__
    wrapped.__doc__ = command.__doc__
    wrapped.__click_params__ = wrapped.__click_params__ + getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    return wrapped  # type: ignore[return-value]


def filters(command: Command) -> Command:
    """Adds --severity, --since, --until and --time-zone."""
    for option in (
        click.option(
            "--time-zone",
            metavar="ZONE",
            help=_("Of times that name none: local, UTC (the default), or a name such as Asia/Seoul."),
        ),
        click.option(
            "--until",
            metavar="TIME",
            help=_("Only lines up to TIME: 2026-11-20T10:00Z, '2026-11-20 10:00', 10:00, 15m ago."),
        ),
        click.option("--since", metavar="TIME", help=_("Only lines from TIME on; 15m, 2h and 3d count back from now.")),
        click.option(
            "--severity",
            type=click.Choice([str(level) for level in Level], case_sensitive=False),
            help=_("Only lines at least this severe."),
        ),
    ):
        command = option(command)
    return command


def asked_with(command: Command) -> Command:
    """Adds --prompt and --var."""
    for option in (
        click.option(
            "--var",
            "variables",
            multiple=True,
            metavar="NAME=VALUE",
            help=_("A value for a variable that the prompt declares; repeat it for more."),
        ),
        click.option(
            "--prompt",
            metavar="NAME[@VERSION|@LABEL]",
            help=_("The wording to ask a model with (default: root-cause, as labelled production)."),
        ),
    ):
        command = option(command)
    return command


def named_values(pairs: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE pairs as they are typed. Raises BadOption for one without a name."""
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise BadOption(f"{printable(pair)!r} is no NAME=VALUE", hint="as in: --var team=checkout")
        values[name.strip()] = value
    return values


PATHS = click.argument("paths", nargs=-1, metavar="[PATH...|-]")


def minimum(severity: str | None) -> Level | None:
    return None if severity is None else Level(severity)


def window(since: str | None, until: str | None, zone: tzinfo = UTC) -> tuple[datetime | None, datetime | None]:
    """--since and --until as people type them. Raises BadOption, also where the first is after the second."""
    start, end = _moment("--since", since, zone), _moment("--until", until, zone)
    if start is not None and end is not None and start > end:
        raise BadOption(
            f"--since {since} is after --until {until}: nothing can lie between",
            hint=f"they were read as {start:%Y-%m-%dT%H:%M:%SZ} and {end:%Y-%m-%dT%H:%M:%SZ}",
        )
    return start, end


def _moment(option: str, text: str | None, zone: tzinfo) -> datetime | None:
    if text is None:
        return None
    from bifrost_domain.logs.formats import parse_moment

    try:
        return parse_moment(text, datetime.now(zone))
    except BadOption as error:
        raise BadOption(f"{option} {text!r}: {error.message}", hint=error.hint) from error


class Inputs(Struct, frozen=True, kw_only=True):
    """What was found to read. `skipped` are the files of a folder that are no logs, with the reason."""

    name: str
    kind: str
    logs: tuple[LogSource, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    failed: tuple[tuple[str, str], ...] = ()


@asynccontextmanager
async def open_inputs(paths: tuple[str, ...]) -> AsyncIterator[Inputs]:
    """The logs behind `paths`, or standard input where there are none and something is piped in.

    A path given means that standard input is not touched. Raises NoReadableInput where nothing of it can be read;
    click.UsageError where there is neither a path nor a pipe.
    """
    if not paths and not piped():
        raise click.UsageError(_("Nothing to read: name a file or a folder, or pipe a log in."))
    async with AsyncExitStack() as stack:
        logs: list[LogSource] = []
        skipped: list[tuple[str, str]] = []
        failed: list[tuple[str, str]] = []
        problem: InvalidInput | None = None
        for path in paths or ("-",):
            try:
                found = await stack.enter_async_context(_open(path))
            except InvalidInput as error:
                problem = error
                failed.append((printable(path), error.message))
                continue
            logs += found.sources
            skipped += found.skipped
        if not logs:
            if problem is not None and len(failed) > 1:
                raise NoReadableInput("; ".join(reason for __, reason in failed), hint=problem.hint)
            raise problem or NoReadableInput(
                f"there is no log in {', '.join(map(printable, paths))}",
                hint="name a file, or a folder with logs in it",
            )
        yield Inputs(
            name=" ".join(map(printable, paths)) or "-",
            kind=_kind(paths),
            logs=tuple(logs),
            skipped=tuple(skipped),
            failed=tuple(failed),
        )


def printable(path: str) -> str:
    """`path` as it was typed, with what no terminal and no JSON can show written as escapes, as sources name files.

    Bytes of a name that are no UTF-8 arrive as lone surrogates, which nothing further in can store.
    """
    return "".join(part if part.isprintable() else part.encode("unicode_escape").decode() for part in path)


def actor() -> str:
    """Who does it, for the audit log."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):
        name = "?"
    return printable(f"cli:{name}")[:80]


def _open(path: str) -> Any:
    from bifrost_adapters.slots import open_slot

    if path == "-" and sys.stdin is None:
        raise NoReadableInput("standard input is closed", hint="name a file, or pipe a log in")
    return open_slot("sources", "stdin", {}) if path == "-" else open_slot("sources", "file", {"target": path})


def _kind(paths: tuple[str, ...]) -> str:
    if not paths or paths == ("-",):
        return "stdin"
    return "directory" if len(paths) == 1 and os.path.isdir(paths[0]) else "file"


def request(inputs: Inputs, **wishes: Any) -> Request:
    return Request(name=inputs.name, kind=inputs.kind, logs=inputs.logs, **wishes)


def piped() -> bool:
    """Whether something was put before us in a pipe; a closed standard input counts as nothing."""
    return sys.stdin is not None and not sys.stdin.isatty()


def positive(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not value > 0:
        raise click.BadParameter(_("must be greater than 0"), context, parameter)
    return value
