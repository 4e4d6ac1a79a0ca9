"""What agents may read by its address: the tree, and of each branch what it changed and its journal."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from core.errors import NotFound
from vertui.mcp.toolbox import Toolbox
from vertui.mcp.verb_tools import Given

TREE = "vertui://tree"
OF_BRANCH = {
    "diff": "which files it changed since it was forked",
    "journal": "what was said and done in it, the newest entries",
}
ADDRESS = re.compile(r"vertui://branches/([^/]+)/([a-z]+)")
MOST_LISTED = 50  # branches: of others the address is the same


async def addresses(toolbox: Toolbox) -> list[tuple[str, str]]:
    """Addresses, and what is there."""
    tree = await toolbox.v.tree()
    told = [(TREE, "branches, the newest commits, images, the trunk")]
    for branch in tree.branches[-MOST_LISTED:]:
        told += [
            (f"vertui://branches/{branch.name}/{part}", f"{branch.name}: {what}")
            for part, what in OF_BRANCH.items()
        ]
    return told


async def read(toolbox: Toolbox, address: str) -> str:
    """What is there, as JSON. NotFound for an address of nothing."""
    if address == TREE:
        return await _told(toolbox, "tree", {})
    found = ADDRESS.fullmatch(address)
    if found is None or found[2] not in OF_BRANCH:
        raise NotFound(f"nothing is at '{address[:80]}': {TREE}, or vertui://branches/NAME/diff or /journal")
    return await _told(toolbox, found[2], {"branch": unquote(found[1])})


async def _told(toolbox: Toolbox, tool: str, given: Given) -> str:
    async def unreported(*_: Any) -> None:
        """Nobody is told how far it is."""

    return json.dumps(await toolbox.call(tool, given, unreported), indent=1)
