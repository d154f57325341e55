"""The network between programs: names, certificates, connections, limits of others."""

# ruff: noqa: E501  (a pattern or a sentence stands on one line, so that it can be searched for and compared)

from bifrost_domain.diagnosis.signature import Role, Signature, Stage, Step, Text
from bifrost_domain.report import Category, Severity

CONNECTIONS = (
    Signature(
        name="dns",
        category=Category.DNS,
        stage=Stage.RESOURCE,
        weight=0.86,
        patterns=(
            r"[Nn]ame or service not known.*\bhttps?://(?P<subject>[\w.-]+)",
            r"(?i)could not resolve (?:host(?:name)?|proxy):? ?\"?(?P<subject>[\w.-]+\.[\w-]+|[\w-]+)",
            r"(?:getaddrinfo|queryA|queryAaaa) (?:ENOTFOUND|EAI_AGAIN|ETIMEOUT|ESERVFAIL) (?P<subject>[\w.-]+)",
            r"lookup (?P<subject>[\w.-]+)(?: on \S+)?: (?:no such host|server misbehaving|i/o timeout|Temporary failure)",
            r"(?i)(?:temporary failure (?:in name resolution|resolving ?'?(?P<subject>[\w.-]*))|name or service not known|nodename nor servname provided|failed to resolve '(?P<subject2>[\w.-]+))",
            r"UnknownHostException:? ?(?P<subject>[\w.-]*)|NameResolutionError|No such host is known",
            r"\bNXDOMAIN\b|\bSERVFAIL\b|failed to lookup address information|dns error: |host not found in upstream \"(?P<subject>[^\"]+)\"",
            r"(?i)php_network_getaddresses: getaddrinfo failed|could not translate host name \"(?P<subject>[^\"]+)\"|Unknown MySQL server host '(?P<subject2>[^']+)'",
        ),
        what=Text("a host name does not resolve (DNS)", "호스트 이름을 확인할 수 없습니다(DNS)"),
        why=Text(
            "The name is wrong or not registered, or the resolver of this machine cannot be reached.",
            "이름이 잘못되었거나 등록되지 않았거나, 이 장비의 리졸버에 연결할 수 없습니다.",
        ),
        steps=(
            Step(
                Text("Resolve the name from the same place", "같은 위치에서 이름을 조회하세요"),
                "dig +short HOST; cat /etc/resolv.conf",
            ),
            Step(
                Text("In Kubernetes, check that CoreDNS runs", "쿠버네티스라면 CoreDNS가 실행 중인지 확인하세요"),
                "kubectl -n kube-system get pods -l k8s-app=kube-dns",
            ),
        ),
    ),
    Signature(
        name="tls-expired",
        category=Category.TLS,
        stage=Stage.RESOURCE,
        weight=0.92,
        patterns=(
            r"(?i)certificate (?:has )?expired(?: or is not yet valid)?|x509: certificate has expired|CERT_HAS_EXPIRED|certificate is not yet valid",
            r"CertificateExpiredException|SEC_ERROR_EXPIRED_CERTIFICATE|SSL certificate problem: certificate has expired|alert certificate expired",
        ),
        what=Text("a TLS certificate has expired", "TLS 인증서가 만료되었습니다"),
        why=Text(
            "The peer shows a certificate outside its validity, so clients refuse the connection. A wrong clock looks the same.",
            "상대가 유효 기간이 지난 인증서를 제시하여 클라이언트가 연결을 거부합니다. 시계가 틀려도 같은 증상이 나타납니다.",
        ),
        steps=(
            Step(
                Text("Read the dates of the certificate", "인증서의 유효 기간을 확인하세요"),
                "openssl s_client -connect HOST:443 -servername HOST </dev/null | openssl x509 -noout -dates",
            ),
            Step(Text("Renew it and reload the server", "인증서를 갱신하고 서버를 다시 로드하세요")),
        ),
    ),
    Signature(
        name="tls-unknown-ca",
        category=Category.TLS,
        stage=Stage.RESOURCE,
        weight=0.88,
        patterns=(
            r"x509: certificate signed by unknown authority|unable to get (?:local )?issuer certificate|self[- ]signed certificate(?: in certificate chain)?",
            r"CERTIFICATE_VERIFY_FAILED|UNABLE_TO_(?:GET_ISSUER_CERT|VERIFY_LEAF_SIGNATURE)|DEPTH_ZERO_SELF_SIGNED_CERT|PKIX path (?:building|validation) failed|alert unknown ca",
            r"(?i)certificate verify failed|ssl certificate problem|server certificate verification failed|UntrustedRoot|invalid peer certificate",
        ),
        what=Text(
            "a TLS certificate is not trusted (unknown authority)", "TLS 인증서를 신뢰할 수 없습니다(알 수 없는 발급자)"
        ),
        why=Text(
            "The chain ends at an authority that this machine does not know: a private CA is not installed, or an intermediate is missing.",
            "인증서 체인이 이 장비가 모르는 발급자에서 끝납니다. 사설 CA가 설치되지 않았거나 중간 인증서가 없습니다.",
        ),
        steps=(
            Step(
                Text("Look at the chain the server sends", "서버가 보내는 인증서 체인을 확인하세요"),
                "openssl s_client -connect HOST:443 -servername HOST -showcerts </dev/null",
            ),
        ),
    ),
    Signature(
        name="tls-handshake",
        category=Category.TLS,
        stage=Stage.RESOURCE,
        weight=0.8,
        patterns=(
            r"x509: certificate is (?:valid for|not valid for any names)|Hostname mismatch|ERR_TLS_CERT_ALTNAME_INVALID|No subject alternative (?:DNS )?names? matching|doesn't match (?:either of )?'",
            r"(?i)(?:ssl|tls)[ _]handshake.*(?:fail|error)|handshake_failure|SSLHandshakeException|tlsv1 alert|wrong version number|no protocols available|unsupported protocol",
            r"SSL: (?:WRONG_VERSION_NUMBER|UNEXPECTED_EOF|TLSV1_ALERT)\w*|remote error: tls: |SSL_ERROR_SYSCALL|gnutls_handshake\(\) failed",
        ),
        what=Text("the TLS handshake fails", "TLS 핸드셰이크가 실패했습니다"),
        why=Text(
            "Client and server do not agree on the name, version or cipher, or one of them does not speak TLS.",
            "클라이언트와 서버가 이름, 버전 또는 암호 방식에 합의하지 못했거나 한쪽이 TLS를 쓰지 않습니다.",
        ),
        steps=(
            Step(
                Text("Try the handshake by hand", "핸드셰이크를 직접 시도하세요"),
                "openssl s_client -connect HOST:443 -servername HOST </dev/null",
            ),
        ),
    ),
    Signature(
        name="rate-limit",
        category=Category.RATE_LIMIT,
        stage=Stage.RESOURCE,
        weight=0.86,
        patterns=(
            r"(?i)\b(?:api )?rate limit (?:exceeded|reached)|secondary rate limit",
            r"(?i)\b429\b.*too many requests|too many requests.*\b429\b|HTTP(?:/[\d.]+)? (?:error )?429|status(?:[_ ]?code)?[=: \"]+429|error responses?.*\b429\b|too many 429",
            r"toomanyrequests: |ThrottlingException|Throttling: Rate exceeded|TooManyRequestsException|RequestLimitExceeded|ProvisionedThroughputExceeded|SlowDown: |RESOURCE_EXHAUSTED|rateLimitExceeded",
            r"(?i)you have (?:exceeded|reached) your .*(?:quota|limit)|\b(?:request|api|rate|usage|daily|monthly|project|read|write)?s? ?quota exceeded for|^quota exceeded|[^k] quota exceeded\b|QuotaExceeded|quotaExceeded|insufficient_quota",
        ),
        what=Text(
            "a service limits the rate of requests (HTTP 429)",
            "서비스가 요청 속도를 제한했습니다(HTTP 429)",
        ),
        why=Text(
            "Too many requests were sent in the time the service allows, or a quota is used up.",
            "서비스가 허용하는 것보다 많은 요청을 보냈거나 할당량을 모두 썼습니다.",
        ),
        steps=(
            Step(
                Text(
                    "Wait as Retry-After says, retry with a growing delay, and use authenticated requests",
                    "Retry-After만큼 기다리고 간격을 늘려 재시도하며 인증된 요청을 쓰세요",
                )
            ),
            Step(Text("For GitHub, look at what is left", "GitHub라면 남은 한도를 확인하세요"), "gh api rate_limit"),
        ),
    ),
    Signature(
        name="http-5xx-external",
        category=Category.NETWORK,
        stage=Stage.SILENCE,
        weight=0.74,
        patterns=(
            r"server returned error: HTTP/[\d.]+ 5\d\d|(?:curl|fetch|error).*The requested URL returned error: 5\d\d|HTTP request sent, awaiting response\.\.\. 5\d\d",
            r"too many 50\d error responses|HTTP(?:Error|Status|Response)?:? ?50[234]\b|(?i:response status code does not indicate success: 50\d)",
            r"(?:error|failed|fatal|ERR!).*\b50[234] (?:Bad Gateway|Service (?:Temporarily )?Unavailable|Gateway Time-?out)",
            r"(?i)received unexpected HTTP status: 50\d|unexpected status code \[?50\d|unexpected status from .*: 50\d|RPC failed; HTTP 50\d",
        ),
        what=Text(
            "an outside server answered with a 5xx error (network failure)",
            "외부 서버가 5xx 오류로 응답했습니다(네트워크)",
        ),
        why=Text(
            "The other side was down or overloaded for the moment; nothing here has to be wrong, and a retry may succeed.",
            "상대 서버가 일시적으로 중단되었거나 과부하였습니다. 이쪽 문제가 아닐 수 있으며 재시도하면 성공할 수 있습니다.",
        ),
        steps=(
            Step(
                Text("Re-run the job once the service is up again", "서비스가 복구되면 작업을 다시 실행하세요"),
                "gh run rerun --failed",
            ),
            Step(Text("Retry downloads with a growing delay", "다운로드를 간격을 늘려 재시도하세요")),
        ),
    ),
    Signature(
        name="download-failed",
        category=Category.NETWORK,
        weight=0.74,
        patterns=(
            r"Max retries exceeded with url|HTTPSConnectionPool\(host='(?P<subject>[^']+)'.*(?:Read timed out|Max retries|Caused by)",
            r"npm (?:ERR!|error) (?:code|network|errno) .*(?:ECONNRESET|ETIMEDOUT|ECONNREFUSED|ENETUNREACH|EAI_AGAIN|socket)",
            r"curl: \((?:5|6|7|18|22|28|35|52|56|92)\) |wget: (?:unable|can't connect|download timed out)|fatal: unable to access '(?P<subject>https?://[^']+)'",
            r"fatal: (?:the remote end hung up unexpectedly|early EOF|fetch-pack: )|RPC failed; curl|error: RPC failed|Could not read from remote repository",
            r"(?:Connection timed out|Could not connect to server|Failed to connect to) .*(?:port \d+)|Unable to connect to \S+:https?:|spurious network error",
            r"(?i)download (?:of .* )?failed|error downloading|failed to download\b|unable to download|failed to fetch \S*https?://|Failed to FinalizeArtifact|Could not GET 'https?://|Could not transfer artifact",
        ),
        what=Text(
            "a download or remote connection failed (network failure)",
            "다운로드 또는 원격 연결이 실패했습니다(네트워크)",
        ),
        why=Text(
            "The connection to an outside server broke or could not be made; such trouble mostly passes.",
            "외부 서버와의 연결이 끊겼거나 맺어지지 않았습니다. 대개 일시적입니다.",
        ),
        steps=(
            Step(
                Text("Try the address from the same place", "같은 위치에서 주소에 접속해 보세요"),
                "curl -sSIL --max-time 10 URL",
            ),
            Step(Text("Re-run the job", "작업을 다시 실행하세요"), "gh run rerun --failed"),
        ),
    ),
    Signature(
        name="ssh-unreachable",
        category=Category.NETWORK,
        stage=Stage.RESOURCE,
        weight=0.89,
        patterns=(
            r"ssh: connect to host (?P<subject>\S+) port \d+: |kex_exchange_identification: |ssh_exchange_identification: ",
        ),
        what=Text("a machine cannot be reached over SSH", "SSH로 장비에 연결할 수 없습니다"),
        why=Text(
            "The machine is down, its address or port is wrong, or a firewall stands between.",
            "장비가 꺼져 있거나 주소/포트가 틀렸거나 방화벽이 막고 있습니다.",
        ),
        steps=(
            Step(
                Text("Try the port from the same place", "같은 위치에서 포트에 연결해 보세요"),
                "nc -vz -w 5 HOST 22",
            ),
        ),
    ),
    Signature(
        name="connection-refused",
        category=Category.NETWORK,
        stage=Stage.SILENCE,
        role=Role.SYMPTOM,
        weight=0.62,
        patterns=(
            r"dial (?:tcp|udp) (?P<subject>[\w.:\[\]-]+): connect: connection refused|Server (?P<subject2>\S+) is DOWN, reason: .*Connection refused",
            r"connect\(\) failed \(111: .*upstream: \"\w+://(?P<subject>[^/\"]+)",
            r"(?i)(?:connect(?:ion)?(?: to)? (?P<subject>\S+:\d+)?.*)?connection refused",
            r"ECONNREFUSED ?(?P<subject>[\w.:\[\]-]*:\d+)?|ConnectionRefusedError|ConnectException: Connection refused|actively refused it",
        ),
        what=Text(
            "connections are refused because nothing listens at the address",
            "해당 주소에서 대기하는 프로그램이 없어 연결이 거부되었습니다",
        ),
        why=Text(
            "The server is down, still starting, or listens at another address or port.",
            "서버가 내려갔거나 시작 중이거나 다른 주소/포트에서 대기합니다.",
        ),
        steps=(Step(Text("See whether something listens there", "해당 포트에서 대기 중인지 확인하세요"), "ss -ltnp"),),
    ),
    Signature(
        name="connection-reset",
        category=Category.NETWORK,
        stage=Stage.SILENCE,
        role=Role.SYMPTOM,
        weight=0.56,
        patterns=(
            r"(?i)connection reset(?: by peer)?|ECONNRESET|broken pipe|\bEPIPE\b|socket hang up|Connection aborted|RemoteDisconnected|ChunkedEncodingError",
            r"(?i)(?:no route to host|network is unreachable|host is unreachable|EHOSTUNREACH|ENETUNREACH)|upstream prematurely closed|unexpected EOF|IncompleteRead",
            r"no live upstreams while connecting|upstream connect error or disconnect/reset",
        ),
        what=Text("connections break or the network is unreachable", "연결이 끊기거나 네트워크에 도달할 수 없습니다"),
        why=Text(
            "The other side closed the connection or a device between them dropped it.",
            "상대가 연결을 닫았거나 중간 장비가 끊었습니다.",
        ),
        steps=(Step(Text("Check the other side's log at the same time", "같은 시각의 상대 로그를 확인하세요")),),
    ),
    Signature(
        name="timeout",
        category=Category.TIMEOUT,
        stage=Stage.SILENCE,
        role=Role.SYMPTOM,
        weight=0.58,
        patterns=(
            r"upstream timed out.* upstream: \"\w+://(?P<subject>[^/\"]+)",
            r"(?i)\b(?:connection|connect|read|request|operation|query|call|upstream|gateway|socket|i/o|response|dial)\b.{0,40}\btime(?:d)?[ -]?out\b",
            r"(?i)\btimed out\b|ETIMEDOUT|context deadline exceeded|DeadlineExceeded|DEADLINE_EXCEEDED|SocketTimeoutException|ReadTimeout|ConnectTimeout|ESOCKETTIMEDOUT|TimeoutException",
            r"\b504 Gateway Time-?out",
        ),
        what=Text("an operation ran into its timeout", "작업이 제한 시간을 넘겼습니다"),
        why=Text(
            "The other side did not answer in time: it is overloaded, blocked or unreachable.",
            "상대가 제때 응답하지 않았습니다. 과부하, 대기 또는 도달 불가 상태입니다.",
        ),
        steps=(
            Step(
                Text("Measure how long the other side takes", "상대의 응답 시간을 측정하세요"),
                "curl -s -o /dev/null -w '%{time_connect} %{time_total}\\n' URL",
            ),
        ),
    ),
    Signature(
        name="worker-timeout",
        category=Category.TIMEOUT,
        stage=Stage.SILENCE,
        weight=0.88,
        patterns=(
            r"(?:Hard|Soft) time limit \([\d.]+s\) exceeded for (?P<subject>\S+?)(?:\[|$)|\b(?:Soft)?TimeLimitExceeded\b",
            r"\bWORKER TIMEOUT \(pid: ?\d+\)|worker .*(?:lockup|missed heartbeat|did not respond in time)",
        ),
        what=Text(
            "a worker took longer than its supervisor allows and was ended",
            "작업자가 허용 시간을 넘겨 관리자가 종료했습니다",
        ),
        why=Text(
            "It waited for something that does not answer, or has more to do at once than the limit was made for; that it "
            "was killed is the consequence.",
            "응답하지 않는 것을 기다렸거나 한 번에 처리할 양이 한도보다 많습니다. 강제 종료는 그 결과입니다.",
        ),
        steps=(
            Step(
                Text("See where the worker stands while it hangs", "멈춰 있는 동안 작업자가 어디에 있는지 확인하세요"),
                "py-spy dump --pid PID  # for the JVM: jstack PID",
            ),
        ),
    ),
    Signature(
        name="bad-gateway",
        category=Category.NETWORK,
        stage=Stage.SURFACE,
        role=Role.SYMPTOM,
        weight=0.5,
        patterns=(
            r"\" 50[234] \d+|\b50[23] (?:Bad Gateway|Service (?:Temporarily )?Unavailable)|\bstatus(?:_code)?[=: \"]+50[234]\b",
            r"connect\(\) failed \(\d+: .*\) while connecting to upstream|no healthy upstream|all backends (?:are )?down|has no server available",
        ),
        what=Text(
            "requests end with 5xx because a backend does not answer", "백엔드가 응답하지 않아 요청이 5xx로 끝납니다"
        ),
        why=Text(
            "The proxy works, the service behind it does not.",
            "프록시는 동작하지만 그 뒤의 서비스가 동작하지 않습니다.",
        ),
        steps=(Step(Text("Check the service behind the proxy", "프록시 뒤의 서비스를 확인하세요")),),
    ),
    Signature(
        name="circuit-open",
        category=Category.NETWORK,
        stage=Stage.SURFACE,
        role=Role.SYMPTOM,
        severity=Severity.WARNING,
        weight=0.48,
        patterns=(
            r"(?i)circuit ?breaker.*\b(?:open|opened|is OPEN)\b|CallNotPermittedException|BrokenCircuitException",
        ),
        what=Text("a circuit breaker opened", "서킷 브레이커가 열렸습니다"),
        why=Text(
            "Calls to a dependency failed so often that the client stopped trying.",
            "의존 서비스 호출이 자주 실패하여 클라이언트가 시도를 멈췄습니다.",
        ),
        steps=(
            Step(Text("Check the dependency that the breaker guards", "브레이커가 보호하는 의존 서비스를 확인하세요")),
        ),
    ),
)
