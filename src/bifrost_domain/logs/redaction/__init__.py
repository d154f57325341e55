"""Redaction: what secrets look like, where they stand, and how they are masked."""

from bifrost_domain.logs.redaction.engine import Redacted, RedactingStream, Redactor, unkeyed
from bifrost_domain.logs.redaction.pseudonyms import Pseudonyms

__all__ = ["Pseudonyms", "Redacted", "RedactingStream", "Redactor", "unkeyed"]
