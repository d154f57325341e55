"""What can be said of prompts without a storage: where labels are, what differs, and what a file holds."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from bifrost_domain.errors import BadPrompt
from bifrost_domain.prompt import MAX_LINES, ROOT_CAUSE, LabelMove, PromptVersion, check
from bifrost_domain.promptbook import check_secrets, diff, file_name, from_file, placed, to_file, way_back

AT = datetime(2026, 3, 4, 5, 6, 7, 8, tzinfo=UTC)
slow = settings(deadline=None, max_examples=50)


def a_wording(**changes: Any) -> PromptVersion:
    return structs.replace(ROOT_CAUSE, **{"name": "mine", "version": 3, "author": "me", "created_at": AT} | changes)


def moves(*steps: tuple[str, int] | tuple[str, int, bool]) -> list[LabelMove]:
    return [
        LabelMove(name="mine", label=label, version=version, at=AT, by="me", rollback=bool(rollback))
        for label, version, *rollback in steps
    ]


def test_a_label_is_where_it_was_put_last() -> None:
    assert placed(moves(("a", 1), ("b", 1), ("a", 3), ("a", 2))) == {"a": 2, "b": 1}
    assert placed([]) == {}


def test_a_rollback_takes_the_last_step_off_the_way_and_adds_none() -> None:
    assert way_back(moves(("a", 1), ("a", 2), ("b", 7), ("a", 3)), "a") == [1, 2, 3]
    assert way_back(moves(("a", 1), ("a", 2), ("a", 3), ("a", 2, True)), "a") == [1, 2]
    assert way_back(moves(("a", 1), ("a", 2), ("a", 3), ("a", 2, True), ("a", 1, True)), "a") == [1]
    assert way_back(moves(("a", 1), ("a", 2), ("a", 1, True), ("a", 3)), "a") == [1, 3]


def test_putting_a_label_where_it_is_adds_no_step() -> None:
    assert way_back(moves(("a", 1), ("a", 2), ("a", 2)), "a") == [1, 2]


def test_putting_a_label_forward_to_an_older_version_is_a_step_like_any() -> None:
    assert way_back(moves(("a", 1), ("a", 2), ("a", 1)), "a") == [1, 2, 1]


def test_a_diff_names_both_versions_and_each_part_that_differs() -> None:
    after = a_wording(version=4, system=ROOT_CAUSE.system + "\nFor {{team}}.", variables={"team": "us"})
    told = diff(a_wording(), after)
    assert "--- mine@3 system\n+++ mine@4 system\n" in told
    assert "+For {{team}}.\n" in told
    assert "--- mine@3 variables\n+++ mine@4 variables\n" in told
    assert "+team = us\n" in told
    assert " user\n" not in told


def test_a_diff_tells_an_end_of_line_more_and_a_value_that_differs() -> None:
    assert "+\n" in diff(a_wording(), a_wording(system=ROOT_CAUSE.system + "\n"))
    before, after = a_wording(variables={"a": "1", "b": "x"}), a_wording(variables={"b": "x", "a": "2"})
    rows = diff(before, after).splitlines()
    assert [row for row in rows if row[:1] in "+-" and row[:3] not in {"+++", "---"}] == ["-a = 1", "+a = 2"]
    assert diff(before, structs.replace(before, message="other", author="you")) == ""


texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Mn", "Lo"), include_characters="\n결제")
)


@slow
@given(
    system=texts,
    user=texts,
    value=texts,
    author=st.text("ab 나:", max_size=20),
    message=texts.map(lambda text: text[:500]),
    version=st.integers(1, 10**9),
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
)
def test_a_version_reads_back_from_its_file_and_makes_the_same_file_again(
    system: str, user: str, value: str, author: str, message: str, version: int, at: datetime | None
) -> None:
    made = a_wording(
        system=ROOT_CAUSE.system + system.replace("{{", "").replace("}}", "") + "\n{{team}}",
        user=ROOT_CAUSE.user + user.replace("{{", "").replace("}}", ""),
        variables={"team": value[:2000]},
        author=author,
        message=message,
        version=version,
        created_at=at,
    )
    check(made)
    content = to_file(made)
    assert from_file(content) == made
    assert to_file(from_file(content)) == content
    assert content.endswith(b"\n")


def test_the_order_of_variables_changes_neither_the_file_nor_the_checksum() -> None:
    system = ROOT_CAUSE.system + "{{a}} {{b}}"
    one = a_wording(system=system, variables={"a": "1", "b": "2"})
    other = a_wording(system=system, variables={"b": "2", "a": "1"})
    assert to_file(one) == to_file(other)
    assert one.checksum == other.checksum


def test_a_file_is_named_after_its_version() -> None:
    assert file_name(a_wording()) == "mine@3.json"


def changed(**changes: Any) -> bytes:
    content = json.loads(to_file(a_wording())) | changes
    return json.dumps({name: value for name, value in content.items() if value is not ...}).encode()


def test_a_file_written_by_hand_needs_neither_checksum_nor_time() -> None:
    by_hand = changed(checksum=..., created_at=..., message=..., variables=..., system=[ROOT_CAUSE.system, "By hand."])
    made = from_file(by_hand)
    assert made.system.endswith("\nBy hand.")
    assert (made.message, made.created_at, made.variables) == ("", None, {})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no exported prompt"),
        (b"\xff", "no exported prompt"),
        (b"[]", "no exported prompt"),
        (b"[" * 100_000, "no exported prompt"),
        (changed(more="x"), "no exported prompt"),
        (changed(user=...), "no exported prompt"),
        (changed(created_at="2026-03-04T05:06:07"), "no exported prompt"),
        (changed(bifrost_prompt=2), "has format 2"),
        (changed(version=0), "1 or more"),
        (changed(name="../mine"), "cannot be a prompt's name"),
        (changed(author="a\u202e"), "U\\+202E"),
        (changed(system=["other {{fence}}"]), "not that of its checksum"),
        (changed(checksum=..., system=["no fence"]), "does not name {{fence}}"),
        (changed(system=["x"] * (MAX_LINES + 1)), "1,000 are allowed"),
    ],
)
def test_a_file_that_is_no_version_is_told(content: bytes, words: str) -> None:
    with pytest.raises(BadPrompt, match=words):
        from_file(content)


SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        (
            {"system": ROOT_CAUSE.system + f"\nUse {SECRET}."},
            f"line {ROOT_CAUSE.system.count(chr(10)) + 2} of the system",
        ),
        ({"user": f"{SECRET}\n{ROOT_CAUSE.user}"}, "line 1 of the user text"),
        ({"message": f"with {SECRET}"}, "line 1 of the message"),
        ({"variables": {"team": f"us\n{SECRET}"}}, "line 2 of the value of team"),
    ],
)
def test_a_secret_is_not_published_and_not_repeated(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(BadPrompt, match=place) as caught:
        check_secrets(a_wording(**changes))
    assert SECRET not in caught.value.message + caught.value.hint


def test_the_built_in_wording_has_no_secret() -> None:
    check_secrets(ROOT_CAUSE)
