"""The catalogue: every known failure as data. Add one here and nowhere else."""

from bifrost_domain.diagnosis.signatures.building import BUILDING
from bifrost_domain.diagnosis.signatures.connections import CONNECTIONS
from bifrost_domain.diagnosis.signatures.marks import MARKS
from bifrost_domain.diagnosis.signatures.packaging import PACKAGING
from bifrost_domain.diagnosis.signatures.pipeline import PIPELINE
from bifrost_domain.diagnosis.signatures.quality import QUALITY
from bifrost_domain.diagnosis.signatures.resources import RESOURCES
from bifrost_domain.diagnosis.signatures.runtimes import RUNTIMES
from bifrost_domain.diagnosis.signatures.services import SERVICES
from bifrost_domain.diagnosis.signatures.testing import TESTING

CATALOGUE = (
    *TESTING,
    *QUALITY,
    *BUILDING,
    *PACKAGING,
    *PIPELINE,
    *CONNECTIONS,
    *RESOURCES,
    *SERVICES,
    *RUNTIMES,
)

__all__ = ["CATALOGUE", "MARKS"]
