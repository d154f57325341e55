"""The second process: what it tallies is what this one would have tallied, and its loss is noticed."""

import os
import signal

import pytest

from bifrost_adapters.shard import ProcessShard
from bifrost_domain.errors import ShardLost
from bifrost_domain.logs.census import Tally

BLOCKS = [(1, b"ok 1\nERROR boom\n"), (700, b"ok 2\n" * 200_000), (9_000_000, b"panic: \xff\n")]


def test_the_tally_of_another_process_is_that_of_this_one() -> None:
    shard, here = ProcessShard(), Tally()
    for first, block in BLOCKS:
        shard.add(first, block)
        here.add(first, block)
    there = shard.result()
    assert (there.counts, there.firsts, there.lasts) == (here.counts, here.firsts, here.lasts)
    assert there.windows == here.windows


def test_a_lost_process_is_noticed_when_blocks_are_handed_over_or_the_result_is_asked_for() -> None:
    shard = ProcessShard()
    os.kill(shard._child.pid, signal.SIGKILL)
    shard._child.wait()
    with pytest.raises(ShardLost):
        shard.add(*BLOCKS[1])
    with pytest.raises(ShardLost, match="-9"):
        shard.result()


def test_closing_ends_the_process_and_may_be_done_twice() -> None:
    shard = ProcessShard()
    shard.add(*BLOCKS[0])
    shard.close()
    shard.close()
    assert shard._child.returncode is not None


def test_ctrl_c_is_left_to_the_parent() -> None:
    shard = ProcessShard()
    assert os.getpgid(shard._child.pid) != os.getpgrp()
    shard.close()
