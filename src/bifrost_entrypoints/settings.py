"""The settings: defaults < one YAML file < BIFROST_* environment < flags, as one typed schema with known origins."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

from bifrost_domain.analysis import LEAST_BUDGET, Limits
from bifrost_domain.errors import ConfigurationError
from bifrost_domain.report import Language

MASK = "********"


class Secret:
    """A value that is never shown: its text form is a mask. `value` is the text itself."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Database(Section, frozen=True):
    """Where analyses, prompts and API keys are kept.

    url: `sqlite:///PATH` (default: `$XDG_DATA_HOME/bifrost/bifrost.db`), `postgresql://USER@HOST/DATABASE`, or
    `memory:` for nowhere.
    """

    url: str = ""


class CacheSettings(Section, frozen=True):
    """Where model answers are kept for reuse.

    url: `sqlite:` (the default: in the database's file; `sqlite:///PATH` elsewhere), `redis://HOST`, `memory:`, or
    `off:`. ttl_hours: how long an answer may be reused. max_entries: how many are kept.
    """

    url: str = "sqlite:"
    ttl_hours: Annotated[float, Meta(gt=0)] = 168.0
    max_entries: Annotated[int, Meta(ge=1)] = 10_000


class DigestSettings(Section, frozen=True):
    """budget: tokens of log that a model is shown, by Bifrost's own estimate (logs run near 2.6 characters a token)."""

    budget: Annotated[int, Meta(ge=LEAST_BUDGET)] = 4000


class Redaction(Section, frozen=True):
    """What is masked before anything is stored, sent or printed; secrets always are.

    pii: mask e-mail addresses and payment card numbers as well. key: the installation's key for placeholders and cache
    keys, at least 32 characters; replicas that share a cache share it. Without one, a random key is made once and
    kept in `$XDG_DATA_HOME/bifrost/key`. pseudonyms: name hosts, users, IP, MAC and e-mail addresses by keyed stand-ins
    such as `host-k7q2m4`; only a report as text on a terminal shows them as they are.
    """

    pii: bool = True
    pseudonyms: bool = False
    key: Secret | None = None


class History(Section, frozen=True):
    """What is remembered; raw logs never are.

    enabled: keep finished analyses in the database. keep_digest: keep the redacted digest that an engine saw with them,
    so that they can be replayed. retention_days: erase what is older; nothing is by default.
    """

    enabled: bool = True
    keep_digest: bool = True
    retention_days: Annotated[float, Meta(gt=0)] | None = None


class Keys(Section, frozen=True):
    """What the hashes of API keys are made with.

    peppers: secrets of at least 32 characters by their number, from `1` on; the highest makes new hashes, the others
    still verify old ones. Without any, one is derived from the installation's key. Replicas share them.
    """

    peppers: dict[str, Secret] = {}


class Server(Section, frozen=True):
    """The service that `bifrost serve` runs.

    host, port, workers: where it listens, and how many processes share the work. trusted_proxies: addresses or networks
    whose X-Forwarded-For is believed. cors_origins: web pages that may call it from a browser, none by default.
    allowed_hosts: names it may be called by in the Host header; none means any, but on a loopback address its own
    only. max_body_bytes, max_decompressed_bytes, max_lines, max_files: of one request. max_in_progress: requests that
    analyse at once in one process; what comes beyond is refused with 429. header_seconds, body_seconds: how long a
    client may take to send them. drain_seconds: how long work that runs may go on when the server is told to stop.
    log_level: of its log on stderr.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    trusted_proxies: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    max_body_bytes: Annotated[int, Meta(ge=1024)] = 10_485_760
    max_decompressed_bytes: Annotated[int, Meta(ge=1024)] = 104_857_600
    max_lines: Annotated[int, Meta(ge=1)] = 2_000_000
    max_files: Annotated[int, Meta(ge=1)] = 50
    max_in_progress: Annotated[int, Meta(ge=1)] = 64
    header_seconds: Annotated[float, Meta(gt=0)] = 10.0
    body_seconds: Annotated[float, Meta(gt=0)] = 30.0
    drain_seconds: Annotated[float, Meta(gt=0)] = 20.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class MetricsSettings(Section, frozen=True):
    """kind: what the service counts with: `prometheus`, or `off`."""

    kind: Literal["prometheus", "off"] = "prometheus"


class Traces(Section, frozen=True):
    """Spans of requests, analyses and calls of models, over OTLP/HTTP.

    endpoint: the collector, as http://collector:4318; empty (the default) takes OTEL_EXPORTER_OTLP_ENDPOINT, and
    without that nothing is traced. share: of the requests, from 0 to 1. Needs the package extra `otel`.
    """

    endpoint: str = ""
    share: Annotated[float, Meta(ge=0, le=1)] = 1.0


class Queue(Section, frozen=True):
    """How the items of batches reach those who run them.

    kind: `stored` (the default: each process looks into the database), or `pgqueuer`, which has PostgreSQL tell them.
    at_once: items at a time in one process. item_seconds: how long one try at an item may take.
    """

    kind: Literal["stored", "pgqueuer"] = "stored"
    at_once: Annotated[int, Meta(ge=1)] = 4
    item_seconds: Annotated[float, Meta(gt=0)] = 600.0


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings.

    provider: `auto`, `heuristic`, or the name of an entry of `providers`. order: the entries that `auto` tries, first
    to last, before the heuristic; empty means offline. providers: named entries, each with its `kind` and that kind's
    options; `ollama` and `bedrock` exist without a file. language: of reports and labels, `auto` takes the locale's.
    prompt: the wording to ask with: NAME (that in production), NAME@VERSION or NAME@LABEL. time_zone: of times in logs
    and options that name none: `local`, or a name such as Asia/Seoul.
    """

    provider: str = "auto"
    order: tuple[str, ...] = ()
    providers: dict[str, dict[str, Any]] = {}
    language: Literal["auto", "en", "ko"] = "auto"
    database: Database = Database()
    cache: CacheSettings = CacheSettings()
    digest: DigestSettings = DigestSettings()
    redaction: Redaction = Redaction()
    limits: Limits = Limits()
    history: History = History()
    keys: Keys = Keys()
    server: Server = Server()
    queue: Queue = Queue()
    metrics: MetricsSettings = MetricsSettings()
    traces: Traces = Traces()
    prompt: str = "root-cause"
    time_zone: str = "UTC"

    def entry(self, name: str) -> tuple[str, dict[str, Any]]:
        """Kind and options of the provider entry `name`. Raises ConfigurationError, with the names there are."""
        entries = BUILT_IN | self.providers
        if name not in entries:
            close = get_close_matches(name, [*entries, "auto", "heuristic"], 1)
            guess = f"did you mean {close[0]!r}? " if close else ""
            raise ConfigurationError(
                f"there is no provider {name!r}",
                hint=f"{guess}known: auto, heuristic, {', '.join(sorted(entries))}",
            )
        options = dict(entries[name])
        kind = options.pop("kind", name)
        if not isinstance(kind, str):
            raise ConfigurationError(f"providers.{name}.kind must be a name, not {kind!r}")
        return kind, options

    def provider_names(self) -> tuple[str, ...]:
        """What a request may name as its provider."""
        return ("auto", "heuristic", *sorted(BUILT_IN | self.providers))

    def report_language(self, environment: Mapping[str, str]) -> Language:
        return locale_language(environment) if self.language == "auto" else Language(self.language)


BUILT_IN: dict[str, dict[str, Any]] = {"ollama": {"kind": "ollama"}, "bedrock": {"kind": "bedrock"}}


class Loaded(Struct, frozen=True, kw_only=True):
    """The settings with where each value came from (`default`, `file PATH`, `environment NAME`, `flag NAME`)."""

    settings: Settings
    origins: dict[str, str]
    path: Path | None


def locale_language(environment: Mapping[str, str]) -> Language:
    """Korean where the first of LC_ALL, LC_MESSAGES and LANG that is set says so, else English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name):
            return Language.KO if value.lower().startswith("ko") else Language.EN
    return Language.EN


def data_home(environment: Mapping[str, str] = os.environ) -> Path:
    return _xdg(environment, "XDG_DATA_HOME", ".local/share") / "bifrost"


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the configuration file is looked for when none is named."""
    return _xdg(environment, "XDG_CONFIG_HOME", ".config") / "bifrost" / "config.yaml"


def _xdg(environment: Mapping[str, str], name: str, otherwise: str) -> Path:
    # The XDG base directory specification ignores relative paths.
    named = environment.get(name, "")
    return Path(named) if os.path.isabs(named) else Path(environment.get("HOME") or Path.home()) / otherwise


def load(
    path: str | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Loaded:
    """The settings of this process. `flags` are those the user typed, by dotted name (`cache.url`).

    Raises ConfigurationError for a file that cannot be read or parsed, an unknown key (with the nearest known one) or a
    value of the wrong type; the message names the place.
    """
    origins: dict[str, str] = {}
    named = path or environment.get("BIFROST_CONFIG")
    file = Path(named).expanduser() if named else default_path(environment)
    values: dict[str, Any] = {}
    if exists := bool(named) or file.is_file():
        values = _read(file)
        _note(origins, values, f"file {file}")
    for dotted, (value, variable) in _environment(environment).items():
        _set(values, dotted, value)
        origins[dotted] = f"environment {variable}"
    for dotted, value in (flags or {}).items():
        _set(values, dotted, value)
        origins[dotted] = f"flag --{dotted.rpartition('.')[2].replace('_', '-')}"
    _refuse_unknown(values, Settings, "", origins)
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"the configuration is wrong: {_located(str(error), origins)}",
            hint="`bifrost config show` lists every setting with its origin",
        ) from error
    return Loaded(settings=settings, origins=origins, path=file if exists else None)


def _decode(kind: type, value: Any) -> Any:
    if kind is Secret:
        return Secret(str(value))
    raise TypeError(kind)


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(
            f"cannot read the configuration {file}: {reason}", hint="`bifrost config init` writes one to start from"
        ) from error
    if len(text) > 1 << 20:
        raise ConfigurationError(f"the configuration {file} is larger than 1 MiB")
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise ConfigurationError(f"the configuration {file} is not valid YAML{where}: {problem}") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigurationError(f"the configuration {file} must be a mapping of setting names to values")
    return values


_ALIASES = {"BIFROST_DATABASE_URL": "database.url", "BIFROST_CACHE_URL": "cache.url"}
_NOT_SETTINGS = frozenset({"BIFROST_CONFIG"})
_LISTS = frozenset({"order", "server.trusted_proxies", "server.cors_origins", "server.allowed_hosts"})


def _environment(environment: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    """Dotted setting -> (value, variable): `BIFROST_PROVIDER`, `BIFROST_<SECTION>__<KEY>`; JSON where it is a list."""
    found: dict[str, tuple[Any, str]] = {}
    top = {field.name.upper() for field in msgspec.structs.fields(Settings)}
    for variable in sorted(environment):
        if not variable.startswith("BIFROST_") or variable in _NOT_SETTINGS:
            continue
        name = variable.removeprefix("BIFROST_")
        if variable in _ALIASES:
            found[_ALIASES[variable]] = (environment[variable], variable)
        elif "__" in name or name in top:
            dotted = name.lower().replace("__", ".")
            found[dotted] = (_value(dotted, environment[variable]), variable)
    return found


def _value(dotted: str, text: str) -> Any:
    if dotted in _LISTS:
        return [name.strip() for name in text.split(",") if name.strip()]
    if text.startswith(("{", "[")):
        try:
            return msgspec.json.decode(text.encode())
        except msgspec.DecodeError:
            return text
    return text


def _set(values: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigurationError(f"{section} must be a section, not {inner!r}")
        values = inner
    values[key] = value


def _note(origins: dict[str, str], values: Mapping[str, Any], origin: str, prefix: str = "") -> None:
    for key, value in values.items():
        if isinstance(value, dict):
            _note(origins, value, origin, f"{prefix}{key}.")
        else:
            origins[f"{prefix}{key}"] = origin


def _refuse_unknown(values: Mapping[str, Any], kind: type[Struct], prefix: str, origins: Mapping[str, str]) -> None:
    hints = get_type_hints(kind)
    for key, value in values.items():
        dotted = f"{prefix}{key}"
        if key not in hints:
            close = get_close_matches(key, hints, 1, 0.6)
            guess = f"did you mean {prefix + close[0]!r}?" if close else f"known here: {', '.join(sorted(hints))}"
            origin = next((text for name, text in origins.items() if (name + ".").startswith(dotted + ".")), "")
            raise ConfigurationError(f"there is no setting {dotted!r} (from {origin or 'a flag'})", hint=guess)
        inner = hints[key]
        if isinstance(inner, type) and issubclass(inner, Struct) and isinstance(value, dict):
            _refuse_unknown(value, inner, f"{dotted}.", origins)


def _located(message: str, origins: Mapping[str, str]) -> str:
    """msgspec's message with the dotted name instead of its JSON path, and with the value's origin."""
    text, _, path = message.partition(" - at `$.")
    if not path:
        return message
    dotted = path.rstrip("`").split("[")[0]
    origin = next((origin for name, origin in origins.items() if name.startswith(dotted)), "")
    return f"{dotted}: {text}" + (f" (from {origin})" if origin else "")


def flatten(settings: Settings) -> dict[str, Any]:
    """Every setting by its dotted name, secrets masked: what `bifrost config show` prints."""
    rows: dict[str, Any] = {}

    def visit(value: Any, prefix: str) -> None:
        if isinstance(value, Secret):
            rows[prefix] = MASK
        elif isinstance(value, Struct):
            for field in msgspec.structs.fields(value):
                visit(getattr(value, field.name), f"{prefix}.{field.name}" if prefix else field.name)
        elif isinstance(value, dict):
            for key, inner in value.items():
                visit(MASK if _is_secret(key) and inner else inner, f"{prefix}.{key}")
        else:
            rows[prefix] = list(value) if isinstance(value, tuple) else value

    visit(settings, "")
    return {name: _without_password(value) for name, value in rows.items()}


_SECRET_WORDS = ("key", "secret", "token", "password", "credential")


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET_WORDS) and not name.lower().endswith("_tokens")


def _without_password(value: Any) -> Any:
    """`value` with the password of a URL masked."""
    if not isinstance(value, str) or "://" not in value or "@" not in value:
        return value
    scheme, _, rest = value.partition("://")
    credentials, _, place = rest.rpartition("@")
    return f"{scheme}://{credentials.partition(':')[0]}:{MASK}@{place}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def cache_ttl(settings: Settings) -> timedelta:
    return timedelta(hours=settings.cache.ttl_hours)


def retention(settings: Settings) -> timedelta | None:
    days = settings.history.retention_days
    return None if days is None else timedelta(days=days)


def time_zone(settings: Settings, environment: Mapping[str, str] = os.environ) -> tzinfo:
    """The zone of times that name none. Raises ConfigurationError for one that is not known here."""
    return zone_named(settings.time_zone, environment)


def zone_named(name: str, environment: Mapping[str, str] = os.environ) -> tzinfo:
    """Raises ConfigurationError for a zone that is not known here."""
    if name.upper() == "UTC":
        return UTC
    if name == "local":
        name = environment.get("TZ", "").removeprefix(":")
        if not name:
            return _machine_zone()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"there is no time zone {name!r} on this machine", hint="write local, UTC, or a name such as Asia/Seoul"
        ) from error


def _machine_zone() -> tzinfo:
    """That of /etc/localtime, with its changes of summer and winter; where it cannot be read, the present offset."""
    try:
        with open("/etc/localtime", "rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return datetime.now().astimezone().tzinfo or UTC
