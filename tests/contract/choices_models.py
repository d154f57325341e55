"""Which model adapters the contract suite runs, and the server each of them speaks to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.contract.servers.bedrock import BedrockStub, WholeBedrockStub
from tests.contract.servers.ollama import MODEL, OllamaStub
from tests.contract.servers.wire import Stub


@dataclass(frozen=True)
class ModelChoice:
    """`options` makes the adapter's settings from the server's address. Without a server, from the answer to give."""

    kind: str
    options: Callable[[str], dict[str, Any]]
    server: type[Stub] | None = None


CHOICES = {
    "ollama": ModelChoice("ollama", lambda url: {"host": url, "model": MODEL}, OllamaStub),
    "bedrock": ModelChoice("bedrock", lambda url: {"endpoint_url": url}, BedrockStub),
    "bedrock whole": ModelChoice("bedrock", lambda url: {"endpoint_url": url, "streaming": False}, WholeBedrockStub),
    "scripted": ModelChoice("scripted", lambda answer: {"answers": [answer], "piece_characters": 3}),
}
