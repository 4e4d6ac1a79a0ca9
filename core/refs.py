"""What a REF means: a branch, `@trunk`, a tag or the first digits of a commit's id, each with `~N`; or BRANCH@crash.

The one rule that engine, command line and UI share; so nothing that takes long to import is needed for it.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import Ambiguous, Conflict, NotFound, UsageError
from core.model import HEX, SHORTEST_PREFIX, Commit, check_name

TRUNK = "@trunk"  # whichever branch that is
LONGEST = 40  # characters of a name that an error repeats
PROXY = "@proxy"  # of a published port: every branch, by the name in each request
CRASH = "@crash"  # behind a branch: the disk that its machine left when it died
REF = re.compile(rf"(?P<name>@trunk|[a-z0-9][a-z0-9-]*)(?:~(?P<back>\d{{1,6}})|(?P<crash>{CRASH}))?")


@dataclass(frozen=True)
class Ref:
    """What a REF names: a commit, and the branch when it was named by branch and without `~`; with `crash` the disk
    that this branch's machine left, and of the commit only that the branch stands on it.
    """

    commit: str
    branch: str | None = None
    crash: bool = False


def resolve(text: str, commits: Sequence[Commit], heads: Mapping[str, str], trunk: str | None) -> Ref:
    """What a REF means: branch name, `@trunk`, tag, commit id prefix, each with `~N`; or a branch with `@crash`.
    `heads` are by branch name.
    """
    match = REF.fullmatch(text)
    if not match:
        raise UsageError(
            f"'{text[:40]}' is no REF: give a branch, @trunk, a tag or a commit id, maybe with ~N"
        )
    name = match["name"]
    if name == TRUNK:
        if trunk is None:
            raise NotFound("there is no trunk yet: run `vertui up`")
        name = trunk
    steps = int(match["back"] or 0)
    if match["crash"]:
        if name not in heads:
            raise NotFound(unknown(name, heads))
        return Ref(heads[name], name, crash=True)
    if name in heads:
        branch = None if match["back"] else name
        return Ref(_back(heads[name], steps, commits), branch)
    return Ref(_back(_commit(name, commits, heads), steps, commits))


def no_commit(branch: str) -> UsageError:
    """Says that a crash disk is not what a commit is, and what can be done with one."""
    return UsageError(
        f"{branch}{CRASH} is a disk without a machine's memory: `diff`, `patch`, `export-files` and `apply` take it,"
        f" `vertui recover {branch} --from-crash-disk` boots it"
    )


def no_crash(branch: str) -> NotFound:
    """Says that a branch has no crash disk."""
    return NotFound(
        f"{branch} has no crash disk: no machine of it died with anything written since its commit"
    )


def unknown(name: str, names: Iterable[str], what: str = "branch") -> str:
    """Says that nothing has this name, and which of those there are may be meant."""
    from difflib import get_close_matches  # seldom needed, and `ls` can do without

    near = " or ".join(get_close_matches(name[:LONGEST], list(names), n=2))
    help_ = f"did you mean {near}?" if near else "`vertui ls` lists those there are"
    return f"no {what} '{name[:LONGEST]}': {help_}"


def check_new(names: Iterable[str], branches: Container[str], commits: Iterable[Commit]) -> None:
    """Names for new branches or tags: UsageError for one that is none, Conflict for one that somebody has."""
    tags = {tag for commit in commits for tag in commit.tags}
    for name in names:
        check_name(name)
        if name in branches:
            raise Conflict(f"the name '{name}' is taken: choose another, or prune that branch")
        if name in tags:
            raise Conflict(f"the name '{name}' is a commit's tag: choose another")


def _commit(name: str, commits: Sequence[Commit], branches: Iterable[str]) -> str:
    tagged = [commit.id for commit in commits if name in commit.tags]
    if tagged:
        return tagged[-1]
    if not HEX.fullmatch(name):
        tags = (tag for commit in commits for tag in commit.tags)
        raise NotFound(unknown(name, (*branches, *tags), "branch or tag"))
    if len(name) < SHORTEST_PREFIX:
        raise UsageError(f"'{name}' is too short for a commit id: give at least {SHORTEST_PREFIX} digits")
    found = [commit.id for commit in commits if commit.id.startswith(name)]
    if not found:
        raise NotFound(f"no commit {name[:12]}: `vertui tree` shows those there are")
    if len(found) > 1:
        raise Ambiguous(
            f"{name} may be any of {', '.join(commit[:12] for commit in found[:8])}: give more digits"
        )
    return found[0]


def _back(commit: str, steps: int, commits: Sequence[Commit]) -> str:
    """The commit `steps` first parents before."""
    parents = {each.id: each.parents for each in commits} if steps else {}
    for _ in range(steps):
        if not parents.get(commit):
            raise NotFound(f"commit {commit[:12]} has no ancestor that far back")
        commit = parents[commit][0]
    return commit
