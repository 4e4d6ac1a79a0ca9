"""The form of a fork: what it comes to while it is filled in, how far it is, and that nothing typed is lost."""

import json
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace
from textual.pilot import Pilot

from core.daemon.client import Client
from core.home import Home
from core.model import BranchState, Child, Forked
from core.naming import MemoryRoom
from core.verbs.base import Verb
from tests.stand_in import standing_in
from tests.ui.looks import app_of, text_of, until, until_seen
from tests.ui.trees import DEMO, GOLDEN, HandMadeFeed, branch
from vertui.plain import TextInput
from vertui.screens.children import ChildrenDialog
from vertui.screens.dialogs import FormDialog
from vertui.selection import NOTHING
from vertui.ui import VertuiApp

ROOM = MemoryRoom(60 << 20, 2 << 30)
GOOD = Forked(GOLDEN, (Child("c1", True), Child("c2", True)), 7)
BAD = Forked(GOLDEN, (Child("c1", True), Child("c2", False, "QEMU ended: out of memory")), 7)


class Held:
    """A client that carries nothing out until it may."""

    def __init__(self, client: Client, may: threading.Event) -> None:
        self._client, self._may = client, may

    def do(self, verb: Verb[Any]) -> object:
        """Once it may."""
        self._may.wait()
        return self._client.do(verb)


@asynccontextmanager
async def forking(
    tmp_path: Path, answers: Mapping[str, object], bodies: list[bytes] | None = None
) -> AsyncIterator[tuple[Pilot[None], HandMadeFeed]]:
    home, feed = Home(tmp_path, tmp_path / "r"), HandMadeFeed(DEMO)
    with standing_in(home, answers, bodies):
        async with VertuiApp(home, lambda: feed).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
            await pilot.press("f")
            await until_seen(pilot, "fork main", "children")
            yield pilot, feed


def typed(pilot: Pilot[None], field: str) -> TextInput:
    return pilot.app.screen.query_one(f"#{field}", TextInput)


async def test_the_plan_is_told_while_it_is_typed(tmp_path: Path) -> None:
    async with forking(tmp_path, {"/v1/room": ROOM}) as (pilot, _):
        await until_seen(pilot, "main-1 … main-4: 240 MiB of memory, 2048 free")
        typed(pilot, "n").value = "40"
        await until_seen(pilot, "main-1 … main-40: 2400 MiB of memory, 2048 free: 34 would fit")
        typed(pilot, "prefix").value = "b"
        await until_seen(pilot, "the name 'b1' is taken")
        typed(pilot, "prefix").value, typed(pilot, "publish").value = "c", "3000 53/udp"
        await until_seen(pilot, "c1 … c40, 80 ports published: 2400 MiB")


async def test_what_is_filled_in_is_copied_as_a_command(tmp_path: Path) -> None:
    tries = tmp_path / "tries.jsonl"
    tries.write_text('"make a"\n{"command": "make {name}"}\n')
    async with forking(tmp_path, {"/v1/room": ROOM}) as (pilot, _):
        typed(pilot, "n").value, typed(pilot, "command").value = "2", "train --seed {i}"
        await pilot.press("ctrl+y")
        await until(
            pilot, lambda: pilot.app.clipboard == "vertui fork main --number 2 --exec 'train --seed {i}'"
        )
        typed(pilot, "variants").value = str(tries)
        await pilot.press("ctrl+y")
        await until_seen(pilot, "give one command for all, or variants: not both")
        typed(pilot, "command").value = ""
        await pilot.press("ctrl+y")
        copied = "vertui fork main --number 2 --variant 'make a' --variant 'make {name}'"
        await until(pilot, lambda: pilot.app.clipboard == copied)


async def test_what_each_child_is_given_is_asked_for_copied_and_kept_when_it_is_wrong(tmp_path: Path) -> None:
    bodies = list[bytes]()
    async with forking(tmp_path, {"/v1/room": ROOM, "/v1/fork": GOOD}, bodies) as (pilot, _):
        given = {
            "command": "make",
            "egress": "@pip a.org:443",
            "publish": "3000",
            "timeout_s": "0",
            "score": "./m 1",
        }
        for field, value in given.items():
            typed(pilot, field).value = value
        await pilot.pause()
        await pilot.press("ctrl+y")
        await until_seen(pilot, "time limit: give a number of more than 0 and at most 1000000")
        typed(pilot, "timeout_s").value, typed(pilot, "egress").value = "90", "open a.org"
        await pilot.press("enter")
        await until_seen(pilot, "'a.org' is for `allow`: `open` takes no rule")
        assert {field: typed(pilot, field).value for field in given} == given | {
            "timeout_s": "90", "egress": "open a.org",
        }  # fmt: skip
        typed(pilot, "egress").value = "@pip a.org:443"
        await pilot.press("ctrl+y")
        copied = "vertui fork main --number 4 --exec make --egress @pip --egress a.org:443 --publish 3000"
        await until(pilot, lambda: pilot.app.clipboard == f"{copied} --timeout 90 --score './m 1'")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is app_of(pilot).main)
        sent = json.loads(bodies[-1])
        assert (sent["egress"], sent["publish"], sent["timeout_s"]) == (["@pip", "a.org:443"], ["3000"], 90)


async def test_an_error_of_the_daemon_loses_nothing(tmp_path: Path) -> None:
    async with forking(tmp_path, {"/v1/room": ROOM}) as (pilot, _):  # nothing answers /v1/fork
        await until_seen(pilot, " free")
        typed(pilot, "command").value = "make test"
        await pilot.press("enter")
        form = cast(FormDialog, pilot.app.screen)
        await until(pilot, lambda: not form.busy and "main-4" not in text_of(pilot.app))
        assert pilot.app.screen is form and typed(pilot, "command").value == "make test"


async def test_each_child_is_shown_as_it_comes_and_the_form_goes(tmp_path: Path) -> None:
    may, bodies = threading.Event(), list[bytes]()
    async with forking(tmp_path, {"/v1/room": ROOM, "/v1/fork": GOOD}, bodies) as (pilot, feed):
        await until_seen(pilot, " free")
        app_of(pilot).client = cast(Client, Held(app_of(pilot).client, may))
        typed(pilot, "n").value = "2"
        await pilot.press("enter")
        await until_seen(pilot, "forking")
        coming = (branch("c1", "3f2a11"), branch("c2", "3f2a11", BranchState.STARTING))
        feed.put(replace(DEMO, branches=(*DEMO.branches, *coming)))
        await until_seen(pilot, "● c1", "◌ c2")
        may.set()
        await until(pilot, lambda: pilot.app.screen is app_of(pilot).main)
        assert b'"n":2' in bodies[-1].replace(b" ", b"")


async def test_a_child_that_failed_says_why_and_is_tried_again(tmp_path: Path) -> None:
    bodies = list[bytes]()
    answers = {"/v1/room": ROOM, "/v1/fork": BAD, "/v1/resume": branch("c2", "3f2a11")}
    async with forking(tmp_path, answers, bodies) as (pilot, feed):
        ran = []
        run = feed.run
        feed.run = lambda request: ran.append(request) or run(request)  # type: ignore[func-returns-value,method-assign]
        typed(pilot, "n").value, typed(pilot, "command").value = "2", "make {name}"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChildrenDialog))
        await until_seen(pilot, "1 of 2 run", "✗ c2  QEMU ended: out of memory", "● c1")
        await pilot.press("r")
        await until_seen(pilot, "2 of 2 run", "● c2")
        assert b'"c2"' in bodies[-1] and [(one.branch, one.argv) for one in ran] == [("c2", ("make c2",))]
