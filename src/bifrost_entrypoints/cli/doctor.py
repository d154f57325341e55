"""`bifrost doctor`: what works here, and how to mend what does not."""

import asyncio
import os
import platform
from collections.abc import Awaitable
from gettext import gettext as _
from importlib.metadata import version

import click
from msgspec import Struct

from bifrost_domain.application import Application
from bifrost_domain.errors import BifrostError, ConfigurationError
from bifrost_entrypoints.cli.config import check
from bifrost_entrypoints.cli.options import Common, common, explained, positive
from bifrost_entrypoints.cli.output import json_text, table, write
from bifrost_entrypoints.container import open_application
from bifrost_entrypoints.outcomes import ExitCode
from bifrost_entrypoints.plain import plain
from bifrost_entrypoints.settings import BUILT_IN, Loaded, Settings, data_home

HELP = explained(
    _(
        """Check what works here: settings, data directory, database, cache, each provider with its model and context.

A provider that no setting names is looked at as well, but its absence is no failure. No log text is sent to anybody.
The exit code is 3 where something that is configured does not work."""
    ),
    """\
  bifrost doctor
  bifrost doctor --format json | jq '.checks[] | select(.status == "failed")'""",
)


class Check(Struct, frozen=True, kw_only=True):
    """status: ok, failed, or unused (it does not work, and nothing that is configured needs it)."""

    name: str
    status: str
    detail: str
    hint: str = ""


@click.command(help=HELP)
@click.option("--format", "kind", type=click.Choice(["text", "json"]), default="text", help=_("Form of the result."))
@click.option(
    "--timeout",
    type=click.FloatRange(0.1),
    callback=positive,
    default=5.0,
    metavar="SECONDS",
    help=_("For each check."),
)
@common
def doctor(common: Common, kind: str, timeout: float) -> int:
    loaded = common.load()
    checks = asyncio.run(_examine(loaded, timeout))
    if kind == "json":
        write(json_text(plain({"checks": checks})))
    else:
        rows = [[item.status, item.name, item.detail + (f" -> {item.hint}" if item.hint else "")] for item in checks]
        write(table([_("status"), _("check"), _("detail")], rows))
    return ExitCode.FAILED if any(item.status == "failed" for item in checks) else ExitCode.DONE


async def _examine(loaded: Loaded, patience: float) -> list[Check]:
    settings = loaded.settings
    checks = [
        Check(name="bifrost", status="ok", detail=f"{version('bifrost-logs')}, Python {platform.python_version()}"),
        await _tried("settings", _settings(loaded), patience),
        _data_directory(),
        Check(name="provider heuristic", status="ok", detail=_("built in, offline")),
    ]
    async with open_application(settings) as bifrost:
        checks.append(await _tried("database", _database(bifrost), patience))
        checks.append(await _tried("cache", _cache(bifrost), patience))
        checks.append(await _tried("api keys", _keys(bifrost), patience))
        needed = {*settings.order, settings.provider}
        for name in sorted({*BUILT_IN, *settings.providers}):
            found = await _tried(f"provider {name}", _provider(bifrost, name), patience)
            if found.status == "failed" and name not in needed:
                found = Check(name=found.name, status="unused", detail=found.detail, hint=found.hint)
            checks.append(found)
    checks.append(Check(name="answers", status="ok", detail=_line_of(settings)))
    return checks


async def _tried(name: str, work: Awaitable[str], patience: float) -> Check:
    try:
        async with asyncio.timeout(patience):
            return Check(name=name, status="ok", detail=await work)
    except BifrostError as error:
        return Check(name=name, status="failed", detail=error.message, hint=error.hint)
    except TimeoutError:
        return Check(
            name=name,
            status="failed",
            detail=_("no answer within {seconds:g} s").format(seconds=patience),
            hint=_("--timeout gives it longer"),
        )


async def _settings(loaded: Loaded) -> str:
    check(loaded.settings)
    return str(loaded.path) if loaded.path else _("no file, all defaults")


def _data_directory() -> Check:
    place = data_home()
    existing = next(path for path in (place, *place.parents) if path.exists())
    if os.access(existing, os.W_OK | os.X_OK):
        return Check(name="data directory", status="ok", detail=str(place))
    return Check(
        name="data directory",
        status="failed",
        detail=_("{place} cannot be written").format(place=place),
        hint=_("set XDG_DATA_HOME, or BIFROST_DATABASE_URL=memory:"),
    )


async def _database(bifrost: Application) -> str:
    storage = await bifrost.open_storage()
    await storage.ping()
    return storage.location


async def _keys(bifrost: Application) -> str:
    """How many there are. Raises ConfigurationError where some can no longer be checked."""
    stored = await bifrost.keyring.all()
    if lost := bifrost.keyring.without_pepper(stored):
        raise ConfigurationError(
            f"{len(lost)} API keys are refused: the pepper of their hash is missing",
            hint="give keys.peppers its numbers back: " + ", ".join(sorted({str(key.pepper_version) for key in lost})),
        )
    return _("{count} stored").format(count=len(stored))


async def _cache(bifrost: Application) -> str:
    cache = await bifrost.open_cache()
    await cache.ping()
    return cache.location


async def _provider(bifrost: Application, name: str) -> str:
    model = await bifrost.open_model(name, None)
    description = await model.describe()
    return _("{model}, context {context:,} tokens").format(
        model=model.identity.model, context=description.context_tokens
    )


def _line_of(settings: Settings) -> str:
    """Who answers, in which order."""
    if settings.provider != "auto":
        return _("{provider}, then heuristic").format(provider=settings.provider)
    names = [*settings.order, "heuristic"] if "heuristic" not in settings.order else list(settings.order)
    return ", ".join(names) + ("" if settings.order else " " + _("(offline: no provider is configured)"))
