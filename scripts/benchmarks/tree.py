"""The tree of the UI with 10,000 commits and 200 branches: what an event, a key and a letter of the filter cost.

Processor time, so that what else runs on the machine does not count. The app runs without a terminal and without a
daemon, and every visible row is drawn.
"""

import asyncio
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec.structs import replace
from report import Report

from core.daemon.mirror import followed
from core.home import Home
from core.model import Branch, BranchState, Changed, Commit, CommitState, Tree
from vertui.filters import Texts
from vertui.folds import Folds
from vertui.strands import Strands
from vertui.ui import VertuiApp
from vertui.widgets.tree import TreeView

COMMITS, BRANCHES = 10_000, 200
SIZE = (200, 50)
SAMPLES = 40
UPDATE_MS, LETTER_MS, KEY_MS = 20, 50, 50
FILTER = "score>0.5 !re:^b[0-9]7 step 9"
Figures = dict[str, list[float]]


def measure(quick: bool) -> Report:
    """Median and p90 of each."""
    figures = asyncio.run(_measured(3 if quick else SAMPLES))
    report = Report(f"tree of {COMMITS} commits, {BRANCHES} branches")
    for name, must, timed in (
        ("update, folded", UPDATE_MS, "strands, layout and drawing after one commit"),
        ("update, all unfolded", UPDATE_MS, "the same where each commit has a row"),
        ("following the event", None, "the client's copy of the tree, in a thread"),
        ("letter of the filter", LETTER_MS, f"each letter of {FILTER!r}, and drawing"),
        ("first letter", LETTER_MS, "the texts are there, which a thread makes when / is pressed"),
        ("texts of the filter", None, "that thread"),
        ("key", KEY_MS, "the cursor one down, and drawing"),
        ("fold all", None, "Z, and drawing"),
    ):
        report.add_samples(name, figures[name], must=must, timed=timed)
    return report


async def _measured(samples: int) -> Figures:
    tree, figures = history(), Figures()
    app = VertuiApp(Home(Path("/nowhere"), Path("/nowhere")))
    app._start_watching = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=SIZE) as pilot:
        view = app.main.tree_view
        app.main._show_tree(tree, Strands(tree))
        await pilot.pause()
        for name, folds in (("update, folded", Folds()), ("update, all unfolded", Folds(every=True))):
            view.folds = folds
            view.show_tree(tree, Strands(tree))
            for _ in range(samples):
                tree = _after_a_commit(tree, figures)
                _take(figures, name, partial(_update, view, tree))
                await pilot.pause()
            for _ in range(samples):
                _take(figures, "key", lambda: _drawn(view, lambda: view.action_move(1)))
        for _ in range(samples):
            view._texts, view._told = Texts(), []
            _take(figures, "texts of the filter", view.prepare_filter)
            _take(figures, "first letter", lambda: _drawn(view, lambda: _filter(view, "s")))
        for _ in range(max(1, samples // 10)):
            for end in range(len(FILTER)):
                letters = partial(_filter, view, FILTER[: end + 1])
                _take(figures, "letter of the filter", partial(_drawn, view, letters))
        _filter(view, "")
        for _ in range(3):
            _take(figures, "fold all", lambda: _drawn(view, view.toggle_all_folds))
    return figures


def _update(view: TreeView, tree: Tree) -> None:
    strands = Strands(tree, view._strands)
    _drawn(view, lambda: view.show_tree(tree, strands))


def _drawn(view: TreeView, act: Callable[[], object]) -> None:
    act()
    for y in range(view.size.height):
        view.render_line(y)


def _filter(view: TreeView, text: str) -> None:
    view.filter = text


def _take(figures: Figures, name: str, act: Callable[[], object]) -> None:
    began = time.process_time()
    act()
    figures.setdefault(name, []).append((time.process_time() - began) * 1000)


def _after_a_commit(tree: Tree, figures: Figures) -> Tree:
    """As the feed follows an event: main has one commit more."""
    main = next(branch for branch in tree.branches if branch.trunk)
    new = _commit(len(tree.commits), main.head, main.name)
    changed = Changed((replace(main, head=new.id),), (new,), trunk=tree.trunk)
    found: list[Tree] = []
    _take(figures, "following the event", lambda: found.append(followed(tree, changed, tree.sequence + 1)))
    return found[0]


def history(seed: int = 1) -> Tree:
    """Branches that fork from each other and commit in turn."""
    chance = random.Random(seed)
    commits = [_commit(0, "", "main")]
    heads = {"main": commits[0].id}
    names = ["main", *(f"b{number}" for number in range(1, BRANCHES))]
    while len(commits) < COMMITS:
        name = chance.choice(names)
        new = _commit(len(commits), heads.get(name) or heads[chance.choice(list(heads))], name)
        commits.append(new)
        heads[name] = new.id
    return Tree(
        tuple(_branch(name, head, chance) for name, head in heads.items()), tuple(commits), (), "main"
    )


def _commit(number: int, parent: str, branch: str) -> Commit:
    id = f"{number:064x}"[::-1]
    return Commit(
        id, id, (parent,) if parent else (), branch, "img", f"step {number} of {branch}", 1e9 + number,
        CommitState.SEALED, quiesced=True, stored_bytes=number,
    )  # fmt: skip


def _branch(name: str, head: str, chance: random.Random) -> Branch:
    return Branch(
        name, name, BranchState.RUNNING, "running", "img", head, None, None, 1e9, name == "main",
        address="10.90.0.1", changed_bytes=1 << 20, score=round(chance.random(), 2),
    )  # fmt: skip
