"""How loud a line is: from a word or number that a format carries, or from the words of its message."""

import re
from functools import cache

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

_STEMS = (
    "rror", "ail", "FAIL", "RROR", "xception", "warn", "Warn", "WARN", "atal", "FATAL", "anic", "PANIC", "raceback", "ritical",
    "CRIT", "E  ", "ERR", "not ok", "***", "enied", "efused", "annot", "ould not", "nable to", "illed", "imed out", "egmentation",
    "bort", "eprecat", "✗", "✘", "✖", "✕", "×", "●", "not found", "No such", "ndefined", "nresolved", "exit", "onflict", "nvalid",
    "ut of memory", "core dumped", "oom-kill", "EVERE", "nexpected", " 5", "mergency", "xpired", "issing", "eset by peer",
    "no space", "No space", "EMERG", "ALERT", "ERESOLVE", "ENOENT",
)  # fmt: skip

_NOT_PART = r"(?<![\w./\\@$#%&+=<-])"
_WORD_END = r"(?![\w/\\=-]|\.\w|\(\))"

_QUIET = (
    r"^\s*+(?:[$>] |\+{1,3} (?!\s)|(?:ok|PASS|PASSED|pass|✓|✔|√)\b|✓|✔|√|\[command\])"
    r"|(?:\bok|\bPASS(?:ED)?|\bpassed|✓|\bOK|\bSUCCESS)\s*+(?:[\[(][^\])]{0,30}[\])]|in [\d.]+ ?m?s)?+\s*+$"
    r"|\bset -e|\|\| exit|\bif \[|\bthen$"
)
_NOTHING = (
    r"\b(?:0|no|No|NO|zero|without|any|ignor\w{1,3}|on|if|0 potential) +(?:(?:\w+) +)?(?:errors?|failures?|failed|failing|warnings?|exceptions?|"
    r"fatal|problems?|ERRORS?|FAILED|Errors?|Failures?)\b"
    r"|\b(?:errors?|fail(?:ed|ures?|ing)?|warnings?|exceptions?|error_count|ERRORS?|FAILED|aborted)\b['\"]?(?: +count)?\s?[:=]\s*+['\"]?"
    r"(?:0|none|null|nil|false|''|\"\")(?![\w.])"
)
_CRITICAL = (
    rf"{_NOT_PART}(?:FATAL|PANIC|CRITICAL|EMERG(?:ENCY)?|ALERT){_WORD_END}(?!\s?=)"
    r"|^\s*+panic: |\b[Kk]ernel panic\b|\b[Oo]ut of memory: [Kk]ill|\boom-kill|\bfatal runtime error\b|\bCRIT\b"
    r"|\bSegmentation fault|\bsegfault\b|\bcore dumped\b|^fatal error: (?:all goroutines|runtime|stack)|^SIGSEGV|\bOutOfMemoryError\b"
)
_ERROR = (
    rf"{_NOT_PART}(?:ERROR|ERR!?|Error|error|SEVERE|Severe|severe|fatal|Fatal|FAILURE|FAILED|FAIL|FAILURES|FAILURE)(?:!|{_WORD_END})"
    r"(?<!stderr)|\berror(?:\[\w+\]| \w{1,4}\d{2,6}\b)?:|\berror=['\"]?\w"
    r"|\b\w{0,60}(?:Error|Exception|Panic)\b(?=:|$| in thread| \(|\s-)|\bUncaught\b|\b[Uu]nhandled\b|\bTraceback \(most recent call last\)"
    r"|^E {2,}\S|^npm ERR!|^\s*+not ok\b|^make(?:\[\d+\])?: \*{3}|^\s*+(?:✗|✘|✖|✕|×|●) \S|^--- FAIL"
    r"|\b[Ff]ailed (?:to|with|in|at|on|for|due|because|while|when|during|after|opening|loading|building|test)\b|\b(?:has|have|was|were|test|tests|build|job|command|step|check|"
    r"task|assertion|examples?|suites?|specs?|Build|Job|Command|Step|Check|Task|Assertion|Tests?|Compilation|compilation|Installation|authentication|Authentication|"
    r"connection|Connection|request|Request|login|[Vv]alidation|verification|\d+) (?:has |have )?(?:[Ff]ailed|FAILED|failing|failures?)\b|^[Ff]ailed\b|: [Ff]ailed$|\bfailed[:!]"
    r"|\b(?:[Cc]annot|[Cc]ould not|[Cc]ouldn't|[Uu]nable to|[Cc]an't) \w+|\b[Pp]ermission denied\b|\b[Aa]ccess denied\b"
    r"|\b[Cc]onnection (?:refused|reset|timed out|closed unexpectedly)\b|\b[Nn]o such (?:file|host|table|module|container|image)\b"
    r"|\bcommand not found\b|\bnot found$|: not found\b|\b[Tt]imed out\b|\b[Nn]o space left\b|\bundefined (?:reference|symbol|method|variable|local)\b|\b[Uu]nresolved\b"
    r"|\b(?:exit(?:ed)?|Exit(?:ed)?)(?: with)?(?: exit)?(?: status| code| value)?:? *(?:\(?)(?!0\b)-?\d+\b|\bnon-zero\b|\b[Aa]borted\b|\b[Aa]borting\b|^Killed\b|\bKilled$|\bkilled by\b"
    r"|\bERESOLVE\b|\bENOENT\b|\bno test files?\b(?=.*FAIL)|HTTP/\d(?:\.\d)?\" 5\d\d\b|\bCONFLICT \(|\b[Mm]erge conflict\b|\bunexpected (?:token|end|EOF)\b|\bsyntax error\b"
)
_WARNING = (
    rf"{_NOT_PART}(?:WARNING|WARN|Warning|warning){_WORD_END}|\b\w{{0,60}}Warning:|^npm [Ww][Aa][Rr][Nn]\b|\bDEPRECAT\w+|\b[Dd]eprecat(?:ed|ion)\b"
    r"|\b[Ww]arning(?:\[\w+\]| \w{1,4}\d{2,6}\b)?:|\b(?:access|connection|request) (?:denied|refused)\b"
)


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in (_QUIET, _NOTHING, _CRITICAL, _ERROR, _WARNING))


def infer_level(message: str) -> Level | None:
    """The level that the words of a message tell, None where they tell none. For lines whose format carries no level.

    It judges words by their place: `error:` and `ValueError` are errors; `0 errors`, `errors.py`, `--fail-fast`, an
    HTTP 404, an echoed command and a test named after a failure that passed are not. Only the first 400 characters
    count (and the end, where a test's verdict stands).
    """
    for stem in _STEMS:
        if stem in message:
            break
    else:
        return None
    return _judge(message if len(message) <= _LOOKED_AT else f"{message[: _LOOKED_AT - 40]} {message[-40:]}")


def _judge(message: str) -> Level | None:
    quiet, nothing, critical, error, warning = _patterns()
    if quiet.search(message) is not None:
        return None
    said = nothing.sub(" ", message)
    if critical.search(said) is not None:
        return Level.CRITICAL
    failed, warned = error.search(said), warning.search(said)
    if warned is not None and (failed is None or warned.start() <= failed.start()):
        return Level.WARNING
    return None if failed is None else Level.ERROR
