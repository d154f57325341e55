"""A courier's tracking feed: one request a second over TLS, as the certificate allows."""

import logging
import ssl
import sys
import time
import urllib.error
import urllib.request

logging.Formatter.converter = time.gmtime
logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
log = logging.getLogger("tracking")
context = ssl.create_default_context(cafile=sys.argv[2])
failures = 0
for parcel in range(70001, 70001 + int(sys.argv[3])):
    try:
        with urllib.request.urlopen(f"{sys.argv[1]}/parcels/{parcel}", context=context, timeout=5) as answer:
            log.info("parcel %d: %d, %d bytes", parcel, answer.status, len(answer.read()))
        failures = 0
    except urllib.error.URLError:
        failures += 1
        log.exception("parcel %d: the courier could not be asked", parcel)
        if failures == 5:
            log.critical("5 failures in a row, tracking is suspended")
            sys.exit(1)
    time.sleep(0.5)
