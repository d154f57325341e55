#!/usr/bin/env bash
# Webhooks to a host whose name cannot be resolved (.invalid never can, RFC 6761). Needs: python3. Writes incident.log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=/srv/webhooks
mkdir -p "$home"
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$home"' EXIT
cp "$here/worker.py" "$home/"
cd "$home"
/usr/bin/python3 -c 'import http.server as h
class Receiver(h.BaseHTTPRequestHandler):
    def do_POST(self): self.rfile.read(int(self.headers["Content-Length"])); self.send_response(204); self.end_headers()
    def log_message(self, *about): pass
h.ThreadingHTTPServer(("127.0.0.1", 8451), Receiver).serve_forever()' &
sleep 1
/usr/bin/python3 worker.py >"$here/incident.log" 2>&1 || echo "exit status $?" >>"$here/incident.log"
