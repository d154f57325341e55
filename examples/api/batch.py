"""One report for each log of a folder: python examples/api/batch.py logs/"""

import sys
from pathlib import Path

from bifrost_entrypoints.client import Client

with Client() as bifrost:
    batch = bifrost.batch(sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_file()))
    bifrost.wait(batch.id)
    for item in bifrost.batch_items(batch.id):
        found = bifrost.get(item.analysis).report.summary if item.analysis else item.error
        print(f"{item.name}: {found}")
