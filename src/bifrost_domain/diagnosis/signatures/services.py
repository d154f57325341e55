"""Databases, brokers, Kubernetes, configuration: what services print when they break."""

# ruff: noqa: E501  (a pattern or a sentence stands on one line, so that it can be searched for and compared)

from bifrost_domain.diagnosis.signature import Role, Signature, Stage, Step, Text
from bifrost_domain.report import Category, Severity

_PG_ACTIVITY = "psql -c 'select pid, state, wait_event_type, left(query, 80) from pg_stat_activity'"

SERVICES = (
    Signature(
        name="db-connections",
        category=Category.DATABASE,
        stage=Stage.SATURATION,
        severity=Severity.CRITICAL,
        weight=0.9,
        patterns=(
            r"sorry, too many clients already|remaining connection slots are reserved|too many connections for (?:role|database)|ERROR 1040|Too many connections|max number of clients reached|User '(?P<subject>[^']+)' has exceeded the 'max_user_connections'",
            r"(?i)QueuePool limit of size|connection pool (?:is )?(?:exhausted|timed out|full)|pool exhausted|(?:Hikari\S*|\w*Pool\S*) - Connection is not available, request timed out|CannotGetJdbcConnectionException|TimeoutError: ResourceRequest timed out|Timeout acquiring a connection|ConnectionPoolTimeout|could not obtain a (?:database )?connection within|no more connections allowed|MongoWaitQueueFullException",
        ),
        what=Text(
            "the database connections or the connection pool are exhausted",
            "데이터베이스 연결 또는 연결 풀이 고갈되었습니다",
        ),
        why=Text(
            "More connections are held than allowed: slow queries, leaked connections, or more clients than the limit was made for.",
            "허용보다 많은 연결이 점유되어 있습니다. 느린 쿼리, 반환되지 않은 연결 또는 한도보다 많은 클라이언트 때문입니다.",
        ),
        steps=(
            Step(
                Text(
                    "See who holds the connections and what they wait for",
                    "누가 연결을 잡고 무엇을 기다리는지 확인하세요",
                ),
                _PG_ACTIVITY,
            ),
        ),
    ),
    Signature(
        name="db-deadlock",
        category=Category.DATABASE,
        stage=Stage.CONTENTION,
        weight=0.93,
        patterns=(
            r"(?i)deadlock detected|Deadlock found when trying to get lock|was deadlocked on lock resources|ORA-00060|WriteConflict|LATEST DETECTED DEADLOCK",
            r"DETAIL:  Process \d+ waits for (?P<subject>\w+ on [^;]+; blocked by process \d+)",
        ),
        what=Text("database transactions deadlock", "데이터베이스 트랜잭션이 교착 상태(deadlock)에 빠졌습니다"),
        why=Text(
            "Two transactions took the same locks in opposite order and waited for each other; the database ended one of them.",
            "두 트랜잭션이 같은 잠금을 반대 순서로 잡고 서로를 기다려, 데이터베이스가 하나를 종료했습니다.",
        ),
        steps=(
            Step(
                Text("Read both statements the database names", "데이터베이스가 알려 준 두 문장을 확인하세요"),
                "grep -A6 -i 'deadlock detected' LOG",
            ),
            Step(
                Text(
                    "Take locks in one order, keep transactions short, retry the loser",
                    "잠금 순서를 통일하고 트랜잭션을 짧게 하며 실패한 쪽을 재시도하세요",
                )
            ),
        ),
    ),
    Signature(
        name="db-lock-wait",
        category=Category.DATABASE,
        stage=Stage.CONTENTION,
        weight=0.8,
        patterns=(
            r"process \d+ still waiting for (?P<subject>\w+ on \S+ \d+)|Lock wait timeout exceeded|canceling statement due to lock timeout|could not obtain lock on|Waiting for table metadata lock",
            r"database is locked|SQLITE_BUSY|ORA-00054|Lock request time out period exceeded",
        ),
        what=Text(
            "database sessions wait for a lock that another session holds",
            "데이터베이스 세션들이 다른 세션이 잡은 잠금을 기다리고 있습니다",
        ),
        why=Text(
            "One transaction keeps the lock, and everything that needs it queues up behind the first to wait.",
            "한 트랜잭션이 잠금을 놓지 않아, 그 잠금이 필요한 모든 작업이 처음 기다린 세션 뒤로 밀립니다.",
        ),
        steps=(
            Step(
                Text("See who blocks whom", "누가 누구를 막고 있는지 확인하세요"),
                "psql -c 'select pid, pg_blocking_pids(pid), state, left(query, 80) from pg_stat_activity'",
            ),
            Step(
                Text(
                    "Keep transactions short, and let schema changes give up early (lock_timeout) and try again",
                    "트랜잭션을 짧게 유지하고, 스키마 변경은 lock_timeout으로 일찍 포기한 뒤 재시도하게 하세요",
                )
            ),
        ),
    ),
    Signature(
        name="db-idle-transaction",
        category=Category.DATABASE,
        stage=Stage.HOLD,
        late=True,
        weight=0.7,
        patterns=(r"idle-in-transaction timeout|idle_in_transaction_session_timeout|idle transaction timeout",),
        what=Text(
            "a transaction left open and idle kept its locks until the database ended it",
            "트랜잭션이 열린 채 유휴 상태로 남아, 데이터베이스가 종료할 때까지 잠금을 놓지 않았습니다",
        ),
        why=Text(
            "The program began a transaction and then did something else, or forgot to commit it.",
            "프로그램이 트랜잭션을 시작한 뒤 다른 일을 했거나 커밋하지 않았습니다.",
        ),
        steps=(
            Step(
                Text("Find transactions that are open and idle", "열린 채 유휴 상태인 트랜잭션을 찾으세요"),
                "psql -c \"select pid, usename, application_name, xact_start from pg_stat_activity where state like 'idle in transaction%'\"",
            ),
        ),
    ),
    Signature(
        name="db-auth",
        category=Category.DATABASE,
        stage=Stage.RESOURCE,
        weight=0.9,
        patterns=(
            r"password authentication failed for user \"(?P<subject>[^\"]+)\"|no pg_hba\.conf entry for|Access denied for user '(?P<subject2>[^']+)'|role \"(?P<subject3>[^\"]+)\" does not exist|ORA-01017|Login failed for user '(?P<subject4>[^']+)'|SCRAM authentication failed",
        ),
        what=Text("the database refuses the user (authentication)", "데이터베이스가 사용자를 거부했습니다(인증)"),
        why=Text(
            "User or password are wrong for this database, or its access rules do not allow this host.",
            "이 데이터베이스의 사용자/비밀번호가 틀렸거나 접근 규칙이 이 호스트를 허용하지 않습니다.",
        ),
        steps=(
            Step(
                Text("Try the same user by hand", "같은 사용자로 직접 접속해 보세요"),
                "psql -h HOST -U USER -c 'select 1'",
            ),
        ),
    ),
    Signature(
        name="db-schema",
        category=Category.DATABASE,
        stage=Stage.RESOURCE,
        weight=0.86,
        patterns=(
            r"relation \"(?P<subject>[^\"]+)\" does not exist|column \"?(?P<subject2>[\w.]+)\"? (?:of relation .* )?does not exist|no such (?:table|column): (?P<subject3>[\w.]+)|Table '(?P<subject4>[^']+)' doesn't exist|Unknown column '(?P<subject5>[^']+)'|database \"(?P<subject6>[^\"]+)\" does not exist|ORA-00942|Unknown database '",
            r"(?i)migration (?:\S+ )?(?:failed|error)|FlywayException|FlywayValidateException|Validate failed: Migration|LiquibaseException|Can't locate revision identified by|Dirty database version|PendingMigrationError|Migrations are pending|InconsistentMigrationHistory|Error: P3\d{3}",
        ),
        what=Text(
            "the database schema does not fit the program (missing table, column or migration)",
            "데이터베이스 스키마가 프로그램과 맞지 않습니다(테이블, 컬럼 또는 마이그레이션 누락)",
        ),
        why=Text(
            "A migration was not applied, failed midway, or ran in another order than the release.",
            "마이그레이션이 적용되지 않았거나 중간에 실패했거나 배포와 다른 순서로 실행되었습니다.",
        ),
        steps=(
            Step(
                Text(
                    "Compare applied and pending migrations before applying any",
                    "적용 전에 적용된 것과 대기 중인 마이그레이션을 비교하세요",
                ),
                "alembic current  # or: flyway info",
            ),
        ),
    ),
    Signature(
        name="db-constraint",
        category=Category.DATABASE,
        weight=0.72,
        patterns=(
            r"violates (?:unique|foreign key|not-null|check|exclusion) constraint(?: \"(?P<subject>[^\"]+)\")?|Duplicate entry '|(?:UNIQUE|FOREIGN KEY|NOT NULL) constraint failed|E11000 duplicate key|IntegrityError|ORA-00001|DataIntegrityViolationException",
        ),
        what=Text("a write breaks a database constraint", "쓰기가 데이터베이스 제약을 어겼습니다"),
        why=Text(
            "The data to be written conflicts with existing rows or rules: a repeated request, a race, or a defect.",
            "쓰려는 데이터가 기존 행이나 규칙과 충돌합니다. 중복 요청, 경쟁 또는 결함일 수 있습니다.",
        ),
        steps=(Step(Text("Look at the row the constraint names", "제약이 가리키는 행을 확인하세요")),),
    ),
    Signature(
        name="db-down",
        category=Category.DATABASE,
        stage=Stage.SATURATION,
        severity=Severity.CRITICAL,
        weight=0.84,
        patterns=(
            r"PANIC:  |could not (?:write to file|extend file|access file|open file) \"|database system (?:was interrupted|is (?:starting up|in recovery mode|shutting down))|terminating connection due to administrator command|server closed the connection unexpectedly|the database system is ",
            r"InnoDB\]?:? (?:Error|Unable|Cannot|Operating system error|Database page corruption)|mysqld got signal|Can't connect to (?:local )?MySQL server|MySQL server has gone away|Lost connection to MySQL server",
            r"MISCONF Redis|LOADING Redis is loading|READONLY You can't write against a read only replica|CLUSTERDOWN|MasterDown|MASTERDOWN|Bad file format reading the append only file|NOREPLICAS",
            r"ServerSelectionTimeoutError|MongoServerSelectionError|not master and slaveOk|NotWritablePrimary|no primary server|WiredTiger error|canceling statement due to (?:statement timeout|conflict with recovery)|invalid page in block|checksum verification failed",
            r"OperationalError.*(?:could not connect|connection to server)|connection to server at \"(?P<subject>[^\"]+)\".*failed",
        ),
        what=Text(
            "the database is down, read-only, damaged or not ready",
            "데이터베이스가 중단, 읽기 전용, 손상 또는 준비되지 않은 상태입니다",
        ),
        why=Text(
            "Clients cannot use it until it has started, recovered or elected a primary.",
            "시작, 복구 또는 주 노드 선출이 끝날 때까지 클라이언트가 사용할 수 없습니다.",
        ),
        steps=(
            Step(
                Text("Ask the server whether it accepts connections", "서버가 연결을 받는지 확인하세요"),
                "pg_isready -h HOST  # or: redis-cli ping",
            ),
        ),
    ),
    Signature(
        name="broker",
        category=Category.DATABASE,
        stage=Stage.SATURATION,
        weight=0.82,
        patterns=(
            r"LEADER_NOT_AVAILABLE|NotLeaderForPartition|NOT_ENOUGH_REPLICAS|NotEnoughReplicas|UNKNOWN_TOPIC_OR_PARTITION|Broker may not be available|brokers? (?:are )?down|OffsetOutOfRange|RecordTooLargeException|MESSAGE_TOO_LARGE|Expiring \d+ record\(s\) for (?P<subject>\S+)|ISR.*(?:shrink|Shrinking)",
            r"PRECONDITION_FAILED - |RESOURCE_LOCKED - |NOT_FOUND - no (?:queue|exchange) '(?P<subject>[^']+)'|connection_closed_abruptly|missed heartbeats from client|CHANNEL_ERROR|unacked.*limit|Mnesia.*(?:partitioned|inconsistent)|partitioned network|handshake_timeout",
            r"cluster_block_exception|all shards failed|NoNodeAvailableException|master_not_discovered|circuit_breaking_exception",
        ),
        what=Text(
            "a message broker or search cluster (Kafka, RabbitMQ, Elasticsearch) refuses or loses requests",
            "메시지 브로커/검색 클러스터(Kafka, RabbitMQ, Elasticsearch)가 요청을 거부하거나 잃고 있습니다",
        ),
        why=Text(
            "A topic, queue or shard has no leader or replica, or client and broker disagree about it.",
            "토픽, 큐 또는 샤드에 리더/복제본이 없거나 클라이언트와 브로커의 설정이 다릅니다.",
        ),
        steps=(
            Step(
                Text("Look at the state of the cluster", "클러스터 상태를 확인하세요"),
                "kafka-topics.sh --describe --unavailable-partitions --bootstrap-server HOST:9092",
            ),
        ),
    ),
    Signature(
        name="image-pull",
        category=Category.KUBERNETES,
        stage=Stage.RESOURCE,
        weight=0.95,
        patterns=(
            r"ImagePullBackOff|ErrImagePull|Failed to pull image \"(?P<subject>[^\"]+)\"|InvalidImageName|Back-off pulling image \"(?P<subject2>[^\"]+)\"|ErrImageNeverPull",
        ),
        what=Text("Kubernetes cannot pull the container image", "쿠버네티스가 컨테이너 이미지를 가져오지 못했습니다"),
        why=Text(
            "The image or tag does not exist, or the node has no credentials for or no way to the registry.",
            "이미지/태그가 없거나, 노드에 레지스트리 자격 증명 또는 경로가 없습니다.",
        ),
        steps=(
            Step(
                Text(
                    "Read what the registry answered in the pod's events",
                    "파드 이벤트에서 레지스트리의 응답을 확인하세요",
                ),
                "kubectl describe pod POD | sed -n '/Events/,$p'",
            ),
            Step(
                Text(
                    "Check that the image's name and tag exist in the registry",
                    "이미지 이름과 태그가 레지스트리에 있는지 확인하세요",
                ),
                "docker manifest inspect IMAGE",
            ),
            Step(
                Text(
                    "For a private registry, check the pull secret the pod names",
                    "비공개 레지스트리라면 파드가 가리키는 pull secret을 확인하세요",
                ),
                "kubectl get pod POD -o jsonpath='{.spec.imagePullSecrets}'",
            ),
        ),
    ),
    Signature(
        name="scheduling",
        category=Category.KUBERNETES,
        stage=Stage.RESOURCE,
        weight=0.9,
        patterns=(
            r"FailedScheduling|\d+/\d+ nodes are available: |Insufficient (?:cpu|memory|nvidia\S*|ephemeral-storage)|had untolerated taint|unbound immediate PersistentVolumeClaims|didn't match Pod's node affinity",
        ),
        what=Text("Kubernetes cannot schedule the pod", "쿠버네티스가 파드를 배치하지 못했습니다"),
        why=Text(
            "No node has the resources, labels, tolerations or volumes the pod asks for.",
            "파드가 요구하는 자원, 레이블, 톨러레이션 또는 볼륨을 가진 노드가 없습니다.",
        ),
        steps=(
            Step(
                Text("Compare what the pod asks for with what nodes have", "파드의 요구와 노드의 여유를 비교하세요"),
                "kubectl describe nodes | grep -A8 'Allocated resources'",
            ),
        ),
    ),
    Signature(
        name="eviction",
        category=Category.KUBERNETES,
        stage=Stage.RESOURCE,
        weight=0.88,
        patterns=(
            r"(?:The node was low on resource|Evicted|evicting pod|EvictionThresholdMet|NodeNotReady|node .* (?:is|became) not ready|DiskPressure|MemoryPressure|PIDPressure)(?:: (?P<subject>[\w-]+))?",
        ),
        what=Text(
            "a node is under pressure or not ready, and evicts pods",
            "노드가 부족하거나 준비되지 않아 파드를 축출합니다",
        ),
        why=Text(
            "The node ran low on memory, disk or processes, or its kubelet stopped reporting.",
            "노드의 메모리, 디스크 또는 프로세스가 부족하거나 kubelet 보고가 멈췄습니다.",
        ),
        steps=(
            Step(
                Text("Read the node's conditions", "노드 상태를 확인하세요"),
                "kubectl describe node NODE | sed -n '/Conditions/,/Addresses/p'",
            ),
        ),
    ),
    Signature(
        name="mount",
        category=Category.KUBERNETES,
        stage=Stage.RESOURCE,
        weight=0.88,
        patterns=(
            r"FailedMount|FailedAttachVolume|Multi-Attach error|MountVolume\.SetUp failed for volume \"(?P<subject>[^\"]+)\"|CreateContainerConfigError|couldn't find key|(?:secret|configmap) \"(?P<subject2>[^\"]+)\" not found|FailedCreatePodSandBox|exceeded quota: |admission webhook .* denied|FailedCreate",
        ),
        what=Text(
            "Kubernetes cannot create the pod: a volume, secret, config map, quota or sandbox is in the way",
            "쿠버네티스가 파드를 만들지 못했습니다(볼륨, 시크릿, 컨피그맵, 할당량)",
        ),
        why=Text(
            "Something the pod refers to is missing, in use elsewhere, or not allowed.",
            "파드가 참조하는 것이 없거나, 다른 곳에서 쓰이거나, 허용되지 않습니다.",
        ),
        steps=(
            Step(
                Text("Read the pod's events", "파드의 이벤트를 확인하세요"),
                "kubectl describe pod POD | sed -n '/Events/,$p'",
            ),
        ),
    ),
    Signature(
        name="probe",
        category=Category.KUBERNETES,
        stage=Stage.SURFACE,
        role=Role.SYMPTOM,
        weight=0.62,
        patterns=(
            r"(?:Liveness|Readiness|Startup) probe (?:failed|errored)(?:: (?P<subject>.{0,120}))?|failed (?:liveness|startup) probe, will be restarted",
        ),
        what=Text(
            "a Kubernetes probe fails, so the container gets restarted or no traffic",
            "쿠버네티스 프로브가 실패하여 컨테이너가 재시작되거나 트래픽을 받지 못합니다",
        ),
        why=Text(
            "The program does not answer its health check in time: it is starting, overloaded, stuck, or listens elsewhere.",
            "프로그램이 상태 확인에 제때 응답하지 않습니다. 시작 중, 과부하, 정지 또는 다른 포트 사용일 수 있습니다.",
        ),
        steps=(
            Step(
                Text(
                    "Read the container's log of the time when the probe failed",
                    "프로브가 실패한 시각의 컨테이너 로그를 확인하세요",
                ),
                "kubectl logs POD --since=15m  # after a restart: --previous",
            ),
        ),
    ),
    Signature(
        name="rollout-timeout",
        category=Category.TIMEOUT,
        stage=Stage.SURFACE,
        weight=0.9,
        patterns=(
            r"Error: (?:INSTALLATION|UPGRADE) FAILED: .*(?:timed out waiting for the condition|context deadline exceeded)|^error: timed out waiting for the condition",
            r"deployment \"(?P<subject>[^\"]+)\" exceeded its progress deadline|ProgressDeadlineExceeded",
        ),
        what=Text(
            "a rollout did not become ready in the time it was given",
            "배포가 주어진 시간 안에 준비되지 않았습니다",
        ),
        why=Text(
            "The manifests were accepted; the pods did not start or did not pass their probes. Why stands in their events.",
            "매니페스트는 받아들여졌지만 파드가 시작되지 않았거나 프로브를 통과하지 못했습니다. 이유는 파드의 이벤트에 있습니다.",
        ),
        steps=(
            Step(
                Text(
                    "Find the pods that are not ready and read their events",
                    "준비되지 않은 파드를 찾아 이벤트를 확인하세요",
                ),
                "kubectl get pods; kubectl get events --sort-by=.lastTimestamp | tail -20",
            ),
        ),
    ),
    Signature(
        name="crash-loop",
        category=Category.KUBERNETES,
        stage=Stage.SURFACE,
        role=Role.SYMPTOM,
        weight=0.6,
        patterns=(
            r"CrashLoopBackOff|Back-off restarting failed container(?: (?P<subject>\S+))?|restarting failed container",
        ),
        what=Text(
            "a program ends again and again right after its start (crash loop)",
            "프로그램이 시작 직후 반복해서 종료됩니다(크래시 루프)",
        ),
        why=Text(
            "Each start fails; the reason stands in the log of the run before the restart.",
            "시작할 때마다 실패합니다. 이유는 재시작 직전 실행의 로그에 있습니다.",
        ),
        steps=(
            Step(
                Text("Read the log of the run before", "이전 실행의 로그를 확인하세요"), "kubectl logs POD --previous"
            ),
        ),
    ),
    Signature(
        name="restart-loop",
        category=Category.CRASH,
        stage=Stage.SURFACE,
        role=Role.SYMPTOM,
        weight=0.6,
        patterns=(
            r"(?P<subject>[\w@.\\-]+\.service): (?:Start request repeated too quickly|Failed with result 'start-limit-hit')|exited too quickly|BACKOFF\s+Exited",
        ),
        what=Text(
            "a service ends again and again right after its start, until its supervisor gives up",
            "서비스가 시작 직후 반복해서 종료되어 관리자가 재시작을 포기했습니다",
        ),
        why=Text(
            "Each start fails; the reason stands in what the service itself wrote before it ended.",
            "시작할 때마다 실패합니다. 이유는 종료 직전에 서비스가 남긴 로그에 있습니다.",
        ),
        steps=(
            Step(
                Text("Read the service's own log of the last start", "마지막 시작 때의 서비스 로그를 확인하세요"),
                "journalctl -u UNIT -b -n 100  # or: supervisorctl tail PROGRAM stderr",
            ),
        ),
    ),
    Signature(
        name="unit-exec",
        category=Category.CONFIGURATION,
        stage=Stage.RESOURCE,
        weight=0.9,
        patterns=(
            r"Failed (?:to locate executable|at step [A-Z_]+ spawning) (?P<subject>\S+): ",
            r"Changing to the requested working directory failed|Failed to determine user credentials|Failed to load environment files|Unit (?P<subject>\S+) (?:not found|has a bad unit file setting)",
            r"code=exited, status=2(?:0\d|1\d|2\d|3\d|4[0-3])/[A-Z_]+",
        ),
        what=Text(
            "systemd cannot start the program as its unit says",
            "systemd가 유닛에 적힌 대로 프로그램을 시작하지 못했습니다",
        ),
        why=Text(
            "The unit names a program, directory, user or file that is not there or may not be used; the program itself "
            "never ran.",
            "유닛이 가리키는 프로그램, 디렉터리, 사용자 또는 파일이 없거나 쓸 수 없습니다. 프로그램은 실행되지 않았습니다.",
        ),
        steps=(
            Step(
                Text(
                    "Compare what the unit names with what is there", "유닛이 가리키는 것과 실제로 있는 것을 비교하세요"
                ),
                "systemctl cat UNIT; systemd-analyze verify UNIT",
            ),
        ),
    ),
    Signature(
        name="kafka-rebalance",
        category=Category.DATABASE,
        stage=Stage.CONTENTION,
        weight=0.9,
        patterns=(
            r"consumer poll timeout has expired|CommitFailedException|(?:Offset commit|Heartbeat) failed.*(?:not aware of this member|rebalanc)|kicked out of the group|maximum poll interval \(\d+ms\) exceeded",
            r"Member (?P<subject>\S+) (?:in group \S+ )?has failed, removing it from the group|group (?:is rebalancing|has already rebalanced)|MAXPOLL\|",
        ),
        what=Text(
            "a Kafka consumer polled too late and was put out of its group (rebalance)",
            "Kafka 컨슈머가 제때 poll하지 못해 그룹에서 제외되었습니다(리밸런스)",
        ),
        why=Text(
            "Handling one batch took longer than the group waits between two polls, so that its partitions went to others "
            "and its offsets could not be committed.",
            "한 묶음을 처리하는 시간이 그룹의 poll 대기 한도보다 길어, 파티션이 다른 컨슈머로 넘어가고 오프셋을 커밋하지 못했습니다.",
        ),
        steps=(
            Step(
                Text("Look at the group's members and lag", "그룹의 구성원과 지연을 확인하세요"),
                "kafka-consumer-groups.sh --describe --group GROUP --bootstrap-server HOST:9092",
            ),
            Step(
                Text(
                    "Make a batch shorter (max.poll.records) or allow it more time (max.poll.interval.ms)",
                    "묶음을 줄이거나(max.poll.records) 시간을 늘리세요(max.poll.interval.ms)",
                )
            ),
        ),
    ),
    Signature(
        name="clock-skew",
        category=Category.CONFIGURATION,
        stage=Stage.RESOURCE,
        weight=0.88,
        patterns=(
            r"RequestTimeTooSkewed|KRB_AP_ERR_SKEW|(?i:clock skew (?:too great|detected|exceed)|request time and the current time is too large)|the clock difference against peer",
            r"(?i)system clock wrong by (?P<subject>-?[\d.]+ seconds)|can't synchroni[sz]e: no (?:selectable sources|majority)|no server suitable for synchronization|time (?:has been changed|jumped) by|clock is (?:out of sync|not synchroni[sz]ed)",
            r"(?i)(?:token|jwt|assertion|certificate)\b.*\b(?:used before issued|issued in the future|not valid yet)",
        ),
        what=Text("the clock of this machine is wrong", "이 장비의 시계가 맞지 않습니다"),
        why=Text(
            "Signatures, tokens and certificates carry times; others refuse what seems too old or not yet valid.",
            "서명, 토큰, 인증서에는 시각이 들어 있어, 상대가 너무 오래되었거나 아직 유효하지 않은 것으로 보고 거부합니다.",
        ),
        steps=(
            Step(
                Text("See how far the clock is off and whether it is kept", "시계의 오차와 동기화 상태를 확인하세요"),
                "chronyc tracking || timedatectl timesync-status",
            ),
        ),
    ),
    Signature(
        name="port-in-use",
        category=Category.CONFIGURATION,
        stage=Stage.RESOURCE,
        weight=0.92,
        patterns=(
            r"(?i)address already in use(?: ?:?::?(?P<subject>\S+))?|EADDRINUSE:?(?: address already in use)? ?(?P<subject2>\S*)|port (?P<subject3>\d+) (?:is |was )?already (?:in use|allocated)|bind\(\) to (?P<subject4>\S+) failed \(98|Only one usage of each socket address",
        ),
        what=Text("the port is already in use", "포트가 이미 사용 중입니다"),
        why=Text(
            "Another process, often an earlier instance of the same program, listens at the address.",
            "다른 프로세스(대개 같은 프로그램의 이전 인스턴스)가 그 주소에서 대기 중입니다.",
        ),
        steps=(Step(Text("See who listens there", "누가 사용 중인지 확인하세요"), "ss -ltnp"),),
    ),
    Signature(
        name="missing-setting",
        category=Category.CONFIGURATION,
        stage=Stage.RESOURCE,
        weight=0.88,
        patterns=(
            r"(?i)(?:missing|undefined|unset) (?:required )?(?:environment|env|config(?:uration)?) ?(?:variable|var|setting|key|value|property)s?:? ?['\"`]?(?P<subject>[\w.]+)?",
            r"(?i)(?:environment variable|env var|setting|configuration key|property) ['\"`]?(?P<subject>[\w.]+)['\"`]? (?:is |was )?(?:not (?:set|defined|found|provided)|must be set|required|missing|empty)",
            r"KeyError: '(?P<subject>[A-Z][A-Z0-9]*_[A-Z0-9_]+)'|Could not resolve placeholder '(?P<subject2>[^']+)'|(?P<subject3>[A-Z][A-Z0-9_]{4,}) (?:is not set|must be set|is required|environment variable not)",
            r"ImproperlyConfigured|ConfigurationError|InvalidConfigurationPropertyValueException|ConfigurationPropertiesBindException|BindException: Failed to bind properties|pydantic\S*ValidationError: \d+ validation errors? for \w*(?:Settings|Config)",
        ),
        what=Text("a setting the program needs is missing or wrong", "프로그램에 필요한 설정이 없거나 잘못되었습니다"),
        why=Text(
            "The program stops at its start because its configuration lacks a value or has one it cannot use.",
            "설정에 값이 없거나 쓸 수 없는 값이 있어 프로그램이 시작하면서 멈췄습니다.",
        ),
        steps=(
            Step(
                Text(
                    "Check the name and whether it reaches the process (print names only, not values)",
                    "이름과 프로세스에 전달되는지 확인하세요(값은 출력하지 마세요)",
                ),
                "env | cut -d= -f1 | sort",
            ),
        ),
    ),
    Signature(
        name="bad-config-file",
        category=Category.CONFIGURATION,
        stage=Stage.RESOURCE,
        weight=0.86,
        patterns=(
            r"yaml: (?:line \d+: |unmarshal errors)|yaml\.(?:scanner|parser|constructor)\.\w+Error|YAMLException|mapping values are not allowed|found character '\\t' that cannot start|YAMLSemanticError|did not find expected (?:key|node|'-' indicator)",
            r"nginx: \[emerg\] (?P<subject>.*)|\[emerg\] \d+#\d+: (?P<subject2>.*)|unknown directive \"(?P<subject3>[^\"]+)\"|configuration file \S+ test failed|AH\d+: Syntax error|Syntax error on line \d+ of",
            r"(?i)(?:failed|unable|error|cannot|could not) (?:to )?(?:parse|load|read|decode|loading|parsing|reading) (?:the )?(?:config|configuration|settings|manifest)(?: file)?|invalid configuration\b|unknown (?:field|option|flag|configuration (?:key|option))|bad configuration option|(?:^|[^.\w])toml: |TOMLDecodeError|FATAL:  (?:configuration file|could not load)|unrecognized configuration parameter",
            r"(?i)no such file or directory.*\.(?:ya?ml|toml|ini|conf|properties|env)\b",
        ),
        what=Text("a configuration file is wrong or cannot be read", "설정 파일이 잘못되었거나 읽을 수 없습니다"),
        why=Text(
            "The program cannot use its configuration as written; the message names the place.",
            "작성된 설정을 프로그램이 사용할 수 없습니다. 메시지에 위치가 나옵니다.",
        ),
        steps=(
            Step(
                Text("Check the file with the program's own check", "프로그램의 검사 기능으로 파일을 확인하세요"),
                "nginx -t  # or: yamllint FILE",
            ),
        ),
    ),
)
