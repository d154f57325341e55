"""Redaction: what secrets look like, where they stand, and how they are masked."""

from bifrost_domain.logs.redaction.engine import Redacted, RedactingStream, Redactor, unkeyed

__all__ = ["Redacted", "RedactingStream", "Redactor", "unkeyed"]
