"""Every error Bifrost raises on purpose, as one tree.

    BifrostError
    ├── InvalidInput            what was given to read cannot be read
    │   ├── NoReadableInput     no input, or none that could be opened
    │   ├── EmptyLog            there was input, but no line in it
    │   ├── NoLineInRange       there were lines, but none in the time that was asked for
    │   ├── LogTooLarge         over a configured limit
    │   ├── NotJson             a request that has to be JSON and is none
    │   └── TooSlow             a request that did not arrive in time
    ├── InvalidRequest          an option or a field has an impossible value
    │   ├── BadOption
    │   ├── BadPrompt
    │   └── UnsupportedMedia    in a form that nobody here reads
    ├── ConfigurationError      the settings are wrong
    ├── Unauthenticated         no valid API key; one answer for every reason, so that nothing can be learned from it
    ├── Forbidden               the key is valid, and may not do this
    ├── NotFound
    │   ├── AnalysisNotFound
    │   ├── PromptNotFound      the prompt, its version or its label
    │   ├── KeyNotFound
    │   └── BatchNotFound
    ├── Conflict                somebody else was first
    │   └── PromptVersionExists
    ├── LimitReached            a limit the user set was reached: time, cost, quota
    │   └── RateLimited         too many requests; it passes by itself
    ├── ModelError              a provider did not deliver a usable answer
    │   ├── ModelUnavailable    not there, or failing
    │   │   └── ModelRefused    no such model, a rejected credential or request: it stays so until somebody acts
    │   ├── ModelThrottled      it asks to be called less often
    │   ├── ModelTimeout        it took too long
    │   └── BadAnswer           it answered, but not with a report
    ├── StorageUnavailable      the database cannot be used now
    │   ├── StorageFull
    │   └── SchemaMismatch      the database is older or newer than this program
    ├── ShuttingDown            the server was told to stop; another one, or this one after its restart, serves
    ├── Cancelled               whoever asked wants it no more
    ├── Unreachable             a service of Bifrost's did not answer its client
    ├── CacheUnavailable        never leaves the analysis: no cache means a miss
    └── ShardLost               never leaves the analysis: the log is read again in one process

A message says what went wrong, where, and what to do. It never carries log text or a secret.
`bifrost_entrypoints.outcomes` maps each family to an HTTP status, an exit code and a close code.
"""


class BifrostError(Exception):
    """The root. `slug` is stable and goes to clients; `hint` says what to do next, where there is something to do."""

    slug = "internal-error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidInput(BifrostError):
    slug = "invalid-input"


class NoReadableInput(InvalidInput):
    slug = "no-readable-input"


class EmptyLog(InvalidInput):
    slug = "empty-log"


class NoLineInRange(InvalidInput):
    slug = "no-line-in-range"


class LogTooLarge(InvalidInput):
    slug = "log-too-large"


class NotJson(InvalidInput):
    slug = "not-json"


class TooSlow(InvalidInput):
    slug = "too-slow"


class InvalidRequest(BifrostError):
    slug = "invalid-request"


class BadOption(InvalidRequest):
    slug = "bad-option"


class BadPrompt(InvalidRequest):
    slug = "bad-prompt"


class UnsupportedMedia(InvalidRequest):
    slug = "unsupported-media"


class ConfigurationError(BifrostError):
    slug = "configuration-error"


class Unauthenticated(BifrostError):
    """Its message is one and the same for an unknown, expired, revoked or malformed key."""

    slug = "unauthenticated"

    def __init__(
        self,
        message: str = "a valid API key is needed",
        *,
        hint: str = "send it as Authorization: Bearer KEY, or as X-API-Key: KEY",
    ) -> None:
        super().__init__(message, hint=hint)


class Forbidden(BifrostError):
    slug = "forbidden"


class NotFound(BifrostError):
    slug = "not-found"


class AnalysisNotFound(NotFound):
    slug = "analysis-not-found"


class PromptNotFound(NotFound):
    slug = "prompt-not-found"


class KeyNotFound(NotFound):
    slug = "key-not-found"


class BatchNotFound(NotFound):
    slug = "batch-not-found"


class Conflict(BifrostError):
    slug = "conflict"


class PromptVersionExists(Conflict):
    slug = "prompt-version-exists"


class LimitReached(BifrostError):
    slug = "limit-reached"


class RateLimited(LimitReached):
    """`retry_after`: seconds after which it is worth trying again."""

    slug = "rate-limited"

    def __init__(self, message: str, *, retry_after: float = 1.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ModelError(BifrostError):
    """`provider` is the name of the configured entry that failed."""

    slug = "model-error"

    def __init__(self, message: str, *, provider: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.provider = provider


class ModelUnavailable(ModelError):
    """`retryable`: it may pass (refused, a 5xx), other than a missing model or a rejected credential.

    `retry_after`: seconds after which it is worth trying again, None where nobody knows.
    """

    slug = "model-unavailable"

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        hint: str = "",
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, provider=provider, hint=hint)
        self.retryable = retryable
        self.retry_after = retry_after


class ModelRefused(ModelUnavailable):
    slug = "model-refused"


class ModelThrottled(ModelError):
    """`retry_after` is in seconds, None where the provider did not say."""

    slug = "model-throttled"

    def __init__(self, message: str, *, provider: str = "", hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, provider=provider, hint=hint)
        self.retry_after = retry_after


class ModelTimeout(ModelError):
    slug = "model-timeout"


class BadAnswer(ModelError):
    """`malformed`: not even in the provider's protocol, or without an end; else what a model that works wrote."""

    slug = "bad-answer"

    def __init__(self, message: str, *, provider: str = "", hint: str = "", malformed: bool = False) -> None:
        super().__init__(message, provider=provider, hint=hint)
        self.malformed = malformed


class StorageUnavailable(BifrostError):
    slug = "storage-unavailable"


class StorageFull(StorageUnavailable):
    slug = "storage-full"


class SchemaMismatch(StorageUnavailable):
    slug = "schema-mismatch"


class ShuttingDown(BifrostError):
    slug = "shutting-down"

    def __init__(self, message: str = "the server is shutting down", *, hint: str = "try again") -> None:
        super().__init__(message, hint=hint)


class Cancelled(BifrostError):
    slug = "cancelled"


class Unreachable(BifrostError):
    slug = "unreachable"


class CacheUnavailable(BifrostError):
    slug = "cache-unavailable"


class ShardLost(BifrostError):
    slug = "shard-lost"
