"""The report: what broke, why, the lines that prove it, and what to do next. One schema for every engine."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from bifrost_domain.logs.digest import Coverage, Redactions, Source
from bifrost_domain.logs.lines import Ranked

SCHEMA_VERSION = 1


class Severity(Ranked):
    """How bad it is. Ordered: `Severity.OK < Severity.CRITICAL`."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Category(StrEnum):
    """What sort of cause it is. `NONE`: nothing is wrong; `UNKNOWN`: the log does not tell."""

    TEST_FAILURE = "test_failure"
    COMPILE_ERROR = "compile_error"
    TYPE_ERROR = "type_error"
    LINT_FAILURE = "lint_failure"
    FORMATTING_FAILURE = "formatting_failure"
    DEPENDENCY_INSTALL = "dependency_install"
    CONTAINER_BUILD = "container_build"
    CI_CONFIGURATION = "ci_configuration"
    PERMISSION_OR_SECRET = "permission_or_secret"
    NETWORK = "network"
    DNS = "dns"
    TLS = "tls"
    RATE_LIMIT = "rate_limit"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    CRASH = "crash"
    DATABASE = "database"
    CONFIGURATION = "configuration"
    KUBERNETES = "kubernetes"
    APPLICATION_ERROR = "application_error"
    NONE = "none"
    UNKNOWN = "unknown"


class Language(StrEnum):
    """The language of a report's prose. Keys, enum values, quotes and commands are never translated."""

    EN = "en"
    KO = "ko"


class Evidence(Struct, frozen=True, kw_only=True):
    """A claim about lines `line_start` to `line_end` of `file`. `verified`: code found the quote there."""

    file: str
    line_start: int
    line_end: int
    quote: str
    reason: str
    verified: bool = False


class Action(Struct, frozen=True, kw_only=True):
    """A next step. `command` is text to read and decide on; nothing in Bifrost ever runs it."""

    title: str
    command: str | None = None
    why: str = ""


class TimelineEntry(Struct, frozen=True, kw_only=True):
    """Something that happened, at a line. `at` is the time as RFC 3339, None where the log has none."""

    at: str | None
    line: int
    event: str


class Report(Struct, frozen=True, kw_only=True):
    """The answer itself. `confidence` is from 0 to 1; `files` and `tests` are those the failure concerns."""

    severity: Severity
    category: Category
    summary: str
    root_cause: str
    confidence: float
    files: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    actions: tuple[Action, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()


class PromptReference(Struct, frozen=True, kw_only=True):
    name: str
    version: int


class Engine(Struct, frozen=True, kw_only=True):
    """Who wrote the report. `degraded` says that another engine was asked first; the reason says what became of it."""

    provider: str
    model: str
    prompt: PromptReference | None = None
    degraded: bool = False
    degraded_reason: str | None = None


class CacheUse(Struct, frozen=True, kw_only=True):
    """Whether the report was reused; `fingerprint` is the incident's name (it groups, it is not the cache key)."""

    hit: bool
    fingerprint: str


class Grounding(Struct, frozen=True, kw_only=True):
    """How many quotes were claimed and how many of them code found in the input."""

    claims: int = 0
    verified: int = 0


class Usage(Struct, frozen=True, kw_only=True):
    """Tokens as the provider counted them; `cost_usd` is None where no price is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None


class Analysis(Struct, frozen=True, kw_only=True):
    """One finished analysis, as it is printed, served and stored."""

    id: str
    created_at: datetime
    source: Source
    engine: Engine
    cache: CacheUse
    report: Report
    coverage: Coverage
    redactions: Redactions
    grounding: Grounding
    usage: Usage
    duration_ms: int
