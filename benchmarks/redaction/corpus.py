"""A seeded corpus of log lines with and without secrets. Every secret is a fake that is put together at run time."""

import base64
import json
import random
import string
import uuid
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote

_ALNUM = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"
_UPPER = string.ascii_uppercase + string.digits
_URLSAFE = _ALNUM + "-_"
_BASE64 = _ALNUM + "+/"


class Sample(NamedTuple):
    """`text` is one line or more. Nothing of `secrets` may survive; a look-alike has none and must not change."""

    group: str
    kind: str
    text: str
    secrets: tuple[str, ...] = ()


class Fakes:
    """Random strings in the forms that secrets have."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def of(self, alphabet: str, size: int) -> str:
        while True:
            text = "".join(self.random.choices(alphabet, k=size))
            if size < 12 or len(set(text)) > 5:
                return text

    def hex(self, size: int) -> str:
        return self.of(_HEX, size)

    def alnum(self, size: int) -> str:
        return self.of(_ALNUM, size)

    def base64(self, size: int) -> str:
        """Base64 text of that many random bytes."""
        return base64.b64encode(self.random.randbytes(size)).decode()

    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self.random.randbytes(16), version=4))

    def password(self) -> str:
        """As people are made to write them: a word, a digit, a symbol or two."""
        word = self.random.choice(("Tiger", "sunrise", "Winter", "Zebra", "coffee", "Raven", "monkey"))
        number, marks = self.random.randrange(10, 9999), (self.random.choice("!@#$%^*"), self.random.choice("!#$*+?"))
        return f"{word}{marks[0]}{number}{marks[1]}{self.alnum(3)}"

    def jwt(self) -> str:
        def part(value: dict[str, object]) -> str:
            return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

        head = part({"alg": "HS256", "typ": "JWT"})
        return f"{head}.{part({'sub': self.hex(8), 'iat': self.random.randrange(10**9)})}.{self.of(_URLSAFE, 43)}"

    def pem(self, label: str = "RSA PRIVATE KEY", rows: int = 6) -> list[str]:
        body = self.base64(48 * rows - 11)
        return [
            f"-----BEGIN {label}-----",
            *(body[at : at + 64] for at in range(0, len(body), 64)),
            f"-----END {label}-----",
        ]


Maker = Callable[[Fakes], str]

TOKENS: dict[str, Maker] = {
    "aws-access-key": lambda f: "AK" + "IA" + f.of(string.ascii_uppercase + "234567", 16),
    "aws-temporary-key": lambda f: "AS" + "IA" + f.of(string.ascii_uppercase + "234567", 16),
    "gcp-api-key": lambda f: "AI" + "za" + f.of(_URLSAFE, 35),
    "gcp-oauth": lambda f: "ya" + "29." + f.of(_URLSAFE, 60),
    "gcp-oauth-secret": lambda f: "GOC" + "SPX-" + f.of(_URLSAFE, 28),
    "azure-client-secret": lambda f: f.alnum(3) + "8Q" + "~" + f.of(_ALNUM + "_~.-", 33) + "a",
    "github": lambda f: "gh" + "p_" + f.alnum(36),
    "github-app": lambda f: "gh" + "s_" + f.alnum(36),
    "github-fine": lambda f: "github" + "_pat_" + f.alnum(22) + "_" + f.alnum(59),
    "gitlab": lambda f: "gl" + "pat-" + f.of(_URLSAFE, 20),
    "gitlab-runner": lambda f: "gl" + "rt-" + f.of(_URLSAFE, 20),
    "slack-bot": lambda f: "xo" + f"xb-{f.of('0123456789', 12)}-{f.of('0123456789', 12)}-{f.alnum(24)}",
    "slack-app": lambda f: "xa" + f"pp-1-A{f.of(_UPPER, 10)}-{f.of('0123456789', 13)}-{f.hex(64)}",
    "stripe": lambda f: "sk" + "_live_" + f.alnum(24),
    "stripe-restricted": lambda f: "rk" + "_test_" + f.alnum(99),
    "openai": lambda f: "sk" + "-proj-" + f.of(_URLSAFE, 60) + "T3Blb" + f.of(_URLSAFE, 60),
    "openai-old": lambda f: "sk" + "-" + f.alnum(48),
    "anthropic": lambda f: "sk" + "-ant-api03-" + f.of(_URLSAFE, 93) + "AA",
    "npm": lambda f: "np" + "m_" + f.alnum(36),
    "pypi": lambda f: "py" + "pi-AgEIcHlwaS5vcmc" + f.of(_URLSAFE, 120),
    "sendgrid": lambda f: "S" + f"G.{f.of(_URLSAFE, 22)}.{f.of(_URLSAFE, 43)}",
    "twilio": lambda f: "S" + "K" + f.hex(32),
    "telegram": lambda f: f.of("123456789", 10) + ":A" + "A" + f.of(_URLSAFE, 33),
    "discord": lambda f: "M" + f"T{f.alnum(22)}.G{f.alnum(5)}.{f.of(_URLSAFE, 38)}",
    "huggingface": lambda f: "h" + "f_" + f.of(string.ascii_letters, 34),
    "digitalocean": lambda f: "do" + "p_v1_" + f.hex(64),
    "shopify": lambda f: "shp" + "at_" + f.hex(32),
    "mailgun": lambda f: "ke" + "y-" + f.hex(32),
    "mailchimp": lambda f: f.hex(32) + "-u" + "s12",
    "databricks": lambda f: "da" + "pi" + f.hex(32),
    "vault": lambda f: "hv" + "s." + f.of(_URLSAFE, 90),
    "terraform": lambda f: f.alnum(14) + ".atlas" + "v1." + f.of(_URLSAFE, 67),
    "age": lambda f: "AGE-SECRET" + "-KEY-1" + f.of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    "docker-hub": lambda f: "dckr" + "_pat_" + f.of(_URLSAFE, 27),
    "grafana": lambda f: "gl" + f"sa_{f.alnum(32)}_{f.hex(8)}",
    "newrelic": lambda f: "NR" + "AK-" + f.of(_UPPER, 27),
    "linear": lambda f: "lin" + "_api_" + f.alnum(40),
    "postman": lambda f: "PM" + f"AK-{f.hex(24)}-{f.hex(34)}",
    "replicate": lambda f: "r" + "8_" + f.alnum(37),
    "groq": lambda f: "gs" + "k_" + f.alnum(52),
    "sentry": lambda f: "sntr" + "ys_" + f.of(_BASE64, 90) + "_" + f.of(_BASE64, 43),
    "doppler": lambda f: "dp" + ".pt." + f.alnum(43),
    "jwt": lambda f: f.jwt(),
    "bifrost": lambda f: "bfr" + f"_live_{f.alnum(12)}_{f.alnum(32)}_{f.alnum(6)}",
    "tailscale": lambda f: "ts" + f"key-auth-{f.alnum(12)}CNTRL-{f.alnum(32)}",
}


def tokens(fakes: Fakes) -> Iterator[Sample]:
    """Each vendor's token in three shapes: in a sentence, in JSON, in a URL or between other fields."""
    for kind, make in TOKENS.items():
        first, second, third = make(fakes), make(fakes), make(fakes)
        plain = (
            f"2024-05-04T10:11:12.345Z ERROR request rejected: credential {first} was refused by upstream (401)",
            f"May  4 10:11:12 host-3 app[812]: loaded {first}, retrying in 5s",
            f"##[error]Process failed with {first}.",
        )
        yield Sample("token", kind, fakes.random.choice(plain), (first,))
        yield Sample(
            "token",
            kind,
            json.dumps({"ts": 1714817472, "level": "warn", "msg": f"call: {second}<eof>", "n": 3}),
            (second,),
        )
        yield Sample("token", kind, f"GET /v1/items?page=2&x={third}&limit=10 status=403 dur=12ms", (third,))


def contexts(f: Fakes) -> Iterator[Sample]:
    """Secrets without a shape of their own."""

    def one(kind: str, secret: str, text: str) -> Sample:
        return Sample("context", kind, text.replace("§", secret), (secret,))

    yield one(
        "url",
        f.password().replace("/", "x").replace("#", "x"),
        "connecting to postgres://app:§@db-1.internal:5432/orders?sslmode=require",
    )
    yield one("url", f.alnum(16), "redis://:§@cache:6379/0 connection refused")
    yield one("url", f.alnum(12) + "@!" + f.alnum(3), "amqp://guest:§@rabbit.svc:5672/%2f")
    yield one("url", f.alnum(20), "fatal: unable to access 'https://ci-bot:§@git.example.com/a/b.git/': 403")
    yield one("url", f.alnum(24), "mongodb+srv://root:§@cluster0.ab1cd.mongodb.net/test,retryWrites=true")
    yield one("url", f.hex(40), "cloning https://§@github.com/acme/app.git")
    yield one("url", f.hex(32), "Sentry DSN https://§@o4501.ingest.sentry.io/45")
    yield one(
        "url",
        f.password().replace("#", "x").replace("?", "x") + "/" + f.alnum(4),
        "DATABASE_URL=mysql://root:§@10.0.0.3:3306/app",
    )
    yield one("cookie", f.alnum(32), "> Cookie: sessionid=§; theme=dark")
    yield one("cookie", f.of(_URLSAFE, 40), "< Set-Cookie: sid=§; Path=/; HttpOnly; Secure")
    yield one("cookie", f.alnum(26), '{"headers":{"cookie":"PHPSESSID=§; lang=en"}}')
    yield one("cookie", f.hex(32), "curl -b 'JSESSIONID=§' https://intra/login")
    credentials = base64.b64encode(f"deploy:{f.password()}".encode()).decode()
    yield one("authorization", credentials, "Authorization: Basic §")
    yield one(
        "authorization",
        base64.b64encode(f"api:{f.alnum(20)}".encode()).decode(),
        '"authorization": "Basic §", "accept": "*/*"',
    )
    yield one("authorization", f.of(_URLSAFE, 40), "> authorization: Bearer §")
    yield one("authorization", f.of(_URLSAFE, 40), "headers={'Authorization': 'Bearer §', 'User-Agent': 'x'}")
    yield one("authorization", f.hex(40), "Authorization: token §")
    yield one("authorization", f.alnum(32), "Authorization: ApiKey §")
    yield one(
        "authorization",
        f.hex(32),
        'Authorization: Digest username="Mufasa", realm="x", nonce="abc", uri="/", response="§"',
    )
    yield one(
        "authorization",
        f.hex(64),
        "Authorization: AWS4-HMAC-SHA256 Credential=me/20240504/eu/s3/aws4_request, SignedHeaders=host, Signature=§",
    )
    yield one("authorization", f.alnum(40), "Proxy-Authorization: Bearer §")
    yield one("authorization", f.of(_URLSAFE, 48), "retrying with bearer § after 401")
    yield one("authorization", f.alnum(36), "X-Api-Key: §")
    yield one("authorization", f.alnum(36), "x-auth-token=§ x-request-id=17")
    yield one("authorization", f.of(_URLSAFE, 26), "X-Vault-Token: §")
    yield one("authorization", f.of(_URLSAFE, 20), "PRIVATE-TOKEN: §")
    yield one("user-flag", f.password(), "+ curl -sS -u admin:§ https://nexus.internal/repository/raw/")
    yield one("user-flag", f.password(), "wget --user=ci --password=§ https://x.example/y.tgz")
    yield one("user-flag", f.alnum(16), "curl --user 'svc:§' -X POST http://jenkins:8080/build")
    yield one("flag", f.password(), "+ ./deploy.sh --env prod --password § --force")
    yield one("flag", f.alnum(24), 'exec: ["/app/run", "--api-token", "§", "-v"]')
    yield one("flag", f.password(), "mysqldump -uroot -p§ --all-databases")
    yield one("flag", f.password(), "docker login -u acme -p § registry.example.com")
    yield one("flag", f.password(), "sshpass -p '§' ssh root@10.0.0.8 uptime")
    yield one("flag", f.alnum(20), "redis-cli -h cache -a § ping")
    yield one("flag", f.password(), "ldapsearch -x -D cn=admin,dc=acme -w § -b dc=acme")
    yield one("flag", f.alnum(18), "keytool -importkeystore -storepass § -noprompt")
    yield one("password", f.password(), "DB_PASSWORD=§")
    yield one("password", f.password(), 'env: {"POSTGRES_PASSWORD":"§","POSTGRES_USER":"app"}')
    yield one("password", f.password(), "login failed user=bob password=§ ip=10.0.0.4")
    yield one("password", f.password(), "spring.datasource.password: §")
    yield one("password", f.password(), "{'user': 'bob', 'password': '§'}")
    yield one("password", f.password(), r'body="{\"user\":\"bob\",\"password\":\"§\"}"')
    yield one("password", f.password(), r'"message":"{\\\"pwd\\\":\\\"§\\\"}"')
    yield one("password", f.password(), "<user>bob</user><password>§</password>")
    yield one("password", f.password(), '<property name="connection.password" value="§"/>')
    yield one("password", f.password(), '- {"name": "SMTP_PASSWORD", "value": "§"}')
    yield one("password", f.password(), "Your temporary password is §")
    yield one("password", f.password(), ":password => '§', :host => 'db'")
    yield one("password", "hunterwood", "ftp login: user=bob, passwd=§, mode=passive")
    yield one("password", f.password(), "machine api.example.com login bob password §")
    yield one("password", f.password(), "비밀번호: §")
    yield one("password", f.alnum(22), "export PGPASSWORD=§; psql -h db")
    yield one("sql", f.password(), "CREATE USER 'app'@'%' IDENTIFIED BY '§';")
    yield one("sql", f.password(), "ALTER ROLE app WITH LOGIN PASSWORD '§' VALID UNTIL 'infinity'")
    yield one("sql", f.password(), "SET PASSWORD FOR 'root'@'localhost' = PASSWORD('§')")
    yield one(
        "dsn", f.password().replace(";", "x"), "Server=tcp:sql1,1433;Database=app;User Id=sa;Password=§;Encrypt=True;"
    )
    yield one("dsn", f.alnum(14), "Driver={ODBC Driver 17};Server=x;UID=sa;PWD=§")
    yield one("dsn", f.alnum(14), "jdbc:sqlserver://h:1433;databaseName=d;user=u;password=§;encrypt=true")
    yield one("dsn", f.alnum(14), "jdbc:mysql://h:3306/d?user=u&password=§&useSSL=false")
    yield one("dsn", f.alnum(14), "jdbc:oracle:thin:scott/§@//dbhost:1521/ORCL")
    yield one("dsn", f.alnum(14), "dsn: app:§@tcp(10.0.0.3:3306)/orders?parseTime=true")
    yield one(
        "dsn",
        f.base64(64),
        "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=§;EndpointSuffix=core.windows.net",
    )
    yield one(
        "dsn", f.base64(32), "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=§"
    )
    yield one(
        "signature",
        quote(f.base64(32), safe=""),
        "GET https://acme.blob.core.windows.net/c/b.zip?sv=2022-11-02&sr=b&sig=§ 403",
    )
    yield one("signature", f.hex(64), "https://b.s3.amazonaws.com/k?X-Amz-Date=20240504T101112Z&X-Amz-Signature=§")
    yield one("signature", f.hex(256), "https://storage.googleapis.com/b/o?X-Goog-Expires=900&X-Goog-Signature=§&a=1")
    yield one("named", f.of(_BASE64, 40), "aws_secret_access_key = §")
    yield one("named", f.of(_BASE64, 40), '"SecretAccessKey": "§",')
    yield one("named", f.hex(32), "api_key=§ region=eu")
    yield one("named", f.alnum(32), '{"clientSecret":"§"}')
    yield one("named", f.alnum(40), "REFRESH_TOKEN: §")
    yield one("named", f.uuid(), "HEROKU_API_KEY=§")
    yield one("named", f.hex(64), "SECRET_KEY_BASE=§")
    yield one("named", f.alnum(30), "access_token=§&token_type=bearer&expires_in=3600")
    yield one("named", f.base64(24), "//npm.pkg.example/:_authToken=§")
    yield one("named", f.base64(33), '{"auths":{"registry.example.com":{"auth":"§"}}}')
    yield one("named", f.hex(32), "DD_API_KEY=§ DD_SITE=datadoghq.eu")
    yield one("named", f.alnum(24), "kubectl create secret generic app --from-literal=dbpass=§")
    yield one(
        "webhook",
        f"T{f.of(_UPPER, 8)}/B{f.of(_UPPER, 8)}/{f.alnum(24)}",
        "posting to https://hooks.slack.com/services/§",
    )
    yield one(
        "webhook", f"{f.of('0123456789', 18)}/{f.of(_URLSAFE, 68)}", "POST https://discord.com/api/webhooks/§ 429"
    )
    yield one("hash", "$2b$12$" + f.of(_ALNUM + "./", 53), "user bob hash § loaded")
    yield one("hash", "$6$" + f.alnum(8) + "$" + f.of(_ALNUM + "./", 86), "root:§:19000:0:99999:7:::")
    for label in ("RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY"):
        block = f.pem(label)
        yield Sample("context", "pem", "\n".join(block), tuple(block[1:-1]))
    block = f.pem()
    yield Sample("context", "pem-cut", "\n".join([*block[:-3], "2024-05-04 10:00:00 INFO started"]), tuple(block[1:-3]))
    block = f.pem("PRIVATE KEY")
    yield Sample("context", "pem-json", json.dumps({"private_key": "\n".join(block)}), tuple(block[1:-1]))
    block = f.pem("PRIVATE KEY")
    yield Sample(
        "context",
        "pem-stamped",
        "\n".join(f"2024-05-04T10:00:0{i}Z stdout F {row}" for i, row in enumerate(block)),
        tuple(block[1:-1]),
    )
    block = f.pem()
    yield Sample("context", "pem-flat", "KEY=" + " ".join(block), tuple(block[1:-1]))


def evasions(f: Fakes) -> Iterator[Sample]:
    """Secrets that something takes apart, wraps or spells otherwise."""

    def one(kind: str, secret: str, text: str) -> Sample:
        return Sample("evasion", kind, text, (secret,))

    def github() -> str:
        return TOKENS["github"](f)

    secret = github()
    yield one("zero-width", secret[20:], f"using {secret[:20]}\u200b{secret[20:]}")
    secret = github()
    yield one("zero-width-shown", secret[20:], f"using {secret[:20]}\\u{{200b}}{secret[20:]}")
    secret = f.password()
    yield one("soft-hyphen", secret, f"pass\u00adword={secret}")
    secret = f.password()
    yield one("full-width", secret, f"password\uff1d{secret}")
    secret = github()
    wide = "".join(chr(ord(character) + 0xFEE0) for character in secret)
    yield one("full-width-token", wide, f"using {wide}")
    secret = f.alnum(20)
    yield one("percent", secret, f"redirect=/cb%3Fpassword%3D{secret}%26x%3D1")
    secret = github()
    yield one(
        "percent-token",
        quote(secret.replace("_", "%5F"), safe="%"),
        f"q={secret.replace('_', '%5F')}".replace("%", "%"),
    )
    secret = f.alnum(20)
    yield one("unicode-escape", secret, f'"query":"password\\u003d{secret}\\u0026x=1"')
    secret = f.alnum(20)
    yield one("unicode-quote", secret, f"\\u0022password\\u0022:\\u0022{secret}\\u0022")
    secret = f.alnum(20)
    yield one("entity", secret, f"&quot;password&quot;:&quot;{secret}&quot;")
    blob = base64.b64encode(f"export DB_PASSWORD={f.alnum(20)}".encode()).decode()
    yield one("base64", blob, f"user-data: {blob}")
    blob = base64.b64encode(json.dumps({"token": github()}).encode()).decode()
    yield one("base64-json", blob, f"payload={blob}")
    blob = base64.b64encode("\n".join(f.pem()).encode()).decode()
    yield one("base64-pem", blob, f"    tls.key: {blob}")
    blob = base64.b64encode(f"https://bob:{f.alnum(16)}@host.example/x".encode()).decode()
    yield one("base64-url", blob, f"encoded {blob} done")
    secret = f.password()
    yield one("colour", secret, f"\x1b[36mpassword\x1b[0m=\x1b[35m{secret}\x1b[0m user=bob")
    secret = github()
    yield one("colour-inside", secret[8:], f"token: \x1b[31m{secret[:8]}\x1b[0m{secret[8:]}")
    secret = github()
    yield one("glued", secret, f"x{secret}")
    secret = github()
    yield one("bracketed", secret, f"[{secret}]({secret})")
    secret = f.password()
    yield one("mixed-case", secret, f"PaSsWoRd={secret}")
    secret = f.password()
    yield one("spaced", secret, f"password   :    {secret}")
    secret = TOKENS["aws-access-key"](f)
    yield one("underscore", secret, f"key=<{secret}>,next")
    secret = f.alnum(24)
    yield one("nested-json", secret, json.dumps({"a": json.dumps({"b": json.dumps({"api_key": secret})})}))


def personal(f: Fakes) -> Iterator[Sample]:
    """Personal data that is masked by default."""

    def card(prefix: str, size: int) -> str:
        digits = prefix + f.of("0123456789", size - len(prefix) - 1)
        for last in "0123456789":
            values = [int(c) * (1 + place % 2) for place, c in enumerate(reversed(digits + last))]
            if sum(value - 9 if value > 9 else value for value in values) % 10 == 0:
                return digits + last
        raise AssertionError

    def resident(birth: str, kind: str) -> str:
        digits = birth + kind + f.of("0123456789", 5)
        total = sum(int(c) * w for c, w in zip(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=True))
        return f"{birth}-{kind}{digits[7:]}{(11 - total % 11) % 10}"

    for address in ("jane.doe@example.com", "x+y@mail.example.co.kr", "bob_1@sub.example.org", "A.B@EXAMPLE.NET"):
        yield Sample("personal", "email", f"mail to <{address}> bounced", (address,))
        yield Sample("personal", "email", f'{{"user":"{address}","id":7}}', (address,))
    for prefix, size in (("4", 16), ("53", 16), ("37", 15), ("6011", 16), ("2221", 16)):
        number = card(prefix, size)
        yield Sample("personal", "card", f"charge card {number} failed", (number,))
    number = card("4", 16)
    spaced = " ".join(number[at : at + 4] for at in range(0, 16, 4))
    yield Sample("personal", "card", f"pan={spaced} exp=12/27", (spaced,))
    yield Sample("personal", "card", f'"pan":"{spaced.replace(" ", "-")}"', (spaced.replace(" ", "-"),))
    for birth, sex in (("900101", "1"), ("850317", "2"), ("010203", "3")):
        number = resident(birth, sex)
        yield Sample("personal", "resident", f"주민등록번호 {number} 확인", (number,))


def lookalikes(f: Fakes) -> Iterator[Sample]:
    """Lines that have nothing to hide."""
    texts = [
        *(f"commit {f.hex(40)}" for _ in range(3)),
        *(f"trace_id={f.hex(32)} span_id={f.hex(16)}" for _ in range(3)),
        *(f"request_id={f.uuid()} path=/api/v1/users status=200" for _ in range(3)),
        *(f"Digest: sha256:{f.hex(64)}" for _ in range(2)),
        *(f'"integrity": "sha512-{f.base64(64)}"' for _ in range(3)),
        *(f"integrity sha1-{f.base64(20)}" for _ in range(2)),
        *(f"ghcr.io/acme/app@sha256:{f.hex(64)}" for _ in range(2)),
        f'ETag: "{f.hex(32)}"',
        f"md5sum {f.hex(32)}  file.tar.gz",
        f"key fingerprint is SHA256:{f.base64(32).rstrip('=')}",
        f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{f.of(_BASE64, 43)} bob@host",
        f"Restored from cache key: Linux-node-{f.hex(64)}",
        f"cache-key: v1-npm-deps-{f.hex(40)}",
        f"Pulling layer {f.hex(12)}: Pull complete",
        f"pod/checkout-{f.hex(10)}-{f.of(string.ascii_lowercase, 5)} started",
        f"session id {f.uuid()} opened",
        f"correlationId: {f.uuid()}",
        f"goroutine 17 [running]: main.main() /app/main.go:23 +0x{f.hex(4)}",
        f"resource arn:aws:iam::123456789012:role/deploy-{f.hex(6)}",
        f"Build id {f.hex(20)}, revision {f.hex(7)}",
        f"blockId blk_-{f.of('123456789', 19)} terminating",
        f"duration_ns={1_700_000_000_000_000_000 + f.random.randrange(10**9)}",
        f"epoch ms {1_700_000_000_000 + f.random.randrange(10**9)} offset 42",
        f"order {f.of('123456789', 16)}0 shipped",
        f"sourceMappingURL=data:application/json;base64,{f.base64(60)}",
        f"-----BEGIN CERTIFICATE-----\n{f.base64(48)}\n{f.base64(48)}\n-----END CERTIFICATE-----",
        f"-----BEGIN PUBLIC KEY-----\n{f.base64(48)}\n-----END PUBLIC KEY-----",
        f"0x{f.hex(40)} transferred 3 wei",
        "GITHUB_TOKEN: ***",
        "  token: ***",
        "password=***",
        "password=[secure]",
        "DOCKER_PASSWORD=[secure] CODECOV_TOKEN=[secure]",
        "password=[REDACTED:password:ab12]",
        "Authorization: Bearer ***",
        "Authorization: [REDACTED]",
        "https://user:***@example.com/repo.git",
        "password: ${DB_PASSWORD}",
        "password: {{ .Values.password }}",
        "api_key = $API_KEY",
        "password=%s user=%s",
        "password = <your password here>",
        "SECRET_KEY=xxxxxxxxxxxxxxxx",
        "SyntaxError: Unexpected token '}' in JSON at position 17",
        "SyntaxError: Unexpected token < in JSON at position 0",
        "syntax error near unexpected token `newline'",
        "error: expected one of `,` or `}`, found token `fn`",
        "tokens: 512, max_tokens=4096, prompt tokens 812",
        "Invalid token: signature has expired",
        "Failed password for root from 10.1.2.3 port 22 ssh2",
        "Failed password for invalid user admin1 from 10.1.2.3 port 5022 ssh2",
        "Accepted password for bob from 192.168.1.4 port 51122 ssh2",
        "ERROR 1045 (28000): Access denied for user 'root'@'localhost' (using password: YES)",
        'FATAL: password authentication failed for user "app"',
        "password must be at least 8 characters long",
        "password: must contain 1 digit",
        "Enter password: ",
        "Password: incorrect, try again",
        "password is required",
        'secret "default-token-x7k2p" not found',
        'MountVolume.SetUp failed for volume "certs" : secret "web-tls-v2" not found',
        "secretName: my-app-tls-2",
        "--with-passprompt=[sudo] password",
        "PASS: test_login (0.12s)",
        "pass: 12, fail: 0, skip: 3",
        "pass=128 fail=2",
        "12 passing, 1 failing",
        "auth: user bob logged in",
        "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh",
        "input_userauth_request: invalid user test9 [preauth]",
        "auth_type=oauth2 grant_type=client_credentials",
        "author: Jane Doe, authors: 3",
        "token_type: bearer, expires_in: 3600",
        "nextPageToken=CAUQAA-2024 pageSize=50",
        "next_token: eyXl2Zz19ab77",
        "signature: (self: Foo, other: Bar) -> bool",
        "def login(self, password: str, token: Optional[str] = None) -> bool:",
        "password = getpass.getpass()",
        "password = config.get('password')",
        "const token = await getToken(user);",
        "this.token = token;",
        "wtoken = AppWindowToken{9f4ef63 token=Token{a64f992 ActivityRecord{d8}}}",
        "token: android.os.BinderProxy@2bd79ce",
        "Session 0x14ed93111f20027 for server null, unexpected error",
        "sessionid = 0x14f05578bd80011, negotiated timeout = 10000",
        "XDG_SESSION_ID=2",
        "New session 118 of user root.",
        "session.cookie_lifetime => 0 => 0",
        "session.name => PHPSESSID => PHPSESSID",
        "cookies: disabled",
        "Setting cookie policy to strict",
        "PWD=/home/travis/build/acme/app",
        "OLDPWD=/tmp PWD:/mnt",
        "password_file=/run/secrets/db_password",
        "POSTGRES_PASSWORD_FILE: /run/secrets/pg",
        "private_key_path: /etc/ssl/private/server.key",
        "ssh -i ~/.ssh/id_rsa bob@host uptime",
        "docker run -u 1000:1000 -p 8080:80 nginx:1.25",
        "docker run --user node:node -it app",
        "chown -R www-data:www-data /srv",
        "git clone git@github.com:acme/app.git",
        "remote: https://github.com/acme/app.git",
        "Fetching ssh://git@gitlab.example.com:2222/a/b.git",
        "GET http://localhost:8080/health 200",
        "proxy http://10.0.0.1:3128 for host example.com",
        "image: registry.example.com:5000/team/app:1.2.3",
        "npm install @babel/core@7.24.0 left-pad@1.3.0",
        "uses: actions/checkout@v4",
        "Downloading icon@2x.png",
        "Started user@1000.service",
        "at Object.<anonymous> (/app/node_modules/foo@1.2.3/index.js:10:5)",
        "java.lang.Object@1a2b3c4d",
        "at com.example.Foo$Bar$$Lambda$14/0x00000008000b2c40.run(Unknown Source)",
        "org.apache.spark.Foo$1$$anonfun$apply$1.apply(Bar.scala:12)",
        '10.0.0.1 - - [04/May/2024:10:11:12 +0000] "GET /a?b=c&d=e HTTP/1.1" 200 512',
        "2001:db8::8a2e:370:7334 connected, mac 00:1b:44:11:3a:b7",
        "user_id=42 key=value foo=bar sort_key=name",
        "primary key violation: Key (id)=(42) already exists",
        "KeyError: 'password'",
        "KeyError: 'api_key'",
        "missing required field: token",
        "AttributeError: 'NoneType' object has no attribute 'token'",
        "expected api key, got null",
        "Secret: not set",
        "Using basic authentication with realm x",
        "Bearer authentication is not enabled",
        'WWW-Authenticate: Bearer realm="https://auth.docker.io/token",service="registry.docker.io"',
        "openssl s_client -connect example.com:443",
        "version 1.2.3-rc.4+build.567 released",
        "curl -u $USER:$PASS https://example.com",
        "test_password_reset PASSED [ 50%]",
        "tests/test_token.py::test_refresh_token[case-1] PASSED",
        "Compiling secrets v0.3.1 (/src/crates/secrets)",
        "Collecting python-jose[cryptography]==3.3.0",
        "setting up key=1 partition=7 offset=1234567890123",
        "api-key header is missing",
        "X-Api-Key header: required",
        "invalid signature: expected 64 bytes",
        "rabbit_password: 2 unresolved calls, 1 warning",
        "pin 13 set to HIGH",
        "code: 500, code=ECONNREFUSED",
        "error code=0x80070005",
        "hash: 1a79a4d6",
        "salt-minion is running",
        "sid 17 gid 20",
        "Deployment key rotated",
        "gpg: key 4AEE18F83AFDEB23 imported",
        "gpg: Signature made Sat 04 May 2024 using RSA key 4AEE18F83AFDEB23",
        "ssl_certificate_key /etc/nginx/tls/tls.key;",
        "mysql -h db -P 3306 -u root",
        "[Pipeline] withCredentials",
        "Masking supported pattern matches of $DOCKER_PASSWORD",
        "credentials: include",
        "비밀번호가 일치하지 않습니다",
        "주민등록번호 형식이 올바르지 않습니다: 991332-1234567",
        "card number 4111 1111 1111 1112 is not valid",
        "progress 41%2Fdone 20%20left",
        "x-amz-request-id: 7A1B2C3D4E5F6071",
    ]
    for text in texts:
        yield Sample("look-alike", "look-alike", text)


def corpus(seed: int) -> list[Sample]:
    fakes = Fakes(seed)
    return [sample for part in (tokens, contexts, evasions, personal, lookalikes) for sample in part(fakes)]
