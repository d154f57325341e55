"""All that a front door sees of Bifrost."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from bifrost_domain.analysis import Analyst
from bifrost_domain.archive import Archive
from bifrost_domain.batches import Batches
from bifrost_domain.keyring import KeyRing
from bifrost_domain.logs.redaction import Pseudonyms
from bifrost_domain.ports import Cache, LanguageModel, Storage
from bifrost_domain.prompt import PromptVersion
from bifrost_domain.promptbook import PromptBook


class Application(Struct, frozen=True, kw_only=True):
    """The use cases, and the ports for plain reads. What costs time to open is opened by its first use.

    `open_storage` raises StorageUnavailable, `open_cache` CacheUnavailable, `open_model(name, model)` the
    ConfigurationError of an unknown name or option. `find_prompt(reference)` gives a wording, that in production for
    None; it raises PromptNotFound. `pseudonyms`, where they are on, turns the names of this run
    back: for a local display, and for nothing else.
    """

    analyst: Analyst
    archive: Archive
    promptbook: PromptBook
    keyring: KeyRing
    batches: Batches
    open_storage: Callable[[], Awaitable[Storage]]
    open_cache: Callable[[], Awaitable[Cache]]
    open_model: Callable[[str, str | None], Awaitable[LanguageModel]]
    find_prompt: Callable[[str | None], Awaitable[PromptVersion]]
    pseudonyms: Pseudonyms | None = None
