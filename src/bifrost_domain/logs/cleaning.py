"""From bytes of any origin to text that is safe to store, send and show.

Three steps: `Transcoder` turns the byte stream of a file into lines that split at `\\n`; `clean` and `clean_many` turn
a physical line into text; `safe` is the last filter before any sink, for text that did not come through `clean`.

What a terminal would act on is dropped (escape sequences) or acted on (carriage returns, backspaces); whatever else
cannot be seen is made visible: `\\xNN` below U+0100, `\\u{NNNN}` above. So no character is lost without a trace but
those of a terminal's own language, ECMA-48 (ecma-international.org/publications-and-standards/standards/ecma-48).
"""

import codecs
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple, Protocol

import re2

MAX_LINE = 64 * 1024
"""The most characters that a cleaned line can have; what is longer is cut in its middle."""

_PREFIX = 64

_INVISIBLE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\ud800-\udfff"
)
_ENCODED_INVISIBLE = (
    rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f\xad]|\xd8\x9c|\xe1\xa0\x8e|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]"
    rb"|\xef\xbb\xbf|\xef\xbf[\xb9-\xbb]|\xf3\xa0"
)
"""`_INVISIBLE` in UTF-8, less the surrogates, which strict decoding refuses."""

_CONTROL = "[0-?]*+[ -/]*+[@-~]?"
_STRING = "(?:[^\x07\x1b\x9c\n]*+(?:\x07|\x1b\\\\|\x9c)|[0-9;]*+)"
"""The rest of an OSC, DCS, SOS, PM or APC. One that nothing ends may not swallow the line: only its numbers go."""
_ESCAPES = (
    "[\x1b\x90\x98\x9b\x9d-\x9f]"
    f"(?:(?<=\x1b)(?:\\[{_CONTROL}|[\\]PX^_]{_STRING}|[ -/]++[0-~]|[0-OQ-WYZ\\\\`-~])"
    f"|(?<=\x9b){_CONTROL}|(?<!\x1b){_STRING})"
)
"""Every alternative is possessive and none crosses a line end: linear, and the same for one line as for many."""


class _Decoder(Protocol):
    def decode(self, data: bytes, final: bool = False) -> str: ...


@cache
def _invisible() -> re.Pattern[str]:
    return re.compile(f"[{_INVISIBLE}]")


@cache
def _encoded_invisible() -> Callable[[bytes], object | None]:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    search: Callable[[bytes], object | None] = re2.compile(_ENCODED_INVISIBLE, options).search
    return search


@cache
def _escapes() -> re.Pattern[str]:
    return re.compile(_ESCAPES)


@cache
def _undecoded_controls() -> re.Pattern[str]:
    """8-bit introducers that are not the rest of a broken multi-byte character."""
    return re.compile("(?<![\udc80-\udcff])[\udc90\udc98\udc9b-\udc9f]")


class Transcoder:
    """Turns a byte stream of any encoding into one whose lines end in `\\n` and are mostly UTF-8.

    UTF-16 and UTF-32 with a byte order mark are transcoded as they come, and so is UTF-16 without one where the first
    two characters and the NULs of the first 64 bytes give it away; a UTF-8 mark is dropped. Everything else passes
    untouched. A line end is never added or lost. The result does not depend on how the stream was cut.
    """

    _MARKS = (
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (codecs.BOM_UTF8, None),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    )

    def __init__(self) -> None:
        self._held: bytes | None = b""
        self._decoder: _Decoder | None = None

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes in; what is ready of them out, possibly nothing yet at the start."""
        if self._held is not None:
            chunk = self._held + chunk
            if not self._decidable(chunk):
                self._held = chunk
                return b""
            chunk = self._decide(chunk)
        return chunk if self._decoder is None else self._decoder.decode(chunk).encode()

    def finish(self) -> bytes:
        """What was held back; a character cut off by the end comes out as U+FFFD."""
        rest = b"" if self._held is None else self._decide(self._held)
        return rest if self._decoder is None else self._decoder.decode(rest, True).encode()

    @staticmethod
    def _decidable(start: bytes) -> bool:
        if len(start) < 4:
            return False
        return len(start) >= _PREFIX or start[:4].count(0) != 2 or start.startswith(codecs.BOM_UTF32_LE)

    def _decide(self, start: bytes) -> bytes:
        self._held = None
        for mark, encoding in self._MARKS:
            if start.startswith(mark):
                self._use(encoding)
                return start[len(mark) :]
        prefix = start[:_PREFIX]
        even, odd = prefix[::2].count(0), prefix[1::2].count(0)
        if len(prefix) >= 4 and prefix[:4].count(0) == 2 and min(even, odd) == 0 and max(even, odd) * 8 >= len(prefix):
            self._use("utf-16-be" if even else "utf-16-le")
        return start

    def _use(self, encoding: str | None) -> None:
        if encoding is not None:
            self._decoder = codecs.getincrementaldecoder(encoding)("replace")


class Cleaned(NamedTuple):
    """One text for each raw line, and the indices of those that were cut."""

    texts: list[str]
    truncated: list[int]


def clean(raw: bytes) -> str:
    """The safe text of one physical line, given without its `\\n`. Cleaning the result again changes nothing.

    Read as UTF-8, else as CP949 where it plainly is Korean, else as UTF-8 with U+FFFD for what is none. At most
    `MAX_LINE` characters; a longer one is cut in its middle, with a note of how much is missing.
    """
    return _cut(_whole(raw))


def clean_many(raws: Sequence[bytes]) -> Cleaned:
    """`clean` of each line, at the speed of a few passes in C where there is little to clean."""
    texts = _whole_many(raws)
    truncated: list[int] = []
    if texts and max(map(len, texts)) > MAX_LINE:
        truncated = [index for index, text in enumerate(texts) if len(text) > MAX_LINE]
        for index in truncated:
            texts[index] = _cut(texts[index])
    return Cleaned(texts, truncated)


def safe(text: str) -> str:
    """Any text, without what could act on a terminal, a page or a reader: escape sequences go, the unseen is shown.

    `\\n` and `\\t` stay, `\\r\\n` becomes `\\n`, lone surrogates become U+FFFD. Idempotent.
    """
    if text.isascii() and text.isprintable():
        return text
    return _visible(_escapes().sub("", text.replace("\r\n", "\n")))


def _whole_many(raws: Sequence[bytes]) -> list[str]:
    joined = b"\n".join(raws)
    if joined.count(b"\n") != len(raws) - 1:
        return [_whole(raw) for raw in raws]
    search = _encoded_invisible()
    try:
        text = joined.decode()
    except UnicodeDecodeError:
        return [_whole(raw) for raw in raws]
    if search(joined) is None:
        return text.split("\n")
    # Escapes and Windows line ends: in most logs that need cleaning at all, there is nothing else to do.
    text = _escapes().sub("", text.replace("\r\n", "\n"))
    if search(text.encode()) is None:
        return text.split("\n")
    invisible = _invisible().search
    return [line if invisible(line) is None else _settled(line) for line in text.split("\n")]


def _whole(raw: bytes) -> str:
    if raw.isascii():
        text = raw.decode("ascii")
        if text.isprintable():
            return text
    else:
        text = _decode(raw)
    return _settled(_escapes().sub("", text))


def _decode(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    try:
        korean = raw.decode("cp949")
    except UnicodeDecodeError:
        pass
    else:
        if _plainly_korean(korean):
            return korean
    text = raw.decode("utf-8", "surrogateescape")
    return _undecoded_controls().sub(lambda match: chr(ord(match[0]) - 0xDC00), text)


def _plainly_korean(text: str) -> bool:
    """Two Hangul syllables at least, and of the wide characters nine in ten: Latin, Cyrillic, Chinese and Japanese
    bytes that happen to be valid CP949 come out as ideographs, jamo and symbols as well."""
    wide = sum(character > "\x7f" for character in text)
    syllables = sum("가" <= character <= "힣" for character in text)
    return syllables >= 2 and syllables * 10 >= wide * 9


def _settled(line: str) -> str:
    """What a terminal would leave standing of a line, everything in it visible."""
    line = line.removeprefix("\ufeff")
    line = line.rstrip("\r")
    if "\r" in line:
        overwritten = line.split("\r")
        line = next((text for text in reversed(overwritten) if text.strip()), overwritten[-1])
    if "\b" in line:
        line = _apply_backspaces(line)
    return _visible(line.replace("\n", "\\x0a"))


def _apply_backspaces(line: str) -> str:
    """Later text writes over what a backspace went back to; the rest of the earlier text stays."""
    cells: list[str] = []
    column = 0
    for character in line:
        if character == "\b":
            column = max(0, column - 1)
            continue
        cells[column : column + 1] = character
        column += 1
    return "".join(cells)


def _visible(text: str) -> str:
    return _invisible().sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"


def _cut(text: str) -> str:
    if len(text) <= MAX_LINE:
        return text
    head = tail = (MAX_LINE - 64) // 2
    return f"{text[:head]} ...[{len(text) - head - tail} characters cut]... {text[-tail:]}"
