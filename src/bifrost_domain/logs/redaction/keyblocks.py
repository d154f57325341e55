"""Private keys, which take up many lines: PEM (RFC 7468), OpenPGP (RFC 9580), OpenSSH, PuTTY.

The line that opens a key stays readable and each line of its body is masked, so that line numbers hold. A key may be
cut off on either side, stand behind a timestamp, or be one line with `\\n` written out.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from bifrost_domain.logs.redaction.contexts import Finding, compiled

PRIVATE_KEY = "private-key"
MARKERS = (b"PRIVATE KEY", b"Private-Lines:")
_PLACEHOLDER = b"[REDACTED:private-key:"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_AROUND = b" \t\r\"'`,;"
_HEADERS = (b"Proc-Type:", b"DEK-Info:", b"Comment:", b"Version:", b"Subject:", b"Charset:", b"Hash:")
_LONGEST = 4096
"""Lines after which a block that nothing ended is taken to be over."""
_REST = 16 * 1024
"""Bytes of a key without its first line that are looked at: those of an RSA key of 16384 bits."""

_JOINT = r"(?:\\+[nrt]|\\+|[ \t\"',])"
_INLINE = (
    r"-{4,5} ?BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)? ?-{4,5}"
    rf"((?:{_JOINT}*(?:Proc-Type|DEK-Info|Comment|Version)\\*: ?[\w., -]*)*(?:{_JOINT}*[A-Za-z0-9+/=]{{16,}})*"
    rf"(?:{_JOINT}*[A-Za-z0-9+/=]{{1,15}}{_JOINT}*-----)?)"
)


@cache
def _inline() -> Any:
    return compiled(_INLINE)


class KeyBlock:
    """The state between the lines of one file: whether the next one may belong to a private key."""

    __slots__ = ("_indent", "_left", "open")

    def __init__(self) -> None:
        self.open = False
        self._left = 0
        self._indent = 0

    def findings(self, lines: Sequence[bytes]) -> Iterator[tuple[int, Finding]]:
        """The pieces of private keys on consecutive lines, with the index of the line."""
        for index, line in enumerate(lines):
            if self.open:
                found = self._next(line)
                if found is not None:
                    yield index, found
                if self.open or b"-----BEGIN" not in line:
                    continue
            if b"PRIVATE KEY" in line:
                if b"BEGIN " in line:
                    for inline in self._begin(line):
                        yield index, inline
                elif b"-----END " in line:
                    yield from _orphans(lines, index)
            elif line.lstrip().startswith(b"Private-Lines:"):
                count = line.partition(b":")[2].strip()
                if count.isdigit():
                    self.open, self._left, self._indent = True, min(int(count[:5]), _LONGEST), len(line)

    def _begin(self, line: bytes) -> Iterator[Finding]:
        for match in _inline().finditer(line):
            start, end = match.span(1)
            body = line[start:end]
            if body.endswith(b"-----"):
                end -= 5
            closing = line.find(b"-----END", start)
            if closing >= 0:
                end = closing
            if line[start:end].strip(_AROUND + b"\\nrt-") and _PLACEHOLDER not in line[start:end]:
                yield Finding(start, end, PRIVATE_KEY)
            self.open = closing < 0
            self._left = _LONGEST
            self._indent = line.find(b"-----BEGIN")

    def _next(self, line: bytes) -> Finding | None:
        self._left -= 1
        ending = line.find(b"-----END")
        if ending < 0:
            ending = line.find(b"---- END")
        if ending >= 0 or self._left < 0:
            self.open = False
        text = _stripped(line if ending < 0 else line[:ending])
        start = len(text.rstrip(_BASE64))
        if _is_body(text, start) or (start < len(text) and self._is_short_body(line, text, start)):
            return Finding(start, len(text), PRIVATE_KEY)
        if not self._goes_on(line, text):
            self.open = False
        return None

    def _is_short_body(self, line: bytes, text: bytes, start: int) -> bool:
        """The last line of a key, or the checksum of an OpenPGP one."""
        size = len(text) - start
        return (size % 4 == 0 or text[start : start + 1] == b"=") and (
            start <= self._indent or not text[:start].strip()
        )

    def _goes_on(self, line: bytes, text: bytes) -> bool:
        mark = text.rfind(_PLACEHOLDER)
        return (
            not text[max(0, self._indent) :].strip()
            or (mark >= 0 and text.endswith(b"]") and text.count(b"[", mark) == 1)
            or any(header in line for header in _HEADERS)
        )


def _stripped(line: bytes) -> bytes:
    """Without what a string literal or a list puts behind a line of a key."""
    text = line.rstrip(_AROUND)
    while text.endswith((b"\\n", b"\\r", b"\\")):
        text = text[: -1 if text.endswith(b"\\") else -2].rstrip(b"\\")
    return text


def _is_body(text: bytes, start: int) -> bool:
    run = text[start:]
    if len(run) < 16 or run[:1] == b"/":
        return len(run) >= 60
    mixed = run != run.lower() and run != run.upper()
    return len(run) >= 60 or (mixed and (len(run) >= 40 or any(48 <= byte < 58 for byte in run)))


def _orphans(lines: Sequence[bytes], index: int) -> Iterator[tuple[int, Finding]]:
    """The body of a key whose first line is not here: what stands before the line that ends it."""
    line = lines[index]
    indent = line.index(b"-----END ")
    head = _stripped(line[:indent])
    start = len(head.rstrip(_BASE64))
    if start < len(head):
        yield index, Finding(start, len(head), PRIVATE_KEY)
    ahead, shorter = _rest_of_key(lines[max(0, index - _REST // 16) : index])
    for place in range(index - ahead, index):
        text = _stripped(lines[place])
        start = len(text.rstrip(_BASE64))
        if place < index - 1 or not shorter or (start <= indent and (len(text) - start) % 4 == 0):
            yield place, Finding(start, len(text), PRIVATE_KEY)


def _rest_of_key(lines: Sequence[bytes]) -> tuple[int, bool]:
    """How many of the last lines may be the end of a key's body, and whether the last of them is a shorter one."""
    count, size, shorter = 0, 0, False
    for line in reversed(lines):
        size += len(line) + 1
        text = _stripped(line)
        start = len(text.rstrip(_BASE64))
        if size > _REST:
            break
        if not _is_body(text, start):
            if count or start == len(text):
                break
            shorter = True
        count += 1
    return (0, False) if shorter and count == 1 else (count, shorter)


def unsettled(data: bytes) -> int:
    """How many of the last bytes of whole lines could turn out to be a private key's by the line behind them."""
    lines = data[-_REST - 2 :].split(b"\n")[:-1]
    count, _ = _rest_of_key(lines)
    return sum(len(line) + 1 for line in lines[len(lines) - count :])
