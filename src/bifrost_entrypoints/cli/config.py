"""`bifrost config`: where the settings come from and what they are."""

import os
from gettext import gettext as _
from pathlib import Path

import click

from bifrost_adapters.slots import options_of
from bifrost_domain.errors import ConfigurationError
from bifrost_entrypoints.cli.options import Common, common, explained
from bifrost_entrypoints.cli.output import json_text, table, write
from bifrost_entrypoints.container import cache_choice, installation_key, storage_choice
from bifrost_entrypoints.plain import plain
from bifrost_entrypoints.settings import BUILT_IN, Settings, default_path, flatten

HELP = explained(
    _("""The settings: defaults, then one YAML file, then BIFROST_* variables, then flags."""),
    """\
  bifrost config init
  bifrost config show
  bifrost config validate
  BIFROST_PROVIDER=ollama bifrost config show --format json""",
)

TEMPLATE = """\
# Settings of Bifrost. Everything here is a default: take the mark away from what you change.
# `bifrost config show` tells where each value comes from; BIFROST_<SECTION>__<KEY> overrides a value.

# Who answers: auto, heuristic, or the name of an entry below.
# provider: auto

# What auto tries, first to last, before the heuristic. Empty: offline, nothing is ever sent.
# order: [local]

# providers:
#   local: {kind: ollama, model: "qwen3:8b", host: "http://127.0.0.1:11434"}
#   aws: {kind: bedrock, region: eu-west-1}

# Language of reports, labels and help: auto (the locale's), en, ko.
# language: auto

# database: {url: "sqlite:///~/.local/share/bifrost/bifrost.db"}   # or memory:
# cache: {url: "sqlite:", ttl_hours: 168}                          # or memory: or off:
# digest: {budget: 4000}                                           # tokens of log that a model is shown
# redaction: {pii: true, pseudonyms: false}                        # mask e-mail addresses and card numbers too
# history: {enabled: true}
# limits: {total_seconds: 60, first_token_seconds: 20, idle_seconds: 15, retries: 2, max_cost_usd: 0.10}
"""


@click.group(help=HELP)
def config() -> None:
    pass


def _place(common: Common) -> Path:
    named = common.config or os.environ.get("BIFROST_CONFIG")
    return Path(named).expanduser() if named else default_path()


@config.command(help=_("Write a commented settings file to start from."))
@click.option("--force", is_flag=True, help=_("Replace the file that is there."))
@common
def init(common: Common, force: bool) -> None:
    place = _place(common)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("w" if force else "x", encoding="utf-8") as file:
            os.chmod(place, 0o600)
            file.write(TEMPLATE)
    except FileExistsError as error:
        raise ConfigurationError(f"{place} is there already", hint="--force replaces it") from error
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {place}: {error.strerror}", hint="--config names another place"
        ) from error
    write(f"{place}\n")


@config.command(help=_("Where the settings file is looked for."))
@common
def path(common: Common) -> None:
    write(f"{_place(common)}\n")


@config.command(help=_("Every setting, its value and where it comes from; secrets are masked."))
@click.option("--format", "kind", type=click.Choice(["text", "json"]), default="text", help=_("Form of the list."))
@common
def show(common: Common, kind: str) -> None:
    loaded = common.load()
    rows = [
        {"setting": name, "value": value, "origin": loaded.origins.get(name, "default")}
        for name, value in flatten(loaded.settings).items()
    ]
    if kind == "json":
        write(json_text(plain({"file": str(loaded.path) if loaded.path else None, "settings": rows})))
    else:
        titles = [_("setting"), _("value"), _("origin")]
        write(table(titles, [[str(row["setting"]), _shown(row["value"]), str(row["origin"])] for row in rows]))


def _shown(value: object) -> str:
    return (
        "-"
        if value is None
        else json_text(value, indent=False).strip()
        if not isinstance(value, str)
        else value or '""'
    )


@config.command(help=_("Check the settings, those of each provider included, without opening anything."))
@common
def validate(common: Common) -> None:
    loaded = common.load()
    check(loaded.settings)
    write(_("The settings are valid ({file}).").format(file=loaded.path or _("no file, all defaults")) + "\n")


def check(settings: Settings) -> None:
    """Converts every adapter's options. Raises ConfigurationError for the first that is wrong."""
    import msgspec

    names = {*BUILT_IN, *settings.providers}
    if settings.provider not in {"auto", "heuristic"}:
        names.add(settings.provider)
    names |= set(settings.order) - {"heuristic"}
    chosen = [("models", f"providers.{name}", *settings.entry(name)) for name in sorted(names)]
    chosen.append(("storage", "database.url", *storage_choice(settings)))
    chosen.append(("cache", "cache.url", *cache_choice(settings)))
    for slot, setting, kind, options in chosen:
        try:
            msgspec.convert(options, options_of(slot, kind), strict=False)
        except msgspec.ValidationError as error:
            raise ConfigurationError(
                f"{setting}: {error}", hint=f"see the options of {kind} in the documentation"
            ) from error
    installation_key(settings)
