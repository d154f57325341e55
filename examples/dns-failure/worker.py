"""Sends webhooks; the name of one receiver is in no zone."""

import json
import logging
import socket
import sys
import time
import urllib.request

logging.Formatter.converter = time.gmtime
logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
RECEIVERS = ["http://127.0.0.1:8451/hooks", "http://billing-hooks.internal.invalid/hooks"]


def say(level: str, message: str, **fields: object) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    logging.info(json.dumps({"ts": at, "level": level, "logger": "webhooks", "msg": message, **fields}))


say("info", "webhook sender started", receivers=len(RECEIVERS))
waiting = 0
for number in range(1, 151):
    for url in RECEIVERS:
        for attempt in (1, 2):
            try:
                urllib.request.urlopen(url, data=json.dumps({"event": number}).encode(), timeout=3).close()
                say("info", "delivered", event=number, receiver=url)
                break
            except OSError as error:
                reason = getattr(error, "reason", error)
                kind = "dns" if isinstance(reason, socket.gaierror) else "http"
                say("error", f"delivery failed: {error}", event=number, receiver=url, attempt=attempt, kind=kind)
        else:
            waiting += 1
            say("warning", "event put aside", event=number, receiver=url, waiting=waiting)
    time.sleep(0.02)
say("error", "too many events wait, stopping", waiting=waiting)
sys.exit(1)
