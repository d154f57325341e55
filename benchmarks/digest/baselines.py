"""What anyone can do without Bifrost: the end of a log, and the lines that a search finds, under the same limit."""

import re
from collections.abc import Iterable, Sequence

_ALARMING = re.compile(r"error|fail|exception|fatal|panic", re.IGNORECASE)


def _fitting(places: Iterable[int], costs: Sequence[int], room: int) -> set[int]:
    taken: set[int] = set()
    for place in places:
        if place in taken:
            continue
        room -= costs[place]
        if room < 0:
            break
        taken.add(place)
    return taken


def tail(texts: Sequence[str], costs: Sequence[int], room: int) -> set[int]:
    """Places of the last lines whose `costs` come to `room` at most."""
    return _fitting(reversed(range(len(texts))), costs, room)


def grep(texts: Sequence[str], costs: Sequence[int], room: int, *, context: int = 0, last: bool = False) -> set[int]:
    """Places of the lines with an alarming word, and `context` lines on both sides of each: the first that fit into
    `room`, or the `last`."""
    found = [place for place, text in enumerate(texts) if _ALARMING.search(text)]
    around = range(-context, context + 1)
    order = [place + step for place in found for step in around if 0 <= place + step < len(texts)]
    return _fitting(reversed(order) if last else order, costs, room)
