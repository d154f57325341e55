#!/usr/bin/env bash
# A pytest run in which the tax on discounted baskets is forgotten. Needs: python3 with venv, pip. Writes incident.log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=/srv/pricing
rm -rf "$home" && mkdir -p "$home"
trap 'rm -rf "$home"' EXIT
cp -r "$here/project/." "$home/"
cd "$home"
[ -x /srv/checkout/.venv/bin/pytest ] && python=/srv/checkout/.venv/bin/python || {
    /usr/bin/python3 -m venv .venv && .venv/bin/pip install -q pytest && python=.venv/bin/python; }
{ PYTHONPATH=src "$python" -m pytest -v -p no:cacheprovider --durations=3 && status=0 || status=$?
  echo "##[error]Process completed with exit code $status."; } >"$here/incident.log" 2>&1
