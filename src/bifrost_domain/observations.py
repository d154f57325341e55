"""What happens while Bifrost serves, as those who measure it are told: numbers and names, never text of a log."""

from collections.abc import Mapping

from msgspec import Struct

from bifrost_domain.metrics import AnalysisMetric
from bifrost_domain.report import Severity


class Begun(Struct, frozen=True, tag=True):
    """An analysis begins; `Ended` follows, however it ends."""


class Ended(Struct, frozen=True, tag=True):
    """An analysis is over; its client may have left."""


class Analysed(Struct, frozen=True, tag=True, kw_only=True):
    """An analysis ended with a report, or with an error: then `severity` is None.

    `masked` counts what was redacted, by kind. `sought`: whether the cache was asked for an answer.
    """

    metric: AnalysisMetric
    severity: Severity | None = None
    masked: Mapping[str, int] = {}
    sought: bool = False


class Repeated(Struct, frozen=True, tag=True, kw_only=True):
    """A request was answered with the analysis that was made for the same one before."""

    provider: str
    model: str


class Asked(Struct, frozen=True, tag=True, kw_only=True):
    """A model was sent a request. `outcome` is `answered` or the slug of what went wrong; `left` where who asked gave
    up. Tokens are those of an answer."""

    provider: str
    model: str
    outcome: str
    seconds: float
    first_token_seconds: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class Circuit(Struct, frozen=True, tag=True, kw_only=True):
    """A provider is left alone (`open`), or asked again."""

    provider: str
    open: bool


class Jobs(Struct, frozen=True, tag=True, kw_only=True):
    """How many items of batches wait for anybody, and how many this process runs."""

    queued: int
    running: int


class Arrived(Struct, frozen=True, tag=True, kw_only=True):
    """A request came in; `Served` follows, in the same task. `traceparent` is that header (W3C Trace Context)."""

    method: str
    traceparent: str | None = None


class Served(Struct, frozen=True, tag=True, kw_only=True):
    """A request was answered, or a WebSocket closed (`status`: its close code). `route` is the template."""

    method: str
    route: str
    status: int
    seconds: float


class Shed(Struct, frozen=True, tag=True, kw_only=True):
    """A request was refused since there was too much to do."""

    reason: str


class Streaming(Struct, frozen=True, tag=True, kw_only=True):
    """A stream began (1) or ended (-1)."""

    change: int


Observation = Begun | Ended | Analysed | Repeated | Asked | Circuit | Jobs | Arrived | Served | Shed | Streaming


class Exposition(Struct, frozen=True, kw_only=True):
    """All that was counted, as a monitoring system reads it."""

    content_type: str
    body: bytes
