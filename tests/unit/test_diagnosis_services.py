"""Every sort of service trouble that the catalogue is to know, as one message of the real program says it."""

# ruff: noqa: E501  (the lines of the logs are as long as the programs print them)

import pytest

from bifrost_domain.diagnosis import diagnose
from bifrost_domain.logs.digester import Budget, Digester
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.report import Category, Language, Severity

ABSTAINED = 0.3

MESSAGES = (
    (
        "OOM kill",
        Category.OUT_OF_MEMORY,
        "kernel: [12345.6] Memory cgroup out of memory: Killed process 4121 (java) total-vm:8388608kB, anon-rss:4194304kB",
    ),
    (
        "OOM k8s",
        Category.OUT_OF_MEMORY,
        "    Last State:     Terminated\n      Reason:       OOMKilled\n      Exit Code:    137",
    ),
    (
        "crash loop",
        Category.KUBERNETES,
        "Warning  BackOff  2m (x12 over 5m)  kubelet  Back-off restarting failed container api in pod api-7c9_default(1f)",
    ),
    (
        "image pull",
        Category.KUBERNETES,
        'Warning  Failed  3s  kubelet  Failed to pull image "registry.local/api:v9": rpc error: code = NotFound desc = failed to pull and unpack image',
    ),
    (
        "probe",
        Category.KUBERNETES,
        "Warning  Unhealthy  10s (x3 over 30s)  kubelet  Liveness probe failed: HTTP probe failed with statuscode: 503",
    ),
    (
        "eviction",
        Category.KUBERNETES,
        "Warning  Evicted  1m  kubelet  The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 200Mi.",
    ),
    ("dns go", Category.DNS, "dial tcp: lookup payments.internal on 10.0.0.10:53: no such host"),
    ("dns node", Category.DNS, "Error: getaddrinfo ENOTFOUND payments.internal"),
    ("dns java", Category.DNS, "java.net.UnknownHostException: payments.internal: Name or service not known"),
    (
        "tls expiry",
        Category.TLS,
        "x509: certificate has expired or is not yet valid: current time 2026-01-02T00:00:00Z is after 2025-12-31T00:00:00Z",
    ),
    ("tls openssl", Category.TLS, "curl: (60) SSL certificate problem: certificate has expired"),
    (
        "tls java",
        Category.TLS,
        "javax.net.ssl.SSLHandshakeException: PKIX path validation failed: java.security.cert.CertPathValidatorException: validity check failed",
    ),
    ("refused", Category.NETWORK, "dial tcp 10.1.2.3:5432: connect: connection refused"),
    ("reset", Category.NETWORK, "read tcp 10.1.2.3:443: read: connection reset by peer"),
    ("pool", Category.DATABASE, "HikariPool-1 - Connection is not available, request timed out after 30000ms."),
    ("pool pg", Category.DATABASE, "FATAL:  sorry, too many clients already"),
    (
        "pool 2",
        Category.DATABASE,
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
    ),
    (
        "deadlock mysql",
        Category.DATABASE,
        "ERROR 1213 (40001): Deadlock found when trying to get lock; try restarting transaction",
    ),
    ("disk full", Category.DISK_FULL, "write /var/lib/data/x: no space left on device"),
    ("pg disk", Category.DISK_FULL, 'ERROR:  could not extend file "base/16384/16397": No space left on device'),
    (
        "quota",
        Category.RATE_LIMIT,
        "googleapi: Error 403: Quota exceeded for quota metric 'Read requests' and limit 'Read requests per minute', rateLimitExceeded",
    ),
    (
        "throttle aws",
        Category.RATE_LIMIT,
        "An error occurred (ThrottlingException) when calling the DescribeInstances operation (reached max retries: 4): Rate exceeded",
    ),
    (
        "iam aws",
        Category.PERMISSION_OR_SECRET,
        "An error occurred (AccessDenied) when calling the PutObject operation: User: arn:aws:sts::1:assumed-role/x is not authorized to perform: s3:PutObject on resource",
    ),
    (
        "iam gcp",
        Category.PERMISSION_OR_SECRET,
        "Permission 'storage.objects.create' denied on resource (or it may not exist).",
    ),
    (
        "rbac",
        Category.PERMISSION_OR_SECRET,
        'pods is forbidden: User "system:serviceaccount:ci:bot" cannot list resource "pods" in API group "" in the namespace "prod"',
    ),
    ("config env", Category.CONFIGURATION, "panic: required environment variable DATABASE_URL is not set"),
    (
        "config yaml",
        Category.CONFIGURATION,
        "error: unable to load config: yaml: line 12: mapping values are not allowed in this context",
    ),
    (
        "spring",
        Category.CONFIGURATION,
        "java.lang.IllegalArgumentException: Could not resolve placeholder 'payment.url' in value \"${payment.url}\"",
    ),
    (
        "migration alembic",
        Category.DATABASE,
        "alembic.util.exc.CommandError: Can't locate revision identified by '1975ea83b712'",
    ),
    (
        "migration flyway",
        Category.DATABASE,
        "org.flywaydb.core.api.FlywayException: Validate failed: Migrations have failed validation",
    ),
    (
        "migration django",
        Category.DATABASE,
        "django.db.migrations.exceptions.InconsistentMigrationHistory: Migration admin.0001_initial is applied before its dependency",
    ),
    (
        "migration rails",
        Category.DATABASE,
        "ActiveRecord::PendingMigrationError: Migrations are pending. To resolve this issue, run: bin/rails db:migrate",
    ),
    (
        "migration prisma",
        Category.DATABASE,
        "Error: P3009\n\nmigrate found failed migrations in the target database, new migrations will not be applied.",
    ),
    ("golang-migrate", Category.DATABASE, "error: Dirty database version 14. Fix and force version."),
    (
        "python",
        Category.APPLICATION_ERROR,
        "Traceback (most recent call last):\n  File \"app.py\", line 3, in <module>\n    main()\nKeyError: 'user'",
    ),
    (
        "java",
        Category.APPLICATION_ERROR,
        'Exception in thread "main" java.lang.NullPointerException: Cannot invoke "String.length()" because "s" is null',
    ),
    (
        "go",
        Category.CRASH,
        "panic: runtime error: invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48]",
    ),
    ("go maps", Category.CRASH, "fatal error: concurrent map writes"),
    (
        "node",
        Category.APPLICATION_ERROR,
        "TypeError: Cannot read properties of undefined (reading 'id')\n    at handler (/app/server.js:10:3)",
    ),
    ("rust", Category.CRASH, "thread 'main' panicked at src/main.rs:4:5:\ncalled `Option::unwrap()` on a `None` value"),
    (
        "dotnet",
        Category.APPLICATION_ERROR,
        "Unhandled exception. System.NullReferenceException: Object reference not set to an instance of an object.\n   at Shop.Program.Main(String[] args) in /src/Program.cs:line 9",
    ),
    (
        "php",
        Category.APPLICATION_ERROR,
        "PHP Fatal error:  Uncaught TypeError: strlen(): Argument #1 ($string) must be of type string, null given in /app/index.php:3",
    ),
    (
        "ruby",
        Category.APPLICATION_ERROR,
        "app.rb:2:in `<main>': undefined method `name' for nil:NilClass (NoMethodError)",
    ),
    ("postgres shm", Category.DATABASE, 'FATAL:  could not open file "global/pg_control": Permission denied'),
    ("postgres auth", Category.DATABASE, 'FATAL:  password authentication failed for user "app"'),
    ("postgres recovery", Category.DATABASE, "FATAL:  the database system is starting up"),
    ("postgres wal", Category.DATABASE, "PANIC:  could not locate a valid checkpoint record"),
    ("mysql gone", Category.DATABASE, "sqlalchemy.exc.OperationalError: (2006, 'MySQL server has gone away')"),
    ("mysql conn", Category.DATABASE, "ERROR 1040 (HY000): Too many connections"),
    ("mysql innodb", Category.DATABASE, "[ERROR] [MY-012574] [InnoDB] Unable to lock ./ibdata1 error: 11"),
    (
        "mysql socket",
        Category.DATABASE,
        "ERROR 2002 (HY000): Can't connect to local MySQL server through socket '/run/mysqld/mysqld.sock' (2)",
    ),
    ("redis oom", Category.OUT_OF_MEMORY, "(error) OOM command not allowed when used memory > 'maxmemory'."),
    (
        "redis misconf",
        Category.DATABASE,
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    ),
    (
        "redis noauth",
        Category.PERMISSION_OR_SECRET,
        "redis.exceptions.AuthenticationError: NOAUTH Authentication required.",
    ),
    ("redis moved", Category.DATABASE, "(error) CLUSTERDOWN The cluster is down"),
    (
        "kafka leader",
        Category.DATABASE,
        "[Consumer clientId=c] Error while fetching metadata with correlation id 3 : {orders=LEADER_NOT_AVAILABLE}",
    ),
    (
        "kafka commit",
        Category.DATABASE,
        "org.apache.kafka.clients.consumer.CommitFailedException: Offset commit cannot be completed since the consumer is not part of an active group",
    ),
    (
        "kafka broker",
        Category.DATABASE,
        "[AdminClient clientId=a] Connection to node -1 (kafka/10.0.0.5:9092) could not be established. Broker may not be available. (org.apache.kafka.clients.NetworkClient)",
    ),
    (
        "kafka size",
        Category.DATABASE,
        "org.apache.kafka.common.errors.RecordTooLargeException: The message is 2097240 bytes when serialized",
    ),
    ("nginx emerg", Category.CONFIGURATION, 'nginx: [emerg] unknown directive "servr" in /etc/nginx/conf.d/a.conf:3'),
    ("nginx bind", Category.CONFIGURATION, "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)"),
    (
        "nginx upstream",
        Category.NETWORK,
        '2026/01/02 03:04:05 [error] 29#29: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 1.2.3.4, server: a, request: "GET / HTTP/1.1", upstream: "http://10.0.0.7:8080/"',
    ),
    (
        "nginx upstream timeout",
        Category.TIMEOUT,
        "2026/01/02 03:04:05 [error] 29#29: *1 upstream timed out (110: Connection timed out) while reading response header from upstream",
    ),
    (
        "k8s scheduling",
        Category.KUBERNETES,
        "Warning  FailedScheduling  5s  default-scheduler  0/3 nodes are available: 3 Insufficient memory.",
    ),
    (
        "k8s mount",
        Category.KUBERNETES,
        'Warning  FailedMount  3s  kubelet  MountVolume.SetUp failed for volume "conf" : configmap "api-conf" not found',
    ),
    ("k8s config", Category.KUBERNETES, 'Error: secret "db-creds" not found (CreateContainerConfigError)'),
    ("systemd", Category.CRASH, "systemd[1]: api.service: Start request repeated too quickly."),
    ("segv", Category.CRASH, "systemd-coredump[77]: Process 4121 (worker) of user 1000 dumped core."),
    ("java oom", Category.OUT_OF_MEMORY, "java.lang.OutOfMemoryError: Java heap space"),
    (
        "node oom",
        Category.OUT_OF_MEMORY,
        "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
    ),
    ("fd", Category.CONFIGURATION, "accept4: too many open files"),
    (
        "rabbit",
        Category.DATABASE,
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'jobs' in vhost '/': received 'false' but current is 'true'",
    ),
    ("gunicorn", Category.TIMEOUT, "[CRITICAL] WORKER TIMEOUT (pid:31)"),
    (
        "mongo",
        Category.DATABASE,
        "pymongo.errors.ServerSelectionTimeoutError: mongo:27017: [Errno 111] Connection refused",
    ),
    (
        "elastic",
        Category.DISK_FULL,
        "flood stage disk watermark [95%] exceeded on [node-1], all indices on this node will be marked read-only",
    ),
    ("jwt", Category.PERMISSION_OR_SECRET, "jwt.exceptions.ExpiredSignatureError: Signature has expired"),
    ("vault", Category.PERMISSION_OR_SECRET, "Error making API request. Code: 403. Errors: * permission denied"),
    ("etcd", Category.DISK_FULL, "etcdserver: mvcc: database space exceeded"),
    ("etcd slow", Category.TIMEOUT, "etcdserver: request timed out, possibly due to previous leader failure"),
    (
        "docker rate",
        Category.RATE_LIMIT,
        "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating",
    ),
    (
        "openai",
        Category.RATE_LIMIT,
        "openai.RateLimitError: Error code: 429 - {'error': {'message': 'You exceeded your current quota', 'code': 'insufficient_quota'}}",
    ),
    (
        "dotnet crash",
        Category.APPLICATION_ERROR,
        "Unhandled exception. System.IO.FileNotFoundException: Could not load file or assembly 'X'",
    ),
    ("python import", Category.DEPENDENCY_INSTALL, "ModuleNotFoundError: No module named 'flask'"),
    (
        "php mem",
        Category.OUT_OF_MEMORY,
        "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes) in /app/x.php on line 3",
    ),
    (
        "ruby load",
        Category.DEPENDENCY_INSTALL,
        "<internal:/usr/lib/ruby>:85:in `require': cannot load such file -- rack (LoadError)",
    ),
    ("go deadlock", Category.CRASH, "fatal error: all goroutines are asleep - deadlock!"),
    ("java deadlock", Category.CRASH, "Found one Java-level deadlock:\n============================="),
    ("sqlite", Category.DATABASE, "sqlite3.OperationalError: database is locked"),
    ("swap quota", Category.DISK_FULL, "mkdir: cannot create directory 'x': Disk quota exceeded"),
)


@pytest.mark.parametrize(("category", "text"), [row[1:] for row in MESSAGES], ids=[row[0] for row in MESSAGES])
def test_a_service_message_is_known_for_what_it_is(category: Category, text: str) -> None:
    digester = Digester("app.log", Redactor(b"k" * 32))
    digester.feed(f"{text}\n".encode())
    digest = digester.finish(Budget())
    report = diagnose(digest)
    assert report.category is category
    assert report.confidence > ABSTAINED
    assert report.severity >= Severity.WARNING
    assert report.evidence[0].quote[:15] in text
    korean = diagnose(digest, Language.KO)
    assert korean.category is category
    assert any("가" <= letter <= "힣" for letter in korean.summary)
