"""What a machine or container runs out of, and what it denies."""

# ruff: noqa: E501  (a pattern or a sentence stands on one line, so that it can be searched for and compared)

from bifrost_domain.diagnosis.signature import Role, Signature, Stage, Step, Text
from bifrost_domain.report import Category, Severity

RESOURCES = (
    Signature(
        name="oom-kernel",
        category=Category.OUT_OF_MEMORY,
        stage=Stage.RESOURCE,
        severity=Severity.CRITICAL,
        weight=0.96,
        patterns=(
            r"(?:Out of memory|Memory cgroup out of memory): Kill(?:ed)? process \d+ \((?P<subject>[^)]+)\)",
            r"\binvoked oom-killer\b|oom-kill:constraint=|oom_reaper: reaped process \d+ \((?P<subject>[^)]+)\)",
            r"\bOOMKilled\b|A process of this unit has been killed by the OOM killer|Failed with result 'oom-kill'",
        ),
        what=Text(
            "the kernel killed a process because it ran out of memory (OOM)",
            "메모리가 부족해 커널이 프로세스를 종료했습니다(OOM)",
        ),
        why=Text(
            "The process, its container or the machine reached its memory limit; restarts and refused connections after it are consequences.",
            "프로세스, 컨테이너 또는 장비가 메모리 한도에 도달했습니다. 이후의 재시작과 연결 거부는 그 결과입니다.",
        ),
        steps=(
            Step(
                Text("Compare memory use with the limit", "메모리 사용량과 한도를 비교하세요"),
                "kubectl top pod --containers  # or: docker stats --no-stream",
            ),
            Step(
                Text(
                    "Find out what grew before the kill, then raise the limit or fix the leak",
                    "종료 전에 무엇이 늘었는지 찾은 뒤 한도를 올리거나 누수를 고치세요",
                ),
                "journalctl -k --grep 'oom|Killed process'",
            ),
        ),
    ),
    Signature(
        name="oom-heap",
        category=Category.OUT_OF_MEMORY,
        stage=Stage.RESOURCE,
        severity=Severity.CRITICAL,
        weight=0.93,
        patterns=(
            r"java\.lang\.OutOfMemoryError(?:: (?P<subject>.*))?|There is insufficient memory for the Java Runtime|GC overhead limit exceeded",
            r"FATAL ERROR: .*JavaScript heap out of memory|Reached heap limit Allocation failed|Ineffective mark-compacts near heap limit",
            r"Allowed memory size of \d+ bytes exhausted|fatal error: runtime: out of memory|System\.OutOfMemoryException|NoMemoryError|memory allocation of \d+ bytes failed",
            r"^(?:\S+ )?MemoryError\b|std::bad_alloc|Cannot allocate memory|ENOMEM|virtual memory exhausted|out of memory allocating|CUDA out of memory|LLVM ERROR: out of memory|c\+\+: fatal error: Killed signal|(?i:worker .* was sent SIGKILL! Perhaps out of memory)",
        ),
        what=Text("a program ran out of memory", "프로그램의 메모리가 부족해졌습니다"),
        why=Text(
            "Its heap reached the configured limit: too little memory for the load, or a leak.",
            "힙이 설정된 한도에 도달했습니다. 부하에 비해 메모리가 적거나 누수가 있습니다.",
        ),
        steps=(
            Step(
                Text(
                    "See what fills the heap before raising the limit",
                    "한도를 올리기 전에 무엇이 힙을 채우는지 확인하세요",
                ),
                "jcmd PID GC.heap_info",
            ),
        ),
    ),
    Signature(
        name="redis-oom",
        category=Category.OUT_OF_MEMORY,
        stage=Stage.RESOURCE,
        weight=0.9,
        patterns=(
            r"(?i)command not allowed when used memory > '?maxmemory",
            r"Can't save in background: fork: Cannot allocate memory|memory resource limit alarm set|system_memory_high_watermark",
        ),
        what=Text(
            "the data store (Redis or RabbitMQ) reached its memory limit and refuses writes",
            "데이터 저장소(Redis 또는 RabbitMQ)가 메모리 한도에 도달해 쓰기를 거부합니다",
        ),
        why=Text(
            "Its data fills the memory it may use and nothing may be evicted, so writes fail until memory is freed or the limit is raised.",
            "데이터가 허용된 메모리를 모두 채웠고 축출할 수 있는 것이 없어, 메모리가 확보되거나 한도가 오를 때까지 쓰기가 실패합니다.",
        ),
        steps=(Step(Text("Look at its memory use", "메모리 사용을 확인하세요"), "redis-cli info memory"),),
    ),
    Signature(
        name="killed-137",
        category=Category.OUT_OF_MEMORY,
        weight=0.72,
        role=Role.SYMPTOM,
        patterns=(
            r"(?i)exit(?:ed)?(?: with)?(?: code| status|Code)?[ :=\"]*137\b|(?:exit code|status|errorlevel):? 137\b|code=killed, status=9|^Killed$|signal: 9, SIGKILL|signal: killed|^\S+: line \d+:\s+\d+ Killed\b",
        ),
        what=Text(
            "a process was killed from outside (SIGKILL), most likely for want of memory",
            "프로세스가 강제로 종료되었습니다(SIGKILL). 메모리 부족일 가능성이 큽니다",
        ),
        why=Text(
            "Someone sent SIGKILL: the kernel when memory ran out, or a supervisor after a grace period.",
            "SIGKILL을 받았습니다. 메모리 부족 시의 커널이거나 유예 시간 이후의 관리자입니다.",
        ),
        steps=(
            Step(
                Text("Ask the kernel whether it was the OOM killer", "OOM killer였는지 커널 로그를 확인하세요"),
                "journalctl -k --grep 'oom|Killed process'",
            ),
        ),
    ),
    Signature(
        name="disk-full",
        category=Category.DISK_FULL,
        stage=Stage.RESOURCE,
        severity=Severity.CRITICAL,
        weight=0.95,
        patterns=(
            r"(?i)no space left on device|\bENOSPC\b|disk (?:is )?full\b|There is not enough space on the disk|not enough (?:free )?(?:disk )?space|insufficient disk space|System\.IO\.IOException: No space",
            r"flood stage disk watermark|high disk watermark .* exceeded|disk resource limit alarm set|You are running out of disk space|out of disk space|HINT:  Check free disk space",
            r"could not (?:extend|write to) file \"(?P<subject>[^\"]+)\": wrote only \d+ of \d+ bytes",
        ),
        what=Text("the disk is full (no space left on device)", "디스크가 가득 찼습니다"),
        why=Text(
            "No more can be written: data, logs, images or inodes used it up. What failed afterwards failed for that reason.",
            "더 이상 쓸 수 없습니다. 데이터, 로그, 이미지 또는 inode가 소진되었습니다. 이후의 실패는 그 결과입니다.",
        ),
        steps=(
            Step(
                Text(
                    "See which file system is full, in bytes or in inodes",
                    "용량과 inode 기준으로 가득 찬 파일 시스템을 확인하세요",
                ),
                "df -h; df -i",
            ),
            Step(
                Text("Find what takes the space", "공간을 차지하는 것을 찾으세요"),
                "du -xhd1 / 2>/dev/null | sort -h | tail",
            ),
        ),
    ),
    Signature(
        name="read-only",
        category=Category.DISK_FULL,
        stage=Stage.RESOURCE,
        severity=Severity.CRITICAL,
        weight=0.86,
        patterns=(
            r"(?i)database space exceeded|read-only file system|\bEROFS\b|Remounting filesystem read-only|I/O error, dev \w+|Buffer I/O error|EXT4-fs error|Disk quota exceeded|EDQUOT",
        ),
        what=Text(
            "the file system cannot be written (read-only, quota or I/O error)",
            "파일 시스템에 쓸 수 없습니다(읽기 전용, 할당량 또는 I/O 오류)",
        ),
        why=Text(
            "It is mounted read-only, over its quota, or the device reports errors.",
            "읽기 전용으로 마운트되었거나 할당량을 넘었거나 장치가 오류를 보고합니다.",
        ),
        steps=(
            Step(
                Text("Look at mounts and the kernel's messages", "마운트와 커널 메시지를 확인하세요"),
                "findmnt -o TARGET,OPTIONS; dmesg | tail -50",
            ),
        ),
    ),
    Signature(
        name="too-many-files",
        category=Category.CONFIGURATION,
        stage=Stage.RESOURCE,
        weight=0.9,
        patterns=(
            r"(?i)too many open files|\bEMFILE\b|\bENFILE\b|System limit for number of file watchers reached|worker_connections are not enough|fork: (?:retry: )?Resource temporarily unavailable|unable to create (?:new )?native thread|Too many levels of symbolic",
        ),
        what=Text(
            "a limit on open files, watches or processes was reached (too many open files)",
            "열린 파일/감시/프로세스 수 한도에 도달했습니다",
        ),
        why=Text(
            "The process holds more than its limit allows: the limit is low for the load, or files and sockets are not closed.",
            "프로세스가 한도보다 많이 사용합니다. 부하에 비해 한도가 낮거나 파일/소켓을 닫지 않습니다.",
        ),
        steps=(
            Step(
                Text("Compare what is open with the limit", "열린 수와 한도를 비교하세요"),
                "ls /proc/PID/fd | wc -l; grep 'open files' /proc/PID/limits",
            ),
        ),
    ),
    Signature(
        name="iam",
        category=Category.PERMISSION_OR_SECRET,
        stage=Stage.RESOURCE,
        weight=0.9,
        patterns=(
            r"\bAccessDenied(?:Exception)?\b|is not authorized to perform:? (?P<subject>[\w:*]+)|UnauthorizedOperation|AuthorizationFailed|UnrecognizedClientException|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken(?:Exception)?|InvalidClientTokenId",
            r"PERMISSION_DENIED|Permission '(?P<subject>[\w.]+)' denied|does not have (?P<subject2>[\w.]+) access|NoCredentialProviders|Unable to locate credentials|Could not load the default credentials|CredentialsProviderError|NoCredentialsError",
            r"cannot (?:get|list|watch|create|update|patch|delete) resource \"(?P<subject>[\w./]+)\"|\(Forbidden\)|forbidden: User \"",
        ),
        what=Text("the identity lacks a permission (access denied)", "계정에 권한이 없습니다"),
        why=Text(
            "The role or credentials in use may not do this, or they are missing or expired.",
            "사용 중인 역할/자격 증명에 권한이 없거나, 없거나, 만료되었습니다.",
        ),
        steps=(
            Step(
                Text("See which identity is used", "어떤 계정이 사용되는지 확인하세요"),
                "aws sts get-caller-identity  # or: kubectl auth can-i --list",
            ),
        ),
    ),
    Signature(
        name="unauthorized",
        category=Category.PERMISSION_OR_SECRET,
        weight=0.76,
        patterns=(
            r"(?i)\b401 (?:Unauthorized|Client Error)|\b403 (?:Forbidden|Client Error)|authentication (?:failed|failure|error)\b|invalid (?:credentials|api[ _-]?key|token|bearer)|(?:token|jwt|credentials|session|signature) (?:is |has |have )?expired|Bad credentials|invalid_grant|InvalidSignature",
            r"NOAUTH Authentication required|WRONGPASS|ACCESS_REFUSED|SASL authentication failed|TOPIC_AUTHORIZATION_FAILED|TopicAuthorizationException|Authentication failed\.",
        ),
        what=Text("credentials were refused (authentication or permission)", "인증 정보가 거부되었습니다"),
        why=Text(
            "The user, key or token is wrong, expired or lacks the right.",
            "사용자, 키 또는 토큰이 잘못되었거나 만료되었거나 권한이 없습니다.",
        ),
        steps=(
            Step(
                Text(
                    "Check which credentials the program uses, and when they expire",
                    "프로그램이 쓰는 자격 증명과 만료 시각을 확인하세요",
                )
            ),
        ),
    ),
    Signature(
        name="eacces",
        category=Category.PERMISSION_OR_SECRET,
        weight=0.78,
        patterns=(
            r"(?:EACCES|EPERM):? |PermissionError: \[Errno \d+\] .*: '(?P<subject>[^']+)'|(?:open|mkdir|stat|unlink|exec|fork/exec|rename|chmod) (?P<subject2>/\S+): permission denied",
            r"(?i)(?:^|[:\s])permission denied\b|Operation not permitted|AccessDeniedException: (?P<subject>\S+)|UnauthorizedAccessException|avc:\s+denied",
        ),
        what=Text(
            "the operating system denied access to a file or device",
            "운영체제가 파일/장치 접근을 거부했습니다",
        ),
        why=Text(
            "The user the program runs as may not use the file, directory, port or device.",
            "프로그램을 실행한 사용자에게 파일, 디렉터리, 포트 또는 장치 권한이 없습니다.",
        ),
        steps=(
            Step(
                Text("Compare the owner with the running user", "소유자와 실행 사용자를 비교하세요"),
                "namei -l PATH; id",
            ),
        ),
    ),
)
