"""The form that asks for a command: what was run comes back, paths of the guest are completed, and it is copied."""

import asyncio
from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import Show
from tests.ui.looks import app_of, until, until_seen
from tests.ui.trees import DEMO, HandMadeFeed
from vertui.screens.exec import exec_form, exec_of
from vertui.widgets.command_line import CommandLine, Names, Suggestions, path_at_end, quoted

FILES = {"/etc/": ["apt/", "hosts", "host name", "odd\x1b[31m"], "~/": ["notes"], "/": ["etc/"]}


def line_of(pilot: Pilot[None]) -> CommandLine:
    return app_of(pilot).screen.query_one(CommandLine)


async def test_what_was_run_comes_back_and_paths_are_completed(show: Show) -> None:
    async with show(HandMadeFeed(DEMO)) as pilot:
        app = app_of(pilot)
        await app.push_screen(
            exec_form(app, ("main", "b1"), lambda endpoint, branch, directory: FILES[directory])
        )
        await until(pilot, lambda: line_of(pilot).suggestions.earlier != [])
        assert [one.id for one in app.screen.focus_chain] == [
            "command", "input", "timeout", "score", "cancel", "submit",
        ]  # fmt: skip
        await pilot.press("up")
        assert line_of(pilot).value == "pytest -q"
        await pilot.press("up", "up")
        assert line_of(pilot).value == "python3 service.py --port 8080", "the oldest stays"
        await pilot.press("down", "down")
        assert line_of(pilot).value == ""
        await pilot.press(*"cat /e")
        await until_seen(pilot, "cat /etc/", "↑ earlier ones", "→ complete")
        await pilot.press("right", *"hosts")
        await until(pilot, lambda: line_of(pilot).value == "cat /etc/hosts")
        await pilot.press("tab", "tab", *"9", "ctrl+y")
        await until_seen(pilot, "copied")
        assert app.clipboard == "vertui exec main b1 --timeout 9 -- 'cat /etc/hosts'"
        assert exec_of(app, {"command": "make", "input": "y", "timeout": "", "score": ""}).stdin
        await app.pop_screen()
        await app.push_screen(exec_form(app, ("main",), lambda endpoint, branch, directory: []))
        await pilot.press("up")
        assert line_of(pilot).value == "make"


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("py", "pytest -q"),
        ("cat /etc/hosts", None),
        ("cat /etc/host", "cat /etc/host\\ name"),
        ("cat /etc/host\\ n", "cat /etc/host\\ name"),
        ("A=/etc/a", "A=/etc/apt/"),
        ("cat <~/", "cat <~/notes"),
        ("/etc/odd", None),
        ("cat 'x", None),
        ("cat /nowhere/x", None),
        ("a" * 200_000 + "'", None),
    ],
)
async def test_what_is_suggested(typed: str, completed: str | None) -> None:
    def ask(directory: str, told: Callable[[Names], object]) -> None:
        asyncio.get_running_loop().call_soon(told, sorted(map(quoted, FILES.get(directory, []))))

    suggestions = Suggestions(ask, path_at_end)
    suggestions.learn(["pytest -q", "python3", "p\x1b[31m"])
    assert await suggestions.get_suggestion(typed) == completed
