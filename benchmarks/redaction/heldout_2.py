"""Two more lists, each of forms that the rules of the time had not been written for.

The third was written before the rules were looked at, and scored 80.3 % of its secrets and 98.4 % of its look-alikes
when it was run for the first time. The rules were widened after it; then the fourth was written, and scored 72.1 % and
95.2 %: the figures to expect of uncommon programs. Both lists prefer what is odd to what is frequent.
"""

import base64
import string
from collections.abc import Iterator
from urllib.parse import quote

from corpus import Fakes, Sample
from heldout import samples

_ALNUM = string.ascii_letters + string.digits
_LOWER = string.ascii_lowercase
_DIGITS = string.digits
_URLSAFE = _ALNUM + "-_"
_BASE32 = string.ascii_uppercase + "234567"
_CRYPT = _ALNUM + "./"


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _third_secrets(f: Fakes) -> Iterator[tuple[str, str]]:
    """A secret, and a line of log with `§` in its place."""
    # Shell traces and command lines
    yield f.password(), "+ export PGPASSWORD='§'"
    yield f.alnum(16), "++ MYSQL_PWD=§"
    yield f.alnum(24), "+ docker run -d --name db -e POSTGRES_PASSWORD=§ -p 5432:5432 postgres:16"
    yield f.alnum(18), "+ mysql -h db.internal -u root -p§ shop"
    yield f.alnum(18), "+ mysqldump --user=backup --password=§ --single-transaction shop"
    yield f.alnum(20), "+ sshpass -p § ssh -o StrictHostKeyChecking=no deploy@10.1.2.3 uptime"
    yield f.alnum(20), "+ redis-cli -h cache -a § ping"
    yield f.alnum(22), "+ curl -sS -u ci-bot:§ https://nexus.example.com/repository/raw/x.tgz"
    yield f.alnum(40), "+ curl -H 'X-Vault-Token: §' http://vault:8200/v1/sys/health"
    yield (
        f.alnum(32),
        "+ curl -X POST -d 'client_id=web&client_secret=§&grant_type=client_credentials' https://idp/token",
    )
    yield f.alnum(20), "+ openssl enc -d -aes-256-cbc -in x.enc -out x -k §"
    yield f.alnum(20), "+ openssl pkcs12 -export -in c.pem -inkey k.pem -out k.p12 -passout pass:§"
    yield f.alnum(14), "+ keytool -importkeystore -srcstorepass § -destkeystore out.jks"
    yield f.alnum(14), "+ jarsigner -storepass § -keypass x app.jar release"
    yield f.alnum(16), "+ zip -P § -r out.zip data"
    yield f.alnum(16), "+ gpg --batch --passphrase § -d dump.sql.gpg"
    yield f.alnum(20), "+ ldapsearch -x -D cn=admin,dc=ex,dc=com -w § -b dc=ex,dc=com"
    yield f.alnum(20), "+ az login --service-principal -u app-id -p § --tenant t-1"
    yield f.alnum(26), "+ helm registry login -u robot -p § registry.example.com"
    yield f.alnum(16), "Executing: net user backup § /add"
    yield f.alnum(20), "PS C:\\> New-LocalUser -Name svc -Password (ConvertTo-SecureString '§' -AsPlainText -Force)"
    yield f.alnum(18), 'Invoke-Command failed: sqlcmd -S db01 -U sa -P § -Q "select 1"'
    yield f.alnum(18), "cmdkey /add:server01 /user:svc /pass:§"
    yield f.alnum(18), "schtasks /create /tn job /ru SYSTEM\\svc /rp § /tr run.bat"
    yield f.alnum(20), "ProcessStart: psexec \\\\host -u svc -p § cmd /c dir"
    yield f.password(), "+ echo 'root:§' | chpasswd"
    yield f.alnum(36), "+ gh auth login --with-token <<< §"
    yield f.alnum(24), "+ export VAULT_UNSEAL_KEY=§"
    # Orchestration, provisioning
    yield _b64(f.password()), "apiVersion: v1\nkind: Secret\ndata:\n  password: §"
    yield f.alnum(24), '  + environment = { "DB_PASSWORD" = "§" }'
    yield f.alnum(24), '      ~ master_password = "old" -> "§"'
    yield (
        f.alnum(18),
        'changed: [web1] => {"changed": true, "invocation": {"module_args": {"login_password": "§", "name": "app"}}}',
    )
    yield f.alnum(18), 'ok: [db1] => {"msg": "root password is §"}'
    yield f.alnum(44), "      AZURE_STORAGE_KEY:  §"
    yield f.alnum(20), "  Environment:\n      REDIS_AUTH:   §\n      PORT:  8080"
    yield f.alnum(32), "docker-compose config: services.api.environment.JWT_SIGNING_KEY: §"
    yield f.alnum(64), "K10§".replace("K10", "node-token: K10") + "::server:abc"
    yield f.alnum(22), 'level=debug msg="vault write" path=secret/data/db data="map[password:§ user:app]"'
    yield f.alnum(26), "Consul ACL bootstrap\nSecretID:         §"
    yield f.alnum(20), "[packer] ==> amazon-ebs: provisioning with winrm_password=§"
    yield "vault:v1:" + f.base64(40), "userdata: db_pass_plain=§"
    # Version control, package managers
    yield "glpat-" + f.of(_URLSAFE, 20), "origin\thttps://oauth2:§@gitlab.example.com/a/b.git (fetch)"
    yield (
        f.alnum(40),
        "fatal: unable to access 'https://bob:§@git.example.com/a/b.git/': The requested URL returned error: 403",
    )
    yield f.alnum(52), "remote.origin.url=https://§@dev.azure.com/org/proj/_git/repo"
    yield f.uuid(), "npm verb config //registry.example.com/:_authToken=§"
    yield _b64("bob:" + f.alnum(20)), "npm config: _auth = §"
    yield f.alnum(20), "Looking in indexes: https://svc:§@pypi.example.com/simple"
    yield "pypi-" + "AgEIcHlwaS5vcmc" + f.of(_URLSAFE, 80), "twine: password §"
    yield f.alnum(26), "FAILURE: Could not GET 'https://maven.example.com'. mavenPassword=§ is not accepted"
    yield f.alnum(20), "<server><id>nexus</id><username>ci</username><password>§</password></server>"
    yield f.alnum(30), "[DEBUG] gradle.properties: signing.password=§"
    yield f.alnum(43), "cargo:warning=CARGO_REGISTRY_TOKEN=§"
    yield f.alnum(46), "NuGet: setApiKey § -Source https://nuget.example.com/v3/index.json"
    yield f.alnum(24), "machine api.heroku.com login bob@example.com password §"
    yield f.hex(40), "composer: github-oauth.github.com = §"
    # Connection strings
    yield f.alnum(16), "Caused by: SQLException: jdbc:oracle:thin:scott/§@//db:1521/ORCL"
    yield f.alnum(16), "url=jdbc:sqlserver://db:1433;databaseName=shop;user=sa;password=§;encrypt=true"
    yield f.alnum(16), "Driver={ODBC Driver 18 for SQL Server};Server=tcp:db,1433;Uid=app;Pwd=§;Encrypt=yes;"
    yield f.alnum(16), "pika: connecting to amqps://svc:§@mq-1.example.com:5671/prod"
    yield f.alnum(16), "MongoServerSelectionError: mongodb+srv://app:§@cluster0.ab1cd.mongodb.net/?retryWrites=true"
    yield f.alnum(20), "redis://:§@cache.example.com:6379/0 refused"
    yield f.alnum(20), "smtp://mailer%40ex.com:§@smtp.example.com:587"
    yield f.alnum(20), "ldap bind: bindDN=cn=svc,dc=ex bindPassword=§"
    yield f.alnum(20), "mqtt: CONNECT client_id=dev1 username=dev1 password=§ keepalive=60"
    yield (
        f.alnum(16),
        "sqlalchemy.exc.OperationalError: could not connect: host=db port=5432 user=app password=§ dbname=shop",
    )
    yield f.alnum(16), "    engine = create_engine('postgresql+psycopg2://app:§@db/shop')"
    yield (
        f.alnum(64) + "==",
        "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=§;EndpointSuffix=core.windows.net",
    )
    yield f.alnum(43) + "=", "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=§"
    yield f.alnum(20), "snowflake://bob:§@acme-eu1/db/public?warehouse=wh"
    yield f.alnum(20), "cockroach start: postgres://root:§@localhost:26257/defaultdb?sslmode=require"
    yield f.hex(32), "DSN: https://§@o12345.ingest.sentry.io/67890"
    yield f.alnum(16), "ftp://upload:§@files.example.com/in/"
    yield f.alnum(16), "rtsp://admin:§@192.168.1.64:554/Streaming/Channels/101"
    yield f.alnum(16), 'Data Source=db;Initial Catalog=shop;User ID=app;Password="§";TrustServerCertificate=True'
    # Clouds
    yield (
        f.hex(64),
        "AWS4-HMAC-SHA256 Credential=AKID/20240504/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=§",
    )
    yield f.of(_ALNUM + "+/", 360), "X-Amz-Security-Token: §"
    yield f.of(_ALNUM + "+/", 40), "aws_secret_access_key = §"
    yield (
        f.of(_ALNUM + "+/", 40),
        'Credentials: {"AccessKeyId": "x", "SecretAccessKey": "§", "Expiration": "2024-05-04T10:00:00Z"}',
    )
    yield f.of(_ALNUM + "+/", 40), "botocore.credentials Found credentials: Credentials(access_key=x, secret_key=§)"
    yield "ya29." + f.of(_URLSAFE, 120), "google.auth: Making request: headers={'authorization': 'Bearer §'}"
    yield "1//0" + f.of(_URLSAFE, 60), "oauth2: refresh_token=§"
    yield "GOCSPX-" + f.of(_URLSAFE, 28), '"client_secret":"§","redirect_uris":["http://localhost"]'
    yield quote(f.base64(32), safe=""), "GET https://acme.blob.core.windows.net/c/b?sv=2022-11-02&ss=b&sp=r&sig=§"
    yield f.of(_URLSAFE + "~", 37), "AZURE_CLIENT_SECRET: §"
    yield f.hex(40), "doctl: DIGITALOCEAN_ACCESS_TOKEN=§"
    yield f.alnum(40), "cf_api_token=§ zone=example.com"
    yield f.hex(37), "X-Auth-Key: §"
    yield f.alnum(64), "hcloud: HCLOUD_TOKEN §"
    # OAuth, sessions, headers
    yield f.jwt(), "< set-cookie: access=§; Path=/; HttpOnly"
    yield f.alnum(43), "> Authorization: Bearer §"
    yield _b64("admin:" + f.password()), "DEBUG urllib3 send: header Authorization: Basic §"
    yield f.alnum(32), "Cookie: _ga=GA1.2.3; PHPSESSID=§; lang=en"
    yield f.alnum(44), "Set-Cookie: connect.sid=s%3A§; Path=/"
    yield f.alnum(40), 'token response: {"token_type":"bearer","access_token":"§","expires_in":3599}'
    yield f.alnum(40), "callback /oauth/cb?code=§&state=xyz"
    yield f.alnum(43), "pkce code_verifier=§"
    yield f.alnum(64), "X-CSRF-Token: §"
    yield f.hex(64), "x-hub-signature-256: sha256=§"
    yield _b64(f.alnum(200)), '<input type="hidden" name="SAMLResponse" value="§"/>'
    yield f.hex(40), "proxy-authorization: Token §"
    yield f.alnum(40), "headers: [['x-api-key', '§'], ['accept', '*/*']]"
    yield f.alnum(40), "{'User-Agent': 'curl', 'X-Auth-Token': '§'}"
    yield f.alnum(40), 'grpc metadata: authorization="Bearer §" te="trailers"'
    yield f.alnum(40), "Sec-WebSocket-Protocol: bearer, §"
    yield f.hex(32), 'Digest username="bob", realm="r", nonce="n", uri="/", response="§"'
    yield f.jwt(), "ws://gw.example.com/socket?access_token=§"
    # Webhooks, chat, mail
    yield (
        f.alnum(24),
        "POST https://hooks.slack.com/services/" + "T0" + f.alnum(8).upper() + "/B0" + f.alnum(8).upper() + "/§ 200",
    )
    yield f.of(_URLSAFE, 68), "https://discord.com/api/webhooks/" + f.of(_DIGITS, 18) + "/§ returned 204"
    yield (
        f.hex(32),
        "https://acme.webhook.office.com/webhookb2/" + f.uuid() + "@" + f.uuid() + "/IncomingWebhook/§/" + f.uuid(),
    )
    yield f.of(_URLSAFE, 35), "https://api.telegram.org/bot" + f.of("123456789", 10) + ":AA§/sendMessage"
    yield f.alnum(43), "reset link sent: https://app.example.com/reset-password?token=§"
    yield f.of(_URLSAFE, 60), "invite: https://app.example.com/invite/accept?invitation_token=§"
    yield f.alnum(32), "unsubscribe https://mail.example.com/magic-link?t=§&email=bob"
    # Keys, hashes
    yield f.jwt(), "token:      §"
    yield f.base64(120), '"private_key":"-----BEGIN ' + 'PRIVATE KEY-----\\n§\\n-----END PRIVATE KEY-----\\n"'
    yield f.base64(90), "ssh_key: -----BEGIN OPENSSH " + "PRIVATE KEY----- § -----END OPENSSH PRIVATE KEY-----"
    yield f.base64(48), "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----\n\n§\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----"
    yield f.of(_CRYPT, 86), "root:$6$" + "saltsalt$§:19800:0:99999:7:::"
    yield f.of(_CRYPT, 53), "UPDATE users SET password='$2b$12$" + "§' WHERE id=7"
    yield f.of(_CRYPT, 22), "bob:$apr1$" + "abcdefgh$§"
    yield f.base64(32).rstrip("="), "pwd hash $argon2id$v=19$m=65536,t=3,p=4$" + "c29tZXNhbHQ$§"
    yield f.base64(32), "pbkdf2_sha256$600000$" + "saltSALT1234$§"
    yield f.of(_BASE32, 32), "otpauth://totp/Acme:bob?secret=§&issuer=Acme"
    yield f.of(_BASE32, 16), "2FA seed: §"
    yield f.of(_BASE32, 32), "totp_secret=§"
    yield "-".join(f.of(_LOWER, 4) for _ in range(3)), "backup_code: §"
    yield f.hex(64), "encryption_key=0x§"
    yield f.hex(64), "Loaded AES key (hex): §"
    yield f.hex(128), '"privkey": "§"'
    yield (
        "xprv"
        + "9s21ZrQH143K"
        + f.of(_ALNUM.replace("0", "a").replace("O", "b").replace("I", "c").replace("l", "d"), 99),
        "wallet: §",
    )
    yield "candy maple cake sugar pudding cream honey rich smooth crumble sweet treat", "seed phrase: §"
    yield "AGE-SECRET-KEY-1" + f.of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58), "sops: using §"
    # Frameworks, configuration dumps
    yield f.alnum(50), "DJANGO_SECRET_KEY='§'"
    yield f.hex(128), "secret_key_base: §"
    yield f.base64(32), "config/app.php: 'key' => 'base64:§'"
    yield f.alnum(24), "spring.datasource.password: §"
    yield f.alnum(24), "spring.security.oauth2.client.registration.google.client-secret = §"
    yield f.alnum(24), "[smtp]\npass = §"
    yield f.alnum(24), 'connectionStrings: <add name="db" connectionString="Server=db;User=a;Password=§"/>'
    yield f.alnum(24), "flask.config SQLALCHEMY_DATABASE_URI=mysql+pymysql://app:§@db/shop?charset=utf8mb4"
    yield f.alnum(24), "{'HOST': 'db', 'NAME': 'shop', 'PASSWORD': '§', 'USER': 'app'}"
    yield f.alnum(24), ':database=>{:adapter=>"pg", :password=>"§"}'
    yield f.alnum(24), '{:password, "§"}, {:pool_size, 10}'
    yield f.alnum(24), "config = #Config<user=app passwd=§ host=db>"
    yield f.alnum(24), "WordPress: define( 'DB_PASSWORD', '§' );"
    yield f.alnum(64), "define('AUTH_KEY',         '§');"
    yield f.alnum(24), 'payload="{\\"auth\\":{\\"user\\":\\"bob\\",\\"pwd\\":\\"§\\"}}"'
    yield f.alnum(24), '{"log":"{\\\\\\"api_key\\\\\\":\\\\\\"§\\\\\\"}","stream":"stdout"}'
    yield f.alnum(24), "password%3D§%26user%3Dbob"
    yield f.alnum(24), "&quot;password&quot;:&quot;§&quot;"
    yield _b64('{"user":"bob","password":"' + f.alnum(24) + '"}'), "x-config: §"
    yield f.alnum(24), '<wsse:Password Type="PasswordText">§</wsse:Password>'
    yield f.alnum(24), '<property name="connection.password" value="§"/>'
    yield f.alnum(24), '<entry key="admin.password">§</entry>'
    yield f.alnum(24), "CREATE ROLE app LOGIN ENCRYPTED PASSWORD '§';"
    yield f.alnum(24), "ALTER LOGIN sa WITH PASSWORD = N'§';"
    yield f.alnum(24), "GRANT ALL ON *.* TO 'app'@'%' IDENTIFIED BY '§' WITH GRANT OPTION"
    yield f.alnum(24), "SET PASSWORD FOR 'bob'@'localhost' = PASSWORD('§')"
    yield f.alnum(24), "INSERT INTO users (name, password, active) VALUES ('bob', '§', true)"
    yield f.alnum(24), "CHANGE MASTER TO MASTER_HOST='db1', MASTER_USER='repl', MASTER_PASSWORD='§'"
    yield f.alnum(24), "DETAIL: parameters: $1 = 'bob', password = '§'"
    # Devices, protocols
    yield f.alnum(18), "snmp-server community § RW"
    yield f.alnum(18), "snmpwalk -v2c -c § 10.0.0.1 system"
    yield f.alnum(18), "wlan0: WPA: PSK=§"
    yield f.alnum(18), 'network={ ssid="home" psk="§" }'
    yield f.hex(14).upper(), "username admin privilege 15 password 7 §"
    yield f.alnum(18), "tacacs-server key §"
    yield f.alnum(18), 'radius: User-Password = "§"'
    yield f.alnum(18), "ipsec: pre-shared-key §"
    yield f.alnum(18), "SASL PLAIN: username=bob password=§"
    yield f.alnum(18), 'org.apache.kafka ScramLoginModule required username="app" password="§";'
    yield f.alnum(18), "POP3: > PASS §"
    yield _b64(f.password()), "imap < AUTHENTICATE LOGIN\nsmtp: > AUTH LOGIN Ym9i\nsmtp: < 334 UGFzc3dvcmQ6\nsmtp: > §"
    yield f.alnum(18), "PRIVMSG NickServ :IDENTIFY §"
    yield f.alnum(18), "initial admin password: §"
    yield f.alnum(18), "Created user admin with password §"
    yield f.alnum(18), "Your temporary credentials are admin / §"
    yield f.alnum(18), "Enter password:\n§"
    yield f.alnum(18), "login: admin\npassword: §"
    yield (
        f.hex(32),
        "*** Please use the following password to proceed to installation:\n\n§\n\nThis may also be found at: /var/x",
    )
    yield f.alnum(32), "licenseKey=§ edition=enterprise"
    yield f.hex(40), "NEW_RELIC_LICENSE_KEY: §NRAL"
    yield f.alnum(18), "user,password,role\nbob,§,admin"


_THIRD_LOOKALIKES = (
    # Identifiers of version control, images, traces
    "commit 3f2a9c1d5e7b8a6f4c2d1e0b9a8f7c6d5e4b3a21",
    "HEAD is now at 9fceb02 Fix token refresh in the password page",
    "Merge: 1a2b3c4 5d6e7f8",
    "index 83db48f..bf269f4 100644",
    "Digest: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "Pulled image registry.example.com/auth/token-service@sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "Status: Downloaded newer image for postgres:16.3-alpine3.20",
    "Container 4c01db0b339c8c9d2f5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c started",
    "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7",
    "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "X-Request-Id: 7b1f9e0c-4f0e-4d3b-9a58-2b6c1f5f7d10",
    "x-amz-request-id: 4442587FB7D0A2F9",
    "x-amz-id-2: vlR7PnpV2Ce81l0PRw6jlUpck7Jo5ZsQjryTjKlc5aLWGVHPZLj5NeC6qMa0emYBDXOo6QBU0Wo",
    "cf-ray: 7d9f1a2b3c4d5e6f-FRA",
    'ETag: W/"5d8c72a5edda8d6a-1f40"',
    'etag: "33a64df551425fcc55e4d42a148795d9f25f89d4"',
    '"integrity": "sha512-xvFZjo5PgG0A7Fzj2yK9sQv1y7Rk3m8Yb0qzJcTtEwHnUu6rLd2VfXpAaSoIiKeGZBhNMlCqWxOPRDs4T5v6w=="',
    "resolved https://packages.example.org/js-tokens/-/js-tokens-4.0.0.tgz#19203fb59991df98e3a287050d4647cdeaf32499",
    "    --hash=sha256:a2a3a1b6f0c2d2f8f1a4c5b6e7d8f9a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6",
    "h1:Xv5erBjTwe/5IxqUQTdXv5kgmIvbHo3QQyRwhJsOfJA=",
    "github.com/golang-jwt/jwt/v5 v5.2.1 h1:OuVbFODueb089Lh128TAcimifWaLhJwVflnrgM17wHk=",
    "build id 20240504.3 (buildId=9f8e7d6c5b4a)",
    "Build ID: gh-9876543210-attempt-2",
    "correlationId=CORR-2024-000123456789",
    "session_id=null user_id=42",
    "transaction id: 0xdeadbeefcafebabe",
    "MD5 (app.jar) = 9e107d9d372bb6826bd81d3542a419d6",
    "fingerprint SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU (ED25519)",
    "ssh-ed25519 key fingerprint is SHA256:Ab1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3a4b5",
    "RSA key ID 4AEE18F83AFDEB23",
    "serial number 04:5f:3a:2b:1c:0d:ee:ff",
    # Words of secrets, without one
    "secret not found: default/db-credentials",
    'secrets "db-password" not found',
    "Error: secret db-tls-2 is forbidden",
    "password reset page rendered in 12ms",
    "Password reset requested for account 4711",
    "password must contain at least 12 characters",
    "passwords do not match",
    'password authentication failed for user "app"',
    "Access denied for user 'app'@'10.0.0.5' (using password: YES)",
    "FATAL: no password supplied",
    "Failed password for invalid user admin from 203.0.113.5 port 51234 ssh2",
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.5",
    "sudo: a password is required",
    "token expired 32s ago",
    "Invalid token specified: missing part #2",
    "SyntaxError: Unexpected token } in JSON at position 123",
    "prompt_tokens=1532 completion_tokens=210 total_tokens=1742",
    "usage: {'input_tokens': 812, 'output_tokens': 96, 'cache_read_tokens': 0}",
    "max_tokens: 4096, temperature: 0.2",
    "tokenizer loaded vocab_size=50257",
    "token bucket refilled, 120 tokens left",
    "rate limit token=exhausted",
    "tokens_per_second=43.7",
    "csrf token missing or incorrect",
    "token_type=bearer expires_in=3600",
    "authentication: none",
    "auth_method=oidc",
    "Authorization header missing",
    "authorization=denied policy=read-only",
    'WWW-Authenticate: Bearer realm="api", error="invalid_token"',
    "www-authenticate: Basic realm=Restricted",
    "credential provider chain exhausted after 5 providers",
    "Credentials refreshed, valid until 2024-05-04T11:00:00Z",
    "api key is missing",
    "API key rotated by admin at 10:11:12",
    "apikey=null",
    "private key file /etc/ssl/private/server.key not readable",
    "public key algorithm: id-ecPublicKey",
    "ssl_certificate_key /etc/nginx/certs/tls.key;",
    "key_file=/var/lib/app/key.pem cert_file=/var/lib/app/cert.pem",
    "secretName: ingress-tls-prod",
    "secretKeyRef:\n  name: db-credentials\n  key: password",
    "valueFrom: secretKeyRef name=db key=url",
    "imagePullSecrets: [{name: regcred-eu1}]",
    "envFrom secretRef app-env-7f8d9",
    'MountVolume.SetUp failed for volume "kube-api-access-x7k2p" : failed to sync secret cache',
    "serviceAccountToken:\n  expirationSeconds: 3607",
    "tokenSecretName: sa-token-2kx9z",
    "passwordFile=/run/secrets/db_password",
    "POSTGRES_PASSWORD_FILE=/run/secrets/pg",
    "--password-file /etc/restic/pw",
    "password_policy=strong",
    "password.min.length=12",
    "passwordResetTimeout=3600",
    "show_password=false",
    "hide-password: true",
    "secret_rotation_days=30",
    "secretsmanager:GetSecretValue AccessDeniedException",
    "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-AbCdEf",
    "arn:aws:iam::123456789012:role/token-exchanger",
    "kms key arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "KeyError: 'password'",
    "KeyError: 'API_TOKEN_V2'",
    "AttributeError: 'NoneType' object has no attribute 'access_token'",
    "TypeError: login() missing 1 required positional argument: 'password'",
    "NameError: name 'SECRET_KEY' is not defined",
    "undefined method `password_digest=' for #<User:0x00007f8b1c2d3e4f>",
    "java.lang.IllegalArgumentException: secret length must be 256 bits",
    "java.security.InvalidKeyException: Illegal key size",
    "    at com.acme.auth.TokenService.refreshToken(TokenService.java:142)",
    "    at com.acme.security.PasswordEncoder$$Lambda$412/0x0000000800f3a440.apply(Unknown Source)",
    '  File "/app/auth/tokens.py", line 42, in verify_token',
    '    password = os.environ["DB_PASSWORD"]',
    "    token = request.headers.get('Authorization')",
    "    self.secret = secret_store.read(path)",
    "    if (user.password !== input.password) throw new AuthError('bad')",
    "    const apiKey = process.env.API_KEY;",
    "password: ${DB_PASSWORD}",
    "password: {{ .Values.db.password }}",
    "DB_PASSWORD=$(cat /run/secrets/db)",
    "password=********",
    "password=<redacted>",
    "Password: [FILTERED]",
    "token=***",
    '"password": "(sensitive value)"',
    "  + password             = (sensitive value)",
    "  + secret_arn           = (known after apply)",
    'Parameters: {"user"=>{"login"=>"bob", "password"=>"[FILTERED]"}}',
    "GET /api/v2/tokens/refresh 401 3ms",
    "GET /assets/password-strength-4f5c6d7e8f.js 200",
    "open /src/lexer/token_stream.rs: no such file",
    "compiling secrecy v0.8.0",
    "Collecting python-jose[cryptography]==3.3.0",
    "Installing secretstorage (3.3.3)",
    "npm WARN deprecated crypto-token@1.0.1",
    "token-service-6c9f7b5d4-zx8kq   0/1   CrashLoopBackOff   12   41m",
    "pod/password-sync-28475910-q7w5r created",
    "statefulset.apps/vault-agent-0 configured",
    "helm release vault-secrets-operator-0.5.1 deployed",
    "primary key (id) conflicts",
    'duplicate key value violates unique constraint "users_email_key"',
    "Duplicate entry 'order-2024-8812' for key 'orders.uk_ref'",
    "DETAIL: Key (order_ref)=(ORD-2024-99812) already exists.",
    "cache key=user:42:profile:v7 hit",
    "partition key: customer#88123 sort key: order#2024-05-04",
    "redis: SET sess:counter 42 EX 60",
    "hotkey=ctrl+shift+p",
    "foreign key constraint fk_orders_customer_2 failed",
    "pass=12 fail=0 skip=3",
    "--- PASS: TestTokenRefresh (0.02s)",
    "PASS src/auth/password.test.ts (5.123 s)",
    "passed=true passes=14",
    "pwd=/home/runner/work/app",
    "PWD=/srv/app OLDPWD=/srv",
    "compass heading=271",
    "pin 13 set to output",
    "pinned version openssl 3.0.13-1~deb12u1",
    "price=1499.00 currency=EUR sku=KB-2201-DE",
    "invoice INV-2024-004512 total 8812.40",
    "tracking number 1Z999AA10123456784",
    "order 4111-2024 shipped",
    "phone +49 30 901820",
    "timestamp=1714817472123456789",
    "memory address 0x7ffd5e8c9a40",
    "jdk-17.0.11+9 build 17.0.11+9-LTS-207",
    "go1.22.3 linux/amd64",
    "v1.2.3-rc.4+build.20240504.9fceb02",
    "Cookie banner accepted",
    "cookies: 0 set, 3 blocked",
    "session timeout=1800",
    "sessionAffinity: ClientIP",
    "signature verification failed: no matching key",
    "signed-off-by: Bob Example",
    "code=ECONNREFUSED errno=-111",
    "exit code: 137",
    "status_code=200 reason=OK",
    "state=RUNNING pid=4242",
    "nonce too low: next nonce 42, tx nonce 41",
    "salt-minion started, master: salt-1",
    "otp verification succeeded",
    "user=bob pass_count=3",
    "bearer token authentication enabled",
    "basic auth disabled",
    "LDAP bind failed: invalid credentials (49)",
    "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey]",
    "admin / operator roles loaded",
    "tar -k file.tar",
    "ls -k /tmp/build-2024",
    "grep -p pattern-12 file",
    "mkdir -p /opt/app/releases/20240504",
    "docker run -p 8080:80 -u 1000:1000 nginx:1.27",
    "rsync -avz -e ssh build/ web1:/srv/www",
    "cp -p source1 dest1",
    "id,name,amount\n42,widget-x7,19.90",
    "WSREP: State transfer 3f1f7f36-0a3d-11ef-8d6b-3a0f0c0d0e0f:1287 done",
    "gcc -O2 -DTOKEN_MAX=4096 -c lexer.c -o lexer.o",
    "x = tokens[i+1].value",
    "uploading layer 7f3c2b1a0d9e: 42.1MB/118MB",
    "sha1sum: 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12  data.bin",
    "inode=1048602 dev=fd00",
    "AWS_REGION=eu-central-1 AWS_PROFILE=prod-readonly",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
)


def third(seed: int) -> list[Sample]:
    """The third list."""
    return samples(seed + 3000, _third_secrets, _THIRD_LOOKALIKES)


def _fourth_secrets(f: Fakes) -> Iterator[tuple[str, str]]:
    """A secret, and a line of log with `§` in its place."""
    yield f.alnum(20), "INFO  o.f.core.internal.command.DbMigrate - flyway.password=§"
    yield f.alnum(22), "[liquibase] Executing with --username=app --password=§ --url=jdbc:h2:mem"
    yield f.alnum(18), 'pg_dump: executing "host=db user=app password=§ dbname=shop"'
    yield f.alnum(24), "rclone: config: pass = §"
    yield f.alnum(32), "restic: RESTIC_PASSWORD is §"
    yield f.hex(40), "drone: env[DRONE_RPC_SECRET]=§"
    yield f.alnum(30), "buildkit: --secret id=npmrc,value=§"
    yield f.alnum(36), 'kaniko: using docker config {"auths":{"r.io":{"auth":"§"}}}'
    yield f.alnum(25), "Setting environment variable STRIPE_WEBHOOK_SECRET to §"
    yield f.alnum(24), "vault kv put secret/app db_password=§"
    yield f.alnum(24), "aws ssm put-parameter --name /app/db --type SecureString --value §"
    yield f.alnum(40), "heroku config:set API_TOKEN=§ -a app"
    yield f.alnum(20), "mosquitto_pub -h broker -u dev -P § -t x -m y"
    yield f.alnum(20), "influx -username admin -password § -execute 'show databases'"
    yield f.alnum(20), "cqlsh 10.0.0.1 -u cassandra -p §"
    yield f.alnum(20), "clickhouse-client --user default --password § --query 'select 1'"
    yield f.alnum(20), "impacket: secretsdump.py corp/bob:§@10.0.0.3"
    yield f.alnum(20), "git clone https://bob:§@bitbucket.org/team/repo.git"
    yield f.alnum(44), "< X-Plex-Token: §"
    yield f.alnum(32), "GET /rest/ping?u=bob&t=" + f.hex(32) + "&s=x&apiKey=§ 200"
    yield f.alnum(27), "okta: Authorization: SSWS §"
    yield f.jwt(), 'keycloak refresh: {"refresh_token":"§"}'
    yield f.alnum(64), "RefreshToken[value=§, expires=3600]"
    yield f.alnum(40), "OAuth2AccessToken(tokenValue=§, scopes=[read])"
    yield f.alnum(32), "session cookie: laravel_session=§; expires=Sat, 04-May-2024 12:00:00 GMT"
    yield f.base64(32), 'ASP.NET machineKey validationKey="§"'
    yield f.hex(32), "unattend.xml: <AdministratorPassword><Value>§</Value></AdministratorPassword>"
    yield f.alnum(18), "hostapd: wpa_psk_passphrase '§'"
    yield f.alnum(18), "NetworkManager: <info> 802-11-wireless-security.psk:§"
    yield f.alnum(18), "openvpn: auth-user-pass credentials bob/§"
    yield f.alnum(18), 'freeradius: (0) User-Password := "§"'
    yield f.of(_BASE32, 26), "Scan the QR code or enter this secret: §"
    yield (
        "army van defense carry jealous true garbage claim echo media make crunch",
        "wallet restore words: §",
    )
    yield f.hex(64), "PRIVATE_KEY=§ npx hardhat deploy"
    yield f.base64(64), "wg0: peer preshared-key §"
    yield f.base64(32), "etcd encryption: aescbc keys[0].secret: §"
    yield f.alnum(30), "Celery broker: amqp://celery:**@mq// result: redis://:§@r:6379/1"
    yield f.alnum(24), "io.lettuce: RedisURI [host='r', port=6379, password='§']"
    yield f.alnum(24), "HikariConfig: password........................§"
    yield f.alnum(24), "Properties: {javax.persistence.jdbc.password=§, hibernate.dialect=x}"
    yield f.alnum(24), "ERROR 1396: CREATE USER 'x'@'%' IDENTIFIED WITH mysql_native_password BY '§'"
    yield f.alnum(24), "C:\\> set DB_PWD=§"
    yield f.alnum(24), "Please change the default password §  at first login"


_FOURTH_LOOKALIKES = (
    "Merge branch 'feature/token-rotation' of git.example.com:acme/app",
    "go: downloading github.com/hashicorp/vault/api v1.14.0",
    "sum: h1:oK1qk+1HqQ2y3qJbqJ3g8YwJm0d6kVZx1YQw1oQmX2E=",
    "PASS internal/token/token_test.go 12 tests",
    "ok  \tgithub.com/acme/auth/password\t0.412s",
    "Step 7/12 : RUN --mount=type=secret,id=npmrc npm ci",
    " ---> 8f1d3a5b7c9e",
    "#12 sha256:4abcf20661432fb2d719aaf90656f55c287f8ca915dc1c92ec14ff61e67fbaf8 3.41MB / 3.41MB 0.2s done",
    "layer already exists: a3ed95caeb02",
    "kube-system/coredns-76f75df574-9xq2m: Readiness probe failed",
    "pvc-0d3f8a62-7a51-4a4e-9f1c-1b6a2f0c9d11 bound",
    "lease kube-scheduler_5b1c7f0e acquired",
    'resourceVersion: "184467440" uid: 6f1b9a52-3c1e-4d5a-8f3d-0a9b8c7d6e5f',
    'Warning FailedMount secret "app-tls-2024" not found',
    "password must be changed in 14 days",
    "pam: password check failed for user (bob)",
    "The password you provided does not match our records",
    "login attempt 3/5",
    "Credentials provider: InstanceProfileCredentialsProvider",
    "auth: oauth2 flow=authorization_code pkce=S256",
    "scope=openid profile email state=active",
    "token refresh scheduled in 3540s",
    "max_new_tokens=512 top_p=0.95",
    "keys: 120312 expires: 9932 avg_ttl: 3600123",
    "key=orders-2024-05 partition=12 offset=99123",
    "apiVersion: external-secrets.io/v1beta1",
    "terraform: aws_secretsmanager_secret.db: Refreshing state... [id=arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-Xy12Zk]",
    "module.kms.aws_kms_key.this: Creation complete after 3s [id=9f2c1b7a-58d4-4f0e-8a47-3d7e1c2b4a90]",
    "X-Cache: Hit from cloudfront X-Amz-Cf-Id: kq1Yx2cT0aX4o8V9mJ3bS7dF6gH5jK4lZ3xC2vB1nM0qW9eR8tY7uA==",
    'ETag: "686897696a7c876b7e" Last-Modified: Sat, 04 May 2024',
    "msgid=<20240504101112.3F2A1B@mail.example.org> status=sent",
    "dkim=pass header.i=@example.com header.s=s1 header.b=Kx8Yd2aQ",
    "eslint no-hardcoded-credentials: 0 problems",
    "    at TokenStore.verify (/srv/app/node_modules/jsonwebtoken/verify.js:178:21)",
    "    password_field = forms.CharField(widget=PasswordInput)",
    "    final String token = tokens.nextToken();",
    "WARN deprecated option ssl_key_password_file",
    'java.lang.NullPointerException: Cannot invoke "Token.getValue()" because "token" is null',
    "Processing by PasswordsController#update as HTML",
    "compaction level=4 files=12 key_range=[user00012..user99871]",
    "license: Apache-2.0 key: apache-2.0",
    "gpg: key 4AEE18F83AFDEB23: public key imported",
)


def fourth(seed: int) -> list[Sample]:
    """The fourth list."""
    return samples(seed + 4000, _fourth_secrets, _FOURTH_LOOKALIKES)
