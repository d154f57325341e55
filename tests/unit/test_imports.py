"""What a command does not need, it does not import: each case runs in a fresh interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    *("sqlalchemy", "sqlmodel", "alembic", "aiosqlite", "asyncpg", "redis"),
    *("ollama", "aiohttp", "aioboto3", "botocore", "httpx"),
    *("litestar", "uvicorn", "prometheus_client", "opentelemetry", "pgqueuer"),
}


def modules_after(arguments: list[str], home: Path, text: str = "") -> set[str]:
    program = (
        "import sys, json, atexit\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        "from bifrost_entrypoints.cli.main import main\n"
        f"main({arguments!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=text,
        capture_output=True,
        text=True,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        check=True,
    )
    names: list[str] = json.loads(done.stderr.splitlines()[-1])
    return {name.partition(".")[0] for name in names}


def test_help_loads_click_alone(tmp_path: Path) -> None:
    loaded = modules_after(["--help"], tmp_path)
    assert "click" in loaded
    assert not loaded & {"msgspec", "yaml", "asyncio", "re2", "dependency_injector", "bifrost_domain", *HEAVY}


@pytest.mark.parametrize("arguments", [["analyze", "--no-store"], ["digest"]])
def test_the_offline_path_loads_no_client_and_no_database(arguments: list[str], tmp_path: Path) -> None:
    assert not modules_after(arguments, tmp_path, "ERROR: it broke\n") & HEAVY


def test_scoring_the_heuristic_loads_no_client_and_no_database(tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "app.log").write_text("ERROR: it broke\n")
    (tmp_path / "case" / "truth.json").write_text('{"log": "app.log", "severity": "error"}')
    assert not modules_after(["eval", str(tmp_path)], tmp_path) & HEAVY


def test_an_offline_report_is_printed_before_the_storage_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "import bifrost_entrypoints.cli.analyze as analyze\n"
        "write = analyze.write\n"
        "def watched(*given, **named):\n"
        "    print('sqlalchemy' in sys.modules, file=sys.stderr)\n"
        "    write(*given, **named)\n"
        "analyze.write = watched\n"
        "from bifrost_entrypoints.cli.main import main\n"
        "main(['analyze', '-q'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="ERROR: it broke\n",
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        check=True,
    )
    assert done.stderr.splitlines() == ["False"]
    assert (tmp_path / ".local/share/bifrost/bifrost.db").exists()
