"""Bytes as they arrive from a file descriptor, and what is inside when they are compressed."""

import asyncio
import bz2
import lzma
import os
import stat
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Protocol

from bifrost_domain.errors import NoReadableInput

CHUNK = 1 << 20


async def descriptor_chunks(descriptor: int) -> AsyncGenerator[bytes, None]:
    """All bytes of an open file descriptor: of a file in a thread, of a pipe or terminal as soon as there are any.

    Waiting for a pipe can be cancelled at any moment, since no thread is stuck in a read. Raises OSError.
    """
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        while chunk := await asyncio.to_thread(os.read, descriptor, CHUNK):
            yield chunk
        return
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    try:
        loop.add_reader(descriptor, readable.set)
    except PermissionError:  # a device that cannot be waited for, such as /dev/null, never blocks
        while chunk := os.read(descriptor, CHUNK):
            yield chunk
        return
    try:
        while True:
            await readable.wait()
            readable.clear()
            try:
                chunk = os.read(descriptor, CHUNK)
            except BlockingIOError:
                continue
            if not chunk:
                return
            yield chunk
    finally:
        loop.remove_reader(descriptor)


class _Member(Protocol):
    """One compressed stream: `decompress` gives what `data` holds, `unused_data` what follows its end."""

    def decompress(self, data: bytes) -> bytes: ...

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...


def _zstandard() -> _Member:
    import zstandard

    member: _Member = zstandard.ZstdDecompressor().decompressobj()
    return member


def _gzip() -> _Member:
    return zlib.decompressobj(wbits=31)


_FORMATS: dict[bytes, tuple[str, Callable[[], _Member], int]] = {
    b"\x1f\x8b": ("gzip", _gzip, 4096),
    b"BZh": ("bzip2", bz2.BZ2Decompressor, 64),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMADecompressor, 256),
    b"\x28\xb5\x2f\xfd": ("zstandard", _zstandard, 256),
}
"""Magic bytes -> name, a decoder, and how many bytes to give it at once: few enough that none expands without bound."""

LONGEST_MAGIC = max(map(len, _FORMATS))


class Decompressor:
    """Passes bytes through, decompressed where they begin like a gzip, bzip2, xz or zstandard file, member by member.

    `most_ratio` bounds how many times larger the output may be than the input, once it is over 64 MiB.
    """

    def __init__(self, name: str, most_ratio: float) -> None:
        self._name = name
        self._most_ratio = most_ratio
        self._start = b""
        self._format: str | None = None
        self._decided = False
        self._member: _Member | None = None
        self._taken = 0
        self._given = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What `data` holds, in pieces of bounded size. Raises NoReadableInput where it is damaged or a bomb."""
        if not self._decided:
            data = self._start + data
            if len(data) < LONGEST_MAGIC:
                self._start = data
                return
            self._start = b""
            self._decide(data)
        yield from self._through(data)

    def finish(self) -> Iterator[bytes]:
        """What is left at the end. Raises NoReadableInput where a compressed file stops in its middle."""
        if not self._decided and self._start:
            self._decide(self._start)
            yield from self._through(self._start)
        if self._member is not None and not self._member.eof:
            raise NoReadableInput(
                f"{self._name} is cut off: the {self._format} data ends in its middle",
                hint="what was readable before the cut was read",
            )

    def _decide(self, data: bytes) -> None:
        self._decided = True
        self._format = next((found[0] for magic, found in _FORMATS.items() if data.startswith(magic)), None)

    def _through(self, data: bytes) -> Iterator[bytes]:
        if self._format is None:
            yield data
            return
        make, step = next((make, step) for name, make, step in _FORMATS.values() if name == self._format)
        self._taken += len(data)
        view = memoryview(data)
        at = 0
        while at < len(view):
            member = self._member
            if member is None or member.eof:
                # Padding with zero bytes after the last member is allowed by gzip(1) and xz(1).
                while at < len(view) and self._given and view[at] == 0:
                    at += 1
                if at == len(view):
                    return
                self._member = member = make()
            piece = bytes(view[at : at + step])
            at += len(piece)
            try:
                out = member.decompress(piece)
            except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError) as error:
                raise self._damaged() from error
            except Exception as error:
                if type(error).__name__ != "ZstdError":
                    raise
                raise self._damaged() from error
            if member.eof:
                at -= len(member.unused_data)
            self._given += len(out)
            if self._given > (1 << 26) and self._given > self._most_ratio * self._taken:
                raise NoReadableInput(
                    f"{self._name} grows more than {self._most_ratio:g} times when decompressed",
                    hint="decompress it yourself if that is meant",
                )
            if out:
                yield out

    def _damaged(self) -> NoReadableInput:
        return NoReadableInput(
            f"{self._name} is damaged: its {self._format} data cannot be decompressed",
            hint="what was readable before the damage was read",
        )


async def decompressed(raw: AsyncGenerator[bytes, None], name: str, most_ratio: float) -> AsyncGenerator[bytes, None]:
    """`raw`, decompressed, in chunks of about a MiB. Raises NoReadableInput."""
    inflate = Decompressor(name, most_ratio)
    try:
        async for chunk in raw:
            pieces = inflate.feed(chunk)
            while batch := await asyncio.to_thread(_batch, pieces):
                yield batch
        for piece in inflate.finish():
            yield piece
    except OSError as error:
        raise NoReadableInput(
            f"cannot read {name}: {error.strerror}", hint="check the path and its permissions"
        ) from error
    finally:
        await raw.aclose()


def _batch(pieces: Iterator[bytes]) -> bytes:
    """The next pieces, joined to about a MiB; empty at the end. What came before an error comes before the error."""
    batch: list[bytes] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece)
        if size >= CHUNK:
            break
    return batch[0] if len(batch) == 1 else b"".join(batch)
