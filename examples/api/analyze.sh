#!/bin/sh
# A log in, its root cause out. Needs BIFROST_URL, BIFROST_API_KEY and a log.
set -eu
curl -sS --fail-with-body -H "X-API-Key: $BIFROST_API_KEY" -H "Content-Type: text/plain" \
  --data-binary "@$1" "$BIFROST_URL/analyze?source=$(basename "$1")"
