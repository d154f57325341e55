"""The part of Ollama's API that Bifrost uses: /api/show, and /api/chat as NDJSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tests.contract.servers.wire import Behaviour, Request, Stub

MODEL = "small:1b"


@dataclass
class OllamaStub(Stub):
    context_length: int | None = 8192
    capabilities: tuple[str, ...] = ("completion",)
    show: tuple[int, bytes] | None = None
    """Status and body of /api/show, in place of the true one."""

    content_type = "application/x-ndjson"

    def piece(self, text: str) -> bytes:
        return _line({"message": {"role": "assistant", "content": text}, "done": False})

    def finish(self, behaviour: Behaviour) -> bytes:
        return _line(
            {
                "message": {"role": "assistant", "content": ""},
                "done": True,
                "done_reason": "length" if behaviour.truncated else "stop",
                "prompt_eval_count": behaviour.input_tokens,
                "eval_count": behaviour.output_tokens,
            }
        )

    def failure(self, *, throttled: bool) -> bytes:
        return _line({"error": "an upstream detail"})

    def refusal(self, status: int, body: bytes) -> tuple[Mapping[str, str], bytes]:
        return {"Retry-After": "7"}, json.dumps({"error": f"an upstream detail: {body!r}"}).encode()

    def fact(self, request: Request) -> tuple[int, bytes] | None:
        if request.path != "/api/show":
            return None
        if self.show is not None:
            return self.show
        if json.loads(request.body)["model"] != MODEL:
            return 404, b'{"error": "an upstream detail"}'
        facts = {"general.architecture": "llama"}
        length = {} if self.context_length is None else {"llama.context_length": self.context_length}
        return 200, json.dumps({"model_info": facts | length, "capabilities": self.capabilities}).encode()


def _line(message: Mapping[str, object]) -> bytes:
    return json.dumps({"model": MODEL, **message}, ensure_ascii=False).encode() + b"\n"
