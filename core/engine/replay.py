"""Recorded commands run again in a branch that was taken back to before them, in the order in which they had ended.

Exactly once: a commit may have been made in the middle of a command. Its machine goes on with that command when it is
started, and so the replay waits for it there, instead of running it a second time; see `InCommit`.
"""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from blake3 import blake3
from msgspec.structs import replace

from core.engine.beginning import begin
from core.engine.context import Engine
from core.engine.live import Live
from core.engine.recording import CommandRecord, SeenCommand
from core.errors import VertuiError
from core.guest.client import AgentClient
from core.guest.streams import CommandExit, CommandStream
from core.journal.chain import ChainStretch, entries, entry_at, given_to, tries
from core.journal.entry import EntryKind, JournalEntry, JournalExec, Ranges
from core.journal.means import CommandMeans, means_of
from core.journal.recovered import STOPPED, ReplayStep, StepEnd
from core.model import Command, ExecRequest
from core.patience import patient

CUT_OFF = "its machine ended in the middle of it, and nobody was told of its end"
NO_MEANS = CommandMeans({}, b"")
OWNER_S = patient(120.0)  # should the daemon die, the guest hangs up on what was being replayed
LONGER, LEAST_S = 20, patient(60.0)  # times what it took before that a command may take, and at least so long
TAKEN_UP_S = patient(60.0)  # for what a commit is in the middle of: how long that takes is not known
LOOKED_BACK = 1000  # entries before the commit, in which commands are looked for that it knows of
WORDS = {
    "the clock": r"date|time|uptime|clock|strftime|timestamp|stat|ls -\S*l\S*",
    "the network": r"curl|wget|ping|dig|host|nslookup|ssh|scp|rsync|nc|apt|apt-get|pip3?|npm|npx"
    r"|git (?:clone|fetch|pull)",
    "randomness": r"\$\{?RANDOM\}?|urandom|random|uuidgen|uuid4?|mktemp|shuf|rand",
    "what the kernel counts": r"ps|top|free|df|pid|\$\$",
}  # fmt: skip
READS = {what: re.compile(rf"(?<![\w.-])(?:{words})(?![\w-])") for what, words in WORDS.items()}


@dataclass(frozen=True)
class Replayable:
    """What a branch's machine did after a commit, as its journal tells: the commands, and the entries that count as
    tried all the same, up to number `last`.
    """

    seen: int
    last: int
    tries: Ranges = ()
    commands: tuple[JournalEntry, ...] = ()


def replayable(chain: Sequence[ChainStretch], seen: int, mark: int, last: int) -> Replayable:
    """What is to be run again after entry `seen`: what the machine did last before it was lost. When nothing has been
    done since an earlier machine was lost, it is what that did, and so on. Nobody wants again what was taken back.
    """
    after = list(entries(chain, seen + 1))
    by_number = {entry.seq: entry for entry in after}
    after = [entry for entry in after if not _is_of_former(entry, by_number.get(entry.mark))]
    while True:
        tried = tries(chain, mark) if mark else ()
        left_out = [range(first, end + 1) for first, end in tried]
        there = [e for e in after if e.seq <= last and not any(e.seq in some for some in left_out)]
        lost = mark > seen and mark in by_number and by_number[mark].lost
        if (commands := _commands(there)) or not lost:
            return Replayable(seen, last, tried, commands)
        last = mark - 1
        before = by_number.get(last)
        mark = before.mark if before else 0
        if last <= seen:
            return Replayable(seen, last)


def _is_of_former(entry: JournalEntry, mark: JournalEntry | None) -> bool:
    """Was a command begun in the machine that was the branch's before it was taken back? That ended with it, and its
    entry comes late.
    """
    ran = entry.exec
    if ran is None or ran.exit is not None or mark is None:
        return False
    return entry.time - ran.duration_ms / 1000 < mark.time


def _commands(there: Iterable[JournalEntry]) -> tuple[JournalEntry, ...]:
    """Each once: one that was followed under two daemons has two entries, the first with how it was asked for, the
    second with its end. So has one that was left running: it is left so again, whenever it ended. One that was
    inherited goes on in the commit.
    """
    found: list[JournalEntry] = []
    for entry in there:
        ran = entry.exec
        if entry.kind != EntryKind.EXEC or ran is None:
            continue
        if ran.inherited or (ran.left and ran.exit is not None):
            continue
        begun = next((e for e in found if _goes_on(e, ran)), None)
        if begun is None or begun.exec is None:
            found.append(entry)
            continue
        found.remove(begun)
        whole = replace(begun.exec, exit=ran.exit, timed_out=ran.timed_out, left=ran.left, output_hash="")
        found.append(replace(begun, exec=whole))
    return tuple(found)


def _goes_on(entry: JournalEntry, ran: JournalExec) -> bool:
    begun = entry.exec
    if begun is None or begun.exit is not None or begun.left or begun.cut or begun.command != ran.command:
        return False
    return ran.partial or begun.argv == ran.argv


@dataclass
class InCommit:
    """The commands that a commit's guest knows of: those begun before it. Numbers only grow in a guest, so none that
    was begun later has one of theirs.
    """

    known: dict[int, Command] = field(default_factory=dict)

    @classmethod
    async def of(cls, agent: AgentClient) -> "InCommit":
        """To be asked before anything is started."""
        return cls({command.id: command for command in await agent.ps()})

    def unrecorded(self, chain: Sequence[ChainStretch], found: Replayable) -> list[Command]:
        """Those whose ends no entry tells: whoever asked for them has not heard of it either."""
        at = entry_at(chain, found.seen)
        others = [range(first, end + 1) for first, end in (tries(chain, at.mark) if at else ())]
        first = max(1, found.seen - LOOKED_BACK)
        before = islice(entries(chain, first), found.seen + 1 - first) if at else ()
        theirs = (e for e in before if not any(e.seq in some for some in others))
        ran = [e.exec for e in (*theirs, *found.commands) if e.exec and not e.exec.cut]
        told = {one.command for one in ran if one.command}
        unnumbered = {one.argv for one in ran if not one.command}  # a fork's children were started with these
        least = min(told, default=0)
        return [
            one
            for id, one in sorted(self.known.items())
            if id not in told and id >= least and one.argv[-1:] not in unnumbered
        ]


@dataclass(frozen=True)
class Replay:
    """One replay, in a branch whose machine has just been started from a commit."""

    engine: Engine
    live: Live
    name: str
    chain: Sequence[ChainStretch]
    found: Replayable
    outputs: bool
    tell: Callable[[], None]

    async def take_up(self) -> tuple[ReplayStep, ...]:
        """Wait for the ends of commands that the commit is in the middle of, unless entries tell what became of them,
        and write them down. One that runs on is left to.
        """
        agent, ended = await self.live.agent(), list[ReplayStep]()
        inside = await InCommit.of(agent)
        for command in await asyncio.to_thread(inside.unrecorded, self.chain, self.found):
            head = self.engine.catalog.branch(self.live.branch).head
            record = CommandRecord.taken_up(self.engine.journals, self.live.branch, head, command)
            stream = await agent.attach(command.id, owner_s=OWNER_S)
            try:
                async with asyncio.timeout(TAKEN_UP_S):
                    await _follow(stream, record, b"")
            except TimeoutError:
                await stream.detach()
                ended.append(ReplayStep(0, command.argv, StepEnd.LEFT, "it runs on"))
            else:
                said = f"it ended with {record.told().exit}"
                seq = self.engine.journals.last(self.live.branch)
                ended.append(ReplayStep(seq, command.argv, StepEnd.SAME, said))
        return tuple(ended)

    async def run(self) -> tuple[ReplayStep, ...]:
        """Every command up to the first that ends otherwise, or cannot be run again as it was. GuestFailed when the
        machine ends meanwhile.
        """
        steps = list[ReplayStep]()
        known = (await InCommit.of(await self.live.agent())).known
        last = _last_heard(self.found.commands)
        for entry in self.found.commands:
            if (ran := entry.exec) is None:
                continue
            if ran.cut and entry.seq > last:
                steps.append(ReplayStep(entry.seq, ran.argv, StepEnd.CUT, CUT_OFF))
                continue
            try:
                end, why = await self._again(entry, ran, inside=ran.command > 0 and ran.command in known)
            except TimeoutError:
                took_s = ran.duration_ms / 1000
                end, why = (
                    StepEnd.OTHER,
                    f"it has not ended in {_limit_s(ran):.0f} s, and had in {took_s:.1f} s",
                )
            except VertuiError as error:
                if self.live.lost:  # what was run again went with the machine
                    raise
                end, why = StepEnd.HELD, str(error)
            steps.append(ReplayStep(entry.seq, ran.argv, end, why))
            self.tell()
            if end in STOPPED:
                break
        return tuple(steps)

    async def _again(self, entry: JournalEntry, ran: JournalExec, *, inside: bool) -> tuple[StepEnd, str]:
        means = await asyncio.to_thread(_means, self.chain, entry)
        if inside:
            if ran.exit is None:
                return StepEnd.LEFT, "the commit is in the middle of it"
            agent = await self.live.agent()
            seen = SeenCommand(ExecRequest(self.name, ran.argv), ran.command)
            stream = await agent.attach(ran.command, owner_s=OWNER_S)
        else:
            if why := _why_held(ran, means):
                return StepEnd.HELD, why
            request = _request(self.name, ran, means or NO_MEANS)
            seen = SeenCommand(request, ran.command)
            stream = await begin(self.engine, self.live, request, owner_s=0 if ran.left else OWNER_S)
            self.live.may_work = True
        if ran.left:
            if means and means.stdin:
                await stream.write_stdin(means.stdin)
                await stream.eof()
            await stream.detach()
            return StepEnd.LEFT, "as it had been, it was started and left"
        try:
            async with asyncio.timeout(_limit_s(ran)):
                await _follow(stream, seen, means.stdin if means else b"")
        except TimeoutError:
            await stream.hang_up()
            raise
        return _compared(ran, seen.told(), outputs=self.outputs)


def ahead(chain: Sequence[ChainStretch], found: Replayable, made: float) -> Iterator[ReplayStep]:
    """What a replay would do, as far as that can be told, from a commit that was `made` then (Unix time)."""
    last = _last_heard(found.commands)
    for entry in found.commands:
        if (ran := entry.exec) is None:
            continue
        if ran.cut and entry.seq > last:
            yield ReplayStep(entry.seq, ran.argv, StepEnd.CUT, CUT_OFF)
        elif entry.time - ran.duration_ms / 1000 < made:
            yield ReplayStep(entry.seq, ran.argv, StepEnd.AHEAD, "unless the commit is in the middle of it")
        elif why := _why_held(ran, _means(chain, entry)):
            yield ReplayStep(entry.seq, ran.argv, StepEnd.HELD, why)
            return
        else:
            yield ReplayStep(entry.seq, ran.argv, StepEnd.AHEAD, _read_by(ran))


def _last_heard(commands: Sequence[JournalEntry]) -> int:
    """The last entry of a command that was not cut off: what was cut off later was so by the machine's end."""
    return max((entry.seq for entry in commands if entry.exec and not entry.exec.cut), default=0)


def _means(chain: Sequence[ChainStretch], entry: JournalEntry) -> CommandMeans | None:
    data = given_to(chain, entry)
    return None if data is None else means_of(data)


def _why_held(ran: JournalExec, means: CommandMeans | None) -> str:
    """Why a command cannot be run again as it was; "" when it can."""
    if ran.partial:
        return "how it was asked for is not known: its client came back to it under another daemon"
    if ran.cut:
        return "the line to its guest was lost in the middle of it: how far it ran is not known"
    if ran.exit is None and not ran.left:
        return "its client hung up in the middle of it: how far it ran is not known"
    if ran.tty and ran.stdin_bytes:
        return "what was typed at its terminal is not kept"
    stdin = means.stdin if means else b""
    if ran.stdin_bytes != len(stdin) or (stdin and blake3(stdin).hexdigest() != ran.stdin_hash):
        return f"of its input, {ran.stdin_bytes} bytes, not all is kept"
    names = {name for name, _ in ran.secrets} | (means.env.keys() if means else set[str]())
    if names != {*ran.env}:
        return f"the values of its variables are not kept ({', '.join(ran.env)})"
    return ""


def _request(name: str, ran: JournalExec, means: CommandMeans) -> ExecRequest:
    return ExecRequest(
        name, ran.argv, dict(means.env), ran.cwd or None, ran.user or None, tty=ran.tty,
        stdin=bool(means.stdin), timeout_s=ran.timeout_s, lossless=not ran.left, outlives=ran.left,
        secrets=dict(ran.secrets),
    )  # fmt: skip


async def _follow(stream: CommandStream, seen: SeenCommand, stdin: bytes) -> None:
    """Until the command's end. It is given what it has not got yet of its input."""

    async def give() -> None:
        await stream.write_stdin(stdin[stream.stdin_sent :])
        await stream.eof()

    giving = asyncio.create_task(give())
    try:
        async for item in stream:
            seen.said(item)
            if isinstance(item, CommandExit):
                return
    finally:
        giving.cancel()
        await asyncio.gather(giving, return_exceptions=True)


def _limit_s(ran: JournalExec) -> float:
    return max(LEAST_S, LONGER * ran.duration_ms / 1000)


def _compared(was: JournalExec, now: JournalExec, *, outputs: bool) -> tuple[StepEnd, str]:
    if (was.exit, was.timed_out) != (now.exit, now.timed_out):
        return StepEnd.OTHER, f"it ended with {now.exit}, and had with {was.exit}"
    if not (was.output_hash and now.output_hash):
        return StepEnd.SAME, "; ".join(filter(None, ("what it printed is not known whole", _read_by(was))))
    if was.output_hash == now.output_hash:
        return StepEnd.SAME, _read_by(was)
    said = "; ".join(filter(None, (f"it printed {_printed(now)}, and had {_printed(was)}", _read_by(was))))
    return StepEnd.OTHER if outputs else StepEnd.DIVERGED, said


def _read_by(ran: JournalExec) -> str:
    """What of it may be another each time, by its words: also where it prints the same, what it writes may be."""
    sources = [what for what, words in READS.items() if any(words.search(word) for word in _lines(ran))]
    return f"it seems to read {' and '.join(sources)}" if sources else ""


def _printed(ran: JournalExec) -> str:
    return f"{ran.stdout_bytes + ran.stderr_bytes} bytes (hash {ran.output_hash[:8]})"


def _lines(ran: JournalExec) -> tuple[str, ...]:
    """Words one by one, and all of them: `git clone` are two."""
    return (*ran.argv, " ".join(ran.argv))
