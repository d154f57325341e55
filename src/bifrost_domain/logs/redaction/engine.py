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
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import accumulate
from typing import NamedTuple

from msgspec import Struct

from bifrost_domain.logs.redaction import views
from bifrost_domain.logs.redaction.contexts import AT_VALUE, CONTEXTS, Context, Reader, any_of, compiled
from bifrost_domain.logs.redaction.following import Following
from bifrost_domain.logs.redaction.keyblocks import MARKERS, PRIVATE_KEY, KeyBlock, unsettled
from bifrost_domain.logs.redaction.personal import EMAIL, NUMBERS
from bifrost_domain.logs.redaction.pseudonyms import Pseudonyms, unnamed
from bifrost_domain.logs.redaction.values import REACH, whole
from bifrost_domain.logs.redaction.vendors import SHAPES, Shape

_MARK = re.compile(rb"\[REDACTED:[a-z0-9-]{1,40}(?::[0-9a-f]{4})?\]")
_KEYED = re.compile(r"\[REDACTED:([a-z0-9-]{1,40}):[0-9a-f]{4}\]")
_ROUNDS = 6
_BATCH = 256 * 1024
_PIECE = 256 * 1024
_AHEAD = 16 * 1024
_BEHIND = 512
_BLANK = b"*" * len("[REDACTED:x]")
_MASKED_VALUE = re.compile(rb"\*{12,}+(?!\S)|(\\*[\"'`])\*{12,}+\1")
_GAP = re.compile(rb"\s")
_KNOWN_LINES = 8192
_KNOWN_LENGTH = 1024
_PART = 16 * 1024
_SMALL_PART = 2 * 1024

_BLOB = r"(?:[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/]){6,}[A-Za-z0-9+/]*={0,2}"
"""Base64 of ASCII, 24 characters or more: the high bit of every byte is zero, as it never is for long in a hash."""


class Redacted(Struct, frozen=True):
    """A line without its secrets, and the kind of each that was masked; without any, `text` is the input itself."""

    text: str
    kinds: tuple[str, ...] = ()


def unkeyed(text: str) -> str:
    """`text` with placeholders as `[REDACTED:kind]` and pseudonyms as their kind: no key takes part in an identity."""
    return unnamed(_KEYED.sub(r"[REDACTED:\1]", text) if "[REDACTED:" in text else text)


class _Secret(NamedTuple):
    """A finding on one line. `rank`: the lower, the more specific the kind. `value` is what the secret really is."""

    start: int
    end: int
    rank: int
    kind: str
    value: bytes


_Finder = Callable[[bytes], Iterator[_Secret]]


class Masked(NamedTuple):
    """A line after masking, and the kinds of what was masked in it."""

    line: bytes
    kinds: tuple[str, ...]


class Passage:
    """What is open between two calls on consecutive lines of one file."""

    __slots__ = ("block", "following")

    def __init__(self) -> None:
        self.block = KeyBlock()
        self.following = Following()


class Redactor:
    """Masks secrets as `[REDACTED:kind:h4]`; h4 is 4 hex digits of HMAC-SHA-256(key, secret), so equal ones match.

    `pii` masks e-mail addresses, payment card numbers and Korean resident registration numbers too. With `pseudonyms`,
    `line` and `lines` give hosts, users and addresses names that it can turn back, e-mail addresses among them. It has
    no state of its own but that, and may be used from several threads.
    """

    def __init__(self, key: bytes, *, pii: bool = True, pseudonyms: Pseudonyms | None = None) -> None:
        self._key = key
        self._pseudonyms = pseudonyms
        personal = () if not pii else NUMBERS if pseudonyms is not None else (EMAIL, *NUMBERS)
        self._personal: tuple[Context, ...] = personal
        self._known: dict[bytes, Masked | None] = {}

    def line(self, text: str) -> Redacted:
        """One line on its own."""
        return self.lines((text,))[0]

    def lines(self, texts: Sequence[str]) -> list[Redacted]:
        """Consecutive cleaned lines of one file: as many come out, in the same order."""
        passage = Passage()
        redacted: list[Redacted] = []
        start = size = 0
        for index, text in enumerate(texts, 1):
            size += len(text)
            if size >= _BATCH or index == len(texts):
                redacted += self._texts(texts[start:index], passage)
                start, size = index, 0
        return redacted

    def _texts(self, texts: Sequence[str], passage: Passage) -> list[Redacted]:
        data = "\n".join(texts).encode("utf-8", "surrogatepass")
        if data.count(b"\n") != len(texts) - 1:
            data = "\n".join(text.replace("\n", "\r") for text in texts).encode("utf-8", "surrogatepass")
        redacted = [Redacted(text) for text in texts]
        for index, masked in self.masked(data, passage).items():
            redacted[index] = Redacted(masked.line.decode("utf-8", "surrogatepass"), masked.kinds)
        if self._pseudonyms is not None:
            named = self._pseudonyms.masked([line.text.replace("\n", "\r") for line in redacted])
            redacted = [
                line if text == line.text else Redacted(text, line.kinds)
                for line, text in zip(redacted, named, strict=True)
            ]
        return redacted

    def masked(self, data: bytes, passage: Passage) -> dict[int, Masked]:
        """Those of the lines of `data` that change, by index. `passage` carries what is open to the next call."""
        block = passage.block
        keys: dict[int, list[_Secret]] = {}
        if block.open or any(marker in data for marker in MARKERS):
            lines = data.split(b"\n")
            for index, found in block.findings(lines):
                value = lines[index][found.start : found.end]
                keys.setdefault(index, []).append(_Secret(found.start, found.end, -1, found.kind, value))
        results: dict[int, Masked] = {}
        for index, lines, rules in self._suspects(data, keys):
            if new := self._recalled(dict(enumerate(lines, index)), keys, results):
                self._settle(new, keys, results, rules)
                self._remember(new, keys, results)
        self._follow(data, passage.following, results)
        return results

    def _recalled(
        self, lines: dict[int, bytes], keys: Mapping[int, object], results: dict[int, Masked]
    ) -> dict[int, bytes]:
        """Puts what is known of lines that were looked at before into `results`; returns the others.

        A line that holds a secret is often told again, by whoever retries. What is found on it depends on nothing else.
        """
        new: dict[int, bytes] = {}
        for index, line in lines.items():
            if line not in self._known or index in keys:
                new[index] = line
            elif (masked := self._known[line]) is not None:
                results[index] = masked
        return new

    def _remember(self, lines: dict[int, bytes], keys: Mapping[int, object], results: Mapping[int, Masked]) -> None:
        if len(self._known) > _KNOWN_LINES:
            self._known = {}
        for index, line in lines.items():
            if len(line) <= _KNOWN_LENGTH and index not in keys:
                self._known[line] = results.get(index)

    def _follow(self, data: bytes, following: Following, results: dict[int, Masked]) -> None:
        """Masks what the lines before give away, which are looked at as they come out."""
        changed = b"\n".join(_blanked(masked.line) for masked in results.values())
        if not (following.open or following.begins_in(data) or following.begins_in(changed)):
            return
        lines = data.split(b"\n")
        for index, masked in results.items():
            lines[index] = masked.line
        blank = [_blanked(line) for line in lines] if b"[REDACTED:" in data or results else lines
        answers: dict[int, list[_Secret]] = {}
        for index, (start, end, kind) in following.findings(blank):
            answers.setdefault(index, []).append(_Secret(start, end, 0, kind, blank[index][start:end]))
        if answers:
            self._settle({index: lines[index] for index in answers}, answers, results)

    def secrets(self, line: bytes) -> list[tuple[int, int]]:
        """Where the secrets of one line are, in order."""
        found = [secret for _, secret in self._find({0: _blanked(line)})]
        return [(secret.start, secret.end) for secret in _disjoint(found)]

    def _suspects(
        self, data: bytes, keys: Mapping[int, object]
    ) -> Iterator[tuple[int, list[bytes], frozenset[int] | None]]:
        """Runs of lines in which a rule may strike, or that `keys` has.

        Each comes with the index of its first line, and with the rules that may find something where that is known.
        """
        strikes = _catalogue(self._personal).strikes
        index = 0
        for start, end in _parts(data, 0, len(data), _PART):
            count = data.count(b"\n", start, end) + 1
            among = strikes(views.visible(data[start:end]))
            if among or any(index <= line < index + count for line in keys):
                for small, stop in _parts(data, start, end, _SMALL_PART):
                    text = data[small:stop]
                    seen = views.visible(text)
                    lines = text.split(b"\n")
                    rules = strikes(seen, among)
                    if rules or any(index <= line < index + len(lines) for line in keys):
                        known = len(seen) == len(text) and b"[REDACTED:" not in text
                        yield index, lines, rules if known else None
                    index += len(lines)
            else:
                index += count

    def _settle(
        self,
        lines: dict[int, bytes],
        keys: Mapping[int, list[_Secret]],
        results: dict[int, Masked],
        rules: frozenset[int] | None = None,
    ) -> None:
        """Masks lines until nothing is found on them any more. `rules` are those to begin with, where they are known."""
        secrets = {index: [*keys[index]] for index in lines if index in keys} if keys else {}
        current = {index: _blanked(line) for index, line in lines.items()}
        for _ in range(_ROUNDS):
            for index, secret in self._find(current, rules):
                secrets.setdefault(index, []).append(secret)
            rules = None
            if not secrets:
                return
            blank, current = current, {}
            for index, found in secrets.items():
                before = results.get(index)
                if before is None:
                    results[index], current[index] = self._mask(lines[index], blank[index], found)
                else:
                    masked, current[index] = self._mask(before.line, blank[index], found)
                    results[index] = Masked(masked.line, before.kinds + masked.kinds)
            secrets = {}
        for index in current:
            results[index] = Masked(self._placeholder("line", results[index].line), (*results[index].kinds, "line"))

    def _find(self, lines: dict[int, bytes], rules: frozenset[int] | None = None) -> Iterator[tuple[int, _Secret]]:
        """The secrets on lines given by index, as these are and as `views.plain` reads them."""
        catalogue = _catalogue(self._personal)
        indices = [*lines]
        text = b"\n".join(lines.values())
        starts = [0, *accumulate(len(line) + 1 for line in lines.values())]
        if rules is None:
            rules = catalogue.strikes(text)
        for secret in catalogue.read(text, rules):
            place = bisect_right(starts, secret.start) - 1
            offset = starts[place]
            yield (
                indices[place],
                _Secret(secret.start - offset, secret.end - offset, secret.rank, secret.kind, secret.value),
            )
        if catalogue.unusual not in rules:
            return
        for start, end in views.unusual_lines(text):
            view = views.plain(text[start:end])
            index = indices[bisect_right(starts, start) - 1]
            for secret in catalogue.read(view.text, catalogue.strikes(view.text)):
                if secret.start < secret.end:
                    begin, stop = view.original(secret.start, secret.end)
                    yield index, secret._replace(start=begin, end=stop)

    def _mask(self, line: bytes, blank: bytes, secrets: list[_Secret]) -> tuple[Masked, bytes]:
        """The line with its secrets masked, and the same with its placeholders blanked."""
        pieces: list[bytes] = []
        blanks: list[bytes] = []
        kinds: list[str] = []
        position = 0
        for secret in _disjoint(secrets) if len(secrets) > 1 else secrets:
            start, end = secret.start, secret.end
            if start >= end:
                continue
            placeholder = self._placeholder(secret.kind, secret.value)
            stars = b"*" * len(placeholder)
            if b"\0" in line and line.count(0, start, end) * 2 >= end - start - 1 > 1:
                stars = placeholder = b"\0".join(bytes([byte]) for byte in placeholder)  # the line is UTF-16
            pieces += (line[position:start], placeholder)
            blanks += (blank[position:start], stars)
            kinds.append(secret.kind)
            position = end
        pieces.append(line[position:])
        blanks.append(blank[position:])
        return Masked(b"".join(pieces), tuple(kinds)), b"".join(blanks)

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
        self._passage = Passage()
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
        changed = self._redactor.masked(data[:-1] if ended else data, self._passage)
        if not changed:
            return data
        lines = data.split(b"\n")
        for index, masked in changed.items():
            lines[index] = masked.line
            self.counts.update(masked.kinds)
        return b"\n".join(lines)


def _blanked(line: bytes) -> bytes:
    return _MARK.sub(lambda mark: b"*" * len(mark[0]), line) if b"[REDACTED:" in line else line


def _parts(text: bytes, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """`text` from `start` up to `end` in parts of whole lines, of about `size` bytes."""
    while start <= end:
        stop = text.find(b"\n", start + size, end)
        if stop < 0:
            stop = end
        yield start, stop
        start = stop + 1


def _inside(blob: bytes) -> str | None:
    """The most specific kind of secret in what base64 stands for; a last, incomplete group is left out."""
    body = blob.rstrip(b"=")
    text = base64.b64decode(body[: len(body) - len(body) % 4])
    if b"PRIVATE KEY-----" in text:
        return PRIVATE_KEY
    catalogue = _catalogue(())
    rules = catalogue.strikes(text) - {catalogue.blobs}
    found = min(catalogue.read(text, rules), key=lambda secret: secret.rank, default=None)
    return None if found is None else found.kind


def _by_place(secret: _Secret) -> tuple[int, int]:
    return secret.start, -secret.end


def _disjoint(secrets: list[_Secret]) -> list[_Secret]:
    """In order, those that overlap as one, under the most specific kind."""
    joined: list[_Secret] = []
    secrets.sort(key=_by_place)
    for secret in secrets:
        if secret.start >= secret.end:
            continue
        if joined and secret.start < joined[-1].end:
            last = joined[-1]
            best = secret if secret.rank < last.rank else last
            joined[-1] = best._replace(start=last.start, end=max(last.end, secret.end))
        else:
            joined.append(secret)
    return joined


class _Catalogue(NamedTuple):
    """Every rule, and a few automata that say which of them match in a text.

    One behind the finders, `unusual`, is what `views.plain` reads otherwise. `blobs` is the finder for base64.
    """

    automata: tuple[tuple[Callable[[bytes], list[int] | None], tuple[int, ...]], ...]
    finders: tuple[_Finder, ...]
    blobs: int
    unusual: int

    def strikes(self, text: bytes, among: frozenset[int] | None = None) -> frozenset[int]:
        """Which rules have a match somewhere in `text`; with `among`, none but these can."""
        struck: set[int] = set()
        for match, rules in self.automata:
            if (among is None or not among.isdisjoint(rules)) and (found := match(text)):
                struck.update(rules[place] for place in found)
        return frozenset(struck)

    def read(self, text: bytes, rules: frozenset[int]) -> Iterator[_Secret]:
        for rule in sorted(rules):
            if rule < self.unusual:
                yield from self.finders[rule](text)


@cache
def _catalogue(personal: tuple[Context, ...]) -> _Catalogue:
    """Contexts by rank; those of one kind with one reader are one pattern.

    Patterns share an automaton where few of its states are pairs of theirs: what counts the characters of a word is
    kept from what looks for many words.
    """
    merged: dict[tuple[str, Reader], list[str]] = {}
    groups: dict[tuple[str, Reader], int] = {}
    for group, contexts in enumerate((*CONTEXTS, personal)):
        for context in contexts:
            merged.setdefault((context.kind, context.read), []).append(f"(?:{context.pattern})")
            groups.setdefault((context.kind, context.read), group)
    finders: list[_Finder] = [_shaped]
    shared: dict[int, list[tuple[str, int]]] = {}
    for rank, ((kind, read), alternatives) in enumerate(merged.items(), 1):
        pattern = "(?im)" + "|".join(alternatives)
        shared.setdefault(_AUTOMATON[groups[kind, read]], []).append((pattern, rank))
        finders.append(partial(_told, pattern=pattern, read=read, rank=rank, kind=kind))
    finders.append(_encoded)
    blobs, unusual = len(finders) - 1, len(finders)
    counting = shared.setdefault(-1, [])
    counting += ((_BLOB, blobs), (views.UNUSUAL, unusual), (views.CONTROLS, unusual))
    automata = [
        [("|".join(f"(?:{shape.opening})" for shape in SHAPES if shape.starts), 0)],
        [("|".join(f"(?:{shape.opening})" for shape in SHAPES if not shape.starts), 0)],
        *shared.values(),
    ]
    return _Catalogue(
        tuple((any_of([pattern for pattern, _ in one]), tuple(rule for _, rule in one)) for one in automata),
        tuple(finders),
        blobs,
        unusual,
    )


_AUTOMATON = (0, 1, 2, 0, -1)
"""For each of `CONTEXTS`, and for what is personal, the automaton that it shares."""

_OPENINGS = "|".join(f"(?:{shape.opening})" for shape in SHAPES)


@cache
def _by_start() -> dict[bytes, tuple[Shape, ...]]:
    """The shapes by the first two bytes of what they match, each with those of which it is not known."""
    shapes: dict[bytes, list[Shape]] = {b"": []}
    anywhere = [shape for shape in SHAPES if not shape.starts]
    for shape in SHAPES:
        for start in {start[:2].encode() for start in shape.starts}:
            shapes.setdefault(start, []).append(shape)
    return {start: (*found, *anywhere) for start, found in shapes.items()}


def _shaped(data: bytes) -> Iterator[_Secret]:
    by_start = _by_start()
    reached = 0
    for opening in compiled(_OPENINGS).finditer(data):
        start = opening.start()
        if start < reached:
            continue
        for shape in by_start.get(data[start : start + 2], by_start[b""]):
            if (match := compiled(shape.pattern).match(data, start)) is not None:
                reached = match.end()
                yield _Secret(start, reached, 0, shape.kind, data[start:reached])
                break


def _encoded(data: bytes) -> Iterator[_Secret]:
    for match in compiled(_BLOB).finditer(data):
        start, end = match.span()
        kind = _inside(data[start:end])
        if kind is not None:
            yield _Secret(start, end, 0, kind, data[start:end])


def _told(data: bytes, *, pattern: str, read: Reader, rank: int, kind: str) -> Iterator[_Secret]:
    """What a context's reader finds behind each of its matches."""
    reached = 0
    masked = _MASKED_VALUE.match if read in AT_VALUE and _BLANK in data else None
    for match in compiled(pattern).finditer(data):
        start, position = match.span()
        if position < reached or (masked is not None and masked(data, position)):
            continue  # inside a secret, and masked with it; or masked already
        for begin, end, name in read(data, start, position, kind):
            if end - begin >= REACH:
                end = whole(data, begin, end)
            if end > reached:
                reached = end
            yield _Secret(begin, end, rank, name, data[begin:end])
