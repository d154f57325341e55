import base64
import hashlib
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost_domain.logs.digest import Digest, Source
from bifrost_domain.logs.digester import Budget, Digester, combine, render
from bifrost_domain.logs.lines import Level
from bifrost_domain.logs.redaction import Redactor

REDACTOR = Redactor(b"k" * 32)


def digester(*chunks: bytes, name: str = "app.log", **options: object) -> Digester:
    made = Digester(name, REDACTOR, **options)  # type: ignore[arg-type]
    for chunk in chunks:
        made.feed(chunk)
    return made


def digest_of(text: str, budget: Budget | None = None, **options: object) -> Digest:
    return digester(text.encode(), **options).finish(budget or Budget())


def numbers(digest: Digest) -> list[int]:
    return [line.number for line in digest.lines]


def busy(lines: int) -> Iterator[str]:
    for n in range(lines):
        yield f"2026-11-20T10:{n // 60 % 60:02d}:{n % 60:02d}Z INFO served page {n} to client {n * 7 % 1000}"


SMALL = 'starting\nconnecting to db\nERROR: connection refused\nThe command "run" exited with 1.\n'


def test_a_small_log_is_shown_whole() -> None:
    digest = digest_of(SMALL)
    assert numbers(digest) == [1, 2, 3, 4]
    assert digest.coverage.lines_read == digest.coverage.lines_shown == 4
    assert digest.coverage.bytes_read == len(SMALL)
    assert digest.source.files[0].lines == 4


@pytest.mark.parametrize(
    ("text", "lines"), [("", 0), ("a", 1), ("a\n", 1), ("a\n\nb", 3), ("\n\n", 2), ("a\r\nb\r\n", 2)]
)
def test_lines_are_counted_at_line_feeds(text: str, lines: int) -> None:
    assert digest_of(text).coverage.lines_read == lines


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_how_the_bytes_are_cut_makes_no_difference(raw: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(raw), *(cut for cut in cuts if cut < len(raw))})
    pieces = [raw[a:b] for a, b in pairwise(places)]
    assert digester(*pieces).finish(Budget()) == digester(raw).finish(Budget())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=400), max_size=30), st.integers(0, 3000))
def test_the_text_form_stays_within_its_characters(texts: list[str], most: int) -> None:
    digest = digest_of("\n".join(texts), Budget(characters=most))
    assert len(render(digest, most)) <= most


def test_a_budget_that_fits_selects_what_the_text_form_can_show() -> None:
    text = "\n".join([*busy(3000), "FATAL: out of disk", *busy(500)])
    for most in (300, 2000, 8000):
        digest = digest_of(text, Budget(characters=most))
        assert render(digest, most) == render(digest)
        assert "FATAL: out of disk" in render(digest, most)


def test_tokens_and_characters_bound_a_digest_whichever_is_smaller() -> None:
    assert Budget(tokens=100, characters=1000).room == 260
    assert Budget(tokens=1000, characters=1000).room == 1000
    text = "\n".join(busy(2000))
    assert digest_of(text, Budget(tokens=500)).coverage.tokens_estimated <= 500


def test_characters_beyond_ascii_are_paid_for_as_tokens() -> None:
    text = "\n".join(f"오류: 데이터베이스 연결에 실패했습니다 {n}" for n in range(500))
    assert digest_of(text, Budget(tokens=400)).coverage.tokens_estimated <= 400


def test_the_needle_of_a_log_larger_than_memory_is_kept_with_its_number() -> None:
    hay = "\n".join(busy(60_000)).encode() + b"\n"
    needle = b"2026-11-20T10:00:00Z ERROR cannot write block: No space left on device\n"
    made = digester(hay, needle, hay, hay)
    digest = made.finish(Budget(characters=4000))
    assert digest.coverage.lines_read == 180_001
    assert 60_001 in numbers(digest)
    assert next(line for line in digest.lines if line.number == 60_001).text.endswith("No space left on device")


def test_every_shown_line_carries_its_own_number_after_thinning() -> None:
    words = ["error", "warning", "note", "panic", "detail"]
    rows = (f"{words[n % 7 % 5]} {hashlib.md5(b'%d' % n).hexdigest()} :{n}" for n in range(1, 60_001))
    digest = digester("\n".join(rows).encode()).finish(Budget())
    assert digest.lines[-1].number > 59_900
    assert digest.lines[0].number < 100
    assert all(line.text.endswith(f" :{line.number}") for line in digest.lines)


def test_memory_stays_bounded_whatever_comes() -> None:
    made = digester()
    tracemalloc.start()
    try:
        for block in range(14):
            rows = (hashlib.md5(b"%d %d" % (block, n)).hexdigest() for n in range(10_000))
            made.feed("\n".join(rows).encode() + b"\n")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert made.file.lines == 14 * 10_000
    assert peak < 60 << 20


def test_one_endless_line_is_one_line_cut_in_its_middle() -> None:
    made = digester(*[b"x" * 700_000] * 6, b" end of it\nnext\n")
    digest = made.finish(Budget())
    assert digest.coverage.lines_read == 2
    assert digest.coverage.lines_truncated == 1
    long, short = digest.lines
    assert short.text == "next"
    assert long.text.startswith("xxx")
    assert long.text.endswith("x end of it")
    cut = 700_000 * 6 + len(" end of it") - 2 * (30 << 10)
    assert f"...[{cut} bytes cut]..." in long.text


def test_an_endless_line_without_a_line_end_counts_once() -> None:
    digest = digester(b"y" * 3_000_000).finish(Budget())
    assert (digest.coverage.lines_read, digest.coverage.lines_truncated) == (1, 1)


def test_equal_lines_are_shown_a_few_times_and_counted() -> None:
    digest = digester(*[b"ERROR x\n" * 20_000] * 10).finish(Budget(characters=4000))
    assert digest.coverage.lines_read == 200_000
    assert len(digest.lines) <= 8
    assert sum(line.count for line in digest.lines) == 200_000


def test_a_log_cannot_be_fed_after_it_was_digested() -> None:
    made = digester(b"one\n")
    made.finish(Budget())
    with pytest.raises(ValueError, match="finished"):
        made.feed(b"two\n")


def test_a_digest_can_be_asked_for_again_with_another_budget() -> None:
    made = digester(SMALL.encode())
    first = made.finish(Budget())
    assert len(made.finish(Budget(characters=60)).lines) < len(first.lines)
    assert made.finish(Budget()) == first


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(["a b", "ERROR c 1", "ERROR c 2", "", "d=3", "  at e(f:1)"]), max_size=30),
    st.integers(0, 30),
)
def test_halves_of_a_log_merge_into_the_whole(lines: list[str], place: int) -> None:
    rows = [line.encode() + b"\n" for line in lines]
    first, second = digester(*rows[:place]), digester(*rows[place:])
    first.merge(second)
    assert first.finish(Budget()) == digester(*rows).finish(Budget())


@st.composite
def blocky(draw: st.DrawFn) -> list[bytes]:
    """Blocks of whole lines, in a log where no sort of line is so common that parts of it are no longer looked at."""
    sorts = st.sampled_from(["GET /a took {} ms", "ERROR code {}", "panic: {}", "warning {}", "step {} done", "ok"])
    line = st.builds(lambda sort, n: f"{sort.format(n)}\n".encode(), sorts, st.integers(0, 99))
    block = st.lists(line, min_size=1, max_size=12).map(b"".join)
    return draw(st.lists(block, min_size=1, max_size=12))


@settings(max_examples=60, deadline=None)
@given(blocky(), st.integers(0, 12), st.booleans())
def test_parts_cut_between_blocks_merge_into_the_whole_though_it_is_thinned(
    blocks: list[bytes], place: int, templates: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bifrost_domain.logs.digester._RING", 2000)
        patch.setattr("bifrost_domain.logs.digester._HEAD", 60)
        patch.setattr("bifrost_domain.logs.digester._TAIL_LINES", 5)
        patch.setattr("bifrost_domain.logs.census.BEFORE", 1)
        patch.setattr("bifrost_domain.logs.census.AFTER", 2)
        whole, first, second = (Digester("app.log", REDACTOR, templates=templates) for _ in range(3))
        for digester, part in ((whole, blocks), (first, blocks[:place]), (second, blocks[place:])):
            for block in part:
                digester._absorb(block)
                digester._bytes += len(block)
        first.merge(second)
        expected, merged = whole.finish(Budget()), first.finish(Budget())
    assert merged == expected
    if templates:
        assert sum(template.count for template in merged.templates) == merged.coverage.lines_read


def test_with_templates_every_line_of_a_log_is_counted_in_one_though_most_sorts_were_forgotten() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bifrost_domain.logs.census.KEYS", 50)
        patch.setattr("bifrost_domain.logs.stream._BLOCK", 2000)
        rows = "".join(f"{hashlib.md5(b'%d' % (n // 2)).hexdigest()} said {'abc'[n % 3]}\n" for n in range(4000))
        digest = digester(rows.encode(), templates=True).finish(Budget(characters=500))
    assert sum(template.count for template in digest.templates) == digest.coverage.lines_read == 4000
    assert {template.template for template in digest.templates} <= {f"<*> said {it}" for it in ("a", "b", "c", "<*>")}


def test_quiet_lines_of_the_asked_time_are_kept_however_much_stands_outside() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bifrost_domain.logs.stream._BLOCK", 4000)
        patch.setattr("bifrost_domain.logs.digester._RING", 60_000)
        named = str.maketrans("0123456789", "abcdefghij")
        rows = "\n".join(
            f"2026-11-20T{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}Z INFO {name}\n  more of {name}"
            for n in range(20_000)
            for name in [str(n).translate(named)]
        )
        since, until = datetime(2026, 11, 20, 2, 0, tzinfo=UTC), datetime(2026, 11, 20, 2, 0, 20, tzinfo=UTC)
        digest = digester(rows.encode(), since=since, until=until).finish(Budget())
    assert numbers(digest) == list(range(2 * 7200 + 1, 2 * 7220 + 3))
    assert digest.coverage.lines_read == 40_000


def test_several_files_keep_their_own_line_numbers() -> None:
    made = [digester(SMALL.encode(), name="a.log"), digester(b"fine\nFATAL: gone\n", name="b.log")]
    digest = combine(made, Source(name="logs", kind="directory"), Budget())
    assert {(line.file, line.number) for line in digest.lines} >= {("a.log", 3), ("b.log", 2)}
    assert digest.coverage.lines_read == 6
    text = render(digest)
    assert text.startswith("== a.log\n1: starting\n")
    assert "== b.log\n1: fine\n" in text
    assert (
        len(
            {line.block for line in digest.lines if line.file == "a.log"}
            & {line.block for line in digest.lines if line.file == "b.log"}
        )
        == 0
    )


def test_headings_of_many_files_count_towards_the_characters() -> None:
    made = [digester(SMALL.encode(), name=f"service-{n}.log") for n in range(40)]
    digest = combine(made, Source(name="logs", kind="directory"), Budget(characters=900))
    assert len(render(digest, 900)) <= 900


def test_gaps_are_marked() -> None:
    text = "\n".join([*busy(400), "ERROR first", *busy(400), "FATAL second"])
    rows = render(digest_of(text, Budget(characters=500))).split("\n")
    shown_numbers = [int(row.partition(":")[0]) for row in rows if row and row != "..."]
    places = [place for place, row in enumerate(rows) if row == "..."]
    assert len(places) == sum(b != a + 1 for a, b in pairwise(shown_numbers))


def test_a_minimum_keeps_loud_blocks_whole_and_counts_all_lines() -> None:
    text = "INFO start\nERROR: boom\n  detail of boom\nWARNING: slow\nINFO end\n"
    digest = digest_of(text, minimum=Level.ERROR)
    assert [line.text for line in digest.lines] == ["ERROR: boom", "  detail of boom"]
    assert digest.coverage.lines_read == 5


def test_a_time_range_keeps_undated_lines_with_their_record() -> None:
    text = (
        "2026-11-20T09:59:59Z ERROR early\n2026-11-20T10:00:00Z ERROR inside\n  its detail\n"
        "2026-11-20T10:30:00Z ERROR late\n"
    )
    digest = digest_of(
        text, since=datetime(2026, 11, 20, 10, tzinfo=UTC), until=datetime(2026, 11, 20, 10, 10, tzinfo=UTC)
    )
    assert numbers(digest) == [2, 3]
    assert digest.coverage.time_start == datetime(2026, 11, 20, 9, 59, 59, tzinfo=UTC)
    assert digest.coverage.time_end == datetime(2026, 11, 20, 10, 30, tzinfo=UTC)


def test_a_secret_reaches_neither_lines_nor_templates() -> None:
    secret = "ghp_" + base64.b32encode(hashlib.sha256(b"seed").digest()).decode()[:36]
    digest = digest_of(f"fetching\nERROR: push with {secret} was refused\nERROR: push with {secret} was refused\n")
    assert secret not in repr(digest)
    assert secret.translate(str.maketrans("123456789", "000000000")) not in repr(digest)
    assert digest.redactions.total == 2
    assert sum(digest.redactions.by_kind.values()) == 2


def test_a_runner_prefix_is_dropped_and_the_rest_stays_verbatim() -> None:
    digest = digest_of("2026-05-04T06:35:53.2098385Z ERROR: Could not install\n")
    assert digest.lines[0].text == "ERROR: Could not install"


def test_templates_count_the_whole_log() -> None:
    digest = digest_of("\n".join([*busy(300), "FATAL: gone"]), Budget(characters=300))
    assert sum(template.count for template in digest.templates) == 301
    assert 0 < digest.coverage.templates_shown <= digest.coverage.templates == len(digest.templates)
