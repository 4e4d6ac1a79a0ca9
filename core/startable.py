"""What a machine can be started from, and why not: the rules that engine, command line and UI share.

A branch starts from its head. When that is gone (it was still in memory when the host died) it starts from the nearest
of its ancestors that is not.
"""

from collections.abc import Iterable, Mapping

from core.checkpoints import Trigger
from core.model import Branch, BranchState, Commit, CommitState, Origin


def resumable(branch: Branch, commits: Iterable[Commit]) -> str | None:
    """Why `resume` would refuse a branch, in one line that names what helps; None when it would not.

    `commits` are a tree's: each names its nearest kept ancestors as its parents.
    """
    if reason := runs(branch):
        return reason
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


def runs(branch: Branch) -> str | None:
    """That a branch runs, or will; None when it does not."""
    if branch.state is BranchState.RUNNING:
        return f"{branch.name} is running already"
    if branch.state is BranchState.STARTING:
        return f"{branch.name} is starting: it will run by itself"
    return None


def forkable(
    commit: Commit, commits: Iterable[Commit], heads: Mapping[str, str], *, trust: bool = False
) -> str | None:
    """Why no branch could be made of a commit, in one line that names what helps; None when one could. `trust` is for
    an imported commit. `heads` are the branches' by their names.
    """
    if commit.state is CommitState.GONE:
        return gone(commit, commits, heads)
    if commit.origin is Origin.FOREIGN and not trust:
        return foreign(commit)
    return None if commit.quiesced else unquiesced(commit)


def gone(commit: Commit, commits: Iterable[Commit], heads: Mapping[str, str]) -> str:
    """That a commit's content is gone, and what is the nearest to it that can be had."""
    branch = next((name for name, head in heads.items() if head == commit.id), None)
    left = nearest_kept(commit.id, commits)
    again = f"resume {branch}" if branch else f"fork {left.id[:12]}" if left else "image build"
    start = f" from {left.id[:12]}, its nearest ancestor that is not" if left else ""
    return f"commit {commit.id[:12]} is gone, it was in memory when the host died: `vertui {again}` starts{start}"


def foreign(commit: Commit) -> str:
    """That a commit was made elsewhere, and nobody has said to trust it."""
    return (
        f"commit {commit.id[:12]} was imported, and QEMU would load device state that somebody else wrote:"
        f" `vertui fork {commit.id[:12]} --trust` if you trust where it comes from"
    )


def unquiesced(commit: Commit) -> str:
    """That a commit was made of a guest that could not be frozen."""
    return f"commit {commit.id[:12]} is unquiesced: it restores its own branch, but is not forkable"


def starting(branch: Branch) -> str | None:
    """Why a branch cannot be replaced or removed while another verb makes a machine for it; None when none does."""
    if branch.state is BranchState.STARTING:
        return f"branch {branch.name} is starting: wait until it runs, and try again"
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


def nearest_asked(commit: str, commits: Iterable[Commit], until: str = "") -> str:
    """A commit, or if nobody asked for it the nearest of its ancestors that is `until` or that somebody asked for."""
    by_id = {each.id: each for each in commits}
    while commit != until and (found := by_id.get(commit)) is not None and found.parents:
        if found.checkpoint is Trigger.NONE:
            break
        commit = found.parents[0]
    return commit
