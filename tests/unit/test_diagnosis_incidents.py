"""The offline analyst on short service logs as the real programs print them, with the cause a person would name."""

# ruff: noqa: E501  (the lines of the logs are as long as the programs print them)

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import Struct, structs

from bifrost_domain.diagnosis import diagnose
from bifrost_domain.logs.digest import Coverage, Digest, Redactions, Source
from bifrost_domain.logs.lines import Level, Line
from bifrost_domain.report import Category, Severity


class Incident(Struct, frozen=True):
    """`cause` is the number of the line that states the cause."""

    name: str
    category: Category
    cause: int
    log: str


INCIDENTS = (
    Incident(
        "kernel-oom",
        Category.OUT_OF_MEMORY,
        2,
        """\
Mar  3 04:11:07 node7 kernel: java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=984
Mar  3 04:11:07 node7 kernel: Memory cgroup out of memory: Killed process 21337 (java) total-vm:9123456kB, anon-rss:2093012kB
Mar  3 04:11:08 node7 kubelet[901]: Back-off restarting failed container orders in pod orders-5d9
Mar  3 04:11:12 node7 gateway[77]: ERROR upstream orders:8080: connection refused""",
    ),
    Incident(
        "java-heap",
        Category.OUT_OF_MEMORY,
        2,
        """\
2026-03-03 10:02:11.123  INFO 1 --- [main] c.a.Importer : importing 4000000 rows
java.lang.OutOfMemoryError: Java heap space
\tat java.base/java.util.Arrays.copyOf(Arrays.java:3745)
\tat com.acme.Importer.load(Importer.java:88)""",
    ),
    Incident(
        "node-heap",
        Category.OUT_OF_MEMORY,
        1,
        """\
FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory
 1: 0xb7a940 node::Abort() [node]
Aborted (core dumped)""",
    ),
    Incident(
        "disk-full-postgres",
        Category.DISK_FULL,
        2,
        """\
2026-02-01 09:00:01.001 UTC [88] LOG:  checkpoint starting: time
2026-02-01 09:00:02.112 UTC [88] ERROR:  could not extend file "base/16384/2619": No space left on device
2026-02-01 09:00:02.113 UTC [88] HINT:  Check free disk space.
2026-02-01 09:00:02.500 UTC [31] PANIC:  could not write to file "pg_wal/xlogtemp.31": No space left on device""",
    ),
    Incident(
        "dns",
        Category.DNS,
        1,
        """\
time="2026-01-05T11:00:00Z" level=error msg="dial failed" err="lookup payments.internal on 10.96.0.10:53: no such host"
time="2026-01-05T11:00:01Z" level=error msg="charge failed" err="context deadline exceeded\"""",
    ),
    Incident(
        "tls-expired",
        Category.TLS,
        2,
        """\
2026/05/05 08:00:00 [info] 12#12: start worker process
2026/05/05 08:00:09 Get "https://api.acme.test/v1": tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-05-05T08:00:09Z is after 2026-05-04T23:59:59Z
2026/05/05 08:00:09 retrying in 5s""",
    ),
    Incident(
        "tls-unknown-ca",
        Category.TLS,
        1,
        """\
javax.net.ssl.SSLHandshakeException: PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target
\tat java.base/sun.security.ssl.Alert.createSSLException(Alert.java:131)""",
    ),
    Incident(
        "pool-exhausted",
        Category.DATABASE,
        1,
        """\
2026-04-01 12:00:00.000 ERROR [http-nio-8080-exec-7] HikariPool-1 - Connection is not available, request timed out after 30000ms.
2026-04-01 12:00:00.001 ERROR [http-nio-8080-exec-7] o.a.c.c.C.[dispatcherServlet] : Servlet.service() threw exception""",
    ),
    Incident(
        "postgres-too-many-clients",
        Category.DATABASE,
        1,
        """\
2026-04-01 12:00:00.000 UTC [4711] FATAL:  sorry, too many clients already
2026-04-01 12:00:00.100 UTC [4712] FATAL:  sorry, too many clients already""",
    ),
    Incident(
        "postgres-deadlock",
        Category.DATABASE,
        1,
        """\
2026-04-01 12:00:00.000 UTC [99] ERROR:  deadlock detected
2026-04-01 12:00:00.000 UTC [99] DETAIL:  Process 99 waits for ShareLock on transaction 5512; blocked by process 98.
2026-04-01 12:00:00.000 UTC [99] STATEMENT:  UPDATE accounts SET balance = balance - 1 WHERE id = 7""",
    ),
    Incident(
        "mysql-lock-wait",
        Category.DATABASE,
        1,
        """\
ERROR 1205 (HY000): Lock wait timeout exceeded; try restarting transaction
[worker-3] job 81 failed, requeued""",
    ),
    Incident(
        "postgres-password",
        Category.DATABASE,
        1,
        """\
2026-04-01 12:00:00.000 UTC [12] FATAL:  password authentication failed for user "billing"
2026-04-01 12:00:00.000 UTC [12] DETAIL:  Connection matched file "/etc/postgresql/pg_hba.conf" line 12""",
    ),
    Incident(
        "missing-migration",
        Category.DATABASE,
        2,
        """\
[2026-04-01 09:00:00] production.INFO: release 412 deployed
[2026-04-01 09:00:04] production.ERROR: SQLSTATE[42P01]: Undefined table: 7 ERROR:  relation "invoices" does not exist""",
    ),
    Incident(
        "missing-env",
        Category.CONFIGURATION,
        1,
        """\
Error: Missing required environment variable: PAYMENT_URL
    at loadConfig (/app/src/config.js:12:11)
npm ERR! code ELIFECYCLE""",
    ),
    Incident(
        "port-in-use",
        Category.CONFIGURATION,
        1,
        """\
Error: listen EADDRINUSE: address already in use :::3000
    at Server.setupListenHandle [as _listen2] (node:net:1817:16)
Node.js v20.11.0""",
    ),
    Incident(
        "nginx-bad-config",
        Category.CONFIGURATION,
        1,
        """\
nginx: [emerg] unknown directive "proxy_pas" in /etc/nginx/conf.d/app.conf:7
nginx: configuration file /etc/nginx/nginx.conf test failed""",
    ),
    Incident(
        "bad-yaml",
        Category.CONFIGURATION,
        1,
        """\
level=fatal msg="error loading config: yaml: line 14: mapping values are not allowed in this context"
systemd[1]: collector.service: Main process exited, code=exited, status=1/FAILURE""",
    ),
    Incident(
        "too-many-open-files",
        Category.CONFIGURATION,
        1,
        """\
2026/04/01 10:00:00 http: Accept error: accept tcp [::]:8080: accept4: too many open files; retrying in 1s
2026/04/01 10:00:02 http: Accept error: accept tcp [::]:8080: accept4: too many open files; retrying in 1s""",
    ),
    Incident(
        "iam",
        Category.PERMISSION_OR_SECRET,
        1,
        """\
botocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the PutObject operation: User: arn:aws:iam::1:user/x is not authorized to perform: s3:PutObject
Exception in worker: upload failed""",
    ),
    Incident(
        "rbac",
        Category.PERMISSION_OR_SECRET,
        1,
        """\
E0401 10:00:00.000000 1 reflector.go:147] failed to list *v1.Secret: secrets is forbidden: User "system:serviceaccount:a:b" cannot list resource "secrets" in API group "" """,
    ),
    Incident(
        "eacces",
        Category.PERMISSION_OR_SECRET,
        1,
        """\
PermissionError: [Errno 13] Permission denied: '/var/lib/app/state.db'
app exited with code 1""",
    ),
    Incident(
        "throttled",
        Category.RATE_LIMIT,
        2,
        """\
INFO  polling 200 accounts
ERROR request failed: 429 Too Many Requests (Retry-After: 60)
ERROR request failed: 429 Too Many Requests (Retry-After: 60)""",
    ),
    Incident(
        "image-pull",
        Category.KUBERNETES,
        1,
        """\
Warning  Failed     12s   kubelet  Failed to pull image "registry.acme.test/web:v99": rpc error: code = NotFound desc = failed to resolve reference
Warning  Failed     12s   kubelet  Error: ErrImagePull
Normal   BackOff    1s    kubelet  Back-off pulling image "registry.acme.test/web:v99\"""",
    ),
    Incident(
        "scheduling",
        Category.KUBERNETES,
        1,
        """\
Warning  FailedScheduling  2m  default-scheduler  0/5 nodes are available: 5 Insufficient memory. preemption: 0/5 nodes are available""",
    ),
    Incident(
        "eviction",
        Category.KUBERNETES,
        1,
        """\
Warning  Evicted  3m  kubelet  The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 8Gi.
Normal   Killing  3m  kubelet  Stopping container web""",
    ),
    Incident(
        "probe",
        Category.KUBERNETES,
        1,
        """\
Warning  Unhealthy  10s  kubelet  Liveness probe failed: HTTP probe failed with statuscode: 503
Normal   Killing    10s  kubelet  Container api failed liveness probe, will be restarted""",
    ),
    Incident(
        "segfault",
        Category.CRASH,
        1,
        """\
kernel: worker[811]: segfault at 0 ip 000055d0 sp 00007ffd error 4 in worker[55d0+1000]
systemd[1]: worker.service: Main process exited, code=dumped, status=11/SEGV""",
    ),
    Incident(
        "go-panic",
        Category.CRASH,
        1,
        """\
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4a1b2c]

goroutine 1 [running]:
main.handle(0x0)
\t/src/app/main.go:42 +0x1d""",
    ),
    Incident(
        "python-traceback",
        Category.APPLICATION_ERROR,
        4,
        """\
Traceback (most recent call last):
  File "/srv/app/handlers.py", line 31, in handle
    total = order["total"]
KeyError: 'total'""",
    ),
    Incident(
        "java-null-pointer",
        Category.APPLICATION_ERROR,
        1,
        """\
Exception in thread "main" java.lang.NullPointerException: Cannot invoke "String.length()" because "<local1>" is null
\tat com.acme.Main.main(Main.java:9)""",
    ),
    Incident(
        "kafka",
        Category.DATABASE,
        1,
        """\
[2026-04-01 10:00:00,000] WARN [Producer clientId=p-1] Error while fetching metadata with correlation id 4 : {orders=LEADER_NOT_AVAILABLE} (org.apache.kafka.clients.NetworkClient)
org.apache.kafka.common.errors.TimeoutException: Expiring 12 record(s) for orders-0:120000 ms has passed since batch creation""",
    ),
    Incident(
        "redis-maxmemory",
        Category.OUT_OF_MEMORY,
        1,
        """\
redis.exceptions.OutOfMemoryError: OOM command not allowed when used memory > 'maxmemory'.
celery.worker: task cache.warm raised unexpected""",
    ),
    Incident(
        "mongo-down",
        Category.DATABASE,
        1,
        """\
pymongo.errors.ServerSelectionTimeoutError: db1:27017: [Errno 111] Connection refused, Timeout: 30s""",
    ),
    Incident(
        "upstream-refused",
        Category.NETWORK,
        1,
        """\
2026/04/01 10:00:00 [error] 31#31: *7 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.9, server: acme.test
10.0.0.9 - - [01/Apr/2026:10:00:00 +0000] "GET /cart HTTP/1.1" 502 157 "-" "curl/8\"""",
    ),
)

HEALTHY = {
    "access": '10.0.0.1 - - [01/Apr/2026:10:00:00 +0000] "GET /error-codes HTTP/1.1" 200 512 "-" "Mozilla/5.0"',
    "startup": "INFO  listening on 0.0.0.0:8080\nINFO  ready to accept connections",
    "tests": "test result: ok. 12 passed; 0 failed; 0 ignored\n0 errors, 0 warnings",
    "pytest": "tests/test_net.py::test_connection_refused PASSED [50%]\ntests/test_oom.py::test_out_of_memory PASSED [100%]\n"
    "======= 2 passed in 0.10s =======",
    "words": "INFO loaded error handler\nINFO failure domain zone-a registered\nINFO timeout=30s retries=3",
    "deprecation": "npm warn deprecated glob@7.2.3: old\nadded 120 packages in 3s\nfound 0 vulnerabilities",
}
SILENT = {
    "exit-only": "Process completed with exit code 1.",
    "vague": "ERROR something went wrong\nERROR request 17 could not be served",
    "unit": "systemd[1]: sync.service: Failed with result 'exit-code'.",
    "wrapper": "##[group]Run ./run\n./run\n##[endgroup]\n##[error]Process completed with exit code 2.",
}


def digest_of(log: str) -> Digest:
    lines = []
    for number, text in enumerate(log.split("\n"), start=1):
        lowered = text.lower()
        alarming = not text.startswith("INFO") and any(
            word in lowered for word in ("error ", "error:", "fatal", "panic", "exception")
        )
        level = Level.ERROR if alarming or text.startswith("##[error]") else Level.INFO
        lines.append(Line(file="app.log", number=number, text=text, message=text, level=level, block=number))
    return Digest(
        source=Source(name="app.log", kind="file"),
        lines=tuple(lines),
        coverage=Coverage(lines_read=len(lines)),
        redactions=Redactions(),
        fingerprint="f",
    )


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: incident.name)
def test_names_the_cause_of_an_incident_and_cites_its_line(incident: Incident) -> None:
    report = diagnose(digest_of(incident.log))
    assert report.category is incident.category
    assert report.severity >= Severity.ERROR
    assert incident.cause in {item.line_start for item in report.evidence[:2]}
    assert report.actions


@pytest.mark.parametrize("name", HEALTHY)
def test_says_nothing_is_wrong_where_nothing_is(name: str) -> None:
    report = diagnose(digest_of(HEALTHY[name]))
    assert (report.severity, report.category) == (Severity.OK, Category.NONE)
    assert report.evidence == ()


@pytest.mark.parametrize("name", SILENT)
def test_abstains_where_a_failure_is_reported_without_a_cause(name: str) -> None:
    report = diagnose(digest_of(SILENT[name]))
    assert report.category is Category.UNKNOWN
    assert report.confidence < 0.4
    assert report.evidence


WAIT = "LOG:  process 9 still waiting for AccessExclusiveLock on relation 7 of database 1 after 1000.1 ms"
HOLDER = "DETAIL:  Process holding the lock: 31. Wait queue: 9."
POOL = "ERROR QueuePool limit of size 5 overflow 10 reached, connection timed out"
IDLE = "[{pid}] FATAL:  terminating connection due to idle-in-transaction timeout"
GATEWAY = '"GET /cart HTTP/1.1" 503 17'
START = datetime(2026, 4, 1, 12, tzinfo=UTC)


def cited(log: str) -> list[int]:
    return [item.line_start for item in diagnose(digest_of(log)).evidence]


@pytest.mark.parametrize("consequence", [POOL, "ERROR request timed out after 30s", GATEWAY])
def test_a_wait_for_a_lock_is_the_cause_of_what_comes_after_it(consequence: str) -> None:
    assert cited(f"{WAIT}\n{consequence}")[0] == 1
    assert "wait for a lock" in diagnose(digest_of(f"{WAIT}\n{consequence}")).summary


def test_a_wait_for_a_lock_does_not_explain_what_came_before_it() -> None:
    assert cited(f"{POOL}\n{WAIT}")[0] == 1
    assert "pool" in diagnose(digest_of(f"{POOL}\n{WAIT}")).summary


@pytest.mark.parametrize(("later", "first"), [(timedelta(minutes=2), 1), (timedelta(hours=3), 2)])
def test_a_cause_leads_its_consequence_by_minutes_and_not_by_hours(later: timedelta, first: int) -> None:
    digest = digest_of(f"{WAIT}\n{POOL}")
    wait, pool = digest.lines
    timed = (structs.replace(wait, time=START), structs.replace(pool, time=START + later))
    assert diagnose(structs.replace(digest, lines=timed)).evidence[0].line_start == first


def test_what_held_the_lock_is_told_although_it_is_logged_last() -> None:
    log = f"{WAIT}\n{HOLDER}\n{POOL}\n{IDLE.format(pid=31)}"
    assert cited(log) == [1, 2, 4, 3]
    assert "left open and idle" in diagnose(digest_of(log)).root_cause


def test_an_idle_transaction_of_another_session_held_nothing() -> None:
    report = diagnose(digest_of(f"{WAIT}\n{HOLDER}\n{POOL}\n{IDLE.format(pid=32)}"))
    assert 4 not in {item.line_start for item in report.evidence}


def test_an_outage_stays_critical_although_it_passed() -> None:
    log = f"{WAIT}\n{POOL}\nLOG:  process 9 acquired AccessExclusiveLock on relation 7 of database 1 after 14110.7 ms"
    report = diagnose(digest_of(log))
    assert report.severity is Severity.CRITICAL
    assert report.root_cause.endswith("It recovered at line 3.")
    assert [entry.line for entry in report.timeline] == [1, 2, 3]


def test_consequences_that_follow_make_the_cause_surer() -> None:
    assert diagnose(digest_of(f"{WAIT}\n{POOL}")).confidence > diagnose(digest_of(WAIT)).confidence


def test_a_command_that_went_well_is_not_the_cause() -> None:
    log = (
        "travis_time:start:1\nerror: could not compile `a`\nsrc/a.go:1:2: undefined: b\n"
        'The command "make try" exited with 0.\nsrc/c.swift:3:4: error: cannot find d\n'
        'The command "make" exited with 2.'
    )
    assert cited(log)[0] == 5


def test_xcodebuild_is_no_linker() -> None:
    log = 'travis_time:start:1\nxcodebuild: error: Unable to find a destination\nThe command "x" exited with 70.'
    assert "linker" not in diagnose(digest_of(log)).summary
