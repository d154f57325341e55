import random
from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost_domain.logs.lines import Level
from bifrost_domain.logs.templates import WILDCARD, Header, TemplateMiner, mask, template_ids

SAME = {
    "times": (
        "2026-01-01T00:00:00.123Z connection lost",
        "2025-12-31T23:59:59.9Z connection lost",
        "2025-12-31 23:59:59,912 connection lost",
        "Jun  9 06:06:20 connection lost",
        "Sat Jun 11 03:28:22 2005 connection lost",
        "1131566461 connection lost",
    ),
    "ids": (
        "request 3f2b8c1e-9d4a-4c6b-8f7e-0a1b2c3d4e5f failed at 0x7ffe12",
        "request 0eadbeef-abcd-abcd-abcd-abcdefabcdef failed at 0xdeadbeef",
        "request 9f4ef63 failed at 12",
    ),
    "commits": ("HEAD is now at 4f1c9ab broken", "HEAD is now at 90d2e7f00aa4 broken"),
    "addresses": (
        "refused by 10.0.0.1:8080 (mac 00:1b:44:11:3a:b7)",
        "refused by 192.168.12.250:41234 (mac aa:bb:cc:dd:ee:f0)",
        "refused by fe80::1:2ff (mac 00:00:00:00:00:01)",
    ),
    "pods": ("pod api-7f9c6d5b4-x2x9z evicted", "pod api-5d8b9f6c7d-klmnp evicted"),
    "quantities": ("took 12ms for 4 KB", "took 1.25s for 980 MB", "took <1 sec for 12 B", "took 3s for 0.5GB"),
    "objects": ("leak in Session@1a2b3c", "leak in Session@7fffe"),
    "temporary paths": (
        "no space on /tmp/pytest-of-ci/run.log",
        "no space on /tmp/build_x/run.log",
        "no space on /tmp/tmpab_1xyz9/run.log",
    ),
    "threads": ("[worker-3] pool-12-thread-4 stopped", "[worker-11] pool-1-thread-40 stopped"),
    "mails": ("bounced to ann.b@example.org", "bounced to c_d+tag@mail.example.com"),
    "lists": ("deleted blk_1 blk_-22 blk_3", "deleted blk_7"),
    "counted lists": ("IRQs 3 4 5 6", "IRQs 9, 10, 11", "IRQs 7,8"),
    "placeholders": ("key [REDACTED:aws-key:9f3c] refused", "key [REDACTED:aws-key:abcd] refused"),
}

DIFFERENT = [
    ("connection lost", "connection refused"),
    ("user not found", "users not found"),
    ("ORA-00942: failed", "ORA-01017: failed"),
    ("error TS2322: wrong", "error TS2345: wrong"),
    ("exit code 1", "exit code 137"),
    ("status=503 upstream", "status=404 upstream"),
    ("killed by signal 9", "killed by signal 11"),
    ("KeyError: 'user'", "KeyError: 'order'"),
    ("cannot open /etc/app/main.conf", "cannot open /etc/app/other.conf"),
    ("ready: true", "ready: false"),
    ("took 5 items", "took items"),
    ("template not found", "temperature not found"),
    ("key [REDACTED:aws-key:9f3c] refused", "key [REDACTED:github-token:9f3c] refused"),
]


@pytest.mark.parametrize("lines", SAME.values(), ids=SAME.keys())
def test_two_runs_of_one_failure_mask_alike(lines: tuple[str, ...]) -> None:
    assert len({mask(line) for line in lines}) == 1
    assert WILDCARD in mask(lines[0]) or "REDACTED" in lines[0]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_messages_mask_differently(one: str, other: str) -> None:
    assert mask(one) != mask(other)


def test_a_mask_keeps_the_words_and_single_spaces() -> None:
    assert mask("  disk  /dev/sda1 is 93% full \t(at 12:00:01)  ") == "disk /dev/sda<*> is <*>% full (at <*>)"


def test_a_long_record_in_one_word_is_told_by_its_end() -> None:
    padding = ",".join(f'"field{place}":"{"x" * 20}"' for place in range(30))
    records = [f'{{"id":{n},{padding},"msg":"{what}"}}' for n, what in ((1, "full"), (2, "full"), (3, "slow"))]
    assert mask(records[0]) == mask(records[1]) != mask(records[2])
    assert len(template_of(*records)) == 2


def test_the_mask_of_a_long_word_is_bounded() -> None:
    assert len(mask("=" * 100_000 + "1")) < 1000


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_any_text_has_a_mask_without_edges(text: str) -> None:
    masked = mask(text)
    assert masked == masked.strip()
    assert "\n" not in masked


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1), st.integers(1, 10**9), st.integers(1, 10**9))
def test_uuids_and_counters_of_any_value_mask_alike(one: int, other: int, few: int, many: int) -> None:
    assert mask(f"job {UUID(int=one)} retried {few} times") == mask(f"job {UUID(int=other)} retried {many} times")


VERBS = ("opened", "closed", "reset")
NAMES = ("ann", "bob", "cyd", "dan", "eve", "fay")
HOSTS = ("db.example.org", "web-1.example.org", "10.0.0.7", "cache")
SHAPES = (
    lambda verb, name, host, number: f"session {verb} for user {name}",
    lambda verb, name, host, number: f"connection to {host} {verb} after {number} ms",
    lambda verb, name, host, number: f"acquire lock={number}, owner={name}, host={host}",
    lambda verb, name, host, number: f"worker {number}: {verb}",
    lambda verb, name, host, number: f"{host} {name} {number}",
)
LINES = st.builds(
    lambda shape, *values: shape(*values),
    st.sampled_from(SHAPES),
    st.sampled_from(VERBS),
    st.sampled_from(NAMES),
    st.sampled_from(HOSTS),
    st.integers(0, 10**6),
)
SEEN = st.lists(st.tuples(LINES, st.integers(1, 9), st.sampled_from(Level)), max_size=40)


def mined(seen: list[tuple[str, int, Level]], start: int = 1) -> TemplateMiner:
    miner = TemplateMiner()
    for number, (line, count, level) in enumerate(seen, start):
        miner.add(line, count, number, number, level)
    return miner


@settings(max_examples=60, deadline=None)
@given(SEEN, SEEN)
def test_merged_miners_know_what_one_miner_of_both_knows(one: list, other: list) -> None:
    merged = mined(one)
    merged.merge(mined(other, start=len(one) + 1))
    assert merged.templates() == mined(one + other).templates()


@settings(max_examples=60, deadline=None)
@given(SEEN, st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_change_the_templates(seen: list, chance: random.Random) -> None:
    shuffled = chance.sample(seen, len(seen))
    assert {(it.template, it.count, it.severity) for it in mined(seen).templates()} == {
        (it.template, it.count, it.severity) for it in mined(shuffled).templates()
    }


@settings(max_examples=60, deadline=None)
@given(SEEN)
def test_every_line_is_counted_once_and_has_a_final_id(seen: list) -> None:
    miner = TemplateMiner()
    provisional = [miner.add(line, count, number, number, level) for number, (line, count, level) in enumerate(seen, 1)]
    templates = miner.templates()
    assert [it.id for it in templates] == list(range(1, len(templates) + 1))
    assert len({it.template for it in templates}) == len(templates)
    counts: Counter[int] = Counter()
    for id, (line, count, _) in zip(provisional, seen, strict=True):
        assert miner.final(id) == miner.assign(line)
        counts[miner.final(id)] += count
    assert counts == {it.id: it.count for it in templates}


def template_of(*lines: str) -> list[str]:
    miner = TemplateMiner()
    for line in lines:
        miner.add(line)
    return sorted(it.template for it in miner.templates())


def test_a_place_with_many_words_varies() -> None:
    lines = [f"Failed password for invalid user {name} from 10.0.0.1" for name in NAMES]
    assert template_of(*lines) == ["Failed password for invalid user <*> from <*>"]


def test_a_place_with_few_words_does_not() -> None:
    assert len(template_of("worker pool was drained early", "worker pool was drained late")) == 2


def test_what_happened_is_told_apart_where_names_would_not_be() -> None:
    states = ("Started", "Paused", "Resumed", "Stopped", "Crashed")
    assert len(template_of(*[f"[instance: 12] VM {state} (Lifecycle Event)" for state in states])) == len(states)
    methods = ("GET", "PUT", "POST", "HEAD", "DELETE")
    assert len(template_of(*[f'10.0.0.1 "{method} /v2/items HTTP/1.1" status: 200' for method in methods])) == 5


def test_two_names_are_enough_where_one_word_would_stand() -> None:
    assert template_of("reverse lookup of ns.example.com failed", "reverse lookup of host-7.example.org failed") == [
        "reverse lookup of <*> failed"
    ]


def test_keys_are_never_variables_but_their_values_are() -> None:
    lines = [f"Server environment:{key}=/opt/{key}" for key in ("java.home", "java.io.tmpdir", "user.dir", "os.name")]
    assert len(template_of(*lines)) == 4
    assert template_of('lock tag="View Lock" held', 'lock tag="*launch*" held') == ['lock tag="<*>" held']


def test_booleans_are_never_variables() -> None:
    assert len(template_of("cache warm: true", "cache warm: false")) == 2


def test_where_one_message_varies_after_two_words_so_does_another() -> None:
    closed = [f"session closed for user {name}" for name in NAMES]
    assert template_of(*closed, "session opened for user ann by (uid=0)", "session opened for user bob by (uid=0)") == [
        "session closed for user <*>",
        "session opened for user <*> by (uid=<*>)",
    ]


def test_one_word_lines_stay_apart() -> None:
    assert template_of(*NAMES) == sorted(NAMES)


def test_a_template_is_spaced_like_its_lines() -> None:
    lines = [f"release:lock={n}, flg=0x0, name={name}" for n, name in enumerate(NAMES)]
    assert template_of(*lines) == ["release:lock=<*>, flg=<*>, name=<*>"]


def test_a_template_tells_its_count_worst_level_and_first_and_last_line() -> None:
    miner = TemplateMiner()
    miner.add("retry 1", 3, 10, 40, Level.WARNING)
    miner.add("retry 2", 2, 5, 20, Level.ERROR)
    (found,) = miner.templates()
    assert (found.template, found.count, found.severity) == ("retry <*>", 5, Level.ERROR)
    assert (found.first_line, found.last_line) == (5, 40)


def test_a_line_no_template_fits_is_assigned_none() -> None:
    assert mined([("disk full", 1, Level.INFO)]).assign("network down") == 0


def test_a_line_not_added_is_assigned_by_pattern() -> None:
    miner = mined([(f"session closed for user {name}", 1, Level.INFO) for name in NAMES])
    assert miner.assign("session closed for user zoe") == 1


def words(chance: random.Random) -> str:
    return " ".join("".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(6))


def test_templates_are_bounded_and_what_is_given_up_is_counted() -> None:
    chance = random.Random(7)
    miner = TemplateMiner(limit=50)
    for number in range(1, 301):
        miner.add("the frequent line", first=number)
        miner.add(words(chance), first=number)
    templates = miner.templates()
    assert len(templates) <= 50
    assert sum(it.count for it in templates) == 600
    assert next(it.count for it in templates if it.template == "the frequent line") == 300
    assert miner.overflow == next(it.count for it in templates if it.template == WILDCARD) > 200


def test_bounded_miners_merge_without_losing_a_count() -> None:
    chance = random.Random(8)
    one, other = TemplateMiner(limit=20), TemplateMiner(limit=20)
    for miner in (one, other):
        for number in range(1, 101):
            miner.add(words(chance), first=number)
    one.merge(other)
    assert sum(it.count for it in one.templates()) == 200
    assert len(one.templates()) <= 20


MESSAGES = ("cache miss for key ann", "disk sync done", "peer closed: reset", "[lease] renewed", "12 rows purged")
HEADERS = {
    "syslog": lambda n: f"Jun {n % 28 + 1:2} 04:06:{n % 60:02} host{n % 3} {'sshd' if n % 2 else 'cron'}[{n}]: ",
    "logback": lambda n: (
        f"2026-01-01 00:00:{n % 60:02},{n:03} {('INFO', 'WARN')[n % 2]}  [pool {n} of 9] com.acme.A{n % 4}: "
    ),
    "dashed": lambda n: f"2026-01-01 00:00:{n % 60:02},{n:03} - {('INFO ', 'ERROR')[n % 2]} [main:Peer@{n}] - ",
    "bracketed": lambda n: f"[Sun Dec 04 04:47:{n % 60:02} 2005] [{('notice', 'error')[n % 2]}] ",
    "piped": lambda n: f"20171223-22:15:{n % 60:02}:606|Step_{('LSC', 'Ext')[n % 2]}|30002312|",
    "threads": lambda n: f"03-17 16:13:{n % 60:02}.811  17{n % 7}  23{n % 9} {'VDIWE'[n % 5]} Tag{'AB'[n % 2]}: ",
    "none": lambda n: "",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_a_header_is_learned_and_only_it_is_stripped(header) -> None:
    lines = [header(number) + MESSAGES[number % len(MESSAGES)] for number in range(200)]
    learned = Header.learn(lines)
    assert [learned.message(line) for line in lines] == [MESSAGES[number % len(MESSAGES)] for number in range(200)]
    assert learned.message("    at com.acme.Main.run(Main.java:7)") == "    at com.acme.Main.run(Main.java:7)"


def test_no_header_is_learned_from_nothing() -> None:
    assert Header.learn([]) == Header()
    assert Header().message("12:00:00 anything") == "12:00:00 anything"


def test_every_physical_line_gets_one_id_in_order() -> None:
    lines = [
        "2026-01-01 00:00:01 INFO app: started in 12 ms",
        "",
        "2026-01-01 00:00:02 ERROR app: boom",
        "    at com.acme.Main.run(Main.java:7)",
        "    at com.acme.Main.run(Main.java:9)",
        "",
        "2026-01-01 00:00:03 WARN web: started in 7 ms",
    ]
    ids = template_ids(iter(lines))
    assert len(ids) == len(lines)
    assert ids[0] == ids[6]
    assert ids[1] == ids[5]
    assert ids[3] == ids[4]
    assert len(set(ids)) == 4
    assert template_ids([]) == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=60), max_size=30))
def test_any_lines_get_as_many_ids_and_equal_lines_equal_ones(lines: list[str]) -> None:
    ids = template_ids(lines)
    assert len(ids) == len(lines)
    by_line = dict(zip(lines, ids, strict=True))
    assert [by_line[line] for line in lines] == ids
