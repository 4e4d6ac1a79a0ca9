"""A listener that follows changes has the tree that it would be given if it asked."""

import random

import pytest
from msgspec.structs import replace

from core.daemon.mirror import Mirror, followed
from core.graph import kept, touched
from core.model import Changed, Commit, CommitState, Event, Tree

IDS = [f"{number:040x}" for number in range(24)]


def commit(id: str, parents: tuple[str, ...], created: float) -> Commit:
    return Commit(id, "s" * 40, parents, "b", "image", "m", created, CommitState.SEALED, True)


def shown(commits: dict[str, Commit], trash: set[str]) -> dict[str, Commit]:
    """What the tree shows of commits of which some are in the trash."""
    there = [one for one in commits.values() if one.id not in trash]
    gone = [one for one in commits.values() if one.id in trash]
    return {one.id: one for one in kept(there, gone)}


@pytest.mark.parametrize("seed", range(60))
def test_what_is_told_of_written_rows_is_what_changed(seed: int) -> None:
    dice = random.Random(seed)
    commits: dict[str, Commit] = {}
    trash: set[str] = set()
    tree = Tree((), (), (), None)
    for step in range(60):
        written: set[str] = set()
        for _ in range(dice.randrange(1, 4)):
            way = dice.randrange(4)
            if way == 0 and len(commits) < len(IDS):
                id = IDS[len(commits)]
                parents = tuple(dice.sample(sorted(commits), min(len(commits), dice.randrange(3))))
                commits[id] = commit(id, parents, float(len(commits)))
                written.add(id)
            elif way == 1 and commits:
                id = dice.choice(sorted(commits))
                commits[id] = replace(commits[id], message=str(step))
                written.add(id)
            elif commits:
                id = dice.choice(sorted(commits))
                trash ^= {id}
                written.add(id)
        there = [one for one in commits.values() if one.id not in trash]
        gone = [one for one in commits.values() if one.id in trash]
        told, hidden = touched(written, there, gone)
        tree = followed(tree, Changed(commits=tuple(told), gone=tuple(hidden)), step + 1)
        assert {one.id: one for one in tree.commits} == shown(commits, trash)


def event(sequence: int, *commits: Commit) -> Event:
    return Event(sequence, "tree", "", "", 0.0, changed=Changed(commits=commits))


def test_a_mirror_asks_once_and_again_when_it_missed_something() -> None:
    first, second = commit(IDS[0], (), 0.0), commit(IDS[1], (), 1.0)
    asked: list[Tree] = []

    def ask() -> Tree:
        asked.append(Tree((), (first,), (), None, sequence=4))
        return asked[-1]

    mirror = Mirror(ask)
    assert mirror.take(event(4, second)) and mirror.tree.commits == (first,)
    assert not mirror.take(replace(event(5), kind="operation", changed=None))
    assert (
        mirror.take(event(6, second))
        and [one.id for one in mirror.tree.commits] == IDS[:2]
        and len(asked) == 1
    )
    assert mirror.take(event(8)) and mirror.tree.commits == (first,) and len(asked) == 2
    mirror.forget()
    assert mirror.tree.commits == (first,) and len(asked) == 3


def test_what_the_tree_holds_already_is_not_done_again() -> None:
    old, new = commit(IDS[0], (), 0.0), replace(commit(IDS[0], (), 0.0), message="new")
    mirror = Mirror(lambda: Tree((), (new,), (), None, sequence=9))
    assert mirror.tree.commits == (new,)
    assert not mirror.take(event(9, old)) and mirror.tree.commits == (new,)
    assert mirror.take(event(10, old)) and mirror.tree.commits == (old,)
