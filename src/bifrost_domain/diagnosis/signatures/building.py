"""Compilers, linkers and build tools."""

# ruff: noqa: E501  (a pattern or a sentence stands on one line, so that it can be searched for and compared)

from bifrost_domain.diagnosis.signature import Role, Signature, Step, Text
from bifrost_domain.report import Category

_WHY = Text(
    "The code does not compile, so nothing after it was built or run. The first diagnostic matters most; later ones "
    "often follow from it.",
    "코드가 컴파일되지 않아 이후 단계가 빌드되거나 실행되지 않았습니다. 첫 진단이 가장 중요하며 나머지는 그 결과인 경우가 많습니다.",
)


def _build(command: str) -> tuple[Step, ...]:
    return (
        Step(Text("Reproduce the compile error", "컴파일 오류를 재현하세요"), command),
        Step(Text("Fix the first diagnostic, then build again", "첫 번째 진단을 고치고 다시 빌드하세요")),
    )


def _compiler(name: str, en: str, ko: str, patterns: tuple[str, ...], command: str, weight: float = 0.93) -> Signature:
    return Signature(
        name=name,
        category=Category.COMPILE_ERROR,
        role=Role.VERDICT,
        weight=weight,
        patterns=patterns,
        what=Text(en, ko),
        why=_WHY,
        steps=_build(command),
    )


BUILDING = (
    _compiler(
        "rustc",
        "rustc reports a compile error",
        "rustc 컴파일 오류가 발생했습니다",
        (
            r"^\s*error\[E\d{4}\]: ",
            r"^error: could not compile `",
            r"^error: (?:aborting due to|cannot find (?:macro|attribute|derive)|expected .*, found|unresolved|no rules expected|failed to run custom build command|couldn't read `)",
        ),
        "cargo check --all-targets",
        0.88,
    ),
    _compiler(
        "go-build",
        "the Go compiler (go build) reports a compile error",
        "Go 컴파일 오류가 발생했습니다",
        (
            r"\.go:\d+(?::\d+)?: (?:undefined: |cannot use |too (?:many|few) arguments|not enough arguments|missing return|syntax error|undefined \(type|imported and not used|declared and not used|\S+ redeclared|.* does not implement |assignment mismatch|invalid operation|unknown field|cannot find package|no required module|.* declared (?:and|but) not used|cannot (?:convert|assign|call|infer))",
            r"^FAIL\s+\S+ \[(?:build|setup) failed\]",
            r"^\S+\.go:\d+:\d+: could not import |build constraints exclude all Go files",
        ),
        "go build ./...",
        0.9,
    ),
    _compiler(
        "javac",
        "javac or the Maven compiler reports a compile error",
        "javac 컴파일 오류가 발생했습니다",
        (
            r"\.java:(?:\[\d+,\d+\]|\d+:) (?:error: |.*(?:cannot find symbol|incompatible types|package .* does not exist|is not abstract|has private access|unreported exception))",
            r"COMPILATION ERROR",
            r"Failed to execute goal .*maven-compiler-plugin",
            r"Execution failed for task ':(?:\S*:)?compile\w*(?:Java|Groovy)'",
            r"Compilation failed; see the compiler (?:error )?output",
            r"^error: warnings found and -Werror specified",
        ),
        "mvn -q compile  # or: ./gradlew compileJava",
    ),
    _compiler(
        "kotlinc",
        "the Kotlin compiler reports a compile error",
        "Kotlin 컴파일 오류가 발생했습니다",
        (
            r"^e: (?:file://)?\S+\.kts?:",
            r"Execution failed for task ':(?:\S*:)?compile\w*Kotlin\w*'",
            r"\[ERROR\] .*\.kt:\s?[\[(]\d+",
        ),
        "./gradlew compileKotlin",
    ),
    _compiler(
        "scalac",
        "the Scala compiler reports a compile error",
        "Scala 컴파일 오류가 발생했습니다",
        (
            r"\[error\] .*\.scala:\d+(?::\d+)?: ",
            r"\((?:\w+ / )?(?:\w+ / )?compileIncremental\) Compilation failed",
            r"-- \[E\d{3}\] .*Error: \S+\.scala",
            r"\[error\] \w+ errors? found",
        ),
        "sbt compile",
    ),
    _compiler(
        "cc",
        "the C or C++ compiler reports a compile error",
        "C/C++ 컴파일 오류가 발생했습니다",
        (
            r"\.(?:c|cc|cpp|cxx|c\+\+|h|hh|hpp|hxx|inl|inc|m|mm|cu|cuh|ipp|tpp|f90):\d+(?::\d+)?: (?:fatal )?error: ",
            r"\.(?:c|cc|cpp|cxx|h|hpp|cu|inl)\(\d+(?:,\d+)?\): (?:fatal )?error C\d+",
            r"^(?:cc1(?:plus)?|clang(?:\+\+)?|g\+\+|gcc): (?:(?:fatal|all) )?(?:error|warnings being treated)",
            r"\berror:.*\[-Werror[,=\]]",
            r"^nvcc (?:error|fatal)|internal compiler error",
        ),
        "make -j1 V=1  # with CMake: cmake --build build --verbose --parallel 1",
    ),
    _compiler(
        "linker",
        "the linker reports undefined or duplicate symbols (compile error at link time)",
        "링커가 정의되지 않았거나 중복된 심볼을 보고했습니다",
        (
            r"undefined reference to [`']",
            r"(?:^|/)ld(?:\.\w+)?: (?:error: |cannot find |symbol\(s\) not found|library not found|undefined)",
            r"\b(?:ld(?:\.lld)?|lld-link): error:",
            r"^Undefined symbols for architecture|duplicate symbol|multiple definition of [`']",
            r"\berror LNK\d{4}\b|fatal error LNK\d{4}",
            r"collect2: (?:fatal )?error|error: linking with `\w+` failed|linker command failed",
        ),
        "make -j1 V=1  # with CMake: cmake --build build --verbose",
        0.92,
    ),
    _compiler(
        "cmake",
        "cmake could not configure the build (compile error before compiling)",
        "cmake가 빌드를 구성하지 못했습니다",
        (
            r"^CMake Error(?: at|:| \()",
            r"^\s+Could not find a package configuration file provided by \"(?P<subject>[^\"]+)\"|Could NOT find (?P<subject2>\w+) \(missing",
            r"^-- Configuring incomplete, errors occurred",
            r"^(?:meson\.build|\S+/meson\.build):\d+:\d+: ERROR:",
            r"^configure: error: ",
        ),
        "cmake -S . -B build --debug-output",
        0.88,
    ),
    _compiler(
        "csc",
        "the .NET compiler (dotnet build) reports a compile error",
        ".NET 컴파일 오류가 발생했습니다",
        (
            r"\.(?:cs|vb|fs|razor|csproj|fsproj)\(\d+,\d+\): error \w+\d+",
            r": error (?:CS|FS|BC|MSB|NETSDK|CA|SA|IDE)\d{4}",
            r"^Build FAILED\.",
        ),
        "dotnet build",
        0.9,
    ),
    _compiler(
        "swiftc",
        "the Swift or Objective-C compiler (xcodebuild) reports a compile error",
        "Swift 컴파일 오류가 발생했습니다",
        (
            r"\.swift:\d+:\d+: (?:fatal )?error: ",
            r"^The following build commands failed:|\*\* (?:BUILD|ARCHIVE) FAILED \*\*|^error: fatalError|^CompileSwift.* failed",
            r"^xcodebuild: error: ",
        ),
        "swift build",
        0.9,
    ),
    _compiler(
        "ghc",
        "ghc reports a compile error",
        "ghc 컴파일 오류가 발생했습니다",
        (
            r"\.l?hs:\d+:\d+(?:-\d+)?: error",
            r"^\s*(?:Failed|Error): (?:to build|Cabal-\d+)|^cabal: Failed to build|^Error: \[?S-\d+\]?|Process exited with code: ExitFailure [1-9]",
        ),
        "cabal build all",
        0.9,
    ),
    _compiler(
        "elixirc",
        "the Elixir or Erlang compiler (mix) reports a compile error",
        "Elixir/Erlang 컴파일 오류가 발생했습니다",
        (
            r"^== Compilation error in file ",
            r"\*\* \((?:CompileError|SyntaxError|TokenMissingError|UndefinedFunctionError)\) ",
            r"could not compile dependency :",
            r"\.erl:\d+(?::\d+)?: (?:syntax error|(?:function|record) \S+ undefined|Error:)",
        ),
        "mix compile --warnings-as-errors",
        0.9,
    ),
    _compiler(
        "bundler-js",
        "the JavaScript build (webpack, vite, rollup, esbuild or next build) failed to compile (compile error)",
        "JavaScript 빌드(webpack, vite, rollup)가 컴파일에 실패했습니다",
        (
            r"^(?:\S+ )?(?:Failed to compile|Compiled with errors|Build failed with [1-9]\d* errors?)|^webpack .*compiled with [1-9]\d* errors?",
            r"^Module not found: (?:Error: )?(?P<subject>\S.*)",
            r"^(?:ERROR in |Module parse failed)",
            r"\[(?:vite|rollup|commonjs)[^\]]*\].*(?:Error|[Ff]ailed|could not)",
            r"(?i)^(?:✘|✗|error during build) \[?ERROR\]?|error during build:|RollupError:",
            r"Could not resolve \"|Rollup failed to resolve import",
            r"^\s*(?:SyntaxError|Error): .*\.(?:[jt]sx?|vue|svelte):.*(?:Unexpected token|Missing|Unterminated)",
        ),
        "npm run build",
        0.86,
    ),
    _compiler(
        "python-syntax",
        "Python cannot parse a file (SyntaxError)",
        "Python이 파일을 해석하지 못했습니다(SyntaxError)",
        (
            r"^(?:E\s+)?(?:IndentationError|TabError): |^E\s+SyntaxError: |^\*\*\* Error compiling '",
            r"^SyntaxError: (?:invalid (?:syntax|decimal|hexadecimal|non-printable|character)|expected |unterminated|unmatched|closing parenthesis|'.+' (?:outside|was never closed|is an illegal|is not)|EOL while|EOF while|unexpected (?:EOF|character after line)|cannot (?:assign|delete|mix)|can't |Missing parentheses|multiple |positional |keyword argument|non-default|duplicate argument|from __future__|\(unicode error\)|f-string|bytes can only|Non-UTF|name '.+' is |no binding|Generator expression|illegal|perhaps you forgot)",
        ),
        "python -m compileall -q .",
        0.88,
    ),
    _compiler(
        "javascript-syntax",
        "JavaScript cannot be parsed (SyntaxError)",
        "JavaScript를 해석하지 못했습니다(SyntaxError)",
        (
            r"^(?:Uncaught )?SyntaxError: (?:Unexpected (?:token|identifier|end of|string|number|strict|reserved|eval|template|keyword)|Invalid (?:or unexpected|regular|left-hand|shorthand|destructuring|optional)|missing |Identifier '.+' has already|Illegal |Octal |Unterminated |await is only|Cannot use import|Missing |Duplicate |Lexical |Rest |The requested module '(?P<subject>[^']+)' does not provide)",
        ),
        "node --check FILE",
        0.8,
    ),
    _compiler(
        "cython",
        "a native extension (C, Cython) failed to build: compile error",
        "네이티브 확장 빌드에 실패했습니다",
        (
            r"^Error compiling Cython file|Cython\.Compiler\.Errors\.CompileError|error: command '.*(?:gcc|clang|cl\.exe|cc)' failed",
            r"fatal error: Python\.h: No such file",
        ),
        "python -m pip install -v --no-build-isolation -e .",
        0.9,
    ),
    _compiler(
        "other-compiler",
        "the compiler reports a compile error",
        "컴파일 오류가 발생했습니다",
        (
            r"\.(?:zig|nim|d|cr|ml|mli|elm|purs|sol|dart|pas|vala|proto|jl|lean|v|odin|gleam):\d+(?:[:,]\d+)?(?:-\d+)?: ?(?:[Ee]rror|ERROR)",
            r"^(?:Error found:|Error: (?:Compilation|Compiling|Compiler)|Compilation failed|-- (?:TYPE MISMATCH|NAMING ERROR))",
            r"^File \"\S+\.mli?\", line \d+, characters",
            r"^(?:PHP )?Parse error:\s+|^(?:PHP )?Fatal error:\s+syntax error|^Errors parsing (?P<file>\S+\.php)",
            r"\bprotoc(?:-gen-\w+)?: .*|\.proto:\d+:\d+: ",
            r"^(?P<file>\S+\.rb):\d+: (?:warning: .*)?syntax errors? ?(?:found|,)|^\S+\.(?:sh|bash|p[lm]): (?:line \d+: )?syntax error|^syntax error at \S+\.p[lm] line \d+",
            r"! LaTeX Error:|^! (?:Undefined control sequence|Emergency stop)",
        ),
        "make",
        0.82,
    ),
    Signature(
        name="gradle-build",
        category=Category.COMPILE_ERROR,
        role=Role.SYMPTOM,
        weight=0.45,
        patterns=(
            r"^FAILURE: Build (?:failed|completed with)",
            r"^\* What went wrong:",
            r"^Execution failed for task '(?P<subject>[^']+)'",
            r"\[INFO\] BUILD FAILURE",
            r"BUILD FAILED in ",
        ),
        what=Text("the Gradle or Maven build failed", "Gradle/Maven 빌드가 실패했습니다"),
        why=Text(
            "The build tool stopped at the task it names; the task's own output says why.",
            "빌드 도구가 해당 작업에서 멈췄습니다. 작업의 출력에 이유가 있습니다.",
        ),
        steps=(
            Step(
                Text("Run the failing task with its stack trace", "실패한 작업을 스택 추적과 함께 실행하세요"),
                "./gradlew build --stacktrace",
            ),
        ),
    ),
    Signature(
        name="make",
        category=Category.COMPILE_ERROR,
        role=Role.SYMPTOM,
        weight=0.42,
        patterns=(
            r"g?make(?:\[\d+\])?: \*\*\* \[(?P<subject>[^\]]+)\] Error",
            r"^ninja: build stopped",
            r"^ERROR: Build did NOT complete successfully",
            r"^ERROR: \S+/BUILD(?:\.bazel)?:\d+:\d+: ",
        ),
        what=Text(
            "the build tool (make, ninja or bazel) stopped at a failing rule",
            "빌드 도구(make, ninja, bazel)가 실패한 규칙에서 멈췄습니다",
        ),
        why=Text(
            "A command of the build returned an error; the output above the line says which.",
            "빌드 명령이 오류를 반환했습니다. 바로 위의 출력에 어떤 명령인지 나옵니다.",
        ),
        steps=(
            Step(
                Text("Build without parallelism to see the first error alone", "병렬 없이 빌드해 첫 오류만 확인하세요"),
                "make -j1 V=1",
            ),
        ),
    ),
    Signature(
        name="make-no-rule",
        category=Category.CONFIGURATION,
        weight=0.85,
        patterns=(
            r"\*\*\* No rule to make target [`'](?P<subject>[^']+)'",
            r"npm ERR! [Mm]issing script: ?\"?(?P<subject2>[\w:-]+)|npm error Missing script: \"(?P<subject3>[\w:-]+)|error Command \"(?P<subject4>[\w:-]+)\" not found|ERR_PNPM_NO_SCRIPT",
        ),
        what=Text(
            "the build was asked for a target or script that does not exist",
            "존재하지 않는 빌드 대상 또는 스크립트를 요청했습니다",
        ),
        why=Text(
            "The name is misspelt, was removed, or a file it depends on is missing.",
            "이름이 잘못되었거나 삭제되었거나, 의존하는 파일이 없습니다.",
        ),
    ),
)
