"""What a swarm's tries are forked from: its base, or a fork of that in which something was made ready first."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from msgspec import Struct

from core.errors import GuestFailed, NotFound
from core.model import Commit
from core.refs import TRUNK
from core.startable import nearest_asked
from core.verbs.shown import Shown
from vertui.swarm.steps import Swarm


class SwarmOrigin(Struct, frozen=True):
    """Where a swarm began: the commit of its base, and the trunk then, by its id, with its head or the nearest commit
    before it that somebody asked for; "" where there was none. `is_trunk` tells whether the base was the trunk, or a
    commit that it comes from: then what the trunk did since that commit counts.
    """

    commit: str
    trunk: str = ""
    head: str = ""
    is_trunk: bool = False


@dataclass(frozen=True)
class Ready:
    """What is to be forked, and the branch that was made for it, if one was."""

    ref: str
    branch: str = ""


def make_ready(swarm: Swarm, *, own: bool = False) -> Ready:
    """Put the files in, and run what prepares: in a fork of the base, so that the base stays as it is. With `own` there
    is such a fork in any case.
    """
    spec = swarm.record.spec
    if not (spec.files or spec.prepare or own):
        return Ready(spec.base)
    name = f"{swarm.name}-base"
    made = swarm.fork(spec.base, prefix=name, egress=())
    remember_origin(swarm, made.commit)
    if made.failed:
        raise GuestFailed(f"{name} did not start: {made.failed[name]}")
    for here, there in spec.files.items():
        swarm.say(f"{here} → {name}:{there}")
        swarm.once(f"put {there}", partial(_put, swarm, here, name, there), bool)
    if spec.prepare:
        swarm.say(f"{name}: {spec.prepare}")
        done = swarm.run(name, spec.prepare)
        if done.code:
            last = done.text.strip().split("\n")[-1]
            raise GuestFailed(
                f"what prepares ended with {done.code} in {name}: {last or 'it printed nothing'}"
            )
    return Ready(name, name)


def remember_origin(swarm: Swarm, commit: str) -> SwarmOrigin:
    """Where it began, as that was when its base was forked at this commit."""
    return swarm.once("origin", lambda _: _origin(swarm, commit), SwarmOrigin)


def _origin(swarm: Swarm, commit: str) -> SwarmOrigin:
    tree = swarm.tree()
    trunk = next((branch for branch in tree.branches if branch.trunk), None)
    if trunk is None:
        return SwarmOrigin(commit)
    base = swarm.record.spec.base
    shown = Shown(tree).branch(base)
    is_trunk = base == TRUNK or (shown is not None and shown.id == trunk.id)
    is_trunk |= shown is None and commit in _line(tree.commits, trunk.head)
    head = commit if is_trunk else nearest_asked(trunk.head, tree.commits)
    return SwarmOrigin(commit, trunk.id, head, is_trunk)


def _line(commits: Iterable[Commit], head: str) -> set[str]:
    """A commit and all that it comes from."""
    parents = {one.id: one.parents for one in commits}
    waiting, found = [head], set[str]()
    while waiting:
        if (one := waiting.pop()) not in found:
            found.add(one)
            waiting += parents.get(one, ())
    return found


def _put(swarm: Swarm, here: str, branch: str, there: str, _: str) -> bool:
    try:
        swarm.again(lambda: swarm.hands.put_in(here, branch, there))
    except NotFound as error:
        raise NotFound(f"files: {error}") from error
    return True
