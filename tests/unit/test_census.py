from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost_domain.logs.census import FOLD, Tally, size

LINES = st.lists(
    st.sampled_from([b"a 1", b"a 2", b"b", b"", b"ERROR c 7", b"ERROR d", b"panic: x"]), min_size=1, max_size=40
)


def block(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def tallied(*parts: list[bytes]) -> Tally:
    tally = Tally()
    first = 1
    for part in parts:
        tally.add(first, block(part))
        first += len(part)
    return tally


@given(LINES, LINES)
def test_every_sort_is_counted_with_its_first_and_last_line(before: list[bytes], after: list[bytes]) -> None:
    lines = before + after
    keys = [line.translate(FOLD) for line in lines]
    tally = tallied(before, after)
    assert tally.counts == Counter(keys)
    assert tally.firsts == {key: keys.index(key) + 1 for key in keys}
    assert tally.lasts == {key: len(keys) - keys[::-1].index(key) for key in keys}


@given(st.lists(LINES, min_size=2, max_size=6), st.data())
def test_blocks_may_be_tallied_by_anyone_in_any_share(parts: list[list[bytes]], data: st.DataObject) -> None:
    here, there, first = Tally(), Tally(), 1
    for part in parts:
        data.draw(st.sampled_from([here, there])).add(first, block(part))
        first += len(part)
    here.merge(there)
    whole = tallied(*parts)
    assert (here.counts, here.firsts, here.lasts) == (whole.counts, whole.firsts, whole.lasts)


@settings(max_examples=50)
@given(st.lists(st.binary(min_size=1, max_size=8).filter(lambda line: b"\n" not in line), min_size=1, max_size=300))
def test_what_is_forgotten_is_handed_over_and_the_commonest_stay(lines: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bifrost_domain.logs.census.KEYS", 20)
        tally = Tally(exemplars=True)
        for number, line in enumerate(lines, start=1):
            tally.add(number, line + b"\n")
            assert len(tally.counts) <= 20
    total = Counter({sort.raw.translate(FOLD): 0 for sort in tally.forgotten})
    for sort in (*tally.forgotten, *tally.known()):
        total[sort.raw.translate(FOLD)] += sort.count
        assert lines[sort.first - 1].translate(FOLD) == lines[sort.last - 1].translate(FOLD) == sort.raw.translate(FOLD)
    assert total == Counter(line.translate(FOLD) for line in lines)


def test_a_common_sort_is_never_forgotten_for_rare_ones() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bifrost_domain.logs.census.KEYS", 20)
        tally = Tally()
        for number in range(1, 1001):
            tally.add(
                number,
                b"common\n" if number % 2 else f"rare {chr(97 + number % 26)}{chr(97 + number // 26)}\n".encode(),
            )
    assert tally.counts[b"common"] == 500
    assert tally.firsts[b"common"] == 1


def test_windows_stand_around_the_first_alarming_lines_of_a_sort() -> None:
    lines = (
        [b"fine"] * 100 + [b"ERROR disk 1"] + [b"fine"] * 100 + [b"ERROR disk 2"] + [b"fine"] * 100 + [b"ERROR disk 3"]
    )
    windows = tallied(lines).windows
    assert [window.first for window in windows] == [91, 192]
    assert all(window.raw.count(b"\n") == 30 for window in windows)


def test_the_best_windows_are_the_most_alarming_and_the_rarest() -> None:
    tally = tallied([b"warning: x"], [b"ERROR common"] * 50, [b"panic: y"], [b"ERROR rare"])
    best = tally.best(tally.windows, size(b"panic: y\n") + size(b"ERROR rare\n"))
    assert [window.raw for window in best] == [b"panic: y\n", b"ERROR rare\n"]


def test_an_alarming_word_counts_with_others_before_it_but_not_inside_of_one() -> None:
    loud = [b"java.net.TimeoutException: x", b"EXIT CODE: x", b"exit code x", b"a_error x", b"ERROR x", b"3 errors"]
    quiet = [b"yfatalqkg x", b"terrorform x", b"swarn x"]
    assert [window.first for line in loud for window in tallied([line]).windows] == [1] * len(loud)
    assert [window for line in quiet for window in tallied([line]).windows] == []
