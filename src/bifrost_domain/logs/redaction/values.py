"""Where a value begins and ends behind its name, and whether it can be a secret at all.

Everything works on bytes and looks at no more than `REACH` of them, so that a line full of names costs linear time.
"""

import math
import re
from itertools import pairwise
from typing import NamedTuple

REACH = 1024
"""A decision is made on this many bytes; an accepted value is then followed to its end, however far that is."""

_HEAD = 256
"""As many bytes of a value tell whether it is a secret."""

_QUOTES = b"\"'`"
_WRAPPER = re.compile(
    rb"(?:(?:Some|Ok|Just|Secret\w{0,16}|\w{0,16}String)\(|string\([0-9]{1,6}\)[ ]|[bruf@NLE])(?=\\*[\"'])"
)
_SIMPLE = re.compile(rb"[\w.+/=~%!@#^*$-]++")
_WHITE = frozenset((b" ", b"\n", b"\t", b""))
_COMMAS = (b",", b";")
"""Behind a run of `_SIMPLE` these say that nothing follows and nothing needs to be looked for."""
_RUN = re.compile(rb"[^\s]*")
_QUOTE = re.compile(rb"\\*[\"'`]")
_NEXT_PARAMETER = re.compile(rb"&(?:amp;)?[A-Za-z_][\w.%-]{0,64}=|&$")
_NEXT_FIELD = re.compile(rb"[,;](?=\s|$|[\"'{\[]|[A-Za-z_][\w. -]{0,40}[\"']?[=:])")
_ESCAPED_END = re.compile(rb"\\{1,16}u0026|\\{1,16}[nrt](?=$|[^\w]|[A-Za-z_][\w-]{0,64}[=:])")

_PLACEHOLDER = re.compile(
    rb"\*+|(?:[xX.#_?-]|\xe2\x80\xa2){2,}|<[^<>]*>?|\[[A-Za-z_ -]*\]|\{+[^{}]*\}*"
    rb"|\$\{.*|\$\(.*|\$[A-Z_][A-Z0-9_]*|\$[a-z_]+|\$env:\w+|%\(\w+\)s|%\w+%|%[sdv@]|:[a-z_]+|@[A-Za-z_]+|#\{.*"
    rb"|\((?:sensitive|known|hidden|masked|redacted|omitted|none|null|empty|unset)\b[^()]*\)?"
    rb"|=+|[\W_]{1,3}|\\.?",
    re.DOTALL,
)
_NOT_A_VALUE = frozenset(
    b"null nil none undefined true false yes no on off n/a na empty unset missing redacted masked hidden filtered"
    b" secret password passwd token required optional invalid incorrect wrong expired accepted rejected denied failed"
    b" failure ok unknown default changed reset set updated enabled disabled str string int integer bool boolean bytes"
    b" text char varchar object any array list map number float must should cannot and or not is was the a an for from"
    b" to in of with this that error warning secure unchanged ignored skipped present absent provided given valid"
    b" authentication xxx private public function var const let return new type value no_value prompt stdin basic"
    b" bearer user username anonymous class".split()
)
_CODE = re.compile(rb"[A-Za-z_$][\w$]*(?:(?:\.|::|->)[A-Za-z_$][\w$]*)*(?:\(.*|\[.*|\{.*)?", re.DOTALL)
_ORDINARY = re.compile(rb"(?=[A-Za-z0-9])[A-Za-z_+/=.:@!#$%^&~-]*+[0-9][\w+/=.:@!#$%^&~-]*+")
"""With a digit and without brackets or stars: nothing of the two above."""
_ALPHANUMERIC_KEY = re.compile(
    rb"[A-Za-z]++[0-9]++[A-Za-z]++[0-9][A-Za-z0-9]*+|(?!0[xX])[0-9][A-Za-z0-9]*[A-SU-Ya-z][A-Za-z0-9]{2,}"
)
"""Letters and digits that turn too often for a word with a number behind it, and are no number with a unit."""
_OBJECT = re.compile(rb"[\w.$]+@[0-9a-f]{4,16}")
_PUBLIC = re.compile(
    rb"(?i:sha[0-9]{1,3}|md5|blake2[bs]|urn:uuid|arn:aws)[:-]|ssh-|ecdsa-|0[xX][0-9a-fA-F]+$|[a-z][a-z0-9+.-]*://"
)
_NUMBER = re.compile(rb"[+-]?[0-9][0-9.,:/TZ+_-]*(?:[a-zA-Z%]{1,2})?")
_VERSION = re.compile(rb"v?[0-9]+(?:\.[0-9]+)+[\w.+-]*")
_RANDOM_ALPHABET = re.compile(rb"[\w.+/=~:%$!@#^&*-]+")
_DIGIT = re.compile(rb"[0-9]")
_LOWER = re.compile(rb"[a-z]")
_UPPER = re.compile(rb"[A-Z]")
_LETTER = re.compile(rb"[A-Za-z]")
_MADE_UP = re.compile(rb"[A-Za-z0-9][^\w\s./:=()\[\]{}\"'-][\S]*[A-Za-z0-9]")
_WORDY_PART = re.compile(rb"[a-z]+[0-9]{0,2}|[A-Z]+[0-9]{0,2}|[A-Z]?[a-z]+(?:[A-Z][a-z]+)*[0-9]{0,2}|[0-9]{1,4}|")
_PARTS = re.compile(rb"[-_./:+@]")
UUID = re.compile(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


class Value(NamedTuple):
    """The bytes from `start` up to `end`. `quoted`: it stood in quotes of its own."""

    start: int
    end: int
    quoted: bool


def line_end(data: bytes, position: int) -> int:
    end = data.find(b"\n", position)
    return len(data) if end < 0 else end


def enclosing_quote(data: bytes, position: int) -> bytes:
    """The quote, with its escapes, inside which `position` lies in its line as far as can be told; empty if none."""
    start = max(data.rfind(b"\n", 0, position) + 1, position - REACH)
    before = data[start:position]
    for quote in (b'"', b"'", b"`"):
        if before.count(quote) % 2:
            at = before.rfind(quote)
            slashes = at
            while slashes and before[slashes - 1 : slashes] == b"\\":
                slashes -= 1
            if quote != b"'" or not before[:slashes][-1:].isalpha():
                return before[slashes : at + 1]
    return b""


def _closing(data: bytes, position: int, quote: bytes, end: int) -> int:
    """Where `quote` next stands with exactly its own escapes, -1 if it does not."""
    depth = len(quote) - 1
    while (at := data.find(quote[-1:], position, end)) >= 0:
        slashes = at
        while slashes > position and data[slashes - 1 : slashes] == b"\\":
            slashes -= 1
        if at - slashes == depth or (depth and at - slashes < depth):
            return slashes
        position = at + 1
    return -1


def value_at(data: bytes, position: int, *, xml: bool = False) -> Value:
    """The value that begins at `position`: what its quotes enclose, or a run without white space less what follows.

    A value that goes on beyond `REACH` bytes ends there; `whole` finds its end once it is known to be a secret.
    """
    if not xml and (simple := _SIMPLE.match(data, position, position + REACH)):
        stop = simple.end()
        after = data[stop : stop + 2]
        if after[:1] in _WHITE or (after[:1] in _COMMAS and after[1:] in _WHITE):
            return Value(position, stop, False)
    end = min(line_end(data, position), position + REACH)
    if xml:
        close = data.find(b"<", position, end)
        return Value(position, end if close < 0 else close, True)
    if data[position : position + 1] == b'"':
        close = data.find(b'"', position + 1, end)
        if close >= 0 and data[close - 1 : close] != b"\\":
            return Value(position + 1, close, True)
    if wrapper := _WRAPPER.match(data, position, end):
        position = wrapper.end()
    if opening := _QUOTE.match(data, position, end):
        close = _closing(data, opening.end(), opening[0], end)
        if close >= 0:
            return Value(opening.end(), close, True)
        position = opening.end()
    return Value(position, _unquoted_end(data, position, end), False)


def whole(data: bytes, start: int, end: int) -> int:
    """The end of a secret that was measured up to `REACH`."""
    if end - start < REACH:
        return end
    run = _RUN.match(data, end)
    return run.end() if run else end


def _unquoted_end(data: bytes, position: int, end: int) -> int:
    run = _RUN.match(data, position, end)
    stop = run.end() if run else position
    if quote := enclosing_quote(data, position):
        close = _closing(data, position, quote, stop)
        if close >= 0:
            stop = close
    tag = data.find(b"</", position, stop)
    if tag >= 0:
        stop = tag
    for sign, boundary in ((b"&", _NEXT_PARAMETER), (b"\\", _ESCAPED_END)):
        at = data.find(sign, position, stop)
        if at >= 0 and (found := boundary.search(data, at, stop)):
            stop = found.start()
    if found := _NEXT_FIELD.search(data, position, min(stop + 64, end)):
        stop = min(stop, found.start())
    return _trimmed(data, position, stop)


def _trimmed(data: bytes, position: int, stop: int) -> int:
    """Without the punctuation of the text around: commas, closing brackets and quotes that nothing opened."""
    while stop > position:
        last = data[stop - 1 : stop]
        unopened = last in _OPENING and data.count(last, position, stop) > data.count(_OPENING[last], position, stop)
        unpaired = last in _QUOTES and data.count(last, position, stop) % 2
        if last not in b",;:" and not unopened and not unpaired:
            break
        stop -= 1
    return stop


_OPENING = {b")": b"(", b"]": b"[", b"}": b"{", b">": b"<"}


def is_placeholder(value: bytes) -> bool:
    """Nothing, a mask, a variable, a word that stands where a value would: not a secret, whatever its name is."""
    head = value[:_HEAD]
    if _ORDINARY.fullmatch(head):
        return False
    value = value.strip()
    head = value[:_HEAD]
    return (
        not value
        or _PLACEHOLDER.fullmatch(head) is not None
        or head.lower().strip(b".,;:!?()[]\"'") in _NOT_A_VALUE
        or (b"***" in head and len(head.replace(b"*", b"").strip(b"\"'[](){} ,;:")) <= 4)
        or not head.translate(None, b"*xX. \"'\\")
    )


def is_code(value: bytes) -> bool:
    """A call, an attribute or an object's printed form, as in `password = config.get("password")`."""
    head = value[:_HEAD]
    if _OBJECT.fullmatch(head):
        return True
    code = _CODE.fullmatch(head)
    return code is not None and (b"." in head or b"(" in head or b"::" in head or b"->" in head or head[-1:] == b"{")


def is_made_up(value: bytes) -> bool:
    """What people make up under a password rule: `coffee#7167?piB`, or anything random."""
    head = value[:_HEAD]
    if is_random(head, least=6):
        return True
    plain = _NUMBER.fullmatch(head) or _VERSION.fullmatch(head) or _PUBLIC.match(head)
    return (
        len(head) >= 8
        and (_DIGIT.search(head) is not None or (_LOWER.search(head) is not None and _UPPER.search(head) is not None))
        and not plain
        and _MADE_UP.search(head) is not None
        and head[:1] not in b"/([{<"
        and min(head) > 0x20
    )


def is_random(value: bytes, *, least: int = 8) -> bool:
    """Text that nobody would write by hand: what keys and tokens are made of, and words, paths and numbers are not."""
    head = value[:_HEAD]
    if len(head) < least:
        return False
    if _ALPHANUMERIC_KEY.fullmatch(head):
        return True
    if _RANDOM_ALPHABET.fullmatch(head) is None:
        return False
    digits, one_case = _DIGIT.search(head) is not None, head in (head.lower(), head.upper())
    if not digits and one_case and (len(head) < 20 or len(set(head)) < 12):
        return False  # fewer than 12 letters cannot reach the entropy asked for below
    if _NUMBER.fullmatch(head) or _VERSION.fullmatch(head) or _PUBLIC.match(head) or _OBJECT.fullmatch(head):
        return False
    parts = _PARTS.split(head.rstrip(b"="))
    if all(_WORDY_PART.fullmatch(part) for part in parts) and not _mixed(head, parts):
        return False
    if b"/" in head and _is_path(head):
        return False
    if (digits and _LETTER.search(head) is not None) or (not one_case and len(head) >= 16):
        return True
    return len(head) >= 20 and _entropy(head) > 3.5


def _mixed(head: bytes, parts: list[bytes]) -> bool:
    """Camel case that turns too often to be words: `qWerTyUiOpAsDfGh` against `someLongMethodName`."""
    if len(parts) != 1 or len(head) < 16:
        return False
    turns = sum(97 <= left < 123 and 65 <= right < 91 for left, right in pairwise(head))
    return turns * 4 >= len(head)


def _is_path(head: bytes) -> bool:
    if head.startswith((b"./", b"../", b"~/")) or b"." in head or b"-" in head:
        return True
    return not any(
        part != part.lower() and part != part.upper() and any(48 <= byte < 58 for byte in part)
        for part in head.split(b"/")
    )


def _entropy(head: bytes) -> float:
    """Shannon entropy in bits a byte."""
    size = len(head)
    return -sum(count / size * math.log2(count / size) for count in (head.count(byte) for byte in set(head)))
