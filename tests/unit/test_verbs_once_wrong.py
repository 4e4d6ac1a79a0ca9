"""Orders of verbs that `test_verbs_at_random` found to go wrong, each as short as it became."""

from typing import Any

import pytest

from tests.unit.test_verbs_at_random import Verbs

Asked = tuple[str, dict[str, Any]]  # a rule, and what it is given

MAIN: Asked = ("fork_a_commit", {"n": 1, "name": "main", "pick": 0})
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
