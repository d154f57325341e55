"""The import contracts hold, and each of them can fail."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

PLANTED = {
    "Dependencies point inwards": ("bifrost_domain/errors.py", "import bifrost_adapters.slots"),
    "The domain is pure: no I/O, clock, randomness or vendor": ("bifrost_domain/report.py", "import socket"),
    "The domain is layered": ("bifrost_domain/errors.py", "import bifrost_domain.report"),
    "Slots do not know each other": ("bifrost_adapters/models/scripted.py", "import bifrost_adapters.cache"),
    "Front doors launch, and know the composition root only": (
        "bifrost_entrypoints/settings.py",
        "import bifrost_entrypoints.cli.main",
    ),
    "One home for each vendor": ("bifrost_entrypoints/settings.py", "import sqlalchemy"),
    "Model clients stay in the model adapters": ("bifrost_adapters/storage/memory.py", "import ollama"),
    "The container framework stays in the composition root": (
        "bifrost_adapters/slots.py",
        "import dependency_injector.providers",
    ),
}


def lint(source: Path) -> subprocess.CompletedProcess[str]:
    program = (
        f"import sys; sys.path.insert(0, {str(source)!r}); from importlinter.cli import lint_imports_command as c; c()"
    )
    return subprocess.run(
        [sys.executable, "-c", program, "--config", str(ROOT / "pyproject.toml"), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=source,
        check=False,
    )


def test_every_contract_has_a_planted_violation() -> None:
    assert set(PLANTED) == {contract["name"] for contract in CONTRACTS}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_breaks_its_contract(name: str, tmp_path: Path) -> None:
    file, statement = PLANTED[name]
    for package in (ROOT / "src").iterdir():
        if package.is_dir() and package.name.startswith("bifrost_") and not package.name.endswith("-info"):
            for module in package.rglob("*.py"):
                copy = tmp_path / module.relative_to(ROOT / "src")
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(module.read_bytes())
    planted = tmp_path / file
    planted.write_text(f"{planted.read_text()}\n{statement}\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{name} BROKEN" in done.stdout
