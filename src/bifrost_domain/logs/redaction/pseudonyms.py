"""Reversible names for what tells a place or a person: hosts, addresses, users, e-mail addresses.

A value is replaced by its kind and a few characters of HMAC-SHA-256(key, value): `host-k7q2m4`, `ip-lan-b3d8x1`. Equal
values have equal names under one key, and nobody without this object can turn one back. Placeholders of redacted
secrets are stepped over, so names are given to what `Redactor` has left.

What a diagnosis turns on stays: loopback, unspecified, link-local and multicast addresses, whether an address is
private, ports, `localhost`, accounts that every system has, and the public registries and code hosts that programs
fetch from. File names, packages of programming languages, modules and versions are no hosts.
"""

import hmac
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from bifrost_domain.logs.redaction.contexts import compiled
from bifrost_domain.logs.redaction.personal import is_address
from bifrost_domain.logs.redaction.values import UUID

_MOST = 65_536
_LETTERS = b"abcdefghijkmnpqrstuvwxyz"
_SHORT, _LONG = 3, 8
_PRIVATE = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # RFC 1918
    *("100.64.0.0/10", "fc00::/7"),  # RFC 6598, RFC 4193
)
_NAME = re.compile(r"(?:host|ip|ip-lan|mac|user|email)-(?:[a-z][0-9]){3,8}(?![a-z0-9])")
_KEYED_NAME = re.compile(r"\b(host|ip|ip-lan|mac|user|email)-(?:[a-z][0-9]){3,8}\b")

_SUFFIXES = frozenset(
    b"com net org edu gov mil int io dev cloud biz internal intranet local lan corp home intra localdomain arpa svc"
    b" consul test example invalid uk de fr kr jp cn ru br au ca in it es nl se ch at be pl cz dk fi pt gr ie nz za sg"
    b" hk tw us eu ua tr mx ar cl il tech online site store shop xyz info app ai co me tv".split()
)
_WORDS_OF_CODE = frozenset(b"info app ai co me tv in it at be is es us local test home example shop site store".split())
"""Suffixes that end names in programs too (`log.info`, `django.test`): a host needs more to be told."""

_PACKAGES = frozenset(
    b"com org net io java javax jakarta jdk sun kotlin scala android dev edu gov me app de uk fr ru cn www2".split()
)
_PUBLIC = frozenset(
    b"github githubusercontent gitlab bitbucket golang npmjs pypi pythonhosted python docker gcr ghcr quay k8s kubernetes"
    b" maven apache nodejs rust-lang crates rubygems debian ubuntu alpinelinux fedoraproject gradle sqlalche spring w3"
    b" mozilla ietf postgresql".split()
)
_PUBLIC_SUFFIXES = frozenset((b"com", b"org", b"io", b"me"))
"""Sites of public registries, hosts of code and documentation, by the name before the last one: no secrets of anybody."""
_SAME_EVERYWHERE = frozenset(
    b"localhost localhost.localdomain root nobody daemon system admin administrator postgres mysql redis nginx www-data"
    b" apache rabbitmq mongodb elasticsearch ubuntu ec2-user runner git sshd systemd kubernetes kubelet anonymous guest"
    b" default none null nil true false unknown unix any all user users host name undefined test node jenkins travis"
    b" the a an is was not in on at of to for and or with from by has had no".split()
)

_FILES = (b".sock", b".db", b".py", b".js", b".so", b".json", b".yaml", b".yml", b".log")
_VERSION = re.compile(rb"v?[0-9]+(?:\.[0-9]+)*")

_IPV4 = r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b"
_IPV6 = r"(?i:[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?)"
_MAC = r"\b[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}|(?:-[0-9A-Fa-f]{2}){5})\b"
_EMAIL = r"[A-Za-z0-9][\w.+%-]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}\b"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_FQDN = rf"\b{_LABEL}(?:\.{_LABEL})*\.[A-Za-z]{{2,24}}\b"
_BARE = r"[A-Za-z0-9][\w-]*(?:\.[\w-]+)*"
_ACCOUNT = r"[A-Za-z0-9_][\w.$-]*"

_TOLD: tuple[tuple[str, str], ...] = (
    ("", r"\[REDACTED:[a-z0-9-]+(?::[0-9a-f]{4})?\]"),
    ("mac", _MAC),
    ("ip", _IPV6),
    ("ip", _IPV4),
    ("email", _EMAIL),
    ("host", _FQDN),
)
"""What is told by its own form, in the order in which it is tried at one place."""

_NAMED: tuple[tuple[str, str], ...] = (
    ("host", rf"(?i:://(?:[^\s/@\"'<>]*@)?)({_BARE})"),
    (
        "host",
        rf"(?i:\b(?:host|hostname|host_?name|server|node|node_?name|peer|upstream|broker|instance)=\\*[\"']?)({_BARE})",
    ),
    ("host", rf"(?i:\\*[\"'](?:host|hostname|server|node|peer|upstream|broker)\\*[\"'][ \t]*:[ \t]*\\*[\"'])({_BARE})"),
    ("host", rf"(?i:\bhost[ \t]+(?:name[ \t]+)?\\*[\"'])({_BARE})"),
    ("host", rf"(?:\b(?:ENOTFOUND|EAI_AGAIN|getaddrinfo)[ \t]+(?:(?:ENOTFOUND|EAI_AGAIN)[ \t]+)?)({_BARE})"),
    ("host", rf"(?m:^[A-Z][a-z]{{2}}[ ]+[0-9]{{1,2}}[ ][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}[ ])({_BARE})"),
    ("user", rf"(?i:\b(?:user|username|user_?name|login|logname|ruser|account|uname|usr)=\\*[\"']?)({_ACCOUNT})"),
    ("user", rf"(?i:\\*[\"'](?:user|username|user_?name|login|account)\\*[\"'][ \t]*:[ \t]*\\*[\"'])({_ACCOUNT})"),
    ("user", rf"(?i:\b(?:user|role|account)[ \t]+\\*[\"'])({_ACCOUNT})"),
    ("user", rf"(?i:\bfor[ \t]+(?:invalid[ \t]+|unknown[ \t]+)?user[ \t]+)({_ACCOUNT})"),
    (
        "user",
        rf"(?i:\b(?:accepted|failed)[ \t]+(?:password|publickey|keyboard-interactive/pam)[ \t]+for[ \t]+(?:(?:invalid|illegal)[ \t]+user[ \t]+)?)({_ACCOUNT})",
    ),
    ("user", rf"(?:\buid=[0-9]+\()({_ACCOUNT})"),
    ("user", rf"(?:/home/|/Users/|(?i:\b[a-z]:\\+users\\+))({_ACCOUNT})"),
    ("user", rf"(?:[a-z]://)({_ACCOUNT})(?::[^\s/@]*)?@"),
)
"""What is told by what stands before it: the group is the value."""


class Pseudonyms:
    """Names for the values of one run, and the way back, in memory alone.

    The way back is kept for the first 65,536 values; later ones are named all the same. Two values of one run never
    share a name. It may be used from several threads.
    """

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"pseudonyms", "sha256")
        self._names: dict[tuple[str, bytes], str] = {}
        self._originals: dict[str, str] = {}

    def masked(self, texts: Sequence[str]) -> list[str]:
        """Lines with every value that tells a place or a person replaced by its name."""
        data = "\n".join(texts).encode("utf-8", "surrogatepass")
        spans = _told(data)
        if not spans:
            return [*texts]
        pieces: list[bytes] = []
        position = 0
        for start, end, kind in spans:
            pieces += (data[position:start], self._name(kind, data[start:end]).encode())
            position = end
        pieces.append(data[position:])
        return b"".join(pieces).decode("utf-8", "surrogatepass").split("\n")

    def shown(self, text: str) -> str:
        """`text` with the values themselves in place of their names: for the eyes of whoever holds the log."""
        return _NAME.sub(lambda name: self._originals.get(name[0], name[0]), text)

    def _name(self, kind: str, value: bytes) -> str:
        known = self._names.get((kind, value))
        if known is not None:
            return known
        digest = hmac.digest(self._key, kind.encode() + b"\0" + value, "sha256")
        for pairs in (_SHORT, _LONG):
            name = f"{kind}-{_readable(digest, pairs)}"
            if name not in self._originals:
                break
        if len(self._originals) < _MOST:
            self._names[kind, value] = name
            self._originals[name] = value.decode("utf-8", "surrogatepass")
        return name


def unnamed(text: str) -> str:
    """`text` with names as their kind alone: the keyed part takes no part in any identity."""
    return _KEYED_NAME.sub(r"\1", text)


def _readable(digest: bytes, pairs: int) -> str:
    """A letter and a digit in turn: no word looks like that."""
    return "".join(chr(_LETTERS[digest[2 * at] % len(_LETTERS)]) + str(digest[2 * at + 1] % 10) for at in range(pairs))


@cache
def _forms() -> Any:
    return compiled("|".join(f"({pattern})" for _, pattern in _TOLD))


@cache
def _names() -> tuple[tuple[str, Any], ...]:
    """One pattern for hosts and one for users, as one place may tell both."""
    return tuple(
        (wanted, compiled("|".join(pattern for kind, pattern in _NAMED if kind == wanted)))
        for wanted in ("host", "user")
    )


def _told(data: bytes) -> list[tuple[int, int, str]]:
    """Where the values are, in order and apart, with the kind of each."""
    found: list[tuple[int, int, str]] = []
    for match in _forms().finditer(data):
        start, end = match.span()
        place = next(group for group in range(1, len(_TOLD) + 1) if match.start(group) >= 0)
        kind = _TOLD[place - 1][0]
        if kind:
            found += _CHECKS[kind](data, start, end)
        else:
            found.append((start, end, ""))
    for kind, pattern in _names():
        position = 0
        while (match := pattern.search(data, position)) is not None:
            start, end = next(match.span(group) for group in range(1, pattern.groups + 1) if match.start(group) >= 0)
            position = end
            while end > start and data[end - 1 : end] in b".-_":
                end -= 1
            if _is_name(data[start:end], kind):
                found.append((start, end, kind))
    found.sort()
    apart: list[tuple[int, int, str]] = []
    for span in found:
        if not apart or span[0] >= apart[-1][1]:
            apart.append(span)
    return [span for span in apart if span[2]]


def _is_name(value: bytes, kind: str) -> bool:
    lower = value.lower()
    if lower in _SAME_EVERYWHERE or len(value) < 2 or _VERSION.fullmatch(value) or UUID.fullmatch(value):
        return False
    return kind == "user" or not (_is_public(lower) or lower.endswith(_FILES))


def _is_public(lower: bytes) -> bool:
    _, _, site = lower.rpartition(b".")[0].rpartition(b".")
    return site in _PUBLIC and lower.rpartition(b".")[2] in _PUBLIC_SUFFIXES


def _mac(data: bytes, start: int, end: int) -> list[tuple[int, int, str]]:
    before, after = data[start - 1 : start] if start else b"", data[end : end + 1]
    value = data[start:end]
    if before in (b":", b"-") or after in (b":", b"-") or len({*value.lower()} - {*b":-"}) == 1:
        return []
    return [(start, end, "mac")]


def _ip(data: bytes, start: int, end: int) -> list[tuple[int, int, str]]:
    text = data[start:end]
    before, after = data[start - 1 : start] if start else b"", data[end : end + 2]
    if b":" in text:
        if text.count(b":") < 2 or before.isalnum() or before in (b":", b".") or after[:1].isalnum():
            return []
        if text.startswith(b":") and not text.startswith(b"::"):
            return []
        if text.endswith(b":") and not text.endswith(b"::"):
            text, end = text[:-1], end - 1
        if sum(map(bool, text.split(b":"))) < 3 or not any(48 <= byte < 58 for byte in text):
            return []
    elif (
        before in (b".", b"-", b"v", b"_")
        or (after[:1] in (b".", b"-", b"_") and after[1:].isalnum())
        or (before == b"/" and text.endswith(b".0.0"))
        or data[max(0, start - 8) : start].lower().endswith((b"version ", b"version="))
    ):
        return []
    address = _address(text.decode())
    if address is None:
        return []
    if address.is_loopback or address.is_unspecified or address.is_link_local or address.is_multicast:
        return []
    if text == b"255.255.255.255" or text.startswith((b"0.", b"255.")):
        return []
    return [(start, end, "ip-lan" if any(address in network for network in _private_networks()) else "ip")]


@cache
def _private_networks() -> tuple[Any, ...]:
    from ipaddress import ip_network

    return tuple(ip_network(network) for network in _PRIVATE)


def _address(text: str) -> Any:
    from ipaddress import ip_address

    try:
        return ip_address(text)
    except ValueError:
        return None


def _email(data: bytes, start: int, end: int) -> list[tuple[int, int, str]]:
    if is_address(data, start, end):
        return [(start, end, "email")]
    at = data.index(b"@", start, end)
    return _host(data, at + 1, end)


def _host(data: bytes, start: int, end: int) -> list[tuple[int, int, str]]:
    value = data[start:end]
    lower = value.lower()
    labels = lower.split(b".")
    before, after = data[start - 1 : start] if start else b"", data[end : end + 1]
    if labels[-1] not in _SUFFIXES or labels[0] in _PACKAGES or lower in _SAME_EVERYWHERE or _is_public(lower):
        return []
    if after in (b"(", b"_") or before in (b"_", b"$", b".") or lower.startswith(b"www.w3."):
        return []
    if before == b"@" and start > 1 and data[start - 2 : start - 1] in (b" ", b"\n", b"(", b""):
        return []  # an annotation
    if labels[-1] in _WORDS_OF_CODE:
        named = before in (b"@", b"/") or (after == b":" and data[end + 1 : end + 2].isdigit())
        written_as_host = len(labels) >= 3 and (b"-" in value or any(48 <= byte < 58 for byte in value))
        if value != lower or not (named or written_as_host or (len(labels) >= 3 and labels[-1] == b"local")):
            return []
    elif value != lower and value != value.upper() and before not in (b"/", b"@"):
        return []
    return [(start, end, "host")]


_CHECKS: dict[str, Callable[[bytes, int, int], list[tuple[int, int, str]]]] = {
    "mac": _mac,
    "ip": _ip,
    "email": _email,
    "host": _host,
}
