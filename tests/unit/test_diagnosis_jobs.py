"""The offline analyst on whole CI jobs: what a step is, what passed in it, and where a job ended."""

# ruff: noqa: E501  (the lines of the logs are as long as the tools print them)

import pytest

from bifrost_domain.diagnosis import diagnose
from bifrost_domain.logs.digester import Budget, Digester
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.report import Category, Report, Severity

ABSTAINED = 0.3
CLEANUP = ["Post job cleanup.", "Cleaning up orphan processes"]


def step(command: str, output: str) -> list[str]:
    return [f"##[group]Run {command}", command, "shell: /usr/bin/bash -e {0}", "##[endgroup]", *output.split("\n")]


def report_on(*steps: list[str], code: int = 1) -> Report:
    """The report on a job of GitHub Actions; its last step failed unless `code` is 0."""
    lines = ["Current runner version: '2.330.0'", *(line for one in steps for line in one)]
    if code:
        lines.append(f"##[error]Process completed with exit code {code}.")
    text = "\n".join(
        f"2026-02-03T10:14:{n // 1000:02}.{n % 1000:03}0000Z {line}" for n, line in enumerate(lines + CLEANUP)
    )
    digester = Digester("raw.log", Redactor(b"k" * 32))
    digester.feed(text.encode())
    return diagnose(digester.finish(Budget()))


def quoted(report: Report) -> str:
    return "\n".join(item.quote for item in report.evidence)


PASSED_LINT = "a.py:1:1: F401 'os' imported but unused\nFound 1 error."


def test_what_a_tool_concluded_in_a_step_that_passed_is_void() -> None:
    report = report_on(step("ruff check . || true", PASSED_LINT), step("./simulate", "the model diverged"))
    assert report.category is Category.UNKNOWN
    assert report.confidence <= ABSTAINED


@pytest.mark.parametrize(
    "output",
    [
        "12 passed, 0 failed in 2.31s\nERROR handling is covered by tests/test_error.py",
        "WARNING: retrying after connection refused (attempt 1)\nconnected on attempt 2",
        "DeprecationWarning: this will be an error in the next release",
        "app.ERROR: expected failure of the payment provider was handled",
        "Traceback (most recent call last):\nValueError: shown by the example on purpose",
    ],
)
def test_a_job_that_reaches_its_end_without_an_error_of_the_runner_is_healthy(output: str) -> None:
    report = report_on(step("make check", output), code=0)
    assert report.severity is Severity.OK
    assert report.category is Category.NONE


def test_the_script_that_a_runner_repeats_before_it_runs_it_proves_nothing() -> None:
    script = "test -z \"$(gofmt -l .)\" || { echo 'these files are not gofmt-ed:'; exit 1; }"
    report = report_on(step(script, ""), step("./simulate", "the model diverged"))
    assert report.category is Category.UNKNOWN
    assert "gofmt" not in report.summary


def test_without_a_cause_the_last_lines_before_the_end_are_shown() -> None:
    report = report_on(step("./simulate", "reading the model\nstep 1 of 9\nthe model diverged"))
    assert report.confidence <= ABSTAINED
    assert "the model diverged" in report.summary
    assert "the model diverged" in quoted(report)


@pytest.mark.parametrize(
    ("command", "category"),
    [
        ("npm run lint", Category.LINT_FAILURE),
        ("yarn fmt", Category.FORMATTING_FAILURE),
        ("npm run type-check", Category.TYPE_ERROR),
        ("make unit-tests", Category.TEST_FAILURE),
        ("npm install --global tool", Category.DEPENDENCY_INSTALL),
        ("docker buildx build .", Category.CONTAINER_BUILD),
        ("./gradlew build", Category.COMPILE_ERROR),
        ("test -f simulate.cfg", Category.UNKNOWN),
    ],
)
def test_an_unknown_tool_is_judged_by_the_purpose_of_its_step_and_hardly_trusted(
    command: str, category: Category
) -> None:
    report = report_on(step(command, "frobnication came out wrong"))
    assert report.category is category
    assert report.confidence <= ABSTAINED


def test_trouble_that_a_passing_test_provoked_does_not_explain_a_failing_one() -> None:
    output = """\
=== RUN   TestFull
    full_test.go:6: write /tmp/x: no space left on device
--- PASS: TestFull (0.00s)
=== RUN   TestSum
    sum_test.go:11: got 3, want 4
--- FAIL: TestSum (0.00s)
FAIL
FAIL\tacme.example/shop\t0.003s"""
    report = report_on(step("go test -v ./...", output))
    assert report.category is Category.TEST_FAILURE
    assert report.tests[0] == "TestSum"


def test_trouble_inside_a_failing_test_is_what_lies_beneath_it() -> None:
    output = """\
=== RUN   TestSum
    sum_test.go:11: write /tmp/x: no space left on device
--- FAIL: TestSum (0.00s)
FAIL
FAIL\tacme.example/shop\t0.003s"""
    report = report_on(step("go test -v ./...", output))
    assert report.category is Category.DISK_FULL
    assert report.confidence < 0.7


def test_a_test_that_ran_into_the_limit_of_its_runner_timed_out() -> None:
    output = """\
_______________________________ test_reply _______________________________
test_queue.py:6: in test_reply
    assert q.get() == 1
E   Failed: Timeout (>2.0s) from pytest-timeout.
=========================== short test summary info ============================
FAILED test_queue.py::test_reply - Failed: Timeout (>2.0s) from pytest-timeout.
============================== 1 failed in 2.31s ==============================="""
    report = report_on(step("pytest", output))
    assert report.category is Category.TIMEOUT
    assert report.tests == ("test_queue.py::test_reply",)


def test_an_exception_that_outside_trouble_raised_is_of_the_category_of_that_trouble() -> None:
    output = """\
Traceback (most recent call last):
  File "smoke.py", line 4, in <module>
    socket.create_connection(address)
ConnectionRefusedError: [Errno 111] Connection refused"""
    assert report_on(step("python smoke.py", output)).category is Category.NETWORK


def test_the_lines_of_a_message_that_is_broken_into_lines_are_cited_together() -> None:
    output = """\
error during build:
Could not resolve "./missing.js" from "main.js"
file: /home/runner/work/shop/shop/main.js"""
    report = report_on(step("vite build", output))
    assert report.category is Category.COMPILE_ERROR
    assert 'Could not resolve "./missing.js" from "main.js"' in quoted(report)


@pytest.mark.parametrize(
    ("tool", "category", "output"),
    [
        (
            "doctest",
            Category.TEST_FAILURE,
            'File "money.py", line 3, in money.cents\nFailed example:\n    cents(1.5)\n***Test Failed*** 1 failure.',
        ),
        (
            "bandit",
            Category.LINT_FAILURE,
            ">> Issue: [B602:subprocess_popen_with_shell_equals_true] call with shell=True\n   Location: ./svc/run.py:5:11",
        ),
        (
            "biome",
            Category.LINT_FAILURE,
            "src/eq.js:2:11 lint/suspicious/noDoubleEquals  FIXABLE  ━━━━\nFound 1 error.",
        ),
        (
            "biome format",
            Category.FORMATTING_FAILURE,
            "src/a.js format ━━━━━━\n  × Formatter would have printed the following content:\nFound 1 error.",
        ),
        (
            "behave",
            Category.TEST_FAILURE,
            "Failing scenarios:\n  features/cart.feature:2  add one\n0 features passed, 1 failed, 0 skipped",
        ),
        ("robot", Category.TEST_FAILURE, "Sums                      | FAIL |\n5 != 4\n1 test, 0 passed, 1 failed"),
        (
            "node --test",
            Category.TEST_FAILURE,
            "✖ rounds half up (2.6ms)\n  AssertionError [ERR_ASSERTION]: Expected values to be strictly equal:\nℹ fail 1",
        ),
        (
            "go vet",
            Category.LINT_FAILURE,
            "# acme.example/shop\n./main.go:6:15: fmt.Printf format %d has arg name of wrong type string",
        ),
        (
            "php -l",
            Category.COMPILE_ERROR,
            "PHP Parse error:  Unclosed '{' on line 2 in src/Shop.php on line 3\nErrors parsing src/Shop.php",
        ),
        ("ruby -c", Category.COMPILE_ERROR, "app.rb:2: syntax error, unexpected end-of-input, expecting `end'"),
        ("node", Category.COMPILE_ERROR, "SyntaxError: Unexpected token function"),
        (
            "mkdocs",
            Category.LINT_FAILURE,
            "WARNING -  Doc file 'index.md' contains a link 'guide.md', but the target is not found\nAborted with 1 warnings in strict mode!",
        ),
        ("vulture", Category.LINT_FAILURE, "src/shop.py:1: unused function 'old_price' (60% confidence)"),
        ("jasmine", Category.TEST_FAILURE, "1) sum adds\n  Message:\n    Expected 3 to be 4.\n2 specs, 1 failure"),
        (
            "conftest",
            Category.TEST_FAILURE,
            "ImportError while loading conftest '/src/conftest.py'.\nE   ModuleNotFoundError: No module named 'testkit'",
        ),
        (
            "npm install",
            Category.DEPENDENCY_INSTALL,
            "npm error code 7\nnpm error command failed\nnpm error command sh -c node fetch.js",
        ),
        ("bundle", Category.DEPENDENCY_INSTALL, "Bundler can't satisfy your Gemfile's dependencies."),
        ("bash -u", Category.APPLICATION_ERROR, "release.sh: line 2: VERSION: unbound variable"),
        ("cp", Category.CI_CONFIGURATION, "cp: cannot stat 'dist/shop.tar.gz': No such file or directory"),
        ("assert", Category.CRASH, "t: t.c:2: main: Assertion `n > 0' failed."),
    ],
)
def test_a_tool_is_recognised_by_what_it_prints(tool: str, category: Category, output: str) -> None:
    report = report_on(step("./run", output))
    assert report.category is category
    assert report.confidence > ABSTAINED
    assert report.evidence[0].quote.strip() in output
