"""The offline analyst on failures as people meet them: what the headline says, where it points, what it advises."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost_domain.diagnosis import diagnose
from bifrost_domain.diagnosis.reasoning import ABSTAINED
from bifrost_domain.logs.digest import Source
from bifrost_domain.logs.digester import Budget, Digester, combine
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.report import Category, Language, Report, Severity


def report_on(log: str, language: Language = Language.EN) -> Report:
    digester = Digester("app.log", Redactor(b"k" * 32))
    digester.feed(log.encode())
    return diagnose(digester.finish(Budget()), language)


def report_on_folder(logs: dict[str, str], language: Language = Language.EN) -> Report:
    digesters = []
    for name, log in logs.items():
        digester = Digester(name, Redactor(b"k" * 32))
        digester.feed(log.encode())
        digesters.append(digester)
    return diagnose(combine(digesters, Source(name="logs", kind="folder"), Budget()), language)


def commands(report: Report) -> str:
    return "\n".join(action.command or "" for action in report.actions)


KEY_ERROR = """\
2026-11-20 10:00:04 ERROR Unhandled exception in job 17
Traceback (most recent call last):
  File "/srv/shop/worker.py", line 41, in run
    self.convert(order)
  File "/srv/shop/money.py", line 12, in convert
    return RATES[order.currency]
KeyError: 'CHF'
2026-11-20 10:00:04 INFO job 17 given up
"""

SPRING = """\
2026-11-20 10:00:03.456 ERROR 1 --- [main] o.s.boot.SpringApplication : Application run failed
java.lang.IllegalStateException: Failed to load ApplicationContext
	at org.springframework.boot.SpringApplication.run(SpringApplication.java:132)
	at com.example.shop.ShopApplication.main(ShopApplication.java:12)
Caused by: org.springframework.beans.factory.BeanCreationException: Error creating bean with name 'orders'
	at org.springframework.beans.factory.support.BeanFactory.initializeBean(BeanFactory.java:1803)
	... 23 more
Caused by: java.lang.NullPointerException: Cannot invoke "String.length()" because "name" is null
	at java.base/java.util.Objects.requireNonNull(Objects.java:233)
	at com.example.shop.Orders.init(Orders.java:44)
	... 40 more
"""

PYTEST = """\
=================================== FAILURES ===================================
__________________________________ test_total __________________________________

    def test_total():
>       assert total() == 12
E       assert 11 == 12

tests/test_cart.py:31: AssertionError
_________________________________ test_subject _________________________________

    def test_subject():
>       assert subject().encoding == "utf-8"
E       AttributeError: 'str' object has no attribute 'encoding'

tests/test_mail.py:14: AttributeError
=========================== short test summary info ============================
FAILED tests/test_cart.py::test_total - assert 11 == 12
FAILED tests/test_mail.py::test_subject - AttributeError: 'str' object has no attribute 'encoding'
========================= 2 failed, 10 passed in 0.21s =========================
"""

DISK = """\
2026-11-20T10:00:01Z INFO web started
2026-11-20T10:00:05Z ERROR write failed: /var/lib/web/upload.tmp: No space left on device
"""
LOOKUP = """\
2026-11-20T{hour}:00:01Z INFO sync started
2026-11-20T{hour}:00:05Z ERROR dial tcp: lookup ldap.corp.example on 10.0.0.2:53: no such host
"""


def test_the_headline_of_a_python_error_carries_its_message_and_points_at_the_last_own_frame() -> None:
    report = report_on(KEY_ERROR)
    assert report.category is Category.APPLICATION_ERROR
    assert "KeyError: 'CHF'" in report.summary
    assert "(/srv/shop/money.py:12)" in report.root_cause
    assert report.files[0] == "/srv/shop/money.py"
    assert report.evidence[0].quote == "KeyError: 'CHF'"


def test_an_exception_of_any_name_ends_a_traceback() -> None:
    report = report_on(KEY_ERROR.replace("KeyError: 'CHF'", "shop.money.NoRate: CHF on 2026-11-20"))
    assert "shop.money.NoRate: CHF on 2026-11-20" in report.summary
    assert "(/srv/shop/money.py:12)" in report.root_cause


def test_an_upper_case_key_is_no_setting_unless_it_is_spelt_like_one() -> None:
    assert report_on(KEY_ERROR.replace("CHF", "EURO")).category is Category.APPLICATION_ERROR
    assert report_on(KEY_ERROR.replace("CHF", "DATABASE_URL")).category is Category.CONFIGURATION


def test_of_a_chained_traceback_the_first_exception_is_told() -> None:
    report = report_on("""\
Traceback (most recent call last):
  File "/srv/shop/rates.py", line 8, in rate
    return TABLE[code]
KeyError: 'CHF'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/shop/orders.py", line 31, in place
    total = price * rate(code)
RuntimeError: no total
""")
    assert "KeyError: 'CHF'" in report.summary
    assert "(/srv/shop/rates.py:8)" in report.root_cause


def test_a_missing_module_is_told_rather_than_the_traceback_it_ends() -> None:
    report = report_on(KEY_ERROR.replace("KeyError: 'CHF'", "ModuleNotFoundError: No module named 'requests'"))
    assert report.category is Category.DEPENDENCY_INSTALL
    assert "requests" in report.summary
    assert "pip" in commands(report)


def test_the_place_is_that_of_the_error_and_not_of_a_warning_before_it() -> None:
    report = report_on("""\
util.c:1:10: warning: unused variable 'x' [-Wunused-variable]
main.c: In function 'main':
main.c:2:5: error: 'y' undeclared (first use in this function)
make: *** [Makefile:4: main.o] Error 1
""")
    assert "(main.c:2)" in report.root_cause
    assert report.files == ("main.c",)
    assert "make" in commands(report)


def test_frames_of_another_trace_are_no_place_of_this_error() -> None:
    report = report_on(
        KEY_ERROR
        + """\
2026-11-20 10:00:09 ERROR could not send mail
Traceback (most recent call last):
  File "/srv/shop/mail.py", line 77, in send
    raise ValueError("no address")
ValueError: no address
"""
    )
    assert "KeyError: 'CHF'" in report.summary
    assert "/srv/shop/mail.py" not in report.files


def test_a_place_is_never_taken_from_another_file_of_a_folder() -> None:
    report = report_on_folder({"a.log": KEY_ERROR, "b.log": "/srv/other/x.py:9: note\n"})
    assert "/srv/other/x.py" not in report.files


def test_the_innermost_cause_of_a_jvm_trace_is_told_with_the_first_own_frame() -> None:
    report = report_on(SPRING)
    assert 'java.lang.NullPointerException: Cannot invoke "String.length()"' in report.summary
    assert "(Orders.java:44)" in report.root_cause
    assert "It came to light as java.lang.IllegalStateException: Failed to load ApplicationContext" in report.root_cause
    assert report.files[0] == "Orders.java"
    assert not {"Objects.java", "BeanFactory.java", "SpringApplication.java"} & set(report.files)


def test_of_a_jvm_trace_without_causes_none_is_spoken_of() -> None:
    report = report_on("""\
Exception in thread "main" java.lang.ArrayIndexOutOfBoundsException: Index 5 out of bounds for length 5
	at com.example.Report.build(Report.java:31)
""")
    assert "Index 5 out of bounds" in report.summary
    assert "Caused by" not in report.root_cause
    assert "(Report.java:31)" in report.root_cause


def test_what_wraps_an_outside_trouble_is_named_with_its_own_line() -> None:
    report = report_on("""\
2026-11-20T10:00:00.000Z ERROR 1 --- [exec-3] dispatcherServlet : threw exception
com.example.shop.PaymentException: payment of order 88 failed
	at com.example.shop.PaymentService.pay(PaymentService.java:61)
Caused by: java.net.SocketTimeoutException: Read timed out
	at com.example.shop.PaymentClient.call(PaymentClient.java:40)
""")
    assert report.category is Category.TIMEOUT
    assert (
        "came to light as com.example.shop.PaymentException: payment of order 88 failed (line 2)" in report.root_cause
    )


def test_a_frame_of_dotnet_is_a_place() -> None:
    report = report_on("""\
fail: Microsoft.AspNetCore.Server.Kestrel[13]
      System.NullReferenceException: Object reference not set to an instance of an object.
         at Shop.CartService.Total(Cart cart) in /src/Shop/CartService.cs:line 48
""")
    assert "System.NullReferenceException: Object reference not set" in report.summary
    assert "(/src/Shop/CartService.cs:48)" in report.root_cause


def test_unrelated_failures_of_a_test_run_are_told_each_with_its_own_evidence() -> None:
    report = report_on(PYTEST)
    assert "There are 2 distinct failures" in report.root_cause
    assert "tests/test_cart.py::test_total (line 6: assert 11 == 12)" in report.root_cause
    assert "tests/test_mail.py::test_subject (line 13: AttributeError: " in report.root_cause
    assert "(tests/test_cart.py:31)" in report.root_cause
    assert {6, 13} <= {item.line_start for item in report.evidence}
    reasons = {item.line_start: item.reason for item in report.evidence}
    assert reasons[13] == "the error of tests/test_mail.py::test_subject"


def test_tests_of_a_file_that_fail_alike_are_one_failure() -> None:
    alike = PYTEST.replace("test_mail.py", "test_cart.py").replace("test_subject", "test_sum")
    alike = alike.replace("AttributeError: 'str' object has no attribute 'encoding'", "assert 3 == 4")
    assert "distinct failures" not in report_on(alike).root_cause


def test_other_incidents_of_a_folder_are_named_with_their_evidence_and_a_first_step() -> None:
    report = report_on_folder({"web.log": DISK, "sync.log": LOOKUP.format(hour="09")})
    assert report.category is Category.DISK_FULL
    assert "Also seen, apart from this: a host name does not resolve (DNS) (line 2 of sync.log)" in report.root_cause
    assert "line 2 of web.log" in report.root_cause
    other = next(item for item in report.evidence if item.file == "sync.log")
    assert other.reason == "another incident: a host name does not resolve (DNS)"
    assert "dig" in commands(report)
    assert (
        "sync.log 2번 줄"
        in report_on_folder({"web.log": DISK, "sync.log": LOOKUP.format(hour="09")}, Language.KO).root_cause
    )


def test_what_the_cause_brings_about_in_another_file_is_no_incident_of_its_own() -> None:
    refused = "2026-11-20T10:00:09Z ERROR order failed: dial tcp 10.0.0.5:8080: connect: connection refused\n"
    report = report_on_folder({"app.log": refused, "web.log": DISK})
    assert report.category is Category.DISK_FULL
    assert "What followed: connections are refused" in report.root_cause
    assert "Also seen" not in report.root_cause
    assert [entry.event for entry in report.timeline] == [
        "cause: the disk is full (no space left on device) (web.log)",
        "consequence: connections are refused because nothing listens at the address (app.log)",
    ]


def test_trouble_in_another_file_from_before_the_cause_is_no_consequence() -> None:
    refused = "2026-11-20T09:00:09Z ERROR order failed: dial tcp 10.0.0.5:8080: connect: connection refused\n"
    report = report_on_folder({"app.log": refused, "web.log": DISK})
    assert "What followed" not in report.root_cause
    assert "Also seen" in report.root_cause


@pytest.mark.parametrize(
    "reason",
    [
        'rpc error: code = NotFound desc = failed to resolve "r.example/shop:v9": r.example/shop:v9: not found',
        "manifest for r.example/shop:v9 not found: manifest unknown: manifest unknown",
        "pull access denied, repository does not exist or may require authorization: authorization failed",
    ],
)
def test_an_image_that_a_cluster_cannot_pull_is_no_matter_of_a_dockerfile(reason: str) -> None:
    report = report_on(f"""\
5m  Normal   Pulling  pod/shop-x2x  Pulling image "r.example/shop:v9"
4m  Warning  Failed   pod/shop-x2x  Failed to pull image "r.example/shop:v9": {reason}
4m  Warning  Failed   pod/shop-x2x  Error: ErrImagePull
3m  Normal   BackOff  pod/shop-x2x  Back-off pulling image "r.example/shop:v9"
""")
    assert report.category is Category.KUBERNETES
    assert "r.example/shop:v9" in report.summary
    assert report.evidence[0].line_start == 2
    assert report.actions[0].command is not None
    assert report.actions[0].command.startswith("kubectl describe pod")
    assert any("secret" in action.title for action in report.actions)
    assert "Dockerfile" not in f"{report.root_cause} {commands(report)}"


def test_a_registry_that_limits_its_rate_is_why_an_image_is_missing() -> None:
    report = report_on(
        "ERROR: failed to solve: node:20: failed to resolve source metadata for docker.io/library/node:20: "
        "429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit.\n"
    )
    assert report.category is Category.RATE_LIMIT
    assert report.summary.startswith("A service limits the rate of requests")


NODE = """\
node:internal/modules/cjs/loader:1143
  throw err;
  ^

Error: Cannot find module '{name}'
Require stack:
- /srv/shop/server.js
    at Module._load (node:internal/modules/cjs/loader:981:27)
    at Object.<anonymous> (/srv/shop/server.js:4:15) {{
  code: 'MODULE_NOT_FOUND'
}}

Node.js v20.11.0
"""


def test_a_module_of_the_project_that_node_does_not_find_is_a_wrong_path() -> None:
    report = report_on(NODE.format(name="./routes/users"))
    assert report.category is Category.APPLICATION_ERROR
    assert "./routes/users" in report.summary
    assert "(/srv/shop/server.js:4)" in report.root_cause
    assert not {"pip", "npm"} & set(commands(report).split())


def test_a_package_that_node_does_not_find_is_to_be_installed_with_npm() -> None:
    report = report_on(NODE.format(name="express"))
    assert report.category is Category.DEPENDENCY_INSTALL
    assert "express" in report.summary
    assert "npm" in commands(report)
    assert "pip" not in commands(report)


def test_of_an_error_that_no_signature_knows_the_line_that_says_most_is_quoted() -> None:
    log = """\
2026-11-20 10:00:05 ERROR import aborted
2026-11-20 10:00:05 ERROR failed at line 4711: column 'weight' holds '12,5kg' where a number belongs
2026-11-20 10:00:05 ERROR see the manual
"""
    report = report_on(log)
    assert report.category is Category.UNKNOWN
    assert report.confidence <= ABSTAINED
    assert "failed at line 4711: column 'weight'" in report.summary
    assert report.evidence[0].line_start == 2
    assert "failed at line 4711" in report_on(log, Language.KO).summary


def test_a_log_that_says_next_to_nothing_is_no_proof_of_health() -> None:
    report = report_on("hello\n")
    assert (report.severity, report.category) == (Severity.OK, Category.NONE)
    assert report.confidence <= ABSTAINED
    assert report_on("2026-11-20T10:00:00Z INFO server started\n").confidence > ABSTAINED


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("process finished with exit code 137", "exit code 137/SIGKILL (line 1)"),
        ("error: process exited with exit code 143", "exit code 143/SIGTERM (line 1)"),
        ("systemd[1]: w.service: Main process exited, code=killed, status=9/KILL", "ended by SIGKILL (line 1)"),
        ("systemd[1]: w.service: Main process exited, code=exited, status=203/EXEC", "exit code 203/EXEC (line 1)"),
        ("error: process exited with exit code 3", "exit code 3 (line 1)"),
    ],
)
def test_how_a_process_ended_is_told_by_the_name_of_its_signal(line: str, says: str) -> None:
    assert says in report_on(f"{line}\n").root_cause


EVERYDAY = (
    (
        "unit that names no program",
        Category.CONFIGURATION,
        "/opt/shop/bin/api",
        "systemctl",
        "Nov 20 08:00:01 web1 systemd[1]: shop.service: Failed to locate executable /opt/shop/bin/api: No such file\n"
        "Nov 20 08:00:01 web1 systemd[1]: shop.service: Main process exited, code=exited, status=203/EXEC\n"
        "Nov 20 08:00:06 web1 systemd[1]: shop.service: Start request repeated too quickly.\n",
    ),
    (
        "command that cron does not find",
        Category.CONFIGURATION,
        "pg_dump",
        "PATH",
        "Nov 20 02:00:01 db1 backup[4412]: /usr/local/bin/backup.sh: line 14: pg_dump: command not found\n",
    ),
    (
        "upstream that does not answer",
        Category.TIMEOUT,
        "10.0.3.7:8080",
        "curl",
        "2026/11/20 09:14:01 [error] 31#31: *5 upstream timed out (110: Connection timed out) while reading response "
        'header from upstream, client: 10.1.0.9, upstream: "http://10.0.3.7:8080/cart", host: "shop.example"\n'
        '10.1.0.9 - - [20/Nov/2026:09:14:01 +0000] "GET /cart HTTP/1.1" 504 167 "-" "curl/8.5"\n',
    ),
    (
        "consumer put out of its group",
        Category.DATABASE,
        "Kafka consumer",
        "kafka-consumer-groups",
        "[2026-11-20 13:05:01,000] WARN [Consumer groupId=orders] consumer poll timeout has expired.\n"
        "[2026-11-20 13:05:02,010] ERROR [Consumer groupId=orders] Offset commit failed on partition orders-3 at "
        "offset 55: The coordinator is not aware of this member.\n",
    ),
    (
        "lock of a terraform state",
        Category.CONFIGURATION,
        "lock",
        "helm history",
        "│ Error: Error acquiring the state lock\n│ Lock Info:\n│   Who:       ci@runner-7\n",
    ),
    (
        "machine that ansible cannot reach",
        Category.NETWORK,
        "10.0.0.12",
        "nc",
        'fatal: [web2]: UNREACHABLE! => {"changed": false, "msg": "Failed to connect to the host via ssh: ssh: connect '
        'to host 10.0.0.12 port 22: Connection timed out", "unreachable": true}\n',
    ),
    (
        "artifact that maven does not find",
        Category.DEPENDENCY_INSTALL,
        "com.example:billing:jar:2.3.1",
        "mvn",
        "[ERROR] Failed to execute goal on project shop: Could not resolve dependencies for project com.example:shop: "
        "Could not find artifact com.example:billing:jar:2.3.1 in central (https://repo.example)\n",
    ),
    (
        "clock that is wrong",
        Category.CONFIGURATION,
        "341.2 seconds",
        "chronyc",
        "Nov 20 16:00:30 app1 chronyd[512]: System clock wrong by 341.2 seconds\n"
        "Nov 20 16:01:02 app1 up[9]: ERROR An error occurred (RequestTimeTooSkewed) when calling PutObject\n",
    ),
    (
        "key that ssh refuses",
        Category.PERMISSION_OR_SECRET,
        "SSH refused",
        "ssh -v",
        "+ rsync -az build/ web1:/srv/www/\nweb1: Permission denied (publickey).\n",
    ),
    (
        "image that no registry has",
        Category.CONTAINER_BUILD,
        "shop/web:v9",
        "docker manifest",
        "$ docker compose up -d\nError response from daemon: manifest for shop/web:v9 not found: manifest unknown\n",
    ),
    (
        "worker that hangs",
        Category.TIMEOUT,
        "supervisor",
        "py-spy",
        "[2026-11-20 10:00:30 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:21)\n"
        "[2026-11-20 10:00:31 +0000] [7] [ERROR] Worker (pid:21) was sent SIGKILL! Perhaps out of memory?\n",
    ),
    (
        "rollout that does not become ready",
        Category.TIMEOUT,
        "rollout",
        "kubectl get events",
        "helm upgrade --install shop ./chart --wait --timeout 5m\nError: UPGRADE FAILED: context deadline exceeded\n",
    ),
    (
        "backend that a proxy takes out",
        Category.NETWORK,
        "be_shop/web1",
        "ss",
        "Nov 20 10:00:00 lb1 haproxy[9]: Server be_shop/web1 is DOWN, reason: Layer4 connection problem, info: "
        '"Connection refused", check duration: 0ms.\n',
    ),
    (
        "data race",
        Category.TEST_FAILURE,
        "race detector",
        "go test -race",
        "WARNING: DATA RACE\nWrite at 0x00c by goroutine 8:\n      /home/dev/shop/cart.go:19 +0x44\n"
        "--- FAIL: TestConcurrent (0.00s)\n    testing.go:1398: race detected during execution of test\nFAIL\n"
        "FAIL\texample.com/shop/cart\t0.012s\n",
    ),
    (
        "import that webpack does not resolve",
        Category.COMPILE_ERROR,
        "Can't resolve './components/Cart'",
        "npm run build",
        "ERROR in ./src/index.js 3:0-34\nModule not found: Error: Can't resolve './components/Cart' in '/srv/shop'\n"
        "webpack 5.91.0 compiled with 1 error in 8 ms\n",
    ),
)


@pytest.mark.parametrize(
    ("category", "names", "command", "log"), [row[1:] for row in EVERYDAY], ids=[row[0] for row in EVERYDAY]
)
def test_an_everyday_failure_is_named_with_a_step_that_fits(
    category: Category, names: str, command: str, log: str
) -> None:
    report = report_on(log)
    assert report.category is category
    assert names in report.summary
    assert command in (report.actions[0].command or "")
    assert report.confidence > ABSTAINED


def test_a_php_error_is_not_taken_for_javascript() -> None:
    report = report_on(
        "[20-Nov-2026 10:00:00 UTC] PHP Fatal error:  Uncaught TypeError: total(): Argument #1 must be of type array, "
        "null given, called in /var/www/shop/cart.php on line 21 and defined in /var/www/shop/total.php:5\n"
    )
    assert "JavaScript" not in report.summary
    assert "(/var/www/shop/cart.php:21)" in report.root_cause


def test_no_sentence_in_korean_has_english_words_for_things_with_a_korean_name() -> None:
    report = report_on("E: Unable to locate package libfoo\n", Language.KO)
    assert report.summary.startswith("시스템 패키지 관리자")


rows = st.sampled_from(
    [
        "2026-11-20T10:00:05Z ERROR write failed: No space left on device",
        "2026-11-20T09:00:05Z ERROR dial tcp 10.0.0.5:80: connect: connection refused",
        "dial tcp: lookup ldap.example on 10.0.0.2:53: no such host",
        "Traceback (most recent call last):",
        '  File "/srv/shop/money.py", line 12, in convert',
        "KeyError: 'CHF'",
        "java.lang.IllegalStateException: {0}",
        "Caused by: java.lang.NullPointerException: %s",
        "\tat com.example.shop.Orders.init(Orders.java:44)",
        "src/cart.c:2:5: error: x",
        "FAILED tests/test_a.py::test_b - assert 1 == 2",
        "E       assert 1 == 2",
        "process finished with exit code 137",
        "hello",
        "",
    ]
)
folders = st.lists(st.lists(rows, max_size=12).map("\n".join), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(folders)
def test_a_report_on_a_folder_quotes_and_places_what_stands_in_its_files(logs: list[str]) -> None:
    folder = {f"{number}.log": f"started\n{log}" for number, log in enumerate(logs)}
    for language in Language:
        report = report_on_folder(folder, language)
        for item in report.evidence:
            assert item.quote == folder[item.file].split("\n")[item.line_start - 1]
        for entry in report.timeline:
            assert len(folder) == 1 or any(f"({name})" in entry.event for name in folder)
        causes = {item.file for item in report.evidence}
        assert all(any(name in folder[file] for file in causes) for name in report.files)
