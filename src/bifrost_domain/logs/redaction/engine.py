"""The engine: one scan finds the few lines that can hold a secret, the rules look at those, the findings are masked.

The scan is the union of all rules' patterns in a few RE2 automata over many joined lines, so an ordinary log is read at
their speed. The lines that it strikes go through the rules themselves, joined too: `vendors` for shapes, `contexts` for
surroundings, `personal` for personal data; once more as `views.plain` reads them, and inside base64. A masked line is
looked at again until nothing is found on it, so that redacting what is redacted changes nothing.
"""

import base64
import hmac
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import chain
from typing import Any, NamedTuple

from msgspec import Struct

from bifrost_domain.logs.redaction import views
from bifrost_domain.logs.redaction.contexts import CONTEXTS, Reader, compiled
from bifrost_domain.logs.redaction.keyblocks import MARKERS, PRIVATE_KEY, KeyBlock, unsettled
from bifrost_domain.logs.redaction.personal import PERSONAL
from bifrost_domain.logs.redaction.values import whole
from bifrost_domain.logs.redaction.vendors import SHAPES, Shape

_MARK = re.compile(rb"\[REDACTED:[a-z0-9-]{1,40}(?::[0-9a-f]{4})?\]")
_KEYED = re.compile(r"\[REDACTED:([a-z0-9-]{1,40}):[0-9a-f]{4}\]")
_ROUNDS = 6
_BATCH = 256 * 1024
_PIECE = 256 * 1024
_AHEAD = 16 * 1024
_BEHIND = 512
_GAP = re.compile(rb"\s")

_BLOB = r"(?:[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/]){6,}[A-Za-z0-9+/]*={0,2}"
"""Base64 of ASCII, 24 characters or more: the high bit of every byte is zero, as it never is for long in a hash."""


class Redacted(Struct, frozen=True):
    """A line without its secrets, and the kind of each that was masked; without any, `text` is the input itself."""

    text: str
    kinds: tuple[str, ...] = ()


def unkeyed(text: str) -> str:
    """`text` with its placeholders as `[REDACTED:kind]`: the keyed part takes no part in any identity."""
    return _KEYED.sub(r"[REDACTED:\1]", text) if "[REDACTED:" in text else text


class _Secret(NamedTuple):
    """A finding on one line. `rank`: the lower, the more specific the kind. `value` is what the secret really is."""

    start: int
    end: int
    rank: int
    kind: str
    value: bytes


class Masked(NamedTuple):
    """A line after masking, and the kinds of what was masked in it."""

    line: bytes
    kinds: tuple[str, ...]


class Redactor:
    """Masks secrets as `[REDACTED:kind:h4]`; h4 is 4 hex digits of HMAC-SHA-256(key, secret), so equal ones match.

    `pii` masks e-mail addresses, payment card numbers and Korean resident registration numbers too. It has no state of
    its own and may be used from several threads.
    """

    def __init__(self, key: bytes, *, pii: bool = True) -> None:
        self._key = key
        self._pii = pii

    def line(self, text: str) -> Redacted:
        """One line on its own."""
        return self.lines((text,))[0]

    def lines(self, texts: Sequence[str]) -> list[Redacted]:
        """Consecutive cleaned lines of one file: as many come out, in the same order."""
        block = KeyBlock()
        redacted: list[Redacted] = []
        start = size = 0
        for index, text in enumerate(texts, 1):
            size += len(text)
            if size >= _BATCH or index == len(texts):
                redacted += self._texts(texts[start:index], block)
                start, size = index, 0
        return redacted

    def _texts(self, texts: Sequence[str], block: KeyBlock) -> list[Redacted]:
        data = "\n".join(texts).encode("utf-8", "surrogatepass")
        if data.count(b"\n") != len(texts) - 1:
            data = "\n".join(text.replace("\n", "\r") for text in texts).encode("utf-8", "surrogatepass")
        redacted = [Redacted(text) for text in texts]
        for index, masked in self.masked(data, block).items():
            redacted[index] = Redacted(masked.line.decode("utf-8", "surrogatepass"), masked.kinds)
        return redacted

    def masked(self, data: bytes, block: KeyBlock) -> dict[int, Masked]:
        """Those of the lines of `data` that change, by index. `block` carries an open private key to the next call."""
        suspects = dict.fromkeys(self._suspects(data))
        if not suspects and not block.open:
            return {}
        lines = data.split(b"\n")
        secrets: dict[int, list[_Secret]] = {}
        if block.open or any(marker in data for marker in MARKERS):
            for index, found in block.findings(lines):
                value = lines[index][found.start : found.end]
                secrets.setdefault(index, []).append(_Secret(found.start, found.end, -1, found.kind, value))
                suspects[index] = None
        results: dict[int, Masked] = {}
        current = {index: lines[index] for index in suspects}
        for _ in range(_ROUNDS):
            for index, found_here in self._find(current):
                secrets.setdefault(index, []).extend(found_here)
            if not secrets:
                return results
            current = {}
            for index, found_here in secrets.items():
                before = results.get(index, Masked(lines[index], ()))
                masked = self._mask(before.line, found_here)
                results[index] = Masked(masked.line, before.kinds + masked.kinds)
                current[index] = masked.line
            secrets = {}
        for index, line in current.items():
            results[index] = Masked(self._placeholder("line", line), (*results[index].kinds, "line"))
        return results

    def secrets(self, line: bytes) -> list[tuple[int, int]]:
        """Where the secrets of one line are, in order."""
        found = [secret for _, secrets in self._find({0: line}) for secret in secrets]
        return [(secret.start, secret.end) for secret in _disjoint(found)]

    def _suspects(self, data: bytes) -> list[int]:
        """The lines at which any scan strikes, by index."""
        data = views.visible(data)
        indices: set[int] = set()
        for scan in _scans(self._pii):
            index = position = 0
            while (match := scan.search(data, position)) is not None:
                start, end = match.span()
                index += data.count(b"\n", position, start)
                indices.add(index)
                if spanned := data.count(b"\n", start, end):
                    index += spanned
                    indices.add(index)
                position = data.find(b"\n", end) + 1
                index += 1
                if not position:
                    break
        return sorted(indices)

    def _find(self, lines: dict[int, bytes]) -> Iterator[tuple[int, list[_Secret]]]:
        """The secrets of those of `lines`, given by index, that have any. What is masked already is blanked before."""
        if not lines:
            return
        indices = sorted(lines)
        starts: list[int] = []
        parts: list[bytes] = []
        end = 0
        for place, index in enumerate(indices):
            if place and index != indices[place - 1] + 1:
                parts.append(b"")  # what is no neighbour must not look like one
                end += 1
            starts.append(end)
            parts.append(lines[index])
            end += len(lines[index]) + 1
        data = b"\n".join(parts)
        if b"[REDACTED:" in data:
            data = _MARK.sub(lambda mark: b"*" * len(mark[0]), data)
        found: dict[int, list[_Secret]] = {}
        for secret in chain(self._all(data), self._hidden(data)):
            place = bisect_right(starts, secret.start) - 1
            index, offset = indices[place], starts[place]
            start, end = secret.start - offset, min(secret.end - offset, len(lines[index]))
            found.setdefault(index, []).append(secret._replace(start=start, end=end))
        yield from found.items()

    def _hidden(self, data: bytes) -> Iterator[_Secret]:
        """What only `views.plain` shows, on the lines that it reads otherwise than they are written."""
        lines: list[bytes] = []
        starts: list[int] = []
        ends: list[int] = [0]
        for start, end in views.unusual_lines(data):
            lines.append(data[start:end])
            starts.append(start)
            ends.append(ends[-1] + end - start + 1)
        if not lines:
            return
        view = views.plain(b"\n".join(lines))
        for secret in self._all(view.text):
            start, end = view.original(secret.start, secret.end)
            place = bisect_right(ends, start) - 1
            moved = starts[place] - ends[place]
            yield secret._replace(start=start + moved, end=end + moved)

    def _all(self, data: bytes) -> Iterator[_Secret]:
        yield from _plain_secrets(data, self._pii)
        for match in compiled(_BLOB).finditer(data):
            start, end = match.span()
            kind = _kind_inside(_decoded(data[start:end]))
            if kind is not None:
                yield _Secret(start, end, 0, kind, data[start:end])

    def _mask(self, line: bytes, secrets: list[_Secret]) -> Masked:
        pieces: list[bytes] = []
        kinds: list[str] = []
        position = 0
        for secret in _disjoint(secrets):
            placeholder = self._placeholder(secret.kind, secret.value)
            hidden = line[secret.start : secret.end]
            if hidden.count(0) * 2 >= len(hidden) - 1 > 1:
                placeholder = b"\0".join(bytes([byte]) for byte in placeholder)  # the line is UTF-16
            pieces += (line[position : secret.start], placeholder)
            kinds.append(secret.kind)
            position = secret.end
        return Masked(b"".join((*pieces, line[position:])), tuple(kinds))

    def _placeholder(self, kind: str, secret: bytes) -> bytes:
        return f"[REDACTED:{kind}:{hmac.digest(self._key, secret, 'sha256')[:2].hex()}]".encode()


class RedactingStream:
    """Bytes in, bytes out: one line for each line, and one without a secret byte for byte.

    `counts` has how many secrets were masked so far, by kind. What comes out does not depend on the chunks, but for when
    it does: lines that may be the rest of a private key wait for the line behind them. A line longer than 256 KiB is
    worked on in pieces, cut where no secret is; what is held at any time is bounded by that and the size of a chunk.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._block = KeyBlock()
        self._held: list[bytes] = []
        self._size = 0
        self._inside = False
        self.counts: Counter[str] = Counter()

    def feed(self, chunk: bytes) -> bytes:
        """The lines that are now settled, and the pieces of an overlong one that are."""
        self._held.append(chunk)
        self._size += len(chunk)
        if b"\n" not in chunk and self._size <= _PIECE:
            return b""
        return self._settled(last=False)

    def finish(self) -> bytes:
        """What is left: a last line that nothing ended."""
        return self._settled(last=True)

    def _settled(self, *, last: bool) -> bytes:
        data = b"".join(self._held)
        out: list[bytes] = []
        start = 0
        while start < len(data):
            if self._inside:
                gap = _GAP.search(data, start)
                start = gap.start() if gap else len(data)
                self._inside = gap is None
                continue
            window = data[start : start + _PIECE + 1]
            end = window.rfind(b"\n") + 1
            if end:
                if last and len(window) <= _PIECE:
                    end = len(window)
                elif (held := unsettled(window[:end])) < end or len(window) <= _PIECE:
                    end -= held
            elif len(window) > _PIECE:
                end = self._seam(window[:_PIECE])
            elif last:
                end = len(window)
            if not end:
                break
            out.append(self._batch(window[:end]))
            start += end
        self._held, self._size = [data[start:]], len(data) - start
        return b"".join(out)

    def _seam(self, piece: bytes) -> int:
        """Where to cut: with no secret there, nor so close behind that its name would be cut off.

        Of a secret that goes on beyond the piece, what is left is passed over.
        """
        at = len(piece) - _AHEAD
        before = 0
        for start, end in self._redactor.secrets(piece):
            if end > at:
                if start - _BEHIND >= at:
                    break
                if (at := max(start - _BEHIND, before)) <= 0:
                    self._inside = end == len(piece)
                    return end
                break
            before = end
        return at

    def _batch(self, data: bytes) -> bytes:
        ended = data.endswith(b"\n")
        changed = self._redactor.masked(data[:-1] if ended else data, self._block)
        if not changed:
            return data
        lines = data.split(b"\n")
        for index, masked in changed.items():
            lines[index] = masked.line
            self.counts.update(masked.kinds)
        return b"\n".join(lines)


def _decoded(blob: bytes) -> bytes:
    """The bytes that standard base64 stands for; a last, incomplete group is left out."""
    body = blob.rstrip(b"=")
    return base64.b64decode(body[: len(body) - len(body) % 4])


def _kind_inside(text: bytes) -> str | None:
    """The most specific kind of secret in what was decoded."""
    if b"PRIVATE KEY-----" in text:
        return PRIVATE_KEY
    found = min(_plain_secrets(text, False), key=lambda secret: secret.rank, default=None)
    return None if found is None else found.kind


def _disjoint(secrets: list[_Secret]) -> list[_Secret]:
    """In order, those that overlap as one, under the most specific kind."""
    joined: list[_Secret] = []
    for secret in sorted(secrets, key=lambda secret: (secret.start, -secret.end)):
        if secret.start >= secret.end:
            continue
        if joined and secret.start < joined[-1].end:
            last = joined[-1]
            best = min(last, secret, key=lambda one: one.rank)
            joined[-1] = best._replace(start=last.start, end=max(last.end, secret.end))
        else:
            joined.append(secret)
    return joined


@cache
def _scans(pii: bool) -> tuple[Any, ...]:
    """What could make a rule strike, in parts, because one automaton of everything would have too many states."""
    groups = (*CONTEXTS, PERSONAL) if pii else CONTEXTS
    return (
        _openings(),
        compiled(_BLOB),
        compiled(f"{'|'.join(marker.decode() for marker in MARKERS)}|{views.UNUSUAL}"),
        *(compiled("(?im)" + "|".join(f"(?:{context.pattern})" for context in group)) for group in groups),
    )


@cache
def _openings() -> Any:
    return compiled("|".join(f"(?:{shape.opening})" for shape in SHAPES))


@cache
def _by_start() -> dict[bytes, tuple[Shape, ...]]:
    """The shapes by the first two bytes of what they match, under no bytes those of which it is not known."""
    shapes: dict[bytes, list[Shape]] = {b"": [shape for shape in SHAPES if not shape.starts]}
    for shape in SHAPES:
        for start in {start[:2].encode() for start in shape.starts}:
            shapes.setdefault(start, []).append(shape)
    return {start: tuple(found) for start, found in shapes.items()}


def _shaped(data: bytes) -> Iterator[_Secret]:
    by_start = _by_start()
    reached = 0
    for opening in _openings().finditer(data):
        start = opening.start()
        if start < reached:
            continue
        for shape in (*by_start.get(data[start : start + 2], ()), *by_start[b""]):
            if (match := compiled(shape.pattern).match(data, start)) is not None:
                reached = match.end()
                yield _Secret(start, reached, 0, shape.kind, data[start:reached])
                break


@cache
def _rules(pii: bool) -> tuple[tuple[int, Any, Reader], ...]:
    """Contexts by rank; those of one kind with one reader are one pattern."""
    merged: dict[tuple[str, Reader], list[str]] = {}
    for context in chain(*CONTEXTS, PERSONAL if pii else ()):
        merged.setdefault((context.kind, context.read), []).append(f"(?:{context.pattern})")
    return tuple(
        (rank, compiled("(?im)" + "|".join(patterns)), partial(read, kind=kind))
        for rank, ((kind, read), patterns) in enumerate(merged.items(), 1)
    )


def _plain_secrets(data: bytes, pii: bool) -> Iterator[_Secret]:
    yield from _shaped(data)
    for rank, pattern, read in _rules(pii):
        reached = 0
        for match in pattern.finditer(data):
            if match.end() < reached:
                continue  # inside a secret, and masked with it
            for found in read(data, match.start(), match.end()):
                end = whole(data, found.start, found.end)
                reached = max(reached, end)
                yield _Secret(found.start, end, rank, found.kind, data[found.start : end])
