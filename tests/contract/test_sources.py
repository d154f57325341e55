"""What every source promises, and what a folder, a pipe and an archive do."""

import asyncio
import bz2
import gzip
import lzma
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost_adapters.slots import names, open_slot
from bifrost_domain.errors import BifrostError, ConfigurationError, LogTooLarge, NoReadableInput
from bifrost_domain.ports import Found, LogSource
from tests.contract.choices_sources import CHOICES

TEXT = b"".join(b"%d ERROR it broke \xff\x00 \xec\x97\xb0\r\n" % number for number in range(60_000))
NOISE = os.urandom(1 << 21).hex().encode()
Compress = Callable[[bytes], bytes]
COMPRESSIONS: dict[str, Compress] = {
    "plain": lambda data: data,
    "gz": lambda data: gzip.compress(data, 1),
    "bz2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    "zst without a size": lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
    "zst after a skippable frame": lambda data: b"\x50\x2a\x4d\x18\x03\0\0\0abc" + zstandard.compress(data),
}
ARCHIVES = ("gz", "bz2", "xz", "zst")
every_kind = pytest.mark.parametrize("kind", CHOICES)
every_archive = pytest.mark.parametrize("archive", ARCHIVES)


async def read(kind: str, options: dict[str, Any]) -> tuple[dict[str, bytes], Found]:
    async with open_slot("sources", kind, options) as found:
        return {source.name: b"".join([chunk async for chunk in source.chunks()]) for source in found.sources}, found


async def read_until_it_breaks(source: LogSource) -> tuple[bytes, BifrostError]:
    got: list[bytes] = []

    async def take() -> None:
        async for chunk in source.chunks():
            got.append(chunk)  # noqa: PERF401  # what came before the error has to stand

    with pytest.raises(BifrostError) as caught:
        await take()
    return b"".join(got), caught.value


# --- every source -------------------------------------------------------------------------------------------------


def test_every_kind_is_enrolled() -> None:
    assert set(names("sources")) == {*CHOICES, "memory"}  # what is whole from the start has a suite of its own


@every_kind
@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_bytes_come_out_as_they_are_inside(kind: str, compression: str, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(COMPRESSIONS[compression](TEXT))
    texts, _ = await read(kind, CHOICES[kind](path))
    assert list(texts.values()) == [TEXT]


@every_kind
@every_archive
async def test_all_members_of_an_archive_are_read(kind: str, archive: str, tmp_path: Path) -> None:
    pack = COMPRESSIONS[archive]
    path = tmp_path / "app.log"
    path.write_bytes(pack(TEXT[:7]) + pack(b"") + pack(TEXT[7:]) + b"\0" * 512)
    texts, _ = await read(kind, CHOICES[kind](path))
    assert list(texts.values()) == [TEXT]


@every_kind
@pytest.mark.parametrize("data", [b"", b"\x1f", b"B", b"BZh", b"BZh9 is a text", b"\xfd7zXZ", b"x", b"\x28\xb5"])
async def test_a_short_file_is_never_lost(kind: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(data)
    texts, _ = await read(kind, CHOICES[kind](path))
    assert list(texts.values()) == [data]


@every_kind
async def test_an_endless_line_comes_in_bounded_pieces(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(gzip.compress(b"x" * (9 << 20)))
    async with open_slot("sources", kind, CHOICES[kind](path)) as found:
        lengths = [len(chunk) async for chunk in found.sources[0].chunks()]
    assert sum(lengths) == 9 << 20
    assert max(lengths) <= 1 << 20


@every_kind
@every_archive
async def test_a_cut_off_archive_gives_what_was_readable_and_then_says_so(
    kind: str, archive: str, tmp_path: Path
) -> None:
    packed = COMPRESSIONS[archive](NOISE)
    path = tmp_path / "app.log"
    path.write_bytes(packed[: len(packed) // 2])
    async with open_slot("sources", kind, CHOICES[kind](path)) as found:
        got, error = await read_until_it_breaks(found.sources[0])
    assert NOISE.startswith(got)
    assert len(got) > len(NOISE) * 0.4
    assert isinstance(error, NoReadableInput)
    assert "cut off" in error.message
    assert found.sources[0].name in error.message


@every_kind
@every_archive
async def test_a_damaged_archive_gives_what_was_readable_and_then_says_so(
    kind: str, archive: str, tmp_path: Path
) -> None:
    packed = COMPRESSIONS[archive](NOISE)
    middle = len(packed) // 2
    path = tmp_path / "app.log"
    path.write_bytes(packed[:middle] + b"\0" * 4096 + packed[middle + 4096 :])
    async with open_slot("sources", kind, CHOICES[kind](path)) as found:
        got, error = await read_until_it_breaks(found.sources[0])
    assert got.startswith(NOISE[: len(NOISE) // 3])
    assert isinstance(error, NoReadableInput)
    assert "damaged" in error.message


@every_kind
@every_archive
async def test_other_bytes_behind_an_archive_are_not_passed_over_in_silence(
    kind: str, archive: str, tmp_path: Path
) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(COMPRESSIONS[archive](TEXT) + b"appended by hand\n")
    async with open_slot("sources", kind, CHOICES[kind](path)) as found:
        got, error = await read_until_it_breaks(found.sources[0])
    assert got == TEXT
    assert "other bytes" in error.message


@every_kind
@pytest.mark.parametrize("archive", ["gz", "xz", "zst"])
async def test_a_decompression_bomb_is_stopped(kind: str, archive: str, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(COMPRESSIONS[archive](b"\n" * (100 << 20)))
    async with open_slot("sources", kind, CHOICES[kind](path) | {"most_ratio": 50}) as found:
        got, error = await read_until_it_breaks(found.sources[0])
    assert isinstance(error, LogTooLarge)
    assert "grows more than 50 times" in error.message
    assert 64 << 20 <= len(got) < 82 << 20


@every_kind
@pytest.mark.parametrize("compression", ["plain", "gz"])
async def test_the_limit_of_bytes_is_kept_to_the_byte(kind: str, compression: str, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(COMPRESSIONS[compression](TEXT))
    async with open_slot("sources", kind, CHOICES[kind](path) | {"max_decompressed_bytes": 1_234_567}) as found:
        got, error = await read_until_it_breaks(found.sources[0])
    assert got == TEXT[:1_234_567]
    assert isinstance(error, LogTooLarge)
    texts, _ = await read(kind, CHOICES[kind](path) | {"max_decompressed_bytes": len(TEXT)})
    assert list(texts.values()) == [TEXT]


BINARY = {
    "a ZIP archive": b"PK\x03\x04\x14\0\0\0\x08\0" + b"x" * 100,
    "a systemd journal": b"LPKSHHRH" + b"\0" * 100,
    "a tar archive": b"app.log".ljust(257, b"\0") + b"ustar\x0000" + b"\0" * 240,
    "binary data": bytes(range(256)) * 4,
}


@every_kind
@pytest.mark.parametrize("compression", ["plain", "gz"])
@pytest.mark.parametrize("sort", BINARY)
async def test_what_is_no_text_is_refused_by_name(kind: str, compression: str, sort: str, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(COMPRESSIONS[compression](BINARY[sort]))
    async with open_slot("sources", kind, CHOICES[kind](path)) as found:
        got, error = await read_until_it_breaks(found.sources[0])
    assert got == b""
    assert sort in error.message
    assert error.hint


@every_kind
@pytest.mark.parametrize(
    "data",
    [
        "2026-11-20 커넥션 풀이 고갈되었습니다\n".encode("cp949") * 9,
        "a log of PowerShell\r\n".encode("utf-16"),
        "no byte order mark either\r\n".encode("utf-16-le"),
        b"\0" * 4096 + b"truncated under its writer, who went on at the old place\n",
        b"\x1b[31mred\x1b[0m \x1b[1mbold\x1b[0m\x07\x08\x0c\r\n" * 9,
    ],
    ids=["CP949", "UTF-16", "UTF-16 without a mark", "NULs at the start", "colours"],
)
async def test_text_of_any_sort_is_no_binary(kind: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(data)
    texts, _ = await read(kind, CHOICES[kind](path))
    assert list(texts.values()) == [data]


@every_kind
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


@given(
    members=st.lists(st.text(st.sampled_from("aé연 \t"), max_size=40), min_size=1, max_size=5),
    archive=st.sampled_from(ARCHIVES),
    pieces=st.integers(1, 9),
)
@settings(max_examples=30, deadline=None)
def test_however_a_pipe_cuts_an_archive_its_text_comes_out(members: list[str], archive: str, pieces: int) -> None:
    packed = b"".join(COMPRESSIONS[archive](member.encode()) for member in members)
    reader, writer = os.pipe()

    def write() -> None:
        for start in range(0, len(packed), pieces):
            os.write(writer, packed[start : start + pieces])
        os.close(writer)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        texts, _ = asyncio.run(read("stdin", {"descriptor": reader}))
    finally:
        writing.join()
        os.close(reader)
    assert texts == {"-": "".join(members).encode()}


# --- pipes --------------------------------------------------------------------------------------------------------


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


async def test_what_waits_in_a_pipe_comes_as_one_piece() -> None:
    reader, writer = os.pipe()
    for _ in range(1000):
        os.write(writer, b"one line at a time\n")
    async with open_slot("sources", "stdin", {"descriptor": reader}) as found:
        chunks = found.sources[0].chunks()
        assert await anext(chunks) == b"one line at a time\n" * 1000
        await chunks.aclose()
    os.close(writer)
    os.close(reader)


async def test_waiting_for_a_silent_pipe_can_be_ended_and_no_thread_stays_behind() -> None:
    reader, writer = os.pipe()
    before = set(os.listdir("/proc/self/fd"))
    async with open_slot("sources", "stdin", {"descriptor": reader}) as found:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(found.sources[0].chunks())
    async with asyncio.timeout(10):
        await asyncio.get_running_loop().shutdown_default_executor()
    assert set(os.listdir("/proc/self/fd")) <= before
    assert os.get_blocking(reader)
    os.close(writer)
    os.close(reader)


async def test_a_named_pipe_that_was_typed_is_waited_for(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("text", [b"", b"it is over already\n"])
async def test_a_pipe_whose_writer_is_gone_is_read_to_its_end(text: bytes) -> None:
    reader, writer = os.pipe()
    os.write(writer, text)
    os.close(writer)
    path = f"/dev/fd/{reader}"
    async with asyncio.timeout(10):
        texts, _ = await read("file", {"target": path})
    os.close(reader)
    assert texts == {path: text}


async def test_a_closed_standard_input_is_named() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(NoReadableInput, match="standard input"):
        await read("stdin", {"descriptor": reader})


async def test_a_folder_as_standard_input_is_named(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(NoReadableInput, match="is a folder"):
        await read("stdin", {"descriptor": descriptor})
    os.close(descriptor)


# --- folders and patterns -----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "logs"
    (top / "b" / "deep").mkdir(parents=True)
    (top / "a.log").write_bytes(b"a\n")
    (top / "b" / "c.log.gz").write_bytes(gzip.compress(b"c\n"))
    (top / "b" / "deep" / "d.log").write_bytes(b"d\n")
    (top / "b" / "packed.tgz").write_bytes(gzip.compress(BINARY["a tar archive"]))
    (top / ".hidden").write_bytes(b"hidden\n")
    (top / "program").write_bytes(b"\x7fELF\0\0\0\0")
    (top / "empty").write_bytes(b"")
    (top / "Makefile.PY").write_bytes(b"print()\n")
    (top / "utf16.log").write_bytes("wide\n".encode("utf-16"))
    os.link(top / "a.log", top / "same.log")
    os.mkfifo(top / "pipe")
    os.symlink("/etc/hostname", top / "outside")
    os.symlink("../..", top / "b" / "loop")
    return top


async def test_a_folder_gives_its_logs_in_order_and_says_what_it_left_out(folder: Path) -> None:
    texts, found = await read("file", {"target": str(folder)})
    assert texts == {
        f"{folder}/a.log": b"a\n",
        f"{folder}/b/c.log.gz": b"c\n",
        f"{folder}/b/deep/d.log": b"d\n",
        f"{folder}/utf16.log": "wide\n".encode("utf-16"),
    }
    reasons = {Path(name).relative_to(folder).as_posix(): reason for name, reason in found.skipped}
    assert reasons == {
        ".hidden": "hidden",
        "Makefile.PY": ".py is not the name of a log",
        "b/loop": "a symbolic link; name it to have it followed",
        "b/packed.tgz": "a tar archive",
        "empty": "empty",
        "outside": "a symbolic link; name it to have it followed",
        "pipe": "not a regular file",
        "program": "binary data",
        "same.log": f"the same file as {folder}/a.log",
    }


@pytest.mark.parametrize(
    ("typed", "name"), [("logs", "logs/a.log"), ("logs/", "logs/a.log"), ("./logs", "./logs/a.log")]
)
async def test_files_of_a_folder_are_named_as_it_was_typed(
    typed: str, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    texts, _ = await read("file", {"target": typed})
    assert next(iter(texts)) == name


async def test_depth_and_number_of_entries_are_bounded(folder: Path) -> None:
    _, found = await read("file", {"target": str(folder), "max_depth": 1})
    assert (f"{folder}/b", "deeper than 1 folders") in found.skipped
    texts, found = await read("file", {"target": str(folder), "max_files": 3})
    assert list(texts) == [f"{folder}/a.log"]
    assert found.skipped[-1][0] == f"{folder}/b"
    assert "more than 3 entries" in found.skipped[-1][1]


async def test_a_file_that_was_replaced_after_the_walk_is_not_read(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"not yours\n")
    async with open_slot("sources", "file", {"target": str(folder)}) as found:
        for target in (other, Path("/etc/hostname")):
            (folder / "a.log").unlink()
            os.link(other, folder / "a.log") if target == other else os.symlink(target, folder / "a.log")
            got, error = await read_until_it_breaks(found.sources[0])
            assert got == b""
            assert isinstance(error, NoReadableInput)


async def test_a_name_that_would_act_on_a_terminal_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[2J\n.log").write_bytes(b"a\n")
    (tmp_path / "연결.log").write_bytes(b"b\n")
    (tmp_path / os.fsdecode(b"\xff.log")).write_bytes(b"c\n")
    texts, _ = await read("file", {"target": str(tmp_path)})
    assert texts == {
        f"{tmp_path}/a\\x1b[2J\\n.log": b"a\n",
        f"{tmp_path}/연결.log": b"b\n",
        f"{tmp_path}/\\udcff.log": b"c\n",
    }


async def test_a_pattern_that_the_shell_left_alone_is_expanded(folder: Path) -> None:
    texts, _ = await read("file", {"target": f"{folder}/*.log"})
    assert list(texts) == [f"{folder}/a.log", f"{folder}/utf16.log"]
    texts, _ = await read("file", {"target": f"{folder}/**/d.log"})
    assert list(texts.values()) == [b"d\n"]


async def test_a_pattern_that_goes_in_circles_ends_and_reads_each_file_once(folder: Path) -> None:
    texts, found = await read("file", {"target": f"{folder}/b/**/*.log", "max_files": 50})
    assert sorted(texts.values()) == [b"a\n", b"d\n", "wide\n".encode("utf-16")]
    assert any("the same file as" in reason for _, reason in found.skipped)
    assert "more than 50 matches" in found.skipped[0][1]


async def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "app[1].log").write_bytes(b"it\n")
    (tmp_path / "app1.log").write_bytes(b"not it\n")
    texts, _ = await read("file", {"target": f"{tmp_path}/app[1].log"})
    assert list(texts.values()) == [b"it\n"]


async def test_a_link_that_somebody_typed_is_followed(folder: Path) -> None:
    (folder.parent / "typed").symlink_to(folder / "a.log")
    texts, _ = await read("file", {"target": str(folder.parent / "typed")})
    assert list(texts.values()) == [b"a\n"]


# --- what cannot be read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/nowhere/app.log", "/nowhere/*.log", "with\0nul", ""])
async def test_what_is_not_there_is_named(target: str) -> None:
    with pytest.raises(NoReadableInput) as caught:
        await read("file", {"target": target})
    assert target.replace("\0", "\\x00") in caught.value.message
    assert caught.value.hint


async def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoReadableInput, match="is empty"):
        await read("file", {"target": str(tmp_path)})


async def test_a_folder_without_a_log_says_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(BINARY["binary data"])
    with pytest.raises(NoReadableInput, match=r"data\.bin \(binary data\)"):
        await read("file", {"target": str(tmp_path)})


async def test_a_socket_is_no_log(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with pytest.raises(NoReadableInput, match="is a socket"):
            await read("file", {"target": str(tmp_path / "s")})


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A file that this process, which stops being root for a while, may not read."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "app.log"
        path.write_bytes(b"x\n")
        path.chmod(0)
        Path(name).chmod(0o755)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield path
        finally:
            os.seteuid(user)


async def test_a_file_without_permission_is_named(forbidden: Path) -> None:
    with pytest.raises(NoReadableInput, match=r"app\.log: permission denied"):
        await read("file", {"target": str(forbidden)})
    with pytest.raises(NoReadableInput, match=r"app\.log \(Permission denied\)"):
        await read("file", {"target": str(forbidden.parent)})


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="depth"):
        open_slot("sources", "file", {"target": str(tmp_path), "depth": 3})
