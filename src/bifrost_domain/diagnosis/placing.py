"""Where a failure happened: the files and lines of the project that it names, surest first."""

import re2

from bifrost_domain.diagnosis.observing import Note, Observations
from bifrost_domain.diagnosis.reasoning import Candidate
from bifrost_domain.diagnosis.signature import MarkKind, Role
from bifrost_domain.logs.lines import Level, Line

AROUND = 150
"""So many lines of the digest around a failure can belong to it."""
TRACE = 12
"""So many lines without a gap after an error can be the frames of its trace, where a logger cut them apart."""

_VENDORED = re2.compile(
    r"(?:^|/)(?:node_modules|site-packages|dist-packages|\.cargo/registry|\.rustup|rustc|rustlib|vendor/bundle|gems|"
    r"\.pnpm|\.yarn|\.m2|\.gradle|go/pkg/mod|hostedtoolcache|_pytest|pluggy)(?:/|$)|^testing\.go$|^node:|^/?internal/|^/usr/|^<"
)
_LIBRARY = re2.compile(
    r"^(?:javax?|jdk|sun|com\.sun|jakarta|kotlinx?|scala|groovy|clojure|akka|reactor|junit|feign|redis\.clients|okhttp3|"
    r"org\.(?:springframework|apache|junit|hibernate|eclipse|gradle|jboss|wildfly|codehaus|mockito|testng|assertj|slf4j|"
    r"postgresql|mariadb|mongodb|elasticsearch|flywaydb|thymeleaf|xml|w3c|jetbrains|scalatest|spockframework)|"
    r"io\.(?:netty|micrometer|quarkus|micronaut|reactivex|grpc|vertx|lettuce|ktor|opentelemetry)|ch\.qos|"
    r"com\.(?:zaxxer|fasterxml|mysql|mongodb|squareup|google\.(?:common|gson|inject|protobuf)|datastax|oracle|ibm)|"
    r"net\.(?:bytebuddy|sf\.cglib))\."
)
"""Packages of the JVM and of common frameworks: a trace runs through them and starts in the project's own code."""
_WORKSPACE = re2.compile(r"^(?:/home/runner/work/[^/]+/[^/]+/|/Users/runner/work/[^/]+/[^/]+/|/__w/[^/]+/[^/]+/|\./)")


def places(lines: tuple[Line, ...], observations: Observations, cause: Candidate) -> list[Note]:
    """Where it happened, surest first: what the deciding line names, then the project's frames of its own trace, the
    nearest first. What a tool prints around its verdict counts as well, except for warnings; lines of a service outside
    the trace belong to something else."""
    deciding = cause.deciding.index
    cited = lines[deciding]
    notes = [
        note
        for note in observations.noted(MarkKind.PLACE)
        if in_project(cleaned(note.groups.get("file", "")))
        and not _LIBRARY.search(note.groups.get("within", ""))
        and lines[note.index].file == cited.file
    ]
    blocks = {cited.block}
    if cause.deciding not in cause.hits:
        # The exception that a heading announces may stand outside of the heading's block.
        blocks.update([lines[hit.index].block for hit in cause.hits if hit.index < deciding][-1:])
    trace = {index for index, line in enumerate(lines) if line.block in blocks} | _trailing(lines, deciding)

    def far(note: Note) -> tuple[bool, bool, int]:
        # The frames of Python stand above its exceptions, those of all others below.
        above = note.index < deciding
        upward = lines[note.index].text.lstrip().startswith('File "')
        return note.index != deciding, above is not upward, abs(note.index - deciding)

    own = sorted((note for note in notes if note.index in trace), key=far)
    if not observations.pipeline and cause.signature.role is not Role.VERDICT:
        return own
    # A warning is no place of an error that names its own; where warnings are errors it is the only one.
    usable = {
        note.index
        for note in notes
        if not own or lines[note.index].level is not Level.WARNING or cited.level is Level.WARNING
    }
    around = [note for note in nearest(observations, MarkKind.PLACE, cause) if note.index in usable]
    taken = {note.index for note in own}
    return [*own, *(note for note in around if note.index not in taken)]


def _trailing(lines: tuple[Line, ...], index: int) -> set[int]:
    """The lines without a header of their own that follow one without a gap."""
    headed = lines[index].time is not None
    found: set[int] = set()
    for place in range(index + 1, min(len(lines), index + TRACE + 1)):
        line, before = lines[place], lines[place - 1]
        apart = (line.file, line.number) != (before.file, before.number + 1)
        if (
            apart
            or (headed and line.block != before.block and line.time not in (None, lines[index].time))
            or line.level is Level.WARNING
        ):
            break
        found.add(place)
    return found


def first_place(lines: tuple[Line, ...], observations: Observations, cause: Candidate) -> str:
    """The surest place as `file:line`; the file alone where its line is not told, empty where no place is."""
    found, deciding = places(lines, observations, cause), cause.deciding.index
    if not found:
        return ""
    note = found[0]
    if cause.signature.role is Role.VERDICT and note.index != deciding:
        # Of many findings that a tool prints, the place is that of the one that decides.
        tests = observations.noted(MarkKind.TEST)
        named = {cleaned(test.groups["file"]) for test in tests if test.index == deciding and "file" in test.groups}
        found = [place for place in found if cleaned(place.groups["file"]) in named] or found
        note = min(found, key=lambda it: it.index - deciding if it.index > deciding else 3 * (deciding - it.index))
    file = cleaned(note.groups["file"])
    return f"{file}:{note.groups['line']}" if "line" in note.groups else file


def nearest(observations: Observations, kind: MarkKind, cause: Candidate) -> list[Note]:
    """The notes around the cause, nearest first. Tools print a heading and then its details, so that a line below a
    heading is nearer than one above it."""
    anchors = [hit.index for hit in cause.hits[:50]]
    if cause.signature.role is Role.VERDICT:
        anchors += [note.index for note in observations.noted(MarkKind.TEST)[:50]]
    distances = {
        note.index: min(note.index - a if note.index >= a else 3 * (a - note.index) for a in anchors)
        for note in observations.noted(kind)
    }
    near = [note for note in observations.noted(kind) if distances[note.index] <= AROUND]
    return sorted(near or observations.noted(kind)[:1], key=lambda note: (distances[note.index], note.index))


def listed(observations: Observations, cause: Candidate) -> list[Note]:
    """Bare paths near the cause: the list that a formatter or linter prints under its verdict."""
    spans = [hit.index for hit in cause.hits]
    return [
        note
        for note in observations.noted(MarkKind.LISTED)
        if any(-3 <= note.index - index <= 10 for index in spans) and "/" in note.groups["file"]
    ]


def cleaned(name: str) -> str:
    """A path without the directory into which a runner checked the project out."""
    return str(_WORKSPACE.sub("", name.strip(), count=1))


def in_project(name: str) -> bool:
    """Whether a path can be one of the project: not of a runtime, a tool or an installed package."""
    return bool(name) and len(name) < 260 and not _VENDORED.search(name)
