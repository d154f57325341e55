"""Runs a command as a container runtime would: its output becomes lines of the CRI log format, on standard output.

Format: `RFC3339Nano stdout|stderr P|F message`, P for a part of a line of more than 16 KiB (Kubernetes,
pkg/kubelet/kuberuntime/logs; containerd, internal/cri/io/logger.go).
"""

import subprocess
import sys
import threading
import time
from typing import IO

PART = 16 * 1024
_lock = threading.Lock()


def now() -> str:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanoseconds:09d}Z"


def copy(stream: IO[bytes], name: str) -> None:
    for line in stream:
        text = line.rstrip(b"\n")
        parts = [text[start : start + PART] for start in range(0, len(text), PART)] or [b""]
        with _lock:
            for number, part in enumerate(parts, 1):
                tag = "F" if number == len(parts) else "P"
                sys.stdout.buffer.write(f"{now()} {name} {tag} ".encode() + part + b"\n")
            sys.stdout.buffer.flush()


process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
assert process.stdout is not None
assert process.stderr is not None
threads = [
    threading.Thread(target=copy, args=(process.stdout, "stdout")),
    threading.Thread(target=copy, args=(process.stderr, "stderr")),
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(process.wait())
