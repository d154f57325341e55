"""Every error has its row in the one table."""

from collections.abc import Iterator

from bifrost_domain import errors
from bifrost_entrypoints.outcomes import OUTCOMES, ExitCode, outcome


def families(root: type[errors.BifrostError]) -> Iterator[type[errors.BifrostError]]:
    for child in root.__subclasses__():
        yield child
        yield from families(child)


def test_every_family_has_a_row_of_its_own() -> None:
    assert {family for family in errors.BifrostError.__subclasses__() if family not in OUTCOMES} == set()


def test_slugs_are_unique_and_none_is_a_bug() -> None:
    slugs = [family.slug for family in families(errors.BifrostError)]
    assert len(slugs) == len(set(slugs))
    assert all(outcome(family("x")).exit is not ExitCode.BUG for family in families(errors.BifrostError))


def test_a_close_code_follows_its_status() -> None:
    assert {row.close - row.status for row in OUTCOMES.values()} == {4000}


def test_the_nearest_family_decides() -> None:
    assert outcome(errors.LogTooLarge("x")).status == 413
    assert outcome(errors.EmptyLog("x")).status == 400
    assert outcome(errors.BadAnswer("x")).status == 502
