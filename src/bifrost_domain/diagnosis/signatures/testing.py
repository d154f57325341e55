"""Test runners: the lines by which they say that tests failed."""

# ruff: noqa: E501  (a pattern or a sentence stands on one line, so that it can be searched for and compared)

from bifrost_domain.diagnosis.signature import Role, Signature, Step, Text
from bifrost_domain.report import Category

_WHY = Text(
    "The runner ran the tests and at least one did not behave as it asserts; the first failing test shows the "
    "expected and the actual behaviour.",
    "러너가 테스트를 실행했고 하나 이상이 기대한 대로 동작하지 않았습니다. 처음 실패한 테스트에 기대값과 실제값이 나타납니다.",
)
_READ = Step(
    Text(
        "Compare expected and actual values of the first failing test",
        "처음 실패한 테스트의 기대값과 실제값을 비교하세요",
    )
)


def _rerun(command: str) -> Step:
    return Step(Text("Reproduce the failing test alone", "실패한 테스트만 따로 재현하세요"), command)


TESTING = (
    Signature(
        name="pytest-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"^=* ?(?:.*, )?[1-9]\d* failed(?:, .*)? in [\d.]+s",
            r"^FAILED \S+\.py::\S+",
            r"^(?:\[gw\d+\].*)?FAILED \S+\.py::",
            r"^\S+\.py::\S.* FAILED\b",
        ),
        what=Text("pytest reports failed tests", "pytest 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("pytest --last-failed -x -vv"), _READ),
    ),
    Signature(
        name="pytest-collection",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.83,
        patterns=(
            r"^_+ ERROR (?:collecting|at setup of|at teardown of) .+ _+$",
            r"^=* ?(?:.*, )?[1-9]\d* errors? in [\d.]+s",
            r"Interrupted: [1-9]\d* errors? during collection",
            r"^ERROR \S+\.py(?:::\S+)?(?: - .*)?$",
            r"^ImportError while loading conftest '(?P<file>[^']+)'",
        ),
        what=Text("pytest could not collect or set up tests", "pytest가 테스트를 수집하거나 준비하지 못했습니다"),
        why=Text(
            "An exception was raised while pytest imported a test module or set a fixture up, before the test body ran.",
            "테스트 본문이 실행되기 전에 테스트 모듈을 불러오거나 픽스처를 준비하는 중 예외가 발생했습니다.",
        ),
        steps=(_rerun("pytest --collect-only -q"), _READ),
    ),
    Signature(
        name="pytest-usage",
        category=Category.CONFIGURATION,
        weight=0.8,
        patterns=(
            r"^(?:ERROR: )?(?:usage: pytest|__main__\.py: error: unrecognized arguments|ERROR: usage: )",
            r"^ERROR: (?:file or directory not found|not found): \S+",
            r"^pytest\.PytestConfigWarning|^ERROR: \S+: '\w+' (?:not found in `markers`|requires pytest)",
        ),
        what=Text("pytest rejected its configuration", "pytest가 설정을 받아들이지 않았습니다"),
        why=Text(
            "pytest stopped before it ran a test because an option, a path or conftest.py is wrong.",
            "옵션, 경로 또는 conftest.py가 잘못되어 테스트를 실행하기 전에 pytest가 멈췄습니다.",
        ),
        steps=(
            Step(
                Text("Check the options and paths pytest gets", "pytest 옵션과 경로를 확인하세요"),
                "pytest --collect-only -q",
            ),
        ),
    ),
    Signature(
        name="unittest-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.83,
        patterns=(r"^FAILED \((?:failures|errors|unexpected successes)=", r"^(?:FAIL|ERROR): \w+ \([\w.<>]+\)"),
        what=Text("Python unittest reports failed tests", "Python unittest 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("python -m unittest -f -v"), _READ),
    ),
    Signature(
        name="doctest-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.83,
        patterns=(
            r"^\*\*\*Test Failed\*\*\* [1-9]",
            r"^Failed example:$",
            r"^\s*[1-9]\d* items? had failures:$",
        ),
        what=Text("doctest reports failed examples", "doctest 예제가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("python -m doctest -v FILE"), _READ),
    ),
    Signature(
        name="jest-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"^Tests:\s+.*[1-9]\d* failed",
            r"^Test Suites: .*[1-9]\d* failed",
            r"^\s*FAIL\s+(?:\w+\s+)?\S+\.(?:[cm]?[jt]sx?|vue)(?: \([\d.]+ m?s\))?$",
            r"^\s*expect\((?:received|jest\.fn\(\)|.*)\)\.(?:not\.)?to\w+\(",
        ),
        what=Text("jest reports failed tests", "jest 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("npx jest --onlyFailures"), _READ),
    ),
    Signature(
        name="jest-snapshot",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.88,
        patterns=(
            r"^Snapshots:\s+.*[1-9]\d* (?:failed|obsolete.*failed)",
            r"\bSnapshot name: `",
            r"(?:does not|doesn't) match (?:the )?stored snapshot|[1-9]\d* snapshots? failed|Snapshot `.*` mismatched",
            r"New snapshot was not written\. The update flag must be explicitly passed",
            r"snapshot assertion for '.*' failed|Snapshot Summary.*|image comparison failed|Screenshot comparison failed",
        ),
        what=Text(
            "a snapshot test does not match its stored snapshot (expected vs actual output differ)",
            "스냅샷 테스트 결과가 저장된 스냅샷과 다릅니다",
        ),
        why=Text(
            "The output changed since the snapshot was recorded: either the change is wanted and the snapshot is old, "
            "or it is a regression.",
            "스냅샷을 기록한 뒤 출력이 바뀌었습니다. 의도한 변경이라 스냅샷이 오래되었거나, 회귀입니다.",
        ),
        steps=(
            Step(Text("Look at the difference before accepting it", "차이를 받아들이기 전에 확인하세요")),
            Step(Text("If it is wanted, update the snapshot", "의도한 변경이면 스냅샷을 갱신하세요"), "npx jest -u"),
        ),
    ),
    Signature(
        name="jest-nothing-found",
        category=Category.TEST_FAILURE,
        role=Role.SYMPTOM,
        weight=0.45,
        patterns=(
            r"^No tests? (?:files )?found, exiting with code [1-9]",
            r"^No test files found",
            r"collected 0 items$",
        ),
        what=Text(
            "jest or vitest found no tests to run (no tests found)",
            "jest 또는 vitest가 실행할 테스트를 찾지 못했습니다",
        ),
        why=Text(
            "The runner looked in the wrong place, or the files it should see are not there.",
            "러너가 엉뚱한 곳을 보았거나, 보여야 할 파일이 없습니다.",
        ),
        steps=(
            Step(
                Text("List the tests the runner sees", "러너가 보는 테스트 목록을 확인하세요"), "npx jest --listTests"
            ),
        ),
    ),
    Signature(
        name="jest-suite",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.83,
        patterns=(
            r"● Test suite failed to run",
            r"Jest encountered an unexpected token",
            r"Your test suite must contain at least one test",
        ),
        what=Text("a jest test suite could not be loaded", "jest 테스트 묶음을 불러오지 못했습니다"),
        why=Text(
            "The test file could not be parsed or one of its imports failed, so none of its tests ran.",
            "테스트 파일을 해석하지 못했거나 가져오기가 실패하여 그 안의 테스트가 하나도 실행되지 않았습니다.",
        ),
        steps=(_rerun("npx jest --onlyFailures"),),
    ),
    Signature(
        name="vitest-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"^\s*(?:Tests|Test Files)\s+[1-9]\d* failed",
            r"^\s*FAIL\s+(?:\|[\w-]+\|\s+)?\S+\.(?:[cm]?[jt]sx?|vue|svelte)(?: > |\s*\[)",
            r"Failed Tests [1-9]\d*|Failed Suites [1-9]\d*",
        ),
        what=Text("vitest reports failed tests", "vitest 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("npx vitest run --bail 1"), _READ),
    ),
    Signature(
        name="mocha-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.82,
        patterns=(
            r"^\s+[1-9]\d* failing$",
            r"^\s*[1-9]\d* tests? failed$",
            r"^\s+[1-9]\d* failed$",
            r"^(?:#|ℹ) fail\s+[1-9]",
            r"^\d+ specs?, [1-9]\d* failures?",
        ),
        what=Text(
            "the JavaScript test runner (mocha, ava, playwright or node:test) reports failed tests",
            "JavaScript 테스트 러너(mocha 등)에서 테스트가 실패했습니다",
        ),
        why=_WHY,
        steps=(_rerun("npx mocha --bail"), _READ),
    ),
    Signature(
        name="browser-test",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.8,
        patterns=(
            r"^Executed \d+ of \d+ .*\([1-9]\d* FAILED\)",
            r"^(?:Chrome|Firefox|Safari|HeadlessChrome|PhantomJS).*\([1-9]\d* FAILED\)",
            r"^\s+\d+\) \[(?:chromium|firefox|webkit)\] › ",
            r"^\s*✖\s+[1-9]\d* of \d+ failed",
        ),
        what=Text(
            "browser tests (karma, playwright or cypress) failed",
            "브라우저 테스트(karma, playwright, cypress)가 실패했습니다",
        ),
        why=_WHY,
        steps=(_READ,),
    ),
    Signature(
        name="go-test-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(r"^\s*--- FAIL: \S+", r"^FAIL\s+\S+\s+[\d.]+s$", r"^=== FAIL: "),
        what=Text("go test reports failed tests", "go test가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("go test ./... -run NAME -count=1 -v"), _READ),
    ),
    Signature(
        name="go-race",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.9,
        patterns=(r"WARNING: DATA RACE", r"race detected during execution of test", r"WARNING: ThreadSanitizer: "),
        what=Text(
            "the race detector found a data race (DATA RACE)", "경쟁 상태 검출기가 데이터 경쟁(DATA RACE)을 찾았습니다"
        ),
        why=Text(
            "Two goroutines or threads used the same memory without synchronisation, and at least one of them wrote.",
            "두 고루틴 또는 스레드가 동기화 없이 같은 메모리를 사용했고 적어도 하나가 썼습니다.",
        ),
        steps=(_rerun("go test -race ./..."),),
    ),
    Signature(
        name="go-test-timeout",
        category=Category.TIMEOUT,
        weight=0.92,
        patterns=(r"panic: test timed out after \S+", r"\*\*\* Test killed with quit: ran too long"),
        what=Text("go test ran into its timeout", "go test가 제한 시간을 넘겼습니다"),
        why=Text(
            "A test hung or was too slow; the goroutine dump shows where it waited.",
            "테스트가 멈췄거나 너무 느렸습니다. 고루틴 덤프에 어디서 기다렸는지 나옵니다.",
        ),
        steps=(_rerun("go test -timeout 10m -run NAME -v ./..."),),
    ),
    Signature(
        name="cargo-test-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.84,
        patterns=(
            r"^\s*test result: FAILED",
            r"^\s*test \S+ \.\.\. FAILED$",
            r"^error: test failed, to rerun pass",
            r"tests run: .*[1-9]\d* failed",
            r"^error: test run failed",
            r"^\s*FAIL \[\s*[\d.]+s\]",
        ),
        what=Text("cargo test or nextest reports failed tests", "cargo test 또는 nextest 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("cargo test -- --nocapture"), _READ),
    ),
    Signature(
        name="trybuild-mismatch",
        category=Category.COMPILE_ERROR,
        role=Role.VERDICT,
        weight=0.97,
        patterns=(
            r"^\s*test \S+\.rs (?:\[.*\] )?\.\.\. mismatch",
            r"^\s*test (?P<subject>\S+\.rs) \[should (?:fail to compile|pass)\] \.\.\. (?:mismatch|error)",
            r"environment variable TRYBUILD=overwrite",
            r"error: \d+ ui tests? failed|^error: actual output differed from expected|actual stderr differed from expected",
        ),
        what=Text(
            "a trybuild or ui test (compile_fail) got another compile error than the expected one: expected vs actual "
            "compiler output differ",
            "trybuild/ui 테스트(compile_fail)에서 컴파일러 출력이 기대한 오류와 다릅니다(expected vs actual)",
        ),
        why=Text(
            "The compiler's diagnostics changed, as they do with a new toolchain or a changed macro, and the stored "
            "expectation was not renewed.",
            "새 툴체인이나 바뀐 매크로 때문에 컴파일러 진단이 달라졌는데 저장된 기대 출력은 갱신되지 않았습니다.",
        ),
        steps=(
            Step(
                Text(
                    "If the new diagnostics are right, regenerate the expected .stderr files",
                    "새 진단이 맞으면 기대 .stderr 파일을 다시 만드세요",
                ),
                "TRYBUILD=overwrite cargo test",
            ),
            Step(
                Text("Compare the toolchain with the last green run", "마지막 성공 실행과 툴체인을 비교하세요"),
                "rustc --version",
            ),
        ),
    ),
    Signature(
        name="surefire-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"Tests run: \d+, Failures: [1-9]",
            r"Tests run: \d+, Failures: \d+, Errors: [1-9]",
            r"There are test failures\.",
            r"<<< (?:FAILURE|ERROR)!",
            r"Failed to execute goal .*(?:surefire|failsafe)",
        ),
        what=Text(
            "Maven (surefire or failsafe) reports failed tests", "Maven(surefire/failsafe) 테스트가 실패했습니다"
        ),
        why=_WHY,
        steps=(_rerun("mvn -Dtest=NAME test"), _READ),
    ),
    Signature(
        name="gradle-test-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"^\d+ tests completed, [1-9]\d* failed",
            r"> There were failing tests\.",
            r"^[\w.$]+(?:\[[^\]]*\])? > .+ FAILED$",
            r"Execution failed for task ':(?:\S*:)?\w*[tT]est\w*'",
        ),
        what=Text("Gradle reports failed tests", "Gradle 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("./gradlew test --tests NAME --info"), _READ),
    ),
    Signature(
        name="scala-test-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.84,
        patterns=(
            r"\*\*\* FAILED \*\*\*",
            r"\*\*\* [1-9]\d* TESTS? FAILED \*\*\*",
            r"\[error\] Failed tests:",
            r"TestsFailedException: Tests unsuccessful",
        ),
        what=Text("sbt (ScalaTest) reports failed tests", "sbt(ScalaTest) 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("sbt testQuick"), _READ),
    ),
    Signature(
        name="rspec-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(r"^\d+ examples?, [1-9]\d* failures?", r"^rspec \./\S+_spec\.rb", r"^\s+Failure/Error: "),
        what=Text("rspec reports failed examples", "rspec 예제가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("bundle exec rspec --only-failures"), _READ),
    ),
    Signature(
        name="minitest-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.83,
        patterns=(r"^\d+ (?:runs|tests), \d+ assertions, (?:[1-9]\d* failures|\d+ failures, [1-9]\d* errors)",),
        what=Text("minitest reports failed tests", "minitest 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("bundle exec rake test"), _READ),
    ),
    Signature(
        name="phpunit-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"^Tests: \d+, Assertions: \d+.*(?:Failures|Errors|Warnings): [1-9]",
            r"^There (?:was|were) [1-9]\d* (?:failure|error)s?:",
            r"^(?:FAILURES|ERRORS)!$",
            r"^Tests FAILED\s+:|^\s+Tests:\s+[1-9]\d* failed",
        ),
        what=Text("PHPUnit reports failed tests", "PHPUnit 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("vendor/bin/phpunit --stop-on-failure"), _READ),
    ),
    Signature(
        name="dotnet-test-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"^Failed!\s+- Failed:\s+[1-9]",
            r"^Test Run Failed\.",
            r"\S+ \[FAIL\]$",
            r"^\s+Failed [A-Z]\w*\.\S+ \[",
        ),
        what=Text("dotnet test reports failed tests", "dotnet test가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("dotnet test --filter NAME --logger console;verbosity=detailed"), _READ),
    ),
    Signature(
        name="ctest-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.84,
        patterns=(
            r"^\d+% tests passed, [1-9]\d* tests? failed",
            r"^The following tests FAILED:",
            r"^Errors while running CTest",
            r"^\s*\d+/\d+ Test\s+#\d+: \S+ \.+\*\*\*(?:Failed|Exception)",
        ),
        what=Text("ctest reports failed tests", "ctest 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("ctest --rerun-failed --output-on-failure"), _READ),
    ),
    Signature(
        name="gtest-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(r"^\s*\[\s+FAILED\s+\] \S+", r"^\s*[1-9]\d* FAILED TESTS?", r"^test cases: .*[1-9]\d* failed"),
        what=Text("GoogleTest or Catch2 reports failed tests", "GoogleTest/Catch2 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_READ,),
    ),
    Signature(
        name="xctest-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"\*\* TEST FAILED \*\*",
            r"Test [Cc]ase '.*' failed",
            r"^Executed \d+ tests, with [1-9]\d* failures?",
            r"^Failing tests:",
            r"^✘ Test run with \d+ tests .*failed",
            r"^\s*\S+\.swift:\d+: error: .* : XCTAssert",
        ),
        what=Text("Xcode or Swift tests failed", "Xcode/Swift 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("swift test --filter NAME"), _READ),
    ),
    Signature(
        name="exunit-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.84,
        patterns=(
            r"^\d+ (?:doctests?, \d+ )?tests?, [1-9]\d* failures?",
            r"^\s+\d+\) (?:test|doctest) .+ \([A-Z][\w.]+\)$",
        ),
        what=Text("mix test (ExUnit) reports failed tests", "mix test(ExUnit)가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("mix test --failed"), _READ),
    ),
    Signature(
        name="haskell-test-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.82,
        patterns=(
            r"^[1-9]\d* out of \d+ tests failed",
            r"^Test suite \S+: FAIL",
            r"^\d+ of \d+ test suites .*failed|Test suite failure for package",
            r"\*\*\* Failed! Falsif",
        ),
        what=Text("the Haskell test suite failed", "Haskell 테스트가 실패했습니다"),
        why=_WHY,
        steps=(_rerun("cabal test --test-show-details=direct"), _READ),
    ),
    Signature(
        name="tap-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.75,
        patterns=(
            r"^\s*not ok \d+",
            r"^Result: FAIL$",
            r"^Failed \d+/\d+ (?:test programs|subtests)",
            r"^\S+\.t .*\(Wstat: [1-9]",
            r"^# Looks like you failed \d+ tests? of",
            r"^\d+/\d+ tests? failed|^\d+ tests? failed\b|^FAILED TESTS$",
        ),
        what=Text("TAP-style tests (prove, bats or tap) failed", "TAP 형식 테스트(prove, bats)가 실패했습니다"),
        why=_WHY,
        steps=(_READ,),
    ),
    Signature(
        name="bazel-test-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.83,
        patterns=(r"^//\S+\s+FAILED in ", r"^Executed \d+ out of \d+ tests?:.*[1-9]\d* fail", r"^FAIL: //\S+"),
        what=Text("bazel test reports failed targets", "bazel test 대상이 실패했습니다"),
        why=_WHY,
        steps=(_rerun("bazel test --test_output=errors TARGET"), _READ),
    ),
    Signature(
        name="other-test-failed",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.68,
        patterns=(
            r"^(?:Some|[1-9]\d*) tests? (?:have )?(?:FAILED|failed)\b",
            r"^Test Summary:.*\bFail\b",
            r"Test Failed at \S+\.jl:\d+",
            r"\[ FAIL [1-9]\d* \|",
            r"^── (?:Failure|Error) \(",
            r"^FAIL(?:ED)?:? +tests?/\S+",
            r"^Failed tests?:",
            r"^\s*Fail(?:ed|ing) scenarios:|^[1-9]\d* scenarios? \([1-9]\d* failed",
            r"^\d+ (?:tests?|scenarios?|features?)\b.*\b(?:passed|total), [1-9]\d* failed|^\S.*\s\| FAIL \|$",
            r"\bAssertionError\b",
            r"(?i)^\s*assertion failed\b",
        ),
        what=Text("the test runner reports failed tests", "테스트가 실패했습니다"),
        why=_WHY,
        steps=(_READ,),
    ),
    Signature(
        name="coverage-threshold",
        category=Category.TEST_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"Required test coverage of \S+ not reached",
            r"Coverage for \w+ \([\d.]+%\) does not meet (?:global )?threshold",
            r"coverage threshold for \w+ .* not met",
            r"^Coverage failure: total of",
        ),
        what=Text("test coverage is below the required threshold", "테스트 커버리지가 기준에 미치지 못합니다"),
        why=Text(
            "The tests passed, but they do not cover as much code as the project demands.",
            "테스트는 통과했지만 프로젝트가 요구하는 만큼 코드를 다루지 못했습니다.",
        ),
        steps=(
            Step(Text("List what is not covered", "커버되지 않은 부분을 확인하세요"), "coverage report --show-missing"),
        ),
    ),
)
