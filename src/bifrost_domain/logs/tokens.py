"""Bifrost's own estimate of tokens, for budgets: no tokenizer is at hand offline, and every model has another."""

CHARACTERS_PER_TOKEN = 2.6
"""Logs run near 2.6 characters a token: they are digits, paths and identifiers, not prose."""


def estimate(text: str) -> int:
    """Tokens of `text`, rounded up. Characters beyond ASCII count as one token each, as tokenizers mostly have it."""
    wide = 0 if text.isascii() else sum(character > "\x7f" for character in text)
    return -(-round((len(text) - wide) * 10) // 26) + wide
