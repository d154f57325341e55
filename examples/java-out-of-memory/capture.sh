#!/usr/bin/env bash
# A cache without a bound fills the Java heap. Needs: a JDK. Writes incident.log (about 10 s).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=/srv/ledger
rm -rf "$home" && mkdir -p "$home"
trap 'rm -rf "$home"' EXIT
cp "$here/Ledger.java" "$home/"
cd "$home"
javac -d . Ledger.java
TZ=UTC java -Duser.timezone=UTC -Xmx64m -Xlog:gc:stdout:utctime,level,tags Ledger >"$here/incident.log" 2>&1 || echo "exit status $?" >>"$here/incident.log"
