"""The part of Bedrock's runtime API that Bifrost uses: ConverseStream as an AWS event stream, and Converse.

Frames: https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream
"""

import binascii
import json
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from tests.contract.servers.wire import Behaviour, Connection, Stub

_CODES = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


@dataclass
class BedrockStub(Stub):
    content_type = "application/vnd.amazon.eventstream"

    def begin(self) -> bytes:
        return frame("messageStart", {"role": "assistant"})

    def piece(self, text: str) -> bytes:
        return frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}})

    def finish(self, behaviour: Behaviour) -> bytes:
        usage = _usage(behaviour)
        return (
            frame("contentBlockStop", {"contentBlockIndex": 0})
            + frame("messageStop", {"stopReason": "max_tokens" if behaviour.truncated else "end_turn"})
            + frame("metadata", {"usage": usage, "metrics": {"latencyMs": 1}})
        )

    def failure(self, *, throttled: bool) -> bytes:
        kind = "throttlingException" if throttled else "modelStreamErrorException"
        return frame(kind, {"message": "an upstream detail"}, failed=True)

    def refusal(self, status: int, body: bytes) -> tuple[Mapping[str, str], bytes]:
        code = _CODES.get(status, "UnknownException")
        echo = json.dumps({"message": f"an upstream detail: {body!r}"}).encode()
        return {"x-amzn-ErrorType": code, "Retry-After": "7"}, echo


class WholeBedrockStub(BedrockStub):
    """The same for Converse, where the answer is one JSON object."""

    content_type = "application/json"

    async def _body(self, behaviour: Behaviour, connection: Connection) -> AsyncIterator[bytes]:
        text = "A" * (3 << 20) if behaviour.fault == "huge" else "".join(behaviour.pieces)
        whole = json.dumps(
            {
                "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
                "stopReason": "max_tokens" if behaviour.truncated else "end_turn",
                "usage": _usage(behaviour),
                "metrics": {"latencyMs": 1},
            },
            ensure_ascii=False,
        ).encode()
        yield whole[: len(whole) // 2]
        match behaviour.fault:
            case "hang_middle":
                await connection.hang()
            case "cut":
                await connection.close()
            case "reset":
                connection.reset()
        yield whole[len(whole) // 2 :]


def frame(kind: str, payload: Mapping[str, object], *, failed: bool = False) -> bytes:
    """One message of an event stream: a prelude, headers, payload, each part under a CRC-32."""

    def header(name: str, value: str) -> bytes:
        return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()

    headers = (
        header(":exception-type" if failed else ":event-type", kind)
        + header(":content-type", "application/json")
        + header(":message-type", "exception" if failed else "event")
    )
    body = json.dumps(payload, ensure_ascii=False).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + body
    return message + struct.pack(">I", binascii.crc32(message))


def _usage(behaviour: Behaviour) -> dict[str, int]:
    used = behaviour.input_tokens, behaviour.output_tokens
    return {"inputTokens": used[0], "outputTokens": used[1], "totalTokens": sum(used)}
