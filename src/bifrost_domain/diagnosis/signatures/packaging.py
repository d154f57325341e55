"""Package managers: resolving, fetching and installing dependencies."""

# ruff: noqa: E501  (a pattern or a sentence stands on one line, so that it can be searched for and compared)

from bifrost_domain.diagnosis.signature import Role, Signature, Step, Text
from bifrost_domain.report import Category

_MISSING = Text(
    "The package manager cannot get a set of packages that satisfies what is asked for; the build never started.",
    "패키지 관리자가 요구를 만족하는 패키지를 구할 수 없어 빌드가 시작되지 못했습니다.",
)


def _manager(name: str, tool: str | Text, patterns: tuple[str, ...], command: str, weight: float = 0.86) -> Signature:
    tool = tool if isinstance(tool, Text) else Text(tool, tool)
    return Signature(
        name=name,
        category=Category.DEPENDENCY_INSTALL,
        weight=weight,
        patterns=patterns,
        what=Text(f"{tool.en} could not install dependencies", f"{tool.ko} 의존성 설치에 실패했습니다"),
        why=_MISSING,
        steps=(
            Step(Text("Reproduce the dependency resolution", "의존성 해석을 재현하세요"), command),
            Step(Text("Compare the lock file with the last green build", "마지막 성공 빌드와 잠금 파일을 비교하세요")),
        ),
    )


def _module(name: str, patterns: tuple[str, ...], command: str) -> Signature:
    return Signature(
        name=name,
        category=Category.DEPENDENCY_INSTALL,
        role=Role.SYMPTOM,
        weight=0.6,
        patterns=patterns,
        what=Text("a module is not installed or cannot be found", "모듈이 설치되지 않았거나 찾을 수 없습니다"),
        why=Text(
            "The program imports a module that is not in its environment: it is missing from the dependencies, or the environment is the wrong one.",
            "프로그램이 불러오는 모듈이 환경에 없습니다. 의존성에 빠졌거나 다른 환경에서 실행되었습니다.",
        ),
        steps=(
            Step(
                Text(
                    "See whether it is installed where the program runs, and add it to the dependencies if not",
                    "프로그램이 실행되는 환경에 설치되어 있는지 확인하고, 없으면 의존성에 추가하세요",
                ),
                command,
            ),
        ),
    )


PACKAGING = (
    _manager(
        "npm",
        "npm",
        (
            r"npm (?:ERR!|error) code (?:ERESOLVE|ETARGET|E404|EUSAGE|EINTEGRITY|ENOTSUP|EBADENGINE|EBADPLATFORM|ENOVERSIONS|EJSONPARSE|ENOLOCK)",
            r"ERESOLVE (?:unable to resolve|could not resolve)",
            r"No matching version found for (?P<subject>\S+)",
            r"npm ci` can only install packages when your package\.json and package-lock\.json",
            r"gyp ERR! (?:build error|configure error|stack Error)",
            r"npm (?:ERR!|error) (?:(?:Missing|Invalid): (?:lock file's )?|peer |Could not resolve dependency: |notsup Unsupported \w+ for |Conflicting peer dependency: )(?P<subject>[^\s{][^\s]*)",
            r"npm (?:ERR!|error) 404 +(?:Not Found|'?(?P<subject>\S+)' is not in)",
        ),
        "npm ci --dry-run",
    ),
    _manager(
        "yarn",
        "yarn",
        (
            r"➤ YN\d{4}: .*(?:✘|The lockfile would have been (?:modified|created)|couldn't be|can't be|No candidates|failed)",
            r"error (?:Couldn't find (?:any versions|package)|Your lockfile needs to be updated|An unexpected error occurred: \"https?:)",
            r"The engine \"node\" is incompatible with this module|error Found incompatible module",
        ),
        "yarn install --immutable --mode=skip-build",
    ),
    _manager(
        "pnpm",
        "pnpm",
        (
            r"ERR_PNPM_(?:OUTDATED_LOCKFILE|NO_MATCHING_VERSION|FETCH_404|PEER_DEP_ISSUES|LOCKFILE\w*|FROZEN_LOCKFILE\w*|UNSUPPORTED_ENGINE|TARBALL_INTEGRITY|NO_VERSIONS|TRUST\w*|MISSING\w*|IGNORED_BUILDS|WORKSPACE_PKG_NOT_FOUND)",
            r"Cannot install with \"frozen-lockfile\"",
        ),
        "pnpm install --frozen-lockfile --lockfile-only",
    ),
    _manager(
        "bun",
        Text("bun or deno", "bun/deno"),
        (
            r"^error: (?:lockfile had changes, but lockfile is frozen|No version matching|\S+ failed to resolve|GET https://registry)",
        ),
        "bun install --frozen-lockfile",
    ),
    _manager(
        "pip",
        "pip",
        (
            r"ERROR: (?:Could not find a version that satisfies|No matching distribution found for) (?:the requirement )?(?P<subject>\S+)",
            r"ERROR: (?:ResolutionImpossible|Cannot install .* because these package versions have conflicting)",
            r"ERROR: Could not (?:install packages due to|build wheels for|open requirements file)",
            r"(?:error: )?(?:subprocess-exited-with-error|metadata-generation-failed|legacy-install-failure|installation-subprocess-exited|resolution-too-deep|uninstall-no-record-file)",
            r"ERROR: (?:Failed (?:building wheel|to build)|Package .* requires a different Python|THESE PACKAGES DO NOT MATCH THE HASHES|Directory .* is not installable)",
            r"error: externally-managed-environment",
        ),
        "python -m pip install --dry-run -r requirements.txt",
    ),
    _manager(
        "uv",
        Text("uv or poetry", "uv/poetry"),
        (
            r"No solution found when resolving (?:dependencies|tool dependencies)",
            r"(?:×|x|error:) Failed to (?:build|download|fetch|resolve|prepare distributions|parse `)",
            r"The lockfile at `uv\.lock` needs to be updated|^Lockfile (?:doesn't satisfy|is out of date|hash doesn't match|does not exist)|Your Pipfile\.lock \(\w+\) is out of date",
            r"pyproject\.toml changed significantly since poetry\.lock|poetry\.lock is not up to date",
            r"version solving failed|SolverProblemError|Because .* depends on .*, version solving",
            r"LibMambaUnsatisfiableError|PackagesNotFoundError|ResolvePackageNotFound|nothing provides (?:requested )?\S+|UnsatisfiableError",
        ),
        "uv lock --check",
    ),
    _manager(
        "bundler",
        "bundler",
        (
            r"Bundler could not find compatible versions|Could not find compatible versions|Bundler can't satisfy your Gemfile's dependencies|The following gems are missing",
            r"Could not find (?:gem '|\S+-[\d.]+ in (?:any|locally))",
            r"An error occurred while installing (?P<subject>\S+)",
            r"Gem::Ext::BuildError|ERROR: Failed to build gem native extension",
            r"Your (?:Ruby version is .*, but your Gemfile specified|bundle (?:is locked to|only supports))|frozen mode.*Gemfile|The gemspecs for path gems changed",
        ),
        "bundle install --verbose",
    ),
    _manager(
        "composer",
        "composer",
        (
            r"Your requirements could not be resolved to an installable set of packages",
            r"Your lock file does not contain a compatible set of packages",
            r"Root composer\.json requires (?P<subject>\S+)",
            r"require(?:s)? php .* (?:->|but) your php version|requires ext-\w+ .* missing from your system",
        ),
        "composer validate --strict",
    ),
    _manager(
        "maven-resolve",
        Text("Maven or Gradle", "Maven/Gradle"),
        (
            r"Could not find artifact (?P<subject>[\w.:-]+)",
            r"Could not (?:resolve|find|transfer) (?:dependencies for project|all (?:files|artifacts|dependencies|task dependencies) for|artifact |(?P<subject>[\w.-]+:[\w.-]+:[\w.-]+))",
            r"Could not resolve (?:all )?(?:dependencies|artifacts)|Non-resolvable (?:parent POM|import POM)",
            r"Failed to (?:collect dependencies|read artifact descriptor)|was not found in https?://\S+ during a previous attempt",
            r"Plugin \[id: '.*'\] was not found|Dependency verification failed|sbt\.librarymanagement\.ResolveException|unresolved dependency: |Error downloading \S+:\S+:\S+",
            r"Could not determine java version|Unsupported class file major version|No matching toolchains found|Cannot find a Java installation",
        ),
        "mvn -U dependency:resolve  # or: ./gradlew dependencies",
    ),
    _manager(
        "cargo-resolve",
        "cargo",
        (
            r"error: (?:failed to select a version for|no matching package|failed to (?:get|load|download|parse) .*|the lock file .* needs to be updated|package `.*` cannot be built because it requires rustc)",
            r"error: rustc [\d.]+\S* is not supported by the following package",
            r"error: toolchain '.*' (?:is not installed|does not)|error: component '.*' (?:is unavailable|for target)",
        ),
        "cargo update --dry-run",
    ),
    _manager(
        "go-mod",
        "go mod",
        (
            r"^go: .*(?:unknown revision|missing go\.sum entry|updates to go\.(?:mod|sum) needed|no matching versions for query|module .* found .* but does not contain|reading .*: 4\d\d|checksum mismatch|requires go >= )",
            r"no required module provides package|cannot find module providing package|verifying .*: checksum mismatch|invalid version: ",
            r"missing go\.sum entry|go\.mod file (?:not found|indicates go)",
        ),
        "go mod tidy -diff",
    ),
    _manager(
        "nuget",
        "NuGet (dotnet restore)",
        (
            r"error NU\d{4}:?",
            r"Unable to find (?:package|a stable package) (?P<subject>\S+)",
            r"A compatible \.NET SDK was not found|NETSDK1045|Failed to restore .*proj",
        ),
        "dotnet restore",
    ),
    _manager(
        "system-packages",
        Text("the system package manager (apt, dnf, apk or brew)", "시스템 패키지 관리자(apt, dnf, apk, brew)의"),
        (
            r"E: (?:Unable to locate package|Package '.*' has no installation candidate|Unable to correct problems|Sub-process .* returned an error|Version '.*' for '.*' was not found)(?: (?P<subject>\S+))?",
            r"(?:unable to select packages|No match for argument|No package .* available|nothing provides |Unable to find a match)",
            r"Error: (?:No (?:available formula|formulae|cask)|Cannot install|\S+: Failed to download resource)|E: Failed to fetch|Err:\d+ https?://",
            r"dpkg: error processing|The repository '.*' (?:does not have|no longer has) a Release file|404  Not Found \[IP|error: (?:target not found|failed to commit transaction)",
        ),
        "apt-get update && apt-cache policy PACKAGE",
        0.84,
    ),
    _manager(
        "haskell-elixir-deps",
        Text(
            "the dependency resolver (cabal, stack, hex, CocoaPods, SwiftPM, CPAN or pub)",
            "의존성 관리 도구(cabal, stack, hex, CocoaPods, SwiftPM, CPAN, pub)의",
        ),
        (
            r"Could not resolve dependencies:|rejecting: |Error: While constructing the build plan|cabal: Could not resolve",
            r"\*\* \(Mix\) (?:Hex dependency resolution failed|Could not|Can't continue due to errors on dependencies)|Unchecked dependencies for environment",
            r"\[!\] (?:CocoaPods could not find compatible versions|Unable to find a specification)|^error: (?:Dependencies could not be resolved|.* product '.*' required by package)",
            r"! (?:Installing|Couldn't find|Finding) .*failed|Because .* requires SDK version|pub get failed|there is no package called",
        ),
        "git diff HEAD~1 -- '*.lock'",
        0.82,
    ),
    Signature(
        name="npm-script",
        category=Category.DEPENDENCY_INSTALL,
        role=Role.SYMPTOM,
        weight=0.6,
        patterns=(
            r"^npm (?:ERR!|error) command (?:sh|cmd(?:\.exe)?|/bin/\w+|\S*bash) (?:-c|/d /s /c) (?P<subject>\S.*)",
        ),
        what=Text(
            "npm stopped because an install script of a package failed",
            "패키지의 설치 스크립트가 실패하여 npm이 멈췄습니다",
        ),
        why=Text(
            "A package runs a program of its own when it is installed; that program ended with an error, which it "
            "prints before npm's own lines.",
            "패키지가 설치 중 실행한 프로그램이 오류로 끝났습니다. 이유는 npm의 메시지 바로 앞에 나옵니다.",
        ),
        steps=(
            Step(
                Text("Show what the install script prints", "설치 스크립트의 출력을 확인하세요"),
                "npm install --foreground-scripts",
            ),
        ),
    ),
    _module(
        "python-import",
        (r"(?:ModuleNotFoundError|ImportError): No module named '?(?P<subject>[\w.]+)",),
        "python -m pip show NAME; python -c 'import sys; print(sys.executable, sys.path)'",
    ),
    _module(
        "node-import",
        (
            r"Cannot find (?:module|package) '(?P<subject>[^'./][^':]*|@[^']+)'",
            r"\[ERR_MODULE_NOT_FOUND\]: Cannot find package '(?P<subject>[^']+)'",
        ),
        "npm ls NAME; npm install --dry-run NAME",
    ),
    _module(
        "other-import",
        (
            r"cannot load such file -- (?P<subject>\S+)|Class \"(?P<subject2>[\w\\]+)\" not found",
            r"Can't locate (?P<subject>\S+\.pm) in @INC",
        ),
        "bundle check  # for PHP: composer install --dry-run; for Perl: cpanm --showdeps .",
    ),
    Signature(
        name="node-path",
        category=Category.APPLICATION_ERROR,
        role=Role.SYMPTOM,
        weight=0.68,
        patterns=(r"Cannot find module '(?P<subject>(?:\.|/|[A-Za-z]:\\)[^']*)'",),
        what=Text(
            "a file of the project that is imported by its path is not there",
            "경로로 불러오는 프로젝트의 파일이 없습니다",
        ),
        why=Text(
            "The path is misspelt (upper and lower case count), the file was moved or not committed, or a build did not "
            "write it; no package is missing.",
            "경로가 틀렸거나(대소문자 포함), 파일이 옮겨졌거나 커밋되지 않았거나, 빌드가 만들지 않았습니다. 패키지 문제는 아닙니다.",
        ),
        steps=(
            Step(
                Text(
                    "Compare the path with the files there, seen from the file that imports it",
                    "불러오는 파일을 기준으로 경로와 실제 파일을 비교하세요",
                ),
                "git ls-files | grep -i NAME",
            ),
        ),
    ),
    Signature(
        name="import-name",
        category=Category.DEPENDENCY_INSTALL,
        role=Role.SYMPTOM,
        weight=0.55,
        patterns=(
            r"ImportError: cannot import name '(?P<subject>\w+)'",
            r"ImportError: .*(?:undefined symbol|cannot open shared object file|DLL load failed)",
            r"error while loading shared libraries: (?P<subject2>\S+):",
        ),
        what=Text(
            "an installed library does not have what is imported from it",
            "설치된 라이브러리에 불러오려는 이름이 없습니다",
        ),
        why=Text(
            "The versions of two packages do not fit together, or a system library is missing.",
            "두 패키지의 버전이 맞지 않거나 시스템 라이브러리가 없습니다.",
        ),
        steps=(Step(Text("Check the installed versions", "설치된 버전을 확인하세요"), "python -m pip check"),),
    ),
)
