"""The offline analyst: a root cause from structure and a catalogue of known failures, without any model."""

from bifrost_domain.diagnosis import observing, reasoning, reporting
from bifrost_domain.logs.digest import Digest
from bifrost_domain.report import Language, Report


def diagnose(digest: Digest, language: Language = Language.EN) -> Report:
    """The report of the offline analyst on `digest`: pure and deterministic.

    It abstains where the log does not tell: category `none` for a healthy log, `unknown` with a low confidence for
    one that reports a failure without a cause. A confidence of 0.7 or more means that the log's structure proves it.
    Every quote is taken from the digest's own lines, which is why it counts as verified.
    """
    observations = observing.observe(digest.lines)
    finding = reasoning.conclude(observations, digest.lines)
    return reporting.report(digest.lines, observations, finding, language)


__all__ = ["diagnose"]
