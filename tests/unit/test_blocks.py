from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_domain.logs.blocks import MOST_LINES, Kind, group

PYTHON = """\
Traceback (most recent call last):
  File "app.py", line 3, in load
    return json.loads(text)
ValueError: no JSON here

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "app.py", line 9, in main
    load(path)
RuntimeError: cannot load settings"""
JAVA = """\
java.lang.IllegalStateException: pool is closed
\tat com.acme.Pool.take(Pool.java:41)
\tat com.acme.Main.main(Main.java:12)
Caused by: java.net.ConnectException: Connection refused
\tat java.net.Socket.connect(Socket.java:607)
\t... 2 more"""
NODE = """\
TypeError: Cannot read properties of undefined (reading 'id')
    at handler (/srv/app/routes.js:14:22)
    at Layer.handle (/srv/app/node_modules/router/layer.js:95:5)"""
GO = """\
panic: runtime error: index out of range [3] with length 3

goroutine 1 [running]:
main.pick(...)
\t/srv/app/main.go:9
main.main()
\t/srv/app/main.go:14 +0x1d"""
RUBY = """\
app.rb:3:in `fetch': key not found: :user (KeyError)
\tfrom app.rb:7:in `call'
\tfrom app.rb:9:in `<main>'"""
DIFF = """\
diff --git a/setup.py b/setup.py
index 0e1d2c3..4b5a697 100644
--- a/setup.py
+++ b/setup.py
@@ -1,3 +1,3 @@
-name = 'old'
+name = 'new'
 version = 1"""
INDENTED_DIFF = """\
    --- expected.txt
    +++ actual.txt
    -one
    +two"""
COMPILER = """\
src/main.c:12:5: error: 'count' undeclared (first use in this function)
     count += 1;
     ^~~~~"""
PYTEST = """\
_______________________________ test_total _______________________________

    def test_total():
>       assert total([1, 2]) == 4
E       assert 3 == 4

tests/test_sum.py:4: AssertionError"""
TAP = """\
not ok 3 adds numbers
  ---
  operator: equal
  expected: 4
  actual:   3
  ..."""
JSON = """\
{
  "level": "error",
  "message": "disk full"
}"""


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param(PYTHON, Kind.TRACEBACK, id="a chained Python traceback"),
        pytest.param(JAVA, Kind.TRACEBACK, id="a Java exception and its cause"),
        pytest.param(NODE, Kind.TRACEBACK, id="a Node exception"),
        pytest.param(GO, Kind.TRACEBACK, id="a Go panic"),
        pytest.param(RUBY, Kind.TRACEBACK, id="a Ruby exception"),
        pytest.param(DIFF, Kind.DIFF, id="a git diff"),
        pytest.param(INDENTED_DIFF, Kind.DIFF, id="an indented diff"),
        pytest.param(COMPILER, Kind.DIAGNOSTIC, id="a compiler error with its caret"),
        pytest.param(PYTEST, Kind.ASSERTION, id="a pytest section"),
        pytest.param(TAP, Kind.ASSERTION, id="a TAP failure with its details"),
        pytest.param(JSON, Kind.JSON, id="a pretty-printed JSON value"),
    ],
)
def test_a_unit_is_one_block_between_the_lines_around_it(text: str, kind: Kind) -> None:
    unit = text.split("\n")
    blocks = group(["Starting the run", *unit, "==== done ====", "Finished the run"])
    found = next(block for block in blocks if block.start == 1)
    assert (found.end, found.kind) == (1 + len(unit), kind)


def test_plain_lines_are_blocks_of_their_own() -> None:
    assert [(block.start, block.end) for block in group(["one", "two", "", "three"])] == [
        (0, 1),
        (1, 2),
        (2, 3),
        (3, 4),
    ]


def test_indented_lines_belong_to_the_line_above() -> None:
    lines = dedent("""\
        Running hooks
          formatted a.py
          formatted b.py
        Done""").split("\n")
    assert [(block.start, block.end) for block in group(lines)] == [(0, 3), (3, 4)]


def test_a_line_that_its_reader_calls_a_continuation_stays_with_its_record() -> None:
    blocks = group(["MESSAGE=disk full", "PRIORITY=3", "MESSAGE=next"], [True, False, True])
    assert [(block.start, block.end, block.kind) for block in blocks] == [(0, 2, Kind.RECORD), (2, 3, Kind.LINE)]


def test_an_unclosed_bracket_swallows_nothing() -> None:
    assert len(group(["{", "next line", "and another"])) == 3


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [*PYTHON.split("\n"), *JAVA.split("\n"), *DIFF.split("\n"), *JSON.split("\n"), "{", "[", "  "]
            ),
            st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=30),
        ),
        max_size=40,
    )
)
def test_blocks_cover_every_line_once_and_in_order(texts: list[str]) -> None:
    blocks = group(texts)
    assert [place for block in blocks for place in range(block.start, block.end)] == list(range(len(texts)))


def test_a_block_has_an_upper_bound() -> None:
    blocks = group(["Traceback (most recent call last):", *["  deeper"] * (3 * MOST_LINES)])
    assert max(block.end - block.start for block in blocks) <= MOST_LINES
