"""As much of curl as the documentation uses, for machines that have none: `-sSN -H -F -X --data-binary URL`."""

import argparse
import sys
from pathlib import Path

import httpx


def main() -> int:
    parser = argparse.ArgumentParser()
    for flag in ("-s", "-S", "-N", "-i", "--fail-with-body"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("-F", dest="form", action="append", default=[])
    parser.add_argument("-X", dest="method")
    parser.add_argument("--data-binary", dest="data")
    parser.add_argument("url")
    given = parser.parse_args()
    headers = dict(header.split(": ", 1) for header in given.headers)
    files = [
        (name, Path(path).name, Path(path).read_bytes()) for name, _, path in (f.partition("=@") for f in given.form)
    ]
    data = None if given.data is None else Path(given.data.removeprefix("@")).read_bytes()
    method = given.method or ("POST" if data is not None or files else "GET")
    parts = [(name, (path, content)) for name, path, content in files] or None
    with httpx.stream(method, given.url, headers=headers, content=data, files=parts, timeout=60) as answer:
        for piece in answer.iter_bytes():
            sys.stdout.buffer.write(piece)
    return 22 if given.fail_with_body and answer.is_error else 0


if __name__ == "__main__":
    sys.exit(main())
