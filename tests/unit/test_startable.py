"""What can be started: every state of a branch, every kind of commit."""

import pytest
from msgspec.structs import replace

from core.model import Branch, BranchState, Commit, CommitState, Origin
from core.startable import forkable, nearest_kept, resumable

GOLDEN = Commit("a" * 64, "s", (), "", "base-1", "golden", 0.0, CommitState.SEALED, quiesced=True)
FIRST = replace(GOLDEN, id="b" * 64, parents=(GOLDEN.id,), branch="main")
HEAD = replace(GOLDEN, id="c" * 64, parents=(FIRST.id,), branch="main")
MAIN = Branch("1", "main", BranchState.SUSPENDED, "", "base-1", HEAD.id, None, None, 0.0)
STARTED = (BranchState.RUNNING, BranchState.STARTING)


@pytest.mark.parametrize("state", BranchState)
@pytest.mark.parametrize("head", CommitState)
def test_every_branch_that_does_not_run_can_be_resumed(state: BranchState, head: CommitState) -> None:
    reason = resumable(replace(MAIN, state=state), (GOLDEN, FIRST, replace(HEAD, state=head)))
    assert (reason is None) == (state not in STARTED), reason


def test_a_gone_head_stands_back_for_its_nearest_sealed_ancestor() -> None:
    gone = replace(HEAD, state=CommitState.GONE)
    assert nearest_kept(HEAD.id, (GOLDEN, FIRST, HEAD)) == HEAD
    assert nearest_kept(HEAD.id, (GOLDEN, FIRST, gone)) == FIRST
    assert nearest_kept(HEAD.id, (GOLDEN, replace(FIRST, state=CommitState.GONE), gone)) == GOLDEN
    assert nearest_kept(HEAD.id, (gone,)) is None


def test_a_refusal_names_what_helps() -> None:
    gone, foreign = replace(HEAD, state=CommitState.GONE), replace(HEAD, origin=Origin.FOREIGN)
    assert "vertui prune main" in (resumable(MAIN, (gone,)) or "")
    assert f"vertui fork {HEAD.id[:12]} --trust" in (resumable(MAIN, (GOLDEN, foreign)) or "")
    older = replace(gone, parents=(GOLDEN.id,))
    assert "vertui resume main" in (forkable(gone, (GOLDEN, gone), {"main": HEAD.id}) or "")
    assert f"vertui fork {GOLDEN.id[:12]}" in (forkable(older, (GOLDEN, older), {}) or "")
    assert f"vertui fork {HEAD.id[:12]} --trust" in (forkable(foreign, (), {}) or "")


@pytest.mark.parametrize("state", CommitState)
@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("quiesced", [True, False])
@pytest.mark.parametrize("trust", [True, False])
def test_what_can_be_forked(state: CommitState, origin: Origin, quiesced: bool, trust: bool) -> None:
    commit = replace(HEAD, state=state, origin=origin, quiesced=quiesced)
    trusted = origin is not Origin.FOREIGN or trust
    may = state is not CommitState.GONE and trusted and quiesced
    assert (forkable(commit, (GOLDEN, FIRST, commit), {}, trust=trust) is None) == may
