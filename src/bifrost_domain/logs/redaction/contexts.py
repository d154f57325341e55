"""Secrets that only their surroundings give away: a name in front of them, a header, a flag, a statement, a URL.

Every rule looks at one line of bytes and yields spans. The patterns that meet the whole line are RE2; what follows a
found name is then measured by `values`, on a bounded number of bytes.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Any, NamedTuple

import re2

from bifrost_domain.logs.redaction.values import UUID, Value, is_code, is_placeholder, is_random, value_at


class Span(NamedTuple):
    """The bytes from `start` up to `end` are a secret of this `kind`."""

    start: int
    end: int
    kind: str


@cache
def compiled(pattern: str) -> Any:
    """RE2 over bytes, each of them a character: log lines need not be UTF-8."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 64 << 20
    options.log_errors = False
    return re2.compile(pattern.encode(), options)


_STRONG = (
    r"passw(?:or)?ds?|passwd|passphrase|passcode|pass|pwd|pw|secret|secrets|credentials?|client[_-]?secret"
    r"|api[_. -]?keys?|apikey|access[_-]?keys?(?:[_-]?id)?|secret[_-]?(?:access[_-]?)?key|private[_-]?key|signing[_-]?key"
    r"|encryption[_-]?key|account[_-]?key|shared[_-]?access[_-]?key|storage[_-]?key|master[_-]?key|license[_-]?key"
    r"|app[_-]?key|auth[_-]?key|admin[_-]?key|service[_-]?key|registration[_-]?key|join[_-]?token|auth[_-]?token"
    r"|access[_-]?token|refresh[_-]?token|id[_-]?token|session[_-]?token|security[_-]?token|bearer[_-]?token"
    r"|deploy[_-]?token|bot[_-]?token|csrf[_-]?token|xsrf[_-]?token|jwt|otp|totp[_-]?secret|pin[_-]?code|webhook[_-]?secret"
    r"|비밀번호|암호|비번"
)
_WEAK = r"token|key|auth|authorization|signature|sig|session|session[_-]?id|sid|sessid|cookie|dsn|cred"
_NAME_END = r"(?:[_.-]?(?:value|text|string|plain|raw|base64|b64|enc|prod|dev|test|staging|live|file|[0-9]{1,3}))?"

_NAMED = (
    r"(?i)(?:^|[^A-Za-z])((?:[A-Za-z0-9]{1,40}[_.-]){0,6}[A-Za-z0-9]{0,40}?)(?:("
    + _STRONG
    + r")|("
    + _WEAK
    + r"))"
    + _NAME_END
    + r"(\\{0,4}[\"'`]?\]?)([ \t]{0,3}(?:=>|:=|==?|:|>|%3[Dd]|\\u003[Dd])[ \t]{0,4})"
)

_PUBLIC_NAMES = re2.compile(
    r"(?i)(?:public|ask|cache|primary|foreign|partition|sort|routing|object|s3|row|index|idempotency|dedup|group|map|dict|json|"
    r"translation|i18n|hot|host|short|lookup|unique|composite|hash|range|registry|config|feature|metric|label|sub|monkey|"
    r"tur|keyboard|keystore|pub|ssh-(?:rsa|ed25519)|next|page|continuation|cancellation|syntax|unexpected|error|exit|status|"
    r"return|response|http|zip|postal|country|currency|language|source|byte|qr|bar|vs|color|op|err|result|state)[_. -]?$"
)

_HEADER = (
    r"(?i)((?:proxy-)?authorization|x-[a-z-]*(?:token|key|auth|secret)[a-z-]*|private-token|job-token|api-key|apikey"
    r"|x-vault-token)\\{0,4}[\"']?\]?[ \t]{0,2}(?:[:=]|=>|,)[ \t]{0,2}\[?\\{0,4}[\"']?[ \t]{0,2}"
)
_SCHEME = (
    r"(?i)(?:(basic|bearer|digest|token|apikey|api-key|key|negotiate|ntlm|jwt|hmac|signature|splunk|genie-?key"
    r"|aws4-hmac-sha256)[ \t]+)?"
)
_BEARER = r"(?i)\b(bearer|basic)[ \t]+\\{0,4}[\"']?([A-Za-z0-9._~+/=:-]{8,})"
_COOKIE = r"(?i)\b(?:set-)?cookies?\\{0,4}[\"']?\]?[ \t]{0,2}(?:[:=]|=>|,)[ \t]{0,2}\[?\\{0,4}[\"']?"
_PAIR = r"([A-Za-z0-9_.\[\]%$-]{1,64})=([^;,\s\"'\\]{1,1000})"
_COOKIE_ATTRIBUTES = frozenset(b"path domain expires max-age samesite version priority partitioned".split())
_URL_USER = (
    r"[A-Za-z][A-Za-z0-9+.-]{0,30}:/{2,3}([^\s/:@?#\"'<>\[\]]{0,256}):([^\s/?#\"'<>]{1,512})@[A-Za-z0-9\[%_.{$-]"
)
_URL_TOKEN = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://([^\s/:@?#\"'<>\[\]]{8,512})(?::x-oauth-basic)?@[A-Za-z0-9\[%_.-]"
_ORACLE = r"(?i)(?:jdbc:oracle:\w+:|sqlplus[ \t]+(?:-\w+[ \t]+)*)([^\s/@:]{1,64})/([^\s@]{1,256})@"
_SQL = r"(?i)\b(?:identified[ \t]+(?:with[ \t]+\S{1,64}[ \t]+)?by(?:[ \t]+password)?|(?:encrypted[ \t]+)?password(?:[ \t]*=)?)[ \t]+([\"'])"
_FLAG = (
    r"(?i)(?:^|[\s\"'(\[,])(?:--?(?:[a-z0-9]{1,20}-){0,4}(?:password|passwd|passphrase|pass|pwd|token|secret|api-?key"
    r"|access-?key|secret-?key|auth|credentials?|psk|storepass|keypass|requirepass)|-storepass|-keypass)[\"']?(?:,[ \t]?|[ \t]{1,3})"
)
_SHORT_FLAG = r"(?:^|[\s\"'])(?:sshpass[ \t]+-p|mysql(?:dump|admin)?\b[^|;]{0,200}[ \t]-p|redis-cli\b[^|;]{0,200}[ \t]-a|ldap\w+\b[^|;]{0,200}[ \t]-w)[ \t]?"
_USER_FLAG = (
    r"(?:^|[\s\"'])(?:-u|--user|--proxy-user|-U|--basic-auth)[ =\"',]{1,3}([^\s:\"'=]{1,128}):([^\s\"']{1,256})"
)
_NETRC = r"(?i)\b(?:machine[ \t]+\S+|default)[ \t]+(?:login|user)[ \t]+\S+[ \t]+(?:password|passwd)[ \t]+(\S+)"
_PROSE = r"(?i)\b(?:password|passwd|passphrase|passcode|pin|secret|token|api key|access key|비밀번호|암호)[ \t]+(?:is|was|are|set to|changed to|reset to|will be|used|given|=>|->)[ \t]*:?[ \t]*"
_QUERY = r"(?i)[?&;](x-amz-signature|x-amz-security-token|x-goog-signature|x-oss-signature|sig|signature|se_sig|token|access_token|auth|apikey|api_key|key|code|secret|jwt|hmac|hash|st|sv_sig|password|pwd|client_secret)=([^\s&\"'<>;]{8,})"

_EMAIL = r"(?:^|[^A-Za-z0-9._%+/@-])([A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}([A-Za-z]{2,24}))(?:[^A-Za-z0-9:@_-]|:[^A-Za-z0-9/]|$)"
_NO_DOMAINS = frozenset(
    b"service socket timer target mount scope slice device swap path internal local localdomain lan home corp cluster"
    b" js ts py rb go rs java png jpg jpeg gif svg css html json yaml yml txt log gz zip lock git invalid".split()
)
_CARD = r"(?:^|[^0-9A-Za-z._-])([3-6][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{1,4}|2[2-7][0-9]{2}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}|3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5})(?:[^0-9A-Za-z_-]|$)"
_RESIDENT = r"(?:^|[^0-9A-Za-z-])([0-9]{6}-[1-8][0-9]{6})(?:[^0-9A-Za-z-]|$)"
_GROUP = "[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
"""Four characters of base64 that stand for three bytes of ASCII: the top bit of each byte is 0."""
BLOB = f"(?:{_GROUP}){{6,}}[A-Za-z0-9+/_-]{{0,3}}={{0,2}}"

CONTEXT = "|".join(
    (
        # a name and what separates it from its value
        r"(?:pass|pwd|pw|secret|token|api[_. -]?key|key|auth\w{0,10}|credential|cred|session|cookie|signature|sig|sid|otp|jwt"
        r"|dsn|\xeb\xb9\x84\xeb\xb0\x80\xeb\xb2\x88\xed\x98\xb8|\xec\x95\x94\xed\x98\xb8)"
        r"[a-z0-9_.-]{0,40}\\{0,4}[\"'`]?\]?[ \t]{0,3}(?:[=:>]|%3d)",
        r"\b(?:bearer|basic)[ \t]+[\\\"']{0,4}[a-z0-9._~+/=:-]{8}",
        r"identified[ \t]+(?:with|by)|password[ \t]+[\"']",
        r"(?:password|passwd|passphrase|passcode|pin|secret|token|api key|access key)[ \t]+(?:is|was|are|set|changed|reset|will|used|given|=>|->)\b",
        r"-(?:password|passwd|passphrase|pass|pwd|token|secret|api-?key|access-?key|secret-?key|auth|credentials?|psk|storepass|keypass)[\"', \t]",
        r"(?:sshpass|mysql\w*|redis-cli|ldap\w+|sqlplus)[ \t]|[ \"'](?:-u|--user|-p|--proxy-user|--basic-auth)[ =\"',]",
        r"\b(?:login|user)[ \t]+\S+[ \t]+passw",
        r":/{2,3}[^\s/?#\"'<>]{0,512}@|jdbc:oracle",
        r"[?&;](?:x-amz|x-goog|sig|token|access_token|auth|api_?key|key|code|secret|jwt|hmac|st|password)[a-z_-]{0,20}=",
        r"x-[a-z-]{0,30}(?:token|key|auth|secret)|private-token|job-token",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY|putty-user-key-file|private-lines:",
        r"%(?:3[ad]|40|5f|2d|3a)|\\u00|\\u\{|\xe2\x80[\x8b-\x8f]|\xef\xbb\xbf|\xef[\xbc\xbd]",
    )
)
"""RE2, case-insensitive: every line on which a rule of this module can find something matches it; most do not."""
PERSONAL = r"[a-z0-9._%+-]@[a-z0-9-]+\.[a-z]|(?:^|[^0-9a-z._-])[2-6][0-9]{3}[ -]?[0-9]{4,6}[ -]?[0-9]{1,5}(?:[^0-9a-z_-]|$)|[0-9]{6}-[1-8][0-9]{6}"


def named(line: bytes) -> Iterator[Span]:
    """Values behind a telling name: `password=x`, `"apiKey": "x"`, `<secret>x</secret>`, `DB_PASS: x`."""
    pattern = compiled(_NAMED)
    position = 0
    while found := pattern.search(line, position):
        separator = found.group(5)
        position = max(found.end() - 1, position + 1)
        strong = found.group(2) is not None
        named_at = found.start(2) if strong else found.start(3)
        before = line[max(0, named_at - 32) : named_at]
        xml = separator.strip() == b">"
        if (
            xml
            and not line[: found.start(1)].endswith((b"<", b":"))
            and b"<" not in line[max(0, found.start() - 1) : found.start(1) + 1]
        ):
            continue
        value = value_at(line, found.end(), xml=xml)
        secret = line[value.start : value.end]
        if is_placeholder(secret) or secret.startswith(b"[REDACTED:") or len(secret) < 3 or _PATH.match(secret):
            continue
        name = (found.group(2) or found.group(3)).lower()
        if name == b"pass" and b":" in separator and not value.quoted:
            continue  # the verdict of a test, not a password
        if not strong and (_PUBLIC_NAMES.search(before.decode("latin-1")) or not _token_like(name, secret)):
            continue
        if strong and _PUBLIC_NAMES.search(before.decode("latin-1")) and not is_random(secret):
            continue
        if strong and not value.quoted and is_code(secret):
            continue
        if strong and not _plausible(separator, value, secret):
            continue
        position = max(position, value.end)
        yield Span(value.start, value.end, _kind_of(name))


_PATH = re.compile(rb"(?:~|\.{0,2}|\$\w+|[A-Za-z]:)[/\\][\w./\\@+-]*$")
_RUN = re.compile(rb"[A-Za-z0-9+/_=-]{16,}")
_HEX = re.compile(rb"[0-9a-f-]+|[0-9A-F-]+")


def _token_like(name: bytes, secret: bytes) -> bool:
    """Whether a value behind a weak name is a token: `key` also names cache entries, rows and digests."""
    if not is_random(secret, least=16):
        return False
    runs = _RUN.findall(secret)
    if name != b"key":
        return bool(runs)
    return any(
        len(run) >= 24
        and not _HEX.fullmatch(run)
        and run != run.lower()
        and run != run.upper()
        and any(48 <= byte < 58 for byte in run)
        and b"-" not in run
        for run in runs
    )


def _plausible(separator: bytes, value: Value, secret: bytes) -> bool:
    """Whether what follows a strong name is a value and not the next word of a sentence."""
    if value.quoted or b":" not in separator or not separator.endswith((b" ", b"\t")):
        return True
    return is_random(secret, least=6) or not secret.isalpha() or len(secret) >= 12


_KINDS = (
    (b"pass", "password"),
    (b"pwd", "password"),
    (b"pw", "password"),
    (b"pin", "password"),
    (b"\xeb", "password"),
    (b"\xec", "password"),
    (b"private", "private-key"),
    (b"key", "api-key"),
    (b"jwt", "token"),
    (b"otp", "token"),
    (b"token", "token"),
    (b"sess", "session"),
    (b"sid", "session"),
    (b"cookie", "cookie"),
    (b"sig", "signature"),
    (b"auth", "authorization"),
    (b"cred", "credential"),
    (b"dsn", "connection-string"),
)


def _kind_of(name: bytes) -> str:
    return next((kind for part, kind in _KINDS if part in name), "secret")


def headers(line: bytes) -> Iterator[Span]:
    """`Authorization: Basic x`, `X-Api-Key: x`, and a bare `Bearer x`."""
    scheme = compiled(_SCHEME)
    for found in compiled(_HEADER).finditer(line):
        start = found.end()
        said = scheme.match(line, start)
        kind = said.group(1).lower() if said and said.group(1) else b""
        if said:
            start = said.end()
        if kind in (b"digest", b"aws4-hmac-sha256", b"signature", b"hmac"):
            end = len(line)
            if (quote := line.find(b'"', start)) >= 0 and line.count(b'"', start) % 2:
                end = max(quote, line.rfind(b'"', start))
            yield Span(start, end, "authorization")
            continue
        value = value_at(line, start)
        secret = line[value.start : value.end]
        if len(secret) >= 4 and not is_placeholder(secret) and (kind or is_random(secret, least=6)):
            yield Span(value.start, value.end, "authorization")
    for found in compiled(_BEARER).finditer(line):
        secret = found.group(2)
        if found.group(1).lower() == b"basic":
            if b":" in _decoded(secret):
                yield Span(found.start(2), found.end(2), "authorization")
        elif is_random(secret, least=12) or len(secret) >= 32:
            yield Span(found.start(2), found.end(2), "authorization")


def cookies(line: bytes) -> Iterator[Span]:
    """The values in `Cookie: a=x; b=y` that no hand wrote; attributes such as Path stay."""
    for found in compiled(_COOKIE).finditer(line):
        for pair in compiled(_PAIR).finditer(line, found.end()):
            name, secret = pair.group(1).lower(), pair.group(2)
            telling = any(part in name for part in (b"sess", b"sid", b"token", b"auth", b"csrf", b"jwt", b"secret"))
            if name in _COOKIE_ATTRIBUTES or is_placeholder(secret):
                continue
            if is_random(secret, least=8) or (telling and len(secret) >= 4):
                yield Span(pair.start(2), pair.end(2), "cookie")


def urls(line: bytes) -> Iterator[Span]:
    """Passwords and tokens in front of a host, signatures and keys behind a question mark."""
    for found in compiled(_URL_USER).finditer(line):
        if not is_placeholder(found.group(2)):
            yield Span(found.start(2), found.end(2), "url-password")
    for found in compiled(_URL_TOKEN).finditer(line):
        if is_random(found.group(1), least=12):
            yield Span(found.start(1), found.end(1), "url-token")
    for found in compiled(_ORACLE).finditer(line):
        if not is_placeholder(found.group(2)):
            yield Span(found.start(2), found.end(2), "connection-string")
    for found in compiled(_QUERY).finditer(line):
        name, secret = found.group(1).lower(), found.group(2)
        least = 4 if name in (b"password", b"pwd", b"client_secret", b"secret") else 12
        if not is_placeholder(secret) and (is_random(secret, least=least) or len(secret) >= 40):
            yield Span(found.start(2), found.end(2), _kind_of(name))


def commands(line: bytes) -> Iterator[Span]:
    """`--password x`, `-u user:x`, `mysql -px`, `IDENTIFIED BY 'x'`, a .netrc line, `the password is x`."""
    for found in compiled(_SQL).finditer(line):
        close = line.find(found.group(1), found.end())
        if close > found.end() and not is_placeholder(line[found.end() : close]):
            yield Span(found.end(), close, "password")
    for pattern in (_FLAG, _SHORT_FLAG):
        for found in compiled(pattern).finditer(line):
            value = value_at(line, found.end())
            secret = line[value.start : value.end]
            if secret.startswith(b"-") or is_placeholder(secret) or len(secret) < 4 or is_code(secret):
                continue
            if value.quoted or not secret.isalpha() or pattern is _SHORT_FLAG:
                yield Span(value.start, value.end, "password")
    for found in compiled(_USER_FLAG).finditer(line):
        secret = found.group(2)
        if not is_placeholder(secret) and not secret.isdigit() and not secret.startswith(b"//"):
            yield Span(found.start(2), found.end(2), "password")
    for found in compiled(_NETRC).finditer(line):
        yield Span(found.start(1), found.end(1), "password")
    for found in compiled(_PROSE).finditer(line):
        value = value_at(line, found.end())
        secret = line[value.start : value.end]
        if not is_placeholder(secret) and len(secret) >= 4 and (value.quoted or is_random(secret, least=6)):
            yield Span(value.start, value.end, "password")


def personal(line: bytes) -> Iterator[Span]:
    """E-mail addresses, payment card numbers (issuer's range and Luhn, ISO/IEC 7812-1), Korean resident numbers."""
    if b"@" in line:
        for found in compiled(_EMAIL).finditer(line):
            if found.group(2).lower() not in _NO_DOMAINS and not UUID.match(found.group(1)):
                yield Span(found.start(1), found.end(1), "email")
    for found in compiled(_CARD).finditer(line):
        digits = found.group(1).replace(b" ", b"").replace(b"-", b"")
        if _is_card(digits):
            yield Span(found.start(1), found.end(1), "card-number")
    for found in compiled(_RESIDENT).finditer(line):
        if _is_resident_number(found.group(1)):
            yield Span(found.start(1), found.end(1), "resident-number")


def _is_card(digits: bytes) -> bool:
    lengths = {b"4": (13, 16, 19), b"5": (16,), b"2": (16,), b"6": (16, 19)}.get(digits[:1], (14, 15, 16))
    if len(digits) not in lengths or len(set(digits)) < 2 or (digits[:1] == b"5" and digits[1:2] not in b"12345"):
        return False
    total = 0
    for place, byte in enumerate(reversed(digits)):
        value = (byte - 48) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_resident_number(text: bytes) -> bool:
    """A date of birth and a sex and century digit; the digits behind are random since October 2020."""
    century = {49: 1900, 50: 1900, 51: 2000, 52: 2000, 53: 1900, 54: 1900, 55: 2000, 56: 2000}[text[7]]
    try:
        date(century + int(text[:2]), int(text[2:4]), int(text[4:6]))
    except ValueError:
        return False
    return True


def blobs(line: bytes) -> Iterator[tuple[Span, bytes]]:
    """Base64 that holds printable text, with that text, for the rules to look at once more."""
    for found in compiled(BLOB).finditer(line):
        text = _decoded(found.group(0))
        if len(text) >= 16 and all(32 <= byte < 127 or byte in b"\n\r\t" for byte in text):
            yield Span(found.start(), found.end(), "base64"), text


def _decoded(blob: bytes) -> bytes:
    head = blob[:8192].rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    head = head[: len(head) - (len(head) % 4 == 1)]
    try:
        return base64.b64decode(head + b"=" * (-len(head) % 4))
    except (binascii.Error, ValueError):
        return b""
