"""What README and tutorial show of the SDK works as it stands there, on machines."""

import ast
import asyncio
import re
from inspect import CO_COROUTINE
from pathlib import Path
from typing import Any

from core.daemon.client import Client
from tests.guests import Guest

ROOT = Path(__file__).parents[2]
CELL = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_readme_and_tutorial(client: Client, main: Guest) -> None:
    readme = next(cell for cell in CELL.findall((ROOT / "README.md").read_text()) if "vertui.sdk" in cell)
    exec(compile(readme, "README.md", "exec"), {"__name__": "readme"})
    scores = {branch.name: branch.score for branch in client.tree().branches}
    assert len(scores) == 9 and client.tree().trunk == max(scores, key=lambda name: scores[name] or 0.0)
    client.promote("main")
    client.prune(tuple(name for name in scores if name != "main"))

    known = asyncio.run(told_by(CELL.findall((ROOT / "assets" / "tutorial-sdk.md").read_text())))
    assert [kid.ok for kid in known["kids"]] == [True] * 4 and known["best"].name == "try3"
    assert [change.path for change in known["changes"].entries] == ["/root/error.txt"]
    assert known["ended"].stdout == "1\n2\n3\n" and known["trunk"].name == "try3"
    assert [one.branch for one in known["swarm"].results] == ["step-2", "step-1"]
    assert {branch.name for branch in client.tree().branches} == {"main", "try3", "step-2"}


async def told_by(cells: list[str]) -> dict[str, Any]:
    """Run the cells as a notebook does; the names they leave."""
    names: dict[str, Any] = {}
    for cell in cells:
        code = compile(cell, "tutorial", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & CO_COROUTINE:
            await eval(code, names)
        else:
            exec(code, names)
    return names
