"""The host's clock jumps: waited for without polling, and every guest's is set then."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from core.engine.clocks import follow
from core.guest import answers
from core.guest import clock as from_outside
from core.guest.agent.clock import AHEAD_NS, Clock
from core.linux import clock_jumps

ABSOLUTE_AND_CANCELLED_WHEN_SET = 0o3


def test_the_kernel_is_asked_to_tell() -> None:
    """By a timer that it cancels when the clock is set or has slept, and that is never due."""
    descriptor = clock_jumps()
    try:
        facts = dict(
            line.split(":", 1) for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
        )
        assert int(facts["settime flags"], 8) == ABSOLUTE_AND_CANCELLED_WHEN_SET
    finally:
        os.close(descriptor)


async def test_each_jump_sets_the_clocks_of_all_there_are_then() -> None:
    """Stands in for the timer: what is readable once a jump."""
    told: asyncio.Queue[str] = asyncio.Queue()
    guests = [_Guest("a", told), _Guest("b", told)]
    jumps, jump = os.pipe2(os.O_NONBLOCK)
    following = asyncio.create_task(follow(lambda: guests, jumps))
    try:
        for expected in (["a", "b"], ["a", "b", "c"]):
            os.write(jump, bytes(8))
            assert [await asyncio.wait_for(told.get(), 10) for _ in expected] == expected
            guests.append(_Guest("c", told))
        os.close(jump)
        await asyncio.wait_for(following, 10)
    finally:
        os.close(jumps)
    assert told.empty()


class _Guest:
    def __init__(self, name: str, told: "asyncio.Queue[str]") -> None:
        self._name, self._told = name, told

    def correct_clock(self) -> None:
        self._told.put_nowait(self._name)


class _Told(Clock):
    """Sets nothing, and tells what it would have."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[int] = []

    def set(self, unix_time_ns: int) -> None:
        self.told.append(unix_time_ns)


def test_a_guests_clock_goes_forward_and_back_only_in_need() -> None:
    clock = _Told()
    clock.follow(time.time_ns() - 1_000_000)
    assert clock.told == []
    later = time.time_ns() + 60 * 10**9
    clock.follow(later)
    clock.follow(time.time_ns() - 2 * AHEAD_NS)
    exactly = time.time_ns() - 1_000_000
    clock.follow(exactly, exactly=True)
    assert [clock.told[0], clock.told[2]] == [later, exactly]
    assert len(clock.told) == 3


def test_a_step_for_another_setting_is_not_made() -> None:
    """The guest was told the time since: the step would be made twice."""
    clock = _Told()
    read = clock.read()
    clock.follow(time.time_ns() + 10**9)
    if clock.read()["origin_ns"] != read["origin_ns"]:
        clock.advance(10**9, read["origin_ns"])
    assert len(clock.told) == 1
    clock.advance(10**9, clock.read()["origin_ns"])
    assert len(clock.told) == 2


async def test_a_clock_is_read_again_until_an_answer_is_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow answers leave in doubt more than a clock may be wrong by; one behind by less stayed so."""
    monkeypatch.setattr(from_outside, "PAUSES_S", (0.0, 0.01, 0.01))
    agent = _Slow(behind_s=0.1)
    await from_outside.set_clock(agent)  # type: ignore[arg-type]
    assert abs(agent.behind_s) < from_outside.PROMPT_S
    assert agent.readings == from_outside.READINGS + 1


class _Slow:
    """A guest's agent whose clock is behind, and whose first answers take long on their way back."""

    knows_keys, lost = True, False

    def __init__(self, behind_s: float) -> None:
        self.behind_s, self.readings = behind_s, 0

    async def request(
        self, kind: type[Any], op: str, advance_ns: int = 0, origin_ns: int = 0
    ) -> answers.ClockRead:
        self.behind_s -= advance_ns / 1e9
        self.readings += not advance_ns
        answer = answers.ClockRead(time.time_ns() - round(self.behind_s * 1e9), 0, 0)
        if self.readings <= from_outside.READINGS:
            await asyncio.sleep(0.25)
        return answer
