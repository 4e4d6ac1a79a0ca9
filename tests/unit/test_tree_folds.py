"""What of the tree is one line, in which order siblings stand, and where jumps go: pure functions over a tree."""

import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
from msgspec.structs import replace

from core.commands import LastCommand
from core.model import Branch, BranchState, Commit, Tree
from tests.ui.trees import DEMO, NOON, branch, commit, full, many
from vertui.columns import DRAWN, Column, Sorting, fitting
from vertui.folds import WIDEST_FAN, Fold, FoldKind, FoldRow, Folds, Row, fold_at, lay_out
from vertui.jumps import Jump, target
from vertui.lanes import LaneRow, rows
from vertui.selection import Node, key_of
from vertui.strands import Strands


def line(count: int, *branches: Branch, tagged: int = 0) -> Tree:
    """`count` commits in a line below main."""
    ids = ["77d05a", *(f"{number:06x}" for number in range(1, count))]
    commits = [commit(id, ids[at - 1] if at else None, f"step {at}") for at, id in enumerate(ids)]
    if tagged:
        commits[tagged] = replace(commits[tagged], tags=("v1",))
    return Tree((branch("main", ids[-1], trunk=True), *branches), tuple(commits), (), "main")


def fanned(count: int) -> Tree:
    """A fork of main into so many: the first failed, each with a score but the last."""
    kids = [
        branch(
            f"t{number}", "000001", BranchState.FAILED if number == 1 else BranchState.RUNNING,
            score=number / 10 if number < count else None, created=float(number), parent_branch="main",
        )
        for number in range(1, count + 1)
    ]  # fmt: skip
    return line(2, *kids)


def said(found: Iterable[Row]) -> list[str]:
    return [row.text if isinstance(row, FoldRow) else row.id[:6] for row in found]


def test_a_long_run_is_one_line_and_what_has_a_name_is_not() -> None:
    assert said(lay_out(Strands(line(152)), Folds())) == ["main", "000097", "150 commits", "77d05a"]
    assert said(lay_out(Strands(line(20, tagged=10)), Folds())) == [
        "main", "000013", "8 commits", "00000a", "9 commits", "77d05a",
    ]  # fmt: skip
    assert len(lay_out(Strands(line(5)), Folds())) == 6, "three are no long run"
    forked = lay_out(Strands(line(20, branch("b1", "00000a"))), Folds())
    assert said(forked) == ["main", "000013", "8 commits", "b1", "00000a", "9 commits", "77d05a"]


def test_a_wide_fan_is_one_line_that_says_how_it_stands() -> None:
    shown = lay_out(Strands(fanned(32)), Folds())
    assert said(shown) == ["main", "32 branches · 31 running · best 3.1 t31 · 1 failed", "000001", "77d05a"]
    assert len(lay_out(Strands(fanned(WIDEST_FAN)), Folds())) == WIDEST_FAN + 3


def test_a_fold_that_was_opened_stays_so_while_history_grows() -> None:
    fold = fold_at(Strands(line(20)), full("000005"))
    assert fold == Fold(FoldKind.RUN, full("000001"))
    folds = Folds({fold: True})
    assert len(lay_out(Strands(line(20)), folds)) == 21
    assert len(lay_out(Strands(line(40)), folds)) == 41


def test_all_folds_are_opened_then_closed_then_left_alone() -> None:
    strands, folds = Strands(fanned(4)), Folds()
    shown = []
    for _ in range(3):
        folds.say_all()
        shown.append(len(lay_out(strands, folds)))
    assert shown == [7, 4, 7]


def test_what_is_open_is_drawn_as_the_command_line_draws_it() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(20):
        commits = [commit("000000", None, "")]
        for number in range(1, chance.randrange(2, 200)):
            commits.append(
                commit(
                    f"{number:06x}",
                    f"{chance.randrange(number):06x}",
                    "",
                    tags=("t",) * chance.choice((0, 0, 1)),
                )
            )
        branches = [
            branch(f"b{at}", f"{chance.randrange(len(commits)):06x}", trunk=at == 0) for at in range(9)
        ]
        tree = Tree(tuple(branches), tuple(commits), (), "b0")
        strands = Strands(tree)
        assert list(lay_out(strands, Folds(every=True))) == rows(tree)
        for folds in (Folds(), Folds(every=False)):
            found = list(lay_out(strands, folds))
            held = [one for row in found for one in (row.nodes if isinstance(row, FoldRow) else (row.item,))]
            assert {key_of(one) for one in held} == set(strands.nodes) and len(held) == len(strands.nodes)
            assert all(below.depth >= above.depth - 1 for above, below in pairwise(found)), "lanes meet"


def shape(strands: Strands) -> list[tuple[object, ...]]:
    """All that is drawn of them."""
    return [
        (place.depth, place.joins, one.below, one.keys, one.runs, one.size, one.newest, one.trunks)
        for place in strands.placed()
        for one in (place.strand,)
    ]


def changed(chance: random.Random, tree: Tree) -> Tree:
    """A tree as it may be after an event: mostly a commit more, or a branch that is told anew."""
    commits, branches = list(tree.commits), list(tree.branches)
    at, head = chance.randrange(len(commits)), chance.randrange(len(branches))
    match chance.randrange(8):
        case 0:
            commits[at] = replace(commits[at], tags=("v",) * chance.randrange(2))
        case 1 if at:
            commits[at] = replace(commits[at], parents=(commits[chance.randrange(at)].id,))
        case 2 if at:
            del commits[at]
        case 3:
            branches.append(branch(f"n{chance.getrandbits(60)}", commits[at].id[:6]))
        case 4 if head:
            del branches[head]
        case 5:
            branches[head] = replace(branches[head], score=chance.random())
        case _:
            new = commit(f"{chance.randrange(1 << 24):06x}", chance.choice(commits).id[:6], "")
            commits.append(replace(new, created=NOON + len(commits)))
            if chance.random() < 0.7:
                branches[head] = replace(branches[head], head=new.id)
    return replace(tree, commits=tuple(commits), branches=tuple(branches))


def test_what_did_not_change_is_kept_and_what_did_is_drawn_as_if_nothing_was() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    tree = line(30)
    strands = Strands(tree)
    for _ in range(400):
        tree = changed(chance, tree)
        strands = Strands(tree, strands)
        assert shape(strands) == shape(Strands(tree))
        assert list(lay_out(strands, Folds())) == list(lay_out(Strands(tree), Folds()))
    long = many(2000)
    old = Strands(long)
    new = Strands(replace(long, branches=(*long.branches, branch("x", "000064"))), old)
    kept = {id(strand.keys) for strand in old._by_top.values()} & {
        id(strand.keys) for strand in new._by_top.values()
    }
    assert len(kept) > len(old._by_top) - 5, "few strands are taken apart again"


def test_rows_are_made_where_they_are_looked_at() -> None:
    found = lay_out(Strands(many(300)), Folds(every=True))
    assert found[0] == next(iter(found)) and found[-1] == list(found)[-1] and found[3:5] == list(found)[3:5]
    for place, row in enumerate(found):
        assert isinstance(row, LaneRow) and found.find({key_of(row.item)}) == place
    assert found.find({"nobody"}) is None
    folded = lay_out(Strands(line(40)), Folds())
    (place,) = (at for at, row in enumerate(folded) if isinstance(row, FoldRow))
    row = folded[place]
    assert isinstance(row, FoldRow) and folded.find(set(), row.fold) == place
    assert folded.find({key_of(row.nodes[7])}) == place


def sorted_names(sorting: Sorting) -> list[str]:
    """Siblings of DEMO's fork but the trunk's line, which goes on in its lane."""
    strands = Strands(DEMO)
    sorting.arrange(strands)
    fork = strands.holding(full("3f2a11"))
    assert fork is not None
    trunk, *others = map(strands.of, fork.above)
    assert isinstance(trunk, Branch) and trunk.trunk
    return [one.name for one in others if isinstance(one, Branch)]


def test_siblings_are_sorted_by_a_column_and_backwards() -> None:
    """The line 5ab3c0 is b1's too, and sorted as b1 is."""
    assert sorted_names(Sorting(Column.SCORE)) == ["b2", "b1", "b1", "b3", "b4"]
    assert sorted_names(Sorting(Column.SCORE, reverse=True)) == ["b1", "b1", "b2", "b3", "b4"], (
        "none comes last"
    )
    assert sorted_names(Sorting(Column.NAME)) == ["b1", "b1", "b2", "b3", "b4"]
    assert sorted_names(Sorting(Column.NAME, reverse=True)) == ["b4", "b3", "b2", "b1", "b1"]
    assert sorted_names(Sorting(Column.STATE))[-2:] == ["b3", "b4"], "paused, failed"
    assert sorted_names(Sorting(Column.CHANGED))[-2:] == ["b3", "b4"], "they have no machine"


def test_siblings_are_sorted_by_how_their_commands_ended_and_how_busy_they_are() -> None:
    ends = {"failed": 127, "good": 0, "bad": 1, "works": None}
    some: list[Node] = [branch("silent", "3f2a11", BranchState.PAUSED)]
    for busy, (name, code) in enumerate(ends.items()):
        last = LastCommand(1, "make", NOON, exit_code=code)
        some.append(branch(name, "3f2a11", last=last, cpu_percent=busy))

    def names(sorting: Sorting) -> list[str]:
        return [one.name for one in sorting.sort(some, lambda node: node) if isinstance(one, Branch)]

    assert names(Sorting(Column.EXIT)) == ["good", "works", "bad", "failed", "silent"]
    assert names(Sorting(Column.CPU)) == ["works", "bad", "good", "failed", "silent"]


def test_the_key_goes_through_all_columns_and_back_to_none() -> None:
    sorting, seen = Sorting(), []
    for _ in range(len(Column) + 1):
        sorting = sorting.next()
        seen.append(sorting.by)
    assert seen == [*Column, None]


def test_columns_give_way_to_the_name() -> None:
    assert fitting(150, 20) == DRAWN
    assert fitting(72, 20) == ("exit", "score", "cpu", "changed", "when")
    assert fitting(72, 48) == ("exit", "score")
    assert fitting(72, 48, ("score", "bar")) == ("exit", "cpu")
    assert fitting(40, 31) == ()


def at(strands: Strands, name: str) -> Row:
    """The row of a branch, or of a commit whose id begins so."""
    return next(
        row for row in lay_out(strands, Folds()) if not isinstance(row, FoldRow) and row.id.startswith(name)
    )


@pytest.mark.parametrize(
    ("start", "jump", "end"),
    [
        ("b2", Jump.PARENT, "9c01be"),
        ("9c01be", Jump.PARENT, "3f2a11"),
        ("77d05a", Jump.PARENT, ""),
        ("77d05a", Jump.CHILD, "3f2a11"),
        ("main", Jump.CHILD, ""),
        ("b1", Jump.NEXT, "b3"),
        ("b1", Jump.PREVIOUS, "b2"),
        ("main", Jump.PREVIOUS, ""),
        ("b4", Jump.NEXT, ""),
        ("b4", Jump.TRUNK, "main"),
        ("main", Jump.BEST, "b2"),
        ("b2", Jump.BEST, "b1"),
        ("b1", Jump.BEST, "b2"),
    ],
)
def test_jumps(start: str, jump: Jump, end: str) -> None:
    strands = Strands(DEMO)
    node = target(strands, at(strands, start), jump)
    assert (node.name if isinstance(node, Branch) else node.id[:6] if node else "") == end


def test_jumps_from_a_fold() -> None:
    strands = Strands(line(20))
    fold = next(row for row in lay_out(strands, Folds()) if isinstance(row, FoldRow))
    found = [target(strands, fold, jump) for jump in (Jump.PARENT, Jump.CHILD, Jump.NEXT)]
    assert [one and one.id[:6] for one in found] == ["77d05a", "000012", None]
    assert target(Strands(Tree((), (), (), None)), None, Jump.PARENT) is None


def test_ten_thousand_commits_are_laid_out_in_no_time() -> None:
    import time

    tree = many(10_000)
    started = time.process_time()
    shown = lay_out(Strands(tree), Folds())
    assert time.process_time() - started < 0.5, "some 20 ms, ten times that on a busy host"
    assert all(isinstance(row, LaneRow | FoldRow) for row in shown) and isinstance(tree.commits[0], Commit)
