"""The lane graph is a pure function: its shape, its order, its width and its speed."""

import random
import time
from itertools import pairwise

from msgspec.structs import replace

from core.model import Branch, BranchState, Commit, CommitState, Origin, Tree
from vertui.lanes import LaneRow, NodeKind, rows


def commit(name: str, *parents: str, created: float = 0.0) -> Commit:
    return Commit(name, name, parents, "main", "i", name, created, CommitState.SEALED, quiesced=True)


def branch(name: str, head: str, trunk: bool = False, state: BranchState = BranchState.RUNNING) -> Branch:
    return Branch(
        id=name,
        name=name,
        state=state,
        reason="because",
        image="i",
        head=head,
        parent=None,
        parent_branch=None,
        created=0.0,
        trunk=trunk,
    )


def tree(commits: list[Commit], branches: list[Branch]) -> Tree:
    trunk = next((one.name for one in branches if one.trunk), None)
    return Tree(tuple(branches), tuple(commits), (), trunk)


def drawn(value: Tree) -> list[str]:
    return [f"{row.graph} {row.id}" for row in rows(value)]


def test_an_empty_tree_has_no_rows() -> None:
    assert rows(tree([], [])) == []


def test_children_of_a_fork_hang_on_their_commit_with_the_trunk_on_top() -> None:
    value = tree(
        [commit("c0"), commit("c1", "c0")],
        [branch(name, "c1", trunk=name == "main") for name in ("b1", "b10", "b2", "main")],
    )
    assert drawn(value) == ["● main", "├─● b1", "├─● b2", "├─● b10", "○ c1", "○ c0"]


def test_a_side_line_is_drawn_whole_and_joins_the_lane_of_its_parent() -> None:
    commits = [commit("c0"), commit("c1", "c0", created=1), commit("c2", "c0", created=2), commit("c3", "c2")]
    value = tree(commits, [branch("main", "c1", trunk=True), branch("b1", "c3"), branch("b2", "c0")])
    assert drawn(value) == ["● main", "○ c1", "│ ● b1", "│ ○ c3", "├─○ c2", "├─● b2", "○ c0"]


def test_newer_work_stands_above_older_and_the_children_of_a_fork_together() -> None:
    old = [replace(branch(f"old{number}", "c1"), created=10.0) for number in (1, 2)]
    new = [replace(branch(f"try{number}", "c1"), created=20.0 + number) for number in (1, 2, 10)]
    newest = replace(branch("x", "c2"), created=99.0)
    commits = [commit("c0"), commit("c1", "c0"), commit("c2", "c1", created=5)]
    value = tree(commits, [branch("main", "c1", trunk=True), *old, *new, newest])
    assert [row.id for row in rows(value)] == [
        "main", "x", "c2", "try1", "try2", "try10", "old1", "old2", "c1", "c0",
    ]  # fmt: skip


def test_two_images_are_two_graphs() -> None:
    value = tree([commit("a0"), commit("z0")], [branch("main", "z0", trunk=True)])
    assert drawn(value) == ["● main", "○ z0", "○ a0"]


def test_a_node_whose_parent_is_not_there_is_a_root() -> None:
    assert drawn(tree([commit("c1", "gone")], [branch("b1", "elsewhere")])) == ["○ c1", "● b1"]


def test_state_shows_in_the_mark_and_in_words() -> None:
    value = tree(
        [replace(commit("c0"), state=CommitState.GONE, quiesced=False, tags=("v1",))],
        [branch("b1", "c0", state=BranchState.FAILED)],
    )
    first, second = rows(value)
    assert (first.mark.glyph, first.mark.colour, first.text) == ("✗", "red", "b1  failed  because")
    assert second.text == "c0  [v1]  c0  gone  unquiesced"
    assert (first.kind, second.kind) == (NodeKind.BRANCH, NodeKind.COMMIT)


def test_a_message_cannot_send_escape_sequences() -> None:
    (row,) = rows(tree([replace(commit("c0"), message="a\x1b[31m\nb")], []))
    assert row.text == "c0  a\\x1b[31m\\x0ab"


def joins(graph: list[LaneRow]) -> bool:
    """Every row's lines meet what the row above and below draw in the same lane."""
    return all(below.lane >= segment.lane for above, below in pairwise(graph) for segment in above.lanes)


def test_a_long_chain_with_stubs_stays_narrow_and_quick() -> None:
    commits = [commit("c0")] + [commit(f"c{n}", f"c{n - 1}", created=n) for n in range(1, 5000)]
    branches = [branch(f"b{n}", f"c{n}", trunk=n == 4999) for n in range(5000)]
    started = time.process_time()
    graph = rows(tree(commits, branches))
    assert time.process_time() - started < 1
    assert len(graph) == 10000
    assert max(row.lane for row in graph) == 1


def test_random_trees_are_whole_ordered_and_narrow() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(20):
        count = chance.randrange(2, 300)
        commits = [commit("c0")] + [
            commit(f"c{n}", f"c{chance.randrange(n)}", created=n) for n in range(1, count)
        ]
        graph = rows(tree(commits, [branch("main", f"c{chance.randrange(count)}", trunk=True)]))
        place = {row.id: index for index, row in enumerate(graph)}
        assert len(place) == count + 1
        assert all(place[one.id] < place[one.parents[0]] for one in commits if one.parents)
        assert max(row.lane for row in graph) <= 2 + (count + 1).bit_length()
        assert joins(graph)


def test_a_foreign_commit_says_so_until_it_is_trusted() -> None:
    told = [
        replace(commit(name), origin=origin)
        for name, origin in (("a", Origin.FOREIGN), ("b", Origin.TRUSTED))
    ]
    assert ["foreign" in row.text for row in sorted(rows(tree(told, [])), key=lambda row: row.id)] == [
        True,
        False,
    ]
