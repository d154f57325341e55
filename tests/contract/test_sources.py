"""What every source promises, and what a folder, a pipe and an archive do."""

import asyncio
import bz2
import gzip
import lzma
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from bifrost_adapters.slots import names, open_slot
from bifrost_domain.errors import ConfigurationError, NoReadableInput
from bifrost_domain.ports import Found
from tests.contract.choices_sources import CHOICES

TEXT = b"".join(b"%d ERROR it broke \xff\x00 \xec\x97\xb0\r\n" % number for number in range(100_000))
Compress = Callable[[bytes], bytes]
COMPRESSIONS: dict[str, Compress] = {
    "plain": lambda data: data,
    "gz": gzip.compress,
    "gz members": lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:]) + b"\0" * 512,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    "zst members": lambda data: zstandard.compress(data[:9]) + zstandard.compress(data[9:]),
}


async def read(kind: str, options: dict[str, Any]) -> tuple[dict[str, bytes], Found]:
    async with open_slot("sources", kind, options) as found:
        return {source.name: b"".join([chunk async for chunk in source.chunks()]) for source in found.sources}, found


def test_every_kind_is_enrolled() -> None:
    assert set(names("sources")) == set(CHOICES)


@pytest.mark.parametrize("kind", CHOICES)
@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_bytes_come_out_as_they_are_inside(kind: str, compression: str, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(COMPRESSIONS[compression](TEXT))
    texts, _ = await read(kind, CHOICES[kind](path))
    assert list(texts.values()) == [TEXT]


@pytest.mark.parametrize("kind", CHOICES)
@pytest.mark.parametrize("data", [b"", b"\x1f", b"B", b"BZh", b"\xfd7zXZ", b"x"])
async def test_a_short_file_is_read_or_refused_but_never_lost(kind: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(data)
    if data == b"BZh":
        with pytest.raises(NoReadableInput, match="cut off"):
            await read(kind, CHOICES[kind](path))
    else:
        texts, _ = await read(kind, CHOICES[kind](path))
        assert list(texts.values()) == [data]


@pytest.mark.parametrize("kind", CHOICES)
@pytest.mark.parametrize("compression", ["gz", "bz2", "xz", "zst"])
@pytest.mark.parametrize("harm", ["cut", "damaged"])
async def test_a_broken_archive_gives_what_was_readable_and_then_says_so(
    kind: str, compression: str, harm: str, tmp_path: Path
) -> None:
    noise = os.urandom(1 << 22).hex().encode()
    packed = COMPRESSIONS[compression](noise)
    middle = len(packed) // 2
    path = tmp_path / "app.log"
    path.write_bytes(packed[:middle] if harm == "cut" else packed[:middle] + b"\0" * 4096 + packed[middle + 4096 :])
    got: list[bytes] = []

    async def take(chunks: AsyncGenerator[bytes, None]) -> None:
        async for chunk in chunks:
            got.append(chunk)  # noqa: PERF401  # what came before the error has to stand

    async with open_slot("sources", kind, CHOICES[kind](path)) as found:
        with pytest.raises(NoReadableInput) as caught:
            await take(found.sources[0].chunks())
    assert noise.startswith(b"".join(got)[: len(noise) // 4])
    assert sum(map(len, got)) > 1 << 20
    assert found.sources[0].name in caught.value.message


@pytest.mark.parametrize("kind", CHOICES)
async def test_closing_early_leaves_nothing_open(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(TEXT * 10)
    options = CHOICES[kind](path)
    before = set(os.listdir("/proc/self/fd"))
    async with open_slot("sources", kind, options) as found:
        chunks = found.sources[0].chunks()
        await anext(chunks)
        await chunks.aclose()
    assert set(os.listdir("/proc/self/fd")) <= before


async def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zst"
    path.write_bytes(zstandard.compress(b"\0" * (1 << 28)))
    with pytest.raises(NoReadableInput, match="grows more than"):
        await read("file", {"target": str(path), "most_ratio": 100})


async def test_a_slow_pipe_is_passed_on_as_it_arrives() -> None:
    reader, writer = os.pipe()
    async with open_slot("sources", "stdin", {"descriptor": reader}) as found:
        chunks = found.sources[0].chunks()
        for piece in (b"first line\n", b"second line\n"):
            os.write(writer, piece)
            async with asyncio.timeout(10):
                assert await anext(chunks) == piece
        os.close(writer)
        async with asyncio.timeout(10):
            assert await anext(chunks, None) is None
    os.close(reader)


async def test_waiting_for_a_silent_pipe_can_be_cancelled() -> None:
    reader, writer = os.pipe()
    async with open_slot("sources", "stdin", {"descriptor": reader}) as found:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(found.sources[0].chunks())
    os.close(writer)
    os.close(reader)


async def test_a_named_pipe_counts_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    async def write() -> None:
        await asyncio.sleep(0.05)
        await asyncio.to_thread(path.write_bytes, TEXT)

    writing = asyncio.create_task(write())
    async with asyncio.timeout(20):
        texts, _ = await read("file", {"target": str(path)})
    await writing
    assert texts == {str(path): TEXT}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "logs"
    (top / "b" / "deep").mkdir(parents=True)
    (top / "a.log").write_bytes(b"a\n")
    (top / "b" / "c.log.gz").write_bytes(gzip.compress(b"c\n"))
    (top / "b" / "deep" / "d.log").write_bytes(b"d\n")
    (top / ".hidden").write_bytes(b"hidden\n")
    (top / "program").write_bytes(b"\x7fELF\0\0\0")
    (top / "empty").write_bytes(b"")
    (top / "utf16.log").write_bytes("wide\n".encode("utf-16"))
    os.mkfifo(top / "pipe")
    os.symlink("/etc/hostname", top / "outside")
    os.symlink("../..", top / "b" / "loop")
    os.symlink("b/deep", top / "z-again")
    return top


async def test_a_folder_gives_its_logs_in_order_and_says_what_it_left_out(folder: Path) -> None:
    texts, found = await read("file", {"target": str(folder)})
    assert [Path(name).relative_to(folder).as_posix() for name in texts] == [
        "a.log",
        "b/c.log.gz",
        "b/deep/d.log",
        "utf16.log",
    ]
    assert texts[f"{folder}/b/c.log.gz"] == b"c\n"
    reasons = {Path(name).relative_to(folder).as_posix(): reason for name, reason in found.skipped}
    assert set(reasons) == {"program", "empty", "pipe", "outside", "b/loop", "z-again"}


async def test_depth_and_number_of_files_are_bounded(folder: Path) -> None:
    texts, found = await read("file", {"target": str(folder), "max_depth": 1})
    assert f"{folder}/b/c.log.gz" not in texts
    texts, found = await read("file", {"target": str(folder), "max_files": 1})
    assert list(texts) == [f"{folder}/a.log"]
    assert any("more than 1" in reason for _, reason in found.skipped)


async def test_a_pattern_that_the_shell_left_alone_is_expanded(folder: Path) -> None:
    texts, _ = await read("file", {"target": f"{folder}/**/*.log"})
    assert f"{folder}/b/deep/d.log" in texts
    assert f"{folder}/a.log" in texts


async def test_a_link_that_somebody_typed_is_followed(folder: Path) -> None:
    (folder.parent / "typed").symlink_to(folder / "a.log")
    texts, _ = await read("file", {"target": str(folder.parent / "typed")})
    assert list(texts.values()) == [b"a\n"]


@pytest.mark.parametrize("target", ["/nowhere/app.log", "/nowhere/*.log", "with\0nul"])
async def test_what_cannot_be_read_is_named(target: str) -> None:
    with pytest.raises(NoReadableInput) as caught:
        await read("file", {"target": target})
    assert target.replace("\0", "") in caught.value.message.replace("\0", "")
    assert caught.value.hint


async def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoReadableInput, match="is empty"):
        await read("file", {"target": str(tmp_path)})


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
async def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(NoReadableInput, match="Permission denied"):
        await read("file", {"target": str(path)})


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="depth"):
        open_slot("sources", "file", {"target": str(tmp_path), "depth": 3})
