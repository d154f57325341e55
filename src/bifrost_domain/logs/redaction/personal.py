"""Personal data with a form that can be checked: e-mail addresses, payment cards, Korean resident numbers."""

from collections.abc import Iterator

from bifrost_domain.logs.redaction.contexts import Context, Finding
from bifrost_domain.logs.redaction.values import UUID

_NOT_A_DOMAIN = frozenset(
    b"service socket timer target mount automount scope slice device swap path internal local localdomain localhost"
    b" lan home corp cluster intra test invalid js jsx ts tsx mjs cjs py pyc rb go rs java kt scala c h cc cpp cs php"
    b" pl sh png jpg jpeg gif svg webp ico css scss less html htm json xml yaml yml toml md txt log conf cfg ini lock"
    b" gz tgz zip tar bz2 xz jar war so dll exe min map git gem whl deb rpm pdf".split()
)
_NOT_A_PERSON = (b"git", b"hg", b"svn")
_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.")


def is_address(data: bytes, start: int, end: int) -> bool:
    """Whether `user@domain` there is somebody's mail, and no repository, unit, file or part of a URL."""
    user, _, domain = data[start:end].partition(b"@")
    if user in _NOT_A_PERSON or UUID.fullmatch(user) or domain.rpartition(b".")[2].lower() in _NOT_A_DOMAIN:
        return False
    before, after = data[max(0, start - 3) : start], data[end : end + 2]
    return not (before.endswith((b"://", b"/", b"@")) or after[:1] == b"@" or (after[:1] == b":" and after[1:] == b"/"))


def _email(data: bytes, start: int, end: int, kind: str) -> Iterator[Finding]:
    if is_address(data, start, end):
        yield Finding(start, end, kind)


def _apart(data: bytes, start: int, end: int) -> bool:
    """Not a part of a longer number, name, version or decimal."""
    before, after = data[start - 1 : start] if start else b"", data[end : end + 1]
    if before and (before[0] in _WORD or before == b"-"):
        return False
    if after == b".":
        return not data[end + 1 : end + 2].isdigit()
    return not after or (after[0] not in _WORD and after != b"-")


def _card(data: bytes, start: int, end: int, kind: str) -> Iterator[Finding]:
    """Issuer ranges of ISO/IEC 7812-1 that are in use, and the Luhn sum."""
    digits = data[start:end].replace(b" ", b"").replace(b"-", b"")
    if _apart(data, start, end) and _issued(digits) and len(set(digits)) > 2 and _luhn(digits):
        yield Finding(start, end, kind)


def _issued(digits: bytes) -> bool:
    head = int(digits[:4])
    if len(digits) == 15:
        return head // 100 in (34, 37)
    if len(digits) == 14:
        return head // 100 in (36, 38) or 3000 <= head <= 3059
    return (
        head // 1000 == 4
        or 5100 <= head <= 5599
        or 2221 <= head <= 2720
        or 3528 <= head <= 3589
        or head == 6011
        or head // 100 in (62, 65, 94)
        or 6440 <= head <= 6499
    )


def _luhn(digits: bytes) -> bool:
    total = 0
    for place, byte in enumerate(reversed(digits)):
        value = (byte - 48) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _resident(data: bytes, start: int, end: int, kind: str) -> Iterator[Finding]:
    """주민등록번호: a date of birth, then the check digit of those given out until October 2020."""
    digits = data[start:end].replace(b"-", b"")
    if not _apart(data, start, end) or not (1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) <= 31):
        return
    total = sum(
        (byte - 48) * weight for byte, weight in zip(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=False)
    )
    base = 13 if digits[6:7] in b"5678" else 11
    if (base - total % 11) % 10 == digits[12] - 48:
        yield Finding(start, end, kind)


EMAIL = Context("email", r"[a-z0-9][\w.+%-]*@(?:[a-z0-9-]+\.)+[a-z]{2,24}\b", _email)
NUMBERS: tuple[Context, ...] = (
    Context("payment-card", r"\b[2-69][0-9]{3}(?:[ -]?[0-9]{4}){3}\b|\b3[0-9]{3}[ -]?[0-9]{6}[ -]?[0-9]{4,5}\b", _card),
    Context("resident-number", r"\b[0-9]{6}-?[1-8][0-9]{6}\b", _resident),
)
