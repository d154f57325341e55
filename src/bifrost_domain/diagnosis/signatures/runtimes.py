"""Crashes and unhandled errors of the common language runtimes."""

# ruff: noqa: E501  (a pattern or a sentence stands on one line, so that it can be searched for and compared)

from bifrost_domain.diagnosis.signature import Role, Signature, Stage, Step, Text
from bifrost_domain.report import Category, Severity

_READ = Step(
    Text(
        "Read the first frame of the project's own code in the trace", "스택에서 프로젝트 코드의 첫 프레임을 확인하세요"
    )
)

RUNTIMES = (
    Signature(
        name="segfault",
        category=Category.CRASH,
        severity=Severity.CRITICAL,
        weight=0.86,
        patterns=(
            r"(?i)segmentation fault|\bSIGSEGV\b|segfault at [0-9a-f]+|signal 11\b|exit(?:ed with)? (?:code|status) 139|core dumped|EXC_BAD_ACCESS|access violation|0xC0000005",
            r"\bSIGABRT\b|\bSIGBUS\b|\bSIGILL\b|signal: (?:6|4|7), SIG|double free or corruption|stack smashing detected|free\(\): invalid|malloc\(\): |terminate called after throwing|general protection fault|A fatal error has been detected by the Java Runtime",
            r"Assertion [`'].+' failed\.(?: Aborted)?$|dumped core\.$|Found one Java-level deadlock",
            r"ERROR: (?:Address|Leak|Memory|UndefinedBehavior)Sanitizer: (?P<subject>\S+)|runtime error: .*(?:overflow|null pointer|misaligned|out of bounds)|ERROR: LeakSanitizer",
        ),
        what=Text(
            "a program crashed in native code (segmentation fault, abort or sanitizer)",
            "프로그램이 네이티브 코드에서 크래시했습니다(segmentation fault 등)",
        ),
        why=Text(
            "It touched memory it may not use, or aborted itself: a defect in native code or a mismatch of binaries.",
            "사용할 수 없는 메모리에 접근했거나 스스로 중단했습니다. 네이티브 코드 결함 또는 바이너리 불일치입니다.",
        ),
        steps=(
            Step(Text("Get the backtrace of the core dump", "코어 덤프의 백트레이스를 확인하세요"), "coredumpctl info"),
        ),
    ),
    Signature(
        name="go-panic",
        category=Category.CRASH,
        stage=Stage.SURFACE,
        severity=Severity.CRITICAL,
        weight=0.82,
        patterns=(
            r"^panic: (?P<subject>.*)|fatal error: (?:all goroutines are asleep|concurrent map|stack overflow|unexpected signal)|runtime error: (?:invalid memory address|index out of range|slice bounds|integer divide)|http: panic serving",
        ),
        what=Text("a Go program panicked", "Go 프로그램이 패닉으로 종료했습니다"),
        why=Text(
            "The goroutine hit an error that nothing recovered from; its trace names the line.",
            "고루틴에서 복구되지 않은 오류가 발생했습니다. 스택에 위치가 나옵니다.",
        ),
        steps=(_READ,),
    ),
    Signature(
        name="rust-panic",
        category=Category.CRASH,
        stage=Stage.SURFACE,
        weight=0.78,
        patterns=(r"thread '(?P<subject>[^']*)'(?: \(\d+\))? panicked at",),
        what=Text("a Rust thread panicked", "Rust 스레드가 패닉했습니다"),
        why=Text(
            "An assertion, unwrap or index failed in code; the message names the place.",
            "코드의 단언, unwrap 또는 인덱스가 실패했습니다. 메시지에 위치가 나옵니다.",
        ),
        steps=(
            Step(Text("Run again with a backtrace", "백트레이스를 켜고 다시 실행하세요"), "RUST_BACKTRACE=1 cargo run"),
        ),
    ),
    Signature(
        name="python-exception",
        category=Category.APPLICATION_ERROR,
        stage=Stage.SURFACE,
        weight=0.66,
        role=Role.SYMPTOM,
        patterns=(
            r"^(?:E\s+)?(?P<subject>(?:\w+\.)*(?:KeyError|ValueError|TypeError|AttributeError|IndexError|NameError|RuntimeError|ZeroDivisionError|UnicodeDecodeError|UnicodeEncodeError|RecursionError|FileNotFoundError|NotImplementedError|OSError|JSONDecodeError|StopIteration|AssertionError|DeprecationWarning|UnboundLocalError|ValidationError)(?:: .*)?)$",
            r"^Traceback \(most recent call last\):",
        ),
        what=Text(
            "a Python program stopped with an unhandled exception", "Python 프로그램이 처리되지 않은 예외로 멈췄습니다"
        ),
        why=Text(
            "The exception was raised in code and nobody handled it; the last frame of the trace is where.",
            "코드에서 발생한 예외가 처리되지 않았습니다. 스택의 마지막 프레임이 그 위치입니다.",
        ),
        steps=(_READ,),
    ),
    Signature(
        name="jvm-exception",
        category=Category.APPLICATION_ERROR,
        stage=Stage.SURFACE,
        weight=0.64,
        role=Role.SYMPTOM,
        patterns=(
            r"\b(?P<subject>java\.lang\.(?:NullPointerException|IllegalStateException|IllegalArgumentException|ClassCastException|ArrayIndexOutOfBoundsException|IndexOutOfBoundsException|NumberFormatException|UnsupportedOperationException|ArithmeticException|StackOverflowError|NoSuchMethodError|NoClassDefFoundError|ClassNotFoundException|ExceptionInInitializerError|UnsatisfiedLinkError)(?:: .*)?)",
            r"^Exception in thread \"[^\"]*\" (?P<subject>[\w.$]+(?:: .*)?)|APPLICATION FAILED TO START|(?P<subject2>BeanCreationException|UnsatisfiedDependencyException|NoSuchBeanDefinitionException)|UncaughtException",
            r"^Caused by: (?P<subject>(?:[a-z]\w*\.)+\w+(?:Exception|Error)(?:: .*)?)",
            r"^(?P<subject>(?:com|org|net|io|de|fr|uk|nl|ch|eu|kr|jp|cn|dev|app|edu|gov)\.(?:[a-z]\w*\.)+[A-Z][\w$]*(?:Exception|Error)(?:: .*)?)$",
        ),
        nested=True,
        what=Text("a JVM program threw an unhandled exception", "JVM 프로그램에서 처리되지 않은 예외가 발생했습니다"),
        why=Text(
            "It was thrown in code and nothing caught it; the first frame of the project's own code below it is where.",
            "코드에서 던져진 뒤 잡히지 않았습니다. 그 아래 프로젝트 코드의 첫 프레임이 그 위치입니다.",
        ),
        steps=(_READ,),
    ),
    Signature(
        name="node-exception",
        category=Category.APPLICATION_ERROR,
        stage=Stage.SURFACE,
        weight=0.66,
        role=Role.SYMPTOM,
        patterns=(
            r"^(?:Uncaught |\[?UnhandledPromiseRejection\S* ?)?(?P<subject>(?:Type|Reference|Range|Syntax)Error(?: \[\w+\])?: .*)",
            r"UnhandledPromiseRejection|^(?:error: )?Uncaught(?: \(in promise\))?(?: \w*Error|:)|uncaughtException|triggerUncaughtException|Node\.js v\d+\.\d+\.\d+$|Cannot read propert(?:y|ies) of (?:undefined|null)|throw er; // Unhandled 'error' event",
        ),
        what=Text(
            "a JavaScript program stopped with an unhandled error",
            "JavaScript 프로그램이 처리되지 않은 오류로 멈췄습니다",
        ),
        why=Text(
            "The error was thrown and nothing caught it; the first frame of the trace in own code is where.",
            "오류가 잡히지 않았습니다. 스택에서 프로젝트 코드의 첫 프레임이 그 위치입니다.",
        ),
        steps=(_READ,),
    ),
    Signature(
        name="other-exception",
        category=Category.APPLICATION_ERROR,
        stage=Stage.SURFACE,
        weight=0.64,
        role=Role.SYMPTOM,
        patterns=(
            r"PHP (?:Fatal error|Warning):\s+(?P<subject>.*)|PHP message: |Uncaught (?:Error|Exception|\w+Exception|\\?\w+Error)\b|^Fatal error: ",
            r"^Unhandled exception[.:]? (?P<subject>(?:(?:\w+\.)+\w+|\w+(?:Exception|Error)\b).*)|(?P<subject2>\bSystem(?:\.\w+)*\.\w+Exception(?: \(0x\w+\))?: .*)|\bSystem\.(?P<subject3>(?:NullReference|InvalidOperation|Argument|Aggregate)Exception)",
            r"^(?P<file>\S+): line \d+: (?P<subject>\w+: (?:unbound variable|parameter null or not set|bad substitution|readonly variable)|syntax error .*)",
            r"\.rb:\d+:in [^:]*: (?P<subject>.*\([A-Z]\w*(?:::\w+)*(?:Error|Exception)?\))|\b(?P<subject2>(?:[A-Z]\w*::)*\w*Error \(.*\)):?$|\b(?P<subject3>NoMethodError|ActionView::Template::Error|ActiveRecord::\w+|ArgumentError|NameError)\b",
            r"\*\* \((?P<subject>EXIT|MatchError|FunctionClauseError|ArgumentError|KeyError|RuntimeError|DBConnection\.\w+)[^)]*\)|GenServer .* terminating|CRASH REPORT",
        ),
        what=Text("a program stopped with an unhandled error", "프로그램이 처리되지 않은 오류로 멈췄습니다"),
        why=Text(
            "The error was raised in code and nobody handled it; the trace names the place.",
            "코드에서 발생한 오류가 처리되지 않았습니다. 스택에 위치가 나옵니다.",
        ),
        steps=(_READ,),
    ),
)
