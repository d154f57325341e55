"""A slot is a folder: what lies in it is there to choose, and nothing is imported before it is chosen."""

import subprocess
import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from types import ModuleType
from typing import Any

import msgspec
import pytest

from bifrost_adapters import slots
from bifrost_domain.errors import ConfigurationError


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    seconds: float = 1.0
    deep: bool = False


def open_(options: Options, **context: Any) -> AbstractAsyncContextManager[Any]:
    return nullcontext((options, context))


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("elsewhere.kind")
    vars(module).update(Options=Options, open=open_)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_the_kinds_of_a_slot_are_its_public_files() -> None:
    assert slots.names("models") == ["bedrock", "ollama", "scripted"]


def test_listing_and_settings_import_no_client() -> None:
    program = (
        "import sys; from bifrost_adapters import slots\n"
        "before = set(sys.modules); kinds = slots.names('models')\n"
        "assert set(sys.modules) == before, set(sys.modules) - before\n"
        "for kind in kinds: slots.options_of('models', kind)\n"
        "print([name for name in ('aiohttp', 'ollama', 'httpx', 'aioboto3', 'botocore') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["bedrock", "ollama", "scripted"])
def test_an_adapter_has_two_public_names_and_its_options_say_what_each_field_means(kind: str) -> None:
    options = slots.options_of("models", kind)
    assert sys.modules[options.__module__].__all__ == ["Options", "open"]
    assert options.__struct_config__.frozen
    assert options.__struct_config__.forbid_unknown_fields
    for field in options.__struct_fields__:
        assert f"{field}:" in (options.__doc__ or "")


def test_an_unknown_kind_lists_what_there_is_and_guesses_what_was_meant() -> None:
    with pytest.raises(ConfigurationError, match="'olama'") as caught:
        slots.options_of("models", "olama")
    assert "did you mean 'ollama'?" in caught.value.hint
    assert "bedrock, ollama, scripted" in caught.value.hint


@pytest.mark.parametrize("kind", ["_answer", "", "../slots", "models/ollama", "__init__", "Ollama"])
def test_what_is_no_public_file_of_the_slot_is_no_kind(kind: str) -> None:
    with pytest.raises(ConfigurationError):
        slots.options_of("models", kind)


def test_an_unknown_slot_lists_the_slots() -> None:
    with pytest.raises(ConfigurationError) as caught:
        slots.names("brains")
    assert "models" in caught.value.hint


def test_a_kind_cannot_leave_its_slot() -> None:
    with pytest.raises(ConfigurationError):
        slots.options_of("cache", "ollama")


@pytest.mark.parametrize("kind", ["not_installed.kind", "json.decoder", "..kind", "a..b", "kind."])
def test_a_dotted_kind_that_is_no_adapter_says_so(kind: str) -> None:
    with pytest.raises(ConfigurationError):
        slots.options_of("models", kind)


async def test_a_dotted_kind_opens_a_module_of_ones_own(elsewhere: ModuleType) -> None:
    async with slots.open_slot("models", "elsewhere.kind", {"seconds": 2}, name="mine") as (options, context):
        assert options == Options(seconds=2.0)
        assert context == {"name": "mine"}


async def test_settings_may_be_text_as_in_the_environment_or_ready_options(elsewhere: ModuleType) -> None:
    async with slots.open_slot("models", "elsewhere.kind", {"seconds": "2.5", "deep": "true"}) as (options, _):
        assert options == Options(seconds=2.5, deep=True)
    async with slots.open_slot("models", "elsewhere.kind", Options(deep=True)) as (options, _):
        assert options == Options(deep=True)


@pytest.mark.parametrize("settings", [{"second": 1}, {"seconds": "soon"}, {"deep": None}])
def test_settings_that_do_not_fit_are_refused(elsewhere: ModuleType, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"elsewhere\.kind"):
        slots.open_slot("models", "elsewhere.kind", settings)
