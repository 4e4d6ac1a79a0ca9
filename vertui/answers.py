"""What is printed of an answer, by its type."""

import sys
import time
from functools import singledispatch

from core.checkpoints import Policed
from core.checkpoints import in_words as policy_words
from core.errors import GuestFailed
from core.inward import PortProtocol, Published, PublishedPort, host_of
from core.journal.entry import JournalEntry
from core.journal.recovered import Recovered, ReplayStep, StepEnd
from core.links import Linked
from core.mirrors import HandedMirrors
from core.model import Branch, Child, Committed, Forked, HandedOver, Image, Operation, Outward, Plan
from core.ports import guest_side, place, url
from core.reach import Attempt, in_words
from core.refs import CRASH, PROXY
from core.tokens import NewToken
from vertui.entries import command_words, line_of
from vertui.output import Cell, Row, say_table, warn
from vertui.text import SHORT_ID, age, counted, left_of, millis, number, printable, short, size


@singledispatch
def say(answer: object) -> None:
    """Print an answer for people; what has no form of its own as it is."""
    print(printable(str(answer)))


def check(answer: object) -> None:
    """Raise what an answer says went wrong in part, after it was printed: it makes the exit status."""
    if isinstance(answer, Forked) and (failed := sum(not child.ok for child in answer.children)):
        raise GuestFailed(f"{failed} of {len(answer.children)} children failed; the others run")
    if isinstance(answer, Recovered) and not answer.dry_run and (step := answer.stopped):
        raise GuestFailed(f"the replay stopped at entry {step.seq}: {step.why}")


def say_done(plan: Plan, done: Operation) -> None:
    """Print what came of a plan."""
    back = "  (undo: `vertui undo`)" if plan.undoable else ""
    freed = f"  {size(plan.frees_bytes)} freed" if plan.frees_bytes and not plan.undoable else ""
    print(f"{printable(done.summary)}{freed}{back}")


@say.register
def _(branch: Branch) -> None:
    score = f"score {number(branch.score)}" if branch.score is not None else ""
    parts = (branch.name, str(branch.state), branch.address or "", "(trunk)" if branch.trunk else "", score)
    print("  ".join(part for part in parts if part))
    idle = f"suspended when idle for {branch.idle_s} s" if branch.idle_s else ""
    for text in filter(None, (branch.reason or branch.note, left_of(branch), idle)):
        print(f"  {printable(text)}")


@say.register
def _(image: Image) -> None:
    told = f"  egress {in_words(image.egress)}" if image.egress else ""
    print(f"{image.name}  golden {short(image.golden)}{told}")


@say.register
def _(made: NewToken) -> None:
    """Itself alone, so that it can be put where it is needed."""
    print(made.token)
    if sys.stdout.isatty():
        warn(
            f"'{made.name}' is not shown again: give it as VERTUI_TOKEN, or keep it in a file that only you can read"
        )


@say.register
def _(freed: int) -> None:
    print(f"freed {size(freed)}")


@say.register
def _(entry: JournalEntry) -> None:
    print(f"{entry.seq}  {entry.hash[:SHORT_ID]}")


@say.register
def _(operation: Operation) -> None:
    print(printable(operation.summary))


@say.register
def _(done: Committed) -> None:
    taken = done.commit
    loose = "" if taken.quiesced else "  unquiesced: restorable, not forkable"
    text = f"  {printable(taken.message)}" if taken.message else ""
    print(f"{printable(taken.branch)}  {short(taken.id)}{text}{loose}")
    if not done.added:
        print("nothing changed since that commit")
        return
    sealed = "not yet sealed"
    if done.to_sealed_ms is not None:
        sealed = f"sealed in {millis(done.to_sealed_ms)}, {size(taken.stored_bytes)} added"
    print(
        f"{counted(taken.changed_pages, 'page')} changed, paused {millis(taken.pause_ms)}"
        f" (felt {millis(taken.felt_pause_ms)}), hot in {millis(done.to_hot_ms)}, {sealed}"
    )


@say.register
def _(done: HandedOver) -> None:
    paused = f"paused {millis(done.rebase_ms)}"
    print(f"{done.branch}  on {short(done.commit)}  {counted(done.pages, 'page')} brought along  {paused}")


@say.register
def _(told: Policed) -> None:
    """When, what is kept, and the price."""
    policy, price = told.policy, told.price
    when = ", ".join(policy_words(policy)) or "never by itself"
    print(f"{told.branch}  committed {when}{'' if told.own else '  (as the home says)'}")
    if not policy.is_manual:
        hourly = f", one an hour of the last {counted(policy.hourly, 'hour')}" if policy.hourly else ""
        print(f"keeps the newest {policy.keep_last}{hourly}")
    if price.count:
        each = f"paused {millis(price.felt_pause_ms)}, {size(price.stored_bytes)} added"
        an_hour = f"{millis(price.an_hour * price.felt_pause_ms)}, {size(round(price.an_hour * price.stored_bytes))}"
        print(f"price of the newest {price.count}: {each} each; of late {price.an_hour:g} an hour: {an_hour}")
    elif not policy.is_manual:
        print("none was made yet that tells the price")


SIGNS = {
    StepEnd.AHEAD: " ",
    StepEnd.SAME: "=",
    StepEnd.DIVERGED: "≠",
    StepEnd.OTHER: "✗",
    StepEnd.HELD: "✗",
    StepEnd.LEFT: "&",
    StepEnd.CUT: "-",
}


@say.register
def _(done: Recovered) -> None:
    """The branch, what its journal has after the commit, then a line a command that was run again."""
    if done.from_crash_disk:
        print(
            f"{done.branch.name}  runs from {done.branch.name}{CRASH}, the disk that its machine left when it died"
        )
        return
    text = f" {printable(done.message)}" if done.message else ""
    verb = "would start" if done.dry_run else "runs"
    print(f"{done.branch.name}  {verb} from {short(done.commit)}{text}")
    if done.after or done.left_out:
        print(f"after it the journal has {len(done.after) + done.left_out} more:")
    if done.left_out:
        print(f"        {done.left_out} more: `vertui journal show {done.branch.name}`")
    for entry in done.after:
        print(line_of(entry))
    for step in done.taken_up:
        print(f"{'taken up':>9}  {_step(step)}")
    for step in done.steps:
        print(f"{SIGNS[step.end]}{step.seq:>6}  {_step(step)}")


def _step(step: ReplayStep) -> str:
    ends = {StepEnd.AHEAD: "to be run again", StepEnd.HELD: "not run again", StepEnd.CUT: "not run again"}
    why = f": {printable(step.why)}" if step.why else ""
    return f"{command_words(step.argv)}  {ends.get(step.end, step.end)}{why}"


@say.register
def _(told: Outward) -> None:
    """The rule, what went through, then a row a destination that was refused."""
    print(f"{told.branch}  egress {in_words(told.egress)}")
    if told.traffic.packets or told.traffic.refused:
        passed = f"{counted(told.traffic.packets, 'packet')}, {size(told.traffic.bytes)} out and in"
        print(f"{passed}, {told.traffic.refused} refused")
    if told.refused:
        say_table(("REFUSED", "PORT", "TIMES", "LAST", "BY"), [_refused(one) for one in told.refused])


def _refused(one: Attempt) -> Row:
    port = f"{one.port}/udp" if one.protocol == "udp" else str(one.port or "")
    last = f"{age(max(0.0, time.time() - one.last))} ago"
    return (printable(one.host), port, str(one.times), last, printable(one.process))


@say.register
def _(forked: Forked) -> None:
    """The commit, then a row a child."""
    paused = f"  parent paused {millis(forked.pause_ms)}" if forked.pause_ms else ""
    print(f"{short(forked.commit.id)}  {printable(forked.commit.message)}{paused}")
    say_table(("BRANCH", "ADDRESS", "FORK", "RUN", "PORTS", ""), [_child(child) for child in forked.children])


def _child(child: Child) -> Row:
    if not child.ok:
        return (Cell(child.name, "red"), "", "", "", "", Cell(f"failed: {printable(child.reason)}", "red"))
    ports = ", ".join(f"{guest_side(port)} at {place(port)}" for port in child.ports)
    return (child.name, child.address or "", millis(child.fork_ms), millis(child.run_ms), ports, "")


@say.register
def _(published: Published) -> None:
    """A line a port."""
    for port in published.ports:
        print(_reached(port) + ("" if published.open else "  closed"))


@say.register
def _(linked: Linked) -> None:
    """A line a pair."""
    for pair in linked.pairs:
        print(f"{' and '.join(map(host_of, pair))} reach each other{'' if linked.open else ' no more'}")


@say.register
def _(done: HandedMirrors) -> None:
    """And what stays, a line a file."""
    print(f"{done.branch}  mirrors of this host {'handed in' if done.handed_in else 'taken back'}")
    for path in done.stay:
        warn(f"{path} was changed since it was handed in: it stays")


def _reached(port: PublishedPort) -> str:
    if port.branch == PROXY:
        return f"http://PORT.BRANCH.localhost:{port.host_port}/  (at {place(port)})"
    at = url(port) if port.protocol is PortProtocol.TCP else place(port)
    return f"{port.branch} {guest_side(port)}  {at}"
