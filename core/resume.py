"""Which branches `resume` can bring back, and from which commit: the one rule that engine, command line and UI share.

A branch starts from its head. When that is gone (it was still in memory when the host died) it starts from the nearest
of its ancestors that is not.
"""

from collections.abc import Iterable, Mapping, Sequence

from core.model import Branch, BranchState, Commit, CommitState, Origin

Commits = Mapping[str, Commit]


def resumable(branch: Branch, commits: Sequence[Commit]) -> str | None:
    """Why `resume` would refuse a branch, in one line that names what helps; None when it would not.

    `commits` are a tree's: each names its nearest kept ancestors as its parents.
    """
    if branch.state is BranchState.RUNNING:
        return f"{branch.name} is running already"
    if branch.state is BranchState.STARTING:
        return f"{branch.name} is starting: it will run by itself"
    if branch.state is BranchState.PAUSED:
        return None
    start = starting_point(branch, commits)
    if start is None:
        return (
            f"no commit that {branch.name} could start from is left: `vertui prune {branch.name}` removes it"
        )
    if start.origin is Origin.FOREIGN:
        return f"{branch.name} lies on a foreign commit: `vertui fork {start.id[:12]} --trust` starts it"
    return None


def starting_point(branch: Branch, commits: Iterable[Commit]) -> Commit | None:
    """The commit a branch without a machine starts from: its head, or its nearest ancestor that is not gone.

    Where the line back to it was pruned for good the golden commit of its image is still an ancestor.
    """
    by_id = {commit.id: commit for commit in commits}
    return nearest_kept(branch.head, by_id) or next(
        (c for c in by_id.values() if c.image == branch.image and not c.parents and c.origin is Origin.HERE),
        None,
    )


def nearest_kept(commit: str, commits: Commits) -> Commit | None:
    """A commit, or if it is gone the nearest of its ancestors that is not; None when none is among `commits`."""
    waiting, seen = [commit], set[str]()
    for candidate in waiting:  # grows as it is read: parents come after all that is nearer
        found = commits.get(candidate)
        if found is None or candidate in seen:
            continue
        if found.state is not CommitState.GONE:
            return found
        seen.add(candidate)
        waiting.extend(found.parents)
    return None
