"""Lines that only mean something together: tracebacks, diffs, diagnostics with their carets, test reports, records.

`group` partitions consecutive lines into blocks by their shape alone: how a line opens, and how far the lines after
it are indented. It knows conventions that many tools share (a frame starts with `at` or `File "`, a cause with
`Caused by`), not tools. Every test is a string operation of bounded cost, so hostile text cannot slow it down.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

MOST_LINES = 400
"""A block ends here at the latest, so that a runaway shape cannot swallow a log."""


class Kind(StrEnum):
    """What sort of unit a block is."""

    LINE = "line"
    RECORD = "record"
    TRACEBACK = "traceback"
    DIFF = "diff"
    DIAGNOSTIC = "diagnostic"
    ASSERTION = "assertion"
    SUMMARY = "summary"
    JSON = "json"
    STEP = "step"
    EXIT = "exit"


class Block(Struct, frozen=True, kw_only=True):
    """Lines `start` up to but not including `end`, as indices into what was grouped."""

    start: int
    end: int
    kind: Kind


_TRACEBACK_OPENERS = (
    "Traceback (most recent call last)",
    "Exception in thread",
    "Unhandled exception",
    "Uncaught ",
    "panic: ",
    "fatal error: ",
    "goroutine ",
    "stack backtrace:",
    "Stack trace:",
    "Backtrace:",
    "PHP Fatal error:",
    "Fatal error: Uncaught",
    "== Backtrace",
    "*** stack smashing",
)
_CAUSES = (
    "Caused by",
    "During handling of the above exception",
    "The above exception was the direct cause",
    "Suppressed:",
    "--- End of inner exception",
    "[CIRCULAR REFERENCE",
    "Previous exception",
    "Next ",
)
_FRAMES = ("at ", 'File "', "from ", "... ", "in `", "in <", "called from ", "created by ", "\u2026")
_DIFF_OPENERS = ("diff --git ", "--- ", "*** ", "@@ ", "Index: ")
_DIFF_BODY = (
    "+",
    "-",
    " ",
    "@",
    "\\",
    "index ",
    "diff ",
    "new file",
    "deleted file",
    "similarity",
    "rename ",
    "old mode",
    "new mode",
)
_RULED = frozenset("=-_*~#\u2500\u2550\u2501")
_BARS = ("|", "^", "~", "\u2502", "\u256d", "\u2570", "\u2577", "\u2575", "\u00b7", "-->", ":::")


def indent_of(text: str) -> int:
    """Columns of leading white space, a tab counting as four."""
    stripped = text.lstrip()
    lead = text[: len(text) - len(stripped)]
    return len(lead) + 3 * lead.count("\t")


def is_frame(stripped: str) -> bool:
    """Whether a line, given without its indentation, is a call of a stack trace in one of the usual notations."""
    if stripped.startswith(_FRAMES):
        return True
    head = stripped[:1]
    if head == "#" and stripped[1:2].isdigit():
        return True
    return head.isdigit() and ": 0x" in stripped[:12]


def is_rule(stripped: str) -> bool:
    """Whether a line is a drawn line, or a title set in one: `-----`, `==== FAILURES ====`."""
    return len(stripped) >= 4 and stripped[0] in _RULED and stripped[:4] == stripped[0] * 4


def is_title(stripped: str) -> bool:
    """Whether a line is a title between two drawn lines: `____ test_name ____`."""
    return is_rule(stripped) and stripped[-1] == stripped[0] and len(stripped.strip(stripped[0])) > 0


def _exception(text: str) -> bool:
    """`some.package.NameError: message`, `NameException`: an exception's own line, not indented."""
    head = text.partition(":")[0]
    if " " in head or len(head) > 120:
        return False
    name = head.rpartition(".")[2]
    return name.endswith(("Error", "Exception", "Warning", "Failure", "Interrupt", "Fault")) and name[:1].isupper()


def is_located(text: str) -> bool:
    """`path:12: ...`, `path:12:5: ...`, `path(12,5): ...`: a diagnostic that names a place in a file."""
    head, colon, rest = text.partition(":")
    if not colon or not head or len(head) > 300:
        return False
    if rest[:1].isdigit():
        return "." in head or "/" in head
    return head.endswith(")") and "(" in head and head[-2:-1].isdigit()


def group(texts: Sequence[str], starts: Sequence[bool] | None = None) -> list[Block]:
    """Consecutive blocks that cover all of `texts`.

    `starts[i]` is False where a format's reader knows that line `i` continues the record before it.
    """
    blocks: list[Block] = []
    place, total = 0, len(texts)
    while place < total:
        end, kind = _block_at(texts, place, min(total, place + MOST_LINES))
        if starts is not None:
            while end < total and not starts[end] and end - place < MOST_LINES:
                end += 1
                kind = Kind.RECORD if kind is Kind.LINE else kind
        blocks.append(Block(start=place, end=end, kind=kind))
        place = end
    return blocks


def _block_at(texts: Sequence[str], place: int, limit: int) -> tuple[int, Kind]:
    text = texts[place]
    stripped = text.strip()
    if not stripped:
        return place + 1, Kind.LINE
    if stripped.startswith(_TRACEBACK_OPENERS) or "panicked at" in text or "Traceback (most recent call last)" in text:
        return _traceback(texts, place, limit), Kind.TRACEBACK
    following = texts[place + 1] if place + 1 < limit else ""
    if following and is_frame(following.lstrip()) and (indent_of(following) > indent_of(text) or _exception(stripped)):
        return _traceback(texts, place, limit), Kind.TRACEBACK
    margin = text[: len(text) - len(text.lstrip())]
    if stripped.startswith(_DIFF_OPENERS) and (
        stripped.startswith(("diff ", "@@ ")) or following.startswith((margin + "+++ ", margin + "--- "))
    ):
        return _diff(texts, place, limit), Kind.DIFF
    if stripped[0] in "{[" and stripped[-1] in "{[" and len(stripped) < 80:
        return _json(texts, place, limit)
    if is_title(stripped) and stripped[0] == "_":
        return _section(texts, place, limit), Kind.ASSERTION
    if (
        stripped[0] in "\u25cf\u2715\u2717\u2718"
        or stripped.startswith(("not ok ", "--- FAIL", "E   "))
        or _enumerated(stripped)
    ):
        return _indented(texts, place, limit, blanks=True), Kind.ASSERTION
    if is_located(stripped) or stripped.startswith(("error[", "error: ", "warning: ", "error TS")):
        return _indented(texts, place, limit, blanks=False), Kind.DIAGNOSTIC
    end = _indented(texts, place, limit, blanks=False)
    return end, Kind.RECORD if end > place + 1 else Kind.LINE


def _enumerated(stripped: str) -> bool:
    """`1) name`: how many test runners number their failures."""
    number, bracket, rest = stripped[:6].partition(")")
    return bool(bracket) and number.isdigit() and (not rest or rest[0] == " ")


def _traceback(texts: Sequence[str], place: int, limit: int) -> int:
    """The end of a stack trace, its causes included, and the exception's line where that comes last."""
    base = indent_of(texts[place])
    called = texts[place].startswith(("panic: ", "fatal error: ", "goroutine "))  # Go writes a call over its place
    end, frames = place + 1, False
    while end < limit:
        text = texts[end]
        stripped = text.lstrip()
        if not stripped:
            following = texts[end + 1].lstrip() if end + 1 < limit else ""
            if not following.startswith((*_CAUSES, "Traceback (most", "goroutine ")):
                break
        elif is_frame(stripped) or indent_of(text) > base:
            frames = True
        elif stripped.startswith(
            (*_CAUSES, "Traceback (most", "goroutine ", "Stack trace:", "stack backtrace:", "note: ")
        ):
            pass
        elif frames and _exception(stripped):
            following = texts[end + 1].lstrip() if end + 1 < limit else ""
            if not is_frame(following) and not following.startswith(_CAUSES):
                end = _message_end(texts, end + 1, limit)
                following = texts[end + 1].lstrip() if end + 1 < limit and not texts[end].strip() else ""
                if not following.startswith(_CAUSES):
                    break
                continue
        elif not (
            (called and text.endswith(")") and end + 1 < limit and texts[end + 1][:1] == "\t")
            or (not frames and end == place + 1)
        ):
            break
        end += 1
    return end


def _message_end(texts: Sequence[str], place: int, limit: int) -> int:
    """Past the indented rest of an exception's message."""
    while place < limit and texts[place][:1] in (" ", "\t") and texts[place].strip():
        place += 1
    return place


def _diff(texts: Sequence[str], place: int, limit: int) -> int:
    margin = texts[place][: len(texts[place]) - len(texts[place].lstrip())]
    end = place + 1
    while end < limit and texts[end].startswith(margin) and texts[end][len(margin) :].startswith(_DIFF_BODY):
        end += 1
    return end


def _json(texts: Sequence[str], place: int, limit: int) -> tuple[int, Kind]:
    """A pretty-printed value up to its closing bracket at the same indentation."""
    base = indent_of(texts[place])
    for end in range(place + 1, limit):
        stripped = texts[end].strip()
        if not stripped:
            break
        depth = indent_of(texts[end])
        if depth <= base:
            closed = depth == base and stripped[0] in "}]"
            return (end + 1, Kind.JSON) if closed else (place + 1, Kind.LINE)
    return place + 1, Kind.LINE


def _section(texts: Sequence[str], place: int, limit: int) -> int:
    """From a drawn title up to the next one."""
    end = place + 1
    while end < limit and not (is_title(texts[end].strip()) and texts[end].strip()[0] in "_="):
        end += 1
    return end


def _indented(texts: Sequence[str], place: int, limit: int, *, blanks: bool) -> int:
    """Past the lines that are indented deeper than the first, or that point at it (carets, bars).

    `blanks`: blank lines inside belong to it as well.
    """
    base = indent_of(texts[place])
    end = last = place + 1
    while end < limit:
        text = texts[end]
        stripped = text.lstrip()
        if stripped:
            if indent_of(text) <= base and not stripped.startswith(_BARS):
                break
            if stripped.startswith("--- ") and end + 1 < limit and texts[end + 1].lstrip().startswith("+++ "):
                break
            last = end + 1
        elif not blanks:
            break
        end += 1
    return last
