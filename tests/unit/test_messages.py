"""Every message of the command line has its Korean, and the compiled catalogue is the written one."""

import ast
import gettext
import io
import string
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

ENTRYPOINTS = Path(__file__).parents[2] / "src" / "bifrost_entrypoints"
KOREAN = ENTRYPOINTS / "locale" / "ko" / "LC_MESSAGES"


def messages() -> Iterator[str]:
    """The first argument of every call of `_`, `N_` and `ngettext` in the source."""
    for path in ENTRYPOINTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("_", "N_", "ngettext")
            ):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    yield str(first.value)


def catalogue() -> Catalog:
    with (KOREAN / "bifrost.po").open("rb") as file:
        return read_po(file, locale="ko")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_message_is_translated() -> None:
    known = catalogue()
    missing = [text for text in messages() if text and not (known.get(text) and known[text].string)]
    assert missing == []


def test_translations_fill_in_the_same_values() -> None:
    for message in catalogue():
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple | list) else (message.id,)
        texts = message.string if isinstance(message.string, tuple | list) else (message.string,)
        for text in texts:
            assert fields(text) == fields(ids[0]), ids[0]


def test_the_compiled_catalogue_is_the_written_one() -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue())
    assert (KOREAN / "bifrost.mo").read_bytes() == compiled.getvalue(), "run `make messages`"


def test_the_catalogue_speaks_korean() -> None:
    korean = gettext.translation("bifrost", str(KOREAN.parents[1]), ["ko"])
    assert korean.gettext("Root cause") == "근본 원인"
