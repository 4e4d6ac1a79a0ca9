"""Links on the screen: in a branch's details, and by keys, for branches that are marked."""

from msgspec.structs import replace

from tests.ui.conftest import Show
from tests.ui.looks import until_seen
from tests.ui.trees import DEMO, HandMadeFeed
from vertui.actions import BY_ID
from vertui.selection import Selection

LINKED = replace(
    DEMO,
    branches=tuple(
        replace(branch, links=("b1", "b2")) if branch.name == "main" else branch for branch in DEMO.branches
    ),
)


async def test_details_show_whom_a_branch_reaches(show: Show) -> None:
    async with show(HandMadeFeed(LINKED)) as pilot:
        await until_seen(pilot, "linked with", "b1 b2")


def test_marked_branches_are_linked_and_one_alone_is_not() -> None:
    main, b1, b2 = (next(one for one in DEMO.branches if one.name == name) for name in ("main", "b1", "b2"))
    link, unlink = BY_ID["link"], BY_ID["unlink"]
    assert "give two branches or more" in (link.refuse(Selection(DEMO, main)) or "")
    both = Selection(DEMO, main, (b1, b2))
    assert link.refuse(both) is None and link.command(both) == "vertui link b1 b2"
    assert "none of b1, b2 are linked" in (unlink.refuse(both) or "")
    assert "main and b1 are linked already" in (link.refuse(Selection(LINKED, main, (main, b1))) or "")
    alone = Selection(LINKED, next(one for one in LINKED.branches if one.name == "main"))
    assert unlink.refuse(alone) is None and unlink.command(alone) == "vertui unlink main"
