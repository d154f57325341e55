"""What one line of a log is, before and after it was reduced."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Ranked(StrEnum):
    """A string enumeration ordered by definition, least first, instead of by spelling."""

    @property
    def rank(self) -> int:
        return list(type(self)).index(self)

    def __lt__(self, other: str) -> bool:
        return self.rank < type(self)(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= type(self)(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > type(self)(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= type(self)(other).rank


class Level(Ranked):
    """How loud a line is. Ordered: `Level.DEBUG < Level.CRITICAL`."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Fields(Struct, frozen=True, kw_only=True):
    """What a format reader makes of one cleaned line: the same four fields out of every input shape.

    `message` is the part that people read, without the format's own header; it is the whole line where no header
    was recognised. `level` is None where the format does not carry one (it may still be inferred from the words).
    `start` is False where the line plainly continues the record before it (a pretty-printed JSON body, a journald
    field), so that it belongs to the same block and shares its time, level and source.
    """

    message: str
    time: datetime | None = None
    level: Level | None = None
    source: str | None = None
    start: bool = True


class Line(Struct, frozen=True, kw_only=True):
    """One line of the original, as it may be shown, sent and stored: cleaned and redacted, never abbreviated.

    `number` counts physical lines from 1 in the decompressed original, split at `\\n`. `count` is how many lines of
    the input this one stands for (itself included). Lines with equal `block` form one unit (a traceback, a diff, a
    test summary, a JSON record), whose sort `kind` names.
    """

    file: str
    number: int
    text: str
    level: Level = Level.INFO
    time: datetime | None = None
    source: str | None = None
    message: str = ""
    count: int = 1
    block: int = 0
    kind: str = "line"
