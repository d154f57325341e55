"""API keys: their form, who may do what with one, and for how long. No clock, randomness or storage in here.

A key reads `bfr_<environment>_<id>_<secret>_<check>`: an id of 12 and a secret of 32 characters of base 62, and the
CRC-32 of all before the last underscore as six. What is stored is HMAC-SHA-256 of the secret under a pepper that is not
in the database. The secret is uniformly random (190 bits), so no slow hash is needed: there is nothing to guess.
"""

import hashlib
import hmac
import re
import zlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from msgspec import Struct, structs

from bifrost_domain.errors import BadOption, Conflict, Forbidden, KeyNotFound, Unauthenticated

Environment = Literal["live", "test"]


class Scope(StrEnum):
    ANALYZE_WRITE = "analyze:write"
    RESULTS_READ = "results:read"
    RESULTS_DELETE = "results:delete"
    PROMPTS_WRITE = "prompts:write"
    KEYS_ADMIN = "keys:admin"
    METRICS_READ = "metrics:read"


ALL = "all"
"""What stands for every scope where scopes are typed."""
DEFAULT_SCOPES = (Scope.ANALYZE_WRITE, Scope.RESULTS_READ)


class Limit(Struct, frozen=True, kw_only=True):
    """What a key's family may use: requests a minute, requests at once, and a budget for each UTC day (None: none)."""

    per_minute: int = 60
    at_once: int = 4
    tokens_per_day: int | None = None
    usd_per_day: float | None = None


DEFAULT_LIMIT = Limit()


class ApiKey(Struct, frozen=True, kw_only=True):
    """A stored key: everything but the secret.

    `hash` is HMAC-SHA-256 of the secret under the pepper of `pepper_version`. `family` is the id of the first key of a
    line of rotations: limits, budgets and statistics belong to it. `successor` is the key that a rotation made.
    """

    id: str
    name: str
    environment: Environment
    hash: bytes
    pepper_version: int
    scopes: tuple[Scope, ...]
    limit: Limit
    family: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    not_before: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    revoked_reason: str | None = None
    successor: str | None = None
    last_used_at: datetime | None = None


ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH, SECRET_LENGTH, CHECK_LENGTH = 12, 32, 6
FORM = re.compile(r"bfr_(live|test)_([0-9A-Za-z]{12})_([0-9A-Za-z]{32})_([0-9A-Za-z]{6})")
ID = re.compile(r"[0-9A-Za-z]{12}")
LENGTH = 61
LIFETIME = timedelta(days=90)
LONGEST_LIFETIME = timedelta(days=365)
LONGEST_OVERLAP = timedelta(days=7)
LEEWAY = timedelta(seconds=60)
"""How far ahead another replica's clock may be when it makes a key; no leeway is given at a key's end."""
MAX_NAME = 100
MOST = 2**53
"""For any number of a limit: what every reader of JSON reads exactly."""

Entropy = Callable[[int], bytes]
"""So many unpredictable bytes."""


class Presented(Struct, frozen=True):
    """What somebody showed, well-formed; `secret` has not been checked, and is in no text form of this."""

    environment: Environment
    id: str
    secret: str

    def __repr__(self) -> str:
        return f"Presented({self.id!r})"


class Status(StrEnum):
    ACTIVE = "active"
    NOT_YET = "not yet valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


def base62(length: int, entropy: Entropy) -> str:
    """Uniformly random characters: bytes that would favour some of them are left out."""
    text = ""
    while len(text) < length:
        text += "".join(ALPHABET[byte % 62] for byte in entropy(length) if byte < 248)
    return text[:length]


def write(environment: Environment, id: str, secret: str) -> str:
    """A key as its user sees it."""
    body = f"bfr_{environment}_{id}_{secret}"
    return f"{body}_{_check(body)}"


def parse(text: str) -> Presented:
    """Length, form and check, without a look at any store. Raises Unauthenticated."""
    found = FORM.fullmatch(text) if len(text) == LENGTH else None
    if found is None or _check(text[: -CHECK_LENGTH - 1]) != found[4]:
        raise Unauthenticated
    return Presented("live" if found[1] == "live" else "test", found[2], found[3])


def id_of(text: str) -> str:
    """The id, of an id or of a whole key. Raises KeyNotFound, which does not repeat a text that may be a secret."""
    stripped = text.strip()
    if (whole := FORM.fullmatch(stripped)) is not None:
        return whole[2]
    if ID.fullmatch(stripped) is None:
        raise KeyNotFound(
            f"there is no API key of that id: an id has {ID_LENGTH} letters and digits",
            hint="`bifrost keys list` shows those there are",
        )
    return stripped


def _check(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECK_LENGTH):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits


def hashed(secret: str, pepper: bytes) -> bytes:
    return hmac.digest(pepper, secret.encode(), "sha256")


def derived_pepper(secret: bytes) -> bytes:
    """The pepper of an installation that has none configured, from its own key."""
    return hmac.digest(secret, b"api-key-pepper", "sha256")


def verify(presented: Presented, key: ApiKey | None, peppers: Mapping[int, bytes]) -> ApiKey:
    """The key whose secret was presented. Raises Unauthenticated, after the same work for a key that there is not."""
    pepper = peppers.get(key.pepper_version) if key is not None else next(iter(peppers.values()), None)
    expected = key.hash if key is not None and pepper is not None else bytes(hashlib.sha256().digest_size)
    same = hmac.compare_digest(hashed(presented.secret, pepper or b"none"), expected)
    if key is None or pepper is None or not same or presented.environment != key.environment:
        raise Unauthenticated
    return key


def status(key: ApiKey, now: datetime) -> Status:
    if key.revoked_at is not None:
        return Status.REVOKED
    if key.expires_at is not None and now >= key.expires_at:
        return Status.EXPIRED
    if key.not_before is not None and now + LEEWAY < key.not_before:
        return Status.NOT_YET
    return Status.ACTIVE


def check_active(key: ApiKey, now: datetime) -> None:
    """Raises Unauthenticated for a key that is over or has not begun."""
    if status(key, now) is not Status.ACTIVE:
        raise Unauthenticated


def permit(key: ApiKey, scope: Scope) -> None:
    """Raises Forbidden where the key has not got the scope."""
    if scope not in key.scopes:
        raise Forbidden(f"API key {key.id} lacks the scope {scope}", hint="use a key that has it")


def permit_granting(granter: ApiKey | None, scopes: tuple[Scope, ...]) -> None:
    """Raises Forbidden where a key would hand out a scope that it has not got itself. None is who owns the machine."""
    if granter is not None and (beyond := sorted(set(scopes) - set(granter.scopes))):
        raise Forbidden(f"API key {granter.id} cannot give the scope {beyond[0]}, which it has not got itself")


def scopes_of(names: tuple[str, ...]) -> tuple[Scope, ...]:
    """Scopes as they are typed, each once, in their own order; none stands for the usual two. Raises BadOption."""
    if ALL in names:
        return tuple(Scope)
    known = {str(scope): scope for scope in Scope}
    if unknown := [name for name in names if name not in known]:
        raise BadOption(f"there is no scope {unknown[0][:40]!r}", hint=f"there are {', '.join(known)}, and {ALL}")
    return tuple(scope for scope in Scope if scope in names) or DEFAULT_SCOPES


def check_name(name: str) -> str:
    """A key's name, without blanks around it. Raises BadOption."""
    stripped = name.strip()
    if not stripped or len(stripped) > MAX_NAME or not stripped.isprintable():
        raise BadOption(f"a key's name has 1 to {MAX_NAME} printable characters")
    if FORM.search(stripped):
        raise BadOption("that is a key and not the name of one", hint="if somebody else saw it, revoke it")
    return stripped


def check_limit(limit: Limit) -> Limit:
    """Raises BadOption for numbers that no key can have."""
    if limit.per_minute < 1 or limit.at_once < 1:
        raise BadOption("a key needs at least one request a minute and one at once")
    numbers = (limit.per_minute, limit.at_once, limit.tokens_per_day or 0, limit.usd_per_day or 0)
    if not all(0 <= number <= MOST for number in numbers):
        raise BadOption("the limits of a key are finite numbers from 0 on")
    return limit


def end(lifetime: timedelta | None, now: datetime) -> datetime | None:
    """When a key made now ends; None for one that never does. Raises BadOption."""
    if lifetime is None:
        return None
    if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
        raise BadOption(
            f"a key lives at most {LONGEST_LIFETIME.days} days", hint="write `never` for one that does not expire"
        )
    return now + lifetime


def rotated(key: ApiKey, successor: str, overlap: timedelta, now: datetime) -> ApiKey:
    """The old key of a rotation: it ends after `overlap`, or when it would have. Raises BadOption, Conflict."""
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise BadOption(f"an overlap lasts from 0 to {LONGEST_OVERLAP.days} days")
    if key.successor is not None:
        raise Conflict(f"API key {key.id} was rotated already", hint=f"rotate its successor {key.successor}")
    if (found := status(key, now)) is not Status.ACTIVE:
        raise Conflict(f"API key {key.id} is {found} and cannot be rotated", hint="make a new key")
    over = now + overlap
    return structs.replace(
        key, successor=successor, expires_at=over if key.expires_at is None else min(over, key.expires_at)
    )


def revoked(key: ApiKey, by: str, reason: str | None, now: datetime) -> ApiKey:
    """Revoked once and for good: a second time changes nothing."""
    if key.revoked_at is not None:
        return key
    return structs.replace(key, revoked_at=now, revoked_by=by, revoked_reason=reason)
