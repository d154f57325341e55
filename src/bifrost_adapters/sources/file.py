"""A file, a glob pattern or a folder of logs, compressed ones included."""

import glob
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated

from msgspec import Meta, Struct

from bifrost_adapters.sources._reading import decompressed, descriptor_chunks
from bifrost_domain.errors import NoReadableInput
from bifrost_domain.ports import Found

__all__ = ["Options", "open"]

_SNIFF = 4096
_ARCHIVES = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """target: the path as typed: a file (a pipe counts as one), a folder, or a pattern that the shell did not expand.

    max_depth, max_files: how deep a folder is walked, and how many logs are taken from it. most_ratio: how many times
    compressed input may grow.
    """

    target: str
    max_depth: Annotated[int, Meta(ge=1)] = 32
    max_files: Annotated[int, Meta(ge=1)] = 100_000
    most_ratio: Annotated[float, Meta(gt=1)] = 2000.0


@asynccontextmanager
async def open(options: Options) -> AsyncIterator[Found]:
    """The logs behind the target. Raises NoReadableInput where there is none."""
    walk = _Walk(options)
    sources = tuple(_File(path, options.most_ratio, walked) for path, walked in walk.files())
    if not sources:
        raise walk.nothing()
    yield Found(sources=sources, skipped=tuple(walk.skipped))


class _File:
    def __init__(self, name: str, most_ratio: float, walked: bool) -> None:
        self.name = name
        self._most_ratio = most_ratio
        self._walked = walked
        self._place = os.path.realpath(name) if walked else name

    def chunks(self) -> AsyncGenerator[bytes, None]:
        return decompressed(self._raw(), self.name, self._most_ratio)

    async def _raw(self) -> AsyncGenerator[bytes, None]:
        # Without a writer a pipe would block the opening for ever; O_NONBLOCK makes the waiting happen in the loop.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if self._walked else 0)
        descriptor = os.open(self._place, flags)
        try:
            async for chunk in descriptor_chunks(descriptor):
                yield chunk
        finally:
            os.close(descriptor)


class _Walk:
    """Finds logs. What a user typed is taken as it is; what a walk meets has to be a regular file of text inside it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._seen: set[tuple[int, int]] = set()
        self._taken = 0
        self.skipped: list[tuple[str, str]] = []

    def files(self) -> Iterator[tuple[str, bool]]:
        """Path, and whether it comes from a walk."""
        target = self._options.target
        if os.path.lexists(target) or not glob.has_magic(target):
            yield from self._typed(target)
        else:
            for path in sorted(glob.glob(target, recursive=True)):
                yield from self._typed(path)

    def nothing(self) -> NoReadableInput:
        target = self._options.target
        if self.skipped:
            return NoReadableInput(
                f"there is no log in {target}: {self.skipped[0][0]} is left out ({self.skipped[0][1]})",
                hint="name the file itself to have it read all the same",
            )
        if glob.has_magic(target):
            return NoReadableInput(f"nothing matches {target}", hint="check the pattern")
        return NoReadableInput(f"the folder {target} is empty", hint="name a file, or a folder with logs in it")

    def _typed(self, path: str) -> Iterator[tuple[str, bool]]:
        try:
            found = os.stat(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise NoReadableInput(f"cannot read {path}: {reason}", hint="check the path") from error
        if stat.S_ISDIR(found.st_mode):
            yield from self._folder(path, os.path.realpath(path), 1)
        elif stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode):
            if stat.S_ISREG(found.st_mode) and not os.access(path, os.R_OK):
                raise NoReadableInput(f"cannot read {path}: Permission denied", hint="check its permissions")
            yield path, False
        else:
            raise NoReadableInput(f"cannot read {path}: it is no file", hint="name a file, a folder or a pipe")

    def _folder(self, path: str, root: str, depth: int) -> Iterator[tuple[str, bool]]:
        if depth > self._options.max_depth:
            self.skipped.append((path, f"deeper than {self._options.max_depth} folders"))
            return
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            self.skipped.append((path, error.strerror or "unreadable"))
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            reason = self._judged(entry, root)
            if reason:
                self.skipped.append((entry.path, reason))
            elif entry.is_dir():
                yield from self._folder(entry.path, root, depth + 1)
            elif self._taken >= self._options.max_files:
                self.skipped.append((entry.path, f"more than {self._options.max_files} files"))
            else:
                self._taken += 1
                yield entry.path, True

    def _judged(self, entry: os.DirEntry[str], root: str) -> str:
        """Why an entry of a folder is left out; empty where it is not."""
        try:
            if entry.is_symlink() and not os.path.realpath(entry.path).startswith(root + os.sep):
                return "a link that leads out of the folder"
            found = entry.stat()
            identity = (found.st_dev, found.st_ino)
            if identity in self._seen:
                return "seen before under another name"
            self._seen.add(identity)
            if stat.S_ISDIR(found.st_mode):
                return ""
            if not stat.S_ISREG(found.st_mode):
                return "no regular file"
            if found.st_size == 0:
                return "empty"
            return "" if _is_text(entry.path) else "not text"
        except OSError as error:
            return error.strerror or "unreadable"


def _is_text(path: str) -> bool:
    """Whether the file begins like text or like compressed data: without a NUL, unless it is UTF-16."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        start = os.read(descriptor, _SNIFF)
    finally:
        os.close(descriptor)
    return b"\0" not in start or start.startswith(_ARCHIVES + _UTF16)
