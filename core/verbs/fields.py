"""Fields that many verbs have, with their help and bounds, and the rules about them."""

from typing import Annotated

from msgspec import Meta

from core.errors import NotFound, VertuiError
from core.model import LONGEST_MESSAGE, BranchState
from core.refs import check_new, unknown
from core.startable import runs
from core.verbs.base import Given, Kind
from core.verbs.refusal import Refusal
from core.verbs.shown import Shown

LONGEST_GIVEN = 200  # characters; what is longer names nothing, and would fill the error that says so

Short = Meta(max_length=LONGEST_GIVEN)
Message = Meta(max_length=LONGEST_MESSAGE)

BranchName = Annotated[str, Given("A branch name or @trunk.", "BRANCH", kind=Kind.BRANCH), Short]
Ref = Annotated[str, Given("A branch, @trunk, a commit id, a tag, or REF~N.", "REF", kind=Kind.REF), Short]
CommitRef = Annotated[str, Given("A commit id, or any REF.", "COMMIT", kind=Kind.COMMIT), Short]
SecretName = Annotated[str, Given("Its name, as a variable's.", "NAME", kind=Kind.SECRET), Short]
NewName = Annotated[str, Given("The new name.", "NAME", kind=Kind.NAME), Short]


def no_branch(shown: Shown, name: str) -> Refusal:
    """Says that there is none."""
    return Refusal(unknown(name, shown.branches), NotFound)


def no_image(name: str) -> Refusal:
    """Says that there is none."""
    return Refusal(f"no image '{name[:40]}': `vertui image ls` lists those there are", NotFound)


def not_in(shown: Shown, name: str, *states: BranchState) -> Refusal | None:
    """Why a verb for branches in some states is not for this one."""
    branch = shown.branch(name)
    if branch is None:
        return no_branch(shown, name)
    if branch.state in states:
        return None
    if at_work := runs(branch):
        return Refusal(at_work)
    reason = f" ({branch.reason})" if branch.reason else ""
    return Refusal(f"{branch.name} is {branch.state}{reason}: `vertui resume {branch.name}` lets it run")


def taken(shown: Shown, name: str) -> Refusal | None:
    """Why a name cannot be given: it is none, or somebody has it."""
    try:
        check_new([name], shown.branches, shown.commits)
    except VertuiError as error:
        return Refusal(str(error), type(error))
    return None
