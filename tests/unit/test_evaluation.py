"""Scores are comparisons of names, lines and strings; each can be 1, and each can be less."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bifrost_domain.errors import BadOption
from bifrost_domain.evaluation import (
    CONFIDENT,
    METRICS,
    Label,
    Row,
    Scores,
    read_floor,
    read_label,
    row,
    score,
    summarize,
)
from bifrost_domain.logs.digest import Coverage, Redactions, Source
from bifrost_domain.report import (
    Action,
    Analysis,
    CacheUse,
    Category,
    Engine,
    Evidence,
    Grounding,
    Report,
    Severity,
    Usage,
)

TEXTS = {
    7: "2026-11-20T03:05:54Z ERROR could not obtain connection from pool",
    9: "psycopg.OperationalError: FATAL: sorry, too many clients already",
    40: "2026-11-20T03:06:10Z ERROR could not obtain connection from pool",
    41: "GET /cart 500",
}
LABEL = Label(
    log="app.log",
    severity=Severity.ERROR,
    category=Category.DATABASE,
    categories_accepted=(Category.NETWORK,),
    decisive_lines=(9, 7, 40),
    consequence_lines=(41,),
    must_mention=(("clients", "connections"), ("Pool",)),
    files=("app/db.py",),
    tests=("test_checkout",),
    signals=("too many clients", "exit code 1"),
)


def cited(line: int, quote: str | None = None) -> Evidence:
    return Evidence(
        file="app.log", line_start=line, line_end=line, quote=quote or TEXTS[line], reason="r", verified=True
    )


def an_analysis(degraded: str | None = None, **changes: Any) -> Analysis:
    report = Report(
        severity=Severity.ERROR,
        category=Category.DATABASE,
        summary="No connections left.",
        root_cause="The pool is empty: too many clients.",
        confidence=0.8,
        files=("/srv/shop/app/db.py:88",),
        tests=("tests/test_shop.py::test_checkout[1]",),
        evidence=(cited(9), cited(7)),
    )
    return Analysis(
        id="1",
        created_at=datetime(2026, 11, 20, tzinfo=UTC),
        source=Source(name="app.log", kind="file"),
        engine=Engine(provider="p", model="m", degraded=degraded is not None, degraded_reason=degraded),
        cache=CacheUse(hit=False, fingerprint="f"),
        report=msgspec.structs.replace(report, **changes),
        coverage=Coverage(),
        redactions=Redactions(),
        grounding=Grounding(claims=4, verified=3),
        usage=Usage(input_tokens=100, output_tokens=10, cost_usd=0.5),
        duration_ms=1,
    )


def scores(label: Label = LABEL, **changes: Any) -> Scores:
    return score(an_analysis(**changes), label, TEXTS)


def test_a_report_as_the_label_says_scores_full() -> None:
    label = msgspec.structs.replace(LABEL, signals=("too many clients",))
    assert scores(label) == Scores(
        category=1,
        severity=1,
        cause_cited=1,
        evidence_recall=1,
        evidence_precision=1,
        files=1,
        tests=1,
        terms=1,
        signals=1,
        confident_error=0,
        abstained=0,
        grounding=0.75,
        own_diagnosis=1,
    )


def test_an_accepted_category_is_right_and_another_is_an_error() -> None:
    assert scores(category=Category.NETWORK).category == 1
    wrong = scores(category=Category.DNS)
    assert (wrong.category, wrong.confident_error) == (0, 1)


@pytest.mark.parametrize(("confidence", "error"), [(CONFIDENT, 1.0), (CONFIDENT - 0.01, 0.0)])
def test_a_wrong_category_is_a_confident_error_from_the_threshold_on(confidence: float, error: float) -> None:
    assert scores(category=Category.DNS, confidence=confidence).confident_error == error


def test_severity_has_to_be_the_labelled_one() -> None:
    assert scores(severity=Severity.CRITICAL).severity == 0


def test_unknown_is_an_abstention_and_not_right() -> None:
    found = scores(category=Category.UNKNOWN, confidence=0.2)
    assert (found.abstained, found.category, found.confident_error) == (1, 0, 0)


def test_lines_that_say_the_same_count_as_one_text() -> None:
    label = msgspec.structs.replace(LABEL, signals=())
    assert scores(label, evidence=(cited(40),)).evidence_recall == 0.5
    assert scores(label, evidence=(cited(40), cited(9))).evidence_recall == 1


def test_a_quote_of_the_same_words_at_another_line_is_a_citation() -> None:
    label = msgspec.structs.replace(LABEL, signals=())
    again = cited(77, "could not obtain connection from pool")
    assert scores(label, evidence=(again,)).evidence_recall == 0.5
    assert scores(label, evidence=(cited(77, "pool"),)).evidence_recall == 0


def test_consequences_cost_no_precision_and_prove_no_cause() -> None:
    label = msgspec.structs.replace(LABEL, signals=())
    found = scores(label, evidence=(cited(41), cited(77, "an unrelated line")))
    assert (found.evidence_precision, found.evidence_recall, found.cause_cited) == (0.5, 0, 0)


def test_signals_count_where_a_quote_holds_them_and_in_the_whole_report() -> None:
    label = Label(log="ci.log", signals=("too many clients", "exit code 1"))
    step = Action(title="See why it ended", why="It ended with exit code 1.")
    found = scores(label, actions=(step,))
    assert (found.evidence_recall, found.signals, found.evidence_precision) == (0.5, 1, 0.5)
    assert (found.cause_cited, found.category, found.terms) == (None, None, None)


def test_a_file_is_named_by_any_longer_path_and_no_other() -> None:
    assert scores(files=("app/db.py:3:7",)).files == 1
    assert scores(files=("webapp/db.py", "app/db.pyc")).files == 0


def test_each_group_of_words_has_to_be_named_once_in_any_case() -> None:
    assert scores(root_cause="The POOL is empty.", summary="x").terms == 0.5


def test_a_diagnosis_of_the_heuristics_is_not_the_engines_own() -> None:
    assert scores(root_cause="[heuristic] The pool is empty.").own_diagnosis == 0


def test_no_evidence_has_no_precision_but_misses_all() -> None:
    found = scores(evidence=())
    assert (found.evidence_precision, found.evidence_recall, found.cause_cited) == (None, 0, 0)


def test_a_healthy_case_needs_no_evidence() -> None:
    label = Label(log="a", severity=Severity.OK, category=Category.NONE)
    found = scores(label, severity=Severity.OK, category=Category.NONE, evidence=())
    assert (found.category, found.severity, found.evidence_recall, found.evidence_precision) == (1, 1, None, None)


def test_means_leave_out_what_is_not_labelled_and_degraded_answers_stand_apart() -> None:
    rows = [
        row("a", "e", an_analysis(), LABEL, TEXTS, 1.5),
        row("b", "e", an_analysis(category=Category.DNS), Label(log="x", signals=("x",)), TEXTS, 0.5),
        row("c", "e", an_analysis("timed out", category=Category.DNS), LABEL, TEXTS, 2.0),
        Row(case="d", engine="e", error="no log", seconds=0.1),
    ]
    found = summarize("e", "root-cause@1", rows)
    assert (found.cases, found.answered, found.degraded, found.failed) == (4, 2, 1, 1)
    assert (found.scores["category"].mean, found.scores["category"].n) == (1, 1)
    assert (found.delivered["category"].mean, found.delivered["category"].n) == (0.5, 2)
    assert (found.input_tokens, found.output_tokens, found.cost_usd, found.seconds) == (300, 30, 1.0, 4.1)
    assert rows[2].degraded == "timed out"
    assert set(found.scores) == set(METRICS)


def test_a_cost_that_is_not_known_for_every_answer_is_not_known() -> None:
    known = row("a", "e", an_analysis(), LABEL, TEXTS, 1)
    unknown = msgspec.structs.replace(known, cost_usd=None)
    assert summarize("e", None, [known, unknown]).cost_usd is None
    assert summarize("e", None, []).cost_usd is None


@pytest.mark.parametrize(
    ("label", "part"),
    [
        ("", "truncated"),
        ("[]", "object"),
        ('{"log": "a"}', "nothing is labelled"),
        ('{"category": "dns"}', "`log`"),
        ('{"log": "", "category": "dns"}', "$.log"),
        ('{"log": "../a", "category": "dns"}', "$.log"),
        ('{"log": "/etc/passwd", "category": "dns"}', "$.log"),
        ('{"log": "a", "category": "bad luck"}', "$.category"),
        ('{"log": "a", "severity": "loud"}', "$.severity"),
        ('{"log": "a", "decisive_lines": [0]}', "$.decisive_lines[0]"),
        ('{"log": "a", "must_mention": [[]]}', "$.must_mention[0]"),
        ('{"log": "a", "signals": [""]}', "$.signals[0]"),
        ('{"log": "a", "categories_accepted": ["dns"]}', "$.category"),
        ('{"log": "a", "decisive_line": [1]}', "decisive_line"),
        ('{"log":' * 5000, "app/truth.json"),
    ],
)
def test_a_wrong_label_names_its_file_and_field(label: str, part: str) -> None:
    with pytest.raises(BadOption) as caught:
        read_label(label.encode(), "app/truth.json")
    assert caught.value.message.startswith("app/truth.json: ")
    assert part in caught.value.message


def test_a_label_is_read_as_it_is_written() -> None:
    assert read_label(msgspec.json.encode(LABEL), "t") == LABEL
    assert LABEL.numbered == {7, 9, 40, 41}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_label_or_refused(data: bytes) -> None:
    try:
        read_label(data, "t")
    except BadOption:
        return


@pytest.mark.parametrize(
    "text", ["category", "category=", "category=2", "category=nan", "luck=0.5", "confident_error=0.1"]
)
def test_a_floor_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(BadOption):
        read_floor(text)


@pytest.mark.parametrize(("floor", "held"), [("category=1", True), ("grounding=0.76", False), ("files=0", True)])
def test_a_floor_is_held_by_a_mean_that_reaches_it(floor: str, held: bool) -> None:
    found = summarize("e", None, [row("a", "e", an_analysis(), LABEL, TEXTS, 1)])
    assert read_floor(floor).held_by(found) is held


def test_a_floor_for_what_nothing_was_labelled_for_is_not_held() -> None:
    found = summarize("e", None, [row("a", "e", an_analysis(), Label(log="a", signals=("x",)), TEXTS, 1)])
    assert not read_floor("files=0").held_by(found)


@given(
    st.sampled_from(Category),
    st.floats(0, 1),
    st.lists(st.sampled_from([cited(line) for line in TEXTS] + [cited(99, "x")]), max_size=5),
    st.text(max_size=30),
)
def test_every_score_is_a_share(category: Category, confidence: float, evidence: list[Evidence], words: str) -> None:
    found = scores(category=category, confidence=confidence, evidence=tuple(evidence), root_cause=words)
    for name in METRICS:
        value = getattr(found, name)
        assert value is None or 0 <= value <= 1


def test_the_summary_is_plain_json() -> None:
    found = summarize("e", None, [row("a", "e", an_analysis(), LABEL, TEXTS, 1)])
    assert json.loads(msgspec.json.encode(found))["scores"]["category"] == {"mean": 1.0, "n": 1}
