"""Templates: the sorts of lines in a log, with what varies from line to line written as `<*>`.

Three steps, each with one setting for every log:

1. `mask` writes what is variable by its form alone (numbers, times, addresses, ids) as `<*>`.
2. `Header` learns from a sample which leading columns are the logger's and not the message's: times, and further
   columns that are a number, a level, a bracket or a component in nearly every line.
3. `TemplateMiner` finds what is variable by its distribution: lines that agree in all but one place, where many
   different words stand, are one template. It is a function of the set of masked lines, not of their order.

Comparing lines of equal length position by position is Drain's idea (P. He et al., ICWS 2017); that few values at a
place are words of the template and many are a variable is IPLoM's and Brain's (A. Makanju et al., KDD 2009; S. Yu et
al., IEEE TSC 2023). Unlike them nothing is decided as lines arrive, so parts of a log can be mined apart and merged.
"""

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import chain, islice, pairwise
from operator import mul

from msgspec import Struct
from msgspec.structs import replace

from bifrost_domain.logs.digest import Template
from bifrost_domain.logs.lines import Level

WILDCARD = "<*>"

MAX_WORD = 256
"""Characters of one word that are looked at: it bounds what a hostile word can cost. Longer ones are cut at commas."""

MAX_TOKENS = 256
"""Tokens of one line that are compared. Longer lines are one sort with all that begin as they do."""

_MEMO = 1 << 16

_HEX = frozenset("0123456789abcdefABCDEF")

# Every expression is linear: each alternative starts at a fixed character or at the edge of a run, and repeats one
# character class. Those that look back or ahead only ever see one word of MAX_WORD characters.
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_MAIL = r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
_OBJECT = r"(?<=@)[0-9a-f]{4,16}(?![A-Za-z0-9])"
_POD = r"(?<=[a-z0-9]-)(?=[a-z]*[0-9])[bcdf0-9a-z]{8,10}-[a-z0-9]{5}(?![A-Za-z0-9])"
_COLONS = r"(?<![A-Za-z0-9:])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,}(?![A-Za-z0-9:])"
_CODE = r"(?<![\w./-])([A-Z]{1,5}-?[0-9]{3,5}|(?:code|status|errno|signal)=[0-9]{1,5})(?![\w./-])"
_TEMPORARY = (
    r"(?<=[/\\][Tt]mp[/\\])[^/\\:,;\"')]+|(?<=[/\\][Tt]emp[/\\])[^/\\:,;\"')]+"
    r"|(?<![A-Za-z0-9_])tmp(?:[a-z0-9][a-z0-9_]{7}|\.[A-Za-z0-9]{6,10})(?![A-Za-z0-9_])"
)
_ALPHANUMERIC = r"[A-Za-z0-9]*[0-9][A-Za-z0-9]*"
_ADJOINING = r"(?:(?<![A-Za-z0-9>)])[<>~]?=?[-+]?(?=<\*>))?<\*>(?!>)(?:[-+.:/_#T]{1,2}<\*>)*"
_REDACTED = r"\[REDACTED:([a-z0-9_-]+):[0-9A-Za-z]+\]"
_DATE = (
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? )?"
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* <\*>"
)
_UNIT = r"<\*> (?:[KMGTP]?i?[Bb]|[mnuµ]?s|secs?|[KMG]?Hz|[AP]M)\b"
_LIST = r"<\*>(?:,? <\*>|,<\*>)+"

_SHORT_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SUMMER_MONTHS = ("April", "May", "June", "July", "August", "September")
_WINTER_MONTHS = ("October", "November", "December", "January", "February", "March")
_MONTHS = frozenset((*_SHORT_MONTHS, *_SUMMER_MONTHS, *_WINTER_MONTHS))
_CODED = frozenset({"code", "status", "errno", "signal", "code:", "status:", "errno:", "signal:"})


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def mask(text: str) -> str:
    """`text` with everything that differs between two runs of one failure as `<*>`, and single spaces.

    Masked are times, dates, UUIDs, hex and mixed ids, IP and MAC addresses, ports, numbers with or without a unit,
    durations, e-mail addresses, Java object ids, pod suffixes, names under a temporary directory and digits within
    names and paths; a list of them is one. Kept are words, quoted words, the rest of a path, and numbers that name a
    failure: an error code such as `ORA-00942` or the number after `exit code`, `status`, `errno` or `signal`.
    """
    words: list[str] = []
    before = masked = ""
    for word, shape in zip(text.split(), text.translate(_FOLD).split(), strict=True):
        last = masked
        masked = _mask_word(word, shape)
        if WILDCARD in masked:
            if masked == last:
                continue
            if before in _CODED and len(code := word.rstrip(".,;)")) <= 5 and code.isdigit():
                masked = word
        words.append(masked)
        before = word
    line = " ".join(words)
    if WILDCARD in line:
        if not _MONTHS.isdisjoint(words):
            line = _compiled(_DATE).sub(WILDCARD, line)
        line = _compiled(_LIST).sub(WILDCARD, _compiled(_UNIT).sub(WILDCARD, line))
    return line


_FOLD = str.maketrans("123456789", "000000000")
_PIECE = r"[^,;&\"]+|[,;&\"]"


def _mask_word(word: str, shape: str) -> str:
    if len(word) > MAX_WORD:
        pieces = zip(_compiled(_PIECE).findall(word), _compiled(_PIECE).findall(shape), strict=True)
        return "".join([_mask_shape(zeroed[:MAX_WORD]) or _mask_coded(piece[:MAX_WORD]) for piece, zeroed in pieces])
    return _mask_shape(shape) or _mask_coded(word)


@lru_cache(_MEMO)
def _mask_shape(word: str) -> str:
    """The mask of every word that is `word` with other digits, or "" where digits may matter: see `_mask_coded`."""
    if word.isalpha():
        return word
    if "0" in word and _compiled(_CODE).search(word):
        return ""
    if "REDACTED" in word:
        word = _compiled(_REDACTED).sub(r"[REDACTED:\1]", word)
    if "@" in word:
        word = _compiled(_OBJECT).sub(WILDCARD, _compiled(_MAIL).sub(WILDCARD, word))
    if "mp" in word:
        word = _compiled(_TEMPORARY).sub(WILDCARD, word)
    return _mask_digits(word) if "0" in word or word.count("-") >= 4 else word


def _mask_coded(word: str) -> str:
    """A word that holds an error code or a status, which are kept."""
    parts = _compiled(_CODE).split(word)
    parts[::2] = map(_mask_digits, parts[::2])
    return "".join(parts)


def _mask_digits(text: str) -> str:
    text = _compiled(_POD).sub(WILDCARD, _compiled(_UUID).sub(WILDCARD, text))
    if ":" in text:
        text = _compiled(_COLONS).sub(WILDCARD, text)
    return _compiled(_ADJOINING).sub(WILDCARD, _compiled(_ALPHANUMERIC).sub(_mask_run, text))


def _mask_run(match: re.Match[str]) -> str:
    run = match.group()
    if run.isdigit() or run[:2] in ("0x", "0X") or (len(run) >= 4 and _HEX.issuperset(run)):
        return WILDCARD
    digits = [character.isdigit() for character in run]
    changes = sum(a != b for a, b in pairwise(digits))
    random = changes >= 3 and len(run) >= 5
    with_unit = digits[0] and changes == 1 and len(run) - digits.index(False) <= 3
    iso_time = digits[0] and changes == 2 and "T" in run
    return WILDCARD if random or with_unit or iso_time else _compiled(r"[0-9]+").sub(WILDCARD, run)


_URL = r"[A-Za-z][\w+.-]*://(?:[^\s\"'<>)\]},]|<\*>)*"
_PATH = (
    r"(?<![\w>.)*~-])(?:[~.]{0,2}/|[A-Za-z]:\\)(?:[\w.+~@%/:*#$&\\-]|<\*>)*"
    r"(?:\?[^\s\"'()]*|(?<=[\w/\\>]))"
)
_ENDPOINT = r"(?<![\w./-])[\w-]+(?:\.[\w-]+)+:<\*>"
_QUOTED_VALUE = r"(?<!msg)(?<!message)(?<!error)(?<!err)(?<!event)(?<!reason)=\"[^\"]*\""
_TOKEN = (
    r"[A-Za-z_]\w*\(<\*>\)"
    r"|(?<==)(?:[^\s,;=()\[\]{}\"'<>]|<\*>|\([^\s()]*\)|\[[^\s\[\]]*\]|\{[^\s{}]*\})+"
    r"|(?:[^=:,;()\[\]{}<>\"'|]|<\*>)+"
    r"|[=:,;()\[\]{}<>\"'|]"
)


_VARIABLE = "<?>"
"""A place that was found to vary, as opposed to one that was masked by its form. No token of a log is written so."""

_DELIMITERS = frozenset("=:,;()[]{}<>\"'|")
_BOOLEANS = frozenset({"true", "false", "True", "False", "TRUE", "FALSE", "yes", "no", "on", "off"})

_Tokens = tuple[str, ...]


def _unquoted(masked: str) -> str:
    """The masked line with each quoted value of a key as a wildcard, but for those that hold the message itself."""
    return _compiled(_QUOTED_VALUE).sub(f'="{WILDCARD}"', masked) if '="' in masked else masked


def _tokens(masked: str) -> _Tokens:
    """The line cut at blanks and delimiters, with URLs, paths and endpoints as one wildcard each."""
    return tuple(islice((token for word in masked.split() for token in _tokens_in(word)), MAX_TOKENS))


def _tokens_in(word: str) -> _Tokens:
    if len(word) > MAX_WORD:
        return tuple([token for piece in _compiled(_PIECE).findall(word) for token in _tokens_of(piece[:MAX_WORD])])
    return _tokens_of(word)


@lru_cache(_MEMO)
def _tokens_of(word: str) -> _Tokens:
    if word.isalpha() or word == WILDCARD:
        return (word,)
    if word == "()":
        return ("(", WILDCARD, ")")
    if "/" in word or "\\" in word:
        word = _compiled(_PATH).sub(WILDCARD, _compiled(_URL).sub(WILDCARD, word))
    if "." in word:
        word = _compiled(_ENDPOINT).sub(WILDCARD, word)
    if any(map(str.isdigit, word)):
        word = _compiled(r"[0-9]+").sub(WILDCARD, word)
    if WILDCARD in word:
        word = _compiled(_ADJOINING).sub(WILDCARD, word)
    return tuple(map(_bare, _compiled(_TOKEN).findall(word)))


def _bare(token: str) -> str:
    return WILDCARD if WILDCARD in token and not any(map(str.isalpha, token)) else token


_FIXED, _MASKED, _WORD, _NAME = range(4)


@lru_cache(_MEMO)
def _kind(token: str) -> int:
    """What a token can be: fixed, masked already, a word, or a name: a dotted, slashed or partly masked one."""
    if token in (WILDCARD, _VARIABLE):
        return _MASKED
    if token in _BOOLEANS or not any(map(str.isalpha, token)):
        return _FIXED
    named = WILDCARD in token or "." in token.rstrip(".")[1:] or not {"/", "@", "\\"}.isdisjoint(token)
    return _NAME if named else _WORD


@lru_cache(_MEMO)
def _tells_state(token: str) -> bool:
    """Whether a word looks like what happened rather than to whom: a participle, or a constant in capitals."""
    return token.endswith(("ed", "ing")) or (len(token) > 1 and token.isupper())


_FEW = 4
"""So many different words at a place make it vary, where all else in the line is equal."""

_FEW_NAMES = 2
"""The same for names, and for words at a place that is known to vary elsewhere."""

_LEADING = 4
"""The first word tells what the line is about: it takes so many times as many values."""

_STATE = 3
"""The same for words that tell what happened: these are often all that tells one message from another."""

_SCANT = {1: float("inf"), 2: 2.0, 3: 1.5}
"""The same by how many words the line has: the fewer, the less shows that lines are alike. One alone never varies."""

_ROUNDS = 8
"""What is found to vary makes more lines alike, so it is looked for again; a hostile log could go on for long."""


def _cluster(rows: Iterable[_Tokens]) -> dict[_Tokens, _Tokens]:
    """The pattern of each row: its tokens with `_VARIABLE` where the rows that are otherwise like it differ."""
    patterns = {row: row for row in rows}
    for _ in range(_ROUNDS):
        before = patterns
        for widen in (_widen_names, _widen_words, _join_equal):
            if wider := widen(set(patterns.values())):
                patterns = {row: wider.get(pattern, pattern) for row, pattern in patterns.items()}
        if patterns is before:
            break
    return patterns


def _widen_names(rows: set[_Tokens]) -> dict[_Tokens, _Tokens]:
    """Rows that are equal but for names and masked places are one."""
    families: defaultdict[_Tokens, list[_Tokens]] = defaultdict(list)
    for row in rows:
        frame = tuple([_VARIABLE if _kind(token) in (_MASKED, _NAME) else token for token in row])
        if _VARIABLE in frame:
            families[frame].append(row)
    wider: dict[_Tokens, _Tokens] = {}
    for frame, family in families.items():
        if len(family) == 1 or not any(_kind(token) == _WORD for token in frame):
            continue
        lead = next((place for place, token in enumerate(frame) if token not in _DELIMITERS), -1)
        varying = []
        for place, token in enumerate(frame):
            if token == _VARIABLE:
                values = {row[place] for row in family}
                least = _FEW_NAMES * _LEADING if place == lead and place < 2 and WILDCARD not in values else _FEW_NAMES
                if not _is_key(frame, place) and len(values) >= least:
                    varying.append(place)
        for row in family:
            if (wide := _replaced(row, varying)) != row:
                wider[row] = wide
    return wider


def _widen_words(rows: set[_Tokens]) -> dict[_Tokens, _Tokens]:
    """Where rows are equal in all but one place, and many different words stand there, that place varies.

    Rows are distinct, so a family of rows that differ in one place has as many values there as rows: it is enough to
    count them. A family is named by the hash of the row in which its place varies; that hash is a sum over places, so
    it is got from any member's by one difference. Python keys the hash of a text anew in each process, so no log can
    aim at a collision. After two words where something varies elsewhere, two values are many.
    """
    vary, mask_ = hash(_VARIABLE), hash(WILDCARD)
    halves = [_half_hashes(row) for row in rows]
    shared = Counter(chain.from_iterable(halves))
    families: defaultdict[int, int] = defaultdict(int)
    masked: set[int] = set()
    varied: set[int] = set()
    slots = {_slot(row, place) for row in rows for place, token in enumerate(row) if token == _VARIABLE} - {()}
    places: list[tuple[_Tokens, int, list[int]]] = []
    for row, (left, right) in zip(rows, halves, strict=True):
        middle = len(row) // 2
        start = 0 if shared[right] > 1 else middle
        end = len(row) if shared[left] > 1 else middle
        if start >= end:
            continue
        total = left + right
        masked.add(total)
        open_places = []
        for place in range(start, end):
            token = row[place]
            kind = _kind(token)
            if kind >= _WORD and not _is_key(row, place):
                open_places.append(place)
                tally = _ONE_NAME if kind == _NAME else _ONE
                families[total + (vary - hash(token)) * _WEIGHTS[place]] += (
                    tally + _ONE_STATE if _tells_state(token) else tally
                )
            elif token == _VARIABLE:
                varied.add(total + (vary - mask_) * _WEIGHTS[place])
        places.append((row, total, open_places))
    wider: dict[_Tokens, _Tokens] = {}
    for row, total, open_places in places:
        varying = []
        words = [place for place, token in enumerate(row) if _kind(token) >= _WORD]
        for place in open_places:
            own = hash(row[place])
            family = total + (vary - own) * _WEIGHTS[place]
            tally = families[family]
            size, names, states = tally & _COUNT, tally >> 24 & _COUNT, tally >> 48
            value = place > 0 and row[place - 1] == "="
            mask_stands_there = total + (mask_ - own) * _WEIGHTS[place] in masked
            if family in varied or (mask_stands_there and (value or _kind(row[place]) == _NAME)):
                varying.append(place)
                continue
            if (value and names) or _slot(row, place) in slots:
                least = float(_FEW_NAMES - mask_stands_there)
            else:
                least = _FEW * _SCANT.get(len(words), 1.0)
                least *= _LEADING if place == words[0] and place < 2 else 1
                least *= _STATE if states * 2 > size else 1
            if size >= least:
                varying.append(place)
        if varying:
            wider[row] = _replaced(row, varying)
    return wider


_WEIGHTS = tuple([pow(7, 1000 + place, (1 << 61) - 1) for place in range(MAX_TOKENS)])

# A family counts its rows, names and states in 24 bits each of one integer: most have one row, and there are many.
_COUNT = (1 << 24) - 1
_ONE = 1
_ONE_NAME = _ONE | 1 << 24
_ONE_STATE = 1 << 48


def _half_hashes(row: _Tokens) -> tuple[int, int]:
    """The hashes of the halves of a row, whose sum is its hash: rows that differ in one place share a half."""
    terms = list(map(mul, map(hash, (WILDCARD if token == _VARIABLE else token for token in row)), _WEIGHTS))
    middle = len(terms) // 2
    return sum(terms[:middle], len(terms)), sum(terms[middle:], -len(terms))


def _join_equal(rows: set[_Tokens]) -> dict[_Tokens, _Tokens]:
    """Rows that differ only in that a place was masked in one and varies in another are one."""
    alike: defaultdict[_Tokens, list[_Tokens]] = defaultdict(list)
    for row in rows:
        if _VARIABLE in row:
            alike[tuple([WILDCARD if token == _VARIABLE else token for token in row])].append(row)
    wider: dict[_Tokens, _Tokens] = {}
    for masked, same in alike.items():
        if masked in rows:
            same.append(masked)
        if len(same) > 1:
            joined = tuple([_VARIABLE if _VARIABLE in tokens else tokens[0] for tokens in zip(*same, strict=True)])
            wider |= {row: joined for row in same if row != joined}
    return wider


def _is_key(row: _Tokens, place: int) -> bool:
    return place + 1 < len(row) and row[place + 1] == "="


def _slot(row: _Tokens, place: int) -> _Tokens:
    """The two words before a place, or nothing where there are not two words."""
    before = row[place - 2 : place] if place > 1 else ()
    return before if before and all(_kind(token) == _WORD for token in before) else ()


def _replaced(row: _Tokens, places: Sequence[int]) -> _Tokens:
    tokens = list(row)
    for place in places:
        tokens[place] = _VARIABLE
    return tuple(tokens)


class _Row:
    """Distinct lines that are counted together. `text` is the least of their masked lines."""

    __slots__ = ("count", "first", "id", "last", "level", "text")

    def __init__(self, text: str, count: int, first: int, last: int, level: Level, id: int = 0) -> None:
        self.text, self.count, self.first, self.last, self.level, self.id = text, count, first, last, level, id

    def take(self, other: "_Row") -> None:
        self.text = min(self.text, other.text)
        self.count += other.count
        self.first = min(self.first, other.first)
        self.last = max(self.last, other.last)
        if other.level is not self.level:
            self.level = max(self.level, other.level)


class _Mined(Struct, frozen=True, kw_only=True):
    """What a miner knows once it has clustered: the templates, and the ids of rows, token by token and by pattern."""

    templates: tuple[Template, ...]
    of_row: dict[int, int]
    of_tokens: dict[_Tokens, int]
    places: dict[int, list[tuple[int, ...]]]


_GIVEN_UP: _Tokens = (_VARIABLE,)
_MAX_SHAPES = 256
"""Sets of varying places, for each length of line, that a line that was never added is compared with."""


class TemplateMiner:
    """Counts lines by template, in bounded memory: at most `limit` templates.

    Up to twice as many sorts of masked lines are kept apart. When there are more they are clustered, and the rarest
    and earliest that are still over the limit are given up: their lines count in the template `<*>` and in `overflow`.
    Below the limit, counts and templates depend only on which lines were added, not on their order or by which miner.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self.limit = limit
        self.overflow = 0
        self._rows: dict[_Tokens, _Row] = {}
        self._into: list[int] = []
        self._mined: _Mined | None = None

    def add(self, text: str, count: int = 1, first: int = 0, last: int = 0, level: Level = Level.INFO) -> int:
        """Count `count` lines like `text`, seen from line `first` to `last`; returns a provisional id, see `final`."""
        masked = _unquoted(mask(text))
        return self._take(_tokens(masked), _Row(masked, count, first, last or first, level))

    def merge(self, other: "TemplateMiner", shift: int = 0) -> None:
        """Count what `other` counted as well; its line numbers are `shift` too low. Its provisional ids are void."""
        self.overflow += other.overflow
        for tokens, row in other._rows.items():
            self._take(tokens, _Row(row.text, row.count, row.first + shift, row.last + shift, row.level))

    def templates(self) -> tuple[Template, ...]:
        """The templates of all lines so far, by first line; their ids count from 1 in this order."""
        return self._finish().templates

    def final(self, provisional: int) -> int:
        """The id among `templates` of a line, by the provisional id that `add` gave it."""
        while (into := self._into[provisional]) != provisional:
            self._into[provisional] = self._into[into]
            provisional = into
        mined = self._finish()
        return mined.of_row[self._into[provisional]]

    def assign(self, text: str) -> int:
        """The id among `templates` of a line, whether it was added or not; 0 where none fits and none was given up."""
        mined = self._finish()
        tokens = _tokens(_unquoted(mask(text)))
        for places in ((), *mined.places.get(len(tokens), ())):
            if (id := mined.of_tokens.get(_replaced(tokens, places))) is not None:
                return id
        return mined.of_tokens.get(_GIVEN_UP, 0)

    def _take(self, tokens: _Tokens, row: _Row) -> int:
        self._mined = None
        known = self._rows.get(tokens)
        if known is not None:
            known.take(row)
            return known.id
        row.id = len(self._into)
        self._into.append(row.id)
        self._rows[tokens] = row
        if len(self._rows) > 2 * self.limit:
            self._compact()
        return row.id

    def _compact(self) -> dict[_Tokens, _Tokens]:
        """Replace the rows by their clusters, no more than the limit; returns what became of each row."""
        patterns = _cluster(self._rows)
        rows: dict[_Tokens, _Row] = {}
        for tokens, pattern in patterns.items():
            self._put(rows, pattern, self._rows[tokens])
        excess = len(rows) - self.limit
        if excess > 0:
            rarest = sorted(rows.keys() - {_GIVEN_UP}, key=lambda it: (rows[it].count, rows[it].first, it))
            given_up = set(rarest[: excess + 1])
            for pattern in given_up:
                row = rows.pop(pattern)
                self.overflow += row.count
                row.text = WILDCARD
                self._put(rows, _GIVEN_UP, row)
            patterns = {row: _GIVEN_UP if pattern in given_up else pattern for row, pattern in patterns.items()}
        self._rows = rows
        return patterns

    def _put(self, rows: dict[_Tokens, _Row], pattern: _Tokens, row: _Row) -> None:
        kept = rows.setdefault(pattern, row)
        if kept is not row:
            kept.take(row)
            self._into[row.id] = kept.id

    def _finish(self) -> _Mined:
        if self._mined is not None:
            return self._mined
        patterns = self._compact()
        by_text: dict[str, list[_Tokens]] = {}
        for pattern, row in self._rows.items():
            by_text.setdefault(_written(row.text, pattern), []).append(pattern)
        found = [
            Template(
                id=0,
                template=text,
                count=sum(self._rows[pattern].count for pattern in group),
                severity=max(self._rows[pattern].level for pattern in group),
                first_line=min(self._rows[pattern].first for pattern in group),
                last_line=max(self._rows[pattern].last for pattern in group),
            )
            for text, group in by_text.items()
        ]
        found.sort(key=lambda it: (it.first_line, it.template))
        of_pattern: dict[_Tokens, int] = {}
        shapes: defaultdict[int, Counter[tuple[int, ...]]] = defaultdict(Counter)
        for id, template in enumerate(found, start=1):
            for pattern in by_text[template.template]:
                of_pattern[pattern] = id
                if places := tuple([place for place, token in enumerate(pattern) if token == _VARIABLE]):
                    shapes[len(pattern)][places] += 1
        self._mined = _Mined(
            templates=tuple([replace(template, id=id) for id, template in enumerate(found, start=1)]),
            of_row={row.id: of_pattern[pattern] for pattern, row in self._rows.items()},
            of_tokens={row: of_pattern[pattern] for row, pattern in patterns.items()} | of_pattern,
            places={
                length: sorted(sorted(counted, key=lambda it: (-counted[it], it))[:_MAX_SHAPES], key=len)
                for length, counted in shapes.items()
            },
        )
        return self._mined


def _written(masked: str, pattern: _Tokens) -> str:
    """`masked`, spaced as it was, with the places of `pattern` that vary as wildcards."""
    place = 0
    words = []
    for word in masked.split():
        end = place + len(_tokens_in(word))
        words.append("".join(pattern[place:end]))
        place = end
    text = " ".join([word for word in words if word]).replace(_VARIABLE, WILDCARD)
    return _compiled(_LIST).sub(WILDCARD, _compiled(_ADJOINING).sub(WILDCARD, text))


_HEADER_FIELD = r"[\s|]*(\[[^\]]*\]:?|[^\s|]+)"
_MAX_COLUMNS = 14
_MAX_HEADER = 512
"""Characters of a line that its header may take."""
_MAX_GAP = 2
"""Columns in a row that are plain words, a host or a user, with a marked one after them."""
_MOST = 0.9
"""The share of headed lines that decides for a column: a few lines of another logger do not hide the header."""
_FEWEST = 0.1
"""The share of lines that must be headed: the rest are continuations, such as stack traces."""
_TIME_WITHIN = 6
_SAMPLE = 2000
_LEVEL_WORD = (
    r"(?i:trace|verbose|debug|fine|info(?:rmation)?|notice|warn(?:ing)?|err(?:or)?|severe|fatal|crit(?:ical)?|alert"
    r"|emerg|panic)|[VDIWEF]"
)
_PLAIN, _NUMBER, _LABEL, _LEVEL = range(4)
_TIME = r"\d{6}|\d:\d\d|\d{4}[-/.]\d|\d\d/\d\d/"


@lru_cache(_MEMO)
def _column_kind(field: str) -> int:
    bare = field.strip("[](),;:")
    if _compiled(_LEVEL_WORD).fullmatch(bare):
        return _LEVEL
    if not any(map(str.isalnum, bare)):
        return _NUMBER
    if _compiled(_DATE).fullmatch(f"{bare} {WILDCARD}") or not any(map(str.isalpha, mask(bare).replace(WILDCARD, ""))):
        return _NUMBER
    return _LABEL if field.endswith(":") or field.startswith("[") else _PLAIN


class Header(Struct, frozen=True):
    """The leading columns of a log that are its logger's, learned from a sample: which of them mark a line as headed.

    `marked` has an entry for each column: True where it is a number, level, label or bracket in nearly every line.
    """

    marked: tuple[bool, ...] = ()

    @classmethod
    def learn(cls, sample: Sequence[str]) -> "Header":
        """The header of most lines of `sample`: none where no column near the start holds a time."""
        rows = [[field for _, field in _fields(line)] for line in sample]
        times = Counter(place for row in rows if (place := _time_place(row)) is not None)
        if not times or max(times.values()) < _FEWEST * sum(map(bool, rows)):
            return cls()
        place = max(times, key=lambda it: (times[it], -it))
        rows = [row for row in rows if _time_place(row) == place]
        columns = [[row[index] for row in rows if index < len(row)] for index in range(_MAX_COLUMNS)]
        most = _MOST * len(rows)
        marked: list[bool] = []
        after_level = after_label = False
        end = gap = 0
        for index, column in enumerate(columns):
            kinds = Counter(map(_column_kind, column))
            marked.append(len(column) - kinds[_PLAIN] >= most > 0)
            if not marked[-1]:
                gap += sum(any(map(str.isdigit, field)) for field in column) < most
                if after_label or gap > (1 if after_level else _MAX_GAP):
                    break
                continue
            common = max(kinds, key=kinds.__getitem__)
            constant = all(len(set(between)) == 1 for between in columns[end:index])
            if end < index and common != _LABEL and (after_level or constant):
                break
            ends_label = sum(field.endswith(":") for field in column) >= most
            if after_label and ends_label:
                break
            end, gap = index + 1, 0
            after_level = after_level or common == _LEVEL
            after_label = ends_label
        return cls(tuple(marked[:end]) if end > place else ())

    def message(self, text: str) -> str:
        """`text` without its header: all of it where it has none, as a continuation line."""
        end = 0
        for marked, (after, field) in zip(self.marked, _fields(text), strict=False):
            if marked:
                if _column_kind(field) == _PLAIN:
                    break
                end = after
        return text[end:].lstrip(" \t|-") if end else text


def _fields(line: str) -> Iterator[tuple[int, str]]:
    """The first columns of a line, each with where it ends. A bracket is one column, blanks within it included."""
    for match in islice(_compiled(_HEADER_FIELD).finditer(line, 0, _MAX_HEADER), _MAX_COLUMNS):
        yield match.end(), match.group(1)


def _time_place(row: Sequence[str]) -> int | None:
    """The first of the columns near the start of a line that holds a time."""
    for place, field in enumerate(row[:_TIME_WITHIN]):
        if _column_kind(field) == _NUMBER and _compiled(_TIME).search(field):
            return place
    return None


def template_ids(lines: Iterable[str]) -> list[int]:
    """The template of each line, as final ids: one for every line, in order. Equal ids, same template.

    The header is learned from the first lines, and the ids are known only after the last: this reads all of `lines`
    before it returns, and keeps a number for each and the sorts of lines, but not the lines.
    """
    source = iter(lines)
    sample = list(islice(source, _SAMPLE))
    header = Header.learn(sample)
    miner = TemplateMiner()
    provisional = array("L")
    for number, line in enumerate(chain(sample, source), start=1):
        provisional.append(miner.add(header.message(line), first=number))
    return [miner.final(id) for id in provisional]
