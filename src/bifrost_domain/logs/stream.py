"""From a stream of bytes, cut anywhere, to blocks of whole lines of a bounded size."""

from collections.abc import Iterator

from bifrost_domain.logs.cleaning import Transcoder

_BLOCK = 512 << 10
_OVERLONG = 256 << 10
_OVERLONG_END = 30 << 10


class LineStream:
    """Cuts a log into blocks of whole lines, each about half a mebibyte; its encoding becomes one that can be cut.

    A line that is longer than a block is cut in its middle, with a note of how many bytes are missing; `cut` counts
    such lines. How the stream was cut makes no difference to the blocks.
    """

    def __init__(self) -> None:
        self.cut = 0
        self._transcoder: Transcoder | None = Transcoder()
        self._pending: list[bytes] = []
        self._waiting = 0
        self._overlong: tuple[bytes, int] | None = None

    @property
    def ended(self) -> bool:
        return self._transcoder is None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The next bytes in, the blocks that are complete out. Raises ValueError after the end."""
        if self._transcoder is None:
            raise ValueError("this log was already finished")
        for start in range(0, len(chunk), _BLOCK):
            yield from self._take(self._transcoder.feed(chunk[start : start + _BLOCK]))

    def end(self) -> bytes:
        """What is left, the last line included though no line end follows; b"" where nothing is, or a second time."""
        if self._transcoder is None:
            return b""
        data = b"".join([*self._pending, self._transcoder.finish()])
        self._transcoder = None
        self._pending, self._waiting = [], 0
        return self._whole(data)

    def _take(self, data: bytes) -> Iterator[bytes]:
        self._pending.append(data)
        self._waiting += len(data)
        if self._waiting < _BLOCK:
            return
        data = b"".join(self._pending)
        while len(data) >= _BLOCK:
            end = data.rfind(b"\n", 0, _BLOCK) + 1 or data.find(b"\n", _BLOCK) + 1
            if not end:
                break
            yield self._whole(data[:end])
            data = data[end:]
        if len(data) > _OVERLONG and b"\n" not in data:
            data = self._shortened(data)
        self._pending, self._waiting = [data], len(data)

    def _shortened(self, data: bytes) -> bytes:
        """An overlong line's end; its start is put aside and its middle counted, whatever is still to come of it."""
        start, missing = self._overlong or (data[:_OVERLONG_END], -_OVERLONG_END)
        self._overlong = (start, missing + len(data) - _OVERLONG_END)
        return data[-_OVERLONG_END:]

    def _whole(self, data: bytes) -> bytes:
        """`data` with the start of an overlong line put back in front of its end."""
        if self._overlong is None:
            return data
        end = data.find(b"\n")
        line = data if end < 0 else data[:end]
        if len(line) > _OVERLONG_END:
            line = self._shortened(line)
        start, missing = self._overlong
        self._overlong = None
        self.cut += 1
        return start + b" ...[%d bytes cut]... " % missing + line + (b"" if end < 0 else data[end:])
