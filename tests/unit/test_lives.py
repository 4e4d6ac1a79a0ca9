"""What branches did of late: bars of what was measured, what was not looked at, and what has changed."""

from msgspec.structs import replace

from core.commands import LastCommand
from core.model import Branch, BranchState, Tree
from tests.ui.trees import DEMO, branch, commit
from vertui.lives import Lives, changed_bars, cpu_bars, said, score_bar


def showing(tree: Tree, **facts: object) -> Tree:
    """The tree with b1 otherwise."""
    return replace(
        tree,
        branches=tuple(replace(one, **facts) if one.name == "b1" else one for one in tree.branches),
    )


def named(tree: Tree, name: str) -> Branch:
    return next(one for one in tree.branches if one.name == name)


def printed(count: int, code: int | None = None) -> LastCommand:
    return LastCommand(1, "make test", 0.0, code, count, f"line {count}")


def test_bars_are_what_was_measured_last() -> None:
    lives, tree = Lives(), DEMO
    lives.follow(tree)
    for step, percent in enumerate((0, 50, 100, 400, 0, 7, 99, 13)):
        changed = named(tree, "b1").changed_bytes + ((64 << 10) << step)
        tree = showing(tree, uptime_s=800.0 + step, cpu_percent=percent, changed_bytes=changed)
        lives.follow(tree)
    life = lives.of(named(tree, "b1"))
    assert life and cpu_bars(life) == "██▁▁█▂" and changed_bars(life) == "▄▅▆▇██"
    lives.follow(showing(tree, note="nothing was measured"))
    assert cpu_bars(life) == "██▁▁█▂"
    lives.follow(showing(tree, pid=None, state=BranchState.SUSPENDED))
    assert cpu_bars(life) == changed_bars(life) == ""


def test_what_came_since_somebody_looked_is_unread() -> None:
    lives, tree = Lives(), showing(DEMO, last=printed(1))
    lives.follow(tree)
    b1 = named(tree, "b1")
    assert lives.next_unread(tree.branches, "") is None, "what was there before is no news"
    for last in (printed(2), printed(2, 0), LastCommand(2, "make", 0.0, None, 2, "line 2")):
        tree = showing(tree, last=last)
        lives.follow(tree)
        assert lives.next_unread(tree.branches, b1.id) is named(tree, "b1")
        assert lives.read(named(tree, "b1")) and not lives.read(named(tree, "b1"))
    assert lives.next_unread(tree.branches, b1.id) is None


def test_what_is_told_of_as_changed_is_what_is_worth_a_look() -> None:
    lives = Lives()
    assert lives.follow(DEMO) == set(), "the first tree is no change"
    assert lives.follow(showing(DEMO, uptime_s=900.0, cpu_percent=80, last=None)) == set()
    assert lives.follow(showing(DEMO, state=BranchState.PAUSED)) == {"branch id-b1"}
    tree = showing(DEMO, state=BranchState.PAUSED, last=printed(5, 1))
    assert lives.follow(tree) == {"branch id-b1"}
    more = replace(tree, commits=(*tree.commits, new := commit("abcdef", "3f2a11", "new")))
    assert lives.follow(more) == {new.id}
    many = replace(more, branches=(*more.branches, *(branch(f"m{at}", "3f2a11") for at in range(99))))
    assert lives.follow(many) == set(), "another tree is no pulse"
    assert lives.follow(DEMO) == {"branch id-b1"} and lives.of(named(many, "m1")) is None


def test_a_score_is_drawn_between_nothing_and_the_best() -> None:
    bars = [score_bar(score, (0.0, 2.0), 4) for score in (0.0, 0.25, 1.0, 2.0)]
    assert bars == ["", "▌", "██", "████"]
    assert score_bar(-1.0, (-1.0, 1.0), 4) == "" and score_bar(0.0, (0.0, 0.0), 4) == "████"


def test_a_guests_line_is_text() -> None:
    line = "\x1b]0;owned\x07\x1b[1;31m\x1b[2J 3 passed \x1b[0m\u202etxt\x00"
    assert said(LastCommand(1, "pytest", 0.0, 0, 9, line)) == "3 passed \\u202etxt"
    assert said(LastCommand(1, "pytest -q", 0.0, 0, 0, "")) == "pytest -q"
