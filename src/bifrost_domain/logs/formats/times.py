"""Times as logs write them, read into aware datetimes in UTC. A time without a zone is in that of the reference."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import NamedTuple

from bifrost_domain.errors import BadOption

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY_NAME = "(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?"
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,:](?P<fraction>\d{1,9}))?"
_ZONE = r"(?: ?(?P<zone>Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?"

_EPOCH_MIN, _EPOCH_MAX = 1e8, 5e9
_HEADER = 64
"""No time that is recognised is longer."""


class Moment(NamedTuple):
    """A recognised time: where it ends in its line, and what it says; `at` is None where no date goes with it."""

    end: int
    at: datetime | None


class Clock:
    """Recognises a time at a position of a line, trying first the form that was met last.

    `reference` dates the forms that have no year (RFC 3164): they get the year that brings them nearest to it but not
    more than a day after it. Without one they have no date, and their lines no time. Its zone is that of times
    that name none; without a reference those are in UTC.
    """

    def __init__(self, reference: datetime | None = None) -> None:
        self._reference = reference
        self._forms = list(_forms())

    def at(self, text: str, position: int = 0) -> Moment | None:
        """The time that begins at `position`, None where none does."""
        for index, (pattern, read) in enumerate(self._forms):
            match = pattern.match(text, position, position + _HEADER)
            if match is None:
                continue
            try:
                moment = read(match, self._reference)
            except (ValueError, OverflowError):
                continue
            if index:
                self._forms.insert(0, self._forms.pop(index))
            return Moment(match.end(), moment)
        return None


_Read = Callable[[re.Match[str], datetime | None], datetime | None]


@cache
def _forms() -> tuple[tuple[re.Pattern[str], _Read], ...]:
    """The forms, the usual ones first; no two of them can read one text in different ways but by their order."""
    return tuple(
        (re.compile(pattern), read)
        for pattern, read in (
            (r"(?P<stamp>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)(?![\d.]|:\d)"
             r"(?: (?P<zone>UTC|GMT|[+-]\d{4})\b)?", _read_iso),
            (rf"{_DAY_NAME}(?P<month>{_MONTH}) {{1,2}}(?P<day>\d{{1,2}}),? "
             rf"(?P<year>(?!\d\d:)\d{{4}} )?{_CLOCK}(?P<half> [AP]M)?"
             rf"(?: (?:[A-Z]{{3,4}} )?(?P<late_year>\d{{4}})\b(?!:))?", _read_parts),
            (rf"(?P<year>\d{{4}})[-/.](?P<month>\d\d)[-/.](?P<day>\d\d)(?:[T _.-]|, ?){_CLOCK}{_ZONE}", _read_parts),
            (r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)[-_T]"
             r"(?P<hour>\d\d)[.-](?P<minute>\d\d)[.-](?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?", _read_parts),
            (rf"{_DAY_NAME}(?P<day>\d{{1,2}})[ /-](?P<month>{_MONTH})"
             rf"[ /-](?P<year>\d{{4}})[ :T]{_CLOCK}{_ZONE}", _read_parts),
            (rf"{_DAY_NAME}(?P<day>\d{{1,2}}) (?P<month>{_MONTH}) {_CLOCK}", _read_parts),
            (rf"(?P<year>\d{{4}})(?P<month>\d\d)(?P<day>\d\d)[-T ]"
             rf"(?P<hour>\d{{1,2}}):(?P<minute>\d{{1,2}}):(?P<second>\d{{1,2}})"
             rf"(?:[.,:](?P<fraction>\d{{1,9}}))?{_ZONE}", _read_parts),
            (r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)T(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)(?P<zone>Z?)\b",
             _read_parts),
            (rf"(?P<a>\d{{1,2}})/(?P<b>\d\d)/(?P<c>\d{{4}}|\d\d)[, ] ?{_CLOCK}(?P<half> [AP]M)?", _read_slashes),
            (r"(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d) +"
             r"(?P<hour>\d{1,2}):?(?P<minute>\d\d):?(?P<second>\d\d)(?![\w:])",
             _read_parts),
            (rf"(?P<month>\d\d)[-./](?P<day>\d\d) {_CLOCK}", _read_parts),
            (r"(?P<epoch>\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})(?![\w.:-])", _read_epoch),
            (rf"{_CLOCK}(?![\w:])", _read_clock),
        )
    )  # fmt: skip


def parse_time(text: str, reference: datetime | None = None) -> datetime | None:
    """The time that `text` as a whole is, in any form that logs use; None where it is none or has no date."""
    stripped = text.strip()
    moment = Clock(reference).at(stripped)
    return moment.at if moment is not None and moment.end >= len(stripped) else None


def parse_epoch(value: float) -> datetime | None:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by size; None outside 1973-2128."""
    for scale in (1, 1_000, 1_000_000, 1_000_000_000):
        if _EPOCH_MIN <= value / scale < _EPOCH_MAX:
            seconds, rest = divmod(value, scale)
            if scale == 1:
                return datetime.fromtimestamp(value, UTC)
            return datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(rest * 1_000_000 / scale))
    return None


def parse_moment(text: str, now: datetime) -> datetime:
    """The moment a person means: a time, a time of today or yesterday (`10:00`), or how long ago (`15m`, `2h`, `3d`).

    `now` is aware; a time that names no zone is in its zone. Raises BadOption.
    """
    stripped = text.strip()
    if ago := re.fullmatch(r"(\d{1,6})\s*(s|m|h|d|w)(?: ago)?", stripped):
        unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[ago[2]]
        try:
            return (now - timedelta(**{unit: int(ago[1])})).astimezone(UTC)
        except OverflowError:
            pass
    if stripped.lower() in ("now", "today", "yesterday"):
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        days = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
        return days[stripped.lower()].astimezone(UTC)
    if clock := re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?(Z|\s?UTC)?", stripped):
        hour, minute, second = (int(part or 0) for part in clock.groups()[:3])
        there = now.astimezone(UTC) if clock[4] else now
        today = there.replace(hour=hour, minute=minute, second=second, microsecond=0)
        return (today if today <= now else today - timedelta(days=1)).astimezone(UTC)
    try:
        return _in_utc(datetime.fromisoformat(stripped), now)
    except (ValueError, OverflowError):
        pass
    moment = parse_time(stripped, now)
    if moment is None:
        raise BadOption(
            "not a time that can be read",
            hint="Write it as 2026-11-20T10:00:00Z, '2026-11-20 10:00', 10:00, or how long ago: 15m, 2h, 3d.",
        )
    return moment


def _home(reference: datetime | None) -> tzinfo:
    """The zone of times that name none."""
    return UTC if reference is None or reference.tzinfo is None else reference.tzinfo


def _in_utc(moment: datetime, reference: datetime | None) -> datetime:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_home(reference))
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _read_iso(match: re.Match[str], reference: datetime | None) -> datetime:
    moment = datetime.fromisoformat(match["stamp"])
    if moment.tzinfo is UTC:
        return moment
    if match["zone"] is not None:
        moment = moment.replace(tzinfo=_zone(match["zone"]))
    return _in_utc(moment, reference)


def _read_parts(match: re.Match[str], reference: datetime | None) -> datetime | None:
    parts = match.groupdict()
    month = parts["month"]
    year = parts.get("year") or parts.get("late_year")
    hour = _hour(int(parts["hour"]), parts.get("half"))
    day, minute, second = int(parts["day"]), int(parts["minute"]), int(parts["second"])
    number = _MONTHS[month.lower()] if month[0].isalpha() else int(month)
    fraction = _microseconds(parts.get("fraction"))
    if year is None:
        return _nearest(reference, number, day, hour, minute, second, fraction)
    full = int(year) if len(year.strip()) == 4 else 2000 + int(year)
    zone = _zone(parts["zone"]) if parts.get("zone") else _home(reference)
    return datetime(full, number, day, hour, minute, second, fraction, zone).astimezone(UTC)


def _read_slashes(match: re.Match[str], reference: datetime | None) -> datetime:
    """`yy/MM/dd` (log4j's own) with a short year; `MM/dd/yyyy` with a long one, unless that is no date."""
    first, middle, last = int(match["a"]), int(match["b"]), int(match["c"])
    if len(match["c"]) == 2:
        year, month, day = (2000 + first, middle, last) if middle <= 12 else (2000 + last, first, middle)
    else:
        year, month, day = (last, first, middle) if first <= 12 else (last, middle, first)
    hour = _hour(int(match["hour"]), match["half"])
    clock = (hour, int(match["minute"]), int(match["second"]), _microseconds(match["fraction"]))
    return datetime(year, month, day, *clock, _home(reference)).astimezone(UTC)


def _read_epoch(match: re.Match[str], reference: datetime | None) -> datetime:
    digits = match["epoch"]
    moment = parse_epoch(float(digits) if "." in digits else int(digits))
    if moment is None:
        raise ValueError("not near the present")
    return moment


def _read_clock(match: re.Match[str], reference: datetime | None) -> None:
    if int(match["hour"]) > 23 or int(match["minute"]) > 59:
        raise ValueError("not a time of day")


def _nearest(
    reference: datetime | None, month: int, day: int, hour: int, minute: int, second: int, microsecond: int
) -> datetime | None:
    if reference is None:
        datetime(2000, month, day, hour, minute, second)
        return None
    latest = reference.astimezone(UTC) + timedelta(days=1)
    for year in range(latest.year, latest.year - 9, -1):
        try:
            moment = datetime(year, month, day, hour, minute, second, microsecond, _home(reference)).astimezone(UTC)
        except ValueError:
            continue
        if moment <= latest:
            return moment
    raise ValueError("no such day in any year near the reference")


def _hour(hour: int, half: str | None) -> int:
    return hour if half is None else hour % 12 + (12 if half.strip() == "PM" else 0)


def _microseconds(fraction: str | None) -> int:
    return int(fraction[:6].ljust(6, "0")) if fraction else 0


def _zone(zone: str) -> timezone:
    if zone in ("Z", "UTC", "GMT"):
        return UTC
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return timezone(offset if zone[0] == "+" else -offset)
