"""Samples that were written after the rules, of forms that the corpus does not have.

The first list scored 64.7 % of its secrets and 98.7 % of its look-alikes before the rules were widened after it; it is
kept because it is still apart from the corpus. The second list was written after that, and scored 87.9 % and 100 % when
it was run for the first time. Two later ones are in `heldout_2`.
"""

import base64
import string
from collections.abc import Callable, Iterator

from corpus import Fakes, Sample

_ALNUM = string.ascii_letters + string.digits


def _secrets(f: Fakes) -> Iterator[tuple[str, str]]:
    """A secret, and a line of log with `§` in its place."""
    yield f.uuid(), "Using generated security password: §"
    yield f.alnum(6) + ",dE_x" + f.of("!<>;", 1) + "k", "[Note] A temporary password is generated for root@localhost: §"
    yield f.alnum(20), "PASSWORD elastic = §"
    yield f.base64(33), "Unseal Key 1: §"
    yield (
        f.of(string.ascii_lowercase, 6) + "." + f.hex(16),
        "kubeadm join 10.0.0.1:6443 --token § --discovery-token-ca-cert-hash sha256:ab",
    )
    yield f"SWMTKN-1-{f.of(_ALNUM, 50).lower()}-{f.of(_ALNUM, 25).lower()}", "docker swarm join --token § 10.0.0.1:2377"
    yield f.uuid(), "SecretID:     §"
    yield f.base64(32), "APP_KEY=base64:§"
    yield "django-insecure-" + f.of(_ALNUM + "!@$%", 40), "SECRET_KEY = '§'"
    yield f.hex(32), "RAILS_MASTER_KEY=§ RAILS_ENV=production"
    yield f.hex(48), "    http://localhost:8888/?token=§"
    yield f.hex(48), "    http://127.0.0.1:8888/lab?token=§ :: /home/jovyan"
    yield f.hex(64), "loaded private key: 0x§ for signer"
    yield "legal winner thank year wave sausage worth useful legal winner thank yellow", 'mnemonic: "§"'
    yield f.password(), '  + password             = "§"'
    yield f.password(), '"ansible_become_pass": "§"'
    yield f.password(), "web1 ansible_host=10.0.0.1 ansible_ssh_pass=§"
    yield f.password(), '            "DB_PASS=§",'
    yield f.password(), 'Parameters: {"user"=>{"login"=>"bob", "password"=>"§"}, "commit"=>"Sign in"}'
    yield f.alnum(14), "loaded config &{Username:bob Password:§ Timeout:3s}"
    yield f.password().replace(",", "x"), "Config(user=bob, password=§, url=http://h/)"
    yield f.password(), "Config(user='bob', password='§', retries=3)"
    yield f.password(), 'Credentials { user: "bob", password: Some("§") }'
    yield f.password(), '["password"]=> string(14) "§"'
    yield base64.b64encode(b"\0bob\0" + f.password().encode()).decode(), "smtp > AUTH PLAIN §"
    yield f.alnum(14), "ftp ---> PASS §"
    yield f.alnum(14), 'redis 1714817472.1 [0 10.0.0.1:5] "AUTH" "§"'
    yield f.alnum(14), "CONFIG SET requirepass §"
    yield f.password().replace("&", "x").replace("+", "x"), "body: username=bob&password=§&remember=1"
    yield f.password(), 'query: mutation { login(user: \\"bob\\", password: \\"§\\") { id } }'
    yield f.password(), "userPassword: §"
    yield base64.b64encode(f.password().encode()).decode(), "userPassword:: §"
    yield f.alnum(16), "wpa_passphrase=§"
    yield f.base64(32), "PrivateKey = §"
    yield f.password(), "kubectl create secret docker-registry r --docker-username=bob --docker-password=§"
    yield f.password(), "helm upgrade app ./chart --set auth.password=§ --wait"
    yield (
        base64.b64encode(f"x-access-token:{f.alnum(40)}".encode()).decode(),
        "http.https://github.com/.extraheader AUTHORIZATION: basic §",
    )
    yield f.of(_ALNUM + "+/", 40), "<SecretAccessKey>§</SecretAccessKey>"
    yield f.alnum(11) + ":APA91b" + f.of(_ALNUM + "-_", 134), "Authorization: key=§"
    yield f.alnum(27), "cloudinary://123456789012345:§@acme"
    yield f.hex(32), "Ocp-Apim-Subscription-Key: §"
    yield f.hex(32), "x-algolia-api-key: §"
    yield f.hex(40), "Circle-Token: §"
    yield f.alnum(28), 'Authorization: OAuth oauth_consumer_key="k", oauth_token="t", oauth_signature="§"'
    yield f.hex(32).upper(), "GET /shop/cart;jsessionid=§?item=3 200"
    yield f.jwt(), "redirect https://app/cb#id_token=§&state=x"
    yield f.of("123456789", 6), "SMS to customer: Your verification code is §"
    yield f.of("123456789", 6), "인증번호 [§] 를 입력하세요"
    yield f.password(), "임시 비밀번호는 '§' 입니다"
    yield f.alnum(12), "Passwort: §"
    yield f.alnum(12), "mot de passe = §"
    yield f.password(), "| DB_PASSWORD | § |"
    yield f.password(), "default_pass = §"
    yield f.alnum(20), "RootPass: §"
    yield f.password(), '$env:DB_PASSWORD = "§"'
    yield f.password(), 'ConvertTo-SecureString "§" -AsPlainText -Force'
    yield f.password(), "xfreerdp /v:host /u:bob /p:§ /cert:ignore"
    yield f.password(), "net use Z: \\\\srv\\share /user:bob §"
    yield f.password(), "echo '§' | docker login -u bob --password-stdin"
    yield f.password(), "echo § | sudo -S systemctl restart app"
    yield f.password(), "smbclient //srv/share -U bob%§"
    yield f.password(), "password for user app is §"
    yield f.password(), "- name: DB_PASSWORD\n  value: §"
    yield f.base64(60), "Authorization: Negotiate §"
    yield f.base64(120), "POST /acs SAMLResponse=§"
    yield f.of(_ALNUM + "-_~", 86), "https://cdn.example.com/a.mp4?Expires=1714817472&Signature=§&Key-Pair-Id=K1"
    yield f.hex(24), "npm config set //packages.example.com/:_authToken §"
    yield f.password(), "spring.redis.password=§"
    yield f.password(), "the password was changed to §"
    yield f.alnum(24), "Loaded api key '§' from vault"
    yield f.alnum(32), "export STRIPE_WEBHOOK_SECRET=§"
    yield f.alnum(24), "x-goog-api-key: §"
    yield f.alnum(40), "FIREBASE_TOKEN §"
    yield f.alnum(32), "--header 'X-API-KEY: §'"
    yield f.hex(32), '{"key":"api_token","value":"§"}'
    yield f.hex(40), "sonar.login=§"
    yield f.alnum(20), "-Dhttp.proxyPassword=§ -Xmx2g"
    yield f.alnum(20), "-Djavax.net.ssl.keyStorePassword=§"
    yield f.alnum(20), "storePassword '§'"
    yield f.alnum(26), 'INSERT INTO users (name, password) VALUES ("bob", "§")'
    yield f.alnum(26), "UPDATE users SET password = '§' WHERE id = 7"
    yield f.hex(32), "amqp+ssl://user:§@mq.example.com:5671"
    yield f.alnum(22), "socks5://u:§@10.0.0.1:1080"
    yield f.alnum(22), "proxy=http://svc:§@proxy.corp:3128/"


_LOOKALIKES = (
    "password reset email sent to user 42",
    "Changing password for user deploy.",
    "passwordless sudo enabled: true",
    "password_policy: strong-v2",
    "password_reset_token_ttl=3600",
    "passwords do not match: field password2",
    "password.min-length=12",
    "password expires in 14 days",
    "PasswordAuthentication no",
    "bypass=yes compass: north",
    "token bucket refilled rate=100/s",
    "tokenizer: bert-base-uncased-v2",
    "TokenExpiredError: jwt expired at 2024-05-04T10:11:12Z",
    "jwt malformed",
    "secrets: 3 found",
    "secret/data/app/config read",
    "Secrets Manager endpoint https://secretsmanager.eu-west-1.amazonaws.com",
    "client_id=web-frontend-2 redirect_uri=https://app.example/cb",
    "api_key_id: 42",
    "apiKey: required string",
    "auth_provider=google-oauth2",
    "auth=none tls=1.3",
    "Authorization: none",
    "authorization: denied by policy allow-list-3",
    "authorization failed for user 7: role viewer2",
    "credentials: /home/bob/.aws/credentials",
    "session: started in 12ms",
    "session_timeout=3600s session.id=12",
    "signature: v4",
    "code=INVALID_ARGUMENT_17",
    "hash=#section-2",
    "key=user:1234:profile hit=true",
    "?key=name&sort=created_at&token=abc",
    "private key loaded from /etc/ssl/private/a1.key",
    "access key rotated 3 days ago",
    "access_key_id is missing",
    "public_key: ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQDf8s2kf93jf",
    "Cookie banner shown: variant-b",
    "cookie_domain=.example.com",
    "OTP service started on port 8081",
    "otp: enabled",
    "basic constraints: CA:FALSE",
    "Basic Latin U+0041",
    "bearer of bad news: build failed",
    "-p 8080:80 -v /data:/data --user 1001:1001",
    "test -p /tmp/fifo",
    'curl -u "$USER:$TOKEN" https://x',
    "https://example.com:8443/path@v2/file",
    "http://host/path?email=a%40b&x=1",
    "pip install git+https://github.com/acme/lib.git@v1.2.3",
    "mailto: link clicked",
    "foo@bar without domain",
    "systemd[1]: Started getty@tty1.service.",
    "gem rails@7.1.2",
    "container sha256~short",
    "s.connect(host)",
    "sk-learn 1.4.2 installed",
    "task-runner-abcdefghijklmnopqrstuvwxyz",
    "npm_config_cache=/root/.npm npm_lifecycle_event=test",
    "hf_transfer not installed",
    "ghp_ prefix is reserved",
    "xoxo from the team",
    "AKIA is the prefix of access keys",
    "-----BEGIN PRIVATE KEY----- expected, got EOF",
    "error parsing PEM: no PRIVATE KEY block",
    "eyJ is the start of base64 JSON",
    "Lorem base64: SGVsbG8gd29ybGQsIHRoaXMgaXMgYSBwbGFpbiB0ZXh0",
    "card ending 4242 declined",
    "id 4539 1488 0343 6460 3999",
    "900101-1234560 is not a valid number",
    "DEBUG lock key=0f8fad5b-d9cb-469f-a165-70867728950e acquired",
    "x-request-id: 0f8fad5b-d9cb-469f-a165-70867728950e",
    "sha1=2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
    "X-Hub-Signature-256: sha256=ok",
    "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
)


def _unseen_secrets(f: Fakes) -> Iterator[tuple[str, str]]:
    yield (
        f.password(),
        "2024-05-04 10:11:12,345 DEBUG c.a.Login - LoginRequest[username=bob, password=§, remember=true]",
    )
    yield f.password(), "ERROR: could not bind as cn=svc with password '§': invalid credentials"
    yield f.alnum(24), 'time=10:11 level=debug msg="refreshing" client_secret=§ grant=refresh_token'
    yield f.alnum(32), '{:api_key "§", :region "eu"}'
    yield f.alnum(32), '%{api_key: "§", region: "eu"}'
    yield f.password(), "$config['db']['password'] = '§';"
    yield f.password(), "set DB_PASSWORD=§&& run.bat"
    yield f.password(), "ENV MYSQL_ROOT_PASSWORD §"
    yield f.alnum(40), "ARG NPM_TOKEN=§"
    yield f.alnum(30), "--build-arg GITHUB_TOKEN=§ ."
    yield f.password(), "user: bob pass: §"
    yield f.alnum(12), "login: admin, pw: §"
    yield f.password(), '(user "bob" pass "§")'
    yield f.alnum(43), "connect ws://h/socket?vsn=2&auth_token=§"
    yield f.alnum(43), "https://hooks.example.com/in?api-key=§"
    yield f.hex(32), "https://api.example.com/weather?appid=§&q=Berlin"
    yield f.hex(40), "GET /v3/x?access_key=§&base=EUR"
    yield f.alnum(27), "https://u:§@pypi.example.com/simple/"
    yield f.password().replace("/", "x").replace("#", "x").replace("?", "x"), "ftp://bob:§@files.example.com/a.zip"
    yield f.alnum(20), "git clone https://oauth2:§@gitlab.example.com/a/b.git"
    yield f.jwt(), "Set-Cookie: access=§; Path=/; HttpOnly"
    yield f.jwt(), "ws handshake: Sec-WebSocket-Protocol: bearer, §"
    yield f.hex(64), "x-hub-secret: §"
    yield f.alnum(40), "X-Gitlab-Token: §"
    yield f.alnum(40), "x-access-token: §"
    yield f.alnum(40), "X-CSRF-Token: §"
    yield f.alnum(40), "Apikey §"
    yield f.hex(40), "authorization=Token%20§"
    yield f.alnum(30), "grpc metadata: map[authorization:[Bearer §] user-agent:[x]]"
    yield f.alnum(30), "headers: [('authorization', 'Bearer §'), ('accept', '*/*')]"
    yield f.alnum(30), "HTTP_AUTHORIZATION=Bearer §"
    yield f.password(), "sqlcmd -S db -U sa -P §"
    yield f.password(), "psql postgresql://app:§@/orders?host=/var/run"
    yield f.password(), "GRANT ALL ON d.* TO 'u'@'%' IDENTIFIED WITH mysql_native_password BY '§'"
    yield f.password(), "CREATE LOGIN app WITH PASSWORD = '§'"
    yield f.password(), "mongosh --username root --password § --authenticationDatabase admin"
    yield f.password(), "ansible-playbook site.yml -e 'db_password=§'"
    yield f.password(), "vault kv put secret/app password=§"
    yield f.alnum(24), "consul kv put app/secret_key §"
    yield f.base64(32), "encryption key: §"
    yield f.base64(48), "JWT_SECRET=§"
    yield f.hex(64), "session secret = '§'"
    yield f.hex(64), "HMAC key §"
    yield f.alnum(16), "Your one-time password: §"
    yield f.of("123456789", 6), "login code for bob@corp: otp=§"
    yield f.alnum(20), 'wifi psk="§"'
    yield f.alnum(20), "snmp auth passphrase §"
    yield f.alnum(24), "gpg --batch --passphrase § -d a.gpg"
    yield f.alnum(24), "openssl enc -aes-256-cbc -k § -in a"
    yield f.alnum(24), "openssl pkcs12 -in a.p12 -passin pass:§ -nodes"
    yield f.password(), "KeyStore password -> §"
    yield f.password(), "패스워드: §"
    yield f.alnum(20), "암호=§ 사용자=bob"
    yield f.alnum(28), "\tat login(token=§)"
    yield f.alnum(28), "Traceback: requests.get('https://x', params={'token': '§'})"
    yield f.alnum(40), "npm ERR! //registry.example.com/:_password=§"
    yield base64.b64encode(f"bob:{f.password()}".encode()).decode(), "proxy-authorization: basic §"
    yield base64.b64encode(f"PASSWORD={f.password()}".encode()).decode(), "data: {env: §}"


_UNSEEN_LOOKALIKES = (
    "password field is empty for user bob17",
    "Your password has expired on 2024-05-04",
    "password_hash_algorithm=argon2id",
    "password.encoder: bcrypt-12",
    "password input rendered in 12ms",
    "wrong password, 2 attempts left",
    "pass 3 of 12 completed",
    "token count: 1532",
    "token ring eth0 up",
    "token endpoint: https://auth.example.com/oauth2/v1/token",
    "token expired at 2024-05-04T10:11:12Z",
    "id_token missing",
    "unexpected token: identifier near line 12",
    "secret santa list loaded v2",
    "secret key must be 32 bytes",
    "api key quota: 1000/day",
    "auth backend: ldap3",
    "auth-service-7d9f8b6c5-x2x7k 1/1 Running",
    "authorization code flow started",
    "cookie jar: 12 cookies",
    "session 3f opened",
    "credentials file not found: ~/.aws/credentials",
    "private key mismatch for CN=example.com",
    "signature verified with key id 7",
    "otp-29.0.2 installed",
    "pin_memory=True",
    "code=404 message=Not_Found",
    "key=products:list:v3 ttl=300",
    "GET /oauth/token 200 12ms",
    "user:1000 group:1000",
    "scp a.txt bob@host:/tmp",
    "1.2.3.4:5432:open",
    "kubectl get secret my-secret-2 -o yaml",
    "docker login succeeded for registry-1.example.com",
    "mysql -h db1 -u app -p",
    "base64: invalid input at byte 17",
    "AKIDs are identifiers",
)


def heldout(seed: int) -> list[Sample]:
    """The first list."""
    return samples(seed + 1000, _secrets, _LOOKALIKES)


def unseen(seed: int) -> list[Sample]:
    """The second list."""
    return samples(seed + 2000, _unseen_secrets, _UNSEEN_LOOKALIKES)


def samples(
    seed: int, secrets: Callable[[Fakes], Iterator[tuple[str, str]]], lookalikes: tuple[str, ...]
) -> list[Sample]:
    return [
        *(Sample("context", "held-out", text.replace("§", secret), (secret,)) for secret, text in secrets(Fakes(seed))),
        *(Sample("look-alike", "held-out", text) for text in lookalikes),
    ]
