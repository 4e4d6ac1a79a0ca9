"""Fields that many verbs have, with their help and bounds, and the rules about them."""

from typing import Annotated

from msgspec import Meta

from core.errors import UsageError
from core.model import LONGEST_MESSAGE, BranchState, check_name
from core.verbs.base import Given, Kind, Shown

LONGEST_NAME_GIVEN = (
    200  # characters; what is longer is no name of anything, and would fill the error that says so
)

Short = Meta(max_length=LONGEST_NAME_GIVEN)
Message = Meta(max_length=LONGEST_MESSAGE)

BranchName = Annotated[str, Given("A branch name or @trunk.", "BRANCH", kind=Kind.BRANCH), Short]
Ref = Annotated[str, Given("A branch, @trunk, a commit id, a tag, or REF~N.", "REF", kind=Kind.REF), Short]
CommitRef = Annotated[str, Given("A commit id, or any REF.", "COMMIT", kind=Kind.COMMIT), Short]
NewName = Annotated[str, Given("The new name.", "NAME", kind=Kind.NAME), Short]


def no_branch(name: str) -> str:
    """Says that there is none."""
    return f"no branch '{name[:40]}': `vertui ls` lists those there are"


def no_commit(ref: str) -> str:
    """Says that a REF names nothing."""
    return f"no commit '{ref[:40]}': `vertui tree` shows those there are"


def not_in(shown: Shown, name: str, *states: BranchState) -> str | None:
    """Why a verb for branches in some states is not for this one."""
    branch = shown.branch(name)
    if branch is None:
        return no_branch(name)
    if branch.state in states:
        return None
    if branch.state is BranchState.STARTING:
        return f"{branch.name} is starting: it will run by itself"
    if branch.state is BranchState.RUNNING:
        return f"{branch.name} is running already"
    return f"{branch.name} is {branch.state}: `vertui resume {branch.name}` lets it run"


def taken(shown: Shown, name: str) -> str | None:
    """Why a name cannot be given: it is none, or somebody has it."""
    try:
        check_name(name)
    except UsageError as error:
        return str(error)
    if name in shown.branches:
        return f"the name '{name}' is taken: choose another, or prune that branch"
    if any(name in commit.tags for commit in shown.commits):
        return f"the name '{name}' is a commit's tag: choose another"
    return None
