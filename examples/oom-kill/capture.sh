#!/usr/bin/env bash
# A batch job outgrows the memory of its control group and the kernel kills it; its log, then the kernel's own words.
# Needs: root, cgroup v1 or v2 with the memory controller, python3, a readable kernel log. Writes incident.log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=/srv/batch
mkdir -p "$home"
cp "$here/batch.py" "$home/"
if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/nightly-batch limit=memory.limit_in_bytes
else
    group=/sys/fs/cgroup/nightly-batch limit=memory.max
fi
mkdir -p "$group"
trap 'rmdir "$group"; rm -rf "$home"' EXIT
echo $((192 << 20)) >"$group/$limit"
before=$(dmesg | wc -l)
cd "$home"
{
    for try in 1 2; do
        echo "$(date -u +'%F %T,%3N') INFO supervisor: starting batch.py, try $try of 2"
        sh -c "sh -c 'echo \$\$ >$group/cgroup.procs && exec /usr/bin/python3 batch.py'; exit \$?" && status=0 || status=$?
        echo "$(date -u +'%F %T,%3N') ERROR supervisor: batch.py ended with status $status"
    done
    echo "+ dmesg"
    dmesg | tail -n "+$((before + 1))"
} >"$here/incident.log" 2>&1
