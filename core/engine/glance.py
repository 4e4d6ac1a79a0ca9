"""What a machine does, at a glance: what its newest command printed last, and how that ended.

A guest's agent is asked only where a command may run: one was started since it was asked last, or ran then. Nobody
waits for a guest that does not answer at once, and a machine that is being captured is left alone.
"""

import asyncio
import contextlib
import re

from core.commands import Command, LastCommand, newest
from core.engine.live import Live
from core.errors import VertuiError
from core.guest.streams import CommandOutput, StreamName
from core.patience import patient

PATIENCE_S = patient(0.5)  # a guest at work answers in some milliseconds
TAIL_BYTES = 400  # of output: as much as a line of it that is shown
LONGEST_WORDS = 80  # characters of a command
ENDS = re.compile(rb"[\r\n]+")


async def glance(live: Live) -> None:
    """Look what its newest command does, if one may have done anything since."""
    if not live.may_work or live.paused or live.lost or live.lock.locked() or live.stall.is_set():
        return
    with contextlib.suppress(VertuiError, TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            await _look(live)


async def _look(live: Live) -> None:
    live.may_work = False  # what is started while we look is looked at again
    try:
        last = newest(await (await live.agent()).ps())
        if last is not None:
            live.last = await _seen(live, last)
    except BaseException:
        live.may_work = True
        raise
    live.may_work = live.may_work or (last is not None and last.exit_code is None)


async def _seen(live: Live, command: Command) -> LastCommand:
    printed = command.stdout_bytes + command.stderr_bytes
    before = live.last if live.last is not None and live.last.id == command.id else None
    line = before.line if before else ""
    if printed and (before is None or before.printed_bytes != printed):
        line = await _last_line(live, command) or line
    words = " ".join(command.argv)[:LONGEST_WORDS]
    ended = command.exit_code, printed, line, command.timed_out, command.lasted_ms
    return LastCommand(command.id, words, command.started, *ended)


async def _last_line(live: Live, command: Command) -> str:
    """The last line of its output; where there is none, of what it said on standard error."""
    ends = (command.stdout_bytes, command.stderr_bytes)
    index = StreamName.STDOUT if command.stdout_bytes else StreamName.STDERR
    offsets = [*ends]
    offsets[index] = max(0, ends[index] - TAIL_BYTES)
    stream = await (await live.agent()).attach(command.id, *offsets)
    try:
        tail = b""
        async for item in stream:
            if isinstance(item, CommandOutput) and item.stream is index:
                tail += item.data
            if not isinstance(item, CommandOutput) or len(tail) >= ends[index] - offsets[index]:
                break
        return _line_of(tail)
    finally:
        await stream.detach()


def _line_of(tail: bytes) -> str:
    lines = [line for line in ENDS.split(tail) if line.strip()]
    return lines[-1].decode(errors="backslashreplace") if lines else ""
