"""What the README tells programs, agents and others' harnesses is so: what is installed, imported and configured.

Its Python runs on machines in machine/test_sdk.py. What a row of adapters says to the harness itself is held by each
one's own file, as it takes the package.
"""

import ast
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from tests.unit.reached import reached
from tests.unit.test_mcp import COUNT

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
OURS = {"dev"}  # no user's
NAMED = re.compile(r"vertui\[([\w,-]+)\]")
PATH = re.compile(r"vertui(?:\.\w+)+(?::\w+)?")
CODE = re.compile(r"`([^`]+)`")
HARNESSES = ("mini-swe-agent", "inspect-ai", "harbor")


def row(extra: str) -> str:
    """What the README says of an adapter."""
    [found] = [line for line in README.splitlines() if line.startswith("|") and f"vertui[{extra}]" in line]
    return found


def configured(extra: str) -> list[str]:
    """The code in that but for how it is installed."""
    return [code for code in CODE.findall(row(extra)) if not code.startswith("pip ")]


def test_what_is_installed_is_an_extra() -> None:
    sources = [*ROOT.glob("core/**/*.py"), *ROOT.glob("vertui/**/*.py"), *ROOT.glob("tests/**/*.py")]
    texts = [path.read_text() for path in (*sources, *ROOT.glob("assets/*.md"))]
    named = {name for text in [README, *texts] for found in NAMED.findall(text) for name in found.split(",")}
    assert named <= {*EXTRAS}
    assert set(NAMED.findall(README)) == {*EXTRAS} - OURS


def test_each_adapter_has_a_row() -> None:
    modules = {path.stem for path in (ROOT / "vertui" / "adapters").glob("*.py")} - {"__init__", "starts"}
    assert modules == {extra.replace("-", "_") for extra in HARNESSES}
    assert {*EXTRAS} - OURS - {"mcp"} == {*HARNESSES}


@pytest.mark.parametrize("extra", HARNESSES)
def test_what_a_row_names_is_there(extra: str) -> None:
    for path in PATH.findall(row(extra)):
        assert is_defined(path), path
    [requirement] = EXTRAS[extra]
    python = re.search(r"python_version >= '([\d.]+)'", requirement)
    assert re.findall(r"on Python ([\d.]+\d)", row(extra)) == ([python[1]] if python else [])


def test_what_an_entry_point_names_is_there() -> None:
    groups = [PROJECT["scripts"], *PROJECT["entry-points"].values()]
    assert not [path for group in groups for path in group.values() if not is_defined(path)]


async def test_verbs_are_methods_as_they_are_shown() -> None:
    calls = [code for code in CODE.findall(paragraph("Fork, commit, undo and the like")) if "(" in code]
    assert sorted(calls)[-1] == "v.undo()"
    async with reached() as (_, v):
        [kid] = await (await v.branch("main")).fork()
        for call in sorted(calls):
            await eval(call, {"v": v, "kid": kid})


def test_tools_for_agents_are_added_as_they_are() -> None:
    said = paragraph("Agents are offered much of that")
    [added] = re.findall("`claude mcp add ([^`]+)`", said)
    assert shlex.split(added) == ["vertui", "--", "vertui", "mcp"]
    assert f"{COUNT} tools by `vertui mcp`" in said


def paragraph(begins: str) -> str:
    """Of the README."""
    [found] = [one for one in README.split("\n\n") if one.startswith(begins)]
    return found


def is_defined(path: str) -> bool:
    """Is this a module of ours, or a function or class in one? Read, as what it imports may not be installed."""
    module, colon, name = path.partition(":")
    if not colon and not source(module).exists():
        module, _, name = path.rpartition(".")
    defined = ast.parse(source(module).read_text()).body if source(module).exists() else None
    return defined is not None and (not name or name in {getattr(node, "name", None) for node in defined})


def source(module: str) -> Path:
    return (ROOT / module.replace(".", "/")).with_suffix(".py")
