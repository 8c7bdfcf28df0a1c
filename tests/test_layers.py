"""The floors of the house: an import only goes down, and the lower floors know neither the reactor nor Twisted."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).parent.parent

FLOORS = {
    "sos.words": 0,
    "sos.decisions": 1,
    "sos.begun": 2,
    "sos.concurrently": 2,
    "sos.http.bodies": 2,
    "sos.http": 3,
    "sos.store": 3,
    "sos.remote": 4,
    "sos.remote_replica": 4,
    "sos.usecases": 5,
    "sos.web": 6,
    "sos.services": 7,
    "sos.config_files": 8,
    "sos.cluster_key": 8,
    "sos.settings": 8,
    "sos.option_values": 8,
    "sos.options": 8,
    "sos.service": 9,
    "sos.cli": 10,
}
"""The floor of each module is that of its longest prefix here. Modules of one floor know each other, but for `APART`."""

APART = frozenset({"sos.http", "sos.store"})
"""Neighbours on one floor that know nothing of each other."""

WITHOUT_TWISTED = ("sos.words", "sos.decisions")
NAMES_INTERFACES = "sos.words.interfaces"


def prefix_of(module: str) -> str:
    """Give the longest entry of the table that a module falls under; a module without one fails."""
    known = [prefix for prefix in FLOORS if module == prefix or module.startswith(f"{prefix}.")]
    assert known, f"{module} is on no floor: enter it in the table"
    return max(known, key=len)


def name_of(path: Path) -> str:
    """Give a module's name from its place."""
    return ".".join(path.relative_to(HOME).with_suffix("").parts).removesuffix(".__init__")


def imports_of(tree: ast.AST, within: str = "") -> Iterator[tuple[str, str]]:
    """Give each imported name, and the function it is imported in. What is named in a ``from`` may be a module, too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, within) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import names its whole module"
            yield from ((f"{node.module}.{alias.name}", within) for alias in node.names)
        inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else within
        yield from imports_of(node, inside)


def faults_of(module: str, tree: ast.AST) -> Iterator[str]:
    """Say which imports of a module are not as the floors have it."""
    own = prefix_of(module)
    for name, function in imports_of(tree):
        if name.startswith("sos."):
            other = prefix_of(name)
            if FLOORS[other] > FLOORS[own] or (other != own and {own, other} <= APART):
                yield f"{module} imports {name}, which is not below it"
        if name.split(".")[0] == "twisted" and own in WITHOUT_TWISTED and module != NAMES_INTERFACES:
            yield f"{module} imports {name}: this floor does without Twisted"
        if name == "twisted.internet.reactor" and function != "makeService":
            yield f"{module} imports the reactor, which is an argument everywhere but in makeService"


READS_A_CLOCK = frozenset({"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"})
"""Names, with what they are taken from, that read this host's wall clock."""

EDGES = frozenset({"sos.service", "sos.cli"})
"""Only here the wall clock is named, to be handed down: so no decision compares the clocks of two hosts (torture I23)."""


def clocks_in(tree: ast.AST) -> Iterator[str]:
    """Give the names by which a module reads a wall clock, be they taken from their module or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = ".".join(ast.unparse(node).split(".")[-2:])
            if name in READS_A_CLOCK:
                yield name
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from sorted(names & READS_A_CLOCK)


MODULES = sorted((HOME / "sos").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_an_import_only_goes_down(path: Path) -> None:
    """What a module needs is below it, or beside it."""
    module = name_of(path)
    if module != "sos":
        assert list(faults_of(module, ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_edges_name_a_wall_clock(path: Path) -> None:
    """Torture I23."""
    module = name_of(path)
    found = list(clocks_in(ast.parse(path.read_text("utf-8"))))
    assert module == "sos" or prefix_of(module) in EDGES or found == []


@pytest.mark.parametrize(
    "source",
    [
        "import time\nnow = time.time()",
        "from time import time\nnow = time()",
        "import time\nwall = time.time",
        "from datetime import datetime, UTC\nnow = datetime.now(UTC)",
        "import datetime\nnow = datetime.datetime.now()",
        "import time as t\nfrom time import time_ns as clock",
    ],
)
def test_a_wall_clock_is_found(source: str) -> None:
    """The test can fail."""
    assert list(clocks_in(ast.parse(source)))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("sos.words.blob", "import sos.decisions.merge"),
        ("sos.words.blob", "from sos import decisions"),
        ("sos.decisions.merge", "from twisted.internet.defer import Deferred"),
        ("sos.http.bodies", "from sos.http.front import Front"),
        ("sos.http.front", "from sos.store import disk"),
        ("sos.store.disk", "def f():\n    from sos.http.front import Front"),
        ("sos.usecases.uploads", "from sos.web.upload import UploadResource"),
        ("sos.service", "from sos.cli.main import main"),
        ("sos.services.timer", "from twisted.internet import reactor"),
        ("sos.services.timer", "def make():\n    import twisted.internet.reactor"),
        ("sos.service", "def makeService():\n    pass\nfrom twisted.internet import reactor"),
    ],
)
def test_what_goes_up_is_found(module: str, source: str) -> None:
    """The test can fail."""
    assert list(faults_of(module, ast.parse(source)))


def test_a_module_without_a_floor_fails() -> None:
    """A new package has to be given its place first."""
    with pytest.raises(AssertionError, match="is on no floor"):
        prefix_of("sos.helpers")
