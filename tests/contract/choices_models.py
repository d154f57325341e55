"""Which model adapters the contract suite runs, and the server each of them speaks to."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.contract.servers.bedrock import BedrockStub, WholeBedrockStub
from tests.contract.servers.chat_completions import ChatCompletionsStub
from tests.contract.servers.ollama import MODEL, OllamaStub
from tests.contract.servers.wire import Stub

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-model.md"


@dataclass(frozen=True)
class ModelChoice:
    """`options` makes the adapter's settings from the server's address. Without a server, from the answer to give.

    `variant` is a setting that changes the model's answers.
    """

    kind: str
    options: Callable[[str], dict[str, Any]]
    server: type[Stub] | None = None
    variant: tuple[str, Any] = ("model", "another")
    streams: bool = True


def guide_example() -> str:
    """The adapter that the guide shows, as a module under the dotted kind that is returned."""
    found = re.search(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"{GUIDE} shows no adapter"
    module = ModuleType("guide.gateway")
    sys.modules[module.__name__] = module
    exec(compile(found.group(1), str(GUIDE), "exec"), module.__dict__)
    return module.__name__


CHOICES = {
    "ollama": ModelChoice("ollama", lambda url: {"host": url, "model": MODEL}, OllamaStub, ("temperature", 0.5)),
    "bedrock": ModelChoice("bedrock", lambda url: {"endpoint_url": url}, BedrockStub, ("temperature", 0.5)),
    "bedrock whole": ModelChoice(
        "bedrock", lambda url: {"endpoint_url": url, "streaming": False}, WholeBedrockStub, streams=False
    ),
    "scripted": ModelChoice("scripted", lambda answer: {"answers": [answer], "piece_characters": 3}),
    "the guide's": ModelChoice(guide_example(), lambda url: {"base_url": url, "model": "small"}, ChatCompletionsStub),
}
