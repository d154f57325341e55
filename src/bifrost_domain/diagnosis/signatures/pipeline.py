"""CI systems, git and container builds."""

# ruff: noqa: E501  (a pattern or a sentence stands on one line, so that it can be searched for and compared)

from bifrost_domain.diagnosis.signature import Role, Signature, Step, Text
from bifrost_domain.report import Category, Severity


def _deployment(name: str, what: Text, patterns: tuple[str, ...], command: str, weight: float = 0.88) -> Signature:
    return Signature(
        name=name,
        category=Category.CONFIGURATION,
        weight=weight,
        patterns=patterns,
        what=what,
        why=Text(
            "The definition refers to something undeclared or invalid, or the target refused it.",
            "정의가 선언되지 않았거나 잘못된 것을 참조하거나 대상이 거부했습니다.",
        ),
        steps=(Step(Text("Check it without applying it", "적용하지 않고 확인하세요"), command),),
    )


PIPELINE = (
    Signature(
        name="actions-missing",
        category=Category.CI_CONFIGURATION,
        weight=0.95,
        patterns=(
            r"Unable to resolve action [`']?(?P<subject>[\w./@-]+)",
            r"Can't find 'action\.yml', 'action\.yaml' or 'Dockerfile'",
            r"An action could not be found at the URI|Missing download info for (?P<subject>\S+)",
            r"This request has been automatically failed because it uses a deprecated version of `(?P<subject>[^`]+)",
            r"reusable workflow .* (?:not found|was not found)|error parsing called workflow",
        ),
        what=Text(
            "GitHub Actions cannot resolve an action or workflow",
            "GitHub Actions가 액션 또는 워크플로를 찾지 못했습니다",
        ),
        why=Text(
            "The workflow names an action, version or path that does not exist, was retired or cannot be seen from this repository.",
            "워크플로가 존재하지 않거나 폐기되었거나 이 저장소에서 볼 수 없는 액션, 버전 또는 경로를 가리킵니다.",
        ),
        steps=(
            Step(
                Text(
                    "Check name and version of the action in the workflow", "워크플로의 액션 이름과 버전을 확인하세요"
                ),
                "actionlint",
            ),
        ),
    ),
    Signature(
        name="actions-invalid",
        category=Category.CI_CONFIGURATION,
        weight=0.95,
        patterns=(
            r"(?i)invalid workflow file|The workflow is not valid|Unrecognized named-value: '(?P<subject>[^']+)'",
            r"Unexpected (?:input\(s\)|value) '(?P<subject>[^']+)'.*|The template is not valid",
            r"Input required and not supplied: (?P<subject>\S+)",
            r"(?i)Error: (?:Input|Parameter|Missing required input) .*(?:required|not supplied|invalid)",
            r"Unable to process file command '(?P<subject>\w+)' successfully|Unable to process command '",
            r"The `(?:set-output|save-state|set-env|add-path)` command is (?:disabled|deprecated and was)",
            r"No runner matching|Requested labels?: .*not|The (?:hosted runner|runner).*(?:deprecated|is no longer supported|was not found)|The job was not started because",
        ),
        what=Text("the GitHub Actions workflow is not valid", "GitHub Actions 워크플로가 올바르지 않습니다"),
        why=Text(
            "The workflow file or the inputs of a step are wrong, so the job could not run as written.",
            "워크플로 파일 또는 단계의 입력이 잘못되어 작업이 작성된 대로 실행되지 못했습니다.",
        ),
        steps=(Step(Text("Check the workflow file", "워크플로 파일을 검사하세요"), "actionlint"),),
    ),
    Signature(
        name="actions-artifact",
        category=Category.CI_CONFIGURATION,
        weight=0.88,
        patterns=(
            r"(?:Unable to find any artifacts|Unable to download artifact|Artifact not found for name|No files were found with the provided path)(?::? (?P<subject>\S.*))?",
            r"Failed to CreateArtifact|\(409\) Conflict: an artifact with this name already exists|Artifact storage quota has been hit",
            r"Unable to find (?:Node|Python|Go|Java) version|Version [\d.]+\S* with arch \w+ not found|The version '.*' with architecture '.*' was not found|Could not find satisfied version|Unable to find .* version '.*' for platform",
            r"Some specified paths were not resolved, unable to cache dependencies|Dependencies lock file is not found in|No file in .* matched to \[",
        ),
        what=Text(
            "a step of the GitHub Actions job lacks a file, artifact or tool version it asks for",
            "GitHub Actions 단계가 요청한 파일, 아티팩트 또는 도구 버전이 없습니다",
        ),
        why=Text(
            "The workflow expects something that earlier steps or the setup action did not provide.",
            "이전 단계나 설정 액션이 제공하지 않은 것을 워크플로가 기대합니다.",
        ),
        steps=(
            Step(
                Text("Check the paths, names and versions in the workflow", "워크플로의 경로, 이름, 버전을 확인하세요"),
                "actionlint",
            ),
        ),
    ),
    Signature(
        name="actions-permission",
        category=Category.PERMISSION_OR_SECRET,
        weight=0.94,
        patterns=(
            r"Resource not accessible by (?:integration|personal access token)",
            r"(?i)(?:refusing to allow|Permission to \S+ denied to) ",
            r"(?i)unable to get ACTIONS_ID_TOKEN_REQUEST_URL|Credentials could not be loaded|Not authorized to perform sts:AssumeRoleWithWebIdentity",
            r"(?i)\b(?:secret|token|api[_ -]?key|credentials?|password)\b[\w '\"`:]*(?:is|are|was|not) (?:not )?(?:set|found|provided|supplied|missing|required|empty|configured|available)\b",
            r"GraphQL: (?:Resource not accessible|.*does not have (?:the correct )?permission)|insufficient permissions|HTTP 403: ",
            r"(?i)context access might be invalid|Parameter token or opts\.auth is required|Error: Bad credentials|Codecov token not found|Token required",
        ),
        what=Text("the job lacks a permission or secret it needs", "작업에 필요한 권한 또는 시크릿이 없습니다"),
        why=Text(
            "The token of the job may not do what the step asks, or a secret is empty: pull requests from forks get no secrets and a read-only token.",
            "작업의 토큰에 요청한 동작 권한이 없거나 시크릿이 비어 있습니다. 포크의 PR에는 시크릿이 없고 읽기 전용 토큰만 주어집니다.",
        ),
        steps=(
            Step(
                Text(
                    "Grant the job the permission it lacks (permissions: in the workflow)",
                    "워크플로의 permissions: 에서 필요한 권한을 주세요",
                )
            ),
            Step(Text("Check which secrets are set (names only)", "설정된 시크릿 이름을 확인하세요"), "gh secret list"),
        ),
    ),
    Signature(
        name="publish-denied",
        category=Category.PERMISSION_OR_SECRET,
        weight=0.9,
        patterns=(
            r"npm (?:ERR!|error) code (?:E401|E403|ENEEDAUTH|EOTP)",
            r"403 Forbidden.*(?:publish|upload|registry)|HTTPError: 403|Invalid or non-existent authentication information",
            r"denied: (?:requested access to the resource is denied|permission_denied|installation not allowed)|unauthorized: (?:authentication required|incorrect username|access)",
            r"no basic auth credentials|pull access denied for (?P<subject>[^,\s]+)|Must provide --username for non-TTY|Cannot perform an interactive login",
        ),
        what=Text(
            "a registry refused the credentials (authentication or permission)",
            "레지스트리가 인증 정보를 거부했습니다(인증/권한)",
        ),
        why=Text(
            "The registry does not know the token, it has expired, or it may not access this package or image.",
            "레지스트리가 토큰을 모르거나, 만료되었거나, 이 패키지/이미지에 접근할 수 없습니다.",
        ),
        steps=(
            Step(
                Text(
                    "Check token, its expiry and its scope for this registry",
                    "이 레지스트리에 대한 토큰, 만료, 범위를 확인하세요",
                )
            ),
        ),
    ),
    Signature(
        name="git-dubious-ownership",
        category=Category.PERMISSION_OR_SECRET,
        weight=0.86,
        patterns=(
            r"fatal: detected dubious ownership in repository at '(?P<subject>[^']+)'",
            r"fatal: unsafe repository \('(?P<subject2>[^']+)' is owned by someone else\)",
        ),
        what=Text(
            "git refuses to work because the checked-out directory belongs to another user (detected dubious ownership)",
            "체크아웃된 디렉터리의 소유자가 달라 Git이 동작을 거부했습니다",
        ),
        why=Text(
            "The checkout was made by another user than the one who runs git here, as happens in containers. Tools that "
            "ask git which files exist then see an empty repository.",
            "컨테이너에서 흔하듯 체크아웃한 사용자와 git을 실행하는 사용자가 다릅니다. git에 파일 목록을 묻는 도구는 빈 저장소를 보게 됩니다.",
        ),
        steps=(
            Step(
                Text(
                    "Trust the directory for the user of this step, before git is used",
                    "git을 쓰기 전에 이 디렉터리를 신뢰하도록 설정하세요",
                ),
                'git config --global --add safe.directory "$PWD"',
            ),
            Step(Text("Look who owns the checkout", "체크아웃의 소유자를 확인하세요"), "ls -ldn . && id"),
        ),
    ),
    Signature(
        name="git-auth",
        category=Category.PERMISSION_OR_SECRET,
        weight=0.9,
        patterns=(
            r"fatal: Authentication failed for '(?P<subject>[^']+)'",
            r"fatal: could not read (?:Username|Password) for '(?P<subject>[^']+)'",
            r"remote: (?:Permission to (?P<subject>\S+) denied|Invalid username or (?:password|token)|Write access to repository not granted|Support for password authentication was removed)",
            r"protected branch hook declined|GH006: Protected branch|GH013: Repository rule violations",
        ),
        what=Text(
            "git was refused access to the remote repository (permission)",
            "Git이 원격 저장소 접근을 거부당했습니다(권한)",
        ),
        why=Text(
            "The key or token is missing, wrong or may not do this on the remote repository.",
            "키나 토큰이 없거나 잘못되었거나 원격 저장소에 대한 권한이 없습니다.",
        ),
        steps=(
            Step(
                Text("Check the access of this key or token", "이 키/토큰의 접근 권한을 확인하세요"),
                "git ls-remote --heads origin",
            ),
        ),
    ),
    Signature(
        name="ssh-auth",
        category=Category.PERMISSION_OR_SECRET,
        weight=0.9,
        patterns=(
            r"Permission denied \((?:publickey|gssapi|keyboard-interactive|password)|Too many authentication failures",
            r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|No (?:\S+ )?host key is known for (?P<subject>\S+)",
            r"UNPROTECTED PRIVATE KEY FILE|Load key \"(?P<subject>[^\"]+)\": |Permissions \d+ for '(?P<subject2>[^']+)' are too open",
        ),
        what=Text(
            "SSH refused the key of the user or of the host (permission)",
            "SSH가 사용자 키 또는 호스트 키를 거부했습니다(권한)",
        ),
        why=Text(
            "The key is not offered, not known to the other side or readable by others, or the host shows another key "
            "than before.",
            "키가 제시되지 않았거나, 상대가 모르거나, 다른 사용자가 읽을 수 있거나, 호스트 키가 이전과 다릅니다.",
        ),
        steps=(
            Step(
                Text(
                    "See which keys are offered and what is refused", "어떤 키가 제시되고 무엇이 거부되는지 확인하세요"
                ),
                "ssh -v -o BatchMode=yes USER@HOST true",
            ),
            Step(
                Text(
                    "Check the user, the authorized keys and the key file's permissions (600)",
                    "사용자, 등록된 키, 키 파일의 권한(600)을 확인하세요",
                ),
                "ls -l ~/.ssh; ssh-add -l",
            ),
        ),
    ),
    Signature(
        name="git-ref",
        category=Category.CI_CONFIGURATION,
        weight=0.84,
        patterns=(
            r"fatal: (?:couldn't find remote ref|Remote branch .* not found|reference is not a tree:?|ambiguous argument|bad (?:object|revision)|refusing to merge unrelated|not a git repository|no submodule mapping|remote error: upload-pack: not our ref|invalid reference|no merge base|Not a valid object name)(?: '?(?P<subject>[^\s':]+))?",
            r"fatal: Fetched in submodule path|Unable to checkout '\w+' in submodule path|clone of '.*' into submodule path '.*' failed",
            r"error: pathspec '(?P<subject>[^']+)' did not match|A branch or tag with the name '(?P<subject2>[^']+)' could not be found",
            r"fatal: No names found, cannot describe anything|fatal: no tag exactly matches",
        ),
        what=Text(
            "git cannot find the branch, tag or commit it was asked for",
            "Git이 요청한 브랜치, 태그 또는 커밋을 찾지 못했습니다",
        ),
        why=Text(
            "The reference was deleted or force-pushed, or the checkout is too shallow to contain it.",
            "참조가 삭제되었거나 강제 푸시되었거나, 얕은 체크아웃이라 포함되지 않았습니다.",
        ),
        steps=(
            Step(Text("List what the remote has", "원격의 참조를 확인하세요"), "git ls-remote origin"),
            Step(Text("Fetch the full history (fetch-depth: 0)", "전체 이력을 가져오세요(fetch-depth: 0)")),
        ),
    ),
    Signature(
        name="git-conflict",
        category=Category.CI_CONFIGURATION,
        weight=0.86,
        patterns=(
            r"^CONFLICT \([\w/ ]+\): .* (?P<subject>\S+)$",
            r"Automatic merge failed; fix conflicts",
            r"error: (?:could not apply|Your local changes .* would be overwritten)|error: patch failed: (?P<subject2>\S+)|! \[rejected\] .*(?:non-fast-forward|fetch first)",
        ),
        what=Text(
            "git cannot merge or apply the change (conflict)", "Git이 변경을 병합하거나 적용하지 못했습니다(충돌)"
        ),
        why=Text(
            "The change touches lines that were changed on the other side as well.", "양쪽에서 같은 줄을 바꾸었습니다."
        ),
        steps=(
            Step(
                Text(
                    "Rebase on the target branch and resolve the conflict",
                    "대상 브랜치로 리베이스하고 충돌을 해결하세요",
                ),
                "git fetch origin && git rebase origin/main",
            ),
        ),
    ),
    Signature(
        name="job-timeout",
        category=Category.TIMEOUT,
        weight=0.95,
        patterns=(
            r"The (?:job|action|operation|step).*(?:has exceeded the maximum execution time|has timed out after|was canceled because it exceeded)(?: of)?",
            r"The job exceeded the maximum (?:time limit|log length)|ERROR: Job failed: execution took longer than",
            r"No output has been received in the last \d+m",
            r"Error: Timeout of \d+m? ?(?:ms|minutes|m)? (?:hit|exceeded)|The build has been (?:cancelled|terminated).*time",
        ),
        what=Text("the job ran into its timeout", "작업이 제한 시간을 넘겼습니다"),
        why=Text(
            "A step hung or took longer than allowed, and the runner stopped it; the last lines before show where it stood.",
            "단계가 멈췄거나 허용 시간을 넘겨 러너가 중단했습니다. 직전의 줄에 어디였는지 나옵니다.",
        ),
        steps=(
            Step(
                Text("Compare the step's time with earlier runs", "이전 실행과 단계 시간을 비교하세요"),
                "gh run list --limit 10",
            ),
        ),
    ),
    Signature(
        name="step-timeout",
        category=Category.TIMEOUT,
        weight=0.78,
        patterns=(
            r"(?i)(?:test|suite|hook|command|step|process)\b.*\b(?:timed out after|exceeded (?:the )?timeout of) ?[\d.]+ ?m?s?",
            r"Exceeded timeout of \d+ ?ms|E\s+Failed: Timeout (?:\(?>?[\d.]+s\)?)|Timeout >[\d.]+s|TimeoutError: (?:Waiting|Timeout|Test|page|locator)",
            r"^\s*TIMEOUT \[\s*[\d.]+s\]|\*\*\*Timeout|SIGTERM.*tim(?:e|ed) ?out|exit code 124|TestTimedOutException",
            r"Error: Timeout of \d+ms exceeded|Test timeout of \d+ms exceeded",
        ),
        what=Text("a test or command ran into its timeout", "테스트 또는 명령이 제한 시간을 넘겼습니다"),
        why=Text(
            "It waited for something that did not happen in time: a hang, a deadlock, or a slow machine.",
            "제때 일어나지 않은 일을 기다렸습니다. 정지, 교착 또는 느린 환경일 수 있습니다.",
        ),
        steps=(
            Step(
                Text("Run it alone and see whether it hangs or is slow", "단독으로 실행해 멈추는지 느린지 확인하세요")
            ),
        ),
    ),
    Signature(
        name="job-cancelled",
        category=Category.TIMEOUT,
        role=Role.SYMPTOM,
        weight=0.5,
        severity=Severity.WARNING,
        patterns=(
            r"The operation was canceled\.|The run was canceled by|Error: The operation was canceled",
            r"The runner has received a shutdown signal|The hosted runner lost communication with the server|The self-hosted runner.*lost communication",
        ),
        what=Text(
            "the job was cancelled or its runner went away (timeout or lost runner)",
            "작업이 취소되었거나 러너가 사라졌습니다",
        ),
        why=Text(
            "Someone, a newer run or a time limit cancelled it, or the runner's machine died, often for want of memory.",
            "사용자, 새 실행 또는 시간 제한이 취소했거나, 메모리 부족 등으로 러너가 죽었습니다.",
        ),
        steps=(
            Step(
                Text("See whether a newer run replaced it", "새 실행이 대체했는지 확인하세요"), "gh run list --limit 10"
            ),
        ),
    ),
    Signature(
        name="buildkit",
        category=Category.CONTAINER_BUILD,
        role=Role.VERDICT,
        weight=0.96,
        patterns=(
            r"ERROR: failed to (?:build|solve): (?P<subject>.{1,160})",
            r"failed to solve(?: with frontend \S+)?: ",
            r"^#\d+ ERROR: ",
            r"^executor failed running \[|buildx (?:bake )?failed with: ",
            r"The command '(?P<subject>.*)' returned a non-zero code: [1-9]\d*",
            r"^(?:Error: )?error building at (?:STEP|step)|error building image: ",
        ),
        what=Text(
            "the container image build failed (docker buildx, Dockerfile)",
            "컨테이너 이미지 빌드가 실패했습니다(docker buildx, Dockerfile)",
        ),
        why=Text(
            "A build step of the Dockerfile returned an error; the step's own output above says why.",
            "Dockerfile의 빌드 단계가 오류를 반환했습니다. 바로 위의 단계 출력에 이유가 있습니다.",
        ),
        steps=(
            Step(
                Text(
                    "Repeat the build with the whole output of each step", "각 단계의 전체 출력을 보며 다시 빌드하세요"
                ),
                "docker buildx build --progress=plain --no-cache .",
            ),
        ),
    ),
    Signature(
        name="dockerfile",
        category=Category.CONTAINER_BUILD,
        weight=0.94,
        patterns=(
            r"dockerfile parse error|Dockerfile parse error|unknown instruction: (?P<subject>\S+)",
            r"failed to compute cache key: .*|COPY failed: |ADD failed: |failed to calculate checksum .*: not found$",
            r"failed to (?:read dockerfile|resolve source metadata for (?P<subject>\S+))|unable to prepare context|no match for platform in manifest|exec format error",
            r"failed to create shim task|OCI runtime create failed",
        ),
        what=Text("Docker cannot build or start the image", "Docker가 이미지를 빌드하거나 시작하지 못했습니다"),
        why=Text(
            "The Dockerfile, its build context or the base image does not have what a step refers to.",
            "Dockerfile, 빌드 컨텍스트 또는 베이스 이미지에 단계가 참조하는 것이 없습니다.",
        ),
        steps=(
            Step(
                Text("Check the Dockerfile and the context", "Dockerfile과 컨텍스트를 확인하세요"),
                "docker buildx build --check .",
            ),
        ),
    ),
    Signature(
        name="image-missing",
        category=Category.CONTAINER_BUILD,
        weight=0.95,
        patterns=(
            r"manifest for (?P<subject>\S+) not found|manifest unknown|No such image: (?P<subject2>\S+)|(?P<subject3>\S+): failed to resolve source metadata for \S+: \S+: not found",
        ),
        what=Text(
            "the container image that is asked for is not in the registry",
            "요청한 컨테이너 이미지가 레지스트리에 없습니다",
        ),
        why=Text(
            "Its name or tag is misspelt, was never pushed or was removed.",
            "이름이나 태그가 틀렸거나, 푸시된 적이 없거나, 삭제되었습니다.",
        ),
        steps=(
            Step(
                Text(
                    "Check that the image's name and tag exist in the registry",
                    "이미지 이름과 태그가 레지스트리에 있는지 확인하세요",
                ),
                "docker manifest inspect IMAGE",
            ),
        ),
    ),
    Signature(
        name="docker-daemon",
        category=Category.CONTAINER_BUILD,
        weight=0.94,
        patterns=(
            r"Cannot connect to the Docker daemon|(?i:is the docker daemon running)|error during connect: .*docker",
        ),
        what=Text("the Docker daemon does not answer", "Docker 데몬이 응답하지 않습니다"),
        why=Text(
            "It is not running, or this user or container has no access to its socket.",
            "실행 중이 아니거나, 이 사용자 또는 컨테이너가 소켓에 접근할 수 없습니다.",
        ),
        steps=(
            Step(
                Text(
                    "See whether the daemon runs and which socket is used",
                    "데몬의 실행 여부와 사용하는 소켓을 확인하세요",
                ),
                "docker context ls; docker info",
            ),
        ),
    ),
    Signature(
        name="deploy-locked",
        category=Category.CONFIGURATION,
        weight=0.93,
        patterns=(
            r"(?P<subject>Error acquiring the state lock|another operation \(install/upgrade/rollback\) is in progress|state blob is already locked)",
            r"Could not get lock (?P<subject>/var/lib/\S+)|Unable to acquire the dpkg frontend lock",
        ),
        what=Text(
            "another run holds the lock of what is to be changed, or left it behind",
            "다른 실행이 변경 대상의 잠금을 잡고 있거나 남겨 두었습니다",
        ),
        why=Text(
            "Only one run may change it at a time: another is at work, or was stopped before it could release its lock.",
            "한 번에 하나만 변경할 수 있습니다. 다른 실행이 진행 중이거나 잠금을 풀기 전에 중단되었습니다.",
        ),
        steps=(
            Step(
                Text(
                    "See who holds the lock and whether that run is still at work, before anybody removes it",
                    "잠금을 제거하기 전에 누가 잡고 있고 아직 실행 중인지 확인하세요",
                ),
                "helm history RELEASE  # for Terraform: Who and Created of the lock's info; for apt: lsof FILE",
            ),
        ),
    ),
    _deployment(
        "terraform",
        Text(
            "Terraform rejected or could not apply the definition", "Terraform이 정의를 거부했거나 적용하지 못했습니다"
        ),
        (
            r"^│ Error: (?P<subject>.*)|^Error: (?:Unsupported (?:argument|block type)|Reference to undeclared|Failed to query available provider|Inconsistent dependency lock|Invalid (?:reference|provider configuration))|Error: Failed to persist state",
        ),
        "terraform validate",
    ),
    _deployment(
        "helm",
        Text(
            "Helm or kubectl rejected or could not apply the manifests",
            "Helm 또는 kubectl이 매니페스트를 거부했거나 적용하지 못했습니다",
        ),
        (
            r"Error: (?:INSTALLATION|UPGRADE) FAILED: (?P<subject>.*)|\[ERROR\] templates/|error converting YAML to JSON|execution error at \(|Error: unable to build kubernetes objects",
        ),
        "helm lint CHART  # for manifests: kubectl diff -f FILE",
        0.86,
    ),
    _deployment(
        "ansible",
        Text("an Ansible task failed", "Ansible 작업이 실패했습니다"),
        (
            r"ERROR! .*(?:syntax error|couldn't resolve module)|fatal: \[[\w.-]+\]: (?:FAILED|UNREACHABLE)!.*\"msg\": \"(?P<subject>[^\"]+)|fatal: \[(?P<subject2>[\w.-]+)\]: (?:FAILED|UNREACHABLE)!",
        ),
        "ansible-playbook PLAYBOOK --check --diff -v",
        0.8,
    ),
    Signature(
        name="command-not-found",
        category=Category.CI_CONFIGURATION,
        weight=0.8,
        patterns=(
            r"(?:line \d+: |sh: (?:\d+: )?|bash: |zsh: |/bin/\w+: )(?P<subject>[\w./+-]+): (?:command )?not found",
            r"'(?P<subject>[\w.-]+)' is not recognized as an internal or external command|The term '(?P<subject2>[\w.-]+)' is not recognized",
            r"exec: \"(?P<subject>[^\"]+)\": executable file not found in \$PATH|spawn (?P<subject2>\S+) ENOENT|make: (?P<subject3>\S+): (?:Command not found|No such file)",
            r"^(?:##\[error\])?Process completed with exit code 127|Error: Unable to locate executable file: (?P<subject>\S+)",
            r"(?:sh|bash): .*?(?P<subject>[\w./-]+): No such file or directory$",
            r"^(?:cp|mv|rm|ls|cat|tar|chmod|install|sed|grep|head|tail|ln|unzip|rsync): .*'?(?P<subject>[\w./@*+-]+)'?: (?:Cannot (?:stat|open): )?No such file or directory",
        ),
        what=Text("a command or file that the job uses is not there", "작업이 쓰는 명령이나 파일이 없습니다"),
        why=Text(
            "A program is not installed or not on the PATH (exit code 127), or an earlier step did not make the file.",
            "프로그램이 설치되지 않았거나 PATH에 없거나(종료 코드 127), 이전 단계가 파일을 만들지 않았습니다.",
        ),
        steps=(
            Step(
                Text(
                    "Install the program, or check the PATH of the user or step that runs it",
                    "프로그램을 설치하거나, 실행하는 사용자 또는 단계의 PATH를 확인하세요",
                ),
                'command -v TOOL; echo "$PATH"',
            ),
        ),
    ),
)
