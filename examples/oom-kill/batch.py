"""Loads day after day of measurements into one list."""

import logging
import time

logging.Formatter.converter = time.gmtime
logging.basicConfig(format="%(asctime)s %(levelname)s batch: %(message)s", level=logging.INFO)
days: list[bytearray] = []
logging.info("batch started, one day is 4 MiB")
for day in range(1, 366):
    days.append(bytearray(b"m" * (4 << 20)))
    logging.info("day %d loaded, %d MiB in memory", day, len(days) * 4)
    time.sleep(0.02)
