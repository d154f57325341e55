"""One request or socket, as everything that handles it sees it."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from bifrost_domain.errors import ConfigurationError
from bifrost_domain.keyring import Quota
from bifrost_domain.keys import ApiKey, Scope

Network = IPv4Network | IPv6Network
_PLACE = "bifrost.visit"
LONGEST_ADDRESS = 64
"""Characters: what is remembered of a header stays small."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Visit:
    """`key` and `quota` are set once the caller is known; both stay None where keys are off.

    `admitted` is the scope that was asked for then; `body` and `repeat` are the request's body and its name among the
    repeated ones, where they were looked at already. `resource` is where what is answered with can be read again.
    """

    __slots__ = ("address", "admitted", "body", "key", "quota", "repeat", "request_id", "resource")

    def __init__(self, request_id: str, address: str) -> None:
        self.request_id = request_id
        self.address = address
        self.key: ApiKey | None = None
        self.quota: Quota | None = None
        self.admitted: Scope | None = None
        self.body: bytes | None = None
        self.repeat: bytes = b""
        self.resource: str = ""

    @property
    def family(self) -> str | None:
        return None if self.key is None else self.key.family

    @property
    def actor(self) -> str:
        """Who does it, for the audit log."""
        return "api" if self.key is None else self.key.id


def begin(scope: Any, visit: Visit) -> None:
    scope[_PLACE] = visit


def visit_of(scope: Any) -> Visit:
    visit: Visit = scope[_PLACE]
    return visit


def header(scope: Any, name: bytes) -> str | None:
    """The first header of that (lower-case) name."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def accepted_id(given: str | None) -> str | None:
    """A request id as it was given, where it is safe to repeat."""
    return given if given is not None and _REQUEST_ID.fullmatch(given) else None


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Raises ConfigurationError."""
    found = []
    for text in texts:
        try:
            found.append(ip_network(text, strict=False))
        except ValueError as error:
            raise ConfigurationError(
                f"server.trusted_proxies has {text[:80]!r}, which is no address and no network",
                hint="as in 10.0.0.0/8",
            ) from error
    return tuple(found)


def caller(scope: Mapping[str, Any], trusted: tuple[Network, ...]) -> str:
    """Whom attempts are counted for: an IPv4 address, or the /64 of an IPv6 one.

    X-Forwarded-For is read from its end, past proxies that are trusted, and only where the peer itself is one.
    """
    client = scope.get("client")
    address = client[0] if client else ""
    if trusted and _within(address, trusted):
        forwarded = ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
        for hop in reversed([part.strip()[:LONGEST_ADDRESS] for part in forwarded.split(",") if part.strip()]):
            address = hop
            if not _within(hop, trusted):
                break
    return _grouped(address)


@lru_cache(4096)
def _within(address: str, trusted: tuple[Network, ...]) -> bool:
    found = _read(address)
    return found is not None and any(found in network for network in trusted)


@lru_cache(4096)
def _grouped(address: str) -> str:
    match _read(address):
        case None:
            return "unknown"
        case IPv6Address() as found:
            return str(IPv6Network((int(found), 64), strict=False))
        case found:
            return str(found)


def _read(address: str) -> IPv4Address | IPv6Address | None:
    """An IPv4 address that a socket for both shows as `::ffff:192.0.2.1` is that IPv4 address."""
    try:
        found = ip_address(address)
    except ValueError:
        return None
    return found if isinstance(found, IPv4Address) else found.ipv4_mapped or found
