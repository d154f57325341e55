"""When to stop asking a service that fails, and when to try it again."""


class Breaker:
    """Closed, it lets calls through; after `failures` in a row it is open for `pause_seconds`; then it lets one call
    through as a probe, whose end decides. Moments are seconds of a clock that never goes back.
    """

    def __init__(self, *, failures: int, pause_seconds: float) -> None:
        self._most = failures
        self._pause = pause_seconds
        self._failed = 0
        self._open_until: float | None = None

    def allows(self, now: float) -> bool:
        """Whether a call may be made now. Who is let through tells `succeeded`, `failed`, or as a probe `withdrawn`.

        A probe that never tells is taken for failed after another pause.
        """
        if self._open_until is None:
            return True
        if now < self._open_until:
            return False
        self._open_until = now + self._pause
        return True

    @property
    def open(self) -> bool:
        """Whether it is open, or a probe is on its way."""
        return self._open_until is not None

    def left(self, now: float) -> float:
        """Seconds until the next call may be made; 0 where it may now."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - now)

    def succeeded(self) -> None:
        self._failed = 0
        self._open_until = None

    def withdrawn(self, now: float) -> None:
        """The probe ended without a sign of how the service does: the next call is one, at once."""
        if self._open_until is not None:
            self._open_until = now

    def failed(self, now: float, *, pause_seconds: float = 0.0) -> None:
        """`pause_seconds`: the least that the service asked to be left alone for."""
        self._failed += 1
        if self._failed >= self._most:
            self._open_until = now + max(self._pause, pause_seconds)
