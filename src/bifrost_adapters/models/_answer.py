"""What every provider of models shares: how large an answer may grow, and how a provider says when to come back."""

import re

from bifrost_domain.errors import BadAnswer

MOST_BYTES = 1 << 20
"""No answer, and no single message that carries a piece of one, is longer than this."""

_CHARACTERS_PER_TOKEN = 8
"""More than any text in any language has on average: a server over this has lost its own output limit."""


class AnswerBound:
    """Counts the characters of one answer and ends it at its limit, so that an endless stream costs little."""

    def __init__(self, provider: str, max_output_tokens: int) -> None:
        self._provider = provider
        self._left = min(MOST_BYTES, _CHARACTERS_PER_TOKEN * max_output_tokens + 1024)

    def admit(self, text: str) -> None:
        """Raises BadAnswer where the answer, `text` included, is longer than its output limit allows."""
        self._left -= max(1, len(text))
        if self._left < 0:
            raise BadAnswer(
                f"{self._provider} wrote on far beyond the output limit and was cut off",
                provider=self._provider,
                malformed=True,
            )


def retry_seconds(retry_after: str | None) -> float | None:
    """The header Retry-After in seconds. Its other form, a date, counts as not said."""
    return float(retry_after) if retry_after and re.fullmatch(r"[0-9]{1,6}", retry_after) else None
