"""Another way to read a line: what cannot be seen left out, one level of escapes undone.

A secret that a zero-width character, a colour or `%3D` takes apart is whole in this view, and every place in the view
leads back to the bytes it was made from.
"""

import re
from array import array
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from bifrost_domain.logs.redaction.contexts import compiled

CONTROLS = r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[^\[\n]|[\x00-\x08\x0e-\x1a\x7f]"
"""RE2: what `visible` takes out."""

_INVISIBLE = (
    r"\xc2\xad|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf|\xcd\x8f|\xe1\xa0\x8e"
    # the same as `cleaning` shows it
    r"|\\u\{(?:200[b-f]|202[a-e]|206[0-4]|feff|180e)\}|\\xad|\\x00|\\x1b\[[0-9;]*m"
)
_ESCAPED = (
    r"%[2-7][0-9A-Fa-f]|\\+u00[2-7][0-9A-Fa-f]|\\+x[2-7][0-9A-Fa-f]"
    r"|&(?:quot|amp|apos|lt|gt|#[0-9]{2,3}|#x[2-7][0-9A-Fa-f]);"
)
_WIDE = r"\xef\xbc[\x81-\xbf]|\xef\xbd[\x80-\x9e]"
UNUSUAL = f"{_INVISIBLE}|{_ESCAPED}|{_WIDE}"
"""RE2: what makes a line read otherwise than it is written, but for what `visible` takes out."""

_COLOUR = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_CONTROL_BYTES = bytes([*range(9), *range(14, 27), 127])

_ENTITIES = {b"&quot;": b'"', b"&amp;": b"&", b"&apos;": b"'", b"&lt;": b"<", b"&gt;": b">"}


class View(NamedTuple):
    """`text`, and for each of its bytes where the original of it begins and ends."""

    text: bytes
    starts: "array[int]"
    ends: "array[int]"

    def original(self, start: int, end: int) -> tuple[int, int]:
        return self.starts[start], self.ends[end - 1]


@cache
def _unusual() -> Any:
    return compiled(f"{CONTROLS}|{UNUSUAL}")


def unusual_lines(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the lines begin and end that `plain` would change."""
    search = _unusual().search
    position = 0
    while (match := search(data, position)) is not None:
        start = data.rfind(b"\n", 0, match.start()) + 1
        end = data.find(b"\n", match.end())
        if end < 0:
            end = len(data)
        yield start, end
        position = end + 1
        if position > len(data):
            return


def visible(data: bytes) -> bytes:
    """Any number of lines without colours and control characters: as many lines."""
    if b"\x1b" in data:
        data = _COLOUR.sub(b"", data)
    return data.translate(None, _CONTROL_BYTES)


def plain(data: bytes) -> View:
    """Any number of lines as a reader or a decoder would take it. ASCII escapes are undone once; controls among them are not."""
    pieces: list[bytes] = []
    starts, ends = array("L"), array("L")
    position = 0
    for match in _unusual().finditer(data):
        start, end = match.span()
        pieces.append(data[position:start])
        starts.extend(range(position, start))
        ends.extend(range(position + 1, start + 1))
        meant = _meaning(data[start:end])
        pieces.append(meant)
        for _ in meant:
            starts.append(start)
            ends.append(end)
        position = end
    pieces.append(data[position:])
    starts.extend(range(position, len(data)))
    ends.extend(range(position + 1, len(data) + 1))
    return View(b"".join(pieces), starts, ends)


def _meaning(escape: bytes) -> bytes:
    if escape in _ENTITIES:
        return _ENTITIES[escape]
    if escape.startswith(b"&#"):
        code = int(escape[3:-1], 16) if escape[2:3] == b"x" else int(escape[2:-1])
        return bytes([code]) if 32 <= code < 127 else b" "
    if escape.startswith(b"\xef\xbc") and len(escape) == 3:
        return bytes([escape[2] - 0x60])
    if escape.startswith(b"\xef\xbd"):
        return bytes([escape[2] - 0x20])
    if escape.startswith(b"%") or (escape.startswith(b"\\") and escape[-3:-2] in b"x0" and b"{" not in escape):
        code = int(escape[-2:], 16) if not escape.endswith(b"m") else 0
        return bytes([code]) if 32 <= code < 127 else b""
    return b""
