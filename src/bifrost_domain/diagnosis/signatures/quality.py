"""Type checkers, linters, formatters and the hooks that run them."""

# ruff: noqa: E501  (a pattern or a sentence stands on one line, so that it can be searched for and compared)

from bifrost_domain.diagnosis.signature import Role, Signature, Step, Text
from bifrost_domain.report import Category

_TYPE_WHY = Text(
    "The checker found code whose types do not agree; nothing was run. The findings name the file and line of each.",
    "타입이 서로 맞지 않는 코드가 발견되었으며 프로그램은 실행되지 않았습니다. 각 항목에 파일과 줄이 표시됩니다.",
)
_LINT_WHY = Text(
    "The code breaks a rule of the linter's configuration; each finding names its file, line and rule.",
    "코드가 린터 설정의 규칙을 어겼습니다. 각 항목에 파일, 줄, 규칙이 표시됩니다.",
)
_FORMAT_WHY = Text(
    "The listed files differ from what the formatter would write: they were committed without formatting.",
    "나열된 파일이 포매터가 쓰는 결과와 다릅니다. 포맷하지 않고 커밋되었습니다.",
)


def _fix(command: str) -> tuple[Step, ...]:
    return (Step(Text("Format the files and commit the result", "파일을 포맷하고 결과를 커밋하세요"), command),)


def _check(command: str) -> tuple[Step, ...]:
    return (
        Step(Text("Run the same check locally", "같은 검사를 로컬에서 실행하세요"), command),
        Step(Text("Fix the first finding, then check again", "첫 번째 항목을 고치고 다시 검사하세요")),
    )


QUALITY = (
    Signature(
        name="mypy",
        category=Category.TYPE_ERROR,
        role=Role.VERDICT,
        weight=0.92,
        patterns=(
            r"^Found [1-9]\d* errors? in \d+ files? \(checked \d+ source files?\)",
            r"\.pyi?:\d+(?::\d+)?: error: .*\[(?:[a-z]+-)*[a-z]+\]$",
            r"^error: not checking stubs due to mypy build errors",
        ),
        what=Text("mypy found type errors", "mypy가 타입 오류를 찾았습니다"),
        why=_TYPE_WHY,
        steps=_check("mypy ."),
    ),
    Signature(
        name="pyright",
        category=Category.TYPE_ERROR,
        role=Role.VERDICT,
        weight=0.9,
        patterns=(
            r"^[1-9]\d* errors?, \d+ warnings?, \d+ (?:informations?|notes?)",
            r"\.pyi?:\d+:\d+ - error: ",
            r"^ERROR \S+:\d+:\d+-\d+: .*\[[a-z-]+\]$",
            r"^Found [1-9]\d* diagnostics?$",
        ),
        what=Text("pyright found type errors", "pyright가 타입 오류를 찾았습니다"),
        why=_TYPE_WHY,
        steps=_check("pyright"),
    ),
    Signature(
        name="tsc",
        category=Category.TYPE_ERROR,
        role=Role.VERDICT,
        weight=0.92,
        patterns=(
            r"(?:error|Error:?) TS\d+: ",
            r"\bTS\d{4,5}: ",
            r"^Found [1-9]\d* errors? in (?:[1-9]\d* files?\.$|the same file|\S+\.[cm]?tsx?:\d+)|^Found [1-9]\d* errors?\. Watching",
            r"Type error: .*(?:Type|Property|Argument|Cannot|Object|Module|Parameter)",
        ),
        what=Text(
            "the TypeScript compiler (tsc) found type errors",
            "TypeScript 컴파일러(tsc)가 타입 오류를 찾았습니다",
        ),
        why=_TYPE_WHY,
        steps=_check("npx tsc --noEmit"),
    ),
    Signature(
        name="flow",
        category=Category.TYPE_ERROR,
        role=Role.VERDICT,
        weight=0.88,
        patterns=(r"^Error -{5,} \S+:\d+:\d+", r"^Found [1-9]\d* errors?$"),
        what=Text("flow found type errors", "flow가 타입 오류를 찾았습니다"),
        why=_TYPE_WHY,
        steps=_check("npx flow check"),
    ),
    Signature(
        name="php-static",
        category=Category.TYPE_ERROR,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"\[ERROR\] Found [1-9]\d* errors?",
            r"^[1-9]\d* errors? found$",
            r"^ERROR: \w+ - \S+\.php:\d+:\d+ - ",
        ),
        what=Text("PHPStan or Psalm found type errors", "PHPStan/Psalm이 타입 오류를 찾았습니다"),
        why=_TYPE_WHY,
        steps=_check("vendor/bin/phpstan analyse"),
    ),
    Signature(
        name="sorbet",
        category=Category.TYPE_ERROR,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(r"https://srb\.help/\d+", r"^Errors: [1-9]\d*$", r"^Total errors: [1-9]|dialyzer.*[Ww]arnings"),
        what=Text(
            "the type checker (sorbet or dialyzer) found type errors",
            "타입 검사기(sorbet, dialyzer)가 오류를 찾았습니다",
        ),
        why=_TYPE_WHY,
    ),
    Signature(
        name="eslint",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.92,
        patterns=(
            r"^\s*[✖✗] [1-9]\d* problems? \([1-9]\d* errors?",
            r"^\s+\d+:\d+\s+error\s+\S.*\s{2,}[@\w/-]+$",
            r"ESLint found too many warnings",
            r"^ESLint: [\d.]+|^Oops! Something went wrong!.*ESLint",
        ),
        what=Text("eslint found lint errors", "eslint가 린트 오류를 찾았습니다"),
        why=_LINT_WHY,
        steps=_check("npx eslint ."),
    ),
    Signature(
        name="eslint-config",
        category=Category.LINT_FAILURE,
        weight=0.93,
        patterns=(
            r"ESLint couldn't find (?:the|an?|a configuration) ",
            r"Failed to load (?:plugin|config|parser) '.*' declared in",
            r"Definition for rule '.*' not found",
        ),
        what=Text("eslint could not load its configuration (lint)", "eslint가 설정을 불러오지 못했습니다"),
        why=Text(
            "A plugin, rule or shared configuration that the lint configuration names is missing or incompatible.",
            "린트 설정이 가리키는 플러그인, 규칙 또는 공유 설정이 없거나 호환되지 않습니다.",
        ),
        steps=(
            Step(
                Text("Print the configuration eslint resolves", "eslint가 해석한 설정을 출력하세요"),
                "npx eslint --print-config FILE",
            ),
        ),
    ),
    Signature(
        name="biome",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.91,
        patterns=(
            r"^Found [1-9]\d* (?:warnings? and [1-9]\d* )?errors?\.$",
            r"^(?P<file>\S+\.\w+):\d+:\d+ lint/\w+/(?P<subject>\w+)",
            r"^\s*[×x] (?:eslint|typescript|unicorn|oxc|react|import)[\w-]*\((?P<subject>[\w-]+)\): ",
            r"Some errors were emitted while running checks",
        ),
        what=Text(
            "the JavaScript linter (biome, oxlint or xo) found lint errors",
            "JavaScript 린터(biome, oxlint)가 린트 오류를 찾았습니다",
        ),
        why=_LINT_WHY,
        steps=_check("npx biome check ."),
    ),
    Signature(
        name="stylelint",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"^\s+\d+:\d+\s+[✖×]\s+\S.*\s{2,}[\w/-]+$",
            r"^\S+\.md:\d+(?::\d+)? (?:error )?MD\d{3}",
            r"^[✖×] \d+ (?:errors?|messages?)|^\s*[✖×]\s+(?:subject|type|header|body|scope)[\w ]+\[[\w-]+\]",
            r"^Summary: [1-9]\d* error",
        ),
        what=Text(
            "a linter (stylelint, markdownlint or commitlint) found lint errors",
            "린터(stylelint, markdownlint, commitlint)가 린트 오류를 찾았습니다",
        ),
        why=_LINT_WHY,
    ),
    Signature(
        name="ruff",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.9,
        patterns=(
            r"^Found [1-9]\d* errors?(?: \(\d+ fixed, \d+ remaining\))?\.$",
            r"\.pyi?:\d+:\d+: [A-Z]{1,4}\d{2,4}\b",
            r"^[A-Z]{1,4}\d{3,4} (?:\[\*\] )?[A-Z`]\S.*$",
            r"fixable with the `--fix` option",
        ),
        what=Text(
            "a Python linter (ruff, flake8 or pylint) found lint errors",
            "Python 린터(ruff, flake8, pylint)가 린트 오류를 찾았습니다",
        ),
        why=_LINT_WHY,
        steps=_check("ruff check ."),
    ),
    Signature(
        name="security-lint",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.88,
        patterns=(
            r"^>> Issue: \[(?P<subject>B\d+:\w+)\]",
            r"^\s*Severity: \w+\s+Confidence: \w+",
            r"^Found [1-9]\d* known vulnerabilit(?:y|ies) in [1-9]\d* packages?|^[1-9]\d* vulnerabilities? (?:found|\()|^\d+ \w+ severity vulnerabilit(?:y|ies)$",
            r"(?i)\bsemgrep\b.*\b[1-9]\d* (?:blocking|findings?)|^\S*\s*[1-9]\d* Code Findings?|leaks found: [1-9]",
        ),
        what=Text(
            "a security linter (bandit, semgrep or an audit) found lint issues",
            "보안 린터(bandit, semgrep, audit)가 문제를 찾았습니다",
        ),
        why=Text(
            "The code or a dependency matches a rule for insecure use; each finding names its rule and its place.",
            "코드나 의존성이 보안 규칙에 걸렸습니다. 각 항목에 규칙과 위치가 표시됩니다.",
        ),
        steps=_check("bandit -r ."),
    ),
    Signature(
        name="clippy",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.95,
        patterns=(
            r"rust-clippy/master|rust-lang\.github\.io/rust-clippy",
            r"`-[DF] (?:clippy::|warnings|unused|dead)",
            r"#\[deny\((?:clippy::|warnings|unused)",
            r"implied by `-D warnings`",
        ),
        what=Text(
            "clippy or a rustc lint denied the code (lint errors)", "clippy 또는 rustc 린트가 코드를 거부했습니다"
        ),
        why=_LINT_WHY,
        steps=_check("cargo clippy --all-targets -- -D warnings"),
    ),
    Signature(
        name="golangci",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.9,
        patterns=(
            r"\.go:\d+(?::\d+)?: .*\((?:errcheck|govet|staticcheck|gosimple|unused|revive|gocritic|gosec|ineffassign|lll|gofumpt|goimports|misspell|stylecheck|typecheck|depguard|exhaustive|nolintlint|unparam|unconvert|prealloc|bodyclose|noctx|testifylint|forbidigo|perfsprint|gci|modernize|intrange|wsl\w*|nakedret|dupl|funlen|gocyclo|usetesting|copyloopvar)\)?",
            r"^[1-9]\d* issues?:$",
            r"issues found$|golangci-lint exit with code [1-9]",
            r"\.go:\d+:\d+: .*\((?:SA|ST|S|QF|U)\d{4}\)$",
        ),
        what=Text("golangci-lint found lint issues", "golangci-lint가 린트 문제를 찾았습니다"),
        why=_LINT_WHY,
        steps=_check("golangci-lint run"),
    ),
    Signature(
        name="go-vet",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"^vet: \S+\.go:\d+",
            r"^\S+\.go:\d+:\d+: (?:(?:\w+\.)?\w*(?:[pP]rint|[eE]rror|[fF]atal|[lL]og|[sS]kip)(?:f|ln)? (?:format|call|arg)|possible |suspicious |composite literal uses unkeyed|unreachable code|self-assignment|struct field |result of .* call not used|.* (?:copies lock|passes lock by value)|loop variable |the cancel|call of |defer |redundant (?:or|and):|impossible |should have signature|method \w+\()",
        ),
        what=Text("go vet reported problems (lint)", "go vet이 문제를 보고했습니다"),
        why=_LINT_WHY,
        steps=_check("go vet ./..."),
    ),
    Signature(
        name="rubocop",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.9,
        patterns=(
            r"^\d+ files? inspected, [1-9]\d* offenses? detected",
            r"\.rb:\d+:\d+: [CWEF]: (?:\[Correctable\] )?[A-Z]\w+/\w+",
        ),
        what=Text("rubocop found lint offenses", "rubocop이 린트 위반을 찾았습니다"),
        why=_LINT_WHY,
        steps=_check("bundle exec rubocop"),
    ),
    Signature(
        name="checkstyle",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.9,
        patterns=(
            r"\[(?:ERROR|WARN|WARNING|ant:checkstyle)\].*\.java.*\[[A-Z]\w+\]$",
            r"(?:Checkstyle (?:rule )?violations|You have [1-9]\d* (?:Checkstyle|PMD) violations?|maven-(?:checkstyle|pmd|spotbugs)-plugin.*(?:failed|Failed))",
            r"\b(?:ktlint|detekt)\b.*(?:failed|found|issues|violation)",
            r"SpotBugs .*(?:found|violations)|BugInstance size is [1-9]|\[ErrorProne\]",
            r"Execution failed for task ':(?:\S*:)?(?:checkstyle|pmd|spotbugs|detekt|lint)\w*'",
        ),
        what=Text(
            "a JVM linter (checkstyle, PMD, SpotBugs, ktlint or detekt) found lint violations",
            "JVM 린터(checkstyle, PMD, SpotBugs, detekt)가 린트 위반을 찾았습니다",
        ),
        why=_LINT_WHY,
    ),
    Signature(
        name="shellcheck",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.88,
        patterns=(
            r"\bSC\d{4}\b.*",
            r"^In \S+ line \d+:$",
            r"https://www\.shellcheck\.net/wiki/",
            r"\bDL\d{4}\b (?:error|warning)",
        ),
        what=Text("shellcheck or hadolint found lint errors", "shellcheck/hadolint가 린트 오류를 찾았습니다"),
        why=_LINT_WHY,
        steps=_check("shellcheck SCRIPT"),
    ),
    Signature(
        name="swiftlint",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.88,
        patterns=(
            r"Done linting! Found [1-9]\d* violations?, [1-9]\d* serious",
            r"\.swift:\d+:\d+: error: .* Violation:",
        ),
        what=Text("swiftlint found lint violations", "swiftlint가 린트 위반을 찾았습니다"),
        why=_LINT_WHY,
        steps=_check("swiftlint lint"),
    ),
    Signature(
        name="yaml-lint",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.85,
        patterns=(
            r"^\s+\d+:\d+\s+error\s+.*\([\w-]+\)$",
            r"\.ya?ml:\d+:\d+: .*\[(?:error|syntax-check|expression|action|events)\]",
            r"^zizmor: |^error\[[a-z-]+\]: .*$",
        ),
        what=Text("yamllint or actionlint found lint errors", "yamllint/actionlint가 린트 오류를 찾았습니다"),
        why=_LINT_WHY,
    ),
    Signature(
        name="spelling",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.86,
        patterns=(
            r"^\S+:\d+: \w+ ==> \w+",
            r"^error: `\w+` should be `\w+`",
            r"Unknown word \(\w+\)|CSpell: Files checked: \d+, Issues found: [1-9]",
            r"Misspell(?:ed|ing)",
        ),
        what=Text(
            "the spelling checker (codespell, typos or cspell) found lint errors",
            "맞춤법 검사기(codespell, typos, cspell)가 오류를 찾았습니다",
        ),
        why=_LINT_WHY,
    ),
    Signature(
        name="other-lint",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.78,
        patterns=(
            r"^\S+\.py:\d+: unused \w+ '(?P<subject>[^']+)' \(\d+% confidence\)",
            r"^\s*D\d{3}: \S",
            r"^\S+: (?:\d+:\d+: )?DEP\d{3} ",
            r"^-* ?RESULT: FAILED \(minimum: ",
            r"^Unused (?:files|dependencies|devDependencies|exports|exported types) \(\d+\)$|^Unlisted dependencies \(\d+\)$",
            r"^[HT]\d{3} \d+:\d+ |^Linted \d+ files?, found [1-9]",
            r"^Failed: [1-9]\d* failure\(s\)|violation\(s\) that are fatal",
            r"^L:\s+\d+ \| P:\s+\d+ \| \w{2}\d{2} \|",
        ),
        what=Text("a linter found lint errors", "린터가 린트 오류를 찾았습니다"),
        why=_LINT_WHY,
    ),
    Signature(
        name="link-checker",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.7,
        patterns=(
            r"^\[✖\] https?://|^> [1-9]\d* dead links? found|🚫 Errors\.+[1-9]|^Issues :-\(",
            r"\bis a dead link\b",
        ),
        what=Text("the link checker found dead links (lint)", "링크 검사기가 깨진 링크를 찾았습니다"),
        why=Text(
            "Documents link to addresses that do not answer or do not exist any more.",
            "문서가 응답하지 않거나 없어진 주소를 링크하고 있습니다.",
        ),
    ),
    Signature(
        name="docs-build",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.78,
        patterns=(
            r"^build finished with problems|Warning, treated as error:|Aborted with \d+ warnings in strict mode|Sphinx error:|unresolved link to `",
            r"^WARNING\s+-\s+(?:Doc file|Documentation file|A (?:relative path|reference)|The following pages).* '(?P<file>[\w./-]+)'.*(?:link|nav|not found|target)",
            r"^(?P<file>\S+\.(?:rst|md|txt|ipynb)):(?:\d+): (?:WARNING|ERROR): ",
        ),
        what=Text(
            "the documentation build treats warnings as errors (docs lint)", "문서 빌드가 경고를 오류로 처리했습니다"
        ),
        why=Text(
            "A reference, link or markup in the documentation is wrong.",
            "문서의 참조, 링크 또는 마크업이 잘못되었습니다.",
        ),
    ),
    Signature(
        name="licence-check",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.84,
        patterns=(
            r"(?i)(?:missing|invalid|unapproved|without) licen[sc]e (?:header|text)s?",
            r"Too many files with unapproved license|Some files do not have the expected license header",
            r"^error\[(?:rejected|unlicensed|vulnerability|banned)\]",
        ),
        what=Text("the licence check (lint) rejected files", "라이선스 검사(린트)가 파일을 거부했습니다"),
        why=Text(
            "Files lack the licence header the project requires, or a dependency's licence is not allowed.",
            "필요한 라이선스 머리말이 없거나 의존성의 라이선스가 허용되지 않습니다.",
        ),
    ),
    Signature(
        name="prettier",
        category=Category.FORMATTING_FAILURE,
        role=Role.VERDICT,
        weight=0.95,
        patterns=(
            r"(?i)code style issues (?:found|fixed|were found)",
            r"Forgot to run [Pp]rettier\?",
            r"(?i)project uses prettier\b",
            r"(?i)prettier.*(?:not formatted|unformatted|formatting (?:errors?|issues?))",
            r"\s{2,}prettier/prettier$",
        ),
        what=Text(
            "prettier found files whose formatting differs",
            "prettier 포맷 검사에서 형식이 다른 파일이 발견되었습니다",
        ),
        why=_FORMAT_WHY,
        steps=_fix("npx prettier --write ."),
    ),
    Signature(
        name="black",
        category=Category.FORMATTING_FAILURE,
        role=Role.VERDICT,
        weight=0.95,
        patterns=(
            r"^(?:Oh no! )?.*[1-9]\d* files? would be reformatted",
            r"^would reformat \S+|^unformatted: ",
            r"^Would reformat: \S+",
            r"^ERROR: \S+ Imports are incorrectly sorted",
        ),
        what=Text(
            "black, ruff format or isort found files whose formatting differs",
            "black/ruff format/isort 포맷 검사에서 형식이 다른 파일이 발견되었습니다",
        ),
        why=_FORMAT_WHY,
        steps=_fix("ruff format .  # or: black . && isort ."),
    ),
    Signature(
        name="rustfmt",
        category=Category.FORMATTING_FAILURE,
        role=Role.VERDICT,
        weight=0.95,
        patterns=(r"^Diff in \S+(?: at line |:)\d+", r"Warning: can't set `.*`, unstable features.*rustfmt"),
        what=Text(
            "rustfmt (cargo fmt) found files whose formatting differs",
            "rustfmt(cargo fmt) 포맷 검사에서 형식이 다른 파일이 발견되었습니다",
        ),
        why=_FORMAT_WHY,
        steps=_fix("cargo fmt --all"),
    ),
    Signature(
        name="gofmt",
        category=Category.FORMATTING_FAILURE,
        role=Role.VERDICT,
        weight=0.93,
        patterns=(
            r"(?i)(?:is|are|not) (?:not )?(?:gofmt|gofumpt|goimports)(?:-ed|ed|'ed|'d)\b",
            r"(?i)gofmt.*(?:needs|need|not formatted|needed|-w|differ)",
            r"\((?:gofmt|gofumpt|goimports|gci)\)$",
            r"^diff \S+\.go\.orig \S+\.go",
        ),
        what=Text(
            "gofmt found files whose formatting differs",
            "gofmt 포맷 검사에서 형식이 다른 파일이 발견되었습니다",
        ),
        why=_FORMAT_WHY,
        steps=_fix("gofmt -w ."),
    ),
    Signature(
        name="spotless",
        category=Category.FORMATTING_FAILURE,
        role=Role.VERDICT,
        weight=0.94,
        patterns=(
            r"The following files had format violations",
            r"Run '.*spotless(?:Apply|:apply).*' to fix",
            r"spotless\w*Check'?",
            r"(?i)scalafmt.*(?:not formatted|must be formatted|isn't formatted)|ktlintCheck.*FAILED|google-java-format.*(?:needs|formatting)",
        ),
        what=Text(
            "a JVM formatter (spotless, scalafmt or ktlint) found files whose formatting differs",
            "JVM 포매터(spotless, scalafmt, ktlint) 포맷 검사에서 형식이 다른 파일이 발견되었습니다",
        ),
        why=_FORMAT_WHY,
        steps=_fix("./gradlew spotlessApply  # or: mvn spotless:apply"),
    ),
    Signature(
        name="other-format",
        category=Category.FORMATTING_FAILURE,
        role=Role.VERDICT,
        weight=0.93,
        patterns=(
            r"code should be clang-formatted \[-Wclang-format-violations\]",
            r"^(?P<file>\S+\.\w+) format [━─]{3,}|Formatter would have printed the following content|File content differs from formatting output",
            r"^\*\* \(Mix\) mix format failed|The following files are not formatted",
            r"(?i)\b(?:files?|code) (?:is|are|was|were) not (?:properly |correctly )?formatted",
            r"(?i)\bformatting (?:check|errors?|issues?|differences)\b.*(?:fail|found|please)",
            r"error WHITESPACE: Fix whitespace formatting|: error (?:IDE0055|WHITESPACE|FINALNEWLINE|IMPORTS): ",
            r"^Found \d+ of \d+ files that can be fixed|php-cs-fixer.*(?:can be fixed)",
            r"found formatting errors|^The following files (?:have|contain) formatting|^Not formatted$|^error: found \d+ (?:not formatted|unformatted) files?",
            r"^File is not `?\w*fmt\w*`?-?ed",
            r"^nixfmt|^treefmt.*changed|^terraform fmt|alejandra.*Requires formatting",
        ),
        what=Text(
            "the formatter found files whose formatting differs",
            "포맷 검사에서 형식이 다른 파일이 발견되었습니다",
        ),
        why=_FORMAT_WHY,
    ),
    Signature(
        name="pre-commit-modified",
        category=Category.FORMATTING_FAILURE,
        role=Role.VERDICT,
        weight=0.8,
        patterns=(r"^\s*-? ?files were modified by this hook", r"pre-commit hook\(s\) made changes"),
        what=Text("a pre-commit hook rewrote files (formatting)", "pre-commit 훅이 파일을 고쳐 썼습니다(포맷)"),
        why=Text(
            "The hook repairs files; that it had to means they were committed without running the hooks.",
            "훅이 파일을 고쳤다는 것은 훅을 실행하지 않고 커밋했다는 뜻입니다.",
        ),
        steps=(
            Step(
                Text("Run the hooks and commit the result", "훅을 실행하고 결과를 커밋하세요"),
                "pre-commit run --all-files",
            ),
        ),
    ),
    Signature(
        name="pre-commit-hook",
        category=Category.LINT_FAILURE,
        role=Role.SYMPTOM,
        weight=0.55,
        patterns=(r"^(?P<subject>\S.*?)\.{3,}\s?Failed$", r"^\s*- hook id: (?P<subject>\S+)"),
        what=Text("a pre-commit hook failed (lint)", "pre-commit 훅이 실패했습니다(린트)"),
        why=_LINT_WHY,
        steps=(
            Step(
                Text("Run the hooks locally", "훅을 로컬에서 실행하세요"),
                "pre-commit run --all-files --show-diff-on-failure",
            ),
        ),
    ),
    Signature(
        name="generated-stale",
        category=Category.LINT_FAILURE,
        role=Role.VERDICT,
        weight=0.7,
        patterns=(
            r"(?i)(?:generated|lock) ?files? (?:is|are) (?:not up[- ]to[- ]date|out of date|stale|outdated)",
            r"(?i)\b(?:is|are) (?:out of date|not up[- ]to[- ]date|out of sync)\b.*(?:run|regenerate|please|update)",
            r"(?i)(?:uncommitted changes|working (?:tree|directory) is (?:dirty|not clean)|please (?:run|commit).*(?:generate|and commit))",
        ),
        what=Text(
            "generated or recorded files are out of date (lint check)", "생성된 파일이 최신이 아닙니다(린트 검사)"
        ),
        why=Text(
            "A file that is made from others was not regenerated before the commit.",
            "다른 파일에서 만들어지는 파일을 다시 생성하지 않고 커밋했습니다.",
        ),
        steps=(Step(Text("Show what differs", "무엇이 다른지 확인하세요"), "git status --short && git diff --stat"),),
    ),
)
