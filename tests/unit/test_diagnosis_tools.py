"""The offline analyst on what the tools of a build print when they fail."""

import pytest
from msgspec import Struct

from bifrost_domain.diagnosis import diagnose
from bifrost_domain.logs.digest import Coverage, Digest, Redactions, Source
from bifrost_domain.logs.lines import Line
from bifrost_domain.report import Category

# ruff: noqa: E501  (the lines of the logs are as long as the tools print them)


class Case(Struct, frozen=True):
    name: str
    category: Category
    log: str
    file: str = ""
    test: str = ""


CASES = (
    Case(
        "unittest",
        Category.TEST_FAILURE,
        'FAIL: test_sum (app.tests.MathTests)\n  File "/src/app/tests.py", line 9, in test_sum\nAssertionError: 3 != 4\nFAILED (failures=1)',
        "/src/app/tests.py",
        "test_sum (app.tests.MathTests)",
    ),
    Case(
        "vitest",
        Category.TEST_FAILURE,
        " FAIL  src/cart.test.ts > cart > adds\nAssertionError: expected 1 to be 2\n ❯ src/cart.test.ts:9:20\n Test Files  1 failed | 3 passed (4)\n      Tests  1 failed | 9 passed (10)",
        "src/cart.test.ts",
        "src/cart.test.ts > cart > adds",
    ),
    Case(
        "mocha",
        Category.TEST_FAILURE,
        "  12 passing (40ms)\n  1 failing\n\n  1) parser reads dates:\n     AssertionError: expected 1 to equal 2\n      at Context.<anonymous> (test/parser.js:12:14)",
        "test/parser.js",
        "parser reads dates",
    ),
    Case(
        "go",
        Category.TEST_FAILURE,
        "--- FAIL: TestDial (0.01s)\n    dial_test.go:31: got 2, want 3\nFAIL\nFAIL\texample.org/net\t0.020s",
        "dial_test.go",
        "TestDial",
    ),
    Case(
        "go-build",
        Category.COMPILE_ERROR,
        "# example.org/net\n./dial.go:14:9: undefined: retry\nFAIL\texample.org/net [build failed]",
        "dial.go",
    ),
    Case(
        "cargo",
        Category.TEST_FAILURE,
        "test codec::round_trip ... FAILED\n\n---- codec::round_trip stdout ----\nthread 'codec::round_trip' panicked at src/codec.rs:88:9:\nassertion `left == right` failed\n  left: 1\n right: 2\ntest result: FAILED. 8 passed; 1 failed; 0 ignored",
        "src/codec.rs",
        "codec::round_trip",
    ),
    Case(
        "rustc",
        Category.COMPILE_ERROR,
        "error[E0425]: cannot find value `x` in this scope\n --> src/lib.rs:3:5\n  |\n3 |     x\n  |     ^ not found in this scope\nerror: could not compile `demo` (lib) due to 1 previous error",
        "src/lib.rs",
    ),
    Case(
        "clippy",
        Category.LINT_FAILURE,
        'error: redundant clone\n  --> src/main.rs:7:14\n   = help: for further information visit https://rust-lang.github.io/rust-clippy/master/index.html#redundant_clone\n   = note: `-D clippy::redundant-clone` implied by `-D warnings`\nerror: could not compile `demo` (bin "demo") due to 1 previous error',
        "src/main.rs",
    ),
    Case("rustfmt", Category.FORMATTING_FAILURE, "Diff in /src/lib.rs:12:\n-fn a(){}\n+fn a() {}", "/src/lib.rs"),
    Case(
        "surefire",
        Category.TEST_FAILURE,
        "[ERROR] Tests run: 3, Failures: 1, Errors: 0, Skipped: 0, Time elapsed: 0.1 s <<< FAILURE! -- in com.acme.CartTest\n[ERROR] com.acme.CartTest.adds -- Time elapsed: 0.01 s <<< FAILURE!\norg.opentest4j.AssertionFailedError: expected: <1> but was: <2>\n[ERROR] Failed to execute goal org.apache.maven.plugins:maven-surefire-plugin:3.2.5:test (default-test) on project cart: There are test failures.",
        test="com.acme.CartTest.adds",
    ),
    Case(
        "javac",
        Category.COMPILE_ERROR,
        "[ERROR] COMPILATION ERROR : \n[ERROR] /src/main/java/com/acme/Cart.java:[14,9] cannot find symbol\n[ERROR]   symbol:   variable total\n[INFO] BUILD FAILURE",
        "/src/main/java/com/acme/Cart.java",
    ),
    Case(
        "gradle-test",
        Category.TEST_FAILURE,
        "CartTest > adds() FAILED\n    org.opentest4j.AssertionFailedError at CartTest.java:14\n12 tests completed, 1 failed\n> Task :test FAILED\nFAILURE: Build failed with an exception.\nExecution failed for task ':test'.\n> There were failing tests. See the report",
        test="CartTest > adds()",
    ),
    Case(
        "kotlinc",
        Category.COMPILE_ERROR,
        "e: file:///src/main/kotlin/App.kt:9:5 Unresolved reference: total\nFAILURE: Build failed with an exception.\nExecution failed for task ':compileKotlin'.",
        "App.kt",
    ),
    Case(
        "maven-resolve",
        Category.DEPENDENCY_INSTALL,
        "[ERROR] Failed to execute goal on project cart: Could not resolve dependencies for project com.acme:cart:jar:1.0: Could not find artifact com.acme:core:jar:2.0 in central",
    ),
    Case(
        "checkstyle",
        Category.LINT_FAILURE,
        "[ERROR] src/main/java/A.java:[3,1] (imports) UnusedImports: Unused import. [UnusedImports]\n[ERROR] Failed to execute goal org.apache.maven.plugins:maven-checkstyle-plugin:3.3.0:check (validate) on project a: You have 1 Checkstyle violation.",
    ),
    Case(
        "spotless",
        Category.FORMATTING_FAILURE,
        "Execution failed for task ':spotlessJavaCheck'.\n> The following files had format violations:\n      src/main/java/A.java\n  Run './gradlew spotlessApply' to fix all violations.",
    ),
    Case(
        "tsc",
        Category.TYPE_ERROR,
        "src/app.ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'.",
        "src/app.ts",
    ),
    Case(
        "pyright",
        Category.TYPE_ERROR,
        '/src/a.py:3:5 - error: "foo" is not a known attribute of module "bar" (reportAttributeAccessIssue)\n1 error, 0 warnings, 0 informations',
        "/src/a.py",
    ),
    Case(
        "eslint",
        Category.LINT_FAILURE,
        "/src/app.js\n  3:7  error  'a' is assigned a value but never used  no-unused-vars\n\n✖ 1 problem (1 error, 0 warnings)",
    ),
    Case(
        "ruff",
        Category.LINT_FAILURE,
        "src/a.py:1:8: F401 [*] `os` imported but unused\nFound 1 error.\n[*] 1 fixable with the `--fix` option.",
        "src/a.py",
    ),
    Case(
        "black",
        Category.FORMATTING_FAILURE,
        "would reformat src/a.py\nOh no! 💥 💔 💥\n1 file would be reformatted, 9 files would be left unchanged.",
        "src/a.py",
    ),
    Case(
        "ruff-format", Category.FORMATTING_FAILURE, "Would reformat: src/a.py\n1 file would be reformatted", "src/a.py"
    ),
    Case(
        "prettier",
        Category.FORMATTING_FAILURE,
        "Checking formatting...\n[warn] src/app.js\n[warn] Code style issues found in the above file. Run Prettier with --write to fix.",
        "src/app.js",
    ),
    Case(
        "golangci",
        Category.LINT_FAILURE,
        "main.go:9:2: Error return value is not checked (errcheck)\n1 issues:\n* errcheck: 1",
        "main.go",
    ),
    Case(
        "rubocop",
        Category.LINT_FAILURE,
        "lib/a.rb:3:5: C: Layout/LineLength: Line is too long.\n12 files inspected, 1 offense detected",
        "lib/a.rb",
    ),
    Case(
        "shellcheck",
        Category.LINT_FAILURE,
        "In deploy.sh line 3:\nrm $x\n   ^-- SC2086 (info): Double quote to prevent globbing and word splitting.",
    ),
    Case(
        "gcc",
        Category.COMPILE_ERROR,
        "src/a.c:3:5: error: 'x' undeclared (first use in this function)\nmake: *** [Makefile:10: a.o] Error 1",
        "src/a.c",
    ),
    Case(
        "ld",
        Category.COMPILE_ERROR,
        "/usr/bin/ld: a.o: in function `main':\na.c:(.text+0x5): undefined reference to `foo'\ncollect2: error: ld returned 1 exit status",
    ),
    Case(
        "cmake",
        Category.COMPILE_ERROR,
        'CMake Error at CMakeLists.txt:9 (find_package):\n  Could not find a package configuration file provided by "Foo"\n-- Configuring incomplete, errors occurred!',
    ),
    Case(
        "npm",
        Category.DEPENDENCY_INSTALL,
        "npm error code ERESOLVE\nnpm error ERESOLVE unable to resolve dependency tree\nnpm error Found: react@19.0.0",
    ),
    Case(
        "pnpm",
        Category.DEPENDENCY_INSTALL,
        ' ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with "frozen-lockfile" because pnpm-lock.yaml is not up to date with package.json',
    ),
    Case(
        "npm-network",
        Category.NETWORK,
        "npm error code ECONNRESET\nnpm error network read ECONNRESET\nnpm error network This is a problem related to network connectivity.",
    ),
    Case(
        "pip",
        Category.DEPENDENCY_INSTALL,
        "ERROR: Could not find a version that satisfies the requirement nosuch==9.9 (from versions: none)\nERROR: No matching distribution found for nosuch==9.9",
    ),
    Case(
        "uv",
        Category.DEPENDENCY_INSTALL,
        "  × No solution found when resolving dependencies:\n  ╰─▶ Because only foo<=1.0 is available and you require foo>=2.0, we can conclude that your requirements are unsatisfiable.",
    ),
    Case(
        "bundler",
        Category.DEPENDENCY_INSTALL,
        "Could not find compatible versions\n\nBecause every version of a depends on b >= 2",
    ),
    Case(
        "rspec",
        Category.TEST_FAILURE,
        "  1) Cart adds\n     Failure/Error: expect(total).to eq(2)\n       expected: 2\n            got: 1\n12 examples, 1 failure\nrspec ./spec/cart_spec.rb:9 # Cart adds",
        "spec/cart_spec.rb",
    ),
    Case(
        "phpunit",
        Category.TEST_FAILURE,
        "There was 1 failure:\n\n1) App\\Tests\\CartTest::testAdds\nFailed asserting that 1 matches expected 2.\n\nFAILURES!\nTests: 9, Assertions: 20, Failures: 1.",
        test="App\\Tests\\CartTest::testAdds",
    ),
    Case(
        "dotnet-test",
        Category.TEST_FAILURE,
        "  Failed Acme.CartTests.Adds [12 ms]\n  Error Message:\n   Assert.Equal() Failure: Values differ\nExpected: 2\nActual:   1\nFailed!  - Failed:     1, Passed:    20, Skipped:     0, Total:    21",
        test="Acme.CartTests.Adds",
    ),
    Case(
        "dotnet-build",
        Category.COMPILE_ERROR,
        "/src/Cart.cs(9,5): error CS0103: The name 'x' does not exist in the current context [/src/Acme.csproj]\nBuild FAILED.",
        "/src/Cart.cs",
    ),
    Case(
        "ctest",
        Category.TEST_FAILURE,
        "95% tests passed, 1 tests failed out of 20\n\nThe following tests FAILED:\n\t 12 - codec_roundtrip (Failed)\nErrors while running CTest",
        test="codec_roundtrip",
    ),
    Case(
        "gtest",
        Category.TEST_FAILURE,
        "src/a_test.cc:9: Failure\nExpected equality of these values:\n[  FAILED  ] Cart.Adds (0 ms)\n[  FAILED  ] 1 test, listed below:\n 1 FAILED TEST",
        test="Cart.Adds",
    ),
    Case(
        "xctest",
        Category.TEST_FAILURE,
        '/src/CartTests.swift:9: error: -[CartTests testAdds] : XCTAssertEqual failed: ("1") is not equal to ("2")\nTest Case \'-[CartTests testAdds]\' failed (0.001 seconds).\n** TEST FAILED **',
        test="-[CartTests testAdds]",
    ),
    Case(
        "swiftc",
        Category.COMPILE_ERROR,
        "/src/Cart.swift:9:5: error: cannot find 'x' in scope\n** BUILD FAILED **",
        "/src/Cart.swift",
    ),
    Case(
        "exunit",
        Category.TEST_FAILURE,
        "  1) test adds (CartTest)\n     test/cart_test.exs:9\n     Assertion with == failed\n9 tests, 1 failure",
        test="test adds (CartTest)",
    ),
    Case(
        "ghc",
        Category.COMPILE_ERROR,
        "src/Cart.hs:9:5: error: [GHC-88464]\n    Variable not in scope: x\nError: [Cabal-7125]\nFailed to build cart-0.1.",
        "src/Cart.hs",
    ),
    Case(
        "tap",
        Category.TEST_FAILURE,
        "1..2\nok 1 - loads\nnot ok 2 - adds\n#   Failed test 'adds'\n# Looks like you failed 1 test of 2.",
        test="adds",
    ),
    Case(
        "bazel",
        Category.TEST_FAILURE,
        "//cart:cart_test                                     FAILED in 2.1s\nExecuted 1 out of 9 tests: 1 fails locally.",
        test="//cart:cart_test",
    ),
    Case(
        "docker",
        Category.CONTAINER_BUILD,
        '#9 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2\nDockerfile:7\nERROR: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2',
        "Dockerfile",
    ),
    Case(
        "terraform",
        Category.CONFIGURATION,
        '│ Error: Reference to undeclared input variable\n│\n│   on main.tf line 3, in resource "aws_s3_bucket" "b":',
        "main.tf",
    ),
    Case(
        "git-auth",
        Category.PERMISSION_OR_SECRET,
        "remote: Permission to acme/shop.git denied to ci-bot.\nfatal: unable to access 'https://github.com/acme/shop/': The requested URL returned error: 403",
    ),
    Case("token", Category.PERMISSION_OR_SECRET, "##[error]Resource not accessible by integration"),
    Case(
        "missing-action",
        Category.CI_CONFIGURATION,
        "##[error]Unable to resolve action `acme/setup@v9`, unable to find version `v9`",
    ),
    Case("bad-input", Category.CI_CONFIGURATION, "##[error]Input required and not supplied: path"),
    Case(
        "not-installed",
        Category.CI_CONFIGURATION,
        "/home/runner/work/_temp/a.sh: line 1: frobnicate: command not found\n##[error]Process completed with exit code 127.",
    ),
    Case(
        "job-timeout",
        Category.TIMEOUT,
        "##[error]The job running on runner ubuntu-1 has exceeded the maximum execution time of 60 minutes.",
    ),
    Case(
        "runner-disk",
        Category.DISK_FULL,
        "System.IO.IOException: No space left on device : '/home/runner/_diag/Worker.log'",
    ),
    Case("coverage", Category.TEST_FAILURE, "FAIL Required test coverage of 90% not reached. Total coverage: 88.10%"),
    Case(
        "clone-network",
        Category.NETWORK,
        "fatal: unable to access 'https://github.com/acme/shop/': Failed to connect to github.com port 443 after 130 ms: Connection timed out",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_recognises_what_a_tool_prints(case: Case) -> None:
    texts = case.log.split("\n")
    if "##[error]Process completed" not in case.log:
        texts.append("##[error]Process completed with exit code 1.")
    digest = Digest(
        source=Source(name="ci.log", kind="file"),
        lines=tuple(Line(file="ci.log", number=n, text=text, message=text, block=n) for n, text in enumerate(texts, 1)),
        coverage=Coverage(lines_read=len(texts)),
        redactions=Redactions(),
        fingerprint="f",
    )
    report = diagnose(digest)
    assert report.category is case.category, report.summary
    if case.file:
        assert any(case.file in file for file in report.files)
    if case.test:
        assert case.test in report.tests
