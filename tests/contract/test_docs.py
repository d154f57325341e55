"""The documentation cannot lie: every command shown is run, every link is followed, generated pages are fresh."""

import gzip
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from bifrost_entrypoints.settings import default_path
from tests.contract.servers import postgres, valkey
from tests.contract.servers.ports import free_port
from tests.contract.test_cli import HEALTHY, INCIDENT

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)

# What a page may call beside bifrost, as a stand-in that behaves the same for the page's purpose.
STAND_INS = {
    "kubectl": "cat app.log",
    "git": "mkdir -p bifrost",
    "make": "true",
    "llm": "cat > /dev/null",
    "jq": "cat > /dev/null",
}


def commands(page: Path) -> Iterator[str]:
    for language, body in BLOCK.findall(page.read_text()):
        if language == "sh":
            yield body


KEEPING_VARIABLES = "touch {variables}; source {variables}; set -a; {line}\nexport -p > {variables}"
"""What one line sets, the next ones see."""


def meant(body: str, place: Path, port: int) -> str:
    """The commands with what stands for a server of the reader's replaced by one that is there."""
    body = re.sub(r"127\.0\.0\.1:80[0-9]0", f"127.0.0.1:{port}", body)
    body = re.sub(r"^bifrost serve(?: --port \d+)?(.*) &$", rf"bifrost serve --port {port}\1", body, flags=re.M)
    body = body.replace("<this repository>", "repository")
    if "db.example" in body:
        body = body.replace("postgresql://bifrost@db.example/bifrost", postgres.shared().database())
    if "cache.example" in body:
        body = body.replace("redis://cache.example/0", valkey.shared().url)
    return body


SHOWN = [(page, body) for page in PAGES for body in commands(page)]


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@contextmanager
def serving(line: str, place: Path, environment: dict[str, str], variables: Path) -> Iterator[None]:
    """The server of a line, with the variables that the lines before it set."""
    shown = subprocess.run(
        ["bash", "-c", f"source {variables}; env -0"], env=environment, capture_output=True, text=True, check=True
    )
    known = dict(pair.split("=", 1) for pair in shown.stdout.split("\0") if "=" in pair)
    process = subprocess.Popen(
        ["bash", "-c", f"exec {line}"], cwd=place, env=known, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = "http://127.0.0.1:" + line.partition("--port ")[2].split()[0]
    try:
        until = time.monotonic() + 60
        while not answers(url):
            assert process.poll() is None, f"{line} ended"
            assert time.monotonic() < until, f"{line} does not answer"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(60)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def used_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of somebody who has analysed a log before."""
    home = tmp_path_factory.mktemp("used")
    (home / "app.log").write_text(INCIDENT)
    command = [Path(sys.executable).parent / "bifrost", "analyze", "app.log", "-q"]
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    subprocess.run(command, cwd=home, env=environment, capture_output=True, timeout=60, check=True)
    (home / "app.log").unlink()
    return home


@pytest.fixture
def sandbox(tmp_path: Path, used_home: Path) -> tuple[Path, dict[str, str]]:
    """A folder with the logs that the pages speak of, and a PATH with the real bifrost and the stand-ins."""
    place, tools, home = tmp_path / "place", tmp_path / "tools", tmp_path / "home"
    for folder in (place / "logs", tools):
        folder.mkdir(parents=True)
    shutil.copytree(used_home, home)
    (place / "app.log").write_text(INCIDENT)
    (place / "build.log").write_text(INCIDENT)
    (place / "logs" / "worker.log").write_text(HEALTHY)
    (place / "app.log.gz").write_bytes(gzip.compress(HEALTHY.encode()))
    (place / "examples").symlink_to(ROOT / "examples")
    for name, body in STAND_INS.items():
        tool = tools / name
        tool.write_text(f"#!/bin/sh\n{body}\n")
        tool.chmod(0o755)
    scripts = {"python": sys.executable}
    if shutil.which("curl") is None:
        scripts["curl"] = f"{sys.executable} {Path(__file__).with_name('curl.py')}"
    for name, script in scripts.items():
        (tools / name).write_text(f'#!/bin/sh\nexec {script} "$@"\n')
        (tools / name).chmod(0o755)
    (tools / "bifrost").symlink_to(Path(sys.executable).parent / "bifrost")
    environment = {
        "HOME": str(home),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "OLLAMA_HOST": "127.0.0.1:1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "LANG": "C.UTF-8",
    }
    return place, environment


def explains_itself(line: str, environment: dict[str, str]) -> None:
    """A benchmark runs for minutes and may need data that is not here; at least it starts and knows its options."""
    script, *words = line.partition("  #")[0].split()[1:]
    done = subprocess.run(
        [sys.executable, script, "--help"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"^  .*{option}\b", done.stdout, re.M), f"{script} knows no {option}"


@pytest.mark.parametrize(("page", "body"), SHOWN, ids=[f"{page.name}-{at}" for at, (page, _) in enumerate(SHOWN)])
def test_every_command_shown_works(
    page: Path, body: str, sandbox: tuple[Path, dict[str, str]], servers: ExitStack
) -> None:
    place, environment = sandbox
    variables = place.parent / "variables"
    for line in meant(body, place, free_port()).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("python benchmarks/"):
            explains_itself(line, environment)
            continue
        if line.startswith("bifrost serve"):
            servers.enter_context(serving(line, place, environment, variables))
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", KEEPING_VARIABLES.format(line=line, variables=variables)],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=False,
        )
        expected = 1 if "--fail-on" in line else 0
        assert done.returncode == expected, f"{page.name}: {line}\n{done.stderr}"
        assert "Traceback" not in done.stderr


# The page on adding a model names a kind of its own; test_models installs it from the page and runs it.
CONFIGURED = [page for page in PAGES if page.name != "add-a-model.md"]


@pytest.mark.parametrize("page", CONFIGURED, ids=[str(page.relative_to(ROOT)) for page in CONFIGURED])
def test_every_settings_example_is_valid(page: Path, sandbox: tuple[Path, dict[str, str]]) -> None:
    place, environment = sandbox
    for language, body in BLOCK.findall(page.read_text()):
        if language == "yaml":
            path = default_path(environment)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
            done = subprocess.run(
                ["bifrost", "config", "validate"],
                cwd=place,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(BLOCK, "", page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(BLOCK, "", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        assert not target.startswith("http"), f"{target}: nothing outside is promised"
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(found), f"{page.name}: {target}"


def test_generated_pages_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate_docs.py", "--check"],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
