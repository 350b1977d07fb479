"""Checks the layers of the package, and that a forbidden import is detected."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LINT = """
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports("pyproject.toml", no_cache=True, no_logo=True))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "alpaca_async", tmp_path / "alpaca_async", ignore=ignore)
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", LINT],
        cwd=tree,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def seed(tree: Path, module: str, line: str) -> None:
    path = tree / "alpaca_async" / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")


def test_imports_respect_the_layers(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


TYPED = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n"
DOWNWARDS = "Imports go downwards"


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("_http/pool.py", "from alpaca_async import _tasks, _errors", "The transport knows HTTP"),
        ("_protocol/envelope.py", "from alpaca_async._session import session", DOWNWARDS),
        ("_session/session.py", "from alpaca_async._device import device", DOWNWARDS),
        ("_download/download.py", "from alpaca_async._device import device", DOWNWARDS),
        ("_discovery/finding.py", "from alpaca_async._device import device", DOWNWARDS),
        ("_pixels/statistics.py", "from alpaca_async import _image", DOWNWARDS),
        ("_fits/header.py", "from alpaca_async import fits", DOWNWARDS),
        ("_device/device.py", "from alpaca_async._workflows import exposure", DOWNWARDS),
        ("_workflows/exposure.py", "from alpaca_async import _camera", DOWNWARDS),
        ("_camera.py", "from .testing import SimulatedCamera", DOWNWARDS),
        ("fits.py", f"{TYPED}    from ._image import Image", DOWNWARDS),
        ("_http/reply.py", "from . import connection", "No circles"),
        ("testing/_app.py", "from alpaca_async._protocol import values", "The simulator shares"),
        ("_download/download.py", "import httptools", "What others wrote"),
    ],
)
def test_a_forbidden_import_is_detected(tree: Path, module: str, line: str, broken: str) -> None:
    seed(tree, module, line)
    result = lint(tree)
    assert result.returncode == 1, result.stdout + result.stderr
    verdicts = [text for text in result.stdout.splitlines() if " BROKEN" in text]
    assert len(verdicts) == 1, result.stdout
    assert verdicts[0].startswith(broken), result.stdout


def test_a_module_without_a_layer_is_detected(tree: Path) -> None:
    (tree / "alpaca_async" / "_stray.py").touch()
    assert lint(tree).returncode == 1


def test_the_drawing_shows_the_folders_and_modules_that_there_are() -> None:
    page = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    drawing = page.split("```text")[1].split("```")[0]
    package = ROOT / "alpaca_async"
    shown = {word.rstrip("/") for line in drawing.splitlines() for word in names(line)}
    there = {path.name.removesuffix(".py") for path in package.iterdir() if is_code(path)}
    assert shown - {"alpaca_async"} == there


def names(line: str) -> list[str]:
    """Return the names at the start of a line of the drawing; prose follows after two spaces."""
    return [word.removesuffix(".py") for word in line.strip().split("  ")[0].split()]


def is_code(path: Path) -> bool:
    return path.suffix == ".py" or (path.is_dir() and path.name != "__pycache__")


@pytest.mark.parametrize("wing", sorted(path.name for path in (ROOT / "alpaca_async").glob("_*/")))
def test_a_wing_says_what_it_must_not_know(wing: str) -> None:
    if wing == "__pycache__":
        return
    text = (ROOT / "alpaca_async" / wing / "__init__.py").read_text(encoding="utf-8")
    assert "ust not know " in text
    assert text.count('"""') == 2
    assert text.rstrip().endswith('"""')
