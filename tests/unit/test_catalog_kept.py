"""What the catalog keeps of its rows is what is in the file, whatever was written, undone or rolled back."""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from core.catalog import Catalog
from core.catalog_values import BranchRow
from core.errors import NotFound
from core.model import BranchState, Commit, CommitState

IDS = [f"{number:040x}" for number in range(12)]


class TakenBack(Exception):
    """A transaction that is not to be."""


def commit(dice: random.Random, id: str) -> Commit:
    parents = tuple(dice.sample(IDS, dice.randrange(3)))
    return Commit(
        id,
        "s" * 40,
        parents,
        "b",
        "image",
        "m",
        float(dice.randrange(4)),
        CommitState.SEALED,
        dice.random() < 0.5,
    )


def branch(dice: random.Random, id: str) -> BranchRow:
    deleted = dice.choice([None, 1.0])
    number = IDS.index(id) + 1
    return BranchRow(
        id, f"b{number}", BranchState.STOPPED, "", "image", IDS[0], None, None, float(dice.randrange(4)), number,
        deleted=deleted,
    )  # fmt: skip


def write(dice: random.Random, catalog: Catalog) -> None:
    """One of the ways in which rows change."""
    id = dice.choice(IDS)
    ways: list[Callable[[], object]] = [
        lambda: catalog.put_commit(commit(dice, id)),
        lambda: catalog.put_commit(commit(dice, id)),
        lambda: catalog.mark_commit(id, dice.choice([None, 5.0])),
        lambda: catalog.set_tags(id, [f"t{dice.randrange(3)}"]),
        lambda: catalog.delete_commit(id),
        lambda: catalog.put_branch(branch(dice, id)),
        lambda: catalog.put_branch(branch(dice, id)),
        lambda: catalog.change_branch(id, reason=str(dice.random())),
        lambda: catalog.delete_branch(id),
        lambda: catalog.set_setting("trunk", id),
    ]
    with suppress(NotFound):
        dice.choice(ways)()


def lists(catalog: Catalog) -> list[object]:
    """All that is kept, each list by its ids: of two that were made at once either may come first."""
    found: list[object] = []
    for deleted in (False, True):
        commits, branches = catalog.commits(deleted=deleted), catalog.branches(deleted=deleted)
        for rows in (commits, branches):
            assert [row.created for row in rows] == sorted(row.created for row in rows)
        found += [{row.id: row for row in commits}, {row.id: row for row in branches}]
    return found


@pytest.mark.parametrize("seed", range(20))
def test_what_is_kept_is_what_is_written(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    catalog = Catalog(tmp_path / "catalog.db")
    for _ in range(60):
        with suppress(TakenBack), catalog.transaction():
            for _ in range(dice.randrange(1, 5)):
                write(dice, catalog)
                if dice.random() < 0.3:
                    lists(catalog)  # in the middle of it
            if dice.random() < 0.3:
                raise TakenBack
        fresh = Catalog(tmp_path / "catalog.db")
        assert lists(catalog) == lists(fresh)
        fresh.close()
    catalog.close()
