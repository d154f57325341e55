"""Secrets that are told by what stands around them: a name, a header, a URL, a flag, a statement.

A `Context` is a pattern whose match ends where the value begins, and a reader that says where the value ends and
whether it can be a secret. Patterns have no groups, so that RE2 runs them as plain automata.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import re2

from bifrost_domain.logs.redaction.values import (
    REACH,
    UUID,
    enclosing_quote,
    is_code,
    is_made_up,
    is_placeholder,
    is_random,
    line_end,
    value_at,
)


class Finding(NamedTuple):
    """The bytes from `start` up to `end` are a secret of this kind."""

    start: int
    end: int
    kind: str


@cache
def compiled(pattern: str) -> Any:
    """RE2 over bytes, each of them a character, since a line of a log need not be UTF-8."""
    return re2.compile(pattern.encode(), _options())


def any_of(patterns: Sequence[str]) -> Callable[[bytes], list[int] | None]:
    """One automaton that says which of the patterns match in a text, by index, or None where none does."""
    union = re2.Set.SearchSet(_options())
    for pattern in patterns:
        union.Add(pattern.encode())
    union.Compile()
    match: Callable[[bytes], list[int] | None] = union.Match
    return match


def _options() -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 64 << 20
    options.log_errors = False
    return options


Reader = Callable[..., Iterator[Finding]]
"""(data, start of the match, its end, kind): the findings behind one match."""


class Context(NamedTuple):
    kind: str
    pattern: str
    read: Reader


def _alternatives(words: str) -> str:
    """Words as an RE2 alternation over bytes; anything beyond ASCII is spelled in UTF-8, `_` is any joint or none."""
    return "|".join(
        "".join("[ _.-]?" if character == "_" else _utf8(character) for character in word) for word in words.split()
    )


def _utf8(text: str) -> str:
    return "".join(chr(byte) if byte < 0x80 else f"\\x{byte:02x}" for byte in text.encode())


_SEPARATOR = r"(?:\\*[\"'`])?\]?(?:[ \t]*(?:=>|:=|={1,2}|::?|->)[ \t]*|>)"
_SUFFIX = (
    r"(?:s|[ _]?[0-9]{1,2}|[_-]?(?:value|str|string|text|plain|raw|b64|base64|prod|dev|staging|test|old|new|current))?"
)

_PASSWORD = _alternatives(
    "password passwd passphrase passcode pwd passwort kennwort contraseña contrasena senha mot_de_passe motdepasse"
    " 비밀번호 비번 암호 패스워드 пароль 密码 密碼 パスワード"
)
_PASS = (
    "(?-i:[a-z0-9]Pass|(?:^|[^A-Za-z])(?:pass|Pass|PASS))"
    "|(?:^|[^A-Za-z])pw|(?:db|user|root|admin|mysql|smtp|ftp|redis|mail|login|ldap|bind|store|key)pass"
)
_TOKEN = _alternatives(
    "secret token jwt api_key access_key_id access_key private_key encryption_key signing_key master_key account_key"
    " storage_key shared_key shared_access_key secret_key service_key subscription_key license_key licence_key"
    " deploy_key client_key consumer_key application_key app_key auth_key crypt_key cipher_key hmac_key jwt_key"
    " session_key admin_key webhook_key integration_key routing_key primary_key secondary_key ssh_key pgp_key gpg_key"
    " data_key root_key write_key project_key instrumentation_key ingest_key functions_key preshared_key"
    " secret_key_base credential credentials auth private_key_data client_key_data psk code_verifier client_assertion"
    " mnemonic seed_phrase recovery_code backup_code totp_seed secret_access_key api_secret apikey secret_id"
    " unseal_key samlresponse sonar_login validation_key decryption_key privkey priv_key seckey sec_key 2fa_seed mfa_seed otp_seed 2fa_secret otp_secret"
    " 토큰 시크릿 인증키 비밀키 접근키 令牌 密钥"
)
_SESSION = _alternatives("session_id sessionid session jsessionid phpsessid connect.sid sid csrftoken xsrf_token")
_CODE_WORDS = _alternatives(
    "otp one_time_password one_time_code verification_code 2fa_code mfa_code security_code cvv cvc cvv2 pin pin_code"
    " 인증번호 인증_번호"
)
_NOT_SECRET_TOKEN = re.compile(
    rb"(?i)(?:(?<![A-Za-z])|(?-i:(?<=[a-z])(?=[A-Z])))(?:next|prev|page|paging|continuation|pagination|sync|cancell?ation|cancel|eos|bos|pad|unk|max|min|num|sep"
    rb"|cls|mask|stop|start|end|window|app|unexpected|special|lex|parse|current|binder|public)[ _.-]?token\W*$"
)
_ARN = re.compile(rb"arn:[\w:*/-]*$")
"""A secret's name in AWS, as in `arn:aws:secretsmanager:eu-west-1:1:secret:db`."""
_ASSIGNED = re.compile(rb"[=>]\s*$")
_PROSE_NEXT = re.compile(rb"[ \t]+[A-Za-z]{1,64}(?![\w.-]{0,64}[ \t]?[=:])")


def _password(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """A password may be anything, so only what cannot be one is let go."""
    separator = data[max(start, position - 8) : position]
    value = value_at(data, position, xml=_is_xml(data, start, separator))
    text = data[value.start : value.end]
    if is_placeholder(text) or len(text) > REACH:
        return
    assigned = value.quoted or _ASSIGNED.search(separator) is not None
    if text.isdigit() and len(text) < (4 if assigned else 6):
        return
    if data[start:position].lower().startswith(b"pwd") and text.startswith(b"/"):
        return  # the working directory
    if not value.quoted:
        if b"==" in separator and text.isalpha():
            return
        if is_code(text) and not (assigned and b" " not in separator and _is_dotted_word(text)):
            return
        if text.startswith((b"/", b"~/", b"./", b"C:\\")) and (b"/" in text[1:] or b"\\" in text):
            return
        if not assigned and text.isalpha() and _PROSE_NEXT.match(data, value.end):
            return
    yield Finding(value.start, value.end, kind)


def _is_dotted_word(text: bytes) -> bool:
    """`hunter.two` rather than `self.password` or `getenv("X")`: code has a call, or a name that code would use."""
    return b"(" not in text and b"[" not in text and any(48 <= byte < 58 for byte in text)


def _is_xml(data: bytes, start: int, separator: bytes) -> bool:
    """`<password>` and `<ns:password type="x">`, but not the `=>` of other languages."""
    if not separator.endswith(b">") or separator.endswith((b"=>", b"->")):
        return False
    opening = data.rfind(b"<", max(data.rfind(b"\n", 0, start) + 1, start - 128), start)
    return opening >= 0 and b">" not in data[opening:start]


def _pass(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """`pass` is a word of test results too: with a colon, or a number, it has to look like a secret."""
    for finding in _password(data, start, position, kind):
        text = data[finding.start : finding.end]
        quoted = data[finding.start - 1 : finding.start] in (b'"', b"'")
        if text.isdigit() or is_code(text):
            continue
        if quoted or data[start:position].rstrip().endswith((b"=", b">")) or (is_random(text) and not _is_name(text)):
            yield finding


def _is_name(text: bytes) -> bool:
    """A test's, as in `PASS: test_login_ab12`."""
    return re.match(rb"(?i)tests?[A-Z_./-]|[\w./-]{0,255}[A-Z_./-]tests?\b", text) is not None


def _token(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    separator = data[max(start, position - 8) : position]
    word = data[start:position].lower()
    if b"token" in word and _NOT_SECRET_TOKEN.search(data, max(0, start - 16), position):
        return
    if separator.endswith(b":") and _ARN.search(data, max(0, start - 128), start):
        return
    value = value_at(data, position, xml=_is_xml(data, start, separator))
    text = data[value.start : value.end].strip()
    if is_placeholder(text) or (not value.quoted and is_code(text) and not text.startswith(b"ey")):
        return
    if b" " in text and value.quoted:
        # A scheme, as in `"auth": "Bearer ..."`: what counts is what follows it.
        head, _, text = text.partition(b" ")
        if b" " in text or not head.isalpha():
            return
        value = value._replace(start=data.index(text, value.start + len(head)))
        value = value._replace(end=value.start + len(text))
    assigned = value.quoted or separator.rstrip().endswith((b"=", b">"))
    if text.startswith(b"0x") and len(text) >= 34 and _HEX.fullmatch(text) and (b"key" in word or b"secret" in word):
        yield Finding(value.start, value.end, _named(word, kind))
        return
    by_hand = (
        b"secret" in word
        and b"id" not in word
        and assigned
        and len(text) >= 6
        and not is_code(text)
        and b"/" not in text
    )
    if by_hand or is_random(text, least=8):
        yield Finding(value.start, value.end, _named(word, kind))


def _named(word: bytes, kind: str) -> str:
    for part, name in (
        (b"private", "private-key"),
        (b"api", "api-key"),
        (b"token", "token"),
        (b"jwt", "token"),
        (b"secret", "secret"),
        (b"auth", "credential"),
        (b"credential", "credential"),
    ):
        if part in word:
            return name
    return kind


def _session(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    value = value_at(data, position)
    text = data[value.start : value.end].partition(b"?")[0]
    if UUID.fullmatch(text) is None and is_random(text, least=16):
        yield Finding(value.start, value.start + len(text), kind)


def _one_time(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    value = value_at(data, position)
    text = data[value.start : value.end].rstrip(b".")
    if text.isdigit() and 3 <= len(text) <= 10:
        least = 3 if b"cv" in data[start:position].lower() else 4
        if len(text) >= least:
            yield Finding(value.start, value.start + len(text), kind)


def _parameter(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """A signature, key or code in a URL's query."""
    value = value_at(data, position)
    text = data[value.start : value.end]
    if not is_placeholder(text) and is_random(text, least=16):
        yield Finding(value.start, value.end, kind)


def _url(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """The match is `scheme://user:password@`; the password is what stands after the first colon of it."""
    inside = data.index(b"://", start, position) + 3
    colon = data.find(b":", inside, position)
    if colon < 0:
        user = data[inside : position - 1]
        if is_random(user, least=16):
            yield Finding(inside, position - 1, kind)
        return
    password = data[colon + 1 : position - 1]
    if is_placeholder(password) and password.lower() not in (b"password", b"secret", b"pass", b"token"):
        if is_random(data[inside:colon], least=16):
            yield Finding(inside, colon, kind)
        return
    port = re.match(rb"[0-9]{1,5}(?=[/?#])", password)
    if port is None:
        yield Finding(colon + 1, position - 1, kind)


_HEX = re.compile(rb"0[xX][0-9a-fA-F]+")
_SCHEME = re.compile(
    rb"(?i)(?:basic|bearer|token|apikey|api-key|ssws|key|bot|jwt|negotiate|ntlm|genieKey|splunk)[ \t:]+"
)
_MANY_FIELDS = re.compile(rb"(?i)(?:digest|hawk|oauth|aws4-hmac-sha256|mac|hmac|signature|sharedkey\w*|scram\S*)[ \t]+")


def _authorization(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    end = line_end(data, position)
    value = value_at(data, position)
    stop = value.end if value.quoted else end
    if not value.quoted and (quote := enclosing_quote(data, start)):
        close = data.find(quote, position, end)
        stop = close if close >= 0 else end
    if fields := _MANY_FIELDS.match(data, value.start, stop):
        while stop > fields.end() and data[stop - 1 : stop].isspace():
            stop -= 1
        yield Finding(fields.end(), stop, kind)
        return
    scheme = _SCHEME.match(data, value.start, stop)
    begin = scheme.end() if scheme else value.start
    token = value_at(data, begin)
    text = data[begin : min(token.end, stop)]
    if is_placeholder(text) or len(text) < 6:
        return
    if (scheme and not text.isalpha()) or is_random(text, least=8) or (scheme and len(text) >= 12):
        yield Finding(begin, begin + len(text), kind)


def _bearer(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    value = value_at(data, position)
    text = data[value.start : value.end]
    if not is_placeholder(text) and is_random(text, least=12) and not _ASSIGNMENT.match(text):
        yield Finding(value.start, value.end, kind)


_ASSIGNMENT = re.compile(rb"[A-Za-z_]{2,32}=[^=]")
"""The next field, as in `token_type=bearer expires_in=3600`."""


def _basic(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """Base64 of `user:password`, which is checked by decoding it."""
    value = value_at(data, position)
    text = data[value.start : value.end]
    try:
        decoded = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return
    if len(text) >= 6 and b":" in decoded and decoded.isascii() and decoded.decode("ascii").isprintable():
        yield Finding(value.start, value.end, kind)


_COOKIE_OPENING = re.compile(rb"[\s\"'\\\[]+")
_COOKIE = re.compile(rb"[ \t]*([^\s=;,\"'\\]{1,128})=([^\s;\"'\\]{1,8192})")
_ATTRIBUTES = frozenset(b"path domain expires max-age samesite secure httponly priority partitioned version".split())


def _cookies(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """Every value of a cookie header but attributes and what is too short and plain to identify anybody."""
    end = line_end(data, position)
    while position < end:
        if opening := _COOKIE_OPENING.match(data, position, end):
            position = opening.end()
        pair = _COOKIE.match(data, position, end)
        if pair is None:
            return
        text = pair[2]
        if pair[1].lower() not in _ATTRIBUTES and not is_placeholder(text) and (len(text) >= 12 or is_random(text)):
            yield Finding(pair.start(2), pair.end(2), kind)
        position = pair.end()
        if data[position : position + 1] != b";":
            return
        position += 1


def _argument(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """A flag's argument, in quotes or up to the next white space."""
    value = value_at(data, position)
    text = data[value.start : value.end]
    if is_placeholder(text) or text.startswith((b"-", b"/", b"(")) or len(text) < 4:
        return
    if (text.isdigit() and len(text) < 6) or (not value.quoted and is_code(text)):
        return
    if re.fullmatch(rb"[0-9.]*:?[0-9]+:[0-9]+(?:/\w+)?", text) is None:
        yield Finding(value.start, value.end, kind)


def _token_argument(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    value = value_at(data, position)
    text = data[value.start : value.end]
    if not is_placeholder(text) and is_random(text, least=8):
        yield Finding(value.start, value.end, kind)


_CONTAINER = re.compile(rb"(?i)\b(?:docker|podman|nerdctl|chown|install|run|exec|rsync|useradd|su|sudo -u)\b")


def _user_flag(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """curl's `-u user:password`, and not the numeric or named `user:group` of containers."""
    value = value_at(data, position)
    text = data[value.start : value.end]
    user, colon, password = text.partition(b":")
    if not colon or not user or is_placeholder(password) or password.isdigit() or len(password) < 3:
        return
    begin = max(data.rfind(b"\n", 0, start) + 1, start - 256)
    if b"curl" not in data[begin:start] and (password == user or _CONTAINER.search(data, begin, start)):
        return
    yield Finding(value.start + len(user) + 1, value.end, kind)


def _sql(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    value = value_at(data, position)
    end = value.end
    if not value.quoted:
        if data[start:position].rstrip().endswith(b"("):
            return
        while end > value.start and data[end - 1 : end] in b";,)":
            end -= 1
    text = data[value.start : end]
    if not is_placeholder(text) and len(text) >= 3:
        yield Finding(value.start, end, kind)


def _sql_literal(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """`PASSWORD 'x'`: a literal, and none of the words that may stand there as well (`PASSWORD EXPIRE`)."""
    if value_at(data, position).quoted:
        yield from _sql(data, start, position, kind)


def _prose(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """`your password is X`, `using token X`: only what plainly is no word of the sentence."""
    value = value_at(data, position)
    end = value.end
    while end > value.start and data[end - 1 : end] in b".,;:)":
        end -= 1
    text = data[value.start : end]
    if is_placeholder(text) or (not value.quoted and is_code(text)) or b" " in text:
        return
    word = data[start:position].lower()
    if word.startswith((b"secret ", b"secrets ", b"secret\t", b"secrets\t")) and not re.search(
        rb"[ \t](?:is|to)[ \t]|\|", word
    ):
        return  # Kubernetes names its objects so: `secret "web-tls-v2" not found`
    weak = b"token" in word or b"key" in word or b"secret" in word
    if is_random(text, least=16) if weak else is_made_up(text):
        yield Finding(value.start, end, kind)


def _sentence(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """`A temporary password is generated for root@localhost: X`."""
    return _prose(data, start, position, kind)


_WORDS = re.compile(rb"\\*[\"']?([a-z]{3,8}(?:[ ,]+[a-z]{3,8}){11,23})\b")


def _seed_phrase(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """Twelve words or more, as in BIP 39."""
    if words := _WORDS.match(data, position, min(line_end(data, position), position + REACH)):
        yield Finding(words.start(1), words.end(1), kind)


_PIPED = re.compile(rb"[^|\n]*\|[^\n]*?(?:--password-stdin|sudo[ \t]+-S|--stdin|chpasswd|--passphrase-fd|pinentry)")


def _echoed(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """`echo x | docker login --password-stdin`."""
    value = value_at(data, position)
    text = data[value.start : value.end]
    if not is_placeholder(text) and _PIPED.match(data, value.end, min(line_end(data, position), position + REACH)):
        yield Finding(value.start, value.end, kind)


_ROW_VALUE = re.compile(rb"\s*(N?'(?:[^'\\\n]|\\.|'')*'|\"(?:[^\"\\\n]|\\.)*\"|[^,()'\"\n]*)\s*([,)]?)")


def _inserted(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """`INSERT INTO t (name, password) VALUES ('bob', 'x')`: the values in the columns that are telling."""
    columns = data[data.index(b"(", start) + 1 : data.index(b")", start)].split(b",")
    telling = {place for place, column in enumerate(columns) if compiled(f"(?i){_SENSITIVE}").search(column)}
    end = min(line_end(data, position), position + REACH)
    place = 0
    while position < end and (row := _ROW_VALUE.match(data, position, end)):
        text = row[1].strip(b"N'\"")
        if place in telling and not is_placeholder(text) and len(text) >= 3:
            at = data.index(text, row.start(1))
            yield Finding(at, at + len(text), kind)
        position, place = row.end(), place + 1
        if row[2] == b")":
            following = re.compile(rb"\s*,\s*\(").match(data, position, end)
            if following is None:
                return
            position, place = following.end(), 0
        elif not row[2]:
            return


def _rest_of_match(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """The match ends with the secret, which begins behind the fixed part of a webhook's path."""
    for fixed in (b"/services/", b"/workflows/", b"/triggers/", b"/webhooks/", b"/webhookb2/", b"/bot"):
        marker = data.find(fixed, start, position)
        if marker >= 0:
            yield Finding(marker + len(fixed), position, kind)
            return


def _jwk(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    line = data[max(data.rfind(b"\n", 0, start) + 1, start - REACH) : min(line_end(data, position), position + REACH)]
    value = value_at(data, position)
    if b"kty" in line and value.quoted and value.end - value.start >= 16:
        yield Finding(value.start, value.end, kind)


def _named_elsewhere(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """`{"name": "DB_PASSWORD", "value": "x"}`: the name is itself a value, the secret is its neighbour."""
    value = value_at(data, position)
    text = data[value.start : value.end]
    if not is_placeholder(text) and len(text) >= 3:
        yield Finding(value.start, value.end, kind)


def _in_list(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """`['x-api-key', 'x']`, `define('DB_PASSWORD', 'x')`: what follows may be one more name."""
    value = value_at(data, position)
    text = data[value.start : value.end]
    if value.quoted and not is_placeholder(text) and (is_random(text) or is_made_up(text)):
        yield Finding(value.start, value.end, kind)


_GROUPED = re.compile(rb"[A-Za-z0-9]{3,8}(?:-[A-Za-z0-9]{3,8})+")


def _recovery(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """Groups of letters that no dictionary has to contain."""
    value = value_at(data, position)
    text = data[value.start : value.end]
    if _GROUPED.fullmatch(text) or is_random(text):
        yield Finding(value.start, value.end, kind)


def _before_at(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    at = data.find(b"@", position, min(line_end(data, position), position + 256))
    if at > position and b" " not in data[position:at] and not is_placeholder(data[position:at]):
        yield Finding(position, at, kind)


def _go_dsn(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    colon = data.index(b":", start, position) + 1
    at = data.rindex(b"@", start, position)
    if not is_placeholder(data[colon:at]):
        yield Finding(colon, at, kind)


def _userinfo(data: bytes, start: int, position: int, kind: str) -> Iterator[Finding]:
    """`user:password@host` without a scheme, and not the tag of an image in front of its digest."""
    colon = data.index(b":", start, position) + 1
    password = data[colon : position - 2]
    if (
        not data.startswith((b"sha256:", b"sha512:"), position - 1)
        and is_random(password)
        and not UUID.fullmatch(password)
    ):
        yield Finding(colon, position - 2, kind)


_BLANK = r"[ \t]+"
_LISTED = r"\\*[\"'],[ \t]*"
_LINK = (
    rf"{_BLANK}(?:(?:is|was|are|has|been|will|be|now|set|changed|reset|updated|equal|equals|to|of|value){_BLANK}){{0,4}}"
    rf"(?:[:=]{_BLANK})?"
)
_COLUMN = r"[ \t]*(?:\||\xe2\x94\x82)[ \t]*"
_PARTICLE = f"(?:{_alternatives('는 은 이 가 를 을')})?"
_SENSITIVE = f"(?:{_PASSWORD}|{_TOKEN}|pass)"
PASSWORD_WORDS = f"(?:{_PASSWORD})"
SENSITIVE_WORDS = _SENSITIVE

FRAMES: tuple[Context, ...] = (
    Context("url-credential", r"[a-z][a-z0-9+.-]*://[^\s/?#\"'<>@:]*(?::[^\s\"'<>/]*)?@", _url),
    Context(
        "url-credential",
        r"(?:postgres(?:ql)?|mysql2?|mariadb|mongodb|rediss?|amqps?|kafka|smtps?|ldaps?|s?ftps?|clickhouse|mssql)"
        r"(?:\+[a-z0-9]+)?://[^\s/?#\"'<>@:]*:[^\s\"'<>]*@",
        _url,
    ),
    Context("url-credential", r"[\w.-]+:[^\s\"'@/]{3,}@(?:tcp|unix|udp)\(", _go_dsn),
    Context("url-credential", r"\b[\w.-]+:[^\s\"'@/:]{8,128}@[a-z0-9]", _userinfo),
    Context("url-credential", r"jdbc:oracle:\w+:[^\s/@:]+/", _before_at),
    Context("webhook-url", r"hooks\.slack\.com/(?:services|workflows|triggers)/[\w+/-]{16,}", _rest_of_match),
    Context("webhook-url", r"discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]+/[\w-]{20,}", _rest_of_match),
    Context("webhook-url", r"webhook\.office\.com/webhookb2/[\w@/-]{32,}", _rest_of_match),
    Context("authorization", rf"authorization{_SEPARATOR}", _authorization),
    Context("bearer-token", rf"\bbearer(?:{_BLANK}|%20|\+|,[ \t]*)", _bearer),
    Context("url-signature", rf"(?:^|[\s\"',;])(?:x-[\w-]*)?signature[\w-]*{_SEPARATOR}", _parameter),
    Context("url-signature", r"\bdigest\b[^\n]*?\bresponse=", _parameter),
    Context(
        "url-signature",
        r"(?:magic|invit|reset|verif|confirm|activat|unsubscrib|sign-?in|login)[^\s?\"'=]*\?[\w.-]+=",
        _parameter,
    ),
    Context("basic-credential", rf"\bbasic{_BLANK}", _basic),
    Context("cookie", rf"cookies?{_SEPARATOR}", _cookies),
    Context(
        "url-signature",
        r"[?&;](?:sig|signature|x-amz-signature|x-goog-signature|x-oss-signature|x-amz-security-token|hmac|sign|secret"
        r"|token|key|code|hash|auth|ticket|pw|st|appid)=",
        _parameter,
    ),
    Context("private-key", r"[{,\s]\\*[\"'](?:d|p|q|dp|dq|qi|k)\\*[\"'][ \t]*:[ \t]*", _jwk),
)
"""Secrets in a place made for them: URLs, headers, cookies, webhooks."""

NAMES: tuple[Context, ...] = (
    Context("password", rf"(?:{_PASSWORD}){_SUFFIX}{_SEPARATOR}", _password),
    Context("password", rf"<[\w:.-]*(?:{_PASSWORD})[\w:.-]*[ \t][^<>\n]*>", _password),
    Context("password", rf"<[\w:.-]*(?:{_PASSWORD})[\w:.-]*>[ \t]*<value>", _password),
    Context("password", rf"(?:{_PASSWORD})\.{{4,}}[ \t]*", _argument),
    Context("password", rf"(?:{_PASS}){_SUFFIX}{_SEPARATOR}", _pass),
    Context("secret-key", rf"(?:{_TOKEN}){_SUFFIX}{_SEPARATOR}", _token),
    Context("session-id", rf"(?:^|[^a-z])(?:{_SESSION}){_SEPARATOR}", _session),
    Context(
        "one-time-code",
        rf"(?:^|[^a-z])(?:{_CODE_WORDS})(?:{_SEPARATOR}|{_BLANK}(?:is|=|:){_BLANK}|[ \t]*\[)",
        _one_time,
    ),
)
"""A telling name and what parts it from its value: `DB_PASSWORD=x`, `"apiKey": "x"`, `<password>x</password>`."""

PHRASES: tuple[Context, ...] = (
    Context(
        "password",
        rf"[{{,\s\"'\\](?:name|key|variable|env)\\*[\"']?[ \t]*[:=][ \t]*\\*[\"']?[\w.-]*{_SENSITIVE}\w*\\*[\"']?"
        r"[ \t,;]+(?:\\*[\"'])?value\\*[\"']?[ \t]*[:=][ \t]*",
        _named_elsewhere,
    ),
    Context("password", rf"{_SENSITIVE}\w*[\"']?[ \t]*[:=][ \t]*\"[^\"\n]*\"[ \t]*[-=]>[ \t]*", _in_list),
    Context(
        "secret",
        rf"(?:[\[({{,][ \t]*\\*[\"'][\w.-]*{_SENSITIVE}[\w.-]*\\*[\"']|[\[({{]:\w*{_SENSITIVE}\w*),[ \t]*",
        _in_list,
    ),
    Context("token", rf"{_SENSITIVE}\w*[\[({{](?:\w+=[^,\n\])]*,[ \t]*)?\w*value=", _token_argument),
    Context(
        "secret",
        rf"(?:secret|securestring|password)\b[^\n|;]{{0,80}}?[ \t,]-{{0,2}}value(?:=|{_BLANK})",
        _token_argument,
    ),
    Context("password", rf"\bcredentials{_BLANK}[\w.@-]+/", _prose),
    Context("recovery-code", rf"(?:recovery|backup|scratch)[ _-]?codes?{_SEPARATOR}", _recovery),
    Context("secret-key", rf"oauth[\w.-]*{_SEPARATOR}", _token),
    Context(
        "encryption-key",
        rf"\b(?:aes|des|hmac|rsa|ed25519|chacha20|encryption|signing|master|private|shared|secret)[\w -]{{0,20}}\bkey"
        rf"{_BLANK}\([a-z0-9 -]{{1,12}}\)[ \t]*[:=][ \t]*",
        _token_argument,
    ),
    Context("password", rf"\b(?:password|secret|key|md5){_BLANK}[0-9]{_BLANK}", _token_argument),
    Context("password", rf"\b(?:tacacs|radius)[\w-]*\b[^\n]*?\bkey{_BLANK}", _token_argument),
    Context("password", rf"\b(?:pre-?shared-?key|key-string){_BLANK}", _token_argument),
    Context("password", rf"\bsnmp[\w-]*\b[^\n]*?\bcommunity{_BLANK}", _argument),
    Context("secret", r"::add-mask::", _argument),
    Context("password", rf"\bnickserv\b[^\n]*?\bidentify{_BLANK}", _argument),
    Context("password", r"\b(?:credentials?|log[ -]?in|logins?)\b[^\n/]{0,60}?[\w.@-]+[ \t]+/[ \t]+", _prose),
    Context("password", rf"(?:^|\s)[<>]{_BLANK}pass{_BLANK}", _token_argument),
    Context("password", rf"identified{_BLANK}(?:with{_BLANK}\S+{_BLANK})?by{_BLANK}(?:password{_BLANK})?", _sql),
    Context("password", r"password[ \t]*\([ \t]*", _sql),
    Context("password", rf"\b(?:create|alter){_BLANK}(?:user|role)\b[^\n;]{{0,200}}?\bpassword{_BLANK}", _sql_literal),
    Context("password", rf"set{_BLANK}password{_BLANK}for[^\n=]{{1,80}}=[ \t]*", _sql),
    Context("password", rf"login{_BLANK}\S+{_BLANK}password{_BLANK}", _argument),
    Context("password", r"[\w.-]+:(?:5432|6432|5433):[\w*-]+:[\w.*-]+:", _argument),
    Context("password", rf"\binsert{_BLANK}into[^\n()]*\([^\n)]*{_SENSITIVE}[^\n)]*\)[ \t]*values[ \t]*\(", _inserted),
    Context("password", rf"(?:{_PASSWORD}){_PARTICLE}(?:{_COLUMN}|{_LINK})", _prose),
    Context(
        "password",
        rf"(?:{_PASSWORD})(?:{_BLANK}[^\s:=]{{1,40}}){{1,4}}(?:[ \t]*[:=]|{_BLANK}(?:is|to)){_BLANK}",
        _sentence,
    ),
    Context(
        "token", rf"(?:token|(?:api|access|secret|private|encryption|signing|hmac)[ _-]?key|secret)s?{_LINK}", _prose
    ),
    Context("token", rf"(?:{_TOKEN})s?{_COLUMN}", _prose),
    Context(
        "seed-phrase",
        rf"(?:mnemonic|(?:seed|recovery|backup|restore)[ _-]?(?:phrase|words))(?:{_SEPARATOR}|{_LINK})",
        _seed_phrase,
    ),
    Context("basic-credential", rf"\bauth{_BLANK}(?:plain|login|xoauth2|cram-md5){_BLANK}", _token_argument),
    Context("password", rf"(?:-{{2,}}>|>>|\b[cs]:)[ \t]*pass{_BLANK}", _argument),
    Context("password", rf"\"auth\"{_BLANK}|\b(?:requirepass|masterauth){_BLANK}", _argument),
)
"""Statements, files of credentials, sentences."""

COMMANDS: tuple[Context, ...] = (
    Context("password", rf"(?:^|[\s\"'\[,])--?[a-z-]*(?:{_PASSWORD}|pass)(?:{_BLANK}|{_LISTED})", _argument),
    Context("token", rf"(?:^|[\s\"'\[,])--?[a-z-]*(?:{_TOKEN})(?:{_BLANK}|{_LISTED})", _token_argument),
    Context("password", rf"(?:^|\s)(?:-u|--user|--proxy-user)(?:{_BLANK}|=)?", _user_flag),
    Context("password", r"\b(?:mysql\w*|mariadb[\w-]*|7z[az]?|rar|unrar)\b[^\n|;]*?[ \t]-p", _argument),
    Context("password", rf"[ \t]--?u(?:ser(?:name)?)?[ =][^\s:]+[ \t]+-[pP]{_BLANK}", _token_argument),
    Context("password", r"\bsshpass[ \t]+-p[ \t]*", _argument),
    Context(
        "password",
        r"\b(?:docker|podman|helm|oc|skopeo|buildah|nerdctl|az|cf|oras|crane)\b[^\n|;]*?\blogin\b[^\n|;]*?[ \t]-p[ =]?",
        _argument,
    ),
    Context(
        "password",
        rf"\b(?:mongo\w*|sqlcmd|bcp|isql|osql|zip|unzip|ipmitool|rabbitmqadmin)\b[^\n|;]*?[ \t]-p{_BLANK}",
        _argument,
    ),
    Context("password", rf"\b(?:redis-cli\b[^\n|;]*?[ \t]-a|ldap\w+[^\n|;]*?[ \t]-w){_BLANK}", _argument),
    Context("password", r"[ \t]-pass(?:in|out)?[ \t]+pass:", _argument),
    Context("password", rf"\bopenssl\b[^\n|;]*?[ \t]-k{_BLANK}", _argument),
    Context("password", rf"\bsnmp\w+\b[^\n|;]*?[ \t]-[cAX]{_BLANK}", _argument),
    Context("password", rf"\bnet{_BLANK}user{_BLANK}[^\s/]+{_BLANK}", _argument),
    Context(
        "password",
        r"\b(?:schtasks|psexec\w*|runas|winexe|wmic)\b[^\n|;]*?[ \t][/-]r?p(?:assword)?[: \t][ \t]*",
        _argument,
    ),
    Context("token", r"<<<[ \t]*", _token_argument),
    Context("password", r"\b(?:xfreerdp|wfreerdp|mstsc|rdesktop|cmdkey|psexec)\b[^\n]*?[ \t]/p(?:ass)?:", _argument),
    Context("password", rf"\bnet{_BLANK}use\b[^\n]*?[ \t]/user:\S+{_BLANK}", _argument),
    Context("password", r"\bsmb\w*\b[^\n]*?[ \t]-U[ \t]*[^\s%]+%", _argument),
    Context("password", rf"\bconvertto-securestring{_BLANK}(?:-string{_BLANK})?", _argument),
    Context("password", rf"\becho{_BLANK}(?:-n{_BLANK})?", _echoed),
    Context("password", r"\bsqlplus\b[^\n/@]*?[\w.-]+/", _before_at),
    Context("cookie", rf"(?:--cookie|\bcurl\b[^\n]*?[ \t]-b){_BLANK}", _cookies),
    Context("secret", r"--from-literal[= ](?:\\*[\"'])?[\w.-]+=", _named_elsewhere),
)
"""Flags and arguments of command lines."""

CONTEXTS = (FRAMES, NAMES, PHRASES, COMMANDS)

AT_VALUE: frozenset[Reader] = frozenset(
    (
        *(_password, _pass, _token, _session, _one_time, _parameter, _bearer, _basic, _argument, _token_argument),
        *(_user_flag, _sql, _sql_literal, _prose, _sentence, _named_elsewhere, _jwk, _echoed, _in_list, _recovery),
    )
)
"""Readers that find nothing but the value where the match ends, and nothing if that is stars."""
