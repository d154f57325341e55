"""The one table from an error to what each front door answers: HTTP status, exit code, WebSocket close code."""

from enum import IntEnum

from msgspec import Struct

from bifrost_domain import errors


class ExitCode(IntEnum):
    """What the command line ends with. Findings are the normal result and do not change it."""

    DONE = 0
    """The report was printed."""
    SEVERITY_REACHED = 1
    """Only with --fail-on: the report is at least that severe; or with --fail-under: a score is lower."""
    USAGE = 2
    """Wrong usage or configuration."""
    FAILED = 3
    """A provider or the storage failed, and fallback was off. A report that exists was printed."""
    NO_INPUT = 4
    """Nothing readable was given."""
    LIMIT = 5
    """Stopped by --timeout, --max-cost or a quota. A report that exists was printed."""
    SOME_INPUTS_FAILED = 6
    """Some inputs failed and are named on stderr, the others were done."""
    BUG = 70
    """An error nobody foresaw (EX_SOFTWARE of sysexits.h)."""
    INTERRUPTED = 130
    """Stopped from the keyboard; nothing half done was stored."""


class Outcome(Struct, frozen=True):
    """`close` is the WebSocket close code: 4000 + status."""

    status: int
    exit: ExitCode

    @property
    def close(self) -> int:
        return 4000 + self.status


OUTCOMES: dict[type[errors.BifrostError], Outcome] = {
    errors.InvalidInput: Outcome(400, ExitCode.NO_INPUT),
    errors.LogTooLarge: Outcome(413, ExitCode.NO_INPUT),
    errors.TooSlow: Outcome(408, ExitCode.NO_INPUT),
    errors.UnsupportedMedia: Outcome(415, ExitCode.USAGE),
    errors.InvalidRequest: Outcome(422, ExitCode.USAGE),
    errors.ConfigurationError: Outcome(500, ExitCode.USAGE),
    errors.Unauthenticated: Outcome(401, ExitCode.USAGE),
    errors.Forbidden: Outcome(403, ExitCode.USAGE),
    errors.NotFound: Outcome(404, ExitCode.USAGE),
    errors.Conflict: Outcome(409, ExitCode.USAGE),
    errors.LimitReached: Outcome(429, ExitCode.LIMIT),
    errors.ModelUnavailable: Outcome(503, ExitCode.FAILED),
    errors.ModelRefused: Outcome(502, ExitCode.FAILED),
    errors.ModelThrottled: Outcome(503, ExitCode.FAILED),
    errors.ModelTimeout: Outcome(504, ExitCode.FAILED),
    errors.BadAnswer: Outcome(502, ExitCode.FAILED),
    errors.ModelError: Outcome(502, ExitCode.FAILED),
    errors.StorageUnavailable: Outcome(503, ExitCode.FAILED),
    errors.ShuttingDown: Outcome(503, ExitCode.FAILED),
    errors.Cancelled: Outcome(400, ExitCode.INTERRUPTED),
    errors.Unreachable: Outcome(503, ExitCode.FAILED),
    errors.CacheUnavailable: Outcome(503, ExitCode.FAILED),
    errors.ShardLost: Outcome(500, ExitCode.FAILED),
    errors.BifrostError: Outcome(500, ExitCode.BUG),
}


def outcome(error: errors.BifrostError) -> Outcome:
    """The row of the nearest family of `error`."""
    return next(OUTCOMES[family] for family in type(error).__mro__ if family in OUTCOMES)
