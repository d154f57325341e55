"""Masks the secrets of a log, line by line: a fast scan over many lines at once, careful rules where it strikes.

Two linear RE2 scans find the few lines that can hold a secret at all; every other line is passed through as it is. On
those lines `vendors` knows secrets by their shape and `contexts` by their surroundings. Each is looked at as it stands,
and once more with one level of escapes undone (`%3D`, `\\u003d`, zero-width and full-width characters) and with base64
decoded. Private keys span lines; their state is carried from one line to the next.
"""

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import re2
from msgspec import Struct

from bifrost_domain.logs.redaction import contexts
from bifrost_domain.logs.redaction.contexts import Span, compiled
from bifrost_domain.logs.redaction.vendors import SHAPES, Shape

_BATCH = 1 << 18
_LONGEST = 1 << 20
_MARK = re.compile(rb"\[REDACTED:[a-z0-9-]{1,40}(?::[0-9a-f]{4})?\]")
_KEYED = re.compile(r"\[REDACTED:([a-z0-9-]{1,40}):[0-9a-f]{4}\]")

_BEGIN = r"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----"
_BODY = re.compile(rb"[A-Za-z0-9+/=]{16,}[\"',\\]*\s*$|[A-Za-z0-9+/=]{1,}[\"',]*\s*$|\s*$")
_BODY_HEADER = re.compile(rb"(?:Proc-Type|DEK-Info|Comment|Version|Hash|Charset|Subject|x-[a-z-]+):", re.IGNORECASE)
_PUTTY = re.compile(rb"Private-Lines: (\d{1,4})\s*$")
_ESCAPE = re.compile(
    rb"%([0-9A-Fa-f]{2})|\\+u00([0-9A-Fa-f]{2})|\\u\{(?:200[b-fB-F]|2060|feff|FEFF)\}"
    rb"|\xe2\x80[\x8b-\x8f]|\xe2\x81\xa0|\xef\xbb\xbf|\xef\xbc([\x81-\xbf])|\xef\xbd([\x80-\x9e])"
)


class Redacted(Struct, frozen=True):
    """A line without its secrets, and the kind of each that was masked; without any, `text` is the input itself."""

    text: str
    kinds: tuple[str, ...] = ()


def unkeyed(text: str) -> str:
    """`text` with placeholders reduced to `[REDACTED:kind]`: the keyed part takes no part in any identity."""
    return _KEYED.sub(r"[REDACTED:\1]", text) if "[REDACTED:" in text else text


class _Block:
    """Whether the line before was inside a private key, and how much of it is still expected."""

    __slots__ = ("inside", "left")

    def __init__(self) -> None:
        self.inside = False
        self.left: int | None = None


class Redactor:
    """Masks secrets as `[REDACTED:kind:h4]`; `h4` is 4 hex digits of HMAC-SHA-256(key, secret), so that equals match.

    `pii` masks e-mail addresses, payment card numbers and Korean resident registration numbers as well. Redacting what
    is redacted changes nothing.
    """

    def __init__(self, key: bytes, *, pii: bool = True) -> None:
        self._key = key
        self._pii = pii

    def line(self, text: str) -> Redacted:
        """One line on its own."""
        return self.lines([text])[0]

    def lines(self, texts: Sequence[str]) -> list[Redacted]:
        """Consecutive lines of one file: as many come out, in the same order."""
        block = _Block()
        results: list[Redacted] = []
        start = size = 0
        for place, text in enumerate(texts):
            size += len(text) + 1
            if size >= _BATCH or place + 1 == len(texts):
                results += self._texts(texts[start : place + 1], block)
                start, size = place + 1, 0
        return results

    def _texts(self, texts: Sequence[str], block: _Block) -> list[Redacted]:
        raws = [text.encode("utf-8", "replace") for text in texts]
        found = self.masked(raws, block)
        return [
            Redacted(found[place][0].decode("utf-8", "replace"), found[place][1]) if place in found else Redacted(text)
            for place, text in enumerate(texts)
        ]

    def masked(self, lines: Sequence[bytes], block: _Block) -> dict[int, tuple[bytes, tuple[str, ...]]]:
        """The lines that hold secrets, by their place: masked, with the kinds. `block` is carried between batches."""
        changed: dict[int, tuple[bytes, tuple[str, ...]]] = {}
        suspects = _suspects(lines, self._pii)
        place = 0
        for suspect in [*suspects, len(lines)]:
            while block.inside and place < suspect:
                self._change(changed, place, lines[place], _continued(lines[place], block))
                place += 1
            if suspect == len(lines):
                break
            line = lines[suspect]
            spans = _continued(line, block) if block.inside else []
            if not block.inside:
                spans += _opened(line, block)
            self._change(changed, suspect, line, [*spans, *_spans(line, self._pii)])
            place = suspect + 1
        return changed

    def _change(
        self, changed: dict[int, tuple[bytes, tuple[str, ...]]], place: int, line: bytes, spans: list[Span]
    ) -> None:
        pieces: list[bytes] = []
        kinds: list[str] = []
        position = 0
        for span in _disjoint(line, spans):
            secret = line[span.start : span.end]
            digest = hmac.new(self._key, secret, hashlib.sha256).hexdigest()[:4]
            pieces += (line[position : span.start], f"[REDACTED:{span.kind}:{digest}]".encode())
            kinds.append(span.kind)
            position = span.end
        if kinds:
            changed[place] = (b"".join([*pieces, line[position:]]), tuple(kinds))


def _disjoint(line: bytes, spans: list[Span]) -> Iterator[Span]:
    """The spans in order, overlapping ones joined under the kind of the first; what is a placeholder already stays."""
    if not spans:
        return
    marks = [found.span() for found in _MARK.finditer(line)] if b"[REDACTED:" in line else []
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start >= span.end or any(span.start < end and start < span.end for start, end in marks):
            continue
        if joined and span.start < joined[-1].end:
            last = joined[-1]
            joined[-1] = Span(last.start, max(last.end, span.end), last.kind)
        else:
            joined.append(span)
    yield from joined


# --- where to look ----------------------------------------------------------------------------------------------------


@cache
def _scans(pii: bool) -> tuple[Any, Any]:
    """One case-sensitive scan for shapes and one case-insensitive for contexts."""
    words = contexts.CONTEXT + ("|" + contexts.PERSONAL if pii else "")
    shapes = "|".join([*(_abridged(shape.pattern) for shape in SHAPES), f"(?:{contexts.BLOB})"])
    return compiled(shapes), compiled(f"(?im)(?:{words})")


_LONG_COUNT = re.compile(r"\{(\d+)(?:,\d*)?\}")


def _abridged(pattern: str) -> str:
    """A pattern that matches wherever `pattern` does and has fewer states: it ends at the first long repetition."""
    for found in _LONG_COUNT.finditer(pattern):
        if int(found[1]) > 36:
            head = pattern[: found.start()]
            if head.count("(") - head.count(r"\(") == head.count(")") - head.count(r"\)"):
                return f"(?:{head}{{36}})"
    return f"(?:{pattern})"


def _suspects(lines: Sequence[bytes], pii: bool) -> list[int]:
    """The places of the lines on which some rule may strike, in order."""
    data = b"\n".join(lines)
    hits: set[int] = set()
    ends: list[int] | None = None
    for scan in _scans(pii):
        position = 0
        while found := scan.search(data, position):
            if ends is None:
                ends = _ends(lines)
            place = _line_at(ends, found.start())
            hits.add(place)
            position = ends[place] + 1
            if position > len(data):
                break
    return sorted(hits)


def _ends(lines: Sequence[bytes]) -> list[int]:
    ends: list[int] = []
    at = -1
    for line in lines:
        at += len(line) + 1
        ends.append(at)
    return ends


def _line_at(ends: list[int], position: int) -> int:
    from bisect import bisect_left

    return bisect_left(ends, position)


# --- what is found on a line ------------------------------------------------------------------------------------------


@cache
def _by_start() -> tuple[Any, dict[bytes, tuple[tuple[str, Any], ...]], tuple[tuple[str, Any], ...]]:
    """A finder of the literals that open a shape, the shapes by literal, and the shapes that no literal opens."""
    opened: dict[bytes, list[Shape]] = {}
    others: list[Shape] = []
    for shape in SHAPES:
        for start in shape.starts:
            opened.setdefault(start.encode(), []).append(shape)
        if not shape.starts:
            others.append(shape)
    literals = "|".join(re2.escape(start.decode()) for start in sorted(opened, key=len, reverse=True))
    shapes = {start: tuple((shape.kind, compiled(shape.pattern)) for shape in found) for start, found in opened.items()}
    return compiled(literals), shapes, tuple((shape.kind, compiled(shape.pattern)) for shape in others)


def _shaped(line: bytes) -> Iterator[Span]:
    literals, shapes, others = _by_start()
    position = 0
    while found := literals.search(line, position):
        position = found.start() + 1
        for start, candidates in shapes.items():
            if line.startswith(start, found.start()):
                for kind, pattern in candidates:
                    if match := pattern.match(line, found.start()):
                        yield Span(match.start(), match.end(), kind)
                        position = max(position, match.end())
    for kind, pattern in others:
        for match in pattern.finditer(line):
            yield Span(match.start(), match.end(), kind)


def _plain_spans(line: bytes, pii: bool) -> list[Span]:
    spans = list(_shaped(line))
    for rule in (contexts.urls, contexts.headers, contexts.cookies, contexts.commands, contexts.named):
        spans += rule(line)
    if pii:
        spans += contexts.personal(line)
    return spans


def _spans(line: bytes, pii: bool) -> list[Span]:
    spans = _plain_spans(line, pii)
    if _ESCAPE.search(line):
        text, origins = _unescaped(line)
        spans += [
            Span(origins[span.start], origins[span.end], span.kind)
            for span in _plain_spans(text, pii)
            if span.end < len(origins)
        ]
    for span, text in contexts.blobs(line):
        if inner := next(iter(_plain_spans(text, False)), None):
            spans.append(Span(span.start, span.end, inner.kind))
    return spans


def _unescaped(line: bytes) -> tuple[bytes, list[int]]:
    """`line` with one level of escapes undone, and where each of its bytes comes from (one more for the end)."""
    pieces: list[bytes] = []
    origins: list[int] = []
    position = 0
    for found in _ESCAPE.finditer(line):
        pieces.append(line[position : found.start()])
        origins += range(position, found.start())
        if hexadecimal := found[1] or found[2]:
            pieces.append(bytes([int(hexadecimal, 16)]))
        elif wide := found[3]:
            pieces.append(bytes([wide[0] - 0x60]))
        elif wide := found[4]:
            pieces.append(bytes([wide[0] - 0x20]))
        if found.lastindex:
            origins.append(found.start())
        position = found.end()
    pieces.append(line[position:])
    origins += range(position, len(line) + 1)
    text = b"".join(pieces)
    return (text if b"\n" not in text else text.replace(b"\n", b" ")), origins


# --- private keys -----------------------------------------------------------------------------------------------------


def _opened(line: bytes, block: _Block) -> list[Span]:
    """Private keys that begin on this line: to their end, or to the end of the line with `block` left open."""
    spans: list[Span] = []
    position = 0
    pattern = compiled(_BEGIN)
    while found := pattern.search(line, position):
        end = line.find(b"-----END " + found.group(1) + b"-----", found.end())
        if end >= 0:
            spans.append(Span(found.end(), end, "private-key"))
            position = end
            continue
        rest = line[found.end() :].rstrip(b"\"', \t\r")
        if rest.strip(b"\\nr"):
            spans.append(Span(found.end(), found.end() + len(rest), "private-key"))
        else:
            block.inside, block.left = True, None
        break
    if putty := _PUTTY.search(line):
        block.inside, block.left = True, int(putty[1])
    return spans


def _continued(line: bytes, block: _Block) -> list[Span]:
    """The part of a line that belongs to an open private key; closes the block where it ends or plainly was cut off."""
    end = line.find(b"-----END ")
    if end >= 0:
        block.inside = False
        body = line[:end].rstrip()
        found = _BODY.search(body)
        return [Span(found.start(), len(body), "private-key")] if found and body else []
    if block.left is not None:
        block.left -= 1
        block.inside = block.left > 0
    stripped = line.rstrip(b"\r\n \t\"',\\")
    if not stripped or _BODY_HEADER.search(line):
        return []
    start = len(stripped)
    while start and (stripped[start - 1 : start].isalnum() or stripped[start - 1] in b"+/="):
        start -= 1
    run = stripped[start:]
    if start and not stripped[:start].endswith((b" ", b"\t", b"|", b">", b'"', b"'", b"n", b":")):
        block.inside = False
        return []
    if start and len(run) < 16:
        block.inside = False
        return []
    return [Span(start, len(stripped), "private-key")] if run else []


# --- streams ----------------------------------------------------------------------------------------------------------


class RedactingStream:
    """Bytes in, bytes out: a line without a secret comes out byte for byte, and there is one line for each.

    `counts` has the secrets masked so far by kind. A line longer than 1 MiB is worked on in parts of that size.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._block = _Block()
        self._rest = b""
        self.counts: Counter[str] = Counter()

    def feed(self, chunk: bytes) -> bytes:
        """The bytes that are decided: whole lines, or the start of an overlong one."""
        data = self._rest + chunk
        cut = data.rfind(b"\n") + 1
        out = self._through(data[:cut]) if cut else b""
        data = data[cut:]
        while len(data) > _LONGEST:
            at = data.rfind(b" ", _LONGEST // 2, _LONGEST) + 1 or _LONGEST
            out += self._through(data[:at])
            data = data[at:]
        self._rest = data
        return out

    def finish(self) -> bytes:
        """What is left: a last line without its end."""
        rest, self._rest = self._rest, b""
        return self._through(rest)

    def _through(self, data: bytes) -> bytes:
        out: list[bytes] = []
        for start, end in _batches(data):
            lines = data[start:end].split(b"\n")
            last = lines.pop() if not lines[-1] else None
            changed = self._redactor.masked(lines, self._block)
            for place, (line, kinds) in changed.items():
                lines[place] = line
                self.counts.update(kinds)
            out.append(
                b"\n".join(lines) + (b"\n" if last is not None and lines else b"") if changed else data[start:end]
            )
        return b"".join(out)


def _batches(data: bytes) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(data):
        end = len(data) if len(data) - start <= _BATCH else data.find(b"\n", start + _BATCH) + 1 or len(data)
        yield start, end
        start = end
