"""Which branches `resume` can bring back, and from which commit: the one rule that engine, command line and UI share.

A branch starts from its head. When that is gone (it was still in memory when the host died) it starts from the nearest
of its ancestors that is not.
"""

from collections.abc import Iterable

from core.model import Branch, BranchState, Commit, CommitState, Origin


def resumable(branch: Branch, commits: Iterable[Commit]) -> str | None:
    """Why `resume` would refuse a branch, in one line that names what helps; None when it would not.

    `commits` are a tree's: each names its nearest kept ancestors as its parents.
    """
    if branch.state is BranchState.RUNNING:
        return f"{branch.name} is running already"
    if branch.state is BranchState.STARTING:
        return f"{branch.name} is starting: it will run by itself"
    if branch.state is BranchState.PAUSED:
        return None
    start = nearest_kept(branch.head, commits)
    if start is None:
        return (
            f"no commit that {branch.name} could start from is left: `vertui prune {branch.name}` removes it"
        )
    if start.origin is Origin.FOREIGN:
        return f"{branch.name} lies on a foreign commit: `vertui fork {start.id[:12]} --trust` starts it"
    return None


def nearest_kept(commit: str, commits: Iterable[Commit]) -> Commit | None:
    """A commit, or if it is gone the nearest of its ancestors that is not; None when none is among `commits`."""
    by_id = {each.id: each for each in commits}
    waiting, seen = [commit], set[str]()
    for candidate in waiting:  # grows as it is read: parents come after all that is nearer
        found = by_id.get(candidate)
        if found is None or candidate in seen:
            continue
        if found.state is not CommitState.GONE:
            return found
        seen.add(candidate)
        waiting.extend(found.parents)
    return None
