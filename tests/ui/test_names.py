"""Names of any shape on every screen: each is seen where it belongs, escaped, and none of them breaks anything."""

import asyncio
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.daemon.streams import Output, Started
from core.diff.result import SiblingRow, Siblings
from core.errors import Conflict
from core.home import Home
from core.model import Operation, OperationState, Plan, TrashEntry, Tree
from core.names import spelled
from tests.conftest import full
from tests.diffs import diff_of, file_diff, state
from tests.stand_in import standing_in
from tests.ui.looks import app_of, until
from tests.ui.shells import Line
from tests.ui.test_compare import MODIFIED, cell
from tests.ui.test_hostile import SIZE, Tour
from tests.ui.trees import GOLDEN, IMAGE, NOON, HandMadeFeed, branch
from vertui.output import cells
from vertui.screens.diff import DiffScreen
from vertui.screens.matrix import MatrixScreen
from vertui.screens.plan import plan_dialog
from vertui.screens.terminals import NAME, TerminalsScreen
from vertui.screens.watch import WatchScreen
from vertui.selection import NOTHING
from vertui.text import MARKS, printable
from vertui.ui import VertuiApp
from vertui.widgets.folder_list import FolderList

DRAWN, AT_ONCE = (72, 28) if full() else (1, 12)  # two thousand names, or some
LONGEST = 255  # bytes, as of a file's name
SEEN = 16  # columns of a name that are seen on every screen, however long it is
SHAPES = (
    "n" * LONGEST, "漢" * 85, "e\u0301" * 85, "[b]" * 85, "\x1b[31m" * 51, "שלום עולם", "مرحبا\u202eabc",
    "👩\u200d👩\u200d👧\u200d👦🇩🇪", "a\u0301\u0302\u0303\u0304b",
)  # fmt: skip
LETTERS = (
    st.sampled_from(
        ["[", "]", "[/", "[@click=app.quit]", "\\", "\x1b[31m", "\x1b]0;", "\x07", "\r", "\n", "\t", " "]
    )
    | st.sampled_from(
        ["\u202e", "\u2066", "\u200d", "\u0301", "\u20dd", "\ufe0f", "ש", "ع", "漢", "👍🏽", "🇩🇪", "\udcff"]
    )
    | st.characters(exclude_categories=["Cs"])
)


def fitting(parts: Sequence[str]) -> str:
    """A name of as many of these as it has room for."""
    name = ""
    for part in parts:
        if len(f"{name}{part}".encode(errors="surrogateescape")) <= LONGEST:
            name += part.replace("/", "_").replace("\0", "_")
    return name


NAMES = st.lists(LETTERS, min_size=1, max_size=80).map(fitting).filter(lambda name: bool(name.strip()))


def head(text: str) -> str:
    """The beginning of a text as it is shown, which no screen cuts.

    A mark that stood on a blank is none of it: by itself it would be looked for as it is spelled.
    """
    shown = printable(text).strip()
    while shown and unicodedata.category(shown[0]) in MARKS:
        shown = shown[1:].strip()
    return next(shown[:end] for end in range(len(shown), -1, -1) if cells(shown[:end]) <= SEEN).strip()


class Walk(Tour):
    """Goes through all screens, and sees every name on each."""

    async def all_seen(self, *names: str) -> None:
        """The beginning of each, escaped, and nothing wrong beside."""
        await self.seen(*map(head, names))

    async def main(self) -> None:
        await self.pilot.press("Z")
        await self.all_seen(*self.texts)
        await self.pilot.press("j", "G", "k", "space")

    async def board(self) -> None:
        await self.pilot.press("B")
        await self.all_seen(*self.texts)
        await self.pilot.press(*("right",) * 5, "v", "G", "v")
        await self.all_seen(*self.texts)
        await self.pilot.press("escape")
        await self.back()

    async def lists(self) -> None:
        for key in "lT":
            await self.pilot.press(key)
            await self.all_seen(*self.texts)
            await self.back()

    async def compare(self) -> None:
        self.app.push_screen(DiffScreen("main", "b1"))
        await self.see_paths("files")
        self.app.push_screen(MatrixScreen(self.texts[:3]))
        await self.see_paths("matrix")

    async def see_paths(self, list_id: str) -> None:
        await until(self.pilot, lambda: bool(self.app.screen.query(f"#{list_id}")))
        rows = self.app.screen.query_one(f"#{list_id}", FolderList)
        await until(self.pilot, lambda: bool(rows.items))
        await self.pilot.press("Z", "Z")
        page = rows.size.height
        for last in range(page - 1, len(rows.items) + page - 1, page):
            rows.cursor = last
            await self.pilot.pause()
            top = rows.scroll_offset.y
            await self.all_seen(
                *(node.name for node in rows.items[top : top + page] if node.item is not None)
            )
        await self.pilot.press("right_square_bracket", "right_square_bracket")
        await self.seen()
        await self.back()

    async def plan(self) -> None:
        for at in range(0, len(self.texts), 8):
            some = self.texts[at : at + 8]
            short = tuple(printable(one)[:SEEN] for one in some)
            self.app.push_screen(
                plan_dialog(Plan("p", "prune", (), (), 1, False, some, head=some[0]), "Do", short[0])
            )
            await self.all_seen(some[0])
            for _ in some:
                await self.pilot.press("pagedown")
            await self.all_seen(some[-1])
            await self.back()

    async def grid(self) -> None:
        for at in range(0, len(self.texts), 9):
            some = self.texts[at : at + 9]
            self.app.push_screen(WatchScreen(some))
            await self.all_seen(*some)
            await self.back()

    async def terminals(self) -> None:
        line = Line()
        screen = TerminalsScreen(line)
        self.app.install_screen(screen, NAME)
        for name in self.texts[:4]:
            before = len(line.connections)
            self.app.push_screen(NAME)
            screen.open(name)
            await until(self.pilot, lambda before=before: len(line.connections) > before)  # type: ignore[misc]
            said = f"\x1b]0;{name}\x07{name}".encode(errors="surrogateescape")
            line.say(Started(1), Output(1, 0, said))
            await self.all_seen(name)
            line.say(Conflict(name))
            shell = screen.shells[-1]
            await until(self.pilot, lambda shell=shell: shell.ended)  # type: ignore[misc]  # else it is given the key
            await self.seen("the shell in", "is gone:")
            await self.pilot.press("enter")
            await until(self.pilot, lambda: self.app.screen is self.app.main)

    async def all(self) -> None:
        """Every screen."""
        for visit in (
            self.main, self.board, self.lists, self.compare, self.plan, self.grid, self.terminals,
        ):  # fmt: skip
            await visit()
            assert self.app.screen is self.app.main, visit.__name__


def answers(names: Sequence[str]) -> dict[str, object]:
    """What a daemon says that has these names for everything."""
    paths = [spelled(f"/{name}".encode(errors="surrogateescape")) for name in names]
    rows = tuple(SiblingRow(path=path, cells=(cell(MODIFIED, 1, 9), None, None)) for path in paths)
    done = OperationState.DONE
    return {
        "/v1/log": [
            Operation(number, "r", "v", name, done, True, NOON, NOON) for number, name in enumerate(names)
        ],
        "/v1/trash": [
            TrashEntry(f"t{number}", "branch", name, 5, NOON, NOON + 1e9) for number, name in enumerate(names)
        ],
        "/v1/diff": diff_of(*(file_diff(path, state(), state(size=9)) for path in paths)),
        "/v1/siblings": Siblings(GOLDEN.id, tuple(names[:3]), rows, ()),
        "/v1/patch": b"",
    }


async def walk(names: tuple[str, ...], place: Path) -> None:
    """An app over branches and a daemon with these names, gone through."""
    branches = (replace(branch(f"b{at}", "77d05a"), name=name, note=name) for at, name in enumerate(names))
    feed = HandMadeFeed(Tree(tuple(branches), (GOLDEN,), (IMAGE,), None))
    home = Home(place, place / "r")
    with standing_in(home, answers(names)):
        async with VertuiApp(home, lambda: feed).run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app_of(pilot).main.shown is not NOTHING)
            await Walk(pilot, names).all()


@settings(max_examples=DRAWN, deadline=None, database=None, phases=[Phase.generate])
@given(st.lists(NAMES, min_size=AT_ONCE, max_size=AT_ONCE, unique_by=printable))
def test_names_of_any_shape_are_seen_on_every_screen(drawn: list[str]) -> None:
    names = tuple(dict.fromkeys([*SHAPES, *drawn]))
    print(ascii(names))
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(walk(names, Path(place)))
