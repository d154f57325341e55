import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_domain.logs.blocks import group
from bifrost_domain.logs.evidence import (
    MOST_ALIKE,
    SHOWN_CHARACTERS,
    Reading,
    cost,
    exit_status,
    is_summary,
    select,
    shown,
    signs,
    spread,
    weigh,
)
from bifrost_domain.logs.lines import Level


def reading(texts: list[str], errors: tuple[int, ...] = ()) -> Reading:
    return Reading(
        numbers=list(range(1, len(texts) + 1)),
        texts=texts,
        levels=[Level.ERROR if place in errors else Level.INFO for place in range(len(texts))],
        keys=texts,
        counts=[texts.count(text) for text in texts],
        blocks=group(texts),
    )


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('The command "make test" exited with 2.', 2),
        ("##[error]Process completed with exit code 1.", 1),
        ("make: *** [test] Error 2", 2),
        ("Done. Your build exited with 0.", 0),
        ("ELIFECYCLE Command failed with exit code 127.", 127),
        ("exit status 3", 3),
        ("script returned exit code 143", 143),
        ("the user exits the room", None),
        ("all is well", None),
    ],
)
def test_an_exit_status_is_read_from_a_line(text: str, status: int | None) -> None:
    assert exit_status(text) == status


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("= 3 failed, 120 passed in 4.20s =", True),
        ("Found 279 errors in 9 files (checked 1458 source files)", True),
        ("1 of 10 tests failed", True),
        ("Tests run: 8, Failures: 2, Errors: 0", True),
        ("\u2716 4 problems (4 errors, 0 warnings)", True),
        ("0 errors, 0 failures", False),
        ("120 passed", False),
    ],
)
def test_a_summary_counts_failures(text: str, counts: bool) -> None:
    assert is_summary(text) is counts


def test_what_stands_before_the_failing_exit_outweighs_what_stands_far_from_it() -> None:
    texts = [f"step {chr(97 + n % 26)} of the preparation" for n in range(200)]
    texts[190] = "Missing rule for the new page"
    texts += ['The command "check" exited with 1.', "Cleaning up"]
    weights = weigh(reading(texts))
    assert weights[190] > 2 * max(weights[:100])


def test_an_error_and_its_neighbours_outweigh_the_rest() -> None:
    texts = [f"handled request of client {chr(97 + n)}" for n in range(20)]
    texts[10] = "ERROR could not reach the database"
    weights = weigh(reading(texts, errors=(10,)))
    assert max(range(20), key=weights.__getitem__) in (9, 10, 11)
    assert weights[10] > 3 * weights[0]


def test_what_comes_after_the_failing_step_gave_up_weighs_less_than_the_step() -> None:
    step = [f"compiling part {chr(97 + n)} of the program" for n in range(12)]
    cleaning = [f"removing part {chr(97 + n)} of the cache" for n in range(12)]
    texts = ["$ make", *step, "make: *** [all] Error 2", "$ make clean", *cleaning, "Done. Your build exited with 1."]
    weights = weigh(reading(texts))
    assert min(weights[1:13]) > max(weights[17:27])


def test_a_line_is_in_the_failing_step_when_no_step_starts_before_the_exit_status() -> None:
    texts = ["$ npm ci", "added 9 packages", "$ npm test", "checking", "it broke", "exit status 1", "bye"]
    found = [sign.in_failing_step for sign in signs(reading(texts)) if sign is not None]
    assert found == [False, False, True, True, True, True, False]


def test_the_first_of_equal_errors_in_equal_surroundings_stands_for_them() -> None:
    texts = ["begin", "lookup failed", "end", "other", "begin", "lookup failed", "end"]
    weights = spread(reading(texts, errors=(1, 5)), [0.1, 0.2, 0.1, 0.1, 0.1, 0.9, 0.1])
    assert weights[1] >= weights[5]
    taken = select(texts, weights, [20] * 7, [True] * 7, 21, 1)
    assert taken == {1}


def test_an_equal_error_in_another_surrounding_keeps_its_own_weight() -> None:
    texts = ["setup", "lookup failed", "retrying", "other", "begin", "lookup failed", "end"]
    weights = spread(reading(texts, errors=(1, 5)), [0.1, 0.2, 0.1, 0.1, 0.1, 0.9, 0.1])
    assert weights[1] < weights[5]


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", ""]), st.none() | st.floats(0, 1)), max_size=40))
def test_spreading_gives_every_line_a_finite_weight_and_blank_ones_none(rows: list[tuple[str, float | None]]) -> None:
    texts = [text for text, _ in rows]
    chances = [chance if text else None for text, chance in rows]
    weights = spread(reading(texts), chances)
    assert len(weights) == len(rows)
    assert all(0 <= weight < 10 for weight in weights)
    assert all(weight == 0 for weight, text in zip(weights, texts, strict=True) if not text)


@given(st.integers(1, 10**6), st.text(max_size=1000))
def test_a_line_never_takes_more_characters_than_it_costs(number: int, text: str) -> None:
    assert len(f"{number}: {shown(text)}\n") <= cost(number, text)


def test_blank_lines_weigh_nothing() -> None:
    assert weigh(reading(["", "   ", "\t"])) == [0.0, 0.0, 0.0]


def test_a_long_run_of_one_line_keeps_its_first_two() -> None:
    assert [weight > 0 for weight in weigh(reading(["again"] * 5))] == [True, True, False, False, False]


def test_every_sign_is_a_small_number() -> None:
    texts = [
        "Traceback (most recent call last):",
        '  File "a.py", line 1',
        "ValueError: x",
        "exit code 1",
        "3 failed",
        "ok 1",
    ]
    for sign in signs(reading(texts, errors=(0, 2))):
        assert sign is not None
        assert all(0 <= value <= 2 for value in sign)


def test_a_long_line_loses_its_middle_and_says_how_much() -> None:
    text = "a" * 200 + "b" * 1000 + "c" * 100
    cut = shown(text)
    assert cut == "a" * 200 + " ...[1000 characters]... " + "c" * 100
    assert shown("x" * SHOWN_CHARACTERS) == "x" * SHOWN_CHARACTERS


lines = st.lists(
    st.tuples(st.text("abcd ", min_size=1, max_size=6), st.floats(0, 5), st.integers(1, 50), st.booleans()), max_size=60
)


@given(lines, st.integers(-10, 500), st.integers(0, 5))
def test_a_selection_stays_within_its_room_with_its_gaps(
    rows: list[tuple[str, float, int, bool]], room: int, gap: int
) -> None:
    keys, weights, costs, joined = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    taken = sorted(select(keys, weights, costs, joined, room, gap))
    opened = sum(1 for place in taken if not (joined[place] and place - 1 in taken))
    assert sum(costs[place] for place in taken) + gap * opened <= max(0, room)
    assert all(weights[place] > 0 for place in taken)


def test_a_new_line_is_preferred_to_one_more_like_those_taken() -> None:
    keys = ["disk is full"] * 3 + ["certificate has expired"]
    assert select(keys, [1.0, 1.0, 1.0, 0.9], [10] * 4, [False] * 4, 20, 0) == {0, 3}


def test_lines_alike_are_shown_a_bounded_number_of_times() -> None:
    assert len(select(["same"] * 100, [1.0] * 100, [1] * 100, [True] * 100, 1000, 1)) == MOST_ALIKE
