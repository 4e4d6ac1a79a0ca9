"""Whatever text guests and users chose: every place of every screen shows it as itself, and nothing else happens."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.style import Style
from textual.pilot import Pilot

from core.diff.entry import DiffKind
from core.diff.meta import FileType
from core.diff.result import FileDiff
from core.errors import VertuiError
from core.home import Home
from core.model import (
    ExecRequest,
    Operation,
    OperationState,
    Plan,
    TrashEntry,
    Tree,
)
from core.names import spelled
from tests.conftest import full
from tests.diffs import diff_of, file_diff, state
from tests.hostile import TEXTS, soiled, texts
from tests.stand_in import standing_in
from tests.ui.looks import app_of, text_of, until
from tests.ui.trees import COMMANDS, DEMO, IMAGE, NOON, PROCESSES, HandMadeFeed, event
from vertui.compare.change import heading
from vertui.plain import TextInput
from vertui.screens.dialogs import Field, FormDialog
from vertui.screens.plan import plan_dialog
from vertui.screens.watch import WatchScreen
from vertui.selection import NOTHING
from vertui.text import printable
from vertui.ui import VertuiApp
from vertui.widgets.folder_list import FolderList

ROUNDS = 8 if full() else 1
PATHS = [
    spelled(f"/{text}".encode(errors="surrogateescape")) for text in TEXTS if not set(text) & {"\0", "\ud800"}
]
SAMPLE = 6  # of the texts, where each costs a dialog
SIZE = (170, 45)


def entry(path: str, old: str, target: str) -> FileDiff:
    """A line of a diff."""
    before, after = state(target=target, mode=target), state(target="x", type=FileType.SYMLINK)
    return file_diff(path, before, after, kind=DiffKind.RENAMED, source=old)


def answers(rng: random.Random) -> dict[str, object]:
    """What a daemon would say whose guests are hostile."""
    source = texts(rng)
    operation = Operation(3, "r", "exec", "sum", OperationState.FAILED, True, NOON, NOON + 1, "error")
    plan = Plan("p1", "prune", ("b1",), (), 1, True, tuple(TEXTS), ("f",))
    entries = [entry(*paths, next(source)) for paths in zip(PATHS, PATHS[::-1], strict=True)]
    return {
        "/v1/log": [replace(soiled(operation, source), id=number, verb="v", summary=text)
                    for number, text in enumerate(TEXTS)],
        "/v1/trash": [TrashEntry(f"t{number}", "branch", text, 5, NOON, NOON + 1e9)
                      for number, text in enumerate(TEXTS)],
        "/v1/plan": soiled(plan, source),
        "/v1/diff": diff_of(*entries, notes=tuple(TEXTS)),
        "/v1/patch": b"".join(heading(one) + b"\n@@ -0,0 +1,99 @@\n" + patch() for one in entries),
    }  # fmt: skip


def patch() -> bytes:
    """Lines of a file that are all there is to fear."""
    return b"".join(b"+" + text.encode(errors="surrogatepass") + b"\n" for text in TEXTS if "\n" not in text)


def bad_characters(app: VertuiApp) -> str:
    """What is on the screen that must never reach a terminal."""
    shown = text_of(app).replace("\n", "")
    return "".join(char for char in shown if len(printable(f"a{char}")) != 2)


def planted(app: VertuiApp) -> list[object]:
    """What a click on something would do that no key or scrollbar of ours is."""
    styles = (segment.style for strip in app.screen._compositor.render_strips() for segment in strip)
    metas = [style.meta for style in styles if isinstance(style, Style) and style.meta]
    return [meta for meta in metas if "@click" in meta or "app." in str(meta)]


class Tour:
    """Looks at every screen, and at what must be seen there."""

    def __init__(self, pilot: Pilot[None], texts: tuple[str, ...]) -> None:
        self.pilot, self.app, self.texts = pilot, app_of(pilot), texts

    async def seen(self, *wanted: str) -> None:
        """All these texts are shown as themselves, and nothing is wrong with the rest."""
        forms = [printable(text) for text in wanted]
        await until(self.pilot, lambda: all(form in text_of(self.app) for form in forms))
        assert bad_characters(self.app) == "" and planted(self.app) == []
        assert self.app.is_running and self.app.died is None

    async def back(self) -> None:
        """Leave the screen."""
        here = self.app.screen
        await self.pilot.press("escape")
        await until(self.pilot, lambda: self.app.screen is not here)


@asynccontextmanager
async def touring(tmp_path: Path, rng: random.Random) -> AsyncIterator[Tour]:
    """An app over a hostile tree and a hostile daemon."""
    source = texts(rng)
    tree = hostile_tree(rng)
    feed = HandMadeFeed(tree, "\n".join(TEXTS).encode(errors="surrogatepass"))
    feed.ran, feed.listed = soiled(COMMANDS, source), soiled(PROCESSES, source)
    home = Home(tmp_path, tmp_path / "r")
    with standing_in(home, answers(rng)):
        app = VertuiApp(home, lambda: feed)
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, lambda: app.main.shown is not NOTHING)
            for number, text in enumerate(TEXTS):
                feed.put(tree, event("branch", "b1", text, number))
            feed.put(tree, event("branch", "b1", "all was told", len(TEXTS)))
            await until(pilot, lambda: "all was told" in text_of(app))
            yield Tour(pilot, TEXTS if full() else tuple(rng.sample(TEXTS, SAMPLE)))


def hostile_tree(rng: random.Random) -> Tree:
    """A tree whose every free text is hostile; the trunk's name is legal, so that it is found."""
    dirty = soiled(DEMO, texts(rng))
    return replace(dirty, images=tuple(replace(one, spec=IMAGE.spec) for one in dirty.images))


async def main_screen(tour: Tour) -> None:
    app = tour.app
    for _ in range(len(app.main.tree_view.items)):
        node = app.main.tree_view.node
        assert node is not None
        await tour.seen(getattr(node, "name", "") or getattr(node, "message", ""))
        await tour.pilot.press("j")
    for text in tour.texts:
        app.main.query_one("#filter", TextInput).value = text
        await until(tour.pilot, lambda text=text: app.main.tree_view.filter == text)  # type: ignore[misc]
        await tour.seen(f"/{text}")
    await tour.pilot.press("escape", "g")
    for text in tour.texts:
        app.fail(text)
        await tour.seen(text)
        app.clear_notifications()
        app.call(text, lambda: None)


async def lists(tour: Tour) -> None:
    for key, per_screen in (("l", TEXTS), ("T", TEXTS)):
        await tour.pilot.press(key)
        await tour.seen(*per_screen)
        await tour.back()
    await tour.pilot.press("l", "j", "enter")
    await tour.seen("operation 1", TEXTS[1])
    await tour.back()
    await tour.back()
    for key in ("i", "enter", "y", "question_mark", "colon"):
        await tour.pilot.press(key)
        await tour.pilot.pause(0.1)
        await tour.seen()
        await tour.back()


async def differences(tour: Tour) -> None:
    await tour.pilot.press("g", "d")
    await tour.seen("all files")
    tree = tour.app.screen.query_one("#files", FolderList).tree_of
    files = [node.path for node in tree.nodes if node.item is not None and not node.noise]
    assert set(files) == set(PATHS)
    for index, path in enumerate(files):
        await tour.pilot.press("right_square_bracket")
        await until(tour.pilot, lambda path=path: f"─ {printable(path)}".rstrip() in text_of(tour.app))  # type: ignore[misc]
        await tour.seen(path, "was ")
        if index == 0:
            await tour.pilot.press("ctrl+l")
            await tour.seen(f"+ {TEXTS[-1]}", f"+ {TEXTS[-5]}")
    await tour.back()


def _no(text: str, value: str) -> str:
    return f"no {text}"


async def dialogs(tour: Tour) -> None:
    for text in tour.texts:
        fields = (
            Field("a", "field", text, check=partial(_no, text)),
            Field("b", "c", hint=text),
        )
        tour.app.push_screen(FormDialog(f"form {text}", fields, "Do"))
        await tour.seen(f"form {text}".strip())
        await tour.pilot.press("enter")
        await tour.seen(f"no {text}".strip())
        await tour.back()
    tour.app.push_screen(plan_dialog(Plan("p", "prune", (), (), 1, False, TEXTS), "Do", "a variant"))
    await tour.seen(TEXTS[0], TEXTS[1])
    await tour.pilot.press("end")
    await tour.seen(TEXTS[-1])
    await tour.back()


async def outputs(tour: Tour) -> None:
    for text in (text for text in tour.texts if not set(text) & {"\ud800"}):  # which no terminal can send
        for branches in ((text,), (text, "b1", "b2", "b3", "b4", "b5")):
            tour.app.push_screen(WatchScreen(branches, ExecRequest("", (text,))))
            await tour.seen(f"$ {printable(text)}".strip(), text)
            await tour.back()


@pytest.mark.parametrize("visit", [main_screen, lists, differences, dialogs, outputs])
@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_text_is_shown_as_itself(visit: Callable[[Tour], object], seed: int, tmp_path: Path) -> None:
    print(f"seed {seed}")
    async with touring(tmp_path, random.Random(seed)) as tour:
        await visit(tour)  # type: ignore[misc]


async def test_an_error_is_told_as_it_is(tmp_path: Path) -> None:
    async with touring(tmp_path, random.Random(0)) as tour:
        for text in tour.texts:
            print(repr(text))
            tour.app.call("doing", lambda text=text: _fail(text))  # type: ignore[misc]
            told = " ".join(part.strip() for part in text.split("\n"))
            await tour.seen(f"✗ {printable(told)}".strip())
            tour.app.clear_notifications()


def _fail(text: str) -> None:
    raise VertuiError(text)
