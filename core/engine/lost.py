"""Why a change can be made no more, whatever is done first: what it needs was removed for good, or something that
cannot be taken back stands in its way. Undo and redo pass over such an operation.
"""

from collections.abc import Iterator

from core.catalog_values import BranchRow
from core.checkpoints import Trigger
from core.engine.change import Change
from core.engine.context import Engine
from core.errors import NotFound
from core.links import ends_of
from core.model import BranchState, CommitState
from core.refs import PROXY, TRUNK
from core.startable import gone

ANY_BRANCH = (TRUNK, PROXY)


def why_lost(engine: Engine, change: Change) -> str:
    """The reason, empty while there is none."""
    try:
        _look_up(engine, change)
    except NotFound as error:
        return f"{error}: it was removed for good, so this cannot be taken back"
    return next((reason for find in _FINDERS for reason in find(engine, change)), "")


def _look_up(engine: Engine, change: Change) -> None:
    """NotFound unless everything named is there, in the trash maybe."""
    for branch in (
        *change.prune, *change.restore, *change.heads, *change.names, *change.scores, *change.back, *change.lead,
        *filter(None, [change.trunk]), *change.reaches, *change.weights, *change.policies, *change.pause,
        *change.resume, *change.suspend, *change.wake, *change.idle,
    ):  # fmt: skip
        engine.catalog.branch(branch)
    for commit in (
        *change.hide, *change.show, *change.heads.values(), *change.tags, *change.back.values(),
        *change.lead.values(),
    ):  # fmt: skip
        engine.catalog.commit(commit)
    for port in change.unpublish:
        engine.catalog.port(port)
    for row in change.publish:
        if row.branch not in ANY_BRANCH:
            engine.catalog.branch(row.branch)
    for linked in change.unlink:
        engine.catalog.link(linked)
    for end in ends_of(change.link):
        engine.catalog.branch(end)


def _without_content(engine: Engine, change: Change) -> Iterator[str]:
    heads = {row.name: row.head for row in engine.catalog.branches()}
    for commit in map(engine.catalog.commit, change.back.values()):
        if commit.state is CommitState.GONE:
            yield gone(commit, engine.commits(), heads)


def _in_the_trash(engine: Engine, change: Change) -> Iterator[str]:
    """What is to be changed must be shown. What is to be shown again may be, as when its machine did not start: that is
    tried again.
    """
    for branch in (
        *change.prune, *change.heads, *change.names, *change.scores, *change.back, *change.reaches, *change.pause,
        *change.resume, *change.suspend, *change.wake, *change.idle, *filter(None, [change.trunk]),
    ):  # fmt: skip
        row = engine.catalog.branch(branch)
        if row.deleted and branch not in change.restore:
            yield f"branch {row.name} is in the trash"


def _awake_by_now(engine: Engine, change: Change) -> Iterator[str]:
    """Somebody needed it, or resumed it."""
    for row in map(engine.catalog.branch, change.wake):
        if row.state is not BranchState.SUSPENDED:
            yield f"branch {row.name} is not suspended any more"


def _built_upon(engine: Engine, change: Change) -> Iterator[str]:
    """A commit is not taken from under what stands on it."""
    if not (change.prune or change.restore):
        for row in map(engine.catalog.branch, change.heads):
            if not (is_a_step(engine, change, row.id) or _only_by_itself(engine, change, row)):
                yield f"branch {row.name} was committed since: {row.head[:12]} would be lost"
    moved = {*change.prune, *change.heads}
    for row in engine.catalog.branches():
        if row.head in change.hide and row.id not in moved:
            yield f"branch {row.name} stands on commit {row.head[:12]} by now"


def _only_by_itself(engine: Engine, change: Change, row: BranchRow) -> bool:
    """Was a branch committed by nobody since the commit that is to be taken back? Such a commit stays its head."""
    made, commit = change.heads_from.get(row.id), engine.catalog.commit(row.head)
    while made is not None and commit.checkpoint is not Trigger.NONE and commit.parents:
        if made in commit.parents:
            return True
        commit = engine.catalog.commit(commit.parents[0])
    return False


def _trunk_elsewhere(engine: Engine, change: Change) -> Iterator[str]:
    trunk = engine.catalog.setting("trunk")
    if change.trunk_from is not None and trunk not in (None, change.trunk_from):
        yield f"the trunk is {engine.catalog.name_of(trunk)} by now"


def is_a_step(engine: Engine, change: Change, branch: str) -> bool:
    """Does a branch's head move by the one commit that was made or is taken back?"""
    now, head = engine.catalog.branch(branch).head, change.heads[branch]
    if branch in change.heads_from:
        return now in (head, change.heads_from[branch])
    return (
        now == head
        or head in engine.catalog.commit(now).parents
        or now in engine.catalog.commit(head).parents
    )


_FINDERS = (_without_content, _in_the_trash, _awake_by_now, _built_upon, _trunk_elsewhere)
