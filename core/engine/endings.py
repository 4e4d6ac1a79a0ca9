"""Ends of commands that nobody follows, written into journals by whichever daemon sees them: how each ended, how long
it took, and some of what it printed.

Nothing is asked of a guest at work: its agent says when a command has ended. What is known of them goes with the
daemon; the next one finds them in the newest entries of the journals, and keeps nothing of what they print, as it does
not know whether anything was to be kept.
"""

import asyncio
from contextlib import suppress
from functools import partial

from msgspec.structs import replace

from core.engine.attending import attend
from core.engine.context import Engine
from core.engine.recording import KEPT_BYTES, Excerpt
from core.engine.unattended import UnattendedCommand
from core.errors import GuestFailed, VertuiError
from core.guest.client import AgentClient
from core.guest.streams import CommandExit
from core.journal.chain import ChainStretch, newest
from core.journal.entry import EntryKind, JournalEntry, NewEntry
from core.model import Event

LOOKED_BACK = 200  # of a journal's newest entries, when a daemon starts
AT_ONCE_BYTES, PAUSE_S = 64 * 1024, 0.1  # of output between two pauses: what comes faster the guest drops
AGAIN_S, LONGEST_AGAIN_S = 2.0, 60.0  # until a line that broke is tried again, at first and at most


def expect(engine: Engine, command: UnattendedCommand) -> None:
    """Have a command's end written down, whenever that is."""
    engine.unattended.add(command)
    row = engine.catalog.branch(command.branch)
    engine.events.publish("branch", row.name, f"{row.name}: command {command.begun.command} runs by itself")


async def watch(engine: Engine) -> None:
    """For ever: write down how commands end. Begins with those that the last daemon knew of."""
    for branch in list(engine.machines.live):
        with suppress(VertuiError):
            await _find(engine, branch)
    await attend(engine, partial(_to_follow, engine), _follow)


async def _find(engine: Engine, branch: str) -> None:
    journals = engine.journals
    mark, own = journals.mark(branch), journals.chain(branch)[-1:]
    for entry in await asyncio.to_thread(_unended, own, mark):
        if entry.exec:
            known = UnattendedCommand(branch, entry.exec, entry.author, entry.commit, mark, "none")
            engine.unattended.add(known)


def _unended(own: list[ChainStretch], mark: int) -> list[JournalEntry]:
    """The newest entries of commands begun since the machine was taken back last, whose ends none tells."""
    found = dict[int, JournalEntry]()
    for entry in newest(own, LOOKED_BACK):
        if entry.exec and entry.exec.command and entry.mark == mark and not entry.guest:
            if entry.exec.exit is None:
                found[entry.exec.command] = entry
            else:
                found.pop(entry.exec.command, None)
    return [*found.values()]


def _to_follow(engine: Engine, event: Event | None) -> list[str]:
    """Of the branch that an event names, or of all, those commands whose branches run."""
    named = engine.catalog.named(event.subject) if event is not None and event.kind == "branch" else None
    if event is not None and named is None:
        return []
    return [
        command.id
        for command in engine.unattended.all()
        if (named is None or command.branch == named.id) and engine.running(command.branch)
    ]


async def _follow(engine: Engine, id: str) -> None:
    """Until its end is written down, or its branch runs no more: that it does again is an event."""
    again_s = AGAIN_S
    while (command := engine.unattended.get(id)) and (live := engine.running(command.branch)):
        if engine.journals.mark(command.branch) != command.mark:
            engine.unattended.end(command, written=False)
            return
        try:
            await _write_end(engine, await live.agent(), command)
        except VertuiError:
            await asyncio.sleep(again_s)
            again_s = min(2 * again_s, LONGEST_AGAIN_S)


async def _write_end(engine: Engine, agent: AgentClient, command: UnattendedCommand) -> None:
    """Follow a command to its end. GuestFailed when the guest cannot be asked."""
    number = command.begun.command
    try:
        stream = await agent.attach(number)
    except GuestFailed:
        if any(one.id == number for one in await agent.ps()):
            raise
        engine.unattended.end(command, written=False)
        return
    excerpt, read = Excerpt(*KEPT_BYTES[command.recorded]), 0
    async for item in stream:
        if isinstance(item, CommandExit):
            lasted = next((one.lasted_ms for one in await agent.ps() if one.id == number), None)
            ended = replace(
                command.begun, left=True, exit=item.code, timed_out=item.timed_out,
                duration_ms=round(lasted or 0.0, 2),
                stdout_bytes=item.stdout_bytes, stderr_bytes=item.stderr_bytes,
            )  # fmt: skip
            if engine.unattended.get(command.id) is command:  # its client has not come back
                new = NewEntry(EntryKind.EXEC, excerpt.text(), command.author, command.commit, exec=ended)
                engine.journals.writer.note(command.branch, new)
                engine.unattended.end(command, written=True)
            return
        excerpt.add(item.data)
        read += len(item.data)
        if read > AT_ONCE_BYTES:
            read = 0
            await asyncio.sleep(PAUSE_S)
    raise GuestFailed("the command was followed no further")
