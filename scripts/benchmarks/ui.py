"""`scripts/bench ui`: how fast the UI is and what it costs, by keys in a terminal.

Of 10,000 commits and 200 branches in a catalog that a daemon serves; while a filter looks into each of them; beside 64
busy machines; idle; and with nine panes into which branches print as fast as they are read. What must hold is of the
UI's processor time where it is alone, so that what else runs on the host does not count; and by the clock, less the
time its loop has waited for a core, where threads of its own may be in the way.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count as counting

from driven import Driven, KeyCost, driven, spent_s
from homes import copied
from lab import Lab, lab
from msgspec.structs import replace
from report import Report, percentile
from tree import BRANCHES, COMMITS, FILTER, history

from core.catalog import Catalog
from core.catalog_values import BranchRow
from core.daemon.client import Client
from core.daemon.start import ensure_daemon
from core.home import Home
from core.model import BranchState, Tree
from vertui import theme
from vertui.emulator import pen as pens

FRAME_MS, KEY_MS, LETTER_MS, UPDATE_MS = 300, 50, 50, 20
BUSY_PERCENT, IDLE_PERCENT, MOST_MB = 5, 1, 150
FRAMES, UPDATES = 10, 30
BUSY, BUSY_S, IDLE_S, SETTLED_S = 64, 30.0, 60.0, 5.0
FLOOD_LINES = 200_000
KEY_S = 0.03  # between keys, as one that is held repeats
WORK = "while :; do echo at work; head -c 20000 /dev/urandom > /dev/shm/work; sleep 1; done"
TEAL = pens.DIRECT | int(theme.TEAL.removeprefix("#"), 16)  # of the frame that has the keys
TAGS = counting()
TREE_KEYS = (*"j" * 40, *"\x04" * 10, *"k" * 20, *"GgGg", *"****", *" " * 8, *"zzzzzz")
BOARD_KEYS = (*"j" * 40, *"\x04" * 5, *"k" * 20, *"GgGg", *"~~", *" " * 8)
CHANGED, LOOKS = (
    "!changed:/etc",
    "to look into",
)  # each answer adds a row: the made-up states differ in nothing
CHANGED_KEYS = (*"j" * 40, *"\x04" * 2, *"k" * 40, *"GgGg")  # each moves the cursor
ROOM = 150  # rows that they need
CURSOR = "│▌"  # beside the frame: a score is drawn by such signs, too


def measure(quick: bool) -> Report:
    """All of that, one after the other."""
    report = Report(f"the UI with {COMMITS:,} commits and {BRANCHES} branches")
    with _long_history() as home:
        _add_frames(report, home, 2 if quick else FRAMES)
        with driven(str(home.root)) as ui:
            ui.until_seen(f"{COMMITS + 1} commits")
            _add_keys(report, ui, "keys, folded", TREE_KEYS[:: 8 if quick else 1])
            ui.answer("B", lambda: "scoreboard" in ui.text)
            _add_keys(report, ui, "keys on the scoreboard", BOARD_KEYS[:: 8 if quick else 1])
            ui.answer("\x1b", lambda: "scoreboard" not in ui.text)
            _add_updates(report, ui, home, "an update, folded", 4 if quick else UPDATES)
            ui.answer("Z", lambda: "everything is unfolded" in ui.text)
            _add_keys(report, ui, "keys, all unfolded", TREE_KEYS[:: 8 if quick else 1])
            _add_updates(report, ui, home, "an update, all unfolded", 4 if quick else UPDATES)
            _add_letters(report, ui)
            _add_changed(report, ui, CHANGED_KEYS[:: 8 if quick else 1])
            _add_scrub(report, ui, 3 if quick else UPDATES)
            _add_idle(report, ui, home, 5.0 if quick else IDLE_S)
    _add_busy(report, *((4, 5.0) if quick else (BUSY, BUSY_S)))
    _add_flood(report, FLOOD_LINES // 20 if quick else FLOOD_LINES)
    return report


# -- a long history ------------------------------------------------------------------------------------------------


@contextmanager
def _long_history() -> Iterator[Home]:
    """A home with it, served by a daemon."""
    with copied("ui") as home:
        _fill(home, history())
        ensure_daemon(home)
        yield home


def _fill(home: Home, tree: Tree) -> None:
    """Write a made-up history into the catalog, upon the golden commit that is there. No branch of it runs."""
    catalog = Catalog(home.catalog)
    try:
        image = catalog.images()[0]
        with catalog.transaction():
            for commit in tree.commits:
                parents = commit.parents or (image.golden,)
                catalog.put_commit(replace(commit, parents=parents, image=image.id))
            for number, branch in enumerate(tree.branches, 1):
                catalog.put_branch(
                    BranchRow(
                        branch.id, branch.name, BranchState.SUSPENDED, "suspended", image.id, branch.head, branch.head,
                        None, branch.created, number, score=branch.score,
                    )
                )  # fmt: skip
            catalog.set_setting("trunk", tree.branches[0].id)
            for key in ("pool.spares", "pool.machines"):  # no machine is made ready while keys are pressed
                catalog.set_setting(key, "0")
    finally:
        catalog.close()


def _add_frames(report: Report, home: Home, count: int) -> None:
    """The first panel on the screen, and the tree in it."""
    walls, spent, trees = list[float](), list[float](), list[float]()
    for _ in range(count):
        with driven(str(home.root)) as ui:
            at, used = ui.imported
            ui.until_seen("╭")
            walls.append((time.perf_counter() - at) * 1000)
            spent.append((spent_s(ui.pid) - used) * 1000)
            ui.until_seen("★ trunk")
            trees.append((time.perf_counter() - at) * 1000)
    timed = "modules imported to the first panel on the screen"
    report.add_samples("first frame", spent, must=FRAME_MS, timed=f"processor time, {timed}")
    report.add_samples("first frame, by the clock", walls, timed=timed)
    report.add_samples("tree shown, by the clock", trees, timed="modules imported to the trunk on the screen")


# -- keys and updates ----------------------------------------------------------------------------------------------


def _add_keys(report: Report, ui: Driven, name: str, keys: Iterable[str]) -> None:
    took = list[KeyCost]()
    for key in keys:
        ui.until_quiet()
        if cost := ui.answer(key):
            took.append(cost)
    ui.press("\x1b")  # unmark
    ui.until_quiet()
    _add_costs(report, f"{name}: p95 of {len(took)}", took, KEY_MS, "key typed to its frame written")


def _add_letters(report: Report, ui: Driven) -> None:
    ui.answer("/")
    ui.until_quiet()
    took = list[KeyCost]()
    for end, letter in enumerate(FILTER, 1):
        told = f"/{FILTER[:end]}".rstrip()
        if cost := ui.answer(letter, lambda told=told: told in ui.text):  # type: ignore[misc]
            took.append(cost)
        ui.until_quiet()
    ui.press("\x1b")
    ui.until_quiet()
    _add_costs(
        report,
        "letters of the filter: p95",
        took,
        LETTER_MS,
        f"each letter of {FILTER!r} to the rows it leaves",
    )


def _add_changed(report: Report, ui: Driven, keys: Iterable[str]) -> None:
    """Keys while a thread asks of node after node, and what is told is shown as it comes."""
    ui.answer("/")
    ui.until_quiet()
    ui.press(f"{CHANGED}\r")
    ui.until(lambda: _nodes_shown(ui) >= ROOM)
    ui.press("g")
    ui.watch(KEY_S)
    took = list[KeyCost]()
    for key in keys:
        if LOOKS not in ui.text:
            raise SystemExit(f"all answers came before {len(took)} keys were pressed")
        row = _at_cursor(ui)
        if cost := ui.answer(key, lambda row=row: _at_cursor(ui) != row):  # type: ignore[misc]
            took.append(cost)
        ui.watch(KEY_S)
    ui.press("\x1b")
    ui.until_quiet()
    name = f"keys under {CHANGED}: p95 of {len(took)}"
    report.add(
        name, percentile([each.wall_ms - each.queued_ms for each in took], 0.95), "ms", must=KEY_MS,
        timed="key typed to the cursor elsewhere while answers come, less waits for a core",
    )  # fmt: skip
    report.add(f"{name} by the clock", percentile([each.wall_ms for each in took], 0.95), "ms")


def _nodes_shown(ui: Driven) -> int:
    """How many the filter shows so far, as the tree's frame says it."""
    told = re.search(r"(\d+) of \d+ nodes", ui.text)
    return int(told[1]) if told else 0


def _at_cursor(ui: Driven) -> str:
    """The row that the cursor is on."""
    return next((row.text for row in ui.emulator.screen.rows if CURSOR in row.text), "")


def _add_scrub(report: Report, ui: Driven, count: int) -> None:
    """Back by so many of the operations that updates have made, and on again to now."""
    took = list[KeyCost]()

    def shown(told: str) -> bool:
        return told in ui.text if told else "as it was" not in ui.text

    for key, steps in (("<", range(1, count + 1)), (">", range(count - 1, -1, -1))):
        for step in steps:
            told = f"{step} step{'s' * (step != 1)} back" if step else ""
            if cost := ui.answer(key, partial(shown, told)):
                took.append(cost)
            ui.until_quiet()
    _add_costs(
        report, f"time scrub: p95 of {len(took)} steps", took, KEY_MS, "< or > typed to the tree of then"
    )


def _add_costs(report: Report, name: str, took: Iterable[KeyCost], must: float, timed: str) -> None:
    """The ninety-fifth percentile is what must hold."""
    spent, walls = [each.spent_ms for each in took], [each.wall_ms for each in took]
    report.add(name, percentile(spent, 0.95), "ms", must=must, timed=f"processor time, {timed}")
    report.add(f"{name} by the clock", percentile(walls, 0.95), "ms", timed=timed)


def _add_updates(report: Report, ui: Driven, home: Home, name: str, count: int) -> None:
    """Scores and tags by another client: what all threads of the UI spend until the screen is right and still."""
    client = Client(home)
    commits = client.tree().commits[-count:]
    acts: list[Callable[[], object]] = [partial(client.score, "b7", number / 100) for number in range(count)]
    acts += [partial(client.tag, commit.id, f"mark-{next(TAGS)}") for commit in commits]
    for what, some in (("score", acts[:count]), ("tag", acts[count:])):
        report.add_samples(
            f"{name}: {what}", [ui.cost_ms(act) for act in some], must=UPDATE_MS,
            timed="processor time of all its threads, verb of another client to a screen that is right and still",
        )  # fmt: skip


# -- what it costs -------------------------------------------------------------------------------------------------


def _add_idle(report: Report, ui: Driven, home: Home, seconds: float) -> None:
    ui.watch(SETTLED_S)
    pids = [ui.pid, *Lab(home, Client(home)).servers()]
    report.add(
        "idle: UI, daemon, holder and what they started", _percent(ui, pids, seconds), "%", must=IDLE_PERCENT,
        timed=f"processor time over {seconds:.0f} s, of one core",
    )  # fmt: skip


def _add_busy(report: Report, machines: int, seconds: float) -> None:
    with lab("ui-busy") as found:
        found.client.up("base", "main")
        found.fork("main", machines - 1, command=WORK)
        found.start("main", "sh", "-c", WORK)
        with driven(str(found.home.root)) as ui:
            ui.until_seen(f"{machines} of {machines} running")
            ui.watch(SETTLED_S)
            report.add(
                f"UI beside {machines} busy machines", _percent(ui, [ui.pid], seconds), "%", must=BUSY_PERCENT,
                timed=f"processor time over {seconds:.0f} s, of one core; each prints and changes pages once a second",
            )  # fmt: skip


def _percent(ui: Driven, pids: Iterable[int], seconds: float) -> float:
    """Of one core, what these processes use while the screen is read."""
    before = {pid: spent_s(pid) for pid in pids}
    began = time.perf_counter()
    ui.watch(seconds)
    took = time.perf_counter() - began
    return sum(spent_s(pid) - was for pid, was in before.items()) / took * 100


# -- floods --------------------------------------------------------------------------------------------------------


def _add_flood(report: Report, lines: int) -> None:
    """Nine panes, and tab goes from one to the next."""
    with driven("--flood", str(lines)) as ui:
        ui.until_seen("★ trunk")
        ui.press(" " * 9)
        ui.until_seen("9 marked")
        before = ui.resident_mb
        ui.press("w")
        ui.until_seen("line")
        took = list[KeyCost]()
        while (ended := ui.text.count("exit 0")) < 9 or not took:
            place = _focused(ui)
            if cost := ui.answer("\t", lambda place=place: _focused(ui) not in (place, None)):  # type: ignore[misc]
                took.append(cost)
            ui.watch(KEY_S)
        assert ended == 9
        walls = [each.wall_ms - each.queued_ms for each in took]
        report.add(
            f"tab under nine floods: p95 of {len(took)}", percentile(walls, 0.95), "ms", must=KEY_MS,
            timed=f"key typed to another pane chosen on the screen, {lines:,} lines in each, less waits for a core",
        )  # fmt: skip
        report.add(
            "tab under nine floods: p95 by the clock", percentile([each.wall_ms for each in took], 0.95), "ms"
        )
        report.add(
            "memory under nine floods", ui.most_resident_mb, "MB", must=MOST_MB, timed="resident, the most"
        )
        report.add("memory before them", before, "MB", timed="resident")


def _focused(ui: Driven) -> tuple[int, int] | None:
    """Where the pane begins whose frame is drawn as that of the one with the keys."""
    for y, row in enumerate(ui.emulator.screen.rows):
        for x, char in enumerate(row.chars):
            if char == "╭" and pens.foreground(row.pens[x]) == TEAL:
                return y, x
    return None
