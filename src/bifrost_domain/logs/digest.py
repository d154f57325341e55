"""The digest: what is left of a log, small enough for any model, with the numbers that say what was left out."""

from datetime import datetime

from msgspec import Struct

from bifrost_domain.logs.lines import Level, Line


class SourceFile(Struct, frozen=True, kw_only=True):
    """One input as it was read: `lines` and `bytes` of the decompressed original."""

    name: str
    lines: int
    bytes: int


class Source(Struct, frozen=True, kw_only=True):
    """Where the log came from. `name` is what the user typed; `kind` is stdin, file, directory or another scheme."""

    name: str
    kind: str
    files: tuple[SourceFile, ...] = ()


class Coverage(Struct, frozen=True, kw_only=True):
    """What was read and what of it is shown. Counts are of the decompressed original, filtered lines included.

    `tokens_estimated` is of the shown text, by `tokens.estimate`. `lines_truncated` counts lines whose text was cut
    because they were overlong. Times are the earliest and latest that were recognised, None where there was none.
    """

    lines_read: int = 0
    bytes_read: int = 0
    templates: int = 0
    templates_shown: int = 0
    lines_shown: int = 0
    tokens_estimated: int = 0
    lines_truncated: int = 0
    time_start: datetime | None = None
    time_end: datetime | None = None


class Redactions(Struct, frozen=True, kw_only=True):
    """How many secrets were masked, by kind. Counts lines of the input that were looked at, not occurrences shown."""

    total: int = 0
    by_kind: dict[str, int] = {}


class Template(Struct, frozen=True, kw_only=True):
    """A sort of line: its text with the variable parts as `<*>`, how often and where it occurs."""

    id: int
    template: str
    count: int
    severity: Level
    first_line: int
    last_line: int


class Digest(Struct, frozen=True, kw_only=True):
    """The reduced log. `lines` are in reading order; `fingerprint` names the incident, not the text.

    It takes a diagnosis to name an incident: `fingerprint` is empty until `diagnosis.identity` told its parts.
    Everything in it is cleaned and redacted: it is safe to store, send and show.
    """

    source: Source
    lines: tuple[Line, ...]
    coverage: Coverage
    redactions: Redactions
    fingerprint: str = ""
    templates: tuple[Template, ...] = ()
