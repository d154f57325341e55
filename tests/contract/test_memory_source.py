"""Logs that are in memory already: unpacked whole, or refused whole."""

import bz2
import gzip
import lzma
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bifrost_adapters.slots import open_slot
from bifrost_domain.errors import LogTooLarge, NoReadableInput

TEXT = b"2026-11-20T03:05:53Z ERROR it broke\n" * 3000
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "members": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}


async def read(
    *logs: tuple[str, bytes], most_bytes: int = 1 << 20, most_lines: int = 10_000, **more: float
) -> list[bytes]:
    options = {"logs": logs, "max_decompressed_bytes": most_bytes, "max_lines": most_lines, **more}
    async with open_slot("sources", "memory", options) as found:
        return [b"".join([chunk async for chunk in source.chunks()]) for source in found.sources]


@pytest.mark.parametrize("packed", PACKED)
async def test_bytes_come_out_as_they_are_inside(packed: str) -> None:
    assert await read(("a.log", PACKED[packed](TEXT)), ("b.log", b"ERROR x\n")) == [TEXT, b"ERROR x\n"]


@given(st.lists(st.text("abc\n", max_size=30), max_size=4))
async def test_limits_hold_for_all_together(texts: list[str]) -> None:
    logs = [(f"{number}.log", text.encode()) for number, text in enumerate(texts)]
    size, lines = sum(map(len, texts)), sum(text.count("\n") for text in texts)
    assert await read(*logs, most_bytes=max(1, size), most_lines=max(1, lines)) == [data for _, data in logs]
    if size > 1:
        with pytest.raises(LogTooLarge, match="bytes"):
            await read(*logs, most_bytes=size - 1)
    if lines > 1:
        with pytest.raises(LogTooLarge, match="lines"):
            await read(*logs, most_lines=lines - 1)


@pytest.mark.parametrize("packed", ["gzip", "bzip2", "xz", "zstd"])
async def test_what_is_damaged_or_cut_is_refused(packed: str) -> None:
    data = PACKED[packed](TEXT)
    with pytest.raises(NoReadableInput):
        await read(("a.log", data[:-9]))
    with pytest.raises(NoReadableInput):
        await read(("a.log", data + b"something else"))


@pytest.mark.parametrize("packed", ["gzip", "zstd"])
async def test_what_grows_as_no_log_does_is_refused(packed: str) -> None:
    with pytest.raises(LogTooLarge, match="bomb"):
        await read(("a.log", PACKED[packed](b"x" * 40_000_000)), most_bytes=1 << 30, most_ratio=50)


async def test_binary_data_is_told_by_its_sort() -> None:
    for data, sort in ((b"PK\x03\x04" + bytes(99), "ZIP"), (gzip.compress(b"\0\1\2\3" * 999), "binary")):
        with pytest.raises(NoReadableInput, match=sort):
            await read(("a.log", data))
