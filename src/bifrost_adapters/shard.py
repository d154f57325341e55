"""A second process that tallies most blocks of a large log, so that two cores share one reading.

Blocks go to the child's standard input as `first line number, length` (two unsigned 64-bit integers, little-endian) and
the bytes; a length of 0 asks for the tally, which comes back pickled. The child is our own and reads nothing else.
"""

import fcntl
import pickle
import struct
import subprocess
import sys
from contextlib import suppress

from bifrost_domain.errors import ShardLost
from bifrost_domain.logs.census import Tally

__all__ = ["ProcessShard"]

_HEADER = struct.Struct("<QQ")
_PIPE = 1 << 20
"""Bytes that a pipe should hold: a block fits, so handing it over does not wait for the child."""


class ProcessShard:
    """The parent's side; see `bifrost_domain.logs.digester.Shard`. `close` ends the child whatever it does."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C in a terminal is for the parent, which decides what becomes of the child
        )
        assert self._child.stdin is not None
        with suppress(OSError, AttributeError):  # not every system has it, nor grants so much
            fcntl.fcntl(self._child.stdin, fcntl.F_SETPIPE_SZ, _PIPE)

    def add(self, first: int, block: bytes) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(_HEADER.pack(first, len(block)))
            self._child.stdin.write(block)
            self._child.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._lost() from error

    def result(self) -> Tally:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(_HEADER.pack(0, 0))
            self._child.stdin.close()
            tally = pickle.loads(self._child.stdout.read())
        except (OSError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise self._lost() from error
        finally:
            self.close()
        assert isinstance(tally, Tally)
        return tally

    def close(self) -> None:
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            with suppress(OSError):  # what was not written yet is of no use to anybody
                if pipe is not None:
                    pipe.close()

    def _lost(self) -> ShardLost:
        return ShardLost(
            f"the second process that was counting lines ended before its work was done "
            f"(exit status {self._child.poll()})",
            hint="see whether the system is short of memory",
        )


def main() -> None:
    """The child: tallies what comes until it is asked for the result, or until the parent is gone."""
    tally = Tally()
    while len(header := sys.stdin.buffer.read(_HEADER.size)) == _HEADER.size:
        first, length = _HEADER.unpack(header)
        if not length:
            pickle.dump(tally, sys.stdout.buffer, protocol=5)
            sys.stdout.buffer.flush()
            return
        block = sys.stdin.buffer.read(length)
        if len(block) < length:
            return
        tally.add(first, block)


if __name__ == "__main__":
    main()
