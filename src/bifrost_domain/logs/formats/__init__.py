"""What shape a log has, and what each of its lines says: message, time, level, source.

`detect` looks at the first lines of a file and gives the `Reader` for all of it.
"""

from bifrost_domain.logs.formats.detection import SAMPLE, detect
from bifrost_domain.logs.formats.headers import Reader
from bifrost_domain.logs.formats.levels import infer_level
from bifrost_domain.logs.formats.times import parse_moment, parse_time
from bifrost_domain.logs.formats.wrappers import strip_runner

__all__ = ["SAMPLE", "Reader", "detect", "infer_level", "parse_moment", "parse_time", "strip_runner"]
