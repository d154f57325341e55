"""Real failures of real tools as GitHub Actions logs, with what is true of each written down before they were run.

    make_logs.py first.toml OUT --path VENV/bin:NODE/node_modules/.bin --modules NODE/node_modules

A case of a list is a tiny project (`good`), what breaks it (`bad`), and the command a job would run. Each is run
in a directory of its own, once as it should be and once broken. `OUT/failed/NAME/` gets `raw.log`
and `ground_truth.json` in the form of LogDx-CI; `OUT/passed/NAME/` gets the log of the run that went well. Steps that
passed stand before the failing one, as in a real job. A case is left out, with a word on why, where its command is not
installed, where the broken project passes or the sound one fails.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

WORKSPACE = "/home/runner/work/shop/shop"
LABELS = {
    "test_failure": "test_assertion",
    "container_build": "docker_build",
    "ci_configuration": "github_actions_config",
    "network": "network_or_flaky",
    "dns": "network_or_flaky",
    "tls": "network_or_flaky",
    "rate_limit": "network_or_flaky",
    "timeout": "timeout_or_oom",
    "out_of_memory": "timeout_or_oom",
}
OWN_LABELS = {
    "compile_error",
    "type_error",
    "lint_failure",
    "formatting_failure",
    "dependency_install",
    "unknown",
    "permission_or_secret",
}
CLAIMS = {
    "network failure": "network dns tls rate_limit",
    "dependency installation failed": "dependency_install",
    "compilation failed": "compile_error type_error",
    "permission denied": "permission_or_secret",
    "test assertion failed": "test_failure",
    "timeout exceeded": "timeout",
}
"""What a diagnosis of another category must not say, unless the log says it."""

COMMAND = re.compile(r"^::(group|endgroup|error|warning|notice|debug)(?: [^:]*(?:=[^:]*)*)?::")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

Case = dict[str, Any]


def lay(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run(case: Case, broken: bool, given: argparse.Namespace) -> tuple[int, str]:
    """Exit status and output of a case's command, with the workspace of a runner in place of the real path."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        lay(directory, case.get("good", {}))
        if broken:
            lay(directory, case.get("bad", {}))
        if given.modules and case.get("modules"):
            (directory / "node_modules").symlink_to(given.modules)
        kept = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
        environment = kept | {
            "PATH": f"{given.path}:{os.environ['PATH']}" if given.path else os.environ["PATH"],
            "CI": "true",
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "COLUMNS": "100",
        }
        script = case.get("bad_run", case["run"]) if broken else case["run"]
        setup = case.get("setup", "")
        if setup:
            subprocess.run(["bash", "-e", "-c", setup], cwd=directory, env=environment, capture_output=True, check=True)
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", f"exec 2>&1\n{script}"],
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            timeout=240,
            check=False,
        )
        text = done.stdout.decode(errors="replace").replace(str(directory), WORKSPACE)
        if given.modules:
            text = text.replace(str(Path(given.modules).resolve()), f"{WORKSPACE}/node_modules")
        return done.returncode, text


def step(title: str, output: str) -> Iterator[str]:
    """The lines a runner prints for a step: its script, then the output with the workflow commands carried out."""
    yield f"##[group]Run {title.splitlines()[0]}"
    yield from title.splitlines()
    yield "shell: /usr/bin/bash -e {0}"
    yield "env:"
    yield "  FORCE_COLOR: 0"
    yield "##[endgroup]"
    for line in output.replace("\r\n", "\n").removesuffix("\n").split("\n"):
        yield COMMAND.sub(r"##[\1]", line)


PREPARATION = """Current runner version: '2.330.0'
##[group]Runner Image
Image: ubuntu-24.04
Version: 20260105.10.1
##[endgroup]
##[group]GITHUB_TOKEN Permissions
Contents: read
##[endgroup]
Secret source: Actions
Prepare workflow directory
Prepare all required actions
Getting action download info
Download action repository 'actions/checkout@v4' (SHA:08eba0b27e820071cde6df949e0beb9ba4906955)
Complete job name: check
##[group]Run actions/checkout@v4
with:
  repository: acme/shop
  token: ***
  fetch-depth: 1
##[endgroup]
Syncing repository: acme/shop
[command]/usr/bin/git -c protocol.version=2 fetch --no-tags --prune --depth=1 origin
From https://github.com/acme/shop
 * [new ref]         3f2a91cdd0 -> pull/17/merge
hint: Using 'master' as the name for the initial branch.
HEAD is now at 3f2a91c Merge 8d0aa21 into 77b0c4e"""
CLEANUP = """Post job cleanup.
[command]/usr/bin/git version
git version 2.53.0
Removing HTTP extra header
[command]/usr/bin/git config --local --unset-all http.https://github.com/.extraheader
Cleaning up orphan processes"""


def job(before: list[tuple[str, str]], title: str, code: int, output: str) -> str:
    """The raw log of a job: preparation, steps that passed, the step itself, clean-up."""
    lines = PREPARATION.split("\n")
    for earlier in before:
        lines += step(*earlier)
    lines += step(title, output)
    if code:
        lines.append(f"##[error]Process completed with exit code {code}.")
    lines += CLEANUP.split("\n")
    clock = datetime(2026, 2, 3, 10, 14, 7, 118_204, UTC)
    stamped = []
    for line in lines:
        clock += timedelta(microseconds=3217 + 40 * len(line))
        stamped.append(f"{clock:%Y-%m-%dT%H:%M:%S.%f}0Z {line}")
    return "\n".join(stamped) + "\n"


def truth(case: Case, log: str) -> dict[str, Any]:
    category = case["category"]
    label = LABELS.get(category, category if category in OWN_LABELS else "other")
    log = COLOUR.sub("", log)
    signals = [*case.get("signals", ()), *case.get("files", ())]
    missing = [signal for signal in signals if signal not in log]
    for signal in missing:
        print(f"{case['name']}: the log has no {signal!r}, which is dropped", file=sys.stderr)
    lowered = log.lower()
    return {
        "root_cause": {"category": label, "summary": case.get("summary", "")},
        "required_signals": [{"value": s, "importance": "critical"} for s in signals if s not in missing],
        "relevant_files": [file for file in case.get("files", ()) if file in log],
        "relevant_tests": [test for test in case.get("tests", ()) if test in log],
        "expected_diagnosis": {
            "must_mention": case.get("mention", []),
            "must_not_claim": [
                claim for claim, own in CLAIMS.items() if category not in own.split() and claim not in lowered
            ],
        },
    }


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("cases", type=Path)
    ask.add_argument("out", type=Path)
    ask.add_argument("--path", default="", help="directories with tools, put before PATH")
    ask.add_argument("--modules", help="a node_modules directory that JavaScript cases share")
    ask.add_argument("--only", default="", help="a regular expression on the names of cases")
    given = ask.parse_args()
    cases = [case for case in tomllib.loads(given.cases.read_text())["case"] if re.search(given.only, case["name"])]
    passed: list[tuple[str, str]] = []
    kept = 0
    for case in cases:
        try:
            sound, broken = run(case, False, given), run(case, True, given)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            print(f"{case['name']}: left out, {error}", file=sys.stderr)
            continue
        if sound[0] or not broken[0]:
            print(f"{case['name']}: left out, exits {sound[0]} when sound and {broken[0]} when broken", file=sys.stderr)
            print((sound if sound[0] else broken)[1][-400:], file=sys.stderr)
            continue
        log = job(passed[-2:], case.get("bad_run", case["run"]), *broken)
        for kind, text in (("failed", log), ("passed", job(passed[-2:], case["run"], *sound))):
            directory = given.out / kind / case["name"]
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "raw.log").write_text(text)
        (given.out / "failed" / case["name"] / "ground_truth.json").write_text(json.dumps(truth(case, log), indent=1))
        passed.append((case["run"], sound[1]))
        kept += 1
    print(f"{kept} of {len(cases)} cases made in {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
