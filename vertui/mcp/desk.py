"""What all tools work at: one home, who asks, the plans that wait to be confirmed, and how far long work is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from core.errors import DaemonUnavailable, NotFound
from core.model import Plan, new_key
from core.verbs.base import Planned, Verb
from vertui.sdk.away import away, bridged

if TYPE_CHECKING:
    from vertui.sdk import AsyncVertui

MOST_PLANS = 100  # that nobody confirmed: the oldest is forgotten
Report = Callable[[float, float | None, str], Awaitable[None]]
"""How far a tool is: so much of so much (None where nobody knows), and a line about it."""


class Desk:
    """Of one server."""

    def __init__(self, v: AsyncVertui) -> None:
        self.v = v
        self._plans: dict[str, Plan] = {}

    async def carried_out(self, verb: Verb[Any], report: Report) -> Any:
        """A verb's answer; how far it is, is reported meanwhile."""
        key = new_key()
        async with self._reported(key, report, wanted=verb.counts):
            return await away(partial(self.v.blocking.do, verb, key))

    async def planned(self, verb: Planned[Any]) -> dict[str, object]:
        """What a verb would do, and the token that has it done."""
        plan = await self.v.plan(verb)
        self._plans[plan.id] = plan
        while len(self._plans) > MOST_PLANS:
            del self._plans[next(iter(self._plans))]
        return {
            "plan": plan.lines,
            "undoable": plan.undoable,
            "frees_bytes": plan.frees_bytes,
            "token": plan.id,
        }

    async def confirmed(self, token: str, report: Report) -> Any:
        """Carry out the plan of a token. NotFound for one that was used, or never given."""
        plan = self._plans.pop(token, None)
        if plan is None:
            raise NotFound("no plan waits for this token: ask for the plan again")
        key = new_key()
        async with self._reported(key, report, wanted=True):
            return await away(partial(self.v.blocking.client.execute, plan, key))

    @asynccontextmanager
    async def _reported(self, key: str, report: Report, *, wanted: bool) -> AsyncIterator[None]:
        """Report what the daemon tells of a request while the body lasts."""
        if not wanted:
            yield
            return
        events = await away(self.v.blocking.events)  # before it begins
        task = asyncio.create_task(self._report(events, key, report))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _report(self, events: Any, key: str, report: Report) -> None:
        done = 0.0
        with suppress(DaemonUnavailable):  # the request itself will say why
            async with aclosing(bridged(lambda: events, lambda stream: stream.close())) as told:
                async for event in told:
                    if event.kind == "progress" and event.subject == key and (event.fraction or 0.0) > done:
                        done = event.fraction
                        await report(done, 1.0, event.text)
