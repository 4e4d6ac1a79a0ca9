"""Orders of verbs that `test_verbs_at_random` found to go wrong, each as short as it became."""

from typing import Any

import pytest

from tests.unit.test_verbs_at_random import Verbs

Asked = tuple[str, dict[str, Any]]  # a rule, and what it is given

MAIN: Asked = ("fork_a_commit", {"n": 1, "name": "main", "pick": 0})
UP: Asked = ("up", {"image": "base", "name": "main"})
TWO: Asked = ("fork", {"n": 2, "name": "w", "pick": 0})
WENT_WRONG: dict[str, tuple[Asked, ...]] = {
    "a machine laid on a commit whose row goes meanwhile": (
        MAIN, ("commit", {"message": "", "pick": 0, "wait": False}), ("undo", {}), ("empty_the_trash", {}),
        ("fork", {"n": 1, "name": "a", "pick": 0}),
    ),
    "undo of a branch's return, whose commit was there": (
        MAIN, ("undo", {}), ("take_out_of_the_trash", {"pick": 57}), ("take_out_of_the_trash", {"pick": 52}),
        ("undo", {}),
    ),
    "undo of a fork of a commit that nothing else needs": (
        MAIN, ("prune", {"now": False, "picks": [0]}), ("take_out_of_the_trash", {"pick": 1}),
        ("fork_a_commit", {"n": 1, "name": "main", "pick": 32}), ("undo", {}),
    ),
    "undo of a restore to a commit that nothing else needed, once the machine has ended": (
        MAIN, ("pause", {"pick": 0}), ("restore", {"pick": 0, "which": 0}), ("restore", {"pick": 0, "which": 2}),
        ("a_machine_ends", {"pick": 0}), ("undo", {}),
    ),
    "undo of a promote whose former trunk was removed for good": (
        ("up", {"image": "base", "name": "main"}), ("fork", {"n": 2, "name": "main", "pick": 0}),
        ("promote", {"pick": 1, "prune_losers": False}), ("prune", {"now": True, "picks": [0]}), ("undo", {}),
        ("promote", {"pick": 0, "prune_losers": False}),
    ),
    "redo of a promote whose trunk was removed for good": (
        ("up", {"image": "base", "name": "main"}), ("up", {"image": "base", "name": "a"}),
        ("promote", {"pick": 1, "prune_losers": False}), ("prune", {"now": True, "picks": [0, 1]}), ("undo", {}),
        ("redo", {}),
    ),
    "apply between branches of one commit, reached by way of one in the trash": (
        ("up", {"image": "base", "name": "main"}), ("up", {"image": "base", "name": "x"}),
        ("commit", {"message": "", "pick": 0, "wait": True}), ("commit", {"message": "", "pick": 0, "wait": True}),
        ("prune_a_commit", {"now": False, "pick": 2}), ("apply", {"pick": 0, "into": 1}),
    ),
    "undo of a prune after the branch's head, which a tag had kept, was removed for good": (
        MAIN, ("pause", {"pick": 0}), ("commit", {"message": "", "pick": 0, "wait": True}),
        ("tag", {"name": "good", "pick": 2}), ("prune", {"now": False, "picks": [0]}),
        ("prune_a_commit", {"now": True, "pick": 2}), ("undo", {}),
    ),
    "undo at a fork, a child of which was removed for good, and for ever": (
        UP, TWO, ("prune", {"now": True, "picks": [1]}), ("undo", {}), ("undo", {}), ("redo", {}),
    ),
    "undo of a commit that a fork stands on which cannot be undone": (
        UP, ("commit", {"message": "one", "pick": 0, "wait": False}), TWO, ("prune", {"now": True, "picks": [1]}),
        ("undo", {}), ("undo", {}), ("undo", {}), ("redo", {}),
    ),
    "undo of a fork before another that cannot be undone": (
        UP, ("fork", {"n": 2, "name": "b", "pick": 0}), TWO, ("prune", {"now": True, "picks": [4]}), ("undo", {}),
        ("undo", {}), ("redo", {}), ("undo", {}), ("undo", {}),
    ),
    "undo of what was made of a branch that went with another, which was removed for good": (
        UP, ("up", {"image": "base", "name": "a"}), ("rename", {"name": "x", "pick": 1}), ("pause", {"pick": 1}),
        ("prune", {"now": False, "picks": [0, 1]}), ("empty_the_trash", {}), ("undo", {}), ("undo", {}),
        ("undo", {}), ("undo", {}), ("undo", {}),
    ),
    "undo of a promote before another that cannot be undone": (
        UP, TWO, ("promote", {"pick": 1, "prune_losers": False}), ("promote", {"pick": 2, "prune_losers": True}),
        ("empty_the_trash", {}), ("undo", {}), ("undo", {}), ("undo", {}), ("undo", {}),
    ),
    "return of a branch whose port on the host is another's meanwhile": (
        UP, ("publish", {"pick": 0, "port": "80", "trunk": False, "verb": "publish"}),
        ("fork", {"n": 2, "name": "main", "pick": 0}), ("undo", {}), ("fork", {"n": 1, "name": "a", "pick": 0}),
        ("take_out_of_the_trash", {"pick": 0}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("asked", WENT_WRONG.values(), ids=WENT_WRONG)
def test_what_went_wrong_once(asked: tuple[Asked, ...]) -> None:
    verbs = Verbs()
    try:
        for name, given in asked:
            getattr(verbs, name)(**given)
            verbs.all_is_as_the_model_says()
            verbs.machines_are_those_of_branches_and_distinct()
    finally:
        verbs.teardown()
