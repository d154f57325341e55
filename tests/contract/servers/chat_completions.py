"""OpenAI's chat completions as server-sent events, which most gateways speak.

Reference: https://platform.openai.com/docs/api-reference/chat-streaming
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.contract.servers.wire import Behaviour, Stub


@dataclass
class ChatCompletionsStub(Stub):
    content_type = "text/event-stream"

    def begin(self) -> bytes:
        return _event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]})

    def piece(self, text: str) -> bytes:
        return _event({"choices": [{"index": 0, "delta": {"content": text}}]})

    def finish(self, behaviour: Behaviour) -> bytes:
        reason = "length" if behaviour.truncated else "stop"
        used = {"prompt_tokens": behaviour.input_tokens, "completion_tokens": behaviour.output_tokens}
        return (
            _event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
            + _event({"choices": [], "usage": used})
            + b"data: [DONE]\n\n"
        )

    def failure(self, *, throttled: bool) -> bytes:
        return _event({"error": {"message": "an upstream detail"}})

    def refusal(self, status: int, body: bytes) -> tuple[Mapping[str, str], bytes]:
        return {"Retry-After": "7"}, json.dumps({"error": {"message": f"an upstream detail: {body!r}"}}).encode()


def _event(message: Mapping[str, object]) -> bytes:
    return b"data: " + json.dumps(message, ensure_ascii=False).encode() + b"\n\n"
