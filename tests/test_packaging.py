"""Packaging: what a plain installation of the source brings along."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent
NEEDED_SETUPTOOLS = 77
PARTS = ("setup.cfg", "pyproject.toml", "README.rst", "LICENSE")

FIND_PLUGIN = """
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
for found in getPlugins(IServiceMaker):
    if found.tapname == "sos":
        print(found.module, found.options.__module__, found.makeService.__module__)
"""

pytestmark = pytest.mark.slow


def build_here() -> list[str]:
    """Build with the setuptools that is installed, if it is new enough: that needs no network."""
    has_tools = int(metadata.version("setuptools").split(".")[0]) >= NEEDED_SETUPTOOLS
    return ["--no-build-isolation"] if has_tools else []


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install a copy of the source, so that the build leaves nothing in the checkout."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for part in PARTS:
        shutil.copy(HOME / part, source)
    for package in ("sos", "twisted"):
        shutil.copytree(HOME / package, source / package, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(target),
        *build_here(),
        str(source),
    ]
    subprocess.run(pip, check=True, timeout=300)
    return target


def run_in(installed: Path, *arguments: str) -> str:
    """Run Python with the installed copy before all else, outside the checkout."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=installed, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_twisted_finds_the_plugin(installed: Path) -> None:
    """It is installed with the rest, and its options and its service can be imported."""
    assert run_in(installed, "-c", FIND_PLUGIN).split() == ["sos.service", "sos.options", "sos.service"]


def test_the_plugin_does_not_shadow_twisted(installed: Path) -> None:
    """``twisted`` stays Twisted's own package: ours only adds to its plugins."""
    assert not list((installed / "twisted").rglob("__init__.py"))


def test_every_module_is_installed(installed: Path) -> None:
    """A package that setup.cfg does not find would be missed at run time only."""
    ours = {path.relative_to(HOME) for path in (HOME / "sos").rglob("*.py")}
    assert ours == {path.relative_to(installed) for path in (installed / "sos").rglob("*.py")}
    assert not (installed / "tests").exists()


def test_the_command_is_installed(installed: Path) -> None:
    """``sos version`` says the version of the installed distribution."""
    assert (installed / "bin" / "sos").exists()
    shown = run_in(installed, "-c", "from sos.cli.main import main; main(['version'])")
    assert shown.startswith("sos 1.")
