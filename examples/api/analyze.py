"""The root cause of a log, with the lines that prove it: python examples/api/analyze.py app.log"""

import sys
from pathlib import Path

from bifrost_entrypoints.client import Client

with Client() as bifrost:  # BIFROST_URL and BIFROST_API_KEY say where and who
    analysis = bifrost.analyze(Path(sys.argv[1]))
print(analysis.report.root_cause)
for item in analysis.report.evidence:
    print(f"  {item.file}:{item.line_start}  {item.quote}")
