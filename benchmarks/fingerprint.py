"""Whether a fingerprint names the incident: the same for two logs of one, another for two incidents.

    python benchmarks/fingerprint.py [--variants 1] [--most 0] [--seed 7] [--misses] [CASES ...]

CASES are folders: one with a log in it, one of such folders, or one of `*.log` files; the default is `examples`. From
each log variants are made as another run of the same failure, or another collector, would have written them, one kind
of change at a time and then three to five together. A variant has to keep the fingerprint of its original. Against it
stand all pairs of distinct cases, and near pairs: a log against itself with the name that its labelled lines turn on
(a test, an exception, a missing name, a host, a file, a table) replaced by another one throughout. Both have to differ.

The changes are written from what differs between runs, with expressions of their own; they know nothing of the masks
in Bifrost. Labels are read from `truth.json` (`decisive_lines`), `ground_truth.json` (`evidence_lines`) or
`labels.jsonl` beside the logs; they say which lines are not noise, and a log without them takes no part in near pairs.
"""

import argparse
import hashlib
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path

from bifrost_domain.diagnosis import examine
from bifrost_domain.logs.digest import Digest
from bifrost_domain.logs.digester import Budget, Digester
from bifrost_domain.logs.fingerprint import fingerprint
from bifrost_domain.logs.lines import Level
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.logs.templates import mask

Lines = list[str]

# --- cases ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A log, and the indices of the lines that a person marked as telling; none where nobody did."""

    name: str
    lines: Lines
    telling: frozenset[int] = frozenset()
    related: frozenset[int] = field(default_factory=frozenset)
    """Indices of lines that may belong to the incident: what tells, what sounds of trouble, and what stands around."""


TROUBLE = re.compile(
    r"(?i)error|fail|fatal|panic|exception|traceback|refused|denied|abort|killed|cannot|unable|not found|undefined"
    r"|timed? ?out|invalid|unexpected|exit|mismatch|assert|warn|deadlock|lock|no space|oom|out of memory|expired"
    r"|missing|unresolved|conflict|✗|✕|✖|×|●|critical|severe|caused by|invoked"
)
AROUND = 4


def case(name: str, path: Path, numbers: Sequence[int]) -> Case:
    lines = path.read_bytes().decode(errors="replace").removesuffix("\n").split("\n")
    telling = frozenset(number - 1 for number in numbers if 0 < number <= len(lines))
    sounding = {place for place, line in enumerate(lines) if TROUBLE.search(line)} | telling
    near = {place + step for place in sounding for step in range(-AROUND, AROUND + 1)}
    return Case(name=name, lines=lines, telling=telling, related=frozenset(near))


def labels(folder: Path) -> list[int]:
    """The 1-based numbers of the telling lines of the log in a folder of its own."""
    if (truth := folder / "truth.json").exists():
        return list(json.loads(truth.read_text())["decisive_lines"])
    if (truth := folder / "ground_truth.json").exists():
        spans = [
            span
            for signal in json.loads(truth.read_text())["required_signals"]
            if signal.get("importance") == "critical" and signal.get("type") != "exit_code"
            for span in signal.get("evidence_lines", ())
        ]
        return [number for start, end in spans for number in range(start, end + 1)]
    return []


def cases(path: Path) -> Iterator[Case]:
    """The cases under a folder, in the order of their names."""
    marked: dict[str, list[int]] = {}
    if (listed := path / "labels.jsonl").exists():
        marked = {row["log"]: row["lines"] for row in map(json.loads, listed.read_text().splitlines())}
    logs = sorted(path.glob("*.log"))
    if logs and not marked and len(logs) == 1:
        yield case(path.name, logs[0], labels(path))
        return
    for log in logs:
        yield case(log.stem, log, marked.get(log.name, ()))
    for folder in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        if any(folder.glob("*.log")):
            yield from cases(folder)


# --- what differs between two runs of one failure -----------------------------------------------------------------

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
ISO = re.compile(r"\b(20\d\d)([-/])(\d\d)\2(\d\d)([T ])(\d\d):(\d\d):(\d\d)")
CLF = re.compile(rf"\b(\d\d)/({'|'.join(MONTHS)})/(20\d\d):(\d\d):(\d\d):(\d\d)")
SYSLOG = re.compile(rf"\b({'|'.join(MONTHS)}) ([ \d]\d) (\d\d):(\d\d):(\d\d)\b")
DAY_FIRST = re.compile(rf"\b(\d\d?) ({'|'.join(MONTHS)}) (20\d\d) (\d\d):(\d\d):(\d\d)\b")
CLOCK = re.compile(r"(?<![\d:.T/-])([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?![\d:])")
EPOCH = re.compile(r"(?<![\w.])(1[5-9]\d{8})(\d{3}|\d{9})?(?![\w])")
UPTIME = re.compile(r"^(\S+ \| )?\[ *(\d+)\.(\d{6})\]", re.M)
FRACTION = re.compile(r"(?<=:\d\d)([.,])(\d{3,9})(?!\d)")


def other_times(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    """The same moments on another day, each in the form in which it was written."""
    shift = timedelta(days=chance.randint(-400, 200), seconds=chance.randint(-40_000, 40_000))
    up = chance.randint(100, 90_000)

    def moved(year: int, month: int, day: int, hour: int, minute: int, second: int) -> datetime:
        return datetime(year, month, day, hour, minute, min(second, 59)) + shift

    def iso(match: re.Match[str]) -> str:
        year, sign, month, day, between, *clock = match.groups()
        try:
            then = moved(int(year), int(month), int(day), *map(int, clock))
        except ValueError:
            return match.group()
        return then.strftime(f"%Y{sign}%m{sign}%d{between}%H:%M:%S")

    def common(match: re.Match[str]) -> str:
        day, month, year, *clock = match.groups()
        then = moved(int(year), MONTHS.index(month) + 1, int(day), *map(int, clock))
        return f"{then.day:02d}/{MONTHS[then.month - 1]}/{then:%Y:%H:%M:%S}"

    def syslog(match: re.Match[str]) -> str:
        month, day, *clock = match.groups()
        then = moved(2024, MONTHS.index(month) + 1, int(day), *map(int, clock))
        return f"{MONTHS[then.month - 1]} {then.day:2d} {then:%H:%M:%S}"

    def day_first(match: re.Match[str]) -> str:
        day, month, year, *clock = match.groups()
        then = moved(int(year), MONTHS.index(month) + 1, int(day), *map(int, clock))
        return f"{then.day:02d} {MONTHS[then.month - 1]} {then:%Y %H:%M:%S}"

    def clock(match: re.Match[str]) -> str:
        return f"{moved(2024, 1, 5, *map(int, match.groups())):%H:%M:%S}"

    def epoch(match: re.Match[str]) -> str:
        return str(int(match[1]) + int(shift.total_seconds())) + "".join(
            chance.choices("0123456789", k=len(match[2] or ""))
        )

    def fraction(match: re.Match[str]) -> str:
        return match[1] + "".join(chance.choices("0123456789", k=len(match[2])))

    changed = []
    for line in lines:
        bare = line
        for form, write in ((ISO, iso), (CLF, common), (SYSLOG, syslog), (DAY_FIRST, day_first)):
            bare = form.sub(write, bare)
        bare = CLOCK.sub(clock, bare) if bare == line else FRACTION.sub(fraction, bare)
        bare = EPOCH.sub(epoch, bare)
        changed.append(
            UPTIME.sub(lambda it: f"{it[1] or ''}[{int(it[2]) + up:5d}.{chance.randrange(10**6):06d}]", bare)
        )
    return changed


UUID = re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b")
HEX = re.compile(r"\b(?:0x[0-9a-fA-F]{6,16}|(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])[0-9a-f]{12,64})\b")
PROCESS = re.compile(r"(\[|\bpid[ =:]+|\bprocess |\(PID |\bPID: |#)(\d{4,7})(?=[\]\s,;:#)]|$)", re.I)
REQUEST = re.compile(
    r"(?i)\b((?:request|req|trace|span|correlation|job|build|session|user|order|parcel)[_-]?(?:id)?)([=: ]+\"?)(\d{3,})"
)
TRACE = re.compile(r"\b(trace|span|request_id|id)=([0-9a-f]{6,})\b")


def spun(text: str, chance: random.Random) -> str:
    """Another id of the same form."""
    return "".join(
        chance.choice("0123456789")
        if c.isdigit()
        else chance.choice("abcdef")
        if c in "abcdef"
        else chance.choice("ABCDEF")
        if c in "ABCDEF"
        else c
        for c in text
    )


def other_ids(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    """Other UUIDs, addresses, digests, process and request ids; equal ones stay equal."""
    known: dict[str, str] = {}

    def again(text: str) -> str:
        if text not in known:
            prefix = "0x" if text.startswith("0x") else ""
            known[text] = prefix + spun(text[len(prefix) :], chance)
        return known[text]

    changed = []
    for line in lines:
        line = UUID.sub(lambda it: again(it[0]), line)
        line = HEX.sub(lambda it: again(it[0]), line)
        line = PROCESS.sub(
            lambda it: it[1] + str(9999 + int(hashlib.md5(again(it[2]).encode()).hexdigest()[:4], 16) // 2), line
        )
        line = REQUEST.sub(lambda it: it[1] + it[2] + again(it[3]), line)
        changed.append(TRACE.sub(lambda it: f"{it[1]}={again(it[2])}", line))
    return changed


POD = re.compile(r"\b([a-z][a-z0-9-]*?)-([bcdf0-9][bcdfghjklmnpqrstvwxz2-9]{7,9})-([bcdfghjklmnpqrstvwxz2-9]{5})\b")
IP = re.compile(r"(?<![\d.])(127\.0\.0\.1|(?:\d{1,3}\.){3}\d{1,3})(?![\d.]*\d)(:\d{2,5})?(?![\d.])")
PORT = re.compile(r"(?i)(localhost:|\bport[ =:]+)(\d{4,5})\b|(?<=PGSQL\.)(\d{4,5})\b")
MACHINE = re.compile(
    r"\b(ip(?:-\d{1,3}){4}|fv-az\d+-\d+|i-[0-9a-f]{8,17}|worker-linux-[0-9a-f-]+|travis-job-[0-9a-f-]+)\b"
)
VERSION_BEFORE = re.compile(r"(?i)(?:version|v|-|@|==)\s?$")


def other_places(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    """Other pods, addresses, ports and machines; equal ones stay equal."""
    known: dict[str, str] = {}

    def address(match: re.Match[str]) -> str:
        ip, port = match[1], match[2]
        if VERSION_BEFORE.search(match.string[max(0, match.start() - 8) : match.start()]) or ip == "0.0.0.0":
            return match.group()
        if ip not in known:
            known[ip] = (
                ip
                if ip.startswith("127.")
                else f"10.{chance.randint(0, 99)}.{chance.randint(0, 255)}.{chance.randint(1, 254)}"
            )
        return known[ip] + (f":{number(port[1:])}" if port else "")

    def number(port: str) -> str:
        return known.setdefault(port, str(chance.randint(20_000, 60_000)))

    def pod(match: re.Match[str]) -> str:
        if not any(map(str.isdigit, match[2])):
            return match.group()
        letters = "bcdfghjklmnpqrstvwxz2456789"
        suffix = "7" + "".join(chance.choices(letters, k=8)), "".join(chance.choices(letters, k=5))
        return known.setdefault(match[0], f"{match[1]}-{suffix[0]}-{suffix[1]}")

    changed = []
    for line in lines:
        line = POD.sub(pod, line)
        line = IP.sub(address, line)
        line = PORT.sub(lambda it: (it[1] or "") + number(it[2] or it[3]), line)
        changed.append(MACHINE.sub(lambda it: known.setdefault(it[1], spun(it[1], chance)), line))
    return changed


MEASURE = re.compile(
    r"(?<![\w.:/-])(\d+)(\.\d+)?( ?(?:ms|s|sec|secs|seconds|m|us|µs|ns|KB|MB|GB|KiB|MiB|GiB|kB|[KMG]|%|bytes))(?![\w/])"
)
PROGRESS = re.compile(r"(?<![\w.])(\d{1,6})/(\d{1,6})(?=[\]) ])")
TALLY = re.compile(r"\b(\d+) (passed|passing|skipped|tests? ran|total|packages|files|modules|warnings)\b")
FIELD = re.compile(
    r"\b(took|elapsed|duration|duration_ms|latency|size|bytes|heapUsedMb|attempt|count|event|invoice)([=:\"]+ ?)(\d+)(\.\d+)?"
)


def other_measures(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    """Other durations, sizes, percentages, tallies of what went well, and counters."""

    def near(text: str) -> str:
        return str(max(1, round(int(text) * chance.uniform(0.6, 1.7))))

    def fraction(text: str | None) -> str:
        return "" if text is None else "." + "".join(chance.choices("123456789", k=len(text) - 1))

    changed = []
    for line in lines:
        line = MEASURE.sub(lambda it: near(it[1]) + fraction(it[2]) + it[3], line)
        line = TALLY.sub(lambda it: f"{near(it[1])} {it[2]}", line)
        changed.append(FIELD.sub(lambda it: it[1] + it[2] + near(it[3]) + fraction(it[4]), line))
    return changed


LEAD = re.compile(
    r"^(?:[\w.-]+ +\| )?(?:\{\"(?:ts|time)\": ?\"[^\"]+\", ?|ts=\S+ |[\[(]?20\d\d[-/]\d\d[-/]\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d| UTC)?[\])]? ?"
    r"|\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ )?"
)


def lead(line: str) -> str:
    """The time that opens a line, as it is written there."""
    match = LEAD.match(line)
    return match.group() if match else ""


def plain(lines: Lines, related: frozenset[int]) -> list[int]:
    """Indices of lines that stand for themselves and have nothing to do with any trouble."""
    places = []
    for place, line in enumerate(lines):
        rest = line[len(lead(line)) :]
        if place not in related and rest[:1].isalnum() | rest.startswith(("[", '"')) and not rest.startswith("at "):
            places.append(place)
    return places


def other_order(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    """Unrelated lines as concurrent parts would have written them: what is said moves, the times stay in order."""
    changed = list(lines)
    for group in runs(plain(lines, related), 8):
        said = [changed[place][len(lead(changed[place])) :] for place in group]
        chance.shuffle(said)
        for place, text in zip(group, said, strict=True):
            changed[place] = lead(lines[place]) + text
    return changed


def runs(places: Sequence[int], most: int) -> Iterator[list[int]]:
    """Consecutive indices, at most so many together."""
    group: list[int] = []
    for place in places:
        if group and (place != group[-1] + 1 or len(group) == most):
            yield group
            group = []
        group.append(place)
    if group:
        yield group


CHATTER = (
    ("info", "configuration reloaded, {n} keys unchanged"),
    ("info", "metrics flushed: {n} series in {n} ms"),
    ("info", "GET /internal/ready 200 {n}ms"),
    ("debug", "connection pool: {n} idle, {n} in use"),
    ("info", "feature flag search.v2 evaluated for {n} users"),
    ("info", "compacted segment {h}, {n} rows"),
    ("info", "scheduler tick {n}, next in {n}s"),
    ("warn", "deprecated option --legacy-index, it will go away in the next major version"),
    ("info", "uploaded artifact report-{h}.html ({n} KB)"),
    ("info", "session {h} opened from 10.0.{b}.{b}"),
)
BURST = (
    "slow query on replica: {n} ms for SELECT name FROM catalogue",
    "cache hit ratio below target: 0.{n}",
    "clock drift of {n} ms towards the time server",
    "queue depth {n} above soft limit",
    "deprecated header X-Legacy-Client in use by client {h}",
)
TRANSIENT = (
    ("health check of recommendations answered late, retrying (1/3)", "health check of recommendations passed"),
    ("could not publish usage statistics to statsd, will retry in {n}s", "usage statistics published"),
    ("avatar service returned 503 for user {n}, retrying", "avatar of user {n} loaded on retry"),
    ("lost leader election for shard {n}, retrying", "joined shard {n} as follower"),
)


def written(said: str, level: str, like: str, chance: random.Random) -> str:
    """A line as the logger of the line `like` would have written it."""
    said = re.sub(r"\{n\}", lambda _: str(chance.randint(11, 9_000)), said)
    said = re.sub(r"\{h\}", lambda _: f"{chance.getrandbits(40):010x}", said)
    said = re.sub(r"\{b\}", lambda _: str(chance.randint(1, 254)), said)
    start = lead(like)
    if start.startswith('{"'):
        return f'{start}"level": "{level}", "logger": "platform", "msg": "{said}"}}'
    if start.startswith("ts="):
        return f'{start}level={level} logger=platform msg="{said}"'
    if re.search(r"\| $", start):
        return f"platform-1 | {level.upper()} {said}"
    return f"{start}{level.upper()} platform: {said}"


def inserted(
    lines: Lines, chance: random.Random, related: frozenset[int], groups: Sequence[Sequence[tuple[str, str]]]
) -> Lines:
    """Groups of new lines, each somewhere between two lines that have nothing to do with any trouble."""
    free = [place for place in plain(lines, related) if place + 1 not in related] or [0]
    after: defaultdict[int, Lines] = defaultdict(list)
    for group in groups:
        place = chance.choice(free)
        after[place] += [written(said, level, lines[place], chance) for level, said in group]
    return [text for place, line in enumerate(lines) for text in (line, *after[place])]


def more_noise(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    return inserted(lines, chance, related, [[chance.choice(CHATTER)] for _ in range(chance.randint(10, 60))])


def warning_burst(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    said = chance.choice(BURST)
    return inserted(lines, chance, related, [[("warn", said)] * chance.randint(8, 30)])


def transient_error(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    error, well = chance.choice(TRANSIENT)
    return inserted(lines, chance, related, [[("error", error), ("info", well)]])


def less_noise(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    gone = {place for place in plain(lines, related) if chance.random() < 0.35}
    return [line for place, line in enumerate(lines) if place not in gone]


def folded(line: str) -> str:
    return re.sub(r"[0-9a-f]*\d[0-9a-f]*", "0", line)


def other_repeats(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    """Single lines of trouble that were repeated, more often or more rarely; the first of each sort stays."""
    seen: set[str] = set()
    more = chance.random() < 0.5
    changed: Lines = []
    for place, line in enumerate(lines):
        following = lines[place + 1] if place + 1 < len(lines) else ""
        before = lines[place - 1] if place else ""
        alone = not following[:1].isspace() and not line[:1].isspace() and not before[:1].isspace() and bool(line)
        known = folded(line) in seen
        seen.add(folded(line))
        if alone and known and place in related and TROUBLE.search(line) and following != before:
            changed += [line] * (chance.choice((1, 2, 3)) if more else chance.choice((0, 1)))
        else:
            changed.append(line)
    return changed


def head_cut(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    """Without its start, as a collector with a bound keeps it: up to a fifth, and nothing that tells."""
    first = min(related, default=len(lines))
    cut = min(len(lines) // 5, first - 1)
    return lines[chance.randint(cut // 2, cut) :] if cut > 1 else lines


STAMPED = re.compile(r"^(?:[^\t]*\t[^\t]*\t)?\ufeff?20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z ?")
COMPOSED = re.compile(r"^[\w.-]+ +\| ")
CRI = re.compile(r"^20\d\d-\S+Z std(?:out|err) [FP] ")


def other_runner(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    """Without the prefix of a CI runner or Compose, or with one where there was none: a build's log gets a CI runner's. CRI's has to stay."""
    if sum(bool(CRI.match(line)) for line in lines) * 2 > len(lines):
        return [re.sub(r"(?<=\.)\d{9}(?=Z std)", lambda _: f"{chance.randrange(10**9):09d}", line) for line in lines]
    for form in (STAMPED, COMPOSED):
        if sum(bool(form.match(line)) for line in lines) * 10 > 9 * len(lines):
            return [form.sub("", line) for line in lines]
    then = datetime(2026, 3, chance.randint(1, 28), chance.randint(0, 23), 12, 1)
    job = any("travis_" in line or "##[" in line for line in lines)
    prefix = "stamp" if job else chance.choice(("stamp", "compose", "cri"))
    changed = []
    for line in lines:
        then += timedelta(microseconds=chance.randint(10, 40_000))
        if prefix == "stamp":
            changed.append(f"{then:%Y-%m-%dT%H:%M:%S.%f}{chance.randint(0, 9)}Z {line}")
        elif prefix == "compose":
            changed.append(f"app-1  | {line}")
        else:
            changed.append(f"{then:%Y-%m-%dT%H:%M:%S.%f}{chance.randint(0, 999):03d}Z stderr F {line}")
    return changed


HOME = re.compile(
    r"(?<![\w.])(/home/runner/work/([\w.-]+)/\2|/home/travis/build/[\w.-]+/[\w.-]+|/Users/[\w.-]+|/home/[\w.-]+|/root|/srv|/builds/[\w.-]+/[\w.-]+|/__w/([\w.-]+)/\3)(?=[/\s:'\",)]|$)"
)
TEMPORARY = re.compile(r"((?:/private)?/(?:var/)?tmp/|/var/folders/|\\Temp\\)([^\s/\\:'\",)\]]+)")
HOMES = (
    "/home/ci-{h}/checkout",
    "/Users/{w}/src",
    "/home/{w}/work",
    "/builds/{w}",
    "/opt/agent/_work/{n}/s",
    "/var/lib/buildkite/{w}",
)
WORDS = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "haven",
    "iris",
    "juniper",
    "kelp",
    "larch",
    "maple",
    "north",
    "otter",
    "pine",
    "quartz",
    "raven",
]


def other_paths(lines: Lines, chance: random.Random, related: frozenset[int]) -> Lines:
    """Another home, checkout and temporary directory; equal ones stay equal."""
    known: dict[str, str] = {}

    def home(match: re.Match[str]) -> str:
        if match[0] not in known:
            made = chance.choice(HOMES).replace("{h}", f"{chance.getrandbits(24):06x}")
            known[match[0]] = made.replace("{w}", chance.choice(WORDS)).replace("{n}", str(chance.randint(1, 99)))
        return known[match[0]]

    def temporary(match: re.Match[str]) -> str:
        made = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789_", k=8))
        return match[1] + known.setdefault(match[2], f"tmp{made}")

    return [TEMPORARY.sub(temporary, HOME.sub(home, line)) for line in lines]


Change = Callable[[Lines, random.Random, frozenset[int]], Lines]
REWRITES: dict[str, Change] = {
    "times": other_times,
    "ids": other_ids,
    "pods, addresses, ports": other_places,
    "durations, counters": other_measures,
    "paths": other_paths,
    "order of unrelated lines": other_order,
}
"""Changes that keep every line at its place; the others move lines, so that in a combination they come last."""
MOVES: dict[str, Change] = {
    "unrelated lines more": more_noise,
    "unrelated warning burst": warning_burst,
    "unrelated transient error": transient_error,
    "unrelated lines fewer": less_noise,
    "repeats": other_repeats,
    "head cut": head_cut,
    "runner's prefix": other_runner,
}
_LAST = ("runner's prefix",)


def variants(it: Case, count: int, seed: int) -> Iterator[tuple[str, Lines]]:
    """`count` logs of each kind of change, and as many combinations as kinds; what changed nothing is left out."""
    for kind, change in (REWRITES | MOVES).items():
        for number in range(count):
            changed = change(it.lines, random.Random(f"{seed} {it.name} {kind} {number}"), it.related)
            if changed != it.lines:
                yield kind, changed
    for number in range(count * 4):
        chance = random.Random(f"{seed} {it.name} combined {number}")
        lines = it.lines
        for name in chance.sample(list(REWRITES), chance.randint(2, 3)):
            lines = REWRITES[name](lines, chance, it.related)
        if chance.random() < 0.8:
            mover = chance.choice([name for name in MOVES if name not in _LAST])
            lines = MOVES[mover](lines, chance, it.related)
        if chance.random() < 0.4:
            lines = other_runner(lines, chance, it.related)
        yield "3 to 5 together", lines


# --- another cause in the same log --------------------------------------------------------------------------------

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TURNS_ON: dict[str, re.Pattern[str]] = {
    "test": re.compile(
        r"(?:FAIL(?:ED|URE)?:? |--- FAIL: |✗ |✕ |✖ |● |not ok \d+ -? ?|^\s*\d+\) |_{3,} )(?:[\w/.-]+(?:::| › | > ))*([A-Za-z][\w:-]{5,})"
        r"|::(test_\w+)|\b(test[A-Z]\w{4,})(?![\w/.])"
    ),
    "exception": re.compile(r"\b([A-Z][A-Za-z]{3,}(?:Error|Exception))\b"),
    "missing name": re.compile(
        r"(?i:no module named|cannot find|could not find|not found|no such|does not exist|unknown|undefined|unavailable"
        r"|not a member|no package called|not available|couldn't find).{0,30}?[`'\"‘“]([A-Za-z_][\w-]{3,}(?:[./:]+\w[\w-]+)*)[`'\"’”]"
    ),
    "host": re.compile(
        r"(?i:resolve|refused|getaddrinfo|lookup|unreachable|not known|timed out).{0,160}?(?://|\bhost:? |resolve )\"?([a-z][a-z0-9-]*(?:\.[a-z0-9-]+)*\.[a-z]{2,})\b"
    ),
    "file": re.compile(
        r"^(?:\[error\] )?((?:[\w./-]+/)[\w-]+)\.[a-z]{1,5}[:(]\d+.*(?i:error|warning|undefined|expected)"
    ),
    "table": re.compile(r"\b(?:FROM|INTO|UPDATE|TABLE|relation) \"?([a-z_]{4,})\b"),
}
NOT_NAMES = frozenset({"AssertionError", "Error", "Exception"})


def near_pairs(it: Case, seed: int) -> Iterator[tuple[str, Lines]]:
    """The log with one name replaced throughout that its telling lines, or the statement after them, turn on."""
    told = [it.lines[place] for place in sorted(it.telling)]
    told += [line for place in sorted(it.telling) for line in it.lines[place + 1 : place + 2] if "STATEMENT" in line]
    for kind, form in TURNS_ON.items():
        chance = random.Random(f"{seed} {it.name} {kind}")
        names = (next(filter(None, match.groups())) for line in told for match in form.finditer(COLOUR.sub("", line)))
        name = next((name for name in names if name not in NOT_NAMES), None)
        if name is None:
            continue
        name = name.rpartition("/")[2]
        other = renamed(name, kind, chance)
        whole = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])")
        changed = [whole.sub(lambda _, other=other: other, line) for line in it.lines]
        if changed != it.lines:
            yield kind, changed


def renamed(name: str, kind: str, chance: random.Random) -> str:
    """Another name of the same sort."""
    first, second = chance.sample(WORDS, 2)
    if kind == "exception":
        return f"{first.title()}{'Exception' if name.endswith('Exception') else 'Error'}"
    if kind == "host":
        return f"{first}-{second}.{name.partition('.')[2]}"
    if name.startswith("test_"):
        return f"test_{first}_{second}"
    if name.startswith("test"):
        return f"test{first.title()}{second.title()}"
    return f"{first}_{second}"


# --- names --------------------------------------------------------------------------------------------------------

REDACTOR = Redactor(b"benchmark key of no installation")


def digest_of(lines: Lines) -> Digest:
    digester = Digester("log", REDACTOR)
    digester.feed("\n".join(lines).encode() + b"\n")
    return digester.finish(Budget())


def sha(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def all_errors(digest: Digest) -> str:
    for loud in ({Level.ERROR, Level.CRITICAL}, {Level.WARNING}):
        if found := {mask(line.message) for line in digest.lines if line.level in loud}:
            return sha(sorted(found))
    return sha([mask(line.message) for line in digest.lines[-1:]])


def all_lines(digest: Digest) -> str:
    return sha(sorted({template.template for template in digest.templates}))


def first_error(digest: Digest) -> str:
    errors = (line for line in digest.lines if line.level in (Level.ERROR, Level.CRITICAL))
    return sha([mask(line.message) for line in [*errors, *digest.lines[-1:]][:1]])


NAMES: dict[str, Callable[[Digest], str]] = {
    "fingerprint": lambda digest: fingerprint(examine(digest).identity()),
    "all masked errors": all_errors,
    "all masked lines": all_lines,
    "first masked error": first_error,
}


class Share:
    """How often something held."""

    def __init__(self) -> None:
        self.held = self.total = 0

    def add(self, holds: bool) -> None:
        self.held += holds
        self.total += 1

    def __str__(self) -> str:
        return f"{self.held / self.total:7.3f}" if self.total else "      -"


def project(name: str) -> str:
    """What the builds of one project have in common in their names, before the number of the build."""
    return re.sub(r"-\d+$", "", name)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", type=Path, default=[Path(__file__).parents[1] / "examples"])
    parser.add_argument("--variants", type=int, default=1, help="logs for each kind of change of each case")
    parser.add_argument("--most", type=int, default=0, help="cases of each folder, evenly spread; 0 for all")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--misses", action="store_true", help="name each variant and pair that the fingerprint misses")
    given = parser.parse_args()

    found: list[Case] = []
    for folder in given.cases:
        here = list(cases(folder))
        found += here[:: -(-len(here) // given.most)] if given.most and here else here
    shares: defaultdict[str, dict[str, Share]] = defaultdict(lambda: {name: Share() for name in NAMES})
    misses: list[str] = []
    originals: dict[str, dict[str, str]] = {}
    for it in found:
        digest = digest_of(it.lines)
        own = originals[it.name] = {name: names(digest) for name, names in NAMES.items()}
        for kind, lines in variants(it, given.variants, given.seed):
            digest = digest_of(lines)
            for name, names in NAMES.items():
                same = names(digest) == own[name]
                shares[kind][name].add(same)
                shares["single changes" if kind in REWRITES | MOVES else "combinations"][name].add(same)
                if not same and name == "fingerprint":
                    misses.append(f"same    {it.name}: {kind}")
        for kind, lines in near_pairs(it, given.seed):
            digest = digest_of(lines)
            for name, names in NAMES.items():
                differs = names(digest) != own[name]
                shares[f"near: {kind}"][name].add(differs)
                shares["near pairs"][name].add(differs)
                if not differs and name == "fingerprint":
                    misses.append(f"differ  {it.name}: {kind}")
    for first, second in combinations(originals, 2):
        for name in NAMES:
            differs = originals[first][name] != originals[second][name]
            shares["distinct cases"][name].add(differs)
            shares["of one project" if project(first) == project(second) else "of two projects"][name].add(differs)
            if not differs and name == "fingerprint":
                misses.append(f"differ  {first} and {second}")

    print(f"{len(found)} cases, seed {given.seed}\n")
    print(f"{'':30}{'logs':>8}" + "".join(f"{name:>20}" for name in NAMES))

    def row(kind: str) -> None:
        if kind in shares:
            of = shares[kind]
            print(f"{kind:30}{of['fingerprint'].total:8}" + "".join(f"{of[name]!s:>20}" for name in NAMES))

    print("same fingerprint:")
    for kind in (*REWRITES, *MOVES, "single changes", "combinations"):
        row(kind)
    print("another fingerprint:")
    for kind in sorted(shares):
        if kind.startswith("near: "):
            row(kind)
    for kind in ("near pairs", "of one project", "of two projects", "distinct cases"):
        row(kind)
    if given.misses:
        print("\n" + "\n".join(misses))


if __name__ == "__main__":
    main()
