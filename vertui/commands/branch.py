"""Branches: start, fork, pause, judge, and choose one."""

from typing import Annotated

import typer

from core.errors import GuestFailed, UsageError
from core.model import Branch, Child, Forked, Tree
from core.resume import resumable
from vertui.commands.options import BranchName, DryRun, Yes, new_app
from vertui.commands.several import BranchNames, distinct, each
from vertui.output import Cell, Row, say_table
from vertui.session import connect, settle
from vertui.text import millis, number, printable, short

app = new_app()

Ref = Annotated[
    str,
    typer.Argument(metavar="REF", help="A branch, @trunk, a commit id, a tag, or REF~N.", show_default=False),
]


@app.command()
def up(
    image: Annotated[
        str | None,
        typer.Option("--image", "-i", help="The image to start from.", show_default="the only one"),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="The new branch's name.")] = "main",
) -> None:
    """Start a machine from an image. The first branch becomes the trunk.

    \b
    Examples:
      vertui up
      vertui up --image base --name work
    """
    _say(connect().up(image, name))


@app.command()
def fork(
    ref: Ref,
    n: Annotated[int, typer.Option("-n", "--number", help="How many children.")] = 1,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="PREFIX", help="Children are PREFIX1 … PREFIXN.", show_default="b"),
    ] = None,
    command: Annotated[
        str | None, typer.Option("--exec", metavar="CMD", help="Start this shell command in every child.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Let an imported commit start: QEMU loads its devices' state.")
    ] = False,
    eager: Annotated[
        bool, typer.Option("--eager", help="Read all of a stored commit's memory before its children run.")
    ] = False,
) -> None:
    """Fork a running branch, or any commit, into N running machines.

    All children come from one commit and go on where it stood: processes, memory, open files. The parent runs on.

    \b
    Examples:
      vertui fork main -n 4
      vertui fork main~2 -n 2 --name try --exec 'make test > /tmp/log 2>&1'
    """
    _say_fork(connect().fork(ref, n, name, command, trust, eager))


@app.command()
def promote(
    branch: BranchName,
    prune_losers: Annotated[
        bool, typer.Option("--prune-losers", help="Also prune the other branches of this branch's own fork.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Make a branch the trunk. Its processes go on; the old trunk stays a branch until pruned.

    Shows what the old trunk did since the fork that this branch lacks, and asks.
    """
    client = connect()
    if settle(client, client.plan_promote(branch, prune_losers), yes, dry_run):
        print(f"{client.tree().trunk} is the trunk (undo: `vertui undo`)")


@app.command()
def pause(branches: BranchNames) -> None:
    """Quiesce and stop branches' machines; they keep their memory and can still be committed and forked."""
    client = connect()
    each(distinct(client, branches), lambda name: _say(client.pause(name)))


@app.command()
def resume(
    branches: Annotated[
        list[str] | None, typer.Argument(metavar="[BRANCH...]", help="Branch names or @trunk.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every branch that can be resumed.")] = False,
) -> None:
    """Let paused branches run on, and start suspended, stopped, failed and lost ones from their heads.

    A head that is gone, because it was still in memory when the host died, gives way to its nearest ancestor that is
    not; that is said. What fails in one branch does not stop the others.

    \b
    Examples:
      vertui resume main
      vertui resume --all
    """
    if bool(branches) == everything:
        raise UsageError("name the branches to resume, or give --all")
    client = connect()
    if everything and not (branches := _resumable(client.tree())):
        print("there is nothing to resume")
        return
    each(distinct(client, branches or ()), lambda name: _say(client.resume(name)))


def _resumable(tree: Tree) -> list[str]:
    return [branch.name for branch in tree.branches if resumable(branch, tree.commits) is None]


@app.command("hand-over")
def hand_over(branch: BranchName) -> None:
    """Move a running branch into a new process on its head, so that it commits and forks as fast as a young one.

    Happens by itself after a commit of a branch that has changed much (`vertui config handover.bytes`). What runs in
    it, its connections and whoever follows its commands go on.

    \b
    Example:
      vertui commit main && vertui hand-over main
    """
    done = connect().hand_over(branch)
    paused = f"paused {millis(done.rebase_ms)}"
    print(f"{done.branch}  on {short(done.commit)}  {done.pages} pages brought along  {paused}")


@app.command()
def restore(
    branch: BranchName,
    commit: Annotated[
        str | None, typer.Argument(metavar="[COMMIT]", help="A commit, or any REF; the head without one.")
    ] = None,
) -> None:
    """Take a branch back in place: same name, network and address.

    Its machine now is committed first; `vertui undo` brings that back.

    \b
    Example:
      vertui restore main main~2
    """
    client = connect()
    _say(client.restore(branch, commit))


@app.command(context_settings={"ignore_unknown_options": True})
def score(
    branch: BranchName,
    value: Annotated[float, typer.Argument(metavar="NUMBER", help="Any number.", show_default=False)],
    note: Annotated[str, typer.Option("--note", help="A word about it.")] = "",
) -> None:
    """Give a branch a score, for you and for `ls`.

    \b
    Example:
      vertui score b2 0.75 --note 'one test left'
    """
    judged = connect().score(branch, value, note)
    print(f"{judged.name}  score {number(judged.score)}  {printable(judged.note)}".rstrip())


@app.command()
def rename(
    branch: BranchName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.", show_default=False)],
) -> None:
    """Rename a branch."""
    print(f"{branch} is now {connect().rename(branch, name).name}")


def _say(branch: Branch) -> None:
    parts = (branch.name, str(branch.state), branch.address or "", "(trunk)" if branch.trunk else "")
    print("  ".join(part for part in parts if part))
    if branch.reason:
        print(f"  {printable(branch.reason)}")


def _say_fork(forked: Forked) -> None:
    """The commit, then a row a child; a child that failed is said and makes the exit status 10."""
    pause_text = f"  parent paused {millis(forked.pause_ms)}" if forked.pause_ms else ""
    print(f"{short(forked.commit.id)}  {printable(forked.commit.message)}{pause_text}")
    say_table(("BRANCH", "ADDRESS", "FORK", "RUN", ""), [_child(child) for child in forked.children])
    failed = sum(not child.ok for child in forked.children)
    if failed:
        raise GuestFailed(f"{failed} of {len(forked.children)} children failed; the others run")


def _child(child: Child) -> Row:
    if not child.ok:
        return (Cell(child.name, "red"), "", "", "", Cell(f"failed: {printable(child.reason)}", "red"))
    return (child.name, child.address or "", millis(child.fork_ms), millis(child.run_ms), "")
