"""What tells an expected from an actual value, where it is a small thing that the eye misses."""

from bifrost_domain.diagnosis.signature import Text

_DIFFERENCES = (
    (str.strip, Text("surrounding whitespace", "앞뒤 공백")),
    (lambda value: value.rstrip("/"), Text("a trailing slash", "끝의 슬래시(trailing slash)")),
    (lambda value: "".join(value.split()), Text("whitespace", "공백")),
    (str.casefold, Text("upper and lower case", "대소문자")),
    (lambda value: value.replace("\\r\\n", "\\n"), Text("line endings (CRLF and LF)", "줄바꿈 문자(CRLF와 LF)")),
    (lambda value: value.removesuffix("\\n"), Text("a trailing newline", "끝의 줄바꿈")),
    (lambda value: value.replace("\\", "/"), Text("the path separator", "경로 구분자")),
    (lambda value: value.replace('"', "'"), Text("the kind of quotation marks", "따옴표의 종류")),
    (lambda value: sorted(value), Text("the order of their parts", "순서")),
)


def difference(expected: str, actual: str) -> Text | None:
    """The one respect in which two printed values differ; None where they are equal or differ in more."""
    first, second = (_unquoted(value) for value in (expected, actual))
    if first == second:
        return None
    for view, name in _DIFFERENCES:
        if view(first) == view(second):
            return name
    return None


def _unquoted(value: str) -> str:
    value = value.strip().rstrip(",")
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'`":
        return value[1:-1]
    return value
