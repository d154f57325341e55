"""How loud a line is: from a word or number that a format carries, or from the words of its message."""

from functools import cache
from typing import Any, NamedTuple

import re2

from bifrost_domain.logs.lines import Level

_NAMES = {
    Level.DEBUG: "trace trce trc debug dbug dbg verbose verb fine finer finest config spam silly v d t",
    Level.INFO: "info information informational inf notice note log success normal http system default i n",
    Level.WARNING: "warning warn wrn w attention",
    Level.ERROR: "error err eror severe failure fail failed e",
    Level.CRITICAL: "critical crit fatal ftl alert emerg emergency panic dpanic catastrophic c f a",
}
LEVELS: dict[str, Level] = {name: level for level, names in _NAMES.items() for name in names.split()}
"""Every usual name of a level, in lower case, to what it means here."""

SYSLOG_LEVELS = (
    Level.CRITICAL, Level.CRITICAL, Level.CRITICAL, Level.ERROR, Level.WARNING, Level.INFO, Level.INFO, Level.DEBUG,
)  # fmt: skip
"""By severity number, RFC 5424 section 6.2.1: the priority modulo 8."""


def level_of(value: object) -> Level | None:
    """The level that a structured field says: a name, or a number of syslog (0-7) or bunyan and pino (10-60)."""
    if isinstance(value, str):
        name = value.strip().strip("[]<>").lower()
        if (found := LEVELS.get(name)) is not None:
            return found
        if name.rstrip("1234") in ("trace", "debug", "info", "warn", "error", "fatal"):  # OpenTelemetry's finer names
            return LEVELS[name.rstrip("1234")]
        if not (name.isascii() and name.isdigit() and len(name) < 4):
            return None
        value = int(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if value <= 7:
        return SYSLOG_LEVELS[int(value)] if value >= 0 else None
    return _by_threshold(value, ((60, Level.CRITICAL), (50, Level.ERROR), (40, Level.WARNING), (30, Level.INFO)))


def opentelemetry_level(number: float) -> Level:
    """OpenTelemetry's SeverityNumber, 1 to 24 (opentelemetry.io/docs/specs/otel/logs/data-model)."""
    return _by_threshold(number, ((21, Level.CRITICAL), (17, Level.ERROR), (13, Level.WARNING), (9, Level.INFO)))


def python_level(number: float) -> Level:
    """The `levelno` of Python's logging."""
    return _by_threshold(number, ((50, Level.CRITICAL), (40, Level.ERROR), (30, Level.WARNING), (20, Level.INFO)))


def _by_threshold(value: float, steps: tuple[tuple[int, Level], ...]) -> Level:
    return next((level for least, level in steps if value >= least), Level.DEBUG)


_LOOKED_AT = 400
"""Where a line says how loud it is, it says so early; this bounds what a line can cost."""

# A word that is no part of a path, an option, an identifier or an assignment.
_BEFORE = r"(?:^|[^\w./\\@$#%&+=<-])"
_AFTER = r"(?:[^\w/\\=.(!-]|!|\.(?:\W|$)|\([^)]|$)"

_COUNTED = r"(?:errors?|failures?|failed|failing|warnings?|exceptions?|problems?|ERRORS?|FAILED|Errors?|Failures?)"

_QUIET = (
    r"^\s*(?:[$>] |\+{1,3} \S|(?:ok|PASS|PASSED|pass|SKIP|SKIPPED)\b|✓|✔|√|\[command\])",
    r"(?:\bok|\bPASS(?:ED)?|(?:\.\.\.|:|-) ?passed|✓|\bOK|\bSUCCESS|\bSuccess)"
    r"\s*(?:[\[(][^\])]{0,30}[\])]|in [\d.]+ ?m?s)?\s*$",
    r"\bset -e|\|\| exit|\bif \[|\bthen$",
)
"""Echoed commands, and tests that passed, whatever their names say."""

_NOTHING = (
    rf"\b(?:0|no|No|NO|zero|without|any|ignor\w{{1,3}}|on|if) +(?:\w+ +)?{_COUNTED}\b",
    r"\b(?:\w*_)?(?:[Ee]rrors?|[Ff]ail(?:ed|ures?|ing)?|[Ww]arnings?|[Ee]xceptions?|ERRORS?|FAILED|[Aa]borted)\b"
    r"['\"]?(?: +count)?\s?[:=]\s*['\"]?(?:0|none|null|nil|false|''|\"\")(?:[^\w.]|\.\s|\.?$)",
)
"""What says that there was none."""

_CRITICAL = (
    rf"{_BEFORE}(?:FATAL|PANIC|CRITICAL|EMERG(?:ENCY)?|ALERT)(?:[^\w/\\=.(\s-]|\s+[^\s=]|\.(?:\W|$)|\s*$)",
    r"^\s*panic: |\b[Kk]ernel panic\b|\b[Oo]ut of memory: [Kk]ill",
    r"\boom-kill|\bOOMKilled\b|\bfatal runtime error\b|\bCRIT\b",
    r"\bSegmentation fault|\bsegfault\b",
    r"\bcore dumped\b|^fatal error: (?:all goroutines|runtime|stack)|^SIGSEGV|OutOfMemoryError\b",
)

_SUBJECTS = (
    "has|have|was|were|tests?|build|job|command|step|check|task|assertion|examples?|suites?|specs?|Build|Job|Command|Step|Check"
    "|Task|Assertion|Tests?|[Cc]ompilation|[Ii]nstallation|[Aa]uthentication|[Cc]onnection|[Rr]equest|[Ll]ogin|[Vv]alidation"
    "|verification"
)
_ERROR = (
    rf"{_BEFORE}(?:ERROR|ERR|Error|error|SEVERE|Severe|severe|fatal|Fatal|FAILURES?|FAILED|FAIL){_AFTER}",
    r"==ERROR: |\berror(?:\[\w+\]| \w{1,4}\d{2,6}\b)?:|\berror=['\"]?[1-9A-Za-z]|ERR!",
    r"(?:Error|Exception|Panic)(?::|$| in thread| \(| \[|\s-)|\bpanicked at\b|\bUncaught\b|\b[Uu]nhandled\b",
    r"\bTraceback \(most recent call last\)",
    r"^E {2,}\S|^\s*not ok\b|^make(?:\[\d+\])?: \*{3}|^\s*(?:✗|✘|✖|✕|×|●) \S|^--- FAIL",
    r"\b[Ff]ailed (?:to|with|in|at|on|for|due|because|while|when|during|after|opening|loading|building|test)\b",
    r"^[Ff]ailed\b",
    rf"\b(?:{_SUBJECTS}) (?:has |have )?(?:[Ff]ailed|FAILED|failing|failures?)\b|: [Ff]ailed$|\bfailed[:!]",
    r"\b[1-9]\d* (?:\w+ )?(?:failed|failures?|failing|errors?|problems?|FAILED)\b",
    r"\b(?:[Cc]annot|[Cc]ould not|[Cc]ouldn't|[Uu]nable to|[Cc]an't) \w|\b(?:[Pp]ermission|[Aa]ccess) denied\b",
    r"\b[Cc]onnection (?:refused|reset|timed out|closed unexpectedly)\b|\b[Tt]imed out\b|\b[Nn]o space left\b",
    r"\b[Nn]o such (?:file|host|table|module|container|image)\b|\bcommand not found\b|\bnot found$|: not found\b",
    r"\bundefined (?:reference|symbol|method|variable|local)\b",
    r"\bsymbol\S* not found\b|\b[Uu]nresolved (?:external|import|symbol|ref)",
    r"\b[Ee]xit(?:ed)?(?: with)?(?: exit)?(?: status| code| value)?:? *\(?-?[1-9]\d*\b",
    r"\bnon-zero exit|\b[Aa]borted\b|\b[Aa]borting\b",
    r"^Killed\b|\bKilled$|\bkilled by\b|\bERESOLVE\b|\bENOENT\b|HTTP/\d(?:\.\d)?\" 5\d\d\b",
    r"\bCONFLICT \(|\b[Mm]erge conflict\b",
    r"\bunexpected (?:token|end|EOF)\b|\bsyntax error\b|\b(?:CrashLoop|ImagePull)BackOff\b",
)

_WARNING = (
    rf"{_BEFORE}(?:WARNING|WARN|Warning|warning){_AFTER}|Warning:|^npm [Ww][Aa][Rr][Nn]\b|\[warn\]",
    r"\b[Ww]arning(?:\[\w+\]| \w{1,4}\d{2,6}\b)?:|\bDEPRECAT\w+|\b[Dd]eprecat(?:ed|ion)\b",
)


class _Words(NamedTuple):
    any: Any
    quiet: Any
    nothing: Any
    critical: Any
    error: Any
    warning: Any


@cache
def _words() -> _Words:
    groups = (_CRITICAL + _ERROR + _WARNING, _QUIET, _NOTHING, _CRITICAL, _ERROR, _WARNING)
    return _Words(*(re2.compile("|".join(group)) for group in groups))


def infer_level(message: str) -> Level | None:
    """The level that the words of a message tell, None where they tell none. For lines whose format carries no level.

    It judges words by their place: `error:` and `ValueError:` are errors; `0 errors`, `errors.py`, `--fail-fast`, an
    HTTP 404, an echoed command and a test named after a failure that passed are not. Only the first 400 characters
    count (and the end, where a test's verdict stands).
    """
    if len(message) > _LOOKED_AT:
        message = f"{message[: _LOOKED_AT - 40]} {message[-40:]}"
    words = _words()
    if words.any.search(message) is None or words.quiet.search(message) is not None:
        return None
    said = words.nothing.sub(" ", message)
    if words.critical.search(said) is not None:
        return Level.CRITICAL
    failed, warned = words.error.search(said), words.warning.search(said)
    if warned is not None and (failed is None or warned.start() <= failed.start()):
        return Level.WARNING
    return None if failed is None else Level.ERROR
