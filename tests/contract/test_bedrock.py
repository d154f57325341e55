"""What only Bedrock does: credentials, regions, signatures, prices by list, and guardrails."""

import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from bifrost_adapters.slots import open_slot
from bifrost_domain.errors import BadAnswer, ModelUnavailable
from bifrost_domain.ports import LanguageModel, ModelEvent
from bifrost_domain.prompt import Prompt
from tests.contract.servers.bedrock import BedrockStub, frame
from tests.contract.servers.wire import Behaviour

PROMPT = Prompt(system="s", user="u", schema={"type": "object"}, context_tokens=1000, max_output_tokens=100)
KEY_ID = "AK" + "IA" + "7" * 16


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not" + "-a-key")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BedrockStub]:
    async with BedrockStub() as stub:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", stub.url)
        yield stub


async def answered(model: LanguageModel) -> list[ModelEvent]:
    async with aclosing(model.stream(PROMPT)) as stream:
        return [event async for event in stream]


async def ask(**options: object) -> list[ModelEvent]:
    async with open_slot("models", "bedrock", options, name="entry") as model:
        return await answered(model)


async def test_a_request_is_signed_for_the_region_of_the_environment(server: BedrockStub) -> None:
    await ask()
    authorization = server.requests[0].headers["authorization"]
    assert re.match(rf"AWS4-HMAC-SHA256 Credential={KEY_ID}/\d{{8}}/eu-west-1/bedrock/aws4_request", authorization)


async def test_a_region_of_ones_own_comes_before_the_environments(server: BedrockStub) -> None:
    await ask(region="us-west-2")
    assert "/us-west-2/bedrock/" in server.requests[0].headers["authorization"]


async def test_a_bearer_token_is_credential_enough(server: BedrockStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "a-token")
    await ask()
    assert server.requests[0].headers["authorization"] == "Bearer a-token"


async def test_without_credentials_it_is_unavailable_and_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with open_slot("models", "bedrock", {}, name="entry") as model:
        for call in (model.describe(), answered(model)):
            with pytest.raises(ModelUnavailable) as caught:
                await call
            assert "AWS_ACCESS_KEY_ID" in caught.value.hint
            assert not caught.value.retryable


async def test_half_a_credential_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    async with open_slot("models", "bedrock", {}, name="entry") as model:
        with pytest.raises(ModelUnavailable, match="credentials"):
            await model.describe()


async def test_without_a_region_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    async with open_slot("models", "bedrock", {}, name="entry") as model:
        with pytest.raises(ModelUnavailable) as caught:
            await model.describe()
    assert "AWS_REGION" in caught.value.hint


async def test_a_profile_that_does_not_exist_is_unavailable() -> None:
    async with open_slot("models", "bedrock", {"profile": "nobody"}, name="entry") as model:
        with pytest.raises(ModelUnavailable, match="profile"):
            await model.describe()


@pytest.mark.parametrize(
    ("options", "context", "price"),
    [
        ({}, 200_000, 1.0),
        ({"model": "global.anthropic.claude-haiku-4-5-20251001-v1:0", "usd_per_million_input": 0.5}, 200_000, 0.5),
        (
            {"model": "arn:aws:bedrock:us-east-1:0:inference-profile/us.anthropic.claude-3-haiku-20240307-v1:0"},
            200_000,
            0.25,
        ),
        ({"model": "acme.unheard-of-v1:0"}, 8192, None),
        ({"model": "acme.unheard-of-v1:0", "context_tokens": 32_000, "usd_per_million_input": 2}, 32_000, 2.0),
    ],
)
async def test_context_and_price_come_from_the_list_or_the_settings(
    options: dict[str, object], context: int, price: float | None
) -> None:
    async with open_slot("models", "bedrock", {"endpoint_url": "http://127.0.0.1:1", **options}, name="entry") as model:
        description = await model.describe()
    assert (description.context_tokens, description.usd_per_million_input) == (context, price)
    assert not description.free


async def test_describing_uses_no_network(server: BedrockStub) -> None:
    async with open_slot("models", "bedrock", {}, name="entry") as model:
        await model.describe()
    assert server.requests == []


async def test_options_reach_the_service(server: BedrockStub) -> None:
    await ask(model="acme.m-v1:0", temperature=None, max_tokens=50, guardrail="g1", guardrail_version="3")
    request = server.requests[0]
    body = json.loads(request.body)
    assert request.path == "/model/acme.m-v1%3A0/converse-stream"
    assert body["inferenceConfig"] == {"maxTokens": 50}
    assert body["guardrailConfig"] == {"guardrailIdentifier": "g1", "guardrailVersion": "3"}
    assert '{"type":"object"}' in body["system"][0]["text"]


@pytest.mark.parametrize("reason", ["guardrail_intervened", "content_filtered"])
async def test_an_answer_that_is_withheld_is_a_bad_answer(server: BedrockStub, reason: str) -> None:
    stop = frame("messageStop", {"stopReason": reason})
    server.behaviour = Behaviour(raw=server.begin() + server.piece("Sorry") + stop)
    with pytest.raises(BadAnswer, match=reason):
        await ask()


async def test_an_answer_that_ends_between_two_events_is_unavailable(server: BedrockStub) -> None:
    server.behaviour = Behaviour(raw=server.begin() + server.piece("half of the"))
    with pytest.raises(ModelUnavailable) as caught:
        await ask()
    assert caught.value.retryable


def test_opening_imports_no_client_and_makes_none() -> None:
    program = (
        "import asyncio, sys; from bifrost_adapters.slots import open_slot\n"
        "async def run():\n"
        "    async with open_slot('models', 'bedrock', {}, name='entry') as model: print(model.identity.provider)\n"
        "asyncio.run(run()); print('botocore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["entry", "False"]
