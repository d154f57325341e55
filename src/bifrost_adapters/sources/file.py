"""A file, a glob pattern or a folder of logs, compressed ones included.

What a user typed is taken as it is: it may be a link, a named pipe, or /dev/fd/63 of a shell's <(command). What a walk
meets is somebody else's choice: only regular files are read, links are never followed, every folder is opened relative
to the one above it, and a file has to be the same one when it is read as when it was found.
"""

import asyncio
import glob
import heapq
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import islice
from typing import Annotated

from msgspec import Meta, Struct

from bifrost_adapters.sources._reading import Limits, compressed, sniff, stream, unreadable
from bifrost_domain.errors import NoReadableInput
from bifrost_domain.ports import Found

__all__ = ["Options", "open"]

_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""Opening a pipe that has no writer yet would block without O_NONBLOCK; the waiting is done where it can be ended."""

# fmt: off
_NO_LOGS = frozenset((
    ".bash", ".bat", ".c", ".cc", ".cfg", ".conf", ".cpp", ".cs", ".css", ".cxx", ".go", ".gradle", ".h", ".hpp",
    ".htm", ".html", ".ini", ".ipynb", ".java", ".js", ".jsx", ".kt", ".less", ".lock", ".lua", ".md", ".mjs", ".php",
    ".pid", ".pl", ".po", ".properties", ".proto", ".ps1", ".py", ".pyi", ".r", ".rb", ".rs", ".rst", ".scala",
    ".scss", ".sh", ".sql", ".svelte", ".svg", ".swift", ".tex", ".tf", ".toml", ".ts", ".tsx", ".vue", ".yaml",
    ".yml", ".zsh",
))
# fmt: on
"""Text, but source code, prose or settings: in a folder they are passed over, named by themselves they are read."""


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """target: the path as typed: a file (a pipe counts as one), a folder, or a pattern that the shell did not expand.

    max_depth, max_files: how deep a folder is walked, and how many entries of it, or matches of a pattern, are looked
    at. max_decompressed_bytes: of one log, None for any. most_ratio: how many times compressed input may grow, once it
    is over 64 MiB.
    """

    target: str
    max_depth: Annotated[int, Meta(ge=1)] = 32
    max_files: Annotated[int, Meta(ge=1)] = 100_000
    max_decompressed_bytes: Annotated[int, Meta(ge=1)] | None = None
    most_ratio: Annotated[float, Meta(gt=1)] = 2000.0


@asynccontextmanager
async def open(options: Options) -> AsyncIterator[Found]:
    """The logs behind the target, in order, and what was passed over. Raises NoReadableInput where there is none."""
    yield await asyncio.to_thread(_Search(options).run)


_Identity = tuple[int, int]


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino


class _File:
    """`identity` is that of the file a walk met; a path that was typed has none to keep to."""

    def __init__(self, path: str, limits: Limits, identity: _Identity | None) -> None:
        self.name = _printable(path)
        self._path = path
        self._limits = limits
        self._identity = identity

    @property
    def size(self) -> int | None:
        """None for a pipe and for what is compressed; a file that grows gives more in the end."""
        try:
            if not stat.S_ISREG(os.stat(self._path).st_mode):
                return None
            descriptor = self._open()
            try:
                return None if compressed(descriptor) else os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
        except (OSError, NoReadableInput):
            return None

    def chunks(self) -> AsyncGenerator[bytes, None]:
        return stream(self.name, self._open, self._limits)

    def _open(self) -> int:
        walked = self._identity is not None
        descriptor = os.open(self._path, _OPEN | (os.O_NOFOLLOW if walked else 0))
        if walked and _identity(os.fstat(descriptor)) != self._identity:
            os.close(descriptor)
            raise NoReadableInput(
                f"{self.name} was replaced by another file while its folder was read", hint="run it again"
            )
        return descriptor


class _Search:
    def __init__(self, options: Options) -> None:
        self._options = options
        self._limits = Limits(most_bytes=options.max_decompressed_bytes, most_ratio=options.most_ratio)
        self._names: dict[_Identity, str] = {}
        self._looked_at = 0
        self._skipped: list[tuple[str, str]] = []

    def run(self) -> Found:
        """Raises NoReadableInput."""
        target = self._options.target
        pattern = glob.has_magic(target) and not os.path.lexists(target)
        sources = tuple(self._matches(target) if pattern else self._typed(target))
        if not sources:
            raise self._nothing(pattern)
        return Found(sources=sources, skipped=tuple(self._skipped))

    def _nothing(self, pattern: bool) -> NoReadableInput:
        target = _printable(self._options.target)
        if self._skipped:
            name, reason = self._skipped[0]
            return NoReadableInput(
                f"there is no log in {target}: all {len(self._skipped):,} entries were passed over, "
                f"the first of them {name} ({reason})",
                hint="name a file itself to have it read all the same",
            )
        if pattern:
            return NoReadableInput(f"no file matches {target}", hint="check the pattern, and the folder it starts from")
        return NoReadableInput(f"the folder {target} is empty", hint="name a file, or a folder with logs in it")

    def _matches(self, pattern: str) -> Iterator[_File]:
        """Matches count as typed, each of them once. With `**` a pattern follows links, and may go in circles."""
        most = self._options.max_files
        paths = list(islice(glob.iglob(pattern, recursive=True), most + 1))
        if len(paths) > most:
            self._skip(pattern, f"more than {most:,} matches; the rest was not looked at")
        for path in sorted(paths[:most]):
            try:
                yield from self._typed(path)
            except NoReadableInput as error:
                self._skip(path, error.message)

    def _typed(self, path: str) -> Iterator[_File]:
        name = _printable(path)
        try:
            found = os.stat(path)
            if stat.S_ISDIR(found.st_mode):
                with _folder(path) as descriptor:
                    yield from self._walk(path, descriptor, 1)
                return
        except OSError as error:
            raise unreadable(name, error) from error
        except ValueError as error:
            raise NoReadableInput(f"{name} cannot be a path: {error}", hint="check the path") from error
        if stat.S_ISSOCK(found.st_mode) or stat.S_ISBLK(found.st_mode):
            sort = "a socket" if stat.S_ISSOCK(found.st_mode) else "a disk"
            raise NoReadableInput(f"{name} is {sort}, not a log", hint="name a file, a folder or a pipe")
        if not stat.S_ISREG(found.st_mode) or self._is_new(path, found):
            yield _File(path, self._limits, None)

    def _walk(self, path: str, folder: int, depth: int) -> Iterator[_File]:
        """The logs in and under an open folder, sorted by name."""
        most = self._options.max_files
        with os.scandir(folder) as entries:
            chosen = heapq.nsmallest(most - self._looked_at + 1, entries, key=lambda entry: entry.name)
        for entry in chosen:
            inner = os.path.join(path, entry.name)
            if self._looked_at == most:
                self._skip(inner, f"more than {most:,} entries; from here on nothing of this folder was looked at")
                return
            self._looked_at += 1
            try:
                found = entry.stat(follow_symlinks=False)
                if reason := self._unfit(entry, found, depth):
                    self._skip(inner, reason)
                elif stat.S_ISDIR(found.st_mode):
                    with _folder(entry.name, folder) as descriptor:
                        yield from self._walk(inner, descriptor, depth + 1)
                elif self._is_log(inner, entry.name, folder) and self._is_new(inner, found):
                    yield _File(inner, self._limits, _identity(found))
            except OSError as error:
                self._skip(inner, error.strerror or str(error))

    def _unfit(self, entry: "os.DirEntry[str]", found: os.stat_result, depth: int) -> str:
        """Why an entry of a folder is passed over, by what is known without opening it; empty where it is not."""
        if entry.name.startswith("."):
            return "hidden"
        if stat.S_ISLNK(found.st_mode):
            return "a symbolic link; name it to have it followed"
        if stat.S_ISDIR(found.st_mode):
            return f"deeper than {self._options.max_depth} folders" if depth >= self._options.max_depth else ""
        if not stat.S_ISREG(found.st_mode):
            return "not a regular file"
        if not found.st_size:
            return "empty"
        suffix = os.path.splitext(entry.name)[1].lower()
        return f"{suffix} is not the name of a log" if suffix in _NO_LOGS else ""

    def _is_log(self, path: str, name: str, folder: int) -> bool:
        descriptor = os.open(name, _OPEN | os.O_NOFOLLOW, dir_fd=folder)
        try:
            sort = sniff(descriptor)
        finally:
            os.close(descriptor)
        if sort is not None:
            self._skip(path, sort.name)
        return sort is None

    def _is_new(self, path: str, found: os.stat_result) -> bool:
        first = self._names.setdefault(_identity(found), path)
        if first is not path:
            self._skip(path, f"the same file as {_printable(first)}")
        return first is path

    def _skip(self, path: str, reason: str) -> None:
        self._skipped.append((_printable(path), reason))


@contextmanager
def _folder(path: str, above: int | None = None) -> Iterator[int]:
    """An open folder; one inside of another must not be a link."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | (0 if above is None else os.O_NOFOLLOW)
    descriptor = os.open(path, flags, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _printable(path: str) -> str:
    """`path` as it was typed, with what no terminal and no JSON can show written as escapes."""
    if path.isprintable():
        return path
    return "".join(part if part.isprintable() else part.encode("unicode_escape").decode() for part in path)
