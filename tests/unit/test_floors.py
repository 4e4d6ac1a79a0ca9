"""Imports go down and never in a circle, and `scripts/check` says so of one that does not."""

import ast
import dataclasses
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import networkx as nx
import pytest

from core.engine.context import Engine

ROOT = Path(__file__).parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")
DOWN = "core: imports go down"
MOST_PARTS = 17  # of an engine
CIRCLE = "No package and no module imports in a circle"
LATER = "def later() -> None:\n    import core.daemon.client\n"
TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from core.engine.context import Engine\n"
WRONG = {
    "upwards": ("core/pages.py", "from core.engine import context\n", DOWN),
    "upwards, in a function": ("core/home.py", LATER, DOWN),
    "to a neighbour": ("core/machine/base.py", "from core.store import columns\n", DOWN),
    "on no floor": ("core/attic.py", "import os\n", DOWN),
    "in a circle of packages": ("core/disk/blocks.py", "from core.store import values\n", CIRCLE),
    "in a circle of modules": ("core/store/hashing.py", "from core.store import reader\n", CIRCLE),
    "in a circle of types": ("core/engine/live.py", TYPES, CIRCLE),
    "to a terminal": ("core/log.py", "from vertui import text\n", "The engine knows nothing of terminals"),
    "past the daemon": (
        "vertui/feed.py",
        "from core.engine import fork\n",
        "Terminals reach the engine by the daemon alone",
    ),
}
"""Where a wrong import is added, what it is, and the contract that it breaks."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what is checked."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for top in ("core", "vertui"):
        shutil.copytree(ROOT / top, tmp_path / top, ignore=lambda directory, names: ["__pycache__"])
    return tmp_path


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    argv = [str(LINTER), "--no-logo", "--no-cache"]
    return subprocess.run(argv, cwd=tree, capture_output=True, text=True, check=False)


def test_the_tree_as_it_is_passes(tree: Path) -> None:
    done = lint(tree)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_import_does_not(tree: Path, wrong: str) -> None:
    name, line, contract = WRONG[wrong]
    with (tree / name).open("a") as file:
        file.write(f"\n{line}")
    done = lint(tree)
    assert done.returncode == 1 and f"{contract} BROKEN" in done.stdout, done.stdout + done.stderr


def test_no_module_is_in_a_circle_with_its_package() -> None:
    """Which the linter does not look at: it compares the modules of a package with each other."""
    found = grimp.build_graph("core", "vertui")
    graph = nx.DiGraph(
        (importer, imported)
        for importer in found.modules
        for imported in found.find_modules_directly_imported_by(importer)
    )
    circles = [circle for circle in nx.strongly_connected_components(graph) if len(circle) > 1]
    assert circles == [{"core.guest.agent.attachment", "core.guest.agent.command"}]


def test_the_map_draws_the_floors() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    drawn = (ROOT / "core/README.md").read_text().split("```")[1::2]
    floors = [contract["layers"] for contract in settings["contracts"] if "containers" in contract]
    assert [re.findall(r"^\S+(?: \| \S+)*", block, re.MULTILINE) for block in drawn] == floors


def test_check_asks_the_linter() -> None:
    assert "lint-imports" in (ROOT / "scripts/check").read_text()


def test_the_engine_is_few_parts_and_nobody_puts_others_in_their_place() -> None:
    public = [field.name for field in dataclasses.fields(Engine) if not field.name.startswith("_")]
    assert len(public) <= MOST_PARTS, public
    written = {
        (path.relative_to(ROOT).as_posix(), node.attr)
        for path in (ROOT / "core").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del)
        if ast.unparse(node.value).endswith("engine")
    }
    assert written == {("core/daemon/server.py", "tasks")}, (
        "only who makes them, as they work with the engine"
    )
