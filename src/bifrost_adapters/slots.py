"""Slots: the places where an adapter is plugged in. A slot is a folder of this package and the folder is its registry.

`models/ollama.py` is the kind `ollama` of the slot `models`. A kind with a dot in it names a module from elsewhere
(`acme_bifrost.vllm`). Either way the module has two public names:

    Options                a frozen msgspec.Struct that forbids unknown fields: the settings of this adapter
    open(options, ...)     an async context manager of the port; it builds a client and needs no network

Files that begin with an underscore are shared by the adapters of their slot and are no kind.
"""

import difflib
import importlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from bifrost_domain.errors import ConfigurationError

_ROOT = Path(__file__).parent


def names(slot: str) -> list[str]:
    """The kinds that ship with Bifrost, sorted. Imports none of them. Raises ConfigurationError for an unknown slot."""
    slots = sorted(path.name for path in _ROOT.iterdir() if (path / "__init__.py").is_file())
    if slot not in slots:
        raise ConfigurationError(f"there is no slot {slot!r}", hint=f"the slots are {', '.join(slots)}")
    return sorted(path.stem for path in (_ROOT / slot).glob("*.py") if not path.stem.startswith("_"))


def options_of(slot: str, kind: str) -> type[msgspec.Struct]:
    """The settings that `kind` takes. Raises ConfigurationError where there is no such kind."""
    options: type[msgspec.Struct] = _adapter(slot, kind).Options
    return options


def open_slot(
    slot: str, kind: str, options: Mapping[str, Any] | msgspec.Struct, **context: Any
) -> AbstractAsyncContextManager[Any]:
    """Open the adapter `kind` with its settings; `context` goes to the adapter's `open` as it is.

    Settings may be text where another type is wanted, as they are in environment variables. Raises ConfigurationError
    where there is no such kind or its `Options` refuse the settings.
    """
    adapter = _adapter(slot, kind)
    opened: AbstractAsyncContextManager[Any] = adapter.open(_accepted(adapter, slot, kind, options), **context)
    return opened


def administer(slot: str, kind: str, options: Mapping[str, Any] | msgspec.Struct) -> AbstractAsyncContextManager[Any]:
    """Open what an adapter has for its upkeep, beside its `open`. Raises ConfigurationError where it has nothing."""
    adapter = _adapter(slot, kind)
    if not callable(getattr(adapter, "administer", None)):
        raise ConfigurationError(f"the kind {kind!r} in {slot} has no tables to look after")
    administered: AbstractAsyncContextManager[Any] = adapter.administer(_accepted(adapter, slot, kind, options))
    return administered


def _accepted(adapter: ModuleType, slot: str, kind: str, options: Mapping[str, Any] | msgspec.Struct) -> Any:
    try:
        return msgspec.convert(options, type=adapter.Options, strict=False, from_attributes=True)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"the settings of {kind!r} in {slot} are wrong: {error}") from error


def _adapter(slot: str, kind: str) -> ModuleType:
    known = names(slot)
    dotted = "." in kind and all(part.isidentifier() for part in kind.split("."))
    if kind not in known and not dotted:
        close = difflib.get_close_matches(kind, known, n=1)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigurationError(
            f"there is no kind {kind!r} in {slot}",
            hint=f"{meant}the kinds are {', '.join(known)}; a dotted name loads a module of your own",
        )
    path = f"{__package__}.{slot}.{kind}" if kind in known else kind
    try:
        adapter = importlib.import_module(path)
    except ImportError as error:
        raise ConfigurationError(
            f"the kind {kind!r} in {slot} cannot be imported: {error}",
            hint="install the package it needs into the environment that runs Bifrost",
        ) from error
    if not (isinstance(getattr(adapter, "Options", None), type) and callable(getattr(adapter, "open", None))):
        raise ConfigurationError(f"the module {path!r} is no adapter: it needs the names Options and open")
    return adapter
