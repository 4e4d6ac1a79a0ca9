"""A change in words, before it is made: what undo and redo would do."""

from collections.abc import Iterator

from core.checkpoints import in_words as policy_words
from core.codec import decode
from core.engine.change import Change
from core.engine.context import Engine
from core.errors import NotFound
from core.reach import in_words


def lines_of(engine: Engine, operation: int) -> list[str]:
    """What taking an operation back would do, or doing again one that was taken back; a line each thing."""
    return list(_lines(engine, decode(Change, engine.catalog.operation(operation).inverse)))


def _lines(engine: Engine, change: Change) -> Iterator[str]:
    for branch in change.restore:
        yield f"branch {_name(engine, branch)} comes back"
    for branch in change.prune:
        yield f"branch {_name(engine, branch)} goes into the trash"
    if change.trunk is not None:
        yield (
            f"{_name(engine, change.trunk)} becomes the trunk"
            if change.trunk
            else "there is no trunk any more"
        )
    for branch, name in change.names.items():
        yield f"{_name(engine, branch)} is called {name}"
    for branch, judgement in change.scores.items():
        score = "no score" if judgement.score is None else f"the score {judgement.score:g}"
        yield f"{_name(engine, branch)} has {score}"
    for branch, commit in change.back.items():
        yield f"{_name(engine, branch)} goes back to commit {commit[:12]}"
    for branch in change.pause:
        yield f"{_name(engine, branch)} is paused"
    for branch in change.resume:
        yield f"{_name(engine, branch)} runs on"
    for branch in change.suspend:
        yield f"{_name(engine, branch)} is suspended"
    for branch in change.wake:
        yield f"{_name(engine, branch)} starts again as it was when it was suspended"
    for branch, idle_s in change.idle.items():
        when = f"when idle for {idle_s} s" if idle_s else "by itself no more"
        yield f"{_name(engine, branch)} is suspended {when}"
    for branch, reach in change.reaches.items():
        yield f"{_name(engine, branch)} may reach: {in_words(reach)}"
    for branch, weight in change.weights.items():
        yield f"{_name(engine, branch)} has the weight {weight}"
    for branch, policy in change.policies.items():
        when = "as the home says" if policy is None else ", ".join(policy_words(policy)) or "never"
        yield f"{_name(engine, branch)} is committed by itself: {when}"
    for commit, tags in change.tags.items():
        yield f"commit {commit[:12]} has {'the tags ' + ' '.join(tags) if tags else 'no tag'}"
    for count, what in (
        (len(change.publish), "published ports come back"), (len(change.unpublish), "published ports close"),
        (len(change.link), "links come back"), (len(change.unlink), "links are cut"),
    ):  # fmt: skip
        if count:
            yield f"{count} {what}"
    for commit in change.show:
        yield f"commit {commit[:12]} comes back{_message(engine, commit)}"
    for commit in change.hide:
        yield f"commit {commit[:12]} goes into the trash{_message(engine, commit)}"


def _name(engine: Engine, branch: str) -> str:
    try:
        return engine.catalog.branch(branch).name
    except NotFound:
        return "one that was pruned for good"


def _message(engine: Engine, commit: str) -> str:
    try:
        message = engine.catalog.commit(commit).message
    except NotFound:
        return ""
    return f": {message}" if message else ""
