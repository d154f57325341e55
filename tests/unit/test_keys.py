"""The form of API keys, and the rules that hold for one."""

import hmac
import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bifrost_domain import keys
from bifrost_domain.errors import BadOption, Conflict, Forbidden, KeyNotFound, Unauthenticated
from bifrost_domain.keys import ApiKey, Limit, Presented, Scope, Status
from bifrost_domain.logs.redaction import Redactor
from tests.builders import START

PEPPERS = {1: b"one" * 12, 2: b"two" * 12}
HOUR = timedelta(hours=1)


def entropy(seed: int) -> keys.Entropy:
    return random.Random(seed).randbytes


def a_key(secret: str = "s" * 32, **changes: object) -> ApiKey:
    made = ApiKey(
        id="i" * 12,
        name="ci",
        environment="live",
        hash=keys.hashed(secret, PEPPERS[1]),
        pepper_version=1,
        scopes=keys.DEFAULT_SCOPES,
        limit=Limit(),
        family="i" * 12,
        created_at=START,
        created_by="me",
        expires_at=START + timedelta(days=90),
    )
    return structs.replace(made, **changes)  # type: ignore[arg-type]


@given(st.integers(0, 2**32), st.sampled_from(["live", "test"]))
def test_what_is_written_is_read_back(seed: int, environment: keys.Environment) -> None:
    chance = entropy(seed)
    id, secret = keys.base62(12, chance), keys.base62(32, chance)
    text = keys.write(environment, id, secret)
    assert len(text) == keys.LENGTH
    assert keys.FORM.fullmatch(text)
    assert keys.parse(text) == Presented("live" if environment == "live" else "test", id, secret)


@given(st.integers(0, 2**32), st.integers(0, keys.LENGTH - 1), st.sampled_from(keys.ALPHABET + "_- \n"))
def test_a_key_with_one_wrong_character_is_refused(seed: int, place: int, character: str) -> None:
    text = keys.write("live", keys.base62(12, entropy(seed)), keys.base62(32, entropy(seed + 1)))
    if text[place] == character:
        return
    with pytest.raises(Unauthenticated):
        keys.parse(text[:place] + character + text[place + 1 :])


@given(st.text(max_size=80))
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        keys.parse(text)


def test_every_character_is_as_likely() -> None:
    counts = dict.fromkeys(keys.ALPHABET, 0)
    for character in keys.base62(62_000, entropy(7)):
        counts[character] += 1
    assert min(counts.values()) > 850
    assert max(counts.values()) < 1150


def test_a_secret_is_checked_under_the_pepper_it_was_made_with() -> None:
    shown = Presented("live", "i" * 12, "s" * 32)
    assert keys.verify(shown, a_key(), PEPPERS) == a_key()
    newer = a_key(hash=keys.hashed("s" * 32, PEPPERS[2]), pepper_version=2)
    assert keys.verify(shown, newer, PEPPERS) == newer
    for wrong in (None, a_key("t" * 32), a_key(pepper_version=2), a_key(pepper_version=3)):
        with pytest.raises(Unauthenticated):
            keys.verify(shown, wrong, PEPPERS)
    with pytest.raises(Unauthenticated):
        keys.verify(shown, a_key(), {})


def test_a_key_is_good_from_its_beginning_to_its_end() -> None:
    key = a_key(not_before=START + HOUR, expires_at=START + 2 * HOUR)
    for seconds, found in ((0, Status.NOT_YET), (3541, Status.ACTIVE), (7199, Status.ACTIVE), (7200, Status.EXPIRED)):
        assert keys.status(key, START + timedelta(seconds=seconds)) is found
    assert keys.status(structs.replace(key, revoked_at=START), START + HOUR) is Status.REVOKED
    assert keys.status(a_key(expires_at=None), START + timedelta(days=9999)) is Status.ACTIVE


def test_a_scope_is_had_or_not() -> None:
    keys.permit(a_key(), Scope.ANALYZE_WRITE)
    with pytest.raises(Forbidden, match="keys:admin"):
        keys.permit(a_key(), Scope.KEYS_ADMIN)


@given(st.sets(st.sampled_from(Scope)), st.sets(st.sampled_from(Scope)))
def test_nobody_gives_more_than_they_have(own: set[Scope], given: set[Scope]) -> None:
    keys.permit_granting(None, tuple(given))
    if given <= own:
        keys.permit_granting(a_key(scopes=tuple(own)), tuple(given))
    else:
        with pytest.raises(Forbidden):
            keys.permit_granting(a_key(scopes=tuple(own)), tuple(given))


def test_scopes_are_typed_by_name() -> None:
    assert keys.scopes_of(()) == keys.DEFAULT_SCOPES
    assert keys.scopes_of(("all",)) == tuple(Scope)
    assert keys.scopes_of(("metrics:read", "analyze:write")) == (Scope.ANALYZE_WRITE, Scope.METRICS_READ)
    with pytest.raises(BadOption, match="no scope"):
        keys.scopes_of(("everything",))


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(days=-1), timedelta(days=366)])
def test_a_life_has_an_end_in_sight(lifetime: timedelta) -> None:
    with pytest.raises(BadOption):
        keys.end(lifetime, START)
    assert keys.end(None, START) is None
    assert keys.end(HOUR, START) == START + HOUR


@given(st.integers(0, 7 * 24), st.none() | st.integers(1, 400 * 24))
def test_a_rotated_key_never_lives_longer_than_it_would_have(overlap: int, left: int | None) -> None:
    key = a_key(expires_at=None if left is None else START + left * HOUR)
    old = keys.rotated(key, "successor", overlap * HOUR, START)
    assert old.successor == "successor"
    assert old.expires_at == START + (overlap if left is None else min(overlap, left)) * HOUR


def test_what_cannot_be_rotated_is_not() -> None:
    for key in (a_key(successor="other"), a_key(revoked_at=START), a_key(expires_at=START)):
        with pytest.raises(Conflict):
            keys.rotated(key, "s", HOUR, START)
    for overlap in (timedelta(days=8), -HOUR):
        with pytest.raises(BadOption):
            keys.rotated(a_key(), "s", overlap, START)


def test_a_key_is_revoked_once() -> None:
    gone = keys.revoked(a_key(), "me", "leaked", START)
    assert keys.revoked(gone, "you", "again", START + HOUR) == gone


def test_a_live_key_cannot_be_shown_as_a_test_key() -> None:
    for environment in ("live", "test"):
        key = a_key(environment=environment)
        other: keys.Environment = "test" if environment == "live" else "live"
        with pytest.raises(Unauthenticated):
            keys.verify(keys.parse(keys.write(other, key.id, "s" * 32)), key, PEPPERS)


def test_a_known_and_an_unknown_key_take_the_same_work(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, int, int]] = []
    digest, compare = hmac.digest, hmac.compare_digest

    def digest_(key: bytes, message: bytes, name: str) -> bytes:
        done.append(("digest", len(key), len(message)))
        return digest(key, message, name)

    def compare_(one: bytes, other: bytes) -> bool:
        done.append(("compare", len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "digest", digest_)
    monkeypatch.setattr(hmac, "compare_digest", compare_)
    stored, work = a_key(), []
    for key in (stored, None, a_key("t" * 32)):
        done.clear()
        try:
            keys.verify(Presented("live", "i" * 12, "s" * 32), key, PEPPERS)
        except Unauthenticated:
            assert key is not stored
        work.append(list(done))
    assert work[0] == work[1] == work[2] == [("digest", len(PEPPERS[1]), 32), ("compare", 32, 32)]


@given(st.integers(0, 2**32))
def test_an_id_is_taken_from_a_whole_key(seed: int) -> None:
    id, secret = keys.base62(12, entropy(seed)), keys.base62(32, entropy(seed + 1))
    assert keys.id_of(id) == keys.id_of(f" {id}\n") == keys.id_of(keys.write("test", id, secret)) == id


@given(st.integers(0, 2**32), st.integers(1, keys.LENGTH - 1))
def test_part_of_a_key_is_no_id_and_is_not_repeated(seed: int, length: int) -> None:
    secret = keys.base62(32, entropy(seed))
    part = keys.write("live", "i" * 12, secret)[:length]
    with pytest.raises(KeyNotFound) as raised:
        keys.id_of(part)
    assert part[4:] == "" or part not in raised.value.message + raised.value.hint


def test_a_secret_is_in_no_text_form() -> None:
    shown = keys.parse(keys.write("live", "i" * 12, "s" * 32))
    assert "s" * 32 not in f"{shown} {shown!r} {a_key()!r}"


@pytest.mark.parametrize(
    "limit",
    [
        Limit(per_minute=0),
        Limit(at_once=0),
        Limit(per_minute=2**54),
        Limit(at_once=10**400),
        Limit(tokens_per_day=-1),
        Limit(tokens_per_day=10**400),
        Limit(usd_per_day=-0.01),
        Limit(usd_per_day=float("nan")),
        Limit(usd_per_day=float("inf")),
    ],
    ids=str,
)
def test_a_limit_is_a_number_that_limits(limit: Limit) -> None:
    with pytest.raises(BadOption):
        keys.check_limit(limit)


def test_a_budget_may_be_nothing_at_all() -> None:
    for limit in (Limit(tokens_per_day=0, usd_per_day=0.0), Limit(), Limit(per_minute=1, at_once=1)):
        assert keys.check_limit(limit) == limit


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "a\nb", "a\x1b[31mb", keys.write("live", "i" * 12, "s" * 32)])
def test_a_name_can_be_shown(name: str) -> None:
    with pytest.raises(BadOption):
        keys.check_name(name)


def test_our_own_keys_are_masked_in_logs() -> None:
    text = keys.write("live", keys.base62(12, entropy(1)), keys.base62(32, entropy(2)))
    for line in (f"denied {text} from 10.0.0.1", f'{{"k":"{text}"}}', f"GET /?key={text}&x=1", f"x={text},", text):
        (masked,) = Redactor(b"k" * 32).lines([line])
        assert text[17:49] not in masked.text
