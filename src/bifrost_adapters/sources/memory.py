"""Logs that are in memory already, such as the body of a request: decompressed where they are compressed, in bounds."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated

from msgspec import Meta, Struct

from bifrost_adapters.sources._reading import CHUNK, SAMPLE, binary, damages, decompressor_for
from bifrost_domain.errors import LogTooLarge, NoReadableInput
from bifrost_domain.ports import Found

__all__ = ["Options", "open"]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`logs`: what each is called, and its bytes. max_decompressed_bytes and max_lines: of all of them together.

    most_ratio: how many times compressed input may grow, once it is over a megabyte.
    """

    logs: tuple[tuple[str, bytes], ...]
    max_decompressed_bytes: Annotated[int, Meta(ge=1)]
    max_lines: Annotated[int, Meta(ge=1)]
    most_ratio: Annotated[float, Meta(gt=1)] = 200.0


_RATIO_FREE = 1 << 20


@asynccontextmanager
async def open(options: Options) -> AsyncIterator[Found]:
    """Raises LogTooLarge at a limit, NoReadableInput for damaged or binary data: nothing is read in part."""
    yield Found(sources=await asyncio.to_thread(_unpacked, options))


def _unpacked(options: Options) -> tuple["_Log", ...]:
    logs: list[_Log] = []
    size = lines = 0
    for name, data in options.logs:
        pieces = []
        for piece in _pieces(name, data, options.most_ratio):
            size += len(piece)
            lines += piece.count(b"\n")
            if size > options.max_decompressed_bytes:
                raise LogTooLarge(
                    f"{name} goes beyond the {options.max_decompressed_bytes:,} bytes that may be sent at once",
                    hint="send the part that matters, or analyse it with the command line, which has no such limit",
                )
            if lines > options.max_lines:
                raise LogTooLarge(
                    f"{name} goes beyond the {options.max_lines:,} lines that may be sent at once",
                    hint="send the part that matters, or analyse it with the command line, which has no such limit",
                )
            pieces.append(piece)
        whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if sort := binary(whole[:SAMPLE]):
            raise NoReadableInput(f"{name} is no log: it is {sort.name}", hint=sort.hint)
        logs.append(_Log(name, whole))
    return tuple(logs)


def _pieces(name: str, data: bytes, most_ratio: float) -> Iterator[bytes]:
    new = decompressor_for(data)
    if new is None:
        yield data
        return
    taken, produced = len(data), 0
    while data:
        one = new()
        while not one.eof:
            try:
                piece = one.decompress(data, CHUNK)
            except damages() as error:
                raise NoReadableInput(f"{name} is damaged: its compressed data cannot be read") from error
            data = b""
            if not piece and one.needs_input and not one.eof:
                raise NoReadableInput(f"{name} is cut off in the middle of its compressed data", hint="send it whole")
            produced += len(piece)
            if produced > max(_RATIO_FREE, most_ratio * taken):
                raise LogTooLarge(
                    f"{name} grows more than {most_ratio:,g} times when decompressed, as a decompression bomb does",
                    hint="decompress it first",
                )
            yield piece
        data = one.unused_data.lstrip(b"\0")
        if data and decompressor_for(data) is not new:
            raise NoReadableInput(f"{name} has other bytes behind its compressed data")


class _Log:
    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self.size = len(data)
        self._data = data

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self._data), CHUNK):
            yield self._data if len(self._data) <= CHUNK else self._data[start : start + CHUNK]
