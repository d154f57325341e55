"""The offline analyst: a root cause from structure and a catalogue of known failures, without any model."""

from msgspec import Struct

from bifrost_domain.diagnosis import identity, observing, reasoning, reporting
from bifrost_domain.logs.digest import Digest
from bifrost_domain.report import Language, Report

__all__ = ["Diagnosis", "diagnose", "examine"]


class Diagnosis(Struct, frozen=True, kw_only=True):
    """What the offline analyst found in a digest, before it is put into words."""

    digest: Digest
    observations: observing.Observations
    finding: reasoning.Finding

    def report(self, language: Language) -> Report:
        return reporting.report(self.digest.lines, self.observations, self.finding, language)

    def identity(self) -> tuple[str, ...]:
        """The parts to take the incident's fingerprint of: see `identity.identify`."""
        return identity.identify(self.digest.lines, self.observations, self.finding)


def examine(digest: Digest) -> Diagnosis:
    """What the offline analyst makes of `digest`: pure and deterministic.

    It abstains where the log does not tell: category `none` for a healthy log, `unknown` with a low confidence for
    one that reports a failure without a cause. A confidence of 0.7 or more means that the log's structure proves it.
    Every quote is taken from the digest's own lines, which is why it counts as verified.
    """
    observations = observing.observe(digest.lines)
    return Diagnosis(digest=digest, observations=observations, finding=reasoning.conclude(observations, digest.lines))


def diagnose(digest: Digest, language: Language = Language.EN) -> Report:
    """The report of the offline analyst on `digest`: see `examine`."""
    return examine(digest).report(language)
