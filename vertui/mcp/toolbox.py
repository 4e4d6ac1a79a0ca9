"""All tools over one home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.codec import encode
from core.errors import NotFound, UsageError
from vertui.mcp.desk import Desk, Report
from vertui.mcp.tools import OTHERS
from vertui.mcp.verb_tools import CARRIED_OUT, PLANNED, AgentTool, Given, of_planned, of_verb

if TYPE_CHECKING:
    from vertui.sdk import AsyncVertui


class Toolbox:
    """What one server offers."""

    def __init__(self, v: AsyncVertui) -> None:
        self.v, self._desk = v, Desk(v)
        made = [*map(of_verb, CARRIED_OUT), *map(of_planned, PLANNED), *OTHERS]
        self.tools: dict[str, AgentTool] = {tool.name: tool for tool in made}

    async def call(self, name: str, given: Given, report: Report) -> dict[str, object]:
        """A tool's answer, as JSON has it. NotFound for a tool that there is not."""
        tool = self.tools.get(name)
        if tool is None:
            raise NotFound(f"there is no tool '{name[:40]}': {', '.join(self.tools)}")
        tool.check(given)
        try:
            answer = encode(await tool.run(self._desk, given, report))
        except (TypeError, AttributeError) as error:  # of another type than its schema says
            raise UsageError(f"{name}: an argument is not what it may be: {error}") from error
        told: dict[str, object] = shown(answer if isinstance(answer, dict) else {"answer": answer})
        return told


def shown(told: Any) -> Any:
    """The same without halves of surrogate pairs, which a guest's names may hold and no JSON of others takes."""
    if isinstance(told, str):
        return told.encode(errors="backslashreplace").decode()
    if isinstance(told, dict):
        return {shown(key): shown(value) for key, value in told.items()}
    return [shown(one) for one in told] if isinstance(told, list | tuple) else told
