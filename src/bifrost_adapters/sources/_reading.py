"""Bytes of an open descriptor, decompressed where they are compressed: in bounded memory, the event loop never blocked.

A read runs in a thread and waits there with poll(2) on the descriptor and on a pipe of its own, so that closing wakes a
thread that waits for a silent pipe: a timeout or Ctrl-C takes effect at once, and the descriptor, which may be shared
with other processes, is never made non-blocking.
"""

import asyncio
import os
import select
import threading
import zlib
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import cache
from typing import Protocol

from msgspec import Struct

from bifrost_domain.errors import LogTooLarge, NoReadableInput

CHUNK = 1 << 20
"""Bytes of a chunk, at the most, save where a few compressed bytes stand for more."""
_BLOCK = 1 << 16
"""Compressed bytes read at once."""
SAMPLE = 8192
_RATIO_FREE = 64 << 20
"""Bytes that may come out before the ratio is looked at: small archives of one repeated line are no bombs."""
_XZ_MEMORY = 256 << 20


class Limits(Struct, frozen=True, kw_only=True):
    """Of one log. `most_bytes` decompressed, None for any; `most_ratio`: how many times compressed input may grow."""

    most_bytes: int | None
    most_ratio: float


async def stream(
    name: str, open_descriptor: Callable[[], int], limits: Limits, *, owned: bool = True
) -> AsyncGenerator[bytes, None]:
    """The decompressed bytes as they arrive. Closes the descriptor at the end if it is `owned`.

    Raises NoReadableInput for bytes that are no text, and where the input breaks off or is damaged, after all that came
    before was delivered; LogTooLarge in the same way at a limit.
    """
    try:
        reader = Reader(name, open_descriptor(), limits, owned=owned)
    except OSError as error:
        raise unreadable(name, error) from error
    try:
        while piece := await asyncio.to_thread(reader.read):
            yield piece
    finally:
        reader.close()


class Reader:
    """The blocking side of `stream`. `close` may be called while `read` waits in another thread, which it ends."""

    def __init__(self, name: str, descriptor: int, limits: Limits, *, owned: bool) -> None:
        self._name = name
        self._raw = _Raw(descriptor, owned=owned)
        self._pieces = self._read(limits)
        self._lock = threading.Lock()
        self._closed = False

    def read(self) -> bytes:
        """The next piece, b"" at the end. Raises as `stream` does."""
        with self._lock:
            if self._closed:
                return b""
            try:
                return next(self._pieces, b"")
            except OSError as error:
                raise unreadable(self._name, error) from error

    def close(self) -> None:
        self._raw.wake()
        with self._lock:
            self._closed = True
            self._raw.close()

    def _read(self, limits: Limits) -> Iterator[bytes]:
        head = self._decidable(self._raw.read(CHUNK), CHUNK)
        new = decompressor_for(head)
        pieces = self._plain(head) if new is None else self._members(head, new)
        produced = 0
        for piece in pieces:
            if produced == 0 and (sort := binary(piece[:SAMPLE])):
                inside = "" if new is None else " inside of the compression"
                raise NoReadableInput(f"{self._name} is no log: it is {sort.name}{inside}", hint=sort.hint)
            produced += len(piece)
            if limits.most_bytes is not None and produced > limits.most_bytes:
                yield piece[: len(piece) - (produced - limits.most_bytes)]
                raise LogTooLarge(
                    f"{self._name} has more than the {limits.most_bytes:,} bytes allowed; what is beyond was not read",
                    hint="raise the limit, or give only the part that matters",
                )
            yield piece
            if new is not None and produced > max(_RATIO_FREE, limits.most_ratio * self._raw.taken):
                raise LogTooLarge(
                    f"{self._name} grows more than {limits.most_ratio:,g} times when decompressed, as a decompression "
                    f"bomb does; reading stopped after {produced:,} bytes",
                    hint="if it is to be trusted, decompress it first and analyse the result",
                )

    def _decidable(self, head: bytes, size: int) -> bytes:
        """`head` and as much more as tells whether it is compressed; no more, so that a slow pipe is not held up."""
        while any(len(magic) > len(head) and magic.startswith(head) for magic in _magics()):
            more = self._raw.read(size)
            if not more:
                break
            head += more
        return head

    def _plain(self, head: bytes) -> Iterator[bytes]:
        while head:
            yield head
            head = self._raw.read(CHUNK)

    def _members(self, data: bytes, new: Callable[[], "_Decompressor"]) -> Iterator[bytes]:
        """Of all members of an archive, one after another; zeros between and after them are padding."""
        while data:
            decompressor = new()
            while not decompressor.eof:
                ended = False
                if decompressor.needs_input and not data:
                    data = self._raw.read(_BLOCK)
                    ended = not data
                try:
                    piece = decompressor.decompress(data, CHUNK)
                except damages() as error:
                    raise NoReadableInput(
                        f"{self._name} is damaged: {error}; what came before was read",
                        hint="get the file again, or decompress it by hand",
                    ) from error
                data = b""
                if piece:
                    yield piece
                elif ended:
                    raise NoReadableInput(
                        f"{self._name} is cut off in the middle of its compressed data; what came before was read",
                        hint="get the whole file: a copy or a download broke off, or it is still being written",
                    )
            data = decompressor.unused_data.lstrip(b"\0")
            while not data and (data := self._raw.read(_BLOCK)):
                data = data.lstrip(b"\0")
            data = self._decidable(data, _BLOCK)
            if data and decompressor_for(data) is not new:
                raise NoReadableInput(
                    f"{self._name} has other bytes behind its compressed data; what came before was read",
                    hint="look what was appended to it: tail -c 64 FILE | xxd",
                )


class _Raw:
    """Bytes of a descriptor as they are."""

    def __init__(self, descriptor: int, *, owned: bool) -> None:
        self.taken = 0
        self._descriptor = descriptor
        self._owned = owned
        self._ended = False
        os.fstat(descriptor)  # a closed one would be taken for the pipe's, which gets its number
        self._woken, self._waker = os.pipe()
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)
        self._poll.register(self._woken, select.POLLIN)

    def read(self, size: int) -> bytes:
        """What there is, up to `size`, waiting only for the first byte; b"" at the end, or when woken."""
        parts: list[bytes] = []
        missing = size
        while missing and not self._ended:
            ready = dict(self._poll.poll(0 if parts else None))
            if self._woken in ready:
                return b""
            if self._descriptor not in ready:
                break
            try:
                part = os.read(self._descriptor, missing)
            except BlockingIOError:
                continue
            self._ended = not part
            parts.append(part)
            missing -= len(part)
        data = b"".join(parts)
        self.taken += len(data)
        return data

    def wake(self) -> None:
        """Ends a read that waits in another thread, and all later ones."""
        os.close(self._waker)

    def close(self) -> None:
        os.close(self._woken)
        if self._owned:
            os.close(self._descriptor)


def unreadable(name: str, error: OSError) -> NoReadableInput:
    """What the system said of `name`, as the error that people get."""
    match error:
        case FileNotFoundError():
            return NoReadableInput(f"{name}: there is no such file or folder", hint="check the path for a typing error")
        case PermissionError():
            return NoReadableInput(f"{name}: permission denied", hint="run as a user who may read it")
        case IsADirectoryError():
            return NoReadableInput(f"{name} is a folder", hint="name it as a path: bifrost analyze FOLDER")
        case _:
            return NoReadableInput(
                f"{name} cannot be read: {error.strerror or error}", hint="check that it is a file, a folder or a pipe"
            )


# --- what the bytes are -------------------------------------------------------------------------------------------


class Binary(Struct, frozen=True):
    """A sort of file that is no log, and what to do about it."""

    name: str
    hint: str


_UNPACK = "unpack it, and name the folder with the logs"
_KNOWN = (
    (0, b"PK\x03\x04", Binary("a ZIP archive", _UNPACK)),
    (0, b"7z\xbc\xaf\x27\x1c", Binary("a 7z archive", _UNPACK)),
    (257, b"ustar", Binary("a tar archive", _UNPACK)),
    (0, b"LPKSHHRH", Binary("a systemd journal", "export it: journalctl --file FILE | bifrost analyze")),
    (0, b"ElfFile\0", Binary("a Windows event log", "export it as text or XML")),
    (0, b"SQLite format 3\0", Binary("an SQLite database", "query it, and pipe the result in")),
    (0, b"%PDF-", Binary("a PDF document", "save its text, and name that file")),
    (0, b"\x04\x22\x4d\x18", Binary("an LZ4 archive", "decompress it: lz4 -dc FILE | bifrost analyze")),
    (0, b"\x1f\x9d", Binary("a file of compress(1)", "decompress it: zcat FILE | bifrost analyze")),
)
_OTHER = Binary("binary data", "name a text file, or pipe through a program that prints it as text")
_TEXT_CONTROLS = b"\x07\x08\t\n\x0b\x0c\r\x1b"
_CONTROLS = bytes(byte for byte in (*range(32), 127) if byte not in _TEXT_CONTROLS)
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")


def binary(sample: bytes) -> Binary | None:
    """What `sample`, the start of a file, is other than text; None for text in any encoding.

    More than one control character in twenty is no text; random bytes have two. UTF-16 is known by its mark or by NULs
    in every other place only; a run of NULs at the start is what truncating a log under its writer leaves behind.
    """
    for offset, magic, sort in _KNOWN:
        if sample.startswith(magic, offset):
            return sort
    if sample.startswith(_WIDE_MARKS):
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if min(even, odd) == 0 and max(even, odd) * 3 > len(sample):
        return None
    text = sample.lstrip(b"\0")
    controls = len(text) - len(text.translate(None, _CONTROLS))
    return _OTHER if controls * 20 > max(len(text), 64) else None


def sniff(descriptor: int) -> Binary | None:
    """`binary` of what an open file begins with, looked at inside of its compression. Raises OSError."""
    start = os.read(descriptor, SAMPLE)
    new = decompressor_for(start)
    if new is not None:
        try:
            start = new().decompress(start, SAMPLE)
        except damages():
            return None  # told when it is read
    return binary(start[:SAMPLE])


def compressed(descriptor: int) -> bool:
    """Whether an open file begins as a compressed one does. Raises OSError."""
    return decompressor_for(os.read(descriptor, SAMPLE)) is not None


class _Decompressor(Protocol):
    """The standard library's interface (bz2.BZ2Decompressor), of one member of an archive."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._inflate.decompress(data or self._inflate.unconsumed_tail, max_length)


class _Zstandard:
    """Feeds few bytes at a time, since the library does not bound its output: 512 of them stand for 16 MiB at most."""

    _STEP = 512

    def __init__(self) -> None:
        import zstandard

        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._rest = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def needs_input(self) -> bool:
        return not self._rest

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data + bytes(self._rest)

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        rest = memoryview(data) if data else self._rest
        pieces, length = [], 0
        while rest and length < max_length and not self._frame.eof:
            piece = self._frame.decompress(rest[: self._STEP])
            rest = rest[self._STEP :]
            pieces.append(piece)
            length += len(piece)
        self._rest = rest
        return b"".join(pieces)


def _bzip2() -> _Decompressor:
    import bz2

    return bz2.BZ2Decompressor()


def _xz() -> _Decompressor:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


@cache
def damages() -> tuple[type[Exception], ...]:
    """What the decompressors raise at bytes that are none of theirs."""
    import lzma

    import zstandard

    return zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError


@cache
def _magics() -> dict[bytes, Callable[[], _Decompressor]]:
    """How a member of each format begins: RFC 1952; bzip2's block or end mark; the .xz format 1.2; RFC 8878, 3.1."""
    bzip2 = (b"BZh%d" % level + mark for level in range(1, 10) for mark in (b"1AY&SY", b"\x17rE8P\x90"))
    skippable = (bytes([byte]) + b"\x2a\x4d\x18" for byte in range(0x50, 0x60))
    return {
        b"\x1f\x8b\x08": _Gzip,
        **dict.fromkeys(bzip2, _bzip2),
        b"\xfd7zXZ\0": _xz,
        b"\x28\xb5\x2f\xfd": _Zstandard,
        **dict.fromkeys(skippable, _Zstandard),
    }


def decompressor_for(head: bytes) -> Callable[[], _Decompressor] | None:
    return next((new for magic, new in _magics().items() if head.startswith(magic)), None)
