#!/usr/bin/env bash
# A worker whose Redis does not answer crashes, is started again, and crashes again. The log is in kubelet's format.
# Needs: node, python3. Writes incident.log (about 15 s).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=/srv/worker
mkdir -p "$home"
trap 'rm -rf "$home"' EXIT
cp "$here/worker.js" "$here/cri.py" "$home/"
cd "$home"
: >"$here/incident.log"
for restart in 0 1 2 3 4 5; do
    /usr/bin/python3 cri.py node worker.js >>"$here/incident.log" || true
    sleep "$restart"
done
