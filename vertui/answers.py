"""What is printed of an answer, by its type."""

from functools import singledispatch

from core.errors import GuestFailed
from core.model import Branch, Child, Committed, Forked, HandedOver, Operation
from vertui.output import Cell, Row, say_table
from vertui.text import millis, number, printable, short, size


@singledispatch
def say(answer: object) -> None:
    """Print an answer for people; what has no form of its own as it is."""
    print(printable(str(answer)))


@say.register
def _(branch: Branch) -> None:
    score = f"score {number(branch.score)}" if branch.score is not None else ""
    parts = (branch.name, str(branch.state), branch.address or "", "(trunk)" if branch.trunk else "", score)
    print("  ".join(part for part in parts if part))
    if text := branch.reason or branch.note:
        print(f"  {printable(text)}")


@say.register
def _(operation: Operation) -> None:
    print(printable(operation.summary))


@say.register
def _(done: Committed) -> None:
    taken = done.commit
    loose = "" if taken.quiesced else "  unquiesced: restorable, not forkable"
    text = f"  {printable(taken.message)}" if taken.message else ""
    print(f"{short(taken.id)}{text}{loose}")
    sealed = "not yet sealed"
    if done.to_sealed_ms is not None:
        sealed = f"sealed in {millis(done.to_sealed_ms)}, {size(taken.stored_bytes)} added"
    print(
        f"{taken.changed_pages} pages changed, paused {millis(taken.pause_ms)}"
        f" (felt {millis(taken.felt_pause_ms)}), hot in {millis(done.to_hot_ms)}, {sealed}"
    )


@say.register
def _(done: HandedOver) -> None:
    paused = f"paused {millis(done.rebase_ms)}"
    print(f"{done.branch}  on {short(done.commit)}  {done.pages} pages brought along  {paused}")


@say.register
def _(forked: Forked) -> None:
    """The commit, then a row a child; a child that failed is said and makes the exit status 10."""
    paused = f"  parent paused {millis(forked.pause_ms)}" if forked.pause_ms else ""
    print(f"{short(forked.commit.id)}  {printable(forked.commit.message)}{paused}")
    say_table(("BRANCH", "ADDRESS", "FORK", "RUN", ""), [_child(child) for child in forked.children])
    failed = sum(not child.ok for child in forked.children)
    if failed:
        raise GuestFailed(f"{failed} of {len(forked.children)} children failed; the others run")


def _child(child: Child) -> Row:
    if not child.ok:
        return (Cell(child.name, "red"), "", "", "", Cell(f"failed: {printable(child.reason)}", "red"))
    return (child.name, child.address or "", millis(child.fork_ms), millis(child.run_ms), "")
